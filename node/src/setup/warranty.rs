//! Bonds for frames that are lost with their leader, as L1 has them.

use super::{OnL1, SetupError, provider, unavailable};
use alloy_primitives::{Address, U256};
use rota_l1::bindings::{Registry, Warranty};
use rota_types::{Encode, LostFrame, LostTx, WarrantyOffer};

/// What an operator gives back for lost frames, and what is there to pay with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarrantyOnL1 {
    /// What is left of the bond, wei.
    pub bond: U256,
    /// For frames of the set that is in force.
    pub offer: WarrantyOffer,
    /// What was said last, and the first epoch that it holds for.
    pub last: (WarrantyOffer, u64),
    /// First epoch in which the bond can be withdrawn; none while that is not known.
    pub free_from: Option<u64>,
    /// First epoch in which it may offer again after too many losses; 0 if it never had them.
    pub lapsed_until: u64,
    /// The epoch now.
    pub epoch: u64,
    /// Epochs after the last use of its set in which a frame can be claimed for.
    pub claim_epochs: u64,
}

impl OnL1<'_> {
    /// What a claim would refund now, wei.
    ///
    /// # Errors
    /// [`rota_l1::Refusal`] in words.
    pub async fn refund(
        &self,
        contract: Address,
        generation: u32,
        (lost, txs): (&LostFrame, &[LostTx]),
    ) -> Result<U256, SetupError> {
        let w = Warranty::new(contract, provider(self.urls, None)?);
        let txs = txs.iter().map(|tx| tx.encode().into()).collect();
        let asked = w.claim(generation, lost.encode().into(), txs).call().await;
        asked.map_err(|e| self.refused(&e))
    }

    /// The warranty of an operator.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn warranty(
        &self,
        contract: Address,
        operator: u64,
    ) -> Result<WarrantyOnL1, SetupError> {
        let failed = |e: alloy::contract::Error| unavailable(e, self.urls);
        let p = provider(self.urls, None)?;
        let registry = Registry::new(self.network.registry, p.clone());
        let w = Warranty::new(contract, p);
        let operator = U256::from(operator);
        let epoch = registry.currentEpoch().call().await.map_err(failed)?;
        let head = U256::from(self.head().await?);
        // A frame names the epoch of its set, which may be an older one.
        let set = registry.epochAt(head).call().await.map_err(failed)?;
        let last = w.lastOffer(operator).call().await.map_err(failed)?;
        let free = w.freeFrom(operator).call().await.map_err(failed)?;
        Ok(WarrantyOnL1 {
            bond: w.bondOf(operator).call().await.map_err(failed)?,
            offer: read(&w.offerAt(operator, set).call().await.map_err(failed)?),
            last: (read(&last.o), last.fromEpoch),
            free_from: (free != u64::MAX).then_some(free),
            lapsed_until: w.lapsedUntil(operator).call().await.map_err(failed)?,
            epoch,
            claim_epochs: w.claimEpochs().call().await.map_err(failed)?,
        })
    }
}

fn read(o: &Warranty::Offer) -> WarrantyOffer {
    WarrantyOffer {
        bps: o.bps,
        claim_cap: o.claimCap.saturating_to(),
        term_cap: o.termCap.saturating_to(),
    }
}
