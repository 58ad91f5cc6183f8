//! What a node shows as its chain, as the driver reads it: for a follower that has the chain from the set.
//!
//! Invariant: the head is decided, `safe` is on L1, `finalized` is in a final L1 block. What is only preconfirmed is given
//! to nobody.

use super::{Chain, EngineBlock, Mark, Target};
use crate::{
    chain::load_requests,
    clock::now_ms,
    view::{At, BlockView, HeadRef, View},
};
use alloy_eips::{
    BlockNumberOrTag,
    eip7685::{EMPTY_REQUESTS_HASH, Requests},
};
use alloy_primitives::B256;
use rota_store::Blocks;
use std::sync::Arc;

/// A head younger than so many seconds is where the network is. With an older one the node may have just started.
const RECENT_S: u64 = 30;

/// The decided chain.
#[derive(Debug)]
pub struct Shown {
    view: Arc<View>,
    store: Blocks,
    genesis: B256,
}

impl Shown {
    /// Of this node; the store has what is no longer in memory.
    #[must_use]
    pub const fn new(view: Arc<View>, store: Blocks, genesis: B256) -> Self {
        Self { view, store, genesis }
    }

    fn sealed(&self, number: u64) -> Option<Arc<BlockView>> {
        let block = self.view.block(At::Number(BlockNumberOrTag::Number(number)))?;
        (block.sealed && number <= self.view.heads().latest.number).then_some(block)
    }

    fn requests(&self, block: &BlockView) -> Option<Requests> {
        if block.header.requests_hash.is_none_or(|hash| hash == EMPTY_REQUESTS_HASH) {
            return Some(Requests::default());
        }
        let read = load_requests(&self.store, block.number());
        read.inspect_err(|error| tracing::error!(%error, "reading the database failed")).ok()?
    }
}

impl Chain for Shown {
    fn target(&self) -> Target {
        let heads = self.view.heads();
        let mark = |head: HeadRef| Mark { number: head.number, hash: head.hash };
        let now_s = now_ms().checked_div(1_000).unwrap_or_default();
        Target {
            head: mark(heads.latest),
            safe: mark(heads.safe),
            finalized: mark(heads.finalized),
            settled: now_s.saturating_sub(heads.latest.timestamp_s) < RECENT_S,
        }
    }
    fn genesis(&self) -> B256 {
        self.genesis
    }
    fn hash(&self, number: u64) -> Option<B256> {
        if number == 0 {
            return Some(self.genesis);
        }
        self.sealed(number).map(|block| block.hash)
    }
    fn block(&self, number: u64) -> Option<Arc<EngineBlock>> {
        let block = self.sealed(number)?;
        Some(Arc::new(EngineBlock::new(block.to_block(), self.requests(&block)?)))
    }
}
