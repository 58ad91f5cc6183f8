//! What an insured user brings to L1: that an acked frame is not on the log, and the transaction in it
//! (`docs/insurance.md`, "Claim").
//!
//! Two steps, so that one ack certificate serves every claim: a [`Reversion`] for the frames, a [`Claim`] for each
//! transaction. Not for: which offence pays for it (the Slasher contract).
//! Invariant: `verify` accepts exactly what the contract accepts, and the bytes have one form.

use crate::{
    AckCert, Bitmap, CommitCertificate, Decode, DecodeError, Domain, Encode, FrameHeader, Header,
    MAX_CHAIN, MAX_TX_BYTES, MerkleProof, Reader, Receipt, SeqSignature, ValidatorSet,
    VoteSignature, Writer,
    evidence::{get_branch, get_chain, get_signers, put_branch, put_chain, put_signers},
    verify_tx,
};
use alloy_primitives::{B256, Bytes, keccak256};

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
    /// The log does not part from the frames where the proof says.
    #[error("the decided height does not exclude the frames, or not from there on")]
    NotExcluded,
    /// The transaction is not at that place.
    #[error("the transaction is not at that place in the frame")]
    Position,
}

/// Shows that frames which more than two thirds stored are not on the decided log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversion {
    /// Acks for the first frame of `chain`.
    pub acks: AckCert,
    /// Frame headers from the acked one down to the first that is not on the log; at least one.
    pub chain: Vec<FrameHeader>,
    /// Where the log parts from them.
    pub fork: Fork,
}

/// The frame that the log has in place of another one, and the decided height that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The frame of the log; names the same frame before it as the other one.
    pub frame: FrameHeader,
    /// Its place in `frames_root`.
    pub branch: MerkleProof,
    /// The decided height.
    pub header: Header,
    /// Its certificate.
    pub commit: CommitCertificate,
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
    /// From a receipt, the headers from below its frame down to the first that is not on the log, and the fork there.
    ///
    /// # Errors
    /// [`ClaimError`] names what is missing.
    pub fn of(receipt: &Receipt, below: &[FrameHeader], fork: Fork) -> Result<Self, ClaimError> {
        let (acks, mut chain) = acked(receipt)?;
        chain.extend_from_slice(below);
        Ok(Self { acks, chain, fork })
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
        let first = linked(&self.chain, (self.acks.g, self.acks.frame_hash), domain)?;
        self.fork.verify(first, decided, domain)?;
        let weight = self.acks.verify(acked, domain).map_err(|_| ClaimError::Acks)?;
        if acked.is_quorum(weight) { Ok(()) } else { Err(ClaimError::Acks) }
    }
}

impl Fork {
    /// Checks that the log has another frame in the place of `first`, after the same one.
    pub(crate) fn verify(
        &self,
        first: &FrameHeader,
        decided: &ValidatorSet,
        domain: &Domain,
    ) -> Result<(), ClaimError> {
        let (header, there) = (&self.header, self.frame.hash(domain));
        let parts = self.frame.prev_hash == first.prev_hash
            && self.frame.g == first.g
            && there != first.hash(domain);
        let index = first.g.checked_sub(header.first_g);
        let count = header.last_g.checked_sub(header.first_g).and_then(|n| n.checked_add(1));
        let placed = index == Some(u64::from(self.branch.index))
            && count == Some(u64::from(self.branch.count));
        if !parts || !placed || !verify_tx(&header.frames_root, &there, 0, &self.branch) {
            return Err(ClaimError::NotExcluded);
        }
        let same = self.commit.value_id == header.value_id(domain)
            && self.commit.height == header.close.height
            && self.commit.epoch == header.close.epoch;
        if same && self.commit.verify(decided, domain).is_ok() {
            Ok(())
        } else {
            Err(ClaimError::Commit)
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
pub(crate) fn linked<'a>(
    chain: &'a [FrameHeader],
    tip: (u64, B256),
    domain: &Domain,
) -> Result<&'a FrameHeader, ClaimError> {
    let (mut g, mut hash) = tip;
    let mut last = None;
    if chain.len() > MAX_CHAIN {
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
        let Self { acks, chain, fork } = self;
        w.u64(acks.epoch).u64(acks.height).u32(acks.round).u64(acks.g).hash(&acks.frame_hash);
        w.hash(&acks.init_hash);
        put_signers(w, &acks.signers, &acks.signatures);
        put_chain(w, chain);
        fork.put(w);
    }
}

impl Fork {
    pub(crate) fn put(&self, w: &mut Writer) {
        self.frame.encode_to(w);
        put_branch(w, &self.branch);
        self.header.encode_to(w);
        w.u32(self.commit.round);
        put_signers(w, &self.commit.signers, &self.commit.signatures);
    }
    /// The value id that was decided follows from the header, so decoding needs the domain.
    pub(crate) fn get(r: &mut Reader<'_>, domain: &Domain) -> Result<Self, DecodeError> {
        let (frame, branch) = (FrameHeader::decode_from(r)?, get_branch(r)?);
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
        Ok(Self { frame, branch, header, commit })
    }
}

impl Reversion {
    /// Reads a reversion that fills `bytes` exactly.
    ///
    /// # Errors
    /// [`DecodeError`]: not the one form of it.
    pub fn decode(bytes: &[u8], domain: &Domain) -> Result<Self, DecodeError> {
        let r = &mut Reader::new(bytes);
        let (epoch, height, round) = (r.u64("epoch")?, r.u64("height")?, r.u32("round")?);
        let (g, frame_hash, init_hash) = (r.u64("g")?, r.hash("frame_hash")?, r.hash("init_hash")?);
        let (signers, signatures): (Bitmap, Vec<SeqSignature>) = get_signers(r)?;
        let acks = AckCert { epoch, height, round, g, frame_hash, init_hash, signers, signatures };
        let chain = get_chain(r)?;
        let fork = Fork::get(r, domain)?;
        r.end()?;
        Ok(Self { acks, chain, fork })
    }
}

impl Encode for Claim {
    fn encode_to(&self, w: &mut Writer) {
        w.bytes(&self.raw).u128(self.insured);
        put_branch(w, &self.position);
        put_chain(w, &self.chain);
    }
}

impl Decode for Claim {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (raw, insured) = (r.bytes("transaction", MAX_TX_BYTES)?, r.u128("insured amount")?);
        let (position, chain) = (get_branch(r)?, get_chain(r)?);
        if chain.is_empty() {
            return Err(DecodeError::Invalid("a claim without a frame"));
        }
        Ok(Self { chain, insured, position, raw })
    }
}
