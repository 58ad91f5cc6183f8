//! The lagged execution checkpoint: what the set certifies about execution, a safe distance behind.
//!
//! Not for: computing it (the node executes) and not for when it is known (`preconf`).
//! Invariant: every [`EXEC_LAG`]th height from the second on names the one before, and no other names any; so a
//! certified header says which execution its signers had.

use crate::{Decode, DecodeError, Encode, Reader, Writer};
use alloy_primitives::{B256, Keccak256};

/// Heights from one checkpoint to the next, and from a checkpoint to the header that names it.
pub const EXEC_LAG: u64 = 64;
/// Bytes of an encoded checkpoint.
pub const LAG_LEN: usize = 80;

/// What execution gave for a checkpoint height: the newest execution block that lies below the block of that height
/// with all of its heights; the genesis block if there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagPoint {
    /// The checkpoint height.
    pub height: u64,
    /// Number of the block.
    pub block_number: u64,
    /// Its hash.
    pub block_hash: B256,
    /// Root of the rewards as of this block (`RewardsBook::root`).
    pub rewards_root: B256,
}

impl LagPoint {
    /// What a header names (`exec_lag_root`): `keccak("rota/lag/v1" || encoding)`.
    #[must_use]
    pub fn root(&self) -> B256 {
        let mut h = Keccak256::new();
        h.update(b"rota/lag/v1");
        h.update(self.encode());
        h.finalize()
    }
}

impl Encode for LagPoint {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.height).u64(self.block_number).hash(&self.block_hash).hash(&self.rewards_root);
    }
}

impl Decode for LagPoint {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: r.u64("checkpoint height")?,
            block_number: r.u64("block number")?,
            block_hash: r.hash("block hash")?,
            rewards_root: r.hash("rewards root")?,
        })
    }
}
