//! The part of a light proof that is about the rollup: certified height, earlier height, transaction, checkpoint.
//!
//! Not for: that L1 has the set (`light`), and not for checking (`rota-verify`). Invariant: what is given verifies.

use super::{Archive, View, promise::in_frame};
use alloy_primitives::{B256, keccak256};
use rota_types::{
    Below, Encode, LIGHT_VERSION, LightProof, LightTx, ReceiptDomain, ReceiptSet, SignedFrame,
    tx_proof, wire::DecidedHeight,
};

/// What is to be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LightSubject {
    /// The place of a transaction.
    Transaction(B256),
    /// A height, with the checkpoint of execution if it names one.
    Height(u64),
    /// The newest checkpoint of execution.
    Checkpoint,
}

/// Why there is no light proof to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoLight {
    /// Us: a node that derives from L1 does not keep certificates and frames.
    #[error("this node does not keep certified heights")]
    NoArchive,
    /// User: it is in no decided block, or came through L1.
    #[error("the transaction is in no frame of a decided block")]
    Unknown,
    /// User: no such height, or none below the one asked for.
    #[error("height {0} is not decided, or is above the certified one that was asked for")]
    Height(u64),
    /// User: the chain is younger than its first checkpoint.
    #[error("no checkpoint of execution is certified yet")]
    NoCheckpoint,
    /// Us: something on the way is not kept here.
    #[error("what the proof needs of height {0} is not kept by this node")]
    Pruned(u64),
}

impl View {
    /// A proof under the certificate of height `at`, or of the newest decided height.
    ///
    /// # Errors
    /// [`NoLight`] says whether it never was or is not kept here.
    pub fn light_proof(
        &self,
        subject: LightSubject,
        at: Option<u64>,
    ) -> Result<LightProof, NoLight> {
        let archive = self.archive().ok_or(NoLight::NoArchive)?;
        let newest = self.heads().latest.height;
        let at = at.unwrap_or(newest);
        if at > newest {
            return Err(NoLight::Height(at));
        }
        let height = |h: u64| archive.height(h).ok_or(NoLight::Pruned(h));
        let (found, frame) = match subject {
            LightSubject::Transaction(hash) => {
                let place = archive.tx_location(&hash).ok_or(NoLight::Unknown)?;
                let (found, at) = in_frame(&*archive, place, &hash).ok_or(NoLight::Unknown)?;
                (found, Some((hash, at)))
            }
            LightSubject::Height(h) => {
                (1..=newest).contains(&h).then_some(()).ok_or(NoLight::Height(h))?;
                (height(h)?, None)
            }
            LightSubject::Checkpoint => (newest_checkpoint(&*archive, at)?, None),
        };
        let h = found.header.height();
        let certified = match h.cmp(&at) {
            std::cmp::Ordering::Less => Some(height(at)?),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => return Err(NoLight::Height(h)),
        };
        let below = certified.is_some().then(|| {
            let history = archive.history_proof(h, at).ok_or(NoLight::Pruned(h))?;
            Ok(Below { header: (&found.header).into(), history })
        });
        let top = certified.as_ref().unwrap_or(&found);
        let set = self.set(top.header.close.epoch).ok_or(NoLight::Pruned(at))?;
        let transaction = frame
            .map(|(hash, frame)| self.light_tx(&found, (hash, frame)).ok_or(NoLight::Pruned(h)));
        let checkpoint = checkpoint(&*archive, &found);
        if subject == LightSubject::Checkpoint && checkpoint.is_none() {
            return Err(NoLight::Pruned(h));
        }
        Ok(LightProof {
            v: LIGHT_VERSION,
            domain: ReceiptDomain::of(&self.config.domain),
            set: ReceiptSet::of(&set),
            l1: None,
            header: (&top.header).into(),
            certificate: top.certificate.encode().into(),
            below: below.transpose()?,
            transaction: transaction.transpose()?,
            checkpoint,
        })
    }

    fn light_tx(&self, found: &DecidedHeight, (hash, at): (B256, usize)) -> Option<LightTx> {
        let domain = &self.config.domain;
        let frame: &SignedFrame = found.frames.get(at)?;
        let hashes: Vec<B256> = frame.body.txs.iter().map(keccak256).collect();
        let index = hashes.iter().position(|h| *h == hash)?;
        let insured = &frame.body.insured;
        let frames: Vec<B256> = found.frames.iter().map(|f| f.header.hash(domain)).collect();
        Some(LightTx {
            hash,
            insured: insured.get(index).copied().unwrap_or(0),
            position: tx_proof(&hashes, insured, u32::try_from(index).ok()?)?,
            frame: (&frame.header).into(),
            frame_proof: tx_proof(&frames, &[], u32::try_from(at).ok()?)?,
        })
    }
}

/// The newest height up to `at` that names a checkpoint.
fn newest_checkpoint(archive: &dyn Archive, at: u64) -> Result<DecidedHeight, NoLight> {
    let lag = rota_types::EXEC_LAG;
    let names = at.saturating_sub(at.checked_rem(lag).unwrap_or(0));
    let found = archive.height(names).filter(|h| h.header.close.exec_lag_height > 0);
    found.ok_or(NoLight::NoCheckpoint)
}

/// What a height names of execution, if it names something that is kept here.
fn checkpoint(archive: &dyn Archive, height: &DecidedHeight) -> Option<rota_types::Bytes> {
    let close = &height.header.close;
    let named = (close.exec_lag_height > 0).then_some(close.exec_lag_height)?;
    let (point, _) = archive.rewards(named)?;
    (point.root() == close.exec_lag_root).then(|| point.encode().into())
}
