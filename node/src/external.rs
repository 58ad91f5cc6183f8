//! An execution client outside, such as go-ethereum, led along the derived chain by the Engine API.
//!
//! Not for: deriving ([`crate::follower`]) and not for executing; revm inside the follower has done both before a
//! block comes here. Invariant: the client is given nothing but derived blocks, and one that it calls invalid stops
//! the follower: two implementations of Ethereum disagree, and neither may go on as if nothing was.

mod block;
mod client;
mod driver;
mod error;
mod health;
mod ledger;
mod report;
#[cfg(test)]
mod tests;

pub use block::EngineBlock;
pub use client::{EngineClient, EngineConfig};
pub use driver::{Answer, Ask, Chain, Driver, Failed, Hello, Next, Settings};
pub use error::{Disagreement, ExternalError};
pub use health::{EngineHealth, EngineSeen};
pub use ledger::{Ledger, Mark, Target};
pub use report::write_report;

use crate::settle::{Pace, Throttle};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// What a follower needs to lead a client along.
#[derive(Debug, Clone)]
pub struct External {
    /// How it is reached.
    pub client: EngineConfig,
    /// Where a reproduction of a disagreement is written.
    pub reports: PathBuf,
}

/// Leads the client along until told to stop, or until it must not go on.
///
/// # Errors
/// [`ExternalError`]; a disagreement leaves a file behind, which the message names.
pub async fn lead(
    mut driver: Driver,
    external: External,
    ledger: Arc<Ledger>,
    health: Arc<EngineHealth>,
    pace: Pace,
) -> Result<(), ExternalError> {
    let client = EngineClient::new(external.client)?;
    let (mut changed, mut throttle) = (ledger.subscribe(), Throttle::default());
    loop {
        changed.mark_unchanged();
        match driver.next(pace.now(), &*ledger)? {
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
                        "the execution client calls a derived block invalid"
                    );
                    let file = write_report(&external.reports, &found, &*ledger)?;
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
