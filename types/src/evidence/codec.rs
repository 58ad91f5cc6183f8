//! The bytes of evidence: `version:u8 || kind:u8 || generation:u32 || epoch:u64 || accused:u16`, then the body.
//!
//! Not for: judging it. Invariant (I-26): counts are checked before anything is read.

use super::{
    AckAgainstVote, CertVotes, EVIDENCE_VERSION, Evidence, EvidenceKind, FalseBlock, MAX_CHAIN,
    OtherCut, Proof, StatusHidesVote,
};
use crate::{
    Bitmap, Decode, DecodeError, Encode, FrameHeader, Header, MerkleProof, Reader, Writer,
};

/// Longest branch: a tree counts its leaves in 32 bits.
const MAX_DEPTH: u8 = 32;
/// Longest bitmap, bytes.
const MAX_BITMAP: u8 = 32;

impl Encode for Evidence {
    fn encode_to(&self, w: &mut Writer) {
        w.u8(EVIDENCE_VERSION).u8(self.kind() as u8);
        w.u32(self.generation).u64(self.epoch).u16(self.accused);
        self.proof.encode_to(w);
    }
}

impl Decode for Evidence {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if r.u8("evidence version")? != EVIDENCE_VERSION {
            return Err(DecodeError::Invalid("unknown evidence version"));
        }
        let kind = kind(r.u8("evidence kind")?)?;
        Ok(Self {
            generation: r.u32("generation")?,
            epoch: r.u64("epoch")?,
            accused: r.u16("accused")?,
            proof: proof(kind, r)?,
        })
    }
}

fn kind(byte: u8) -> Result<EvidenceKind, DecodeError> {
    let known = EvidenceKind::ALL.into_iter().find(|k| *k as u8 == byte);
    known.ok_or(DecodeError::Invalid("unknown evidence kind"))
}

impl Encode for Proof {
    fn encode_to(&self, w: &mut Writer) {
        match self {
            Self::FrameTwice(x) | Self::PastEnd(x) | Self::Unchained(x) => both(w, x),
            Self::InitTwice(x) => both(w, x),
            Self::OtherCut(x) => {
                x.proposal.encode_to(w);
                x.header.encode_to(w);
                x.frame.encode_to(w);
                w.hash(&x.leaf);
                put_branch(w, &x.branch);
            }
            Self::AckTwice { acks, chain } => {
                both(w, acks);
                put_chain(w, chain);
            }
            Self::StatusTwice(x) => both(w, x),
            Self::AckAgainstVote(x) => {
                x.ack.encode_to(w);
                x.vote.encode_to(w);
                x.header.encode_to(w);
                w.hash(&x.leaf);
                put_branch(w, &x.branch);
                put_chain(w, &x.chain);
            }
            Self::StatusHidesAck { ack, status, chain } => {
                ack.encode_to(w);
                status.encode_to(w);
                put_chain(w, chain);
            }
            Self::VoteTwice(x) => both(w, x),
            Self::ProposalTwice(x) => both(w, x),
            Self::CertTwice(x) => both(w, x),
            Self::StatusHidesVote(x) => {
                x.vote.encode_to(w);
                x.header.encode_to(w);
                x.status.encode_to(w);
                put_chain(w, &x.chain);
            }
            Self::FalseBlock(x) => x.encode_to(w),
        }
    }
}

fn proof(kind: EvidenceKind, r: &mut Reader<'_>) -> Result<Proof, DecodeError> {
    Ok(match kind {
        EvidenceKind::FrameTwice => Proof::FrameTwice(pair(r)?),
        EvidenceKind::InitTwice => Proof::InitTwice(pair(r)?),
        EvidenceKind::PastEnd => Proof::PastEnd(pair(r)?),
        EvidenceKind::Unchained => Proof::Unchained(pair(r)?),
        EvidenceKind::OtherCut => Proof::OtherCut(Box::new(OtherCut {
            proposal: Decode::decode_from(r)?,
            header: Header::decode_from(r)?,
            frame: Decode::decode_from(r)?,
            leaf: r.hash("leaf")?,
            branch: get_branch(r)?,
        })),
        EvidenceKind::AckTwice => Proof::AckTwice { acks: pair(r)?, chain: get_chain(r)? },
        EvidenceKind::StatusTwice => Proof::StatusTwice(pair(r)?),
        EvidenceKind::AckAgainstVote => Proof::AckAgainstVote(Box::new(AckAgainstVote {
            ack: Decode::decode_from(r)?,
            vote: Decode::decode_from(r)?,
            header: Header::decode_from(r)?,
            leaf: r.hash("leaf")?,
            branch: get_branch(r)?,
            chain: get_chain(r)?,
        })),
        EvidenceKind::StatusHidesAck => Proof::StatusHidesAck {
            ack: Box::new(Decode::decode_from(r)?),
            status: Box::new(Decode::decode_from(r)?),
            chain: get_chain(r)?,
        },
        EvidenceKind::VoteTwice => Proof::VoteTwice(pair(r)?),
        EvidenceKind::ProposalTwice => Proof::ProposalTwice(pair(r)?),
        EvidenceKind::CertTwice => Proof::CertTwice(pair(r)?),
        EvidenceKind::StatusHidesVote => Proof::StatusHidesVote(Box::new(StatusHidesVote {
            vote: Decode::decode_from(r)?,
            header: Header::decode_from(r)?,
            status: Decode::decode_from(r)?,
            chain: get_chain(r)?,
        })),
        EvidenceKind::FalseBlock => Proof::FalseBlock(Box::new(FalseBlock::decode_from(r)?)),
    })
}

