//! Proposals: the proposer of a round names the header that cuts the log (EIP-712 `Proposal`).
//!
//! Not for: the justification of rounds above 0; that is a `SignedTermInit` beside it.

use crate::{
    Decode, DecodeError, Domain, Encode, Header, KeyError, Reader, SignedTermInit, VoteKey,
    VoteSignature, Writer,
    domain::{signed_word, word},
    recover_vote,
};
use alloy_primitives::{Address, B256, Keccak256, keccak256};

/// The signed part of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Epoch whose set votes.
    pub epoch: u64,
    /// The height.
    pub height: u64,
    /// The round.
    pub round: u32,
    /// Round of the polka that this re-proposal relies on, -1 for a fresh value.
    pub pol_round: i32,
    /// Index of the proposer.
    pub proposer: u16,
    /// The value proposed.
    pub value_id: B256,
    /// Digest of the TermInit, zero in round 0.
    pub init_hash: B256,
}

impl Proposal {
    /// The EIP-712 digest.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        let mut h = Keccak256::new();
        h.update(keccak256(
            b"Proposal(uint64 epoch,uint64 height,uint32 round,int32 polRound,uint16 proposer,bytes32 valueId,bytes32 initHash)",
        ));
        h.update(word(self.epoch.into()));
        h.update(word(self.height.into()));
        h.update(word(self.round.into()));
        h.update(signed_word(self.pol_round));
        h.update(word(self.proposer.into()));
        h.update(self.value_id);
        h.update(self.init_hash);
        domain.eip712(h.finalize())
    }
}

impl Encode for Proposal {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.epoch).u64(self.height).u32(self.round).i32(self.pol_round).u16(self.proposer);
        w.hash(&self.value_id).hash(&self.init_hash);
    }
}

impl Decode for Proposal {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: r.u64("epoch")?,
            height: r.u64("height")?,
            round: r.u32("round")?,
            pol_round: r.i32("pol_round")?,
            proposer: r.u16("proposer")?,
            value_id: r.hash("value_id")?,
            init_hash: r.hash("init_hash")?,
        })
    }
}

/// A proposal with its header and, in rounds above 0, its justification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedProposal {
    /// The signed part.
    pub proposal: Proposal,
    /// secp256k1 over the EIP-712 digest.
    pub signature: VoteSignature,
    /// The header whose digest is `value_id`.
    pub header: Header,
    /// The justification of a fresh value in a round above 0.
    pub init: Option<SignedTermInit>,
}

impl SignedProposal {
    /// Signs a proposal.
    #[must_use]
    pub fn sign(
        proposal: Proposal,
        header: Header,
        init: Option<SignedTermInit>,
        key: &VoteKey,
        domain: &Domain,
    ) -> Self {
        let signature = key.sign(&proposal.digest(domain));
        Self { proposal, signature, header, init }
    }
    /// Checks that `address` signed and that the header is the one named.
    pub fn verify(&self, address: Address, domain: &Domain) -> Result<(), KeyError> {
        if self.header.value_id(domain) == self.proposal.value_id
            && recover_vote(&self.proposal.digest(domain), &self.signature)? == address
        {
            Ok(())
        } else {
            Err(KeyError::Signature)
        }
    }
}

impl Encode for SignedProposal {
    fn encode_to(&self, w: &mut Writer) {
        self.proposal.encode_to(w);
        w.raw(&self.signature);
        self.header.encode_to(w);
        w.u8(u8::from(self.init.is_some()));
        if let Some(init) = &self.init {
            init.encode_to(w);
        }
    }
}

impl Decode for SignedProposal {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            proposal: Proposal::decode_from(r)?,
            signature: r.array("proposal signature")?,
            header: Header::decode_from(r)?,
            init: match r.u8("init present")? {
                0 => None,
                1 => Some(SignedTermInit::decode_from(r)?),
                _ => return Err(DecodeError::Invalid("init present must be 0 or 1")),
            },
        })
    }
}
