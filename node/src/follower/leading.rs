//! The follower's side of leading a client along: its task, its gauges, its health.
//!
//! Invariant: the client's task never holds the derivation up; what it needs later is in the ledger.

use super::FollowerChain;
use crate::{
    external::{Chain, Driver, EngineHealth, External, Ledger, Settings, lead},
    metrics::{EngineReading, Metrics},
    outputs::Confirmed,
    settle::Pace,
    web::{Check, Severity, Web},
};
use rota_store::Blocks;
use std::sync::Arc;

/// While the client catches up its head is moved every so many blocks.
const STRIDE: u64 = 64;
/// Blocks that a healthy client may be behind.
const NEAR: u64 = 16;

/// A client that is led along.
pub(super) struct Leading {
    external: External,
    settings: Settings,
    ledger: Arc<Ledger>,
    health: Arc<EngineHealth>,
}

impl Leading {
    pub(super) fn new(external: External, chain: &FollowerChain, store: &Blocks) -> Self {
        let ledger = Arc::new(Ledger::new(store.clone(), &chain.genesis));
        let settings = Settings { chain_id: chain.domain.l2_chain_id, stride: STRIDE };
        Self { external, settings, ledger, health: Arc::default() }
    }

    pub(super) fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger)
    }

    /// What the client has confirmed.
    pub(super) fn confirmed(&self) -> Confirmed {
        Confirmed::new(Arc::clone(&self.health), Arc::clone(&self.ledger))
    }

    /// Adds its health and gauges to the web server.
    pub(super) fn show(&self, web: Web, metrics: &Arc<Metrics>, pace: &Pace) -> Web {
        let (health, ledger) = (Arc::clone(&self.health), Arc::clone(&self.ledger));
        let probe = move || {
            let seen = health.seen();
            let lag = ledger.target().head.number.saturating_sub(seen.head);
            let at = format!("block {}, {lag} behind", seen.head);
            let said = seen.problem.map_or_else(|| at.clone(), |p| format!("{at}: {p}"));
            (seen.up && lag <= NEAR, said)
        };
        let check = Check::new("engine", Severity::Degraded, probe)
            .wants("the execution client at the derived head", "look at its log; docs/follow.md");
        let (health, ledger) = (Arc::clone(&self.health), Arc::clone(&self.ledger));
        let (metrics, now) = (Arc::clone(metrics), pace.now.clone());
        web.with_check(check).with_pull(move || {
            let seen = health.seen();
            metrics.set_engine(EngineReading {
                up: seen.up,
                head: seen.head,
                lag: ledger.target().head.number.saturating_sub(seen.head),
                valid_age_ms: seen.valid_at.map(|at| now().saturating_sub(at)),
            });
        })
    }
}

/// Leads it along in a task of its own: derivation executes for long without a pause. Without a client: for ever.
#[expect(clippy::disallowed_methods, reason = "a named task of the node")]
pub(super) async fn run(leading: Option<Leading>, pace: Pace) -> eyre::Result<()> {
    let Some(Leading { external, settings, ledger, health }) = leading else {
        return std::future::pending().await;
    };
    tokio::spawn(lead(Driver::new(settings), external, ledger, health, pace)).await??;
    Ok(())
}
