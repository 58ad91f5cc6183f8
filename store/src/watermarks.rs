//! What one key has signed, and the one rule for what it may sign next.
//!
//! Not for: durability (`SignGuard` writes what is accepted here) and not for the protocol's reasons to
//! sign (those are in `consensus` and `preconf`).
//! Invariant (I-7): no two accepted intents contradict each other. Something lower than what was signed
//! is refused unless it is, to the byte, what was signed there at the newest height.

mod merge;

pub use merge::{Known, MergeError};

use crate::{Intent, Position};
use alloy_primitives::B256;
use rota_types::VoteKind;
use std::collections::BTreeMap;

/// Rounds of the newest height that are remembered for signing the same again.
const MAX_ROUNDS: usize = 512;

/// Why a signature was refused: it could be used to slash this key. The process should not be
/// restarted blindly: another machine with the same key, or an old disk, is the usual cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Below what was signed already.
    #[error("refused to sign a {what} at {asked}: this key has already signed at {signed}")]
    Lower {
        /// Kind of message.
        what: &'static str,
        /// Position asked for.
        asked: Position,
        /// Position of the newest signature.
        signed: Position,
    },
    /// A different content at a position that was signed already.
    #[error(
        "refused to sign a {what} for {asked} at {at}: this key has already signed {signed} there"
    )]
    Conflict {
        /// Kind of message.
        what: &'static str,
        /// Position of both.
        at: Position,
        /// Content asked for.
        asked: B256,
        /// Content signed.
        signed: B256,
    },
    /// An ack below one that was given in the same round.
    #[error(
        "refused to ack frame {asked} at {at}: this key has already acked frame {signed} there"
    )]
    AckLower {
        /// Position in consensus.
        at: Position,
        /// Frame asked for.
        asked: u64,
        /// Newest frame acked.
        signed: u64,
    },
    /// An ack for a round that this key has left by a Status.
    #[error("refused to ack at {asked}: this key has already reported its status for {left}")]
    AckAfterStatus {
        /// Position asked for.
        asked: Position,
        /// Round entered.
        left: Position,
    },
    /// A term, or a round's acks, that another run of the program began: what it signed there is not known.
    #[error("refused to go on at {0}: an earlier run of this program signed there")]
    EarlierRun(Position),
    /// At or below the height up to which the guard may not know what this key has signed.
    #[error(
        "refused to sign a {what} at {asked}: this key may have signed up to height {floor} what its guard does not know"
    )]
    Floor {
        /// Kind of message.
        what: &'static str,
        /// Position asked for.
        asked: Position,
        /// The last height at which nothing is signed.
        floor: u64,
    },
    /// The guard was exported: another machine signs with this key now.
    #[error("refused to sign a {0}: the sign guard was exported to another machine")]
    Exported(&'static str),
}

/// What one message kind signed at the newest height, by round (and vote kind).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Slots {
    height: u64,
    signed: BTreeMap<(u32, u8), B256>,
}

/// The newest signatures of a key. `Clone`, so that a simulation can crash and restart it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watermarks {
    votes: Slots,
    proposals: Slots,
    statuses: Slots,
    ack: Option<(Position, u64, B256)>,
    term: Option<(Position, B256)>,
    /// Nothing is signed at this height or below.
    floor: u64,
    /// Whether this run of the program opened `term`.
    term_is_ours: bool,
    /// Whether this run of the program gave every ack at the position of `ack`.
    acks_are_ours: bool,
}

impl Watermarks {
    /// Decides and records. `Ok(true)`: new, must be durable before the signature leaves. `Ok(false)`:
    /// the same was signed before.
    pub fn check_and_record(&mut self, intent: &Intent) -> Result<bool, Refused> {
        let fresh = self.check(intent)?;
        if fresh || matches!(intent, Intent::Ack { .. }) {
            self.record(intent);
        }
        Ok(fresh)
    }

    /// Decides without recording; `Ok(true)` if the intent is new.
    pub fn check(&self, intent: &Intent) -> Result<bool, Refused> {
        let (height, round) = intent.position();
        let at = Position { height, round };
        if height <= self.floor && self.floor > 0 {
            return match intent {
                Intent::Floor { .. } => Ok(false),
                other => Err(Refused::Floor { what: other.name(), asked: at, floor: self.floor }),
            };
        }
        match *intent {
            Intent::Vote { kind, value_id, .. } => {
                self.votes.check(intent.name(), at, kind as u8, value_id)
            }
            Intent::Proposal { value_id, .. } => self.proposals.check("proposal", at, 0, value_id),
            Intent::Status { digest, .. } => self.statuses.check("status", at, 0, digest),
            Intent::Ack { g, hash, .. } => self.check_ack(at, g, hash),
            Intent::Term { init_hash, .. } => self.check_term(at, init_hash),
            Intent::Floor { .. } => Ok(true),
        }
    }

    fn check_ack(&self, at: Position, g: u64, hash: B256) -> Result<bool, Refused> {
        if let Some(left) = self.statuses.newest().filter(|left| *left > at) {
            return Err(Refused::AckAfterStatus { asked: at, left });
        }
        let Some((last, last_g, last_hash)) = self.ack else { return Ok(true) };
        if at < last {
            return Err(Refused::Lower { what: "ack", asked: at, signed: last });
        }
        if at > last {
            return Ok(true);
        }
        // Only the first ack of a height and round is written down: what followed it is known to the run
        // that gave it, and to no other.
        if !self.acks_are_ours {
            return Err(Refused::EarlierRun(at));
        }
        if g > last_g {
            return Ok(false);
        }
        if g < last_g {
            return Err(Refused::AckLower { at, asked: g, signed: last_g });
        }
        if hash == last_hash {
            Ok(false)
        } else {
            Err(Refused::Conflict { what: "ack", at, asked: hash, signed: last_hash })
        }
    }

