//! Random chains by seed: what implementations of Ethereum must agree on, block for block.
//!
//! Not for: the protocol. The blocks come from the execution crate alone, in the shape that derivation gives them.
//! Invariant: a seed gives the same chain on every machine, and the programs in it use every instruction that Prague has.
//!
//! | module | what it is for |
//! |---|---|
//! | `program` | random contracts |
//! | `traffic` | random transactions |

mod program;
mod traffic;

pub use traffic::{CHAIN_ID, genesis_file};

use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, U256};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use rota_execution::{BlockEnv, ExecutedBlock, Head, OpenBlock, Outcome, genesis};
use std::collections::BTreeMap;
use traffic::Traffic;

/// A chain that grows block by block.
#[derive(Clone)]
pub struct RandomChain {
    rng: ChaCha8Rng,
    traffic: Traffic,
    head: Head,
    deposits: u64,
    most: usize,
    /// Transactions in the blocks, by kind and success.
    pub counts: BTreeMap<String, usize>,
}

impl RandomChain {
    /// The first block.
    pub fn new(seed: u64) -> Self {
        let head = genesis(&genesis_file()).unwrap();
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let (traffic, counts) = (Traffic::default(), BTreeMap::new());
        Self { rng, traffic, head, deposits: 0, most: 30, counts }
    }

    /// With so many transactions in a block at most, for clients that are slow.
    pub fn at_most(mut self, txs: usize) -> Self {
        self.most = txs;
        self
    }

    /// The newest block.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The same chain so far; what comes after it differs.
    pub fn fork(&self, seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), ..self.clone() }
    }

    /// How many transactions are in it.
    pub fn txs(&self) -> usize {
        self.counts.values().sum()
    }

    /// The next block.
    pub fn grow(&mut self) -> ExecutedBlock {
        let env = self.env();
        let mut block = OpenBlock::open(&self.head, env, CHAIN_ID).unwrap();
        self.traffic.follow(&self.head.state);
        let most = [0, 1, 6, 14, 14, 30].choose(&mut self.rng).copied().unwrap();
        for _ in 0..self.rng.random_range(0..=most.min(self.most)) {
            let (kind, tx, sender) = self.traffic.make(&mut self.rng);
            let outcome = block.apply(&tx, sender).unwrap();
            let result = match &outcome {
                Outcome::Included(i) if i.receipt.status() => "done",
                Outcome::Included(_) => "failed",
                Outcome::Skipped(_) => {
                    self.traffic.follow(&block.snapshot());
                    continue;
                }
            };
            *self.counts.entry(format!("{kind} {result}")).or_default() += 1;
            self.traffic.included(&outcome);
        }
        let block = block.seal(B256::from(self.rng.random::<[u8; 32]>())).unwrap();
        self.head = block.head.clone();
        block
    }

    /// The second after the head: mostly the next one, with and without deposits.
    fn env(&mut self) -> BlockEnv {
        let header = &self.head.header;
        let later = [1, 1, 1, 2, 3_600].choose(&mut self.rng).copied().unwrap();
        let swing = header.gas_limit / 1_024 - 1;
        let gas_limit = match self.rng.random_range(0..8) {
            0 => header.gas_limit + self.rng.random_range(0..swing),
            1 => header.gas_limit - self.rng.random_range(0..swing),
            _ => header.gas_limit,
        };
        let number = header.number + 1;
        let withdrawals = self.withdrawals();
        BlockEnv {
            number,
            timestamp_s: self.head.header.timestamp + later,
            gas_limit,
            fee_recipient: traffic::FEE_VAULT,
            prev_randao: B256::from(self.rng.random::<[u8; 32]>()),
            parent_beacon_block_root: B256::from(self.rng.random::<[u8; 32]>()),
            withdrawals,
        }
    }

    fn withdrawals(&mut self) -> Vec<Withdrawal> {
        let count = [0, 0, 1, 2, 5].choose(&mut self.rng).copied().unwrap();
        let mut one = || {
            let address = match self.rng.random_range(0..3) {
                0 => traffic::contract(self.rng.random()),
                1 => traffic::wallet(self.rng.random()).address,
                _ => Address::from(self.rng.random::<[u8; 20]>()),
            };
            let amount = self.rng.random_range(0..3u64) * self.rng.random_range(1..1_000_000u64);
            let index = self.deposits;
            self.deposits += 1;
            Withdrawal { index, validator_index: 0, address, amount }
        };
        (0..count).map(|_| one()).collect()
    }
}

/// A word that instructions treat specially, or a small or a random one.
fn word(rng: &mut ChaCha8Rng) -> U256 {
    match rng.random_range(0..8) {
        0 => U256::ZERO,
        1 => U256::MAX >> rng.random_range(0..256usize),
        2 => U256::from(1) << rng.random_range(0..256usize),
        3 => U256::from_be_bytes(rng.random::<[u8; 32]>()),
        _ => U256::from(rng.random_range(0..300u64)),
    }
}
