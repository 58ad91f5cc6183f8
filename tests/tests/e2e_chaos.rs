//! Real processes under chaos: crashes, pauses, lost disks, partitions, while users send and subscribers listen.
//!
//! Judged by what cannot lie: promises verified offline when they were given, the streams as they were heard, and the disks of
//! all sequencers when everything is over. What each scenario waits for is an event; nothing is timed.
#![expect(clippy::disallowed_methods, reason = "the seed of a run comes from the real clock")]

use rota_tests::live::{Audit, Devnet, FrameSeen, LONG, Lan, Tapes, Wallets, ask, fund, until};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

/// Users who send all the time.
const USERS: u64 = 4;
/// Promises by a quorum that must come before anything happens, and between two things.
const SOME: usize = 20;

/// A devnet with users and subscribers.
struct World {
    net: Devnet,
    wallets: Wallets,
    tapes: Tapes,
    seed: u64,
}

impl World {
    fn new(net: Devnet) -> Self {
        let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(fresh);
        println!("SEED={seed}");
        fund(&net, USERS);
        let (wallets, tapes) = (Wallets::start(&net, USERS), Tapes::start(&net));
        Self { net, wallets, tapes, seed }
    }

    /// Users get what they came for.
    fn traffic(&self, what: &str) {
        let target = self.wallets.acked() + SOME;
        until(LONG, what, || (self.wallets.acked() >= target).then_some(()));
    }

    /// Every user has given up twice on a node.
    fn refusals(&self, what: &str) {
        let count = || self.wallets.ledger().failures.values().sum::<u64>();
        let target = count() + 2 * USERS;
        until(LONG, what, || (count() >= target).then_some(()));
    }

