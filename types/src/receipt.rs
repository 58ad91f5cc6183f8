//! The preconfirmation as a file that a user keeps: it proves position and signers offline.
//!
//! Not for: Ethereum receipts (logs, gas); those are in `execution`.
//! Invariant (I-24): a receipt verifies with the set and the domain only, and shows no stage that its
//! signatures do not carry.

use crate::{
    AckCert, CommitCertificate, Decode, Domain, Encode, FrameHeader, Header, MerkleProof,
    SeqSignature, Stage, ValidatorSet, verify_seq, verify_tx,
};
use alloy_primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};

/// Why a receipt was refused. Whoever gave it out is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// A part does not decode.
    #[error("{0} does not decode")]
    Decode(&'static str),
    /// The frame is of another epoch than the set given: its leader index means someone else.
    #[error("frame of epoch {frame}, set of epoch {set}")]
    Epoch {
        /// Epoch of the frame.
        frame: u64,
        /// Epoch of the set.
        set: u64,
    },
    /// The leader is not in the set.
    #[error("leader {0} is not in the set")]
    Leader(u16),
    /// The leader's signature does not verify.
    #[error("the leader's signature does not verify")]
    LeaderSignature,
    /// The transaction is not at that position in the frame.
    #[error("the transaction is not at index {0} of the frame")]
    Position(u32),
    /// The headers given do not link the frame to the acked one.
    #[error("the frame is not an ancestor of the acked one")]
    Chain,
    /// The ack certificate does not verify or is no quorum.
    #[error("the ack certificate does not verify")]
    Acks,
    /// The commit certificate does not verify.
    #[error("the commit certificate does not verify: {0}")]
    Commit(String),
    /// The frame is not in the decided height.
    #[error("the frame is not in the decided height")]
    NotDecided,
}

/// Ack certificate with the frame headers that lead from the receipt's frame to the acked one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AckProof {
    /// The encoded certificate.
    pub certificate: Bytes,
    /// Encoded headers after the receipt's frame, in order, the acked one last.
    pub headers: Vec<Bytes>,
}

/// Decided header, certificate, and the frame's place in `frames_root`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidedProof {
    /// The encoded header.
    pub header: Bytes,
    /// The encoded commit certificate.
    pub certificate: Bytes,
    /// Place of the frame hash in `frames_root`.
    pub frame_proof: MerkleProof,
}

/// A promise of one transaction's position, growing from the leader's word to a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Format version, 1.
    pub v: u8,
    /// Domain context that the signatures are for.
    pub ctx: B256,
    /// Hash of the set that the leader belongs to.
    pub set_hash: B256,
    /// The transaction.
    pub transaction_hash: B256,
    /// Insured amount, wei.
    pub insured: u128,
    /// Encoded frame header (273 bytes).
    pub frame: Bytes,
    /// The leader's signature over the frame hash (64 bytes).
    pub signature: Bytes,
    /// Place of the transaction in the frame.
    pub position: MerkleProof,
    /// Proof that more than two thirds stored it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acked: Option<AckProof>,
    /// Proof that it is decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decided: Option<DecidedProof>,
}

impl Receipt {
    /// Checks everything that is in the receipt and returns the stage it proves.
    pub fn verify(&self, set: &ValidatorSet, domain: &Domain) -> Result<Stage, ReceiptError> {
        if self.ctx != domain.ctx() || self.set_hash != set.hash() {
            return Err(ReceiptError::Decode("context of this network"));
        }
        let frame = FrameHeader::decode(&self.frame).map_err(|_| ReceiptError::Decode("frame"))?;
        if frame.epoch != set.epoch() {
            return Err(ReceiptError::Epoch { frame: frame.epoch, set: set.epoch() });
        }
        let hash = frame.hash(domain);
        let leader = set.get(frame.leader).ok_or(ReceiptError::Leader(frame.leader))?;
        let signature: SeqSignature =
            self.signature.as_ref().try_into().map_err(|_| ReceiptError::Decode("signature"))?;
        verify_seq(&leader.seq_key, &hash, &signature)
            .map_err(|_| ReceiptError::LeaderSignature)?;
        let position = &self.position;
        if position.count != frame.tx_count
            || !verify_tx(&frame.tx_root, &self.transaction_hash, self.insured, position)
        {
            return Err(ReceiptError::Position(position.index));
        }
        let mut stage = Stage::Preconfirmed;
        if let Some(acked) = &self.acked {
            acked.verify(&hash, set, domain)?;
            stage = Stage::Acked;
        }
        if let Some(decided) = &self.decided {
            decided.verify(&frame, &hash, set, domain)?;
            stage = Stage::Decided;
        }
        Ok(stage)
    }
}

impl AckProof {
    fn verify(&self, hash: &B256, set: &ValidatorSet, domain: &Domain) -> Result<(), ReceiptError> {
        let cert = AckCert::decode(&self.certificate)
            .map_err(|_| ReceiptError::Decode("ack certificate"))?;
        let mut tip = *hash;
        for bytes in &self.headers {
            let header =
                FrameHeader::decode(bytes).map_err(|_| ReceiptError::Decode("frame header"))?;
            if header.prev_hash != tip {
                return Err(ReceiptError::Chain);
            }
            tip = header.hash(domain);
        }
        if tip != cert.frame_hash {
            return Err(ReceiptError::Chain);
        }
        let weight = cert.verify(set, domain).map_err(|_| ReceiptError::Acks)?;
        if set.is_quorum(weight) { Ok(()) } else { Err(ReceiptError::Acks) }
    }
}

impl DecidedProof {
    fn verify(
        &self,
        frame: &FrameHeader,
        hash: &B256,
        set: &ValidatorSet,
        domain: &Domain,
    ) -> Result<(), ReceiptError> {
        let header = Header::decode(&self.header).map_err(|_| ReceiptError::Decode("header"))?;
        let cert = CommitCertificate::decode(&self.certificate)
            .map_err(|_| ReceiptError::Decode("commit certificate"))?;
        cert.verify(set, domain).map_err(|e| ReceiptError::Commit(e.to_string()))?;
        let index = frame.g.checked_sub(header.first_g);
        let count = header.last_g.checked_sub(header.first_g).and_then(|n| n.checked_add(1));
        let matches = cert.value_id == header.value_id(domain)
            && cert.height == header.height()
            && index == Some(u64::from(self.frame_proof.index))
            && count == Some(u64::from(self.frame_proof.count))
            && verify_tx(&header.frames_root, hash, 0, &self.frame_proof);
        if matches { Ok(()) } else { Err(ReceiptError::NotDecided) }
    }
}

/// The encoded header, for building receipts.
impl From<&FrameHeader> for Bytes {
    fn from(header: &FrameHeader) -> Self {
        header.encode().into()
    }
}
