//! What was evicted from memory, as the store gives it back.

use super::BlockView;
use alloy_primitives::{B256, U256};
use rota_execution::AccountProof;
use rota_types::{LagPoint, MmrProof, RewardsBook, wire::DecidedHeight};
use std::sync::Arc;

/// Where an archived transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxLocation {
    /// Block number.
    pub number: u64,
    /// Index in the block.
    pub index: u64,
}

/// Finished blocks on disk. Called on RPC threads, so it may read from disk but must not wait for the writer.
pub trait Archive: Send + Sync {
    /// A decided block; `state` may be `None`.
    fn block(&self, number: u64) -> Option<Arc<BlockView>>;
    /// The number of a decided block.
    fn block_number(&self, hash: &B256) -> Option<u64>;
    /// A decided height with its frames.
    fn height(&self, height: u64) -> Option<DecidedHeight>;
    /// Where a decided transaction is.
    fn tx_location(&self, hash: &B256) -> Option<TxLocation>;
    /// Proof that a height is below another one; none where the heights are not kept.
    fn history_proof(&self, _height: u64, _under: u64) -> Option<MmrProof> {
        None
    }
    /// The height of a generation that is over that had a transaction, if it was decided there and is void.
    fn voided(&self, _hash: &B256) -> Option<u64> {
        None
    }
    /// What shows slots of the message passer in a block whose state is forgotten; none where that is not kept.
    fn exits(&self, _block: u64, _slots: &[U256]) -> Option<AccountProof> {
        None
    }
    /// The newest checkpoint of execution at or below a height, with the rewards then; none where they are not kept.
    fn rewards(&self, _upto: u64) -> Option<(LagPoint, RewardsBook)> {
        None
    }
}
