//! Evidence: two or more signed messages that no correct validator signs together, or a certificate against what L1 holds
//! for proven, as bytes that Rust and the contract judge alike (`docs/protocol.md`, "Evidence").
//!
//! Not for: finding it (`preconf::Watch`), and not for what it costs (the Slasher contract).
//! Invariant: `Evidence::verify_proven`, given the hash that L1 has, accepts exactly what the contract accepts; nothing in evidence rests on time, on
//! the network or on who reports it.

mod block;
mod codec;
mod file;
mod judge;
mod sealed;

pub use block::FalseBlock;
pub(crate) use codec::{get_branch, get_chain, get_signers, put_branch, put_chain, put_signers};
pub use file::{EvidenceFile, EvidenceFileError};
pub use judge::{EvidenceError, Verdict};
pub use sealed::Sealed;

use crate::{
    Ack, Bitmap, FrameHeader, Header, MerkleProof, Proposal, Status, TermInit, Vote, VoteSignature,
};
use alloy_primitives::{B256, U256, keccak256};

/// Version in the first byte.
pub const EVIDENCE_VERSION: u8 = 1;
/// Most frame headers in one chain.
pub const MAX_CHAIN: usize = 64;
/// No evidence is longer, bytes: two certificates of 256 signers.
pub const MAX_EVIDENCE: usize = 16 + 2 * (8 + 4 + 32 + 1 + 32 + 256 * 65);
/// In place of the accused where the evidence itself names several.
pub const ACCUSED_MANY: u16 = u16::MAX;

/// A frame header with the leader's signature.
pub type SealedFrame = Sealed<FrameHeader, 64>;
/// A TermInit with the leader's signature, without the reports.
pub type SealedInit = Sealed<TermInit, 64>;
/// An ack with its signature.
pub type SealedAck = Sealed<Ack, 64>;
/// A report with its signature.
pub type SealedStatus = Sealed<Status, 65>;
/// A vote with its signature; the signer is known from elsewhere.
pub type SealedVote = Sealed<Vote, 65>;
/// A proposal with its signature, without the header.
pub type SealedProposal = Sealed<Proposal, 65>;

/// What shows that `accused` broke a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Generation of the domain that the messages are signed for.
    pub generation: u32,
    /// Epoch of the set that the accused is in.
    pub epoch: u64,
    /// Index in that set; [`ACCUSED_MANY`] for certificates.
    pub accused: u16,
    /// The messages.
    pub proof: Proof,
}

/// The messages, by what is wrong with them. The order within a pair is that of the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Two frames for one place of a term.
    FrameTwice(Box<[SealedFrame; 2]>),
    /// Two openings of one round.
    InitTwice(Box<[SealedInit; 2]>),
    /// A frame after the end of its term, or in a height that does not follow.
    PastEnd(Box<[SealedFrame; 2]>),
    /// Two frames in a row of a term, of which the second does not name the first.
    Unchained(Box<[SealedFrame; 2]>),
    /// A proposal that cuts another log than its proposer signed.
    OtherCut(Box<OtherCut>),
    /// Two acks of one round on two branches. The chain leads from the second to the position of the first.
    AckTwice {
        /// The acks, lower position first.
        acks: Box<[SealedAck; 2]>,
        /// Frame headers from the second ack's frame down.
        chain: Vec<FrameHeader>,
    },
    /// Two reports for one round.
    StatusTwice(Box<[SealedStatus; 2]>),
    /// An ack that excludes a value prevoted in the same or an earlier round.
    AckAgainstVote(Box<AckAgainstVote>),
    /// A report that leaves out what its signer acked in an earlier round.
    StatusHidesAck {
        /// The ack.
        ack: Box<SealedAck>,
        /// The report of a later round.
        status: Box<SealedStatus>,
        /// Frame headers from the reported tip down to the position of the ack.
        chain: Vec<FrameHeader>,
    },
    /// Two votes of one kind in one round.
    VoteTwice(Box<[SealedVote; 2]>),
    /// Two proposals in one round.
    ProposalTwice(Box<[SealedProposal; 2]>),
    /// Two commit certificates of one height and round.
    CertTwice(Box<[CertVotes; 2]>),
    /// A report that leaves out what its signer prevoted in an earlier round.
    StatusHidesVote(Box<StatusHidesVote>),
    /// A certificate of a header whose checkpoint names another hash than the block has that is proven.
    FalseBlock(Box<FalseBlock>),
}

