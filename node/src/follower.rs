//! The roles `follower` (from L1) and `prover`: everything from L1 alone.
//!
//! Not for: the network of the sequencers, which it does not know. Invariant: what it shows was certified,
//! posted and executed here; a batch that is no good is skipped, with its reason in the log, and changes
//! nothing.

mod derivation;
mod events;
mod execute;
mod info;
mod judge;
mod proving;
#[cfg(test)]
mod tests;

pub use derivation::{Derivation, FollowerChain, Landed, Sink};
pub use judge::{Before, judge};
pub use proving::Proving;

use crate::{
    config::Role,
    external::{External, Leading, Ledger, Target},
    metrics::{self, Metrics},
    outputs::Computed,
    rpc::{Backend, RpcConfig, RpcCounts, Submit, serve},
    settle::{Backoff, L1Health, Pace, Throttle, follow_proven},
    submit::SubmitError,
    view::{View, ViewConfig},
    web::{Check, Progress, Severity, Web, serve_web},
};
use eyre::WrapErr;
use info::{FollowerInfo, Position};
use parking_lot::{Mutex, RwLock};
use rota_derive::DeriveError;
use rota_l1::{L1, L1Error, Outputs};
use rota_store::Blocks;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// A step may wait for several endpoints, one after the other, and then for the longest backoff.
const STEP_MS: u64 = 120_000;

/// What a follower is made of.
#[derive(Debug)]
pub struct FollowerArgs {
    /// What this node says that it is.
    pub role: Role,
    /// The rollup.
    pub chain: FollowerChain,
    /// Its name.
    pub moniker: String,
    /// Its database, in a data directory that this process has.
    pub store: Blocks,
    /// JSON-RPC.
    pub rpc: (SocketAddr, RpcConfig),
    /// Metrics and health.
    pub web: SocketAddr,
    /// How often L1 is asked; ends the role.
    pub pace: Pace,
    /// What a member of the set, or a follower from it, waits for in a fallback; none for a follower from L1.
    pub standby: Option<Standby>,
    /// A client to lead along, if any.
    pub external: Option<External>,
    /// Reads what is proven on L1, if the network has an oracle.
    pub oracle: Option<Outputs>,
    /// Where contradictions that L1 shows are kept.
    pub evidence: PathBuf,
    /// What a prover does besides; none for a follower.
    pub proving: Option<Proving>,
}

/// In words, what a sequencer waits for.
#[derive(Debug, Clone, Default)]
pub struct Standby(Arc<RwLock<String>>);

