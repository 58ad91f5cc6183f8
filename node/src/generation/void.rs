//! Transactions of decided heights that a fallback made void, so that a node can say what became of them.
//!
//! Not for: frames that were not decided. Invariant: what is in a block of the new generation's chain is not void.

use alloy_primitives::{B256, keccak256};
use rota_store::{BlockBatch, Blocks, StoreError, Tree};

/// Under it, by transaction hash: the height that had it.
const VOID: &[u8] = b"void/";
/// Heights read at once.
const CHUNK: usize = 64;

/// Notes what the database of a generation before has decided above a height, and the chain in `store` does not have.
/// Gives how many there are.
pub(super) fn note(store: &Blocks, before: &Blocks, posted: u64) -> Result<u64, StoreError> {
    let (mut next, mut noted) = (posted.saturating_add(1), 0u64);
    loop {
        let heights = before.heights(next, CHUNK)?;
        let Some(last) = heights.last() else { return Ok(noted) };
        next = last.header.height().saturating_add(1);
        let mut batch = BlockBatch::default();
        for height in &heights {
            for tx in height.frames.iter().flat_map(|f| &f.body.txs) {
                let hash = keccak256(tx);
                if store.tx(hash)?.is_none() {
                    batch.put(Tree::L1, key(&hash), height.header.height().to_be_bytes());
                    noted = noted.saturating_add(1);
                }
            }
        }
        store.commit(batch)?;
    }
}

/// The height of a generation that is over that had a transaction, if it was decided and never posted.
///
/// # Errors
/// Us: the database.
pub fn voided(store: &Blocks, hash: &B256) -> Result<Option<u64>, StoreError> {
    let bytes = store.get(Tree::L1, &key(hash))?;
    Ok(bytes.and_then(|b| b.try_into().ok()).map(u64::from_be_bytes))
}

fn key(hash: &B256) -> Vec<u8> {
    [VOID, hash.as_slice()].concat()
}
