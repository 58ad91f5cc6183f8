//! What a key is about to sign, as the guard records it.
//!
//! Not for: the signed bytes themselves, which stay with their messages. Invariant: one intent has one encoding, of
//! constant length.

use alloy_primitives::B256;
use rota_types::{Decode, DecodeError, Encode, Reader, VoteKind, Writer};
use std::fmt;

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
    /// No signature, but a limit: nothing is signed at this height or below any more. Set when it turns out that
    /// the guard does not know everything that this key has signed.
    Floor {
        /// The last height at which nothing is signed.
        height: u64,
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
            Self::Floor { height } => (height, 0),
        }
    }

    /// What it is, for people.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Vote { kind: VoteKind::Prevote, .. } => "prevote",
            Self::Vote { kind: VoteKind::Precommit, .. } => "precommit",
            Self::Proposal { .. } => "proposal",
            Self::Status { .. } => "status",
            Self::Ack { .. } => "ack",
            Self::Term { .. } => "term",
            Self::Floor { .. } => "floor",
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
            Self::Floor { .. } => (7, 0, &B256::ZERO),
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
            7 if round == 0 && g == 0 && content.is_zero() => Self::Floor { height },
            _ => return Err(DecodeError::Invalid("unknown intent")),
        })
    }
}
