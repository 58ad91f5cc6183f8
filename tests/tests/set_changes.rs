//! Sets that change while the network runs (`make simulation`): every node changes at the same height, nothing acked is
//! lost, and no height is of two sets (I-16). What is judged after every step is in `sim::check`, `names.rs`.

use rota_tests::sim::{Plan, Report, World, campaign};

/// Random changes with something going wrong around them.
const CHANGES: u64 = 60;

fn run(plan: Plan) -> Report {
    let first = World::run(plan.clone()).unwrap_or_else(|v| panic!("seed {}: {v}", plan.seed));
    let again = World::run(plan.clone()).unwrap_or_else(|v| panic!("seed {}: {v}", plan.seed));
    assert_eq!(first, again, "seed {} is not deterministic", plan.seed);
    assert!(first.derived as u64 >= first.heights.0, "{first:?}");
    first
}

#[test]
fn members_join_and_leave_without_a_gap() {
    for seed in [300, 301] {
        let report = run(Plan::growing(seed));
        assert_eq!((report.epoch, report.top_round, report.rewinds), (4, 0, 0), "{report:?}");
        assert_eq!(report.txs.0, report.txs.1, "{report:?}");
        assert!(report.heights.1 - report.heights.0 <= 2, "who left follows on: {report:?}");
        assert!(report.longest_gap_ms < 400, "{report:?}");
    }
}

#[test]
fn a_whole_set_changes_its_keys_at_once() {
    for seed in [310, 311] {
        let report = run(Plan::rotating(seed));
        assert_eq!((report.epoch, report.top_round), (2, 0), "{report:?}");
        assert_eq!(report.txs.0, report.txs.1, "{report:?}");
    }
}

#[test]
fn who_was_down_over_three_sets_or_never_there_catches_up() {
    for seed in [320, 321] {
        let report = run(Plan::far_behind(seed));
        assert_eq!(report.epoch, 4, "{report:?}");
        assert!(report.heights.1 - report.heights.0 <= 2, "{report:?}");
        assert_eq!(report.txs.0, report.txs.1, "{report:?}");
    }
}

#[test]
fn a_set_changes_whatever_goes_wrong_just_then() {
    let summary = campaign(1..=CHANGES, Plan::set_change, 1, |_| ());
    println!("{}", summary.text());
    assert!(summary.failures.is_empty(), "{}", summary.text());
    assert!(summary.epochs > CHANGES && summary.late > 0, "{}", summary.text());
}
