use super::*;
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

const ALL: Needs = Needs { sequencer: true, poster: true };

fn password(text: &str) -> Password {
    Password::of(text).unwrap()
}

fn load(root: &Path, text: &str) -> Result<Keys, KeyFileError> {
    Keys::load(root, ALL, &Passwords::known(password(text)))
}

fn seal(root: &Path, text: &str) -> Vec<KeyKind> {
    Keys::create(root, Keep::Sealed(&password(text), Work::LIGHT)).unwrap()
}

#[test]
fn made_keys_are_private_and_stay_as_they_are() {
    for sealed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let pw = password("pw");
        let keep = || if sealed { Keep::Sealed(&pw, Work::LIGHT) } else { Keep::Plain };
        assert_eq!(Keys::create(dir.path(), keep()).unwrap(), KeyKind::ALL);
        for kind in KeyKind::ALL {
            let path = kind.path(dir.path());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let ending = if sealed && kind != KeyKind::Node { "json" } else { "key" };
            assert_eq!(path.extension().unwrap(), ending);
        }
        let first = load(dir.path(), "pw").unwrap();
        assert_eq!(Keys::create(dir.path(), keep()).unwrap(), []);
        let again = load(dir.path(), "pw").unwrap();
        assert_eq!(first.identity.peer_id(), again.identity.peer_id());
        let public = |k: &Keys| k.sequencer.as_ref().unwrap().seq.public();
        assert_eq!(public(&first), public(&again));
        let shown = PublicKeys::read(dir.path()).unwrap();
        assert_eq!(shown.seq, public(&first));
        assert_eq!(shown.vote, first.sequencer.unwrap().vote.address());
        assert_eq!(shown.poster, first.poster.map(|p| p.address()));
        assert_eq!(fs::read_dir(Keys::dir(dir.path())).unwrap().count(), 4, "nothing left over");
    }
}

#[test]
fn plain_files_are_encrypted_in_place_and_the_keys_stay() {
    let dir = tempfile::tempdir().unwrap();
    Keys::create(dir.path(), Keep::Plain).unwrap();
    let before = PublicKeys::read(dir.path()).unwrap();
    let pw = password("pw");
    for kind in KeyKind::SEALED {
        assert_eq!(kind.encrypt(dir.path(), (&pw, Work::LIGHT)).unwrap(), Encrypted::Now);
        assert!(!kind.plain(dir.path()).exists());
        assert_eq!(kind.encrypt(dir.path(), (&pw, Work::LIGHT)).unwrap(), Encrypted::Before);
    }
    assert_eq!(PublicKeys::read(dir.path()).unwrap(), before);
    load(dir.path(), "pw").unwrap();
    match load(dir.path(), "another") {
        Err(KeyFileError::Keystore { path, source: KeystoreError::Password }) => {
            assert_eq!(path, KeyKind::Seq.sealed(dir.path()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_crash_between_the_two_steps_of_encrypting_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    Keys::create(dir.path(), Keep::Plain).unwrap();
    let plain = fs::read(KeyKind::Seq.plain(dir.path())).unwrap();
    let pw = password("pw");
    KeyKind::Seq.encrypt(dir.path(), (&pw, Work::LIGHT)).unwrap();
    // As after a crash: the encrypted file is on disk, the plain one not yet deleted, another one half written.
    let back = KeyKind::Seq.plain(dir.path());
    fs::write(&back, &plain).unwrap();
    fs::set_permissions(&back, Permissions::from_mode(0o600)).unwrap();
    fs::write(Keys::dir(dir.path()).join("vote.json.new"), "{").unwrap();
    load(dir.path(), "pw").unwrap();
    // A second password cannot delete what it does not open.
    let second = KeyKind::Seq.encrypt(dir.path(), (&password("second"), Work::LIGHT));
    assert!(matches!(second, Err(KeyFileError::Keystore { .. })), "{second:?}");
    assert!(back.exists());
    assert_eq!(KeyKind::Seq.encrypt(dir.path(), (&pw, Work::LIGHT)).unwrap(), Encrypted::Now);
    assert_eq!(KeyKind::Vote.encrypt(dir.path(), (&pw, Work::LIGHT)).unwrap(), Encrypted::Now);
    load(dir.path(), "pw").unwrap();
}

#[test]
fn an_encrypted_and_a_plain_file_of_two_keys_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path(), "pw");
    Secret::random().unwrap().write(&KeyKind::Seq.plain(dir.path())).unwrap();
    assert!(matches!(load(dir.path(), "pw"), Err(KeyFileError::Two { .. })));
}

#[test]
fn a_file_whose_public_part_was_exchanged_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path(), "pw");
    let path = KeyKind::Vote.sealed(dir.path());
    let text = fs::read_to_string(&path).unwrap();
    let real = alloy_primitives::hex::encode(PublicKeys::read(dir.path()).unwrap().vote);
    assert!(text.contains(&real));
    fs::write(&path, text.replace(&real, &"11".repeat(20))).unwrap();
    assert!(matches!(load(dir.path(), "pw"), Err(KeyFileError::Malformed(_))));
}

