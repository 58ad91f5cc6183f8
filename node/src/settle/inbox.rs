//! Follows the inbox: which decided heights can be derived from L1, and which of that is final.
//!
//! Invariant: a batch is told to the view only if its data was checked; a reorganisation takes back exactly
//! what was in the blocks that are gone.

use super::{
    cursor::Cursor,
    judge::{Verdict, at_a_glance, judge},
    pace::{Backoff, L1Health, Pace, Throttle, complain},
    walk::Walker,
    witness::Witness,
};
use crate::view::View;
use alloy_primitives::B256;
use rota_l1::{L1, L1Block, L1Error, PostedBatch};
use rota_store::{Blocks, StoreError};
use rota_types::Millis;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::watch;

/// Attempts to fetch the blobs of a batch before they are believed to be there for others.
const BLOB_ATTEMPTS: u32 = 10;
/// Batches read and not judged. Policy when full: read no further.
const MAX_QUEUE: usize = 64;

/// Where the inbox stands, for the poster, the health checks and RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InboxState {
    /// The newest L1 block read.
    pub head: Option<L1Block>,
    /// The newest final L1 block.
    pub finalized: u64,
    /// Last height that can be derived from L1.
    pub usable: u64,
    /// Last height that the contract has accepted; higher if somebody posted garbage.
    pub accepted: u64,
    /// Usable batches so far.
    pub batches: u64,
    /// Everything accepted up to `head` is judged.
    pub caught_up: bool,
}

/// What the view is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxEvent {
    /// Everything up to `height` can be derived from L1.
    Posted {
        /// Last height.
        height: u64,
        /// The L1 transaction.
        l1_tx: B256,
        /// Its block.
        l1_block: u64,
    },
    /// Nothing from this height on is on L1 any more.
    Unposted(u64),
    /// Everything up to `height` is in a final L1 block.
    Finalized {
        /// Last height.
        height: u64,
        /// The L1 block.
        l1_block: u64,
    },
}

impl InboxEvent {
    /// Tells the view.
    pub fn apply(self, view: &View, now: Millis) {
        match self {
            Self::Posted { height, l1_tx, l1_block } => view.posted(height, l1_tx, l1_block, now),
            Self::Unposted(from) => view.unposted(from, now),
            Self::Finalized { height, l1_block } => view.finalized(height, l1_block, now),
        }
    }
}

/// An accepted batch that is not final.
#[derive(Debug, Clone, Copy)]
struct Record {
    block: u64,
    tx: B256,
    to: u64,
    is_usable: bool,
}

/// The inbox as this node sees it.
#[derive(Debug)]
pub struct Inbox {
    store: Blocks,
    walker: Walker,
    base: Cursor,
    records: VecDeque<Record>,
    /// Read and not judged.
    queue: VecDeque<PostedBatch>,
    blob_failures: u32,
    head: Option<L1Block>,
    finalized: u64,
    more: bool,
    /// Height told at the start that L1 has not confirmed since; 0 if it has.
    unread: u64,
    events: Vec<InboxEvent>,
    witness: Option<Witness>,
}

impl Inbox {
    /// Goes on where the store says, or begins at the L1 block of the deployment.
    ///
    /// # Errors
    /// Us: the store cannot be read.
    pub fn open(store: Blocks, deploy_block: u64) -> Result<Self, StoreError> {
        let kept = Cursor::load(&store)?;
        let start = kept.map_or(deploy_block, |c| c.l1_number.saturating_add(1));
        let base = kept.unwrap_or_default();
        let mut events = Vec::new();
        if base.usable > 0 {
            let (height, l1_block) = (base.usable, base.block);
            events.push(InboxEvent::Posted { height, l1_tx: base.tx, l1_block });
            events.push(InboxEvent::Finalized { height, l1_block });
        }
        if base.seen > base.usable {
            let (height, (l1_tx, l1_block)) = (base.seen, base.seen_at);
            events.push(InboxEvent::Posted { height, l1_tx, l1_block });
        }
        Ok(Self {
            store,
            walker: Walker::new(start),
            base,
            records: VecDeque::new(),
            queue: VecDeque::new(),
            blob_failures: 0,
            head: None,
            finalized: 0,
            more: false,
            unread: base.seen,
            events,
            witness: None,
        })
    }

