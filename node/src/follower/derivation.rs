//! From L1 to executed blocks in the view, step by step.
//!
//! Invariant: the blocks shown are what the batches on the L1 chain read so far give; what a reorganisation
//! takes away is rolled back before anything new is taken.

mod blocks;
mod outside;
mod witness;

pub use blocks::{Landed, Sink};

use super::{
    events::{Event, accepted, place, uncertified},
    execute::start,
};
use crate::{
    external::Ledger, outputs::Completed, settle::Walker, slash::Certificates, view::View,
};
use alloy_primitives::{B256, Bytes};
use rota_derive::{AcceptedBatch, BlockParams, DeriveError, Mode, Outcome, Pipeline};
use rota_execution::Head;
use rota_l1::{At, L1, L1Block, L1Error, Turn, TurnKind};
use rota_preconf::Lags;
use rota_store::{BlockBatch, Blocks, Tree};
use rota_types::{Domain, Millis, RewardsBook};
use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::Arc,
};

/// Events read and not derived. Policy when full: read no further.
const MAX_QUEUE: usize = 64;

/// What a follower needs to know of the rollup.
#[derive(Debug, Clone)]
pub struct FollowerChain {
    /// Context of the signatures.
    pub domain: Domain,
    /// The first block.
    pub genesis: Head,
    /// Gas limit and fee vault.
    pub params: BlockParams,
    /// No contract is older than this L1 block.
    pub deploy_block: u64,
}

/// An executed block that L1 may still take back.
#[derive(Debug)]
struct Done {
    /// L1 block of the batch that completed it.
    l1_number: u64,
    /// Last height.
    height: u64,
    /// State and rewards before it.
    parent: (Head, Arc<RewardsBook>),
}

/// The derivation with its position.
pub struct Derivation {
    chain: FollowerChain,
    view: Arc<View>,
    store: Blocks,
    walker: Walker,
    pipeline: Pipeline,
    head: Head,
    /// Its L1 origin, while nothing is rolled back.
    origin: u64,
    /// As of the head.
    rewards: Arc<RewardsBook>,
    /// What checkpoints gave here, and what certified headers say they gave.
    lags: Lags,
    /// What each L1 block completed, for the oracle.
    completed: Completed,
    done: VecDeque<Done>,
    queue: VecDeque<Event>,
    /// First and last log position of heights whose block may still be taken back.
    positions: BTreeMap<u64, (u64, u64)>,
    l1_head: Option<L1Block>,
    finalized: u64,
    skipped: u64,
    more: bool,
    /// Takes each block, for who keeps them.
    sink: Option<Sink>,
    /// For a client outside, if there is one.
    ledger: Option<Arc<Ledger>>,
    /// Whether L1 was read to its end since this began.
    settled: bool,
    certificates: Certificates,
    /// Where contradictions of them are kept.
    evidence: Option<PathBuf>,
}

impl std::fmt::Debug for Derivation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Derivation").field("head", &self.head.hash).finish_non_exhaustive()
    }
}

impl Derivation {
    /// At the start. `store` keeps the data of batches, so that a restart needs no blobs again.
    #[must_use]
    pub fn new(chain: FollowerChain, view: Arc<View>, store: Blocks) -> Self {
        let walker = Walker::new(chain.deploy_block);
        let pipeline = Pipeline::new(chain.domain.clone(), chain.params, start(&chain));
        let head = chain.genesis.clone();
        Self {
            certificates: Certificates::new(chain.domain.clone()),
            evidence: None,
            completed: Completed::new(head.hash),
            chain,
            view,
            store,
            walker,
            pipeline,
            head,
            origin: 0,
            rewards: Arc::default(),
            lags: Lags::default(),
            done: VecDeque::new(),
            queue: VecDeque::new(),
            positions: BTreeMap::new(),
            l1_head: None,
            finalized: 0,
            skipped: 0,
            more: false,
            sink: None,
            ledger: None,
            settled: false,
        }
    }

