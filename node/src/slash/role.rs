//! The slasher as a program: no stake, no trust, no configuration but the address of the Registry.
//!
//! It reads the sets from L1, connects to the members as an observer, reads their tapes, the batches on L1, gossip and
//! files, judges everything itself, and takes what it finds to the Slasher contract. Invariant: it says loudly when it sees
//! nothing, because a slasher that is blind protects nobody.

mod auditing;
mod eyes;
mod reading;
mod sight;

use super::{
    Desk, DeskError, Found, Looked, ReviewError, Told, WatchInput, WatchOutput, Watcher,
    known::KnownSets, local_name, post, run_watcher, salt,
};
use crate::clock::now_ms;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes};
use auditing::Auditing;
use eyes::{QUEUE, observe, peers, start_tapes};
use eyre::{WrapErr, eyre};
use reading::Posted;
use rota_l1::{At, Court, Deployment, L1, RpcConfig, RpcL1, RpcSender};
use rota_p2p::{GossipId, Handle, Judgement, Network, Topic};
use rota_types::{Decode, Domain, Encode, Evidence, Millis};
use sight::Sight;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Files of an earlier run that are looked at in one look at L1.
const AGAIN: usize = 16;

/// What the program is started with.
pub struct SlasherArgs {
    /// L1 endpoints.
    pub urls: Vec<String>,
    /// The Registry.
    pub registry: Address,
    /// Who pays for transactions and gets rewards; without it contradictions are found and written down.
    pub account: Option<PrivateKeySigner>,
    /// Evidence, cases and the transaction under way.
    pub dir: PathBuf,
    /// Files of evidence to begin with.
    pub files: Vec<PathBuf>,
    /// Between two looks at L1.
    pub poll: Duration,
    /// A node that keeps certified heights, and an execution client led by a follower: what the first says of execution is
    /// compared with what is proven on L1, whose blocks the second has.
    pub nodes: Option<(String, String)>,
}

impl std::fmt::Debug for SlasherArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlasherArgs").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// What it tells.
#[derive(Debug)]
pub enum Report {
    /// It watches: the network, members and the account.
    Watching {
        /// The rollup.
        deployment: Box<Deployment>,
        /// Members of the newest set.
        members: usize,
        /// Who reports.
        reporter: Option<Address>,
    },
    /// A contradiction, and the file that shows it.
    Found(Box<Found>, Option<PathBuf>),
    /// A step on L1.
    Told(Told),
    /// Nothing was heard for so many milliseconds.
    Blind(Millis),
    /// It hears again.
    Sighted(Looked),
    /// So many statements were gone before they could be read.
    Missed(u64),
    /// Something failed and is tried again.
    Trouble(String),
}

/// Runs until told to stop. When L1 begins another generation it starts over in it: peers, sets and signatures are others.
///
/// # Errors
/// L1 does not answer at the start, or the disk fails.
pub async fn run_slasher(
    mut args: SlasherArgs,
    stop: CancellationToken,
    mut tell: impl FnMut(Report) + Send,
) -> eyre::Result<()> {
    let mut generation = None;
    while !stop.is_cancelled() {
        let watching = stop.child_token();
        let mut slasher = match Slasher::start(&args, &watching).await {
            Ok(slasher) => slasher,
            Err(why) if generation.is_none() => return Err(why),
            Err(why) => {
                tell(Report::Trouble(format!("{why:#}")));
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(args.poll) => {}
                }
                continue;
            }
        };
        generation = Some(slasher.domain.generation);
        tell(Report::Watching {
            deployment: Box::new(slasher.deployment.clone()),
            members: slasher.sets.newest().map_or(0, |s| s.len()),
            reporter: slasher.reporter,
        });
        let ended = slasher.watch(&stop, &mut tell).await;
        watching.cancel();
        if slasher.judging.is_empty() && slasher.early.is_empty() {
            // What the files show is in the directory now.
            args.files.clear();
        }
        slasher.p2p.shutdown().await;
        ended?;
    }
    Ok(())
}

