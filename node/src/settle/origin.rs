//! Final L1 blocks become origins for the replica, after what they force in is on disk.
//!
//! Invariant: only final blocks are given, in order from where the chain is, and none before everything that it and the
//! blocks below it force in is in the book (I-15).

use super::pace::{Backoff, L1Health, Pace, Throttle, complain};
use crate::{
    chain::{Base, ForcedBook},
    sets::Sets,
};
use alloy_primitives::Address;
use rota_consensus::PeerNo;
use rota_l1::{At, Deposited, Enqueued, L1, L1Block, L1Error, TurnKind};
use rota_preconf::Epoch;
use rota_store::Blocks;
use rota_types::{Deposit, Env, ForcedTx};
use std::sync::Arc;

/// L1 blocks whose queue is read in one step: the strictest common limit of public endpoints.
const STRIDE: u64 = 500;
/// Origins given ahead of the chain: it takes at most eight a second.
const AHEAD: u64 = 512;

/// What goes into each environment besides the L1 block, and how far back to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OriginSettings {
    /// No earlier L1 block is given.
    pub start: u64,
    /// The generation that this node is in.
    pub generation: u32,
    /// Blocks given below the newest one, or below the chain's, at start.
    pub backlog: u64,
    /// Gas limit of an execution block.
    pub gas_limit: u64,
    /// Receives the priority fees.
    pub fee_vault: Address,
}

/// What the replica is told of L1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum L1News {
    /// What L1 forces in up to this block is in the book, and so are the sets in force up to it.
    Read(u64),
    /// A set that is frozen, with its peers by index.
    Set(Arc<Epoch>, Vec<PeerNo>),
    /// A block that may be an origin.
    Origin(Env),
    /// A fallback began: what is signed in the generation before counts no more. Nothing else comes after it.
    Over {
        /// The generation that began.
        generation: u32,
        /// The L1 block.
        l1_block: u64,
    },
}

/// Reads the sets that are frozen in a final L1 block and not known yet, in order.
///
/// # Errors
/// L1, or another set than the one known.
pub async fn learn_sets(
    sets: &Arc<Sets>,
    l1: &dyn L1,
    at: u64,
) -> eyre::Result<Vec<(Arc<Epoch>, Vec<PeerNo>)>> {
    let frozen = l1.frozen_sets(at).await?;
    let newest = sets.newest();
    let mut learned = Vec::new();
    for number in frozen.epochs.iter().copied().filter(|n| newest.is_none_or(|known| *n > known)) {
        let set = l1.validator_set(number, at).await?;
        let (Some(set), Some(start)) = (set, frozen.start(number)) else { break };
        let sets = Arc::clone(sets);
        learned.extend(tokio::task::spawn_blocking(move || sets.learn(start, set)).await??);
    }
    Ok(learned)
}

/// Follows the final head.
#[derive(Debug)]
pub struct Origins {
    settings: OriginSettings,
    store: Blocks,
    book: ForcedBook,
    sets: Arc<Sets>,
    /// The newest origin given.
    newest: Option<L1Block>,
    told: bool,
}

impl Origins {
    /// Nothing given yet.
    #[must_use]
    pub fn new(settings: OriginSettings, store: Blocks, sets: Arc<Sets>) -> Self {
        let book = ForcedBook::new(store.clone());
        Self { settings, book, sets, store, newest: None, told: false }
    }

    /// The newest origin given.
    #[must_use]
    pub const fn newest(&self) -> Option<&L1Block> {
        self.newest.as_ref()
    }

    /// Gives what is new. Whether there is more to do at once. After an error what was given stays given.
    pub async fn step(
        &mut self,
        l1: &dyn L1,
        send: &mut (dyn FnMut(L1News) + Send),
    ) -> eyre::Result<bool> {
        let Some(head) = l1.block(At::Finalized).await? else { return Ok(false) };
        if head.number < self.settings.start {
            return Ok(false);
        }
        if self.newest.is_some_and(|n| n.number == head.number && n.hash != head.hash) {
            self.start_over(&head);
            return Ok(false);
        }
        let Some(read) = self.read(l1, head, send).await? else { return Ok(false) };
        self.give(l1, head, read, send).await?;
        Ok(read < head.number)
    }

