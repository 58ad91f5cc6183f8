//! The tables behind the lock, and how a fact changes them.
//!
//! Acks, decisions and postings are cumulative, so they are kept once per position or height and not per
//! transaction: a transaction's stage is a look-up of the first entry at or above it.

use super::{
    BlockView, FORCED, Finalization, FrameRecord, FrameView, HeightRecord, OpenHeader, Posting,
    Problem, ProblemKind, ProvenStep, Retraction, stats::Recorder, status::AckInfo,
};
use alloy_primitives::B256;
use rota_execution::{Included, Outcome, State};
use rota_types::{AckCert, Millis, TermInit, Tx, ValidatorSet};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Where a transaction is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) frame: Option<(Arc<FrameRecord>, u32)>,
    pub(super) result: Arc<Included>,
}

/// What is known of a transaction.
#[derive(Debug, Clone)]
pub(super) struct TxRecord {
    pub(super) tx: Arc<Tx>,
    pub(super) received_ms: Option<Millis>,
    pub(super) place: Option<Place>,
    pub(super) problem: Option<Problem>,
}

/// The block that frames are being added to.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) header: OpenHeader,
    pub(super) first_g: u64,
    pub(super) state: State,
}

pub(super) struct Inner {
    pub(super) blocks: BTreeMap<u64, Arc<BlockView>>,
    pub(super) numbers: BTreeMap<B256, u64>,
    pub(super) open: Option<Open>,
    pub(super) frames: BTreeMap<u64, Arc<FrameRecord>>,
    pub(super) frame_gs: BTreeMap<B256, u64>,
    pub(super) frame_states: BTreeMap<u64, State>,
    pub(super) txs: BTreeMap<B256, TxRecord>,
    pub(super) loose: VecDeque<B256>,
    pub(super) acks: BTreeMap<u64, AckInfo>,
    /// With the stake of the signers, gwei.
    pub(super) ack_certs: BTreeMap<u64, (Arc<AckCert>, u64)>,
    /// Openings of terms, by their hash. Bounded; policy when full: drop the oldest.
    pub(super) inits: VecDeque<(B256, TermInit)>,
    pub(super) heights: BTreeMap<u64, Arc<HeightRecord>>,
    pub(super) height_ends: BTreeMap<u64, u64>,
    pub(super) postings: BTreeMap<u64, Posting>,
    pub(super) finals: BTreeMap<u64, Finalization>,
    /// By number of their block; bounded in `proven`.
    pub(super) provens: BTreeMap<u64, ProvenStep>,
    pub(super) sets: BTreeMap<u64, Arc<ValidatorSet>>,
    pub(super) lost: super::insured::Lost,
    /// For readers of the log; bounded in `follow`.
    pub(super) retractions: VecDeque<Arc<Retraction>>,
    /// How many there ever were.
    pub(super) retracted: u64,
    pub(super) decided_height: u64,
    pub(super) undecided_g: u64,
    pub(super) latest: u64,
    pub(super) safe: u64,
    pub(super) finalized: u64,
    pub(super) stats: Recorder,
}

impl Inner {
    pub(super) fn new(genesis: BlockView) -> Self {
        let (number, hash) = (genesis.number(), genesis.hash);
        Self {
            blocks: BTreeMap::from([(number, Arc::new(genesis))]),
            numbers: BTreeMap::from([(hash, number)]),
            open: None,
            frames: BTreeMap::new(),
            frame_gs: BTreeMap::new(),
            frame_states: BTreeMap::new(),
            txs: BTreeMap::new(),
            loose: VecDeque::new(),
            acks: BTreeMap::new(),
            ack_certs: BTreeMap::new(),
            inits: VecDeque::new(),
            heights: BTreeMap::new(),
            height_ends: BTreeMap::new(),
            postings: BTreeMap::new(),
            finals: BTreeMap::new(),
            provens: BTreeMap::new(),
            sets: BTreeMap::new(),
            lost: super::insured::Lost::default(),
            retractions: VecDeque::new(),
            retracted: 0,
            decided_height: 0,
            undecided_g: 0,
            latest: number,
            safe: number,
            finalized: number,
            stats: Recorder::default(),
        }
    }

    /// Notes a transaction that waits. One that is known keeps what is known of it.
    pub(super) fn receive(&mut self, tx: &Arc<Tx>, now: Millis, bound: usize) {
        if let Some(record) = self.txs.get_mut(&tx.hash) {
            record.received_ms.get_or_insert(now);
            if record.place.is_none() {
                record.tx = Arc::clone(tx);
                record.problem = None;
            }
            return;
        }
        let record =
            TxRecord { tx: tx.clone(), received_ms: Some(now), place: None, problem: None };
        self.txs.insert(tx.hash, record);
        self.loosen(tx.hash, bound);
    }

    fn loosen(&mut self, hash: B256, bound: usize) {
        self.loose.push_back(hash);
        while self.loose.len() > bound {
            let Some(oldest) = self.loose.pop_front() else { break };
            if self.txs.get(&oldest).is_some_and(|r| r.place.is_none()) {
                self.txs.remove(&oldest);
            }
        }
    }

