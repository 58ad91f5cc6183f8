//! L1 in memory, for simulation: deterministic, with blocks, finality, reorganisations, fees, a pool and blobs.
//!
//! Not for: anything with real money; nothing here checks KZG (versioned hashes are plain hashes).
//! Invariant: the contracts' rules are those of `contracts/src`, so what is accepted here is accepted there.

mod contracts;
mod pool;
mod side;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use pool::MemorySender;

use crate::chain::{At, L1, L1Block, PostedBatch};
use crate::tx::{Fees, Inclusion, Observation, SendFault, SignedTx, UnsignedTx};
use crate::{BatchPost, Enqueued, L1Error, Turn, TxRequest};
use alloy_primitives::{Address, B256, Bytes, Keccak256, U256};
use contracts::{Effect, World};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;
use pool::Pool;
use rota_types::{Domain, Validator, ValidatorSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Payload bytes in one blob, the length element left out of account.
const BLOB_BYTES: usize = 31 * 4096;
/// Gas that any transaction uses here.
const GAS_USED: u64 = 100_000;

/// How the chain behaves.
#[derive(Debug, Clone)]
pub struct MemoryParams {
    /// Domain of the rollup; names the registry.
    pub domain: Domain,
    /// Address of the inbox.
    pub inbox: Address,
    /// Least stake, wei.
    pub min_stake: U256,
    /// Least size of the first set.
    pub min_operators: usize,
    /// Timestamp of block 0, seconds.
    pub genesis_time: u64,
    /// Seconds between blocks.
    pub block_seconds: u64,
    /// Blocks on top of a block that make it final.
    pub finality_depth: u64,
    /// Base fee and blob base fee at start, wei per gas; the tip that inclusion takes.
    pub fees: Fees,
}

impl MemoryParams {
    /// Twelve-second blocks, final after 64.
    #[must_use]
    pub const fn new(domain: Domain, inbox: Address) -> Self {
        Self {
            domain,
            inbox,
            min_stake: U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]),
            min_operators: 1,
            genesis_time: 1_700_000_000,
            block_seconds: 12,
            finality_depth: 64,
            fees: Fees { max_fee: 1_000_000_000, tip: 1, blob_fee: 1 },
        }
    }
}

#[derive(Debug)]
struct Mined {
    block: L1Block,
    batches: Vec<PostedBatch>,
    forced: Vec<Enqueued>,
    turns: Vec<Turn>,
    inclusions: BTreeMap<B256, Inclusion>,
    after: Arc<World>,
}

#[derive(Debug)]
struct State {
    params: MemoryParams,
    chain: Vec<Mined>,
    pool: Pool,
    payloads: BTreeMap<B256, Bytes>,
    queue: side::Waiting,
    salt: u64,
    offline: bool,
}

/// An L1 in memory. Clones are the same chain.
#[derive(Debug, Clone)]
pub struct MemoryL1(Arc<Mutex<State>>);

impl MemoryL1 {
    /// A chain of one block. Given operators are registered in it, and frozen as the set of epoch 0.
    #[must_use]
    pub fn new(params: MemoryParams, operators: Vec<Validator>) -> Self {
        let world = Arc::new(World::new(operators));
        let mut state = State {
            params,
            chain: Vec::new(),
            pool: Pool::default(),
            payloads: BTreeMap::new(),
            queue: side::Waiting::default(),
            salt: 0,
            offline: false,
        };
        state.push(Vec::new(), BTreeMap::new(), world);
        Self(Arc::new(Mutex::new(state)))
    }

    /// A sender for an account; there are no keys here.
    #[must_use]
    pub fn sender(&self, account: Address) -> MemorySender {
        MemorySender::new(self.clone(), account)
    }

    /// Mines one block with what the pool holds and pays enough.
    pub fn mine(&self) -> L1Block {
        self.0.lock().mine()
    }

    /// Mines blocks until one has this timestamp or a later one.
    pub fn mine_until(&self, timestamp: u64) -> L1Block {
        let mut state = self.0.lock();
        loop {
            let head = state.head();
            if head.timestamp >= timestamp {
                return head;
            }
            state.mine();
        }
    }

