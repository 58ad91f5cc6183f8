//! Round changes as the network sees them: real frames, reports and openings, in any order of arrival.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "test code"
)]

mod cast;

use alloy_primitives::B256;
use cast::Cast;
use proptest::prelude::*;
use rota_preconf::{
    AckTally, AckVerdict, Archive, BadInit, Choice, FramePool, Need, Select, Unjustified, select,
};
use rota_types::{Ack, Justification, SignedAck, SignedStatus};
use std::sync::Arc;

fn carry_of(cast: &Cast, pool: &FramePool, reports: &[SignedStatus]) -> (u64, B256, bool) {
    match select(reports, &cast.chain, pool, &cast.set) {
        Select::Carry { g, hash, closed } => (g, hash, closed),
        Select::Missing(hash) => panic!("{hash} is missing"),
    }
}

#[test]
fn a_report_of_round_0_rests_on_frames_that_keep_the_rules() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let (frames, pool) = cast.history(4, 0);
    let mut archive = Archive::default();
    let tip = &frames[3];
    let report = |f: &dyn Fn(&mut rota_types::Status)| {
        let mut status = cast.status(2, 1, (0, tip.g(), tip.hash, B256::ZERO));
        f(&mut status);
        status
    };
    let mut judge = |s: &rota_types::Status| archive.judge(s, &cast.view(&pool));
    assert_eq!(judge(&report(&|_| {})), Ok(()));
    let unknown = B256::repeat_byte(9);
    let missing = Unjustified::Missing(Need::Frame(unknown));
    assert_eq!(judge(&report(&|s| s.best_hash = unknown)), Err(missing));
    let never =
        |v: Result<(), Unjustified>| assert!(matches!(v, Err(Unjustified::Never(_))), "{v:?}");
    never(judge(&report(&|s| s.best_round = 1)));
    never(judge(&report(&|s| s.best_round = -1)));
    let claimed = report(&|s| s.best_ref = unknown);
    never(judge(&claimed));
    // The same tip under another number is another report, and a wrong one.
    let mut fresh = Archive::default();
    never(fresh.judge(&report(&|s| s.best_g += 1), &cast.view(&pool)));
}

#[test]
fn frames_that_break_the_rules_justify_nothing() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let (frames, mut pool) = cast.history(2, 0);
    // The leader of another round signs a frame of the active stream.
    let stray = Arc::new(cast.stray(&frames[1], 1));
    pool.insert(Arc::clone(&stray));
    let status = cast.status(2, 1, (0, stray.g(), stray.hash, B256::ZERO));
    let verdict = Archive::default().judge(&status, &cast.view(&pool));
    assert!(matches!(verdict, Err(Unjustified::Never(_))), "{verdict:?}");
}

#[test]
fn a_report_of_a_later_round_needs_what_it_rests_on() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let (frames, pool) = cast.history(3, 0);
    let reports: Vec<_> =
        (0..3).map(|i| cast.report(i, 1, 0, &frames[i as usize], B256::ZERO)).collect();
    let carry = carry_of(&cast, &pool, &reports);
    assert_eq!(carry.0, frames[2].g(), "the longest of one branch");
    let init = cast.init(1, carry, &reports);
    let hash = init.init.hash(&cast.rules.domain);
    let mut archive = Archive::default();
    let later = cast.status(0, 2, (1, carry.0, carry.1, hash));
    let missing = Unjustified::Missing(Need::Justification(hash));
    assert_eq!(archive.judge(&later, &cast.view(&pool)), Err(missing));
    // Reports whose signatures were changed on the way are refused and spoil nothing.
    let mut forged = init.clone();
    forged.reports[0].signature[3] ^= 1;
    let refused = archive.insert(Arc::new(Justification::Init(forged)), &cast.view(&pool));
    assert!(matches!(refused, Err(BadInit::Invalid(_))), "{refused:?}");
    archive.insert(Arc::new(Justification::Init(init)), &cast.view(&pool)).unwrap();
    assert_eq!(archive.judge(&later, &cast.view(&pool)), Ok(()));
    // Less than the opening carried was never accepted in that round.
    let less = cast.status(0, 2, (1, frames[1].g(), frames[1].hash, hash));
    let verdict = archive.judge(&less, &cast.view(&pool));
    assert!(matches!(verdict, Err(Unjustified::Never(_))), "{verdict:?}");
}

