//! The facts that the writer gives and the readers get.

use alloy_consensus::{Block, BlockBody, Header, TxEnvelope, TxReceipt};
use alloy_eips::eip4895::{Withdrawal, Withdrawals};
use alloy_primitives::{Address, B256, Bloom, Bytes, keccak256};
use rota_execution::{BlockContext, ExecutedBlock, Head, Included, Outcome, State};
use rota_types::{Millis, SignedFrame, Tx};
use std::sync::Arc;

/// Which frames and heights a block is made of, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First log position.
    pub first_g: u64,
    /// Last log position.
    pub last_g: u64,
    /// First height.
    pub first_height: u64,
    /// Last height.
    pub last_height: u64,
}

/// A block, sealed or still open.
#[derive(Debug, Clone)]
pub struct BlockView {
    /// The header. Of an open block the roots, the bloom's completeness and the hash are provisional.
    pub header: Header,
    /// The block hash, or the hash of the last frame while the block is open.
    pub hash: B256,
    /// Whether the block has its final content and hash.
    pub sealed: bool,
    /// Transactions with their results, in order.
    pub txs: Vec<Arc<Included>>,
    /// Deposits from L1; known when sealed.
    pub withdrawals: Vec<Withdrawal>,
    /// State after the block; `None` if it comes from the archive.
    pub state: Option<State>,
    /// Its frames and heights.
    pub span: Span,
}

impl BlockView {
    /// The view of a finished block.
    #[must_use]
    pub fn from_executed(block: &ExecutedBlock, span: Span) -> Self {
        Self {
            header: block.head.header.clone(),
            hash: block.head.hash,
            sealed: true,
            txs: block.included.clone(),
            withdrawals: block.withdrawals.clone(),
            state: Some(block.head.state.clone()),
            span,
        }
    }

    pub(super) fn genesis(head: &Head) -> Self {
        Self {
            header: head.header.clone(),
            hash: head.hash,
            sealed: true,
            txs: Vec::new(),
            withdrawals: Vec::new(),
            state: Some(head.state.clone()),
            span: Span::default(),
        }
    }

    /// The open block made of these frames.
    pub(super) fn open(frames: &[Arc<FrameRecord>], state: State) -> Option<Self> {
        let (first, last) = (frames.first()?, frames.last()?);
        let txs: Vec<_> = frames.iter().flat_map(|f| f.included().cloned()).collect();
        let bloom = txs.iter().fold(Bloom::ZERO, |b, t| b | t.receipt.bloom());
        let gas_used = txs.last().map_or(0, |t| t.receipt.cumulative_gas_used());
        Some(Self {
            header: Header { gas_used, logs_bloom: bloom, ..last.block.header() },
            hash: last.hash,
            sealed: false,
            txs,
            withdrawals: Vec::new(),
            state: Some(state),
            span: Span {
                first_g: first.g(),
                last_g: last.g(),
                first_height: first.frame.header.height,
                last_height: last.frame.header.height,
            },
        })
    }

    /// The block number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.header.number
    }

    /// The block as clients exchange it.
    #[must_use]
    pub fn to_block(&self) -> Block<TxEnvelope> {
        let body = BlockBody {
            transactions: self.txs.iter().map(|tx| tx.transaction.clone()).collect(),
            ommers: Vec::new(),
            withdrawals: Some(Withdrawals::new(self.withdrawals.clone())),
        };
        Block::new(self.header.clone(), body)
    }

    /// What calls on top of this block see.
    #[must_use]
    pub fn context(&self, chain_id: u64) -> BlockContext {
        BlockContext::of(&self.header, chain_id)
    }
}

/// What the frames of an open block say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenHeader {
    /// Block number.
    pub number: u64,
    /// Seconds since the Unix epoch.
    pub timestamp_s: u64,
    /// Hash of the block before.
    pub parent_hash: B256,
    /// Gas limit.
    pub gas_limit: u64,
    /// Base fee, wei.
    pub base_fee: u64,
    /// Receives the priority fees.
    pub fee_recipient: Address,
    /// `PREVRANDAO`.
    pub prev_randao: B256,
    /// L1 origin (`parentBeaconBlockRoot`).
    pub beacon_root: B256,
}

impl OpenHeader {
    /// From the parts that execution opened the block with.
    #[must_use]
    pub fn of(block: &rota_execution::OpenBlock) -> Self {
        let (env, context) = (block.env(), block.context());
        Self {
            number: env.number,
            timestamp_s: env.timestamp_s,
            parent_hash: block.parent().hash,
            gas_limit: env.gas_limit,
            base_fee: context.base_fee,
            fee_recipient: env.fee_recipient,
            prev_randao: env.prev_randao,
            beacon_root: env.parent_beacon_block_root,
        }
    }