    /// Adds a frame and its transactions; the block it belongs to becomes the open one.
    pub(super) fn add_frame(&mut self, view: FrameView, bound: usize) -> Arc<FrameRecord> {
        let FrameView { frame, hash, leader, forced, txs, block, state, now_ms } = view;
        let record =
            Arc::new(FrameRecord { frame, hash, leader, forced, txs, block, at_ms: now_ms });
        let g = record.g();
        self.stats.given(&record);
        let framed = (0u32..).zip(&record.txs);
        for (index, item) in record.forced.iter().map(|f| (FORCED, f)).chain(framed) {
            let entry = self.txs.entry(item.tx.hash).or_insert_with(|| TxRecord {
                tx: item.tx.clone(),
                received_ms: None,
                place: None,
                problem: None,
            });
            if let Some(received) = entry.received_ms {
                self.stats.preconfirmed(now_ms.saturating_sub(received));
            }
            match &item.outcome {
                Outcome::Included(result) => {
                    let frame = Some((record.clone(), index));
                    entry.place =
                        Some(Place { number: block.number, frame, result: result.clone() });
                    entry.problem = None;
                }
                Outcome::Skipped(skip) if entry.place.is_none() => {
                    entry.problem =
                        Some(problem(ProblemKind::Skipped, skip.to_string(), Some(now_ms)));
                    self.loosen(item.tx.hash, bound);
                }
                Outcome::Skipped(_) => {}
            }
        }
        self.frames.insert(g, record.clone());
        self.frame_gs.insert(hash, g);
        self.frame_states.insert(g, state.clone());
        let first_g = match &self.open {
            Some(open) if open.header.number == block.number => open.first_g,
            _ => g,
        };
        self.open = Some(Open { header: block, first_g, state });
        record
    }

    /// Adds a sealed block. Transactions without a frame (restored ones) get their place from it.
    pub(super) fn add_block(&mut self, block: Arc<BlockView>) {
        let number = block.number();
        if self.open.as_ref().is_some_and(|o| o.header.number <= number) {
            self.open = None;
        }
        if let Some(old) = self.blocks.insert(number, block.clone()) {
            self.numbers.remove(&old.hash);
        }
        self.numbers.insert(block.hash, number);
    }

    /// Gives the transactions of a restored block their places.
    pub(super) fn place_restored(&mut self, block: &BlockView) {
        for result in &block.txs {
            let hash = *result.transaction.tx_hash();
            let place = Place { number: block.number(), frame: None, result: result.clone() };
            let record = TxRecord {
                tx: Arc::new(tx_of(result)),
                received_ms: None,
                place: Some(place),
                problem: None,
            };
            self.txs.entry(hash).or_insert(record);
        }
    }

    /// Takes back every frame above `to_g`. Gives them, and the sealed blocks that went with them.
    pub(super) fn retract(
        &mut self,
        to_g: u64,
        bound: usize,
        lost: &Problem,
    ) -> (BTreeMap<u64, Arc<FrameRecord>>, Vec<B256>) {
        let after = to_g.saturating_add(1);
        let gone = self.frames.split_off(&after);
        self.frame_states.split_off(&after);
        self.ack_certs.split_off(&after);
        // Acks are of a whole prefix: what is left of it is as acked as before.
        if let Some((_, info)) = self.acks.split_off(&after).first_key_value() {
            self.acks.insert(to_g, *info);
        }
        for frame in gone.values() {
            self.frame_gs.remove(&frame.hash);
            self.lost.note(frame.hash, frame.frame.header.clone());
            for item in frame.forced.iter().chain(&frame.txs) {
                if let Some(record) = self.txs.get_mut(&item.tx.hash) {
                    record.place = None;
                    record.problem = Some(lost.clone());
                    self.loosen(item.tx.hash, bound);
                }
            }
        }
        let cut: Vec<u64> = self
            .blocks
            .iter()
            .rev()
            .take_while(|(_, b)| b.span.last_g > to_g)
            .map(|(n, _)| *n)
            .collect();
        let mut blocks = Vec::new();
        for block in cut.iter().filter_map(|number| self.blocks.remove(number)) {
            self.numbers.remove(&block.hash);
            blocks.push(block.hash);
        }
        self.reopen(to_g);
        (gone, blocks)
    }

    /// After a cut the newest frame's block is open again, unless it is sealed.
    fn reopen(&mut self, to_g: u64) {
        let tip = self.frames.range(..=to_g).next_back().map(|(_, f)| f.clone());
        let tip = tip.filter(|f| !self.blocks.contains_key(&f.block.number));
        self.open = tip.and_then(|tip| {
            let same = |f: &Arc<FrameRecord>| f.block.number == tip.block.number;
            let first = self.frames.range(..=to_g).rev().take_while(|(_, f)| same(f)).last()?;
            let state = self.frame_states.get(&tip.g())?.clone();
            Some(Open { header: tip.block, first_g: *first.0, state })
        });
    }

    /// The state after everything preconfirmed.
    pub(super) fn pending_state(&self) -> Option<&State> {
        match &self.open {
            Some(open) => Some(&open.state),
            None => self.newest().and_then(|b| b.state.as_ref()),
        }
    }

    /// The newest sealed block.
    pub(super) fn newest(&self) -> Option<&Arc<BlockView>> {
        self.blocks.last_key_value().map(|(_, b)| b)
    }

    /// Frames of the open block, up to a position.
    pub(super) fn open_frames(&self, upto: u64) -> Vec<Arc<FrameRecord>> {
        let Some(open) = self.open.as_ref().filter(|o| o.first_g <= upto) else {
            return Vec::new();
        };
        self.frames.range(open.first_g..=upto).map(|(_, f)| f.clone()).collect()
    }
}

pub(super) fn problem(kind: ProblemKind, reason: String, at_ms: Option<Millis>) -> Problem {
    Problem { kind, reason, replaced_by: None, at_ms }
}

pub(super) fn tx_of(result: &Included) -> Tx {
    use alloy_eips::eip2718::Encodable2718;
    Tx {
        raw: result.transaction.encoded_2718().into(),
        envelope: result.transaction.clone(),
        sender: result.sender,
        hash: *result.transaction.tx_hash(),
        insured: 0,
    }
}