    /// Reads the queue on and notes it. Gives the L1 block up to which it is in the book; none if the generation is over.
    async fn read(
        &mut self,
        l1: &dyn L1,
        head: L1Block,
        send: &mut (dyn FnMut(L1News) + Send),
    ) -> eyre::Result<Option<u64>> {
        let known = self.book.upto()?.unwrap_or(self.settings.start.saturating_sub(1));
        if known.min(head.number) > self.sets.book().known() {
            // A crash came between the two books.
            self.read_sets(l1, (head.number, known.min(head.number)), send).await?;
        }
        if !std::mem::replace(&mut self.told, true) {
            send(L1News::Read(known));
        }
        if known >= head.number {
            return Ok(Some(known));
        }
        let to = known.saturating_add(STRIDE).min(head.number);
        let to = if to == head.number {
            head
        } else {
            l1.block(At::Number(to)).await?.ok_or(L1Error::NoBlock(to))?
        };
        for turn in l1.turns(known.saturating_add(1), to).await? {
            if let TurnKind::Fallback { generation } = turn.what
                && generation > self.settings.generation
            {
                // Before it is noted that L1 was read so far: a node that is started again finds it again.
                send(L1News::Over { generation, l1_block: turn.block.number });
                return Ok(None);
            }
        }
        self.read_sets(l1, (head.number, to.number), send).await?;
        let entries = l1.forced(known.saturating_add(1), to).await?;
        let entries: Vec<ForcedTx> = entries.iter().map(Enqueued::forced).collect();
        for entry in &entries {
            tracing::info!(index = entry.index, l1_block = entry.l1_number, "forced transaction");
        }
        let deposits = l1.deposits(known.saturating_add(1), to).await?;
        let deposits: Vec<Deposit> = deposits.iter().map(Deposited::deposit).collect();
        if let Some(last) = deposits.last() {
            tracing::info!(count = deposits.len(), newest = last.index, "deposits");
        }
        let (book, upto) = (self.book.clone(), to.number);
        tokio::task::spawn_blocking(move || book.extend(upto, &entries, &deposits)).await??;
        send(L1News::Read(upto));
        Ok(Some(upto))
    }

    /// Reads the sets that are frozen in the final head and new here, and notes that they are all up to an L1 block.
    /// Few endpoints know the state of old blocks, and no set of them is missing in that of the head.
    async fn read_sets(
        &self,
        l1: &dyn L1,
        (head, upto): (u64, u64),
        send: &mut (dyn FnMut(L1News) + Send),
    ) -> eyre::Result<()> {
        for (epoch, peers) in learn_sets(&self.sets, l1, head).await? {
            send(L1News::Set(epoch, peers));
        }
        let sets = Arc::clone(&self.sets);
        tokio::task::spawn_blocking(move || sets.reach(upto)).await?
    }

    /// Gives the blocks up to `read` in order, not too far ahead of the chain.
    async fn give(
        &mut self,
        l1: &dyn L1,
        head: L1Block,
        read: u64,
        send: &mut (dyn FnMut(L1News) + Send),
    ) -> eyre::Result<()> {
        let chain = self.chain_origin()?;
        let back = chain.unwrap_or(read).min(read).saturating_sub(self.settings.backlog);
        let back = back.max(self.settings.start);
        let from = self.newest.map_or(back, |b| b.number.saturating_add(1).max(back));
        let to = chain.map_or(read, |at| at.saturating_add(AHEAD).min(read));
        for number in from..=to {
            let block = if number == head.number {
                head
            } else {
                match l1.block(At::Number(number)).await? {
                    Some(block) => block,
                    None => return Ok(()),
                }
            };
            let follows =
                |n: L1Block| n.number.saturating_add(1) != number || n.hash == block.parent_hash;
            if !self.newest.is_none_or(follows) {
                self.start_over(&block);
                return Ok(());
            }
            send(L1News::Origin(self.env(&block)));
            self.newest = Some(block);
        }
        Ok(())
    }

    fn start_over(&mut self, found: &L1Block) {
        tracing::error!(number = found.number, hash = %found.hash, "L1 replaced a final block");
        self.newest = None;
    }

    /// Origin of the newest decided height; before the first after a fallback, its last L1 block.
    fn chain_origin(&self) -> eyre::Result<Option<u64>> {
        let Some(head) = self.store.decided_head()? else {
            return Ok(Base::load(&self.store)?.map(|base| base.floor()));
        };
        Ok(self.store.height(head.height)?.map(|h| h.header.env.l1_number))
    }

    const fn env(&self, block: &L1Block) -> Env {
        Env {
            timestamp_s: 0,
            l1_number: block.number,
            l1_hash: block.hash,
            gas_limit: self.settings.gas_limit,
            prev_randao: block.prev_randao,
            fee_vault: self.settings.fee_vault,
        }
    }
}

/// Runs until told to stop.
pub async fn follow_origins(
    mut origins: Origins,
    l1: Arc<dyn L1>,
    health: Arc<L1Health>,
    pace: Pace,
    mut send: impl FnMut(L1News) + Send,
) {
    let (mut throttle, mut backoff) = (Throttle::default(), Backoff::default());
    loop {
        let Some(done) = pace.step(origins.step(&*l1, &mut send)).await else { return };
        let wait = match done {
            Ok(true) => std::time::Duration::ZERO,
            Ok(false) => {
                health.ok();
                throttle.reset();
                backoff.ok(pace.every)
            }
            Err(why) => match why.downcast_ref::<L1Error>() {
                Some(why) => {
                    complain("origins", why, &pace, (&health, &mut throttle, &mut backoff))
                }
                None => {
                    if throttle.due(pace.now()) {
                        tracing::error!(%why, "what L1 brings in cannot be noted");
                    }
                    backoff.failed(pace.every)
                }
            },
        };
        if !pace.wait(wait).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
