//! The execution client that a follower leads along.

use super::{Metrics, gauge, signed};
use prometheus::{Gauge, IntGauge, Registry};
use rota_types::Millis;

/// What is read of it at a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineReading {
    /// Whether its last answer was one that counts.
    pub up: bool,
    /// Number of the head that it confirmed.
    pub head: u64,
    /// Derived blocks above it.
    pub lag: u64,
    /// Since it last said VALID; none if it never did.
    pub valid_age_ms: Option<Millis>,
}

#[derive(Debug)]
pub(super) struct EngineGauges {
    up: IntGauge,
    head: IntGauge,
    lag: IntGauge,
    valid_age: Gauge,
}

impl EngineGauges {
    pub(super) fn register(r: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            up: gauge(r, "rota_engine_up", "1 if the execution client follows.")?,
            head: gauge(r, "rota_engine_head_block", "Head of the execution client.")?,
            lag: gauge(r, "rota_engine_lag_blocks", "Derived blocks that it does not have.")?,
            valid_age: super::float(
                r,
                "rota_engine_valid_age_seconds",
                "Since it last called something valid; -1 if it never did.",
            )?,
        })
    }
}

impl Metrics {
    /// How far the execution client is.
    pub fn set_engine(&self, reading: EngineReading) {
        self.engine.up.set(reading.up.into());
        self.engine.head.set(signed(reading.head));
        self.engine.lag.set(signed(reading.lag));
        let seconds = |ms| std::time::Duration::from_millis(ms).as_secs_f64();
        self.engine.valid_age.set(reading.valid_age_ms.map_or(-1.0, seconds));
    }
}
