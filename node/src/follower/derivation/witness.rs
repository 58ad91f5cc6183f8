//! A follower that derives from L1 sees every certificate there: two for one place are kept as evidence.
//!
//! Invariant: what is found changes nothing that is derived; the first in L1 order stands.

use super::Derivation;
use crate::slash;
use rota_l1::PostedBatch;
use std::{path::PathBuf, sync::Arc};

impl Derivation {
    /// Keeps contradictions as files in `dir`.
    #[must_use]
    pub fn with_evidence(mut self, dir: PathBuf) -> Self {
        self.evidence = Some(dir);
        self
    }

    /// Looks at the certificate of a batch, whatever became of the batch.
    pub(super) fn witness(&mut self, batch: &PostedBatch) {
        let Some(set) = self.pipeline.set(batch.header.close.epoch) else { return };
        let set = Arc::new(set.clone());
        let Some(found) = self.certificates.look(&batch.header, &batch.certificate, &set) else {
            return;
        };
        let (height, tx) = (batch.to_height, batch.tx_hash);
        tracing::error!(height, %tx, accused = ?found.verdict.accused, "L1 shows two certified values of one height");
        let Some(dir) = &self.evidence else { return };
        let signed_in = self.chain.domain.of_generation(found.evidence.generation);
        match slash::keep(dir, &found, &signed_in) {
            Ok(Some(file)) => {
                tracing::error!(file = %file.display(), "the proof is kept: rota slash submit takes it to L1");
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, dir = %dir.display(), "the proof is not kept"),
        }
    }
}