struct Slasher {
    deployment: Deployment,
    domain: Domain,
    l1: RpcL1,
    sets: KnownSets,
    p2p: Handle,
    desk: Option<Desk>,
    reporter: Option<Address>,
    dir: PathBuf,
    poll: Duration,
    to_watcher: mpsc::Sender<WatchInput>,
    given: mpsc::Receiver<WatchOutput>,
    gossip: mpsc::Receiver<(Vec<u8>, GossipId)>,
    /// Evidence of gossip and files that is being judged.
    judging: BTreeMap<u64, Option<GossipId>>,
    names: u64,
    /// Found and not brought to the desk yet.
    waiting: Vec<Bytes>,
    brought: BTreeSet<B256>,
    posted: Posted,
    court: Court,
    audit: Option<Auditing>,
    /// Found in files before anybody could be told.
    early: Vec<Found>,
    /// Files of an earlier run that are to be looked at again.
    again: Vec<PathBuf>,
    sight: Sight,
}

impl Slasher {
    async fn start(args: &SlasherArgs, stop: &CancellationToken) -> eyre::Result<Self> {
        let SlasherArgs { urls, registry, account, dir, files, poll, nodes } = args;
        let (urls, registry, dir, poll) = (urls.clone(), *registry, dir.clone(), *poll);
        let timeout = Duration::from_secs(10);
        let endpoints = rota_l1::Endpoints::new(&urls, timeout)?;
        let deployment = Deployment::read(&endpoints, registry).await?;
        let inbox = deployment.inbox;
        let l1 =
            RpcL1::new(RpcConfig { urls, blob_sources: Vec::new(), registry, inbox, timeout })?;
        let head = l1.block(At::Latest).await?.ok_or_else(|| eyre!("L1 has no block"))?;
        let sets = KnownSets::default();
        sets.refresh(&l1, head.number).await?;
        let domain = deployment.domain();
        let posted = Posted::new(&domain, head.number);
        let (to_watcher, inputs) = mpsc::channel(QUEUE);
        let (out, given) = mpsc::channel(QUEUE);
        let watcher = Watcher::new(domain.clone(), sets.reader());
        crate::clock::spawn("watch", move || run_watcher(watcher, inputs, &out))?;
        let (to_gossip, gossip) = mpsc::channel(QUEUE);
        let p2p = observe(&domain, &sets, to_gossip).await?;
        start_tapes(&p2p, &to_watcher, stop);
        std::fs::create_dir_all(&dir).wrap_err_with(|| format!("making {}", dir.display()))?;
        let reporter = account.as_ref().map(PrivateKeySigner::address);
        let court = Court::new(l1.endpoints(), deployment.slasher);
        let audit = Auditing::open(nodes.as_ref(), &court, (&deployment, &dir)).await?;
        let desk = open_desk(account.as_ref(), (&court, &l1, &deployment), &dir).await?;
        let again = post::kept(&dir.join("evidence")).wrap_err("reading evidence")?;
        let mut slasher = Self {
            deployment,
            domain,
            l1,
            sets,
            p2p,
            desk,
            reporter,
            dir,
            poll,
            to_watcher,
            given,
            gossip,
            judging: BTreeMap::new(),
            names: 0,
            waiting: Vec::new(),
            brought: BTreeSet::new(),
            posted,
            court,
            audit,
            early: Vec::new(),
            again,
            sight: Sight::new(now_ms()),
        };
        for path in files {
            slasher.begin_with(path).await.wrap_err_with(|| format!("{}", path.display()))?;
        }
        Ok(slasher)
    }

