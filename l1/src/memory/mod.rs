//! L1 in memory, for simulation: deterministic, with blocks, finality, reorganisations, fees, a pool and blobs.
//!
//! Not for: anything with real money; nothing here checks KZG (versioned hashes are plain hashes).
//! Invariant: the contracts' rules are those of `contracts/src`, so what is accepted here is accepted there.

mod contracts;
mod inbox;
mod pool;
mod portal;
mod queue;
mod registry;
mod side;
mod state;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use pool::MemorySender;

use crate::chain::{At, L1, L1Block, PostedBatch};
use crate::sets::FrozenSets;
use crate::tx::{Fees, Observation, SendFault, SignedTx};
use crate::{BatchPost, Deposited, Enqueued, L1Error, L1Rules, Turn, TxRequest};
use alloy_primitives::{Address, B256, Bytes, U256};
use contracts::World;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;
use pool::Pool;
use rota_types::{Domain, Validator, ValidatorSet};
use state::{Events, State, versioned_hashes};
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
    /// Address of the queue of forced transactions.
    pub forced_queue: Address,
    /// Address of the portal.
    pub portal: Address,
    /// Who may seize stakes.
    pub slasher: Address,
    /// Times, limits and prices of the contracts.
    pub rules: L1Rules,
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
    pub fn new(domain: Domain, inbox: Address) -> Self {
        Self {
            domain,
            inbox,
            forced_queue: Address::repeat_byte(0xf0),
            portal: Address::repeat_byte(0xb0),
            slasher: Address::repeat_byte(0x51),
            rules: L1Rules::default(),
            min_stake: U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]),
            min_operators: 1,
            genesis_time: 1_700_000_000,
            block_seconds: 12,
            finality_depth: 64,
            fees: Fees { max_fee: 1_000_000_000, tip: 1, blob_fee: 1 },
        }
    }
}

/// An L1 in memory. Clones are the same chain.
#[derive(Debug, Clone)]
pub struct MemoryL1(Arc<Mutex<State>>);

impl MemoryL1 {
    /// A chain of one block. Given operators are registered in it, and frozen as the set of epoch 0.
    #[must_use]
    pub fn new(params: MemoryParams, operators: Vec<Validator>) -> Self {
        let world = Arc::new(World::new(operators, &params));
        let mut state = State {
            params,
            chain: Vec::new(),
            pool: Pool::default(),
            payloads: BTreeMap::new(),
            queue: side::Waiting::default(),
            salt: 0,
            offline: false,
        };
        state.push(Events::default(), BTreeMap::new(), world);
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

    /// What a transaction on top of the newest block would do: nothing, but why it would be refused.
    pub fn dry_run(&self, from: Address, request: TxRequest) -> Result<(), L1Error> {
        self.read(|s| s.dry_run(from, request))
    }

    /// How many fallbacks there were.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.0.lock().world().generation()
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
        now(self.read(|s| Ok(s.world_at(block)?.operators())))
    }

    fn validator_set(
        &self,
        epoch: u64,
        block: u64,
    ) -> BoxFuture<'_, Result<Option<ValidatorSet>, L1Error>> {
        now(self.read(|s| Ok(s.world_at(block)?.set(epoch))))
    }

    fn epoch_at(&self, l1_number: u64) -> BoxFuture<'_, Result<u64, L1Error>> {
        now(self.read(|s| Ok(s.world_at(l1_number)?.frozen_sets(&s.params).epoch_at(l1_number))))
    }

    fn frozen_sets(&self, block: u64) -> BoxFuture<'_, Result<FrozenSets, L1Error>> {
        now(self.read(|s| Ok(s.world_at(block)?.frozen_sets(&s.params))))
    }

    fn set_outdated(&self, block: u64) -> BoxFuture<'_, Result<bool, L1Error>> {
        now(self.read(|s| Ok(s.world_at(block)?.set_outdated())))
    }

    fn batches(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<PostedBatch>, L1Error>> {
        now(self.read(|s| s.logs((from, to), |e| &e.batches)))
    }

    fn forced(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Enqueued>, L1Error>> {
        now(self.read(|s| s.logs((from, to), |e| &e.forced)))
    }

    fn deposits(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Deposited>, L1Error>> {
        now(self.read(|s| s.logs((from, to), |e| &e.deposits)))
    }

    fn turns(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Turn>, L1Error>> {
        now(self.read(|s| s.logs((from, to), |e| &e.turns)))
    }

    fn payload<'a>(&'a self, batch: &'a PostedBatch) -> BoxFuture<'a, Result<Bytes, L1Error>> {
        now(self.read(|s| s.payload(batch.block.number, &batch.blob_hashes)))
    }

    fn preflight<'a>(
        &'a self,
        post: &'a BatchPost,
        from: Address,
    ) -> BoxFuture<'a, Result<(), L1Error>> {
        now(self.read(|s| s.dry_run(from, post.request(s.params.inbox)?)))
    }

    fn balance(&self, account: Address) -> BoxFuture<'_, Result<U256, L1Error>> {
        now(self.read(|s| Ok(s.world().balance(account))))
    }
}
