//! What transactions pay, and how the part that Ethereum's rules burn comes back.
//!
//! Not for: who earns it (`RewardsBook` in `types`). Invariants: what comes back is a function of the parent header
//! alone, so whoever imports or derives the block has the same withdrawal; and no more ever comes back than was burned.

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::Address;

use crate::Included;

/// Wei in a gwei, the unit of withdrawals.
const GWEI: u128 = 1_000_000_000;

/// The base fee that the parent block burned, as the one withdrawal of the block after it (EIP-4895): to the fee
/// vault, in whole gwei, with the number of the new block as its index. None if that is nothing; what is below a
/// gwei stays burned.
#[must_use]
pub fn base_fee_return(parent: &Header, vault: Address) -> Option<Withdrawal> {
    let burned = Fees { gas_used: parent.gas_used, priority_wei: 0 };
    let wei = burned.wei(parent.base_fee_per_gas.unwrap_or_default());
    let amount = u64::try_from(wei.checked_div(GWEI)?).unwrap_or(u64::MAX);
    let index = parent.number.checked_add(1)?;
    (amount > 0).then_some(Withdrawal { index, validator_index: 0, address: vault, amount })
}

/// What some transactions of one block paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fees {
    /// Gas used.
    pub gas_used: u64,
    /// Priority fees, wei: paid to the fee vault at once.
    pub priority_wei: u128,
}

impl Fees {
    /// Adds a transaction of a block with this base fee.
    pub fn add(&mut self, tx: &Included, base_fee: u64) {
        let tip = tx.effective_gas_price.saturating_sub(base_fee.into());
        let wei = tip.saturating_mul(tx.gas_used.into());
        self.gas_used = self.gas_used.saturating_add(tx.gas_used);
        self.priority_wei = self.priority_wei.saturating_add(wei);
    }

    /// Adds what other transactions of the same block paid.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            gas_used: self.gas_used.saturating_add(other.gas_used),
            priority_wei: self.priority_wei.saturating_add(other.priority_wei),
        }
    }

    /// Wei that the vault gets: priority fees, and the base fee rounded down to whole gwei. Parts of a block never have
    /// more together than the block.
    #[must_use]
    pub fn wei(&self, base_fee: u64) -> u128 {
        let burned = u128::from(base_fee).saturating_mul(self.gas_used.into());
        let dust = burned.checked_rem(GWEI).unwrap_or_default();
        self.priority_wei.saturating_add(burned.saturating_sub(dust))
    }
}