    /// Looks for contradictions in the certificates as well.
    #[must_use]
    pub fn with_witness(mut self, witness: Witness) -> Self {
        self.witness = Some(witness);
        self
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> InboxState {
        let accepted = self.records.iter().map(|r| r.to);
        let accepted = accepted.chain(self.queue.iter().map(|b| b.to_height)).max();
        let usable = self.records.iter().filter(|r| r.is_usable);
        let batches = u64::try_from(usable.count()).unwrap_or(u64::MAX);
        InboxState {
            head: self.head,
            finalized: self.finalized,
            usable: self.usable(),
            accepted: accepted.unwrap_or(0).max(self.base.accepted),
            batches: self.base.batches.saturating_add(batches),
            caught_up: self.queue.is_empty() && !self.more && self.head.is_some(),
        }
    }

    /// What happened since the last call, in order.
    pub fn take_events(&mut self) -> Vec<InboxEvent> {
        std::mem::take(&mut self.events)
    }

    fn usable(&self) -> u64 {
        let newest = self.records.iter().rev().find(|r| r.is_usable);
        newest.map_or(self.base.usable, |r| r.to)
    }

    /// Reads on and judges what there is. Whether to look again at once. After an error, what was done stays
    /// done.
    pub async fn step(&mut self, l1: &dyn L1) -> eyre::Result<bool> {
        if self.queue.len() < MAX_QUEUE
            && let Some(progress) = self.walker.step(l1).await?
        {
            if let Some(to) = progress.rolled_back_to {
                self.roll_back(to);
            }
            let shown = self.witness.as_ref().map(|_| Witness::shown_by(&progress));
            self.queue.extend(progress.batches);
            self.head = Some(progress.tip);
            self.finalized = progress.finalized;
            self.more = progress.more;
            self.show_witness(shown.unwrap_or_default()).await?;
        }
        while let Some(batch) = self.queue.front().cloned() {
            let Some(verdict) = self.judge(l1, &batch).await? else { return Ok(false) };
            self.queue.pop_front();
            self.note(&batch, verdict);
        }
        self.settle()?;
        if self.queue.is_empty() && !self.more && self.head.is_some() {
            // Read to the end: what was told at the start is there, or a reorganisation took it.
            let unread = std::mem::take(&mut self.unread);
            if self.usable() < unread {
                self.events.push(InboxEvent::Unposted(self.usable().saturating_add(1)));
            }
        }
        Ok(self.more)
    }

    /// What it finds changes nothing here, and neither does a database that it cannot read.
    async fn show_witness(&mut self, shown: Vec<PostedBatch>) -> eyre::Result<()> {
        let Some(mut witness) = self.witness.take() else { return Ok(()) };
        let store = self.store.clone();
        let looking = move || {
            let done = witness.look(&store, &shown);
            (witness, done)
        };
        let (witness, done) = tokio::task::spawn_blocking(looking).await?;
        self.witness = Some(witness);
        if let Err(error) = done {
            tracing::error!(%error, "certificates on L1 were not compared with those decided here");
        }
        Ok(())
    }

    fn roll_back(&mut self, to: u64) {
        let before = self.usable();
        self.queue.retain(|b| b.block.number <= to);
        while self.records.back().is_some_and(|r| r.block > to) {
            self.records.pop_back();
        }
        let usable = self.usable();
        if to < self.base.block {
            tracing::error!(l1_block = to, "L1 replaced final blocks with batches in them");
        }
        tracing::warn!(l1_block = to, usable, before, "L1 was reorganised; going back");
        if usable < before {
            self.events.push(InboxEvent::Unposted(usable.saturating_add(1)));
        }
    }

    /// None: not now.
    async fn judge(&mut self, l1: &dyn L1, batch: &PostedBatch) -> eyre::Result<Option<Verdict>> {
        match at_a_glance(&self.store, self.usable(), batch)? {
            Some(Verdict::Wait) => return Ok(None),
            Some(verdict) => return Ok(Some(verdict)),
            None => {}
        }
        match l1.payload(batch).await {
            Ok(data) => {
                self.blob_failures = 0;
                let (store, batch) = (self.store.clone(), batch.clone());
                let judged = tokio::task::spawn_blocking(move || judge(&store, &batch, &data));
                Ok(Some(judged.await??))
            }
            Err(why @ L1Error::Payload) => Ok(Some(Verdict::Unusable(why.to_string()))),
            Err(why @ L1Error::Blobs { .. }) if self.blob_failures < BLOB_ATTEMPTS => {
                self.blob_failures = self.blob_failures.saturating_add(1);
                Err(why.into())
            }
            Err(why @ L1Error::Blobs { .. }) => {
                // L1 itself guarantees that accepted blobs were there, so posting again would waste money.
                self.blob_failures = 0;
                tracing::warn!(%why, from = batch.from_height, to = batch.to_height,
                    "the data of a batch could not be checked; taking it for good");
                Ok(Some(Verdict::Usable))
            }
            Err(other) => Err(other.into()),
        }
    }

    fn note(&mut self, batch: &PostedBatch, verdict: Verdict) {
        let (from, to, l1_block) = (batch.from_height, batch.to_height, batch.block.number);
        let l1_tx = batch.tx_hash;
        let is_usable = verdict == Verdict::Usable;
        match verdict {
            Verdict::Usable => {
                tracing::info!(from, to, l1_block, %l1_tx, "batch posted");
                self.events.push(InboxEvent::Posted { height: to, l1_tx, l1_block });
            }
            Verdict::Unusable(why) => {
                tracing::warn!(from, to, l1_block, %l1_tx, %why,
                    "batch skipped: its data is not usable; the heights will be posted again");
            }
            Verdict::Old | Verdict::Wait => {
                tracing::debug!(from, to, l1_block, "batch brings nothing new");
            }
        }
        self.records.push_back(Record { block: l1_block, tx: l1_tx, to, is_usable });
    }

    /// Folds what is final into the base and keeps it.
    fn settle(&mut self) -> Result<(), StoreError> {
        let before = self.base;
        while let Some(record) = self.records.front().copied()
            && record.block <= self.finalized
        {
            self.records.pop_front();
            self.base.accepted = self.base.accepted.max(record.to);
            if record.is_usable {
                self.base.usable = record.to;
                self.base.batches = self.base.batches.saturating_add(1);
                (self.base.tx, self.base.block) = (record.tx, record.block);
            }
        }
        if self.usable() >= self.unread {
            let newest = self.records.iter().rev().find(|r| r.is_usable);
            let at = newest.map_or((self.base.tx, self.base.block), |r| (r.tx, r.block));
            (self.base.seen, self.base.seen_at) = (self.usable(), at);
        }
        if self.base == before {
            return Ok(());
        }
        if self.base.accepted != before.accepted || self.base.usable != before.usable {
            self.base.l1_number = self.base.l1_number.max(self.finalized);
        }
        if self.base.usable > before.usable {
            let (height, l1_block) = (self.base.usable, self.base.block);
            self.events.push(InboxEvent::Finalized { height, l1_block });
        }
        self.base.save(&self.store)
    }
}

/// Runs until told to stop: tells the view, and everybody who watches `state`.
pub async fn follow_inbox(
    mut inbox: Inbox,
    l1: Arc<dyn L1>,
    view: Arc<View>,
    (health, state): (Arc<L1Health>, watch::Sender<InboxState>),
    pace: Pace,
) {
    let (mut throttle, mut backoff) = (Throttle::default(), Backoff::default());
    // What is known from before is shown at once: L1 may be slow, or down.
    inbox.take_events().into_iter().for_each(|event| event.apply(&view, pace.now()));
    loop {
        let Some(done) = pace.step(inbox.step(&*l1)).await else { return };
        for event in inbox.take_events() {
            event.apply(&view, pace.now());
        }
        state.send_replace(inbox.state());
        let wait = match done {
            Ok(true) => std::time::Duration::ZERO,
            Ok(false) => {
                health.ok();
                throttle.reset();
                backoff.ok(pace.every)
            }
            Err(why) => match why.downcast_ref::<L1Error>() {
                Some(why) => complain("inbox", why, &pace, (&health, &mut throttle, &mut backoff)),
                None => {
                    if throttle.due(pace.now()) {
                        tracing::error!(%why, "the inbox cannot be followed");
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
