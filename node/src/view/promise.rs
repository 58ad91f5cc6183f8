//! The preconfirmation as a file: frame, position, and every proof that is known so far.
//!
//! Not for: checking one (`rota-verify`). Invariant: each part is given whole or not at all, so that what is given
//! verifies at the stage that it shows.

use super::{Archive, FORCED, FrameRecord, HeightRecord, Posting, TxLocation, View, inner::Inner};
use alloy_primitives::{B256, Bytes, keccak256};
use rota_types::{
    AckProof, DecidedProof, Decode, Encode, FrameHeader, Header, MerkleProof, PostedRef,
    RECEIPT_VERSION, Receipt, ReceiptDomain, ReceiptSet, SignedFrame, ValidatorSet, hash_list_root,
    tx_proof, wire::DecidedHeight,
};
use std::sync::Arc;

/// Frame headers that a promise may need to reach an acked frame. Beyond it the proof is left out.
const MAX_ACK_HEADERS: u64 = 512;
/// The same where something is insured: a claim on L1 takes 64 headers, those below the frame included.
const MAX_CLAIM_HEADERS: u64 = 31;
/// Certificates that are compared by weight.
const MAX_ACK_CERTS: usize = 64;
/// Headers between a height and the end of its batch. Beyond it they are left out.
const MAX_BATCH_HEADERS: u64 = 64;

/// Why there is no promise to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPromise {
    /// User: nothing is known of the transaction.
    #[error("unknown transaction")]
    Unknown,
    /// User: it is waiting, or was not executed.
    #[error("the transaction is in no frame")]
    NotPreconfirmed,
    /// User: it came through L1. That it is executed is the rollup's rule and no validator's promise.
    #[error("the transaction was forced through L1: the queue there is its proof")]
    Forced,
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
        match self.live_promise(hash) {
            Err(NoPromise::Unknown | NoPromise::Pruned) => self.archived_promise(hash),
            other => other,
        }
    }

    fn live_promise(&self, hash: &B256) -> Result<Receipt, NoPromise> {
        let inner = self.inner.read();
        let record = inner.txs.get(hash).ok_or(NoPromise::Unknown)?;
        let place = record.place.as_ref().ok_or(NoPromise::NotPreconfirmed)?;
        let (frame, at) = place.frame.as_ref().ok_or(NoPromise::Pruned)?;
        if *at == FORCED {
            return Err(NoPromise::Forced);
        }
        let slot = usize::try_from(*at).unwrap_or(usize::MAX);
        let position = frame.txs.get(slot).map_or(0, |t| t.position);
        let set = inner.sets.get(&frame.frame.header.epoch).cloned().ok_or(NoPromise::Pruned)?;
        let decided = inner.decided_proof(frame.g(), &frame.hash);
        let acked = inner.ack_proof(frame);
        let height = frame.frame.header.height;
        let posted = decided.as_ref().and_then(|_| inner.posted_ref(height));
        let frame = frame.clone();
        // Hashing a large body is not pointer work.
        drop(inner);
        let hashes = frame.tx_hashes();
        let receipt = self.signed(hash, &set, &frame.frame, (&hashes, position))?;
        Ok(Receipt { acked, decided, posted, ..receipt })
    }

    /// From the store, when memory no longer has the frame: decided, and therefore without the acks.
    fn archived_promise(&self, hash: &B256) -> Result<Receipt, NoPromise> {
        let archive = self.archive().ok_or(NoPromise::Unknown)?;
        let location = archive.tx_location(hash).ok_or(NoPromise::Unknown)?;
        let (height, at) = in_frame(&*archive, location, hash).ok_or(NoPromise::Pruned)?;
        let frame = height.frames.get(at).ok_or(NoPromise::Pruned)?;
        let set = self.set(frame.header.epoch).ok_or(NoPromise::Pruned)?;
        let hashes: Vec<B256> = frame.body.txs.iter().map(keccak256).collect();
        let index = hashes.iter().position(|h| h == hash).ok_or(NoPromise::Pruned)?;
        let index = u32::try_from(index).map_err(|_| NoPromise::Pruned)?;
        let receipt = self.signed(hash, &set, frame, (&hashes, index))?;
        let frames: Vec<B256> =
            height.frames.iter().map(|f| f.header.hash(&self.config.domain)).collect();
        if hash_list_root(&frames) != height.header.frames_root {
            return Err(NoPromise::Pruned);
        }
        let place = u32::try_from(at).ok().and_then(|at| tx_proof(&frames, &[], at));
        let decided = DecidedProof {
            header: (&height.header).into(),
            certificate: height.certificate.encode().into(),
            frame_proof: place.ok_or(NoPromise::Pruned)?,
        };
        let posted = self.inner.read().posted_ref(height.header.height());
        Ok(Receipt { decided: Some(decided), posted, ..receipt })
    }

    /// What the leader alone stands for.
    fn signed(
        &self,
        hash: &B256,
        set: &ValidatorSet,
        frame: &SignedFrame,
        (hashes, position): (&[B256], u32),
    ) -> Result<Receipt, NoPromise> {
        let insured = &frame.body.insured;
        let at = usize::try_from(position).unwrap_or(usize::MAX);
        let set = ReceiptSet::of(set);
        let insured_wei = insured.get(at).copied().unwrap_or(0);
        Ok(Receipt {
            v: RECEIPT_VERSION,
            ctx: self.config.domain.ctx(),
            set_id: set.id(),
            domain: ReceiptDomain::of(&self.config.domain),
            set,
            transaction_hash: *hash,
            insured: insured_wei,
            transaction: frame.body.txs.get(at).filter(|_| insured_wei > 0).cloned(),
            frame: (&frame.header).into(),
            signature: frame.signature.to_vec().into(),
            position: tx_proof(hashes, insured, position).ok_or(NoPromise::NotPreconfirmed)?,
            acked: None,
            decided: None,
            posted: None,
        })
    }

    /// The place of one transaction in a frame, without the rest of the promise.
    #[must_use]
    pub fn position(frame: &FrameRecord, position: u32) -> Option<MerkleProof> {
        tx_proof(&frame.tx_hashes(), &frame.frame.body.insured, position)
    }
}

