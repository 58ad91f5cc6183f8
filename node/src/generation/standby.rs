//! From the data directory as it is to one that can order in the present generation; waits for what is missing.
//!
//! While it waits it is a follower: it shows what L1 gives, and signs nothing. Invariant: the directory enters a generation
//! before anything of it is written, and is used for ordering only when its base is there.

use super::{EmergencySet, Eras, Lander};
use crate::{
    chain::{Base, ForcedBook},
    clock::now_ms,
    config::Config,
    follower::{FollowerArgs, FollowerChain, Standby, run_follower},
    network::Network,
    run::{L1_PATIENCE, final_sets, interrupted},
    sets::Sets,
    settle::{Pace, Throttle},
    setup::OnL1,
};
use eyre::eyre;
use rota_derive::DeriveError;
use rota_l1::{L1Block, L1Error, RpcL1};
use rota_store::{Blocks, DEFAULT_CACHE, DataDir, SledKv};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Where a sequencer orders: its data directory in the present generation, with the database.
pub(crate) struct Place {
    pub(crate) dir: DataDir,
    pub(crate) store: Blocks,
}

/// What it takes to get there.
pub(crate) struct Enter<'a> {
    pub(crate) config: &'a Config,
    pub(crate) network: &'a Network,
    pub(crate) l1: Arc<RpcL1>,
    pub(crate) sets: &'a Arc<Sets>,
}

/// How a wait ended.
enum Waited {
    Landed,
    /// Another generation began.
    Newer,
    Stopped,
}

/// The place to order in. None: the process was told to stop while it waited.
///
/// # Errors
/// Us: the disk. While it waits: what ends a follower.
pub(crate) async fn enter(of: &Enter<'_>, mut dir: DataDir) -> eyre::Result<Option<Place>> {
    let mut store = open(&dir)?;
    let mut before = None;
    let deploy = of.network.l1_deploy_block;
    let mut eras = if can_order(&dir, &store)? {
        let read = ForcedBook::new(store.clone()).upto()?;
        Eras::new(read.map_or(deploy, |upto| upto.saturating_add(1)), dir.generation())
    } else {
        Eras::new(deploy, 0)
    };
    loop {
        let is_read = read_all(&mut eras, &of.l1).await;
        let generation = eras.era().generation;
        if generation > dir.generation() {
            tracing::warn!(
                generation,
                "the set was given up on L1: what it has not posted is void"
            );
            dir.enter(generation)?;
            before = Some(std::mem::replace(&mut store, open(&dir)?));
        }
        if can_order(&dir, &store)? {
            if !is_read {
                tracing::warn!(
                    generation = dir.generation(),
                    "L1 does not answer: starting in the generation seen before"
                );
            }
            return Ok(Some(Place { dir, store }));
        }
        let before = before.clone().or_else(|| last_before(&dir));
        let waits = Waits { of, generation: dir.generation(), store: store.clone(), before };
        match Box::pin(waits.run(&mut eras)).await? {
            Waited::Landed => return Ok(Some(Place { dir, store })),
            Waited::Newer => {}
            Waited::Stopped => return Ok(None),
        }
    }
}

fn open(dir: &DataDir) -> eyre::Result<Blocks> {
    Ok(Blocks::open(Arc::new(SledKv::open(dir.db(), DEFAULT_CACHE)?))?)
}

/// Whether everything is there that heights of the directory's generation stand on.
fn can_order(dir: &DataDir, store: &Blocks) -> eyre::Result<bool> {
    Ok(dir.generation() == 0 || Base::load(store)?.is_some())
}

/// The database of the newest generation before; none if it is gone.
fn last_before(dir: &DataDir) -> Option<Blocks> {
    let earlier = (0..dir.generation()).rev().map(|g| dir.db_of(g));
    let path = earlier.into_iter().find(|path| path.join("db").is_file())?;
    let opened = SledKv::open(path, DEFAULT_CACHE).and_then(|kv| Blocks::open(Arc::new(kv)));
    opened
        .inspect_err(
            |error| tracing::warn!(%error, "the database of the generation before cannot be read"),
        )
        .ok()
}

/// Reads to the newest final L1 block. False if L1 does not answer.
async fn read_all(eras: &mut Eras, l1: &RpcL1) -> bool {
    loop {
        let at = *eras;
        match tokio::time::timeout(L1_PATIENCE, eras.read(l1)).await {
            Ok(Ok(_)) => return true,
            Err(_) if eras.next() > at.next() => {}
            Ok(Err(_)) | Err(_) => return false,
        }
    }
}

/// A wait for the emergency set of a generation.
struct Waits<'a> {
    of: &'a Enter<'a>,
    generation: u32,
    store: Blocks,
    before: Option<Blocks>,
}

