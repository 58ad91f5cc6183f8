//! Everything peers say to each other, and in which lane.
//!
//! Invariant (I-26): every list and length has a bound that is checked before anything is allocated.

use crate::{
    AckCert, CommitCertificate, Decode, DecodeError, Encode, Header, Justification, MAX_TX_BYTES,
    PolkaCertificate, Reader, RoundCertificate, Signed, SignedAck, SignedFrame, SignedProposal,
    SignedStatus, SignedTermInit, SignedVote, Writer,
};
use alloy_primitives::{B256, Bytes};

/// Largest encoded message.
pub const MAX_MESSAGE: usize = 512 * 1024;
/// Largest encoded response.
pub const MAX_RESPONSE: usize = 4 * 1024 * 1024;
/// Most transactions in one forwarded bundle.
pub const MAX_BUNDLE: usize = 1024;
/// Most transactions in one forwarded bundle with insured amounts.
pub const MAX_INSURED_BUNDLE: usize = 256;
/// Most frames in one response.
pub const MAX_FRAMES: usize = 2048;
/// Most heights in one response.
pub const MAX_HEIGHTS: usize = 64;
/// Most signed statements in one response.
pub const MAX_WITNESSED: usize = 4096;

/// Messages of one lane keep their order and never wait for another lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Lane {
    /// Votes, proposals, certificates, Status and TermInit.
    Consensus = 0,
    /// Frames.
    Frames = 1,
    /// Acks and ack certificates.
    Acks = 2,
    /// Forwarded transactions and heads.
    Bulk = 3,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Self; 4] = [Self::Consensus, Self::Frames, Self::Acks, Self::Bulk];
    /// Name for logs and gauges.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Frames => "frames",
            Self::Acks => "acks",
            Self::Bulk => "bulk",
        }
    }
    /// Largest message in this lane, bytes.
    #[must_use]
    pub const fn max(self) -> usize {
        match self {
            Self::Consensus => 128 * 1024,
            Self::Frames | Self::Bulk => MAX_MESSAGE,
            Self::Acks => 32 * 1024,
        }
    }
}

/// How far a node is, told to its peers so that those behind can ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Newest decided height.
    pub height: u64,
    /// Its value id.
    pub value_id: B256,
    /// Oldest height that can be served.
    pub oldest: u64,
}

/// A transaction that is to be framed with an insured amount, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsuredTx {
    /// EIP-2718 bytes.
    pub raw: Bytes,
    /// What is to be insured, wei; not zero.
    pub insured: u128,
}

/// A message between validators.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "frames are the hot path; no allocation for each")]
pub enum Message {
    /// A frame from its leader, or passed on.
    Frame(SignedFrame),
    /// An ack.
    Ack(SignedAck),
    /// Acks of more than two thirds.
    AckCert(AckCert),
    /// A vote.
    Vote(SignedVote),
    /// A proposal.
    Proposal(Box<SignedProposal>),
    /// A polka, for liveness.
    Polka(PolkaCertificate),
    /// A round certificate, for liveness.
    RoundCertificate(RoundCertificate),
    /// A report at a round change.
    Status(SignedStatus),
    /// The opening of a term.
    TermInit(SignedTermInit),
    /// Transactions for the leader.
    Txs(Vec<Bytes>),
    /// The sender's head.
    Head(Head),
    /// Transactions for the leader whose senders want an insured amount.
    InsuredTxs(Vec<InsuredTx>),
}

impl Message {
    /// The lane it travels in.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        match self {
            Self::Frame(_) => Lane::Frames,
            Self::Ack(_) | Self::AckCert(_) => Lane::Acks,
            Self::Txs(_) | Self::InsuredTxs(_) | Self::Head(_) => Lane::Bulk,
            _ => Lane::Consensus,
        }
    }
    /// Short name for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Frame(_) => "frame",
            Self::Ack(_) => "ack",
            Self::AckCert(_) => "ack certificate",
            Self::Vote(_) => "vote",
            Self::Proposal(_) => "proposal",
            Self::Polka(_) => "polka",
            Self::RoundCertificate(_) => "round certificate",
            Self::Status(_) => "status",
            Self::TermInit(_) => "term init",
            Self::Txs(_) => "transactions",
            Self::Head(_) => "head",
            Self::InsuredTxs(_) => "insured transactions",
        }
    }
}

