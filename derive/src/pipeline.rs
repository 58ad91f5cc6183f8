//! The derivation: batches in L1 order in, checked heights and execution blocks out.
//!
//! Invariant: a batch changes all or nothing. What was derived from an L1 block can be undone as long as
//! that block is within the window of checkpoints.

use crate::{
    AcceptedBatch, DeriveError, Derived, DerivedBlock, DerivedHeight, Fault, Grouping, Head, L1Ref,
    Outcome, Skip, Span, Start, rules,
};
use alloy_primitives::{B256, Bytes};
use rota_types::{Batch, BatchHeight, Decode, Domain, Header, Tx, ValidatorSet};
use std::{collections::BTreeMap, sync::Arc};

/// Most L1 blocks with checkpoints; older ones cannot be undone. Ethereum finalises after 64 to 96.
const MAX_CHECKPOINTS: usize = 256;
/// Value ids remembered to tell a repeated batch from a contradiction.
const MAX_IDS: usize = 65_536;
/// Sets remembered; certificates are accepted for four epochs.
const MAX_SETS: usize = 64;

#[derive(Debug, Clone)]
struct State {
    head: Head,
    grouping: Grouping,
    /// Transactions of the heights in the open block.
    open_txs: Vec<Arc<Vec<Bytes>>>,
    /// Where the newest height was posted.
    posted: Option<L1Ref>,
}

/// The derivation of one rollup. No IO, no clock.
#[derive(Debug, Clone)]
pub struct Pipeline {
    domain: Domain,
    sets: BTreeMap<u64, ValidatorSet>,
    state: State,
    /// State after each L1 block that changed it.
    checkpoints: BTreeMap<u64, State>,
    /// State before the oldest checkpoint, and the L1 block up to which it holds.
    base: (u64, State),
    /// Newest L1 block seen; no hash after a rollback to it.
    seen: (u64, Option<B256>),
    ids: BTreeMap<u64, B256>,
}

impl Pipeline {
    /// A derivation from `start`.
    #[must_use]
    pub fn new(domain: Domain, start: Start) -> Self {
        let head = start.head;
        let grouping = Grouping::new(start.block, head.timestamp_s, head.l1_number);
        let state = State { head, grouping, open_txs: Vec::new(), posted: None };
        Self {
            domain,
            sets: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            base: (start.l1_number, state.clone()),
            seen: (start.l1_number, None),
            ids: BTreeMap::new(),
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

    /// Takes the next batch in L1 order.
    pub fn accept(&mut self, batch: &AcceptedBatch) -> Result<Outcome, DeriveError> {
        self.check_order(&batch.l1)?;
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
        let chain_id = self.domain.l2_chain_id;
        self.state.posted.map(|l1| block(span, &self.state.open_txs, l1, chain_id))
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
        if let Err(skip) = self.check_range(batch) {
            return Ok(Err(skip));
        }
        let certificate = &batch.certificate;
        if (certificate.epoch, certificate.height, certificate.value_id)
            != (batch.epoch, batch.to_height, batch.value_id)
        {
            return Ok(Err(Skip::OtherCertificate));
        }
        let set = self.sets.get(&batch.epoch).ok_or(DeriveError::NeedSet(batch.epoch))?;
        Ok(self.derive_certified(batch, set))
    }

    fn derive_certified(
        &self,
        batch: &AcceptedBatch,
        set: &ValidatorSet,
    ) -> Result<(State, Derived), Skip> {
        batch.certificate.verify(set, &self.domain)?;
        let header = Header::decode(&batch.header).map_err(|_| Skip::Header)?;
        if header.value_id(&self.domain) != batch.value_id {
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
        self.extend(heights, batch.l1)
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
        let c = &batch.certificate;
        (c.height, c.value_id) == (batch.to_height, batch.value_id)
            && self.sets.get(&c.epoch).is_some_and(|set| c.verify(set, &self.domain).is_ok())
    }

    /// Fills in what the batch leaves out, each height from the one before.
    fn link(&self, heights: Vec<BatchHeight>) -> Vec<DerivedHeight> {
        let (mut parent, mut history) = (self.state.head.value_id, self.state.head.history.clone());
        let mut out = Vec::with_capacity(heights.len());
        for BatchHeight { mut header, txs } in heights {
            header.close.parent_id = parent;
            header.close.history_root = history.root();
            let value_id = header.value_id(&self.domain);
            history.push(value_id);
            parent = value_id;
            out.push(DerivedHeight { header, value_id, txs: Arc::new(txs) });
        }
        out
    }

    /// Applies the rules to linked heights and groups them into blocks.
    fn extend(&self, heights: Vec<DerivedHeight>, l1: L1Ref) -> Result<(State, Derived), Skip> {
        let mut state = self.state.clone();
        let (mut blocks, mut resume) = (Vec::new(), None);
        for height in &heights {
            state.check(&height.header, self.domain.generation)?;
            if let Some(span) = state.grouping.push(&height.header, height.value_id)? {
                let posted = state.posted.unwrap_or(l1);
                let txs = std::mem::take(&mut state.open_txs);
                resume = Some(Start {
                    head: state.head.clone(),
                    block: span.number,
                    l1_number: posted.number,
                });
                blocks.push(block(span, &txs, posted, self.domain.l2_chain_id));
            }
            state.open_txs.push(Arc::clone(&height.txs));
            state.posted = Some(l1);
            state.head.advance(&height.header, height.value_id);
        }
        Ok((state, Derived { heights, blocks, resume }))
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
    fn check(&self, child: &Header, generation: u32) -> Result<(), Skip> {
        let (head, env, close) = (&self.head, &child.env, &child.close);
        if close.generation != generation {
            let (height, got) = (close.height, close.generation);
            return Err(Fault::Generation { height, got, want: generation }.into());
        }
        rules::after(
            [head.height, head.timestamp_s, head.l1_number, head.epoch],
            [close.height, env.timestamp_s, env.l1_number, close.epoch],
        )?;
        Ok(())
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

fn block(span: Span, txs: &[Arc<Vec<Bytes>>], l1_block: L1Ref, chain_id: u64) -> DerivedBlock {
    let raw = txs.iter().flat_map(|t| t.iter());
    let (mut valid, mut invalid) = (Vec::new(), 0usize);
    for tx in raw {
        match Tx::decode(tx, chain_id) {
            Ok(tx) => valid.push(tx),
            Err(_) => invalid = invalid.saturating_add(1),
        }
    }
    DerivedBlock {
        number: span.number,
        timestamp_s: span.env.timestamp_s,
        env: span.env,
        extra_data: span.last_id,
        txs: valid,
        invalid,
        first_height: span.first_height,
        last_height: span.last_height,
        previous_origin: span.previous_origin,
        l1_block,
    }
}

#[cfg(test)]
mod tests;
