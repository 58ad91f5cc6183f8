//! ETH goes to the rollup and comes back, with real processes: a wallet's library moves it, the oracle's two slots have the block
//! proven in between.

use rota_tests::live::{ACCOUNT, Devnet, LONG, ask, quantity, text, until};
use serde_json::{Value, json};
use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

#[test]
fn a_wallet_brings_eth_and_takes_it_back() {
    let net = Devnet::up(30_000, &["--block-time", "1", "--no-slasher"]);
    let follower = net.rpc_addr("follower");
    let key = net.file("payer.key");
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key);
    writeln!(file.unwrap(), "{ACCOUNT}").unwrap();
    let network = std::fs::read(net.datadir("n1").join("network.json")).unwrap();
    let network: Value = serde_json::from_slice(&network).unwrap();

    let scripts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../node/tests/clients");
    let mut wallet = Command::new("node")
        .args(["bridge.mjs", "http://127.0.0.1:30000", &format!("http://{}", net.rpc_addr("n2"))])
        .args([network["inbox"].as_str().unwrap(), &format!("0x{ACCOUNT}")])
        .current_dir(scripts)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(wallet.stdout.take().unwrap()).lines().map_while(Result::ok);
    let withdrawn = lines.by_ref().find_map(|line| {
        eprintln!("{line}");
        line.strip_prefix("withdrawn ").map(|n| n.parse::<u64>().unwrap())
    });
    let Some(withdrawn) = withdrawn else {
        panic!("{}", text(&wallet.wait_with_output().unwrap()));
    };
    // A checkpoint after the block is on L1 has it.
    until(LONG, "the withdrawal's block, from L1", || {
        ask(&follower, "eth_blockNumber", json!([])).filter(|n| quantity(n) > withdrawn)
    });
    is_proven(&net, &key, &follower);
    lines.for_each(|line| eprintln!("{line}"));
    let out = wallet.wait_with_output().unwrap();
    assert!(out.status.success(), "{}\n{}", text(&out), net.logs());
}

/// Both slots stand for the first step, as anyone may have them.
fn is_proven(net: &Devnet, key: &Path, follower: &str) {
    let rpc = format!("http://{follower}");
    let output = |what: &[&str]| {
        let mut command = net.rota();
        command.arg("output").args(what).arg("--datadir").arg(net.datadir("n1"));
        command
    };
    let done = |what: &[&str], with_rpc: bool| {
        until(LONG, &what.join(" "), || {
            let mut command = output(what);
            command.arg("--key-file").arg(key);
            if with_rpc {
                command.args(["--rpc-url", &rpc]);
            }
            command.output().unwrap().status.success().then_some(())
        });
    };
    let listed = output(&["list", "--json"]).output().unwrap();
    let view: Value = serde_json::from_slice(&listed.stdout).unwrap_or_else(|_| {
        panic!("{}", text(&listed));
    });
    let slots: Vec<&str> =
        view["slots"].as_array().unwrap().iter().map(|s| s["address"].as_str().unwrap()).collect();
    assert_eq!(slots.len(), 2);
    done(&["checkpoint"], false);
    for slot in &slots {
        done(&["propose", "1", "--slot", slot], true);
    }
    for slot in &slots {
        done(&["claim", "1", "--slot", slot], false);
    }
}
