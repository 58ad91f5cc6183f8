//! What goes into the queue's calls and what comes out.

use alloy_primitives::{B256, U256};

/// Bounds of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeConfig {
    /// Transactions queued and in flight together.
    pub capacity: usize,
    /// Transactions queued for one sender.
    pub per_sender: usize,
    /// How far a nonce may be above the state's.
    pub nonce_window: u64,
    /// How long a transaction may wait, ms.
    pub expiry_ms: u64,
    /// What a refused sender is told to wait, ms.
    pub retry_after_ms: u64,
    /// Tip wanted for an insured amount, in 1/10,000 of it; 0 for none.
    pub premium_bps: u16,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self {
            capacity: 65_536,
            per_sender: 1_024,
            nonce_window: 1_024,
            expiry_ms: 600_000,
            retry_after_ms: 250,
            premium_bps: 5,
        }
    }
}

/// A sender's account in the newest state, as the caller reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderState {
    /// Next nonce by the state.
    pub state_nonce: u64,
    /// Wei.
    pub balance: U256,
}

/// Where an admitted transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It can be framed at once, after the sender's earlier ones.
    Ready,
    /// It waits for this many missing nonces before it.
    Queued {
        /// Missing nonces.
        gap: u64,
    },
}

/// An accepted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Where it stands.
    pub place: Place,
    /// The transaction with the same nonce that it took the place of.
    pub replaced: Option<B256>,
    /// The transaction behind a gap that lost its place because the queue was full.
    pub evicted: Option<B256>,
}

/// Bounds of one [`crate::Intake::take`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakeLimits {
    /// Transactions.
    pub txs: usize,
    /// Sum of encoded bytes.
    pub bytes: usize,
    /// Sum of gas limits.
    pub gas: u64,
    /// Sum of insured amounts, wei.
    pub insured: u128,
}

/// Sizes, for metrics and `txpool_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IntakeGauges {
    /// Waiting, and could be framed at once.
    pub ready: usize,
    /// Waiting behind a nonce gap.
    pub gapped: usize,
    /// Taken and not settled.
    pub in_flight: usize,
    /// Senders known.
    pub senders: usize,
    /// Encoded bytes waiting.
    pub bytes: usize,
    /// The bound on all of them.
    pub capacity: usize,
}
