//! The two orders of the queue: which goes first, and which gives way first.

use alloy_primitives::Address;
use std::{cmp::Reverse, collections::BTreeSet};

/// Sorts the next transaction of each sender: highest tip first, then first come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) tip: Reverse<u128>,
    pub(super) order: u64,
    pub(super) sender: Address,
    pub(super) insured: bool,
}

/// The next transaction of each sender. Those that want an insured amount stand by themselves: they may have to wait
/// for room under the caps, and must not hold up the others.
#[derive(Debug, Default)]
pub(super) struct Heads {
    plain: BTreeSet<Rank>,
    insured: BTreeSet<Rank>,
}

impl Heads {
    pub(super) fn insert(&mut self, rank: Rank) {
        if rank.insured {
            self.insured.insert(rank)
        } else {
            self.plain.insert(rank)
        };
    }
    pub(super) fn remove(&mut self, rank: &Rank) {
        if rank.insured {
            self.insured.remove(rank)
        } else {
            self.plain.remove(rank)
        };
    }
    pub(super) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.insured.is_empty()
    }
    /// The best of those that are wanted.
    pub(super) fn pop(&mut self, plain: bool, insured: bool) -> Option<Rank> {
        let first = |set: &BTreeSet<Rank>, wanted: bool| set.first().filter(|_| wanted).copied();
        let best = match (first(&self.plain, plain), first(&self.insured, insured)) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        self.remove(&best);
        Some(best)
    }
}

/// Sorts transactions behind a gap: lowest tip first, then the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cheapest {
    pub(super) tip: u128,
    pub(super) order: Reverse<u64>,
    pub(super) sender: Address,
    pub(super) nonce: u64,
}
