//! The contracts and the accounts of the chain in memory.
//!
//! Not for: the contracts' rules, which are next to this file. Invariant: a call that is refused changes nothing but the
//! sender's nonce and what it pays for gas.

use super::MemoryParams;
use super::inbox::{Around, Inbox};
use super::portal::Portal;
use super::queue::Queue;
use super::registry::{Message, Registry};
use crate::chain::PostedBatch;
use crate::sets::FrozenSets;
use crate::tx::UnsignedTx;
use crate::{Deposited, Enqueued, L1Error, TurnKind};
use alloy_primitives::{Address, B256, Bytes, U256};
use rota_types::{Validator, ValidatorSet};
use std::collections::BTreeMap;

/// Wei of an account that never paid anything: a million ether.
const START_BALANCE: U256 = U256::from_limbs([0x1bce_cced_a100_0000, 0xd3c2, 0, 0]);

/// What the contracts and all accounts hold after a block.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    registry: Registry,
    inbox: Inbox,
    queue: Queue,
    portal: Portal,
    nonces: BTreeMap<Address, u64>,
    spent: BTreeMap<Address, U256>,
    received: BTreeMap<Address, U256>,
}

/// What a transaction did.
#[derive(Debug)]
pub(super) enum Effect {
    /// Nothing that readers of events see.
    Other,
    /// A batch was accepted.
    Batch(Box<PostedBatch>),
    /// A transaction was put into the queue.
    Forced(Box<Enqueued>),
    /// ETH for the rollup.
    Deposit(Deposited),
    /// Something about a fallback.
    Turn(TurnKind),
}

/// The block in which a transaction runs: number and time, seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) block: u64,
    pub(super) time: u64,
}

impl World {
    pub(super) fn new(operators: Vec<Validator>, params: &MemoryParams) -> Self {
        Self { registry: Registry::new(operators, params), ..Self::default() }
    }

    pub(super) fn operators(&self) -> Vec<Validator> {
        self.registry.operators()
    }

    pub(super) fn set(&self, epoch: u64) -> Option<ValidatorSet> {
        self.registry.set(epoch)
    }

    pub(super) fn set_outdated(&self) -> bool {
        self.registry.outdated()
    }

    pub(super) fn frozen_sets(&self, params: &MemoryParams) -> FrozenSets {
        self.registry.frozen_sets(params)
    }

    pub(super) const fn forked(&self) -> bool {
        self.inbox.forked()
    }

    pub(super) const fn generation(&self) -> u32 {
        self.inbox.generation()
    }

    pub(super) fn nonce(&self, account: Address) -> u64 {
        self.nonces.get(&account).copied().unwrap_or(0)
    }

    pub(super) fn balance(&self, account: Address) -> U256 {
        let of = |m: &BTreeMap<Address, U256>| m.get(&account).copied().unwrap_or(U256::ZERO);
        START_BALANCE.saturating_add(of(&self.received)).saturating_sub(of(&self.spent))
    }

    /// Runs a transaction. An error is a revert: the nonce and the gas are used all the same.
    pub(super) fn execute(
        &mut self,
        params: &MemoryParams,
        now: Now,
        account: Address,
        (tx, blob_hashes): (&UnsignedTx, &[B256]),
    ) -> Result<Effect, L1Error> {
        let nonce = self.nonces.entry(account).or_default();
        *nonce = nonce.saturating_add(1);
        let gas = U256::from(super::GAS_USED).saturating_mul(U256::from(params.fees.max_fee));
        add(&mut self.spent, account, gas);
        let value = tx.request.value;
        let message = Message { sender: account, value, block: now.block, time: now.time };
        let effect = self.call(params, message, tx, blob_hashes)?;
        add(&mut self.spent, account, value);
        Ok(effect)
    }

    /// Puts bytes into the queue without paying.
    pub(super) fn enqueue(&mut self, now: Now, gas: u64, tx: Bytes) -> Effect {
        let sender = Address::repeat_byte(0x0f);
        let m = Message { sender, value: U256::ZERO, block: now.block, time: now.time };
        Effect::Forced(Box::new(self.queue.push(m, gas, tx)))
    }

    /// Deposits without paying.
    pub(super) fn deposit(&mut self, now: Now, to: Address, amount_gwei: u64) -> Effect {
        Effect::Deposit(self.portal.push(now.block, to, amount_gwei))
    }

    fn call(
        &mut self,
        params: &MemoryParams,
        m: Message,
        tx: &UnsignedTx,
        blob_hashes: &[B256],
    ) -> Result<Effect, L1Error> {
        let (to, input) = (tx.request.to, &tx.request.input);
        if to == params.inbox {
            let registry = &mut self.registry;
            let mut around = Around { params, registry, queue: &self.queue, blob_hashes };
            return self.inbox.call(&mut around, m, input);
        }
        if to == params.forced_queue {
            return self.queue.call(params, m, input).map(|t| Effect::Forced(Box::new(t)));
        }
        if to == params.portal {
            let deposit = self.portal.call(m, input)?;
            return Ok(deposit.map_or(Effect::Other, Effect::Deposit));
        }
        if to == params.domain.registry
            && let Some((receiver, amount)) = self.registry.call(params, m, input)?
        {
            add(&mut self.received, receiver, amount);
        }
        Ok(Effect::Other)
    }
}

fn add(sums: &mut BTreeMap<Address, U256>, account: Address, wei: U256) {
    let sum = sums.entry(account).or_default();
    *sum = sum.saturating_add(wei);
}
