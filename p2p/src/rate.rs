//! How much one peer may use: messages per second and places at the same time.
//!
//! Not for: waiting; it only says how long. Invariant: over any span of `t` seconds no more than
//! `burst + t * per_second` messages pass.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A peer above its rate is scored once in this many milliseconds.
const SCORE_EVERY_MS: u64 = 1_000;

/// A token bucket. Sans-IO: the caller brings the time in milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Rate {
    per_second: u64,
    /// Thousandths of a message.
    full: u64,
    tokens: u64,
    at_ms: u64,
    scored_ms: Option<u64>,
}

/// A message above the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooFast {
    /// When to ask again.
    pub(crate) wait_ms: u64,
    /// Whether the peer is to be scored for it.
    pub(crate) score: bool,
}

impl Rate {
    /// A full bucket.
    pub(crate) const fn new(now_ms: u64, per_second: u64, burst: u64) -> Self {
        let full = if burst == 0 { 1_000 } else { burst.saturating_mul(1_000) };
        Self { per_second, full, tokens: full, at_ms: now_ms, scored_ms: None }
    }

    /// Lets one message pass, or says when to ask again.
    pub(crate) fn pass(&mut self, now_ms: u64) -> Result<(), TooFast> {
        let gained = now_ms.saturating_sub(self.at_ms).saturating_mul(self.per_second);
        self.at_ms = self.at_ms.max(now_ms);
        self.tokens = self.tokens.saturating_add(gained).min(self.full);
        if let Some(rest) = self.tokens.checked_sub(1_000) {
            self.tokens = rest;
            return Ok(());
        }
        let missing = 1_000_u64.saturating_sub(self.tokens);
        let wait_ms = missing.div_ceil(self.per_second.max(1));
        let score = self.scored_ms.is_none_or(|at| now_ms >= at.saturating_add(SCORE_EVERY_MS));
        if score {
            self.scored_ms = Some(now_ms);
        }
        Err(TooFast { wait_ms, score })
    }
}

/// One of a bounded number of places, free again when dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Place {
    /// A place, unless `bound` are taken.
    pub(crate) fn take(counter: &Arc<AtomicUsize>, bound: usize) -> Option<Self> {
        let next = |taken: usize| taken.checked_add(1).filter(|taken| *taken <= bound);
        counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).ok()?;
        Some(Self(Arc::clone(counter)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let mut rate = Rate::new(0, 10, 5);
        let passed = (0..5_000_u64).filter(|ms| rate.pass(*ms).is_ok()).count();
        assert!((54..=55).contains(&passed), "{passed}");
    }

    #[test]
    fn the_wait_is_exact_and_time_going_back_gives_nothing() {
        let mut rate = Rate::new(1_000, 10, 1);
        assert!(rate.pass(1_000).is_ok());
        let Err(TooFast { wait_ms, .. }) = rate.pass(1_000) else { unreachable!("it is empty") };
        assert_eq!(wait_ms, 100);
        assert!(rate.pass(900).is_err());
        assert!(rate.pass(1_099).is_err());
        assert!(rate.pass(1_100).is_ok());
    }

    #[test]
    fn a_flood_is_scored_once_per_second() {
        let mut rate = Rate::new(0, 1, 1);
        let scored = (0..3_000_u64)
            .filter(|ms| matches!(rate.pass(*ms), Err(TooFast { score: true, .. })))
            .count();
        assert_eq!(scored, 3);
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        let counter = Arc::default();
        let first = Place::take(&counter, 2);
        let second = Place::take(&counter, 2);
        assert!(first.is_some() && second.is_some() && Place::take(&counter, 2).is_none());
        drop(first);
        assert!(Place::take(&counter, 2).is_some());
    }
}
