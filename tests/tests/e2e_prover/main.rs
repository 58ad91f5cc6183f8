//! Provers as processes of their own, one with revm and one with go-ethereum: a user's transaction climbs the whole ladder, up to
//! what a contract on L1 believes, and a wrong bond is contradicted, by nobody's hand. What was proven costs members who
//! certified something else a tenth of their stake (`lying`).

mod lying;

use alloy_primitives::{Address, B256, hex};
use rota_l1::{BondedOutput, Output, Outputs, propose_request};
use rota_node::{keys::Secret, network::Network, setup::OnL1};
use rota_tests::{
    clients::{Client, Kind, free_port},
    live::{ACCOUNT, Devnet, Flow, LONG, account, ask, get, text, transfer, until},
};
use serde_json::{Value, json};
use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output as Ended, Stdio},
};

const L1: &str = "http://127.0.0.1:31000";
const RPC: &str = "127.0.0.1:31090";
const WEB: &str = "127.0.0.1:31091";
/// Key of the seventh test account of every devnet.
const OTHER: &str = "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e";

/// Ends with the test.
struct Prover(Child);

impl Drop for Prover {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World {
    net: Devnet,
    network: Network,
    payer: PathBuf,
    other: PathBuf,
}

impl World {
    fn up() -> Self {
        let net = Devnet::up(31_000, &["--block-time", "1", "--no-slasher"]);
        let key = |name: &str, secret: &str| {
            let path = net.file(name);
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            writeln!(file.unwrap(), "{secret}").unwrap();
            path
        };
        let (payer, other) = (key("payer.key", ACCOUNT), key("other.key", OTHER));
        let network = Network::load(&net.datadir("n1").join("network.json")).unwrap();
        Self { net, network, payer, other }
    }

    fn role(&self, name: &str, (rpc, web): (&str, &str), args: &[&str]) -> Command {
        let mut command = self.net.rota();
        command.args(["run", "--role", "prover", "--l1.rpc", L1, "--l1.beacon", L1]);
        command.args(["--l1.blob_index", "block", "--rpc.addr", rpc, "--web.addr", web]);
        command.arg("--network").arg(self.net.datadir("n1").join("network.json"));
        command.arg("--datadir").arg(self.net.file(name)).args(args);
        command.env("ROTA_PROVER_POLL", "500ms");
        command
    }

    fn start(&self, name: &str, key: &Path, mut command: Command) -> Prover {
        let log = std::fs::File::create(self.net.file(&format!("{name}.log"))).unwrap();
        command.arg("--key-file").arg(key).stdout(Stdio::null()).stderr(log);
        Prover(command.spawn().unwrap())
    }

    fn prover(&self) -> Prover {
        let command = self.role("prover", (RPC, WEB), &["--implementation", "revm"]);
        self.start("prover", &self.payer, command)
    }

    /// Another operator's, whose blocks go-ethereum executes; none where that is not installed.
    fn independent(&self) -> Option<(Prover, Client)> {
        let genesis = self.net.file("genesis.json");
        let mut command = self.net.rota();
        command.args(["chain", "genesis", "--format", "geth", "--network"]);
        command.arg(self.net.datadir("n1").join("network.json")).arg("--out").arg(&genesis);
        let out = command.output().unwrap();
        assert!(out.status.success(), "{}", text(&out));
        let genesis = serde_json::from_slice(&std::fs::read(genesis).unwrap()).unwrap();
        let client = match Client::start(Kind::Geth, &genesis) {
            Ok(client) => client,
            Err(why) => {
                println!("SKIPPED the prover with geth: {why}");
                return None;
            }
        };
        let local = || format!("127.0.0.1:{}", free_port());
        let args = ["--implementation", "engine", "--engine", &client.url(), "--jwt"];
        let mut command = self.role("independent", (&local(), &local()), &args);
        command.arg(client.jwt());
        Some((self.start("independent", &self.other, command), client))
    }

    /// Somebody else bonds what the devnet's follower computed, as an operator with another client would.
    fn second(&self, step: u64, slot: Address) -> Ended {
        let mut command = self.net.rota();
        command.args(["output", "propose", &step.to_string(), "--slot", &slot.to_string()]);
        command.args(["--rpc-url", &format!("http://{}", self.net.rpc_addr("follower"))]);
        command.arg("--datadir").arg(self.net.datadir("n1")).arg("--key-file").arg(&self.other);
        command.output().unwrap()
    }

