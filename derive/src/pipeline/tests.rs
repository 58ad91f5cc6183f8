//! The same blocks, however the heights were posted.
#![expect(clippy::arithmetic_side_effects, reason = "a test may overflow and panic")]

mod deposits;
mod fallback;
mod fixture;
mod forced;

use super::*;
use crate::spans;
use fixture::{Chain, Expected, GENESIS_S, L1_START, PARAMS, Plan, chain, tx};
use proptest::prelude::*;
use rota_types::Encode;

fn plain(b: &DerivedBlock) -> Expected {
    let txs = b.txs.iter().map(|t| t.raw.clone()).collect();
    (b.timestamp_s, b.extra_data, txs, b.env.gas_limit, b.first_height, b.last_height)
}

fn derived(outcome: Outcome) -> Derived {
    match outcome {
        Outcome::Derived(d) => d,
        Outcome::Skipped(s) => panic!("skipped: {s}"),
    }
}

fn skipped(p: &mut Pipeline, batch: &AcceptedBatch) -> Skip {
    let before = p.state.head.clone();
    match p.accept(batch).unwrap() {
        Outcome::Skipped(s) => {
            assert_eq!(p.state.head, before, "a skipped batch changes nothing");
            s
        }
        Outcome::Derived(_) => panic!("not skipped"),
    }
}

fn plan() -> impl Strategy<Value = Vec<Plan>> {
    let height = (0u64..3, 0u64..2, prop::collection::vec(any::<u8>(), 0..3));
    prop::collection::vec(height, 2..14)
}

/// What somebody posts: how far, from how far back, and what is wrong with it.
fn posts() -> impl Strategy<Value = Vec<(u64, u64, u8, usize)>> {
    prop::collection::vec((1u64..5, 0u64..3, 0u8..8, any::<usize>()), 1..14)
}

/// Turns one post into a batch on top of `head`; most kinds are useless.
fn post(c: &Chain, head: u64, l1: u64, p: (u64, u64, u8, usize)) -> AcceptedBatch {
    let (ahead, back, kind, at) = p;
    let last = u64::try_from(c.heights.len()).unwrap();
    let to = (head + ahead).min(last);
    let from = (head + 1).saturating_sub(back).clamp(1, to);
    let mut b = c.batch(from, to, l1);
    match kind {
        0 => b.data = Bytes::from_static(b"\x01garbage"),
        1 => {
            let mut data = b.data.to_vec();
            let at = at % data.len();
            data[at] ^= 0x10;
            b.data = data.into();
        }
        2 => b.certificate = Some(c.certify(to, b.epoch, b.value_id, 2)),
        3 => b.from_height = b.from_height.saturating_add(1),
        4 => b.value_id = B256::repeat_byte(9),
        _ => {}
    }
    b
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_way_of_posting_gives_the_same_blocks(plan in plan(), posts in posts()) {
        let c = chain(&plan);
        let last = u64::try_from(c.heights.len()).unwrap();
        let mut p = c.pipeline();
        let (mut heights, mut blocks, mut l1) = (Vec::new(), Vec::new(), L1_START);
        let end = std::iter::once((last, 0, 7, 0));
        for item in posts.into_iter().chain(end) {
            l1 += 1;
            let batch = post(&c, p.head().height, l1, item);
            match p.accept(&batch).unwrap() {
                Outcome::Derived(d) => { heights.extend(d.heights); blocks.extend(d.blocks); }
                Outcome::Skipped(s) => prop_assert!(!s.is_alarming(), "{}", s),
            }
        }
        prop_assert_eq!(&heights, &c.heights);
        blocks.extend(p.open_block());
        prop_assert_eq!(blocks.iter().map(plain).collect::<Vec<_>>(), c.blocks());
        for (number, b) in (1u64..).zip(&blocks) {
            prop_assert_eq!(b.number, number);
            let all: usize = (b.first_height..=b.last_height).map(|h| c.at(h).txs.len()).sum();
            prop_assert_eq!(b.txs.len() + b.invalid, all);
        }
        // The sequencer groups its decided heights with the same code.
        let decided = c.heights.iter().map(|h| (&h.header, h.value_id));
        let (mut complete, open) =
            spans(Grouping::new(0, GENESIS_S, 0), decided).unwrap();
        complete.extend(open);
        let of = |b: &DerivedBlock| Span {
            number: b.number, env: b.env.clone(), first_height: b.first_height,
            last_height: b.last_height, last_id: b.extra_data, previous_origin: b.previous_origin,
        };
        prop_assert_eq!(complete, blocks.iter().map(of).collect::<Vec<_>>());
    }

    #[test]
    fn a_reorg_of_l1_undoes_exactly_what_came_after(plan in plan(), back in 0u64..14) {
        let c = chain(&plan);
        let last = u64::try_from(c.heights.len()).unwrap();
        let mut p = c.pipeline();
        let mut states = vec![(L1_START, p.head().clone(), p.open_block())];
        for h in 1..=last {
            derived(p.accept(&c.batch(h, h, L1_START + 2 * h)).unwrap());
            states.push((L1_START + 2 * h, p.head().clone(), p.open_block()));
        }
        // Odd numbers are L1 blocks without a batch.
        let to = L1_START + 2 * last + 1 - back.min(2 * last + 1);
        let (_, head, open) = states.iter().rev().find(|s| s.0 <= to).unwrap();
        prop_assert_eq!(p.rollback(to).unwrap(), head);
        prop_assert_eq!(&p.open_block(), open);
        let redo = p.head().height + 1;
        if redo <= last {
            let mut again = c.batch(redo, last, to + 1);
            again.l1.hash = B256::repeat_byte(0xee);
            derived(p.accept(&again).unwrap());
        }
        prop_assert_eq!(p.head().value_id, c.at(last).value_id);
    }

    #[test]
    fn a_restart_at_the_last_complete_block_goes_on_alike(plan in plan(), cut in 1usize..13) {
        let c = chain(&plan);
        let last = u64::try_from(c.heights.len()).unwrap();
        let cut = u64::try_from(cut).unwrap().min(last);
        let batches = [c.batch(1, cut, 60), c.batch(1, last, 61)];
        let mut p = c.pipeline();
        let Some(resume) = derived(p.accept(&batches[0]).unwrap()).resume else { return Ok(()) };
        let stored = Start::decode(&resume.encode()).unwrap();
        prop_assert_eq!(&stored, &resume);
        let mut restarted = Pipeline::new(c.domain.clone(), PARAMS, stored);
        (0..20).for_each(|e| restarted.insert_set(c.set(e)));
        let _ = restarted.accept(&batches[0]).unwrap();
        prop_assert_eq!(restarted.open_block(), p.open_block());
        let (a, b) = (restarted.accept(&batches[1]).unwrap(), p.accept(&batches[1]).unwrap());
        prop_assert_eq!(a, b);
    }
}

