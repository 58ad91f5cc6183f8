//! Stake that can be lost, with real processes: a transaction is forced in through L1; an operator signs twice, a stranger's slasher takes its stake and is
//! rewarded, and a user whose insured promise that broke is paid; another joins, leads, and changes its keys at a remote signer; a third leaves and takes its stake along; evidence is brought by
//! hand. Transactions flow all the time but the last.
//!
//! Judged by the contracts and by what the nodes serve. What each step waits for is an event; times are printed, not judged.
#![expect(clippy::disallowed_methods, reason = "real processes are timed by the real clock")]

mod afar;
mod court;
mod heights;
mod paid;

use alloy_primitives::{Address, B256, U256, hex};
use paid::USER;
use rota_node::{
    keys::{Keys, Password, Passwords, SequencerKeys},
    network::Network,
};
use rota_tests::live::{
    ACCOUNT, Devnet, FRONT_RUNNER, Flow, Gas, L1, LONG, ask, quantity, text, transfer, until,
};
use rota_types::{Domain, VoteKey};
use serde_json::{Value, json};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// Blocks that are compared between nodes.
const COMPARED: u64 = 100;
/// Where a transaction that was confirmed may be asked for.
const ASKED_LATER: Duration = Duration::from_secs(60);

#[test]
fn stake_is_lost_put_up_and_taken_out() {
    let begun = Instant::now();
    // Below the ports that the system gives to clients: the fifth node's must still be free when it starts.
    let net = Devnet::up(26_000, &["--block-time", "1"]);
    let flow = Flow::start(&net, 3, &["n1", "n3", "n4"]);
    flow.more("transactions before anything happens");
    println!("up and confirming after {:?}", begun.elapsed());
    is_forced_in(&net);
    signs_twice(&net);
    flow.more("transactions after an operator was slashed");
    joins(&net);
    flow.also_at(rpc_of(&net, "n5"));
    flow.more("transactions with another operator");
    let _signer = afar::signs(&net);
    flow.more("transactions after an operator changed its keys at a signer elsewhere");
    a_copied_reveal_earns_nothing(&net);
    flow.more("transactions after the second slash");
    is_rewarded(&net);
    is_paid_back(&net);
    leaves(&net);
    flow.more("transactions after an operator left");
    let confirmed = flow.end();
    agree(&net);
    heights::around_changes_of_sets(&net);
    nothing_lost(&net, &confirmed);
    court::is_brought_by_hand(&net);
    let gas = Gas::of(&mut L1::of(&net));
    assert!(gas.functions() > 15, "{gas}");
    print!("{gas}");
    println!("{} transactions confirmed, none lost; {:?} in all", confirmed.len(), begun.elapsed());
}

/// A transaction that no node is shown: put into the queue on L1, executed first in a block, the same for the follower.
fn is_forced_in(net: &Devnet) {
    let begun = Instant::now();
    let key = net.file("payer.key");
    private(&key, ACCOUNT);
    let secret: [u8; 32] = hex::decode(USER).unwrap().try_into().unwrap();
    let raw = transfer(&VoteKey::from_secret(&secret).unwrap(), net.chain_id, 0).to_string();
    let (datadir, url) = (net.datadir("n1"), format!("http://{}", net.rpc_addr("n1")));
    let mut command = net.rota();
    command.args(["tx", "force", &raw, "--json", "--rpc-url", &url, "--until", "posted"]);
    command.arg("--datadir").arg(datadir).arg("--key-file").arg(key);
    let told = told_by(command);
    let status = &told["status"];
    assert_eq!(
        (&status["forced"], &status["execution"]),
        (&json!(true), &json!("success")),
        "{told}"
    );
    let stages: Vec<&str> =
        status["stages"].as_array().unwrap().iter().map(|s| s["stage"].as_str().unwrap()).collect();
    assert!(stages.starts_with(&["forced"]) && stages.contains(&"decided"), "{stages:?}");
    let at = |name: &str| {
        until(LONG, &format!("{name} to have what was forced in"), || {
            let asked = json!([told["transactionHash"]]);
            let receipt = ask(&rpc_of(net, name), "eth_getTransactionReceipt", asked)?;
            Some((receipt["blockHash"].clone(), quantity(&receipt["transactionIndex"])))
        })
    };
    let (block, index) = at("n3");
    assert_eq!((block.clone(), index), at("follower"));
    assert_eq!(index, 0, "forced transactions are the first in a block");
    let asked = json!([block, false]);
    let block = net.rpc("n3").call("eth_getBlockByHash", asked).unwrap();
    assert!(quantity(&block["timestamp"]) <= told["latest"].as_u64().unwrap(), "{told}");
    println!("forced in: posted {:?} after the command began", begun.elapsed());
}

