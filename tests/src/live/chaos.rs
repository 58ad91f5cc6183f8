//! What happens to nodes, and how it is seen that they are well again.

use super::{Asker, Devnet, Ledger, ask, quantity, text, until};
use alloy_primitives::B256;
use rota_types::{ChainParams, Domain, ValidatorSet};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, time::Duration};

/// For anything that must happen, on a machine that has much else to do.
pub const LONG: Duration = Duration::from_secs(120);
/// Heights that must be decided before the set counts as well.
const ALIVE: u64 = 2;
/// Blocks that are compared between nodes.
const COMPARED: u64 = 400;
/// A decision, or more.
const DECIDED: [&str; 3] = ["decided", "posted", "finalized"];
/// Lines of a log that no honest node writes.
const CONTRADICTIONS: [&str; 4] =
    ["signed a contradiction", "signed two", "panicked at", "stopping: "];

impl Devnet {
    /// The set and the domain that everything here is signed for.
    pub fn verifier(&self) -> (ValidatorSet, Domain) {
        let set = fs::read(self.file("set.json")).unwrap();
        let network = fs::read(self.file("network.json")).unwrap();
        let network: Value = serde_json::from_slice(&network).unwrap();
        let part = |name: &str| network[name].clone();
        let params: ChainParams = serde_json::from_value(part("params")).unwrap();
        let head = rota_execution::genesis(&serde_json::from_value(part("genesis")).unwrap());
        let id = |name: &str| network[name].as_u64().unwrap();
        let registry = serde_json::from_value(part("registry")).unwrap();
        let genesis = params.genesis_hash(head.unwrap().hash);
        let domain = Domain::new(id("l1_chain_id"), id("l2_chain_id"), registry, genesis, 0);
        (serde_json::from_slice(&set).unwrap(), domain)
    }
    /// `kill -9`.
    pub fn kill(&self, name: &str) {
        let out = self.rota_devnet(&["kill", name]);
        assert!(out.status.success(), "kill {name}: {}", text(&out));
    }
    /// Starts a node that was killed.
    pub fn start(&self, name: &str) {
        let out = self.rota_devnet(&["start", name]);
        assert!(out.status.success(), "start {name}: {}", text(&out));
    }
    /// Sends a signal to a node's process, such as `STOP` or `CONT`.
    pub fn signal(&self, name: &str, signal: &str) {
        send(signal, self.pid(name).unwrap());
    }
    /// Sends a signal to the L1.
    pub fn signal_l1(&self, signal: &str) {
        send(signal, self.l1_pid);
    }
    /// Process id of a node that runs.
    pub fn pid(&self, name: &str) -> Option<u64> {
        let state = self.state();
        let mut nodes = state["nodes"].as_array().unwrap().iter();
        nodes.find(|n| n["name"] == name)?["pid"].as_u64()
    }
    /// Deletes the chain of a node that does not run, and neither its keys nor what they signed.
    pub fn wipe(&self, name: &str) {
        for part in ["db", "wal"] {
            fs::remove_dir_all(self.datadir(name).join(part)).unwrap();
        }
    }
    /// Ends the processes and keeps their files.
    pub fn stop(&self) {
        let out = self.rota_devnet(&["down"]);
        assert!(out.status.success(), "down: {}", text(&out));
    }

    /// The height that a node is deciding, and its round.
    pub fn place(&self, name: &str) -> Option<(u64, u64)> {
        let status = self.status(name)?;
        Some((quantity(&status["height"]), quantity(&status["round"])))
    }

    /// Waits until these nodes have decided `more` heights beyond any that is known now.
    pub fn advance(&self, nodes: &[String], more: u64) {
        let target = nodes.iter().filter_map(|n| self.place(n)).map(|p| p.0).max().unwrap_or(0);
        for name in nodes {
            until(LONG, &format!("{name} to decide {more} heights after {target}"), || {
                self.place(name).filter(|(height, _)| *height > target + more)
            });
        }
    }

    /// Waits until the set is whole: everyone connected to everyone, in step, and deciding.
    pub fn healthy(&self) {
        let all = self.sequencers();
        for name in &all {
            until(LONG, &format!("{name} to be connected and in step"), || {
                let status = self.status(name)?;
                let (connected, total) = status["powerConnected"].as_str()?.split_once('/')?;
                let state = status["state"].as_str()?;
                (connected == total && ["leading", "voting"].contains(&state)).then_some(())
            });
        }
        self.advance(&all, ALIVE);
    }

