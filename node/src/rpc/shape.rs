//! Blocks, transactions, receipts and logs in the shapes that Ethereum clients expect, plus `preconf`.

use crate::view::{BlockView, FrameRecord, FrameTx, InBlock, TxView, View};
use alloy_consensus::{Transaction as _, transaction::Recovered};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{Block, BlockTransactions, Header, Log, Transaction, TransactionReceipt};
use rota_execution::{Included, Outcome};
use rota_types::{Encode, FrameHeader, Stage, Tx};
use serde::Serialize;

/// Where a frame is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameJson {
    /// Height.
    pub height: U64,
    /// Round in which its leader's term began.
    pub round: U64,
    /// Position in the log.
    pub g: U64,
    /// Position in the term.
    pub seq: U64,
    /// Its hash.
    pub hash: B256,
}

impl FrameJson {
    pub(super) fn of(header: &FrameHeader, hash: B256) -> Self {
        Self {
            height: U64::from(header.height),
            round: U64::from(header.term.round),
            g: U64::from(header.g),
            seq: U64::from(header.seq),
            hash,
        }
    }
}

/// A place in a frame with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PositionJson {
    /// Place in the frame.
    pub index: U64,
    /// Transactions in the frame.
    pub count: U64,
    /// Sibling hashes, lowest first.
    pub proof: Vec<B256>,
}

/// What a receipt says about its preconfirmation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreconfJson {
    /// How far it has come.
    pub stage: Stage,
    /// Its frame; missing when the node keeps the block but not the frame.
    pub frame: Option<FrameJson>,
    /// The leader's owner address.
    pub leader: Option<Address>,
    /// ed25519 over the frame hash.
    pub signature: Option<Bytes>,
    /// Encoded frame header that `frame.hash` is of.
    pub header: Option<Bytes>,
    /// Place in the frame.
    pub position: Option<PositionJson>,
}

impl PreconfJson {
    pub(super) fn of(view: &TxView) -> Self {
        let stage = view.progress.stage.unwrap_or(Stage::Received);
        let Some((frame, position)) = &view.frame else {
            let (frame, leader, signature, header, position) = (None, None, None, None, None);
            return Self { stage, frame, leader, signature, header, position };
        };
        let proof = View::position(frame, *position);
        Self {
            stage,
            frame: Some(FrameJson::of(&frame.frame.header, frame.hash)),
            leader: Some(frame.leader),
            signature: Some(frame.frame.signature.to_vec().into()),
            header: Some(frame.frame.header.encode().into()),
            position: proof.map(|p| PositionJson {
                index: U64::from(p.index),
                count: U64::from(p.count),
                proof: p.siblings,
            }),
        }
    }
}

/// An Ethereum receipt with `preconf`.
#[derive(Debug, Clone, Serialize)]
pub struct ReceiptJson {
    /// What every client knows.
    #[serde(flatten)]
    pub receipt: TransactionReceipt,
    /// What stands behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preconf: Option<PreconfJson>,
}

/// The receipt of a transaction that is in a block.
pub(super) fn receipt(view: &TxView) -> Option<ReceiptJson> {
    let block = view.block.as_ref()?;
    Some(ReceiptJson { receipt: plain_receipt(block), preconf: Some(PreconfJson::of(view)) })
}

/// A receipt as stock clients give it.
pub(super) fn plain_receipt(block: &InBlock) -> TransactionReceipt {
    let result = &block.result;
    let tx = &result.transaction;
    let logs: Vec<Log> = logs_of(block).collect();
    let mut logs = logs.into_iter();
    TransactionReceipt {
        inner: result
            .receipt
            .clone()
            .map_logs(|log| logs.next().unwrap_or(Log { inner: log, ..Log::default() })),
        transaction_hash: *tx.tx_hash(),
        transaction_index: Some(result.index),
        block_hash: Some(block.hash),
        block_number: Some(block.number),
        gas_used: result.gas_used,
        effective_gas_price: result.effective_gas_price,
        blob_gas_used: None,
        blob_gas_price: None,
        from: result.sender,
        to: tx.to(),
        contract_address: result.contract,
    }
}

