//! What runs around a role besides its threads: L1 tasks, metrics, the web server.

mod follower;
mod second;

pub(crate) use follower::{follower, follower_chain, outputs};

use crate::{
    clock::now_ms,
    config::Config,
    exits::{Exits, follow_exits},
    external::{ExternalError, Leading, Shown},
    info::SequencerInfo,
    metrics::{self, Metrics, QueueGauge, Queues},
    network::Network,
    rpc::{NodeInfo, RpcCounts},
    sequencer::Sequencer,
    settle::{
        Inbox, InboxState, L1Health, L1News, OriginSettings, Origins, Pace, Poster, PosterStats,
        PosterTask, StoreJournal, Turn, Witness, follow_inbox, follow_origins, follow_proven,
        follow_warranties, posting_policy, run_poster,
    },
    web::{Check, Severity, Web, bind, serve_on},
};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::B256;
use eyre::WrapErr;
use parking_lot::{Mutex, RwLock};
use rota_l1::{RpcL1, RpcSender, TxManager};
use second::second_hand;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// What the tasks of a sequencer are made of.
pub(crate) struct SequencerTasks<'a> {
    pub(crate) config: &'a Config,
    pub(crate) network: &'a Network,
    pub(crate) generation: u32,
    pub(crate) poster: Option<PrivateKeySigner>,
    pub(crate) l1: Arc<RpcL1>,
    pub(crate) l1_head: Arc<RwLock<Option<(u64, B256)>>>,
    pub(crate) info: Arc<SequencerInfo>,
    pub(crate) rpc: Arc<RpcCounts>,
}

/// Running tasks.
pub(crate) struct Background {
    stop: CancellationToken,
    /// A client that is led along, if there is one.
    led: Option<JoinHandle<Result<(), ExternalError>>>,
}

impl Background {
    /// Waits for what must not end before the node does.
    pub(crate) async fn done(&mut self) -> eyre::Result<()> {
        match &mut self.led {
            Some(led) => Ok(led.await??),
            None => std::future::pending().await,
        }
    }

    /// Tells them to stop.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}

impl SequencerTasks<'_> {
    pub(crate) async fn start(self, running: &Sequencer) -> eyre::Result<Background> {
        let stop = CancellationToken::new();
        let health = Arc::new(L1Health::default());
        let pace = Pace {
            every: Duration::from_millis(self.config.l1.poll.as_millis()),
            now: Arc::new(now_ms),
            stop: stop.clone(),
        };
        let poster = Arc::new(Mutex::new(PosterStats::default()));
        self.origins(running, &health, &pace);
        self.warranties(running, &pace)?;
        self.proven(running, &pace)?;
        let inbox = self.inbox(running, &health, &pace)?;
        self.poster(running, (&health, &poster), inbox, &pace)?;
        second_hand(running, &stop);
        let leading = self.leading(running)?;
        self.web(running, (&health, &poster), (&leading, &pace)).await?;
        Ok(Background { stop, led: leading.map(|leading| leading.start(pace)) })
    }

    /// Metrics and health.
    #[expect(clippy::disallowed_methods, reason = "two named tasks of the node")]
    async fn web(
        &self,
        running: &Sequencer,
        (health, stats): (&Arc<L1Health>, &Arc<Mutex<PosterStats>>),
        (leading, pace): (&Option<Leading<u64>>, &Pace),
    ) -> eyre::Result<()> {
        let stop = &pace.stop;
        let registry = prometheus::Registry::new();
        let metrics = Arc::new(Metrics::register(&registry)?);
        registry.register(Box::new(Queues::new(gauges(running))?))?;
        let own = self.info.registered().map(|v| v.owner);
        let events = running.view.subscribe();
        tokio::spawn(metrics::collect(events, Arc::clone(&metrics), own, stop.clone()));
        let progress = Arc::clone(&running.facts.progress);
        let web = Web::new(registry, progress, Arc::new(now_ms))
            .with_check(head_check(&self.info, self.network.params.idle_block_ms))
            .with_check(power_check(&self.info))
            .with_check(l1_check(health))
            .with_checks((!self.info.voters.is_empty()).then(|| signing_check(&self.info)))
            .with_pull(pull(&metrics, &self.info, &self.rpc, (health, stats)));
        let web = match leading {
            Some(leading) => leading.show(web, &metrics, pace),
            None => web,
        };
        let addr = self.config.web.addr;
        let listener = bind(addr).await.wrap_err_with(|| format!("web cannot listen on {addr}"))?;
        tokio::spawn(serve_on(listener, web, stop.clone()));
        Ok(())
    }

