//! Stake that can be lost, with real processes: an operator signs twice and a stranger's slasher takes its stake; another
//! joins and leads; a third leaves and takes its stake along. Transactions flow all the time.
//!
//! Judged by the contracts and by what the nodes serve. What each step waits for is an event; times are printed, not judged.
#![expect(clippy::disallowed_methods, reason = "real processes are timed by the real clock")]

use alloy_primitives::{Address, Bytes, U256, keccak256};
use rota_tests::live::{Devnet, LONG, Rpc, account, ask, quantity, text, transfer, until};
use serde_json::{Value, json};
use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Copies what others reveal; an account that the L1 signs for.
const FRONT_RUNNER: &str = "0x976ea74026e726554db657fa54763abd0c3a0aa9";
/// Two epochs and everyone's turn to lead.
const EPOCHS: Duration = Duration::from_secs(400);

#[test]
fn stake_is_lost_put_up_and_taken_out() {
    // Below the ports that the system gives to clients: the fifth node's must still be free when it starts.
    let net = Devnet::up(26_000, &["--block-time", "1"]);
    let flow = Flow::start(&net);
    flow.more("transactions before anything happens");
    signs_twice(&net);
    flow.more("transactions after an operator was slashed");
    joins(&net);
    flow.more("transactions with another operator");
    a_copied_reveal_earns_nothing(&net);
    flow.more("transactions after the second slash");
    leaves(&net);
    flow.more("transactions after an operator left");
    agree(&net);
    println!("{} transactions confirmed", flow.end());
}

/// A contradiction costs the stake within a few L1 blocks, and the operator's own process refuses to go on.
fn signs_twice(net: &Devnet) {
    let told = devnet(net, &["equivocate", "2", "--json"]);
    let number = |at: &str| told.pointer(at).and_then(Value::as_u64).unwrap();
    assert_eq!((&told["state"], &told["stakeWei"]), (&json!("jailed"), &json!("0")), "{told}");
    assert_eq!(told["exit"], 8, "{told}");
    let (shown, reveal) = (number("/l1Block"), number("/slashed/reveal/l1Block"));
    assert!(number("/slashed/commit/l1Block") < reveal && reveal <= shown + 8, "{told}");
    let seized: U256 = serde_json::from_value(told["slashed"]["seizedWei"].clone()).unwrap();
    assert_eq!(seized.to_string(), "32000000000000000000", "{told}");
    println!(
        "signed twice: found after {} ms, stake gone after {} ms and {} L1 blocks; gas: commit {}, reveal {}",
        number("/foundMs"),
        number("/goneMs"),
        reveal - shown,
        number("/slashed/commit/gasUsed"),
        number("/slashed/reveal/gasUsed")
    );
}

/// A fifth operator: queued, in a frozen set without the one in jail, leading.
fn joins(net: &Devnet) {
    let told = devnet(net, &["add", "--json"]);
    let members = members(net);
    assert!(members.contains(&seq_key(net, "n5")), "{told}");
    assert!(!members.contains(&seq_key(net, "n2")), "the jailed operator is in a later set");
    println!(
        "joined: queued after {} ms, in the set of epoch {} after {} ms, in force after {} ms, leads after {} ms",
        told["queuedMs"], told["epoch"], told["frozenMs"], told["activeMs"], told["leadsMs"]
    );
}

/// The slasher dies between commitment and reveal and goes on with the salt on its disk. Whoever copies its reveal and is
/// mined before it gets nothing.
fn a_copied_reveal_earns_nothing(net: &Devnet) {
    let mut l1 = L1::of(net);
    let slasher = l1.slasher(net);
    l1.call("evm_setIntervalMining", json!([0]));
    let command = net.devnet_command(&["equivocate", "3", "--json"]);
    let told = std::thread::scope(|scope| {
        let equivocate = scope.spawn(move || told_by(command));
        let committed = l1.pending(&slasher, "commit(bytes32)");
        l1.mine_with(&committed.hash);
        net.kill("slasher");
        l1.call("evm_mine", json!([]));
        net.start("slasher");
        let reveal = l1.pending(&slasher, "reveal(bytes,bytes32)");
        let copied = l1.copy(&reveal);
        let (copy, own) = (l1.mine_with(&copied), l1.receipt(&reveal.hash));
        let place = |r: &Value| (quantity(&r["blockNumber"]), quantity(&r["transactionIndex"]));
        assert!(place(&copy) < place(&own), "the copy was not first: {copy} {own}");
        assert_eq!((&copy["status"], &own["status"]), (&json!("0x0"), &json!("0x1")));
        l1.call("evm_setIntervalMining", json!([1]));
        equivocate.join().unwrap()
    });
    let reporter: Address = serde_json::from_value(told["slashed"]["reporter"].clone()).unwrap();
    assert_eq!(reporter, slasher.reporter, "{told}");
    assert_eq!(told["state"], "jailed");
    let credit = l1.view(slasher.contract, "credit(address)", FRONT_RUNNER);
    assert_eq!(
        credit.trim_start_matches("0x").trim_matches('0'),
        "",
        "the front-runner has a credit"
    );
    println!("the copied reveal failed in the block of the reveal, before it; reporter {reporter}");
}

