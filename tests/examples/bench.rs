//! The figures of the README: a live devnet on this machine, seen by an external JSON-RPC client.
//!
//! `cargo run -p rota-tests --example bench -- [NODES] [SECONDS]`; prints, never judges. Each figure stands beside
//! the limit measured in the same run: a bare HTTP round trip of the same server.
#![expect(clippy::disallowed_methods, reason = "real processes are timed by the real clock")]

use rota_tests::live::{Devnet, Rpc, fund, load_account, quantity, transfer};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

fn main() {
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let nodes = args.first().copied().unwrap_or(4);
    let seconds = args.get(1).copied().unwrap_or(10);
    let net = Devnet::up(43_000, &["--nodes", &nodes.to_string()]);
    println!("{nodes} sequencers and a follower on this machine, {seconds} s per line");
    fund(&net, 32);
    floor(&net);
    let leader = net.leader();
    paced(&net, &leader, "preconfirmed", 50, 5);
    paced(&net, "n1", "preconfirmed", 50, seconds);
    paced(&net, "n1", "acked", 50, seconds);
    paced(&net, "n1", "decided", 50, seconds);
    usage(&net, "at 50 tx/s");
    for clients in [4, 16] {
        saturate(&net, clients, seconds);
    }
    usage(&net, "after saturation");
    consensus(&net);
}

fn floor(net: &Devnet) {
    let mut rpc = net.rpc("n1");
    let mut times = Vec::new();
    for _ in 0..500 {
        let start = Instant::now();
        rpc.call("eth_chainId", json!([])).unwrap();
        times.push(start.elapsed());
        std::thread::sleep(Duration::from_millis(2));
    }
    print("limit: one JSON-RPC round trip", &mut times);
}

/// `rate` transactions per second from one client; the time until the answer at `stage`.
fn paced(net: &Devnet, node: &str, stage: &str, rate: u64, seconds: u64) {
    let threads = if stage == "preconfirmed" { 1 } else { 8 };
    let mut workers = Vec::new();
    for worker in 0..threads {
        let (addr, chain_id, stage) = (net.rpc_addr(node), net.chain_id, stage.to_owned());
        workers.push(std::thread::spawn(move || {
            let mut rpc = Rpc::connect(&addr).unwrap();
            let key = load_account(worker);
            let from = format!("{}", key.address());
            let start = rpc.call("eth_getTransactionCount", json!([from, "pending"])).unwrap();
            let (mut nonce, mut times) = (quantity(&start), Vec::new());
            let period = Duration::from_micros(1_000_000 * threads / rate);
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(seconds) {
                let raw = transfer(&key, chain_id, nonce);
                nonce += 1;
                let sent = Instant::now();
                let answer = if stage == "preconfirmed" {
                    rpc.call("eth_sendRawTransactionSync", json!([raw]))
                } else {
                    let wish = json!({ "until": stage, "timeoutMs": 5000 });
                    rpc.call("preconf_sendRawTransaction", json!([raw, wish]))
                };
                if let Err(error) = answer {
                    eprintln!("{error}");
                    continue;
                }
                times.push(sent.elapsed());
                std::thread::sleep(period.saturating_sub(sent.elapsed()));
            }
            times
        }));
    }
    let mut times: Vec<Duration> = workers.into_iter().flat_map(|w| w.join().unwrap()).collect();
    let place = if node == "n1" { "any node" } else { "the leader" };
    print(&format!("submit at {place} -> {stage}, {rate} tx/s"), &mut times);
}

/// As much as `clients` connections can push, each waiting for its own preconfirmation, batches of 20.
fn saturate(net: &Devnet, clients: u64, seconds: u64) {
    const BATCH: u64 = 20;
    let done = Arc::new(AtomicU64::new(0));
    // All begin when the last of them has its transactions.
    let ready = Arc::new(Barrier::new(usize::try_from(clients).unwrap() + 1));
    let mut workers = Vec::new();
    for worker in 0..clients {
        let (addr, chain_id) = (net.rpc_addr("n1"), net.chain_id);
        let (done, ready) = (Arc::clone(&done), Arc::clone(&ready));
        // Signed before the clock starts: the client must not be what is measured.
        let key = load_account(worker);
        let mut rpc = Rpc::connect(&addr).unwrap();
        let from = format!("{}", key.address());
        let start =
            quantity(&rpc.call("eth_getTransactionCount", json!([from, "pending"])).unwrap());
        let count = 2_500 * seconds / clients;
        let raws: Vec<_> = (0..count).map(|i| transfer(&key, chain_id, start + i)).collect();
        workers.push(std::thread::spawn(move || {
            let mut times = Vec::new();
            ready.wait();
            let begin = Instant::now();
            for chunk in raws.chunks(BATCH as usize) {
                if begin.elapsed() > Duration::from_secs(seconds) {
                    break;
                }
                let sent = Instant::now();
                let Some((last, head)) = chunk.split_last() else { continue };
                for raw in head {
                    if let Err(error) = rpc.call("eth_sendRawTransaction", json!([raw])) {
                        eprintln!("{error}");
                        return times;
                    }
                }
                let wait = rpc.call("eth_sendRawTransactionSync", json!([last, 10_000]));
                if let Err(error) = wait {
                    eprintln!("{error}");
                    return times;
                }
                times.push(sent.elapsed());
                done.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            }
            times
        }));
    }
    ready.wait();
    let begin = Instant::now();
    let mut times: Vec<Duration> = workers.into_iter().flat_map(|w| w.join().unwrap()).collect();
    let rate = done.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64();
    println!("sustained, {clients} clients: {rate:.0} tx/s preconfirmed");
    print(&format!("  {BATCH} transactions -> all preconfirmed, {clients} clients"), &mut times);
}

fn usage(net: &Devnet, when: &str) {
    for name in net.sequencers() {
        let dir = net.datadir(&name).to_string_lossy().into_owned();
        let Some(pid) = pid_of(&dir) else { continue };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let rss = status.lines().find(|l| l.starts_with("VmRSS")).unwrap_or("").to_owned();
        println!(
            "{when}: {name} cpu {:.1} s in all, {}",
            (ticks(11) + ticks(12)) as f64 / 100.0,
            rss
        );
    }
}

fn pid_of(dir: &str) -> Option<u32> {
    std::fs::read_dir("/proc").ok()?.filter_map(Result::ok).find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let command = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        (command.contains(dir) && command.contains("\0run\0")).then_some(pid)
    })
}

/// Cut to decided, as the nodes measured it themselves.
fn consensus(net: &Devnet) {
    for name in net.sequencers() {
        let Ok((_, metrics)) = rota_tests::live::get(&net.web_addr(&name), "/metrics") else {
            continue;
        };
        for line in metrics.lines().filter(|l| {
            l.starts_with("rota_consensus_cut_to_decided") && !l.contains("_bucket")
                || l.contains("cut_to_decided_seconds_bucket{le=\"0.015\"}")
        }) {
            println!("{name} {line}");
        }
    }
    let mut rpc = net.rpc("n1");
    let stats: Value =
        rpc.call("preconf_getStats", json!([{ "windowMs": 60000 }])).unwrap_or_default();
    println!("node's own view: {stats}");
}

fn print(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |p: f64| {
        let index = ((times.len() as f64) * p) as usize;
        times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    println!(
        "{what}: n={} p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        times.len(),
        at(0.5).as_secs_f64() * 1e3,
        at(0.9).as_secs_f64() * 1e3,
        at(0.99).as_secs_f64() * 1e3,
        at(1.0).as_secs_f64() * 1e3
    );
}
