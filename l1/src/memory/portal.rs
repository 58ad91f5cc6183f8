//! The rules of deposits in `Portal`, in Rust, for the chain in memory.
//!
//! Not for: withdrawals, which need a trie. Invariant: the same checks in the same order with the same names as `contracts/src/Portal.sol`.

use super::registry::{Message, no_function};
use crate::bindings::Portal as Abi;
use crate::forced::NOWHERE;
use crate::{Deposited, L1Error, Refusal};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use rota_types::{MAX_DEPOSITS, MIN_DEPOSIT_GWEI};

const GWEI: U256 = U256::from_limbs([1_000_000_000, 0, 0, 0]);

/// What the portal has taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Portal {
    count: u64,
    /// The L1 block of the newest deposit, and how many it has.
    newest: (u64, usize),
}

impl Portal {
    /// A deposit; none if it was a seed.
    pub(super) fn call(&mut self, m: Message, input: &[u8]) -> Result<Option<Deposited>, L1Error> {
        if Abi::seedCall::abi_decode(input).is_ok() {
            return Ok(None);
        }
        let to = Abi::depositCall::abi_decode(input).map_err(|_| no_function())?.to;
        refuse("Portal_Target", to.is_zero())?;
        let (gwei, dust) = m.value.div_rem(GWEI);
        refuse("Portal_NotWholeGwei", !dust.is_zero())?;
        let amount = u64::try_from(gwei).ok().filter(|gwei| *gwei >= MIN_DEPOSIT_GWEI);
        let amount = amount.ok_or(L1Error::Refused(Refusal::Portal("Portal_Amount")))?;
        let full = self.newest == (m.block, MAX_DEPOSITS);
        refuse("Portal_BlockFull", full)?;
        Ok(Some(self.push(m.block, to, amount)))
    }

    /// Takes a deposit in, whatever the rules say.
    pub(super) fn push(&mut self, block: u64, to: Address, amount_gwei: u64) -> Deposited {
        let index = self.count;
        self.count = self.count.saturating_add(1);
        let here = if self.newest.0 == block { self.newest.1 } else { 0 };
        self.newest = (block, here.saturating_add(1));
        Deposited { block: NOWHERE, log_index: 0, tx_hash: B256::ZERO, index, to, amount_gwei }
    }
}

fn refuse(name: &'static str, when: bool) -> Result<(), L1Error> {
    if when { Err(L1Error::Refused(Refusal::Portal(name))) } else { Ok(()) }
}
