//! ETH and a token go to the rollup and come back, and the fees of the rollup go to L1, with real processes: a wallet's library moves
//! the ETH, `rota bridge` the token, and the oracle's two slots have the block proven in between.

use rota_tests::live::{ACCOUNT, Devnet, LONG, Rpc, account, ask, quantity, text, until};
use serde_json::{Value, json};
use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The message passer.
const PASSER: &str = "0x526F746100000000000000000000000000000001";
const L1: &str = "http://127.0.0.1:30000";

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
        .args(["bridge.mjs", L1, &format!("http://{}", net.rpc_addr("n2"))])
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
    // The wallet only looks until a block is proven.
    let token = Token::issue(&net, &key);
    let (sent, at) = token.goes_and_is_sent_back();
    let fees = Fees::release(&net, &key);
    let withdrawn = withdrawn.max(at).max(fees.block);
    // A checkpoint after the block is on L1 has it.
    until(LONG, "the withdrawal's block, from L1", || {
        ask(&follower, "eth_blockNumber", json!([])).filter(|n| quantity(n) > withdrawn)
    });
    is_proven(&net, &key, &follower);
    lines.for_each(|line| eprintln!("{line}"));
    let out = wallet.wait_with_output().unwrap();
    assert!(out.status.success(), "{}\n{}", text(&out), net.logs());
    // A node that was started anew has no state of that block any more, and what shows a withdrawal in it all the same.
    net.kill("n2");
    net.start("n2");
    net.healthy();
    token.comes_back(&sent);
    fees.arrive(&net, &key, network["rewards"].as_str().unwrap());
}

/// A command that ends well, and the last line of what it says, which is JSON.
fn done(mut command: Command) -> Value {
    let out = command.arg("--json").output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", text(&out));
    let said = String::from_utf8(out.stdout).unwrap();
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

/// Calls `rota bridge WHAT TX` of a withdrawal until L1 takes it.
fn follow(net: &Devnet, key: &Path, (what, sent, early): (&str, &str, &str)) -> Value {
    until(LONG, what, || {
        let mut command = net.rota();
        command.args(["bridge", what, sent, "--json"]).arg("--key-file").arg(key);
        command.args(["--rpc-url", &format!("http://{}", net.rpc_addr("n2"))]);
        let out = command.arg("--datadir").arg(net.datadir("n1")).output().unwrap();
        let early = !early.is_empty() && text(&out).contains(early);
        assert!(out.status.success() || early, "{}", text(&out));
        out.status.success().then(|| serde_json::from_slice::<Value>(&out.stdout).unwrap())
    })
}

/// All that was in the vault, on its way to the contract on L1 that pays operators.
struct Fees {
    sent: String,
    wei: u128,
    block: u64,
}

impl Fees {
    fn release(net: &Devnet, key: &Path) -> Self {
        let node = format!("http://{}", net.rpc_addr("n2"));
        let release = || {
            let mut command = net.rota();
            command.args(["rewards", "release", "--rpc-url", &node]).arg("--key-file").arg(key);
            command
        };
        let said = done(release());
        let sent = said["data"]["transactionHash"].as_str().unwrap().to_owned();
        let receipt = ask(&net.rpc_addr("n2"), "eth_getTransactionReceipt", json!([sent])).unwrap();
        assert_eq!(receipt["status"], "0x1");
        eprintln!("release {} gas", quantity(&receipt["gasUsed"]));
        let logs = receipt["logs"].as_array().unwrap();
        let own = logs.iter().find(|log| log["address"] == receipt["to"]).unwrap();
        let wei = own["data"].as_str().unwrap().get(2..66).unwrap();
        let wei = u128::from_str_radix(wei, 16).unwrap();
        // Once a day, so that nobody makes others pay for many small ones.
        let block = quantity(&receipt["blockNumber"]);
        until(LONG, "a block after it", || {
            ask(&net.rpc_addr("n2"), "eth_blockNumber", json!([])).filter(|n| quantity(n) > block)
        });
        let again = release().output().unwrap();
        assert!(text(&again).contains("one a day at most"), "{}", text(&again));
        Self { sent, wei, block }
    }

    fn arrive(&self, net: &Devnet, key: &Path, rewards: &str) {
        let balance = || -> u128 {
            let out = net.cast().args(["balance", "--rpc-url", L1, rewards]).output().unwrap();
            text(&out).trim().parse().unwrap_or_else(|_| panic!("{}", text(&out)))
        };
        let before = balance();
        let shown = follow(net, key, ("prove", &self.sent, ""));
        let paid = follow(net, key, ("finalize", &self.sent, "Portal_Immature"));
        eprintln!("fees prove {} gas, finalize {} gas", shown["gasUsed"], paid["gasUsed"]);
        assert!(self.wei > 0);
        assert_eq!(balance() - before, self.wei, "{}", net.logs());
    }
}

/// A token on L1: the contract of the tokens here, with the account of the key for its bridge, which makes them.
struct Token<'a> {
    net: &'a Devnet,
    key: &'a Path,
    address: String,
}

/// Who gets what comes back.
const HEIR: &str = "0x00000000000000000000000000000000000abcde";