/// The logs of a transaction with their places.
pub(super) fn logs_of(block: &InBlock) -> impl Iterator<Item = Log> + '_ {
    let result = &block.result;
    let indexes = result.first_log..;
    result.receipt.logs().iter().zip(indexes).map(|(log, index)| Log {
        inner: log.clone(),
        block_hash: Some(block.hash),
        block_number: Some(block.number),
        block_timestamp: Some(block.timestamp_s),
        transaction_hash: Some(*result.transaction.tx_hash()),
        transaction_index: Some(result.index),
        log_index: Some(index),
        removed: false,
    })
}

/// A transaction in a block, or waiting.
pub(super) fn transaction(view: &TxView) -> Transaction {
    match &view.block {
        Some(block) => included(block),
        None => waiting(&view.tx),
    }
}

/// A transaction that waits.
pub(super) fn waiting(tx: &Tx) -> Transaction {
    Transaction {
        inner: Recovered::new_unchecked(tx.envelope.clone(), tx.sender),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: None,
        block_timestamp: None,
    }
}

/// A transaction in a block.
pub(super) fn included(block: &InBlock) -> Transaction {
    let result = &block.result;
    Transaction {
        inner: Recovered::new_unchecked(result.transaction.clone(), result.sender),
        block_hash: Some(block.hash),
        block_number: Some(block.number),
        transaction_index: Some(result.index),
        effective_gas_price: Some(result.effective_gas_price),
        block_timestamp: Some(block.timestamp_s),
    }
}

/// The place of a transaction in a block that the caller holds.
pub(super) fn in_block(block: &BlockView, result: &std::sync::Arc<Included>) -> InBlock {
    InBlock {
        number: block.number(),
        hash: block.hash,
        timestamp_s: block.header.timestamp,
        base_fee: block.header.base_fee_per_gas.unwrap_or_default(),
        sealed: block.sealed,
        result: result.clone(),
    }
}

/// The header alone, as `newHeads` sends it.
pub(super) fn header(block: &BlockView) -> Header {
    Header {
        hash: block.hash,
        inner: block.header.clone(),
        total_difficulty: Some(U256::ZERO),
        size: None,
    }
}

/// A block with its transactions or their hashes.
pub(super) fn block(block: &BlockView, full: bool) -> Block {
    let transactions = if full {
        let all = block.txs.iter().map(|r| included(&in_block(block, r)));
        BlockTransactions::Full(all.collect())
    } else {
        BlockTransactions::Hashes(block.txs.iter().map(|r| *r.transaction.tx_hash()).collect())
    };
    Block {
        header: header(block),
        uncles: Vec::new(),
        transactions,
        withdrawals: Some(block.withdrawals.clone().into()),
    }
}

/// A transaction of a frame for the `preconfs` stream.
pub(super) fn preconfirmed(item: &FrameTx) -> serde_json::Value {
    let (execution, reason, index) = match &item.outcome {
        Outcome::Included(result) if result.receipt.status() => {
            ("success", None, Some(result.index))
        }
        Outcome::Included(result) => ("reverted", None, Some(result.index)),
        Outcome::Skipped(why) => ("skipped", Some(why.to_string()), None),
    };
    serde_json::json!({
        "transactionHash": item.tx.hash, "position": item.position, "execution": execution,
        "transactionIndex": index.map(U64::from), "reason": reason,
    })
}

/// A frame for the `frames` stream.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FrameEvent {
    #[serde(flatten)]
    frame: FrameJson,
    parent_hash: B256,
    leader: Address,
    signature: Bytes,
    timestamp_ms: u64,
    block_number: U64,
    transactions: Vec<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_frame: Option<Bytes>,
}

impl FrameEvent {
    pub(super) fn of(record: &FrameRecord, full: bool) -> Self {
        let header = &record.frame.header;
        Self {
            frame: FrameJson::of(header, record.hash),
            parent_hash: header.prev_hash,
            leader: record.leader,
            signature: record.frame.signature.to_vec().into(),
            timestamp_ms: header.timestamp_ms,
            block_number: U64::from(record.block.number),
            transactions: record.txs.iter().map(|t| t.tx.hash).collect(),
            signed_frame: full.then(|| record.frame.encode().into()),
        }
    }
}
