//! The frozen sets that are known, shared with the watcher's thread.

use super::Sets;
use parking_lot::RwLock;
use rota_l1::{L1, L1Error, RpcL1};
use rota_types::ValidatorSet;
use std::{collections::BTreeMap, sync::Arc};

#[derive(Debug, Clone, Default)]
pub(super) struct KnownSets(Arc<RwLock<BTreeMap<u64, Arc<ValidatorSet>>>>);

impl KnownSets {
    pub(super) fn newest(&self) -> Option<Arc<ValidatorSet>> {
        self.0.read().last_key_value().map(|(_, set)| Arc::clone(set))
    }

    pub(super) fn of(&self, epoch: u64) -> Option<Arc<ValidatorSet>> {
        self.0.read().get(&epoch).cloned()
    }

    pub(super) fn reader(&self) -> Sets {
        let sets = self.clone();
        Box::new(move |epoch| sets.of(epoch))
    }

    /// Reads the sets that are new; says whether there were any.
    pub(super) async fn refresh(&self, l1: &RpcL1, block: u64) -> Result<bool, L1Error> {
        let mut grown = false;
        for epoch in l1.frozen_sets(block).await?.epochs {
            if self.0.read().contains_key(&epoch) {
                continue;
            }
            if let Some(set) = l1.validator_set(epoch, block).await? {
                self.0.write().insert(epoch, Arc::new(set));
                grown = true;
            }
        }
        Ok(grown)
    }
}
