//! The frame: the leader's signed promise of a position in the log (`docs/protocol.md`, "Frame").
//!
//! Not for: deciding whether a frame fits a chain (`preconf::FrameChain`).
//! Invariant: the header is 273 bytes with no optional field; the body is bound to it by `tx_root`,
//! `env_hash` and `close_hash`.

use crate::{
    Close, Decode, DecodeError, Domain, Encode, Env, KeyError, MAX_EVIDENCE, Reader, SeqKey,
    SeqSignature, Tag, Term, Writer, hash_list_root, tx_root, verify_seq,
};
use alloy_primitives::{B256, Bytes, keccak256};

/// Bytes of an encoded frame header.
pub const FRAME_LEN: usize = 273;
/// The version in every frame header.
pub const FRAME_VERSION: u16 = 1;
/// Largest sum of transaction bytes in one frame.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// Largest number of transactions in one frame.
pub const MAX_FRAME_TXS: usize = 4096;

/// Most pieces of evidence in one CLOSE frame.
pub const MAX_FRAME_EVIDENCE: usize = 4;
/// Largest sum of evidence bytes in one CLOSE frame.
pub const MAX_EVIDENCE_BYTES: usize = 64 * 1024;

/// What a frame begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Flags(u8);

impl Flags {
    /// First frame of a height: carries the environment.
    pub const OPEN: Self = Self(1);
    /// Last frame of a height: carries the close body.
    pub const CLOSE: Self = Self(2);
    /// Last frame of its leader's term.
    pub const TERM_END: Self = Self(4);
    /// On a CLOSE: the execution block ends with this height.
    pub const SEAL: Self = Self(8);
    const ALL: u8 = 15;

    /// The raw bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
    /// Flags from raw bits; unknown bits are refused.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !Self::ALL == 0 { Some(Self(bits)) } else { None }
    }
    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Whether all of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The signed part of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameHeader {
    /// Epoch whose set names the leader.
    pub epoch: u64,
    /// Term: the height and round in which the leader's stream began.
    pub term: Term,
    /// The leader's index in the set of `epoch`.
    pub leader: u16,
    /// Position in the log, contiguous for the life of the rollup.
    pub g: u64,
    /// Position in the term, from 0.
    pub seq: u32,
    /// Hash of frame `g - 1`.
    pub prev_hash: B256,
    /// Digest of the TermInit of the term, zero if the term's round is 0.
    pub init_hash: B256,
    /// Height that this frame belongs to.
    pub height: u64,
    /// What begins or ends here.
    pub flags: Flags,
    /// Milliseconds since the Unix epoch, not falling along the chain.
    pub timestamp_ms: u64,
    /// Transactions in the body.
    pub tx_count: u32,
    /// Merkle root over the body's transactions, zero if there are none.
    pub tx_root: B256,
    /// Sum of the transactions' gas limits in this height so far.
    pub gas_cum: u64,
    /// Commitment to the results, zero for none.
    pub exec_commit: B256,
    /// Sum of the insured amounts in this height so far, wei.
    pub insured_cum: u128,
    /// Hash of the environment on an OPEN, else zero.
    pub env_hash: B256,
    /// Hash of the close body on a CLOSE, else zero.
    pub close_hash: B256,
}

impl FrameHeader {
    /// The frame's identity: what the leader signs and what the next frame names.
    #[must_use]
    pub fn hash(&self, domain: &Domain) -> B256 {
        domain.digest(Tag::Frame, &self.encode())
    }
}

impl Encode for FrameHeader {
    fn encode_to(&self, w: &mut Writer) {
        w.u16(FRAME_VERSION).u64(self.epoch).u64(self.term.height).u32(self.term.round);
        w.u16(self.leader).u64(self.g).u32(self.seq).hash(&self.prev_hash).hash(&self.init_hash);
        w.u64(self.height).u8(self.flags.bits()).u64(self.timestamp_ms).u32(self.tx_count);
        w.hash(&self.tx_root).u64(self.gas_cum).hash(&self.exec_commit).u128(self.insured_cum);
        w.hash(&self.env_hash).hash(&self.close_hash);
    }
}