    /// A client to lead along, if the settings name one.
    fn leading(&self, running: &Sequencer) -> eyre::Result<Option<Leading<u64>>> {
        let Some(client) = follower::external(self.config)? else { return Ok(None) };
        let genesis = self.network.genesis_head()?.hash;
        let chain = Shown::new(Arc::clone(&running.view), running.store.clone(), genesis);
        let changed = running.view.changed();
        Ok(Some(Leading::new(client, self.network.l2_chain_id, Arc::new(chain), changed)))
    }

    /// Follows the inbox contract for the view.
    #[expect(clippy::disallowed_methods, reason = "a named task of the node")]
    fn inbox(
        &self,
        running: &Sequencer,
        health: &Arc<L1Health>,
        pace: &Pace,
    ) -> eyre::Result<watch::Receiver<InboxState>> {
        let sets = Arc::clone(&running.sets);
        let set = move |epoch| sets.get(epoch).map(|epoch| Arc::clone(epoch.set()));
        let domain = self.network.domain_of(self.generation)?;
        let witness = Witness::new(domain, set, running.queues.evidence());
        let inbox = Inbox::open(running.store.clone(), self.network.l1_deploy_block)?;
        let inbox = inbox.with_witness(witness);
        let (state, seen) = watch::channel(inbox.state());
        let view = Arc::clone(&running.view);
        let task =
            follow_inbox(inbox, self.l1.clone(), view, (Arc::clone(health), state), pace.clone());
        tokio::spawn(task);
        Ok(seen)
    }

    /// Posts batches when it is this validator's turn, if it has an account to pay from.
    #[expect(clippy::disallowed_methods, reason = "a named task of the node")]
    fn poster(
        &self,
        running: &Sequencer,
        (health, stats): (&Arc<L1Health>, &Arc<Mutex<PosterStats>>),
        inbox: watch::Receiver<InboxState>,
        pace: &Pace,
    ) -> eyre::Result<()> {
        let Some(signer) = self.poster.clone().filter(|_| self.config.batch.post) else {
            return Ok(());
        };
        let sender = RpcSender::new(self.l1.endpoints(), signer, self.network.l1_chain_id);
        let journal = StoreJournal(running.store.clone());
        let manager = TxManager::open(sender, journal, posting_policy())?;
        let info = Arc::clone(&self.info);
        let poster = Poster::new(manager, running.store.clone(), self.network.inbox, Turn::last(0));
        let poster = poster.with_turns(move || info.turn());
        let poster = poster.with_freezes(self.network.registry);
        let task = PosterTask { inbox, health: Arc::clone(health), stats: Arc::clone(stats) };
        tokio::spawn(run_poster(poster, self.l1.clone(), task, pace.clone()));
        Ok(())
    }

    /// Reads what leaders warrant, for wallets.
    #[expect(clippy::disallowed_methods, reason = "a named task of the node")]
    fn warranties(&self, running: &Sequencer, pace: &Pace) -> eyre::Result<()> {
        let Some(contract) = self.network.warranty else { return Ok(()) };
        let timeout = Duration::from_millis(self.config.l1.timeout.as_millis());
        let endpoints = rota_l1::Endpoints::new(&self.config.l1.rpc, timeout)?;
        let contracts = (self.network.registry, contract);
        let task = follow_warranties(Arc::clone(&running.view), endpoints, contracts, pace.clone());
        tokio::spawn(task);
        Ok(())
    }

    /// Reads what is proven on L1, for whoever waits for it, and keeps what shows withdrawals there.
    #[expect(clippy::disallowed_methods, reason = "a named task of the node")]
    fn proven(&self, running: &Sequencer, pace: &Pace) -> eyre::Result<()> {
        let oracle = outputs(self.config, self.network)?;
        tokio::spawn(follow_proven(Arc::clone(&running.view), oracle, pace.clone()));
        let exits = Exits::new(running.store.clone());
        tokio::spawn(follow_exits(Arc::clone(&running.view), exits, pace.clone()));
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "a named task of the node")]
    fn origins(&self, running: &Sequencer, health: &Arc<L1Health>, pace: &Pace) {
        let settings = OriginSettings {
            start: self.network.l1_deploy_block,
            generation: self.generation,
            backlog: 64,
            gas_limit: self.network.params.gas_limit,
            fee_vault: self.network.params.fee_vault,
        };
        let (send, head) = (running.origin(), Arc::clone(&self.l1_head));
        let task = follow_origins(
            Origins::new(settings, running.store.clone(), Arc::clone(&running.sets)),
            self.l1.clone(),
            Arc::clone(health),
            pace.clone(),
            move |news| {
                if let L1News::Origin(env) = &news
                    && head.read().is_none_or(|(n, _)| n < env.l1_number)
                {
                    *head.write() = Some((env.l1_number, env.l1_hash));
                }
                send(news);
            },
        );
        tokio::spawn(task);
    }
}

