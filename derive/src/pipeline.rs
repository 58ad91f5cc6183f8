//! The derivation: batches in L1 order in, checked heights and execution blocks out.
//!
//! Invariant: a batch changes all or nothing, and so does a fallback. What was derived from an L1 block can be undone as long as
//! that block is within the window of checkpoints.

mod fallback;
mod queue;

use crate::{
    AcceptedBatch, BlockParams, DeriveError, Derived, DerivedBlock, DerivedHeight, Fault, Grouping,
    Head, L1Ref, Mode, Outcome, Skip, Span, Start, rules,
};
use alloy_primitives::{B256, Bytes};
pub use queue::Brought;
use queue::Queue;
use rota_types::{Batch, BatchHeight, Decode, Domain, Header, LedBy, ValidatorSet};
use std::{collections::BTreeMap, sync::Arc};

/// Most L1 blocks with checkpoints; older ones cannot be undone. Ethereum finalises after 64 to 96.
const MAX_CHECKPOINTS: usize = 256;
/// Value ids remembered to tell a repeated batch from a contradiction.
const MAX_IDS: usize = 65_536;
/// Sets remembered; certificates are accepted for four epochs.
const MAX_SETS: usize = 64;

#[derive(Debug, Clone)]
struct State {
    /// Context of the generation that counts.
    domain: Arc<Domain>,
    mode: Mode,
    head: Head,
    grouping: Grouping,
    /// The heights in the open block with their transactions.
    open_txs: Vec<(LedBy, Arc<Vec<Bytes>>)>,
    /// Where the newest height was posted.
    posted: Option<L1Ref>,
}

/// The derivation of one rollup. No IO, no clock.
#[derive(Debug, Clone)]
pub struct Pipeline {
    params: BlockParams,
    sets: BTreeMap<u64, ValidatorSet>,
    state: State,
    /// State after each L1 block that changed it.
    checkpoints: BTreeMap<u64, State>,
    /// State before the oldest checkpoint, and the L1 block up to which it holds.
    base: (u64, State),
    /// Newest L1 block seen; no hash after a rollback to it.
    seen: (u64, Option<B256>),
    /// Everything of L1 blocks up to this one was given.
    passed: u64,
    ids: BTreeMap<u64, B256>,
    queue: Queue,
}

impl Pipeline {
    /// A derivation from `start`, in the domain of generation 0.
    #[must_use]
    pub fn new(domain: Domain, params: BlockParams, start: Start) -> Self {
        let (head, is_first) = (start.head, start.block == 0);
        let grouping = Grouping::new(start.block, head.timestamp_s, head.l1_number);
        let domain = Arc::new(domain.of_generation(start.generation));
        let mode = start.mode;
        let state = State { domain, mode, head, grouping, open_txs: Vec::new(), posted: None };
        Self {
            params,
            sets: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            base: (start.l1_number, state.clone()),
            seen: (start.l1_number, None),
            passed: start.l1_number.saturating_sub(1),
            ids: BTreeMap::new(),
            queue: if is_first { Queue::from_genesis() } else { Queue::default() },
            state,
        }
    }

    /// Gives the validator set of an epoch, as the Registry froze it. Beyond the bound, past epochs are
    /// forgotten first, then those furthest ahead.
    pub fn insert_set(&mut self, set: ValidatorSet) {
        self.sets.insert(set.epoch(), set);
        if self.sets.len() > MAX_SETS {
            match self.sets.first_entry() {
                Some(first) if *first.key() < self.state.head.epoch => drop(first.remove()),
                _ => drop(self.sets.pop_last()),
            }
        }
    }

    /// The set of an epoch, if it was given and is not forgotten.
    #[must_use]
    pub fn set(&self, epoch: u64) -> Option<&ValidatorSet> {
        self.sets.get(&epoch)
    }

    /// Takes the next batch in L1 order, after `pass` for the blocks before its own.
    pub fn accept(&mut self, batch: &AcceptedBatch) -> Result<Outcome, DeriveError> {
        self.check_order(&batch.l1)?;
        self.check_passed(batch.l1.number)?;
        let outcome = match self.derive(batch)? {
            Ok((state, derived)) => {
                self.commit(state, &derived, batch.l1.number);
                Outcome::Derived(derived)
            }
            Err(skip) => Outcome::Skipped(skip),
        };
        self.seen = (batch.l1.number, Some(batch.l1.hash));
        Ok(outcome)
    }

    /// Undoes everything derived from L1 blocks after `l1_number`; returns the head that remains.
    pub fn rollback(&mut self, l1_number: u64) -> Result<&Head, DeriveError> {
        if l1_number < self.base.0 {
            return Err(DeriveError::TooDeep { to: l1_number, oldest: self.base.0 });
        }
        let _undone = match l1_number.checked_add(1) {
            Some(next) => self.checkpoints.split_off(&next),
            None => BTreeMap::new(),
        };
        let state = self.checkpoints.last_key_value().map_or(&self.base.1, |(_, s)| s);
        self.state = state.clone();
        if self.seen.0 > l1_number {
            self.seen = (l1_number, None);
        }
        self.passed = self.passed.min(l1_number);
        self.queue.rollback(l1_number);
        Ok(&self.state.head)
    }

