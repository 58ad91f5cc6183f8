//! The whole way of one transaction through real processes: stock client, leader, validators, L1, follower.
//! And what must not stop it: `kill -9` of the leader, a second process on the same data.
#![expect(clippy::disallowed_methods, reason = "real processes are timed by the real clock")]

use rota_tests::clients::{Client, Kind, free_port};
use rota_tests::live::{Devnet, account, get, quantity, text, transfer, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(90);

#[test]
fn a_transaction_climbs_the_ladder_and_the_follower_agrees() {
    let net = Devnet::up(21_000, &[]);
    stock_clients(&net);
    bad_input(&net);
    let hash = the_ladder(&net);
    let height = a_light_client(&net, &hash);
    a_batch_is_explained(&net, (height, &hash));
    a_block_without_a_state(&net, &hash);
    the_follower(&net);
    an_unmodified_client(&net);
    a_second_process(&net);
    health_and_metrics(&net);
    an_l1_that_hangs(&net);
    a_killed_leader(&net);
    let pids = net.rota_devnet(&["status", "--json"]);
    assert!(text(&net.rota_devnet(&["down"])).contains("down") || pids.status.success());
    nothing_left(&net);
}

fn stock_clients(net: &Devnet) {
    let key = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
    for node in net.sequencers() {
        let url = format!("http://{}", net.rpc_addr(&node));
        let to = "0x00000000000000000000000000000000000000c1";
        let args = ["send", "--sync", "--rpc-url", &url, "--private-key", key, to, "--value", "1"];
        let out = net.cast().args(args).output().unwrap();
        assert!(out.status.success(), "cast to {node}: {}", text(&out));
    }
    let clients = concat!(env!("CARGO_MANIFEST_DIR"), "/../node/tests/clients");
    let url = format!("http://{}", net.rpc_addr("n2"));
    let key = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a";
    let out = std::process::Command::new("node")
        .current_dir(clients)
        .args(["check.mjs", &url, key])
        .output()
        .unwrap();
    assert!(out.status.success(), "viem and ethers: {}", text(&out));
}

fn bad_input(net: &Devnet) {
    let mut rpc = net.rpc("n1");
    let key = account();
    let mut refused = |raw: Value, word: &str| {
        let error = rpc.call("eth_sendRawTransaction", json!([raw])).unwrap_err();
        assert!(error.to_lowercase().contains(word), "{word}: {error}");
    };
    refused(json!("0x02c0"), "transaction");
    refused(json!(transfer(&key, net.chain_id + 1, 0)), "chain");
    refused(json!(transfer(&rota_tests::live::load_account(9), net.chain_id, 0)), "fund");
    refused(json!(format!("0x02{}", "00".repeat(200_000))), "");
    refused(json!("0x03f8"), "blob");
}

/// Gives the hash of a transaction that is final.
fn the_ladder(net: &Devnet) -> String {
    let (mut rpc, key) = (net.rpc("n3"), account());
    let from = format!("{}", key.address());
    let nonce = quantity(&rpc.call("eth_getTransactionCount", json!([from, "latest"])).unwrap());
    let raw = transfer(&key, net.chain_id, nonce);
    let receipt = rpc.call("eth_sendRawTransactionSync", json!([raw])).unwrap();
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    let preconf = &receipt["preconf"];
    assert!(preconf["frame"]["g"].is_string() && preconf["signature"].is_string(), "{receipt}");
    let hash = receipt["transactionHash"].as_str().unwrap().to_owned();
    let error = rpc.call("eth_sendRawTransaction", json!([raw])).unwrap_err();
    assert!(error.to_lowercase().contains("known") || error.contains("nonce"), "{error}");

    let watch = net
        .rota()
        .args(["tx", "watch", &hash, "--until", "finalized", "--json"])
        .args(["--rpc-url", &format!("http://{}", net.rpc_addr("n1"))])
        .output()
        .unwrap();
    let lines = text(&watch);
    assert!(watch.status.success(), "{lines}");
    for stage in ["preconfirmed", "acked", "decided", "posted", "finalized"] {
        assert!(lines.contains(stage), "{stage} is missing in {lines}");
    }
    let promise = net.datadir("promise.json");
    let promise = promise.to_str().unwrap();
    let url = format!("http://{}", net.rpc_addr("n4"));
    let got = net.rota().args(["preconf", "get", &hash, "-o", promise, "--rpc-url", &url]).output();
    assert!(got.as_ref().unwrap().status.success(), "{}", text(&got.unwrap()));
    let network = net.datadir("n1").join("network.json");
    let set = net.file("set.json");
    let verified = net
        .rota()
        .args(["preconf", "verify", promise, "--network", network.to_str().unwrap()])
        .args(["--set", set.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", text(&verified));
    hash
}

/// A proof from one node, checked against one L1 block; a changed one, and one under another block, are refused.
/// Gives the height of the transaction.
fn a_light_client(net: &Devnet, hash: &str) -> u64 {
    let file = net.datadir("light.json");
    let (path, network) = (file.to_str().unwrap(), net.datadir("n1").join("network.json"));
    let url = format!("http://{}", net.rpc_addr("n3"));
    let settings = ["--network", network.to_str().unwrap()];
    let get = ["light", "get", hash, "-o", path, "--rpc-url", &url];
    let got = net.rota().args(get).args(settings).output().unwrap();
    assert!(got.status.success(), "{}", text(&got));
    let l1 = net.state()["l1_url"].as_str().unwrap().to_owned();
    let verify = |more: &[&str]| {
        net.rota().args(["light", "verify", path, "--json"]).args(settings).args(more).output()
    };
    let verified = verify(&["--l1", &l1]).unwrap();
    assert!(verified.status.success(), "{}", text(&verified));
    let verdict: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(verdict["proof"]["transaction"]["hash"], hash, "{verdict}");
    assert!(verdict["proof"]["height"].as_u64() < verdict["proof"]["certifiedHeight"].as_u64());
    // With the hash alone nobody is asked.
    let trusted = verdict["l1Hash"].as_str().unwrap();
    assert!(verify(&["--l1-block", trusted]).unwrap().status.success());
    let other = format!("0x{}", "11".repeat(32));
    assert_eq!(verify(&["--l1-block", &other]).unwrap().status.code(), Some(10));
    let changed = std::fs::read_to_string(&file).unwrap().replace(hash, &other);
    std::fs::write(&file, changed).unwrap();
    assert_eq!(verify(&["--l1", &l1]).unwrap().status.code(), Some(10));
    verdict["proof"]["height"].as_u64().unwrap()
}

/// The block of a transaction, executed by a program that has nothing but a file; a changed file is refused.
fn a_block_without_a_state(net: &Devnet, hash: &str) {
    let receipt = net.rpc("n2").call("eth_getTransactionReceipt", json!([hash])).unwrap();
    let number = quantity(&receipt["blockNumber"]).to_string();
    let file = net.datadir("witness.json");
    let url = format!("http://{}", net.rpc_addr("n2"));
    let mut write = net.rota();
    write.args(["output", "witness", &number, "--rpc-url", &url, "-o"]).arg(&file);
    let wrote = write.output().unwrap();
    assert!(wrote.status.success(), "{}", text(&wrote));
    let done = net.stateless().arg(&file).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    assert!(text(&done).contains(receipt["blockHash"].as_str().unwrap()), "{}", text(&done));
    println!("{}", text(&done));
    let mut told: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    told["witness"]["state"].as_array_mut().unwrap().pop();
    std::fs::write(&file, told.to_string()).unwrap();
    assert_eq!(net.stateless().arg(&file).output().unwrap().status.code(), Some(10));
}

/// The batch that holds a transaction: who certified it, and what is in its blobs.
fn a_batch_is_explained(net: &Devnet, (height, hash): (u64, &str)) {
    let datadir = net.datadir("n1");
    let run = |args: &[&str]| {
        let mut command = net.rota();
        let out = command.arg("batch").args(args).arg("--datadir").arg(&datadir).arg("--json");
        out.output().unwrap()
    };
    let told = |args: &[&str]| -> Value {
        let out = run(args);
        assert!(out.status.success(), "{args:?}: {}", text(&out));
        serde_json::from_slice(&out.stdout).unwrap()
    };
    let list = told(&["list", "--limit", "3"]);
    assert!(list["batches"][0]["toHeight"].as_u64() >= Some(height), "{list}");
    let shown = told(&["show", &height.to_string()]);
    assert_eq!(shown["certificate"]["valid"], true, "{shown}");
    assert!(shown["data"]["problem"].is_null() && shown["fromHeight"].as_u64() <= Some(height));
    let decoded = told(&["decode", shown["l1Tx"].as_str().unwrap()]);
    let heights = decoded["heights"].as_array().unwrap();
    let found = heights.iter().find(|h| h["height"] == height).unwrap();
    assert!(found["transactions"].as_array().unwrap().contains(&json!(hash)), "{found}");
    let verified = told(&["verify", &height.to_string()]);
    assert_eq!(verified["verified"], true, "{verified}");
    assert!(verified["newHeights"].as_u64() > Some(0) && verified["before"]["skipped"] == 0);
    assert_eq!(run(&["show", "99999999"]).status.code(), Some(1));
}

fn the_follower(net: &Devnet) {
    let (mut sequencer, mut follower) = (net.rpc("n1"), net.rpc("follower"));
    let want = quantity(&sequencer.call("eth_blockNumber", json!([])).unwrap());
    let head = until(LONG, "the follower to derive what is decided now", || {
        let head = quantity(&follower.call("eth_blockNumber", json!([])).ok()?);
        (head >= want).then_some(head)
    });
    for number in 0..=head {
        let params = json!([format!("{number:#x}"), false]);
        let ours = sequencer.call("eth_getBlockByNumber", params.clone()).unwrap();
        let theirs = follower.call("eth_getBlockByNumber", params).unwrap();
        assert_eq!(ours["hash"], theirs["hash"], "block {number}");
        assert_eq!(ours["stateRoot"], theirs["stateRoot"], "block {number}");
    }
}

/// geth on the live chain, led by a follower that knows only L1, then by one that has the chain from the set. The followers
/// die and come back. They have no keys.
fn an_unmodified_client(net: &Devnet) {
    let dir = tempfile::tempdir().unwrap();
    let (follower, genesis) = (net.datadir("follower"), dir.path().join("genesis.json"));
    let out = net
        .rota()
        .args(["chain", "genesis", "--format", "geth", "--network"])
        .arg(follower.join("network.json"))
        .arg("--out")
        .arg(&genesis)
        .output()
        .unwrap();
    assert!(out.status.success() && text(&out).contains("the same"), "{}", text(&out));
    let genesis = serde_json::from_slice(&std::fs::read(genesis).unwrap()).unwrap();
    let client = match Client::start(Kind::Geth, &genesis) {
        Ok(client) => client,
        Err(why) => return println!("SKIPPED geth: {why}"),
    };
    let (url, jwt) = (client.url(), client.jwt());
    let start = |source: &str| {
        let local = || format!("127.0.0.1:{}", free_port());
        let child = net
            .rota()
            .args(["run", "--role", "follower", "--rpc.addr", &local(), "--web.addr", &local()])
            .arg("--config")
            .arg(follower.join("rota.toml"))
            .arg("--network")
            .arg(follower.join("network.json"))
            .arg("--datadir")
            .arg(dir.path().join(source))
            .args(["--source", source, "--engine", &url, "--jwt"])
            .arg(&jwt)
            .stderr(std::fs::File::create(dir.path().join("log")).unwrap())
            .spawn();
        Killed(child.unwrap())
    };
    for source in ["l1", "set"] {
        let leading = start(source);
        let first = agrees(net, &client);
        drop(leading);
        let leading = start(source);
        let began = Instant::now();
        let second = agrees(net, &client);
        println!(
            "geth followed to block {first} from {source}; its follower killed, at block {second} after {:?}",
            began.elapsed()
        );
        drop(leading);
    }
}

/// A process that is killed when it is dropped.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits until the client has what the set decides next; all its blocks are the set's.
fn agrees(net: &Devnet, client: &Client) -> u64 {
    let mut sequencer = net.rpc("n1");
    // One more than there is: whoever leads it now has to bring it.
    let want = quantity(&sequencer.call("eth_blockNumber", json!([])).unwrap()) + 1;
    let head = until(LONG, "the client to have what is decided next", || {
        let head = quantity(&client.ask("eth_blockNumber", json!([]))?);
        (head >= want).then_some(head)
    });
    for number in 0..=head {
        let at = json!(format!("{number:#x}"));
        let ours = sequencer.call("eth_getBlockByNumber", json!([at, false])).unwrap();
        assert_eq!(ours["hash"].as_str(), client.hash(&at).as_deref(), "block {number}");
    }
    head
}

fn a_second_process(net: &Devnet) {
    let datadir = net.datadir("n1");
    let second = net.rota().args(["run", "--datadir", datadir.to_str().unwrap()]).output().unwrap();
    assert_eq!(second.status.code(), Some(9), "{}", text(&second));
}

fn health_and_metrics(net: &Devnet) {
    let web = net.web_addr("n2");
    assert_eq!(get(&web, "/livez").unwrap().0, 200);
    let (status, body) = get(&web, "/readyz?verbose").unwrap();
    assert_eq!(status, 200, "{body}");
    let (_, metrics) = get(&web, "/metrics").unwrap();
    for name in ["rota_head_height", "rota_preconf_latency_seconds", "rota_build_info"] {
        assert!(metrics.contains(name), "{name} is missing in {metrics}");
    }
}

/// Ordering goes on while L1 hangs, and posting goes on when it answers again.
fn an_l1_that_hangs(net: &Devnet) {
    let (mut rpc, key) = (net.rpc("n2"), account());
    let from = format!("{}", key.address());
    net.signal_l1("STOP");
    let mut last = Value::Null;
    for _ in 0..10 {
        let nonce = rpc.call("eth_getTransactionCount", json!([from, "pending"])).unwrap();
        let raw = transfer(&key, net.chain_id, quantity(&nonce));
        let wish = json!({ "until": "decided", "timeoutMs": 10_000 });
        last = rpc.call("preconf_sendRawTransaction", json!([raw, wish])).unwrap();
    }
    net.signal_l1("CONT");
    until(LONG, "batches after the L1 answers again", || {
        let hash = last["transactionHash"].clone();
        let status = rpc.call("preconf_getTransactionStatus", json!([hash])).ok()?;
        ["posted", "finalized"].contains(&status["stage"].as_str()?).then_some(())
    });
}

/// `kill -9` of the leader while transactions flow: nothing acked is lost, the others go on, and it comes
/// back and catches up.
fn a_killed_leader(net: &Devnet) {
    let leader = net.leader();
    let other = net.sequencers().into_iter().find(|n| *n != leader).unwrap();
    let (mut rpc, key) = (net.rpc(&other), account());
    let from = format!("{}", key.address());
    let first = quantity(&rpc.call("eth_getTransactionCount", json!([from, "pending"])).unwrap());
    let mut hashes = Vec::new();
    let mut slowest = Duration::ZERO;
    for i in 0..60 {
        if i == 20 {
            assert!(net.rota_devnet(&["kill", &leader]).status.success());
        }
        let raw = transfer(&key, net.chain_id, first + i);
        let sent = Instant::now();
        let receipt = rpc.call("eth_sendRawTransactionSync", json!([raw, 10_000])).unwrap();
        slowest = slowest.max(sent.elapsed());
        hashes.push(receipt["transactionHash"].clone());
    }
    println!("slowest preconfirmation over the kill: {slowest:?}");
    for hash in &hashes {
        until(LONG, "a decision of every transaction", || {
            let status = rpc.call("preconf_getTransactionStatus", json!([hash])).ok()?;
            let stage = status["stage"].as_str()?.to_owned();
            ["decided", "posted", "finalized"].contains(&stage.as_str()).then_some(())
        });
    }
    assert!(net.rota_devnet(&["start", &leader]).status.success());
    let target = quantity(&rpc.call("eth_blockNumber", json!([])).unwrap()) + 2;
    until(LONG, "the killed sequencer to catch up", || {
        let mut back = rota_tests::live::Rpc::connect(&net.rpc_addr(&leader)).ok()?;
        let head = quantity(&back.call("eth_blockNumber", json!([])).ok()?);
        (head >= target).then_some(())
    });
    let mut back = net.rpc(&leader);
    let block = json!([format!("{target:#x}"), false]);
    let ours = until(LONG, "the same block on both", || {
        let block = rpc.call("eth_getBlockByNumber", block.clone()).ok()?;
        (!block.is_null()).then_some(block)
    });
    let theirs = back.call("eth_getBlockByNumber", block).unwrap();
    assert_eq!(ours["hash"], theirs["hash"]);
}

fn nothing_left(net: &Devnet) {
    let dir = net.datadir("").to_string_lossy().into_owned();
    let mine = |entry: std::fs::DirEntry| {
        let command = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        command.contains(dir.trim_end_matches('/')).then(|| command.replace('\0', " "))
    };
    let left: Vec<String> =
        std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter_map(mine).collect();
    assert!(left.is_empty(), "{left:?}");
}