    /// Stakes on a wrong output of a step that the prover has bonded, and waits until it is contradicted.
    async fn lie(&self, prover: Address) {
        let urls = [L1.to_owned()];
        let l1 = OnL1::connect(&self.network, &urls).await.unwrap();
        let outputs = l1.outputs(self.network.oracle.unwrap());
        let view = outputs.view().await.unwrap();
        let slots: Vec<Address> = view.slots.iter().map(|s| s.address).collect();
        let (bond, _) = view.slots[1].bonds.unwrap();
        let of = |slot: usize, step: u64, all: &[BondedOutput]| -> Vec<BondedOutput> {
            let here = |b: &&BondedOutput| b.slot == slots[slot] && b.output.step == step;
            all.iter().filter(here).copied().collect()
        };
        // The newest that the other slot knows nothing of.
        let right = wait(&outputs, &slots, |all| {
            let new =
                |b: &&BondedOutput| b.slot == slots[0] && of(1, b.output.step, all).is_empty();
            all.iter().rfind(new).copied()
        });
        let right = right.await;
        let wrong = Output { l2_hash: B256::repeat_byte(0x66), ..right.output };
        let key = Secret::read(&self.other).unwrap().signer().unwrap();
        l1.call(&key, propose_request(slots[1], &wrong, bond)).await.unwrap();
        let contradicted = wait(&outputs, &slots, |all| {
            let there = of(1, right.output.step, all);
            there.into_iter().find(|b| b.hash == right.hash && b.claimant == prover)
        });
        assert!(contradicted.await.contested);
    }
}

/// Asks for bonds until something is found in them.
async fn wait<T>(
    outputs: &Outputs,
    slots: &[Address],
    find: impl Fn(&[BondedOutput]) -> Option<T>,
) -> T {
    let look = async {
        loop {
            let all = outputs.bonded(slots, (0, u64::MAX)).await.unwrap();
            if let Some(found) = find(&all) {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
    };
    tokio::time::timeout(LONG, look).await.expect("the bond that is waited for")
}

fn metric(name: &str) -> Option<f64> {
    let (_, body) = get(WEB, "/metrics").ok()?;
    body.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[test]
fn a_transaction_is_proven_with_a_prover_at_work_and_a_lie_is_contradicted() {
    let world = World::up();
    refusals(&world);
    let prover = world.prover();
    let independent = world.independent();
    let n1 = world.net.rpc_addr("n1");
    let sent = transfer(&account(), world.net.chain_id, 0);
    let hash = ask(&n1, "eth_sendRawTransaction", json!([sent])).unwrap();
    let hash = hash.as_str().unwrap().to_owned();
    let mut watch = world.net.rota();
    watch.args(["tx", "watch", &hash, "--until", "proven", "--timeout", "10m", "--json"]);
    watch.args(["--rpc-url", &format!("http://{n1}")]).stdout(Stdio::piped());
    let mut watch = watch.spawn().unwrap();
    until(LONG, "the prover in step", || match get(WEB, "/readyz?verbose") {
        Ok((200, body)) => body.contains("prover").then_some(()),
        _ => None,
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let slot = runtime.block_on(async {
        let urls = [L1.to_owned()];
        let l1 = OnL1::connect(&world.network, &urls).await.unwrap();
        let view = l1.outputs(world.network.oracle.unwrap()).view().await.unwrap();
        view.slots[1].address
    });
    let flow = Flow::start(&world.net, 1, &["n1", "n2"]);
    // Everything else is the provers': checkpoints, their own bonds, the claims of both slots.
    let mut step = 1;
    until(LONG * 2, "the transaction proven", || {
        if independent.is_none() && world.second(step, slot).status.success() {
            step += 1;
        }
        watch.try_wait().unwrap()
    });
    let out = watch.wait_with_output().unwrap();
    let log = || {
        let of = |name| std::fs::read_to_string(world.net.file(name)).unwrap_or_default();
        format!("{}\n{}", of("prover.log"), of("independent.log"))
    };
    assert!(out.status.success(), "{}\n{}", text(&out), log());
    let last = String::from_utf8(out.stdout).unwrap();
    let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!(last["data"]["stage"], "proven", "{last}");
    let stages = last["data"]["stages"].as_array().unwrap();
    assert!(stages.iter().any(|s| s["step"].is_string()));
    for stage in stages {
        eprintln!("{} after {} ms", stage["stage"], stage["deltaMs"]);
    }
    until(LONG, "gauges", || metric("rota_prover_proven_block").filter(|block| *block > 0.0));
    // With a second prover it depends on which of them is quicker.
    if independent.is_none() {
        assert!(metric("rota_prover_sent_total{action=\"claim\"}").unwrap() >= 2.0);
    }
    assert!(metric("rota_prover_sent_total{action=\"bond\"}").unwrap() >= 1.0);
    let status = ask(RPC, "seq_status", json!([])).unwrap();
    assert_eq!(status["role"], "prover");
    let named = lying::block(&world);
    until(LONG * 2, "a step on top of the first checkpoint", || {
        metric("rota_prover_proven_block").filter(|block| *block >= named as f64)
    });
    // The client stays, with all that is proven.
    let client = independent.map(|(_, client)| client);
    runtime.block_on(world.lie(address(ACCOUNT)));
    until(LONG, "settled bonds", || {
        metric("rota_prover_sent_total{action=\"settle\"}").filter(|n| *n >= 1.0)
    });
    let follower = || format!("http://{}", world.net.rpc_addr("follower"));
    lying::is_slashed(&world, &flow, &client.as_ref().map_or_else(follower, Client::http));
    stops(prover, &log);
}

/// What cannot work is said before anything starts.
fn refusals(world: &World) {
    let refused = |more: &[&str], key: Option<&Path>, code: i32, words: &str| {
        let mut command = world.role("prover", (RPC, WEB), more);
        if let Some(key) = key {
            command.arg("--key-file").arg(key);
        }
        let out = command.output().unwrap();
        assert!(out.status.code() == Some(code) && text(&out).contains(words), "{}", text(&out));
    };
    refused(&[], None, 3, "prover.key_file");
    refused(&["--implementation", "engine"], Some(&world.payer), 3, "--engine URL");
    refused(
        &["--slot", &Address::repeat_byte(7).to_string()],
        Some(&world.payer),
        2,
        "no such slot",
    );
    let poor = world.net.file("poor.key");
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&poor);
    writeln!(file.unwrap(), "{}", hex::encode([0x5a; 32])).unwrap();
    refused(&[], Some(&poor), 11, "has nothing to pay bonds and gas with");
}

fn address(secret: &str) -> Address {
    let secret: [u8; 32] = hex::decode(secret).unwrap().try_into().unwrap();
    rota_types::VoteKey::from_secret(&secret).unwrap().address()
}

fn stops(mut prover: Prover, log: &impl Fn() -> String) {
    let id = prover.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let ended = until(LONG, "its end", || prover.0.try_wait().unwrap());
    assert!(ended.success(), "{ended}\n{}", log());
}