/// Writes a file that only its owner can read.
fn private(path: &Path, text: &str) {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    writeln!(file.unwrap(), "{text}").unwrap();
}

/// A contradiction costs the stake within a few L1 blocks, and the operator's own process refuses to go on.
fn signs_twice(net: &Devnet) {
    let (begun, key, node) = (std::time::Instant::now(), seq_key(net, "n2"), rpc_of(net, "n3"));
    let promise = net.file("promise.json");
    let (told, jailed, credited) = std::thread::scope(|scope| {
        // What the members say, whatever L1 has by then.
        let jailed = scope.spawn(move || {
            until(LONG, "the jail of the rollup", || {
                let all = ask(&node, "seq_validators", json!([]))?;
                let of = |v: &&Value| v["seqKey"] == key && v["jailed"] == true;
                all.as_array()?.iter().find(of).map(|_| begun.elapsed())
            })
        });
        let (path, claim) = (&promise, paid::claim(net, &promise));
        let claims = scope.spawn(move || paid::claims(path, claim));
        let args = ["equivocate", "2", "--json", "--promise", promise.to_str().unwrap()];
        (devnet(net, &args), jailed.join().unwrap(), claims.join().unwrap())
    });
    println!("signed twice: jailed on the rollup {jailed:?} after the command began");
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
    court::is_on_record(net, &told);
    paid::is_paid(net, &promise, &credited);
    pays_who_reported(net);
}

