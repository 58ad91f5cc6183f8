//! The key-value store in memory, for tests, simulations and throw-away runs.

use super::{Batch, Entries, Kv, Order, Scan, Tree};
use crate::StoreError;
use parking_lot::RwLock;
use std::{collections::BTreeMap, ops::Bound};

type Key = (Tree, Vec<u8>);

/// A store that forgets everything when it is dropped.
#[derive(Debug, Default)]
pub struct MemKv(RwLock<BTreeMap<Key, Vec<u8>>>);

impl Kv for MemKv {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.read().get(&(tree, key.to_vec())).cloned())
    }

    fn scan(&self, tree: Tree, scan: &Scan) -> Result<Entries, StoreError> {
        if scan.to.as_ref().is_some_and(|to| *to <= scan.from) {
            return Ok(Vec::new());
        }
        let map = self.0.read();
        let from = Bound::Included((tree, scan.from.clone()));
        let to = scan.to.clone().map_or(Bound::Unbounded, |to| Bound::Excluded((tree, to)));
        let range = map.range((from, to));
        let own = |(k, v): (&Key, &Vec<u8>)| (k.1.clone(), v.clone());
        let inside = |(k, _): &(&Key, &Vec<u8>)| k.0 == tree;
        Ok(match scan.order {
            Order::Ascending => range.take_while(inside).take(scan.limit).map(own).collect(),
            Order::Descending => {
                range.rev().skip_while(|e| !inside(e)).take(scan.limit).map(own).collect()
            }
        })
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let mut map = self.0.write();
        for (tree, key, value) in batch.ops {
            match value {
                Some(value) => map.insert((tree, key), value),
                None => map.remove(&(tree, key)),
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
