//! Openings and proposals of rounds that this replica has not reached.
//!
//! Invariant (I-26): one of each kind for a sender and round, a few rounds ahead, so that nobody can push
//! out what others sent.

use super::PeerNo;
use rota_types::wire::Message;
use std::collections::BTreeMap;

/// Rounds ahead for which anything is kept or counted.
pub(super) const ROUNDS_AHEAD: u32 = 16;

#[derive(Debug, Default)]
pub(super) struct Later {
    kept: BTreeMap<(u32, PeerNo, bool), Message>,
}

impl Later {
    /// Keeps a message of `round`, unless that is too far above `now`. The first of its kind counts.
    pub(super) fn keep(&mut self, now: u32, round: u32, from: PeerNo, message: Message) {
        let proposal = matches!(message, Message::Proposal(_));
        if round > now && round <= now.saturating_add(ROUNDS_AHEAD) {
            self.kept.entry((round, from, proposal)).or_insert(message);
        }
    }

    /// What was kept for `round`, with who sent it; what was kept for earlier rounds is dropped.
    pub(super) fn take(&mut self, round: u32) -> Vec<(PeerNo, Message)> {
        let mut due = std::mem::take(&mut self.kept);
        self.kept = due.split_off(&(round.saturating_add(1), PeerNo(0), false));
        due.into_iter()
            .filter(|((r, _, _), _)| *r == round)
            .map(|((_, from, _), message)| (from, message))
            .collect()
    }
}