    /// Until told to stop, or until L1 begins another generation.
    async fn watch(
        &mut self,
        stop: &CancellationToken,
        tell: &mut (impl FnMut(Report) + Send),
    ) -> eyre::Result<()> {
        let mut tick = tokio::time::interval(self.poll);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(output) = self.given.recv() => self.take(output, tell)?,
                Some((data, id)) = self.gossip.recv() => self.gossiped(&data, id).await,
                _ = tick.tick() => {
                    if !self.look(tell).await? {
                        return Ok(());
                    }
                }
                else => return Err(eyre!("the watcher ended")),
            }
        }
    }

    fn take(
        &mut self,
        output: WatchOutput,
        tell: &mut (impl FnMut(Report) + Send),
    ) -> eyre::Result<()> {
        match output {
            WatchOutput::Looked(looked) => {
                self.sight.heard(now_ms(), looked).into_iter().flatten().for_each(tell);
            }
            WatchOutput::Found(found) => {
                self.share(&found);
                self.found(*found, tell)?;
            }
            WatchOutput::Judged(name, judged) => {
                let gossip = self.judging.remove(&name).flatten();
                let judgement = judged
                    .as_ref()
                    .as_ref()
                    .map_or_else(ReviewError::judgement, |_| Judgement::Accept);
                if let Some(id) = gossip {
                    self.p2p.judge(id, judgement);
                }
                match *judged {
                    Ok(found) => self.found(found, tell)?,
                    Err(why) => tell(Report::Trouble(format!("evidence refused: {why}"))),
                }
            }
        }
        Ok(())
    }

    fn share(&self, found: &Found) {
        if let Err(error) = self.p2p.publish(Topic::Evidence, found.evidence.encode()) {
            tracing::debug!(%error, "evidence not gossiped");
        }
    }

    fn found(&mut self, found: Found, tell: &mut (impl FnMut(Report) + Send)) -> eyre::Result<()> {
        let name = local_name(&found);
        if self.brought.contains(&name) {
            return Ok(());
        }
        let domain = self.domain.of_generation(found.evidence.generation);
        let path =
            post::keep(&self.dir.join("evidence"), &found, &domain).wrap_err("writing evidence")?;
        self.brought.insert(name);
        if self.desk.is_some() {
            self.waiting.push(found.evidence.encode().into());
        }
        tell(Report::Found(Box::new(found), path));
        Ok(())
    }

    async fn gossiped(&mut self, data: &[u8], id: GossipId) {
        match Evidence::decode(data) {
            Ok(evidence) => self.show(evidence, Some(id)).await,
            Err(_) => self.p2p.judge(id, Judgement::Reject),
        }
    }

    async fn show(&mut self, evidence: Evidence, id: Option<GossipId>) {
        self.names = self.names.wrapping_add(1);
        self.judging.insert(self.names, id);
        let input = WatchInput::Shown(Box::new(evidence), self.names);
        if self.to_watcher.send(input).await.is_err() {
            tracing::error!("the watcher has ended");
        }
    }

    /// What is done at every look at L1. What fails for want of an answer is tried again. False once L1 is in another
    /// generation.
    async fn look(&mut self, tell: &mut (impl FnMut(Report) + Send)) -> eyre::Result<bool> {
        let read = self.read_l1().await;
        for found in self.posted.take() {
            self.share(&found);
            self.found(found, tell)?;
        }
        match read {
            Ok(generation) if generation != self.domain.generation => {
                tell(Report::Trouble(format!(
                    "L1 has begun generation {generation}: starting over in it"
                )));
                return Ok(false);
            }
            Ok(_) => {}
            Err(why) => tell(Report::Trouble(why.to_string())),
        }
        for path in self.again.split_off(self.again.len().saturating_sub(AGAIN)) {
            if let Err(why) = self.begin_with(&path).await {
                tell(Report::Trouble(format!("{}: {why:#}", path.display())));
            }
        }
        self.compare(tell).await?;
        self.sight.look(now_ms()).into_iter().for_each(&mut *tell);
        let Some(desk) = &mut self.desk else { return Ok(true) };
        while let Some(evidence) = self.waiting.last().cloned() {
            match desk.bring(evidence, salt()?).await {
                Ok(told) => tell(Report::Told(told)),
                Err(DeskError::File(disk)) => return Err(disk.into()),
                Err(why) => {
                    tell(Report::Trouble(why.to_string()));
                    return Ok(true);
                }
            }
            self.waiting.pop();
        }
        match desk.step().await {
            Ok(told) => told.into_iter().for_each(|t| tell(Report::Told(t))),
            Err(DeskError::File(disk)) => return Err(disk.into()),
            Err(why) => tell(Report::Trouble(why.to_string())),
        }
        Ok(true)
    }
}

/// With an account: without one, contradictions are found and written down.
async fn open_desk(
    account: Option<&PrivateKeySigner>,
    (court, l1, deployment): (&Court, &RpcL1, &Deployment),
    dir: &Path,
) -> eyre::Result<Option<Desk>> {
    let Some(account) = account else { return Ok(None) };
    let sender = RpcSender::new(l1.endpoints(), account.clone(), deployment.l1_chain_id);
    Ok(Some(Desk::open(court.clone(), sender, dir).await?))
}
