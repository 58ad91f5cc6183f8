//! The certificates that L1 shows, against each other and against what this node decided.
//!
//! Not for: what becomes of a contradiction (`Sentry`). Queue: that of evidence; what does not fit is handed over at the next look.

use super::Progress;
use crate::slash::{Certificates, Found, Shown};
use crossbeam_channel::Sender;
use rota_l1::{PostedBatch, TurnKind};
use rota_store::{Blocks, StoreError};
use rota_types::{Domain, ValidatorSet, wire::DecidedHeight};
use std::sync::Arc;

/// Contradictions that wait for room in the queue. Policy when full: the first stay; L1 keeps the others.
const WAITING: usize = 64;

/// Gives the frozen set of an epoch, if it is known.
type Sets = Box<dyn Fn(u64) -> Option<Arc<ValidatorSet>> + Send>;

/// The witness of one node.
pub struct Witness {
    certificates: Certificates,
    sets: Sets,
    out: Sender<Shown>,
    waiting: Vec<Found>,
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Witness {
    /// Has seen nothing.
    #[must_use]
    pub fn new(
        domain: Domain,
        sets: impl Fn(u64) -> Option<Arc<ValidatorSet>> + Send + 'static,
        out: Sender<Shown>,
    ) -> Self {
        let (certificates, sets) = (Certificates::new(domain), Box::new(sets));
        Self { certificates, sets, out, waiting: Vec::new() }
    }

    /// Everything with a certificate that is new on L1, what came first before what contradicts it.
    pub(super) fn shown_by(progress: &Progress) -> Vec<PostedBatch> {
        let second = progress.turns.iter().filter_map(|turn| match &turn.what {
            TurnKind::Forked(batch) => Some(&**batch),
            _ => None,
        });
        progress.batches.iter().chain(second).cloned().collect()
    }

    /// Looks at what is new on L1.
    pub(super) fn look(&mut self, store: &Blocks, shown: &[PostedBatch]) -> Result<(), StoreError> {
        for batch in shown {
            self.one(store, batch)?;
        }
        while let Some(found) = self.waiting.pop() {
            if let Err(full) = self.out.try_send(Shown::Judged(Box::new(found))) {
                if let Shown::Judged(found) = full.into_inner() {
                    self.waiting.push(*found);
                }
                break;
            }
        }
        Ok(())
    }

    /// Against what this node decided there, of which it remembers all, and against what L1 showed before.
    fn one(&mut self, store: &Blocks, batch: &PostedBatch) -> Result<(), StoreError> {
        let (header, certificate) = (&batch.header, &batch.certificate);
        let Some(set) = (self.sets)(certificate.epoch) else { return Ok(()) };
        let own = store.height(batch.to_height)?;
        let against = |own: DecidedHeight| {
            self.certificates.compare(&own.certificate, (header, certificate), &set)
        };
        let found = own.and_then(against);
        let found = found.or_else(|| self.certificates.look(header, certificate, &set));
        self.waiting.extend(found.filter(|_| self.waiting.len() < WAITING));
        Ok(())
    }
}
