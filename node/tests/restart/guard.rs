//! `rota guard` and exit code 8, with the program itself.

use super::{domain, network, set};
use alloy_primitives::{Address, B256, hex};
use rota_node::keys::{Keep, Keys, Needs, Passwords, PublicKeys};
use rota_store::{DataDir, Intent, SignGuard};
use rota_types::{Domain, Evidence, EvidenceFile, Proof, SealedVote, ValidatorSet, Vote, VoteKind};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// How the program ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn rota(args: &[&str]) -> Ended {
    let done = Command::new(env!("CARGO_BIN_EXE_rota"))
        .args(args)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    Ended {
        code: done.status.code().unwrap_or(-1),
        out: String::from_utf8(done.stdout).unwrap(),
        err: String::from_utf8(done.stderr).unwrap(),
    }
}

/// A data directory with keys, of an operator who is the whole set.
struct Node(tempfile::TempDir);

impl Node {
    fn new() -> Self {
        let node = Self(tempfile::tempdir().unwrap());
        Keys::create(node.root(), Keep::Plain).unwrap();
        node.finish()
    }

    /// The same keys on another machine.
    fn with_keys_of(other: &Self) -> Self {
        let node = Self(tempfile::tempdir().unwrap());
        fs::create_dir(node.root().join("keys")).unwrap();
        for file in fs::read_dir(other.root().join("keys")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), node.root().join("keys").join(file.file_name())).unwrap();
        }
        node.finish()
    }

    fn finish(self) -> Self {
        network().save(&self.root().join("network.json")).unwrap();
        let keys = PublicKeys::read(self.root()).unwrap();
        let peer = format!("/ip4/127.0.0.1/tcp/1/p2p/{}", keys.peer_id);
        let set = set([(keys.seq, keys.vote, peer)]);
        let peer = keys.peer_id.parse().unwrap();
        let sets = rota_node::sets::Sets::open(self.root(), 24, peer).unwrap();
        sets.learn(0, set).unwrap();
        sets.reach(1).unwrap();
        self
    }

    fn root(&self) -> &Path {
        self.0.path()
    }
    fn dir(&self) -> &str {
        self.root().to_str().unwrap()
    }
    fn voter(&self) -> Address {
        PublicKeys::signing(self.root()).unwrap().1
    }
    fn guard_file(&self) -> PathBuf {
        self.root().join("sign-state").join(format!("{}.log", hex::encode(self.voter())))
    }

    /// Signs, as a node does that ran and was stopped.
    fn signed(&self, domain: &Domain, heights: std::ops::RangeInclusive<u64>) {
        let dir = DataDir::open(self.root()).unwrap();
        let mut guard = SignGuard::open(&dir.sign_state(), self.voter(), domain).unwrap();
        for height in heights {
            let value_id = B256::repeat_byte(1);
            guard
                .check_and_record(Intent::Vote {
                    height,
                    round: 0,
                    kind: VoteKind::Prevote,
                    value_id,
                })
                .unwrap();
        }
        guard.sync().unwrap();
    }

    fn guard(&self, args: &[&str]) -> Ended {
        rota(&[&["guard"], args, &["--datadir", self.dir()]].concat())
    }

    fn show(&self) -> Value {
        let shown = self.guard(&["show", "--json"]);
        assert_eq!(shown.code, 0, "{}", shown.err);
        serde_json::from_str(&shown.out).unwrap()
    }

    /// Starts the node, which is expected to end by itself.
    fn run(&self) -> Ended {
        run(self.root())
    }
}

/// Starts a sequencer without an L1.
pub(crate) fn run(dir: &Path) -> Ended {
    let flags = [
        ("--datadir", dir.to_str().unwrap()),
        ("--role", "sequencer"),
        ("--l1.rpc", "http://127.0.0.1:1"),
        ("--l1.beacon", "http://127.0.0.1:1"),
        ("--rpc.addr", "127.0.0.1:0"),
        ("--web.addr", "127.0.0.1:0"),
        ("--p2p.listen", "/ip4/127.0.0.1/tcp/0"),
        ("--batch.post", "false"),
    ];
    let flags: Vec<&str> = flags.iter().flat_map(|(k, v)| [*k, *v]).collect();
    rota(&[&["run"], flags.as_slice()].concat())
}

#[track_caller]
fn refused(ended: &Ended, code: i32, words: &str) {
    assert_eq!(ended.code, code, "{}", ended.err);
    assert!(ended.err.contains(words), "{words:?} is not in {}", ended.err);
    assert!(ended.err.contains("hint: "), "{}", ended.err);
}