    /// The newest executed block.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }
    /// Who has earned what as of this block.
    #[must_use]
    pub const fn rewards(&self) -> &Arc<RewardsBook> {
        &self.rewards
    }
    /// What each L1 block completed.
    #[must_use]
    pub const fn completed(&self) -> &Completed {
        &self.completed
    }
    /// Last derived height.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.pipeline.head().height
    }
    /// The newest L1 block read.
    #[must_use]
    pub const fn l1_head(&self) -> Option<&L1Block> {
        self.l1_head.as_ref()
    }
    /// Batches that gave nothing because their data or certificate was bad.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }
    /// How many fallbacks there were, and whose heights count.
    #[must_use]
    pub fn mode(&self) -> (u32, Mode) {
        (self.pipeline.generation(), self.pipeline.mode())
    }
    /// Whether everything on L1 is derived.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.l1_head.is_some() && !self.more && self.queue.is_empty()
    }

    /// Reads on and derives what there is. Whether to look again at once. After an error nothing is lost.
    pub async fn step(&mut self, l1: &dyn L1, now: Millis) -> eyre::Result<bool> {
        if self.queue.len() < MAX_QUEUE
            && let Some(mut progress) = self.walker.step(l1).await?
        {
            if let Some(to) = progress.rolled_back_to {
                self.roll_back(to, now);
            }
            self.queue.extend(Event::of(&mut progress));
            self.l1_head = Some(progress.tip);
            self.finalized = progress.finalized;
            self.more = progress.more;
        }
        while let Some(event) = self.queue.front().cloned() {
            self.pass(event.number().saturating_sub(1), now)?;
            self.take(l1, event, now).await?;
            self.queue.pop_front();
        }
        if let Some(tip) = self.l1_head {
            self.pass(tip.number, now)?;
        }
        self.finalize(now);
        self.settled |= self.is_caught_up();
        self.tell();
        Ok(self.more)
    }

    async fn take(&mut self, l1: &dyn L1, event: Event, now: Millis) -> eyre::Result<()> {
        let done = match event {
            Event::Brought(brought) => {
                let (forced, deposits) = (brought.forced.len(), brought.deposits.len());
                tracing::info!(l1_block = brought.block.number, forced, deposits, "brought in");
                self.pipeline.enqueue(brought).map(|()| None)
            }
            Event::Batch(batch) => {
                let data =
                    self.payload((batch.tx_hash, batch.log_index), l1.payload(&batch)).await?;
                let done = self.accept(l1, &accepted(&batch, data), now).await;
                self.witness(&batch);
                return done;
            }
            Event::Turn(Turn { block, tx_hash, what, .. }) => match what {
                TurnKind::Uncertified(batch) => {
                    let key = (batch.tx_hash, batch.log_index);
                    let data = self.payload(key, l1.payload(&batch)).await?;
                    let domain = self.pipeline.domain();
                    return self.accept(l1, &uncertified(&batch, data, &domain), now).await;
                }
                TurnKind::Fallback { generation } => {
                    // What it forces in is shared by the newest set, also if nothing was derived before.
                    self.know_set(l1, self.pipeline.head().epoch, block.number).await?;
                    tracing::warn!(
                        generation,
                        l1_block = block.number,
                        "the set was given up on L1: what it has not posted is void"
                    );
                    self.lags = Lags::default();
                    self.pipeline.fall_back(generation, place(&block, tx_hash)).map(Some)
                }
                TurnKind::Forked(batch) => {
                    match self.know_set(l1, batch.header.close.epoch, block.number).await {
                        Ok(()) => self.witness(&batch),
                        // Nothing is derived from it, so nothing waits for it.
                        Err(why) => tracing::warn!(%why, "a second certificate was not looked at"),
                    }
                    return Ok(());
                }
                TurnKind::EmergencySet { generation, start, .. } => {
                    tracing::warn!(generation, start, "an emergency set was formed");
                    let at = place(&block, tx_hash);
                    self.pipeline.emergency(generation, start, at).map(|()| None)
                }
            },
        };
        match done {
            Ok(Some(derived)) => self.execute(derived, now),
            Ok(None) => Ok(()),
            Err(why) => self.lost(why),
        }
    }

    /// What L1 blocks up to this one give by themselves.
    fn pass(&mut self, upto: u64, now: Millis) -> eyre::Result<()> {
        let derived = self.pipeline.pass(upto);
        self.execute(derived, now)
    }

    fn lost(&mut self, why: DeriveError) -> eyre::Result<()> {
        tracing::warn!(%why, "the derivation lost its place; deriving again");
        self.start_over();
        Err(why.into())
    }

    /// The data of a batch, from the store if it was read before.
    async fn payload(
        &self,
        (tx_hash, log_index): (B256, u64),
        fetch: impl Future<Output = Result<Bytes, L1Error>>,
    ) -> eyre::Result<Bytes> {
        let mut key = b"data/".to_vec();
        key.extend_from_slice(tx_hash.as_slice());
        key.extend_from_slice(&log_index.to_be_bytes());
        if let Some(kept) = self.store.get(Tree::L1, &key)? {
            return Ok(kept.into());
        }
        match fetch.await {
            Ok(data) => {
                let mut write = BlockBatch::default();
                write.put(Tree::L1, key, data.to_vec());
                self.store.commit(write)?;
                Ok(data)
            }
            // No data is bad data: the pipeline says so.
            Err(L1Error::Payload) => Ok(Bytes::new()),
            Err(other) => Err(other.into()),
        }
    }

    async fn accept(
        &mut self,
        l1: &dyn L1,
        batch: &AcceptedBatch,
        now: Millis,
    ) -> eyre::Result<()> {
        let (from, to, l1_block) = (batch.from_height, batch.to_height, batch.l1.number);
        loop {
            match self.pipeline.accept(batch) {
                Ok(Outcome::Derived(derived)) => {
                    tracing::info!(
                        from,
                        to,
                        l1_block,
                        blocks = derived.blocks.len(),
                        "batch derived"
                    );
                    for height in derived.heights.iter().filter(|_| batch.certificate.is_some()) {
                        self.lags.certified(&height.header)?;
                    }
                    return self.execute(derived, now);
                }
                Ok(Outcome::Skipped(skip)) => {
                    self.skip(batch, &skip);
                    return Ok(());
                }
                Err(DeriveError::NeedSet(epoch)) => self.know_set(l1, epoch, l1_block).await?,
                Err(why) => return self.lost(why),
            }
        }
    }

    async fn know_set(&mut self, l1: &dyn L1, epoch: u64, l1_block: u64) -> eyre::Result<()> {
        if self.pipeline.set(epoch).is_none() {
            // A frozen set stays as it is, and few endpoints know the state of an old block.
            let newest = l1.block(At::Finalized).await?.map_or(0, |b| b.number);
            let set = l1.validator_set(epoch, l1_block.max(newest)).await?;
            let set = set.ok_or_else(|| eyre::eyre!("L1 has no set of epoch {epoch}"))?;
            self.view.validators(Arc::new(set.clone()));
            self.pipeline.insert_set(set);
        }
        Ok(())
    }

    fn skip(&mut self, batch: &AcceptedBatch, why: &rota_derive::Skip) {
        let (from, to, l1_block) = (batch.from_height, batch.to_height, batch.l1.number);
        let tx = batch.l1.tx_hash;
        if matches!(why, rota_derive::Skip::Stale { .. }) {
            tracing::debug!(from, to, l1_block, %why, "batch skipped");
            return;
        }
        self.skipped = self.skipped.saturating_add(1);
        if why.is_alarming() {
            tracing::error!(from, to, l1_block, %tx, %why, "batch skipped: a quorum broke the rules");
        } else {
            tracing::warn!(from, to, l1_block, %tx, %why, "batch skipped; it can be posted again");
        }
    }

    fn finalize(&mut self, now: Millis) {
        self.pipeline.finalize(self.finalized);
        self.completed.finalize(self.finalized);
        let mut last = None;
        while self.done.front().is_some_and(|d| d.l1_number <= self.finalized) {
            last = self.done.pop_front();
        }
        if let Some(last) = last {
            self.positions = self.positions.split_off(&last.height.saturating_add(1));
            self.view.finalized(last.height, self.finalized, now);
        }
    }

    /// Takes back everything from L1 blocks above `to`.
    fn roll_back(&mut self, to: u64, now: Millis) {
        self.queue.retain(|e| e.number() <= to);
        if self.pipeline.rollback(to).is_err() {
            tracing::error!(l1_block = to, "L1 replaced final blocks; deriving from the start");
            self.start_over();
            return;
        }
        self.completed.roll_back(to);
        // Heights may come again as others; what is asked of them is asked anew.
        self.lags = Lags::default();
        while self.done.back().is_some_and(|d| d.l1_number > to) {
            if let Some(done) = self.done.pop_back() {
                (self.head, self.rewards) = done.parent;
            }
        }
        let number = self.head.header.number;
        let gone = self.view.revert(number, now);
        self.tell();
        tracing::warn!(l1_block = to, number, gone, "L1 was reorganised; going back");
    }

    fn start_over(&mut self) {
        self.view.start_over(&self.chain.genesis);
        let (completed, sink) = (self.completed.restart(), self.sink.take());
        let (ledger, evidence) = (self.ledger.take(), self.evidence.take());
        let new = Self::new(self.chain.clone(), self.view.clone(), self.store.clone());
        *self = Self { completed, sink, ledger, evidence, ..new };
        self.tell();
    }
}
