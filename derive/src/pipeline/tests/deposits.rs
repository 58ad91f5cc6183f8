//! Deposits are credited where the origin passes them, once, whoever posts what (I-42).

use super::fixture::{Chain, PARAMS, chain, l1_ref, start};
use super::forced::l1_origin;
use crate::{Brought, DeriveError, Mode, Outcome, Pipeline};
use alloy_primitives::Address;
use proptest::prelude::*;
use rota_types::Deposit;

fn deposits(first: u64, l1_number: u64, amounts: &[u64]) -> Vec<Deposit> {
    let to = Address::repeat_byte(0xd0);
    let deposit =
        |(index, amount): (u64, &u64)| Deposit { index, l1_number, to, amount_gwei: *amount };
    (first..).zip(amounts).map(deposit).collect()
}

fn brought(l1_number: u64, deposits: Vec<Deposit>) -> Brought {
    Brought { block: l1_origin(l1_number), forced: Vec::new(), deposits }
}

fn pipeline(c: &Chain) -> Pipeline {
    let mut start = start();
    start.l1_number = 0;
    let mut p = Pipeline::new(c.domain.clone(), PARAMS, start);
    p.insert_set(c.set(0));
    p
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_is_in_the_block_whose_origin_passes_its_own(
        plan in prop::collection::vec((0u64..3, Just(0u64), prop::collection::vec(any::<u8>(), 0..2)), 2..14),
        queue in prop::collection::btree_map(1u64..30, prop::collection::vec(any::<u64>(), 1..4), 0..12),
        cuts in prop::collection::vec(1u64..5, 14),
    ) {
        let c = chain(&plan);
        let last = u64::try_from(c.heights.len()).unwrap();
        let mut p = pipeline(&c);
        let mut all = Vec::new();
        for (number, amounts) in &queue {
            let new = deposits(u64::try_from(all.len()).unwrap(), *number, amounts);
            p.enqueue(brought(*number, new.clone())).unwrap();
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
        blocks.extend(p.open_block());
        let mut before = 0;
        for block in &blocks {
            let due = |d: &&Deposit| d.l1_number > before && d.l1_number <= block.env.l1_number;
            let want: Vec<Deposit> = all.iter().filter(due).copied().collect();
            prop_assert_eq!(&block.deposits, &want);
            before = block.env.l1_number;
        }
        let credited: usize = blocks.iter().map(|b| b.deposits.len()).sum();
        prop_assert_eq!(credited, all.iter().filter(|d| d.l1_number <= before).count());
    }
}

#[test]
fn a_deposit_that_is_missing_is_told_and_nothing_is_taken() {
    let c = chain(&vec![(1, 0, vec![]); 6]);
    let mut p = pipeline(&c);
    let missing = |l1_number, expected, got| {
        Err(DeriveError::Missing { l1_number, what: "deposit", expected, got })
    };
    assert_eq!(p.enqueue(brought(2, deposits(1, 2, &[5]))), missing(2, 0, 1));
    p.enqueue(brought(2, deposits(0, 2, &[5, 6]))).unwrap();
    assert_eq!(p.enqueue(brought(4, deposits(3, 4, &[7]))), missing(4, 2, 3));
    assert_eq!(p.enqueue(brought(4, deposits(1, 4, &[7]))), missing(4, 2, 1));
    p.enqueue(brought(4, deposits(2, 4, &[7]))).unwrap();
    // What L1 takes back comes again with the same numbers, in other blocks.
    p.rollback(3).unwrap();
    p.enqueue(brought(5, deposits(2, 5, &[8]))).unwrap();
    let Outcome::Derived(d) = p.accept(&c.batch(1, 6, 60)).unwrap() else { panic!("skipped") };
    let found: Vec<u64> =
        d.blocks.iter().flat_map(|b| b.deposits.iter().map(|d| d.amount_gwei)).collect();
    assert_eq!(found, [5, 6, 8]);
    p.finalize(70);
    assert_eq!(p.enqueue(brought(70, deposits(4, 70, &[1]))), missing(70, 3, 4));
}

#[test]
fn in_a_fallback_a_deposit_alone_gives_a_block() {
    let c = chain(&vec![(1, 0, vec![]); 6]);
    let mut p = pipeline(&c);
    p.accept(&c.batch(1, 6, 60)).unwrap();
    p.pass(60);
    p.fall_back(1, l1_ref(61)).unwrap();
    p.pass(61);
    assert!(matches!(p.mode(), Mode::Fallback { .. }));
    p.enqueue(brought(62, deposits(0, 62, &[9]))).unwrap();
    let derived = p.pass(62);
    let found: Vec<(u64, usize, usize)> =
        derived.blocks.iter().map(|b| (b.env.l1_number, b.deposits.len(), b.txs.len())).collect();
    assert_eq!(found, [(62, 1, 0)]);
}
