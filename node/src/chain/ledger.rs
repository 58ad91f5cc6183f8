//! Numbered items of L1 on disk, found by the L1 block that they are in.
//!
//! Not for: what they are. Invariant: numbers have no gaps; what does not follow is not written.

use alloy_primitives::B256;
use rota_store::{BlockBatch, Blocks, Scan, StoreError, Tree, for_each};
use rota_types::{Writer, follow_on};

/// Items read at once.
const PAGE: usize = 256;

/// Why something was not noted.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// Ours: the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The fault of the L1 endpoint: it left something out. Nothing is taken from it until it tells of all.
    #[error("L1 told of {what} {got}; {expected} is the next: some are missing")]
    Missing {
        /// Of what.
        what: &'static str,
        /// Index of the next one.
        expected: u64,
        /// Index told.
        got: u64,
    },
}

/// One kind of item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ledger {
    pub(super) what: &'static str,
    /// Under it, by index.
    pub(super) entry: &'static [u8],
    /// Under it, by L1 block: index of the first item after it.
    pub(super) next: &'static [u8],
}

/// Index, L1 block and bytes of an item.
pub(super) type Item = (u64, u64, Vec<u8>);

impl Ledger {
    /// Adds items that follow those in the store.
    pub(super) fn add(
        &self,
        store: &Blocks,
        batch: &mut BlockBatch,
        items: Vec<Item>,
    ) -> Result<(), BookError> {
        let next = self.next_after(store, u64::MAX)?;
        let missing = |(expected, got)| BookError::Missing { what: self.what, expected, got };
        follow_on(next, items.iter().map(|(index, ..)| *index)).map_err(missing)?;
        for (index, l1_number, bytes) in items {
            batch.put(Tree::L1, key(self.entry, index), bytes);
            let next = index.saturating_add(1);
            batch.put(Tree::L1, key(self.next, l1_number), next.to_be_bytes());
        }
        Ok(())
    }

    /// The item with an index, as eight bytes.
    pub(super) fn get(&self, store: &Blocks, index: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        store.get(Tree::L1, &[self.entry, index].concat())
    }

    /// All items of L1 blocks above `after` up to `upto`.
    pub(super) fn between<T>(
        &self,
        store: &Blocks,
        (after, upto): (u64, u64),
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let (first, end) = (self.next_after(store, after)?, self.next_after(store, upto)?);
        let scan = Scan::range(&key(self.entry, first), &key(self.entry, end), PAGE);
        let mut out = Vec::new();
        for_each(&**store.kv(), Tree::L1, scan, |_, bytes| {
            out.extend(read(&bytes));
            Ok(())
        })?;
        Ok(out)
    }

    /// Index of the first item above an L1 block.
    fn next_after(&self, store: &Blocks, l1_number: u64) -> Result<u64, StoreError> {
        let end = key(self.next, l1_number.saturating_add(1));
        let upto = Scan::range(self.next, &end, 1).descending();
        let last = store.kv().scan(Tree::L1, &upto)?.pop();
        Ok(last.and_then(|(_, v)| v.try_into().ok()).map_or(0, u64::from_be_bytes))
    }
}

fn key(prefix: &[u8], number: u64) -> Vec<u8> {
    let mut w = Writer::with_capacity(prefix.len().saturating_add(8));
    w.raw(prefix).u64(number);
    w.finish()
}

/// Where the index of a transaction is, by its hash.
pub(super) fn by_hash(prefix: &[u8], hash: &B256) -> Vec<u8> {
    [prefix, hash.as_slice()].concat()
}
