//! The set is gone for good, with real processes: anyone gives it up on L1, what users send there is executed by whoever follows, and a
//! sequencer that comes back stops instead of promising what nobody keeps.

use alloy_primitives::hex;
use rota_tests::live::{ACCOUNT, Devnet, L1, LONG, ask, quantity, text, transfer, until};
use rota_types::VoteKey;
use serde_json::{Value, json};
use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, process::Command};

/// Key of the last test account.
const USER: &str = "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6";

#[test]
fn the_rollup_lives_from_l1_alone() {
    let net = Devnet::up(29_000, &["--block-time", "1", "--no-slasher"]);
    let follower = net.rpc_addr("follower");
    let head = || ask(&follower, "eth_blockNumber", json!([])).map(|n| quantity(&n));
    until(LONG, "a posted block", || head().filter(|n| *n > 2));
    for name in net.sequencers() {
        net.kill(&name);
    }
    let key = net.file("payer.key");
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key);
    writeln!(file.unwrap(), "{ACCOUNT}").unwrap();

    let fallback = |what: &[&str]| {
        let mut command = net.rota();
        command.args(["l1", "fallback"]).args(what).arg("--datadir").arg(net.datadir("n1"));
        command
    };
    let state = || told(fallback(&["show", "--json"]));
    let (now, after) = (state()["l1Block"].clone(), state()["mayStartAfter"].clone());
    let left = after.as_u64().unwrap() + 1 - now.as_u64().unwrap();
    let mut early = fallback(&["start"]);
    let early = early.arg("--key-file").arg(&key).output().unwrap();
    assert!(!early.status.success() && text(&early).contains("may not start before"), "{early:?}");
    L1::of(&net).call("anvil_mine", json!([format!("{left:#x}")]));
    let mut start = fallback(&["start", "--json"]);
    start.arg("--key-file").arg(&key);
    told(start);
    assert_eq!((&state()["generation"], &state()["goesOn"]), (&json!(1), &json!(true)));

    is_forced_in(&net, &key, &follower);
    stops(&net);
}

/// No sequencer runs: the follower has it from L1.
fn is_forced_in(net: &Devnet, key: &std::path::Path, follower: &str) {
    let secret: [u8; 32] = hex::decode(USER).unwrap().try_into().unwrap();
    let raw = transfer(&VoteKey::from_secret(&secret).unwrap(), net.chain_id, 0).to_string();
    let mut force = net.rota();
    force.args(["tx", "force", &raw, "--json", "--no-wait", "--datadir"]);
    force.arg(net.datadir("n1")).arg("--key-file").arg(key);
    let hash = told(force)["transactionHash"].clone();
    let receipt = until(LONG, "what was forced in, at the follower", || {
        ask(follower, "eth_getTransactionReceipt", json!([hash])).filter(|r| !r.is_null())
    });
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    let number = json!([receipt["blockNumber"], false]);
    let block = ask(follower, "eth_getBlockByNumber", number).unwrap();
    assert_eq!(block["transactions"], json!([hash]), "a block of what L1 forced in alone");
}

/// One of the set comes back: its keys sign nothing any more.
fn stops(net: &Devnet) {
    net.rota_devnet(&["start", "1"]);
    let ended = until(LONG, "the end of n1", || {
        let state = net.state();
        let n1 = state["nodes"].as_array()?.iter().find(|n| n["name"] == "n1")?;
        n1["exit"].as_i64()
    });
    assert_eq!(ended, 12, "{}", net.logs());
}

fn told(mut command: Command) -> Value {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", text(&out));
    serde_json::from_slice(&out.stdout).unwrap()
}
