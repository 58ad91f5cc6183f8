//! Deriving the chain up to the last L1 block of a fallback, into the database of the generation that follows.
//!
//! Invariant: blocks are written in order, each whole, and the base last; after a crash the same blocks are derived again,
//! those that are there are compared, and the rest is added.

use super::{EmergencySet, upto::Upto, void};
use crate::{
    chain::{Base, CONTEXT, Sealed, encode_context, write_block, write_genesis},
    follower::{Derivation, FollowerChain, Landed},
    settle::{StoreJournal, posted_upto, start_inbox},
    view::{View, ViewConfig},
};
use alloy_primitives::B256;
use eyre::{bail, ensure, eyre};
use rota_execution::Head;
use rota_l1::{At, L1, L1Block, L1Error};
use rota_preconf::Epoch;
use rota_store::{BlockBatch, Blocks, Tree};
use rota_types::{Env, Millis};
use std::sync::Arc;

/// Brings a database to the chain that an emergency set goes on from.
pub struct Lander {
    store: Blocks,
    chain: FollowerChain,
    set: EmergencySet,
    generation: u32,
    derivation: Derivation,
    /// Last L1 block of the fallback.
    last: L1Block,
}

impl std::fmt::Debug for Lander {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lander").field("set", &self.set).finish_non_exhaustive()
    }
}

impl Lander {
    /// In the database of `generation`, whose emergency set is final. `chain` is the rollup in generation 0.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn new(
        chain: FollowerChain,
        store: Blocks,
        l1: &dyn L1,
        (generation, set): (u32, EmergencySet),
    ) -> Result<Self, L1Error> {
        let number = set.start.saturating_sub(1);
        let last = l1.block(At::Number(number)).await?.ok_or(L1Error::NoBlock(number))?;
        let view = View::new(
            ViewConfig { chain_id: chain.domain.l2_chain_id, ..ViewConfig::default() },
            &chain.genesis,
        );
        let (kept, genesis) = (store.clone(), chain.genesis.clone());
        let derivation = Derivation::new(chain.clone(), Arc::new(view), store.clone())
            .with_sink(Box::new(move |sealed| keep(&kept, &genesis, sealed)));
        Ok(Self { store, chain, set, generation, derivation, last })
    }

    /// Derives on. Whether there is more. After an error nothing is lost.
    ///
    /// # Errors
    /// L1 does not answer; or the blocks in the database are not those of L1.
    pub async fn step(&mut self, l1: &dyn L1, now: Millis) -> eyre::Result<bool> {
        let upto = Upto { l1, last: self.last };
        let more = self.derivation.step(&upto, now).await?;
        Ok(more || self.derivation.l1_head().is_none_or(|b| b.number < self.last.number))
    }

    /// The newest block derived.
    #[must_use]
    pub fn block(&self) -> u64 {
        self.derivation.head().header.number
    }

    /// Writes down what the first height of the emergency set stands on. `before` is the database of the generation
    /// before, if it is there.
    ///
    /// # Errors
    /// The derivation did not get there; or the database cannot be written.
    pub fn finish(
        self,
        epoch: &Arc<Epoch>,
        before: Option<&Blocks>,
        now: Millis,
    ) -> eyre::Result<Base> {
        let Self { store, chain, set, generation, derivation, last } = self;
        let landed = derivation.land(now)?;
        let Landed { start, origin, posted } =
            landed.ok_or_else(|| eyre!("L1 does not say that the fallback ended"))?;
        if start.generation != generation || start.l1_number != set.start {
            bail!("L1 says two things of generation {generation}: {set:?} and {:?}", start.mode);
        }
        ensure!(epoch.number() == set.epoch, "the set of epoch {} is not here", set.epoch);
        let posted = posted.map_or((B256::ZERO, 0), |l1| (l1.tx_hash, l1.number));
        let base = Base { start, origin };
        let context = base.context(epoch, floor(&chain, &last), chain.domain.genesis_hash);
        let mut batch = BlockBatch::default();
        start_inbox(&mut batch, last.number, base.start.head.height, posted);
        if let Some(before) = before {
            StoreJournal(before.clone()).hand_on(&mut batch)?;
            let void = void::note(&store, before, posted_upto(before)?)?;
            tracing::info!(transactions = void, "decided, not posted in time, and void");
        }
        batch.put(Tree::Meta, CONTEXT, encode_context(&context));
        base.put(&mut batch);
        store.flush()?;
        store.commit(batch)?;
        store.flush()?;
        Ok(base)
    }
}

/// Writes a block, or compares it with what an earlier attempt wrote.
fn keep(store: &Blocks, genesis: &Head, sealed: &Sealed) -> eyre::Result<()> {
    let number = sealed.block.head.header.number;
    let newest = store.executed_head()?;
    if newest.is_some_and(|head| number <= head.number) {
        let known = store.block(number)?.map(|(hash, _)| hash);
        ensure!(
            known == Some(sealed.block.hash()),
            "block {number} in the database is not the one that L1 gives: move the database away and start again"
        );
        return Ok(());
    }
    let mut batch = BlockBatch::default();
    if newest.is_none() {
        write_genesis(&mut batch, genesis);
    }
    write_block(&mut batch, sealed);
    Ok(store.commit(batch)?)
}

/// The environment of the last L1 block of the fallback.
const fn floor(chain: &FollowerChain, last: &L1Block) -> Env {
    Env {
        timestamp_s: 0,
        l1_number: last.number,
        l1_hash: last.hash,
        gas_limit: chain.params.gas_limit,
        prev_randao: last.prev_randao,
        fee_vault: chain.params.fee_vault,
    }
}
