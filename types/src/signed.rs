//! Whatever a member signed, without what only the order of the log needs: the input of everyone who looks
//! for contradictions.
//!
//! Not for: taking part in consensus; bodies, justifications and certificates are left out. Invariant: what is
//! signed is complete, so the signature can be checked from this alone with the set of its epoch.

use crate::{
    Decode, DecodeError, Domain, Encode, FrameHeader, Header, KeyError, Proposal, Reader,
    RoundVote, SeqSignature, SignedAck, SignedProposal, SignedStatus, SignedVote, TermInit,
    ValidatorSet, Vote, VoteSignature, Writer, recover_vote, verify_seq, wire::Message,
};

/// One signed statement of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// A frame, without its body.
    Frame(FrameHeader, SeqSignature),
    /// The opening of a term, without its reports.
    Init(TermInit, SeqSignature),
    /// An ack.
    Ack(SignedAck),
    /// A vote.
    Vote(SignedVote),
    /// A proposal with the header it names.
    Proposal(Proposal, VoteSignature, Box<Header>),
    /// A report.
    Status(SignedStatus),
}

impl Signed {
    /// What a message says in its signer's name, with what it carries of others: the reports of an opening.
    #[must_use]
    pub fn all_of(message: &Message) -> Vec<Self> {
        match message {
            Message::Frame(f) => vec![Self::Frame(f.header.clone(), f.signature)],
            Message::Ack(a) => vec![Self::Ack(a.clone())],
            Message::Vote(v) => vec![Self::Vote(v.clone())],
            Message::Status(s) => vec![Self::Status(s.clone())],
            Message::TermInit(i) => Self::of_init(&i.init, i.signature, &i.reports),
            Message::Proposal(p) => Self::of_proposal(p),
            Message::AckCert(_)
            | Message::Polka(_)
            | Message::RoundCertificate(_)
            | Message::Txs(_)
            | Message::InsuredTxs(_)
            | Message::Head(_) => Vec::new(),
        }
    }

    /// The votes that a polka or a round certificate repeats: others tell of them where the votes themselves got lost.
    #[must_use]
    pub fn votes_of(message: &Message) -> Vec<Self> {
        match message {
            Message::Polka(polka) => polka.votes().map(Self::Vote).collect(),
            Message::RoundCertificate(certificate) => {
                let vote = |v: &RoundVote| {
                    let vote = Vote {
                        epoch: certificate.epoch,
                        height: certificate.height,
                        round: certificate.round,
                        kind: v.kind,
                        value_id: v.value_id,
                    };
                    Self::Vote(SignedVote { vote, signer: v.signer, signature: v.signature })
                };
                certificate.votes.iter().map(vote).collect()
            }
            _ => Vec::new(),
        }
    }

    fn of_init(init: &TermInit, signature: SeqSignature, reports: &[SignedStatus]) -> Vec<Self> {
        let mut out = vec![Self::Init(init.clone(), signature)];
        out.extend(reports.iter().cloned().map(Self::Status));
        out
    }

    fn of_proposal(p: &SignedProposal) -> Vec<Self> {
        let own = Self::Proposal(p.proposal.clone(), p.signature, Box::new(p.header.clone()));
        let init = p.init.as_ref().map(|i| Self::of_init(&i.init, i.signature, &i.reports));
        std::iter::once(own).chain(init.into_iter().flatten()).collect()
    }

    /// Index of who is said to have signed, in the set of [`Signed::epoch`].
    #[must_use]
    pub const fn signer(&self) -> u16 {
        match self {
            Self::Frame(f, _) => f.leader,
            Self::Init(i, _) => i.leader,
            Self::Ack(a) => a.ack.signer,
            Self::Vote(v) => v.signer,
            Self::Proposal(p, ..) => p.proposer,
            Self::Status(s) => s.status.signer,
        }
    }

    /// The epoch whose set names the signer.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        match self {
            Self::Frame(f, _) => f.epoch,
            Self::Init(i, _) => i.epoch,
            Self::Ack(a) => a.ack.epoch,
            Self::Vote(v) => v.vote.epoch,
            Self::Proposal(p, ..) => p.epoch,
            Self::Status(s) => s.status.epoch,
        }
    }

    /// The height that it is about.
    #[must_use]
    pub const fn height(&self) -> u64 {
        match self {
            Self::Frame(f, _) => f.height,
            Self::Init(i, _) => i.height,
            Self::Ack(a) => a.ack.height,
            Self::Vote(v) => v.vote.height,
            Self::Proposal(p, ..) => p.height,
            Self::Status(s) => s.status.height,
        }
    }

    /// Checks the signature, and that a proposal names its header.
    ///
    /// # Errors
    /// The peer's fault: not a member's signature, or of another epoch's set.
    pub fn verify(&self, set: &ValidatorSet, domain: &Domain) -> Result<(), KeyError> {
        let member = set.get(self.signer()).filter(|_| set.epoch() == self.epoch());
        let member = member.ok_or(KeyError::Signature)?;
        let voted = |digest, signature| {
            let who = recover_vote(&digest, signature)?;
            if who == member.vote_key { Ok(()) } else { Err(KeyError::Signature) }
        };
        match self {
            Self::Frame(f, sig) => verify_seq(&member.seq_key, &f.hash(domain), sig),
            Self::Init(i, sig) => verify_seq(&member.seq_key, &i.hash(domain), sig),
            Self::Ack(a) => a.verify(&member.seq_key, domain),
            Self::Vote(v) => v.verify(member.vote_key, domain),
            Self::Proposal(p, sig, header) if header.value_id(domain) == p.value_id => {
                voted(p.digest(domain), sig)
            }
            Self::Proposal(..) => Err(KeyError::Signature),
            Self::Status(s) => s.verify(member.vote_key, domain),
        }
    }
}

impl Encode for Signed {
    fn encode_to(&self, w: &mut Writer) {
        match self {
            Self::Frame(f, sig) => {
                f.encode_to(w.u8(1));
                w.raw(sig);
            }
            Self::Init(i, sig) => {
                i.encode_to(w.u8(2));
                w.raw(sig);
            }
            Self::Ack(a) => a.encode_to(w.u8(3)),
            Self::Vote(v) => v.encode_to(w.u8(4)),
            Self::Proposal(p, sig, header) => {
                p.encode_to(w.u8(5));
                w.raw(sig);
                header.encode_to(w);
            }
            Self::Status(s) => s.encode_to(w.u8(6)),
        }
    }
}

impl Decode for Signed {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match r.u8("kind of a signed statement")? {
            1 => Self::Frame(FrameHeader::decode_from(r)?, r.array("frame signature")?),
            2 => Self::Init(TermInit::decode_from(r)?, r.array("init signature")?),
            3 => Self::Ack(SignedAck::decode_from(r)?),
            4 => Self::Vote(SignedVote::decode_from(r)?),
            5 => Self::Proposal(
                Proposal::decode_from(r)?,
                r.array("proposal signature")?,
                Box::new(Header::decode_from(r)?),
            ),
            6 => Self::Status(SignedStatus::decode_from(r)?),
            _ => return Err(DecodeError::Invalid("unknown kind of a signed statement")),
        })
    }
}
