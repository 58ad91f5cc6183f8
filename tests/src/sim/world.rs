//! The event loop: one heap of things to come, in virtual microseconds.

use super::{
    Event, Plan,
    check::{Ledger, Violation},
    l1,
    node::{Leave, SimNode},
};
use crate::make;
use alloy_primitives::{B256, Keccak256};
use rota_consensus::{Input, Output, Synced, To};
use rota_p2p::{Parcel, SimNet};
use rota_preconf::{Frame, HeightContext, Rules};
use rota_types::{
    ChainParams, Env, SignedFrame, Tx, ValidatorSet,
    wire::{Head, Message, Request, Response},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Virtual start, so that timestamps look like real ones.
const EPOCH_MS: u64 = 1_800_000_000_000;

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Hash over every decision and round, with node and time.
    pub trace: B256,
    /// Heights decided by the slowest and the fastest node that is up.
    pub heights: (u64, u64),
    /// Frames decided.
    pub frames: usize,
    /// Transactions decided, of those submitted.
    pub txs: (usize, usize),
    /// Longest time without a new frame anywhere, milliseconds.
    pub longest_gap_ms: u64,
    /// Highest round reached.
    pub top_round: u32,
    /// Frames that fell off an accepted chain.
    pub rewinds: usize,
    /// Heights that came back from L1 by derivation.
    pub derived: usize,
}

#[derive(Debug)]
enum Due {
    Sync(u16, u64),
    Tick(u16),
    Plan(usize),
    Submit,
    Origin,
    Answer { to: u16, from: u16, response: Response },
    Asked { to: u16, from: u16, request: Request },
}

/// The simulated set.
pub struct World {
    plan: Plan,
    set: Arc<ValidatorSet>,
    rules: Arc<Rules>,
    net: SimNet,
    nodes: Vec<SimNode>,
    heap: BTreeMap<(u64, u64), Due>,
    ticks: BTreeMap<u16, u64>,
    sequence: u64,
    now_us: u64,
    trace: Keccak256,
    ledger: Ledger,
    verified: BTreeMap<B256, Arc<Frame>>,
    txs: Vec<Arc<Tx>>,
    origin: Env,
    last_frame_us: u64,
    report: Report,
}

impl World {
    /// Runs a plan to its end.
    pub fn run(plan: Plan) -> Result<Report, Violation> {
        let mut world = Self::new(plan);
        world.start();
        while let Some(at) = world.next() {
            if at > world.plan.length_ms * 1000 {
                break;
            }
            world.now_us = at;
            world.advance()?;
        }
        world.finish()
    }

    fn new(plan: Plan) -> Self {
        let params = ChainParams { window_heights: 6, ..ChainParams::default() };
        let set = Arc::new(make::set(&plan.stakes));
        let rules = Arc::new(make::rules(&set, params));
        let context = HeightContext::genesis(&rules, rules.domain.genesis_hash);
        let n = u16::try_from(set.len()).unwrap();
        let nodes = (0..n).map(|i| SimNode::new(i, context.clone())).collect();
        let net = SimNet::new(n, plan.link, plan.seed);
        let origin = Env {
            timestamp_s: 0,
            l1_number: 0,
            l1_hash: B256::ZERO,
            gas_limit: rules.params.gas_limit,
            prev_randao: B256::ZERO,
            fee_vault: rules.params.fee_vault,
        };
        let report = Report {
            trace: B256::ZERO,
            heights: (0, 0),
            frames: 0,
            txs: (0, 0),
            longest_gap_ms: 0,
            top_round: 0,
            rewinds: 0,
            derived: 0,
        };
        Self {
            plan,
            set,
            rules,
            net,
            nodes,
            heap: BTreeMap::new(),
            ticks: BTreeMap::new(),
            sequence: 0,
            now_us: 0,
            trace: Keccak256::new(),
            ledger: Ledger::default(),
            verified: BTreeMap::new(),
            txs: Vec::new(),
            origin,
            last_frame_us: 0,
            report,
        }
    }

