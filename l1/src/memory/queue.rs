//! The rules of `ForcedQueue`, in Rust, for the chain in memory.
//!
//! Invariant: the same checks in the same order with the same names as `contracts/src/ForcedQueue.sol`.

use super::MemoryParams;
use super::registry::{Message, no_function};
use crate::bindings::ForcedQueue as Abi;
use crate::forced::NOWHERE;
use crate::{Enqueued, L1Error, Refusal};
use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolCall;

/// As the contract's constants.
const MAX_LENGTH: usize = 32_768;
const MAX_GAS: u64 = 16_777_216;
const MAX_BLOCK_GAS: u64 = 30_000_000;

/// Where an entry was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) block: u64,
    pub(super) time: u64,
    gas: u64,
}

/// What the queue holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue(Vec<Entry>);

impl Queue {
    pub(super) fn call(
        &mut self,
        params: &MemoryParams,
        m: Message,
        input: &[u8],
    ) -> Result<Enqueued, L1Error> {
        let call = Abi::enqueueCall::abi_decode(input).map_err(|_| no_function())?;
        let length = call.transaction.len();
        refuse("Forced_Length", length == 0 || length > MAX_LENGTH)?;
        refuse("Forced_Gas", call.gas == 0 || call.gas > MAX_GAS)?;
        let price = U256::from(params.rules.forced_gas_price);
        let fee = U256::from(params.rules.forced_fee)
            .saturating_add(price.saturating_mul(U256::from(call.gas)));
        refuse("Forced_Fee", m.value < fee)?;
        let here = self.0.iter().rev().take_while(|e| e.block == m.block);
        let used = here.fold(0u64, |sum, e| sum.saturating_add(e.gas));
        refuse("Forced_BlockFull", used.saturating_add(call.gas) > MAX_BLOCK_GAS)?;
        Ok(self.push(m, call.gas, call.transaction))
    }

    /// Takes an entry in, whatever the rules say.
    pub(super) fn push(&mut self, m: Message, gas: u64, tx: Bytes) -> Enqueued {
        let index = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        self.0.push(Entry { block: m.block, time: m.time, gas });
        let (block, sender) = (NOWHERE, m.sender);
        Enqueued { block, log_index: 0, tx_hash: B256::ZERO, index, sender, gas, tx }
    }

    /// The oldest entry made after an L1 block, with its index.
    pub(super) fn oldest_after(&self, l1_number: u64) -> Option<(u64, Entry)> {
        let found = (0u64..).zip(&self.0).find(|(_, e)| e.block > l1_number);
        found.map(|(index, entry)| (index, *entry))
    }
}

fn refuse(name: &'static str, when: bool) -> Result<(), L1Error> {
    if when { Err(L1Error::Refused(Refusal::Forced(name))) } else { Ok(()) }
}
