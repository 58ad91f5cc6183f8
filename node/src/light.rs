//! That L1 has a set, for light clients: one proof for each epoch, asked of L1 now and then.
//!
//! Not for: the rest of a light proof (`view`). Invariant: however often clients ask, L1 is asked once in a minute for an
//! epoch; a question that fails is not repeated before that either.

use rota_l1::{L1Error, RpcL1};
use rota_types::{Millis, SetProof};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::Mutex;

/// How old a proof may be.
const FRESH_MS: Millis = 60_000;
/// Epochs asked for within a minute; more are refused, and a client then asks an L1 of its own.
const MAX_KEPT: usize = 16;

type Proven = Result<Arc<SetProof>, String>;

/// Asks L1 and remembers.
#[derive(Debug)]
pub struct SetProver {
    l1: Arc<RpcL1>,
    kept: Mutex<BTreeMap<u64, (Millis, Proven)>>,
}

impl SetProver {
    /// Of this L1.
    #[must_use]
    pub fn new(l1: Arc<RpcL1>) -> Self {
        Self { l1, kept: Mutex::default() }
    }

    /// Proof of the set of an epoch under a block that was final not long ago.
    ///
    /// # Errors
    /// Why L1 gave none, in words.
    pub async fn prove(&self, epoch: u64, now: Millis) -> Proven {
        let mut kept = self.kept.lock().await;
        if let Some((at, proven)) = kept.get(&epoch)
            && now.saturating_sub(*at) < FRESH_MS
        {
            return proven.clone();
        }
        kept.retain(|_, (at, _)| now.saturating_sub(*at) < FRESH_MS);
        if kept.len() >= MAX_KEPT {
            return Err("too many sets were asked for within a minute".into());
        }
        let proven = self.l1.set_proof(epoch).await;
        let proven = proven.map(Arc::new).map_err(|e: L1Error| {
            tracing::warn!(epoch, %e, "L1 gives no proof of the set; light clients must ask it themselves");
            e.to_string()
        });
        kept.insert(epoch, (now, proven.clone()));
        proven
    }
}
