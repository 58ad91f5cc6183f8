//! Which sets are frozen.

use super::{OnL1, SetupError};
use rota_l1::{FrozenSets, L1, L1Error};
use rota_types::ValidatorSet;

impl OnL1<'_> {
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

    /// Number of the newest L1 block.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn head(&self) -> Result<u64, SetupError> {
        let head = self.l1.block(rota_l1::At::Latest).await?.ok_or(L1Error::NoBlock(0))?;
        Ok(head.number)
    }
}
