//! What a light client needs to know one thing about the rollup from one L1 block hash (`docs/light.md`).
//!
//! Not for: checking it (`rota-verify`), and not for making one (`node`).
//! Invariant: it brings everything that a check needs except the context and the hash of an L1 block, which the user has
//! from a source that it trusts.

use crate::{MerkleProof, MmrProof, ReceiptDomain, ReceiptSet, receipt::quantity};
use alloy_primitives::{B256, Bytes, Keccak256, U256};
use serde::{Deserialize, Serialize};

/// Version of the format.
pub const LIGHT_VERSION: u8 = 1;

/// Where `Registry` keeps its sets; `contracts/test/Sets.t.sol` holds the contract to it.
mod slot {
    pub(super) const SETS: u64 = 2;
    pub(super) const SET_ID: u64 = 4;
}

/// A certified height under a set that L1 names, and what is proven below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LightProof {
    /// [`LIGHT_VERSION`].
    pub v: u8,
    /// What the context is the hash of.
    pub domain: ReceiptDomain,
    /// The set of the certificate.
    pub set: ReceiptSet,
    /// That L1 has this set; missing where the node has no L1 that gives proofs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub l1: Option<SetProof>,
    /// Encoded header that is certified.
    pub header: Bytes,
    /// Encoded commit certificate.
    pub certificate: Bytes,
    /// The height in question, if it is an earlier one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub below: Option<Below>,
    /// A transaction of the height in question.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transaction: Option<LightTx>,
    /// What the height in question says of execution: the encoded `LagPoint` that it names.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint: Option<Bytes>,
}

/// An earlier height.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Below {
    /// Its encoded header.
    pub header: Bytes,
    /// Place of its value id under `history_root` of the certified one.
    pub history: MmrProof,
}

/// A transaction and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LightTx {
    /// The transaction.
    pub hash: B256,
    /// Insured amount, wei; part of its leaf.
    #[serde(with = "quantity")]
    pub insured: u128,
    /// Its place in the frame.
    pub position: MerkleProof,
    /// Encoded header of the frame.
    pub frame: Bytes,
    /// Place of the frame hash in `frames_root`.
    pub frame_proof: MerkleProof,
}

/// Storage of the Registry in one L1 block, as `eth_getProof` gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetProof {
    /// RLP of the L1 block header.
    pub header: Bytes,
    /// Nonce of the Registry's account.
    #[serde(with = "quantity")]
    pub nonce: u64,
    /// Its balance, wei.
    pub balance: U256,
    /// Root of its storage.
    pub storage_hash: B256,
    /// Hash of its code.
    pub code_hash: B256,
    /// Nodes from the state root to the account.
    pub account_proof: Vec<Bytes>,
    /// Id of the set.
    pub id: SlotProof,
    /// The second word of the set's entry: the epoch of the set after it, if one is frozen.
    pub entry: SlotProof,
    /// The same word of that set: when it was frozen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<SlotProof>,
}

/// One word of storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlotProof {
    /// The word; its key follows from what it is.
    pub value: U256,
    /// Nodes from the storage root.
    pub proof: Vec<Bytes>,
}

/// Key of the word that holds the id of an epoch's set.
#[must_use]
pub fn set_id_slot(epoch: u64) -> U256 {
    mapped(epoch, slot::SET_ID)
}

/// Key of the word `keys:20 || next:4 || frozen_at:8` (from the lowest byte up) of an epoch's set.
#[must_use]
pub fn set_entry_slot(epoch: u64) -> U256 {
    mapped(epoch, slot::SETS).wrapping_add(U256::ONE)
}

/// The next frozen epoch after a set, 0 for none, and the L1 block in which the set was frozen, out of that word.
#[must_use]
pub fn read_set_entry(word: U256) -> (u64, u64) {
    let bytes: [u8; 32] = word.to_be_bytes();
    let number = |from: usize, len: usize| {
        bytes.iter().skip(from).take(len).fold(0u64, |n, b| (n << 8) | u64::from(*b))
    };
    (number(8, 4), number(0, 8))
}

/// Where Solidity puts the value of a mapping by `uint64`.
fn mapped(key: u64, slot: u64) -> U256 {
    let mut h = Keccak256::new();
    h.update(B256::from(U256::from(key)));
    h.update(B256::from(U256::from(slot)));
    h.finalize().into()
}
