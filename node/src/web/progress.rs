//! When the main loop last made a step.

use rota_types::Millis;
use std::sync::atomic::{AtomicU64, Ordering};

/// Written by the loop, read by the health checks.
#[derive(Debug, Default)]
pub struct Progress {
    last_ms: AtomicU64,
    steps: AtomicU64,
}

impl Progress {
    /// A loop that starts now.
    #[must_use]
    pub const fn new(now: Millis) -> Self {
        Self { last_ms: AtomicU64::new(now), steps: AtomicU64::new(0) }
    }

    /// The loop made a step.
    pub fn touch(&self, now: Millis) {
        self.last_ms.fetch_max(now, Ordering::Relaxed);
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Time since the last step.
    #[must_use]
    pub fn idle_ms(&self, now: Millis) -> Millis {
        now.saturating_sub(self.last_ms.load(Ordering::Relaxed))
    }

    /// Steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }
}