impl Decode for FrameHeader {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if r.u16("frame version")? != FRAME_VERSION {
            return Err(DecodeError::Invalid("unknown frame version"));
        }
        Ok(Self {
            epoch: r.u64("epoch")?,
            term: Term { height: r.u64("term height")?, round: r.u32("term round")? },
            leader: r.u16("leader")?,
            g: r.u64("g")?,
            seq: r.u32("seq")?,
            prev_hash: r.hash("prev_hash")?,
            init_hash: r.hash("init_hash")?,
            height: r.u64("height")?,
            flags: Flags::from_bits(r.u8("flags")?)
                .ok_or(DecodeError::Invalid("unknown frame flag"))?,
            timestamp_ms: r.u64("timestamp")?,
            tx_count: r.u32("tx_count")?,
            tx_root: r.hash("tx_root")?,
            gas_cum: r.u64("gas_cum")?,
            exec_commit: r.hash("exec_commit")?,
            insured_cum: r.u128("insured_cum")?,
            env_hash: r.hash("env_hash")?,
            close_hash: r.hash("close_hash")?,
        })
    }
}

/// The unsigned part of a frame, bound by the hashes in the header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FrameBody {
    /// Transactions in EIP-2718 encoding.
    pub txs: Vec<Bytes>,
    /// Insured amount of each transaction, wei; empty means zero for all.
    pub insured: Vec<u128>,
    /// The environment, on an OPEN.
    pub env: Option<Env>,
    /// The close body, on a CLOSE.
    pub close: Option<Close>,
    /// Encoded `Evidence` against members of the set, only on a CLOSE; bound by its `evidence_root`.
    pub evidence: Vec<Bytes>,
}

impl FrameBody {
    /// `evidence_root` of this body: over the hashes of the pieces, zero if there are none.
    #[must_use]
    pub fn evidence_root(&self) -> B256 {
        let hashes: Vec<B256> = self.evidence.iter().map(keccak256).collect();
        hash_list_root(&hashes)
    }
    /// `tx_root` of this body.
    #[must_use]
    pub fn root(&self) -> B256 {
        let hashes: Vec<B256> = self.txs.iter().map(keccak256).collect();
        tx_root(&hashes, &self.insured)
    }
    /// Sum of the transactions' bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.txs.iter().map(|t| t.len()).fold(0, usize::saturating_add)
    }
}

impl Encode for FrameBody {
    fn encode_to(&self, w: &mut Writer) {
        let parts = u8::from(self.env.is_some())
            | (u8::from(self.close.is_some()) << 1)
            | (u8::from(!self.insured.is_empty()) << 2)
            | (u8::from(!self.evidence.is_empty()) << 3);
        w.u8(parts);
        w.u32(u32::try_from(self.txs.len()).unwrap_or(u32::MAX));
        for tx in &self.txs {
            w.bytes(tx);
        }
        for amount in &self.insured {
            w.u128(*amount);
        }
        if let Some(env) = &self.env {
            env.encode_to(w);
        }
        if let Some(close) = &self.close {
            close.encode_to(w);
        }
        if !self.evidence.is_empty() {
            w.u8(u8::try_from(self.evidence.len()).unwrap_or(u8::MAX));
            for piece in &self.evidence {
                w.bytes(piece);
            }
        }
    }
}