impl Encode for Head {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.height).hash(&self.value_id).u64(self.oldest);
    }
}

impl Decode for Head {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: r.u64("height")?,
            value_id: r.hash("value_id")?,
            oldest: r.u64("oldest")?,
        })
    }
}

impl Encode for InsuredTx {
    fn encode_to(&self, w: &mut Writer) {
        w.u128(self.insured).bytes(&self.raw);
    }
}

impl Decode for InsuredTx {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let insured = r.u128("insured amount")?;
        if insured == 0 {
            return Err(DecodeError::Invalid("an insured amount of zero"));
        }
        Ok(Self { raw: r.bytes("transaction", MAX_TX_BYTES)?, insured })
    }
}

impl Encode for Message {
    fn encode_to(&self, w: &mut Writer) {
        match self {
            Self::Frame(x) => x.encode_to(w.u8(1)),
            Self::Ack(x) => x.encode_to(w.u8(2)),
            Self::AckCert(x) => x.encode_to(w.u8(3)),
            Self::Vote(x) => x.encode_to(w.u8(4)),
            Self::Proposal(x) => x.encode_to(w.u8(5)),
            Self::Polka(x) => x.encode_to(w.u8(6)),
            Self::RoundCertificate(x) => x.encode_to(w.u8(7)),
            Self::Status(x) => x.encode_to(w.u8(8)),
            Self::TermInit(x) => x.encode_to(w.u8(9)),
            Self::Txs(x) => {
                w.u8(10).u32(u32::try_from(x.len()).unwrap_or(u32::MAX));
                for tx in x {
                    w.bytes(tx);
                }
            }
            Self::Head(x) => x.encode_to(w.u8(11)),
            Self::InsuredTxs(x) => {
                w.u8(12).list(x);
            }
        }
    }
}

impl Decode for Message {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match r.u8("message kind")? {
            1 => Self::Frame(SignedFrame::decode_from(r)?),
            2 => Self::Ack(SignedAck::decode_from(r)?),
            3 => Self::AckCert(AckCert::decode_from(r)?),
            4 => Self::Vote(SignedVote::decode_from(r)?),
            5 => Self::Proposal(Box::new(SignedProposal::decode_from(r)?)),
            6 => Self::Polka(PolkaCertificate::decode_from(r)?),
            7 => Self::RoundCertificate(RoundCertificate::decode_from(r)?),
            8 => Self::Status(SignedStatus::decode_from(r)?),
            9 => Self::TermInit(SignedTermInit::decode_from(r)?),
            10 => {
                let n = r.count("bundle", MAX_BUNDLE)?;
                let mut txs = Vec::new();
                for _ in 0..n {
                    txs.push(r.bytes("transaction", MAX_TX_BYTES)?);
                }
                Self::Txs(txs)
            }
            11 => Self::Head(Head::decode_from(r)?),
            12 => Self::InsuredTxs(r.list("insured bundle", MAX_INSURED_BUNDLE)?),
            _ => return Err(DecodeError::Invalid("unknown message kind")),
        })
    }
}

/// A decided height as it is stored and synced: everything needed to check it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedHeight {
    /// The decided header.
    pub header: Header,
    /// The certificate.
    pub certificate: CommitCertificate,
    /// The frames of the height with the leader's signatures.
    pub frames: Vec<SignedFrame>,
}

impl Encode for DecidedHeight {
    fn encode_to(&self, w: &mut Writer) {
        self.header.encode_to(w);
        self.certificate.encode_to(w);
        w.list(&self.frames);
    }
}

