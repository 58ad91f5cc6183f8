//! Starts the node and runs it to its end: from the settings to a running role, and an orderly stop.
//!
//! Invariant: the set comes from final L1 state; a node that cannot read it starts only with the set it has
//! seen final before, and says so.

use crate::{
    clock::now_ms,
    config::{Config, Role, SignerKind, Source},
    generation::{Enter, enter},
    info::SequencerInfo,
    keys::{Keys, SequencerKeys},
    light::SetProver,
    network::Network,
    roles::Background,
    rpc::{Backend, RpcServer, serve},
    sequencer::{Sequencer, Setup},
    sets::Sets,
    settle::learn_sets,
    signer::{Identity as LinkIdentity, Remote, RemoteSigner},
    slash::{self, SentryError, stranger},
};
use alloy::signers::local::PrivateKeySigner;
use eyre::{WrapErr, bail, eyre};
use parking_lot::RwLock;
use rota_l1::{At, L1, RpcConfig, RpcL1};
use rota_p2p::{Ctx, Identity, Limits, Multiaddr, Topic};
use rota_preconf::Rules;
use rota_store::{DataDir, Watermarks};
use rota_types::{Address, B256, Domain, LocalSigner, Signer};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// Version of the protocol between peers.
pub(crate) const PROTOCOL: u16 = 1;
/// How long L1 may take at start when a known set could stand in.
pub(crate) const L1_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks for a set that is not final yet.
const SET_POLL: Duration = Duration::from_secs(1);

/// What a role signs with.
#[derive(Debug)]
pub enum RoleKeys {
    /// Nothing.
    None,
    /// What sequencers have.
    Sequencer(Box<Keys>),
    /// The account that pays a prover's bonds and gas.
    Prover(PrivateKeySigner),
}

