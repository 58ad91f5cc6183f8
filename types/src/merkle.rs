//! The Merkle tree over a frame's transactions, and the one over hashes (frames of a height).
//!
//! leaf_i = keccak(0x00 || i:u32 || tx_hash || insured:u128), node = keccak(0x01 || l || r), an odd node
//! is promoted, root = keccak(0x02 || count:u32 || top). The prefixes keep leaves and nodes apart, the
//! count keeps a list from being cut.
//! Invariant (I-20): no proof verifies for a transaction that is not in the list, or at another index.

use crate::{Decode, DecodeError, Encode, Reader, Writer};
use alloy_primitives::{B256, Keccak256};
use serde::{Deserialize, Serialize};

/// A position proof: siblings from the leaf up. Levels where the node is promoted have none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerkleProof {
    /// Index of the leaf.
    pub index: u32,
    /// Leaves in the tree.
    pub count: u32,
    /// Sibling hashes, lowest level first.
    pub siblings: Vec<B256>,
}

impl Encode for MerkleProof {
    fn encode_to(&self, w: &mut Writer) {
        w.u32(self.index).u32(self.count).list(&self.siblings);
    }
}

impl Decode for MerkleProof {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            index: r.u32("leaf index")?,
            count: r.u32("leaf count")?,
            siblings: r.list("siblings", 32)?,
        })
    }
}

/// The leaf of a transaction.
#[must_use]
pub fn tx_leaf(index: u32, tx_hash: &B256, insured: u128) -> B256 {
    let mut h = Keccak256::new();
    h.update([0x00]);
    h.update(index.to_be_bytes());
    h.update(tx_hash);
    h.update(insured.to_be_bytes());
    h.finalize()
}

/// Root over transactions; zero for none. `insured` may be empty for "zero for all".
#[must_use]
pub fn tx_root(hashes: &[B256], insured: &[u128]) -> B256 {
    root(leaves(hashes, insured))
}

/// Root over hashes in order, insured amounts zero; zero for none.
#[must_use]
pub fn hash_list_root(hashes: &[B256]) -> B256 {
    tx_root(hashes, &[])
}

/// The proof for the transaction at `index`.
#[must_use]
pub fn tx_proof(hashes: &[B256], insured: &[u128], index: u32) -> Option<MerkleProof> {
    prove(leaves(hashes, insured), index)
}

/// The proof for the leaf at `index` of these.
pub(crate) fn prove(mut level: Vec<B256>, index: u32) -> Option<MerkleProof> {
    let count = u32::try_from(level.len()).ok()?;
    let mut at = usize::try_from(index).ok().filter(|i| *i < level.len())?;
    let mut siblings = Vec::new();
    while level.len() > 1 {
        if let Some(sibling) = level.get(at ^ 1) {
            siblings.push(*sibling);
        }
        level = up(&level);
        at >>= 1;
    }
    Some(MerkleProof { index, count, siblings })
}

/// Whether `tx_hash` with `insured` stands at the proof's index under `root`.
#[must_use]
pub fn verify_tx(root: &B256, tx_hash: &B256, insured: u128, proof: &MerkleProof) -> bool {
    proven(root, tx_leaf(proof.index, tx_hash, insured), proof)
}

/// Whether this leaf stands at the proof's index under `root`.
pub(crate) fn proven(root: &B256, leaf: B256, proof: &MerkleProof) -> bool {
    if proof.index >= proof.count {
        return false;
    }
    let mut siblings = proof.siblings.iter();
    let (mut at, mut width) = (proof.index, proof.count);
    let mut hash = leaf;
    while width > 1 {
        if at ^ 1 < width {
            let Some(sibling) = siblings.next() else { return false };
            hash = if at & 1 == 0 { node(&hash, sibling) } else { node(sibling, &hash) };
        }
        at >>= 1;
        width = width.div_ceil(2);
    }
    siblings.next().is_none() && top(proof.count, &hash) == *root
}

fn leaves(hashes: &[B256], insured: &[u128]) -> Vec<B256> {
    (0u32..)
        .zip(hashes)
        .map(|(i, h)| {
            let at = usize::try_from(i).unwrap_or(usize::MAX);
            tx_leaf(i, h, insured.get(at).copied().unwrap_or(0))
        })
        .collect()
}

/// Root over leaves; zero for none.
pub(crate) fn root(mut level: Vec<B256>) -> B256 {
    let count = u32::try_from(level.len()).unwrap_or(u32::MAX);
    while level.len() > 1 {
        level = up(&level);
    }
    level.first().map_or(B256::ZERO, |hash| top(count, hash))
}

fn up(level: &[B256]) -> Vec<B256> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [l, r] => node(l, r),
            [one] => *one,
            _ => B256::ZERO,
        })
        .collect()
}

fn node(l: &B256, r: &B256) -> B256 {
    let mut h = Keccak256::new();
    h.update([0x01]);
    h.update(l);
    h.update(r);
    h.finalize()
}

fn top(count: u32, hash: &B256) -> B256 {
    let mut h = Keccak256::new();
    h.update([0x02]);
    h.update(count.to_be_bytes());
    h.update(hash);
    h.finalize()
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may overflow and panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_proof_verifies_at_its_index_only(n in 1u32..70, pick in 0u32..70, other in 0u32..70) {
            let hashes: Vec<B256> = (0..n).map(|i| B256::with_last_byte(u8::try_from(i).unwrap())).collect();
            let insured: Vec<u128> = (0..n).map(u128::from).collect();
            let pick = pick % n;
            let root = tx_root(&hashes, &insured);
            let proof = tx_proof(&hashes, &insured, pick).unwrap();
            let (hash, amount) = (hashes[pick as usize], u128::from(pick));
            prop_assert!(verify_tx(&root, &hash, amount, &proof));
            prop_assert!(!verify_tx(&root, &hash, amount + 1, &proof));
            let moved = MerkleProof { index: other % n, ..proof.clone() };
            prop_assert_eq!(verify_tx(&root, &hash, amount, &moved), other % n == pick);
            let cut = MerkleProof { count: proof.count + 1, ..proof };
            prop_assert!(!verify_tx(&root, &hash, amount, &cut));
        }
    }
}
