//! How well promises are kept.
//!
//! Not for: a single transaction (`preconf`). Invariant: what is shown is at most a second old.

use super::Context;
use crate::view::{Percentiles, Promises, Stats};
use serde::Serialize;

/// A frame older than this means that preconfirmations have stopped, ms.
const STALL_MS: u64 = 3_000;
/// Latencies are counted anew after this, ms.
const STATS_MS: u64 = 1_000;

/// `preconf_getStats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreconfStats {
    /// `preconf`, `blocks-only` (frames have stopped, blocks go on) or `stalled`.
    pub mode: &'static str,
    /// Mean time between frames, ms.
    pub frame_interval_ms: u64,
    /// Age of the newest frame, ms.
    pub last_frame_age_ms: Option<u64>,
    /// `preconfirmed` since received; `acked` and `decided` since preconfirmed.
    pub latency_ms: LatencyJson,
    /// Counted by transaction since the start of this node.
    pub promises: Promises,
    /// Sum of the stakes of the set, wei.
    pub bonded_stake: String,
}

/// Latencies by stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LatencyJson {
    /// Received to preconfirmed.
    pub preconfirmed: Percentiles,
    /// Preconfirmed to acked.
    pub acked: Percentiles,
    /// Preconfirmed to decided.
    pub decided: Percentiles,
}

impl Context {
    /// At most a second old.
    pub(super) fn recent_stats(&self) -> Stats {
        let now = (self.now)();
        let mut cached = self.stats.lock();
        match *cached {
            Some((at, stats)) if now.saturating_sub(at) < STATS_MS => stats,
            _ => {
                let stats = self.view.stats();
                *cached = Some((now, stats));
                stats
            }
        }
    }

    pub(super) fn promise_stats(&self) -> PreconfStats {
        let stats = self.recent_stats();
        let now = (self.now)();
        let age = (stats.last_frame_ms > 0).then(|| now.saturating_sub(stats.last_frame_ms));
        let head_age =
            now.saturating_sub(self.view.heads().latest.timestamp_s.saturating_mul(1_000));
        let mode = match age {
            Some(age) if age <= STALL_MS => "preconf",
            _ if head_age <= STALL_MS.saturating_mul(2) => "blocks-only",
            _ => "stalled",
        };
        PreconfStats {
            mode,
            frame_interval_ms: stats.frame_interval_ms,
            last_frame_age_ms: age,
            latency_ms: LatencyJson {
                preconfirmed: stats.preconfirmed,
                acked: stats.acked,
                decided: stats.decided,
            },
            promises: stats.promises,
            bonded_stake: self.info.bonded_stake(),
        }
    }
}