/// [`Proof::OtherCut`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherCut {
    /// The fresh proposal.
    pub proposal: SealedProposal,
    /// The header that it names.
    pub header: Header,
    /// The proposer's own frame in the term that closes.
    pub frame: SealedFrame,
    /// Frame hash that the header has in its place.
    pub leaf: B256,
    /// Its branch in `frames_root`.
    pub branch: MerkleProof,
}

/// [`Proof::AckAgainstVote`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckAgainstVote {
    /// The ack.
    pub ack: SealedAck,
    /// The prevote.
    pub vote: SealedVote,
    /// The header of the value voted for.
    pub header: Header,
    /// Frame hash that the header has at the ack's position; zero if that is above the header.
    pub leaf: B256,
    /// Its branch in `frames_root`; empty if the position is above the header.
    pub branch: MerkleProof,
    /// Frame headers from the acked frame down to the header's last position.
    pub chain: Vec<FrameHeader>,
}

/// [`Proof::StatusHidesVote`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusHidesVote {
    /// The prevote.
    pub vote: SealedVote,
    /// The header of the value voted for.
    pub header: Header,
    /// The report of a later round.
    pub status: SealedStatus,
    /// Frame headers from the reported tip down to the header's last position.
    pub chain: Vec<FrameHeader>,
}

/// The precommits of a commit certificate; the epoch is that of the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertVotes {
    /// The height.
    pub height: u64,
    /// The round.
    pub round: u32,
    /// The value.
    pub value_id: B256,
    /// Who signed.
    pub signers: Bitmap,
    /// Their signatures, in ascending index.
    pub signatures: Vec<VoteSignature>,
}

/// The rows of the table of offences; the number is the byte in the encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is the variant of `Proof` of the same name")]
pub enum EvidenceKind {
    FrameTwice = 1,
    InitTwice = 2,
    PastEnd = 3,
    Unchained = 4,
    OtherCut = 5,
    AckTwice = 6,
    StatusTwice = 7,
    AckAgainstVote = 8,
    StatusHidesAck = 9,
    VoteTwice = 10,
    ProposalTwice = 11,
    CertTwice = 12,
    StatusHidesVote = 13,
    FalseBlock = 14,
}

impl EvidenceKind {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::FrameTwice,
        Self::InitTwice,
        Self::PastEnd,
        Self::Unchained,
        Self::OtherCut,
        Self::AckTwice,
        Self::StatusTwice,
        Self::AckAgainstVote,
        Self::StatusHidesAck,
        Self::VoteTwice,
        Self::ProposalTwice,
        Self::CertTwice,
        Self::StatusHidesVote,
        Self::FalseBlock,
    ];

    /// Its name, as in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FrameTwice => "FrameTwice",
            Self::InitTwice => "InitTwice",
            Self::PastEnd => "PastEnd",
            Self::Unchained => "Unchained",
            Self::OtherCut => "OtherCut",
            Self::AckTwice => "AckTwice",
            Self::StatusTwice => "StatusTwice",
            Self::AckAgainstVote => "AckAgainstVote",
            Self::StatusHidesAck => "StatusHidesAck",
            Self::VoteTwice => "VoteTwice",
            Self::ProposalTwice => "ProposalTwice",
            Self::CertTwice => "CertTwice",
            Self::StatusHidesVote => "StatusHidesVote",
            Self::FalseBlock => "FalseBlock",
        }
    }

    /// What it costs.
    #[must_use]
    pub const fn class(self) -> OffenceClass {
        match self {
            Self::FrameTwice
            | Self::InitTwice
            | Self::PastEnd
            | Self::Unchained
            | Self::OtherCut => OffenceClass::Equivocation,
            Self::CertTwice => OffenceClass::Full,
            Self::FalseBlock => OffenceClass::Execution,
            _ => OffenceClass::Correlated,
        }
    }
}

/// Classes of penalties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum OffenceClass {
    /// A tenth of the stake and what valid claims need.
    Equivocation = 1,
    /// Grows with the stake that is slashed at the same time.
    Correlated = 2,
    /// Everything.
    Full = 3,
    /// A tenth of the stake, whatever came of it: an honest set can run a faulty program.
    Execution = 4,
}

/// Where an offence happened: with the accused, what names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffencePlace {
    /// Offences of one group in one place are one offence.
    pub group: u8,
    /// Generation of the domain.
    pub generation: u32,
    /// Epoch of the set.
    pub epoch: u64,
    /// Height, or height of the term.
    pub height: u64,
    /// Round, or round of the term.
    pub round: u32,
}

