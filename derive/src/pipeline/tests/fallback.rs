//! Fallbacks: any order of reading, and any reorganisation on the way, gives the same blocks, and nothing of an older
//! generation counts (I-25).

use super::{
    fixture::{Chain, PARAMS, chain, l1_ref, start, time_of, tx},
    forced::{brought, entries, l1_origin},
};
use crate::{
    AcceptedBatch, DeriveError, DerivedBlock, DerivedHeight, Fault, Head, Mode, Outcome, Pipeline,
    Skip,
};
use alloy_primitives::{B256, keccak256};
use proptest::prelude::*;
use rota_types::{
    Batch, BatchHeight, Bitmap, CommitCertificate, Domain, Encode, Env, ForcedTx, SignedVote, Vote,
    VoteKind, tx_root,
};

const FIRST: u64 = 60;

/// What one L1 block holds.
#[derive(Debug, Clone)]
enum Event {
    Forced(Vec<ForcedTx>),
    Batch(Box<AcceptedBatch>),
    Fallback(u32),
    Emergency(u32, u64),
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Out {
    heights: Vec<DerivedHeight>,
    blocks: Vec<DerivedBlock>,
    skipped: Vec<Skip>,
}

fn pipeline(c: &Chain) -> Pipeline {
    let mut p = Pipeline::new(c.domain.clone(), PARAMS, start());
    (0..10).for_each(|epoch| p.insert_set(c.set(epoch)));
    p
}

/// As a driver does: what the blocks before give, then the event.
fn give(p: &mut Pipeline, number: u64, event: &Event, out: &mut Out) {
    let passed = p.pass(number - 1);
    out.heights.extend(passed.heights);
    out.blocks.extend(passed.blocks);
    let derived = match event {
        Event::Forced(entries) => {
            p.enqueue(brought(l1_origin(number), entries.clone())).unwrap();
            return;
        }
        Event::Batch(batch) => match p.accept(batch).unwrap() {
            Outcome::Derived(derived) => derived,
            Outcome::Skipped(skip) => return out.skipped.push(skip),
        },
        Event::Fallback(generation) => p.fall_back(*generation, l1_ref(number)).unwrap(),
        Event::Emergency(generation, start) => {
            return p.emergency(*generation, *start, l1_ref(number)).unwrap();
        }
    };
    out.heights.extend(derived.heights);
    out.blocks.extend(derived.blocks);
}

fn domain(c: &Chain, generation: u32) -> Domain {
    let d = &c.domain;
    Domain::new(d.l1_chain_id, d.l2_chain_id, d.registry, d.genesis_hash, generation)
}

/// `count` heights on `head`, posted in an L1 block: each `step` L1 blocks and `seconds` further.
fn batch(
    c: &Chain,
    (head, generation): (&Head, u32),
    (number, certified): (u64, bool),
    (count, step, seconds): (u64, u64, u64),
) -> AcceptedBatch {
    let d = domain(c, generation);
    let model = c.at(1).header.clone();
    let (mut parent, mut history, mut heights) = (head.value_id, head.history.clone(), Vec::new());
    let (mut l1, mut second, mut g) = (head.l1_number, head.timestamp_s, head.last_g);
    for height in head.height + 1..=head.height + count {
        (l1, second, g) = ((l1 + step).min(number - 1), second + seconds, g + 1);
        let txs = vec![tx(u8::try_from(height % 100).unwrap())];
        let (l1_hash, prev_randao) = match l1 == head.l1_number {
            true => head.l1,
            false => (l1_ref(l1).hash, B256::ZERO),
        };
        let mut header = model.clone();
        header.env = Env {
            timestamp_s: second,
            l1_number: l1,
            l1_hash,
            gas_limit: PARAMS.gas_limit,
            prev_randao,
            fee_vault: PARAMS.fee_vault,
        };
        (header.close.generation, header.close.epoch) = (generation, head.epoch);
        (header.close.height, header.close.parent_id) = (height, parent);
        header.close.history_root = history.root();
        (header.first_g, header.last_g) = (g, g);
        header.txs_root = tx_root(&[keccak256(&txs[0])], &[]);
        parent = header.value_id(&d);
        history.push(parent);
        heights.push(BatchHeight { header, txs });
    }
    let last = heights[heights.len() - 1].header.clone();
    let to = last.height();
    AcceptedBatch {
        from_height: head.height + 1,
        to_height: to,
        value_id: parent,
        epoch: head.epoch,
        certificate: certified.then(|| certify(c, &d, (head.epoch, to, parent))),
        header: last.encode().into(),
        data: Batch { heights }.compress().unwrap().into(),
        l1: l1_ref(number),
        l1_timestamp: time_of(number),
    }
}

fn certify(
    c: &Chain,
    d: &Domain,
    (epoch, height, value_id): (u64, u64, B256),
) -> CommitCertificate {
    let vote = Vote { epoch, height, round: 0, kind: VoteKind::Precommit, value_id };
    let sign = |i: u16| SignedVote::sign(vote.clone(), i, &c.keys[usize::from(i)], d).signature;
    CommitCertificate {
        epoch,
        height,
        round: 0,
        value_id,
        signers: Bitmap::of(0..3),
        signatures: (0..3).map(sign).collect(),
    }
}

/// L1 from dice: each byte pair is one block. Gives the blocks and what they give when read one by one.
fn script(c: &Chain, dice: &[(u8, u8)]) -> (Vec<(u64, Vec<Event>)>, Out, Pipeline) {
    let (mut p, mut out, mut l1, mut queued) = (pipeline(c), Out::default(), Vec::new(), 0usize);
    for (number, (kind, n)) in (FIRST..).zip(dice) {
        let n64 = u64::from(*n);
        let passed = p.pass(number - 1);
        out.heights.extend(passed.heights);
        out.blocks.extend(passed.blocks);
        let (generation, mode) = (p.generation(), p.mode());
        let in_fallback = matches!(mode, Mode::Fallback { .. });
        let heights = (1 + n64 % 3, n64 % 9, n64 % 4);
        let mut events = Vec::new();
        if kind % 2 == 0 {
            let seeds: Vec<u8> = (0..=n % 3).map(|i| n.wrapping_add(i)).collect();
            events.push(Event::Forced(entries(queued, number, &seeds)));
            queued += seeds.len();
        }
        let mut post = |generation, certified, heights| {
            let made = batch(c, (p.head(), generation), (number, certified), heights);
            events.push(Event::Batch(Box::new(made)));
        };
        match kind % 16 {
            0..6 if in_fallback => post(generation, false, (1 + n64 % 3, 0, n64 % 40)),
            0..6 => post(generation, true, heights),
            // Of an older generation, or without the certificate that is needed, or with one that cannot be.
            6 => post(generation.saturating_sub(1), true, heights),
            7 => post(generation, in_fallback, heights),
            8 if in_fallback => post(generation, false, heights),
            9 | 10 if !in_fallback => events.push(Event::Fallback(generation + 1)),
            11..14 if matches!(mode, Mode::Fallback { until: None, .. }) => {
                events.push(Event::Emergency(generation, number + 1 + n64 % 5));
            }
            _ => {}
        }
        events.iter().for_each(|event| give(&mut p, number, event, &mut out));
        l1.push((number, events));
    }
    let end = FIRST + u64::try_from(dice.len()).unwrap();
    let passed = p.pass(end);
    out.heights.extend(passed.heights);
    out.blocks.extend(passed.blocks);
    (l1, out, p)
}

fn dice() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec(any::<(u8, u8)>(), 4..40)
}

