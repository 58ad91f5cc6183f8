//! What the model showed to matter, on the real objects: a verdict on a report does not depend on what was
//! judged before it (I-12), and acks of different rounds are not one quorum (I-2).

use super::select::Forest;
use alloy_primitives::B256;
use rota_preconf::{AckTally, Archive, InitView, Unjustified};
use rota_tests::{make, model};
use rota_types::{Ack, SignedAck, Status};

/// Reports with the same tip but another position, and others that rest on nothing.
fn variants(good: &Status) -> Vec<Status> {
    let up = Status { best_g: good.best_g + 1, ..good.clone() };
    let resting = Status { best_ref: B256::repeat_byte(9), ..good.clone() };
    let late = Status { best_round: 4, ..good.clone() };
    vec![good.clone(), up, resting, late]
}

#[test]
fn a_verdict_does_not_depend_on_what_was_judged_before() {
    let mut dice = model::Dice::new(5);
    let mut good_ones = 0;
    for _ in 0..60 {
        let forest = Forest::grow(&mut dice);
        let pool = Forest::pool(forest.frames.iter());
        let view = InitView { chain: &forest.chains[0], pool: &pool, rules: &forest.rules };
        let tip = dice.below(forest.chains.len()) as u8;
        let report = forest.report(0, 0, tip).status;
        let all = variants(&report);
        let alone: Vec<Result<(), bool>> =
            all.iter().map(|s| verdict(&mut Archive::default(), s, &view)).collect();
        good_ones += usize::from(alone[0].is_ok());
        for _ in 0..6 {
            let mut archive = Archive::default();
            let mut order: Vec<usize> = (0..all.len()).collect();
            super::select::shuffle(&mut order, &mut dice);
            for i in order {
                assert_eq!(verdict(&mut archive, &all[i], &view), alone[i], "{:?}", all[i]);
            }
        }
    }
    assert!(good_ones >= 10, "only {good_ones} of 60 reports were good");
}

/// Good, or whether it may still become good.
fn verdict(archive: &mut Archive, report: &Status, view: &InitView<'_>) -> Result<(), bool> {
    archive.judge(report, view).map_err(|why| matches!(why, Unjustified::Missing(_)))
}

#[test]
fn acks_of_different_rounds_are_not_added_up() {
    let mut dice = model::Dice::new(6);
    let forest = std::iter::repeat_with(|| Forest::grow(&mut dice))
        .find(|f| f.stakes.len() == 4 && f.chains.iter().any(|c| c.tip().g == 2))
        .unwrap();
    let set = make::set(&[1; 4]);
    let chain = forest.chains.iter().find(|c| c.tip().g == 2).unwrap();
    let ack = |signer, round, g| {
        let frame_hash = chain.at(g).unwrap().hash;
        let (epoch, height, init_hash) = (0, 1, B256::repeat_byte(round as u8));
        let ack = Ack { epoch, height, round, signer, g, frame_hash, init_hash };
        SignedAck::sign(ack, &make::keys(signer).0, &forest.rules.domain)
    };
    let acked = |acks: &[SignedAck]| {
        let mut tally = AckTally::default();
        for signed in acks {
            tally.add(signed);
        }
        tally.acked(chain, &set, &forest.rules).map(|(g, _)| g)
    };
    // No leader signed twice, and one liar is enough to lose frame 1 (`make model RULES=mixed-rounds`).
    assert_eq!(acked(&[ack(0, 0, 1), ack(1, 2, 1), ack(2, 2, 1)]), None);
    // Acks are cumulative, and those of a lower round still count after one of a higher round.
    assert_eq!(acked(&[ack(0, 0, 2), ack(1, 0, 1), ack(2, 0, 1)]), Some(1));
    assert_eq!(acked(&[ack(0, 0, 2), ack(1, 0, 1), ack(1, 2, 1), ack(2, 0, 1)]), Some(1));
}
