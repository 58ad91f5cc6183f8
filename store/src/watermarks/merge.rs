//! Comparing watermarks with signatures and watermarks from elsewhere.
//!
//! Not for: deciding what may be signed (`Watermarks::check`). Invariants: what one of two watermarks refuses as a new
//! signature the merged ones refuse as well; a signature that this key gave is never called unknown while the
//! watermarks are complete, whatever run of the program gave it.

use super::{MAX_ROUNDS, Position, Slots, Watermarks};
use crate::Intent;
use alloy_primitives::B256;

/// What watermarks say about a signature that turned up outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// This key may have given it: it is not above what was signed, or exactly that.
    Yes,
    /// It is above everything of its kind: these watermarks do not know all that this key has signed.
    No,
    /// Something else was signed at its place: the key has signed a contradiction.
    Contradicts {
        /// What these watermarks know there.
        signed: B256,
    },
}

/// Why two watermarks cannot be merged: the operator has two histories of one key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {what} at {at} differs: one has {a}, the other {b}. This key has signed a contradiction"
)]
pub struct MergeError {
    /// Kind of message.
    pub what: &'static str,
    /// Position of both.
    pub at: Position,
    /// Content of one.
    pub a: B256,
    /// Content of the other.
    pub b: B256,
}

impl Watermarks {
    /// Whether a genuine signature of this key, found outside, is one that these watermarks know of.
    ///
    /// Of what lies below the newest signature of its kind only the newest height is kept, and of acks only the
    /// newest: there the answer is `Yes`, since old messages may be sent again by anyone at any time.
    #[must_use]
    pub fn known(&self, intent: &Intent) -> Known {
        let (height, round) = intent.position();
        let at = Position { height, round };
        match *intent {
            Intent::Vote { kind, value_id, .. } => self.votes.known(at, kind as u8, value_id),
            Intent::Proposal { value_id, .. } => self.proposals.known(at, 0, value_id),
            Intent::Status { digest, .. } => self.statuses.known(at, 0, digest),
            Intent::Ack { g, hash, .. } => self.known_ack(at, g, hash),
            Intent::Term { init_hash, .. } => match self.term {
                Some((last, _)) if at < last => Known::Yes,
                Some((last, signed)) if at == last => same(signed, init_hash),
                _ => Known::No,
            },
            Intent::Floor { .. } => Known::Yes,
        }
    }

    fn known_ack(&self, at: Position, g: u64, hash: B256) -> Known {
        let Some((last, last_g, signed)) = self.ack.filter(|(last, ..)| at <= *last) else {
            return Known::No;
        };
        if at < last || g < last_g {
            Known::Yes
        } else if g == last_g {
            same(signed, hash)
        } else if self.acks_are_ours {
            // This run gave every ack of this round, and none above its last.
            Known::No
        } else {
            // An earlier run gave more than its first, which alone is on disk.
            Known::Yes
        }
    }

    /// Where this run of the program opened a term, if its newest term is its own.
    #[must_use]
    pub fn opened_here(&self) -> Option<Position> {
        self.term.filter(|_| self.term_is_ours).map(|(at, _)| at)
    }

    /// Everything that one of the two knows: of each kind the newest height, and of two at the same height all.
    ///
    /// # Errors
    /// [`MergeError`]: they contradict each other.
    pub fn merge(&self, other: &Self) -> Result<Self, MergeError> {
        Ok(Self {
            votes: self.votes.merge(&other.votes, "vote")?,
            proposals: self.proposals.merge(&other.proposals, "proposal")?,
            statuses: self.statuses.merge(&other.statuses, "status")?,
            ack: merge_ack(self.ack, other.ack)?,
            term: merge_term(self.term, other.term)?,
            floor: self.floor.max(other.floor),
            term_is_ours: false,
            acks_are_ours: false,
        })
    }
}

impl Slots {
    fn known(&self, at: Position, kind: u8, content: B256) -> Known {
        let Some((&last, _)) = self.signed.last_key_value() else { return Known::No };
        if at.height == self.height
            && let Some(&signed) = self.signed.get(&(at.round, kind))
        {
            return same(signed, content);
        }
        if (at.height, (at.round, kind)) > (self.height, last) { Known::No } else { Known::Yes }
    }

    fn merge(&self, other: &Self, what: &'static str) -> Result<Self, MergeError> {
        if self.signed.is_empty() || (!other.signed.is_empty() && self.height < other.height) {
            return Ok(other.clone());
        }
        let mut out = self.clone();
        if other.height != self.height {
            return Ok(out);
        }
        for (&(round, kind), &content) in &other.signed {
            let known = *out.signed.entry((round, kind)).or_insert(content);
            if known != content {
                let at = Position { height: self.height, round };
                return Err(MergeError { what, at, a: known, b: content });
            }
        }
        while out.signed.len() > MAX_ROUNDS {
            out.signed.pop_first();
        }
        Ok(out)
    }
}

type Acked = Option<(Position, u64, B256)>;

fn merge_ack(a: Acked, b: Acked) -> Result<Acked, MergeError> {
    match (a, b) {
        (Some((at, g, x)), Some((bt, bg, y))) if (at, g) == (bt, bg) && x != y => {
            Err(MergeError { what: "ack", at, a: x, b: y })
        }
        _ => Ok([a, b].into_iter().flatten().max_by_key(|(at, g, _)| (*at, *g))),
    }
}

type Opened = Option<(Position, B256)>;

fn merge_term(a: Opened, b: Opened) -> Result<Opened, MergeError> {
    match (a, b) {
        (Some((at, x)), Some((bt, y))) if at == bt && x != y => {
            Err(MergeError { what: "term", at, a: x, b: y })
        }
        _ => Ok([a, b].into_iter().flatten().max_by_key(|(at, _)| *at)),
    }
}

fn same(signed: B256, content: B256) -> Known {
    if signed == content { Known::Yes } else { Known::Contradicts { signed } }
}
