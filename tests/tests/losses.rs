//! Frames that died with their leader, in simulated sets, before the real contract: refunded if a later term replaced them,
//! never if they became part of the log (I-46).

use rota_tests::sim::{Event, Plan, World, campaign};

/// Leaders that are cut off in the middle of their windows, on links that lose messages.
fn cut_off(seed: u64) -> Plan {
    let mut plan = Plan::quiet(4, seed, 9_000);
    plan.link.loss_permille = 30;
    plan.link.jitter_us = 20_000;
    plan.events = vec![
        (2_000 + seed % 7 * 31, Event::KillLeader),
        (3_500, Event::StartAll),
        (5_000 + seed % 11 * 23, Event::KillLeader),
        (6_500, Event::StartAll),
    ];
    plan
}

#[test]
fn lost_frames_are_refunded_and_those_of_the_log_never() {
    let summary = campaign(1..=24, cut_off, 0, |_| ());
    assert!(summary.failures.is_empty(), "{}", summary.text());
    println!("{}", summary.text());
    let [refunded, _, canonical] = summary.claimed;
    assert!(refunded >= 10 && canonical >= 24, "{}", summary.text());
}

#[test]
fn liars_bring_no_refund_for_what_is_their_own_doing() {
    let summary = campaign(1..=40, Plan::adversarial, 0, |_| ());
    assert!(summary.failures.is_empty(), "{}", summary.text());
    println!("{}", summary.text());
    let [_, not_lost, canonical] = summary.claimed;
    assert!(not_lost >= 1 && canonical >= 8, "{}", summary.text());
}

#[test]
fn nothing_is_lost_in_a_quiet_set() {
    let report = World::run(Plan::quiet(4, 5, 6_000)).unwrap_or_else(|v| panic!("{v}"));
    assert_eq!(report.evidence.claimed.refunded, 0);
}
