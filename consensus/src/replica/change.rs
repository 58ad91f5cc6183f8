//! Set changes: the set in force, which of the own keys is in it, and the machine that goes with them.
//!
//! A set is in force from the first height after one with an origin at or above its start. The last height of an epoch
//! ends its term; nothing of the next one is accepted, acked or signed before it is decided. So the change is one step
//! between two heights, the same two at every node.
//!
//! Invariant (I-16): acks, reports, votes and certificates of a height count by the set of that height alone.

use super::{Identity, Keys, Output, PeerNo, Replica, Restored, Seats, restore};
use crate::{
    context::Members,
    machine::{Machine, Setup},
};
use rota_preconf::{AckTally, Epoch, HeightContext, Rules};
use rota_store::Watermarks;
use rota_types::Domain;
use std::{collections::BTreeMap, sync::Arc};

/// Heights that a key which takes over has not signed yet when a node starts: the one before, and one more.
pub(super) const HANDED_OVER: u64 = 2;
/// Epochs before the one in force that are kept: who served in them may be heard, and own signatures recognised.
const KEEP_EPOCHS: u64 = 2;

/// A machine for the height of a context; without keys it never votes.
pub(super) fn machine(context: &HeightContext, domain: &Domain, voter: Option<&Keys>) -> Machine {
    let setup = Setup {
        me: voter.map(|k| k.index),
        set: Arc::clone(context.epoch.set()),
        domain: Arc::new(domain.clone()),
        key: voter.map(|k| Arc::clone(&k.signer)),
    };
    Machine::new(context.height, members(context), setup)
}

fn members(context: &HeightContext) -> Members {
    let epoch = &context.epoch;
    Members::new(epoch.set(), epoch.schedule(), context.cursor)
}

/// The seats of every set in the book.
pub(super) fn seated(
    identity: Identity,
    rules: &Rules,
    epoch: &Epoch,
    restored: &Restored,
) -> Seats {
    let mut seats = Seats::new(identity);
    for known in rules.epochs.iter().map(AsRef::as_ref).chain([epoch]) {
        let peers = restored.peers.get(&known.number()).cloned();
        seats.add(known, peers.unwrap_or_default());
    }
    seats
}

/// Which of the own keys counts in an epoch: that of its set, else that of the next set that has one.
pub(super) fn pair(seats: &Seats, epoch: u64) -> usize {
    let own = seats.own(epoch).map(|(pair, _)| pair);
    own.or_else(|| seats.next_own(epoch).map(|(_, pair)| pair)).unwrap_or(0)
}

/// Whether another own key signed in one of the last heights: its guard is on the same disk, so an empty guard beside it
/// says that the key is new, and not that its guard was lost.
pub(super) fn handed_over(guards: &BTreeMap<usize, Watermarks>, height: u64, heights: u64) -> bool {
    let lately = |newest: u64| newest.saturating_add(heights) >= height;
    guards.values().filter_map(Watermarks::newest).any(lately)
}

impl Replica {
    pub(super) fn members(&self) -> Members {
        members(self.chain.base())
    }

    /// A new machine for the height.
    pub(super) fn new_machine(&self, votes: bool) -> Machine {
        let voter = self.keys.as_ref().filter(|_| votes);
        machine(self.chain.base(), &self.rules.domain, voter)
    }

    /// The peer with an index in the set in force.
    pub(super) fn peer(&self, index: u16) -> Option<PeerNo> {
        self.seats.peer(self.epoch.number(), index)
    }
    /// Stake of a peer in the set in force, gwei.
    pub(super) fn power_of(&self, peer: PeerNo) -> u64 {
        let index = self.seats.index(self.epoch.number(), peer);
        index.and_then(|i| self.epoch.set().get(i)).map_or(0, rota_types::Validator::power)
    }

    /// Everything that L1 says up to a block is known.
    pub(super) fn read_l1(&mut self, number: u64) {
        self.rules.epochs.reach(number);
        self.origins.read_to(number);
    }

    /// Takes a set that is frozen.
    pub(super) fn on_set(&mut self, epoch: Arc<Epoch>, peers: Vec<PeerNo>) {
        if epoch.number().saturating_add(KEEP_EPOCHS) < self.epoch.number() {
            return;
        }
        let number = epoch.number();
        if self.rules.epochs.insert(Arc::clone(&epoch)) {
            self.seats.add(&epoch, peers);
        } else {
            tracing::error!(epoch = number, "a set that is not the one known, or out of order");
        }
    }

    /// Puts the set of the height in force. Says whether it is another one than before.
    pub(super) fn change_set(&mut self, out: &mut Vec<Output>) -> bool {
        let epoch = Arc::clone(&self.chain.base().epoch);
        let number = epoch.number();
        if number == self.epoch.number() {
            return false;
        }
        self.stop_leading(out);
        self.epoch = epoch;
        self.keys = self.seats.keys(number);
        self.acks = AckTally::default();
        self.change_keys(pair(&self.seats, number), out);
        let oldest = number.saturating_sub(KEEP_EPOCHS);
        self.rules.epochs.prune(oldest);
        self.seats.prune(oldest);
        let index = self.index();
        tracing::info!(
            epoch = number,
            from_height = self.height,
            ?index,
            "another set is in force"
        );
        out.push(Output::Epoch { epoch: Arc::clone(&self.epoch), index });
        true
    }

    fn change_keys(&mut self, pair: usize, out: &mut Vec<Output>) {
        let before = self.guard.newest();
        if pair != self.pair {
            let next = self.guards.remove(&pair).unwrap_or_default();
            let last = std::mem::replace(&mut self.guard, next);
            self.guards.insert(self.pair, last);
            self.pair = pair;
            out.push(Output::Keys(pair));
            let windows = self.two_windows();
            let trusted = self.listen.is_near(self.height, windows)
                && handed_over(&self.guards, self.height, windows);
            if self.observing && before.is_some() && self.guard.newest().is_none() && !trusted {
                // It has not caught up, and comes from far: the keys may have signed here before.
                self.listen.keep_below(self.height.saturating_add(windows));
            }
        }
        if self.guard.newest().is_none() && !self.seats.sat_before(self.epoch.number(), pair) {
            self.listen.first_time(self.height);
        }
        let signed = restore::signed_at(&self.guard, self.height);
        self.observing |= signed || self.guard.floor() >= self.height;
    }
}
