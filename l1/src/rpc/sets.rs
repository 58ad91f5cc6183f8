//! Operators and frozen sets, from the registry.
//!
//! Invariant: a set is put together from the frozen bytes, operators by their ids in them, and only counts if it has the hash
//! and the id that L1 has.

use super::RpcL1;
use crate::L1Error;
use crate::bindings::Registry;
use crate::chain::At;
use crate::endpoints::Fault;
use crate::sets::FrozenSets;
use alloy::eips::BlockId;
use alloy::network::Ethereum;
use alloy::providers::RootProvider;
use alloy_primitives::{Address, Bytes, U256};
use rota_types::{ReceiptSet, Validator, ValidatorSet};
use std::collections::BTreeMap;

/// Operators asked for in one call.
const PAGE: u64 = 50;
/// Bytes of a record: vote key and weight.
const RECORD: usize = 32;
/// Bytes of a member's keys: ed25519 key and id.
const KEYS: usize = 36;
const GWEI: u64 = 1_000_000_000;
/// As `State` of the contract.
const QUEUED: u8 = 1;
const ACTIVE: u8 = 2;

/// What the frozen bytes say of a member.
#[derive(Debug)]
struct Frozen {
    operator: u64,
    vote_key: Address,
    seq_key: [u8; 32],
    /// Gwei.
    weight: u64,
}

pub(super) async fn operators(
    p: RootProvider<Ethereum>,
    registry: Address,
    block: u64,
) -> Result<Vec<Validator>, Fault> {
    let mut all = Vec::new();
    loop {
        let from = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let page = page(&p, registry, from, block).await?;
        let last = u64::try_from(page.len()).unwrap_or(u64::MAX) < PAGE;
        all.extend(page.into_iter().map(validator));
        if last {
            return Ok(all);
        }
    }
}

pub(super) async fn epoch_at(
    p: RootProvider<Ethereum>,
    registry: Address,
    l1_number: u64,
) -> Result<u64, Fault> {
    // An endpoint that lags may not know of a set that was frozen before that block.
    if RpcL1::read_block(&p, At::Number(l1_number)).await?.is_none() {
        return Err(Fault::View(L1Error::NoBlock(l1_number)));
    }
    Ok(Registry::new(registry, p).epochAt(U256::from(l1_number)).call().await?)
}

pub(super) async fn frozen(
    p: RootProvider<Ethereum>,
    registry: Address,
    block: u64,
) -> Result<FrozenSets, Fault> {
    let contract = Registry::new(registry, p);
    let id = BlockId::number(block);
    let base = contract.base().block(id).call().await?;
    let epochs = contract.frozenEpochs().block(id).call().await?;
    let epoch_blocks = contract.epochBlocks().block(id).call().await?;
    Ok(FrozenSets {
        base: (!epochs.is_empty()).then_some(base),
        epoch_blocks,
        epochs: epochs.into_iter().map(u64::from).collect(),
    })
}

pub(super) async fn members(
    p: RootProvider<Ethereum>,
    registry: Address,
    epoch: u64,
    block: u64,
) -> Result<Option<ValidatorSet>, Fault> {
    let contract = Registry::new(registry, p.clone());
    let at = BlockId::number(block);
    let hash = contract.setHash(epoch).block(at).call().await?;
    if hash.is_zero() {
        return Ok(None);
    }
    let id = contract.setId(epoch).block(at).call().await?;
    let records = contract.setRecords(epoch).block(at).call().await?;
    let keys = contract.setKeys(epoch).block(at).call().await?;
    let frozen = unpack(&records, &keys).ok_or_else(|| {
        Fault::Endpoint(format!("the bytes of set {epoch} do not fit each other"))
    })?;
    let mut known = BTreeMap::new();
    for member in &frozen {
        if known.contains_key(&member.operator) {
            continue;
        }
        let found = page(&p, registry, member.operator, block).await?;
        known.extend((member.operator..).zip(found));
    }
    let members = frozen.iter().filter_map(|m| known.get(&m.operator).map(|o| as_frozen(o, m)));
    let set = ValidatorSet::new(epoch, members.collect());
    if set.hash() == hash && ReceiptSet::of(&set).id() == id {
        Ok(Some(set))
    } else {
        Err(Fault::Endpoint(format!("operators of epoch {epoch} do not hash to the frozen set")))
    }
}

