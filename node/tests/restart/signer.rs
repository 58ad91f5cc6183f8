//! The remote signer as a real process: killed at every moment, and two nodes that want it.

use super::{
    domain,
    guard::{keep_contradiction, rota, run},
    network, set,
};
use alloy_primitives::{B256, hex};
use rota_node::{
    keys::{Keep, Keys, Needs, Passwords, PublicKeys},
    signer::{Identity, Remote, RemoteSigner},
};
use rota_types::{SignError, Signer, Vote, VoteKind, VoteMessage, recover_vote};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// A signer that was convicted while its node ended.
const ENDS: Duration = Duration::from_secs(30);

/// A signer's machine, and what its nodes need to know.
struct Machine {
    dir: tempfile::TempDir,
    public: [u8; 32],
    port: u16,
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL: nothing may depend on an orderly end.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Keys::create(dir.path(), Keep::Plain).unwrap();
        network().save(&dir.path().join("network.json")).unwrap();
        let public = Identity::open(dir.path()).unwrap().public();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        Self { dir, public, port }
    }

    fn node(&self, name: &str) -> Identity {
        Identity::open(&self.dir.path().join(name)).unwrap()
    }

    /// Starts it and waits until it listens.
    fn start(&self) -> Running {
        let allow = ["n1", "n2"].map(|n| hex::encode(self.node(n).public())).join(",");
        let mut child = Command::new(env!("CARGO_BIN_EXE_rota"))
            .args(["signer", "run", "--json", "--datadir", self.dir.path().to_str().unwrap()])
            .args(["--listen", &format!("127.0.0.1:{}", self.port), "--allow", &allow])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(said["publicKey"], hex::encode(self.public));
        Running(child)
    }

    fn remote(&self) -> Remote {
        let addr = format!("127.0.0.1:{}", self.port);
        Remote { addr, public: self.public, patience: Duration::from_secs(10) }
    }

    fn connect(&self, name: &str) -> Result<Arc<RemoteSigner>, SignError> {
        self.connect_all(name).map(|mut pairs| pairs.remove(0))
    }

    fn connect_all(&self, name: &str) -> Result<Vec<Arc<RemoteSigner>>, SignError> {
        let all = RemoteSigner::connect(&self.remote(), self.node(name), domain().ctx());
        all.map(|all| all.into_iter().map(|(signer, _)| signer).collect())
    }
}

fn vote(height: u64, value: u8) -> VoteMessage {
    let value_id = B256::repeat_byte(value);
    VoteMessage::Vote(Vote { epoch: 0, height, round: 0, kind: VoteKind::Prevote, value_id })
}

#[test]
fn a_signer_killed_at_any_moment_never_signs_two_contents() {
    let machine = Machine::new();
    let mut signed: BTreeMap<u64, B256> = BTreeMap::new();
    let mut height = 0;
    for round in 0..12u64 {
        let running = machine.start();
        let node = machine.connect("n1").unwrap();
        let asking = Arc::clone(&node);
        let from = height;
        // The node asks as fast as it can, and the signer dies meanwhile.
        let asker = std::thread::spawn(move || {
            let mut got = Vec::new();
            for at in from + 1.. {
                match asking.sign_vote(&vote(at, 1), &domain()) {
                    Ok(signature) => got.push((at, vote(at, 1).digest(&domain()), signature)),
                    Err(_) => return (got, at),
                }
            }
            unreachable!()
        });
        // Somewhere else in the sequence of each signature every time.
        std::thread::sleep(Duration::from_micros(3_000 + 1_370 * round));
        drop(running);
        // What was asked when it died is asked again by the same run, and by another run with another content.
        let running = machine.start();
        let mut other = machine.connect("n1").unwrap();
        let (got, last) = asker.join().unwrap();
        for (at, digest, signature) in got {
            assert_eq!(recover_vote(&digest, &signature), Ok(node.vote_key()));
            assert_eq!(*signed.entry(at).or_insert(digest), digest);
        }
        for at in last.saturating_sub(3).max(1)..=last {
            let digest = vote(at, 2).digest(&domain());
            if other.sign_vote(&vote(at, 2), &domain()).is_ok() {
                assert_eq!(*signed.entry(at).or_insert(digest), digest, "two votes at {at}");
            }
            other = machine.connect("n1").unwrap();
        }
        drop(running);
        height = last;
    }
    assert!(signed.len() > 12, "only {} signatures", signed.len());
}

#[test]
fn a_second_node_is_told_to_wait_and_then_signs_above_the_first() {
    let machine = Machine::new();
    let running = machine.start();
    let first = machine.connect("n1").unwrap();
    first.sign_vote(&vote(7, 1), &domain()).unwrap();
    match machine.connect("n2") {
        Err(SignError::Refused(why)) => assert!(why.contains("stop it first"), "{why}"),
        other => panic!("{other:?}"),
    }
    first.sign_vote(&vote(8, 1), &domain()).unwrap();
    drop(running);
    // The first is gone and its connection with it.
    drop(first);
    let _running = machine.start();
    let second = machine.connect("n2").unwrap();
    assert!(matches!(second.sign_vote(&vote(8, 2), &domain()), Err(SignError::Refused(_))));
    assert!(matches!(second.sign_vote(&vote(9, 2), &domain()), Err(SignError::Refused(_))));
    second.sign_vote(&vote(10, 2), &domain()).unwrap();
}

