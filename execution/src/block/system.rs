//! The calls that the protocol itself makes around the transactions of a block (Prague).

use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS,
    eip4788::BEACON_ROOTS_ADDRESS,
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_TYPE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_TYPE},
    eip7685::Requests,
};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY};
use revm::{
    ExecuteEvm, SystemCallEvm,
    context_interface::result::{EVMError, ExecutionResult},
};

use super::{OpenBlock, evm};
use crate::ExecutionError;

/// EIP-2935 and EIP-4788: keep the parent's hash and the L1 origin where contracts can read them.
pub(super) fn before_transactions(block: &mut OpenBlock) -> Result<(), ExecutionError> {
    let word = |word: B256| Bytes::copy_from_slice(word.as_slice());
    let (parent, origin) = (block.parent.hash, block.env.parent_beacon_block_root);
    call(block, HISTORY_STORAGE_ADDRESS, word(parent))?;
    call(block, BEACON_ROOTS_ADDRESS, word(origin))?;
    Ok(())
}

/// EIP-4895, then EIP-7002 and EIP-7251. The deposit requests of EIP-6110 cannot occur: there is no
/// beacon deposit contract on this chain.
pub(super) fn after_transactions(block: &mut OpenBlock) -> Result<Requests, ExecutionError> {
    let env = block.env.clone();
    for withdrawal in &env.withdrawals {
        block.progress.state.credit(withdrawal.address, withdrawal.amount_wei());
    }
    let mut requests = Requests::default();
    for (address, kind) in [
        (WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_TYPE),
        (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_TYPE),
    ] {
        let output = call(block, address, Bytes::new())?;
        if !output.is_empty() {
            requests.push_request_with_type(kind, output.iter().copied());
        }
    }
    Ok(requests)
}

fn call(block: &mut OpenBlock, address: Address, data: Bytes) -> Result<Bytes, ExecutionError> {
    let failed = |reason: String| ExecutionError::SystemContract { address, reason };
    let state = &mut block.progress.state;
    if state.account(&address).is_none_or(|account| account.code_hash == KECCAK256_EMPTY) {
        return Err(failed("it has no code".to_owned()));
    }
    let mut evm = evm(&mut *state, block.context.block(), block.context.rules());
    let result = evm.system_call_one(address, data);
    let mut changes = evm.finalize();
    // The system address and the fee recipient may be loaded, but they are not part of the call.
    changes.retain(|touched, _| *touched == address);
    state.commit(changes);
    match result {
        Ok(ExecutionResult::Success { output, .. }) => Ok(output.into_data()),
        Ok(ExecutionResult::Revert { output, .. }) => {
            Err(failed(format!("reverted with {output}")))
        }
        Ok(ExecutionResult::Halt { reason, .. }) => Err(failed(format!("halted: {reason}"))),
        Err(EVMError::Database(fault)) => Err(fault),
        Err(fault) => Err(failed(fault.to_string())),
    }
}
