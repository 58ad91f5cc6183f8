//! Where operators are on their way through the sets, and how one leaves.
//!
//! Not for: deciding when. Invariant: L1 is asked first, so a refusal costs nothing.

use super::{OnL1, SetupError, provider};
use alloy_primitives::{Address, U256};
use rota_l1::{FrozenSets, L1, L1Error, Outcome, bindings::Registry};
use rota_types::{Validator, ValidatorSet};

/// Names of the states in the order of the contract.
const STATES: [&str; 7] = ["none", "queued", "active", "exiting", "withdrawable", "gone", "jailed"];

/// An operator as the Registry has it now.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Its number: its place in the order of registration.
    pub number: u64,
    /// `queued`, `active`, `exiting`, `withdrawable`, `gone` or `jailed`.
    pub state: &'static str,
    /// Owner, keys, stake and address.
    pub registered: Validator,
    /// First L1 block in which the stake can be taken out, if it stays out of the sets: 0 if it never was in one, the
    /// greatest number while it is in the newest.
    pub unlocks: u64,
}

impl OnL1<'_> {
    /// Every operator, in the order of registration.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn operators(&self) -> Result<Vec<Operator>, SetupError> {
        let head = self.head().await?;
        let contract = Registry::new(self.network.registry, provider(self.urls, None)?);
        let mut all = Vec::new();
        for (number, registered) in (0u64..).zip(self.l1.operators(head).await?) {
            let id = U256::from(number);
            let state = contract.stateOf(id).call().await.map_err(|e| self.refused(&e))?;
            let unlocks = contract.unlocksAt(id).call().await.map_err(|e| self.refused(&e))?;
            let state = STATES.get(usize::from(state)).copied().unwrap_or("unknown");
            all.push(Operator { number, state, registered, unlocks: unlocks.saturating_to() });
        }
        Ok(all)
    }

    /// Which epochs have a set of their own.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn frozen(&self) -> Result<FrozenSets, SetupError> {
        Ok(self.l1.frozen_sets(self.head().await?).await?)
    }

    /// The frozen set of an epoch, or the newest one; none if it is not frozen.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn set(&self, epoch: Option<u64>) -> Result<Option<ValidatorSet>, SetupError> {
        let head = self.head().await?;
        let newest = self.l1.frozen_sets(head).await?.epochs.last().copied();
        match epoch.or(newest) {
            Some(epoch) => Ok(self.l1.validator_set(epoch, head).await?),
            None => Ok(None),
        }
    }

    /// Asks to leave the sets; signed by the owner.
    ///
    /// # Errors
    /// The Registry's refusal in words before anything is paid for.
    pub async fn leave(
        &self,
        owner: &alloy::signers::local::PrivateKeySigner,
        operator: u64,
    ) -> Result<Outcome, SetupError> {
        let contract = Registry::new(self.network.registry, provider(self.urls, None)?);
        let asked = contract.requestExit(U256::from(operator)).from(owner.address()).call().await;
        asked.map_err(|e| self.refused(&e))?;
        self.send(owner, rota_l1::exit_request(self.network.registry, operator)).await
    }

    /// Takes the stake out, to any account; signed by the owner.
    ///
    /// # Errors
    /// The Registry's refusal in words before anything is paid for: the stake may still be locked.
    pub async fn withdraw(
        &self,
        owner: &alloy::signers::local::PrivateKeySigner,
        operator: u64,
        to: Address,
    ) -> Result<Outcome, SetupError> {
        let contract = Registry::new(self.network.registry, provider(self.urls, None)?);
        let call = contract.withdraw(U256::from(operator), to).from(owner.address());
        call.call().await.map_err(|e| self.refused(&e))?;
        self.send(owner, rota_l1::withdraw_request(self.network.registry, operator, to)).await
    }

    /// Number of the newest L1 block.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn head(&self) -> Result<u64, SetupError> {
        let head = self.l1.block(rota_l1::At::Latest).await?.ok_or(L1Error::NoBlock(0))?;
        Ok(head.number)
    }
}
