//! The derived chain as the driver reads it: blocks by number on disk, and how far each head is.
//!
//! Queue: `engine`, one place, policy: the newest target replaces the older one. The blocks behind it wait on disk, so a
//! client that is slow, down or empty holds nothing up and loses nothing. Not for: being durable: every start derives
//! again and writes the same bytes again. Invariant: a block is written before a target names it.

use super::{Chain, EngineBlock};
use alloy_primitives::B256;
use rota_execution::Head;
use rota_store::{BlockBatch, Blocks, StoreError, Tree};
use std::sync::Arc;
use tokio::sync::watch;

/// A block by number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: B256,
}

/// Where the client should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The newest derived block.
    pub head: Mark,
    /// The newest whose batch is on L1.
    pub safe: Mark,
    /// The newest whose batch is on L1 for good.
    pub finalized: Mark,
    /// Whether L1 was read to its end since the start: before that the head says how far the reading is, and not how
    /// far the chain is.
    pub settled: bool,
}

/// The derived chain.
pub struct Ledger {
    store: Blocks,
    genesis: Mark,
    target: watch::Sender<Target>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("target", &*self.target.borrow()).finish_non_exhaustive()
    }
}

impl Ledger {
    /// With the first block alone.
    #[must_use]
    pub fn new(store: Blocks, genesis: &Head) -> Self {
        let genesis = Mark { number: genesis.header.number, hash: genesis.hash };
        let target = Target { head: genesis, safe: genesis, finalized: genesis, settled: false };
        Self { store, genesis, target: watch::Sender::new(target) }
    }

    /// The next block of the derived chain, or another one in its place. It counts when a target names it.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&self, block: &EngineBlock) -> Result<(), StoreError> {
        let mut batch = BlockBatch::default();
        batch.put(Tree::L1, key(block.number()), block.encode());
        self.store.commit(batch)
    }

    /// How far it is now. After a reorganisation of L1 the head is an older block.
    pub fn set_target(&self, target: Target) {
        self.target.send_if_modified(|old| std::mem::replace(old, target) != target);
    }

    /// Woken by every new target.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Target> {
        self.target.subscribe()
    }

    fn stored(&self, number: u64) -> Option<Vec<u8>> {
        let read = self.store.get(Tree::L1, &key(number));
        read.inspect_err(|error| tracing::error!(%error, "reading the database failed")).ok()?
    }
}

impl Chain for Ledger {
    fn target(&self) -> Target {
        *self.target.borrow()
    }
    fn genesis(&self) -> B256 {
        self.genesis.hash
    }
    fn hash(&self, number: u64) -> Option<B256> {
        if number > self.target().head.number {
            return None;
        }
        if number == self.genesis.number {
            return Some(self.genesis.hash);
        }
        EngineBlock::decode_hash(&self.stored(number)?)
    }
    fn block(&self, number: u64) -> Option<Arc<EngineBlock>> {
        if number > self.target().head.number {
            return None;
        }
        EngineBlock::decode(&self.stored(number)?).map(Arc::new)
    }
}

fn key(number: u64) -> Vec<u8> {
    [b"block/".as_slice(), &number.to_be_bytes()].concat()
}