    fn check_term(&self, at: Position, init_hash: B256) -> Result<bool, Refused> {
        let Some((last, last_init)) = self.term else { return Ok(true) };
        if at > last {
            return Ok(true);
        }
        if at < last {
            return Err(Refused::Lower { what: "term", asked: at, signed: last });
        }
        if !self.term_is_ours {
            return Err(Refused::EarlierRun(at));
        }
        if init_hash == last_init {
            Ok(false)
        } else {
            Err(Refused::Conflict { what: "term", at, asked: init_hash, signed: last_init })
        }
    }

    fn record(&mut self, intent: &Intent) {
        let (height, round) = intent.position();
        let at = Position { height, round };
        match *intent {
            Intent::Vote { kind, value_id, .. } => self.votes.record(at, kind as u8, value_id),
            Intent::Proposal { value_id, .. } => self.proposals.record(at, 0, value_id),
            Intent::Status { digest, .. } => self.statuses.record(at, 0, digest),
            Intent::Ack { g, hash, .. } => {
                self.ack = Some((at, g, hash));
                self.acks_are_ours = true;
            }
            Intent::Term { init_hash, .. } => {
                self.term = Some((at, init_hash));
                self.term_is_ours = true;
            }
            Intent::Floor { height } => self.floor = self.floor.max(height),
        }
    }

    /// From what [`Watermarks::snapshot`] gave, as those of a process that has ended.
    ///
    /// # Errors
    /// The intents contradict each other.
    pub fn of(intents: &[Intent]) -> Result<Self, Refused> {
        let mut marks = Self::default();
        for intent in intents {
            marks.restarted();
            marks.check_and_record(intent)?;
        }
        marks.restarted();
        Ok(marks)
    }

    /// What a restart of the program does: terms opened and acks given so far are not ours any more.
    pub const fn restarted(&mut self) {
        self.term_is_ours = false;
        self.acks_are_ours = false;
    }

    /// Highest height signed for, whatever the kind.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        let slots = [&self.votes, &self.proposals, &self.statuses];
        let slots = slots.into_iter().filter_map(|s| s.newest()).map(|p| p.height);
        let rest = [self.ack.map(|a| a.0.height), self.term.map(|t| t.0.height)];
        slots.chain(rest.into_iter().flatten()).max()
    }

    /// Highest height voted, proposed or reported for: only there a lost log can hide a lock.
    #[must_use]
    pub fn newest_vote(&self) -> Option<u64> {
        let slots = [&self.votes, &self.proposals, &self.statuses];
        slots.into_iter().filter_map(|s| s.newest()).map(|p| p.height).max()
    }

    /// The newest ack: its place in consensus, the position acked, and the frame there.
    #[must_use]
    pub const fn newest_ack(&self) -> Option<(Position, u64, B256)> {
        self.ack
    }

    /// Nothing is signed at this height or below; 0 if there is no such limit.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// The intents that give these watermarks again when recorded in order.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Intent> {
        let mut out = Vec::new();
        let height = self.votes.height;
        for (&(round, kind), &value_id) in &self.votes.signed {
            let kind = if kind == VoteKind::Prevote as u8 {
                VoteKind::Prevote
            } else {
                VoteKind::Precommit
            };
            out.push(Intent::Vote { height, round, kind, value_id });
        }
        let height = self.proposals.height;
        for (&(round, _), &value_id) in &self.proposals.signed {
            out.push(Intent::Proposal { height, round, value_id });
        }
        // Before the statuses, which would forbid an ack of an earlier round.
        if let Some((Position { height, round }, g, hash)) = self.ack {
            out.push(Intent::Ack { height, round, g, hash });
        }
        let height = self.statuses.height;
        for (&(round, _), &digest) in &self.statuses.signed {
            out.push(Intent::Status { height, round, digest });
        }
        if let Some((Position { height, round }, init_hash)) = self.term {
            out.push(Intent::Term { height, round, init_hash });
        }
        // Last: it would forbid what it comes before.
        if self.floor > 0 {
            out.push(Intent::Floor { height: self.floor });
        }
        out
    }
}

impl Slots {
    fn newest(&self) -> Option<Position> {
        self.signed.last_key_value().map(|(k, _)| Position { height: self.height, round: k.0 })
    }

    fn check(
        &self,
        what: &'static str,
        at: Position,
        kind: u8,
        content: B256,
    ) -> Result<bool, Refused> {
        let Some((&last, _)) = self.signed.last_key_value() else { return Ok(true) };
        if at.height == self.height
            && let Some(&signed) = self.signed.get(&(at.round, kind))
        {
            return if signed == content {
                Ok(false)
            } else {
                Err(Refused::Conflict { what, at, asked: content, signed })
            };
        }
        if (at.height, (at.round, kind)) > (self.height, last) {
            return Ok(true);
        }
        let signed = Position { height: self.height, round: last.0 };
        Err(Refused::Lower { what, asked: at, signed })
    }

    fn record(&mut self, at: Position, kind: u8, content: B256) {
        if at.height != self.height {
            self.signed.clear();
            self.height = at.height;
        }
        self.signed.insert((at.round, kind), content);
        if self.signed.len() > MAX_ROUNDS {
            self.signed.pop_first();
        }
    }
}
