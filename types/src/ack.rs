//! Acks: a validator stored a prefix of the log, on disk, before it says so.
//!
//! Invariant: acks are cumulative and are promises to *store and report*, never locks
//! (`docs/protocol.md`, "Acks").

use crate::{
    Bitmap, Decode, DecodeError, Domain, Encode, KeyError, Reader, SeqKey, SeqSignature, Tag,
    ValidatorSet, Writer, verify_seq,
};
use alloy_primitives::B256;

/// Bytes of an encoded ack.
pub const ACK_LEN: usize = 96;
const ACK_VERSION: u16 = 1;

/// "I have every frame up to `g`, whose frame is `frame_hash`, on disk."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Epoch of the signer's set.
    pub epoch: u64,
    /// Height at which the signer is.
    pub height: u64,
    /// Round at which the signer is.
    pub round: u32,
    /// The signer's index.
    pub signer: u16,
    /// Position of the newest frame stored.
    pub g: u64,
    /// Its hash.
    pub frame_hash: B256,
    /// TermInit accepted at this height and round, zero in round 0.
    pub init_hash: B256,
}

impl Ack {
    /// What K_seq signs.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        domain.digest(Tag::Ack, &self.encode())
    }
}

impl Encode for Ack {
    fn encode_to(&self, w: &mut Writer) {
        w.u16(ACK_VERSION).u64(self.epoch).u64(self.height).u32(self.round).u16(self.signer);
        w.u64(self.g).hash(&self.frame_hash).hash(&self.init_hash);
    }
}

impl Decode for Ack {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if r.u16("ack version")? != ACK_VERSION {
            return Err(DecodeError::Invalid("unknown ack version"));
        }
        Ok(Self {
            epoch: r.u64("epoch")?,
            height: r.u64("height")?,
            round: r.u32("round")?,
            signer: r.u16("signer")?,
            g: r.u64("g")?,
            frame_hash: r.hash("frame_hash")?,
            init_hash: r.hash("init_hash")?,
        })
    }
}

/// An ack with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAck {
    /// The ack.
    pub ack: Ack,
    /// ed25519 over its digest.
    pub signature: SeqSignature,
}

impl SignedAck {
    /// Signs an ack.
    #[must_use]
    pub fn sign(ack: Ack, key: &SeqKey, domain: &Domain) -> Self {
        let signature = key.sign(&ack.digest(domain));
        Self { ack, signature }
    }
    /// Checks the signature by `verify_strict`.
    pub fn verify(&self, public: &[u8; 32], domain: &Domain) -> Result<(), KeyError> {
        verify_seq(public, &self.ack.digest(domain), &self.signature)
    }
}

impl Encode for SignedAck {
    fn encode_to(&self, w: &mut Writer) {
        self.ack.encode_to(w);
        w.raw(&self.signature);
    }
}

impl Decode for SignedAck {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { ack: Ack::decode_from(r)?, signature: r.array("ack signature")? })
    }
}

/// Acks of many validators for one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckCert {
    /// Epoch of the set.
    pub epoch: u64,
    /// Height of the acks.
    pub height: u64,
    /// Round of the acks.
    pub round: u32,
    /// Position of the frame.
    pub g: u64,
    /// The frame.
    pub frame_hash: B256,
    /// TermInit of the round, zero in round 0.
    pub init_hash: B256,
    /// Who acked.
    pub signers: Bitmap,
    /// Their signatures, in ascending index.
    pub signatures: Vec<SeqSignature>,
}

impl AckCert {
    /// Checks every signature and returns the stake that acked, in gwei.
    pub fn verify(&self, set: &ValidatorSet, domain: &Domain) -> Result<u64, KeyError> {
        if self.epoch != set.epoch() {
            return Err(KeyError::Signature);
        }
        let mut signatures = self.signatures.iter();
        let mut weight = 0u64;
        for index in self.signers.iter() {
            let validator = set.get(index).ok_or(KeyError::Public)?;
            let signature = signatures.next().ok_or(KeyError::Signature)?;
            let ack = Ack {
                epoch: self.epoch,
                height: self.height,
                round: self.round,
                signer: index,
                g: self.g,
                frame_hash: self.frame_hash,
                init_hash: self.init_hash,
            };
            verify_seq(&validator.seq_key, &ack.digest(domain), signature)?;
            weight = weight.saturating_add(validator.power());
        }
        if signatures.next().is_some() { Err(KeyError::Signature) } else { Ok(weight) }
    }
}

impl Encode for AckCert {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.epoch).u64(self.height).u32(self.round).u64(self.g).hash(&self.frame_hash);
        w.hash(&self.init_hash);
        self.signers.encode_to(w);
        w.u32(u32::try_from(self.signatures.len()).unwrap_or(u32::MAX));
        for s in &self.signatures {
            w.raw(s);
        }
    }
}

impl Decode for AckCert {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (epoch, height, round) = (r.u64("epoch")?, r.u64("height")?, r.u32("round")?);
        let (g, frame_hash, init_hash) = (r.u64("g")?, r.hash("frame_hash")?, r.hash("init_hash")?);
        let signers = Bitmap::decode_from(r)?;
        let count = r.count("ack signatures", signers.count())?;
        let mut signatures = Vec::new();
        for _ in 0..count {
            signatures.push(r.array("ack signature")?);
        }
        Ok(Self { epoch, height, round, g, frame_hash, init_hash, signers, signatures })
    }
}
