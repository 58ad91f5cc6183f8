//! The one door for transactions, from RPC and from peers: check against the state, queue, tell the chain thread.
//!
//! Not for: decoding (the caller did, on its own thread) and not for forwarding: the chain thread does what
//! the wake-up asks.
//! Invariants: a transaction that is queued is in the view before it can be framed; what it is checked against is never older than
//! what the queue was told. Lock order: queue, then view.

use crate::view::View;
use alloy_primitives::Bytes;
use crossbeam_channel::Sender;
use parking_lot::{Mutex, MutexGuard};
use rayon::prelude::*;
use rota_preconf::{Admitted, Intake, Reject, SenderState};
use rota_types::{Millis, Tx, TxError};
use std::sync::Arc;

/// Why a transaction was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// User: it can be on this chain at no time.
    #[error(transparent)]
    Invalid(#[from] TxError),
    /// User, or us if it says busy.
    #[error(transparent)]
    Refused(#[from] Reject),
    /// Us: the node takes nothing now.
    #[error("not accepting transactions: {reason}")]
    NotAccepting {
        /// Why.
        reason: String,
        /// When to try again, ms.
        retry_after_ms: u64,
    },
}

/// The time, ms since the Unix epoch; the clock is the caller's.
pub type NowMs = Arc<dyn Fn() -> Millis + Send + Sync>;

/// The door. Shared as `Arc<Submitter>`.
pub struct Submitter {
    view: Arc<View>,
    intake: Mutex<Intake>,
    wake: Sender<()>,
    now: NowMs,
    closed: Mutex<Option<(String, u64)>>,
}

impl std::fmt::Debug for Submitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Submitter").field("closed", &self.closed).finish_non_exhaustive()
    }
}

impl Submitter {
    /// A door that is open. `wake` should have room for one message: more are not needed.
    #[must_use]
    pub fn new(view: Arc<View>, intake: Intake, wake: Sender<()>, now: NowMs) -> Self {
        Self { view, intake: Mutex::new(intake), wake, now, closed: Mutex::new(None) }
    }

    /// Takes nothing until [`Self::open`]: draining, not synced.
    pub fn close(&self, reason: impl Into<String>, retry_after_ms: u64) {
        *self.closed.lock() = Some((reason.into(), retry_after_ms));
    }

    /// Takes transactions again.
    pub fn open(&self) {
        *self.closed.lock() = None;
    }

    /// The queue, for the chain thread. While it is held nothing is admitted; do not call the view's
    /// waiting functions under it.
    pub fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock()
    }

    /// Queues a decoded transaction.
    ///
    /// # Errors
    /// [`SubmitError`] says whose fault it is and what to do.
    pub fn submit(&self, tx: &Arc<Tx>) -> Result<Admitted, SubmitError> {
        if let Some((reason, retry_after_ms)) = self.closed.lock().clone() {
            return Err(SubmitError::NotAccepting { reason, retry_after_ms });
        }
        let now = (self.now)();
        let admitted = {
            let mut intake = self.intake.lock();
            // Not before the lock: a frame could come between, and the queue forgets an account that has nothing in it.
            let pending = self.view.pending_account(&tx.sender);
            let account = SenderState { state_nonce: pending.nonce, balance: pending.balance };
            let admitted = intake.insert(tx.clone(), account, pending.base_fee, now)?;
            self.view.received(tx, now);
            admitted
        };
        if let Some(old) = admitted.replaced {
            self.view.replaced(old, tx.hash, now);
        }
        if let Some(gone) = admitted.evicted {
            let reason = "the queue is full and this transaction waited behind a nonce gap";
            self.view.rejected(gone, reason, now);
        }
        // Full means that a wake-up is already on its way.
        let _ = self.wake.try_send(());
        Ok(admitted)
    }

    /// Decodes and queues a bundle, such as one that a peer forwarded. Sender recovery runs in parallel, so
    /// call it from a thread that may be busy for some milliseconds.
    pub fn submit_bundle(
        &self,
        raws: &[Bytes],
        chain_id: u64,
    ) -> Vec<Result<Admitted, SubmitError>> {
        let decoded: Vec<_> = raws.par_iter().map(|raw| Tx::decode(raw, chain_id)).collect();
        decoded.into_iter().map(|tx| self.submit(&Arc::new(tx?))).collect()
    }

    /// Drops what waited too long. The chain thread calls it now and then.
    pub fn expire(&self, now: Millis) {
        let gone = self.intake.lock().expire(now);
        for tx in gone {
            self.view.rejected(tx.hash, "waited too long and was dropped", now);
        }
    }
}
