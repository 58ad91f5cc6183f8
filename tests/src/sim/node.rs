//! One simulated node: its replica, its disk with a gap between written and synced, and its intake.

use super::sets::Sets;
use crate::make;
use alloy_primitives::B256;
use rota_consensus::{Decided, Fatal, Identity, Output, PeerNo, Replica, Restored, To};
use rota_preconf::{Epochs, Frame, HeightContext, Rules};
use rota_store::{Intent, Watermarks};
use rota_types::{
    LocalSigner, Signer, Tx,
    wire::{DecidedHeight, Message, Request, Response},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// Heights after which the write-ahead log is emptied.
const COMPACT_HEIGHTS: u32 = 4;

/// What becomes of writes that were not synced when a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// All are there: the process died, the machine did not.
    Kept,
    /// None is there: power loss.
    Lost,
    /// Of each file some first part is there, chosen by this number.
    Prefix(u64),
}

/// What is on disk.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) context: HeightContext,
    /// One for each of the node's keys.
    pub(super) guards: Vec<Watermarks>,
    /// Sets that L1 showed, written down before the replica is told.
    pub(super) epochs: Epochs,
    pub(super) wal: Vec<Vec<u8>>,
    pub(super) frames: Vec<Arc<Frame>>,
    pub(super) decided: BTreeMap<u64, Decided>,
    /// Heights in the write-ahead log.
    pub(super) heights: u32,
}

/// Written, not synced yet.
#[derive(Debug, Clone)]
enum Write {
    Wal(Vec<u8>),
    WalReset,
    /// For one of the node's keys.
    Guard(usize, Intent),
    Frame(Arc<Frame>),
    Decided(Box<Decided>),
}

impl Write {
    /// The file it goes to: each is synced by itself.
    const fn file(&self) -> usize {
        match self {
            Self::Wal(_) | Self::WalReset => 0,
            Self::Guard(..) => 1,
            Self::Frame(_) | Self::Decided(_) => 2,
        }
    }
}

/// What leaves a node at once or after a sync.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "the queue of a simulated node is short")]
pub(super) enum Leave {
    Send(To, Message),
    Durable(u64),
}

pub(super) struct SimNode {
    pub(super) index: u16,
    pub(super) replica: Option<Replica>,
    pub(super) disk: Disk,
    pub(super) acked: BTreeMap<u64, B256>,
    pub(super) restarts: u64,
    /// Everything its keys ever had durable before it left, whatever became of the disk.
    shadows: Vec<Watermarks>,
    /// Which of its keys signs.
    pair: usize,
    /// Started without a guard: nothing may be signed at this height or below.
    silent_until: u64,
    /// It is not there from the beginning: nobody tells it that its keys are new.
    pub(super) late: bool,
    pub(super) contradiction: Option<String>,
    /// Syncs that this disk finished.
    pub(super) syncs_done: u64,
    writes: Vec<Write>,
    waiting: Vec<Leave>,
    syncs: VecDeque<(Vec<Write>, Vec<Leave>)>,
    intake: VecDeque<Arc<Tx>>,
    framed: BTreeSet<B256>,
    /// Transactions of the accepted chain by position.
    placed: BTreeMap<u64, Vec<Arc<Tx>>>,
    wants: bool,
    /// What the leader may insure on top of the accepted chain.
    room: u128,
    plain: bool,
}

impl SimNode {
    pub(super) fn new(index: u16, context: HeightContext, keys: usize) -> Self {
        let guards = vec![Watermarks::default(); keys];
        let disk = Disk {
            epochs: Epochs::new(Arc::clone(&context.epoch)),
            context,
            guards: guards.clone(),
            wal: Vec::new(),
            frames: Vec::new(),
            decided: BTreeMap::new(),
            heights: 0,
        };
        Self {
            index,
            replica: None,
            disk,
            acked: BTreeMap::new(),
            restarts: 0,
            shadows: guards,
            pair: 0,
            silent_until: 0,
            late: false,
            contradiction: None,
            syncs_done: 0,
            writes: Vec::new(),
            waiting: Vec::new(),
            syncs: VecDeque::new(),
            intake: VecDeque::new(),
            framed: BTreeSet::new(),
            placed: BTreeMap::new(),
            wants: false,
            room: 0,
            plain: false,
        }
    }

