//! Batches, forced transactions, deposits and fallbacks, from the logs of their contracts.
//!
//! Invariant: logs are taken only from an endpoint that has the block they are asked up to, before and after.

use super::RpcL1;
use crate::bindings::{ForcedQueue, Inbox, Portal};
use crate::chain::{At, L1Block, PostedBatch};
use crate::endpoints::Fault;
use crate::forced::decode_uncertified;
use crate::post::Submitted;
use crate::{Deposited, Enqueued, L1Error, Turn, TurnKind};
use alloy::consensus::Transaction;
use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{Filter, Log};
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolEvent;
use std::collections::BTreeMap;

/// Blocks in one log query: the strictest of the common public limits.
const LOG_RANGE: u64 = 500;

/// A log with its place.
#[derive(Debug)]
struct Placed {
    block: L1Block,
    index: u64,
    tx_hash: B256,
    log: Log,
}

pub(super) async fn batches(
    p: RootProvider<Ethereum>,
    inbox: Address,
    from: u64,
    to: L1Block,
) -> Result<Vec<PostedBatch>, Fault> {
    let mut out = Vec::new();
    for placed in logs(&p, inbox, &[Inbox::BatchAccepted::SIGNATURE_HASH], (from, to)).await? {
        let event: Inbox::BatchAccepted = decoded(&placed)?;
        let Some(input) = input(&p, inbox, placed.tx_hash).await? else { continue };
        out.extend(Submitted::decode(&input).and_then(|s| assemble(&placed, &event, &s)));
    }
    Ok(out)
}

pub(super) async fn forced(
    p: RootProvider<Ethereum>,
    queue: Address,
    from: u64,
    to: L1Block,
) -> Result<Vec<Enqueued>, Fault> {
    let events = [ForcedQueue::Enqueued::SIGNATURE_HASH];
    let entry = |placed: Placed| {
        let event: ForcedQueue::Enqueued = decoded(&placed)?;
        Ok(Enqueued {
            block: placed.block,
            log_index: placed.index,
            tx_hash: placed.tx_hash,
            index: event.index.saturating_to(),
            sender: event.sender,
            gas: event.gas,
            tx: event.tx,
        })
    };
    logs(&p, queue, &events, (from, to)).await?.into_iter().map(entry).collect()
}

pub(super) async fn deposits(
    p: RootProvider<Ethereum>,
    portal: Address,
    from: u64,
    to: L1Block,
) -> Result<Vec<Deposited>, Fault> {
    let deposit = |placed: Placed| {
        let event: Portal::Deposited = decoded(&placed)?;
        Ok(Deposited {
            block: placed.block,
            log_index: placed.index,
            tx_hash: placed.tx_hash,
            index: event.index,
            to: event.to,
            amount_gwei: event.amountGwei,
        })
    };
    let events = [Portal::Deposited::SIGNATURE_HASH];
    logs(&p, portal, &events, (from, to)).await?.into_iter().map(deposit).collect()
}

pub(super) async fn turns(
    p: RootProvider<Ethereum>,
    inbox: Address,
    from: u64,
    to: L1Block,
) -> Result<Vec<Turn>, Fault> {
    let events = [
        Inbox::FallbackActivated::SIGNATURE_HASH,
        Inbox::UncertifiedBatch::SIGNATURE_HASH,
        Inbox::EmergencySet::SIGNATURE_HASH,
        Inbox::Forked::SIGNATURE_HASH,
    ];
    let mut out = Vec::new();
    for placed in logs(&p, inbox, &events, (from, to)).await? {
        let topic = placed.log.topic0().copied().unwrap_or_default();
        let what = if topic == Inbox::FallbackActivated::SIGNATURE_HASH {
            let generation = decoded::<Inbox::FallbackActivated>(&placed)?.generation;
            TurnKind::Fallback { generation }
        } else if topic == Inbox::EmergencySet::SIGNATURE_HASH {
            let e: Inbox::EmergencySet = decoded(&placed)?;
            let (generation, epoch, start) = (e.generation, e.epoch, e.start.saturating_to());
            TurnKind::EmergencySet { generation, epoch, start }
        } else {
            let second = topic == Inbox::Forked::SIGNATURE_HASH;
            let input = match input(&p, inbox, placed.tx_hash).await {
                // Nothing depends on it: an endpoint that has forgotten the call is as good as any.
                Err(Fault::Endpoint(_)) if second => continue,
                other => other?,
            };
            let Some(input) = input else { continue };
            let found = if second { forked(&placed, &input) } else { uncertified(&placed, &input) };
            let Some(batch) = found?.map(Box::new) else { continue };
            if second { TurnKind::Forked(batch) } else { TurnKind::Uncertified(batch) }
        };
        let (block, log_index, tx_hash) = (placed.block, placed.index, placed.tx_hash);
        out.push(Turn { block, log_index, tx_hash, what });
    }
    Ok(out)
}

