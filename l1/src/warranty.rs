//! What the Warranty contract is asked for, and what it says of the members of a set.
//!
//! Not for: what shows a loss (`types`). Invariant: none; the contract checks everything itself.

use crate::bindings::{Registry, Warranty};
use crate::register::request;
use crate::{Endpoints, L1Error, TxRequest};
use alloy::network::Ethereum;
use alloy::providers::RootProvider;
use alloy_primitives::aliases::U88;
use alloy_primitives::{Address, Bytes, U256};
use rota_types::{Encode, LostFrame, LostTx, WarrantyOffer};
use std::collections::BTreeMap;

/// Gas of a payment into a bond, of an offer and of a withdrawal.
const GAS_SMALL: u64 = 250_000;
/// Gas of a refund of one transaction by a certificate of four (measured 438,000), of each signer, and of each transaction more
/// (measured 73,000, of 100 bytes, with a sender that has no account yet).
const GAS_LOST: u64 = 800_000;
const GAS_SIGNER: u64 = 8_000;
const GAS_TX: u64 = 150_000;
/// Gas of a byte of a transaction: calldata, hashing, and copies.
const GAS_BYTE: u64 = 20;

/// Adds to an operator's bond; anyone may send it, and only the operator's owner gets it back.
#[must_use]
pub fn post_bond_request(warranty: Address, operator: u64, value: U256) -> TxRequest {
    let call = Warranty::postCall { operator: U256::from(operator) };
    TxRequest { value, ..request(warranty, &call, GAS_SMALL) }
}

/// Says what an operator gives back, from the epoch after the next one on; sent by the owner.
///
/// # Errors
/// A cap does not fit the contract.
pub fn offer_request(
    warranty: Address,
    operator: u64,
    offer: &WarrantyOffer,
) -> Result<TxRequest, L1Error> {
    let wei = |cap: u128| {
        U88::try_from(cap).map_err(|_| L1Error::Config(format!("a cap of {cap} wei is too large")))
    };
    let (claim_cap, term_cap) = (wei(offer.claim_cap)?, wei(offer.term_cap)?);
    let o = Warranty::Offer { bps: offer.bps, claimCap: claim_cap, termCap: term_cap };
    Ok(request(warranty, &Warranty::setCall { operator: U256::from(operator), o }, GAS_SMALL))
}

/// Pays the bond out, sent by the owner.
#[must_use]
pub fn withdraw_bond_request(warranty: Address, operator: u64, to: Address) -> TxRequest {
    let call = Warranty::withdrawCall { operator: U256::from(operator), to };
    request(warranty, &call, GAS_SMALL)
}

/// Refunds transactions of a lost frame to who signed them; anyone may send it.
#[must_use]
pub fn refund_request(
    warranty: Address,
    generation: u32,
    lost: &LostFrame,
    txs: &[LostTx],
) -> TxRequest {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let txs: Vec<Bytes> = txs.iter().map(|tx| tx.encode().into()).collect();
    let bytes = txs.iter().map(|tx| count(tx.len())).fold(0, u64::saturating_add);
    let gas = GAS_LOST
        .saturating_add(GAS_SIGNER.saturating_mul(count(lost.fork.commit.signatures.len())))
        .saturating_add(GAS_TX.saturating_mul(count(txs.len())))
        .saturating_add(GAS_BYTE.saturating_mul(bytes));
    let call = Warranty::claimCall { generation, lost: lost.encode().into(), txs };
    request(warranty, &call, gas)
}

/// What a leader gives back for frames of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warranted {
    /// What is left of its bond, wei.
    pub bond: U256,
    /// What it offers.
    pub offer: WarrantyOffer,
}

impl Warranted {
    /// As the contract has it.
    #[must_use]
    pub fn new(bond: U256, o: &Warranty::Offer) -> Self {
        let (claim_cap, term_cap) = (o.claimCap.saturating_to(), o.termCap.saturating_to());
        Self { bond, offer: WarrantyOffer { bps: o.bps, claim_cap, term_cap } }
    }

    /// Those of the first `members` of a set, by index, that give anything.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn of_set(
        endpoints: &Endpoints,
        (registry, warranty): (Address, Address),
        epoch: u64,
        members: u16,
    ) -> Result<BTreeMap<u16, Self>, L1Error> {
        let ask = move |p: RootProvider<Ethereum>| async move {
            let (registry, warranty) =
                (Registry::new(registry, p.clone()), Warranty::new(warranty, p));
            let mut out = BTreeMap::new();
            for index in 0..members {
                let member = registry.member(epoch, U256::from(index)).call().await?;
                let bond = warranty.bondOf(member.operator).call().await?;
                if bond.is_zero() {
                    continue;
                }
                let offer = warranty.offerAt(member.operator, epoch).call().await?;
                if offer.bps > 0 {
                    out.insert(index, Self::new(bond, &offer));
                }
            }
            Ok(out)
        };
        endpoints.ask(ask).await
    }
}
