//! Signed messages stripped of everything that the signature does not cover.
//!
//! Not for: the wire between validators, which carries bodies and lists too (`wire::Message`).

use super::{SealedAck, SealedFrame, SealedInit, SealedProposal, SealedStatus, SealedVote};
use crate::{
    Ack, CommitCertificate, Decode, DecodeError, Domain, Encode, FrameHeader, Header, KeyError,
    Proposal, Reader, SignedProposal, SignedStatus, SignedTermInit, SignedVote, Status, TermInit,
    Validator, ValidatorSet, Vote, Writer, recover_vote, verify_seq, wire::Message,
};
use alloy_primitives::B256;

/// A signed content and its signature of `N` bytes: 64 by the sequencer key, 65 by the vote key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed<T, const N: usize> {
    /// What is signed.
    pub content: T,
    /// The signature.
    pub signature: [u8; N],
}

impl<T: Encode, const N: usize> Encode for Sealed<T, N> {
    fn encode_to(&self, w: &mut Writer) {
        self.content.encode_to(w);
        w.raw(&self.signature);
    }
}

impl<T: Decode, const N: usize> Decode for Sealed<T, N> {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { content: T::decode_from(r)?, signature: r.array("signature")? })
    }
}

/// A content that one validator signs.
pub(super) trait Content: Encode + PartialEq {
    /// Epoch of the signer's set.
    fn epoch(&self) -> u64;
    /// The signer's index, if the content says so.
    fn signer(&self) -> Option<u16>;
    /// What is signed.
    fn digest(&self, domain: &Domain) -> B256;
}

macro_rules! content {
    ($name:ty, $signer:expr, $digest:expr) => {
        impl Content for $name {
            fn epoch(&self) -> u64 {
                self.epoch
            }
            fn signer(&self) -> Option<u16> {
                let signer: fn(&Self) -> Option<u16> = $signer;
                signer(self)
            }
            fn digest(&self, domain: &Domain) -> B256 {
                let digest: fn(&Self, &Domain) -> B256 = $digest;
                digest(self, domain)
            }
        }
    };
}
content!(FrameHeader, |x| Some(x.leader), |x, d| x.hash(d));
content!(TermInit, |x| Some(x.leader), |x, d| x.hash(d));
content!(Ack, |x| Some(x.signer), |x, d| Self::digest(x, d));
content!(Status, |x| Some(x.signer), |x, d| Self::digest(x, d));
content!(Proposal, |x| Some(x.proposer), |x, d| Self::digest(x, d));
content!(Vote, |_| None, |x, d| Self::digest(x, d));

/// Checks a sequencer key's signature.
pub(super) fn seq_by<T: Content>(
    message: &Sealed<T, 64>,
    signer: &Validator,
    domain: &Domain,
) -> Result<(), KeyError> {
    verify_seq(&signer.seq_key, &message.content.digest(domain), &message.signature)
}

/// Checks a vote key's signature.
pub(super) fn vote_by<T: Content>(
    message: &Sealed<T, 65>,
    signer: &Validator,
    domain: &Domain,
) -> Result<(), KeyError> {
    let known = recover_vote(&message.content.digest(domain), &message.signature)?;
    if known == signer.vote_key { Ok(()) } else { Err(KeyError::Signature) }
}

/// Something signed that may be half of an offence: what `preconf::Watch` takes, and what nodes keep for those
/// who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// A frame without its body.
    Frame(SealedFrame),
    /// An opening without the reports.
    Init(SealedInit),
    /// An ack.
    Ack(SealedAck),
    /// A vote.
    Vote {
        /// The signer's index.
        signer: u16,
        /// The vote.
        vote: SealedVote,
    },
    /// A proposal and the header that it names.
    Proposal {
        /// The proposal.
        proposal: SealedProposal,
        /// The header.
        header: Box<Header>,
    },
    /// A report.
    Status(SealedStatus),
    /// A header and its commit certificate.
    Decided {
        /// The header.
        header: Box<Header>,
        /// The certificate.
        certificate: CommitCertificate,
    },
}

impl Signed {
    /// Everything signed in a message, without checking it.
    #[must_use]
    pub fn of(message: &Message) -> Vec<Self> {
        match message {
            Message::Frame(f) => {
                vec![Self::Frame(Sealed { content: f.header.clone(), signature: f.signature })]
            }
            Message::Ack(a) => {
                vec![Self::Ack(Sealed { content: a.ack.clone(), signature: a.signature })]
            }
            Message::Vote(v) => vec![Self::from(v)],
            Message::Status(s) => vec![Self::from(s)],
            Message::TermInit(x) => Self::of_init(x),
            Message::Proposal(x) => Self::of_proposal(x),
            Message::Polka(x) => x.votes().map(|v| Self::from(&v)).collect(),
            Message::RoundCertificate(x) => {
                let vote = |v: &crate::RoundVote| Self::Vote {
                    signer: v.signer,
                    vote: Sealed {
                        content: Vote {
                            epoch: x.epoch,
                            height: x.height,
                            round: x.round,
                            kind: v.kind,
                            value_id: v.value_id,
                        },
                        signature: v.signature,
                    },
                };
                x.votes.iter().map(vote).collect()
            }
            Message::AckCert(_) | Message::Txs(_) | Message::Head(_) => Vec::new(),
        }
    }

