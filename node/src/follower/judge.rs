//! What derivation makes of one batch: everything on L1 before it is derived first, without executing it.
//!
//! Not for: following (`Derivation`). Invariant: the same events go into the same pipeline in the same order.

use super::{
    FollowerChain,
    events::{Event, accepted, place, uncertified},
    execute::start,
};
use crate::settle::Walker;
use alloy_primitives::Bytes;
use rota_derive::{AcceptedBatch, DeriveError, Outcome, Pipeline};
use rota_l1::{L1, L1Error, PostedBatch, Turn, TurnKind};

/// How the derivation of the batches before it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Before {
    /// Batches that gave heights.
    pub derived: u64,
    /// Batches that gave none.
    pub skipped: u64,
    /// The newest height before the batch.
    pub height: u64,
}

/// Derives up to a batch, given by the place of its event, and says what it gives.
///
/// # Errors
/// L1 did not answer, or does not have the batch any more.
pub async fn judge(
    chain: &FollowerChain,
    l1: &dyn L1,
    batch: &PostedBatch,
    mut told: impl FnMut(&Before),
) -> eyre::Result<(Before, Outcome)> {
    let mut pipeline = Pipeline::new(chain.domain.clone(), chain.params, start(chain));
    let mut walker = Walker::new(chain.deploy_block);
    let mut before = Before::default();
    let wanted = (batch.tx_hash, batch.log_index);
    loop {
        let progress = walker.step(l1).await?;
        let mut progress = progress.ok_or_else(|| eyre::eyre!("L1 has no block yet"))?;
        if let Some(to) = progress.rolled_back_to {
            pipeline.rollback(to)?;
        }
        for event in Event::of(&mut progress) {
            pipeline.pass(event.number().saturating_sub(1));
            let is_it = of(&event).is_some_and(|b| (b.tx_hash, b.log_index) == wanted);
            let height = pipeline.head().height;
            let outcome = take(&mut pipeline, l1, event).await?;
            if let Some(outcome) = outcome.as_ref().filter(|_| is_it) {
                return Ok((Before { height, ..before }, outcome.clone()));
            }
            let derived = matches!(outcome, Some(Outcome::Derived(_)));
            before.derived = before.derived.saturating_add(u64::from(derived));
            before.skipped =
                before.skipped.saturating_add(u64::from(outcome.is_some() && !derived));
        }
        pipeline.pass(progress.tip.number);
        told(&Before { height: pipeline.head().height, ..before });
        eyre::ensure!(
            progress.more || progress.tip.number < batch.block.number,
            "L1 was reorganised: the batch is gone"
        );
    }
}

/// The batch in an event.
fn of(event: &Event) -> Option<&PostedBatch> {
    match event {
        Event::Batch(batch) => Some(batch),
        Event::Turn(Turn { what: TurnKind::Uncertified(batch), .. }) => Some(batch),
        Event::Brought(_) | Event::Turn(_) => None,
    }
}

async fn take(pipeline: &mut Pipeline, l1: &dyn L1, event: Event) -> eyre::Result<Option<Outcome>> {
    match event {
        Event::Brought(brought) => pipeline.enqueue(brought)?,
        Event::Batch(batch) => {
            let data = payload(l1, &batch).await?;
            return accept(pipeline, l1, &accepted(&batch, data)).await.map(Some);
        }
        Event::Turn(Turn { block, tx_hash, what, .. }) => match what {
            TurnKind::Uncertified(batch) => {
                let data = payload(l1, &batch).await?;
                let batch = uncertified(&batch, data, &pipeline.domain());
                return accept(pipeline, l1, &batch).await.map(Some);
            }
            TurnKind::Fallback { generation } => {
                know_set(pipeline, l1, (pipeline.head().epoch, block.number)).await?;
                pipeline.fall_back(generation, place(&block, tx_hash))?;
            }
            TurnKind::Forked(_) => {}
            TurnKind::EmergencySet { generation, start, .. } => {
                pipeline.emergency(generation, start, place(&block, tx_hash))?;
            }
        },
    }
    Ok(None)
}

async fn accept(
    pipeline: &mut Pipeline,
    l1: &dyn L1,
    batch: &AcceptedBatch,
) -> eyre::Result<Outcome> {
    loop {
        match pipeline.accept(batch) {
            Err(DeriveError::NeedSet(epoch)) => {
                know_set(pipeline, l1, (epoch, batch.l1.number)).await?;
            }
            other => return Ok(other?),
        }
    }
}

async fn know_set(
    pipeline: &mut Pipeline,
    l1: &dyn L1,
    (epoch, l1_block): (u64, u64),
) -> eyre::Result<()> {
    if pipeline.set(epoch).is_none() {
        let set = l1.validator_set(epoch, l1_block).await?;
        pipeline.insert_set(set.ok_or_else(|| eyre::eyre!("L1 has no set of epoch {epoch}"))?);
    }
    Ok(())
}

/// The data of a batch; none is bad data, as the pipeline says.
async fn payload(l1: &dyn L1, batch: &PostedBatch) -> Result<Bytes, L1Error> {
    match l1.payload(batch).await {
        Err(L1Error::Payload) => Ok(Bytes::new()),
        other => other,
    }
}