/// Logs of a contract in L1 order.
async fn logs(
    p: &RootProvider<Ethereum>,
    contract: Address,
    events: &[B256],
    (from, to): (u64, L1Block),
) -> Result<Vec<Placed>, Fault> {
    RpcL1::require(p, to).await?;
    let (mut blocks, mut out) = (BTreeMap::new(), Vec::new());
    let mut start = from;
    while start <= to.number {
        let end = start.saturating_add(LOG_RANGE - 1).min(to.number);
        let filter = Filter::new()
            .address(contract)
            .event_signature(events.to_vec())
            .from_block(start)
            .to_block(end);
        for log in p.get_logs(&filter).await? {
            out.push(place(p, log, &mut blocks).await?);
        }
        start = end.saturating_add(1);
    }
    // The chain may have moved while the logs were read.
    RpcL1::require(p, to).await?;
    out.sort_by_key(|l| (l.block.number, l.index));
    Ok(out)
}

async fn place(
    p: &RootProvider<Ethereum>,
    log: Log,
    blocks: &mut BTreeMap<u64, L1Block>,
) -> Result<Placed, Fault> {
    let nonsense = |what: &str| Fault::Endpoint(format!("log without {what}"));
    let number = log.block_number.ok_or_else(|| nonsense("a block number"))?;
    let tx_hash = log.transaction_hash.ok_or_else(|| nonsense("a transaction"))?;
    let index = log.log_index.ok_or_else(|| nonsense("an index"))?;
    let block = match blocks.get(&number) {
        Some(block) => *block,
        None => {
            RpcL1::read_block(p, At::Number(number)).await?.ok_or_else(|| nonsense("its block"))?
        }
    };
    blocks.insert(number, block);
    if log.block_hash != Some(block.hash) {
        return Err(Fault::View(L1Error::NotCanonical { number, hash: block.hash }));
    }
    Ok(Placed { block, index, tx_hash, log })
}

/// What a transaction called the contract with. None if it calls another: then header and certificate are not in plain
/// sight, so for all readers alike the batch does not count (anyone can post it again).
async fn input(
    p: &RootProvider<Ethereum>,
    contract: Address,
    tx_hash: B256,
) -> Result<Option<Bytes>, Fault> {
    let missing = || Fault::Endpoint("log without its transaction".into());
    let tx = p.get_transaction_by_hash(tx_hash).await?.ok_or_else(missing)?;
    Ok((tx.to() == Some(contract)).then(|| tx.input().clone()))
}

fn decoded<E: SolEvent>(placed: &Placed) -> Result<E, Fault> {
    let event = E::decode_log(&placed.log.inner);
    event.map(|log| log.data).map_err(|e| Fault::Endpoint(format!("event {}: {e}", E::SIGNATURE)))
}

fn assemble(
    placed: &Placed,
    event: &Inbox::BatchAccepted,
    submitted: &Submitted,
) -> Option<PostedBatch> {
    let b = &submitted.call.b;
    let same =
        (b.fromHeight, b.toHeight, b.round) == (event.fromHeight, event.toHeight, event.round);
    same.then_some(())?;
    Some(PostedBatch {
        block: placed.block,
        log_index: placed.index,
        tx_hash: placed.tx_hash,
        from_height: b.fromHeight,
        to_height: b.toHeight,
        repost: b.repost,
        header: submitted.header.clone(),
        certificate: submitted.certificate(event.valueId)?,
        blob_hashes: event.blobHashes.clone(),
    })
}

/// The batch whose certificate contradicts that of the tip.
fn forked(placed: &Placed, input: &[u8]) -> Result<Option<PostedBatch>, Fault> {
    let event: Inbox::Forked = decoded(placed)?;
    let Some(s) = Submitted::decode(input).filter(|s| s.call.b.toHeight == event.height) else {
        return Ok(None);
    };
    let b = &s.call.b;
    Ok(s.certificate(event.second).map(|certificate| PostedBatch {
        block: placed.block,
        log_index: placed.index,
        tx_hash: placed.tx_hash,
        from_height: b.fromHeight,
        to_height: b.toHeight,
        repost: b.repost,
        header: s.header.clone(),
        certificate,
        blob_hashes: Vec::new(),
    }))
}

fn uncertified(placed: &Placed, input: &[u8]) -> Result<Option<PostedBatch>, Fault> {
    let event: Inbox::UncertifiedBatch = decoded(placed)?;
    let batch = decode_uncertified(input, event.blobHashes);
    let range = (event.fromHeight, event.toHeight);
    let same = batch.filter(|b| (b.from_height, b.to_height) == range);
    let (block, log_index, tx_hash) = (placed.block, placed.index, placed.tx_hash);
    Ok(same.map(|b| PostedBatch { block, log_index, tx_hash, ..b }))
}
