//! The parameters that every node of a rollup must share. They are part of the genesis hash, so a node
//! with others is on another network.

use crate::{Encode, Writer};
use alloy_primitives::{Address, B256, Keccak256, address};
use serde::{Deserialize, Serialize};

/// Protocol parameters (`docs/protocol.md`, "Parameters"). Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainParams {
    /// Length of a height while there is work.
    pub block_ms: u64,
    /// Length of a height while idle.
    pub idle_block_ms: u64,
    /// Shortest time between two frames under load.
    pub frame_min_ms: u64,
    /// Time between frames while idle.
    pub heartbeat_ms: u64,
    /// Heights in a leader's window.
    pub window_heights: u16,
    /// Frames between two ack points.
    pub ack_every: u32,
    /// Time that validators wait for a proposal in round 0, beyond the height's own length.
    pub propose_ms: u64,
    /// Time that validators wait after a quorum of mixed votes.
    pub vote_ms: u64,
    /// Growth of both per round.
    pub round_delta_ms: u64,
    /// Largest lead of a frame's timestamp over the local clock.
    pub clock_lead_ms: u64,
    /// Gas limit of an execution block.
    pub gas_limit: u64,
    /// Receives priority fees.
    pub fee_vault: Address,
    /// L1 blocks below the head from which an origin may be used without finality.
    pub origin_depth: u64,
}

impl Default for ChainParams {
    fn default() -> Self {
        Self {
            block_ms: 250,
            idle_block_ms: 1000,
            frame_min_ms: 2,
            heartbeat_ms: 100,
            window_heights: 24,
            ack_every: 1,
            propose_ms: 200,
            vote_ms: 200,
            round_delta_ms: 100,
            clock_lead_ms: 500,
            gas_limit: 300_000_000,
            fee_vault: address!("0x000000000000000000000000000000000000fEE5"),
            origin_depth: 64,
        }
    }
}

impl ChainParams {
    /// The genesis hash that the domain names: over the execution genesis block and these parameters.
    #[must_use]
    pub fn genesis_hash(&self, block_hash: B256) -> B256 {
        let mut h = Keccak256::new();
        h.update(b"rota/genesis/v1");
        h.update(block_hash);
        h.update(self.encode());
        h.finalize()
    }
}

impl Encode for ChainParams {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.block_ms).u64(self.idle_block_ms).u64(self.frame_min_ms).u64(self.heartbeat_ms);
        w.u16(self.window_heights).u32(self.ack_every).u64(self.propose_ms).u64(self.vote_ms);
        w.u64(self.round_delta_ms).u64(self.clock_lead_ms).u64(self.gas_limit);
        w.raw(self.fee_vault.as_slice()).u64(self.origin_depth);
    }
}
