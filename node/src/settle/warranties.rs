//! What the members of the set in force warrant, read on L1 now and then for whoever asks this node.
//!
//! Not for: anything that is decided here. Invariant: with L1 gone what was read last stays, for the set that it was read of.

use super::Pace;
use crate::view::View;
use alloy_primitives::Address;
use rota_l1::{Endpoints, Warranted};
use std::{sync::Arc, time::Duration};

/// Between two looks at L1, and until there is something to look for.
const EVERY: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(1);

/// Reads until the node stops.
pub async fn follow_warranties(
    view: Arc<View>,
    endpoints: Endpoints,
    contracts: (Address, Address),
    pace: Pace,
) {
    loop {
        let set = view.room().and_then(|room| view.set(room.epoch));
        let wait = match &set {
            None => SOON,
            Some(set) => {
                let members = u16::try_from(set.len()).unwrap_or(u16::MAX);
                let asked = Warranted::of_set(&endpoints, contracts, set.epoch(), members);
                match pace.step(asked).await {
                    Some(Ok(known)) => view.set_warranties(set.epoch(), known),
                    Some(Err(error)) => tracing::debug!(%error, "warranties are not read"),
                    None => return,
                }
                EVERY
            }
        };
        if !pace.wait(wait).await {
            return;
        }
    }
}
