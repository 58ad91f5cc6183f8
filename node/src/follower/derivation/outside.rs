//! What a client outside is told of the derivation.
//!
//! Invariant: a block is in the ledger before a target names it, and a target never names a block that L1 took back.

use super::Derivation;
use crate::{
    external::{EngineBlock, Ledger, Mark, Target},
    view::HeadRef,
};
use rota_execution::ExecutedBlock;
use rota_store::StoreError;
use std::sync::Arc;

impl Derivation {
    /// Writes every block down for a client outside as well.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Option<Arc<Ledger>>) -> Self {
        self.ledger = ledger;
        self
    }

    /// Writes a block down.
    pub(super) fn note_block(&self, executed: &ExecutedBlock) -> Result<(), StoreError> {
        self.ledger.as_ref().map_or(Ok(()), |ledger| ledger.write(&EngineBlock::of(executed)))
    }

    /// Tells where the heads should be.
    pub(super) fn tell(&self) {
        let Some(ledger) = &self.ledger else { return };
        let heads = self.view.heads();
        let mark = |head: HeadRef| Mark { number: head.number, hash: head.hash };
        ledger.set_target(Target {
            head: mark(heads.latest),
            safe: mark(heads.safe),
            finalized: mark(heads.finalized),
            settled: self.settled,
        });
    }
}
