//! What shows withdrawals, of every block that a step of the oracle may end with.

use super::*;
use crate::exits::{ExitWatch, Exits};
use crate::view::{BlockView, Span};
use alloy_primitives::{B256, keccak256};

/// What steps end with that the batches up to 5, 13 and 24 complete, of blocks of two heights each.
const ENDS: [u64; 3] = [2, 6, 11];

fn are_kept(exits: &Exits, view: &View) {
    for number in ENDS {
        let proof = exits.proof(number, &[]).unwrap().unwrap();
        let block = view.block(at(number)).unwrap();
        assert_eq!(keccak256(&proof.nodes[0]), block.header.state_root, "block {number}");
    }
}

/// It has the last second whole before L1 shows that it is.
#[test]
fn a_sequencer_keeps_both_blocks_that_a_batch_may_end_with() {
    let chain = Chain::new().grow(24);
    let config = ViewConfig { chain_id: chain.domain.l2_chain_id, ..ViewConfig::default() };
    let view = View::new(config, &chain.genesis);
    for block in chain.blocks() {
        let last = block.head.header.number * 2;
        let span =
            Span { first_g: last - 1, last_g: last, first_height: last - 1, last_height: last };
        view.restore_block(Arc::new(BlockView::from_executed(&block, span)));
    }
    let exits = Exits::new(store());
    let mut watch = ExitWatch::open(exits.clone()).unwrap();
    for height in [5, 13, 24] {
        view.posted(height, B256::repeat_byte(1), height, 0);
        watch.step(&view).unwrap();
    }
    view.finalized(24, 30, 0);
    watch.step(&view).unwrap();
    are_kept(&exits, &view);
}

#[tokio::test]
async fn every_block_that_a_step_ends_with_is_kept() {
    let chain = Chain::new().grow(24);
    let l1 = chain.l1(3);
    l1.mine();
    let mut follower = open(&chain, &store());
    let exits = Exits::new(store());
    let mut watch = ExitWatch::open(exits.clone()).unwrap();
    for (from, to) in [(1, 5), (4, 13), (14, 24)] {
        post(&l1, &chain.post(from, to)).await;
        follower.read(&l1).await;
        watch.step(&follower.view).unwrap();
    }
    // Nothing is final, so nothing is kept.
    assert_eq!(exits.proof(2, &[]).unwrap(), None);
    let tip = follower.derivation.l1_head().unwrap().number;
    for _ in 0..5 {
        l1.mine();
        follower.read(&l1).await;
        watch.step(&follower.view).unwrap();
    }
    let completed = |n| follower.derivation.completed().at(n).unwrap().block_number.to::<u64>();
    let mut ends: Vec<u64> = (0..=tip).map(completed).filter(|block| *block > 0).collect();
    ends.dedup();
    assert_eq!(ends, ENDS);
    are_kept(&exits, &follower.view);
}
