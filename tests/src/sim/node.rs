//! One simulated node: its replica, its disk with a gap between written and synced, and its intake.

use crate::make;
use alloy_primitives::B256;
use rota_consensus::{Decided, Keys, Output, Replica, Restored, To};
use rota_preconf::{Frame, HeightContext, Rules};
use rota_store::{Intent, Watermarks};
use rota_types::{
    Tx, ValidatorSet,
    wire::{DecidedHeight, Message, Request, Response},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// What survives kill -9.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) context: HeightContext,
    pub(super) guard: Watermarks,
    pub(super) wal: Vec<Vec<u8>>,
    pub(super) frames: Vec<Arc<Frame>>,
    pub(super) decided: BTreeMap<u64, Decided>,
}

/// Written, not synced yet.
#[derive(Debug, Clone)]
enum Write {
    Wal(Vec<u8>),
    WalReset,
    Guard(Intent),
    Frame(Arc<Frame>),
    Decided(Box<Decided>),
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
    /// Everything this key ever had durable before it left, whatever became of the disk.
    shadow: Watermarks,
    /// Started without a guard: nothing may be signed at this height or below.
    silent_until: u64,
    pub(super) contradiction: Option<String>,
    writes: Vec<Write>,
    waiting: Vec<Leave>,
    syncs: VecDeque<(Vec<Write>, Vec<Leave>)>,
    intake: VecDeque<Arc<Tx>>,
    framed: BTreeSet<B256>,
    wants: bool,
}

impl SimNode {
    pub(super) fn new(index: u16, context: HeightContext) -> Self {
        let disk = Disk {
            context,
            guard: Watermarks::default(),
            wal: Vec::new(),
            frames: Vec::new(),
            decided: BTreeMap::new(),
        };
        Self {
            index,
            replica: None,
            disk,
            acked: BTreeMap::new(),
            restarts: 0,
            shadow: Watermarks::default(),
            silent_until: 0,
            contradiction: None,
            writes: Vec::new(),
            waiting: Vec::new(),
            syncs: VecDeque::new(),
            intake: VecDeque::new(),
            framed: BTreeSet::new(),
            wants: false,
        }
    }

    /// Starts the process from what is on disk.
    pub(super) fn boot(
        &mut self,
        now: u64,
        set: &Arc<ValidatorSet>,
        rules: &Arc<Rules>,
        out: &mut Vec<Output>,
    ) {
        let (seq, vote) = make::keys(self.index);
        let keys = Keys { index: self.index, seq: Arc::new(seq), vote: Arc::new(vote) };
        if self.restarts > 0 && self.disk.guard.newest().is_none() && self.disk.context.height > 1 {
            let windows = u64::from(rules.params.window_heights) * 2;
            self.silent_until = self.disk.context.height + windows;
        }
        self.disk.guard.restarted();
        let restored = Restored {
            context: self.disk.context.clone(),
            guard: self.disk.guard.clone(),
            wal: self.disk.wal.clone(),
            frames: self.disk.frames.clone(),
            listen_ms: if self.restarts > 0 { 3_000 } else { 0 },
        };
        let mut replica = Replica::new(Some(keys), Arc::clone(set), Arc::clone(rules), &restored);
        replica.start(now, &restored.wal, out).expect("starts");
        self.restarts += 1;
        self.replica = Some(replica);
    }

    /// kill -9: memory, unsynced writes and everything not sent yet are gone.
    pub(super) fn kill(&mut self) {
        self.replica = None;
        self.writes.clear();
        self.waiting.clear();
        self.syncs.clear();
        self.intake.clear();
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
        self.wants = false;
        Some(self.intake.drain(..).collect())
    }

    /// Takes what the replica put out; returns what leaves at once and whether a sync is to start.
    pub(super) fn absorb(
        &mut self,
        out: Vec<Output>,
        asks: &mut Vec<(u16, Request)>,
    ) -> (Vec<Leave>, bool) {
        let mut now = Vec::new();
        for output in out {
            match output {
                Output::Wal(bytes) => self.writes.push(Write::Wal(bytes)),
                Output::WalReset => self.writes.push(Write::WalReset),
                Output::Guard(intent) => self.writes.push(Write::Guard(intent)),
                Output::Store(frame) => self.writes.push(Write::Frame(frame)),
                Output::Durable(token) => self.waiting.push(Leave::Durable(token)),
                Output::Send { to, message, durable: true } => {
                    self.waiting.push(Leave::Send(to, message));
                }
                Output::Send { to, message, durable: false } => now.push(Leave::Send(to, message)),
                Output::Accepted { frame, .. } => {
                    for tx in &frame.txs {
                        self.framed.insert(tx.hash);
                        self.intake.retain(|t| t.hash != tx.hash);
                    }
                }
                Output::Acked { g, .. } => {
                    if let Some(frame) = self.replica.as_ref().and_then(|r| r.chain().at(g)) {
                        self.acked.insert(g, frame.hash);
                    }
                }
                Output::Decided(decided) => self.writes.push(Write::Decided(decided)),
                Output::TakeTxs => self.wants = true,
                Output::ReturnTxs(txs) => {
                    for tx in txs.into_iter().rev() {
                        self.framed.remove(&tx.hash);
                        self.intake.push_front(tx);
                    }
                }
                Output::Ask { to, request } => asks.push((to, request)),
                Output::Rewound { .. }
                | Output::Leading(_)
                | Output::Round { .. }
                | Output::Fault { .. }
                | Output::Misbehaved { .. } => {}
            }
        }
        let sync = !self.waiting.is_empty();
        if sync {
            let batch = (std::mem::take(&mut self.writes), std::mem::take(&mut self.waiting));
            self.syncs.push_back(batch);
        }
        (now, sync)
    }

    /// The oldest sync is done.
    pub(super) fn synced(&mut self) -> Vec<Leave> {
        let Some((writes, leaves)) = self.syncs.pop_front() else { return Vec::new() };
        for write in writes {
            match write {
                Write::Wal(bytes) => self.disk.wal.push(bytes),
                Write::WalReset => self.disk.wal.clear(),
                Write::Guard(intent) => {
                    if intent.position().0 <= self.silent_until {
                        self.contradiction
                            .get_or_insert(format!("signed {intent:?} without a guard"));
                    }
                    if let Err(refused) = self.shadow.check_and_record(&intent) {
                        self.contradiction.get_or_insert(refused.to_string());
                    }
                    self.disk.guard.check_and_record(&intent).expect("guard agreed before");
                }
                Write::Frame(frame) => self.disk.frames.push(frame),
                Write::Decided(decided) => {
                    self.disk.context = decided.next.clone();
                    self.disk.frames.retain(|f| f.g() > decided.next.base.g);
                    self.disk.decided.insert(decided.header.height(), *decided);
                }
            }
        }
        leaves
    }

    /// Answers a peer's request from memory and disk.
    pub(super) fn answer(&self, request: &Request) -> Response {
        match request {
            Request::Frames { from_g, tip } => {
                let replica = self.replica.as_ref();
                let frames = replica.map(|r| r.frames_to(*from_g, tip)).unwrap_or_default();
                Response::Frames(frames.iter().map(|f| (*f.signed).clone()).collect())
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
        }
    }
}