#[test]
fn without_a_password_the_file_is_named_and_a_follower_needs_none() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path(), "pw");
    match Keys::load(dir.path(), ALL, &Passwords::none()) {
        Err(KeyFileError::NoPassword(path)) => assert!(path.ends_with("keys/seq.json")),
        other => panic!("{other:?}"),
    }
    let none = Needs { sequencer: false, poster: false };
    Keys::load(dir.path(), none, &Passwords::none()).unwrap();
}

#[test]
fn a_plain_file_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Keys::create(dir.path(), Keep::Plain).unwrap();
    let path = KeyKind::Vote.plain(dir.path());
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    match load(dir.path(), "pw") {
        Err(KeyFileError::Loose { mode: 0o640, path: named }) => assert_eq!(named, path),
        other => panic!("{other:?}"),
    }
    // A follower does not read it.
    let none = Needs { sequencer: false, poster: false };
    Keys::load(dir.path(), none, &Passwords::none()).unwrap();
}

#[test]
fn missing_and_malformed_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        matches!(load(dir.path(), "pw"), Err(KeyFileError::Missing(p)) if p.ends_with("keys/seq.json"))
    );
    Keys::create(dir.path(), Keep::Plain).unwrap();
    let path = KeyKind::Poster.plain(dir.path());
    for text in ["", "12", "zz", &"00".repeat(32), &"11".repeat(33)] {
        fs::write(&path, text).unwrap();
        assert!(matches!(load(dir.path(), "pw"), Err(KeyFileError::Malformed(_))), "{text}");
    }
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(matches!(load(dir.path(), "pw"), Err(KeyFileError::Malformed(_))));
}

#[test]
fn a_key_from_elsewhere_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let pw = password("pw");
    let keep = || Keep::Sealed(&pw, Work::LIGHT);
    let secret = Secret::random().unwrap();
    Keys::import(dir.path(), KeyKind::Seq, &secret, keep()).unwrap();
    let again = Keys::import(dir.path(), KeyKind::Seq, &secret, Keep::Plain);
    assert!(matches!(again, Err(KeyFileError::Exists(_))));
    Keys::create(dir.path(), keep()).unwrap();
    let keys = load(dir.path(), "pw").unwrap().sequencer.unwrap();
    assert_eq!(keys.seq.public(), SeqKey::from_seed(secret.expose()).public());
}

#[test]
fn nothing_printed_holds_a_secret() {
    for sealed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let pw = password("open sesame");
        let keep = if sealed { Keep::Sealed(&pw, Work::LIGHT) } else { Keep::Plain };
        Keys::create(dir.path(), keep).unwrap();
        let known = Passwords::known(password("open sesame"));
        let mut shown = format!("{:?} {known:?} {pw:?}", Keys::load(dir.path(), ALL, &known));
        let wrong = load(dir.path(), "open says me");
        shown += &format!("{wrong:?}");
        if let Err(e) = wrong {
            shown += &e.to_string();
        }
        for kind in KeyKind::ALL {
            let secret = Secret::open(&kind.path(dir.path()), &known).unwrap();
            let text = alloy_primitives::hex::encode(secret.expose());
            assert!(!shown.contains(&text), "{kind:?}");
            assert!(!shown.contains(&format!("{:?}", secret.expose())), "{kind:?}");
            let stored = fs::read_to_string(kind.path(dir.path())).unwrap();
            let plain = !sealed || kind == KeyKind::Node;
            assert_eq!(stored.contains(&text), plain, "{kind:?}");
            assert_eq!(format!("{secret:?}"), "Secret(..)");
        }
        assert!(!shown.contains("open sesame") && !shown.contains("says me"), "{shown}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("half.key");
    fs::write(&path, "abcdef0123").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let said = format!("{:?}", Secret::read(&path));
    assert!(!said.contains("abcdef"), "{said}");
}
