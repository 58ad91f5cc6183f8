//! An operator moves its hot keys to a signer on another machine, and changes them there, while its node is in the set.
//!
//! Invariant: whatever is killed and moved, the operator leads again with the keys that the set in force names, and is never jailed.

use super::{devnet_keys, rpc_of, told_by};
use alloy_primitives::Address;
use rota_node::keys::{Keys, PublicKeys};
use rota_tests::live::{Devnet, LONG, ask, text, until};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

const NODE: &str = "n5";
/// The data directory of its signer, in the devnet's.
pub(super) const DIR: &str = "signer";

/// The operator's other machine.
pub(super) struct Signer<'a> {
    net: &'a Devnet,
    dir: PathBuf,
    addr: String,
    allowed: String,
    running: Option<Child>,
}

impl Drop for Signer<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}

impl<'a> Signer<'a> {
    /// What `docs/operations.md` says: keys, guard and network file go over, and the two machines are told each other's key.
    fn take_over(net: &'a Devnet) -> Self {
        let (node, dir) = (net.datadir(NODE), net.file(DIR));
        fs::create_dir_all(Keys::dir(&dir)).unwrap();
        for file in ["keys/seq.json", "keys/vote.json", "sign-state"] {
            fs::rename(node.join(file), dir.join(file)).unwrap();
        }
        for file in ["network.json", "rota.toml"] {
            fs::copy(node.join(file), dir.join(file)).unwrap();
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = free.local_addr().unwrap().to_string();
        let (allowed, public) = (id(net, &node), id(net, &dir));
        let settings = fs::read_to_string(node.join("rota.toml")).unwrap();
        let said = settings
            .replacen("kind = \"local\"", "kind = \"remote\"", 1)
            .replacen(
                "addr = \"\"\npublic_key = \"\"",
                &format!("addr = \"{addr}\"\npublic_key = \"{public}\""),
                1,
            )
            .replacen("patience = \"5s\"", "patience = \"30s\"", 1);
        assert!(said.contains(&public) && said.contains("\"remote\""), "{said}");
        fs::write(node.join("rota.toml"), said).unwrap();
        Self { net, dir, addr, allowed, running: None }
    }

    /// Starts it, and waits until it says for which keys it signs.
    fn start(&mut self) -> Value {
        let mut child = self
            .command(&["signer", "run", "--json"])
            .args(["--listen", &self.addr, "--allow", &self.allowed])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.running = Some(child);
        serde_json::from_str(&line).unwrap()
    }

    /// SIGKILL.
    fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.net.rota();
        command.args(args).arg("--datadir").arg(&self.dir);
        command.arg("--password-file").arg(self.net.file("password"));
        command
    }

    fn vote_key(&self) -> Address {
        PublicKeys::signing(&self.dir).unwrap().1
    }
}

/// Gives the signer, which the node needs to the end.
pub(super) fn signs(net: &Devnet) -> Signer<'_> {
    let begun = Instant::now();
    let before = devnet_keys(net, NODE).vote.address();
    net.kill(NODE);
    let mut signer = Signer::take_over(net);
    assert_eq!(signer.start()["voteKey"], json!(before));
    net.start(NODE);
    takes_part(net, before, &["voting", "leading"]);
    println!("signer: keys moved, votes again {:?} after its node was killed", begun.elapsed());

    // `rota devnet add` has left it there.
    let owner = net.file("owner-n5.key");
    let mut rotate = signer.command(&["key", "rotate", "--json", "--work", "10"]);
    rotate.arg("--owner-key-file").arg(&owner);
    told_by(rotate);
    let refused = {
        let mut there = net.rota();
        there.args(["key", "rotate", "--datadir"]).arg(net.datadir(NODE));
        there.arg("--owner-key-file").arg(&owner).output().unwrap()
    };
    assert!(!refused.status.success() && text(&refused).contains("at the signer"), "{refused:?}");
    let next = PublicKeys::signing(&Keys::next_dir(&signer.dir)).unwrap().1;
    // First the signer with both pairs, then a node that asks for them.
    signer.kill();
    let told = signer.start();
    assert_eq!((&told["voteKey"], &told["nextVoteKey"]), (&json!(before), &json!(next)), "{told}");
    net.kill(NODE);
    net.start(NODE);
    takes_part(net, next, &["leading"]);
    println!("signer: leads with new keys {:?} after that", begun.elapsed());

    // The old keys are put away while the node runs: it waits for its signer.
    signer.kill();
    until(LONG, "the old keys to be of no more use", || {
        let mut switch = signer.command(&["key", "rotate", "--switch", "--json"]);
        switch.output().unwrap().status.success().then_some(())
    });
    assert_eq!(signer.vote_key(), next);
    let told = signer.start();
    assert_eq!((&told["voteKey"], &told["nextVoteKey"]), (&json!(next), &Value::Null), "{told}");
    takes_part(net, next, &["leading"]);
    println!("signer: the old keys are put away after {:?}", begun.elapsed());
    signer
}

/// Waits until the node is in one of these states, in a set that names this vote key.
fn takes_part(net: &Devnet, vote: Address, states: &[&str]) {
    let addr = rpc_of(net, NODE);
    until(LONG, &format!("{NODE} with {vote} to be {}", states.join(" or ")), || {
        let all = ask(&addr, "seq_validators", json!([]))?;
        let named = |v: &Value| v["voteKey"] == json!(vote) && v["jailed"] == false;
        let status = ask(&addr, "seq_status", json!([]))?;
        let state = states.contains(&status["state"].as_str()?);
        (all.as_array()?.iter().any(named) && state).then_some(())
    });
}

fn id(net: &Devnet, dir: &Path) -> String {
    let out = net.rota().args(["signer", "id", "--datadir"]).arg(dir).output().unwrap();
    assert!(out.status.success(), "{}", text(&out));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}
