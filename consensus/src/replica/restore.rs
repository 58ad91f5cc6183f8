//! What a replica takes from its disk at a start.
//!
//! Invariant: nothing here is signed or sent; what an earlier run accepted, reported and voted binds this one.

use super::Replica;
use crate::wal::{self, Entry};
use malachite_core::Input;
use rota_preconf::{Frame, FramePool};
use rota_store::{Intent, Watermarks};
use rota_types::SignedFrame;
use std::sync::Arc;

impl Replica {
    /// Takes from the logs what was accepted and reported at this height.
    pub(super) fn recall(mut self, wal: &[Vec<u8>], frames: &[Arc<Frame>]) -> Self {
        let mut kept = Vec::new();
        for bytes in wal {
            match wal::decode(bytes, &self.rules.domain) {
                Ok((height, Entry::Accepted(what))) if height == self.height => {
                    self.open.logged.known.insert(what.reference(&self.rules.domain));
                    self.open.logged.accepted.insert(what.place().1, what);
                }
                Ok((height, Entry::Reported(s))) if height == self.height => {
                    self.open.logged.statuses.insert(s.status.round, s);
                }
                Ok((height, Entry::Input(Input::ProposedValue(v, _))))
                    if height == self.height && !self.branch_gives(&v.value.header) =>
                {
                    self.open.logged.lost.insert(v.value.id);
                }
                Ok((height, Entry::Held(what))) if height == self.height => kept.push(what),
                Ok((height, Entry::HeldFrame(frame))) if height == self.height => {
                    self.take_held(frame);
                }
                // An entry that does not decode ends the start, in `Machine::replay`.
                _ => {}
            }
        }
        let mut archive = std::mem::take(&mut self.open.archive);
        for what in kept {
            self.open.logged.known.insert(what.reference(&self.rules.domain));
            if let Err(error) = archive.insert(Arc::new(what), &self.view()) {
                tracing::warn!(%error, "a logged justification is not kept");
            }
        }
        self.open.archive = archive;
        // In the order of the log: of two branches, the one that was accepted in round 0.
        for frame in frames {
            self.open.logged.frames.insert(frame.hash);
            self.pool.pin(frame.hash);
            if self.chain.append(frame, &self.rules).is_err() {
                tracing::debug!(g = frame.g(), "a logged frame is of a branch left behind");
            }
        }
        self
    }

    /// Takes a frame that was held and not accepted.
    fn take_held(&mut self, frame: SignedFrame) {
        match Frame::verify(frame, self.epoch.set(), &self.rules.domain, |_| None) {
            Ok(frame) => {
                self.open.logged.held.insert(frame.hash);
                self.pool.pin(frame.hash);
                self.pool.insert(Arc::new(frame));
            }
            Err(error) => tracing::warn!(%error, "a logged frame is not held"),
        }
    }

    /// Takes from the guard what binds this height although the process that did it is gone.
    pub(super) fn remember(mut self) -> Self {
        for intent in self.guard.snapshot() {
            let (height, round) = intent.position();
            if height != self.height {
                continue;
            }
            self.note_vote(&intent);
            // What was acked must be reported: without its frames, or in a round above 0 without the record
            // of what was accepted there, a report could leave it out.
            if let Intent::Ack { g, hash, .. } = intent {
                let held = self.pool.get(&hash).is_some() || g <= self.chain.base().base.g;
                let known = round == 0 || self.open.logged.accepted.contains_key(&round);
                self.open.mute |= !(held && known);
            }
        }
        if self.open.logged.lost.iter().any(|id| self.open.prevoted.contains(id)) {
            // It voted for what it cannot check any more, and must not vote for anything else.
            self.observing = true;
            self.listen.frames_missing = true;
            self.machine = self.new_machine(false);
        }
        self
    }
}

/// The pool that a frame log gives.
pub(super) fn held(frames: &[Arc<Frame>]) -> FramePool {
    let mut pool = FramePool::default();
    for frame in frames {
        pool.insert(Arc::clone(frame));
    }
    pool
}

/// Whether the guard knows of a vote at `height` or above, or of anything that belongs above it.
pub(super) fn signed_at(guard: &Watermarks, height: u64) -> bool {
    guard.newest_vote().is_some_and(|vote| vote >= height)
        || guard.newest().is_some_and(|newest| newest > height.saturating_add(1))
}