    /// Says that L1 blocks up to `l1_number` are final: their checkpoints are dropped.
    pub fn finalize(&mut self, l1_number: u64) {
        while let Some(first) = self.checkpoints.first_entry()
            && *first.key() <= l1_number
        {
            self.base = first.remove_entry();
        }
        self.base.0 = self.base.0.max(l1_number);
        self.queue.forget(self.base.1.grouping.origin());
    }

    /// The newest derived height.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.state.head
    }
    /// Where the newest height was posted; none before the first batch.
    #[must_use]
    pub const fn posted(&self) -> Option<&L1Ref> {
        self.state.posted.as_ref()
    }
    /// Oldest L1 block to which `rollback` is possible.
    #[must_use]
    pub const fn oldest_rollback(&self) -> u64 {
        self.base.0
    }
    /// The newest block as it stands; heights of the same second may still join it.
    #[must_use]
    pub fn open_block(&self) -> Option<DerivedBlock> {
        let span = self.state.grouping.open()?.clone();
        self.state.posted.map(|l1| self.block(span, &self.state.open_txs, (l1, l1.number)))
    }
    /// Context of the generation that counts.
    #[must_use]
    pub fn domain(&self) -> Arc<Domain> {
        Arc::clone(&self.state.domain)
    }
    /// How many fallbacks there were.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.state.domain.generation
    }
    /// Whose heights count.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.state.mode
    }

    fn check_order(&self, l1: &L1Ref) -> Result<(), DeriveError> {
        let (number, hash) = self.seen;
        if l1.number < number {
            return Err(DeriveError::Order { got: l1.number, seen: number });
        }
        if let Some(seen) = hash.filter(|h| l1.number == number && *h != l1.hash) {
            return Err(DeriveError::Reorg { number, got: l1.hash, seen });
        }
        Ok(())
    }

    /// The state and output after `batch`, or why it is skipped.
    fn derive(&self, batch: &AcceptedBatch) -> Result<Result<(State, Derived), Skip>, DeriveError> {
        let is_fallback = matches!(self.state.mode, Mode::Fallback { .. });
        if batch.certificate.is_some() == is_fallback {
            return Ok(Err(Skip::OutOfPlace { certified: is_fallback }));
        }
        if let Err(skip) = self.check_range(batch) {
            return Ok(Err(skip));
        }
        let Some(certificate) = &batch.certificate else {
            return Ok(self.derive_uncertified(batch));
        };
        if (certificate.epoch, certificate.height, certificate.value_id)
            != (batch.epoch, batch.to_height, batch.value_id)
        {
            return Ok(Err(Skip::OtherCertificate));
        }
        let set = self.sets.get(&batch.epoch).ok_or(DeriveError::NeedSet(batch.epoch))?;
        if let Err(why) = certificate.verify(set, &self.state.domain) {
            return Ok(Err(why.into()));
        }
        let heights = match self.linked(batch) {
            Ok(heights) => heights,
            Err(skip) => return Ok(Err(skip)),
        };
        // The fees of each height are shared by the set of its epoch.
        let mut epochs = heights.iter().map(|h| h.header.close.epoch);
        if let Some(unknown) = epochs.find(|epoch| !self.sets.contains_key(epoch)) {
            return Err(DeriveError::NeedSet(unknown));
        }
        Ok(self.extend(heights, batch.l1))
    }

    /// The new heights of a batch, if they lead from the head to its value id.
    fn linked(&self, batch: &AcceptedBatch) -> Result<Vec<DerivedHeight>, Skip> {
        let header = Header::decode(&batch.header).map_err(|_| Skip::Header)?;
        if header.value_id(&self.state.domain) != batch.value_id {
            return Err(Skip::Header);
        }
        let heights = self.link(new_heights(batch, self.state.head.height)?);
        let last = heights.last().map_or(B256::ZERO, |h| h.value_id);
        if last != batch.value_id {
            return Err(Skip::Tampered { got: last, certified: batch.value_id });
        }
        if header.close.epoch != batch.epoch {
            return Err(Skip::OtherCertificate);
        }
        Ok(heights)
    }

    fn check_range(&self, batch: &AcceptedBatch) -> Result<(), Skip> {
        let (from, to, head) = (batch.from_height, batch.to_height, self.state.head.height);
        if from > to {
            return Err(Skip::Range { from, to });
        }
        if to <= head {
            return Err(match self.ids.get(&to) {
                Some(derived) if *derived != batch.value_id && self.is_certified(batch) => {
                    Skip::Conflict { height: to, derived: *derived, certified: batch.value_id }
                }
                _ => Skip::Stale { to, head },
            });
        }
        if head.checked_add(1).is_none_or(|next| from > next) {
            return Err(Skip::Gap { from, head });
        }
        Ok(())
    }

    fn is_certified(&self, batch: &AcceptedBatch) -> bool {
        let Some(c) = &batch.certificate else { return false };
        let domain = &self.state.domain;
        (c.height, c.value_id) == (batch.to_height, batch.value_id)
            && self.sets.get(&c.epoch).is_some_and(|set| c.verify(set, domain).is_ok())
    }

    /// Fills in what the batch leaves out, each height from the one before.
    fn link(&self, heights: Vec<BatchHeight>) -> Vec<DerivedHeight> {
        let (mut parent, mut history) = (self.state.head.value_id, self.state.head.history.clone());
        let mut out = Vec::with_capacity(heights.len());
        for BatchHeight { mut header, txs } in heights {
            header.close.parent_id = parent;
            header.close.history_root = history.root();
            let value_id = header.value_id(&self.state.domain);
            history.push(value_id);
            parent = value_id;
            out.push(DerivedHeight { header, value_id, txs: Arc::new(txs) });
        }
        out
    }

    /// Applies the rules to linked heights and groups them into blocks.
    fn extend(&self, heights: Vec<DerivedHeight>, l1: L1Ref) -> Result<(State, Derived), Skip> {
        let (mut state, mut derived) = (self.state.clone(), Derived::default());
        for height in heights {
            state.check(&height.header, l1.number)?;
            self.push(&mut state, height, l1, &mut derived)?;
        }
        Ok((state, derived))
    }

    /// Adds a height that was checked.
    fn push(
        &self,
        state: &mut State,
        height: DerivedHeight,
        l1: L1Ref,
        derived: &mut Derived,
    ) -> Result<(), Fault> {
        let span = state.grouping.push(&height.header, height.value_id)?;
        self.complete(state, span, l1, derived);
        // In a fallback nobody certifies who led.
        let leads = !matches!(state.mode, Mode::Fallback { .. });
        let leader = leads.then_some(height.header.close.closer);
        let led = LedBy { epoch: height.header.close.epoch, leader };
        state.open_txs.push((led, Arc::clone(&height.txs)));
        state.posted = Some(l1);
        state.head.advance(&height.header, height.value_id);
        if let Mode::Resumed(_) = state.mode {
            state.mode = Mode::Certified;
        }
        derived.heights.push(height);
        Ok(())
    }

    /// The block of `span` is complete.
    fn complete(&self, state: &mut State, span: Option<Span>, l1: L1Ref, derived: &mut Derived) {
        let Some(span) = span else { return };
        let posted = state.posted.unwrap_or(l1);
        let txs = std::mem::take(&mut state.open_txs);
        derived.resume = Some(Start {
            head: state.head.clone(),
            block: span.number,
            l1_number: posted.number,
            generation: state.domain.generation,
            mode: state.mode,
        });
        derived.blocks.push(self.block(span, &txs, (posted, l1.number)));
    }

    fn commit(&mut self, state: State, derived: &Derived, l1_number: u64) {
        self.ids.extend(derived.heights.iter().map(|h| (h.header.height(), h.value_id)));
        while self.ids.len() > MAX_IDS {
            self.ids.pop_first();
        }
        self.checkpoints.insert(l1_number, state.clone());
        if self.checkpoints.len() > MAX_CHECKPOINTS
            && let Some(oldest) = self.checkpoints.pop_first()
        {
            self.base = oldest;
        }
        self.state = state;
    }
}

