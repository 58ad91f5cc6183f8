//! The preconfirmation as a file: frame, position, and every proof that is known so far.

use super::{View, inner::Inner};
use alloy_primitives::{B256, Bytes};
use rota_types::{
    AckProof, DecidedProof, Decode, Encode, FrameHeader, Header, MerkleProof, Receipt,
    ReceiptError, tx_proof,
};

/// Frame headers that a promise may need to reach an acked frame. Beyond it the proof is left out.
const MAX_ACK_HEADERS: u64 = 512;

/// Why there is no promise to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPromise {
    /// User: nothing is known of the transaction.
    #[error("unknown transaction")]
    Unknown,
    /// User: it is waiting, or was not executed.
    #[error("the transaction is in no frame")]
    NotPreconfirmed,
    /// Us: its frame is no longer kept here.
    #[error("the frame of the transaction is no longer kept by this node")]
    Pruned,
}

impl View {
    /// The promise for a transaction, as strong as what is known now.
    ///
    /// # Errors
    /// [`NoPromise`] says whether it never was or is no longer there.
    pub fn promise(&self, hash: &B256) -> Result<Receipt, NoPromise> {
        let inner = self.inner.read();
        let Some(record) = inner.txs.get(hash) else {
            drop(inner);
            let known = self.archive().is_some_and(|a| a.tx_location(hash).is_some());
            return Err(if known { NoPromise::Pruned } else { NoPromise::Unknown });
        };
        let place = record.place.as_ref().ok_or(NoPromise::NotPreconfirmed)?;
        let (frame, at) = place.frame.as_ref().ok_or(NoPromise::Pruned)?;
        let signed = &frame.frame;
        let slot = usize::try_from(*at).unwrap_or(usize::MAX);
        let position = frame.txs.get(slot).map_or(0, |t| t.position);
        let set = inner.sets.get(&signed.header.epoch).ok_or(NoPromise::Pruned)?;
        let decided = inner.decided_proof(frame.g(), &frame.hash);
        let acked = inner.ack_proof(frame.g());
        let frame = frame.clone();
        let set_hash = set.hash();
        // Hashing a large body is not pointer work.
        drop(inner);
        let hashes = frame.tx_hashes();
        let insured = &frame.frame.body.insured;
        let at = usize::try_from(position).unwrap_or(usize::MAX);
        Ok(Receipt {
            v: 1,
            ctx: self.config.ctx,
            set_hash,
            transaction_hash: *hash,
            insured: insured.get(at).copied().unwrap_or(0),
            frame: Bytes::from(&frame.frame.header),
            signature: frame.frame.signature.to_vec().into(),
            position: tx_proof(&hashes, insured, position).ok_or(NoPromise::NotPreconfirmed)?,
            acked,
            decided,
        })
    }

    /// The frame header inside a promise.
    ///
    /// # Errors
    /// [`ReceiptError::Decode`] if it does not decode.
    pub fn frame_of(receipt: &Receipt) -> Result<FrameHeader, ReceiptError> {
        FrameHeader::decode(&receipt.frame).map_err(|_| ReceiptError::Decode("frame"))
    }

    /// The place of one transaction in a frame, without the rest of the promise.
    #[must_use]
    pub fn position(frame: &super::FrameRecord, position: u32) -> Option<MerkleProof> {
        tx_proof(&frame.tx_hashes(), &frame.frame.body.insured, position)
    }
}

impl Inner {
    fn ack_proof(&self, g: u64) -> Option<AckProof> {
        let (acked_g, cert) = self.ack_certs.range(g..).next()?;
        if acked_g.saturating_sub(g) > MAX_ACK_HEADERS {
            return None;
        }
        let after = g.saturating_add(1);
        let headers = if after > *acked_g {
            Vec::new()
        } else {
            self.frames.range(after..=*acked_g).map(|(_, f)| Bytes::from(&f.frame.header)).collect()
        };
        Some(AckProof { certificate: cert.encode().into(), headers })
    }

    fn decided_proof(&self, g: u64, hash: &B256) -> Option<DecidedProof> {
        let record = self.heights.get(&self.decided_height_of(g)?)?;
        let header = Header::decode(&record.decision.header).ok()?;
        let frames: Vec<B256> =
            self.frames.range(header.first_g..=header.last_g).map(|(_, f)| f.hash).collect();
        let index = u32::try_from(g.checked_sub(header.first_g)?).ok()?;
        let at = usize::try_from(index).ok()?;
        // A hole in what is kept would give a proof that does not verify: give none.
        (frames.get(at) == Some(hash)).then_some(())?;
        Some(DecidedProof {
            header: record.decision.header.clone(),
            certificate: record.decision.certificate.clone(),
            frame_proof: tx_proof(&frames, &[], index)?,
        })
    }
}