/// The decided height that holds a transaction, and the frame's place in it.
pub(super) fn in_frame(
    archive: &dyn Archive,
    location: TxLocation,
    hash: &B256,
) -> Option<(DecidedHeight, usize)> {
    let span = archive.block(location.number)?.span;
    (span.first_height..=span.last_height).find_map(|height| {
        let decided = archive.height(height)?;
        let holds = |f: &SignedFrame| f.body.txs.iter().any(|tx| keccak256(tx) == *hash);
        let at = decided.frames.iter().position(holds)?;
        Some((decided, at))
    })
}

impl Inner {
    /// The heaviest certificate that covers the frame, of those near.
    fn ack_proof(&self, frame: &FrameRecord) -> Option<AckProof> {
        let g = frame.g();
        let insured = !frame.frame.body.insured.is_empty();
        let reach = if insured { MAX_CLAIM_HEADERS } else { MAX_ACK_HEADERS };
        let near = self.ack_certs.range(g..=g.saturating_add(reach)).take(MAX_ACK_CERTS);
        // Of equal weight the nearest: the shortest proof.
        let (cert, _) = near
            .map(|(_, c)| c)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .max_by_key(|(_, weight)| *weight)?;
        let path = |from: u64| self.frames.range(from..=cert.g).map(|(_, f)| &f.frame.header);
        let headers: Vec<&FrameHeader> =
            if cert.g == g { Vec::new() } else { path(g.saturating_add(1)).collect() };
        let acked = headers.last().map_or(&frame.frame.header, |h| *h);
        let of_round = (acked.term.height, acked.term.round) == (cert.height, cert.round);
        let init = (cert.round > 0 && !of_round)
            .then(|| self.inits.iter().find(|(hash, _)| *hash == cert.init_hash))
            .flatten();
        Some(AckProof {
            certificate: cert.encode().into(),
            headers: headers.into_iter().map(Bytes::from).collect(),
            init: init.map(|(_, init)| init.encode().into()),
        })
    }

    fn decided_proof(&self, g: u64, hash: &B256) -> Option<DecidedProof> {
        let (record, _, frame_proof) = self.decided_place(g, hash)?;
        Some(DecidedProof {
            header: record.decision.header.clone(),
            certificate: record.decision.certificate.clone(),
            frame_proof,
        })
    }

    /// The decided height that has the frame `hash` at `g`, and the frame's place in it.
    pub(super) fn decided_place(
        &self,
        g: u64,
        hash: &B256,
    ) -> Option<(Arc<HeightRecord>, Header, MerkleProof)> {
        let record = self.heights.get(&self.decided_height_of(g)?)?;
        let header = Header::decode(&record.decision.header).ok()?;
        let frames: Vec<B256> =
            self.frames.range(header.first_g..=header.last_g).map(|(_, f)| f.hash).collect();
        let index = u32::try_from(g.checked_sub(header.first_g)?).ok()?;
        let at = usize::try_from(index).ok()?;
        // A hole in what is kept would give a proof that does not verify: give none.
        (frames.get(at) == Some(hash)).then_some(())?;
        (hash_list_root(&frames) == header.frames_root).then_some(())?;
        let place = tx_proof(&frames, &[], index)?;
        Some((Arc::clone(record), header, place))
    }

    /// The batch that a decided height is in.
    fn posted_ref(&self, height: u64) -> Option<PostedRef> {
        let Posting { height: last, l1_tx, l1_block, .. } =
            *self.postings.range(height..).next()?.1;
        let between = last.saturating_sub(height);
        let header = |h: u64| Some(self.heights.get(&h)?.decision.header.clone());
        let headers: Option<Vec<Bytes>> = (between <= MAX_BATCH_HEADERS)
            .then(|| (height.saturating_add(1)..=last).map(header).collect())
            .flatten();
        Some(PostedRef {
            last_height: last,
            headers: headers.unwrap_or_default(),
            l1_tx,
            l1_block,
            finalized: self.finals.range(height..).next().is_some(),
        })
    }
}
