//! Each rule that acked prefixes rest on, switched off: the simulation must notice (`make mutations`).
//!
//! Not for: showing that the rules hold; that is `simulation.rs`. Invariant: a plan counts as catching a mutation
//! only if the same plan passes with all rules in force.
#![cfg(feature = "mutations")]

use rota_preconf::Mutation;
use rota_tests::sim::{Behaviour, Plan, attempt};

/// Tries plans until one fails with the rule off and passes with it on.
fn caught(mutation: Mutation, seeds: u64, plan: impl Fn(u64) -> Plan) -> (u64, String) {
    (1..=seeds)
        .find_map(|seed| {
            let off = Plan { mutation: Some(mutation), ..plan(seed) };
            let why = attempt(off).err()?;
            attempt(plan(seed)).ok()?;
            Some((seed, why))
        })
        .unwrap_or_else(|| panic!("{mutation:?} is not noticed in {seeds} plans"))
}

fn random(mutation: Mutation, seeds: u64, invariants: &[&str]) {
    expect(caught(mutation, seeds, Plan::random), mutation, invariants);
}

fn expect((seed, why): (u64, String), mutation: Mutation, invariants: &[&str]) {
    println!("{mutation:?}: plan {seed}: {why:.200}");
    assert!(
        invariants.iter().any(|name| why.starts_with(name)),
        "{mutation:?}: plan {seed}: {why}"
    );
}

#[test]
fn acks_against_an_own_prevote_are_noticed() {
    random(Mutation::AckAgainstPrevote, 100, &["I-6", "I-2"]);
}

#[test]
fn speculative_acks_above_round_0_are_noticed() {
    random(Mutation::SpeculativeAck, 150, &["I-6", "I-2"]);
}

#[test]
fn carrying_any_report_is_noticed() {
    random(Mutation::AnyReport, 100, &["I-11", "I-27", "I-2"]);
}

#[test]
fn unjustified_carries_are_noticed() {
    random(Mutation::Unjustified, 100, &["I-11", "I-27", "I-2"]);
}

#[test]
fn a_status_that_forgets_is_noticed() {
    random(Mutation::ForgetfulStatus, 100, &["I-6", "I-2"]);
}

#[test]
fn a_third_that_counts_as_a_quorum_is_noticed() {
    random(Mutation::AckThird, 100, &["I-2"]);
}

#[test]
fn a_set_that_stays_in_force_too_long_is_noticed() {
    expect(caught(Mutation::OldSet, 4, Plan::growing), Mutation::OldSet, &["I-16"]);
    // One node alone: it refuses what the others decide, and says so of correct ones.
    let alone = |seed| Plan { mutant: Some(1), ..Plan::growing(seed) };
    expect(caught(Mutation::OldSet, 4, alone), Mutation::OldSet, &["I-12", "I-16"]);
}

#[test]
fn who_leads_from_the_jail_is_noticed() {
    let forks = |seed| {
        let byzantine = vec![(2, Behaviour::ForkFrames)];
        Plan { byzantine, ..Plan::quiet(4, seed, 14_000) }
    };
    expect(caught(Mutation::JailedLead, 4, forks), Mutation::JailedLead, &["I-39"]);
}

/// The set is stuck: who acked more than the others carry refuses what they carry for ever.
#[test]
fn refusing_what_does_not_extend_own_acks_is_noticed() {
    let found = caught(Mutation::RefuseUnlessExtends, 20, Plan::one_has_acked_more);
    expect(found, Mutation::RefuseUnlessExtends, &["I-5"]);
}
