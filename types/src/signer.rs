//! Who signs for a sequencer: the same process, or another one that sees the whole of what it signs.
//!
//! Not for: deciding what to sign (`consensus`), or whether it may be signed (the guard in `store`). Invariant: a signer
//! is given everything that a digest is made of, so it can judge by itself; without a signature nothing is sent.

use crate::{
    Ack, Decode, DecodeError, Domain, Encode, EvidenceFile, FrameHeader, KeyError, Proposal,
    Reader, SeqKey, SeqSignature, Status, TermInit, Vote, VoteKey, VoteSignature, Writer,
};
use alloy_primitives::{Address, B256};
use std::fmt;

/// What the sequencer key signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeqMessage {
    /// A frame; its body is named by the header.
    Frame(FrameHeader),
    /// The opening of a term; its reports are named by it.
    Init(TermInit),
    /// An ack.
    Ack(Ack),
}

/// What the vote key signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoteMessage {
    /// A vote.
    Vote(Vote),
    /// A proposal; its value is named by it.
    Proposal(Proposal),
    /// A report on entering a round.
    Status(Status),
}

/// Why there is no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The signer holds it for a contradiction of something signed before. Another node with the same signer is the
    /// usual cause.
    #[error("the signer refused: {0}")]
    Refused(String),
    /// There is no signer to ask, or none that answers in time. The operator's move.
    #[error("no signature: {0}")]
    Unavailable(String),
}

/// Signs for a sequencer.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The public sequencer key.
    fn seq_key(&self) -> [u8; 32];
    /// The address of the vote key.
    fn vote_key(&self) -> Address;
    /// Signs with the sequencer key.
    fn sign_seq(&self, what: &SeqMessage, domain: &Domain) -> Result<SeqSignature, SignError>;
    /// Signs with the vote key.
    fn sign_vote(&self, what: &VoteMessage, domain: &Domain) -> Result<VoteSignature, SignError>;
    /// Shows it that one of its keys contradicted itself, after which nobody gets a signature of them. A signer in the process
    /// that ends for it has nothing to do.
    fn convict(&self, _evidence: &EvidenceFile) -> Result<(), SignError> {
        Ok(())
    }
}

/// Keys of this process. What may be signed is the caller's business.
#[derive(Debug)]
pub struct LocalSigner {
    /// Frames, acks, term openings.
    pub seq: SeqKey,
    /// Votes, proposals, reports.
    pub vote: VoteKey,
}

impl LocalSigner {
    /// From the two secrets.
    pub fn from_secrets(seed: &[u8; 32], secret: &[u8; 32]) -> Result<Self, KeyError> {
        Ok(Self { seq: SeqKey::from_seed(seed), vote: VoteKey::from_secret(secret)? })
    }
}

impl Signer for LocalSigner {
    fn seq_key(&self) -> [u8; 32] {
        self.seq.public()
    }
    fn vote_key(&self) -> Address {
        self.vote.address()
    }
    fn sign_seq(&self, what: &SeqMessage, domain: &Domain) -> Result<SeqSignature, SignError> {
        Ok(self.seq.sign(&what.digest(domain)))
    }
    fn sign_vote(&self, what: &VoteMessage, domain: &Domain) -> Result<VoteSignature, SignError> {
        Ok(self.vote.sign(&what.digest(domain)))
    }
}

impl SeqMessage {
    /// What is signed.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        match self {
            Self::Frame(header) => header.hash(domain),
            Self::Init(init) => init.hash(domain),
            Self::Ack(ack) => ack.digest(domain),
        }
    }
}

impl VoteMessage {
    /// What is signed.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        match self {
            Self::Vote(vote) => vote.digest(domain),
            Self::Proposal(proposal) => proposal.digest(domain),
            Self::Status(status) => status.digest(domain),
        }
    }
}

impl Encode for SeqMessage {
    fn encode_to(&self, w: &mut Writer) {
        match self {
            Self::Frame(header) => header.encode_to(w.u8(1)),
            Self::Init(init) => init.encode_to(w.u8(2)),
            Self::Ack(ack) => ack.encode_to(w.u8(3)),
        }
    }
}

impl Decode for SeqMessage {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match r.u8("sequencer message")? {
            1 => Self::Frame(FrameHeader::decode_from(r)?),
            2 => Self::Init(TermInit::decode_from(r)?),
            3 => Self::Ack(Ack::decode_from(r)?),
            _ => return Err(DecodeError::Invalid("unknown sequencer message")),
        })
    }
}

impl Encode for VoteMessage {
    fn encode_to(&self, w: &mut Writer) {
        match self {
            Self::Vote(vote) => vote.encode_to(w.u8(1)),
            Self::Proposal(proposal) => proposal.encode_to(w.u8(2)),
            Self::Status(status) => status.encode_to(w.u8(3)),
        }
    }
}

impl Decode for VoteMessage {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match r.u8("vote message")? {
            1 => Self::Vote(Vote::decode_from(r)?),
            2 => Self::Proposal(Proposal::decode_from(r)?),
            3 => Self::Status(Status::decode_from(r)?),
            _ => return Err(DecodeError::Invalid("unknown vote message")),
        })
    }
}
