//! A frame whose signature, body and transactions have been checked once; the type carries the proof.
//!
//! Not for: its place in a chain (`Chain` decides that).

use crate::{BadEvidence, Conviction};
use alloy_primitives::B256;
use rota_types::{Decode, DecodeError, Domain, KeyError, SignedFrame, Tx, TxError, ValidatorSet};
use std::sync::Arc;

/// A verified frame with its hash and its decoded transactions.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The frame as it was signed.
    pub signed: Arc<SignedFrame>,
    /// Its hash.
    pub hash: B256,
    /// Its transactions, senders recovered, with the amounts that the frame insures.
    pub txs: Vec<Arc<Tx>>,
    /// Its evidence, judged by the set of its epoch.
    pub convictions: Vec<Conviction>,
}

/// Why a frame does not verify by itself. Its sender is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFrame {
    /// The leader is not in the set.
    #[error("leader {0} is not in the set")]
    Leader(u16),
    /// The epoch is not the set's.
    #[error("frame of epoch {got}, set of epoch {set}")]
    Epoch {
        /// In the frame.
        got: u64,
        /// In the set.
        set: u64,
    },
    /// The signature does not verify.
    #[error("signature: {0}")]
    Signature(#[from] KeyError),
    /// The body is not the one the header commits to.
    #[error("{0}")]
    Body(#[from] DecodeError),
    /// A transaction is not well formed.
    #[error("transaction {index}: {error}")]
    Tx {
        /// Its place in the frame.
        index: usize,
        /// What is wrong.
        error: TxError,
    },
    /// Evidence that convicts nobody.
    #[error("evidence: {0}")]
    Evidence(#[from] BadEvidence),
}

impl Frame {
    /// Verifies signature, body and transactions. `known` gives transactions that were decoded before,
    /// so that a sender is recovered once per node and transaction.
    pub fn verify(
        signed: SignedFrame,
        set: &ValidatorSet,
        domain: &Domain,
        known: impl Fn(&B256) -> Option<Arc<Tx>>,
    ) -> Result<Self, InvalidFrame> {
        let header = &signed.header;
        if header.epoch != set.epoch() {
            return Err(InvalidFrame::Epoch { got: header.epoch, set: set.epoch() });
        }
        let leader = set.get(header.leader).ok_or(InvalidFrame::Leader(header.leader))?;
        let hash = signed.verify(&leader.seq_key, domain)?;
        signed.check_body()?;
        let mut txs = Vec::with_capacity(signed.body.txs.len());
        for (index, raw) in signed.body.txs.iter().enumerate() {
            let tx = match known(&alloy_primitives::keccak256(raw)) {
                Some(tx) => tx,
                None => Arc::new(
                    Tx::decode(raw, domain.l2_chain_id)
                        .map_err(|error| InvalidFrame::Tx { index, error })?,
                ),
            };
            txs.push(tx.insuring(signed.body.insured.get(index).copied().unwrap_or(0)));
        }
        let judge = |bytes| Conviction::decode(bytes, set, domain);
        let convictions = signed.body.evidence.iter().map(judge).collect::<Result<_, _>>()?;
        Ok(Self { signed: Arc::new(signed), hash, txs, convictions })
    }

    /// A frame that this node signed itself from transactions it holds, without evidence.
    #[must_use]
    pub fn own(signed: SignedFrame, hash: B256, txs: Vec<Arc<Tx>>) -> Self {
        Self { signed: Arc::new(signed), hash, txs, convictions: Vec::new() }
    }

    /// Decodes and verifies.
    pub fn decode(bytes: &[u8], set: &ValidatorSet, domain: &Domain) -> Result<Self, InvalidFrame> {
        Self::verify(SignedFrame::decode(bytes)?, set, domain, |_| None)
    }

    /// Position in the log.
    #[must_use]
    pub fn g(&self) -> u64 {
        self.signed.header.g
    }
    /// Hash of the frame before.
    #[must_use]
    pub fn prev(&self) -> B256 {
        self.signed.header.prev_hash
    }
    /// The height it belongs to.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.signed.header.height
    }
}