impl Waits<'_> {
    /// Follows until the chain of the generation is there.
    async fn run(&self, eras: &mut Eras) -> eyre::Result<Waited> {
        let standby = Standby::default();
        let stop = CancellationToken::new();
        let follower = run_follower(self.follower(&standby, &stop)?, self.of.l1.clone());
        let work = self.work(eras, &standby);
        tokio::pin!(follower, work);
        let waited = tokio::select! {
            biased;
            name = interrupted() => {
                tracing::info!(signal = name?, "stopping");
                Waited::Stopped
            }
            ended = &mut follower => return Err(ended.err().unwrap_or_else(|| eyre!("following L1 ended"))),
            done = &mut work => done?,
        };
        stop.cancel();
        follower.await?;
        Ok(waited)
    }

    fn chain(&self) -> eyre::Result<FollowerChain> {
        crate::roles::follower_chain(self.of.network)
    }

    fn follower(&self, standby: &Standby, stop: &CancellationToken) -> eyre::Result<FollowerArgs> {
        let config = self.of.config;
        Ok(FollowerArgs {
            role: config.role,
            chain: self.chain()?,
            moniker: config.moniker.clone(),
            store: self.store.clone(),
            rpc: (config.rpc.addr, config.rpc_server()),
            web: config.web.addr,
            pace: Pace { every: self.every(), now: Arc::new(now_ms), stop: stop.clone() },
            standby: Some(standby.clone()),
            external: None,
            oracle: crate::roles::outputs(config, self.of.network)?,
            evidence: config.data_root().join("evidence"),
            proving: None,
        })
    }

    const fn every(&self) -> Duration {
        Duration::from_millis(self.of.config.l1.poll.as_millis())
    }

    /// Waits for the set, then derives the chain that it goes on from.
    async fn work(&self, eras: &mut Eras, standby: &Standby) -> eyre::Result<Waited> {
        let mut complaints = Throttle::default();
        loop {
            match eras.read(&*self.of.l1).await {
                Ok(Some(head)) => {
                    let era = eras.era();
                    if era.generation > self.generation {
                        return Ok(Waited::Newer);
                    }
                    let set = era.set.filter(|_| era.generation == self.generation);
                    if let Some(set) = set.filter(|set| head.number >= set.start) {
                        self.land(set, standby).await?;
                        return Ok(Waited::Landed);
                    }
                    self.tell(set, head, standby).await;
                }
                Ok(None) => {}
                Err(why) if complaints.due(now_ms()) => {
                    tracing::warn!(%why, "cannot read on from L1; trying again");
                }
                Err(_) => {}
            }
            tokio::time::sleep(self.every()).await;
        }
    }

    /// Says what it waits for.
    async fn tell(&self, set: Option<EmergencySet>, head: L1Block, standby: &Standby) {
        let generation = self.generation;
        let words = match set {
            Some(EmergencySet { epoch, start }) => format!(
                "generation {generation}: the set of epoch {epoch} orders from L1 block {start} on; L1 is final up to {}",
                head.number
            ),
            None => match self.roll_call().await {
                Some(words) => format!("generation {generation}: {words}"),
                None => return,
            },
        };
        standby.say(words);
    }

    /// How the roll call stands; none while L1 does not say.
    async fn roll_call(&self) -> Option<String> {
        let l1 = OnL1::connect(self.of.network, &self.of.config.l1.rpc).await.ok()?;
        let state = l1.fallback().await.ok()?;
        let members = l1.roll_call(&state).await.ok()?;
        let (answered, all) = (members.iter().filter(|m| m.answered).count(), members.len());
        Some(if state.start != 0 {
            format!("{answered} of {all} answered; waiting for their set to be final")
        } else if state.block <= state.roll_call_until() {
            format!("waiting for the roll call; {answered} of {all} answered")
        } else {
            format!(
                "{answered} of {all} answered; anyone may form their set: rota l1 fallback form"
            )
        })
    }

    async fn land(&self, set: EmergencySet, standby: &Standby) -> eyre::Result<()> {
        let (generation, l1) = (self.generation, &*self.of.l1);
        standby.say(format!("generation {generation}: deriving the chain from L1"));
        let mut complaints = Throttle::default();
        let (mut lander, mut epoch) = (None, None);
        loop {
            let done = async {
                if epoch.is_none() {
                    final_sets(l1, self.of.sets).await?;
                    epoch = self.of.sets.get(set.epoch);
                }
                if lander.is_none() {
                    let place = (generation, set);
                    lander = Some(Lander::new(self.chain()?, self.store.clone(), l1, place).await?);
                }
                match &mut lander {
                    Some(lander) => lander.step(l1, now_ms()).await,
                    None => Ok(true),
                }
            };
            match done.await {
                Ok(false) => break,
                Ok(true) => {}
                Err(why) if why.is::<L1Error>() || why.is::<DeriveError>() => {
                    if complaints.due(now_ms()) {
                        tracing::warn!(%why, "cannot derive on from L1; trying again");
                    }
                    tokio::time::sleep(self.every()).await;
                }
                Err(why) => return Err(why.wrap_err("deriving the chain of the new generation")),
            }
        }
        let (Some(lander), Some(epoch)) = (lander, epoch) else {
            return Err(eyre!("the set of epoch {} is not known", set.epoch));
        };
        let base = lander.finish(&epoch, self.before.as_ref(), now_ms())?;
        let (height, block) = (base.start.head.height, base.start.block);
        tracing::info!(generation, epoch = set.epoch, height, block, "the chain goes on from here");
        Ok(())
    }
}
