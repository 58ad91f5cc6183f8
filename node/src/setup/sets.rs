//! Which sets are frozen.

use super::{OnL1, SetupError, provider, unavailable};
use alloy_primitives::Address;
use rota_l1::{At, FrozenSets, L1, L1Error, bindings::Inbox};
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

    /// Whether a vote key is in a set that signs heights still, or will: the one that follows the newest posted height, or a later
    /// one. Before the first height is posted, final blocks stand for its origin.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn can_sign(&self, vote_key: Address) -> Result<bool, SetupError> {
        let inbox = Inbox::new(self.network.inbox, provider(self.urls, None)?);
        let tip = inbox.tip().call().await.map_err(|e| unavailable(e, self.urls))?;
        let origin = match tip.height {
            0 => self.l1.block(At::Finalized).await?.map_or(0, |block| block.number),
            _ => tip.l1Number,
        };
        let (head, frozen) = (self.head().await?, self.frozen().await?);
        let now = frozen.epoch_at(origin);
        for epoch in frozen.epochs.iter().copied().filter(|epoch| *epoch >= now) {
            let set = self.l1.validator_set(epoch, head).await?;
            if set.is_some_and(|set| set.by_vote_key(vote_key).is_some()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Number of the newest L1 block.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn head(&self) -> Result<u64, SetupError> {
        let head = self.l1.block(At::Latest).await?.ok_or(L1Error::NoBlock(0))?;
        Ok(head.number)
    }
}
