//! Origins and the book of forced transactions over an L1 in memory.

use super::{L1News, OriginSettings, Origins};
use crate::{
    chain::{ForcedBook, ForcedSource},
    sets::Sets,
    settle::testing::{CHAIN, Chain, transfer},
};
use alloy_primitives::{Address, Bytes};
use rota_l1::{At, L1, MemoryL1};
use rota_store::{Blocks, MemKv};
use std::sync::Arc;

fn settings(start: u64) -> OriginSettings {
    let fee_vault = Address::repeat_byte(4);
    OriginSettings { start, generation: 0, backlog: 5, gas_limit: 7, fee_vault }
}

fn mine(l1: &MemoryL1, blocks: std::ops::Range<u32>) {
    for _ in blocks {
        l1.mine();
    }
}

fn store() -> Blocks {
    Blocks::open(Arc::new(MemKv::default())).unwrap()
}

fn sets() -> Arc<Sets> {
    let set = rota_types::ValidatorSet::new(0, Vec::new());
    Arc::new(Sets::of_one(set, 24, rota_p2p::PeerId::random()))
}

/// The numbers of the origins given, and how far L1 is read.
async fn given(origins: &mut Origins, l1: &MemoryL1) -> (Vec<u64>, Option<u64>) {
    let (mut out, mut read) = (Vec::new(), None);
    let mut take = |news| match news {
        L1News::Read(to) => read = Some(to),
        L1News::Origin(env) => out.push(env.l1_number),
        L1News::Set(..) | L1News::Over { .. } => {}
    };
    while origins.step(l1, &mut take).await.unwrap() {}
    (out, read)
}

#[tokio::test]
async fn origins_come_in_order_each_after_what_it_forces_in() {
    let l1 = Chain::new().l1(3);
    let mut origins = Origins::new(settings(4), store(), sets());
    let mut late = Origins::new(settings(0), store(), sets());
    assert_eq!(given(&mut origins, &l1).await, (vec![], None));
    mine(&l1, 0..8);
    assert_eq!(given(&mut origins, &l1).await, (vec![4, 5, 6], Some(6)));
    assert_eq!(given(&mut late, &l1).await, (vec![1, 2, 3, 4, 5, 6], Some(6)));
    mine(&l1, 0..3);
    l1.set_offline(true);
    assert!(origins.step(&l1, &mut |_| ()).await.is_err());
    l1.set_offline(false);
    assert_eq!(given(&mut origins, &l1).await, (vec![7, 8, 9], Some(9)));
    assert_eq!(given(&mut origins, &l1).await, (vec![], None));
    // A final block that L1 replaces is given anew.
    l1.reorg(7);
    assert_eq!(given(&mut origins, &l1).await, (vec![], None));
    assert_eq!(given(&mut origins, &l1).await, (vec![4, 5, 6, 7, 8, 9], None));
    let hash = l1.block(At::Number(9)).await.unwrap().unwrap().hash;
    assert_eq!(origins.newest().unwrap().hash, hash);
}

#[tokio::test]
async fn a_chain_that_is_far_behind_is_given_what_it_can_step_to() {
    let chain = Chain::new().grow(4);
    let (l1, store) = (chain.l1(3), chain.store(4));
    mine(&l1, 0..1_500);
    let mut origins = Origins::new(settings(1), store, sets());
    let (numbers, read) = given(&mut origins, &l1).await;
    // The chain is at origin 0: what is far ahead of it comes when it has moved.
    assert_eq!((numbers.first(), numbers.last(), read), (Some(&1), Some(&512), Some(1_498)));
}

#[tokio::test]
async fn the_book_answers_for_whole_ranges_and_survives_a_restart() {
    let chain = Chain::new();
    let (l1, store) = (chain.l1(3), store());
    l1.enqueue(21_000, transfer(0));
    l1.mine();
    l1.deposit(Address::repeat_byte(8), 5);
    l1.enqueue(20_000, transfer(1));
    l1.enqueue(21_000, transfer(2));
    l1.enqueue(21_000, Bytes::from_static(b"junk"));
    l1.mine();
    l1.mine();
    l1.enqueue(30_000, transfer(3));
    l1.deposit(Address::repeat_byte(9), 6);
    l1.deposit(Address::repeat_byte(9), 7);
    mine(&l1, 0..3);
    given(&mut Origins::new(settings(1), store.clone(), sets()), &l1).await;
    let book = ForcedBook::new(store.clone());
    assert_eq!(book.upto().unwrap(), Some(4));
    mine(&l1, 0..9);
    given(&mut Origins::new(settings(1), store.clone(), sets()), &l1).await;
    let book = ForcedBook::new(store);
    let nonces = |after, upto| -> Vec<u64> {
        let due = book.between(after, upto, CHAIN).unwrap();
        due.forced.iter().map(|t| t.nonce()).collect()
    };
    assert_eq!(nonces(0, 4), [0, 2]);
    assert_eq!(nonces(0, 2), [0]);
    assert_eq!(nonces(2, 5), [2, 3]);
    assert_eq!(nonces(3, 13), [3]);
    assert!(nonces(5, 5).is_empty());
    let amounts = |after, upto| -> Vec<u64> {
        let due = book.between(after, upto, CHAIN).unwrap();
        due.deposits.iter().map(|d| d.amount_gwei).collect()
    };
    assert_eq!((amounts(0, 4), amounts(2, 13), amounts(3, 4)), (vec![5], vec![5, 6, 7], vec![]));
    // Not read yet: no answer rather than half of one.
    assert!(book.between(3, 14, CHAIN).is_err());
    let found = book.find(&alloy_primitives::keccak256(transfer(3))).unwrap().unwrap();
    assert_eq!((found.index, found.l1_number, found.gas), (4, 5, 30_000));
}

#[tokio::test]
async fn a_fallback_ends_it_also_after_a_restart() {
    let (l1, store) = (Chain::new().l1(3), store());
    mine(&l1, 0..5);
    let mut origins = Origins::new(settings(1), store.clone(), sets());
    assert_eq!(given(&mut origins, &l1).await.1, Some(3));
    l1.fall_back(1);
    mine(&l1, 0..6);
    for mut origins in [origins, Origins::new(settings(1), store.clone(), sets())] {
        let mut over = Vec::new();
        let mut take = |news| match news {
            L1News::Over { generation, l1_block } => over.push((generation, l1_block)),
            L1News::Origin(env) => assert!(env.l1_number < 6, "nothing after it"),
            _ => {}
        };
        assert!(!origins.step(&l1, &mut take).await.unwrap());
        assert_eq!(over.len(), 1);
        assert_eq!(over[0].0, 1);
        assert_eq!(ForcedBook::new(store.clone()).upto().unwrap(), Some(3));
    }
}
