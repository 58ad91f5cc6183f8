//! A derived block as the Engine API takes it.
//!
//! Invariant: the hash is the one that execution here gave, and the bytes on disk give the same block back.

use alloy_consensus::{Block, Header, TxEnvelope};
use alloy_eips::eip7685::Requests;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use alloy_rpc_types_engine::ExecutionPayloadV3;
use rota_execution::ExecutedBlock;
use serde_json::{Value, json};

/// A block, its hash and its requests (EIP-7685).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineBlock {
    hash: B256,
    block: Block<TxEnvelope>,
    requests: Requests,
}

/// On disk.
#[derive(RlpEncodable, RlpDecodable)]
struct Stored {
    hash: B256,
    block: Block<TxEnvelope>,
    requests: Vec<Bytes>,
}

impl EngineBlock {
    /// What execution gave.
    #[must_use]
    pub fn of(executed: &ExecutedBlock) -> Self {
        let (block, requests) = (executed.to_block(), executed.requests.clone());
        Self { hash: executed.hash(), block, requests }
    }

    /// A block with the hash that its header has.
    #[must_use]
    pub fn new(block: Block<TxEnvelope>, requests: Requests) -> Self {
        Self { hash: block.header.hash_slow(), block, requests }
    }

    /// The block hash.
    #[must_use]
    pub const fn hash(&self) -> B256 {
        self.hash
    }
    /// The number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.block.header.number
    }
    /// The block before.
    #[must_use]
    pub const fn parent_hash(&self) -> B256 {
        self.block.header.parent_hash
    }
    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.block.header
    }
    /// How many transactions.
    #[must_use]
    pub const fn txs(&self) -> usize {
        self.block.body.transactions.len()
    }

    /// The block in RLP, as clients exchange it.
    #[must_use]
    pub fn rlp(&self) -> Bytes {
        let mut out = Vec::new();
        self.block.encode(&mut out);
        out.into()
    }

    /// Parameters of `engine_newPayloadV4`.
    #[must_use]
    pub fn params(&self) -> Value {
        let payload = ExecutionPayloadV3::from_block_unchecked(self.hash, &self.block);
        let beacon_root = self.block.header.parent_beacon_block_root.unwrap_or_default();
        // No blob transactions: no versioned hashes.
        json!([payload, [], beacon_root, self.requests])
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let requests = self.requests.iter().cloned().collect();
        let mut out = Vec::new();
        Stored { hash: self.hash, block: self.block.clone(), requests }.encode(&mut out);
        out
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let Stored { hash, block, requests } = Stored::decode(&mut bytes).ok()?;
        (bytes.is_empty() && block.header.hash_slow() == hash).then(|| Self {
            hash,
            block,
            requests: requests.into(),
        })
    }

    /// The hash alone, from the bytes on disk.
    pub(super) fn decode_hash(mut bytes: &[u8]) -> Option<B256> {
        alloy_rlp::Header::decode(&mut bytes).ok().filter(|h| h.list)?;
        B256::decode(&mut bytes).ok()
    }
}
