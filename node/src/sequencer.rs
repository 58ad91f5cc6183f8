//! A sequencer: restores what it was, connects its parts, starts its threads.
//!
//! Not for: what the threads do (`engine`, `chain`, `disk`, `archive`, `inbound`). Invariant: the first thread that
//! ends takes the others with it, and its error is the process's.

mod queues;
mod recover;
mod threads;

pub use queues::Queues;

use crate::{
    archive::{ArchiveInput, StoreArchive},
    chain::{ChainInput, ChainThread, ForcedBook, Stack},
    clock::now_ms,
    disk::DiskInput,
    engine::{Engine, Facts, Outlets, ReplicaInput},
    inbound::{self, RawFrame, TxCache, Verifier},
    sets::Sets,
    settle::L1News,
    slash::look_back,
    submit::{SubmitError, Submitter},
    view::{View, ViewConfig},
};
use crossbeam_channel::{Receiver, Sender, bounded};
use recover::{Recovered, replay_heights};
use rota_consensus::{Identity, PeerNo, Replica};
use rota_execution::Head;
use rota_preconf::{Admitted, Intake, IntakeConfig, Rules};
use rota_store::{Blocks, DataDir};
use rota_types::{Address, Tx, wire::Request};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, thread::JoinHandle};
use threads::{Archived, Ended, Parts, Threads};
use tokio::sync::mpsc;

/// Everything a sequencer is made of.
pub struct Setup {
    /// Open data directory.
    pub dir: DataDir,
    /// Its database, open.
    pub store: Blocks,
    /// Its number and its keys.
    pub identity: Identity,
    /// What a signer elsewhere has signed with each of them; nothing for keys of this process.
    pub marks: Vec<rota_store::Watermarks>,
    /// The sets that are known.
    pub sets: Arc<Sets>,
    /// The rules, with these sets.
    pub rules: Rules,
    /// Genesis block and state.
    pub genesis: Head,
    /// Network settings; its context and set are filled in by the caller.
    pub p2p: rota_p2p::Config,
    /// Tip wanted for insured amounts, in 1/10,000 of them.
    pub premium_bps: u16,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("sets", &self.sets).finish_non_exhaustive()
    }
}

/// A running sequencer.
pub struct Sequencer {
    /// What it knows.
    pub view: Arc<View>,
    /// Its door for transactions, forwarding included.
    pub submit: crate::rpc::Submit,
    /// The queue behind it.
    pub submitter: Arc<Submitter>,
    /// Facts of the replica.
    pub facts: Arc<Facts>,
    /// The sets.
    pub sets: Arc<Sets>,
    /// The network.
    pub p2p: rota_p2p::Handle,
    /// The database.
    pub store: Blocks,
    /// The queues between its threads; their depth is for metrics.
    pub queues: Queues,
    /// To the leader and to who follows it.
    pub forward: Sender<Arc<Tx>>,
    ended: mpsc::Receiver<Ended>,
    threads: Vec<JoinHandle<()>>,
    _dir: DataDir,
}

impl std::fmt::Debug for Sequencer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sequencer").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Sequencer {
    /// Restores, connects and starts everything.
    ///
    /// # Errors
    /// Us: damaged files, an address that is taken, a thread that cannot start.
    pub async fn start(setup: Setup) -> eyre::Result<Self> {
        let mut recovered = Recovered::open(&setup)?;
        let watch = watched(&setup.dir, &setup.identity);
        look_back(&watch.0, &watch.1, &recovered.verifier.domain)?;
        let Setup { dir, identity, sets, mut rules, genesis, p2p, premium_bps, .. } = setup;
        let (store, verifier) = (recovered.store.clone(), recovered.verifier.clone());
        let view = shown(&recovered, &genesis);
        let (submitter, woken) = queue(&view, premium_bps);
        let mut chain = chain_thread(&recovered, &view, &submitter);
        let settled = replay_heights(&mut chain, &mut recovered, &mut rules)?;

        let (queues, outflow) = Queues::open();
        let p2p =
            rota_p2p::start(p2p, inbound::sink(queues.doors()), queues.handler(&store)).await?;
        let (asks, asked) = mpsc::channel(256);
        spawn_asks(asked, &p2p, &verifier, (queues.frames.clone(), queues.replica.clone()));

        let (disk, restored) = recovered.hand_on(p2p.clone(), queues.own(), &sets);
        let facts = Arc::new(Facts::default());
        let outlets = Outlets {
            disk: queues.disk.clone(),
            chain: queues.chain.clone(),
            archive: queues.archive.clone(),
            p2p: p2p.clone(),
            asks,
            sets: Arc::clone(&sets),
            facts: Arc::clone(&facts),
            tape: Arc::clone(&queues.tape),
        };
        let engine = Engine::new(Replica::new(identity, rules, &restored), outlets, now_ms);
        let cache = Arc::clone(&verifier.cache);
        let parts = Parts {
            disk,
            engine,
            entries: restored.wal,
            chain,
            woken,
            archived: Archived { store: store.clone(), genesis, settled },
            verifier,
            submitter: Arc::clone(&submitter),
            facts: Arc::clone(&facts),
            p2p: p2p.clone(),
            watch,
        };
        let (ended_in, ended) = mpsc::channel(16);
        let (threads, forward) = Threads::new(ended_in).run(parts, &queues, outflow)?;
        let submit = door(Arc::clone(&submitter), cache, forward.clone());
        Ok(Self {
            view,
            submit,
            submitter,
            facts,
            sets,
            p2p,
            store,
            queues,
            forward,
            ended,
            threads,
            _dir: dir,
        })
    }

    /// Gives the replica what L1 says.
    pub fn origin(&self) -> impl Fn(L1News) + Send + Sync + 'static {
        let replica = self.queues.replica.clone();
        let (view, sets, p2p) = (Arc::clone(&self.view), Arc::clone(&self.sets), self.p2p.clone());
        move |news| {
            let input = match news {
                L1News::Set(epoch, peers) => {
                    view.validators(Arc::clone(epoch.set()));
                    if let Err(error) = p2p.set_peers(sets.entries()) {
                        tracing::error!(%error, "the peers of a new set are not dialled");
                    }
                    ReplicaInput::Set(epoch, peers)
                }
                L1News::Read(number) => ReplicaInput::L1Read(number),
                L1News::Origin(env) => ReplicaInput::Origin(Box::new(env)),
                L1News::Over { generation, l1_block } => ReplicaInput::Over(generation, l1_block),
            };
            if replica.send(input).is_err() {
                tracing::debug!("the replica has ended");
            }
        }
    }

    /// Waits until one thread ends.
    ///
    /// # Errors
    /// Why it ended, if it failed.
    pub async fn ended(&mut self) -> eyre::Result<&'static str> {
        self.ended.recv().await.unwrap_or(Ok("all threads"))
    }

    /// Stops in the order of the data, so that nothing accepted is lost.
    pub async fn stop(self) {
        let Self { queues, threads, p2p, .. } = self;
        let stopped = tokio::task::spawn_blocking(move || {
            let sent = [
                queues.replica.send(ReplicaInput::Stop).is_ok(),
                queues.chain.send(ChainInput::Stop).is_ok(),
                queues.archive.send(ArchiveInput::Stop).is_ok(),
                queues.disk.send(DiskInput::Stop).is_ok(),
            ];
            tracing::debug!(?sent, "stopping");
            for thread in threads {
                let named = matches!(
                    thread.thread().name(),
                    Some("replica" | "chain" | "archive" | "disk")
                );
                if named && thread.join().is_err() {
                    tracing::error!("a thread panicked");
                }
            }
        });
        if let Err(error) = stopped.await {
            tracing::error!(%error, "stopping failed");
        }
        p2p.shutdown().await;
    }
}

