//! What L1 forces in, kept on disk from the moment that L1 is read until long after it was executed.
//!
//! Not for: reading L1 (`settle`). Only final L1 blocks come here, so nothing is ever taken back. Invariant (I-15): an
//! answer is complete for its range of L1 blocks, or there is none.

use super::stack::StackError;
use alloy_primitives::{B256, keccak256};
use rota_store::{BlockBatch, Blocks, Scan, StoreError, Tree, for_each};
use rota_types::{Decode, Encode, ForcedTx, Reader, Tx, Writer, forced_txs};
use std::sync::Arc;

/// Under it, by queue index.
const ENTRY: &[u8] = b"forced/entry/";
/// Under it, by L1 block: index of the first entry after it.
const NEXT: &[u8] = b"forced/next/";
/// Under it, by transaction hash: index.
const HASH: &[u8] = b"forced/hash/";
/// The L1 block up to which everything is here.
const UPTO: &[u8] = b"forced/upto";
/// Entries read at once.
const PAGE: usize = 256;

/// Who knows what L1 forces in.
pub trait ForcedSource: Send + Sync {
    /// The executable ones of the L1 blocks above `after` up to `upto`, in order (`rota_types::forced_txs`).
    ///
    /// # Errors
    /// Not everything of these blocks is known here.
    fn between(&self, after: u64, upto: u64, chain_id: u64) -> Result<Vec<Arc<Tx>>, StackError>;
}

/// The queue as far as it is final on L1.
#[derive(Clone)]
pub struct ForcedBook {
    store: Blocks,
}

impl std::fmt::Debug for ForcedBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForcedBook").finish_non_exhaustive()
    }
}

impl ForcedBook {
    /// The book in this database.
    #[must_use]
    pub const fn new(store: Blocks) -> Self {
        Self { store }
    }

    /// The L1 block up to which everything is here; none at first.
    ///
    /// # Errors
    /// Us: the database.
    pub fn upto(&self) -> Result<Option<u64>, StoreError> {
        let bytes = self.store.get(Tree::L1, UPTO)?;
        Ok(bytes.and_then(|b| b.try_into().ok()).map(u64::from_be_bytes))
    }

    /// Notes everything up to an L1 block. Durable when it returns.
    ///
    /// # Errors
    /// Us: the database.
    pub fn extend(&self, upto: u64, entries: &[ForcedTx]) -> Result<(), StoreError> {
        let mut batch = BlockBatch::default();
        for entry in entries {
            batch.put(Tree::L1, key(ENTRY, entry.index), entry.encode());
            batch.put(
                Tree::L1,
                [HASH, keccak256(&entry.tx).as_slice()].concat(),
                entry.index.to_be_bytes(),
            );
            let next = entry.index.saturating_add(1);
            batch.put(Tree::L1, key(NEXT, entry.l1_number), next.to_be_bytes());
        }
        batch.put(Tree::L1, UPTO, upto.to_be_bytes());
        self.store.commit(batch)?;
        self.store.flush()
    }

    /// An entry by the hash of its transaction.
    ///
    /// # Errors
    /// Us: the database.
    pub fn find(&self, hash: &B256) -> Result<Option<ForcedTx>, StoreError> {
        let Some(index) = self.store.get(Tree::L1, &[HASH, hash.as_slice()].concat())? else {
            return Ok(None);
        };
        let at = [ENTRY, &index].concat();
        Ok(self.store.get(Tree::L1, &at)?.and_then(|bytes| read(&bytes)))
    }

    /// All entries of L1 blocks above `after` up to `upto`.
    fn entries(&self, after: u64, upto: u64) -> Result<Vec<ForcedTx>, StoreError> {
        let (first, end) = (self.next_after(after)?, self.next_after(upto)?);
        let scan = Scan::range(&key(ENTRY, first), &key(ENTRY, end), PAGE);
        let mut out = Vec::new();
        for_each(&**self.store.kv(), Tree::L1, scan, |_, bytes| {
            out.extend(read(&bytes));
            Ok(())
        })?;
        Ok(out)
    }

    /// Index of the first entry above an L1 block.
    fn next_after(&self, l1_number: u64) -> Result<u64, StoreError> {
        let upto = Scan::range(NEXT, &key(NEXT, l1_number.saturating_add(1)), 1).descending();
        let last = self.store.kv().scan(Tree::L1, &upto)?.pop();
        Ok(last.and_then(|(_, v)| v.try_into().ok()).map_or(0, u64::from_be_bytes))
    }
}

impl ForcedSource for ForcedBook {
    fn between(&self, after: u64, upto: u64, chain_id: u64) -> Result<Vec<Arc<Tx>>, StackError> {
        if after >= upto {
            return Ok(Vec::new());
        }
        let fault = |why: String| StackError::Forced { upto, why };
        let known = self.upto().map_err(|e| fault(e.to_string()))?;
        if known.is_none_or(|known| known < upto) {
            return Err(fault(format!("L1 is read up to {known:?}")));
        }
        let entries = self.entries(after, upto).map_err(|e| fault(e.to_string()))?;
        Ok(forced_txs(&entries, after, upto, chain_id).into_iter().map(Arc::new).collect())
    }
}

fn key(prefix: &[u8], number: u64) -> Vec<u8> {
    let mut w = Writer::with_capacity(prefix.len().saturating_add(8));
    w.raw(prefix).u64(number);
    w.finish()
}

fn read(bytes: &[u8]) -> Option<ForcedTx> {
    ForcedTx::decode_from(&mut Reader::new(bytes)).ok()
}
