//! What can go wrong, and whose fault it is.

use alloy_primitives::{Address, B256, U256};

/// Failures of this crate. A transaction that cannot be included is not one of them: it is
/// [`crate::Skip`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecutionError {
    /// Us: the caller put together blocks, states or checkpoints that do not belong together.
    #[error("the block does not fit: {0}")]
    Environment(&'static str),
    /// Us: the genesis is not one a Prague chain can start from.
    #[error("unusable genesis: {0}")]
    Genesis(&'static str),
    /// Us: a system contract is missing or failed; a block without its result would be invalid.
    #[error("system contract {address} failed: {reason}")]
    SystemContract {
        /// The contract (EIP-2935, 4788, 7002 or 7251).
        address: Address,
        /// What it answered.
        reason: String,
    },
    /// Us: an account names code that the state does not hold. The state was loaded from a damaged
    /// store.
    #[error("the state holds no code with hash {0}")]
    MissingCode(B256),
    /// Us: storage was given for an account that does not exist. The state was loaded from a
    /// damaged store.
    #[error("the state holds storage but no account at {0}")]
    OrphanStorage(Address),
    /// Us: the EVM failed for a reason no valid or invalid transaction should reach.
    #[error("the EVM failed: {0}")]
    Evm(String),
    /// Whoever made the witness: the block reads what it does not show.
    #[error("the witness does not show {}", match .1 { Some(slot) => format!("slot {slot:#x} of {0}", .0), None => format!("account {0}", .0) })]
    NotInWitness(Address, Option<U256>),
    /// User: a call or an estimate was asked for that could never be a transaction.
    #[error("{0}")]
    Call(String),
}
