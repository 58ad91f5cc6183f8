//! An execution client outside, such as go-ethereum, led along the chain by the Engine API.
//!
//! Not for: deriving ([`crate::follower`]) and not for executing; revm inside the follower has done both before a
//! block comes here. Invariant: the client is given nothing but derived or decided blocks, and one that it calls
//! invalid stops the follower: two implementations of Ethereum disagree, and neither may go on as if nothing was.

mod block;
mod client;
mod driver;
mod error;
mod health;
mod leading;
mod ledger;
mod report;
mod shown;
#[cfg(test)]
mod tests;

pub use block::EngineBlock;
pub use client::{EngineClient, EngineConfig};
pub use driver::{Answer, Ask, Chain, Driver, Failed, Hello, Next, Settings};
pub use error::{Disagreement, ExternalError};
pub use health::{EngineHealth, EngineSeen};
pub use leading::Leading;
pub use ledger::{Ledger, Mark, Target};
pub use report::write_report;
pub use shown::Shown;

use crate::settle::{Pace, Throttle};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::watch;

/// What a follower needs to lead a client along.
#[derive(Debug, Clone)]
pub struct External {
    /// How it is reached.
    pub client: EngineConfig,
    /// Where a reproduction of a disagreement is written.
    pub reports: PathBuf,
}

/// Leads the client along until told to stop, or until it must not go on. `changed` wakes it when the chain has.
///
/// # Errors
/// [`ExternalError`]; a disagreement leaves a file behind, which the message names.
pub async fn lead<T>(
    mut driver: Driver,
    external: External,
    (chain, mut changed): (Arc<dyn Chain>, watch::Receiver<T>),
    health: Arc<EngineHealth>,
    pace: Pace,
) -> Result<(), ExternalError> {
    let client = EngineClient::new(external.client)?;
    let mut throttle = Throttle::default();
    loop {
        changed.mark_unchanged();
        match driver.next(pace.now(), &*chain)? {
            Next::Ask(ask) => {
                let Some(answer) = pace.step(client.ask(&ask, pace.now())).await else {
                    return Ok(());
                };
                if let Answer::Failed(why) = &answer
                    && throttle.due(pace.now())
                {
                    tracing::warn!(client = client.name(), %why, "the execution client does not follow; trying again");
                }
                let done = driver.answer(pace.now(), &ask, answer);
                if driver.is_up() {
                    throttle.reset();
                }
                health.note(driver.seen());
                if let Err(ExternalError::Invalid(found)) = done {
                    tracing::error!(
                        block = found.block.number(),
                        hash = %found.block.hash(),
                        reason = found.reason,
                        "the execution client calls a block invalid"
                    );
                    let file = write_report(&external.reports, &found, &*chain)?;
                    return Err(ExternalError::Disagreed { found, file });
                }
                done?;
            }
            Next::Wait(ms) => {
                tokio::select! {
                    biased;
                    () = pace.stop.cancelled() => return Ok(()),
                    _ = changed.changed() => {}
                    () = tokio::time::sleep(Duration::from_millis(ms)) => {}
                }
            }
        }
    }
}