impl OffencePlace {
    /// `keccak256("rota/offence/v1" || group:u8 || generation:u32 || epoch:u64 || operator:u256 || height:u64 ||
    /// round:u32)`: what the Slasher counts once.
    #[must_use]
    pub fn key(&self, operator: U256) -> B256 {
        let mut bytes = Vec::with_capacity(72);
        bytes.extend_from_slice(b"rota/offence/v1");
        bytes.push(self.group);
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        bytes.extend_from_slice(&operator.to_be_bytes::<32>());
        bytes.extend_from_slice(&self.height.to_be_bytes());
        bytes.extend_from_slice(&self.round.to_be_bytes());
        keccak256(bytes)
    }
}

impl Evidence {
    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> EvidenceKind {
        self.proof.kind()
    }

    /// Where it happened.
    #[must_use]
    pub fn place(&self) -> OffencePlace {
        let (group, height, round) = self.proof.place();
        OffencePlace { group, generation: self.generation, epoch: self.epoch, height, round }
    }

    /// Number of the execution block whose proven hash on L1 it rests on; none for what shows itself.
    #[must_use]
    pub fn rests_on(&self) -> Option<u64> {
        match &self.proof {
            Proof::FalseBlock(x) => Some(x.point.block_number),
            _ => None,
        }
    }
}

impl Proof {
    /// The row of the table.
    #[must_use]
    pub const fn kind(&self) -> EvidenceKind {
        match self {
            Self::FrameTwice(_) => EvidenceKind::FrameTwice,
            Self::InitTwice(_) => EvidenceKind::InitTwice,
            Self::PastEnd(_) => EvidenceKind::PastEnd,
            Self::Unchained(_) => EvidenceKind::Unchained,
            Self::OtherCut(_) => EvidenceKind::OtherCut,
            Self::AckTwice { .. } => EvidenceKind::AckTwice,
            Self::StatusTwice(_) => EvidenceKind::StatusTwice,
            Self::AckAgainstVote(_) => EvidenceKind::AckAgainstVote,
            Self::StatusHidesAck { .. } => EvidenceKind::StatusHidesAck,
            Self::VoteTwice(_) => EvidenceKind::VoteTwice,
            Self::ProposalTwice(_) => EvidenceKind::ProposalTwice,
            Self::CertTwice(_) => EvidenceKind::CertTwice,
            Self::StatusHidesVote(_) => EvidenceKind::StatusHidesVote,
            Self::FalseBlock(_) => EvidenceKind::FalseBlock,
        }
    }

    /// Group, height and round: those of the first message, or its term.
    fn place(&self) -> (u8, u64, u32) {
        match self {
            Self::FrameTwice(pair) | Self::PastEnd(pair) | Self::Unchained(pair) => {
                of_term(first(pair))
            }
            Self::OtherCut(x) => of_term(&x.frame),
            Self::InitTwice(pair) => {
                let init = &first(pair).content;
                (2, init.height, init.round)
            }
            Self::AckTwice { acks, .. } => of_ack(first(acks)),
            Self::AckAgainstVote(x) => of_ack(&x.ack),
            Self::StatusHidesAck { ack, .. } => of_ack(ack),
            Self::StatusHidesVote(x) => (3, x.vote.content.height, x.vote.content.round),
            Self::StatusTwice(pair) => {
                let status = &first(pair).content;
                (3, status.height, status.round)
            }
            Self::ProposalTwice(pair) => {
                let proposal = &first(pair).content;
                (3, proposal.height, proposal.round)
            }
            Self::VoteTwice(pair) => {
                let vote = &first(pair).content;
                (3u8.saturating_add(vote.kind as u8), vote.height, vote.round)
            }
            Self::CertTwice(pair) => {
                let votes = first(pair);
                (6, votes.height, votes.round)
            }
            Self::FalseBlock(x) => (7, x.votes.height, x.votes.round),
        }
    }
}

const fn first<T>(pair: &[T; 2]) -> &T {
    let [a, _] = pair;
    a
}

const fn of_term(frame: &SealedFrame) -> (u8, u64, u32) {
    (1, frame.content.term.height, frame.content.term.round)
}

const fn of_ack(ack: &SealedAck) -> (u8, u64, u32) {
    (3, ack.content.height, ack.content.round)
}
