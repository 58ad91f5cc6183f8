//! Reading the chain back from disk at start.
//!
//! Invariant: what is restored was written in one atomic batch per block, and its root is the header's;
//! anything else is a damaged database, which is re-derived and never patched.

use super::{
    base::Base,
    building::Sealed,
    codec::{context_epoch, decode_block, decode_context, read_account},
    stack::Ground,
};
use crate::{inbound::Verifier, view::BlockView};
use alloy_eips::eip7685::Requests;
use alloy_primitives::{Address, Bytes, U256};
use alloy_rlp::Decodable;
use eyre::{WrapErr, bail, ensure, eyre};
use rota_execution::{Account, AccountChange, Head, State};
use rota_preconf::{Frame, HeightContext};
use rota_store::{BlockBatch, Blocks, Scan, StoreError, Tree, TxPlace, for_each};
use rota_types::wire::DecidedHeight;
use std::sync::Arc;

/// Blocks shown from disk after a start, without their states.
const SHOWN: u64 = 256;

/// The chain as it was written down.
#[derive(Debug)]
pub struct Restored {
    /// Newest settled block with its state; the L1 origin of the genesis block is 0.
    pub ground: Ground,
    /// Newest blocks, oldest first; the last one with its state.
    pub blocks: Vec<Arc<BlockView>>,
    /// The height to decide next.
    pub context: HeightContext,
    /// Decided heights above the newest settled block, with their frames.
    pub heights: Vec<(DecidedHeight, Vec<Arc<Frame>>)>,
}

/// Key of the context after the newest decided height.
pub const CONTEXT: &[u8] = b"context";
/// Key of the last height of the newest settled block.
pub const SETTLED: &[u8] = b"settled-height";

/// Restores from the store, or starts from the genesis.
pub fn restore(store: &Blocks, genesis: &Head, verifier: &Verifier) -> eyre::Result<Restored> {
    let context = load_context(store, verifier)?;
    let (head, blocks) = match store.executed_head()? {
        None => (genesis.clone(), Vec::new()),
        Some(executed) => restore_blocks(store, executed.number)?,
    };
    let settled = match store.get(Tree::Meta, SETTLED)? {
        Some(bytes) => u64::from_be_bytes(bytes.as_slice().try_into()?),
        None => 0,
    };
    ensure!(
        settled < context.height,
        "the database has the block of height {settled} and not the height, as an earlier version could leave it behind: delete \
         db/ in the data directory, and never the sign guard; the chain is fetched again"
    );
    let origin = match store.height(settled)? {
        Some(height) => height.header.env.l1_number,
        // No block of this generation is settled: the newest is one that L1 gave.
        None => Base::load(store)?.map_or(0, |base| base.origin),
    };
    let mut heights = Vec::new();
    let mut from = settled.saturating_add(1);
    while from < context.height {
        let more = store.heights(from, 64)?;
        if more.is_empty() {
            bail!("decided height {from} is missing in the database");
        }
        for decided in more {
            from = decided.header.height().saturating_add(1);
            let frames = verify_frames(&decided, verifier)?;
            heights.push((decided, frames));
        }
    }
    let ground = Ground { head, origin, rewards: Arc::new(super::rewards::load(store)?) };
    Ok(Restored { ground, blocks, context, heights })
}

/// The height to decide next, as the store has it.
pub fn load_context(store: &Blocks, verifier: &Verifier) -> eyre::Result<HeightContext> {
    let Verifier { sets, domain, .. } = verifier;
    let known = |epoch: u64| {
        sets.get(epoch)
            .ok_or_else(|| eyre!("the set of epoch {epoch} is not in {}/sets", "DATADIR"))
    };
    match store.get(Tree::Meta, CONTEXT)? {
        Some(bytes) => {
            let epoch = context_epoch(&bytes).wrap_err("the stored height context is damaged")?;
            decode_context(&bytes, known(epoch)?).wrap_err("the stored height context is damaged")
        }
        None => Ok(HeightContext::genesis(&known(0)?, domain.genesis_hash)),
    }
}

fn verify_frames(decided: &DecidedHeight, verifier: &Verifier) -> eyre::Result<Vec<Arc<Frame>>> {
    decided
        .frames
        .iter()
        .map(|signed| {
            verifier
                .verify(signed.clone())
                .map(Arc::new)
                .wrap_err_with(|| format!("stored frame {} is damaged", signed.header.g))
        })
        .collect()
}

