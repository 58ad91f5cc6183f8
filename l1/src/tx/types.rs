//! The nouns of sending a transaction, and the chain as the manager needs it.

use crate::L1Error;
use alloy_primitives::{Address, B256, Bytes, U256};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxRequest {
    /// Contract or account.
    pub to: Address,
    /// Calldata.
    pub input: Bytes,
    /// Wei.
    pub value: U256,
    /// Gas limit.
    pub gas_limit: u64,
    /// Data for the blobs; none makes it a plain transaction.
    pub payload: Option<Bytes>,
}

/// What a transaction offers, wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fees {
    /// Most for execution gas, the tip included.
    pub max_fee: u128,
    /// For the proposer.
    pub tip: u128,
    /// Most for blob gas; unused without blobs.
    pub blob_fee: u128,
}

impl Fees {
    /// Twice each: the replacement rule for blob transactions (geth: at least +100 % on all three).
    #[must_use]
    pub const fn doubled(self) -> Self {
        Self {
            max_fee: self.max_fee.saturating_mul(2),
            tip: self.tip.saturating_mul(2),
            blob_fee: self.blob_fee.saturating_mul(2),
        }
    }

    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            max_fee: self.max_fee.max(other.max_fee),
            tip: self.tip.max(other.tip),
            blob_fee: self.blob_fee.max(other.blob_fee),
        }
    }

    /// The smaller of each.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            max_fee: self.max_fee.min(other.max_fee),
            tip: self.tip.min(other.tip),
            blob_fee: self.blob_fee.min(other.blob_fee),
        }
    }

    /// Whether none exceeds `cap`.
    #[must_use]
    pub fn within(self, cap: Self) -> bool {
        self.min(cap) == self
    }
}

/// A request with its nonce and fees, before the signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsignedTx {
    /// What to send.
    pub request: TxRequest,
    /// The account's nonce.
    pub nonce: u64,
    /// What to offer.
    pub fees: Fees,
}

/// A signed transaction, as it goes over the network (blobs included).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTx {
    /// Its hash.
    pub hash: B256,
    /// EIP-2718 bytes.
    pub raw: Bytes,
}

/// One signed and perhaps broadcast form of the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its hash.
    pub hash: B256,
    /// What it offers.
    pub fees: Fees,
    /// L1 block when it was signed.
    pub block: u64,
    /// False if every endpoint refused it for want of funds: then the next offer need not outbid it.
    pub taken: bool,
}

/// Where a transaction was mined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// The transaction.
    pub hash: B256,
    /// The block.
    pub block: u64,
    /// Its hash.
    pub block_hash: B256,
    /// False if it reverted.
    pub success: bool,
    /// Gas used.
    pub gas_used: u64,
}

/// The end of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Where it is.
    pub inclusion: Inclusion,
    /// Forms that were signed.
    pub attempts: usize,
}

/// What the chain shows, from one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observation {
    /// Newest block.
    pub block: u64,
    /// Its base fee, wei per gas.
    pub base_fee: u128,
    /// Blob base fee, wei per blob gas.
    pub blob_base_fee: u128,
    /// Customary tip, wei per gas.
    pub tip: u128,
    /// The account's nonce in the newest block. Read before the receipts: a used nonce then has its receipt.
    pub next_nonce: u64,
    /// The attempt that was mined, if one was.
    pub inclusion: Option<Inclusion>,
}

/// Why a broadcast was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendFault {
    /// The nonce is used: mined already, or another program has the key.
    #[error("nonce too low")]
    NonceTooLow,
    /// Replaces a transaction without paying enough more.
    #[error("replacement underpriced")]
    Underpriced,
    /// Below what the block or the pool asks.
    #[error("fee too low")]
    FeeTooLow,
    /// The account cannot pay.
    #[error("insufficient funds: {0}")]
    Funds(String),
    /// No endpoint answered.
    #[error("{0}")]
    Endpoint(String),
    /// Malformed.
    #[error("rejected: {0}")]
    Rejected(String),
}

/// The writing side of L1 for one account.
pub trait TxChain: Send + Sync {
    /// The account that signs.
    fn account(&self) -> Address;

    /// The newest block, fees and nonce, and which of `hashes` was mined.
    fn observe<'a>(&'a self, hashes: &'a [B256]) -> BoxFuture<'a, Result<Observation, L1Error>>;

    /// Signs. The same input gives the same hash, so signing again is how a transaction is sent again.
    fn sign<'a>(&'a self, tx: &'a UnsignedTx) -> BoxFuture<'a, Result<SignedTx, L1Error>>;

    /// Offers it to every endpoint; one that takes it (or has it) is enough.
    fn broadcast<'a>(&'a self, tx: &'a SignedTx) -> BoxFuture<'a, Result<(), SendFault>>;
}

impl<T: TxChain + ?Sized> TxChain for Arc<T> {
    fn account(&self) -> Address {
        (**self).account()
    }
    fn observe<'a>(&'a self, hashes: &'a [B256]) -> BoxFuture<'a, Result<Observation, L1Error>> {
        (**self).observe(hashes)
    }
    fn sign<'a>(&'a self, tx: &'a UnsignedTx) -> BoxFuture<'a, Result<SignedTx, L1Error>> {
        (**self).sign(tx)
    }
    fn broadcast<'a>(&'a self, tx: &'a SignedTx) -> BoxFuture<'a, Result<(), SendFault>> {
        (**self).broadcast(tx)
    }
}