/// Out of the sets, past the time in which it can be punished, paid out.
fn leaves(net: &Devnet) {
    let told = devnet(net, &["leave", "4", "--withdraw", "--json"]);
    assert_eq!(told["state"], "gone", "{told}");
    assert_eq!(told["withdrawnWei"], "32000000000000000000", "{told}");
    assert!(!members(net).contains(&seq_key(net, "n4")));
    println!("left: out after {} ms, stake free at L1 block {}", told["outMs"], told["unlocksAt"]);
}

/// Those who are left and the follower have the same blocks.
fn agree(net: &Devnet) {
    let head = quantity(&net.rpc("n1").call("eth_blockNumber", json!([])).unwrap());
    let block = |addr: &str| {
        until(LONG, &format!("block {head} at {addr}"), || {
            let block = ask(addr, "eth_getBlockByNumber", json!([format!("{head:#x}"), false]))?;
            Some(block["hash"].clone())
        })
    };
    let first = block(&net.rpc_addr("n1"));
    for name in ["n5", "follower"] {
        assert_eq!(block(&rpc_of(net, name)), first, "block {head} of {name}");
    }
}

/// Runs `rota devnet ..` and reads what it says.
fn devnet(net: &Devnet, args: &[&str]) -> Value {
    told_by(net.devnet_command(args))
}

fn told_by(mut command: Command) -> Value {
    let begun = Instant::now();
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?} after {:?}: {}", begun.elapsed(), text(&out));
    let said = String::from_utf8_lossy(&out.stdout);
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

/// The address of any node, also of one that joined later.
fn rpc_of(net: &Devnet, name: &str) -> String {
    let state = net.state();
    let mut nodes = state["nodes"].as_array().unwrap().iter();
    nodes.find(|n| n["name"] == name).unwrap()["rpc"].as_str().unwrap().to_owned()
}

/// Keys in the newest frozen set.
fn members(net: &Devnet) -> Vec<Value> {
    let file = net.file("newest.json");
    let (datadir, path) = (net.datadir("n1"), file.to_str().unwrap());
    let datadir = datadir.to_str().unwrap();
    let out = net.rota().args(["set", "list", "--datadir", datadir, "-o", path]).output().unwrap();
    assert!(out.status.success(), "{}", text(&out));
    let set: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let members = set["validators"].as_array().unwrap();
    members.iter().map(|v| v["seq_key"].clone()).collect()
}

fn seq_key(net: &Devnet, name: &str) -> Value {
    let datadir = net.datadir(name);
    let args = ["key", "show", "--json", "--datadir", datadir.to_str().unwrap()];
    let out = net.rota().args(args).output().unwrap();
    let shown: Value = serde_json::from_slice(&out.stdout).unwrap();
    let key = &shown["seqKey"];
    assert!(key.is_string(), "{shown}");
    key.clone()
}

/// The slasher's contract and account.
struct Slasher {
    contract: Address,
    reporter: Address,
}

/// A transaction that is not mined.
struct Pending {
    hash: String,
    to: String,
    input: String,
}

/// The L1, asked and moved by hand.
struct L1 {
    rpc: Rpc,
    registry: Address,
}

