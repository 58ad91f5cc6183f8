//! What a fake execution gives at checkpoints: a root that follows from the decided heights, some time later.
//!
//! Invariant (I-9): every decided header names what the execution of everyone gave.

use super::{Due, World};
use alloy_primitives::{B256, keccak256};
use rota_consensus::{Decided, Input};
use rota_preconf::Lags;

/// Heights from one checkpoint to the next: fewer than in a network, so that short runs have many.
pub(super) const EVERY: u64 = 8;
/// How long everyone's execution takes at least, milliseconds.
const TAKES_MS: u64 = 30;

fn root(decided: &Decided) -> B256 {
    keccak256([b"executed".as_slice(), decided.value_id.as_slice()].concat())
}

impl World {
    /// A node decided a height: its execution comes past it some time later.
    pub(super) fn executes(&mut self, node: u16, decided: &Decided) {
        let height = decided.header.height();
        let want = self.rules.lags.at(height);
        self.checker.names(&decided.header, want);
        if let Some(point) = self.rules.lags.named_by(height) {
            self.report.checkpoint = self.report.checkpoint.max(point);
        }
        if self.rules.lags.is_point(height) {
            let root = root(decided);
            let same = self.rules.lags.executed(height, root);
            debug_assert!(same.is_ok(), "agreement is judged elsewhere");
            let late = self.plan.exec_late_ms.get(usize::from(node)).copied().unwrap_or(0);
            self.push(self.now_us + (TAKES_MS + late) * 1000, Due::Executed(node, height, root));
        }
    }

    pub(super) fn executed(&mut self, node: u16, height: u64, root: B256) {
        self.input(node, Input::Lag { height, root });
    }

    /// What a node's database says of earlier checkpoints.
    pub(super) fn lags_of(&self, node: u16) -> Lags {
        let mut lags = Lags::every(EVERY);
        for (height, decided) in &self.nodes[usize::from(node)].disk.decided {
            if lags.is_point(*height) {
                lags.executed(*height, root(decided)).expect("one root for each height");
            }
        }
        lags
    }
}
