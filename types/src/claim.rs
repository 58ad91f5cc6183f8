//! What an insured user brings to L1: that an acked frame is not on the log, and the transaction in it
//! (`docs/insurance.md`, "Claim").
//!
//! Two steps, so that one ack certificate serves every claim: a [`Reversion`] for the frames, a [`Claim`] for each
//! transaction. Not for: which offence pays for it (the Slasher contract).
//! Invariant: `verify` accepts exactly what the contract accepts, and the bytes have one form.

use crate::{
    AckCert, Bitmap, CommitCertificate, Decode, DecodeError, Domain, Encode, FrameHeader, Header,
    MAX_TX_BYTES, MerkleProof, Reader, Receipt, SeqSignature, ValidatorSet, VoteSignature, Writer,
    evidence::{get_branch, get_signers, put_branch, put_signers},
    verify_tx,
};
use alloy_primitives::{B256, Bytes, keccak256};

/// Most frame headers from an acked frame down to the one that is meant.
pub const MAX_CLAIM_CHAIN: usize = 256;
const VERSION: u8 = 1;

/// Why a claim does not hold. Whoever built it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// A part of the receipt does not decode.
    #[error("the receipt does not decode: {0}")]
    Receipt(#[from] DecodeError),
    /// The receipt has no ack certificate.
    #[error("the receipt was never acked: insurance counts from acked on")]
    NotAcked,
    /// Nothing was insured.
    #[error("the receipt has no insured amount")]
    NotInsured,
    /// The receipt does not bring the transaction, or another one.
    #[error("the signed transaction is needed, the one that the receipt names")]
    Transaction,
    /// The headers do not lead from the acked frame to the one that is meant.
    #[error("the frame headers do not hang together")]
    Chain,
    /// The acks are not of more than two thirds.
    #[error("the ack certificate does not verify")]
    Acks,
    /// The header is not decided.
    #[error("the commit certificate does not verify")]
    Commit,
    /// The decided header has the frame, or none at its position.
    #[error("the decided height does not exclude the frame")]
    NotExcluded,
    /// The transaction is not at that place.
    #[error("the transaction is not at that place in the frame")]
    Position,
}

/// Shows that frames which more than two thirds stored are not on the decided log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversion {
    /// Generation of all signatures in it.
    pub generation: u32,
    /// Acks for the first frame of `chain`.
    pub acks: AckCert,
    /// Frame headers from the acked one down to one that is not on the log; at least one.
    pub chain: Vec<FrameHeader>,
    /// The decided height that has the position of the last of them.
    pub header: Header,
    /// Its certificate.
    pub commit: CommitCertificate,
    /// The frame hash that it has there.
    pub leaf: B256,
    /// Place of that hash in `frames_root`.
    pub branch: MerkleProof,
}

/// An insured transaction on frames that were shown to be off the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Frame headers from the acked one of the reversion down to the one with the transaction; at least one.
    pub chain: Vec<FrameHeader>,
    /// Insured amount, wei.
    pub insured: u128,
    /// Place of the transaction in the last frame of `chain`.
    pub position: MerkleProof,
    /// The transaction, EIP-2718: its signer is paid.
    pub raw: Bytes,
}

impl Reversion {
    /// From a receipt and the decided height that excludes its frame; `hashes` are the frame hashes of that height,
    /// in order.
    ///
    /// # Errors
    /// [`ClaimError`] names what is missing.
    pub fn of(
        receipt: &Receipt,
        header: Header,
        commit: CommitCertificate,
        hashes: &[B256],
    ) -> Result<Self, ClaimError> {
        let (acks, chain) = acked(receipt)?;
        let g = chain.last().map_or(0, |f| f.g);
        let at = g.checked_sub(header.first_g).and_then(|n| u32::try_from(n).ok());
        let at = at.ok_or(ClaimError::NotExcluded)?;
        let slot = usize::try_from(at).map_err(|_| ClaimError::NotExcluded)?;
        let leaf = *hashes.get(slot).ok_or(ClaimError::NotExcluded)?;
        let branch = crate::tx_proof(hashes, &[], at).ok_or(ClaimError::NotExcluded)?;
        let generation = receipt.domain.generation;
        Ok(Self { generation, acks, chain, header, commit, leaf, branch })
    }