    /// Starts the process from what is on disk.
    pub(super) fn boot(
        &mut self,
        now: u64,
        sets: &Sets,
        rules: &Rules,
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        let empty = |guard: &Watermarks| guard.newest().is_none();
        let unknown = self.disk.guards.iter().all(empty) && !self.shadows.iter().all(empty);
        if self.restarts > 0 && unknown && self.disk.context.height > 1 {
            let windows = u64::from(rules.params.window_heights) * 2;
            self.silent_until = self.disk.context.height + windows;
        }
        self.disk.guards.iter_mut().for_each(Watermarks::restarted);
        let peers = |e: u64| (e, sets.peers(e).into_iter().map(PeerNo).collect());
        let restored = Restored {
            context: self.disk.context.clone(),
            peers: self.disk.epochs.iter().map(|e| peers(e.number())).collect(),
            guards: self.disk.guards.clone(),
            wal: self.disk.wal.clone(),
            frames: self.disk.frames.clone(),
            listen_ms: if self.restarts > 0 || self.late { 3_000 } else { 0 },
        };
        let pair = |i: u16| -> Arc<dyn Signer> {
            let (seq, vote) = make::keys(i);
            Arc::new(LocalSigner { seq, vote })
        };
        let pairs = sets.keys(self.index).into_iter().map(pair).collect();
        let identity = Identity { me: PeerNo(self.index), pairs };
        let rules = Rules { epochs: self.disk.epochs.clone(), ..rules.clone() };
        let mut replica = Replica::new(identity, rules, &restored);
        let started = replica.start(now, &restored.wal, out);
        self.restarts += 1;
        self.replica = Some(replica);
        started
    }

    /// The process ends: memory and everything not sent yet are gone, and unsynced writes as `unsynced` says.
    pub(super) fn kill(&mut self, unsynced: Unsynced) {
        if self.replica.take().is_some() {
            self.crash(unsynced);
        }
        self.waiting.clear();
        self.intake.clear();
        self.framed.clear();
        self.placed.clear();
        self.wants = false;
    }

    pub(super) fn submit(&mut self, tx: &Arc<Tx>) {
        if !self.framed.contains(&tx.hash) && self.intake.iter().all(|t| t.hash != tx.hash) {
            self.intake.push_back(Arc::clone(tx));
        }
    }

    /// Transactions to hand over, if the replica asked and there are some.
    pub(super) fn hand_over(&mut self) -> Option<Vec<Arc<Tx>>> {
        if !self.wants || self.intake.is_empty() {
            return None;
        }
        let mut room = self.room;
        if self.plain {
            self.intake.iter_mut().for_each(|tx| *tx = Arc::clone(tx).insuring(0));
        }
        let fits = |tx: &Arc<Tx>| {
            let left = room.checked_sub(tx.insured);
            room = left.unwrap_or(room);
            left.is_some()
        };
        let (taken, left): (Vec<_>, Vec<_>) = self.intake.drain(..).partition(fits);
        self.intake = left.into();
        if taken.is_empty() {
            return None;
        }
        self.wants = false;
        Some(taken)
    }

    /// Who still waits for room goes without insurance, so that every transaction is decided in the end.
    pub(super) const fn insure_no_more(&mut self) {
        self.plain = true;
    }

    /// Takes what the replica put out; returns what leaves at once and whether a sync is to start.
    pub(super) fn absorb(
        &mut self,
        out: Vec<Output>,
        asks: &mut Vec<(PeerNo, Request)>,
    ) -> (Vec<Leave>, bool) {
        let mut now = Vec::new();
        for output in out {
            match output {
                Output::Wal(bytes) => self.writes.push(Write::Wal(bytes)),
                Output::WalReset => self.writes.push(Write::WalReset),
                Output::Guard(intent) => self.writes.push(Write::Guard(self.pair, intent)),
                Output::Keys(pair) => self.pair = pair,
                Output::Store(frame) => self.writes.push(Write::Frame(frame)),
                Output::Durable(token) => self.waiting.push(Leave::Durable(token)),
                Output::Send { to, message, durable: true } => {
                    self.waiting.push(Leave::Send(to, message));
                }
                Output::Send { to, message, durable: false } => now.push(Leave::Send(to, message)),
                Output::Accepted { frame, room, .. } => {
                    self.room = room.free();
                    for tx in &frame.txs {
                        self.framed.insert(tx.hash);
                        self.intake.retain(|t| t.hash != tx.hash);
                    }
                    self.placed.insert(frame.g(), frame.txs.clone());
                }
                Output::Acked { g, .. } => {
                    if let Some(frame) = self.replica.as_ref().and_then(|r| r.chain().at(g)) {
                        self.acked.insert(g, frame.hash);
                    }
                }
                Output::Decided(decided) => {
                    self.placed.retain(|g, _| *g > decided.header.last_g);
                    self.writes.push(Write::Decided(decided));
                }
                // What fell off the chain waits again, unless it comes back right away.
                Output::Rewound { g, .. } => {
                    self.room = 0;
                    for tx in self.placed.split_off(&(g + 1)).into_values().flatten() {
                        self.framed.remove(&tx.hash);
                        self.intake.push_back(tx);
                    }
                }
                Output::TakeTxs => self.wants = true,
                Output::ReturnTxs(txs) => {
                    for tx in txs.into_iter().rev() {
                        self.framed.remove(&tx.hash);
                        self.intake.push_front(tx);
                    }
                }
                Output::Ask { to, request } => asks.push((to, request)),
                Output::Leading(_)
                | Output::Epoch { .. }
                | Output::Round { .. }
                | Output::Fault { .. }
                | Output::Misbehaved { .. }
                | Output::Evidence(_) => {}
            }
        }
        // Who says nothing waits for no sync; its database takes what is decided all the same.
        let silent = self.replica.as_ref().is_some_and(Replica::observing);
        let decided = || self.writes.iter().any(|write| matches!(write, Write::Decided(_)));
        let sync = !self.waiting.is_empty() || silent && decided();
        if sync {
            let batch = (std::mem::take(&mut self.writes), std::mem::take(&mut self.waiting));
            self.syncs.push_back(batch);
        }
        (now, sync)
    }