#[test]
fn an_opening_that_carries_less_or_reports_too_few_is_refused() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let (frames, pool) = cast.history(3, 0);
    let reports: Vec<_> = (0..3).map(|i| cast.report(i, 1, 0, &frames[2], B256::ZERO)).collect();
    let check = |init: &rota_types::SignedTermInit| {
        rota_preconf::check_signatures(init, &cast.view(&pool))?;
        Archive::default().check(init, &cast.view(&pool))
    };
    let good = carry_of(&cast, &pool, &reports);
    assert!(check(&cast.init(1, good, &reports)).is_ok());
    let dropped = (frames[0].g(), frames[0].hash, false);
    assert_eq!(check(&cast.init(1, dropped, &reports)), Err(BadInit::Carry));
    let few = cast.init(1, good, &reports[..2]);
    assert!(matches!(check(&few), Err(BadInit::Invalid(_))));
    let twice = [reports[0].clone(), reports[0].clone(), reports[1].clone()];
    assert!(matches!(check(&cast.init(1, good, &twice)), Err(BadInit::Invalid(_))));
    let other_round: Vec<_> =
        (0..3).map(|i| cast.report(i, 2, 0, &frames[2], B256::ZERO)).collect();
    assert!(matches!(check(&cast.init(1, good, &other_round)), Err(BadInit::Invalid(_))));
}

#[test]
fn a_leader_opens_with_good_reports_and_leaves_the_others_out() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let (frames, pool) = cast.history(3, 0);
    let mut reports: Vec<_> =
        (0..3).map(|i| cast.report(i, 1, 0, &frames[1], B256::ZERO)).collect();
    let unknown = B256::repeat_byte(7);
    reports.push(cast.sign(cast.status(3, 1, (0, frames[2].g() + 5, unknown, B256::ZERO)), 3));
    let Choice::Open { reports: used, carry } =
        Archive::default().choose(&reports, &cast.view(&pool))
    else {
        panic!("three of four are enough")
    };
    assert_eq!((used.len(), carry.0), (3, frames[1].g()));
    let Choice::Wait(missing) = Archive::default().choose(&reports[1..], &cast.view(&pool)) else {
        panic!("two of four are not")
    };
    assert_eq!(missing, vec![(3, Need::Frame(unknown))]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// I-11, I-12: whatever the branches, the stakes and the order in which frames and reports arrive, the
    /// choice is the same, and what one node opens every other accepts.
    #[test]
    fn what_one_node_opens_every_other_accepts_in_any_order(
        stakes in prop::collection::vec(1u64..10, 4..8),
        tips in prop::collection::vec((0usize..2, 0usize..5), 8),
        rotate in 0usize..40,
    ) {
        let cast = Cast::new(&stakes);
        let (branches, frames) = cast.fork(5);
        let reports: Vec<_> = (0..stakes.len())
            .map(|i| {
                let (branch, depth) = tips[i % tips.len()];
                cast.report(i as u16, 1, 0, &branches[branch][depth], B256::ZERO)
            })
            .collect();
        let pool_of = |rotate: usize| {
            let mut pool = FramePool::default();
            let mut order = frames.clone();
            let len = order.len();
            order.rotate_left(rotate % len);
            for frame in order { pool.insert(frame); }
            pool
        };
        let (here, there) = (pool_of(0), pool_of(rotate));
        let mut shuffled = reports.clone();
        let len = shuffled.len();
        shuffled.rotate_left(rotate % len);
        prop_assert_eq!(carry_of(&cast, &here, &reports), carry_of(&cast, &there, &shuffled));
        let Choice::Open { reports: used, carry } =
            Archive::default().choose(&reports, &cast.view(&here)) else { panic!("all are good") };
        let init = cast.init(1, carry, &used);
        rota_preconf::check_signatures(&init, &cast.view(&there)).unwrap();
        prop_assert!(Archive::default().check(&init, &cast.view(&there)).is_ok());
        // A node that lacks frames waits for one of them; it never calls the opening wrong.
        let verdict = Archive::default().check(&init, &cast.view(&FramePool::default()));
        prop_assert!(
            matches!(verdict, Ok(_) | Err(BadInit::Missing { .. })),
            "{:?}", verdict
        );
    }
}

