//! The event loop: one heap of things to come, in virtual microseconds.

mod evidence;
mod finish;
mod lags;
mod life;
mod masks;
mod origins;
mod steps;
mod traffic;

use super::{
    Plan,
    byzantine::Cast,
    check::{Checker, Stats, Violation},
    detect::{Detect, Found},
    dice::Dice,
    node::{Disk, SimNode, Unsynced},
    sets::Sets,
};
use crate::make;
use alloy_primitives::{B256, Keccak256};
use rota_consensus::Input;
use rota_p2p::{Parcel, SimNet};
use rota_preconf::{Frame, HeightContext, Lags, Rules};
use rota_types::{
    ChainParams, Env, Evidence, Tx,
    wire::{Message, Request, Response},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Virtual start, so that timestamps look like real ones.
pub(super) const EPOCH_MS: u64 = 1_800_000_000_000;

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Newest epoch of a decided height.
    pub epoch: u64,
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
    /// Newest checkpoint of execution that a decided header names.
    pub checkpoint: u64,
    /// Highest round reached.
    pub top_round: u32,
    /// Frames that fell off an accepted chain.
    pub rewinds: usize,
    /// Heights that came back from L1 by derivation.
    pub derived: usize,
    /// Transactions that L1 forced in.
    pub forced: usize,
    /// Deposits from L1 in the blocks.
    pub deposits: usize,
    /// Newest L1 block, and the origin of the newest decided height.
    pub origin: (u64, u64),
    /// Heights decided on an L1 block that L1 gave up later.
    pub off_l1: usize,
    /// Crashes, gaps, retreats.
    pub stats: Stats,
    /// What Byzantine members did, by name.
    pub deeds: BTreeMap<&'static str, u64>,
    /// Whom correct members accused of having signed a contradiction.
    pub accused: BTreeSet<u16>,
    /// What can be proven before the contracts.
    pub evidence: Found,
}

#[derive(Debug)]
enum Due {
    Sync(u16, u64),
    Tick(u16),
    Plan(usize),
    /// Watching for a round above 0, to crash everyone in it.
    Watch(Unsynced),
    Start(u16),
    Calm,
    Late {
        from: u16,
        to: u16,
        message: Box<Message>,
    },
    Act,
    Submit,
    /// L1 has a block more.
    Origin,
    /// L1 gives a branch of the plan up.
    GivenUp(usize),
    /// A node's execution comes past a checkpoint.
    Executed(u16, u64, B256),
    /// A node sees L1 up to this block.
    Sees(u16, u64),
    /// A node is shown evidence.
    Shown(u16, Arc<Evidence>),
    Answer {
        to: u16,
        from: u16,
        response: Response,
    },
    Asked {
        to: u16,
        from: u16,
        request: Request,
    },
}

/// The simulated set.
pub struct World {
    plan: Plan,
    sets: Arc<Sets>,
    /// With what every node knows at its first start.
    rules: Rules,
    net: SimNet,
    nodes: Vec<SimNode>,
    heap: BTreeMap<(u64, u64), Due>,
    ticks: BTreeMap<u16, u64>,
    sequence: u64,
    now_us: u64,
    trace: Keccak256,
    checker: Checker,
    detect: Detect,
    verified: BTreeMap<B256, Arc<Frame>>,
    txs: Vec<Arc<Tx>>,
    /// Newest L1 block, and what each node has seen of L1.
    origin: Env,
    seen: BTreeMap<u16, u64>,
    last_frame_us: u64,
    report: Report,
    /// Directions in which nothing travels.
    cuts: BTreeSet<(u16, u16)>,
    snapshots: BTreeMap<u16, Disk>,
    dice: Dice,
    cast: Cast,
    known: BTreeMap<B256, Arc<Tx>>,
    /// Looks in a row, after the end of the plan, at which a correct leader led.
    correct_for: u32,
}

/// How often it is looked who leads when users still wait at the end of a plan.
const LOOK_US: u64 = 500_000;
/// So many looks in a row, a correct leader has for those whom a lying one left out.
const LOOKS: u32 = 5;
/// Most time that lying leaders may take after the end of the plan, each its window of idle heights.
const LONGEST_MS: u64 = 30_000;

