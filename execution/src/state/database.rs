//! The EVM's view of a state.

use alloy_eips::eip2935::{HISTORY_SERVE_WINDOW, HISTORY_STORAGE_ADDRESS};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use revm::{Database, bytecode::Bytecode, database_interface::DBErrorMarker, state::AccountInfo};

use super::State;
use crate::ExecutionError;

impl DBErrorMarker for ExecutionError {}

impl Database for State {
    type Error = ExecutionError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ExecutionError> {
        self.check_account(&address)?;
        if let Some(recorder) = &self.recorder {
            recorder.note(|seen| {
                seen.accounts.entry(address).or_default();
            });
        }
        Ok(self.account(&address).map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            code: (account.code_hash == KECCAK256_EMPTY).then(Bytecode::default),
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, ExecutionError> {
        if code_hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(recorder) = &self.recorder {
            recorder.note(|seen| {
                seen.codes.insert(code_hash);
            });
        }
        self.codes.get(&code_hash).cloned().ok_or(ExecutionError::MissingCode(code_hash))
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, ExecutionError> {
        self.check_slot(&address, &slot)?;
        if let Some(recorder) = &self.recorder {
            recorder.note(|seen| {
                seen.accounts.entry(address).or_default().insert(slot);
            });
        }
        Ok(Self::storage(self, &address, &slot))
    }

    /// The history contract of EIP-2935 holds the hash of every block since genesis within its
    /// window, which is wider than the 256 blocks that `BLOCKHASH` may ask for.
    fn block_hash(&mut self, number: u64) -> Result<B256, ExecutionError> {
        let slot = U256::from(number.checked_rem(HISTORY_SERVE_WINDOW as u64).unwrap_or_default());
        Ok(Database::storage(self, HISTORY_STORAGE_ADDRESS, slot)?.into())
    }
}
