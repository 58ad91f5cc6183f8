//! The mountain range over value ids (`history_root` of a header), node by node, so that old heights can be proven.
//!
//! Not for: checking a proof. Invariant: nodes are written in the batch of the height that completes them; a height whose
//! predecessors are not here completes none, and nothing is proven with what is missing.

use crate::{Batch, Blocks, StoreError, Tree};
use alloy_primitives::B256;
use rota_types::{MmrPlace, MmrProof};
use std::collections::BTreeMap;

impl Blocks {
    /// Proof that a height is below `under`, whose header's `history_root` it verifies with; none if a height is missing.
    ///
    /// # Errors
    /// The disk's.
    pub fn history_proof(&self, height: u64, under: u64) -> Result<Option<MmrProof>, StoreError> {
        match (height.checked_sub(1), under.checked_sub(1)) {
            (Some(index), Some(count)) => MmrProof::of(index, count, |at| self.history_node(at)),
            _ => Ok(None),
        }
    }

    /// Adds the nodes that these heights complete.
    pub(crate) fn grow_history(
        &self,
        heights: &[(u64, B256)],
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        let mut new = BTreeMap::new();
        for (height, value_id) in heights {
            let Some(index) = height.checked_sub(1) else { continue };
            let stored = |at| match new.get(&at) {
                Some(hash) => Ok(Some(*hash)),
                None => self.history_node(at),
            };
            new.extend(MmrPlace::grow(index, value_id, stored)?);
        }
        for (at, hash) in new {
            batch.put(Tree::History, at.key(), hash.as_slice());
        }
        Ok(())
    }

    fn history_node(&self, at: MmrPlace) -> Result<Option<B256>, StoreError> {
        let stored = self.kv().get(Tree::History, &at.key())?;
        Ok(stored.and_then(|bytes| B256::try_from(bytes.as_slice()).ok()))
    }
}