impl State {
    fn check(&self, child: &Header, l1_number: u64) -> Result<(), Fault> {
        let (head, env, close) = (&self.head, &child.env, &child.close);
        let (height, want) = (close.height, self.domain.generation);
        if close.generation != want {
            return Err(Fault::Generation { height, got: close.generation, want });
        }
        let got = env.l1_number;
        if got >= l1_number {
            return Err(Fault::Ahead { height, got, l1_number });
        }
        let mut origin = head.l1_number;
        if let Mode::Resumed(floor) = self.mode {
            if got <= floor {
                return Err(Fault::Resumption { height, got, floor });
            }
            origin = origin.max(floor);
        }
        rules::after(
            [head.height, head.timestamp_s, origin, head.epoch],
            [close.height, env.timestamp_s, got, close.epoch],
        )
    }
}

/// The heights of a batch above `head`, if the data holds exactly the heights claimed.
fn new_heights(batch: &AcceptedBatch, head: u64) -> Result<Vec<BatchHeight>, Skip> {
    let heights = Batch::decompress(&batch.data)?.heights;
    let (from, to) = (batch.from_height, batch.to_height);
    let numbers = heights.iter().map(|h| h.header.height());
    if !numbers.eq(from..=to) {
        return Err(Skip::Range { from, to });
    }
    Ok(heights.into_iter().filter(|h| h.header.height() > head).collect())
}

#[cfg(test)]
mod tests;
