//! Which set is in force when: the frozen sets of the Registry, by the L1 block from which each counts
//! (`docs/protocol.md`, "Epochs").
//!
//! Not for: reading L1; whoever does so tells this book what it found, and how far it has looked.
//! Invariant (I-16): the epoch of a height is a pure function of the L1 origin of the height before; an origin
//! above what is known has no epoch yet, so it can only delay and never be judged with a wrong set.

use crate::Schedule;
use alloy_primitives::keccak256;
use rota_types::ValidatorSet;
use std::{collections::BTreeMap, sync::Arc};

/// One frozen set with what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    start: u64,
    set: Arc<ValidatorSet>,
    schedule: Schedule,
    total: u64,
}

impl Epoch {
    /// The epoch of a set that counts for heights after an origin at or above L1 block `start`. `window` is the
    /// number of heights that a leader has in a row.
    #[must_use]
    pub fn new(start: u64, set: Arc<ValidatorSet>, window: u16) -> Self {
        // Another order in every epoch: in short ones a set that stays would leave the same members out again and again.
        let seed = keccak256([set.hash().as_slice(), &set.epoch().to_be_bytes()].concat());
        let schedule = Schedule::new(&set, seed, window);
        let total = set.total();
        Self { start, set, schedule, total }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.set.epoch()
    }
    /// First L1 block from which it is in force.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }
    /// Its set.
    #[must_use]
    pub const fn set(&self) -> &Arc<ValidatorSet> {
        &self.set
    }
    /// Who leads when.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }
    /// Stake of the set, gwei.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }
}

/// The epochs that are known, and how far L1 was looked at.
#[derive(Debug, Clone, Default)]
pub struct Epochs {
    list: BTreeMap<u64, Arc<Epoch>>,
    known: u64,
}

impl Epochs {
    /// A book with one epoch; L1 is known up to its start.
    #[must_use]
    pub fn new(first: Arc<Epoch>) -> Self {
        let known = first.start();
        Self { list: BTreeMap::from([(first.number(), first)]), known }
    }

    /// Adds an epoch. Says whether it fits: starts rise with the numbers, and a known number keeps its set.
    pub fn insert(&mut self, epoch: Arc<Epoch>) -> bool {
        let number = epoch.number();
        if let Some(known) = self.list.get(&number) {
            return *known == epoch;
        }
        let before = self.list.range(..number).next_back();
        let after = self.list.range(number..).next();
        let fits = before.is_none_or(|(_, b)| b.start() < epoch.start())
            && after.is_none_or(|(_, a)| epoch.start() < a.start());
        if fits {
            self.list.insert(number, epoch);
        }
        fits
    }

    /// From here on every epoch that starts at or below this L1 block is in the book.
    pub fn reach(&mut self, l1_number: u64) {
        self.known = self.known.max(l1_number);
    }

    /// L1 block up to which every epoch is known.
    #[must_use]
    pub const fn known(&self) -> u64 {
        self.known
    }

    /// The epoch of the height after one with this origin; `None` if that is not known here.
    #[must_use]
    pub fn at(&self, l1_number: u64) -> Option<&Arc<Epoch>> {
        let mut newest_first = self.list.values().rev();
        newest_first.find(|e| e.start() <= l1_number).filter(|_| l1_number <= self.known)
    }

    /// The epoch with this number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Arc<Epoch>> {
        self.list.get(&number)
    }

    /// The first epoch in the book after this one.
    #[must_use]
    pub fn after(&self, number: u64) -> Option<&Arc<Epoch>> {
        self.list.range(number.saturating_add(1)..).next().map(|(_, epoch)| epoch)
    }

    /// The newest epoch in the book.
    #[must_use]
    pub fn newest(&self) -> Option<&Arc<Epoch>> {
        self.list.last_key_value().map(|(_, epoch)| epoch)
    }

    /// All epochs, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Epoch>> {
        self.list.values()
    }

    /// Forgets epochs below `number`, but keeps the newest of all.
    pub fn prune(&mut self, number: u64) {
        let newest = self.list.last_key_value().map_or(0, |(n, _)| *n);
        self.list = self.list.split_off(&number.min(newest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(number: u64, start: u64) -> Arc<Epoch> {
        Arc::new(Epoch::new(start, Arc::new(ValidatorSet::new(number, Vec::new())), 6))
    }

    fn number(book: &Epochs, l1: u64) -> Option<u64> {
        book.at(l1).map(|e| e.number())
    }

    #[test]
    fn the_newest_set_that_has_begun_is_in_force_and_what_is_not_known_is_nobodys() {
        let mut book = Epochs::new(epoch(0, 0));
        assert_eq!(number(&book, 0), Some(0));
        assert_eq!(number(&book, 1), None, "a set could begin there");
        book.reach(40);
        assert!(book.insert(epoch(3, 30)), "epochs without a set of their own are left out");
        assert_eq!((number(&book, 29), number(&book, 30)), (Some(0), Some(3)));
        assert_eq!((number(&book, 40), number(&book, 41)), (Some(3), None));
    }

    #[test]
    fn a_number_keeps_its_set_and_starts_rise() {
        let mut book = Epochs::new(epoch(0, 0));
        assert!(book.insert(epoch(2, 20)) && book.insert(epoch(2, 20)));
        assert!(!book.insert(epoch(2, 21)), "frozen once");
        assert!(!book.insert(epoch(3, 20)) && !book.insert(epoch(1, 20)));
        assert!(book.insert(epoch(1, 10)));
    }

    #[test]
    fn old_epochs_are_forgotten_and_never_answered_for() {
        let mut book = Epochs::new(epoch(0, 0));
        assert!(book.insert(epoch(1, 10)) && book.insert(epoch(2, 20)));
        book.reach(25);
        book.prune(1);
        assert_eq!((number(&book, 9), number(&book, 10)), (None, Some(1)));
        book.prune(9);
        assert_eq!(number(&book, 20), Some(2), "the newest stays");
    }
}
