//! The node's side of leading a client along: its task, its gauges, its health.
//!
//! Invariant: the client's task never holds the node up; what it needs later is on disk.

use super::{Chain, Driver, EngineHealth, External, ExternalError, Settings, lead};
use crate::{
    metrics::{EngineReading, Metrics},
    outputs::Confirmed,
    settle::Pace,
    web::{Check, Severity, Web},
};
use std::sync::Arc;
use tokio::{sync::watch, task::JoinHandle};

/// While the client catches up its head is moved every so many blocks.
const STRIDE: u64 = 64;
/// Blocks that a healthy client may be behind.
const NEAR: u64 = 16;

/// A client that is led along.
pub struct Leading<T> {
    external: External,
    settings: Settings,
    chain: Arc<dyn Chain>,
    changed: watch::Receiver<T>,
    health: Arc<EngineHealth>,
}

impl<T> std::fmt::Debug for Leading<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leading").field("external", &self.external).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Leading<T> {
    /// Along this chain, which says by `changed` that it has grown.
    #[must_use]
    pub fn new(
        external: External,
        chain_id: u64,
        chain: Arc<dyn Chain>,
        changed: watch::Receiver<T>,
    ) -> Self {
        let settings = Settings { chain_id, stride: STRIDE };
        Self { external, settings, chain, changed, health: Arc::default() }
    }

    /// What the client has confirmed.
    #[must_use]
    pub fn confirmed(&self) -> Confirmed {
        Confirmed::new(Arc::clone(&self.health), Arc::clone(&self.chain))
    }

    /// Starts its task: derivation executes for long without a pause, so it has one of its own.
    #[expect(clippy::disallowed_methods, reason = "a named task of the node")]
    #[must_use]
    pub fn start(self, pace: Pace) -> JoinHandle<Result<(), ExternalError>> {
        let Self { external, settings, chain, changed, health } = self;
        tokio::spawn(lead(Driver::new(settings), external, (chain, changed), health, pace))
    }

    /// Adds its health and gauges to the web server.
    #[must_use]
    pub fn show(&self, web: Web, metrics: &Arc<Metrics>, pace: &Pace) -> Web {
        let (health, chain) = (Arc::clone(&self.health), Arc::clone(&self.chain));
        let probe = move || {
            let seen = health.seen();
            let lag = chain.target().head.number.saturating_sub(seen.head);
            let at = format!("block {}, {lag} behind", seen.head);
            let said = seen.problem.map_or_else(|| at.clone(), |p| format!("{at}: {p}"));
            (seen.up && lag <= NEAR, said)
        };
        let check = Check::new("engine", Severity::Degraded, probe)
            .wants("the execution client at the head", "look at its log; docs/follow.md");
        let (health, chain) = (Arc::clone(&self.health), Arc::clone(&self.chain));
        let (metrics, now) = (Arc::clone(metrics), pace.now.clone());
        web.with_check(check).with_pull(move || {
            let seen = health.seen();
            metrics.set_engine(EngineReading {
                up: seen.up,
                head: seen.head,
                lag: chain.target().head.number.saturating_sub(seen.head),
                valid_age_ms: seen.valid_at.map(|at| now().saturating_sub(at)),
            });
        })
    }
}