fn restore_blocks(store: &Blocks, number: u64) -> eyre::Result<(Head, Vec<Arc<BlockView>>)> {
    let state = load_state(store)?;
    let mut views = Vec::new();
    for n in number.saturating_sub(SHOWN.saturating_sub(1)).max(1)..=number {
        let Some((_, bytes)) = store.block(n)? else { continue };
        views.push(decode_block(&bytes).wrap_err_with(|| format!("stored block {n} is damaged"))?);
    }
    let Some(last) = views.last_mut() else { bail!("stored block {number} is missing") };
    let root = state.root();
    ensure!(
        root == last.header.state_root,
        "the stored state has root {root}, block {number} says {}",
        last.header.state_root
    );
    last.state = Some(state.clone());
    let head = Head::new(last.header.clone(), state)?;
    Ok((head, views.into_iter().map(Arc::new).collect()))
}

fn load_state(store: &Blocks) -> eyre::Result<State> {
    let mut accounts: Vec<(Address, Account)> = Vec::new();
    let mut slots: Vec<(Address, U256, U256)> = Vec::new();
    let mut codes: Vec<Bytes> = Vec::new();
    let kv = store.kv().as_ref();
    let all = || Scan::prefix(&[], 4096);
    for_each(kv, Tree::Accounts, all(), |key, value| {
        if let (Ok(address), Ok(account)) = (Address::try_from(key), read_account(&value)) {
            accounts.push((address, account));
        }
        Ok(())
    })?;
    for_each(kv, Tree::Storage, all(), |key, value| {
        let value: Result<[u8; 32], _> = value.try_into();
        if let (Some((address, slot)), Ok(value)) = (key.split_at_checked(20), value) {
            let slot = U256::try_from_be_slice(slot).unwrap_or_default();
            slots.push((Address::from_slice(address), slot, U256::from_be_bytes(value)));
        }
        Ok(())
    })?;
    for_each(kv, Tree::Code, all(), |_, value| {
        codes.push(value.into());
        Ok(())
    })?;
    Ok(State::from_parts(accounts, slots, codes)?)
}

/// Adds a settled block with its state changes to a batch.
pub fn write_block(batch: &mut BlockBatch, sealed: &Sealed) {
    let block = &sealed.block;
    let number = block.head.header.number;
    batch.block(number, block.hash(), &super::codec::encode_block(sealed));
    for (index, tx) in (0u32..).zip(&block.included) {
        batch.tx(*tx.transaction.tx_hash(), TxPlace { block: number, index });
    }
    for (address, change) in &block.diff.accounts {
        write_account(batch, address, change);
    }
    for (hash, code) in &block.diff.codes {
        batch.put(Tree::Code, hash.as_slice(), code.to_vec());
    }
    batch.put(Tree::Meta, SETTLED, sealed.heights.1.to_be_bytes());
    super::rewards::write(batch, sealed);
    if !block.requests.is_empty() {
        let requests: Vec<Bytes> = block.requests.iter().cloned().collect();
        batch.put(Tree::Meta, requests_key(number), alloy_rlp::encode(requests));
    }
}

/// The requests (EIP-7685) of a stored block that had some: its header has their hash alone.
///
/// # Errors
/// The disk.
pub fn load_requests(store: &Blocks, number: u64) -> Result<Option<Requests>, StoreError> {
    let Some(bytes) = store.get(Tree::Meta, &requests_key(number))? else { return Ok(None) };
    Ok(Vec::<Bytes>::decode(&mut bytes.as_slice()).ok().map(Requests::from))
}

fn requests_key(number: u64) -> Vec<u8> {
    [b"requests/".as_slice(), &number.to_be_bytes()].concat()
}

/// The genesis state, written with the first block.
pub fn write_genesis(batch: &mut BlockBatch, genesis: &Head) {
    let diff = genesis.state.export();
    for (address, change) in &diff.accounts {
        write_account(batch, address, change);
    }
    for (hash, code) in &diff.codes {
        batch.put(Tree::Code, hash.as_slice(), code.to_vec());
    }
}

fn write_account(batch: &mut BlockBatch, address: &Address, change: &AccountChange) {
    match &change.account {
        Some(account) => {
            batch.put(Tree::Accounts, address.as_slice(), super::codec::account_bytes(account));
        }
        None => {
            batch.delete(Tree::Accounts, address.as_slice());
        }
    }
    for (slot, value) in &change.slots {
        let mut key = address.to_vec();
        key.extend_from_slice(&slot.to_be_bytes::<32>());
        if value.is_zero() {
            batch.delete(Tree::Storage, key);
        } else {
            batch.put(Tree::Storage, key, value.to_be_bytes::<32>());
        }
    }
}
