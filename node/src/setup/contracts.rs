//! The contracts that users meet: the queue of forced transactions and the rewards.
//!
//! Invariant: as everywhere here, what a call would do is asked of L1 before it is paid for.

use super::{OnL1, SetupError, provider, unavailable};
use alloy::providers::Provider;
use alloy_primitives::{Address, B256, U256};
use rota_l1::bindings::{ForcedQueue, Inbox, Rewards};
use rota_l1::{L1, L1Block};

/// What an account was paid on L1, and what there is to pay with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RewardsOnL1 {
    /// Wei paid in all.
    pub claimed: u128,
    /// The newest height that it was paid for.
    pub height: u64,
    /// Wei in the contract.
    pub balance: U256,
}

/// The queue of forced transactions and its terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForcedTerms {
    /// The contract.
    pub queue: Address,
    /// Wei for any entry.
    pub fee: U256,
    /// Wei for each unit of its gas.
    pub gas_price: U256,
    /// Seconds by which a height may be later than an entry that it does not include.
    pub window_s: u64,
    /// L1 blocks without a newer certified origin after which a fallback may start.
    pub fallback_blocks: u64,
}

/// An entry of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForcedEntry {
    /// Place in the queue, from 0.
    pub index: u64,
    /// Its L1 block.
    pub l1_block: u64,
    /// That block's time, seconds.
    pub timestamp: u64,
}

impl OnL1<'_> {
    /// What an account was paid.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn rewards(
        &self,
        contract: Address,
        account: Address,
    ) -> Result<RewardsOnL1, SetupError> {
        let p = provider(self.urls, None)?;
        let asked = Rewards::new(contract, p.clone()).claimed(account).call().await;
        let paid = asked.map_err(|e| unavailable(e, self.urls))?;
        let balance = p.get_balance(contract).await.map_err(|e| unavailable(e, self.urls))?;
        Ok(RewardsOnL1 { claimed: paid.amount, height: paid.height, balance })
    }

    /// The terms of forced transactions.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn forced_terms(&self) -> Result<ForcedTerms, SetupError> {
        let p = provider(self.urls, None)?;
        let failed = |e: alloy::contract::Error| unavailable(e, self.urls);
        let inbox = Inbox::new(self.network.inbox, p.clone());
        let queue = inbox.forced().call().await.map_err(failed)?;
        let contract = ForcedQueue::new(queue, p);
        Ok(ForcedTerms {
            queue,
            fee: contract.minFee().call().await.map_err(failed)?,
            gas_price: contract.gasPrice().call().await.map_err(failed)?,
            window_s: inbox.forcedWindow().call().await.map_err(failed)?,
            fallback_blocks: inbox.fallbackBlocks().call().await.map_err(failed)?,
        })
    }

    /// The newest entry with this transaction that an L1 transaction made.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn forced_entry(
        &self,
        l1_block: u64,
        transaction: B256,
    ) -> Result<Option<ForcedEntry>, SetupError> {
        let at = self.block(l1_block).await?;
        let found = self.l1.forced(l1_block, at).await?;
        let entry = found.into_iter().rev().find(|e| e.forced_hash() == transaction);
        Ok(entry.map(|e| ForcedEntry { index: e.index, l1_block, timestamp: at.timestamp }))
    }

    async fn block(&self, number: u64) -> Result<L1Block, SetupError> {
        let found = self.l1.block(rota_l1::At::Number(number)).await?;
        Ok(found.ok_or(rota_l1::L1Error::NoBlock(number))?)
    }
}
