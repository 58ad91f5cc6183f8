//! `rota key` and `rota init` with the program itself: what is printed, and what the files are worth.

use super::guard::rota;
use rota_node::keys::{KeyKind, Passwords, Secret};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const PASSWORD: &str = "correct horse";

fn private(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn no_command_prints_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("node");
    let password = private(dir.path(), "password", PASSWORD);
    let (at, pw) = (root.to_str().unwrap(), password.to_str().unwrap());
    let home = ["--datadir", at, "--password-file", pw];
    let said = |args: &[&str]| {
        let done = rota(&[args, &home].concat());
        assert_eq!(done.code, 0, "{args:?}: {}", done.err);
        done.out + &done.err
    };
    let mut text = said(&["init", "--work", "10"]);
    text += &said(&["key", "show"]);
    text += &said(&["key", "list", "--json"]);
    text += &said(&["key", "new"]);
    text += &said(&["key", "encrypt", "--json"]);
    let wrong = private(dir.path(), "wrong", "staple");
    let other = dir.path().join("other");
    let seq = KeyKind::Seq.sealed(&root);
    let args = [
        "key",
        "import",
        "seq",
        seq.to_str().unwrap(),
        "--from-password-file",
        wrong.to_str().unwrap(),
        "--yes-its-sign-state-comes-along",
        "--datadir",
        other.to_str().unwrap(),
        "--password-file",
        pw,
    ];
    let refused = rota(&args);
    assert_eq!(refused.code, 7, "{}", refused.err);
    assert!(refused.err.contains("is not opened by this password"), "{}", refused.err);
    text += &(refused.out + &refused.err);
    let passwords = Passwords::new(Some(password));
    for kind in KeyKind::ALL {
        let secret = Secret::open(&kind.path(&root), &passwords).unwrap();
        let hex = alloy_primitives::hex::encode(secret.expose());
        assert!(!text.contains(&hex), "{kind:?}");
    }
    assert!(!text.contains(PASSWORD) && !text.contains("staple"), "{text}");
    assert!(text.contains("keys/seq.json"));
}

#[test]
fn plain_keys_are_encrypted_in_place_by_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let made = rota(&["init", "--plain", "--datadir", root]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(made.err.contains("rota key encrypt"), "{}", made.err);
    let shown = rota(&["key", "show", "--json", "--datadir", root]).out;
    let refused = rota(&["key", "encrypt", "--datadir", root]);
    assert_eq!(refused.code, 7, "no terminal, no password: {}", refused.err);
    assert!(refused.err.contains("--password-file"), "{}", refused.err);
    let pw = private(dir.path(), "password", PASSWORD);
    let args = ["--work", "10", "--datadir", root, "--password-file", pw.to_str().unwrap()];
    let done = rota(&[&["key", "encrypt"], args.as_slice()].concat());
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(KeyKind::SEALED.iter().all(|k| !k.plain(dir.path()).exists()));
    assert_eq!(rota(&["key", "show", "--json", "--datadir", root]).out, shown);
}

#[test]
fn the_credential_of_systemd_opens_the_keys() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    private(dir.path(), "rota-password", PASSWORD);
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_rota"))
        .args(["key", "new", "--work", "10", "--datadir", root])
        .env("CREDENTIALS_DIRECTORY", dir.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = Passwords::new(Some(dir.path().join("rota-password")));
    Secret::open(&KeyKind::Vote.sealed(dir.path()), &file).unwrap();
}
