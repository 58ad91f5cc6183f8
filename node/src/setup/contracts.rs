//! The contracts that users meet: the queue of forced transactions, fallbacks and the rewards.
//!
//! Invariant: as everywhere here, what a call would do is asked of L1 before it is paid for.

use super::{OnL1, OperatorOnL1, SetupError, provider, unavailable};
use alloy::providers::Provider;
use alloy_primitives::{Address, B256, U256};
use rota_l1::bindings::{ForcedQueue, Inbox, Rewards};
use rota_l1::{L1, L1Block, Outputs};

/// What an account was paid on L1, and what there is to pay with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RewardsOnL1 {
    /// Wei paid in all.
    pub claimed: u128,
    /// The newest height that it was paid for.
    pub height: u64,
    /// Wei in the contract.
    pub balance: U256,
    /// Of it, wei kept for those who post.
    pub posting: U256,
}

/// What posting cost an operator, and how much of it came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostageOnL1 {
    /// Who posts for it; none if its owner has not said.
    pub poster: Option<Address>,
    /// Wei that posting cost that account, by the base fees.
    pub spent: U256,
    /// Wei of it that came back.
    pub refunded: U256,
    /// Wei kept for all who post.
    pub kept: U256,
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

/// Where the rollup stands with fallbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FallbackOnL1 {
    /// The newest L1 block.
    pub block: u64,
    /// How many there were.
    pub generation: u32,
    /// One has begun, and no certified batch of its generation has come.
    pub resuming: bool,
    /// Batches need no certificate now.
    pub goes_on: bool,
    /// Last L1 block in which none may start; none before the first set is frozen.
    pub may_start_after: Option<u64>,
    /// L1 block in which the newest began; 0 for none.
    pub since: u64,
    /// L1 blocks of a roll call.
    pub roll_call: u64,
    /// The set that ends it, and the first L1 block of that set; 0 until it is formed.
    pub epoch: u64,
    /// As `epoch`.
    pub start: u64,
}

impl FallbackOnL1 {
    /// Last L1 block of the roll call.
    #[must_use]
    pub const fn roll_call_until(&self) -> u64 {
        self.since.saturating_add(self.roll_call)
    }
}

/// A member of the newest set in a roll call.
#[derive(Debug, Clone)]
pub struct RollCall {
    /// The operator.
    pub operator: OperatorOnL1,
    /// Its weight, gwei.
    pub weight: u64,
    /// Whether it answered the newest one.
    pub answered: bool,
}

impl OnL1<'_> {
    /// The members of the newest set, and who of them answered.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn roll_call(&self, state: &FallbackOnL1) -> Result<Vec<RollCall>, SetupError> {
        let frozen = self.frozen().await?.epochs;
        // Until its set is formed the newest one is called; then that set is who answered.
        let called = frozen.iter().rev().find(|e| state.epoch == 0 || **e < state.epoch);
        let Some(set) = self.set(called.copied()).await? else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        for operator in self.operators().await? {
            let of = |(_, v): &(u16, &rota_types::Validator)| operator.has(v.vote_key);
            let Some(weight) = set.iter().find(of).map(|(_, v)| v.power()) else { continue };
            let answered = state.resuming && self.answered(state.generation, operator.id).await?;
            out.push(RollCall { operator, weight, answered });
        }
        Ok(out)
    }

    /// Where the rollup stands with fallbacks.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn fallback(&self) -> Result<FallbackOnL1, SetupError> {
        let failed = |e: alloy::contract::Error| unavailable(e, self.urls);
        let inbox = Inbox::new(self.network.inbox, provider(self.urls, None)?);
        let block = self.head().await?;
        let generation = inbox.generation().call().await.map_err(failed)?;
        let stall = inbox.stall().call().await.map_err(failed)?;
        let tip = inbox.tip().call().await.map_err(failed)?;
        let goes_on = inbox.inFallback().call().await.map_err(failed)?;
        // Until the set that was formed certifies a height, its epoch is not the tip's.
        let resuming = generation > 0 && (stall.epoch == 0 || tip.epoch < stall.epoch);
        Ok(FallbackOnL1 {
            block,
            generation,
            resuming,
            goes_on,
            may_start_after: u64::try_from(inbox.stalledAfter().call().await.map_err(failed)?).ok(),
            since: stall.since,
            roll_call: inbox.rollCallBlocks().call().await.map_err(failed)?,
            epoch: stall.epoch,
            start: stall.start,
        })
    }

    /// Whether an operator answered the roll call of a generation.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn answered(&self, generation: u32, operator: u64) -> Result<bool, SetupError> {
        let inbox = Inbox::new(self.network.inbox, provider(self.urls, None)?);
        let asked = inbox.answered(generation, U256::from(operator)).call().await;
        Ok(asked.map_err(|e| unavailable(e, self.urls))?)
    }

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
        let asked = Rewards::new(contract, p).posting().call().await;
        let posting = asked.map_err(|e| unavailable(e, self.urls))?;
        Ok(RewardsOnL1 { claimed: paid.amount, height: paid.height, balance, posting })
    }

    /// What posting cost an operator.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn postage(
        &self,
        contract: Address,
        operator: u64,
    ) -> Result<PostageOnL1, SetupError> {
        let failed = |e: alloy::contract::Error| unavailable(e, self.urls);
        let p = provider(self.urls, None)?;
        let rewards = Rewards::new(contract, p.clone());
        let named = rewards.posterOf(U256::from(operator)).call().await.map_err(failed)?;
        let inbox = Inbox::new(self.network.inbox, p);
        Ok(PostageOnL1 {
            poster: Some(named).filter(|poster| !poster.is_zero()),
            spent: inbox.postage(named).call().await.map_err(failed)?,
            refunded: rewards.refunded(named).call().await.map_err(failed)?,
            kept: rewards.posting().call().await.map_err(failed)?,
        })
    }

    /// Reads the oracle.
    #[must_use]
    pub fn outputs(&self, oracle: Address) -> Outputs {
        Outputs::new(self.l1.endpoints(), oracle)
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

    pub(super) async fn block(&self, number: u64) -> Result<L1Block, SetupError> {
        let found = self.l1.block(rota_l1::At::Number(number)).await?;
        Ok(found.ok_or(rota_l1::L1Error::NoBlock(number))?)
    }
}