    /// Replaces the last `depth` blocks by as many empty ones. Their transactions are lost, not back in the pool. The
    /// genesis block stays; nothing stops a reorganisation from going below the finalized block.
    pub fn reorg(&self, depth: usize) -> L1Block {
        let mut state = self.0.lock();
        let keep = state.chain.len().saturating_sub(depth).max(1);
        let dropped = state.chain.len().saturating_sub(keep);
        state.chain.truncate(keep);
        state.salt = state.salt.wrapping_add(1);
        let waiting = (std::mem::take(&mut state.pool), std::mem::take(&mut state.queue));
        for _ in 0..dropped {
            state.mine();
        }
        (state.pool, state.queue) = waiting;
        state.head()
    }

    /// Sets base fee and blob base fee, wei per gas.
    pub fn set_base_fees(&self, base_fee: u128, blob_base_fee: u128) {
        let fees = &mut self.0.lock().params.fees;
        (fees.max_fee, fees.blob_fee) = (base_fee, blob_base_fee);
    }

    /// While set, every question and every broadcast fails with `Unavailable`.
    pub fn set_offline(&self, offline: bool) {
        self.0.lock().offline = offline;
    }

    /// Forgets every blob, as the network does after some weeks.
    pub fn expire_blobs(&self) {
        self.0.lock().payloads.clear();
    }

    /// Forgets every transaction that is not mined.
    pub fn drop_pool(&self) {
        self.0.lock().pool = Pool::default();
    }

    /// Whether the inbox has two certified values for one height.
    #[must_use]
    pub fn forked(&self) -> bool {
        self.0.lock().world().forked()
    }

    fn read<T>(&self, question: impl FnOnce(&State) -> Result<T, L1Error>) -> Result<T, L1Error> {
        let state = self.0.lock();
        if state.offline {
            return Err(L1Error::Unavailable("memory: offline".into()));
        }
        question(&state)
    }

    fn observe(&self, account: Address, hashes: &[B256]) -> Result<Observation, L1Error> {
        self.read(|s| {
            let mined = |h: &B256| s.chain.iter().find_map(|m| m.inclusions.get(h).copied());
            Ok(Observation {
                block: s.head().number,
                base_fee: s.params.fees.max_fee,
                blob_base_fee: s.params.fees.blob_fee,
                tip: s.params.fees.tip,
                next_nonce: s.world().nonce(account),
                inclusion: hashes.iter().find_map(mined),
            })
        })
    }

    fn offer(&self, account: Address, tx: &SignedTx) -> Result<(), SendFault> {
        let mut state = self.0.lock();
        if state.offline {
            return Err(SendFault::Endpoint("memory: offline".into()));
        }
        let next = state.world().nonce(account);
        let balance = state.world().balance(account);
        state.pool.offer(account, tx, next, balance)
    }
}

impl State {
    fn head(&self) -> L1Block {
        self.chain.last().map_or(ZERO_BLOCK, |m| m.block)
    }

    fn world(&self) -> Arc<World> {
        self.chain.last().map(|m| Arc::clone(&m.after)).unwrap_or_default()
    }

    fn at(&self, number: u64) -> Option<&Mined> {
        self.chain.get(usize::try_from(number).ok()?)
    }

    fn world_at(&self, number: u64) -> Result<&World, L1Error> {
        self.at(number).map(|m| &*m.after).ok_or(L1Error::NoBlock(number))
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
            timestamp: self
                .params
                .genesis_time
                .saturating_add(number.saturating_mul(self.params.block_seconds)),
            prev_randao: alloy_primitives::keccak256(hash),
        }
    }

    fn push(
        &mut self,
        batches: Vec<PostedBatch>,
        inclusions: BTreeMap<B256, Inclusion>,
        after: Arc<World>,
    ) -> L1Block {
        let txs: Vec<B256> = inclusions.keys().copied().collect();
        let block = self.next_block(&txs);
        let batches = batches.into_iter().map(|b| PostedBatch { block, ..b }).collect();
        let placed = |i: Inclusion| Inclusion { block: block.number, block_hash: block.hash, ..i };
        let inclusions = inclusions.into_iter().map(|(h, i)| (h, placed(i))).collect();
        let (forced, turns) = self.take_waiting(block);
        self.chain.push(Mined { block, batches, forced, turns, inclusions, after });
        block
    }

    fn mine(&mut self) -> L1Block {
        let mut world = self.world();
        let (mut batches, mut inclusions) = (Vec::new(), BTreeMap::new());
        while let Some(tx) = self.pool.take_ready(&world, self.params.fees) {
            let hashes =
                tx.unsigned.request.payload.as_ref().map_or_else(Vec::new, versioned_hashes);
            let w = Arc::make_mut(&mut world);
            let effect = w.execute(&self.params, tx.account, &tx.unsigned, &hashes);
            let inclusion = Inclusion {
                hash: tx.hash,
                block: 0,
                block_hash: B256::ZERO,
                success: effect.is_ok(),
                gas_used: GAS_USED,
            };
            if let Err(why) = &effect {
                tracing::debug!(%why, hash = %tx.hash, "reverted");
            }
            if let Ok(Effect::Batch(batch)) = effect {
                let log_index = u64::try_from(batches.len()).unwrap_or(u64::MAX);
                batches.push(PostedBatch { log_index, tx_hash: tx.hash, ..*batch });
            }
            self.keep_payload(&tx.unsigned.request, &hashes);
            inclusions.insert(tx.hash, inclusion);
        }
        self.push(batches, inclusions, world)
    }

    fn keep_payload(&mut self, request: &TxRequest, hashes: &[B256]) {
        if let (Some(payload), Some(first)) = (&request.payload, hashes.first()) {
            self.payloads.insert(*first, payload.clone());
        }
    }
}

