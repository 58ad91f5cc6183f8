//! The transaction pool in memory, with geth's replacement rules.
//!
//! Invariant: at most one transaction per account and nonce; a blob transaction replaces only at +100 % on all three fees,
//! another at +10 % on both.

use super::MemoryL1;
use super::contracts::World;
use crate::L1Error;
use crate::tx::{Fees, Observation, SendFault, SignedTx, TxChain, UnsignedTx};
use alloy_primitives::{Address, B256, U256, keccak256};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use std::collections::BTreeMap;

/// Gas of one blob.
const BLOB_GAS: u64 = 131_072;

#[derive(Debug, Clone)]
pub(super) struct PoolTx {
    pub(super) account: Address,
    pub(super) hash: B256,
    pub(super) unsigned: UnsignedTx,
}

#[derive(Debug, Default)]
pub(super) struct Pool(BTreeMap<(Address, u64), PoolTx>);

impl Pool {
    pub(super) fn offer(
        &mut self,
        account: Address,
        tx: &SignedTx,
        next_nonce: u64,
        balance: U256,
    ) -> Result<(), SendFault> {
        let unsigned: UnsignedTx = serde_json::from_slice(&tx.raw)
            .map_err(|e| SendFault::Rejected(format!("memory: {e}")))?;
        let place = (account, unsigned.nonce);
        if self.0.get(&place).is_some_and(|old| old.hash == tx.hash) {
            return Ok(());
        }
        if unsigned.nonce < next_nonce {
            return Err(SendFault::NonceTooLow);
        }
        if unsigned.fees.tip == 0 {
            return Err(SendFault::FeeTooLow);
        }
        if cost(&unsigned) > balance {
            return Err(SendFault::Funds(format!("memory: {account}")));
        }
        if let Some(old) = self.0.get(&place)
            && !pays_for(unsigned.fees, old)
        {
            return Err(SendFault::Underpriced);
        }
        self.0.insert(place, PoolTx { account, hash: tx.hash, unsigned });
        Ok(())
    }

    /// Takes out the next transaction whose nonce is due and whose fees cover `base`; forgets those whose nonce is used.
    pub(super) fn take_ready(&mut self, world: &World, base: Fees) -> Option<PoolTx> {
        self.0.retain(|(account, nonce), _| *nonce >= world.nonce(*account));
        let ready = |place: &(Address, u64), tx: &PoolTx| {
            let fees = tx.unsigned.fees;
            let pays =
                fees.max_fee >= base.max_fee.saturating_add(base.tip) && fees.tip >= base.tip;
            let blobs = tx.unsigned.request.payload.is_none() || fees.blob_fee >= base.blob_fee;
            place.1 == world.nonce(place.0) && pays && blobs
        };
        let place = self.0.iter().find(|(place, tx)| ready(place, tx)).map(|(place, _)| *place)?;
        self.0.remove(&place)
    }
}

fn pays_for(new: Fees, old: &PoolTx) -> bool {
    let old_fees = old.unsigned.fees;
    if old.unsigned.request.payload.is_some() {
        return old_fees.doubled().within(new);
    }
    let more = |v: u128| v.saturating_add(v.div_ceil(10));
    new.max_fee >= more(old_fees.max_fee) && new.tip >= more(old_fees.tip)
}

/// The most that a transaction can cost, wei.
fn cost(tx: &UnsignedTx) -> U256 {
    let gas = U256::from(tx.request.gas_limit).saturating_mul(U256::from(tx.fees.max_fee));
    let blobs = tx.request.payload.as_ref().map_or(0, |p| super::state::versioned_hashes(p).len());
    let blob_gas = U256::from(blobs).saturating_mul(U256::from(BLOB_GAS));
    gas.saturating_add(blob_gas.saturating_mul(U256::from(tx.fees.blob_fee)))
        .saturating_add(tx.request.value)
}

/// Sends from one account of a `MemoryL1`.
#[derive(Debug, Clone)]
pub struct MemorySender {
    l1: MemoryL1,
    account: Address,
}

impl MemorySender {
    pub(super) const fn new(l1: MemoryL1, account: Address) -> Self {
        Self { l1, account }
    }
}

impl TxChain for MemorySender {
    fn account(&self) -> Address {
        self.account
    }

    fn observe<'a>(&'a self, hashes: &'a [B256]) -> BoxFuture<'a, Result<Observation, L1Error>> {
        ready(self.l1.observe(self.account, hashes)).boxed()
    }

    fn sign<'a>(&'a self, tx: &'a UnsignedTx) -> BoxFuture<'a, Result<SignedTx, L1Error>> {
        let signed = serde_json::to_vec(tx).map_err(|e| L1Error::Build(e.to_string())).map(|raw| {
            let hash = keccak256([self.account.as_slice(), &raw].concat());
            SignedTx { hash, raw: raw.into() }
        });
        ready(signed).boxed()
    }

    fn broadcast<'a>(&'a self, tx: &'a SignedTx) -> BoxFuture<'a, Result<(), SendFault>> {
        ready(self.l1.offer(self.account, tx)).boxed()
    }
}