    /// The oldest sync is done.
    pub(super) fn synced(&mut self) -> Vec<Leave> {
        let Some((writes, leaves)) = self.syncs.pop_front() else { return Vec::new() };
        self.syncs_done += 1;
        writes.into_iter().for_each(|write| self.apply(write));
        leaves
    }

    /// Leaves of the unsynced writes what `unsynced` says. The guard is written after the logs of its sync are on
    /// disk; of the logs any first part may be there.
    fn crash(&mut self, unsynced: Unsynced) {
        let mut batches: Vec<Vec<Write>> =
            std::mem::take(&mut self.syncs).into_iter().map(|(writes, _)| writes).collect();
        batches.push(std::mem::take(&mut self.writes));
        let n = match unsynced {
            Unsynced::Lost => return,
            Unsynced::Kept => return batches.into_iter().flatten().for_each(|w| self.apply(w)),
            Unsynced::Prefix(n) => n,
        };
        let cut = (n >> 48) as usize % batches.len();
        let rest = batches.split_off(cut);
        batches.into_iter().flatten().for_each(|write| self.apply(write));
        let (mut logs, mut guard) = ([const { Vec::new() }; 3], Vec::new());
        let reached_guard = n >> 47 & 1 == 1;
        for (i, write) in
            rest.into_iter().enumerate().flat_map(|(i, b)| b.into_iter().map(move |w| (i, w)))
        {
            match write {
                Write::Guard(..) if i == 0 => guard.push(write),
                Write::Guard(..) => {}
                log if i == 0 && reached_guard => self.apply(log),
                log => logs[log.file()].push(log),
            }
        }
        for (i, file) in logs.into_iter().enumerate() {
            let there = (n >> (i * 16)) as usize % (file.len() + 1);
            file.into_iter().take(there).for_each(|write| self.apply(write));
        }
        let there = if reached_guard { (n >> 32) as usize % (guard.len() + 1) } else { 0 };
        guard.into_iter().take(there).for_each(|write| self.apply(write));
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Wal(bytes) => self.disk.wal.push(bytes),
            Write::WalReset => {
                self.disk.heights += 1;
                if self.disk.heights >= COMPACT_HEIGHTS {
                    self.disk.heights = 0;
                    self.disk.wal.clear();
                }
            }
            Write::Guard(pair, intent) => {
                let floor = matches!(intent, Intent::Floor { .. });
                if intent.position().0 <= self.silent_until && !floor {
                    self.contradiction.get_or_insert(format!("signed {intent:?} without a guard"));
                }
                if let Err(refused) = self.shadows[pair].check_and_record(&intent) {
                    self.contradiction.get_or_insert(refused.to_string());
                }
                self.disk.guards[pair].check_and_record(&intent).expect("guard agreed before");
            }
            Write::Frame(frame) => self.disk.frames.push(frame),
            Write::Decided(decided) => {
                self.disk.context = decided.next.clone();
                self.disk.frames.retain(|f| f.g() > decided.next.base.g);
                self.disk.decided.insert(decided.header.height(), *decided);
            }
        }
    }

    /// Answers a peer's request from memory and disk.
    pub(super) fn answer(&self, request: &Request) -> Response {
        match request {
            Request::Frames { .. } => {
                let answer = self.replica.as_ref().and_then(|r| r.answer(request));
                answer.unwrap_or_else(|| Response::Frames(Vec::new()))
            }
            Request::Justification { .. } => {
                let answer = self.replica.as_ref().and_then(|r| r.answer(request));
                answer.unwrap_or(Response::Justification(None))
            }
            Request::Heights { from, count } => {
                let heights = self.disk.decided.range(from..).take(*count as usize);
                Response::Heights(
                    heights
                        .map(|(_, d)| DecidedHeight {
                            header: d.header.clone(),
                            certificate: d.certificate.clone(),
                            frames: d.frames.iter().map(|f| (*f.signed).clone()).collect(),
                        })
                        .collect(),
                )
            }
            Request::SignedBy { .. } | Request::Witness { .. } => {
                let answer = self.replica.as_ref().and_then(|r| r.answer(request));
                // Who is not there has not looked.
                answer.unwrap_or(Response::Frames(Vec::new()))
            }
        }
    }
}
