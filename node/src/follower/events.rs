//! What L1 told, in one order.
//!
//! Invariant: the order is that of L1; what it brings in comes before the rest of their block, which makes no
//! difference to what is derived.

use crate::settle::Progress;
use alloy_primitives::{B256, Bytes};
use rota_derive::{AcceptedBatch, Brought, L1Origin, L1Ref};
use rota_l1::{L1Block, PostedBatch, Turn};
use rota_types::{Domain, Encode};
use std::collections::BTreeMap;

/// One thing to derive from.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Brought(Brought),
    Batch(Box<PostedBatch>),
    Turn(Turn),
}

impl Event {
    /// The L1 block that it is in.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Brought(brought) => brought.block.number,
            Self::Batch(batch) => batch.block.number,
            Self::Turn(turn) => turn.block.number,
        }
    }

    fn place(&self) -> (u64, u64) {
        match self {
            Self::Brought(brought) => (brought.block.number, 0),
            Self::Batch(batch) => (batch.block.number, batch.log_index.saturating_add(1)),
            Self::Turn(turn) => (turn.block.number, turn.log_index.saturating_add(1)),
        }
    }

    /// Everything that was found, in L1 order.
    pub(super) fn of(progress: &mut Progress) -> Vec<Self> {
        let mut queue: BTreeMap<u64, Brought> = BTreeMap::new();
        for found in std::mem::take(&mut progress.forced) {
            at(&mut queue, &found.block).forced.push(found.forced());
        }
        for found in std::mem::take(&mut progress.deposits) {
            at(&mut queue, &found.block).deposits.push(found.deposit());
        }
        let queue = queue.into_values().map(Self::Brought);
        let batches = std::mem::take(&mut progress.batches);
        let batches = batches.into_iter().map(|b| Self::Batch(Box::new(b)));
        let turns = std::mem::take(&mut progress.turns).into_iter().map(Self::Turn);
        let mut out: Vec<Self> = queue.chain(batches).chain(turns).collect();
        out.sort_by_key(Self::place);
        out
    }
}

fn at<'a>(queue: &'a mut BTreeMap<u64, Brought>, block: &L1Block) -> &'a mut Brought {
    let none = || Brought { block: origin(block), forced: Vec::new(), deposits: Vec::new() };
    queue.entry(block.number).or_insert_with(none)
}

/// An L1 block that brings something in.
const fn origin(block: &L1Block) -> L1Origin {
    L1Origin {
        number: block.number,
        hash: block.hash,
        timestamp: block.timestamp,
        prev_randao: block.prev_randao,
    }
}

/// Where something was said.
pub(super) const fn place(block: &L1Block, tx_hash: B256) -> L1Ref {
    L1Ref { number: block.number, hash: block.hash, tx_hash }
}

/// A batch as the derivation takes it.
pub(super) fn accepted(batch: &PostedBatch, data: Bytes) -> AcceptedBatch {
    let value_id = batch.certificate.value_id;
    AcceptedBatch {
        from_height: batch.from_height,
        to_height: batch.to_height,
        value_id,
        epoch: batch.header.close.epoch,
        certificate: Some(batch.certificate.clone()),
        header: batch.header.encode().into(),
        data,
        l1: place(&batch.block, batch.tx_hash),
        l1_timestamp: batch.block.timestamp,
    }
}

/// The same of one that anyone posted.
pub(super) fn uncertified(batch: &PostedBatch, data: Bytes, domain: &Domain) -> AcceptedBatch {
    AcceptedBatch {
        from_height: batch.from_height,
        to_height: batch.to_height,
        value_id: batch.header.value_id(domain),
        epoch: batch.header.close.epoch,
        certificate: None,
        header: batch.header.encode().into(),
        data,
        l1: place(&batch.block, batch.tx_hash),
        l1_timestamp: batch.block.timestamp,
    }
}