#[test]
fn the_pool_keeps_every_leader_its_share() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let (frames, mut pool) = cast.history(3, 0);
    for i in 0..5_000u64 {
        pool.insert(Arc::new(cast.far(3, 1_000 + i)));
    }
    assert!(pool.len() <= 3 + 4_096);
    assert!(frames.iter().all(|f| pool.get(&f.hash).is_some()), "another leader's flood");
    // Its own flood does not push out what was accepted of it either.
    frames.iter().for_each(|f| pool.pin(f.hash));
    let leader = cast.leader(0);
    for i in 0..5_000u64 {
        pool.insert(Arc::new(cast.far(leader, 1 + i % 2)));
        pool.insert(Arc::new(cast.far(leader, 2_000 + i)));
    }
    assert!(frames.iter().all(|f| pool.get(&f.hash).is_some()), "its own flood");
    pool.prune(u64::MAX);
    assert!(pool.is_empty());
}

#[test]
fn two_frames_for_one_place_are_a_pair() {
    let cast = Cast::new(&[1, 1, 1, 1]);
    let (branches, _) = cast.fork(2);
    let mut pool = FramePool::default();
    assert!(pool.insert(Arc::clone(&branches[0][1])).is_none());
    assert!(pool.insert(Arc::clone(&branches[0][1])).is_none(), "the same is no pair");
    let other = pool.insert(Arc::clone(&branches[1][1])).unwrap();
    assert_eq!(other.hash, branches[0][1].hash);
}

#[test]
fn acks_count_by_stake_once_and_a_flood_pushes_out_nobody() {
    let cast = Cast::new(&[4, 3, 2, 1]);
    let (frames, _) = cast.history(3, 0);
    let mut chain = cast.chain.clone();
    for frame in &frames {
        chain.append(frame, &cast.rules).unwrap();
    }
    let ack = |signer: u16, g: u64, frame_hash: B256| {
        let ack =
            Ack { epoch: 0, height: 1, round: 0, signer, g, frame_hash, init_hash: B256::ZERO };
        SignedAck::sign(ack, &cast.keys[usize::from(signer)].0, &cast.rules.domain)
    };
    let mut tally = AckTally::default();
    for g in 0..2_000 {
        tally.add(&ack(3, 10 + g, B256::repeat_byte(3)));
    }
    assert_eq!(tally.add(&ack(0, 2, frames[1].hash)), AckVerdict::Counted);
    assert_eq!(tally.add(&ack(0, 2, frames[1].hash)), AckVerdict::Old);
    assert_eq!(tally.acked(&chain, &cast.set, &cast.rules), None, "4 of 10");
    tally.add(&ack(1, 3, frames[2].hash));
    let weight = |n: u64| n * 1_000_000_000;
    assert_eq!(tally.acked(&chain, &cast.set, &cast.rules), Some((2, weight(7))), "7 of 10");
    assert!(tally.certificate(1, &chain, &cast.set).is_none(), "no position has enough by itself");
    tally.add(&ack(0, 3, frames[2].hash));
    let certificate = tally.certificate(1, &chain, &cast.set).unwrap();
    assert_eq!((certificate.g, certificate.signers.count()), (3, 2));
    assert_eq!(tally.add(&ack(0, 3, B256::repeat_byte(1))), AckVerdict::Conflict);
}