    /// An opening and the reports in it.
    #[must_use]
    pub fn of_init(x: &SignedTermInit) -> Vec<Self> {
        let init = Self::Init(Sealed { content: x.init.clone(), signature: x.signature });
        std::iter::once(init).chain(x.reports.iter().map(Self::from)).collect()
    }

    /// A proposal and, if it brings one, the opening.
    #[must_use]
    pub fn of_proposal(x: &SignedProposal) -> Vec<Self> {
        let proposal = Self::Proposal {
            proposal: Sealed { content: x.proposal.clone(), signature: x.signature },
            header: Box::new(x.header.clone()),
        };
        let init = x.init.as_ref().map(Self::of_init).unwrap_or_default();
        std::iter::once(proposal).chain(init).collect()
    }

    /// Checks the signature with the set of the content's epoch, and that a header is the one named.
    pub fn verify(&self, set: &ValidatorSet, domain: &Domain) -> Result<(), KeyError> {
        let signer = |epoch: u64, index: u16| {
            set.get(index).filter(|_| epoch == set.epoch()).ok_or(KeyError::Public)
        };
        match self {
            Self::Frame(x) => seq_by(x, signer(x.content.epoch, x.content.leader)?, domain),
            Self::Init(x) => seq_by(x, signer(x.content.epoch, x.content.leader)?, domain),
            Self::Ack(x) => seq_by(x, signer(x.content.epoch, x.content.signer)?, domain),
            Self::Status(x) => vote_by(x, signer(x.content.epoch, x.content.signer)?, domain),
            Self::Vote { signer: index, vote } => {
                vote_by(vote, signer(vote.content.epoch, *index)?, domain)
            }
            Self::Proposal { proposal, header } => {
                let p = &proposal.content;
                vote_by(proposal, signer(p.epoch, p.proposer)?, domain)?;
                named(header.value_id(domain) == p.value_id)
            }
            Self::Decided { header, certificate } => {
                certificate.verify(set, domain).map_err(|_| KeyError::Signature)?;
                named(header.value_id(domain) == certificate.value_id)
            }
        }
    }

    /// Height that it is about.
    #[must_use]
    pub const fn height(&self) -> u64 {
        match self {
            Self::Frame(x) => x.content.height,
            Self::Init(x) => x.content.height,
            Self::Ack(x) => x.content.height,
            Self::Vote { vote, .. } => vote.content.height,
            Self::Proposal { proposal, .. } => proposal.content.height,
            Self::Status(x) => x.content.height,
            Self::Decided { certificate, .. } => certificate.height,
        }
    }
}

const fn named(right: bool) -> Result<(), KeyError> {
    if right { Ok(()) } else { Err(KeyError::Signature) }
}

impl From<&SignedVote> for Signed {
    fn from(v: &SignedVote) -> Self {
        let vote = Sealed { content: v.vote.clone(), signature: v.signature };
        Self::Vote { signer: v.signer, vote }
    }
}

impl From<&SignedStatus> for Signed {
    fn from(s: &SignedStatus) -> Self {
        Self::Status(Sealed { content: s.status.clone(), signature: s.signature })
    }
}

impl Encode for Signed {
    fn encode_to(&self, w: &mut Writer) {
        match self {
            Self::Frame(x) => x.encode_to(w.u8(1)),
            Self::Init(x) => x.encode_to(w.u8(2)),
            Self::Ack(x) => x.encode_to(w.u8(3)),
            Self::Vote { signer, vote } => vote.encode_to(w.u8(4).u16(*signer)),
            Self::Proposal { proposal, header } => {
                proposal.encode_to(w.u8(5));
                header.encode_to(w);
            }
            Self::Status(x) => x.encode_to(w.u8(6)),
            Self::Decided { header, certificate } => {
                header.encode_to(w.u8(7));
                certificate.encode_to(w);
            }
        }
    }
}

impl Decode for Signed {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match r.u8("signed kind")? {
            1 => Self::Frame(Sealed::decode_from(r)?),
            2 => Self::Init(Sealed::decode_from(r)?),
            3 => Self::Ack(Sealed::decode_from(r)?),
            4 => Self::Vote { signer: r.u16("signer")?, vote: Sealed::decode_from(r)? },
            5 => Self::Proposal {
                proposal: Sealed::decode_from(r)?,
                header: Box::new(Header::decode_from(r)?),
            },
            6 => Self::Status(Sealed::decode_from(r)?),
            7 => Self::Decided {
                header: Box::new(Header::decode_from(r)?),
                certificate: CommitCertificate::decode_from(r)?,
            },
            _ => return Err(DecodeError::Invalid("unknown signed kind")),
        })
    }
}