    /// Checks everything in it. `acked` is the set of the acks, `decided` that of the certificate.
    ///
    /// # Errors
    /// [`ClaimError`] names the part that does not hold.
    pub fn verify(
        &self,
        acked: &ValidatorSet,
        decided: &ValidatorSet,
        domain: &Domain,
    ) -> Result<(), ClaimError> {
        let acks = &self.acks;
        let lowest = linked(&self.chain, (acks.g, acks.frame_hash), domain)?;
        if self.chain.iter().any(|f| f.epoch != acks.epoch) {
            return Err(ClaimError::Chain);
        }
        let weight = acks.verify(acked, domain).map_err(|_| ClaimError::Acks)?;
        if !acked.is_quorum(weight) || domain.generation != self.generation {
            return Err(ClaimError::Acks);
        }
        let (header, close) = (&self.header, &self.header.close);
        let same = self.commit.value_id == header.value_id(domain)
            && self.commit.height == close.height
            && self.commit.epoch == close.epoch
            && close.generation == self.generation;
        if !same || self.commit.verify(decided, domain).is_err() {
            return Err(ClaimError::Commit);
        }
        let index = lowest.g.checked_sub(header.first_g);
        let count = header.last_g.checked_sub(header.first_g).and_then(|n| n.checked_add(1));
        let placed = index == Some(u64::from(self.branch.index))
            && count == Some(u64::from(self.branch.count));
        let is_in = verify_tx(&header.frames_root, &self.leaf, 0, &self.branch);
        if placed && is_in && self.leaf != lowest.hash(domain) {
            Ok(())
        } else {
            Err(ClaimError::NotExcluded)
        }
    }
}

impl Claim {
    /// From a receipt that brings its transaction.
    ///
    /// # Errors
    /// [`ClaimError`] names what is missing.
    pub fn of(receipt: &Receipt) -> Result<Self, ClaimError> {
        let (_, chain) = acked(receipt)?;
        if receipt.insured == 0 {
            return Err(ClaimError::NotInsured);
        }
        let raw = receipt.transaction.clone().ok_or(ClaimError::Transaction)?;
        if keccak256(&raw) != receipt.transaction_hash {
            return Err(ClaimError::Transaction);
        }
        Ok(Self { chain, insured: receipt.insured, position: receipt.position.clone(), raw })
    }

    /// Checks everything in it but the signature of the transaction: `acked` is the acked frame of a reversion,
    /// position and hash, `from_g` the position from which that showed the frames to be off the log.
    ///
    /// # Errors
    /// [`ClaimError`] names the part that does not hold.
    pub fn verify(
        &self,
        acked: (u64, B256),
        from_g: u64,
        domain: &Domain,
    ) -> Result<(), ClaimError> {
        let frame = linked(&self.chain, acked, domain)?;
        if frame.g < from_g {
            return Err(ClaimError::NotExcluded);
        }
        let hash = keccak256(&self.raw);
        let placed = self.position.count == frame.tx_count
            && verify_tx(&frame.tx_root, &hash, self.insured, &self.position);
        if self.insured == 0 {
            return Err(ClaimError::NotInsured);
        }
        if placed { Ok(()) } else { Err(ClaimError::Position) }
    }
}

/// The acks of a receipt, and the headers from the acked frame down to its own.
fn acked(receipt: &Receipt) -> Result<(AckCert, Vec<FrameHeader>), ClaimError> {
    let proof = receipt.acked.as_ref().ok_or(ClaimError::NotAcked)?;
    let above = proof.headers.iter().rev();
    let chain = above.chain([&receipt.frame]).map(|bytes| FrameHeader::decode(bytes));
    Ok((AckCert::decode(&proof.certificate)?, chain.collect::<Result<_, _>>()?))
}