impl Decode for FrameBody {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let parts = r.u8("body parts")?;
        if parts & !15 != 0 {
            return Err(DecodeError::Invalid("unknown body part"));
        }
        let count = r.count("frame transactions", MAX_FRAME_TXS)?;
        let mut txs = Vec::new();
        let mut left = MAX_BODY_BYTES;
        for _ in 0..count {
            let tx = r.bytes("frame body", left)?;
            left = left.saturating_sub(tx.len());
            txs.push(tx);
        }
        let mut insured = Vec::new();
        if parts & 4 != 0 {
            if count == 0 {
                return Err(DecodeError::Invalid("insured amounts without transactions"));
            }
            for _ in 0..count {
                insured.push(r.u128("insured amount")?);
            }
        }
        let env = if parts & 1 != 0 { Some(Env::decode_from(r)?) } else { None };
        let close = if parts & 2 != 0 { Some(Close::decode_from(r)?) } else { None };
        let evidence = if parts & 8 != 0 { read_evidence(r, close.is_some())? } else { Vec::new() };
        Ok(Self { txs, insured, env, close, evidence })
    }
}

fn read_evidence(r: &mut Reader<'_>, closes: bool) -> Result<Vec<Bytes>, DecodeError> {
    let count = usize::from(r.u8("evidence in a frame")?);
    if !closes || count == 0 {
        return Err(DecodeError::Invalid("evidence without CLOSE, or none where some is said"));
    }
    if count > MAX_FRAME_EVIDENCE {
        let (what, max) = ("evidence in a frame", MAX_FRAME_EVIDENCE);
        return Err(DecodeError::Bound { what, max, got: count });
    }
    let (mut evidence, mut left) = (Vec::new(), MAX_EVIDENCE_BYTES);
    for _ in 0..count {
        let piece = r.bytes("evidence", left.min(MAX_EVIDENCE))?;
        left = left.saturating_sub(piece.len());
        evidence.push(piece);
    }
    Ok(evidence)
}

/// A frame with the leader's signature and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedFrame {
    /// The signed header.
    pub header: FrameHeader,
    /// ed25519 over the frame hash.
    pub signature: SeqSignature,
    /// The body that the header commits to.
    pub body: FrameBody,
}

impl SignedFrame {
    /// Signs `header`.
    #[must_use]
    pub fn sign(header: FrameHeader, body: FrameBody, key: &SeqKey, domain: &Domain) -> Self {
        let signature = key.sign(&header.hash(domain));
        Self { header, signature, body }
    }
    /// Checks the signature and returns the frame hash. Costs one `verify_strict`.
    pub fn verify(&self, public: &[u8; 32], domain: &Domain) -> Result<B256, KeyError> {
        let hash = self.header.hash(domain);
        verify_seq(public, &hash, &self.signature)?;
        Ok(hash)
    }
    /// Checks that the body is the one the header commits to. Costs a hash per transaction.
    pub fn check_body(&self) -> Result<(), DecodeError> {
        let h = &self.header;
        if h.tx_count != u32::try_from(self.body.txs.len()).unwrap_or(u32::MAX)
            || h.tx_root != self.body.root()
        {
            return Err(DecodeError::Invalid("body does not match tx_root"));
        }
        let env = self.body.env.as_ref().map_or(B256::ZERO, |e| keccak256(e.encode()));
        let close = self.body.close.as_ref().map_or(B256::ZERO, |c| keccak256(c.encode()));
        if h.env_hash != env || self.body.env.is_some() != h.flags.has(Flags::OPEN) {
            return Err(DecodeError::Invalid("environment does not match env_hash or OPEN"));
        }
        if h.close_hash != close || self.body.close.is_some() != h.flags.has(Flags::CLOSE) {
            return Err(DecodeError::Invalid("close body does not match close_hash or CLOSE"));
        }
        let root = self.body.close.as_ref().map_or(B256::ZERO, |c| c.evidence_root);
        if root != self.body.evidence_root() {
            return Err(DecodeError::Invalid("evidence does not match evidence_root"));
        }
        Ok(())
    }
}

impl Encode for SignedFrame {
    fn encode_to(&self, w: &mut Writer) {
        self.header.encode_to(w);
        w.raw(&self.signature);
        self.body.encode_to(w);
    }
}

impl Decode for SignedFrame {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            header: FrameHeader::decode_from(r)?,
            signature: r.array("frame signature")?,
            body: FrameBody::decode_from(r)?,
        })
    }
}