/// Everything that a pipeline shows of where it is.
fn place(p: &Pipeline) -> (Head, u32, Mode, Option<DerivedBlock>) {
    (p.head().clone(), p.generation(), p.mode(), p.open_block())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn reading_in_other_steps_and_over_reorganisations_gives_the_same(
        dice in dice(), other in dice(), at in 0usize..40,
    ) {
        let c = chain(&[(1, 0, vec![])]);
        let (l1, want, reached) = script(&c, &dice);
        // Another branch is read first, then taken back.
        let keep = at % l1.len();
        let fork: Vec<(u8, u8)> = dice[..keep].iter().copied().chain(other).collect();
        let (branch, _, mut p) = script(&c, &fork);
        prop_assert_eq!(branch.len(), fork.len());
        let to = FIRST + u64::try_from(keep).unwrap() - 1;
        p.rollback(to).unwrap();
        // What was derived up to the fork stays; only blocks with events are mentioned after it.
        let mut straight = pipeline(&c);
        let mut got = Out::default();
        for (number, events) in &l1[..keep] {
            events.iter().for_each(|e| give(&mut straight, *number, e, &mut got));
        }
        let passed = straight.pass(to);
        got.heights.extend(passed.heights);
        got.blocks.extend(passed.blocks);
        prop_assert_eq!(place(&p), place(&straight));
        for (number, events) in &l1[keep..] {
            events.iter().for_each(|e| give(&mut p, *number, e, &mut got));
        }
        let passed = p.pass(FIRST + u64::try_from(l1.len()).unwrap());
        got.heights.extend(passed.heights);
        got.blocks.extend(passed.blocks);
        prop_assert_eq!(place(&p), place(&reached));
        prop_assert_eq!(got, want);
    }

    #[test]
    fn the_chain_that_comes_out_keeps_every_rule(dice in dice()) {
        let c = chain(&[(1, 0, vec![])]);
        let (l1, mut out, p) = script(&c, &dice);
        out.blocks.extend(p.open_block());
        // Heights and blocks are contiguous; seconds rise; ids chain; generations never fall.
        let mut parent = B256::ZERO;
        for (height, h) in (1u64..).zip(&out.heights) {
            prop_assert_eq!((h.header.height(), h.header.close.parent_id), (height, parent));
            prop_assert_eq!(h.header.value_id(&domain(&c, h.header.close.generation)), h.value_id);
            parent = h.value_id;
        }
        for pair in out.heights.windows(2) {
            prop_assert!(pair[0].header.close.generation <= pair[1].header.close.generation);
            prop_assert!(pair[0].header.env.l1_number <= pair[1].header.env.l1_number);
        }
        for (number, b) in (1u64..).zip(&out.blocks) {
            prop_assert_eq!(b.number, number);
        }
        for pair in out.blocks.windows(2) {
            prop_assert!(pair[0].timestamp_s < pair[1].timestamp_s);
        }
        // What was posted after an activation is of the new generation, or forced.
        let activated = l1.iter().flat_map(|(n, events)| events.iter().filter_map(move |e| match e {
            Event::Fallback(generation) => Some((*n, *generation)),
            _ => None,
        }));
        for (number, generation) in activated {
            for b in out.blocks.iter().filter(|b| b.l1_block.number > number) {
                let last = &out.heights[usize::try_from(b.last_height).unwrap() - 1];
                prop_assert!(last.header.close.generation >= generation);
            }
        }
        // The queue up to the head's origin is executed once, in order, and nothing else is.
        let origin = out.blocks.last().map_or(0, |b| b.env.l1_number);
        let queue = l1.iter().flat_map(|(_, events)| events).filter_map(|e| match e {
            Event::Forced(entries) => Some(entries),
            _ => None,
        });
        let due: Vec<_> = queue.flatten().filter(|f| f.l1_number <= origin)
            .filter_map(|f| f.decode(super::fixture::CHAIN).ok()).map(|t| t.raw).collect();
        let done: Vec<_> =
            out.blocks.iter().flat_map(|b| b.txs.iter().take(b.forced)).map(|t| t.raw.clone()).collect();
        prop_assert_eq!(done, due);
        // In a fallback nothing waits.
        if let Mode::Fallback { until, .. } = p.mode() {
            let end = until.map_or(u64::MAX, |u| u - 1);
            let last = l1.iter().filter(|(n, events)| *n <= end && events.iter().any(|e| matches!(e, Event::Forced(_))));
            prop_assert!(last.map(|(n, _)| *n).max().is_none_or(|n| n <= p.head().l1_number));
        }
    }
}

