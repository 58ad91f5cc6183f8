//! The blocks that batches on L1 end with.

use super::{BlockView, View};
use std::sync::Arc;

impl View {
    /// For each batch that is known to be on L1 with heights after `after`: the newest whole block up to its end, and the one
    /// before, each once. With the newest height on L1.
    #[must_use]
    pub fn brought(&self, after: u64) -> (u64, Vec<Arc<BlockView>>) {
        let inner = self.inner.read();
        let newest = inner.postings.last_key_value().map_or(0, |(height, _)| *height);
        let mut found: Vec<Arc<BlockView>> = Vec::new();
        for height in inner.postings.range(after.saturating_add(1)..).map(|(height, _)| *height) {
            let whole = inner.blocks.values().rev().filter(|b| b.span.last_height <= height);
            for block in whole.take(2) {
                if !found.iter().any(|b| b.hash == block.hash) {
                    found.push(Arc::clone(block));
                }
            }
        }
        (newest, found)
    }
}
