//! What shows withdrawals on L1 in a block that is proven there days later, when nobody has the state of that block in memory.
//!
//! Not for: the proof on L1, nor for any other account than the message passer. Its storage only grows: one slot for each
//! withdrawal, and their number. So the slots with the block in which each was seen first give its trie at every block that was
//! kept; of the account the nodes are kept. Invariant: nothing is given whose root is not the one that the block has.

mod watch;

pub use watch::{ExitWatch, follow_exits};

use alloy_primitives::{B256, Bytes, U256, keccak256};
use parking_lot::Mutex;
use rota_execution::{Account, AccountProof, MESSAGE_PASSER, SlotProof, State, Trie};
use rota_store::{Batch, Blocks, Scan, StoreError, Tree, for_each};
use rota_types::{DecodeError, Reader, Writer};
use std::{collections::BTreeSet, sync::Arc};

/// Where the message passer has the number of withdrawals.
const COUNT: U256 = U256::from_limbs([1, 0, 0, 0]);
/// Blocks kept behind the newest: twelve days of one a second. The oracle's window and a week of dispute fit in.
const KEPT: u64 = 1_036_800;
/// In front of keys of [`Tree::Exits`]: a slot with its block, and a block with the account's proof.
const SLOT: u8 = b's';
const PLACE: u8 = b'p';
/// Entries read at once.
const PAGE: usize = 4_096;
/// Old blocks forgotten with each new one, at most.
const PRUNED: usize = 64;
/// Most nodes from the state root to an account, and most bytes of one.
const MAX_NODES: u8 = 64;
const MAX_NODE: usize = 1_024;

/// The trie of the slots up to a block.
#[derive(Default)]
struct Upto {
    block: u64,
    slots: u64,
    trie: Trie,
}

/// The slots and the blocks, on disk. Cheap to clone; one writer.
#[derive(Clone)]
pub struct Exits {
    store: Blocks,
    /// The newest that was asked for: most want the same.
    last: Arc<Mutex<Upto>>,
}

impl std::fmt::Debug for Exits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exits").finish_non_exhaustive()
    }
}

impl Exits {
    /// Over a node's database.
    #[must_use]
    pub fn new(store: Blocks) -> Self {
        Self { store, last: Arc::default() }
    }

    /// All slots that were seen.
    pub(crate) fn slots(&self) -> Result<BTreeSet<U256>, StoreError> {
        let mut found = BTreeSet::new();
        for_each(&**self.store.kv(), Tree::Exits, Scan::prefix(&[SLOT], PAGE), |key, _| {
            found.extend(slot_of(key));
            Ok(())
        })?;
        Ok(found)
    }

    /// Keeps a final block, whose state this is, with the slots that are `new` in it, and forgets those that nobody will ask
    /// for: below `proven`, and very old ones. Blocks come in order.
    pub(crate) fn keep(
        &self,
        (block, state): (u64, &State),
        new: &[U256],
        proven: u64,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for slot in new {
            batch.put(Tree::Exits, key(SLOT, &slot.to_be_bytes::<32>()), block.to_be_bytes());
        }
        batch.put(Tree::Exits, place(block), encode(&state.proof(MESSAGE_PASSER, &[])));
        // Only if this node has the proven one can nobody miss the others.
        let here = self.store.get(Tree::Exits, &place(proven))?.is_some();
        let floor = if here { proven } else { 0 }.max(block.saturating_sub(KEPT));
        let old = Scan::range(&[PLACE], &place(floor), PRUNED);
        for (old, _) in self.store.kv().scan(Tree::Exits, &old)? {
            batch.delete(Tree::Exits, old);
        }
        self.store.kv().apply(batch)
    }

