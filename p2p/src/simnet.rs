//! A network in memory for deterministic simulation: no threads, no clock, no sockets.
//!
//! The caller owns the time (microseconds) and the seed. Not for: modelling queues or bandwidth. Invariant: the
//! deliveries are a pure function of plan, seed and the sequence of calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rota_types::wire::{Lane, Message};

use crate::{error::SendError, gossip::Topic, network::Network};

/// How a link behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkPlan {
    /// Least one-way delay.
    pub latency_us: u64,
    /// Up to this much is added, uniformly.
    pub jitter_us: u64,
    /// Messages of a thousand that are lost.
    pub loss_permille: u16,
    /// Messages of a thousand that arrive twice.
    pub duplicate_permille: u16,
}

/// SplitMix64: small, seeded, good enough for delays and losses; nothing secret depends on it.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    const fn permille(&mut self, share: u16) -> bool {
        // `%` by a constant cannot fail; the bias over 2^64 does not matter here.
        self.roll() % 1_000 < share as u64
    }

    fn up_to(&mut self, bound: u64) -> u64 {
        let roll = self.roll();
        bound.checked_add(1).map_or(roll, |n| roll.checked_rem(n).unwrap_or(0))
    }
}

/// Something on its way or arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parcel {
    /// A message on a direct stream.
    Message(Box<Message>),
    /// A gossiped message.
    Gossip {
        /// Its topic.
        topic: Topic,
        /// Its content.
        data: Vec<u8>,
    },
}

impl Parcel {
    /// Streams, and gossip, which has no order.
    const fn lane(&self) -> Option<Lane> {
        match self {
            Self::Message(message) => Some(message.lane()),
            Self::Gossip { .. } => None,
        }
    }
}

/// A parcel at its destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The receiver.
    pub to: u16,
    /// The sender, whose identity is certain.
    pub from: u16,
    /// What arrived.
    pub parcel: Parcel,
}

/// The simulated network.
#[derive(Debug)]
pub struct SimNet {
    nodes: u16,
    plan: LinkPlan,
    links: BTreeMap<(u16, u16), LinkPlan>,
    /// Group of each node that is not in group 0; different groups do not reach each other.
    groups: BTreeMap<u16, u16>,
    down: BTreeSet<u16>,
    keep_order: bool,
    /// When the last parcel of a stream arrives.
    streams: BTreeMap<(u16, u16, Lane), u64>,
    dice: Dice,
    sequence: u64,
    lost: u64,
    due: BTreeMap<(u64, u64), Delivery>,
}

impl SimNet {
    /// A network of `nodes` with the same plan on every link.
    #[must_use]
    pub const fn new(nodes: u16, plan: LinkPlan, seed: u64) -> Self {
        Self {
            nodes,
            plan,
            links: BTreeMap::new(),
            groups: BTreeMap::new(),
            down: BTreeSet::new(),
            keep_order: true,
            streams: BTreeMap::new(),
            dice: Dice(seed),
            sequence: 0,
            lost: 0,
            due: BTreeMap::new(),
        }
    }

    /// Whether the messages of a lane keep their order, as on real streams (the default).
    pub const fn set_keep_order(&mut self, keep: bool) {
        self.keep_order = keep;
    }

    /// Another plan for one direction of one link.
    pub fn set_link(&mut self, from: u16, to: u16, plan: LinkPlan) {
        self.links.insert((from, to), plan);
    }

    /// Another plan for every link that has none of its own.
    pub const fn set_plan(&mut self, plan: LinkPlan) {
        self.plan = plan;
    }

    /// Cuts the network: nodes of different groups do not reach each other; unnamed nodes form a group of
    /// their own. Parcels under way are cut too, as their streams break.
    pub fn partition(&mut self, groups: &[&[u16]]) {
        let numbered = (1_u16..).zip(groups);
        self.groups = numbered.flat_map(|(g, nodes)| nodes.iter().map(move |n| (*n, g))).collect();
        self.drop_unreachable();
    }

    /// Ends every partition.
    pub fn heal(&mut self) {
        self.groups.clear();
    }

    /// Takes a node off the network (a crash), with everything under way from and to it.
    pub fn take_down(&mut self, node: u16) {
        self.down.insert(node);
        self.drop_unreachable();
    }

    /// Brings a node back.
    pub fn bring_up(&mut self, node: u16) {
        self.down.remove(&node);
    }

