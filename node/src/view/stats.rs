//! How fast stages were reached lately, and what became of promises.

use super::FrameRecord;
use std::collections::VecDeque;

/// Samples kept per stage.
const SAMPLES: usize = 4096;

/// Milliseconds from `received`, over the newest samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Percentiles {
    /// Half are faster.
    pub p50: u64,
    /// Nine in ten are faster.
    pub p90: u64,
    /// Ninety-nine in a hundred are faster.
    pub p99: u64,
}

/// Promises counted by transaction since the start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Promises {
    /// Preconfirmed.
    pub given: u64,
    /// Decided.
    pub kept: u64,
    /// Retracted without fault.
    pub lost: u64,
    /// Contradicted by a second signature.
    pub broken: u64,
}

/// A reading of all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Received to preconfirmed.
    pub preconfirmed: Percentiles,
    /// Preconfirmed to acked.
    pub acked: Percentiles,
    /// Preconfirmed to decided.
    pub decided: Percentiles,
    /// Mean time between the newest frames, ms.
    pub frame_interval_ms: u64,
    /// When the newest frame came, ms.
    pub last_frame_ms: u64,
    /// What became of promises.
    pub promises: Promises,
}

#[derive(Debug, Default, Clone)]
struct Ring(VecDeque<u64>);

impl Ring {
    fn push(&mut self, ms: u64) {
        if self.0.len() >= SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back(ms);
    }

    fn percentiles(&self) -> Percentiles {
        let mut sorted: Vec<u64> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let index = sorted.len().saturating_mul(percent) / 100;
            sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Percentiles { p50: at(50), p90: at(90), p99: at(99) }
    }
}

#[derive(Debug, Default, Clone)]
pub(super) struct Recorder {
    preconfirmed: Ring,
    acked: Ring,
    decided: Ring,
    frames: Ring,
    pub(super) promises: Promises,
}

impl Recorder {
    pub(super) fn given(&mut self, frame: &FrameRecord) {
        let count = u64::try_from(frame.included().count()).unwrap_or(u64::MAX);
        self.promises.given = self.promises.given.saturating_add(count);
        self.frames.push(frame.at_ms);
    }

    pub(super) fn preconfirmed(&mut self, ms: u64) {
        self.preconfirmed.push(ms);
    }

    pub(super) fn acked(&mut self, ms: u64) {
        self.acked.push(ms);
    }

    pub(super) fn kept(&mut self, frame: &FrameRecord, now_ms: u64) {
        let count = u64::try_from(frame.included().count()).unwrap_or(u64::MAX);
        self.promises.kept = self.promises.kept.saturating_add(count);
        self.decided.push(now_ms.saturating_sub(frame.at_ms));
    }

    pub(super) fn lost(&mut self, txs: usize, broken: bool) {
        let count = u64::try_from(txs).unwrap_or(u64::MAX);
        let counter = if broken { &mut self.promises.broken } else { &mut self.promises.lost };
        *counter = counter.saturating_add(count);
    }

    pub(super) fn read(&self) -> Stats {
        let (first, last) = (self.frames.0.front(), self.frames.0.back());
        let span = last.zip(first).map_or(0, |(l, f)| l.saturating_sub(*f));
        let steps = u64::try_from(self.frames.0.len().saturating_sub(1)).unwrap_or(0);
        Stats {
            preconfirmed: self.preconfirmed.percentiles(),
            acked: self.acked.percentiles(),
            decided: self.decided.percentiles(),
            frame_interval_ms: span.checked_div(steps).unwrap_or(0),
            last_frame_ms: last.copied().unwrap_or(0),
            promises: self.promises,
        }
    }
}