#[test]
fn a_driver_that_forgets_a_block_is_told() {
    let c = chain(&[(1, 0, vec![])]);
    let mut p = pipeline(&c);
    p.fall_back(1, l1_ref(60)).unwrap();
    assert_eq!(p.fall_back(3, l1_ref(61)), Err(DeriveError::Pass(60)));
    p.pass(60);
    assert_eq!(p.fall_back(3, l1_ref(61)), Err(DeriveError::Generation { got: 3, was: 1 }));
    p.enqueue(brought(l1_origin(61), entries(0, 61, &[1]))).unwrap();
    let late = p.enqueue(brought(l1_origin(60), entries(0, 60, &[1])));
    assert_eq!(late, Err(DeriveError::Order { got: 60, seen: 61 }));
    assert_eq!(p.pass(61).blocks.len(), 1);
    assert_eq!(p.pass(61).blocks.len(), 0);
}

#[test]
fn uncertified_heights_may_order_and_let_time_pass_but_nothing_else() {
    let c = chain(&[(1, 0, vec![])]);
    let mut p = pipeline(&c);
    p.fall_back(1, l1_ref(60)).unwrap();
    p.enqueue(brought(l1_origin(60), entries(0, 60, &[1]))).unwrap();
    p.pass(60);
    let head = p.head().clone();
    assert_eq!((head.height, head.l1_number, head.timestamp_s), (1, 60, time_of(60)));
    p.pass(69);
    let why = |p: &mut Pipeline, b: &AcceptedBatch| match p.accept(b).unwrap() {
        Outcome::Skipped(skip) => skip.to_string(),
        Outcome::Derived(d) => format!("{} heights", d.heights.len()),
    };
    let post = |number, heights| batch(&c, (&head, 1), (number, false), heights);
    assert!(why(&mut p, &post(70, (1, 3, 1))).contains("another L1 origin"));
    assert!(why(&mut p, &post(70, (1, 0, 31))).contains("later than the L1 block"));
    assert!(why(&mut p, &post(70, (1, 0, 0))).contains("its second is complete"));
    let mut rich = post(70, (1, 0, 1));
    let mut data = Batch::decompress(&rich.data).unwrap();
    data.heights[0].header.env.fee_vault = alloy_primitives::Address::repeat_byte(0x66);
    let header = data.heights[0].header.clone();
    let full = rota_types::Header {
        close: rota_types::Close {
            parent_id: head.value_id,
            history_root: head.history.root(),
            ..header.close
        },
        ..header
    };
    rich.value_id = full.value_id(&domain(&c, 1));
    rich.header = full.encode().into();
    rich.data = data.compress().unwrap().into();
    assert!(why(&mut p, &rich).contains("fee vault"));
    assert_eq!(why(&mut p, &post(70, (2, 0, 15))), "2 heights");
}