    /// A number below `n`.
    fn random(&mut self, n: u64) -> u64 {
        // SplitMix64.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    /// The set is whole, and all transactions so far are decided everywhere in the same blocks.
    fn well(&self, scenario: &str) {
        self.net.healthy();
        self.traffic("promises after the scenario");
        self.net.settle(&self.wallets.ledger());
        self.net.agree();
        let wrong = self.net.misbehaviour();
        assert!(wrong.is_empty(), "{scenario}: {}", wrong.join("\n"));
        println!("{scenario}: {} transactions acked so far", self.wallets.acked());
    }

    /// Everything ends, and the disks are read.
    fn judge(self) {
        let Self { net, wallets, tapes, .. } = self;
        let ledger = wallets.stop();
        net.settle(&ledger);
        net.follower_agrees();
        let tapes = tapes.stop();
        net.stop();
        println!("{}", Audit::of(&net, &ledger, &tapes).judge());
        println!("requests that failed: {:#?}", ledger.failures);
    }
}

#[test]
fn leaders_die_and_nothing_that_was_acked_is_lost() {
    let mut world = World::new(Devnet::up(22_000, &[]));
    world.traffic("promises before anything happens");
    leaders_killed(&mut world, 3);
    rolled_through(&world);
    one_left(&world);
    world.judge();
}

#[test]
fn paused_wiped_and_all_dead_at_once() {
    let mut world = World::new(Devnet::up(22_500, &[]));
    world.traffic("promises before anything happens");
    leader_paused(&world);
    disk_lost(&mut world);
    all_killed(&world);
    all_killed_in_a_later_round(&world);
    world.judge();
}

#[test]
fn partitions_halt_or_go_on_and_never_split() {
    let lan = match Lan::new(23_000, 4) {
        Ok(lan) => lan,
        Err(why) => {
            println!("SKIPPED: no network namespaces on this machine: {why}");
            return;
        }
    };
    let world = World::new(Devnet::up_on(lan, 23_000, &[]));
    world.traffic("promises before anything happens");
    two_and_two(&world);
    three_and_one(&world);
    leader_alone(&world);
    world.judge();
}

/// `kill -9` of whoever leads, after a random number of promises; started again, and again.
fn leaders_killed(world: &mut World, times: u64) {
    for _ in 0..times {
        let target = world.wallets.acked() + world.random(60) as usize;
        until(LONG, "a random moment", || (world.wallets.acked() >= target).then_some(()));
        let leader = world.net.leader();
        world.net.kill(&leader);
        world.traffic("promises without the leader that was killed");
        world.net.start(&leader);
        world.net.healthy();
    }
    world.well("leaders killed");
}

/// Each sequencer in turn is killed and started, under load.
fn rolled_through(world: &World) {
    for name in world.net.sequencers() {
        world.net.kill(&name);
        world.net.start(&name);
        world.net.healthy();
    }
    world.well("rolled through all");
}

/// All but one die and come back, then that one.
fn one_left(world: &World) {
    let all = world.net.sequencers();
    let (last, others) = all.split_last().unwrap();
    others.iter().for_each(|name| world.net.kill(name));
    others.iter().for_each(|name| world.net.start(name));
    world.net.healthy();
    world.net.kill(last);
    world.traffic("promises without the last one");
    world.net.start(last);
    world.well("all but one, then that one");
}

/// The leader is stopped, not killed, until its window is over, and goes on as if nothing had happened.
fn leader_paused(world: &World) {
    let net = &world.net;
    let leader = net.leader();
    net.signal(&leader, "STOP");
    let others: Vec<String> = net.sequencers().into_iter().filter(|n| *n != leader).collect();
    // Longer than a window: its term is over, and others have led.
    net.advance(&others, 26);
    let over = others.iter().filter_map(|n| net.place(n)).map(|p| p.0).max().unwrap();
    let resumed = now_ms();
    net.signal(&leader, "CONT");
    net.healthy();
    let in_step = now_ms();
    world.well("leader paused past its window");
    let address = net.status(&leader).unwrap()["address"].clone();
    for tape in world.tapes.each().filter(|t| t.node == leader && t.topic == "frames") {
        let over = |f: &&FrameSeen| {
            json!(f.leader) == address && f.height < over && f.timestamp_ms >= resumed
        };
        let late: Vec<&FrameSeen> = tape.frames().map(|(_, f)| f).filter(over).collect();
        let txs: usize = late.iter().map(|f| f.transactions.len()).sum();
        println!(
            "{} frames with {txs} transactions before it knew that its term was over",
            late.len()
        );
        let on = late.iter().find(|f| f.timestamp_ms >= in_step);
        assert!(on.is_none(), "it goes on with a term that it knows to be over: {on:?}");
    }
}

/// A node loses its chain, and keeps its keys and what they signed.
fn disk_lost(world: &mut World) {
    let all = world.net.sequencers();
    let name = &all[world.random(4) as usize];
    world.net.kill(name);
    world.net.wipe(name);
    world.traffic("promises without the one that lost its disk");
    world.net.start(name);
    world.well("disk lost");
}

/// All die at once.
fn all_killed(world: &World) {
    let all = world.net.sequencers();
    all.iter().for_each(|name| world.net.kill(name));
    all.iter().for_each(|name| world.net.start(name));
    world.well("all killed at once");
}

/// All die at once while they are in a round above 0, the leader being dead.
fn all_killed_in_a_later_round(world: &World) {
    let net = &world.net;
    let all = net.sequencers();
    let leader = net.leader();
    net.kill(&leader);
    let others: Vec<&String> = all.iter().filter(|n| **n != leader).collect();
    until(LONG, "a round above 0", || {
        let in_later = |n: &&&String| net.place(n).is_some_and(|(_, round)| round > 0);
        others.iter().find(in_later).map(|_| ())
    });
    others.iter().for_each(|name| net.kill(name));
    all.iter().for_each(|name| net.start(name));
    world.well("all killed in a later round");
}

/// Neither half decides; together again, they go on.
fn two_and_two(world: &World) {
    let net = &world.net;
    net.lan().cut(&[1, 2], &[3, 4]);
    // What was under way may still be decided and acked: a quorum had it before the cut.
    world.refusals("users to wait in vain");
    let heads = |name: &String| {
        let heads = net.status(name).unwrap()["heads"].clone();
        (heads["decided"]["height"].clone(), heads["acked"]["g"].clone())
    };
    let all = || net.sequencers().iter().map(heads).collect::<Vec<_>>();
    let before = all();
    world.refusals("users to wait in vain again");
    assert_eq!(all(), before, "a half of the set decided or acked something");
    net.lan().heal();
    world.well("partition of two and two");
}

/// The three go on without the one, which comes back.
fn three_and_one(world: &World) {
    let net = &world.net;
    let leader = net.leader();
    let all = net.sequencers();
    let alone = all.iter().position(|n| *n != leader).unwrap();
    apart(world, alone, "partition of three and one");
}

/// The three go on without their leader.
fn leader_alone(world: &World) {
    let leader = world.net.leader();
    let alone = world.net.sequencers().iter().position(|n| *n == leader).unwrap();
    apart(world, alone, "leader alone");
}

fn apart(world: &World, alone: usize, scenario: &str) {
    let net = &world.net;
    let mut others = net.sequencers();
    let name = others.remove(alone);
    let number = |n: &String| n.trim_start_matches('n').parse::<u8>().unwrap();
    net.lan().cut(&[number(&name)], &others.iter().map(number).collect::<Vec<_>>());
    net.advance(&others, 4);
    let decided = |n: &String| {
        ask(&net.rpc_addr(n), "seq_status", json!([]))
            .map(|s| s["heads"]["decided"]["height"].clone())
    };
    let before = decided(&name);
    net.advance(&others, 4);
    assert_eq!(decided(&name), before, "{name} decided alone");
    net.lan().heal();
    world.well(scenario);
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

fn fresh() -> u64 {
    let mut bytes = [0; 8];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut bytes)
        .unwrap();
    u64::from_le_bytes(bytes)
}
