//! What L1 brings in, kept on disk from the moment that L1 is read until long after it was executed: forced transactions
//! and deposits.
//!
//! Not for: reading L1 (`settle`). Only final L1 blocks come here, so nothing is ever taken back. Invariant (I-15, I-42): an
//! answer is complete for its range of L1 blocks, or there is none.

use super::{
    ledger::{BookError, Ledger, by_hash},
    stack::StackError,
};
use alloy_primitives::{B256, keccak256};
use rota_store::{BlockBatch, Blocks, StoreError, Tree};
use rota_types::{Decode, Deposit, Encode, ForcedTx, Reader, Tx, due_deposits, forced_txs};
use std::sync::Arc;

const FORCED: Ledger =
    Ledger { what: "forced transaction", entry: b"forced/entry/", next: b"forced/next/" };
const DEPOSITS: Ledger =
    Ledger { what: "deposit", entry: b"deposit/entry/", next: b"deposit/next/" };
/// Under it, by transaction hash: index.
const HASH: &[u8] = b"forced/hash/";
/// The L1 block up to which everything is here.
const UPTO: &[u8] = b"forced/upto";

/// What L1 brings into one execution block.
#[derive(Debug, Clone, Default)]
pub struct Due {
    /// By index; credited first.
    pub deposits: Vec<Deposit>,
    /// Those that may be executed, in order.
    pub forced: Vec<Arc<Tx>>,
}

/// Who knows what L1 brings in.
pub trait ForcedSource: Send + Sync {
    /// What the L1 blocks above `after` up to `upto` bring in (`rota_types::forced_txs`, `due_deposits`).
    ///
    /// # Errors
    /// Not everything of these blocks is known here.
    fn between(&self, after: u64, upto: u64, chain_id: u64) -> Result<Due, StackError>;
}

/// Queue and deposits as far as they are final on L1.
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
    /// Something is missing before what is given. Us: the database.
    pub fn extend(
        &self,
        upto: u64,
        entries: &[ForcedTx],
        deposits: &[Deposit],
    ) -> Result<(), BookError> {
        let mut batch = BlockBatch::default();
        let forced = entries.iter().map(|e| (e.index, e.l1_number, e.encode())).collect();
        FORCED.add(&self.store, &mut batch, forced)?;
        for entry in entries {
            let at = by_hash(HASH, &keccak256(&entry.tx));
            batch.put(Tree::L1, at, entry.index.to_be_bytes());
        }
        let deposits = deposits.iter().map(|d| (d.index, d.l1_number, d.encode())).collect();
        DEPOSITS.add(&self.store, &mut batch, deposits)?;
        batch.put(Tree::L1, UPTO, upto.to_be_bytes());
        self.store.commit(batch)?;
        Ok(self.store.flush()?)
    }

    /// An entry by the hash of its transaction.
    ///
    /// # Errors
    /// Us: the database.
    pub fn find(&self, hash: &B256) -> Result<Option<ForcedTx>, StoreError> {
        let Some(index) = self.store.get(Tree::L1, &by_hash(HASH, hash))? else {
            return Ok(None);
        };
        Ok(FORCED.get(&self.store, &index)?.and_then(|bytes| read(&bytes)))
    }

    fn due(&self, after: u64, upto: u64, chain_id: u64) -> Result<Due, StoreError> {
        let entries = FORCED.between(&self.store, (after, upto), read::<ForcedTx>)?;
        let deposits = DEPOSITS.between(&self.store, (after, upto), read::<Deposit>)?;
        let forced = forced_txs(&entries, after, upto, chain_id).into_iter().map(Arc::new);
        Ok(Due { deposits: due_deposits(&deposits, after, upto), forced: forced.collect() })
    }
}

impl ForcedSource for ForcedBook {
    fn between(&self, after: u64, upto: u64, chain_id: u64) -> Result<Due, StackError> {
        if after >= upto {
            return Ok(Due::default());
        }
        let fault = |why: String| StackError::Forced { upto, why };
        let known = self.upto().map_err(|e| fault(e.to_string()))?;
        if known.is_none_or(|known| known < upto) {
            return Err(fault(format!("L1 is read up to {known:?}")));
        }
        self.due(after, upto, chain_id).map_err(|e| fault(e.to_string()))
    }
}

fn read<T: Decode>(bytes: &[u8]) -> Option<T> {
    T::decode_from(&mut Reader::new(bytes)).ok()
}