#[test]
fn the_emergency_set_goes_on_behind_the_fallback() {
    let c = chain(&[(1, 0, vec![])]);
    let mut p = pipeline(&c);
    p.fall_back(1, l1_ref(60)).unwrap();
    p.enqueue(brought(l1_origin(60), entries(0, 60, &[1]))).unwrap();
    p.pass(61);
    p.emergency(1, 80, l1_ref(62)).unwrap();
    let head = p.head().clone();
    let post = |number, certified, step| batch(&c, (&head, 1), (number, certified), (1, step, 60));
    let accept = |p: &mut Pipeline, b: &AcceptedBatch| {
        p.pass(b.l1.number - 1);
        match p.accept(b).unwrap() {
            Outcome::Skipped(skip) => Err(skip),
            Outcome::Derived(d) => Ok(d.heights.len()),
        }
    };
    assert_eq!(accept(&mut p, &post(79, true, 0)), Err(Skip::OutOfPlace { certified: true }));
    assert_eq!(accept(&mut p, &post(80, false, 0)), Err(Skip::OutOfPlace { certified: false }));
    assert_eq!(p.mode(), Mode::Resumed(79));
    let fault = |skip| match skip {
        Err(Skip::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    };
    let old = fault(accept(&mut p, &post(95, true, 19)));
    assert_eq!(old, Fault::Resumption { height: 2, got: 79, floor: 79 });
    let far = fault(accept(&mut p, &post(96, true, 28)));
    assert_eq!(far, Fault::Step { height: 2, got: 88, parent: 79 });
    assert_eq!(accept(&mut p, &post(97, true, 27)), Ok(1));
    assert_eq!((p.mode(), p.generation()), (Mode::Certified, 1));
    p.rollback(79).unwrap();
    assert_eq!((p.mode(), p.head()), (Mode::Resumed(79), &head));
    p.rollback(78).unwrap();
    assert!(matches!(p.mode(), Mode::Fallback { until: Some(80), .. }));
}