/// What readers see at the start.
fn shown(recovered: &Recovered, genesis: &Head) -> Arc<View> {
    let Verifier { sets, domain, .. } = &recovered.verifier;
    let config = ViewConfig {
        chain_id: domain.l2_chain_id,
        domain: domain.clone(),
        ..ViewConfig::default()
    };
    let view = Arc::new(View::new(config, genesis));
    sets.book().iter().for_each(|epoch| view.validators(Arc::clone(epoch.set())));
    view.set_archive(Arc::new(StoreArchive::new(recovered.store.clone())));
    recovered.chain.blocks.iter().for_each(|b| view.restore_block(Arc::clone(b)));
    view
}

fn chain_thread(
    recovered: &Recovered,
    view: &Arc<View>,
    submitter: &Arc<Submitter>,
) -> ChainThread {
    let Verifier { sets, domain, .. } = &recovered.verifier;
    let known = Arc::clone(sets);
    ChainThread {
        stack: Stack::new(
            domain.l2_chain_id,
            recovered.chain.ground.clone(),
            Arc::new(ForcedBook::new(recovered.store.clone())),
            Arc::new(move |epoch| known.get(epoch).map(|e| Arc::clone(e.set()))),
        ),
        view: Arc::clone(view),
        submitter: Arc::clone(submitter),
        sets: Arc::clone(sets),
        now: now_ms,
        wanted: false,
    }
}

/// Where evidence is kept, and the own vote keys.
fn watched(dir: &DataDir, identity: &Identity) -> (PathBuf, BTreeSet<Address>) {
    let voters = identity.pairs.iter().map(|pair| pair.vote_key()).collect();
    (dir.root().join("evidence"), voters)
}

/// The queue of transactions, and what says that it has grown.
fn queue(view: &Arc<View>, premium_bps: u16) -> (Arc<Submitter>, Receiver<()>) {
    let (wake, woken) = bounded(1);
    let intake = Intake::new(IntakeConfig { premium_bps, ..IntakeConfig::default() });
    (Arc::new(Submitter::new(Arc::clone(view), intake, wake, Arc::new(now_ms))), woken)
}

/// The door for RPC: queue here, remember the sender, pass on to the leader.
fn door(
    submitter: Arc<Submitter>,
    cache: Arc<TxCache>,
    forward: Sender<Arc<Tx>>,
) -> crate::rpc::Submit {
    Arc::new(move |tx: &Arc<Tx>| -> Result<Admitted, SubmitError> {
        let admitted = submitter.submit(tx)?;
        cache.put(tx);
        if forward.try_send(Arc::clone(tx)).is_err() {
            tracing::warn!(tx = %tx.hash, "too many transactions to forward; it waits here");
        }
        Ok(admitted)
    })
}

#[expect(clippy::disallowed_methods, reason = "the one async task of the sequencer itself")]
fn spawn_asks(
    asks: mpsc::Receiver<(PeerNo, Request)>,
    p2p: &rota_p2p::Handle,
    verifier: &Verifier,
    doors: (Sender<RawFrame>, Sender<ReplicaInput>),
) {
    tokio::spawn(inbound::ask(asks, p2p.clone(), verifier.clone(), doors));
}