const ZERO_BLOCK: L1Block = L1Block {
    number: 0,
    hash: B256::ZERO,
    parent_hash: B256::ZERO,
    timestamp: 0,
    prev_randao: B256::ZERO,
};

/// One hash per blob that the payload would take.
fn versioned_hashes(payload: &Bytes) -> Vec<B256> {
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

fn now<'a, T: Send + 'a>(answer: Result<T, L1Error>) -> BoxFuture<'a, Result<T, L1Error>> {
    ready(answer).boxed()
}

impl L1 for MemoryL1 {
    fn block(&self, at: At) -> BoxFuture<'_, Result<Option<L1Block>, L1Error>> {
        now(self.read(|s| {
            let head = s.head().number;
            let number = match at {
                At::Latest => head,
                At::Finalized => head.saturating_sub(s.params.finality_depth),
                At::Number(n) => n,
            };
            Ok(s.at(number).map(|m| m.block))
        }))
    }

    fn operators(&self, block: u64) -> BoxFuture<'_, Result<Vec<Validator>, L1Error>> {
        now(self.read(|s| Ok(s.world_at(block)?.operators().to_vec())))
    }

    fn validator_set(
        &self,
        epoch: u64,
        block: u64,
    ) -> BoxFuture<'_, Result<Option<ValidatorSet>, L1Error>> {
        now(self.read(|s| Ok(s.world_at(block)?.set(epoch).cloned())))
    }

    fn batches(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<PostedBatch>, L1Error>> {
        now(self
            .read(|s| Ok(s.between(from, to)?.flat_map(|m| m.batches.iter().cloned()).collect())))
    }

    fn forced(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Enqueued>, L1Error>> {
        now(self.read(|s| Ok(s.between(from, to)?.flat_map(|m| m.forced.clone()).collect())))
    }

    fn turns(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Turn>, L1Error>> {
        now(self.read(|s| Ok(s.between(from, to)?.flat_map(|m| m.turns.clone()).collect())))
    }

    fn payload<'a>(&'a self, batch: &'a PostedBatch) -> BoxFuture<'a, Result<Bytes, L1Error>> {
        now(self.read(|s| {
            let found = batch.blob_hashes.first().and_then(|h| s.payloads.get(h)).cloned();
            let gone =
                || L1Error::Blobs { block: batch.block.number, why: "memory: expired".into() };
            found.ok_or_else(gone)
        }))
    }

    fn preflight<'a>(
        &'a self,
        post: &'a BatchPost,
        from: Address,
    ) -> BoxFuture<'a, Result<(), L1Error>> {
        now(self.read(|s| {
            let request = post.request(s.params.inbox)?;
            let hashes = versioned_hashes(&post.payload);
            let tx = UnsignedTx { request, nonce: 0, fees: Fees::default() };
            let mut world = World::clone(&s.world());
            world.execute(&s.params, from, &tx, &hashes).map(|_| ())
        }))
    }

    fn balance(&self, account: Address) -> BoxFuture<'_, Result<U256, L1Error>> {
        now(self.read(|s| Ok(s.world().balance(account))))
    }
}
