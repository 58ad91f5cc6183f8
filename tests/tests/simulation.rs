//! Whole sets under the virtual clock (`make simulation`). Each plan runs twice and both traces must be equal;
//! everything in `sim::check` is judged after every step.
//!
//! `ROTA_SIM_FRESH=N` sets where the fresh seeds begin; without it they follow the date. `make sim SEED=N` replays one.

use rota_tests::sim::{Event, Phase, Plan, Report, Unsynced, World, campaign};
use std::time::{SystemTime, UNIX_EPOCH};

/// Random plans that every build runs, and those that change from day to day.
const FIXED: u64 = 160;
const FRESH: u64 = 40;

fn run(plan: Plan) -> Report {
    let first = World::run(plan.clone()).unwrap_or_else(|v| panic!("seed {}: {v}", plan.seed));
    let again = World::run(plan.clone()).unwrap_or_else(|v| panic!("seed {}: {v}", plan.seed));
    assert_eq!(first, again, "seed {} is not deterministic", plan.seed);
    assert!(first.derived as u64 >= first.heights.0, "{first:?}");
    first
}

#[test]
fn a_quiet_set_decides_every_transaction_in_round_zero() {
    for (n, seed) in [(4, 1), (7, 2)] {
        let report = run(Plan::quiet(n, seed, 12_000));
        assert!(report.heights.0 >= 35, "{report:?}");
        assert_eq!(report.txs.0, report.txs.1, "{report:?}");
        assert_eq!((report.top_round, report.rewinds), (0, 0), "{report:?}");
        assert!(report.stats.insured_wei > 0, "{report:?}");
    }
}

/// Every eighth height here, every 64th in a network.
#[test]
fn checkpoints_of_execution_are_certified() {
    let report = run(Plan::quiet(4, 3, 12_000));
    assert!(report.checkpoint + 16 >= report.heights.0 && report.checkpoint >= 24, "{report:?}");
    assert_eq!(report.top_round, 0, "{report:?}");
}

/// Whose execution is behind can neither close nor judge a CLOSE that names a checkpoint. It waits, and takes what the
/// others decide; if all are, all wait.
#[test]
fn slow_execution_delays_and_never_splits() {
    for (seed, late) in [(4, [0, 0, 0, 4_000]), (5, [0, 2_500, 0, 5_000]), (6, [2_500; 4])] {
        let mut plan = Plan::quiet(4, seed, 20_000);
        plan.exec_late_ms = late.to_vec();
        plan.events = vec![(6_000, Event::Kill(3)), (9_000, Event::StartAll)];
        let report = run(plan);
        assert!(report.heights.0 >= 24 && report.checkpoint >= 16, "{report:?}");
        assert!(report.heights.1 - report.heights.0 <= 2, "{report:?}");
        assert_eq!(report.txs.0, report.txs.1, "{report:?}");
    }
}

#[test]
fn a_dead_leader_is_replaced_and_nothing_acked_is_lost() {
    for (n, seed) in [(4, 10), (4, 11), (7, 12), (7, 13)] {
        let mut plan = Plan::quiet(n, seed, 15_000);
        plan.events = vec![(4_130, Event::KillLeader)];
        let report = run(plan);
        assert!(report.heights.0 >= 30, "{report:?}");
        assert_eq!(report.txs.0, report.txs.1, "{report:?}");
        assert!(report.top_round >= 1, "{report:?}");
    }
}

#[test]
fn lossy_links_slow_a_set_down_but_never_split_it() {
    for (n, seed) in [(4, 20), (7, 21)] {
        let mut plan = Plan::quiet(n, seed, 15_000);
        plan.link.loss_permille = 20;
        plan.link.duplicate_permille = 10;
        plan.link.jitter_us = 15_000;
        let report = run(plan);
        assert!(report.heights.0 >= 20, "{report:?}");
        assert_eq!(report.txs.0, report.txs.1, "{report:?}");
    }
}

#[test]
fn a_killed_sequencer_comes_back_and_catches_up() {
    for seed in 30..34 {
        let mut plan = Plan::quiet(4, seed, 15_000);
        plan.events = vec![(3_000 + seed * 7, Event::KillLeader), (7_000, Event::StartAll)];
        let report = run(plan);
        assert!(report.heights.1 - report.heights.0 <= 2, "{report:?}");
        assert!(report.heights.0 >= 30, "{report:?}");
        assert_eq!(report.txs.0, report.txs.1, "{report:?}");
    }
}

#[test]
fn lost_frames_and_a_wiped_database_never_make_a_key_contradict_itself() {
    for seed in 50..56 {
        let mut plan = Plan::quiet(4, seed, 15_000);
        plan.events = vec![
            (2_000 + seed * 11, Event::LoseFramesAndStart(1)),
            (4_000 + seed * 13, Event::Kill(2)),
            (5_000, Event::WipeAndStart(2)),
            (8_003 + seed, Event::LoseFramesAndStart(3)),
        ];
        let report = run(plan);
        assert!(report.heights.1 - report.heights.0 <= 2, "{report:?}");
        assert_eq!(report.txs.0, report.txs.1, "{report:?}");
    }
}

#[test]
fn a_partition_halts_the_smaller_part_only_and_heals() {
    let mut plan = Plan::quiet(7, 60, 15_000);
    plan.events = vec![
        (3_000, Event::Partition(vec![vec![0, 1, 2, 3, 4], vec![5, 6]])),
        (7_000, Event::Heal),
    ];
    let report = run(plan);
    assert!(report.heights.1 - report.heights.0 <= 2, "{report:?}");
    assert_eq!(report.txs.0, report.txs.1, "{report:?}");
}

