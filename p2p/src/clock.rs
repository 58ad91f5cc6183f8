//! The only place of this crate that reads the clock or starts a task.
//!
//! Invariant: time is milliseconds since the network was started and never goes back.

use std::{future::Future, time::Instant};

use tokio::task::JoinHandle;

/// Monotonic milliseconds for the sans-IO parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the network is an adapter: here its time begins"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "every task of the crate starts here and watches `Hub::stop`"
)]
/// Starts a task that ends when the network is shut down.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}
