//! What a follower says that L1 up to a block completes: what outputs of the oracle are made of.

use super::*;
use alloy_primitives::U64;

#[tokio::test]
async fn every_follower_says_the_same_of_an_l1_block_once_it_is_final() {
    let chain = Chain::new().grow(24);
    let l1 = chain.l1(3);
    l1.mine();
    let mut early = open(&chain, &store());
    for (from, to) in [(1, 5), (4, 13), (14, 24)] {
        post(&l1, &chain.post(from, to)).await;
        early.read(&l1).await;
    }
    let tip = early.derivation.l1_head().unwrap().number;
    assert_eq!(early.derivation.completed().at(tip), None, "not final");
    for _ in 0..5 {
        l1.mine();
        early.read(&l1).await;
    }
    let mut late = open(&chain, &store());
    late.read(&l1).await;
    let said = |f: &Follower| (0..=tip).map(|n| f.derivation.completed().at(n)).collect::<Vec<_>>();
    assert_eq!(said(&early), said(&late));
    let mut numbers: Vec<U64> = said(&late).into_iter().map(|b| b.unwrap().block_number).collect();
    numbers.dedup();
    // A batch leaves the second open that it ends in.
    assert_eq!(numbers, [0, 2, 6, 11].map(U64::from));
    let (newest, block) = (late.derivation.completed().at(tip).unwrap(), &chain.blocks()[10]);
    assert_eq!((newest.block_hash, newest.height), (block.hash(), U64::from(22)));
    assert_eq!(newest.value_id.as_slice(), block.head.header.extra_data.as_ref());
}

#[tokio::test]
async fn what_l1_takes_back_is_not_said_any_more() {
    let chain = Chain::new().grow(8);
    let l1 = chain.l1(2);
    let mut follower = open(&chain, &store());
    post(&l1, &chain.post(1, 8)).await;
    let book = follower.derivation.completed().clone();
    for _ in 0..4 {
        l1.mine();
    }
    follower.read(&l1).await;
    let at = follower.derivation.l1_head().unwrap().number.saturating_sub(2);
    assert_eq!(book.at(at).unwrap().block_number, U64::from(3));
    l1.reorg(6);
    for _ in 0..3 {
        follower.read(&l1).await;
    }
    assert_ne!(book.at(at).map(|b| b.block_number), Some(U64::from(3)));
    post(&l1, &chain.post(1, 8)).await;
    for _ in 0..4 {
        l1.mine();
    }
    follower.read(&l1).await;
    let at = follower.derivation.l1_head().unwrap().number.saturating_sub(2);
    assert_eq!(book.at(at).unwrap().block_hash, chain.blocks()[2].hash());
}