#[test]
fn a_key_without_its_guard_follows_before_it_signs_again() {
    for seed in 70..76 {
        let mut plan = Plan::quiet(4, seed, 20_000);
        plan.events = vec![
            (3_000 + seed * 9, Event::LoseGuardAndStart(0)),
            (9_500 + seed * 7, Event::LoseGuardAndStart(2)),
        ];
        let report = run(plan);
        assert!(report.heights.1 - report.heights.0 <= 2, "{report:?}");
        assert_eq!(report.txs.0, report.txs.1, "{report:?}");
    }
}

/// Half of the set without guards: it may halt, since nobody knows what was signed, but no key contradicts
/// itself. (A rule that ended the listening whenever nobody is ahead did, here.)
#[test]
fn keys_without_guards_halt_rather_than_contradict_themselves() {
    for seed in 70..74 {
        let mut plan = Plan::quiet(4, seed, 15_000);
        let at = |n: u16| 3_000 + u64::from(n) * 1_507 + seed * 9;
        plan.events = (0..4).map(|n| (at(n), Event::LoseGuardAndStart(n))).collect();
        run(plan);
    }
}

/// Anything that may go wrong, at random: see `Plan::random`.
fn random(first: u64, count: u64) {
    let summary = campaign(first..=first + count - 1, Plan::random, 1, |_| ());
    println!("{}", summary.text());
    assert!(summary.failures.is_empty(), "{}", summary.text());
    assert!(summary.followed > 0, "no node ever followed a value that it had withheld (I-28)");
    assert!(summary.crashes.1 > 0 && summary.late > 0, "nothing went wrong: {}", summary.text());
}

#[test]
fn fixed_random_plans_hold_every_invariant() {
    random(1, FIXED);
}

/// L1 takes back what was final, for one node, for some or for all: nothing splits, nobody is to blame, and the set goes
/// on once all see one L1.
#[test]
fn a_reorganised_l1_delays_and_never_splits() {
    let summary = campaign(1..=40, |seed| Plan::random(seed).with_branches(), 10, |_| ());
    assert!(summary.failures.is_empty(), "{}", summary.text());
    assert!(summary.off_l1 > 40, "{}", summary.text());
}

/// Each of these showed a fault once: of the replica, or of what judges it.
#[test]
fn seeds_that_failed_once_pass() {
    for seed in [180, 224, 233, 289, 313, 345, 365, 566, 20_778_000_009] {
        run(Plan::random(seed));
    }
}

#[expect(clippy::disallowed_methods, reason = "other seeds every day")]
#[test]
fn fresh_random_plans_hold_every_invariant() {
    let day = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
    let given = std::env::var("ROTA_SIM_FRESH").ok().and_then(|v| v.parse().ok());
    let first = given.unwrap_or(day * 1_000_000);
    println!("fresh seeds from {first}; again with ROTA_SIM_FRESH={first}");
    random(first, FRESH);
}

/// One node of four crashes in its n-th sync: before it, within it (some first part of each file is on disk), and
/// after it, before anything that waited for it has left.
#[test]
fn a_crash_at_any_boundary_of_a_sync_is_survived() {
    for sync in (0..150u64).step_by(3) {
        let within = Phase::Within(sync.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for phase in [Phase::Written, within, Phase::Synced] {
            let node = u16::try_from(sync / 3 % 4).unwrap();
            let plan = Plan::crash_in_sync(100 + sync, node, sync, phase);
            World::run(plan)
                .unwrap_or_else(|v| panic!("sync {sync} of node {node}, {phase:?}: {v}"));
        }
    }
}

#[test]
fn everyone_may_lose_power_in_a_round_above_0() {
    for (n, seed) in [(4, 200), (4, 201), (7, 202), (4, 203), (10, 204)] {
        for unsynced in [Unsynced::Kept, Unsynced::Lost, Unsynced::Prefix(0x1234_5678_9abc * seed)]
        {
            let report = run(Plan::all_at_once_in_a_round(n, seed, unsynced));
            assert!(report.stats.crashes.0 >= n, "{report:?}");
        }
    }
}

/// Nobody who could ack more than the others holds the rest up (`Plan::one_has_acked_more`).
#[test]
fn a_lone_ack_does_not_stop_a_round() {
    for seed in 210..214 {
        run(Plan::one_has_acked_more(seed));
    }
}

/// I-14: after the silence of one propose timeout the next leader goes on, with one round change.
#[test]
fn a_dead_leader_costs_one_propose_timeout() {
    for (n, seed) in [(4, 220), (4, 221), (7, 222), (10, 223)] {
        let mut plan = Plan::quiet(n, seed, 10_000);
        plan.events = vec![(3_000 + seed * 41 % 1_400, Event::KillLeader)];
        let propose_ms = 200;
        // Two votes, a report, a TermInit and a frame, 7 ms each on these links, and syncs.
        let hops_ms = 5 * 7 + 15;
        let report = run(plan);
        let gaps = &report.stats.gaps_ms;
        assert!(gaps.len() == 1 && gaps[0] <= propose_ms + hops_ms, "{report:?}");
        assert_eq!(report.top_round, 1, "{report:?}");
    }
}

/// A guard from an old backup: the replica stops or follows, and whatever its key does, nobody else suffers.
#[test]
fn a_disk_from_an_old_backup_harms_nobody_else() {
    for seed in 230..236 {
        let mut plan = Plan::quiet(4, seed, 14_000);
        plan.events = vec![
            (2_000 + seed * 13 % 700, Event::Snapshot(1)),
            (2_900 + seed * 31 % 2_000, Event::RollBackAndStart(1)),
        ];
        plan.calm_ms = Some(6_000);
        run(plan);
    }
}
