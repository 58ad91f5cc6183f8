//! A block that still takes transactions, frame by frame.
//!
//! Not for deciding order and not for roots: those come once, in [`OpenBlock::seal`].
//!
//! Invariant: what has been applied, and nothing else, decides the block. A skipped transaction
//! leaves no trace, and after [`OpenBlock::restore`] the block is what it was at the checkpoint,
//! bit for bit.

use std::sync::Arc;

use alloy_consensus::{ReceiptEnvelope, TxEnvelope};
use alloy_primitives::{Address, U256};
use imbl::Vector;

use super::{BlockContext, BlockEnv, Head, Run, system};
use crate::{ExecutionError, State};

/// A block under construction. `Send`, and `Clone` in O(1).
#[derive(Clone, Debug)]
pub struct OpenBlock {
    pub(super) parent: Arc<Head>,
    pub(super) env: Arc<BlockEnv>,
    pub(super) context: BlockContext,
    pub(super) progress: Progress,
}

/// What applying transactions changes.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) state: State,
    pub(super) included: Vector<Arc<Included>>,
    pub(super) gas_used: u64,
    pub(super) logs: u64,
}

/// A place in an open block to come back to, taken in O(1). Belongs to the block that made it.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    env: Arc<BlockEnv>,
    progress: Progress,
}

/// A transaction that is in the block, with all its receipt needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// The transaction as signed.
    pub transaction: TxEnvelope,
    /// Who signed it.
    pub sender: Address,
    /// Its place in the block.
    pub index: u64,
    /// Status, cumulative gas, logs and bloom, as in the receipts trie.
    pub receipt: ReceiptEnvelope,
    /// Gas this transaction alone used.
    pub gas_used: u64,
    /// Wei paid for each gas, base fee included.
    pub effective_gas_price: u128,
    /// The contract it created, if it was a creation that succeeded.
    pub contract: Option<Address>,
    /// How many logs of the block come before its first.
    pub first_log: u64,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the block, successful or reverted.
    Included(Arc<Included>),
    /// It is not, and left no trace.
    Skipped(Skip),
}

/// Why a transaction cannot be in the block at this place. The user's fault, or bad luck; never
/// ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// The nonce was used before.
    #[error("nonce too low: the next is {expected}")]
    NonceTooLow {
        /// The sender's next nonce.
        expected: u64,
    },
    /// Transactions before this one are missing.
    #[error("nonce too high: the next is {expected}")]
    NonceTooHigh {
        /// The sender's next nonce.
        expected: u64,
    },
    /// The balance does not cover the value and the highest possible fee.
    #[error("insufficient funds: {balance} of {needed} wei")]
    InsufficientFunds {
        /// What the sender has, in wei.
        balance: U256,
        /// What the transaction may cost, in wei.
        needed: U256,
    },
    /// The fee cap is below the block's base fee.
    #[error("fee cap below the base fee of {base_fee} wei")]
    FeeTooLow {
        /// The block's base fee in wei.
        base_fee: u64,
    },
    /// The gas limit exceeds what is left in the block.
    #[error("gas limit above the {available} left in the block")]
    BlockGasExceeded {
        /// Gas left in the block.
        available: u64,
    },
    /// Blob transactions are not part of this chain.
    #[error("blob transactions are not accepted")]
    BlobTx,
    /// It can be in no block whatever the state: wrong chain, too little gas for its size and so
    /// on.
    #[error("invalid transaction: {0}")]
    Invalid(String),
}

impl OpenBlock {
    /// Starts the block after `parent`: stores the parent's hash (EIP-2935) and the L1 origin
    /// (EIP-4788).
    ///
    /// # Errors
    /// [`ExecutionError::Environment`] if `env` does not follow the parent,
    /// [`ExecutionError::SystemContract`] if the genesis lacked a system contract.
    pub fn open(parent: &Head, env: BlockEnv, chain_id: u64) -> Result<Self, ExecutionError> {
        env.check(&parent.header)?;
        let mut block = Self {
            context: BlockContext::next(parent, &env, chain_id),
            progress: Progress {
                state: parent.state.clone(),
                included: Vector::new(),
                gas_used: 0,
                logs: 0,
            },
            parent: Arc::new(parent.clone()),
            env: Arc::new(env),
        };
        system::before_transactions(&mut block)?;
        Ok(block)
    }

    /// Applies one transaction, whose `sender` the caller has recovered from the signature.
    /// Several in a row are cheaper through [`Self::run`].
    ///
    /// # Errors
    /// Only ours: the state is damaged or the EVM failed. The block is then unchanged.
    pub fn apply(
        &mut self,
        transaction: &TxEnvelope,
        sender: Address,
    ) -> Result<Outcome, ExecutionError> {
        self.run().apply(transaction, sender)
    }

    /// An EVM held open for a batch of transactions, such as a frame.
    pub fn run(&mut self) -> Run<'_> {
        Run::new(self)
    }

    /// The state after everything applied so far, in O(1).
    #[must_use]
    pub fn snapshot(&self) -> State {
        self.progress.state.clone()
    }

    /// Takes over the trie work that [`State::settled`] did on a snapshot of this block, so that
    /// [`Self::seal`] need not repeat it. False, and harmless, if the snapshot is of a history that
    /// was rolled back.
    pub fn adopt(&mut self, settled: &State) -> bool {
        self.progress.state.adopt(settled)
    }

    /// A place to come back to, in O(1).
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { env: self.env.clone(), progress: self.progress.clone() }
    }

    /// Forgets everything applied since the checkpoint was taken, or returns to it after going back
    /// further.
    ///
    /// # Errors
    /// [`ExecutionError::Environment`] if the checkpoint is of another block, whatever its number.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), ExecutionError> {
        if !Arc::ptr_eq(&self.env, &checkpoint.env) {
            return Err(ExecutionError::Environment("the checkpoint is of another block"));
        }
        self.progress = checkpoint.progress.clone();
        Ok(())
    }

    /// What the transactions of this block see.
    #[must_use]
    pub const fn context(&self) -> &BlockContext {
        &self.context
    }

    /// What the block was opened with.
    #[must_use]
    pub fn env(&self) -> &BlockEnv {
        &self.env
    }

    /// The block this one follows.
    #[must_use]
    pub fn parent(&self) -> &Head {
        &self.parent
    }

    /// Gas used so far.
    #[must_use]
    pub const fn gas_used(&self) -> u64 {
        self.progress.gas_used
    }

    /// Gas left for further transactions.
    #[must_use]
    pub const fn gas_left(&self) -> u64 {
        self.context.gas_limit.saturating_sub(self.progress.gas_used)
    }

    /// The transactions in the block so far, in order.
    pub fn included(&self) -> impl ExactSizeIterator<Item = &Arc<Included>> + DoubleEndedIterator {
        self.progress.included.iter()
    }
}