fn flat(n: usize) -> Chain {
    chain(&vec![(1, 0, vec![1]); n])
}

#[test]
fn every_reason_to_skip_is_told() {
    let c = flat(6);
    let mut p = c.pipeline();
    derived(p.accept(&c.batch(1, 2, 60)).unwrap());
    let good = c.batch(3, 4, 61);
    let bad = |f: &dyn Fn(&mut AcceptedBatch)| {
        let mut b = good.clone();
        f(&mut b);
        b
    };
    assert_eq!(skipped(&mut p, &c.batch(1, 2, 61)), Skip::Stale { to: 2, head: 2 });
    assert_eq!(skipped(&mut p, &c.batch(4, 5, 61)), Skip::Gap { from: 4, head: 2 });
    let garbage = bad(&|b| b.data = Bytes::from_static(b"\x01nothing"));
    assert!(matches!(skipped(&mut p, &garbage), Skip::Garbage(_)));
    let other = bad(&|b| b.data = c.batch(3, 5, 61).data);
    assert_eq!(skipped(&mut p, &other), Skip::Range { from: 3, to: 4 });
    let backwards = bad(&|b| b.from_height = 5);
    assert_eq!(skipped(&mut p, &backwards), Skip::Range { from: 5, to: 4 });
    let for_other = bad(&|b| b.certificate = Some(c.certify(3, 0, c.at(3).value_id, 3)));
    assert_eq!(skipped(&mut p, &for_other), Skip::OtherCertificate);
    p.insert_set(c.set(1));
    let other_epoch = bad(&|b| {
        b.epoch = 1;
        b.certificate = Some(c.certify(4, 1, b.value_id, 3));
    });
    assert_eq!(skipped(&mut p, &other_epoch), Skip::OtherCertificate);
    let weak = bad(&|b| b.certificate = Some(c.certify(4, 0, b.value_id, 2)));
    assert!(matches!(skipped(&mut p, &weak), Skip::Certificate(_)));
    let no_header = bad(&|b| b.header = c.at(3).header.encode().into());
    assert_eq!(skipped(&mut p, &no_header), Skip::Header);
    // Real heights, but with a transaction more.
    let mut data = Batch::decompress(&good.data).unwrap();
    data.heights[0].txs.push(tx(3));
    let tampered = bad(&|b| b.data = data.compress().unwrap().into());
    assert!(matches!(skipped(&mut p, &tampered), Skip::Tampered { .. }));
    assert_eq!(derived(p.accept(&good).unwrap()).heights.len(), 2);
}

