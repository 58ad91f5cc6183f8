//! What a death of the leader costs: a campaign of `kill -9` against a live devnet under load.
//!
//! `cargo run -p rota-tests --example kills -- [KILLS] [SEED] [JSON]`. Prints a table and, at the end, judges: nothing that a
//! quorum acked may be lost. The other figures are measurements of this machine (`docs/measurements.md`).
#![expect(clippy::disallowed_methods, reason = "real processes are timed by the real clock")]

use alloy_primitives::Address;
use rota_tests::live::{
    Asker, Audit, Devnet, LONG, Ledger, LostFrame, Tapes, Wallets, fund, get, quantity, until,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const USERS: u64 = 4;
/// Promises by a quorum before a node is started again.
const SOME: usize = 20;
/// Where the gap after a kill is looked for.
const WINDOW: Duration = Duration::from_secs(5);

/// One kill.
struct Kill {
    at: Instant,
    /// Index of the leader in the set.
    leader: u16,
    /// From the start of the process to: its RPC answers, it is in step, a certificate with its signature.
    back: [Duration; 3],
}

struct Campaign {
    net: Devnet,
    wallets: Wallets,
    tapes: Tapes,
    seed: u64,
    /// Name and index in the set, by owner.
    owners: BTreeMap<Address, (String, u16)>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let count = args.first().and_then(|a| a.parse().ok()).unwrap_or(200);
    let seed = args.get(1).and_then(|a| a.parse().ok()).unwrap_or(1);
    println!("{count} kills, seed {seed}");
    let net = Devnet::up(46_500, &[]);
    fund(&net, USERS);
    let (wallets, tapes) = (Wallets::start(&net, USERS), Tapes::start(&net));
    let owners = owners(&net);
    let mut campaign = Campaign { net, wallets, tapes, seed, owners };
    campaign.net.healthy();
    let steady = campaign.steady();
    let begin = Instant::now();
    let kills: Vec<Kill> = (1..=count).map(|i| campaign.kill(i)).collect();
    let minutes = begin.elapsed().as_secs_f64() / 60.0;
    let Campaign { net, wallets, tapes, .. } = campaign;
    let ledger = wallets.stop();
    net.settle(&ledger);
    net.follower_agrees();
    let tapes = tapes.stop();
    net.stop();
    let audit = Audit::of(&net, &ledger, &tapes);
    let lost = audit.lost_frames(&tapes);
    let report = report(&kills, &ledger, (&audit, &lost), (minutes, steady));
    print_table(&report);
    if let Some(path) = args.get(2) {
        std::fs::write(path, serde_json::to_string_pretty(&report).unwrap()).unwrap();
    }
    println!("{}", audit.judge());
}

fn owners(net: &Devnet) -> BTreeMap<Address, (String, u16)> {
    let (set, _) = net.verifier();
    let mut owners = BTreeMap::new();
    for name in net.sequencers() {
        let status = until(LONG, &name, || net.status(&name));
        let owner: Address = serde_json::from_value(status["address"].clone()).unwrap();
        let (index, _) = set.iter().find(|(_, v)| v.owner == owner).unwrap();
        owners.insert(owner, (name, index));
    }
    owners
}

impl Campaign {
    /// Kills whoever leads at a random moment, waits until the others go on, starts it, waits until it signs.
    fn kill(&mut self, number: u64) -> Kill {
        let target = self.wallets.acked() + self.random(60) as usize;
        until(LONG, "a random moment", || (self.wallets.acked() >= target).then_some(()));
        let owner = until(LONG, "a leader", || self.tapes.newest_leader());
        let (name, leader) = self.owners[&owner].clone();
        let at = Instant::now();
        self.net.kill(&name);
        let target = self.wallets.acked() + SOME;
        until(LONG, "promises without the leader", || {
            (self.wallets.acked() >= target).then_some(())
        });
        let started = Instant::now();
        self.net.start(&name);
        let back = self.comes_back(&name, leader, started);
        self.net.healthy();
        println!(
            "{number:>4} {name} back: rpc {:?}, in step {:?}, signs {:?}",
            back[0], back[1], back[2]
        );
        Kill { at, leader, back }
    }

    fn comes_back(&self, name: &str, index: u16, started: Instant) -> [Duration; 3] {
        let mut node = Asker::new(self.net.rpc_addr(name));
        let other = self.net.sequencers().into_iter().find(|n| n != name).unwrap();
        let mut other = Asker::new(self.net.rpc_addr(&other));
        let mut back = [None; 3];
        until(LONG, &format!("{name} to sign again"), || {
            let status = node.ask("seq_status", json!([]));
            let in_step = status.as_ref().is_some_and(|s| {
                let there =
                    other.ask("seq_status", json!([])).map_or(0, |s| quantity(&s["height"]));
                let here = quantity(&s["height"]);
                there > 0
                    && here + 1 >= there
                    && ["leading", "voting"].iter().any(|w| s["state"] == *w)
            });
            let acked = self.wallets.ledger().signed.get(&index).is_some_and(|at| *at > started);
            let signs = acked || self.voted(&mut other, index, started);
            for (slot, now) in back.iter_mut().zip([status.is_some(), in_step, signs]) {
                if now && slot.is_none() {
                    *slot = Some(started.elapsed());
                }
            }
            back.iter().all(Option::is_some).then_some(())
        });
        back.map(|b| b.unwrap_or_default())
    }

    /// Whether the newest commit certificate is of after the start and has its signature.
    fn voted(&self, other: &mut Asker, index: u16, started: Instant) -> bool {
        let height =
            other.ask("seq_status", json!([])).map(|s| s["heads"]["decided"]["height"].clone());
        let cert = height.and_then(|h| other.ask("seq_commitCertificate", json!([h])));
        cert.is_some_and(|c| {
            let signers = c["signers"].as_array().cloned().unwrap_or_default();
            let age = now_ms().saturating_sub(c["atMs"].as_u64().unwrap_or(0));
            signers.contains(&json!(index)) && u128::from(age) < started.elapsed().as_millis()
        })
    }

    /// Before anything happens: promises and processor time.
    fn steady(&self) -> Value {
        const PROMISES: usize = 1_000;
        let names = self.net.sequencers();
        let cpu = || names.iter().map(|n| cpu_seconds(&self.net, n)).collect::<Vec<_>>();
        let acked_g = || {
            let status = self.net.status(&names[0]).unwrap_or_default();
            quantity(&status["heads"]["acked"]["g"])
        };
        let (begin, first, before, from) = (Instant::now(), self.wallets.acked(), cpu(), acked_g());
        until(LONG, "a thousand promises", || {
            (self.wallets.acked() >= first + PROMISES).then_some(())
        });
        let seconds = begin.elapsed().as_secs_f64();
        let used: Vec<f64> =
            cpu().iter().zip(&before).map(|(now, then)| round((now - then) / seconds)).collect();
        json!({
            "ackedTransactionsPerSecond": round(PROMISES as f64 / seconds),
            "ackedFramesPerSecond": round((acked_g() - from) as f64 / seconds),
            "cpuPerNode": used,
        })
    }

    fn random(&mut self, n: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Processor time of a node as it counts it itself, seconds.
fn cpu_seconds(net: &Devnet, name: &str) -> f64 {
    let Ok((_, metrics)) = get(&net.web_addr(name), "/metrics") else { return 0.0 };
    let line = metrics.lines().find_map(|l| l.strip_prefix("process_cpu_seconds_total "));
    line.and_then(|v| v.trim().parse().ok()).unwrap_or(0.0)
}

fn report(
    kills: &[Kill],
    ledger: &Ledger,
    (audit, lost): (&Audit, &[LostFrame]),
    (minutes, steady): (f64, Value),
) -> Value {
    let of_kill = |lost: &&LostFrame| kills.iter().any(|k| is_of(lost, k));
    let with_leader: Vec<&LostFrame> = lost.iter().filter(of_kill).collect();
    let alone = with_leader.iter().filter(|l| l.seen_by.len() <= 1).count();
    let most = kills.iter().map(|k| lost.iter().filter(|l| is_of(l, k)).count()).max();
    let acked_lost = audit.faults.iter().filter(|f| f.contains("was acked")).count();
    let back = |i: usize| spread(kills.iter().map(|k| k.back[i]).collect());
    json!({
        "kills": kills.len(),
        "minutes": round(minutes),
        "steady": steady,
        "gapAnyUserMs": spread(kills.iter().map(|k| gap(ledger, k, None)).collect()),
        "gapWorstUserMs": spread(kills.iter().map(|k| worst_user(ledger, k)).collect()),
        "ackedLost": acked_lost,
        "ackedPromises": audit.acked,
        "preconfirmationsMoved": audit.unkept.0,
        "preconfirmations": audit.unkept.1,
        "transactions": ledger.sent.len(),
        "framesLost": with_leader.len(),
        "framesLostMostPerKill": most,
        "framesLostWithTransactions": with_leader.iter().filter(|l| l.txs > 0).count(),
        "framesLostSeenByTheLeaderOnly": alone,
        "framesLostSeenByOthers": with_leader.len() - alone,
        "framesLostOtherwise": lost.len() - with_leader.len(),
        "lost": lost.iter().map(|l| describe(l, kills)).collect::<Vec<_>>(),
        "backRpcMs": back(0),
        "backInStepMs": back(1),
        "backSigningMs": back(2),
        "heights": audit.height,
        "heightsInLaterRounds": audit.later_rounds,
        "faults": audit.faults,
    })
}

/// A lost frame, with how long after the last kill it was seen, ms.
fn describe(lost: &LostFrame, kills: &[Kill]) -> Value {
    let last = kills.iter().map(|k| k.at).filter(|at| *at < lost.at).max();
    let after = last.map(|at| lost.at.duration_since(at).as_millis().to_string());
    json!({ "g": lost.g, "leader": lost.leader, "txs": lost.txs, "seenBy": lost.seen_by, "msAfterKill": after })
}

/// Whether a frame was lost with this death of its leader.
fn is_of(lost: &LostFrame, kill: &Kill) -> bool {
    let near = Duration::from_secs(2);
    lost.leader == kill.leader && lost.at + near > kill.at && lost.at < kill.at + near
}

/// The longest time without a preconfirmation around a kill, for one user or for anyone.
fn gap(ledger: &Ledger, kill: &Kill, user: Option<u64>) -> Duration {
    let mine = ledger.beats.iter().filter(|(_, who)| user.is_none_or(|u| u == *who));
    let mut last = kill.at;
    let mut longest = Duration::ZERO;
    for (at, _) in mine.filter(|(at, _)| *at > kill.at) {
        longest = longest.max(at.duration_since(last));
        if at.duration_since(kill.at) > WINDOW {
            break;
        }
        last = *at;
    }
    longest
}

fn worst_user(ledger: &Ledger, kill: &Kill) -> Duration {
    (0..USERS).map(|user| gap(ledger, kill, Some(user))).max().unwrap_or_default()
}

fn spread(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |part: usize| {
        let index = (times.len() * part / 100).min(times.len().saturating_sub(1));
        times.get(index).map_or(0.0, |t| round(t.as_secs_f64() * 1e3))
    };
    json!({ "p50": at(50), "p99": at(99), "max": at(100) })
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn print_table(report: &Value) {
    let row = |what: &str, value: String| println!("| {what} | {value} |");
    let spread = |name: &str| {
        let s = &report[name];
        format!("p50 {}, p99 {}, max {}", s["p50"], s["p99"], s["max"])
    };
    let ratio = |a: &str, b: &str| format!("{} of {}", report[a], report[b]);
    println!("\n| measure | result |\n|---|---|");
    row("kills of the leader, minutes", format!("{}, {}", report["kills"], report["minutes"]));
    row("acked promises lost", ratio("ackedLost", "ackedPromises"));
    row("preconfirmations that moved", ratio("preconfirmationsMoved", "preconfirmations"));
    row("gap in preconfirmations, any user, ms", spread("gapAnyUserMs"));
    row("gap in preconfirmations, worst user, ms", spread("gapWorstUserMs"));
    let causes = format!(
        "{} ({} with transactions, most per kill {}): {} seen by the leader's subscribers only, {} by others too",
        report["framesLost"],
        report["framesLostWithTransactions"],
        report["framesLostMostPerKill"],
        report["framesLostSeenByTheLeaderOnly"],
        report["framesLostSeenByOthers"]
    );
    row("frames lost with their leader", causes);
    row("frames lost otherwise", report["framesLostOtherwise"].to_string());
    row("start to RPC, ms", spread("backRpcMs"));
    row("start to in step, ms", spread("backInStepMs"));
    row("start to signing, ms", spread("backSigningMs"));
    let steady = &report["steady"];
    row("acked transactions per second", steady["ackedTransactionsPerSecond"].to_string());
    row("acked frames per second", steady["ackedFramesPerSecond"].to_string());
    row("processor time per node, of one core", steady["cpuPerNode"].to_string());
    row("heights, of them in later rounds", ratio("heightsInLaterRounds", "heights"));
    println!();
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}
