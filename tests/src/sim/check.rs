//! What must hold in every run, after every step.

use super::node::SimNode;
use alloy_primitives::B256;
use std::collections::BTreeMap;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// I-1: two nodes decided different values at a height.
    Agreement(u64),
    /// I-2: a prefix stored by more than two thirds is not what was decided.
    AckedLost(u64),
    /// I-8: positions are not contiguous, or two frames are canonical at one.
    Log(u64),
    /// I-7: a key signed what excludes something it had signed before.
    Contradiction(u16, String),
    /// I-10: what L1 gives back is not what was decided.
    Derivation,
    /// I-5: a node that was up did not get on.
    Stuck(u16, u64),
}

/// The decided history as all nodes see it together.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) values: BTreeMap<u64, B256>,
    pub(super) frames: BTreeMap<u64, B256>,
    seen: BTreeMap<u16, u64>,
}

impl Ledger {
    /// Adds what a node has decided since the last call, and checks it.
    pub(super) fn take(&mut self, node: &SimNode) -> Result<(), Violation> {
        if let Some(what) = &node.contradiction {
            return Err(Violation::Contradiction(node.index, what.clone()));
        }
        let seen = self.seen.entry(node.index).or_default();
        for (height, decided) in node.disk.decided.range(*seen + 1..) {
            let value = self.values.entry(*height).or_insert(decided.value_id);
            if *value != decided.value_id {
                return Err(Violation::Agreement(*height));
            }
            for frame in &decided.frames {
                let hash = self.frames.entry(frame.g()).or_insert(frame.hash);
                if *hash != frame.hash {
                    return Err(Violation::Log(frame.g()));
                }
            }
            *seen = *height;
        }
        Ok(())
    }

    /// I-2 and I-8 over everything decided.
    pub(super) fn finish(&self, nodes: &[SimNode]) -> Result<(), Violation> {
        for (at, (g, _)) in (1u64..).zip(&self.frames) {
            if at != *g {
                return Err(Violation::Log(*g));
            }
        }
        for node in nodes {
            for (g, hash) in &node.acked {
                if self.frames.get(g).is_some_and(|decided| decided != hash) {
                    return Err(Violation::AckedLost(*g));
                }
            }
        }
        Ok(())
    }
}