    /// Waits until every transaction is decided, at every sequencer; sends again what no node knows, as its owner would.
    pub fn settle(&self, ledger: &Ledger) {
        let nodes = self.sequencers();
        let mut open: Vec<(&B256, &super::Sent)> = ledger.sent.iter().collect();
        // Nonces in order, or nothing goes on.
        open.sort_by_key(|(_, sent)| (sent.account, sent.nonce));
        for (i, name) in nodes.iter().enumerate() {
            let mut node = Asker::new(self.rpc_addr(name));
            for (hash, sent) in &open {
                until(LONG, &format!("{name} to decide transaction {hash}"), || {
                    let stage = stage_of(&mut node, hash);
                    if i == 0 && stage.as_deref().is_none_or(|s| s == "received") {
                        node.ask("eth_sendRawTransaction", json!([sent.raw]));
                    }
                    stage.is_some_and(|s| DECIDED.contains(&s.as_str())).then_some(())
                });
            }
        }
    }

    /// The same block hashes at every sequencer, and at the follower as far as it is.
    pub fn agree(&self) {
        let mut nodes = self.sequencers();
        let head = |name: &String| {
            ask(&self.rpc_addr(name), "eth_blockNumber", json!([])).map(|n| quantity(&n))
        };
        let common = nodes.iter().map(|n| until(LONG, n, || head(n))).min().unwrap();
        nodes.push("follower".to_owned());
        let mut seen: BTreeMap<u64, (String, Value)> = BTreeMap::new();
        for name in nodes {
            let last = until(LONG, &name, || head(&name)).min(common);
            let mut rpc = self.rpc(&name);
            for number in common.saturating_sub(COMPARED)..=last {
                let asked = json!([format!("{number:#x}"), false]);
                let block = rpc.call("eth_getBlockByNumber", asked).unwrap();
                if block.is_null() {
                    continue;
                }
                let hash = block["hash"].clone();
                let (other, expected) = seen.entry(number).or_insert((name.clone(), hash.clone()));
                assert_eq!(*expected, hash, "block {number} of {name} and of {other}");
            }
        }
    }

    /// Waits until the follower has derived what is decided now, and compares.
    pub fn follower_agrees(&self) {
        let want = quantity(&self.rpc("n1").call("eth_blockNumber", json!([])).unwrap());
        let addr = self.rpc_addr("follower");
        until(LONG, "the follower to derive what is decided now", || {
            ask(&addr, "eth_blockNumber", json!([])).filter(|n| quantity(n) >= want)
        });
        self.agree();
    }

    /// What no honest node writes to its log, and processes that ended by themselves.
    pub fn misbehaviour(&self) -> Vec<String> {
        let mut found = Vec::new();
        for name in self.sequencers().into_iter().chain(["follower".to_owned()]) {
            let log = fs::read_to_string(self.log(&name)).unwrap_or_default();
            let wrong = log.lines().filter(|l| CONTRADICTIONS.iter().any(|c| l.contains(c)));
            found.extend(wrong.map(|line| format!("{name}: {line}")));
        }
        let state = self.state();
        let exited = state["nodes"].as_array().unwrap().iter().filter(|n| n["state"] == "exited");
        found.extend(exited.map(|n| format!("{} ended by itself", n["name"])));
        found
    }

    /// The log of a node.
    pub fn log(&self, name: &str) -> PathBuf {
        self.file("logs").join(format!("{name}.log"))
    }

    /// Copies logs and disks of a failed run to where they can be read.
    pub(super) fn keep_files(&self) {
        let Some(kept) = std::env::var_os("KEEP_FILES") else { return };
        let _ = Command::new("cp").arg("-r").arg(self.file("")).arg(&kept).status();
        eprintln!("files are kept in {}", PathBuf::from(kept).display());
    }
}

/// How far a node has a transaction.
fn stage_of(node: &mut Asker, hash: &B256) -> Option<String> {
    let status = node.ask("preconf_getTransactionStatus", json!([hash]));
    if let Some(status) = status {
        return status["stage"].as_str().map(str::to_owned);
    }
    // What is no longer in memory may still be in a block on disk.
    let receipt = node.ask("eth_getTransactionReceipt", json!([hash]));
    receipt.map(|r| r["preconf"]["stage"].as_str().unwrap_or("decided").to_owned())
}

fn send(signal: &str, pid: u64) {
    let sent = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status().unwrap();
    assert!(sent.success(), "kill -{signal} {pid}");
}