/// The last header of a chain that begins with the frame `tip`.
fn linked<'a>(
    chain: &'a [FrameHeader],
    tip: (u64, B256),
    domain: &Domain,
) -> Result<&'a FrameHeader, ClaimError> {
    let (mut g, mut hash) = tip;
    let mut last = None;
    if chain.len() > MAX_CLAIM_CHAIN {
        return Err(ClaimError::Chain);
    }
    for header in chain {
        if header.g != g || header.hash(domain) != hash {
            return Err(ClaimError::Chain);
        }
        (g, hash) = (g.saturating_sub(1), header.prev_hash);
        last = Some(header);
    }
    last.ok_or(ClaimError::Chain)
}

impl Encode for Reversion {
    fn encode_to(&self, w: &mut Writer) {
        let (acks, commit) = (&self.acks, &self.commit);
        w.u8(VERSION).u32(self.generation).u64(acks.epoch).u64(acks.height).u32(acks.round);
        w.hash(&acks.init_hash);
        put_signers(w, &acks.signers, &acks.signatures);
        put_chain(w, &self.chain);
        self.header.encode_to(w);
        w.u32(commit.round);
        put_signers(w, &commit.signers, &commit.signatures);
        w.hash(&self.leaf);
        put_branch(w, &self.branch);
    }
}

/// Position and hash of the acks are those of the chain's first header, so decoding needs the domain.
impl Reversion {
    /// Reads a reversion that fills `bytes` exactly.
    ///
    /// # Errors
    /// [`DecodeError`]: not the one form of it.
    pub fn decode(bytes: &[u8], domain: &Domain) -> Result<Self, DecodeError> {
        let r = &mut Reader::new(bytes);
        version(r)?;
        let (generation, epoch) = (r.u32("generation")?, r.u64("epoch")?);
        let (height, round, init_hash) =
            (r.u64("ack height")?, r.u32("ack round")?, r.hash("init_hash")?);
        let (signers, signatures): (Bitmap, Vec<SeqSignature>) = get_signers(r)?;
        let chain = get_chain(r)?;
        let (g, frame_hash) = chain.first().map_or((0, B256::ZERO), |f| (f.g, f.hash(domain)));
        let acks = AckCert { epoch, height, round, g, frame_hash, init_hash, signers, signatures };
        let header = Header::decode_from(r)?;
        let round = r.u32("commit round")?;
        let (signers, signatures): (Bitmap, Vec<VoteSignature>) = get_signers(r)?;
        let commit = CommitCertificate {
            epoch: header.close.epoch,
            height: header.close.height,
            round,
            value_id: header.value_id(domain),
            signers,
            signatures,
        };
        let (leaf, branch) = (r.hash("leaf")?, get_branch(r)?);
        r.end()?;
        Ok(Self { generation, acks, chain, header, commit, leaf, branch })
    }
}

impl Encode for Claim {
    fn encode_to(&self, w: &mut Writer) {
        w.u8(VERSION);
        put_chain(w, &self.chain);
        w.u32(self.position.index).u128(self.insured);
        put_branch(w, &self.position);
        w.bytes(&self.raw);
    }
}

impl Decode for Claim {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        version(r)?;
        let chain = get_chain(r)?;
        let (index, insured) = (r.u32("index")?, r.u128("insured amount")?);
        let position = get_branch(r)?;
        if position.index != index {
            return Err(DecodeError::Invalid("the branch is of another index"));
        }
        Ok(Self { chain, insured, position, raw: r.bytes("transaction", MAX_TX_BYTES)? })
    }
}

fn version(r: &mut Reader<'_>) -> Result<(), DecodeError> {
    if r.u8("claim version")? == VERSION {
        Ok(())
    } else {
        Err(DecodeError::Invalid("unknown claim version"))
    }
}

/// `count:u16 || header:273*`, at least one.
fn put_chain(w: &mut Writer, chain: &[FrameHeader]) {
    w.u16(u16::try_from(chain.len()).unwrap_or(u16::MAX));
    for header in chain {
        header.encode_to(w);
    }
}

fn get_chain(r: &mut Reader<'_>) -> Result<Vec<FrameHeader>, DecodeError> {
    let got = usize::from(r.u16("chain")?);
    if got == 0 || got > MAX_CLAIM_CHAIN {
        return Err(DecodeError::Bound { what: "chain", max: MAX_CLAIM_CHAIN, got });
    }
    (0..got).map(|_| FrameHeader::decode_from(r)).collect()
}
