//! A fifth operator joins a running network of real processes, under load: registered, frozen, in force, leading.
#![expect(clippy::disallowed_methods, reason = "real processes are timed by the real clock")]

use rota_tests::live::{Devnet, LONG, load_account, quantity, text, transfer, until};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// One user who sends all the time, at one node after the other.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<Vec<Value>>>,
}

impl Load {
    fn start(net: &Devnet) -> Self {
        let nodes: Vec<String> = net.sequencers().iter().map(|n| net.rpc_addr(n)).collect();
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ended, count, chain_id) = (Arc::clone(&stop), Arc::clone(&sent), net.chain_id);
        let thread = std::thread::spawn(move || {
            let (key, mut hashes, mut nonce) = (load_account(0), Vec::new(), 0u64);
            while !ended.load(Ordering::Relaxed) {
                let at = &nodes[nonce as usize % nodes.len()];
                let raw = transfer(&key, chain_id, nonce);
                let asked = rota_tests::live::ask(at, "eth_sendRawTransaction", json!([raw]));
                if let Some(hash) = asked {
                    hashes.push(hash);
                    nonce += 1;
                    count.store(nonce, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            hashes
        });
        Self { stop, sent, thread: Some(thread) }
    }

    fn stop(mut self) -> Vec<Value> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_fifth_operator_joins_under_load_and_leads() {
    let net = Devnet::up(49_000, &["--no-slasher"]);
    rota_tests::live::fund(&net, 1);
    let load = Load::start(&net);
    until(LONG, "a first transaction", || (load.sent.load(Ordering::Relaxed) > 5).then_some(()));
    let joined = net.rota_devnet(&["add", "--json"]);
    assert!(joined.status.success(), "{}\n{}", text(&joined), net.logs());
    let told: Value = serde_json::from_slice(&joined.stdout).unwrap();
    assert_eq!(told["node"], "n5", "{told}");
    let hashes = load.stop();
    let state = net.state();
    let fifth = state["nodes"].as_array().unwrap().iter().find(|n| n["name"] == "n5").unwrap();
    let mut nodes: Vec<String> = net.sequencers().iter().map(|n| net.rpc_addr(n)).collect();
    nodes.push(fifth["rpc"].as_str().unwrap().to_owned());
    five_everywhere(&nodes);
    nothing_lost(&nodes, &hashes);
    assert_eq!(net.misbehaviour(), Vec::<String>::new());
    net.follower_agrees();
}

/// All five see the same set of five, the same blocks, and go on.
fn five_everywhere(nodes: &[String]) {
    let ask = rota_tests::live::ask;
    let mut sets = Vec::new();
    for node in nodes {
        sets.push(until(LONG, "five validators, all connected", || {
            let set = ask(node, "seq_validators", json!([]))?;
            let all = set.as_array()?;
            let connected = all.iter().all(|v| v["connected"] == true);
            (all.len() == 5 && connected)
                .then(|| all.iter().map(|v| v["address"].to_string()).collect::<Vec<_>>())
        }));
    }
    assert!(sets.windows(2).all(|w| w[0] == w[1]), "{sets:?}");
    let head = |node: &String| ask(node, "eth_blockNumber", json!([])).map(|n| quantity(&n));
    let common = nodes.iter().map(|n| until(LONG, n, || head(n))).min().unwrap();
    for number in common.saturating_sub(20)..=common {
        let block = |node: &String| {
            until(LONG, "a block", || {
                let asked = json!([format!("{number:#x}"), false]);
                ask(node, "eth_getBlockByNumber", asked).filter(|b| !b.is_null())
            })["hash"]
                .clone()
        };
        let first = block(&nodes[0]);
        assert!(nodes.iter().all(|n| block(n) == first), "block {number}");
    }
}

/// Everything that was taken is in a block, also at the new member.
fn nothing_lost(nodes: &[String], hashes: &[Value]) {
    assert!(hashes.len() > 100, "{} transactions", hashes.len());
    for node in [&nodes[0], &nodes[4]] {
        for hash in hashes {
            until(LONG, &format!("{node} to have {hash}"), || {
                let receipt =
                    rota_tests::live::ask(node, "eth_getTransactionReceipt", json!([hash]));
                receipt.filter(|r| r["status"] == "0x1")
            });
        }
    }
}