#[test]
fn without_a_signer_the_time_is_over_and_nothing_is_signed() {
    let machine = Machine::new();
    let running = machine.start();
    let remote = Remote { patience: Duration::from_millis(300), ..machine.remote() };
    let all = RemoteSigner::connect(&remote, machine.node("n1"), domain().ctx()).unwrap();
    let (node, _) = &all[0];
    node.sign_vote(&vote(1, 1), &domain()).unwrap();
    drop(running);
    let failed = node.sign_vote(&vote(2, 1), &domain());
    assert!(matches!(failed, Err(SignError::Unavailable(_))), "{failed:?}");
    // It stays so, even if the signer comes back: something may have been decided without it.
    let _running = machine.start();
    assert_eq!(node.sign_vote(&vote(3, 1), &domain()), failed.map(|_| [0; 65]));
}

/// An operator changes its keys: a run of the node that has both pairs goes on with the new one when the old one is put away.
#[test]
fn new_keys_sign_on_for_the_same_run_when_the_old_ones_are_put_away() {
    let machine = Machine::new();
    let (here, next) = (machine.dir.path(), Keys::next_dir(machine.dir.path()));
    Keys::create_pair(&next, Keep::Plain).unwrap();
    let running = machine.start();
    let both = machine.connect_all("n1").unwrap();
    let [old, new] = both.as_slice() else { panic!("{} pairs", both.len()) };
    assert_eq!(new.vote_key(), PublicKeys::signing(&next).unwrap().1);
    old.sign_vote(&vote(7, 1), &domain()).unwrap();
    new.sign_vote(&vote(8, 1), &domain()).unwrap();
    drop(running);
    // As `rota key rotate --switch` does.
    std::fs::rename(Keys::dir(here), here.join("retired")).unwrap();
    std::fs::rename(Keys::dir(&next), Keys::dir(here)).unwrap();
    std::fs::remove_dir(&next).unwrap();
    std::fs::copy(here.join("retired/link.key"), Keys::dir(here).join("link.key")).unwrap();
    let _running = machine.start();
    let digest = vote(9, 1).digest(&domain());
    let signature = new.sign_vote(&vote(9, 1), &domain()).unwrap();
    assert_eq!(recover_vote(&digest, &signature), Ok(new.vote_key()));
    assert!(matches!(new.sign_vote(&vote(8, 2), &domain()), Err(SignError::Refused(_))));
    match old.sign_vote(&vote(9, 1), &domain()) {
        Err(SignError::Refused(why)) => assert!(why.contains("no keys with vote key"), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// The node ends, and no other node gets a signature of the key either.
#[test]
fn a_node_whose_key_is_in_evidence_stops_its_signer_for_good() {
    let machine = Machine::new();
    let mut running = machine.start();
    let node = machine.dir.path().join("n1");
    Keys::create(&node, Keep::Plain).unwrap();
    network().save(&node.join("network.json")).unwrap();
    let peer_id = PublicKeys::read(&node).unwrap().peer_id;
    let (seq, vote) = PublicKeys::signing(machine.dir.path()).unwrap();
    let members = set([(seq, vote, format!("/ip4/127.0.0.1/tcp/1/p2p/{peer_id}"))]);
    let sets = rota_node::sets::Sets::open(&node, 24, peer_id.parse().unwrap()).unwrap();
    sets.learn(0, members.clone()).unwrap();
    sets.reach(1).unwrap();
    let settings = format!(
        "[signer]\nkind = \"remote\"\naddr = \"127.0.0.1:{}\"\npublic_key = \"{}\"\n",
        machine.port,
        hex::encode(machine.public)
    );
    std::fs::write(node.join("rota.toml"), settings).unwrap();
    keep_contradiction(machine.dir.path(), &node, &members);

    let ended = run(&node);
    assert_eq!(ended.code, 8, "{}", ended.err);
    assert!(ended.err.contains("VoteTwice at height 7"), "{}", ended.err);
    let begun = Instant::now();
    let code = loop {
        match running.0.try_wait().unwrap() {
            Some(status) => break status.code(),
            None => assert!(begun.elapsed() < ENDS, "the signer goes on: {}", ended.err),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(code, Some(8), "the signer ends too: {}", ended.err);
    let dir = machine.dir.path().to_str().unwrap();
    let key = "00".repeat(32);
    let again =
        rota(&["signer", "run", "--datadir", dir, "--listen", "127.0.0.1:0", "--allow", &key]);
    assert_eq!(again.code, 8, "{}", again.err);
    assert!(again.err.contains("a key of this signer signed a contradiction"), "{}", again.err);
}

#[test]
fn the_signer_and_a_node_cannot_share_a_directory() {
    let machine = Machine::new();
    let _running = machine.start();
    let dir: &Path = machine.dir.path();
    let ended = rota(&[
        "signer",
        "run",
        "--datadir",
        dir.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--allow",
        &"00".repeat(32),
    ]);
    assert_eq!(ended.code, 9, "{}", ended.err);
    Keys::load(dir, Needs { sequencer: true, poster: false }, &Passwords::none()).unwrap();
}