    /// A header with everything that is known before the block ends.
    fn header(&self) -> Header {
        Header {
            number: self.number,
            timestamp: self.timestamp_s,
            parent_hash: self.parent_hash,
            gas_limit: self.gas_limit,
            base_fee_per_gas: Some(self.base_fee),
            beneficiary: self.fee_recipient,
            mix_hash: self.prev_randao,
            parent_beacon_block_root: Some(self.beacon_root),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            withdrawals_root: Some(alloy_consensus::constants::EMPTY_WITHDRAWALS),
            ..Header::default()
        }
    }
}

/// The position of a transaction that L1 forced in: it is in the block, and in no frame.
pub const FORCED: u32 = u32::MAX;

/// A transaction of a frame, with what became of it.
#[derive(Debug, Clone)]
pub struct FrameTx {
    /// Place in the frame's body, or [`FORCED`].
    pub position: u32,
    /// The transaction.
    pub tx: Arc<Tx>,
    /// Included with its result, or skipped.
    pub outcome: Outcome,
}

/// A new frame with its results: what [`super::View::frame`] takes.
#[derive(Debug, Clone)]
pub struct FrameView {
    /// The frame.
    pub frame: Arc<SignedFrame>,
    /// Its hash.
    pub hash: B256,
    /// The leader's owner address.
    pub leader: Address,
    /// What L1 forced in before it, if it opens a block.
    pub forced: Vec<FrameTx>,
    /// Its transactions that decode, in order.
    pub txs: Vec<FrameTx>,
    /// The block that the frame belongs to.
    pub block: OpenHeader,
    /// State after the frame.
    pub state: State,
    /// When it was executed.
    pub now_ms: Millis,
}

/// A frame as readers see it.
#[derive(Debug, Clone)]
pub struct FrameRecord {
    /// The frame.
    pub frame: Arc<SignedFrame>,
    /// Its hash.
    pub hash: B256,
    /// The leader's owner address.
    pub leader: Address,
    /// What L1 forced in before it, if it opens a block.
    pub forced: Vec<FrameTx>,
    /// Its transactions that decode, in order.
    pub txs: Vec<FrameTx>,
    /// The block that the frame belongs to.
    pub block: OpenHeader,
    /// When this node executed it.
    pub at_ms: Millis,
}

impl FrameRecord {
    /// Log position.
    #[must_use]
    pub fn g(&self) -> u64 {
        self.frame.header.g
    }

    /// Hashes of everything in the body, in order: the leaves of `tx_root`.
    #[must_use]
    pub fn tx_hashes(&self) -> Vec<B256> {
        let body = &self.frame.body.txs;
        if self.txs.len() == body.len() {
            return self.txs.iter().map(|t| t.tx.hash).collect();
        }
        // Some do not decode and have no entry here, but their place in the tree.
        body.iter().map(keccak256).collect()
    }

    /// Results of the transactions that are in the block, the forced ones first.
    pub fn included(&self) -> impl Iterator<Item = &Arc<Included>> {
        self.forced.iter().chain(&self.txs).filter_map(|t| match &t.outcome {
            Outcome::Included(result) => Some(result),
            Outcome::Skipped(_) => None,
        })
    }
}

/// A decided height: what [`super::View::decided`] takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The height.
    pub height: u64,
    /// Log position of its CLOSE frame.
    pub last_g: u64,
    /// The deciding round.
    pub round: u32,
    /// Encoded commit certificate.
    pub certificate: Bytes,
    /// Encoded header.
    pub header: Bytes,
}

/// A decided height with the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeightRecord {
    /// What was decided.
    pub decision: Decision,
    /// When this node learned it.
    pub at_ms: Millis,
}

/// A batch on L1 that ends with a height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// Last height in it.
    pub height: u64,
    /// The L1 transaction.
    pub l1_tx: B256,
    /// Its L1 block.
    pub l1_block: u64,
    /// When this node learned it.
    pub at_ms: Millis,
}

/// Batches up to a height whose L1 block is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finalization {
    /// Last height.
    pub height: u64,
    /// The final L1 block.
    pub l1_block: u64,
    /// When this node learned it.
    pub at_ms: Millis,
}

/// A final step of the oracle: L1 holds its block and all before it for proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenStep {
    /// Its number.
    pub step: u64,
    /// Number of its block.
    pub block: u64,
    /// The hash of that block.
    pub hash: B256,
    /// The final L1 block that it was read in.
    pub l1_block: u64,
    /// When this node learned it.
    pub at_ms: Millis,
}

/// What went wrong with a transaction, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProblemKind {
    /// Not admitted, or thrown out of the queue.
    Rejected,
    /// Another transaction with the same nonce took its place.
    Replaced,
    /// Framed, but it could not be executed there.
    Skipped,
    /// Its frame died with its leader; nobody is at fault by the rules.
    Retracted,
    /// Its frame was contradicted by a second signature: slashable.
    Broken,
}

/// What went wrong with a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// In one word.
    pub kind: ProblemKind,
    /// In a sentence.
    pub reason: String,
    /// The transaction that took its place.
    pub replaced_by: Option<B256>,
    /// When.
    pub at_ms: Option<Millis>,
}
