//! The blocks of the chain in memory, and how the next one is made.
//!
//! Not for: the questions asked of it (`L1`) or the contracts' rules. Invariant: a block depends only on what was there before
//! and on what came into the pool.

use super::contracts::{Effect, Now, World};
use super::pool::Pool;
use super::side::Waiting;
use super::{BLOB_BYTES, GAS_USED, MemoryParams};
use crate::chain::{L1Block, PostedBatch};
use crate::forced::NOWHERE;
use crate::tx::{Fees, Inclusion, UnsignedTx};
use crate::{Deposited, Enqueued, L1Error, Turn, TurnKind, TxRequest};
use alloy_primitives::{Address, B256, Bytes, Keccak256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A block with what it did.
#[derive(Debug)]
pub(super) struct Mined {
    pub(super) block: L1Block,
    pub(super) events: Events,
    pub(super) inclusions: BTreeMap<B256, Inclusion>,
    pub(super) after: Arc<World>,
}

/// What readers see of a block, each kind in order.
#[derive(Debug, Default)]
pub(super) struct Events {
    count: u64,
    pub(super) batches: Vec<PostedBatch>,
    pub(super) forced: Vec<Enqueued>,
    pub(super) deposits: Vec<Deposited>,
    pub(super) turns: Vec<Turn>,
}

impl Events {
    pub(super) fn add(&mut self, tx_hash: B256, effect: Effect) {
        let log_index = self.count;
        self.count = self.count.saturating_add(1);
        match effect {
            Effect::Other => {}
            Effect::Batch(batch) => self.batches.push(PostedBatch { log_index, tx_hash, ..*batch }),
            Effect::Forced(e) => self.forced.push(Enqueued { log_index, tx_hash, ..*e }),
            Effect::Deposit(d) => self.deposits.push(Deposited { log_index, tx_hash, ..d }),
            Effect::Turn(mut what) => {
                if let TurnKind::Uncertified(batch) | TurnKind::Forked(batch) = &mut what {
                    (batch.log_index, batch.tx_hash) = (log_index, tx_hash);
                }
                self.turns.push(Turn { block: NOWHERE, log_index, tx_hash, what });
            }
        }
    }

    fn in_block(&mut self, at: L1Block) {
        self.batches.iter_mut().for_each(|b| b.block = at);
        self.forced.iter_mut().for_each(|f| f.block = at);
        self.deposits.iter_mut().for_each(|d| d.block = at);
        for turn in &mut self.turns {
            turn.block = at;
            if let TurnKind::Uncertified(batch) | TurnKind::Forked(batch) = &mut turn.what {
                batch.block = at;
            }
        }
    }
}

/// The chain, the pool, and what is known of blobs.
#[derive(Debug)]
pub(super) struct State {
    pub(super) params: MemoryParams,
    pub(super) chain: Vec<Mined>,
    pub(super) pool: Pool,
    pub(super) payloads: BTreeMap<B256, Bytes>,
    /// What tests put into the next block.
    pub(super) queue: Waiting,
    pub(super) salt: u64,
    pub(super) offline: bool,
}

impl State {
    pub(super) fn head(&self) -> L1Block {
        self.chain.last().map_or(NOWHERE, |m| m.block)
    }

    pub(super) fn world(&self) -> Arc<World> {
        self.chain.last().map(|m| Arc::clone(&m.after)).unwrap_or_default()
    }

    pub(super) fn at(&self, number: u64) -> Option<&Mined> {
        self.chain.get(usize::try_from(number).ok()?)
    }

    pub(super) fn world_at(&self, number: u64) -> Result<&World, L1Error> {
        self.at(number).map(|m| &*m.after).ok_or(L1Error::NoBlock(number))
    }

    fn time_of(&self, number: u64) -> u64 {
        let after = number.saturating_mul(self.params.block_seconds);
        self.params.genesis_time.saturating_add(after)
    }

    /// What `pick` finds in the blocks `from..=to.number`.
    pub(super) fn logs<T: Clone>(
        &self,
        (from, to): (u64, L1Block),
        pick: impl Fn(&Events) -> &[T],
    ) -> Result<Vec<T>, L1Error> {
        if self.at(to.number).map(|m| m.block) != Some(to) {
            return Err(L1Error::NotCanonical { number: to.number, hash: to.hash });
        }
        let blocks = self.chain.iter().filter(|m| (from..=to.number).contains(&m.block.number));
        Ok(blocks.flat_map(|m| pick(&m.events).iter().cloned()).collect())
    }

    pub(super) fn dry_run(&self, from: Address, request: TxRequest) -> Result<(), L1Error> {
        let hashes = request.payload.as_ref().map_or_else(Vec::new, versioned_hashes);
        let tx = UnsignedTx { request, nonce: 0, fees: Fees::default() };
        let mut world = World::clone(&self.world());
        let head = self.head();
        let now = Now { block: head.number, time: head.timestamp };
        world.execute(&self.params, now, from, (&tx, &hashes)).map(|_| ())
    }

    pub(super) fn payload(&self, block: u64, hashes: &[B256]) -> Result<Bytes, L1Error> {
        let found = hashes.first().and_then(|h| self.payloads.get(h)).cloned();
        found.ok_or_else(|| L1Error::Blobs { block, why: "memory: expired".into() })
    }

    fn next_block(&self, txs: &[B256]) -> L1Block {
        let parent = self.head();
        let number = u64::try_from(self.chain.len()).unwrap_or(u64::MAX);
        let mut h = Keccak256::new();
        h.update(b"rota/memory-l1");
        h.update(parent.hash);
        h.update(number.to_be_bytes());
        h.update(self.salt.to_be_bytes());
        txs.iter().for_each(|t| h.update(t));
        let hash = h.finalize();
        L1Block {
            number,
            hash,
            parent_hash: parent.hash,
            timestamp: self.time_of(number),
            prev_randao: alloy_primitives::keccak256(hash),
        }
    }

    pub(super) fn push(
        &mut self,
        mut events: Events,
        inclusions: BTreeMap<B256, Inclusion>,
        after: Arc<World>,
    ) -> L1Block {
        let txs: Vec<B256> = inclusions.keys().copied().collect();
        let block = self.next_block(&txs);
        events.in_block(block);
        let placed = |i: Inclusion| Inclusion { block: block.number, block_hash: block.hash, ..i };
        let inclusions = inclusions.into_iter().map(|(h, i)| (h, placed(i))).collect();
        self.chain.push(Mined { block, events, inclusions, after });
        block
    }

    pub(super) fn mine(&mut self) -> L1Block {
        let mut world = self.world();
        let (mut events, mut inclusions) = (Events::default(), BTreeMap::new());
        let number = self.head().number.saturating_add(1);
        let now = Now { block: number, time: self.time_of(number) };
        while let Some(tx) = self.pool.take_ready(&world, self.params.fees) {
            let hashes =
                tx.unsigned.request.payload.as_ref().map_or_else(Vec::new, versioned_hashes);
            let w = Arc::make_mut(&mut world);
            let effect = w.execute(&self.params, now, tx.account, (&tx.unsigned, &hashes));
            let inclusion = Inclusion {
                hash: tx.hash,
                block: 0,
                block_hash: B256::ZERO,
                success: effect.is_ok(),
                gas_used: GAS_USED,
            };
            match effect {
                Ok(effect) => events.add(tx.hash, effect),
                Err(why) => tracing::debug!(%why, hash = %tx.hash, "reverted"),
            }
            self.keep_payload(&tx.unsigned.request, &hashes);
            inclusions.insert(tx.hash, inclusion);
        }
        self.take_waiting(Arc::make_mut(&mut world), now, &mut events);
        self.push(events, inclusions, world)
    }

    fn keep_payload(&mut self, request: &TxRequest, hashes: &[B256]) {
        if let (Some(payload), Some(first)) = (&request.payload, hashes.first()) {
            self.payloads.insert(*first, payload.clone());
        }
    }
}

/// One hash per blob that the payload would take.
pub(super) fn versioned_hashes(payload: &Bytes) -> Vec<B256> {
    let blobs = payload.len().saturating_add(31).div_ceil(BLOB_BYTES);
    (0..blobs)
        .map(|i| {
            let mut h = Keccak256::new();
            h.update(i.to_be_bytes());
            h.update(payload);
            let mut hash = h.finalize();
            if let Some(first) = hash.0.first_mut() {
                *first = 1;
            }
            hash
        })
        .collect()
}
