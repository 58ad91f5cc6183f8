//! What a replica takes from its disk at a start.
//!
//! Invariant: nothing here is signed or sent; what an earlier run accepted, reported and voted binds this one.

use super::Replica;
use crate::wal::{self, Entry};
use rota_preconf::{Frame, FramePool};
use rota_store::Intent;
use std::sync::Arc;

impl Replica {
    /// Takes from the logs what was accepted and reported at this height.
    pub(super) fn recall(mut self, wal: &[Vec<u8>], frames: &[Arc<Frame>]) -> Self {
        for bytes in wal {
            match wal::decode(bytes, &self.rules.domain) {
                Ok((height, Entry::Accepted(what))) if height == self.height => {
                    self.logged.known.insert(what.reference(&self.rules.domain));
                    self.logged.accepted.insert(what.place().1, what);
                }
                Ok((height, Entry::Reported(s))) if height == self.height => {
                    self.logged.statuses.insert(s.status.round, s);
                }
                // An entry that does not decode ends the start, in `Machine::replay`.
                _ => {}
            }
        }
        // In the order of the log: of two branches, the one that was accepted in round 0.
        for frame in frames {
            if self.chain.append(frame, &self.rules).is_err() {
                tracing::debug!(g = frame.g(), "a logged frame is of a branch left behind");
            }
        }
        self
    }

    /// Takes from the guard what binds this height although the process that did it is gone.
    pub(super) fn remember(mut self) -> Self {
        for intent in self.guard.snapshot() {
            let (height, round) = intent.position();
            if height != self.height {
                continue;
            }
            self.note_vote(&intent);
            // What was acked in a round above 0 was accepted there: without the record of it a report
            // could leave it out.
            let acked = matches!(intent, Intent::Ack { .. }) && round > 0;
            if acked && !self.logged.accepted.contains_key(&round) {
                self.reports = false;
            }
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
