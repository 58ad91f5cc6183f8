//! What may be asked of L1.
//!
//! Invariant: every answer is of one named block. Log filters do not report what a reorganisation took away, so callers
//! that follow the chain compare parent hashes themselves.

use crate::{BatchPost, Deposited, Enqueued, FrozenSets, L1Error, Turn};
use alloy_primitives::{Address, B256, Bytes, U256};
use futures::future::BoxFuture;
use rota_types::{CommitCertificate, Header, Validator, ValidatorSet};

/// Which block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The newest.
    Latest,
    /// The newest that L1 has finalised.
    Finalized,
    /// By number.
    Number(u64),
}

/// One L1 block, as far as Rota reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L1Block {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Hash of the block before.
    pub parent_hash: B256,
    /// Seconds since the Unix epoch.
    pub timestamp: u64,
    /// Randomness of the beacon chain.
    pub prev_randao: B256,
}

/// A batch that the inbox accepted, with everything its calldata holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedBatch {
    /// The L1 block.
    pub block: L1Block,
    /// Position of the event in the block.
    pub log_index: u64,
    /// The transaction.
    pub tx_hash: B256,
    /// First height.
    pub from_height: u64,
    /// Last height.
    pub to_height: u64,
    /// Whether the poster meant to post known heights again.
    pub repost: bool,
    /// Header of the last height, as certified.
    pub header: Header,
    /// Its certificate.
    pub certificate: CommitCertificate,
    /// Versioned hashes of the blobs, in order.
    pub blob_hashes: Vec<B256>,
}

/// The reading side of L1.
pub trait L1: Send + Sync {
    /// A block, or none if it does not exist yet.
    fn block(&self, at: At) -> BoxFuture<'_, Result<Option<L1Block>, L1Error>>;

    /// Every registered operator in registration order, as of a block. The stake is the present one, not a weight.
    fn operators(&self, block: u64) -> BoxFuture<'_, Result<Vec<Validator>, L1Error>>;

    /// The frozen epoch in force at an L1 block, which must exist: no later block changes the answer.
    fn epoch_at(&self, l1_number: u64) -> BoxFuture<'_, Result<u64, L1Error>>;

    /// Every epoch that has a set of its own, as of a block.
    fn frozen_sets(&self, block: u64) -> BoxFuture<'_, Result<FrozenSets, L1Error>>;

    /// The frozen set of an epoch as of a block, checked against hash and id on L1; none if it is not frozen there. Keys and
    /// weights (as stake) are those frozen; fee recipients and addresses are of the block and no part of the set.
    fn validator_set(
        &self,
        epoch: u64,
        block: u64,
    ) -> BoxFuture<'_, Result<Option<ValidatorSet>, L1Error>>;

    /// Whether a set frozen now could differ from the newest one, as of a block: somebody waits to join, to leave or for
    /// new keys, is jailed, or has more stake than it weighs. None is frozen for nothing.
    fn set_outdated(&self, block: u64) -> BoxFuture<'_, Result<bool, L1Error>>;

    /// Batches accepted in the blocks `from..=to.number`, in L1 order. Fails with `NotCanonical` unless `to` is on the
    /// chain that the answer comes from, so an endpoint that lags is never taken for a chain without batches.
    fn batches(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<PostedBatch>, L1Error>>;

    /// What the forced queue took in the blocks `from..=to.number`, in queue order. Fails as `batches` does.
    fn forced(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Enqueued>, L1Error>>;

    /// What the portal took in the blocks `from..=to.number`, by index. Fails as `batches` does.
    fn deposits(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Deposited>, L1Error>>;

    /// What the inbox said besides certified batches in the blocks `from..=to.number`, in L1 order. Fails as `batches`
    /// does.
    fn turns(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Turn>, L1Error>>;

    /// The data of a batch: its blobs, checked against the versioned hashes and decoded.
    fn payload<'a>(&'a self, batch: &'a PostedBatch) -> BoxFuture<'a, Result<Bytes, L1Error>>;

    /// Whether the inbox would accept this batch on top of the newest block; `Refused` names the reason. Costs nothing: a
    /// poster asks first, since anyone else may have posted the same heights.
    fn preflight<'a>(
        &'a self,
        post: &'a BatchPost,
        from: Address,
    ) -> BoxFuture<'a, Result<(), L1Error>>;

    /// Balance of an account in the newest block, wei.
    fn balance(&self, account: Address) -> BoxFuture<'_, Result<U256, L1Error>>;
}
