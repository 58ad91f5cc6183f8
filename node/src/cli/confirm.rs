//! What only L1 can tell of a receipt: that the inbox accepted the batch that it names, and that this is final.
//!
//! Not for: the data of the batch, which nodes check. Invariant: nothing is taken from the receipt but what the
//! offline check tied to the certified height.

use crate::exit::{Exit, Failure};
use rota_l1::{At, L1, L1Error};
use rota_types::{Domain, Stage};
use rota_verify::{Posted, Verdict};

/// The stage that L1 confirms.
pub(super) async fn confirm(
    l1: &dyn L1,
    verdict: &Verdict,
    domain: &Domain,
) -> Result<Stage, Failure> {
    let Some(posted) = &verdict.posted else { return Ok(verdict.stage) };
    let silent = |e: L1Error| {
        Failure::new(Exit::Unreachable, format!("L1 does not answer: {e}"))
            .hint("try again, or give another --l1 URL")
    };
    let block = l1.block(At::Number(posted.l1_block)).await.map_err(silent)?;
    let block = block.ok_or_else(|| missing(posted, "that L1 block does not exist"))?;
    let batches = l1.batches(block.number, block).await.map_err(silent)?;
    let at =
        |b: &&rota_l1::PostedBatch| b.tx_hash == posted.l1_tx && b.to_height == posted.last_height;
    let batch = batches.iter().find(at);
    let batch = batch.ok_or_else(|| missing(posted, "the inbox accepted no such batch there"))?;
    let value_id = batch.header.value_id(domain);
    if posted.last_value_id.is_some_and(|id| id != value_id) {
        return Err(missing(posted, "the batch there ends with another certified height"));
    }
    if !(batch.from_height..=batch.to_height).contains(&verdict.height) {
        return Err(missing(posted, "the batch there does not reach back to the height"));
    }
    let last = l1.block(At::Finalized).await.map_err(silent)?.map_or(0, |b| b.number);
    Ok(if posted.l1_block <= last { Stage::Finalized } else { Stage::Posted })
}

fn missing(posted: &Posted, why: &str) -> Failure {
    let message = format!(
        "L1 does not confirm the batch in block {}, transaction {}: {why}",
        posted.l1_block, posted.l1_tx
    );
    Failure::new(Exit::Verify, message).hint(
        "what the receipt proves offline still holds; after a reorganisation of L1 get it anew: rota preconf get",
    )
}

#[cfg(test)]
mod tests;
