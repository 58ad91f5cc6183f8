//! Which blocks L1 holds for proven, as far as this node was told.
//!
//! Not for: reading L1, nor for judging claims (`rota output verify`). Invariant: a block is called proven only if it is final here,
//! and the proven block has the hash here that L1 has for it.

use super::{At, BlockView, EventKind, HeadRef, Notice, ProvenStep, View, inner::Inner};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::B256;
use rota_types::Stage;
use std::sync::atomic::Ordering;

/// Final steps kept. Policy when full: forget the oldest, whose blocks are proven by the next one as well.
const MAX_STEPS: usize = 4_096;

/// L1 holds another block for proven than this node has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("L1 has {theirs} for proven in block {number}, and here that is {ours}")]
pub struct OtherProven {
    /// Number of the block.
    pub number: u64,
    /// Its hash on L1.
    pub theirs: B256,
    /// Its hash here.
    pub ours: B256,
}

impl View {
    /// This node reads the oracle: what it says will be told.
    pub fn expect_proofs(&self) {
        self.proofs.store(true, Ordering::Relaxed);
    }

    /// Whether the stage `proven` can be reached here.
    #[must_use]
    pub fn expects_proofs(&self) -> bool {
        self.proofs.load(Ordering::Relaxed)
    }

    /// The newest block that is known to be proven; 0 for none.
    #[must_use]
    pub fn newest_proven(&self) -> u64 {
        self.inner.read().proven()
    }

    /// A step of the oracle is final in a final L1 block. Whether that is news: not if it is known, nor while its block is not
    /// final here, when it is to be told again later.
    ///
    /// # Errors
    /// The block is another one here.
    pub fn proven(&self, step: ProvenStep) -> Result<bool, OtherProven> {
        let ProvenStep { block: number, hash: theirs, at_ms, .. } = step;
        let block = self.block(At::Number(BlockNumberOrTag::Number(number)));
        if let Some(ours) = block.as_ref().map(|b| b.hash).filter(|ours| *ours != theirs) {
            return Err(OtherProven { number, theirs, ours });
        }
        {
            let mut inner = self.inner.write();
            if number > inner.finalized || inner.proven() >= number {
                return Ok(false);
            }
            inner.provens.insert(number, step);
            if inner.provens.len() > MAX_STEPS {
                inner.provens.pop_first();
            }
        }
        // Who waits for this waits for days: most of it is on disk by then.
        let reached =
            |hash: &B256| self.tx(hash).is_some_and(|t| t.progress.stage >= Some(Stage::Proven));
        let hashes: Vec<B256> = self.waiters.hashes().into_iter().filter(reached).collect();
        self.waiters.tell(hashes.into_iter(), &Notice::Reached(Stage::Proven));
        if let Some(block) = block {
            self.stream.send(at_ms, EventKind::Head { stage: Stage::Proven, head: head(&block) });
        }
        Ok(true)
    }
}

fn head(block: &BlockView) -> HeadRef {
    HeadRef {
        number: block.number(),
        hash: block.hash,
        timestamp_s: block.header.timestamp,
        g: block.span.last_g,
        height: block.span.last_height,
    }
}

impl Inner {
    /// The newest proven block; 0 for none.
    pub(super) fn proven(&self) -> u64 {
        self.provens.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// The first known step that proves a block, once that is final here.
    pub(super) fn proof_of(&self, number: u64) -> Option<ProvenStep> {
        let step = self.provens.range(number..).next().map(|(_, step)| *step);
        step.filter(|_| number > 0 && number <= self.finalized)
    }
}
