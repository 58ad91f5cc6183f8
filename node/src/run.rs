//! Starts the node and runs it to its end: from the settings to a running role, and an orderly stop.
//!
//! Invariant: the set comes from final L1 state; a node that cannot read it starts only with the set it has
//! seen final before, and says so.

use crate::{
    clock::now_ms,
    config::{Config, Role},
    info::SequencerInfo,
    keys::Keys,
    network::Network,
    rpc::{Backend, RpcServer, serve},
    sequencer::{Sequencer, Setup},
};
use eyre::{WrapErr, bail, eyre};
use parking_lot::RwLock;
use rota_consensus::Keys as ReplicaKeys;
use rota_l1::{At, L1, RpcConfig, RpcL1};
use rota_p2p::{Ctx, Identity, Limits, Multiaddr, PeerEntry, PeerId};
use rota_preconf::{Rules, Schedule};
use rota_store::DataDir;
use rota_types::{Domain, ValidatorSet};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// Version of the protocol between peers.
pub(crate) const PROTOCOL: u16 = 1;
/// How long L1 may take at start when a known set could stand in.
const L1_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks for a set that is not final yet.
const SET_POLL: Duration = Duration::from_secs(1);

/// What a node starts from.
#[derive(Debug)]
pub struct RunArgs {
    /// Validated settings.
    pub config: Config,
    /// The network it belongs to.
    pub network: Network,
    /// Its keys.
    pub keys: Keys,
    /// Its data directory.
    pub datadir: PathBuf,
}

