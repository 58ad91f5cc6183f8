//! What a Status of a later round rests on: the opening that its reporter accepted, or the re-proposal
//! that it prevoted (`docs/protocol.md`, "Round change").
//!
//! Not for: judging it (`preconf::Archive`).
//! Invariant: `reference` is what `Status::best_ref` names; equal content has one reference.

use crate::{
    Decode, DecodeError, Domain, Encode, PolkaCertificate, Reader, SignedProposal, SignedTermInit,
    Writer,
};
use alloy_primitives::B256;

/// The reason why a chain counts as accepted in a round above 0.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a few are kept per height, behind an Arc")]
pub enum Justification {
    /// The round's leader opened its term with it.
    Init(SignedTermInit),
    /// The round's leader proposed a value again that more than two thirds had prevoted.
    Reproposal {
        /// The proposal, with its header.
        proposal: SignedProposal,
        /// The prevotes of the earlier round.
        polka: PolkaCertificate,
    },
}

impl Justification {
    /// What a Status names it by.
    #[must_use]
    pub fn reference(&self, domain: &Domain) -> B256 {
        match self {
            Self::Init(init) => init.init.hash(domain),
            Self::Reproposal { proposal, .. } => proposal.proposal.digest(domain),
        }
    }
    /// Height and round in which it was accepted.
    #[must_use]
    pub const fn place(&self) -> (u64, u32) {
        match self {
            Self::Init(init) => (init.init.height, init.init.round),
            Self::Reproposal { proposal, .. } => {
                (proposal.proposal.height, proposal.proposal.round)
            }
        }
    }
}

impl Encode for Justification {
    fn encode_to(&self, w: &mut Writer) {
        match self {
            Self::Init(init) => init.encode_to(w.u8(1)),
            Self::Reproposal { proposal, polka } => {
                proposal.encode_to(w.u8(2));
                polka.encode_to(w);
            }
        }
    }
}

impl Decode for Justification {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match r.u8("justification kind")? {
            1 => Self::Init(SignedTermInit::decode_from(r)?),
            2 => Self::Reproposal {
                proposal: SignedProposal::decode_from(r)?,
                polka: PolkaCertificate::decode_from(r)?,
            },
            _ => return Err(DecodeError::Invalid("unknown justification kind")),
        })
    }
}