#[test]
fn certified_heights_that_break_a_rule_stop_the_chain_and_say_so() {
    let broken = |f: &dyn Fn(&mut Header)| {
        let mut c = flat(2);
        f(&mut c.heights[1].header);
        c.heights[1].value_id = c.heights[1].header.value_id(&c.domain);
        let skip = skipped(&mut c.pipeline(), &c.batch(1, 2, 60));
        assert!(skip.is_alarming());
        match skip {
            Skip::Fault(fault) => fault,
            other => panic!("{other}"),
        }
    };
    assert!(matches!(broken(&|h| h.env.timestamp_s -= 5), Fault::Time { height: 2, .. }));
    assert!(matches!(broken(&|h| h.env.l1_number -= 2), Fault::Origin { height: 2, .. }));
    assert!(matches!(broken(&|h| h.env.l1_number += 8), Fault::Step { height: 2, parent: 2, .. }));
    assert!(matches!(broken(&|h| h.env.l1_number = 60), Fault::Ahead { height: 2, .. }));
    assert!(matches!(
        broken(&|h| h.close.generation = 1),
        Fault::Generation { got: 1, want: 0, .. }
    ));
    let mut first = flat(1);
    first.heights[0].header.env.timestamp_s = GENESIS_S;
    first.heights[0].value_id = first.heights[0].header.value_id(&first.domain);
    assert_eq!(
        skipped(&mut first.pipeline(), &first.batch(1, 1, 60)),
        Skip::Fault(Fault::Sealed { height: 1, second: GENESIS_S })
    );
}

#[test]
fn a_second_certificate_for_a_derived_height_is_a_contradiction() {
    let c = flat(3);
    let mut p = c.pipeline();
    derived(p.accept(&c.batch(1, 3, 60)).unwrap());
    let mut other = c.batch(3, 3, 61);
    other.value_id = B256::repeat_byte(7);
    other.certificate = Some(c.certify(3, 0, other.value_id, 2));
    assert!(matches!(skipped(&mut p, &other), Skip::Stale { .. }), "no quorum, no contradiction");
    other.certificate = Some(c.certify(3, 0, other.value_id, 3));
    let skip = skipped(&mut p, &other);
    assert!(skip.is_alarming(), "{skip}");
    assert!(matches!(skip, Skip::Conflict { height: 3, .. }));
}

#[test]
fn what_the_caller_must_put_right_is_an_error_and_changes_nothing() {
    let c = flat(4);
    let mut p = Pipeline::new(c.domain.clone(), PARAMS, fixture::start());
    assert_eq!(p.accept(&c.batch(1, 1, 60)), Err(DeriveError::NeedSet(0)));
    p.insert_set(c.set(0));
    derived(p.accept(&c.batch(1, 1, 60)).unwrap());
    let early = p.accept(&c.batch(2, 2, 59));
    assert_eq!(early, Err(DeriveError::Order { got: 59, seen: 60 }));
    let mut moved = c.batch(2, 2, 60);
    moved.l1.hash = B256::ZERO;
    assert!(matches!(p.accept(&moved), Err(DeriveError::Reorg { number: 60, .. })));
    p.rollback(59).unwrap();
    assert_eq!(p.head().height, 0);
    derived(p.accept(&c.batch(1, 2, 60)).unwrap());
    derived(p.accept(&c.batch(3, 3, 70)).unwrap());
    p.finalize(65);
    assert_eq!(p.rollback(64), Err(DeriveError::TooDeep { to: 64, oldest: 65 }));
    assert_eq!(p.rollback(65).unwrap().height, 2);
}

#[test]
fn checkpoints_and_sets_are_bounded() {
    let n = MAX_CHECKPOINTS + 10;
    let c = flat(n);
    let mut p = c.pipeline();
    for h in 1..=u64::try_from(n).unwrap() {
        derived(p.accept(&c.batch(h, h, L1_START + h)).unwrap());
    }
    assert_eq!(p.checkpoints.len(), MAX_CHECKPOINTS);
    assert_eq!(p.oldest_rollback(), L1_START + 10);
    assert_eq!(p.rollback(L1_START + 10).unwrap().height, 10);
    for epoch in (0..200).rev() {
        p.insert_set(c.set(epoch));
    }
    assert_eq!(p.sets.len(), MAX_SETS);
    assert!(p.sets.contains_key(&0), "the next epoch needed is kept");
}

#[test]
fn a_seal_completes_a_block_at_once_and_forbids_its_second() {
    let c = chain(&[(0, 0, vec![]), (0, 0, vec![]), (1, 0, vec![])]);
    let mut g = Grouping::new(0, GENESIS_S, L1_START);
    let push = |g: &mut Grouping, h| g.push(&c.at(h).header, c.at(h).value_id);
    assert_eq!(push(&mut g, 1), Ok(None));
    let sealed = g.seal().unwrap();
    assert_eq!((sealed.number, sealed.last_height, sealed.last_id), (1, 1, c.at(1).value_id));
    assert_eq!(g.seal(), None);
    assert!(matches!(push(&mut g, 2), Err(Fault::Sealed { height: 2, .. })));
    assert_eq!(push(&mut g, 3), Ok(None));
    assert_eq!(g.open().map(|s| (s.number, s.first_height)), Some((2, 3)));
}
