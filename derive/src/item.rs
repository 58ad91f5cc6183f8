//! What goes into the derivation and what comes out.

use crate::Skip;
use alloy_primitives::{B256, Bytes};
use rota_types::{
    CommitCertificate, Decode, DecodeError, Encode, Env, Header, Mmr, Reader, Tx, Writer,
};
use std::sync::Arc;

/// Where something is on L1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L1Ref {
    /// Block number.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
    /// Transaction.
    pub tx_hash: B256,
}

/// A batch that the Inbox accepted. Nothing in it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedBatch {
    /// First height claimed.
    pub from_height: u64,
    /// Last height claimed.
    pub to_height: u64,
    /// Value id of the last height.
    pub value_id: B256,
    /// Epoch whose set certified it.
    pub epoch: u64,
    /// The certificate over the last height.
    pub certificate: CommitCertificate,
    /// The encoded header of the last height.
    pub header: Bytes,
    /// The data of all blobs, joined.
    pub data: Bytes,
    /// Where it was accepted.
    pub l1: L1Ref,
}

/// The newest derived height, or the point where derivation starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The height.
    pub height: u64,
    /// Its value id: `parent_id` of the next height.
    pub value_id: B256,
    /// The value ids of all heights up to this one; its root is `history_root` of the next height.
    pub history: Mmr,
    /// Timestamp, seconds.
    pub timestamp_s: u64,
    /// L1 origin.
    pub l1_number: u64,
    /// Epoch.
    pub epoch: u64,
}

/// Where derivation starts: usually the genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The height before the first one, with the timestamp and L1 origin of `block`.
    pub head: Head,
    /// Number of the execution block there, which is complete.
    pub block: u64,
    /// L1 block from which batches are read, itself included; earlier ones cannot be undone.
    pub l1_number: u64,
}

impl Start {
    /// The start of a new rollup: height 0 and block 0, nothing before.
    #[must_use]
    pub fn genesis(timestamp_s: u64, l1_number: u64) -> Self {
        let head = Head {
            height: 0,
            value_id: B256::ZERO,
            history: Mmr::default(),
            timestamp_s,
            l1_number,
            epoch: 0,
        };
        Self { head, block: 0, l1_number }
    }
}

/// A height checked against its certificate, all fields filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedHeight {
    /// The header that was decided.
    pub header: Header,
    /// Its value id.
    pub value_id: B256,
    /// Its transactions in log order, as posted.
    pub txs: Arc<Vec<Bytes>>,
}

/// An execution block, ready to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedBlock {
    /// Number.
    pub number: u64,
    /// Timestamp, seconds.
    pub timestamp_s: u64,
    /// Gas limit, randomness, L1 origin and fee recipient, from the first height.
    pub env: Env,
    /// `extraData`: value id of the last height.
    pub extra_data: B256,
    /// Transactions in order. Those that fail at execution are skipped there.
    pub txs: Vec<Tx>,
    /// Transactions left out because they can never be valid here.
    pub invalid: usize,
    /// First height.
    pub first_height: u64,
    /// Last height.
    pub last_height: u64,
    /// L1 origin of the block before: L1 blocks after it up to `env.l1_number` give the deposits.
    pub previous_origin: u64,
    /// Where the last height was posted.
    pub l1_block: L1Ref,
}

/// What a batch gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Derived {
    /// New heights in order.
    pub heights: Vec<DerivedHeight>,
    /// Blocks that became complete, in order. The newest stays open until a later second is posted.
    pub blocks: Vec<DerivedBlock>,
    /// Where a restart can go on, with batches from its L1 block on: after the last of `blocks`.
    pub resume: Option<Start>,
}

/// What happened to a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was useful.
    Derived(Derived),
    /// It was not; nothing changed.
    Skipped(Skip),
}

impl Head {
    /// Moves on to the next height.
    pub(crate) fn advance(&mut self, header: &Header, value_id: B256) {
        self.height = header.height();
        self.value_id = value_id;
        self.history.push(value_id);
        self.timestamp_s = header.env.timestamp_s;
        self.l1_number = header.env.l1_number;
        self.epoch = header.close.epoch;
    }
}

impl Encode for Start {
    fn encode_to(&self, w: &mut Writer) {
        let h = &self.head;
        w.u64(h.height).hash(&h.value_id).u64(h.timestamp_s).u64(h.l1_number).u64(h.epoch);
        h.history.encode_to(w);
        w.u64(self.block).u64(self.l1_number);
    }
}

impl Decode for Start {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (height, value_id) = (r.u64("height")?, r.hash("value id")?);
        let (timestamp_s, l1_number) = (r.u64("timestamp")?, r.u64("origin")?);
        let (epoch, history) = (r.u64("epoch")?, Mmr::decode_from(r)?);
        let head = Head { height, value_id, history, timestamp_s, l1_number, epoch };
        Ok(Self { head, block: r.u64("block")?, l1_number: r.u64("L1 block")? })
    }
}