impl World {
    /// Runs a plan to its end.
    pub fn run(plan: Plan) -> Result<Report, Violation> {
        let mut world = Self::new(plan);
        world.start();
        let mut end = world.plan.length_ms * 1000;
        while let Some(at) = world.next() {
            if at > end {
                if !world.is_ignored() {
                    break;
                }
                end += LOOK_US;
                continue;
            }
            world.now_us = at;
            world.advance();
            world.gossip();
            world.checker.verdict()?;
            world.detect.verdict()?;
        }
        world.finish()
    }

    /// Whether users wait because of a leader that lies: for its window it may leave out whom it likes, and those who
    /// were left out are in the log soon after.
    fn is_ignored(&mut self) -> bool {
        if self.plan.byzantine.is_empty() || self.now_us > (self.plan.length_ms + LONGEST_MS) * 1000
        {
            return false;
        }
        let correct = self.nodes.iter().filter(|n| !self.cast.has(n.index));
        let leads = correct.filter_map(|n| n.replica.as_ref()).any(|replica| {
            let leader = self.sets.node(replica.epoch().number(), replica.leader());
            leader.is_some_and(|node| self.cast.has(node))
        });
        self.correct_for = if leads { 0 } else { self.correct_for + 1 };
        self.correct_for <= LOOKS && !self.checker.undecided(&self.txs).is_empty()
    }

    fn new(plan: Plan) -> Self {
        // Every member checks the same signatures, and every seed runs twice.
        rota_types::remember_signatures();
        let sets = Arc::new(Sets::new(&plan, params().window_heights));
        let rules = rules(&sets, &plan);
        let context = HeightContext::genesis(sets.first(), rules.domain.genesis_hash);
        let n = sets.nodes();
        let new = |i| {
            let mut node = SimNode::new(i, context.clone(), sets.keys(i).len());
            node.late = plan.later.contains(&i);
            node
        };
        let nodes = (0..n).map(new).collect();
        let mut net = SimNet::new(n, plan.link, plan.seed);
        net.set_keep_order(!plan.reorder);
        let checker = Checker::new(&plan, &sets, &rules);
        let detect = Detect::new(&sets, &rules.domain, &plan.faulty());
        let dice = Dice::new(plan.seed);
        let cast = Cast::new(plan.seed, &plan.byzantine);
        let origin = origins::l1_block(0, 0, &rules.params);
        let report = Report {
            epoch: 0,
            trace: B256::ZERO,
            heights: (0, 0),
            frames: 0,
            txs: (0, 0),
            longest_gap_ms: 0,
            checkpoint: 0,
            top_round: 0,
            rewinds: 0,
            derived: 0,
            forced: 0,
            deposits: 0,
            origin: (0, 0),
            off_l1: 0,
            stats: Stats::default(),
            deeds: BTreeMap::new(),
            accused: BTreeSet::new(),
            evidence: Found::default(),
        };
        Self {
            plan,
            sets,
            rules,
            net,
            nodes,
            heap: BTreeMap::new(),
            ticks: BTreeMap::new(),
            sequence: 0,
            now_us: 0,
            trace: Keccak256::new(),
            checker,
            detect,
            verified: BTreeMap::new(),
            txs: Vec::new(),
            origin,
            seen: BTreeMap::new(),
            last_frame_us: 0,
            report,
            cuts: BTreeSet::new(),
            snapshots: BTreeMap::new(),
            dice,
            cast,
            known: BTreeMap::new(),
            correct_for: 0,
        }
    }

