//! A small key-value interface, so that no crate above depends on one database.
//!
//! Not for: queries. Keys are ordered bytes in named trees; a batch over any trees is atomic.
//! Invariant: `apply` is all or nothing, also over a crash; what was applied before a `flush` that
//! returned is there after any crash.

mod disk;
mod memory;

pub use disk::{DEFAULT_CACHE, SledKv};
pub use memory::MemKv;

use crate::StoreError;

/// A named part of the key space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tree {
    /// Heads, schema version and other single values.
    Meta = 1,
    /// Height to decided height.
    Heights = 2,
    /// Value id to height.
    HeightIds = 3,
    /// Block number to execution block.
    Blocks = 4,
    /// Block hash to number.
    BlockHashes = 5,
    /// Transaction hash to place.
    Txs = 6,
    /// Block number to receipts.
    Receipts = 7,
    /// Flat state: accounts.
    Accounts = 8,
    /// Flat state: storage.
    Storage = 9,
    /// Contract code by hash.
    Code = 10,
    /// Nodes of the state trie.
    Trie = 11,
    /// Contradictions seen and their progress on L1.
    Evidence = 12,
    /// What was posted to and read from L1.
    L1 = 13,
    /// Preconfirmations given, by transaction.
    Promises = 14,
    /// Nodes of the mountain range over value ids (`MmrPlace::key`).
    History = 15,
    /// What shows withdrawals in blocks whose state is forgotten.
    Exits = 16,
}

impl Tree {
    /// All trees.
    pub const ALL: [Self; 16] = [
        Self::Meta,
        Self::Heights,
        Self::HeightIds,
        Self::Blocks,
        Self::BlockHashes,
        Self::Txs,
        Self::Receipts,
        Self::Accounts,
        Self::Storage,
        Self::Code,
        Self::Trie,
        Self::Evidence,
        Self::L1,
        Self::Promises,
        Self::History,
        Self::Exits,
    ];
}

/// Puts and deletes that happen together. Later ones win.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    ops: Vec<(Tree, Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets a key.
    pub fn put(
        &mut self,
        tree: Tree,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> &mut Self {
        self.ops.push((tree, key.into(), Some(value.into())));
        self
    }
    /// Removes a key.
    pub fn delete(&mut self, tree: Tree, key: impl Into<Vec<u8>>) -> &mut Self {
        self.ops.push((tree, key.into(), None));
        self
    }
    /// How many puts and deletes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ops.len()
    }
    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// Direction of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Smallest key first.
    #[default]
    Ascending,
    /// Largest key first.
    Descending,
}

/// Which keys to read: `from <= key < to`, at most `limit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Smallest key.
    pub from: Vec<u8>,
    /// First key beyond, or none for the end of the tree.
    pub to: Option<Vec<u8>>,
    /// Direction.
    pub order: Order,
    /// Most entries returned, so that a scan cannot fill the memory.
    pub limit: usize,
}

impl Scan {
    /// All keys that begin with `prefix`, ascending.
    #[must_use]
    pub fn prefix(prefix: &[u8], limit: usize) -> Self {
        Self { from: prefix.to_vec(), to: after(prefix), order: Order::Ascending, limit }
    }
    /// `from <= key < to`, ascending.
    #[must_use]
    pub fn range(from: &[u8], to: &[u8], limit: usize) -> Self {
        Self { from: from.to_vec(), to: Some(to.to_vec()), order: Order::Ascending, limit }
    }
    /// The same keys, largest first.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.order = Order::Descending;
        self
    }
}

/// Keys and values in order.
pub type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// An ordered key-value store with atomic batches.
pub trait Kv: Send + Sync + std::fmt::Debug {
    /// The value of a key.
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Keys and values in order.
    fn scan(&self, tree: Tree, scan: &Scan) -> Result<Entries, StoreError>;
    /// Applies a batch, all or nothing.
    fn apply(&self, batch: Batch) -> Result<(), StoreError>;
    /// Makes everything applied so far durable.
    fn flush(&self) -> Result<(), StoreError>;
}

/// Walks over all entries of a scan, `scan.limit` at a time.
pub fn for_each(
    kv: &dyn Kv,
    tree: Tree,
    mut scan: Scan,
    mut each: impl FnMut(&[u8], Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    scan.limit = scan.limit.max(1);
    loop {
        let page = kv.scan(tree, &scan)?;
        let full = page.len() == scan.limit;
        let Some((last, _)) = page.last() else { return Ok(()) };
        match scan.order {
            Order::Ascending => {
                scan.from = last.clone();
                scan.from.push(0);
            }
            Order::Descending => scan.to = Some(last.clone()),
        }
        for (key, value) in page {
            each(&key, value)?;
        }
        if !full {
            return Ok(());
        }
    }
}

/// The first key after all keys with this prefix.
fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests;
