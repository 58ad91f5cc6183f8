//! Waiting for one transaction, without polling and without waking anybody else.
//!
//! Invariant: a [`Wait`] made before a look-up never misses what happens after it; a dropped one leaves
//! nothing behind.

use alloy_primitives::B256;
use parking_lot::Mutex;
use rota_types::Stage;
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tokio::sync::oneshot;

/// What a waiter is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The transaction reached this stage.
    Reached(Stage),
    /// It was rejected, replaced or skipped.
    Failed,
    /// It was preconfirmed and is waiting again.
    Retracted,
}

struct Waiter {
    id: u64,
    until: Stage,
    tell: oneshot::Sender<Notice>,
}

#[derive(Default)]
pub(super) struct Waiters {
    count: AtomicUsize,
    ids: AtomicU64,
    by_hash: Mutex<BTreeMap<B256, Vec<Waiter>>>,
}

impl Waiters {
    pub(super) fn wait(self: &Arc<Self>, hash: B256, until: Stage) -> Wait {
        let (tell, told) = oneshot::channel();
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        self.by_hash.lock().entry(hash).or_default().push(Waiter { id, until, tell });
        self.count.fetch_add(1, Ordering::SeqCst);
        Wait { waiters: self.clone(), hash, id, told }
    }

    /// Whether anybody waits: lets the writer skip the look-ups.
    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// What is waited for.
    pub(super) fn hashes(&self) -> Vec<B256> {
        self.by_hash.lock().keys().copied().collect()
    }

    /// Tells those who wait for one of `hashes`.
    pub(super) fn tell(&self, hashes: impl Iterator<Item = B256>, notice: &Notice) {
        if !self.any() {
            return;
        }
        let mut by_hash = self.by_hash.lock();
        for hash in hashes {
            let Some(list) = by_hash.get_mut(&hash) else { continue };
            let concerned = |w: &mut Waiter| match notice {
                Notice::Reached(stage) => *stage >= w.until,
                Notice::Failed | Notice::Retracted => true,
            };
            for waiter in list.extract_if(.., concerned) {
                self.count.fetch_sub(1, Ordering::SeqCst);
                let _ = waiter.tell.send(notice.clone());
            }
            if list.is_empty() {
                by_hash.remove(&hash);
            }
        }
    }

    fn forget(&self, hash: &B256, id: u64) {
        let mut by_hash = self.by_hash.lock();
        let Some(list) = by_hash.get_mut(hash) else { return };
        let before = list.len();
        list.retain(|w| w.id != id);
        self.count.fetch_sub(before.saturating_sub(list.len()), Ordering::SeqCst);
        if list.is_empty() {
            by_hash.remove(hash);
        }
    }
}

/// Resolves when the transaction reaches the stage, fails, or is retracted. Look it up once after making this.
pub struct Wait {
    waiters: Arc<Waiters>,
    hash: B256,
    id: u64,
    told: oneshot::Receiver<Notice>,
}

impl std::fmt::Debug for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wait").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl Future for Wait {
    type Output = Notice;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Notice> {
        // The sender lives in the table until it tells, so it cannot be dropped unsent.
        Pin::new(&mut self.told).poll(cx).map(|told| told.unwrap_or(Notice::Failed))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.waiters.forget(&self.hash, self.id);
    }
}
