//! What is known of the client, for metrics and health.

use alloy_primitives::B256;
use parking_lot::Mutex;
use rota_types::Millis;

/// What is known of the client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineSeen {
    /// Whether its last answer was one that counts.
    pub up: bool,
    /// Its head as it confirmed it.
    pub head: u64,
    /// The hash of it.
    pub hash: B256,
    /// When it last said VALID.
    pub valid_at: Option<Millis>,
    /// Blocks that it called valid.
    pub fed: u64,
    /// Why it does not follow, if so.
    pub problem: Option<String>,
}

/// Written by the driver's task, read by metrics and checks.
#[derive(Debug, Default)]
pub struct EngineHealth(Mutex<EngineSeen>);

impl EngineHealth {
    pub(super) fn note(&self, seen: &EngineSeen) {
        self.0.lock().clone_from(seen);
    }

    /// As of now.
    #[must_use]
    pub fn seen(&self) -> EngineSeen {
        self.0.lock().clone()
    }
}