#[test]
fn a_key_moves_with_what_it_signed_and_the_old_machine_stays_silent() {
    let old = Node::new();
    assert_eq!(old.show()["guard"], Value::Null);
    old.signed(&domain(), 1..=7);
    assert_eq!((&old.show()["newest"], &old.show()["signsHere"]), (&7.into(), &true.into()));

    // Not while a node runs.
    let file = old.root().join("moved.json");
    let path = file.to_str().unwrap();
    let running = DataDir::open(old.root()).unwrap();
    refused(&old.guard(&["export", path]), 9, "stop the node first");
    drop(running);
    assert!(!file.exists(), "a refused export leaves no file");

    let exported = old.guard(&["export", path]);
    assert_eq!(exported.code, 0, "{}", exported.err);
    assert_eq!(old.show()["signsHere"], Value::from(false));
    refused(&old.run(), 8, "exported to another machine");
    refused(&old.guard(&["export", path]), 1, "does not exist");
    refused(&old.guard(&["import", path]), 8, "what was exported from here");

    let new = Node::with_keys_of(&old);
    let imported = new.guard(&["import", path]);
    assert_eq!(
        (imported.code, imported.out.trim()),
        (0, "taken: this key has signed up to height 7")
    );
    assert_eq!(
        new.guard(&["import", path]).out.trim(),
        "known already: this key has signed up to height 7"
    );
    assert_eq!(new.show()["guard"]["signed"], old.show()["guard"]["signed"]);

    // It signs on there; the first file is old by then, and other keys have no use for it.
    new.signed(&domain(), 8..=9);
    refused(&new.guard(&["import", path]), 8, "older than the guard here");
    refused(&Node::new().guard(&["import", path]), 8, "another vote key");
    let mut text = fs::read_to_string(path).unwrap();
    text = text.replace("\"height\": 7", "\"height\": 5");
    fs::write(path, text).unwrap();
    refused(&new.guard(&["import", path]), 1, "checksum");

    refused(&old.guard(&["reopen"]), 8, "another machine may sign");
    let loud = old.guard(&["reopen", "--yes-the-export-was-never-used"]);
    assert_eq!(loud.code, 0, "{}", loud.err);
    assert!(loud.err.contains("DANGER"), "{}", loud.err);
    assert_eq!(old.show()["signsHere"], Value::from(true));
}

#[test]
fn a_damaged_or_foreign_guard_ends_the_start_with_code_8() {
    let damaged = Node::new();
    damaged.signed(&domain(), 1..=3);
    let mut bytes = fs::read(damaged.guard_file()).unwrap();
    bytes[100] ^= 1;
    fs::write(damaged.guard_file(), &bytes).unwrap();
    refused(&damaged.run(), 8, "is damaged");
    assert_eq!(fs::read(damaged.guard_file()).unwrap(), bytes, "evidence stays as it is");

    let foreign = Node::new();
    let d = domain();
    let other = Domain::new(d.l1_chain_id, d.l2_chain_id + 1, d.registry, d.genesis_hash, 0);
    foreign.signed(&other, 1..=3);
    refused(&foreign.run(), 8, "belongs to key");

    // The guard of another operator under this one's name.
    let (mine, other) = (Node::new(), Node::new());
    other.signed(&domain(), 1..=3);
    fs::create_dir_all(mine.root().join("sign-state")).unwrap();
    fs::copy(other.guard_file(), mine.guard_file()).unwrap();
    refused(&mine.run(), 8, "belongs to key");
}

#[test]
fn a_key_in_kept_evidence_ends_every_start_with_code_8() {
    let node = Node::new();
    let public = PublicKeys::signing(node.root()).unwrap();
    let members = set([(public.0, public.1, String::new())]);
    keep_contradiction(node.root(), node.root(), &members);
    for _ in 0..2 {
        refused(&node.run(), 8, "a key of this node signed a contradiction: VoteTwice at height 7");
    }
}

/// Two votes with the keys in one directory, kept as evidence in another.
pub(crate) fn keep_contradiction(keys: &Path, node: &Path, members: &ValidatorSet) {
    let needs = Needs { sequencer: true, poster: false };
    let keys = Keys::load(keys, needs, &Passwords::none()).unwrap();
    let key = keys.sequencer.unwrap().vote;
    let vote = |value: u8| {
        let value_id = B256::repeat_byte(value);
        let content = Vote { epoch: 0, height: 7, round: 0, kind: VoteKind::Prevote, value_id };
        SealedVote { signature: key.sign(&content.digest(&domain())), content }
    };
    let proof = Proof::VoteTwice(Box::new([vote(1), vote(2)]));
    let evidence = Evidence { generation: 0, epoch: 0, accused: 0, proof };
    let file = EvidenceFile::of(&evidence, members, &domain());
    fs::create_dir(node.join("evidence")).unwrap();
    let path = node.join("evidence/kept.json");
    fs::write(path, serde_json::to_string(&file).unwrap()).unwrap();
}

#[test]
fn the_doctor_says_in_words_what_is_wrong() {
    let node = Node::new();
    node.signed(&domain(), 1..=4);
    let look = |json: bool| {
        let mut args = vec!["doctor", "--datadir", node.dir()];
        if json {
            args.push("--json");
        }
        rota(&args)
    };
    let found: Value = serde_json::from_str(&look(true).out).unwrap();
    let level = |id: &str| {
        let checks = found["checks"].as_array().unwrap();
        checks.iter().find(|c| c["id"] == id).unwrap()["level"].as_str().unwrap().to_owned()
    };
    assert_eq!(["keys", "set", "guard"].map(level), ["warn", "ok", "ok"], "plain keys: {found}");
    assert_ne!(level("disk"), "fail", "{found}");
    let file = node.root().join("moved.json");
    node.guard(&["export", file.to_str().unwrap()]);
    let ended = look(false);
    assert_eq!(ended.code, 1);
    assert!(ended.out.contains("FAIL  guard  was exported"), "{}", ended.out);
}
