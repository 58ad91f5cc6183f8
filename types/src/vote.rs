//! Votes: what validators sign with K_vote, laid out so that a commit certificate is checked on L1 as
//! it stands (EIP-712 `Vote`).
//!
//! Invariant: the round is inside the signed struct, so votes of different rounds never mix.

use crate::{
    Decode, DecodeError, Domain, Encode, KeyError, Reader, VoteKey, VoteSignature, Writer,
    domain::word, recover_vote,
};
use alloy_primitives::{Address, B256, Keccak256, keccak256};

/// The two kinds of vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum VoteKind {
    /// First vote of a round.
    Prevote = 1,
    /// Second vote of a round; a quorum of these decides.
    Precommit = 2,
}

/// One vote. `value_id` zero means nil.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vote {
    /// Epoch whose set votes.
    pub epoch: u64,
    /// The height.
    pub height: u64,
    /// The round.
    pub round: u32,
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// Value voted for; zero for nil.
    pub value_id: B256,
}

impl Vote {
    /// The EIP-712 digest of
    /// `Vote(uint64 epoch,uint64 height,uint32 round,uint8 kind,bytes32 valueId)`.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        let mut h = Keccak256::new();
        h.update(keccak256(
            b"Vote(uint64 epoch,uint64 height,uint32 round,uint8 kind,bytes32 valueId)",
        ));
        h.update(word(self.epoch.into()));
        h.update(word(self.height.into()));
        h.update(word(self.round.into()));
        h.update(word((self.kind as u8).into()));
        h.update(self.value_id);
        domain.eip712(h.finalize())
    }
}

impl Encode for Vote {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.epoch).u64(self.height).u32(self.round).u8(self.kind as u8).hash(&self.value_id);
    }
}

impl Decode for Vote {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: r.u64("epoch")?,
            height: r.u64("height")?,
            round: r.u32("round")?,
            kind: match r.u8("vote kind")? {
                1 => VoteKind::Prevote,
                2 => VoteKind::Precommit,
                _ => return Err(DecodeError::Invalid("unknown vote kind")),
            },
            value_id: r.hash("value_id")?,
        })
    }
}

/// A vote with its signer and signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedVote {
    /// The vote.
    pub vote: Vote,
    /// The signer's index in the set of the vote's epoch.
    pub signer: u16,
    /// secp256k1 over the EIP-712 digest.
    pub signature: VoteSignature,
}

impl SignedVote {
    /// Signs a vote.
    #[must_use]
    pub fn sign(vote: Vote, signer: u16, key: &VoteKey, domain: &Domain) -> Self {
        let signature = key.sign(&vote.digest(domain));
        Self { vote, signer, signature }
    }
    /// Checks that `address` signed. Costs one recovery.
    pub fn verify(&self, address: Address, domain: &Domain) -> Result<(), KeyError> {
        if recover_vote(&self.vote.digest(domain), &self.signature)? == address {
            Ok(())
        } else {
            Err(KeyError::Signature)
        }
    }
}

impl Encode for SignedVote {
    fn encode_to(&self, w: &mut Writer) {
        self.vote.encode_to(w);
        w.u16(self.signer).raw(&self.signature);
    }
}

impl Decode for SignedVote {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            vote: Vote::decode_from(r)?,
            signer: r.u16("signer")?,
            signature: r.array("vote signature")?,
        })
    }
}
