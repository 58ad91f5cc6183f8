//! How often L1 is asked, how long after a failure, and how often a failure is told.

use crate::submit::NowMs;
use rota_l1::L1Error;
use rota_types::Millis;
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// A repeated complaint is logged once in this time.
const SAY_EVERY_MS: u64 = 60_000;
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// The rhythm of a task.
#[derive(Clone)]
pub struct Pace {
    /// Time between two looks at L1.
    pub every: Duration,
    /// The clock.
    pub now: NowMs,
    /// Ends the task.
    pub stop: CancellationToken,
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace").field("every", &self.every).finish_non_exhaustive()
    }
}

impl Pace {
    /// The time.
    #[must_use]
    pub fn now(&self) -> Millis {
        (self.now)()
    }

    /// Waits. False: the node stops.
    pub async fn wait(&self, time: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(time) => true,
        }
    }

    /// Runs one step. None: the node stops, and the step is abandoned.
    pub async fn step<T>(&self, step: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            done = step => Some(done),
        }
    }
}

/// Whether L1 answers. Shared by the tasks, read by the health checks.
#[derive(Debug, Default)]
pub struct L1Health {
    down: AtomicBool,
    failures: AtomicU64,
}

impl L1Health {
    /// The last question was answered, or none was asked yet.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.down.load(Ordering::Relaxed)
    }

    /// Questions that failed since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// A question was answered.
    pub fn ok(&self) {
        if self.down.swap(false, Ordering::Relaxed) {
            tracing::info!("L1 answers again");
        }
    }

    /// A question failed. Only what an endpoint is at fault for counts: not a block that moved, nor a contract that
    /// says no.
    pub fn failed(&self, why: &L1Error) {
        use L1Error as E;
        if !matches!(why, E::Unavailable(_) | E::Nonsense { .. } | E::Blobs { .. }) {
            return;
        }
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.down.store(true, Ordering::Relaxed);
    }
}

/// Lets a complaint through once a minute.
#[derive(Debug, Default)]
pub struct Throttle {
    last: Option<Millis>,
}

impl Throttle {
    /// Whether to speak now.
    pub fn due(&mut self, now: Millis) -> bool {
        let due = self.last.is_none_or(|last| now.saturating_sub(last) >= SAY_EVERY_MS);
        if due {
            self.last = Some(now);
        }
        due
    }

    /// The matter is settled: the next complaint is a new one.
    pub fn reset(&mut self) {
        self.last = None;
    }
}

/// Longer waits after each failure in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after a success.
    pub fn ok(&mut self, every: Duration) -> Duration {
        self.failures = 0;
        every
    }

    /// The wait after a failure: doubled each time, at most 30 s or the usual wait.
    pub fn failed(&mut self, every: Duration) -> Duration {
        let wait = every.saturating_mul(1 << self.failures.min(8));
        self.failures = self.failures.saturating_add(1);
        wait.min(MAX_BACKOFF.max(every))
    }
}

/// Notes a failed step in the three usual places; gives the wait until the next.
pub(super) fn complain(
    task: &'static str,
    why: &L1Error,
    pace: &Pace,
    state: (&L1Health, &mut Throttle, &mut Backoff),
) -> Duration {
    let (health, throttle, backoff) = state;
    health.failed(why);
    if !health.is_up() && throttle.due(pace.now()) {
        tracing::warn!(%why, task, "L1 cannot be read; ordering goes on, trying again");
    }
    backoff.failed(pace.every)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_longer_and_complain_once_a_minute() {
        let (mut backoff, mut throttle) = (Backoff::default(), Throttle::default());
        let every = Duration::from_secs(2);
        let waits: Vec<u64> = (0..7).map(|_| backoff.failed(every).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(backoff.ok(every), every);
        assert_eq!(backoff.failed(every), every);
        let said: Vec<u64> = (0..200_000).step_by(5_000).filter(|now| throttle.due(*now)).collect();
        assert_eq!(said, [0, 60_000, 120_000, 180_000]);
    }

    #[test]
    fn only_an_endpoint_that_fails_makes_l1_unhealthy() {
        let health = L1Health::default();
        health.failed(&L1Error::NoBlock(7));
        health.failed(&L1Error::Reverted("no".into()));
        assert!(health.is_up());
        health.failed(&L1Error::Unavailable("x".into()));
        assert!(!health.is_up());
        health.ok();
        assert!(health.is_up());
        assert_eq!(health.failures(), 1);
    }
}