impl Decode for DecidedHeight {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            header: Header::decode_from(r)?,
            certificate: CommitCertificate::decode_from(r)?,
            frames: r.list("frames of a height", MAX_FRAMES)?,
        })
    }
}

/// A question to one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The frames that end with `tip`, from position `from_g` on.
    Frames {
        /// First position wanted.
        from_g: u64,
        /// Hash of the last frame wanted.
        tip: B256,
    },
    /// Decided heights from `from` on.
    Heights {
        /// First height wanted.
        from: u64,
        /// How many, at most.
        count: u32,
    },
    /// What a Status of an undecided height names as its `best_ref`.
    Justification {
        /// The height.
        height: u64,
        /// The name.
        reference: B256,
    },
    /// What members signed, as this node saw it, for who looks for contradictions.
    Witness {
        /// Number of the first statement wanted; each node numbers its own, from 0.
        from: u64,
        /// How many, at most.
        count: u32,
    },
    /// The newest that this node knows of what one member signed; asked by that member, before it signs with an empty
    /// guard. Answered by `Witness` from 0.
    SignedBy {
        /// Epoch of the set that names it.
        epoch: u64,
        /// Its index there.
        signer: u16,
    },
}

impl Encode for Request {
    fn encode_to(&self, w: &mut Writer) {
        match self {
            Self::Frames { from_g, tip } => w.u8(1).u64(*from_g).hash(tip),
            Self::Heights { from, count } => w.u8(2).u64(*from).u32(*count),
            Self::Justification { height, reference } => w.u8(3).u64(*height).hash(reference),
            Self::Witness { from, count } => w.u8(4).u64(*from).u32(*count),
            Self::SignedBy { epoch, signer } => w.u8(5).u64(*epoch).u16(*signer),
        };
    }
}

impl Decode for Request {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match r.u8("request kind")? {
            1 => Self::Frames { from_g: r.u64("from_g")?, tip: r.hash("tip")? },
            2 => Self::Heights { from: r.u64("from")?, count: r.u32("count")? },
            3 => Self::Justification { height: r.u64("height")?, reference: r.hash("reference")? },
            4 => Self::Witness { from: r.u64("from")?, count: r.u32("count")? },
            5 => Self::SignedBy { epoch: r.u64("epoch")?, signer: r.u16("signer")? },
            _ => return Err(DecodeError::Invalid("unknown request kind")),
        })
    }
}

/// The answer. An empty list means "I do not have it".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Frames in order.
    Frames(Vec<SignedFrame>),
    /// Decided heights in order.
    Heights(Vec<DecidedHeight>),
    /// The justification, if it is here.
    Justification(Option<Box<Justification>>),
    /// Signed statements, unverified.
    Witness {
        /// Number of the first one here: above the one asked for if those before are not kept any more.
        from: u64,
        /// In the order in which the node saw them.
        statements: Vec<Signed>,
    },
}

impl Encode for Response {
    fn encode_to(&self, w: &mut Writer) {
        match self {
            Self::Frames(x) => w.u8(1).list(x),
            Self::Heights(x) => w.u8(2).list(x),
            Self::Justification(None) => w.u8(3).u8(0),
            Self::Justification(Some(x)) => {
                x.encode_to(w.u8(3).u8(1));
                w
            }
            Self::Witness { from, statements } => w.u8(4).u64(*from).list(statements),
        };
    }
}

impl Decode for Response {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match r.u8("response kind")? {
            1 => Self::Frames(r.list("frames", MAX_FRAMES)?),
            2 => Self::Heights(r.list("heights", MAX_HEIGHTS)?),
            3 => Self::Justification(match r.u8("justification")? {
                0 => None,
                1 => Some(Box::new(Justification::decode_from(r)?)),
                _ => return Err(DecodeError::Invalid("justification must be 0 or 1")),
            }),
            4 => Self::Witness {
                from: r.u64("from")?,
                statements: r.list("signed statements", MAX_WITNESSED)?,
            },
            _ => return Err(DecodeError::Invalid("unknown response kind")),
        })
    }
}
