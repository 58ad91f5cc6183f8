//! Blocks that come from L1 and not from frames: what a follower writes.
//!
//! Invariant: such a block is sealed, decided and posted at once; going back takes whole blocks, newest first,
//! and everything that was known of them.

use super::{BlockView, EventKind, Notice, Posting, View, inner::Inner};
use rota_execution::Head;
use rota_types::{Millis, Stage};
use std::sync::Arc;

impl View {
    /// The next block, derived from a batch on L1.
    pub fn derived(&self, block: Arc<BlockView>, posting: Posting) {
        let now_ms = posting.at_ms;
        let moved = {
            let mut inner = self.inner.write();
            inner.place_restored(&block);
            inner.decided_height = inner.decided_height.max(block.span.last_height);
            inner.undecided_g = inner.undecided_g.max(block.span.last_g.saturating_add(1));
            inner.postings.insert(posting.height, posting);
            inner.add_block(block.clone());
            let moved = inner.advance();
            inner.evict(self.config.retain_blocks);
            moved
        };
        let hashes = block.txs.iter().map(|t| *t.transaction.tx_hash());
        self.waiters.tell(hashes, &Notice::Reached(Stage::Posted));
        self.stream.send(now_ms, EventKind::Sealed(block));
        self.heads_moved(moved, now_ms);
    }

    /// L1 was reorganised: derived blocks above `number` are gone. Genesis stays. Gives how many went.
    pub fn revert(&self, number: u64, now_ms: Millis) -> usize {
        let (gone, head) = {
            let mut inner = self.inner.write();
            (inner.revert(number), inner.heads().latest)
        };
        if gone > 0 {
            self.stream.send(now_ms, EventKind::Head { stage: Stage::Decided, head });
        }
        gone
    }

    /// Forgets everything but the genesis block, to derive again from the start.
    pub fn start_over(&self, genesis: &Head) {
        let mut inner = self.inner.write();
        let sets = std::mem::take(&mut inner.sets);
        *inner = Inner::new(BlockView::genesis(genesis));
        inner.sets = sets;
    }
}

impl Inner {
    fn revert(&mut self, number: u64) -> usize {
        let gone = self.blocks.split_off(&number.saturating_add(1).max(1));
        for block in gone.values() {
            self.numbers.remove(&block.hash);
            for result in &block.txs {
                self.txs.remove(result.transaction.tx_hash());
            }
        }
        let (height, next_g) = self
            .blocks
            .last_key_value()
            .map_or((0, 0), |(_, b)| (b.span.last_height, b.span.last_g.saturating_add(1)));
        self.decided_height = self.decided_height.min(height);
        self.undecided_g = self.undecided_g.min(next_g);
        self.postings.split_off(&height.saturating_add(1));
        self.finals.split_off(&height.saturating_add(1));
        self.latest = self.latest.min(number);
        self.safe = self.safe.min(number);
        self.finalized = self.finalized.min(number);
        self.provens.split_off(&number.saturating_add(1));
        gone.len()
    }
}