/// The slasher has taken out a twentieth of the whole stake: an acked frame was reverted.
fn pays_who_reported(net: &Devnet) {
    let mut l1 = L1::of(net);
    let slasher = l1.slasher(net);
    let wanted = "reward of 1.6 ETH taken out";
    until(LONG, wanted, || {
        fs::read_to_string(net.log("slasher")).ok()?.contains(wanted).then_some(())
    });
    let held = balance(net, slasher.reporter);
    let begun_with = U256::from(10u64).pow(U256::from(18));
    println!("reported: the stranger that began with {begun_with} wei for gas holds {held}");
    assert!(held > begun_with, "{held}");
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

/// What fees earned an operator is paid to its owner on L1, whoever sends the claim; and not twice.
fn is_rewarded(net: &Devnet) {
    let run = |what: &[&str]| {
        let mut command = net.rota();
        command.args(what).args(["--rpc-url", &format!("http://{}", net.rpc_addr("n1"))]);
        command.arg("--datadir").arg(net.datadir("n1")).arg("--json");
        command
    };
    let wei = |told: &Value, field: &str| told[field].as_str().unwrap().parse::<u128>().unwrap();
    let show = || told_by(run(&["rewards", "show"]));
    let before = until(LONG, "rewards that the set has certified", || {
        Some(show()).filter(|told| wei(told, "dueWei") > 0)
    });
    assert_eq!(wei(&before, "claimedWei"), 0, "{before}");
    let owner = before["account"].clone();
    let mut l1 = L1::of(net);
    let mut balance = || {
        let held = l1.call("eth_getBalance", json!([owner, "latest"]));
        u128::from_str_radix(held.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    };
    let held = balance();
    let mut claim = run(&["rewards", "claim"]);
    claim.arg("--key-file").arg(net.file("payer.key"));
    let sent = told_by(claim);
    let after = show();
    let paid = wei(&after, "claimedWei");
    assert!(paid >= wei(&before, "dueWei") && balance() - held == paid, "{before} {after}");
    let pool = |told: &Value| wei(told, "balanceWei");
    assert_eq!(pool(&before) - pool(&after), paid, "{before} {after}");
    println!(
        "rewards: {paid} wei of {} heights paid to {owner} by anyone's claim, {} gas",
        after["claimedHeight"], sent["gasUsed"]
    );
}

/// A part of the fees is kept on L1 for posting, and pays an operator's poster what it spent there, whoever asks.
fn is_paid_back(net: &Devnet) {
    let run = |what: &[&str], key: bool| {
        let mut command = net.rota();
        command.arg("rewards").args(what).arg("--datadir").arg(net.datadir("n1")).arg("--json");
        if key {
            command.arg("--key-file").arg(net.file("payer.key"));
        }
        told_by(command)
    };
    let wei = |told: &Value, field: &str| told[field].as_str().unwrap().parse::<u128>().unwrap();
    let before = until(LONG, "a batch of n1", || {
        Some(run(&["posting", "show"], false)).filter(|told| wei(told, "dueWei") > 0)
    });
    let kept = wei(&before, "keptWei");
    assert!(kept > 0 && before["poster"].is_string() && wei(&before, "refundedWei") == 0);
    let sent = run(&["posting", "refund"], true);
    let after = run(&["posting", "show"], false);
    let paid = wei(&after, "refundedWei");
    assert!(paid >= kept.min(wei(&before, "dueWei")) && paid == kept - wei(&after, "keptWei"));
    assert!(paid <= wei(&after, "spentWei"), "{before} {after}");
    println!(
        "posting: {} wei spent by n1, {paid} of {kept} kept wei paid back to {}, {} gas",
        after["spentWei"], after["poster"], sent["gasUsed"]
    );
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
    let hash = |addr: &str, number: u64| {
        until(LONG, &format!("block {number} at {addr}"), || {
            let asked = json!([format!("{number:#x}"), false]);
            Some(ask(addr, "eth_getBlockByNumber", asked)?["hash"].clone())
                .filter(|h| h.is_string())
        })
    };
    for name in ["n5", "follower"] {
        // The newest first: who has it has those before it.
        for number in (head.saturating_sub(COMPARED)..=head).rev() {
            let (other, own) =
                (hash(&rpc_of(net, name), number), hash(&net.rpc_addr("n1"), number));
            assert_eq!(other, own, "block {number} of {name}");
        }
    }
}

/// What was confirmed to a user is in a block, also at the new member and at the follower.
fn nothing_lost(net: &Devnet, confirmed: &[B256]) {
    assert!(confirmed.len() > 100, "{} transactions", confirmed.len());
    for name in ["n1", "n5", "follower"] {
        let addr = rpc_of(net, name);
        for hash in confirmed {
            until(ASKED_LATER, &format!("{name} to have {hash}"), || {
                let receipt = ask(&addr, "eth_getTransactionReceipt", json!([hash]));
                receipt.filter(|r| r["status"] == "0x1" && r["blockNumber"].is_string())
            });
        }
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

/// What an account holds on L1, wei.
fn balance(net: &Devnet, account: Address) -> U256 {
    let held = L1::of(net).call("eth_getBalance", json!([account, "latest"]));
    serde_json::from_value(held).unwrap()
}

/// The hot keys of a devnet's operator.
fn devnet_keys(net: &Devnet, name: &str) -> SequencerKeys {
    let passwords = Passwords::known(Password::read(&net.file("password")).unwrap());
    Keys::load_sequencer(&net.datadir(name), &passwords).unwrap()
}

/// What signatures are for.
fn domain(net: &Devnet) -> Domain {
    Network::load(&net.file("network.json")).unwrap().domain().unwrap()
}

/// Keys in the newest frozen set.
fn members(net: &Devnet) -> Vec<Value> {
    let set = newest_set(net);
    let members = set["validators"].as_array().unwrap();
    members.iter().map(|v| v["seq_key"].clone()).collect()
}

fn newest_set(net: &Devnet) -> Value {
    let file = net.file("newest.json");
    let (datadir, path) = (net.datadir("n1"), file.to_str().unwrap());
    let datadir = datadir.to_str().unwrap();
    let out = net.rota().args(["set", "list", "--datadir", datadir, "-o", path]).output().unwrap();
    assert!(out.status.success(), "{}", text(&out));
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
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