impl L1 {
    fn of(net: &Devnet) -> Self {
        let state = net.state();
        let url = state["l1_url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        let registry = serde_json::from_value(state["registry"].clone()).unwrap();
        Self { rpc: Rpc::connect(&url).unwrap(), registry }
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.rpc.call(method, params).unwrap_or_else(|e| panic!("{method}: {e}"))
    }

    /// Calls a view of one address, or of nothing.
    fn view(&mut self, contract: Address, signature: &str, of: &str) -> String {
        let word = format!("{:0>64}", of.trim_start_matches("0x"));
        let data = format!("{}{word}", selector(signature));
        let answer = self.call("eth_call", json!([{ "to": contract, "data": data }, "latest"]));
        answer.as_str().unwrap().to_owned()
    }

    fn slasher(&mut self, net: &Devnet) -> Slasher {
        let registry = self.registry;
        let contract = self.view(registry, "slasher()", "");
        let key = std::fs::read_to_string(net.file("slasher/account.key")).unwrap();
        let secret: [u8; 32] =
            alloy_primitives::hex::decode(key.trim()).unwrap().try_into().unwrap();
        let reporter = rota_types::VoteKey::from_secret(&secret).unwrap().address();
        Slasher { contract: contract[26..].parse().unwrap(), reporter }
    }

    /// Waits until the slasher's call of this function is in the pool.
    fn pending(&mut self, slasher: &Slasher, signature: &str) -> Pending {
        let wanted = selector(signature);
        until(LONG, &format!("the slasher to send {signature}"), || {
            let content = self.call("txpool_content", json!([]));
            let senders = content["pending"].as_object()?;
            let own = |a: &&String| a.parse::<Address>().ok() == Some(slasher.reporter);
            let txs = senders.get(senders.keys().find(own)?)?.as_object()?;
            let tx = txs
                .values()
                .find(|t| t["input"].as_str().is_some_and(|i| i.starts_with(&wanted)))?;
            let field = |name: &str| tx[name].as_str().map(str::to_owned);
            Some(Pending { hash: field("hash")?, to: field("to")?, input: field("input")? })
        })
    }

    /// Sends the same call from another account, for a higher fee.
    fn copy(&mut self, tx: &Pending) -> String {
        let fee = format!("{:#x}", 500_000_000_000u64);
        let copy = json!({
            "from": FRONT_RUNNER, "to": tx.to, "data": tx.input, "gas": "0x200000",
            "maxFeePerGas": fee, "maxPriorityFeePerGas": fee
        });
        self.call("eth_sendTransaction", json!([copy])).as_str().unwrap().to_owned()
    }

    /// Mines a block and gives the receipt of a transaction in it.
    fn mine_with(&mut self, hash: &str) -> Value {
        self.call("evm_mine", json!([]));
        self.receipt(hash)
    }

    fn receipt(&mut self, hash: &str) -> Value {
        until(LONG, "a receipt on L1", || {
            Some(self.call("eth_getTransactionReceipt", json!([hash]))).filter(|r| !r.is_null())
        })
    }
}

fn selector(signature: &str) -> String {
    let hash = keccak256(signature);
    Bytes::copy_from_slice(&hash[..4]).to_string()
}

/// A user who sends one transfer after the other, to whatever node takes it.
struct Flow {
    stop: Arc<AtomicBool>,
    confirmed: Arc<AtomicU64>,
    worker: JoinHandle<()>,
}

impl Flow {
    fn start(net: &Devnet) -> Self {
        let (stop, confirmed) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let nodes = ["n1", "n3", "n4"].map(|n| net.rpc_addr(n));
        let chain_id = net.chain_id;
        let (ended, count) = (Arc::clone(&stop), Arc::clone(&confirmed));
        let worker = std::thread::spawn(move || {
            let key = account();
            let from = key.address().to_string();
            let first = until(LONG, "a nonce", || {
                ask(&nodes[0], "eth_getTransactionCount", json!([from, "pending"]))
            });
            let mut nonce = quantity(&first);
            let mut at = nodes.iter().cycle();
            while !ended.load(Ordering::Relaxed) {
                let raw = transfer(&key, chain_id, nonce);
                let Some(addr) = at.next() else { return };
                let sent = ask(addr, "eth_sendRawTransactionSync", json!([raw, 2_000]));
                let known = || {
                    let receipt = ask(addr, "eth_getTransactionReceipt", json!([keccak256(&raw)]))?;
                    Some(receipt["status"].clone())
                };
                // What one node does not answer in time, another may have confirmed.
                if sent.map(|r| r["status"].clone()).or_else(known) == Some(json!("0x1")) {
                    nonce += 1;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { stop, confirmed, worker }
    }

    /// Waits for some more of them.
    fn more(&self, what: &str) {
        let target = self.confirmed.load(Ordering::Relaxed) + 5;
        let seen = || (self.confirmed.load(Ordering::Relaxed) >= target).then_some(());
        until(EPOCHS, what, seen);
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.worker.join().unwrap();
        self.confirmed.load(Ordering::Relaxed)
    }
}