    fn start(&mut self) {
        for (i, (at, _)) in self.plan.events.clone().iter().enumerate() {
            self.push(at * 1000, Due::Plan(i));
        }
        if let Some(at) = self.plan.calm_ms {
            self.push(at * 1000, Due::Calm);
        }
        for branch in 0..self.plan.branches.len() {
            self.push(self.plan.branches[branch].until_ms * 1000, Due::GivenUp(branch));
        }
        self.push(0, Due::Origin);
        if self.plan.tx_rate > 0 {
            self.push(300_000, Due::Submit);
        }
        for i in 0..self.nodes.len() {
            if !self.nodes[i].late {
                self.boot(i);
            }
        }
        if !self.plan.byzantine.is_empty() {
            self.push(0, Due::Act);
        }
    }

    fn next(&self) -> Option<u64> {
        let heap = self.heap.first_key_value().map(|((at, _), _)| *at);
        [heap, self.net.next_event_at()].into_iter().flatten().min()
    }

    fn advance(&mut self) {
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
            self.happen(due);
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Sync(node, life) => self.sync(node, life),
            Due::Tick(node) => {
                self.ticks.remove(&node);
                self.input(node, Input::Tick);
            }
            Due::Plan(i) => self.event(self.plan.events[i].1.clone()),
            Due::Watch(unsynced) => self.watch(unsynced),
            Due::Start(node) => self.boot(usize::from(node)),
            Due::Calm => self.calm(),
            Due::Late { from, to, message } => self.net.send(self.now_us, from, to, &message),
            Due::Act => self.act(),
            Due::Shown(node, evidence) => self.shown(node, &evidence),
            Due::Submit => self.submit(),
            Due::Origin => self.new_origin(),
            Due::GivenUp(branch) => self.give_up(branch),
            Due::Sees(node, number) => self.see_l1(node, number),
            Due::Executed(node, height, root) => self.executed(node, height, root),
            Due::Asked { to, from, request } => {
                if self.nodes[usize::from(to)].replica.is_some()
                    && self.reaches(to, from)
                    && let Some(response) = self.answer_of(to, from, &request)
                {
                    let at = self.now_us + self.plan.link.latency_us;
                    self.push(at, Due::Answer { to: from, from: to, response });
                }
            }
            Due::Answer { to, from, response } => self.answer(to, from, response),
        }
    }

    /// A sync is done, unless the plan has the process end in it.
    fn sync(&mut self, node: u16, life: u64) {
        let i = usize::from(node);
        if self.nodes[i].restarts != life || self.nodes[i].replica.is_none() {
            return;
        }
        let done = self.nodes[i].syncs_done;
        let point = self.plan.crashes.iter().find(|p| p.node == node && p.sync == done).copied();
        if let Some(point) = point.filter(|_| !self.is_calm()) {
            self.crash_in_sync(point);
            return;
        }
        let leaves = self.nodes[i].synced();
        self.checker.durable(self.now_us, &self.nodes[i]);
        self.leave(node, leaves);
    }

    /// The rules of a node: all in force, unless it is the one that has lost one.
    fn rules_of(&self, node: u16) -> Rules {
        let rules = self.rules.clone();
        #[cfg(feature = "mutations")]
        if self.plan.mutant.is_some_and(|mutant| mutant != node) {
            return Rules { mutation: None, ..rules };
        }
        let _ = node;
        rules
    }

    fn is_calm(&self) -> bool {
        self.plan.calm_ms.is_some_and(|at| self.now_us >= at * 1000)
    }

    fn reaches(&self, from: u16, to: u16) -> bool {
        self.net.reaches(from, to) && !self.cuts.contains(&(from, to))
    }

    fn push(&mut self, at: u64, due: Due) {
        self.sequence += 1;
        self.heap.insert((at, self.sequence), due);
    }
}

/// Short windows, so that leaders change often.
pub(super) fn params() -> ChainParams {
    ChainParams { window_heights: 6, ..ChainParams::default() }
}

fn rules(sets: &Sets, plan: &Plan) -> Rules {
    let rules = make::rules(sets.first(), params());
    let rules = Rules { lags: Lags::every(lags::EVERY), ..rules };
    #[cfg(feature = "mutations")]
    let rules = Rules { mutation: plan.mutation, ..rules };
    #[cfg(not(feature = "mutations"))]
    assert_eq!(plan.mutation, None, "needs the feature `mutations`");
    rules
}
