//! The decided history as all correct nodes see it together.

use crate::sim::node::SimNode;
use alloy_primitives::B256;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(in crate::sim) struct Ledger {
    pub(super) values: BTreeMap<u64, B256>,
    pub(super) frames: BTreeMap<u64, B256>,
    pub(super) txs: BTreeSet<B256>,
    seen: BTreeMap<u16, u64>,
}

impl Ledger {
    /// Adds what a node has decided since the last call. Gives the name of an invariant that breaks.
    pub(super) fn take(&mut self, node: &SimNode) -> Result<bool, (&'static str, String)> {
        let seen = self.seen.entry(node.index).or_default();
        let mut new = false;
        for (height, decided) in node.disk.decided.range(*seen + 1..) {
            let value = *self.values.entry(*height).or_insert(decided.value_id);
            if value != decided.value_id {
                let what = format!("{} decides {} at {height}", node.index, decided.value_id);
                return Err(("I-1", format!("{what}, others {value}")));
            }
            let first = decided.frames.first().map_or(0, |f| f.g());
            if first > 1 && !self.frames.contains_key(&(first - 1)) {
                return Err(("I-8", format!("position {} is missing", first - 1)));
            }
            for frame in &decided.frames {
                let g = frame.g();
                let hash = *self.frames.entry(g).or_insert(frame.hash);
                if hash != frame.hash {
                    return Err(("I-8", format!("two frames at {g}: {hash} and {}", frame.hash)));
                }
                let before = self.frames.get(&(g - 1)).copied();
                if g > 1 && before != Some(frame.prev()) {
                    return Err(("I-8", format!("position {g} does not name the one before")));
                }
                self.txs.extend(frame.txs.iter().map(|t| t.hash));
            }
            *seen = *height;
            new = true;
        }
        Ok(new)
    }
}