impl<'a> Token<'a> {
    fn issue(net: &'a Devnet, key: &'a Path) -> Self {
        let artifact =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/abi/BridgedToken.json");
        let artifact: Value = serde_json::from_slice(&std::fs::read(artifact).unwrap()).unwrap();
        let code = artifact["bytecode"].as_str().unwrap();
        // Its constructor's two addresses.
        let code = format!("{code}{}", "00".repeat(64));
        let cast = |args: &[&str]| -> Value {
            let mut cast = net.cast();
            cast.args(["send", "--json", "--rpc-url", L1, "--private-key", ACCOUNT]).args(args);
            let out = cast.output().unwrap();
            assert!(out.status.success(), "{}", text(&out));
            serde_json::from_slice(&out.stdout).unwrap()
        };
        let made = cast(&["--create", &code]);
        let address = made["contractAddress"].as_str().unwrap().to_owned();
        cast(&[&address, "describe(string,string,uint8)", "A Coin", "COIN", "6"]);
        let me = account().address().to_string();
        cast(&[&address, "mint(address,uint256)", &me, "20000000"]);
        Self { net, key, address }
    }

    fn rota(&self, args: &[&str]) -> Command {
        let mut command = self.net.rota();
        command.arg("bridge").args(args).args(["--key-file".as_ref(), self.key.as_os_str()]);
        command
    }

    fn on_l1(&self, args: &[&str]) -> Command {
        let mut command = self.rota(args);
        command.arg("--datadir").arg(self.net.datadir("n1"));
        command
    }

    fn show(&self) -> Value {
        let mut command = self.net.rota();
        command.args(["bridge", "token", "show", &self.address, "--rpc-url", &self.node("n2")]);
        command.arg("--datadir").arg(self.net.datadir("n1"));
        done(command)
    }

    fn node(&self, name: &str) -> String {
        format!("http://{}", self.net.rpc_addr(name))
    }

    /// The transaction that burned some on the rollup, and its block.
    fn goes_and_is_sent_back(&self) -> (String, u64) {
        let refused = |amount: &str, words: &str| {
            let mut command = self.on_l1(&["token", "deposit", &self.address, "--amount", amount]);
            let out = command.output().unwrap();
            assert!(!out.status.success() && text(&out).contains(words), "{}", text(&out));
        };
        refused("20.5", "has 20.000000 COIN");
        refused("0.0000001", "at most 6 digits");
        let locked = done(self.on_l1(&["token", "deposit", &self.address, "--amount", "12.5"]));
        eprintln!("token deposit {} gas", locked["gasUsed"]);
        let locked = locked["transactionHash"].as_str().unwrap();
        let node = self.node("n2");
        // Anyone may; it is there when the origin has passed that L1 block.
        until(LONG, "the tokens on the rollup", || {
            let mut take = self.on_l1(&["token", "take", locked, "--rpc-url", &node]);
            let out = take.output().unwrap();
            let early = text(&out).contains("the rollup's origin is");
            assert!(out.status.success() || early, "{}", text(&out));
            out.status.success().then_some(())
        });
        let again = self.on_l1(&["token", "take", locked, "--rpc-url", &node]).output().unwrap();
        assert!(text(&again).contains("has them already"), "{}", text(&again));
        let seen = self.show();
        assert_eq!([&seen["locked"], &seen["supply"]], ["12500000", "12500000"], "{seen}");
        let there = seen["onRollup"].as_str().unwrap();
        let withdraw = ["token", "withdraw", there, "--amount", "5", "--to", HEIR];
        let mut withdraw = self.rota(&withdraw);
        withdraw.args(["--rpc-url", &node]);
        let sent = done(withdraw)["data"]["transactionHash"].as_str().unwrap().to_owned();
        let receipt = ask(&self.net.rpc_addr("n2"), "eth_getTransactionReceipt", json!([sent]));
        let receipt = receipt.unwrap();
        assert_eq!(receipt["status"], "0x1");
        eprintln!("token withdraw {} gas", quantity(&receipt["gasUsed"]));
        (sent, quantity(&receipt["blockNumber"]))
    }

    fn comes_back(&self, sent: &str) {
        let node = self.node("n2");
        let mut status = self.net.rota();
        status.args(["bridge", "status", sent, "--rpc-url", &node]);
        status.arg("--datadir").arg(self.net.datadir("n1"));
        let proven = done(status);
        let proven = format!("{:#x}", proven["proven"].as_u64().unwrap());
        let of = |address: &str| {
            Rpc::connect(&self.net.rpc_addr("n2"))
                .unwrap()
                .call("eth_getProof", json!([address, [], proven]))
        };
        let gone = of(HEIR).unwrap_err();
        assert!(gone.contains("no longer kept"), "{gone}");
        of(PASSER).unwrap();
        let shown = follow(self.net, self.key, ("prove", sent, ""));
        eprintln!("token prove {} gas", shown["gasUsed"]);
        let paid = follow(self.net, self.key, ("finalize", sent, "Portal_Immature"));
        eprintln!("token finalize {} gas", paid["gasUsed"]);
        let mut cast = self.net.cast();
        cast.args(["call", "--rpc-url", L1, &self.address, "balanceOf(address)(uint256)", HEIR]);
        let has = text(&cast.output().unwrap());
        assert!(has.starts_with("5000000"), "{has}");
        let seen = self.show();
        assert_eq!([&seen["locked"], &seen["supply"]], ["7500000", "7500000"], "{seen}");
    }
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