impl Standby {
    /// Says it here, and once in the log.
    pub fn say(&self, words: String) {
        if *self.0.read() != words {
            tracing::info!("{words}");
            *self.0.write() = words;
        }
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> String {
        self.0.read().clone()
    }
}

/// Runs until told to stop, or until this node must not go on.
///
/// # Errors
/// The data directory is in use, an address cannot be used, or execution failed.
pub async fn run_follower(args: FollowerArgs, l1: Arc<dyn L1>) -> eyre::Result<()> {
    let FollowerArgs { chain, moniker, store, rpc, web, pace, standby, external, .. } = args;
    let (role, oracle, proving) = (args.role, args.oracle, args.proving);
    let ledger = external.as_ref().map(|_| Arc::new(Ledger::new(store.clone(), &chain.genesis)));
    let leading = external.zip(ledger.clone()).map(|(external, ledger)| {
        let changed = ledger.subscribe();
        Leading::new(external, chain.domain.l2_chain_id, ledger, changed)
    });
    let view = Arc::new(empty(&chain));
    let derivation = Derivation::new(chain, view.clone(), store);
    let derivation = derivation.with_ledger(ledger).with_evidence(args.evidence);
    let confirmed = leading.as_ref().map(Leading::confirmed);
    let computed = Computed::new(derivation.completed().clone(), confirmed);
    let info = Arc::new(FollowerInfo {
        moniker,
        view: view.clone(),
        position: Mutex::new(Position::default()),
        computed: computed.clone(),
        role: role.name(),
        standby: standby.clone(),
    });
    let (addr, config) = rpc;
    let backend = backend((&view, &info), standby.clone(), config, &pace);
    let server = serve(addr, backend).await.wrap_err_with(|| format!("listening on {addr}"))?;
    let (health, progress) = (Arc::new(L1Health::default()), Arc::new(Progress::new(pace.now())));
    let registry = prometheus::Registry::new();
    let metrics = Arc::new(Metrics::register(&registry)?);
    let seen = proving::State::default();
    let status = Web::new(registry, progress.clone(), pace.now.clone())
        .with_stuck_after(STEP_MS)
        .with_check(l1_check(&health))
        .with_check(sync_check(&info))
        .with_checks(standby.map(signing_check))
        .with_pull(pull(&metrics, &health, server.counts()));
    let status = if proving.is_some() { proving::show(&seen, status, &metrics) } else { status };
    let status = match &leading {
        Some(leading) => leading.show(status, &metrics, &pace),
        None => status,
    };
    let follow = follow(derivation, l1, (health, progress), info, pace.clone());
    let proves = proving::run(proving, computed, (seen, metrics.clone()), pace.clone());
    let collect = metrics::collect(view.subscribe(), metrics, None, pace.stop.clone());
    let proven = follow_proven(view, oracle, pace.clone());
    let served = serve_web(web, status, pace.stop.clone());
    let led = led(leading, pace.clone());
    tracing::info!(rpc = %server.addr(), %web, "following L1");
    let done = tokio::select! {
        done = Box::pin(follow) => done,
        done = served => done.wrap_err_with(|| format!("serving {web}")),
        done = led => done,
        done = proves => done,
        () = collect => Ok(()),
        () = proven => Ok(()),
    };
    pace.stop.cancel();
    server.stop().await;
    done
}

/// Leads the client along. Without a client: for ever.
async fn led(leading: Option<Leading<Target>>, pace: Pace) -> eyre::Result<()> {
    match leading {
        Some(leading) => Ok(leading.start(pace).await??),
        None => std::future::pending().await,
    }
}

fn empty(chain: &FollowerChain) -> View {
    let config = ViewConfig {
        chain_id: chain.domain.l2_chain_id,
        domain: chain.domain.clone(),
        ..ViewConfig::default()
    };
    View::new(config, &chain.genesis)
}

fn backend(
    (view, info): (&Arc<View>, &Arc<FollowerInfo>),
    standby: Option<Standby>,
    config: RpcConfig,
    pace: &Pace,
) -> Backend {
    Backend {
        view: view.clone(),
        submit: refuse(standby),
        info: info.clone(),
        set_proofs: None,
        now: pace.now.clone(),
        config,
    }
}

/// Reads at each scrape what is not told by events.
fn pull(metrics: &Arc<Metrics>, health: &Arc<L1Health>, rpc: Arc<RpcCounts>) -> impl Fn() + use<> {
    let (metrics, health) = (metrics.clone(), health.clone());
    move || {
        rpc.take().for_each(|(method, code, n)| metrics.record_rpc(method, code, n));
        metrics.set_l1_up(health.is_up());
        metrics.pull_process();
    }
}

/// A follower is not connected to the sequencers.
fn refuse(standby: Option<Standby>) -> Submit {
    Arc::new(move |_| {
        let follows = || "this node follows L1 only; send to a sequencer".to_owned();
        let reason = standby.as_ref().map_or_else(follows, Standby::words);
        Err(SubmitError::NotAccepting { reason, retry_after_ms: 0 })
    })
}

async fn follow(
    mut derivation: Derivation,
    l1: Arc<dyn L1>,
    (health, progress): (Arc<L1Health>, Arc<Progress>),
    info: Arc<FollowerInfo>,
    pace: Pace,
) -> eyre::Result<()> {
    let (mut throttle, mut backoff) = (Throttle::default(), Backoff::default());
    loop {
        let now = pace.now();
        progress.touch(now);
        let Some(done) = pace.step(derivation.step(&*l1, now)).await else { return Ok(()) };
        *info.position.lock() = position(&derivation);
        let wait = match done {
            Ok(true) => Duration::ZERO,
            Ok(false) => {
                health.ok();
                throttle.reset();
                backoff.ok(pace.every)
            }
            Err(why) => {
                if let Some(why) = why.downcast_ref::<L1Error>() {
                    health.failed(why);
                } else if !why.is::<DeriveError>() {
                    return Err(why.wrap_err("deriving"));
                }
                if throttle.due(pace.now()) {
                    tracing::warn!(%why, "cannot read on from L1; trying again");
                }
                backoff.failed(pace.every)
            }
        };
        if !pace.wait(wait).await {
            return Ok(());
        }
    }
}

fn position(derivation: &Derivation) -> Position {
    Position {
        l1_head: derivation.l1_head().map(|b| (b.number, b.hash)),
        height: derivation.height(),
        block: derivation.head().header.number,
        caught_up: derivation.is_caught_up(),
        skipped: derivation.skipped(),
    }
}

fn l1_check(health: &Arc<L1Health>) -> Check {
    let health = health.clone();
    Check::new("l1", Severity::Critical, move || {
        let value = if health.is_up() { "up" } else { "down" };
        (health.is_up(), value.to_owned())
    })
    .wants("up", "check [l1].rpc and [l1].beacon")
}

fn signing_check(standby: Standby) -> Check {
    Check::new("signing", Severity::Degraded, move || (false, standby.words()))
        .wants("a set that goes on", "rota l1 fallback show says what comes next")
}

fn sync_check(info: &Arc<FollowerInfo>) -> Check {
    let info = info.clone();
    Check::new("synced", Severity::Critical, move || {
        let p = *info.position.lock();
        (p.caught_up, format!("block {}, {} batches skipped", p.block, p.skipped))
    })
    .wants("everything on L1 derived", "wait; the log tells the progress")
}
