//! The round-change rules under the model explorer (`docs/model.md`), and the model's choice of a branch
//! against the one that nodes compute.
//!
//! A failure prints the command that replays it. `MODEL_SEED` sets the fresh seed, `MODEL_WALKS` the number
//! of walks.

#[path = "model/judge.rs"]
mod judge;
#[path = "model/select.rs"]
mod select;

use rota_tests::model::{Campaign, FaultKind, Mutation, Rules, Tally, Walker};

const FIXED_WALKS: u64 = 200_000;
const FRESH_WALKS: u64 = 500_000;

fn hold(seed: u64, walks: u64) -> Tally {
    let tally = Campaign { rules: Rules::FULL, seed, walks, until_fault: false }.run();
    if let Some((seed, fault)) = &tally.first {
        panic!("{fault:?}\nreplay: make model SEED={seed}\n{tally}");
    }
    tally
}

#[test]
fn nothing_breaks_on_fixed_seeds() {
    let tally = hold(0, FIXED_WALKS);
    // A search that stopped reaching anything would find nothing either.
    let share = |part: u64| part * 100 / tally.walks;
    assert!(share(tally.acked[0]) >= 60 && share(tally.acked[1]) >= 30, "{tally}");
    assert!(share(tally.acked[2]) >= 5 && share(tally.decided[0]) >= 15, "{tally}");
    assert!(share(tally.decided[1]) >= 3 && share(tally.later_polka) >= 15, "{tally}");
    assert!(share(tally.equivocated) >= 30 && tally.reverted[0] >= 100, "{tally}");
    assert!(tally.reverted[1] >= 1 && share(tally.undecided.0) >= 50, "{tally}");
}

#[test]
fn nothing_breaks_on_fresh_seeds() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seed = number("MODEL_SEED").unwrap_or_else(clock);
    println!("MODEL_SEED={seed}");
    hold(seed, number("MODEL_WALKS").unwrap_or(FRESH_WALKS));
}

#[expect(clippy::disallowed_methods, reason = "a fresh seed, which is printed")]
fn clock() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_micros() as u64
}

#[test]
fn every_rule_is_needed() {
    for mutation in Mutation::ALL {
        // Two of them need a rare course of events: the search begins near one.
        let (seed, walks) = match mutation {
            Mutation::MixedRounds => (MIXED_ROUNDS_NEAR, 2_000),
            Mutation::ReproposalAfterInit => (0, 40_000),
            _ => (0, 20_000),
        };
        let rules = Rules::without(mutation);
        let tally = Campaign { rules, seed, walks, until_fault: true }.run();
        let Some((seed, fault)) = &tally.first else { panic!("{rules}: nothing found\n{tally}") };
        let expected: &[FaultKind] = match mutation {
            Mutation::ExtendsAcks => &[FaultKind::Stuck],
            Mutation::SilentReproposal | Mutation::StaleAcks | Mutation::ReproposalAfterInit => {
                &[FaultKind::Slashable]
            }
            _ => &[
                FaultKind::Agreement,
                FaultKind::AckReverted,
                FaultKind::AckDropped,
                FaultKind::Unattributed,
            ],
        };
        assert!(expected.contains(&fault.kind), "{rules}, seed {seed}: {fault:?}");
        assert!(hold_once(*seed), "seed {seed}: the full rules break as well");
    }
}

/// The walk with the first fault under [`Mutation::MixedRounds`] is not far above this seed.
const MIXED_ROUNDS_NEAR: u64 = 195_000;

fn hold_once(seed: u64) -> bool {
    let mut tally = Tally::default();
    Walker::new(Rules::FULL).walk(seed, &mut tally);
    tally.faults == 0
}

#[test]
fn a_walk_is_a_function_of_its_seed() {
    let rules = Rules::without(Mutation::NoReport);
    let mut walker = Walker::new(rules);
    let first = walker.trace(1);
    assert!(first.lines.len() > 10 && first.fault.is_some());
    walker.trace(2);
    assert_eq!(walker.trace(1), first);
    let campaign = Campaign { rules, seed: 7, walks: 3_000, until_fault: false };
    let tally = campaign.run();
    assert!(tally.faults > 0);
    assert_eq!(campaign.run_on(3), tally);
}
