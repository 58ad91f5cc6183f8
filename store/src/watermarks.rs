//! What one key has signed, and the one rule for what it may sign next.
//!
//! Not for: durability (`SignGuard` writes what is accepted here) and not for the protocol's reasons to
//! sign (those are in `consensus` and `preconf`).
//! Invariant (I-7): no two accepted intents contradict each other. Something lower than what was signed
//! is refused unless it is, to the byte, what was signed there at the newest height.

use alloy_primitives::B256;
use rota_types::{Decode, DecodeError, Encode, Reader, VoteKind, Writer};
use std::{collections::BTreeMap, fmt};

/// Rounds of the newest height that are remembered for signing the same again.
const MAX_ROUNDS: usize = 512;

/// Something a key is about to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// A vote; `value_id` zero is nil.
    Vote {
        /// Height.
        height: u64,
        /// Round.
        round: u32,
        /// Prevote or precommit.
        kind: VoteKind,
        /// Value voted for.
        value_id: B256,
    },
    /// A proposal.
    Proposal {
        /// Height.
        height: u64,
        /// Round.
        round: u32,
        /// Value proposed. Give the proposal's digest where re-proposals differ by more than the value.
        value_id: B256,
    },
    /// A report on entering a round.
    Status {
        /// Height.
        height: u64,
        /// Round entered.
        round: u32,
        /// Digest of the report.
        digest: B256,
    },
    /// An ack.
    Ack {
        /// Height.
        height: u64,
        /// Round.
        round: u32,
        /// Position in the frame log.
        g: u64,
        /// Hash of the frame there.
        hash: B256,
    },
    /// The opening of a term, before its first frame.
    Term {
        /// Height of the first frame.
        height: u64,
        /// Round of the first frame.
        round: u32,
        /// Digest of the TermInit, zero in round 0.
        init_hash: B256,
    },
}

/// Height and round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Height.
    pub height: u64,
    /// Round.
    pub round: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "height {} round {}", self.height, self.round)
    }
}

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
        match *intent {
            Intent::Vote { kind, value_id, .. } => {
                self.votes.check(vote_name(kind), at, kind as u8, value_id)
            }
            Intent::Proposal { value_id, .. } => self.proposals.check("proposal", at, 0, value_id),
            Intent::Status { digest, .. } => self.statuses.check("status", at, 0, digest),
            Intent::Ack { g, hash, .. } => self.check_ack(at, g, hash),
            Intent::Term { init_hash, .. } => self.check_term(at, init_hash),
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
        }
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

const fn vote_name(kind: VoteKind) -> &'static str {
    match kind {
        VoteKind::Prevote => "prevote",
        VoteKind::Precommit => "precommit",
    }
}

impl Intent {
    /// Height and round.
    #[must_use]
    pub const fn position(&self) -> (u64, u32) {
        match *self {
            Self::Vote { height, round, .. }
            | Self::Proposal { height, round, .. }
            | Self::Status { height, round, .. }
            | Self::Ack { height, round, .. }
            | Self::Term { height, round, .. } => (height, round),
        }
    }
}

impl Encode for Intent {
    fn encode_to(&self, w: &mut Writer) {
        let (height, round) = self.position();
        let (tag, g, content) = match self {
            Self::Vote { kind, value_id, .. } => (*kind as u8, 0, value_id),
            Self::Proposal { value_id, .. } => (3, 0, value_id),
            Self::Status { digest, .. } => (4, 0, digest),
            Self::Ack { g, hash, .. } => (5, *g, hash),
            Self::Term { init_hash, .. } => (6, 0, init_hash),
        };
        w.u8(tag).u64(height).u32(round).u64(g).hash(content);
    }
}

impl Decode for Intent {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = r.u8("intent")?;
        let (height, round) = (r.u64("height")?, r.u32("round")?);
        let (g, content) = (r.u64("g")?, r.hash("content")?);
        Ok(match tag {
            1 => Self::Vote { height, round, kind: VoteKind::Prevote, value_id: content },
            2 => Self::Vote { height, round, kind: VoteKind::Precommit, value_id: content },
            3 => Self::Proposal { height, round, value_id: content },
            4 => Self::Status { height, round, digest: content },
            5 => Self::Ack { height, round, g, hash: content },
            6 => Self::Term { height, round, init_hash: content },
            _ => return Err(DecodeError::Invalid("unknown intent")),
        })
    }
}