    /// Whether a parcel can travel at the moment.
    #[must_use]
    pub fn reaches(&self, from: u16, to: u16) -> bool {
        let group = |node| self.groups.get(&node).copied().unwrap_or(0);
        !self.down.contains(&from) && !self.down.contains(&to) && group(from) == group(to)
    }

    fn drop_unreachable(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        let before = due.len();
        due.retain(|_, delivery| self.reaches(delivery.from, delivery.to));
        self.count_lost(before.saturating_sub(due.len()));
        self.due = due;
    }

    fn count_lost(&mut self, parcels: usize) {
        self.lost = self.lost.saturating_add(u64::try_from(parcels).unwrap_or(u64::MAX));
    }

    /// Sends a message at `now_us`.
    pub fn send(&mut self, now_us: u64, from: u16, to: u16, message: &Message) {
        self.send_parcel(now_us, from, to, Parcel::Message(Box::new(message.clone())));
    }

    /// Sends anything at `now_us`.
    pub fn send_parcel(&mut self, now_us: u64, from: u16, to: u16, parcel: Parcel) {
        let plan = self.links.get(&(from, to)).copied().unwrap_or(self.plan);
        // The same number of rolls on every path: a change of one link leaves the dice of the others alone.
        let lost = self.dice.permille(plan.loss_permille);
        let twice = self.dice.permille(plan.duplicate_permille);
        let delays = [self.dice.up_to(plan.jitter_us), self.dice.up_to(plan.jitter_us)];
        if lost || to >= self.nodes || !self.reaches(from, to) {
            self.count_lost(1);
            return;
        }
        for delay in delays.into_iter().take(if twice { 2 } else { 1 }) {
            let mut at = now_us.saturating_add(plan.latency_us).saturating_add(delay);
            if let (true, Some(lane)) = (self.keep_order, parcel.lane()) {
                let last = self.streams.entry((from, to, lane)).or_default();
                at = at.max(*last);
                *last = at;
            }
            self.sequence = self.sequence.saturating_add(1);
            let delivery = Delivery { to, from, parcel: parcel.clone() };
            self.due.insert((at, self.sequence), delivery);
        }
    }

    /// When the next parcel arrives.
    #[must_use]
    pub fn next_event_at(&self) -> Option<u64> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Everything that has arrived by `now_us`, in the order of arrival.
    pub fn pop_due(&mut self, now_us: u64) -> Vec<Delivery> {
        let later = match now_us.checked_add(1) {
            Some(next) => self.due.split_off(&(next, 0)),
            None => BTreeMap::new(),
        };
        std::mem::replace(&mut self.due, later).into_values().collect()
    }

    /// Parcels lost so far, to chance, partitions and crashes.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }
}

/// One node's grip on a shared [`SimNet`].
#[derive(Debug, Clone)]
pub struct SimHandle {
    net: Arc<Mutex<SimNet>>,
    now_us: Arc<AtomicU64>,
    me: u16,
}

impl SimHandle {
    /// The handle of node `me`. The simulation moves `now_us` (microseconds), which all handles share.
    #[must_use]
    pub const fn new(net: Arc<Mutex<SimNet>>, now_us: Arc<AtomicU64>, me: u16) -> Self {
        Self { net, now_us, me }
    }

    fn net(&self) -> MutexGuard<'_, SimNet> {
        self.net.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_us(&self) -> u64 {
        self.now_us.load(Ordering::Relaxed)
    }

    fn to_all(&self, parcel: &Parcel) -> usize {
        let (mut net, now_us) = (self.net(), self.now_us());
        let others: Vec<u16> = (0..net.nodes).filter(|to| *to != self.me).collect();
        others.iter().for_each(|to| net.send_parcel(now_us, self.me, *to, parcel.clone()));
        others.len()
    }
}

impl Network for SimHandle {
    fn send(&self, to: u16, message: &Message) -> Result<(), SendError> {
        let mut net = self.net();
        if to >= net.nodes || to == self.me {
            return Err(SendError::UnknownPeer);
        }
        net.send(self.now_us(), self.me, to, message);
        Ok(())
    }

    fn broadcast(&self, message: &Message) -> Result<usize, SendError> {
        Ok(self.to_all(&Parcel::Message(Box::new(message.clone()))))
    }

    fn publish(&self, topic: Topic, data: Vec<u8>) -> Result<(), SendError> {
        self.to_all(&Parcel::Gossip { topic, data });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
