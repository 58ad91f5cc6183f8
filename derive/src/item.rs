//! What goes into the derivation and what comes out.

use crate::Skip;
use alloy_primitives::{Address, B256, Bytes};
use rota_types::{
    CommitCertificate, Decode, DecodeError, Deposit, Encode, Env, Header, LedBy, Mmr, Reader, Tx,
    Writer,
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
    /// The certificate over the last height; none for what anyone posts in a fallback.
    pub certificate: Option<CommitCertificate>,
    /// The encoded header of the last height.
    pub header: Bytes,
    /// The data of all blobs, joined.
    pub data: Bytes,
    /// Where it was accepted.
    pub l1: L1Ref,
    /// Timestamp of that L1 block, seconds.
    pub l1_timestamp: u64,
}

/// An L1 block that forces transactions in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L1Origin {
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Seconds.
    pub timestamp: u64,
    /// Randomness of the beacon chain.
    pub prev_randao: B256,
}

/// What every environment has in common (`ChainParams`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockParams {
    /// Gas limit of an execution block.
    pub gas_limit: u64,
    /// Receives the priority fees.
    pub fee_vault: Address,
}

/// Whose heights count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Those that the set certified.
    #[default]
    Certified,
    /// After a fallback: those of the emergency set, with origins above this L1 block.
    Resumed(u64),
    /// A fallback: the forced queue, and heights that anyone posts.
    Fallback {
        /// L1 block of the activation.
        since: L1Ref,
        /// First L1 block that is not in it any more, once that is known.
        until: Option<u64>,
    },
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
    /// Hash and randomness of the origin; zero before the first height.
    pub l1: (B256, B256),
    /// Epoch.
    pub epoch: u64,
    /// Last position in the log.
    pub last_g: u64,
}

/// Where derivation starts: usually the genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The height before the first one, with the timestamp and L1 origin of `block`.
    pub head: Head,
    /// Number of the execution block there, which is complete.
    pub block: u64,
    /// L1 block from which batches are read, itself included; earlier ones cannot be undone. What is forced in is read
    /// from above the head's origin.
    pub l1_number: u64,
    /// How many fallbacks there were.
    pub generation: u32,
    /// Whose heights count.
    pub mode: Mode,
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
            l1: (B256::ZERO, B256::ZERO),
            epoch: 0,
            last_g: 0,
        };
        Self { head, block: 0, l1_number, generation: 0, mode: Mode::Certified }
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

/// Transactions of an execution block whose fees are shared together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// By whose set, and who led.
    pub led: LedBy,
    /// How many.
    pub txs: usize,
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
    /// What users brought in from L1: credited before any transaction.
    pub deposits: Vec<Deposit>,
    /// Transactions in order, those that L1 forces in first. Those that fail at execution are skipped there.
    pub txs: Vec<Tx>,
    /// How many of them L1 forces in.
    pub forced: usize,
    /// All of `txs` in order: what L1 forces in, then each height.
    pub parts: Vec<Part>,
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
    /// The L1 block that completed it; without that one it may still grow.
    pub completed_by: u64,
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
#[expect(clippy::large_enum_variant, reason = "one for each batch, moved once")]
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
        self.l1 = (header.env.l1_hash, header.env.prev_randao);
        self.epoch = header.close.epoch;
        self.last_g = header.last_g;
    }
}

impl Encode for Start {
    fn encode_to(&self, w: &mut Writer) {
        let h = &self.head;
        w.u64(h.height).hash(&h.value_id).u64(h.timestamp_s).u64(h.l1_number);
        w.hash(&h.l1.0).hash(&h.l1.1).u64(h.epoch).u64(h.last_g);
        h.history.encode_to(w);
        w.u64(self.block).u64(self.l1_number).u32(self.generation);
        match self.mode {
            Mode::Certified => w.u8(0),
            Mode::Resumed(floor) => w.u8(1).u64(floor),
            Mode::Fallback { since, until } => {
                w.u8(2).u64(since.number).hash(&since.hash).hash(&since.tx_hash);
                w.u8(u8::from(until.is_some())).u64(until.unwrap_or(0))
            }
        };
    }
}

impl Decode for Start {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (height, value_id) = (r.u64("height")?, r.hash("value id")?);
        let (timestamp_s, l1_number) = (r.u64("timestamp")?, r.u64("origin")?);
        let l1 = (r.hash("origin hash")?, r.hash("origin randomness")?);
        let (epoch, last_g) = (r.u64("epoch")?, r.u64("last_g")?);
        let history = Mmr::decode_from(r)?;
        let head = Head { height, value_id, history, timestamp_s, l1_number, l1, epoch, last_g };
        let (block, l1_number) = (r.u64("block")?, r.u64("L1 block")?);
        let generation = r.u32("generation")?;
        let mode = match r.u8("mode")? {
            0 => Mode::Certified,
            1 => Mode::Resumed(r.u64("floor")?),
            2 => {
                let (number, hash) = (r.u64("since")?, r.hash("since hash")?);
                let since = L1Ref { number, hash, tx_hash: r.hash("since tx")? };
                let is_known = r.u8("until")? == 1;
                let until = r.u64("until block")?;
                Mode::Fallback { since, until: is_known.then_some(until) }
            }
            _ => return Err(DecodeError::Invalid("unknown mode of derivation")),
        };
        Ok(Self { head, block, l1_number, generation, mode })
    }
}
