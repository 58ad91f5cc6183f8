//! What L1 forces in, and a fallback, as a follower sees them.

use super::*;
use crate::settle::testing::forced;
use rota_derive::Mode;

/// A chain that has a new L1 origin every second, and an L1 with an entry of the queue in some blocks.
async fn forced_chain(heights: u64) -> (Chain, MemoryL1) {
    let mut chain = Chain::new();
    chain.every = 2;
    let l1 = chain.l1(64);
    let mut nonces = 0..;
    for number in 2u64..24 {
        if number % 3 == 0 {
            let nonce = nonces.next().unwrap();
            l1.enqueue(21_000, forced(nonce));
            l1.enqueue(20_000, forced(nonce.saturating_add(1)));
            l1.enqueue(21_000, b"junk".as_slice().into());
        }
        if number % 4 != 0 {
            l1.deposit(
                alloy_primitives::Address::repeat_byte(0xd0),
                number.saturating_add(1_000_000),
            );
        }
        let block = l1.mine();
        assert_eq!(block.number, number);
        let found = rota_l1::L1::forced(&l1, number, block).await.unwrap();
        chain.forced.extend(found.iter().map(rota_l1::Enqueued::forced));
        let found = rota_l1::L1::deposits(&l1, number, block).await.unwrap();
        chain.deposits.extend(found.iter().map(rota_l1::Deposited::deposit));
    }
    (chain.grow(heights), l1)
}

#[tokio::test]
async fn what_l1_forces_in_comes_first_in_the_followers_blocks_too() {
    let (chain, l1) = forced_chain(24).await;
    let expected: Vec<_> = chain.blocks().iter().map(rota_execution::ExecutedBlock::hash).collect();
    let mut follower = open(&chain, &store());
    for (from, to) in [(1, 5), (4, 13), (14, 24)] {
        post(&l1, &chain.post(from, to)).await;
        follower.read(&l1).await;
    }
    assert_eq!(follower.hashes(), expected[..11]);
    // The block with origin 3 has the first entry, before the sequencers' own transaction.
    let hash = alloy_primitives::keccak256(forced(0));
    let found = follower.view.tx(&hash).unwrap();
    let place = found.block.unwrap();
    assert_eq!((place.number, place.result.index), (4, 0));
    assert_eq!(found.progress.stage, Some(Stage::Posted));
    let included: usize = chain.blocks().iter().map(|b| b.included.len()).sum();
    // Of the same fees everyone has earned the same.
    let rewards = crate::chain::tests::rewards(&chain, 20);
    assert_eq!(follower.derivation.rewards(), &rewards[10]);
    assert!(rewards[10].total() > rewards[9].total());
    let credited: Vec<_> = chain.blocks().iter().flat_map(|b| b.withdrawals.clone()).collect();
    assert_eq!(credited.iter().filter(|w| w.validator_index == 1).count(), 8, "up to origin 11");
    assert_eq!(included, 24 + 3, "three of the queue are below origin 11, one for each height");
    // A reorganisation takes batches and queue back.
    l1.reorg(20);
    follower.read(&l1).await;
    let height = follower.derivation.height();
    let left = usize::try_from(height / 2).unwrap();
    let want = left.checked_sub(1).map_or_else(Arc::default, |i| Arc::clone(&rewards[i]));
    assert_eq!(follower.derivation.rewards(), &want);
    assert!(follower.view.tx(&hash).is_none());
}

#[tokio::test]
async fn after_a_fallback_the_queue_alone_goes_on_and_nothing_old_is_taken() {
    let (chain, l1) = forced_chain(24).await;
    let expected: Vec<_> = chain.blocks().iter().map(rota_execution::ExecutedBlock::hash).collect();
    let mut follower = open(&chain, &store());
    post(&l1, &chain.post(1, 13)).await;
    follower.read(&l1).await;
    assert_eq!(follower.hashes(), expected[..6]);
    l1.fall_back(1);
    let since = l1.mine();
    follower.read(&l1).await;
    // Height 13, alone in its second, is posted: a block. Then one for each L1 block with entries since its origin.
    let brings = |n: &u64| n.is_multiple_of(3) || !n.is_multiple_of(4);
    let forced_blocks: Vec<u64> = (7..24).filter(brings).collect();
    assert_eq!(follower.hashes().len(), 7 + forced_blocks.len());
    assert!(matches!(follower.derivation.mode(), (1, Mode::Fallback { until: None, .. })));
    let mut credited = Vec::new();
    for (number, origin) in (8u64..).zip(forced_blocks) {
        let block = follower.view.block(at(number)).unwrap();
        let l1_block = rota_l1::L1::block(&l1, rota_l1::At::Number(origin)).await.unwrap().unwrap();
        assert_eq!(block.header.parent_beacon_block_root, Some(l1_block.hash));
        assert!(block.header.timestamp >= l1_block.timestamp);
        assert_eq!(block.txs.len(), usize::from(origin % 3 == 0), "origin {origin}");
        credited.extend(block.withdrawals.iter().filter(|w| w.validator_index == 1).copied());
    }
    // Every deposit that the blocks before did not have, each once.
    let due = chain.deposits.iter().filter(|d| d.l1_number > 6);
    assert_eq!(credited, due.map(rota_types::Deposit::withdrawal).collect::<Vec<_>>());
    // The sequencers' next batch was not posted in time: it is void for ever.
    post(&l1, &chain.post(14, 24)).await;
    follower.read(&l1).await;
    let before = follower.hashes();
    assert_eq!(follower.derivation.skipped(), 1);
    l1.enqueue(21_000, forced(7));
    l1.mine();
    follower.read(&l1).await;
    assert_eq!(follower.hashes().len(), before.len() + 1);
    let tx = follower.view.tx(&alloy_primitives::keccak256(forced(7))).unwrap();
    assert_eq!(tx.progress.stage, Some(Stage::Posted));
    // Whoever reads later, and whoever saw the activation being taken back, gets the same.
    let mut late = open(&chain, &store());
    late.read(&l1).await;
    assert_eq!(late.hashes(), follower.hashes());
    let depth = usize::try_from(l1_head(&l1).await - since.number + 1).unwrap();
    l1.reorg(depth);
    follower.read(&l1).await;
    assert_eq!(follower.hashes(), expected[..6]);
    assert_eq!(follower.derivation.mode(), (0, Mode::Certified));
    post(&l1, &chain.post(14, 24)).await;
    follower.read(&l1).await;
    assert_eq!(follower.hashes(), expected[..11]);
}

async fn l1_head(l1: &MemoryL1) -> u64 {
    rota_l1::L1::block(l1, rota_l1::At::Latest).await.unwrap().unwrap().number
}
