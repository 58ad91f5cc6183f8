//! What a prover does on L1.

use super::{Metrics, counter_vec, float, gauge, signed};
use alloy_primitives::U256;
use prometheus::{Gauge, IntCounterVec, IntGauge, Registry};

/// What is counted.
const ACTIONS: [&str; 6] = ["contradict", "claim", "bond", "checkpoint", "settle", "collect"];

/// What is read of it at a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProverReading {
    /// Whether it looks at L1 and can pay.
    pub up: bool,
    /// The newest block that is proven.
    pub proven_block: u64,
    /// Checkpoints whose step is not final.
    pub waiting_steps: u64,
    /// The next step is in dispute.
    pub disputed: bool,
    /// What its account has, wei.
    pub balance: U256,
}

#[derive(Debug)]
pub(super) struct ProverGauges {
    up: IntGauge,
    proven: IntGauge,
    waiting: IntGauge,
    disputed: IntGauge,
    balance: Gauge,
    sent: IntCounterVec,
}

impl ProverGauges {
    pub(super) fn register(r: &Registry) -> prometheus::Result<Self> {
        let sent =
            counter_vec(r, "rota_prover_sent_total", "Transactions of the prover.", &["action"])?;
        ACTIONS.iter().for_each(|v| sent.with_label_values(&[v]).reset());
        Ok(Self {
            up: gauge(r, "rota_prover_up", "1 if the prover looks at L1 and can pay a bond.")?,
            proven: gauge(r, "rota_prover_proven_block", "Newest block that is proven on L1.")?,
            waiting: gauge(r, "rota_prover_waiting_steps", "Checkpoints that are not final yet.")?,
            disputed: gauge(r, "rota_prover_disputed", "1 if the next step is in dispute.")?,
            balance: float(r, "rota_prover_balance_ether", "Of the prover's account.")?,
            sent,
        })
    }
}

impl Metrics {
    /// How the prover is.
    pub fn set_prover(&self, reading: ProverReading) {
        self.prover.up.set(reading.up.into());
        self.prover.proven.set(signed(reading.proven_block));
        self.prover.waiting.set(signed(reading.waiting_steps));
        self.prover.disputed.set(reading.disputed.into());
        self.prover.balance.set(super::ether(reading.balance));
    }

    /// A transaction of the prover was mined.
    pub fn record_prover(&self, action: &str) {
        self.prover.sent.with_label_values(&[action]).inc();
    }
}
