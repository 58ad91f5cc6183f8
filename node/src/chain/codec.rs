//! How an execution block is stored: its RLP and what a reader would have to execute again.

use alloy_consensus::{Block, ReceiptEnvelope, TxEnvelope};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::Address;
use alloy_rlp::{Decodable, Encodable};
use rota_execution::Included;
use rota_types::{Decode, DecodeError, Encode, Reader, Writer};
use std::sync::Arc;

use super::building::Sealed;
use crate::view::{BlockView, Span};

const MAX_BLOCK_BYTES: usize = 64 * 1024 * 1024;
const MAX_TXS: usize = 1 << 20;

/// The bytes of a sealed block.
#[must_use]
pub fn encode_block(sealed: &Sealed) -> Vec<u8> {
    let mut w = Writer::default();
    w.u64(sealed.g.0).u64(sealed.g.1).u64(sealed.heights.0).u64(sealed.heights.1);
    let mut rlp = Vec::new();
    sealed.block.to_block().encode(&mut rlp);
    w.bytes(&rlp);
    w.u32(u32::try_from(sealed.block.included.len()).unwrap_or(u32::MAX));
    for tx in &sealed.block.included {
        w.raw(tx.sender.as_slice()).u64(tx.gas_used).u128(tx.effective_gas_price).u64(tx.first_log);
        w.u8(u8::from(tx.contract.is_some())).raw(tx.contract.unwrap_or_default().as_slice());
        w.bytes(&tx.receipt.encoded_2718());
    }
    w.finish()
}

/// A block as readers see it, without its state.
pub fn decode_block(bytes: &[u8]) -> Result<BlockView, DecodeError> {
    let mut r = Reader::new(bytes);
    let span = Span {
        first_g: r.u64("first_g")?,
        last_g: r.u64("last_g")?,
        first_height: r.u64("first_height")?,
        last_height: r.u64("last_height")?,
    };
    let rlp = r.bytes("block", MAX_BLOCK_BYTES)?;
    let block = Block::<TxEnvelope>::decode(&mut rlp.as_ref())
        .map_err(|_| DecodeError::Invalid("a stored block does not decode"))?;
    let count = r.count("transactions", MAX_TXS)?;
    if count != block.body.transactions.len() {
        return Err(DecodeError::Invalid("a stored block misses results"));
    }
    let mut txs = Vec::new();
    for (index, transaction) in (0u64..).zip(block.body.transactions) {
        txs.push(Arc::new(read_included(&mut r, index, transaction)?));
    }
    r.end()?;
    let hash = block.header.hash_slow();
    let withdrawals = block.body.withdrawals.map(|w| w.0).unwrap_or_default();
    Ok(BlockView { header: block.header, hash, sealed: true, txs, withdrawals, state: None, span })
}

fn read_included(
    r: &mut Reader<'_>,
    index: u64,
    transaction: TxEnvelope,
) -> Result<Included, DecodeError> {
    let sender = r.address("sender")?;
    let (gas_used, effective_gas_price) = (r.u64("gas_used")?, r.u128("gas price")?);
    let first_log = r.u64("first_log")?;
    let created = r.u8("created")? == 1;
    let contract: Address = r.address("contract")?;
    let bytes = r.bytes("receipt", MAX_BLOCK_BYTES)?;
    let receipt = ReceiptEnvelope::decode_2718(&mut bytes.as_ref())
        .map_err(|_| DecodeError::Invalid("a stored receipt does not decode"))?;
    let contract = created.then_some(contract);
    Ok(Included {
        transaction,
        sender,
        index,
        receipt,
        gas_used,
        effective_gas_price,
        contract,
        first_log,
    })
}

/// Key of an account in the flat state.
#[must_use]
pub(super) fn account_bytes(account: &rota_execution::Account) -> Vec<u8> {
    let mut w = Writer::with_capacity(72);
    w.u64(account.nonce).raw(&account.balance.to_be_bytes::<32>()).hash(&account.code_hash);
    w.finish()
}

/// Reads an account of the flat state.
pub(super) fn read_account(bytes: &[u8]) -> Result<rota_execution::Account, DecodeError> {
    let mut r = Reader::new(bytes);
    let account = rota_execution::Account {
        nonce: r.u64("nonce")?,
        balance: alloy_primitives::U256::from_be_bytes(r.array::<32>("balance")?),
        code_hash: r.hash("code_hash")?,
    };
    r.end()?;
    Ok(account)
}

/// A height context for the store.
#[must_use]
pub fn encode_context(c: &rota_preconf::HeightContext) -> Vec<u8> {
    let mut w = Writer::default();
    w.u64(c.epoch.number())
        .u64(c.height)
        .hash(&c.parent_id)
        .u64(c.cursor.cursor)
        .u16(c.cursor.window_left)
        .u64(c.cursor.jailed);
    c.history.encode_to(&mut w);
    w.u8(u8::from(c.parent_env.is_some()).saturating_add(u8::from(c.resumed)));
    if let Some(env) = &c.parent_env {
        env.encode_to(&mut w);
    }
    w.u8(u8::from(c.sealed)).u64(c.base.g).hash(&c.base.hash).u64(c.base.timestamp_ms);
    w.u64(c.stream.term.height).u32(c.stream.term.round).u16(c.stream.leader);
    w.hash(&c.stream.init_hash).u32(c.stream.next_seq);
    w.u128(c.insured.total).u128(c.insured.before).u64(c.insured.least_gwei);
    w.finish()
}

/// The epoch of a height context.
pub fn context_epoch(bytes: &[u8]) -> Result<u64, DecodeError> {
    Reader::new(bytes).u64("epoch")
}

/// Reads a height context of an epoch.
pub fn decode_context(
    bytes: &[u8],
    epoch: Arc<rota_preconf::Epoch>,
) -> Result<rota_preconf::HeightContext, DecodeError> {
    use rota_preconf::{Cursor, HeightContext, Insured, Link, Stream};
    let mut r = Reader::new(bytes);
    r.u64("epoch")?;
    let (height, parent_id) = (r.u64("height")?, r.hash("parent_id")?);
    let cursor = Cursor {
        cursor: r.u64("cursor")?,
        window_left: r.u16("window_left")?,
        jailed: r.u64("jailed")?,
    };
    let history = rota_types::Mmr::decode_from(&mut r)?;
    let (parent_env, resumed) = match r.u8("env")? {
        0 => (None, false),
        kind => (Some(rota_types::Env::decode_from(&mut r)?), kind == 2),
    };
    let context = HeightContext {
        height,
        epoch,
        parent_id,
        cursor,
        history,
        parent_env,
        resumed,
        sealed: r.u8("sealed")? == 1,
        base: Link { g: r.u64("g")?, hash: r.hash("hash")?, timestamp_ms: r.u64("timestamp")? },
        stream: Stream {
            term: rota_types::Term { height: r.u64("term")?, round: r.u32("round")? },
            leader: r.u16("leader")?,
            init_hash: r.hash("init_hash")?,
            next_seq: r.u32("seq")?,
        },
        insured: Insured {
            total: r.u128("insured total")?,
            before: r.u128("insured before")?,
            least_gwei: r.u64("least stake")?,
        },
    };
    r.end()?;
    Ok(context)
}
