//! Forced transactions come first, in queue order, whoever posts what (I-15).

use super::fixture::{CHAIN, Chain, PARAMS, chain, l1_ref, start, time_of, tx};
use crate::{Brought, DeriveError, DerivedBlock, L1Origin, Outcome, Pipeline};
use alloy_primitives::{Bytes, keccak256};
use proptest::prelude::*;
use rota_types::ForcedTx;

/// An L1 block as the pipeline is told of it.
pub(super) fn l1_origin(number: u64) -> L1Origin {
    let prev_randao = keccak256(keccak256(number.to_be_bytes()));
    L1Origin { number, hash: l1_ref(number).hash, timestamp: time_of(number), prev_randao }
}

/// With these entries and no deposits.
pub(super) fn brought(block: L1Origin, forced: Vec<ForcedTx>) -> Brought {
    Brought { block, forced, deposits: Vec::new() }
}

/// Entries with these seeds, from `index` on.
pub(super) fn entries(index: usize, l1_number: u64, seeds: &[u8]) -> Vec<ForcedTx> {
    let at = |i: usize| u64::try_from(index + i).unwrap();
    let entry =
        |(i, s): (usize, &u8)| ForcedTx { index: at(i), l1_number, gas: 21_000, tx: tx(*s) };
    seeds.iter().enumerate().map(entry).collect()
}

fn pipeline(c: &Chain) -> Pipeline {
    let mut start = start();
    start.l1_number = 0;
    let mut p = Pipeline::new(c.domain.clone(), PARAMS, start);
    p.insert_set(c.set(0));
    p
}

fn raws(b: &DerivedBlock) -> Vec<Bytes> {
    b.txs.iter().map(|t| t.raw.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn they_come_first_in_the_block_whose_origin_passes_theirs(
        plan in prop::collection::vec((0u64..3, Just(0u64), prop::collection::vec(any::<u8>(), 0..3)), 2..14),
        queue in prop::collection::vec((1u64..30, prop::collection::vec(any::<u8>(), 1..4)), 0..12),
        cuts in prop::collection::vec(1u64..5, 14),
    ) {
        let c = chain(&plan);
        let last = u64::try_from(c.heights.len()).unwrap();
        let mut p = pipeline(&c);
        let mut all: Vec<ForcedTx> = Vec::new();
        let by_block: std::collections::BTreeMap<u64, Vec<u8>> = queue.into_iter().collect();
        for (number, seeds) in by_block {
            let new = entries(all.len(), number, &seeds);
            p.enqueue(brought(l1_origin(number), new.clone())).unwrap();
            all.extend(new);
        }
        let (mut blocks, mut l1) = (Vec::new(), 60);
        for ahead in cuts {
            let from = p.head().height + 1;
            if from > last { break }
            l1 += 1;
            match p.accept(&c.batch(from, (from + ahead).min(last), l1)).unwrap() {
                Outcome::Derived(d) => blocks.extend(d.blocks),
                Outcome::Skipped(s) => prop_assert!(false, "{}", s),
            }
        }
        let end = p.accept(&c.batch(1, last, l1 + 1)).unwrap();
        if let Outcome::Derived(d) = end { blocks.extend(d.blocks) }
        blocks.extend(p.open_block());
        let mut before = 0;
        for (block, plain) in blocks.iter().zip(c.blocks()) {
            let due = all.iter().filter(|f| f.l1_number > before && f.l1_number <= block.env.l1_number);
            let mut want: Vec<Bytes> =
                due.filter(|f| f.decode(CHAIN).is_ok()).map(|f| f.tx.clone()).collect();
            prop_assert_eq!(block.forced, want.len());
            want.extend(plain.2);
            prop_assert_eq!(raws(block), want);
            before = block.env.l1_number;
        }
        prop_assert_eq!(blocks.len(), c.blocks().len());
    }
}

#[test]
fn a_reorganisation_takes_the_queue_back_as_well() {
    let c = chain(&vec![(1, 0, vec![]); 6]);
    let mut p = pipeline(&c);
    p.enqueue(brought(l1_origin(2), entries(0, 2, &[1]))).unwrap();
    p.enqueue(brought(l1_origin(5), entries(1, 5, &[2]))).unwrap();
    p.rollback(4).unwrap();
    p.enqueue(brought(l1_origin(5), entries(1, 5, &[3]))).unwrap();
    let Outcome::Derived(d) = p.accept(&c.batch(1, 6, 60)).unwrap() else { panic!("skipped") };
    let forced: Vec<Bytes> = d.blocks.iter().flat_map(raws).collect();
    assert_eq!(forced, [tx(1), tx(3)]);
    // What is older than a block that was given comes too late.
    let late = p.enqueue(brought(l1_origin(59), entries(2, 59, &[4])));
    assert_eq!(late, Err(DeriveError::Order { got: 59, seen: 60 }));
    let queued = |p: &Pipeline| p.queue.next(0, 100).is_some();
    assert!(queued(&p));
    p.finalize(70);
    assert!(!queued(&p), "what every block has behind it is forgotten");
}