/// Runs until a signal or a fatal error.
///
/// # Errors
/// Why it ended.
pub fn run(args: RunArgs) -> eyre::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("io")
        .enable_all()
        .build()
        .wrap_err("starting the runtime")?;
    let result = runtime.block_on(async {
        match args.config.role {
            Role::Sequencer => Box::pin(run_sequencer(args)).await,
            Role::Follower => crate::roles::follower(args).await,
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

async fn run_sequencer(args: RunArgs) -> eyre::Result<()> {
    let RunArgs { config, network, keys, datadir } = args;
    let dir = DataDir::open(&datadir)?;
    let l1 = reader(&config, &network)?;
    let set = Arc::new(load_set(&l1, &datadir).await?);
    let sequencer = keys.sequencer.ok_or_else(|| eyre!("a sequencer needs its keys"))?;
    let index = set
        .by_vote_key(sequencer.vote.address())
        .filter(|i| set.get(*i).is_some_and(|v| v.seq_key == sequencer.seq.public()))
        .ok_or_else(|| eyre!("the keys in {} are not in the set", datadir.display()))?;
    let rules = Arc::new(rules(&network, network.domain()?, &set));
    let setup = Setup {
        dir,
        voter: sequencer.vote.address(),
        keys: ReplicaKeys::local(index, sequencer.seq, sequencer.vote),
        set: Arc::clone(&set),
        rules: Arc::clone(&rules),
        genesis: network.genesis_head()?,
        p2p: p2p(&config, keys.identity, &set, &rules.domain)?,
        premium_bps: config.preconf.premium_bps,
    };
    let mut running = Box::pin(Sequencer::start(setup)).await?;
    let l1_head = Arc::new(RwLock::new(None));
    let info = Arc::new(SequencerInfo {
        moniker: config.moniker.clone(),
        index,
        set,
        rules,
        facts: Arc::clone(&running.facts),
        p2p: running.p2p.clone(),
        submitter: Arc::clone(&running.submitter),
        l1_head: Arc::clone(&l1_head),
        started_at: running.store.decided_head()?.map_or(0, |h| h.height),
    });
    let rpc = open_rpc(&config, &running, Arc::clone(&info)).await?;
    let tasks = crate::roles::SequencerTasks {
        config: &config,
        network: &network,
        poster: keys.poster,
        l1: Arc::new(l1),
        l1_head,
        info,
        rpc: rpc.counts(),
    };
    let background = tasks.start(&running).await?;
    tracing::info!(
        index,
        chain_id = network.l2_chain_id,
        rpc = %rpc.addr(),
        web = %config.web.addr,
        peer = %running.p2p.peer_id(),
        "sequencer is running"
    );
    let result = until_the_end(&mut running).await;
    running.submitter.close("this node is stopping", 1000);
    background.stop();
    rpc.stop().await;
    running.stop().await;
    result
}

/// Waits for a signal, which is no error, or for a thread that ends, which is one.
async fn until_the_end(running: &mut Sequencer) -> eyre::Result<()> {
    tokio::select! {
        biased;
        name = interrupted() => { tracing::info!(signal = name?, "stopping"); Ok(()) }
        ended = running.ended() => match ended {
            Ok(thread) => Err(eyre!("the {thread} thread ended")),
            Err(error) => Err(error),
        },
    }
}

fn p2p(
    config: &Config,
    identity: Identity,
    set: &ValidatorSet,
    domain: &Domain,
) -> eyre::Result<rota_p2p::Config> {
    Ok(rota_p2p::Config {
        identity,
        ctx: Ctx(domain.ctx().0),
        version: PROTOCOL,
        listen: addresses(&config.p2p.listen)?,
        validators: peers(set)?,
        bootnodes: addresses(&config.p2p.bootnodes)?,
        topics: Vec::new(),
        limits: Limits::default(),
    })
}

/// Waits for SIGTERM or SIGINT and names it.
pub(crate) async fn interrupted() -> eyre::Result<&'static str> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => Ok("SIGTERM"),
        _ = int.recv() => Ok("SIGINT"),
    }
}

async fn open_rpc(
    config: &Config,
    running: &Sequencer,
    info: Arc<SequencerInfo>,
) -> eyre::Result<RpcServer> {
    let backend = Backend {
        view: Arc::clone(&running.view),
        submit: Arc::clone(&running.submit),
        info,
        now: Arc::new(now_ms),
        config: config.rpc_server(),
    };
    let addr = config.rpc.addr;
    serve(addr, backend).await.wrap_err_with(|| format!("JSON-RPC cannot listen on {addr}"))
}

/// Reads L1 by the configured endpoints.
pub(crate) fn reader(config: &Config, network: &Network) -> eyre::Result<RpcL1> {
    Ok(RpcL1::new(RpcConfig {
        urls: config.l1.rpc.clone(),
        blob_sources: config.l1.blob_sources(),
        registry: network.registry,
        inbox: network.inbox,
        timeout: Duration::from_millis(config.l1.timeout.as_millis()),
    })?)
}

/// The rules of epoch 0 over a set.
pub(crate) fn rules(network: &Network, domain: Domain, set: &ValidatorSet) -> Rules {
    let seed = set.hash();
    let schedule = Schedule::new(set, seed, network.params.window_heights);
    Rules::new(set.epoch(), schedule, network.params.clone(), domain)
}

/// The set of epoch 0 from final L1 state, or the one that was seen final before.
pub(crate) async fn load_set(l1: &RpcL1, datadir: &Path) -> eyre::Result<ValidatorSet> {
    let path = datadir.join("set-0.json");
    let seen: Option<ValidatorSet> = match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).wrap_err("set-0.json is damaged")?),
        Err(_) => None,
    };
    let mut said = false;
    loop {
        let asked = tokio::time::timeout(L1_PATIENCE, final_set(l1)).await;
        match asked {
            Ok(Ok(Some(set))) => {
                std::fs::write(&path, serde_json::to_vec_pretty(&set)?)
                    .wrap_err_with(|| format!("writing {}", path.display()))?;
                return Ok(set);
            }
            Ok(Ok(None)) if !said => {
                said = true;
                tracing::info!("waiting for the operator set to be frozen and final on L1");
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => match seen {
                Some(set) => {
                    tracing::warn!(%error, "L1 does not answer: starting with the set seen before");
                    return Ok(set);
                }
                None if !said => {
                    said = true;
                    tracing::warn!(%error, "L1 does not answer; trying on");
                }
                None => {}
            },
            Err(_) => match seen {
                Some(set) => {
                    tracing::warn!("L1 does not answer: starting with the set seen before");
                    return Ok(set);
                }
                None => tracing::warn!("L1 does not answer; trying on"),
            },
        }
        tokio::select! {
            name = interrupted() => bail!("{} while waiting for L1", name?),
            () = tokio::time::sleep(SET_POLL) => {}
        }
    }
}

async fn final_set(l1: &RpcL1) -> Result<Option<ValidatorSet>, rota_l1::L1Error> {
    match l1.block(At::Finalized).await? {
        Some(block) => l1.validator_set(0, block.number).await,
        None => Ok(None),
    }
}

/// Where the members of a set are.
pub(crate) fn peers(set: &ValidatorSet) -> eyre::Result<Vec<PeerEntry>> {
    set.iter()
        .map(|(index, v)| {
            let full: Multiaddr = v
                .peer
                .parse()
                .wrap_err_with(|| format!("validator {index} registered no usable address"))?;
            let (addr, peer) = split_peer(&full)
                .ok_or_else(|| eyre!("validator {index}: {full} names no peer id"))?;
            Ok(PeerEntry { index, peer, addrs: vec![addr] })
        })
        .collect()
}

/// `/…/p2p/<id>` as its address and its id.
fn split_peer(full: &Multiaddr) -> Option<(Multiaddr, PeerId)> {
    let text = full.to_string();
    let (addr, id) = text.rsplit_once("/p2p/")?;
    Some((addr.parse().ok()?, id.parse().ok()?))
}

fn addresses(list: &[String]) -> eyre::Result<Vec<Multiaddr>> {
    list.iter()
        .map(|text| text.parse().wrap_err_with(|| format!("{text} is no multiaddress")))
        .collect()
}
