//! Which blocks are proven on L1, read now and then for whoever asks this node.
//!
//! Not for: anything that is decided here. Invariant: only what a final L1 block has is told. One question of a few calls at a time.

use super::{Pace, Throttle};
use crate::view::{ProvenStep, View};
use rota_l1::{Outputs, ProvenTip};
use std::{sync::Arc, time::Duration};

/// Between two looks at L1: one of its slots.
const EVERY: Duration = Duration::from_secs(12);

/// Reads until the node stops. Without an oracle: does nothing for ever.
pub async fn follow_proven(view: Arc<View>, oracle: Option<Outputs>, pace: Pace) {
    let Some(oracle) = oracle else { return std::future::pending().await };
    view.expect_proofs();
    let mut complaints = Throttle::default();
    loop {
        match pace.step(oracle.proven()).await {
            Some(Ok(Some((l1_block, tip)))) if tip.step > 0 => {
                let step = step(l1_block, &tip, pace.now());
                match view.proven(step) {
                    Ok(true) => {
                        tracing::info!(step = tip.step, block = tip.l2_block, "proven on L1")
                    }
                    Ok(false) => {}
                    Err(why) => {
                        if complaints.due(pace.now()) {
                            tracing::error!(%why, "somebody executed something else: rota output verify");
                        }
                    }
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => tracing::debug!(%error, "what is proven is not read"),
            None => return,
        }
        if !pace.wait(EVERY).await {
            return;
        }
    }
}

const fn step(l1_block: u64, tip: &ProvenTip, at_ms: u64) -> ProvenStep {
    ProvenStep { step: tip.step, block: tip.l2_block, hash: tip.l2_hash, l1_block, at_ms }
}
