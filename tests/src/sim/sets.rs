//! The sets of a run, as its L1 has frozen them, and which node has which index in each.
//!
//! Not for: what a replica believes; it is told a set by its node, as the node sees L1.
//! Invariant: written from the protocol, not from `preconf`: the set of a height is that of the origin of the height
//! before, and nothing else decides it.

use super::Plan;
use crate::make;
use rota_preconf::Epoch;
use rota_types::ValidatorSet;
use std::{collections::BTreeMap, sync::Arc};

/// L1 blocks before its start at which a set is frozen and final.
const AHEAD: u64 = 2;

/// One member of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// The node that has the keys.
    pub node: u16,
    /// Whole ether.
    pub stake: u64,
    /// Which of the node's keys: 0 until it rotates.
    pub keys: u16,
}

/// A set after the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPlan {
    /// L1 block from which it is in force.
    pub start: u64,
    /// Its members, by index.
    pub members: Vec<Seat>,
}

/// Stake by node.
#[derive(Debug, Clone)]
pub(super) struct Roll {
    powers: BTreeMap<u16, u64>,
    total: u64,
}

impl Roll {
    pub(super) fn power(&self, node: u16) -> u64 {
        self.powers.get(&node).copied().unwrap_or(0)
    }
    pub(super) const fn total(&self) -> u64 {
        self.total
    }
    pub(super) fn is_quorum(&self, weight: u64) -> bool {
        u128::from(weight) * 3 > u128::from(self.total) * 2
    }
}

struct Era {
    epoch: Arc<Epoch>,
    seats: Vec<Seat>,
    roll: Roll,
}

/// All sets of a run; the number of an epoch is its place here.
pub(super) struct Sets(Vec<Era>);

/// Number of one of a node's keys in `make::keys`.
pub(super) fn key(node: u16, keys: u16) -> u16 {
    node + 1_000 * keys
}

impl Sets {
    pub(super) fn new(plan: &Plan, window: u16) -> Self {
        let first = (0u16..).zip(&plan.stakes);
        let first = first.map(|(node, stake)| Seat { node, stake: *stake, keys: 0 });
        let first = SetPlan { start: 0, members: first.collect() };
        let all = std::iter::once(&first).chain(&plan.sets);
        Self((0u64..).zip(all).map(|(number, set)| Era::new(number, set, window)).collect())
    }

    /// How many nodes there are, in the set or not.
    pub(super) fn nodes(&self) -> u16 {
        let seats = self.0.iter().flat_map(|era| &era.seats);
        seats.map(|seat| seat.node + 1).max().unwrap_or(0)
    }
    pub(super) fn first(&self) -> &Arc<Epoch> {
        &self.0[0].epoch
    }
    fn era(&self, epoch: u64) -> Option<&Era> {
        self.0.get(usize::try_from(epoch).ok()?)
    }
    pub(super) fn set(&self, epoch: u64) -> Option<&Arc<ValidatorSet>> {
        self.era(epoch).map(|era| era.epoch.set())
    }
    pub(super) fn roll(&self, epoch: u64) -> Option<&Roll> {
        self.era(epoch).map(|era| &era.roll)
    }
    /// The node with an index in a set.
    pub(super) fn node(&self, epoch: u64, index: u16) -> Option<u16> {
        self.era(epoch)?.seats.get(usize::from(index)).map(|seat| seat.node)
    }
    /// The index of a node in a set, and which of its keys is there.
    pub(super) fn seat(&self, epoch: u64, node: u16) -> Option<(u16, Seat)> {
        let seats = (0u16..).zip(self.era(epoch)?.seats.iter().copied());
        seats.into_iter().find(|(_, seat)| seat.node == node)
    }
    /// The nodes of a set by index.
    pub(super) fn peers(&self, epoch: u64) -> Vec<u16> {
        self.era(epoch).into_iter().flat_map(|era| &era.seats).map(|seat| seat.node).collect()
    }

    /// Number of the set in force after a height with this origin.
    pub(super) fn at(&self, l1_number: u64) -> u64 {
        let begun = self.0.iter().filter(|era| era.epoch.start() <= l1_number);
        begun.map(|era| era.epoch.number()).max().unwrap_or(0)
    }
    /// What a node knows that has seen L1 up to a block.
    pub(super) fn frozen(&self, l1_number: u64) -> impl Iterator<Item = &Arc<Epoch>> {
        let seen = move |era: &&Era| era.epoch.start() <= l1_number + AHEAD;
        self.0.iter().filter(seen).map(|era| &era.epoch)
    }

    /// All keys that a node ever has.
    pub(super) fn keys(&self, node: u16) -> Vec<u16> {
        let own = self.0.iter().flat_map(|era| &era.seats).filter(|seat| seat.node == node);
        let most = own.map(|seat| seat.keys).max().unwrap_or(0);
        (0..=most).map(|keys| key(node, keys)).collect()
    }
    /// How many epochs there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Era {
    fn new(number: u64, plan: &SetPlan, window: u16) -> Self {
        let seats = plan.members.clone();
        let keys: Vec<(u16, u64)> = seats.iter().map(|s| (key(s.node, s.keys), s.stake)).collect();
        let set = Arc::new(make::set_of(number, &keys));
        let powers = seats.iter().zip(set.iter()).map(|(seat, (_, v))| (seat.node, v.power()));
        let roll = Roll { powers: powers.collect(), total: set.total() };
        Self { epoch: Arc::new(Epoch::new(plan.start, set, window)), seats, roll }
    }
}