fn both<T: Encode>(w: &mut Writer, pair: &[T; 2]) {
    pair[0].encode_to(w);
    pair[1].encode_to(w);
}

fn pair<T: Decode>(r: &mut Reader<'_>) -> Result<Box<[T; 2]>, DecodeError> {
    Ok(Box::new([T::decode_from(r)?, T::decode_from(r)?]))
}

/// `count:u16 || header:273*`.
pub(crate) fn put_chain(w: &mut Writer, chain: &[FrameHeader]) {
    w.u16(u16::try_from(chain.len()).unwrap_or(u16::MAX));
    for header in chain {
        header.encode_to(w);
    }
}

pub(crate) fn get_chain(r: &mut Reader<'_>) -> Result<Vec<FrameHeader>, DecodeError> {
    let got = usize::from(r.u16("chain")?);
    if got > MAX_CHAIN {
        return Err(DecodeError::Bound { what: "chain", max: MAX_CHAIN, got });
    }
    (0..got).map(|_| FrameHeader::decode_from(r)).collect()
}

/// `index:u32 || count:u32 || depth:u8 || sibling:32*`.
pub(crate) fn put_branch(w: &mut Writer, branch: &MerkleProof) {
    w.u32(branch.index).u32(branch.count);
    w.u8(u8::try_from(branch.siblings.len()).unwrap_or(u8::MAX));
    for sibling in &branch.siblings {
        w.hash(sibling);
    }
}

pub(crate) fn get_branch(r: &mut Reader<'_>) -> Result<MerkleProof, DecodeError> {
    let (index, count) = (r.u32("leaf index")?, r.u32("leaf count")?);
    let depth = bounded(r, "branch depth", MAX_DEPTH)?;
    let siblings = (0..depth).map(|_| r.hash("sibling")).collect::<Result<_, _>>()?;
    Ok(MerkleProof { index, count, siblings })
}

pub(super) fn bounded(r: &mut Reader<'_>, what: &'static str, max: u8) -> Result<u8, DecodeError> {
    let got = r.u8(what)?;
    if got > max {
        return Err(DecodeError::Bound { what, max: max.into(), got: got.into() });
    }
    Ok(got)
}

/// `length:u8 || bitmap || signature*`, in ascending index.
pub(crate) fn put_signers<const N: usize>(
    w: &mut Writer,
    signers: &Bitmap,
    signatures: &[[u8; N]],
) {
    let bits = signers.as_bytes();
    w.u8(u8::try_from(bits.len()).unwrap_or(u8::MAX)).raw(bits);
    for signature in signatures {
        w.raw(signature);
    }
}

pub(crate) fn get_signers<const N: usize>(
    r: &mut Reader<'_>,
) -> Result<(Bitmap, Vec<[u8; N]>), DecodeError> {
    let length = bounded(r, "bitmap", MAX_BITMAP)?;
    let signers = Bitmap::from_bytes(r.take(length.into(), "bitmap")?)?;
    let signatures = signers.iter().map(|_| r.array("signature")).collect::<Result<_, _>>()?;
    Ok((signers, signatures))
}

impl Encode for CertVotes {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.height).u32(self.round).hash(&self.value_id);
        put_signers(w, &self.signers, &self.signatures);
    }
}

impl Decode for CertVotes {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (height, round) = (r.u64("height")?, r.u32("round")?);
        let value_id = r.hash("value_id")?;
        let (signers, signatures) = get_signers(r)?;
        Ok(Self { height, round, value_id, signers, signatures })
    }
}
