//! The header of a height: the value that consensus decides, and what L1 certifies.
//!
//! Invariant (I-9): a header is a pure function of the frame chain up to the height's CLOSE; the value
//! id is its digest. 480 bytes, no optional field.

use crate::{Decode, DecodeError, Domain, Encode, Reader, Tag, Term, Writer};
use alloy_primitives::{Address, B256, keccak256};

/// Bytes of an encoded environment.
pub const ENV_LEN: usize = 108;
/// Bytes of an encoded close body.
pub const CLOSE_LEN: usize = 260;
/// Bytes of an encoded header.
pub const HEADER_LEN: usize = 480;

/// The environment of a height, fixed by its OPEN frame. The first height of a second fixes it for
/// the whole execution block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Env {
    /// Seconds since the Unix epoch; the execution block's timestamp.
    pub timestamp_s: u64,
    /// Number of the L1 origin block.
    pub l1_number: u64,
    /// Hash of the L1 origin block (`parentBeaconBlockRoot` of the execution block).
    pub l1_hash: B256,
    /// Gas limit of the execution block.
    pub gas_limit: u64,
    /// Randomness of the L1 origin block (`prevRandao` of the execution block).
    pub prev_randao: B256,
    /// Receives the priority fees.
    pub fee_vault: Address,
}

impl Encode for Env {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.timestamp_s).u64(self.l1_number).hash(&self.l1_hash).u64(self.gas_limit);
        w.hash(&self.prev_randao).raw(self.fee_vault.as_slice());
    }
}

impl Decode for Env {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            timestamp_s: r.u64("timestamp_s")?,
            l1_number: r.u64("l1_number")?,
            l1_hash: r.hash("l1_hash")?,
            gas_limit: r.u64("gas_limit")?,
            prev_randao: r.hash("prev_randao")?,
            fee_vault: r.address("fee_vault")?,
        })
    }
}

/// What the CLOSE frame of a height fixes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Close {
    /// Raised only by the L1 fallback.
    pub generation: u32,
    /// Epoch whose set decides the height.
    pub epoch: u64,
    /// The height.
    pub height: u64,
    /// Value id of the height before.
    pub parent_id: B256,
    /// Term of the CLOSE frame.
    pub term: Term,
    /// Index of the leader who closed.
    pub closer: u16,
    /// Leader cursor in force for this height.
    pub cursor: u64,
    /// Heights left in the window, this one included.
    pub window_left: u16,
    /// [`jailed_hash`](crate::jailed_hash) of who is jailed from the next height on, what this frame brings included;
    /// zero for nobody, and on the last height of an epoch.
    pub jailed_bitmap_hash: B256,
    /// Root of the evidence in this frame, zero for none.
    pub evidence_root: B256,
    /// Hash of the next set, on the last height of an epoch.
    pub next_set_hash: B256,
    /// Insured amounts decided and not yet final on L1, wei.
    pub insured_total: u128,
    /// Height whose execution result `exec_lag_root` names, 0 for none.
    pub exec_lag_height: u64,
    /// Execution block hash at `exec_lag_height`, zero for none.
    pub exec_lag_root: B256,
    /// Merkle mountain range over the value ids of all heights before.
    pub history_root: B256,
}

impl Encode for Close {
    fn encode_to(&self, w: &mut Writer) {
        w.u32(self.generation).u64(self.epoch).u64(self.height).hash(&self.parent_id);
        w.u64(self.term.height).u32(self.term.round).u16(self.closer).u64(self.cursor);
        w.u16(self.window_left).hash(&self.jailed_bitmap_hash).hash(&self.evidence_root);
        w.hash(&self.next_set_hash).u128(self.insured_total).u64(self.exec_lag_height);
        w.hash(&self.exec_lag_root).hash(&self.history_root);
    }
}

impl Decode for Close {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            generation: r.u32("generation")?,
            epoch: r.u64("epoch")?,
            height: r.u64("height")?,
            parent_id: r.hash("parent_id")?,
            term: Term { height: r.u64("term height")?, round: r.u32("term round")? },
            closer: r.u16("closer")?,
            cursor: r.u64("cursor")?,
            window_left: r.u16("window_left")?,
            jailed_bitmap_hash: r.hash("jailed_bitmap_hash")?,
            evidence_root: r.hash("evidence_root")?,
            next_set_hash: r.hash("next_set_hash")?,
            insured_total: r.u128("insured_total")?,
            exec_lag_height: r.u64("exec_lag_height")?,
            exec_lag_root: r.hash("exec_lag_root")?,
            history_root: r.hash("history_root")?,
        })
    }
}

/// Hash of a bitmap of jailed members (bit i: index i of the set): keccak of its eight bytes, zero for nobody.
#[must_use]
pub fn jailed_hash(jailed: u64) -> B256 {
    if jailed == 0 { B256::ZERO } else { keccak256(jailed.to_be_bytes()) }
}

/// The header of a height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// From the height's OPEN frame.
    pub env: Env,
    /// From the height's CLOSE frame.
    pub close: Close,
    /// Log position of the first frame.
    pub first_g: u64,
    /// Log position of the CLOSE frame.
    pub last_g: u64,
    /// Merkle root over the height's transactions, in order.
    pub txs_root: B256,
    /// Merkle root over the height's frame hashes, in order.
    pub frames_root: B256,
    /// Hash of the CLOSE frame.
    pub last_frame_hash: B256,
}

impl Header {
    /// The height.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.close.height
    }
    /// The value id: what votes name.
    #[must_use]
    pub fn value_id(&self, domain: &Domain) -> B256 {
        domain.digest(Tag::Header, &self.encode())
    }
}

impl Encode for Header {
    fn encode_to(&self, w: &mut Writer) {
        self.env.encode_to(w);
        self.close.encode_to(w);
        w.u64(self.first_g).u64(self.last_g).hash(&self.txs_root).hash(&self.frames_root);
        w.hash(&self.last_frame_hash);
    }
}

impl Decode for Header {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            env: Env::decode_from(r)?,
            close: Close::decode_from(r)?,
            first_g: r.u64("first_g")?,
            last_g: r.u64("last_g")?,
            txs_root: r.hash("txs_root")?,
            frames_root: r.hash("frames_root")?,
            last_frame_hash: r.hash("last_frame_hash")?,
        })
    }
}