/// What a node starts from.
#[derive(Debug)]
pub struct RunArgs {
    /// Validated settings.
    pub config: Config,
    /// The network it belongs to.
    pub network: Network,
    /// Its keys, which are those of its role.
    pub keys: RoleKeys,
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
        match (args.config.role, args.config.source) {
            (Role::Sequencer, _) | (Role::Follower, Source::Set) => {
                let mut signers = Vec::new();
                match Box::pin(run_member(args, &mut signers)).await {
                    Ok(()) => Ok(()),
                    Err(why) => Err(convicted(signers, why).await),
                }
            }
            (Role::Follower | Role::Prover, _) => Box::pin(crate::roles::follower(args)).await,
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

/// A sequencer, or without keys one who watches the set: the same parts, and nothing is signed. Leaves the signers that it
/// asked in `signers`.
async fn run_member(args: RunArgs, signers: &mut Vec<Arc<dyn Signer>>) -> eyre::Result<()> {
    let RunArgs { config, network, keys, datadir } = args;
    let keys = own(keys)?;
    let dir = DataDir::open(&datadir)?;
    let l1 = Arc::new(reader(&config, &network)?);
    let window = network.params.window_heights;
    let sets = Arc::new(Sets::open(&datadir, window, keys.identity.peer_id())?);
    load_sets(&l1, &sets).await?;
    let of = Enter { config: &config, network: &network, l1: Arc::clone(&l1), sets: &sets };
    let Some(place) = Box::pin(enter(&of, dir)).await? else { return Ok(()) };
    let generation = place.dir.generation();
    let domain = network.domain_of(generation)?;
    let (pairs, marks) = hot(&config, (keys.sequencer, keys.next), domain.ctx()).await?;
    let voters = pairs.iter().map(|pair| pair.vote_key()).collect();
    let rules = Rules::new(sets.book(), network.params.clone(), domain);
    let setup = Setup {
        dir: place.dir,
        store: place.store,
        identity: rota_consensus::Identity { me: sets.me(), pairs },
        marks,
        genesis: network.genesis_head()?,
        p2p: p2p(&config, keys.identity, &sets, &rules.domain)?,
        premium_bps: config.preconf.premium_bps,
        sets: Arc::clone(&sets),
        rules,
    };
    signers.clone_from(&setup.identity.pairs);
    let mut running = Box::pin(Sequencer::start(setup)).await?;
    let l1_head = Arc::new(RwLock::new(None));
    let info = Arc::new(facts(config.moniker.clone(), voters, &running, Arc::clone(&l1_head))?);
    let rpc = open_rpc(&config, &running, (Arc::clone(&info), Arc::clone(&l1))).await?;
    let tasks = crate::roles::SequencerTasks {
        config: &config,
        network: &network,
        generation,
        poster: keys.poster,
        l1,
        l1_head,
        info,
        rpc: rpc.counts(),
    };
    say_where(&tasks.info);
    let mut background = tasks.start(&running).await?;
    tracing::info!(
        chain_id = network.l2_chain_id,
        generation,
        rpc = %rpc.addr(),
        web = %config.web.addr,
        peer = %running.p2p.peer_id(),
        "{} is running",
        config.role.name()
    );
    let result = until_the_end(&mut running, &mut background).await;
    running.submitter.close("this node is stopping", 1000);
    background.stop();
    rpc.stop().await;
    running.stop().await;
    result
}

/// If the node ends because a key of it is in evidence, a signer elsewhere is shown that: it serves nobody any more.
async fn convicted(signers: Vec<Arc<dyn Signer>>, why: eyre::Report) -> eyre::Report {
    let own = why.chain().find_map(|cause| cause.downcast_ref::<SentryError>());
    let Some(SentryError::Own { file, .. }) = own else { return why };
    let file = file.clone();
    let told = tokio::task::spawn_blocking(move || -> eyre::Result<()> {
        let evidence = slash::read(&file)?;
        let ((_, verdict), set) = (evidence.verify()?, evidence.set.set());
        let guilty = |key: Address| {
            let mut accused = verdict.accused.iter().filter_map(|i| set.get(*i));
            accused.any(|v| v.vote_key == key)
        };
        // Of an operator that changes keys only one pair is in it.
        let mut own = signers.iter().filter(|s| guilty(s.vote_key()));
        own.try_for_each(|signer| Ok(signer.convict(&evidence)?))
    });
    match told.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the signer was not told: stop it by hand"),
        Err(error) => tracing::error!(%error, "the signer was not told: stop it by hand"),
    }
    why
}

/// The keys of a sequencer; of one who watches, an identity that nobody has to know again.
fn own(keys: RoleKeys) -> eyre::Result<Keys> {
    if let RoleKeys::Sequencer(keys) = keys {
        return Ok(*keys);
    }
    Ok(Keys { sequencer: None, next: None, identity: stranger()?, poster: None })
}

/// What a running sequencer tells about itself.
fn facts(
    moniker: String,
    voters: Vec<Address>,
    running: &Sequencer,
    l1_head: Arc<RwLock<Option<(u64, B256)>>>,
) -> eyre::Result<SequencerInfo> {
    Ok(SequencerInfo {
        moniker,
        voters,
        sets: Arc::clone(&running.sets),
        facts: Arc::clone(&running.facts),
        p2p: running.p2p.clone(),
        submitter: Arc::clone(&running.submitter),
        l1_head,
        started_at: running.store.decided_head()?.map_or(0, |h| h.height),
    })
}

/// The pairs of keys of this process, or the places at a signer elsewhere with what each pair has signed.
async fn hot(
    config: &Config,
    (keys, next): (Option<SequencerKeys>, Option<SequencerKeys>),
    ctx: B256,
) -> eyre::Result<(Vec<Arc<dyn Signer>>, Vec<Watermarks>)> {
    if config.role != Role::Sequencer {
        return Ok((Vec::new(), Vec::new()));
    }
    let Some((remote, identity)) = remote(config)? else {
        let keys = keys.ok_or_else(|| eyre!("a sequencer needs its keys"))?;
        let pairs = std::iter::once(keys).chain(next);
        return Ok((pairs.map(signer).collect(), Vec::new()));
    };
    let addr = remote.addr.clone();
    let connecting = move || RemoteSigner::connect(&remote, identity, ctx);
    let (mut pairs, mut marks) = (Vec::<Arc<dyn Signer>>::new(), Vec::new());
    for (signer, welcome) in tokio::task::spawn_blocking(connecting).await?? {
        tracing::info!(addr, vote_key = %welcome.vote, "signing at a remote signer");
        marks.push(Watermarks::of(&welcome.marks)?);
        pairs.push(signer);
    }
    Ok((pairs, marks))
}

/// The signer elsewhere and this machine's own key for it, if the settings name one.
pub(crate) fn remote(config: &Config) -> eyre::Result<Option<(Remote, LinkIdentity)>> {
    if config.signer.kind == SignerKind::Local {
        return Ok(None);
    }
    let mut public = [0; 32];
    alloy_primitives::hex::decode_to_slice(&config.signer.public_key, &mut public)?;
    let patience = Duration::from_millis(config.signer.patience.as_millis());
    let remote = Remote { addr: config.signer.addr.clone(), public, patience };
    Ok(Some((remote, LinkIdentity::open(&config.data_root())?)))
}

/// Waits for a signal, which is no error, or for a thread that ends, which is one.
async fn until_the_end(running: &mut Sequencer, led: &mut Background) -> eyre::Result<()> {
    tokio::select! {
        biased;
        name = interrupted() => { tracing::info!(signal = name?, "stopping"); Ok(()) }
        ended = running.ended() => match ended {
            Ok(thread) => Err(eyre!("the {thread} thread ended")),
            Err(error) => Err(error),
        },
        done = led.done() => done,
    }
}

fn p2p(
    config: &Config,
    identity: Identity,
    sets: &Sets,
    domain: &Domain,
) -> eyre::Result<rota_p2p::Config> {
    Ok(rota_p2p::Config {
        identity,
        ctx: Ctx(domain.ctx().0),
        version: PROTOCOL,
        // Who watches calls the members; nobody calls it.
        listen: match config.role {
            Role::Sequencer => addresses(&config.p2p.listen)?,
            Role::Follower | Role::Prover => Vec::new(),
        },
        validators: sets.entries(),
        bootnodes: addresses(&config.p2p.bootnodes)?,
        topics: vec![Topic::Evidence],
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
    (info, l1): (Arc<SequencerInfo>, Arc<RpcL1>),
) -> eyre::Result<RpcServer> {
    let backend = Backend {
        view: Arc::clone(&running.view),
        submit: Arc::clone(&running.submit),
        info,
        set_proofs: Some(SetProver::new(l1)),
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

/// Keys as the replica takes them.
fn signer(keys: SequencerKeys) -> Arc<dyn Signer> {
    Arc::new(LocalSigner { seq: keys.seq, vote: keys.vote })
}

/// Says what this node is in the sets that are known.
fn say_where(info: &SequencerInfo) {
    match info.registered() {
        Some(own) => tracing::info!(operator = %own.owner, "registered"),
        None if info.voters.is_empty() => tracing::info!("no member: watching the set"),
        None => tracing::warn!(
            "the keys of this node are in no set yet: waiting. Register the operator, and wait for the set after next"
        ),
    }
}

/// Reads the frozen sets from final L1 state. Without an answer the ones seen final before have to do; without set 0
/// there is nothing to start from, and it waits.
pub(crate) async fn load_sets(l1: &RpcL1, sets: &Arc<Sets>) -> eyre::Result<()> {
    let mut said = false;
    loop {
        let asked = tokio::time::timeout(L1_PATIENCE, final_sets(l1, sets)).await;
        let why = match asked {
            Ok(Ok(())) if sets.newest().is_some() => return Ok(()),
            Ok(Ok(())) => "the operator set is not frozen and final on L1 yet".to_owned(),
            Ok(Err(error)) => format!("L1: {error}"),
            Err(_) => "L1 does not answer".to_owned(),
        };
        if sets.newest().is_some() {
            tracing::warn!(why, "starting with the sets seen before");
            return Ok(());
        }
        if !std::mem::replace(&mut said, true) {
            tracing::info!(why, "waiting for the first set");
        }
        tokio::select! {
            name = interrupted() => bail!("{} while waiting for L1", name?),
            () = tokio::time::sleep(SET_POLL) => {}
        }
    }
}

pub(crate) async fn final_sets(l1: &RpcL1, sets: &Arc<Sets>) -> eyre::Result<()> {
    if let Some(block) = l1.block(At::Finalized).await? {
        learn_sets(sets, l1, block.number).await?;
    }
    Ok(())
}

fn addresses(list: &[String]) -> eyre::Result<Vec<Multiaddr>> {
    list.iter()
        .map(|text| text.parse().wrap_err_with(|| format!("{text} is no multiaddress")))
        .collect()
}