    fn start(&mut self) {
        for (i, (at, _)) in self.plan.events.clone().iter().enumerate() {
            self.push(at * 1000, Due::Plan(i));
        }
        self.push(0, Due::Origin);
        if self.plan.tx_rate > 0 {
            self.push(300_000, Due::Submit);
        }
        for i in 0..self.nodes.len() {
            self.boot(i);
        }
    }

    fn next(&self) -> Option<u64> {
        let heap = self.heap.first_key_value().map(|((at, _), _)| *at);
        [heap, self.net.next_event_at()].into_iter().flatten().min()
    }

    fn advance(&mut self) -> Result<(), Violation> {
        for delivery in self.net.pop_due(self.now_us) {
            if let Parcel::Message(message) = delivery.parcel {
                self.deliver(delivery.to, delivery.from, *message);
            }
        }
        while let Some(entry) = self.heap.first_entry() {
            if entry.key().0 > self.now_us {
                break;
            }
            let due = entry.remove();
            self.happen(due)?;
        }
        Ok(())
    }

    fn happen(&mut self, due: Due) -> Result<(), Violation> {
        match due {
            Due::Sync(node, life) => {
                if self.nodes[usize::from(node)].restarts == life {
                    let leaves = self.nodes[usize::from(node)].synced();
                    self.ledger.take(&self.nodes[usize::from(node)])?;
                    self.leave(node, leaves);
                }
            }
            Due::Tick(node) => {
                self.ticks.remove(&node);
                self.input(node, Input::Tick);
            }
            Due::Plan(i) => self.event(self.plan.events[i].1.clone()),
            Due::Submit => self.submit(),
            Due::Origin => self.new_origin(),
            Due::Asked { to, from, request } => {
                if self.nodes[usize::from(to)].replica.is_some() && self.net.reaches(to, from) {
                    let response = self.nodes[usize::from(to)].answer(&request);
                    let at = self.now_us + self.plan.link.latency_us;
                    self.push(at, Due::Answer { to: from, from: to, response });
                }
            }
            Due::Answer { to, from, response } => self.answer(to, from, response),
        }
        Ok(())
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Kill(node) => self.kill(node),
            Event::KillLeader => {
                let leader = self.nodes.iter().find_map(|n| n.replica.as_ref()).map(|r| r.leader());
                if let Some(leader) = leader {
                    self.kill(leader);
                }
            }
            Event::Start(node) => self.boot(usize::from(node)),
            Event::StartAll => {
                for i in 0..self.nodes.len() {
                    self.boot(i);
                }
            }
            Event::LoseGuardAndStart(node) => {
                self.kill(node);
                let disk = &mut self.nodes[usize::from(node)].disk;
                disk.guard = rota_store::Watermarks::default();
                disk.wal.clear();
                disk.frames.clear();
                self.boot(usize::from(node));
            }
            Event::WipeAndStart(node) => {
                let context = HeightContext::genesis(&self.rules, self.rules.domain.genesis_hash);
                let disk = &mut self.nodes[usize::from(node)].disk;
                disk.context = context;
                disk.wal.clear();
                disk.frames.clear();
                disk.decided.clear();
                self.boot(usize::from(node));
            }
            Event::LoseFramesAndStart(node) => {
                self.kill(node);
                self.nodes[usize::from(node)].disk.frames.clear();
                self.boot(usize::from(node));
            }
            Event::Partition(groups) => {
                let groups: Vec<&[u16]> = groups.iter().map(Vec::as_slice).collect();
                self.net.partition(&groups);
            }
            Event::Heal => self.net.heal(),
        }
    }

    fn kill(&mut self, node: u16) {
        self.nodes[usize::from(node)].kill();
        self.net.take_down(node);
        self.ticks.remove(&node);
    }

    fn boot(&mut self, i: usize) {
        if self.nodes[i].replica.is_some() {
            return;
        }
        let node = self.nodes[i].index;
        self.net.bring_up(node);
        let mut out = Vec::new();
        let now = EPOCH_MS + self.now_us / 1000;
        self.nodes[i].boot(now, &self.set, &self.rules, &mut out);
        self.absorb(node, out);
        self.input(node, Input::Origin(self.origin.clone()));
    }

    fn submit(&mut self) {
        let n = self.txs.len() as u64;
        // One account per entry: order between accounts is free, nonces of one account are not shared.
        self.txs.push(make::transfer(n, 0));
        let tx = Arc::clone(&self.txs[self.txs.len() - 1]);
        for i in 0..self.nodes.len() {
            let index = self.nodes[i].index;
            if self.nodes[i].replica.is_some() {
                self.nodes[i].submit(&tx);
                self.feed_txs(index);
            }
        }
        let at = self.now_us + 1_000_000 / self.plan.tx_rate;
        // The last second is left to settle.
        if at < self.plan.length_ms.saturating_sub(3_000) * 1000 {
            self.push(at, Due::Submit);
        }
    }

    fn feed_txs(&mut self, node: u16) {
        if let Some(txs) = self.nodes[usize::from(node)].hand_over() {
            self.input(node, Input::Txs(txs));
        }
    }

    fn new_origin(&mut self) {
        self.origin.l1_number += 1;
        self.origin.l1_hash = alloy_primitives::keccak256(self.origin.l1_number.to_be_bytes());
        self.origin.prev_randao = alloy_primitives::keccak256(self.origin.l1_hash);
        for i in 0..self.nodes.len() {
            let node = self.nodes[i].index;
            self.input(node, Input::Origin(self.origin.clone()));
        }
        self.push(self.now_us + 2_000_000, Due::Origin);
    }

    fn deliver(&mut self, to: u16, from: u16, message: Message) {
        if self.nodes[usize::from(to)].replica.is_none() {
            return;
        }
        match message {
            Message::Frame(signed) => {
                if let Some(frame) = self.verify(signed) {
                    self.input(to, Input::Frame { frame, from });
                }
            }
            other => self.input(to, Input::Message { from, message: other }),
        }
    }

    fn answer(&mut self, to: u16, from: u16, response: Response) {
        match response {
            Response::Frames(frames) => {
                for signed in frames {
                    if let Some(frame) = self.verify(signed) {
                        self.input(to, Input::Frame { frame, from });
                    }
                }
            }
            Response::Heights(heights) => {
                let heights = heights
                    .into_iter()
                    .map(|h| Synced {
                        header: h.header,
                        certificate: h.certificate,
                        frames: h.frames.into_iter().filter_map(|f| self.verify(f)).collect(),
                    })
                    .collect();
                self.input(to, Input::Synced { from, heights });
            }
        }
    }

    /// Verifies a frame once for the whole run: the result is the same on every node.
    fn verify(&mut self, signed: SignedFrame) -> Option<Arc<Frame>> {
        let hash = signed.header.hash(&self.rules.domain);
        if let Some(frame) = self.verified.get(&hash).filter(|f| *f.signed == signed) {
            return Some(Arc::clone(frame));
        }
        let known: BTreeMap<B256, Arc<Tx>> =
            self.txs.iter().map(|t| (t.hash, Arc::clone(t))).collect();
        let frame =
            Frame::verify(signed, &self.set, &self.rules.domain, |h| known.get(h).cloned()).ok()?;
        let frame = Arc::new(frame);
        self.verified.insert(hash, Arc::clone(&frame));
        Some(frame)
    }

    fn input(&mut self, node: u16, input: Input) {
        let now = EPOCH_MS + self.now_us / 1000;
        let Some(replica) = self.nodes[usize::from(node)].replica.as_mut() else { return };
        let mut out = Vec::new();
        replica.step(now, input, &mut out).expect("no honest replica is fatal");
        replica.flush(now, &mut out).expect("no honest replica is fatal");
        self.absorb(node, out);
        self.feed_txs(node);
    }

    fn absorb(&mut self, node: u16, out: Vec<Output>) {
        for output in &out {
            self.observe(node, output);
        }
        let mut asks = Vec::new();
        let (leaves, sync) = self.nodes[usize::from(node)].absorb(out, &mut asks);
        if sync {
            let life = self.nodes[usize::from(node)].restarts;
            self.push(self.now_us + self.plan.fsync_us, Due::Sync(node, life));
        }
        for (to, request) in asks {
            let at = self.now_us + self.plan.link.latency_us;
            self.push(at, Due::Asked { to, from: node, request });
        }
        self.leave(node, leaves);
        self.schedule(node);
    }

    fn schedule(&mut self, node: u16) {
        let now = EPOCH_MS + self.now_us / 1000;
        let Some(replica) = &self.nodes[usize::from(node)].replica else { return };
        let Some(due) = replica.next_deadline(now) else { return };
        let at = (due.max(now + 1) - EPOCH_MS) * 1000;
        if self.ticks.get(&node).is_none_or(|old| at < *old) {
            self.ticks.insert(node, at);
            self.push(at, Due::Tick(node));
        }
    }

    fn observe(&mut self, node: u16, output: &Output) {
        let mark = match output {
            Output::Decided(d) => {
                let message = Message::Head(Head {
                    height: d.header.height(),
                    value_id: d.value_id,
                    oldest: 1,
                });
                self.leave(node, vec![Leave::Send(To::Others, message)]);
                d.value_id
            }
            Output::Round { height, round, leader } => {
                self.report.top_round = self.report.top_round.max(*round);
                let mut bytes = height.to_be_bytes().to_vec();
                bytes.extend_from_slice(&round.to_be_bytes());
                bytes.extend_from_slice(&leader.to_be_bytes());
                alloy_primitives::keccak256(bytes)
            }
            Output::Accepted { frame, .. } => {
                let gap = self.now_us.saturating_sub(self.last_frame_us) / 1000;
                self.report.longest_gap_ms = self.report.longest_gap_ms.max(gap);
                self.last_frame_us = self.now_us;
                frame.hash
            }
            Output::Rewound { g, .. } => {
                self.report.rewinds += 1;
                B256::with_last_byte(u8::try_from(*g & 0xff).unwrap())
            }
            _ => return,
        };
        self.trace.update(node.to_be_bytes());
        self.trace.update(self.now_us.to_be_bytes());
        self.trace.update(mark);
    }

    fn leave(&mut self, node: u16, leaves: Vec<Leave>) {
        for leave in leaves {
            match leave {
                Leave::Durable(token) => self.input(node, Input::Durable(token)),
                Leave::Send(to, message) => self.send(node, to, message),
            }
        }
    }

    fn send(&mut self, node: u16, to: To, message: Message) {
        let n = u16::try_from(self.nodes.len()).unwrap();
        let targets = match to {
            To::One(one) => vec![one],
            To::Others | To::All => (0..n).filter(|i| *i != node).collect(),
        };
        for target in targets {
            self.net.send(self.now_us, node, target, &message);
        }
        if to == To::All {
            self.input(node, Input::Message { from: node, message });
        }
    }

    fn push(&mut self, at: u64, due: Due) {
        self.sequence += 1;
        self.heap.insert((at, self.sequence), due);
    }

    fn finish(mut self) -> Result<Report, Violation> {
        self.ledger.finish(&self.nodes)?;
        self.report.derived = l1::round_trip(&self.nodes, &self.set, &self.rules.domain)?;
        let heights = self
            .nodes
            .iter()
            .filter(|n| n.replica.is_some())
            .map(|n| n.disk.decided.last_key_value().map_or(0, |(h, _)| *h));
        let heights: VecDeque<u64> = heights.collect();
        let decided: std::collections::BTreeSet<B256> = self
            .nodes
            .iter()
            .flat_map(|n| n.disk.decided.values())
            .flat_map(|d| d.frames.iter())
            .flat_map(|f| f.txs.iter().map(|t| t.hash))
            .collect();
        self.report.heights = (
            heights.iter().min().copied().unwrap_or(0),
            heights.iter().max().copied().unwrap_or(0),
        );
        self.report.frames = self.ledger.frames.len();
        self.report.txs = (decided.len(), self.txs.len());
        self.report.trace = self.trace.finalize();
        Ok(self.report)
    }
}