fn gauges(running: &Sequencer) -> Vec<QueueGauge> {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let mut out = Vec::new();
    for (at, (name, _, capacity)) in running.queues.gauges().into_iter().enumerate() {
        let queues = running.queues.clone();
        out.push(QueueGauge {
            name,
            depth: Box::new(move || queues.gauges().get(at).map_or(0, |q| count(q.1))),
            capacity: count(capacity),
            dropped: Box::new(|| 0),
        });
    }
    for name in ["p2p_lane_out", "p2p_commands", "p2p_lane_in", "p2p_gossip", "p2p_events"] {
        let (depth, dropped) = (running.p2p.clone(), running.p2p.clone());
        let sum = move |p2p: &rota_p2p::Handle, what: fn(&rota_p2p::Gauge) -> u64| {
            let all = p2p.gauges();
            all.iter().filter(|g| g.name == name).map(what).fold(0, u64::saturating_add)
        };
        let capacity = sum(&depth, |g| u64::try_from(g.capacity).unwrap_or(0));
        out.push(QueueGauge {
            name,
            depth: Box::new(move || sum(&depth, |g| u64::try_from(g.depth).unwrap_or(0))),
            capacity,
            dropped: Box::new(move || sum(&dropped, |g| g.dropped)),
        });
    }
    out
}

/// Reads at each scrape what is not told by events.
fn pull(
    metrics: &Arc<Metrics>,
    info: &Arc<SequencerInfo>,
    rpc: &Arc<RpcCounts>,
    (health, stats): (&Arc<L1Health>, &Arc<Mutex<PosterStats>>),
) -> impl Fn() + Send + Sync + 'static {
    let (metrics, info, rpc) = (Arc::clone(metrics), Arc::clone(info), Arc::clone(rpc));
    let (health, stats) = (Arc::clone(health), Arc::clone(stats));
    move || {
        let (connected, total) = info.power();
        metrics.set_round(info.facts.round.load(Ordering::Relaxed));
        metrics.set_jailed(info.jailed());
        metrics.set_observing(info.facts.observe.read().map(rota_consensus::Observe::name));
        metrics.set_peers(info.peer_count(), connected, total);
        let (ready, gapped) = info.queue();
        metrics.set_mempool(u64::try_from(ready.saturating_add(gapped)).unwrap_or(u64::MAX));
        metrics.set_l1_up(health.is_up());
        metrics.set_poster(&stats.lock());
        for cut in std::mem::take(&mut *info.facts.cuts.lock()) {
            metrics.observe_cut(cut);
        }
        metrics.record_leader_slots(info.facts.led.swap(0, Ordering::Relaxed));
        rpc.take().for_each(|(method, code, calls)| metrics.record_rpc(method, code, calls));
        metrics.pull_process();
    }
}

fn head_check(info: &Arc<SequencerInfo>, idle_block_ms: u64) -> Check {
    let (info, most) = (Arc::clone(info), idle_block_ms.saturating_mul(10));
    Check::new("head", Severity::Critical, move || match info.head_age() {
        Some(age) if info.sync_progress().is_none() => (age < most, format!("{age} ms old")),
        Some(age) => (false, format!("{age} ms old, and others are ahead")),
        None => (false, "no height decided since the start".to_owned()),
    })
    .wants("a decided height within ten idle heights", "rota status shows rounds and peers")
}

fn power_check(info: &Arc<SequencerInfo>) -> Check {
    let info = Arc::clone(info);
    Check::new("peers", Severity::Critical, move || {
        let (connected, total) = info.power();
        let enough = info.sets.now().is_some_and(|epoch| epoch.set().is_quorum(connected));
        (enough, format!("{connected} of {total} gwei"))
    })
    .wants("more than two thirds of the stake connected", "check that the other sequencers run")
}

fn signing_check(info: &Arc<SequencerInfo>) -> Check {
    let info = Arc::clone(info);
    Check::new("signing", Severity::Degraded, move || match *info.facts.observe.read() {
        Some(why) => (false, format!("{}: {why}", why.name())),
        None => (true, "takes part".to_owned()),
    })
    .wants(
        "votes, acks and leads",
        "it is well and follows; docs/operations.md says what each reason means",
    )
}

fn l1_check(health: &Arc<L1Health>) -> Check {
    let health = Arc::clone(health);
    Check::new("l1", Severity::Degraded, move || {
        let up = health.is_up();
        (up, if up { "answers" } else { "does not answer" }.to_owned())
    })
    .wants(
        "an L1 endpoint that answers",
        "ordering goes on; batches wait. Check l1.rpc in rota.toml",
    )
}
