//! One EVM held open over an open block, for as long as a batch of transactions takes.

use std::{fmt, sync::Arc};

use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, Transaction, TxEnvelope};
use alloy_evm::FromRecoveredTx;
use alloy_primitives::Address;
use imbl::Vector;
use revm::{
    ExecuteEvm,
    context::TxEnv,
    context_interface::result::{EVMError, ExecutionResult, InvalidTransaction},
};

use super::{BlockContext, Evm, Included, OpenBlock, Outcome, Skip, evm};
use crate::{ExecutionError, State};

/// Applies transactions to the open block it was borrowed from. Each is in the block when `apply`
/// returns.
pub struct Run<'block> {
    evm: Evm<&'block mut State>,
    context: &'block BlockContext,
    included: &'block mut Vector<Arc<Included>>,
    gas_used: &'block mut u64,
    logs: &'block mut u64,
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("gas_used", &self.gas_used).finish_non_exhaustive()
    }
}

impl<'block> Run<'block> {
    pub(super) fn new(block: &'block mut OpenBlock) -> Self {
        let OpenBlock { context, progress, .. } = block;
        Self {
            evm: evm(&mut progress.state, context.block(), context.rules()),
            context,
            included: &mut progress.included,
            gas_used: &mut progress.gas_used,
            logs: &mut progress.logs,
        }
    }

    /// Applies one transaction, whose `sender` the caller has recovered from the signature.
    ///
    /// # Errors
    /// Only ours: the state is damaged or the EVM failed. The block is then unchanged.
    pub fn apply(
        &mut self,
        transaction: &TxEnvelope,
        sender: Address,
    ) -> Result<Outcome, ExecutionError> {
        if transaction.is_eip4844() {
            return Ok(Outcome::Skipped(Skip::BlobTx));
        }
        let available = self.context.gas_limit.saturating_sub(*self.gas_used);
        if transaction.gas_limit() > available {
            return Ok(Outcome::Skipped(Skip::BlockGasExceeded { available }));
        }
        let result = self.evm.transact_one(TxEnv::from_recovered_tx(transaction, sender));
        // Also after a failure: whatever the journal had loaded must not outlive this transaction.
        let changes = self.evm.finalize();
        match result {
            Ok(result) => {
                self.evm.ctx.journaled_state.database.commit(changes);
                Ok(Outcome::Included(self.include(transaction, sender, result)))
            }
            Err(EVMError::Transaction(reason)) => {
                Ok(Outcome::Skipped(Skip::from_evm(reason, self.context.base_fee)))
            }
            Err(EVMError::Database(fault)) => Err(fault),
            Err(fault) => Err(ExecutionError::Evm(fault.to_string())),
        }
    }

    fn include(
        &mut self,
        transaction: &TxEnvelope,
        sender: Address,
        result: ExecutionResult,
    ) -> Arc<Included> {
        let gas_used = result.tx_gas_used();
        *self.gas_used = self.gas_used.saturating_add(gas_used);
        let contract = result.created_address();
        let status = Eip658Value::Eip658(result.is_success());
        // A revert takes its logs with it; `into_logs` would also hand out those of before the
        // revert.
        let logs = if result.is_success() { result.into_logs() } else { Vec::new() };
        let first_log = *self.logs;
        *self.logs = first_log.saturating_add(logs.len() as u64);
        let receipt = Receipt { status, cumulative_gas_used: *self.gas_used, logs };
        let included = Arc::new(Included {
            transaction: transaction.clone(),
            sender,
            index: self.included.len() as u64,
            receipt: ReceiptEnvelope::from_typed(transaction.tx_type(), receipt),
            gas_used,
            effective_gas_price: transaction.effective_gas_price(Some(self.context.base_fee)),
            contract,
            first_log,
        });
        self.included.push_back(included.clone());
        included
    }
}

impl Skip {
    pub(crate) fn from_evm(reason: InvalidTransaction, base_fee: u64) -> Self {
        match reason {
            InvalidTransaction::NonceTooLow { state, .. } => Self::NonceTooLow { expected: state },
            InvalidTransaction::NonceTooHigh { state, .. } => {
                Self::NonceTooHigh { expected: state }
            }
            InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
                Self::InsufficientFunds { balance: *balance, needed: *fee }
            }
            InvalidTransaction::GasPriceLessThanBasefee => Self::FeeTooLow { base_fee },
            other => Self::Invalid(other.to_string()),
        }
    }
}
