//! Why a transaction was not admitted, in words for the person who sent it.

use alloy_primitives::U256;

/// Why a transaction was not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// User: the nonce was used before.
    #[error("nonce too low: the next nonce is {state}, the transaction has {got}")]
    NonceTooLow {
        /// Next nonce of the sender.
        state: u64,
        /// Nonce of the transaction.
        got: u64,
    },
    /// User: too far above the next nonce to be kept.
    #[error(
        "nonce too high: the next nonce is {state}, the transaction has {got}, at most {max} is kept"
    )]
    NonceTooHigh {
        /// Next nonce of the sender.
        state: u64,
        /// Nonce of the transaction.
        got: u64,
        /// Highest nonce that is kept.
        max: u64,
    },
    /// User: the balance does not cover this transaction and those waiting before it.
    #[error(
        "insufficient funds: the balance is {have} wei, this and the waiting transactions of the sender may cost {need} wei"
    )]
    Underfunded {
        /// Balance, wei.
        have: U256,
        /// What all waiting transactions of the sender may cost, wei.
        need: U256,
    },
    /// User: the fee cap is below the base fee.
    #[error("max fee per gas too low: {got} wei, the base fee is {base_fee} wei")]
    FeeTooLow {
        /// Fee cap of the transaction, wei.
        got: u128,
        /// Base fee of the open block, wei.
        base_fee: u64,
    },
    /// User: another transaction with this nonce waits, and this one does not pay 10 % more.
    #[error(
        "replacement transaction underpriced: fee cap {need_fee} wei and tip {need_tip} wei are needed"
    )]
    ReplacementUnderpriced {
        /// Fee cap needed, wei.
        need_fee: u128,
        /// Tip needed, wei.
        need_tip: u128,
    },
    /// User: the tip does not pay for the insured amount.
    #[error(
        "the tip does not pay for the insurance: {insured} wei insured cost {need} wei, tip times gas limit gives {have} wei"
    )]
    PremiumTooLow {
        /// What is to be insured, wei.
        insured: u128,
        /// What that costs here, wei.
        need: u128,
        /// Effective tip times gas limit, wei.
        have: u128,
    },
    /// User: more than any leader may insure with its stake, or the set with its own.
    #[error("too much to insure: {insured} wei asked, at most {most} wei can be insured at a time")]
    InsuredTooMuch {
        /// What is to be insured, wei.
        insured: u128,
        /// The most that the stakes allow, wei.
        most: u128,
    },
    /// User: the very same transaction is here.
    #[error("already known")]
    AlreadyKnown,
    /// User: too many transactions of this sender wait.
    #[error("too many waiting transactions of this sender: the limit is {limit}")]
    PerSenderLimit {
        /// The limit.
        limit: usize,
    },
    /// Us: the queue is full.
    #[error(
        "busy: {len} of {capacity} places taken; try again in {retry_after_ms} ms or pay a higher tip"
    )]
    Busy {
        /// When to try again, ms.
        retry_after_ms: u64,
        /// Transactions held.
        len: usize,
        /// The bound.
        capacity: usize,
    },
}

impl Reject {
    /// Whether we, not the sender, are the reason.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}