/// As `L1::set_outdated`.
pub(super) async fn outdated(
    p: RootProvider<Ethereum>,
    registry: Address,
    block: u64,
) -> Result<bool, Fault> {
    let at = BlockId::number(block);
    let contract = Registry::new(registry, p.clone());
    let Some(newest) = contract.frozenEpochs().block(at).call().await?.last().copied() else {
        return Ok(false);
    };
    let newest = u64::from(newest);
    let records = contract.setRecords(newest).block(at).call().await?;
    let keys = contract.setKeys(newest).block(at).call().await?;
    let members = unpack(&records, &keys).unwrap_or_default();
    let weights: BTreeMap<u64, u64> = members.iter().map(|m| (m.operator, m.weight)).collect();
    let mut from = 0u64;
    loop {
        let page = page(&p, registry, from, block).await?;
        let count = u64::try_from(page.len()).unwrap_or(u64::MAX);
        if (from..).zip(&page).any(|(id, o)| waits(o, weights.get(&id).copied())) {
            return Ok(true);
        }
        if count < PAGE {
            return Ok(false);
        }
        from = from.saturating_add(count);
    }
}

/// Whether the next freeze has something to do for an operator that weighs so much in the newest set.
fn waits(o: &Registry::Operator, weight: Option<u64>) -> bool {
    let gwei = U256::from(o.stake).checked_div(U256::from(GWEI)).unwrap_or_default();
    let grown = weight.is_some_and(|weight| gwei > U256::from(weight));
    o.state == QUEUED || (weight.is_some() && (o.state != ACTIVE || o.rotating || grown))
}

async fn page(
    p: &RootProvider<Ethereum>,
    registry: Address,
    from: u64,
    block: u64,
) -> Result<Vec<Registry::Operator>, Fault> {
    let contract = Registry::new(registry, p.clone());
    let call = contract.operators(U256::from(from), U256::from(PAGE));
    Ok(call.block(BlockId::number(block)).call().await?)
}

/// None unless both have as many members.
fn unpack(records: &Bytes, keys: &Bytes) -> Option<Vec<Frozen>> {
    let (records, rest) = records.as_chunks::<RECORD>();
    let (keys, other) = keys.as_chunks::<KEYS>();
    if !rest.is_empty() || !other.is_empty() || records.len() != keys.len() {
        return None;
    }
    records.iter().zip(keys).map(|(record, key)| member(record, key)).collect()
}

fn member(record: &[u8; RECORD], key: &[u8; KEYS]) -> Option<Frozen> {
    let (vote_key, weight) = record.split_first_chunk::<20>()?;
    let (seq_key, operator) = key.split_first_chunk::<32>()?;
    Some(Frozen {
        operator: u32::from_be_bytes(operator.try_into().ok()?).into(),
        vote_key: vote_key.into(),
        seq_key: *seq_key,
        weight: u64::try_from(U256::from_be_slice(weight)).ok()?,
    })
}

fn validator(o: Registry::Operator) -> Validator {
    Validator {
        owner: o.owner,
        seq_key: o.seqKey.0,
        vote_key: o.voteKey,
        stake: U256::from(o.stake),
        fee_recipient: o.feeRecipient,
        // An operator chooses these bytes; what is no text cannot be dialled either.
        peer: String::from_utf8_lossy(&o.peer).into_owned(),
    }
}

/// The operator with the keys and the weight that were frozen.
fn as_frozen(o: &Registry::Operator, m: &Frozen) -> Validator {
    Validator {
        seq_key: m.seq_key,
        vote_key: m.vote_key,
        stake: U256::from(m.weight).saturating_mul(U256::from(GWEI)),
        ..validator(o.clone())
    }
}