    /// Slots of the message passer in a block that was kept.
    ///
    /// # Errors
    /// The disk, or what is on it.
    pub fn proof(&self, block: u64, slots: &[U256]) -> Result<Option<AccountProof>, ExitsError> {
        let Some(bytes) = self.store.get(Tree::Exits, &place(block))? else { return Ok(None) };
        let mut proof = decode(&bytes)?;
        let trie = self.trie(block)?;
        if trie.root() != proof.storage_root {
            return Err(ExitsError::OtherRoot { block, stored: proof.storage_root });
        }
        let one = |slot: &U256| {
            let key = hashed(slot);
            let value =
                trie.get(&key).and_then(|mut rlp| alloy_rlp::Decodable::decode(&mut rlp).ok());
            SlotProof { slot: *slot, value: value.unwrap_or_default(), nodes: trie.proof(&key) }
        };
        proof.slots = slots.iter().map(one).collect();
        Ok(Some(proof))
    }

    fn trie(&self, block: u64) -> Result<Trie, StoreError> {
        let mut last = self.last.lock();
        if last.block == block {
            return Ok(last.trie.clone());
        }
        if last.block > block {
            *last = Upto::default();
        }
        let Upto { block: after, mut slots, mut trie } = std::mem::take(&mut *last);
        for_each(&**self.store.kv(), Tree::Exits, Scan::prefix(&[SLOT], PAGE), |key, seen| {
            let seen = seen.try_into().map_or(u64::MAX, u64::from_be_bytes);
            if let Some(slot) = slot_of(key).filter(|_| seen > after && seen <= block) {
                slots = slots.saturating_add(1);
                trie.insert(hashed(&slot), &[1]);
            }
            Ok(())
        })?;
        if slots > 0 {
            let count = alloy_rlp::encode(U256::from(slots));
            trie.insert(hashed(&COUNT), &count);
        }
        *last = Upto { block, slots, trie: trie.clone() };
        Ok(trie)
    }
}

/// Why there is no proof. This node's fault.
#[derive(Debug, thiserror::Error)]
pub enum ExitsError {
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored does not decode.
    #[error("a stored proof is damaged: {0}")]
    Damaged(#[from] DecodeError),
    /// Withdrawals are missing, or there are too many.
    #[error(
        "the withdrawals known here are not those of block {block}, whose storage root is {stored}"
    )]
    OtherRoot {
        /// The block.
        block: u64,
        /// What it has.
        stored: B256,
    },
}

fn hashed(slot: &U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}

fn slot_of(key: &[u8]) -> Option<U256> {
    key.get(1..).and_then(U256::try_from_be_slice)
}

fn key(kind: u8, rest: &[u8]) -> Vec<u8> {
    [&[kind], rest].concat()
}

fn place(block: u64) -> Vec<u8> {
    key(PLACE, &block.to_be_bytes())
}

fn encode(proof: &AccountProof) -> Vec<u8> {
    let Account { nonce, balance, code_hash } = proof.account;
    let mut w = Writer::default();
    w.u64(nonce).hash(&B256::from(balance)).hash(&code_hash).hash(&proof.storage_root);
    w.u8(u8::try_from(proof.nodes.len()).unwrap_or(u8::MAX));
    for node in &proof.nodes {
        w.bytes(node);
    }
    w.finish()
}

fn decode(bytes: &[u8]) -> Result<AccountProof, DecodeError> {
    let mut r = Reader::new(bytes);
    let nonce = r.u64("nonce")?;
    let balance = r.hash("balance")?.into();
    let code_hash = r.hash("code hash")?;
    let storage_root = r.hash("storage root")?;
    let count = r.u8("nodes")?;
    if count > MAX_NODES {
        return Err(DecodeError::Bound { what: "nodes", max: MAX_NODES.into(), got: count.into() });
    }
    let nodes = (0..count).map(|_| r.bytes("node", MAX_NODE)).collect::<Result<Vec<Bytes>, _>>()?;
    let account = Account { nonce, balance, code_hash };
    Ok(AccountProof { address: MESSAGE_PASSER, account, storage_root, nodes, slots: Vec::new() })
}

#[cfg(test)]
mod tests;
