//! The threads of a sequencer: what each runs, and that its end is noticed.
//!
//! Invariant: whichever thread ends, with or without an error, says so once.

use super::queues::{Outflow, Queues};
use crate::{
    archive::{self, ArchiveInput},
    chain::{ChainInput, ChainOutput, ChainThread, Sealed},
    clock::spawn,
    disk::{Disk, DiskInput},
    engine::{Engine, Facts, ReplicaInput},
    inbound::{self, RawFrame, Verifier},
    slash::{Found, Sentry, Shown, Tape, Watcher},
    submit::Submitter,
};
use crossbeam_channel::{Receiver, Sender, bounded};
use eyre::WrapErr;
use rota_consensus::{Elsewhere, Fatal};
use rota_execution::Head;
use rota_p2p::Handle;
use rota_store::{Blocks, Intent};
use rota_types::{Address, LagPoint, Tx};
use std::{
    collections::{BTreeSet, VecDeque},
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
};

/// Transactions on their way to the leader; what does not fit waits in this node's own queue.
const FORWARD: usize = 8192;
/// Checkpoints that wait for room in the replica's queue. Policy when full: drop the oldest.
const MAX_POINTS: usize = 64;

/// How a thread ended: its name, or why it failed.
pub(super) type Ended = eyre::Result<&'static str>;

/// What is run besides the queues.
pub(super) struct Parts {
    pub(super) disk: Disk,
    pub(super) engine: Engine,
    /// Entries of the write-ahead log.
    pub(super) entries: Vec<Vec<u8>>,
    pub(super) chain: ChainThread,
    /// Says that the queue of transactions has grown.
    pub(super) woken: Receiver<()>,
    pub(super) archived: Archived,
    pub(super) verifier: Verifier,
    pub(super) submitter: Arc<Submitter>,
    pub(super) facts: Arc<Facts>,
    pub(super) p2p: Handle,
    /// Where evidence is kept, and the own vote keys.
    pub(super) watch: (PathBuf, BTreeSet<Address>),
}

/// What the archive thread begins with.
pub(super) struct Archived {
    pub(super) store: Blocks,
    pub(super) genesis: Head,
    /// Blocks that the chain settled while it was restored.
    pub(super) settled: Vec<Arc<Sealed>>,
}

/// The threads' handles, and the queue of transactions for the leader.
pub(super) type Running = (Vec<JoinHandle<()>>, Sender<Arc<Tx>>);

/// Starts threads whose end ends the process.
pub(super) struct Threads {
    ended: tokio::sync::mpsc::Sender<Ended>,
    list: Vec<JoinHandle<()>>,
}

impl Threads {
    pub(super) const fn new(ended: tokio::sync::mpsc::Sender<Ended>) -> Self {
        Self { ended, list: Vec::new() }
    }

    /// Starts all of them; gives their handles, and the queue of transactions for the leader.
    pub(super) fn run(
        mut self,
        parts: Parts,
        queues: &Queues,
        from: Outflow,
    ) -> eyre::Result<Running> {
        let Parts { disk, engine, entries, chain, woken, archived, .. } = parts;
        let Parts { verifier, submitter, facts, p2p, watch, .. } = parts;
        let Outflow { replica, disk: to_disk, chain: to_chain, archive, frames, bundles, evidence } =
            from;
        self.start("disk", move || Ok(disk.run(&to_disk)?))?;
        self.archive(archived, archive, queues)?;
        self.chain(chain, (to_chain, woken), queues)?;
        let to_disk = queues.disk.clone();
        self.start("replica", move || {
            let ended = engine.run(&entries, &replica);
            if let Err(Fatal::Elsewhere(seen)) = &ended {
                remember(seen, &to_disk);
            }
            Ok(ended?)
        })?;
        let verified = (queues.replica.clone(), Arc::clone(&queues.tape));
        self.frames(frames, verifier.clone(), verified, p2p.clone())?;
        let seen = (Arc::clone(&queues.tape), evidence, p2p.clone());
        self.watch(&verifier, queues, seen, watch)?;
        let sets = Arc::clone(&verifier.sets);
        self.start("bundles", move || {
            inbound::take_bundles(&bundles, &submitter, &verifier);
            Ok(())
        })?;
        let (forward, txs) = bounded(FORWARD);
        self.start("forward", move || {
            inbound::forward(&txs, &p2p, &facts, &sets);
            Ok(())
        })?;
        Ok((self.list, forward))
    }

    /// Looks for contradictions in everything that this node sees, and shows them to the replica.
    fn watch(
        &mut self,
        verifier: &Verifier,
        queues: &Queues,
        (tape, shown, p2p): (Arc<Tape>, Receiver<Shown>, Handle),
        (dir, own): (PathBuf, BTreeSet<Address>),
    ) -> eyre::Result<()> {
        let (sets, domain) = (Arc::clone(&verifier.sets), verifier.domain.clone());
        let known = move |epoch| sets.get(epoch).map(|e| Arc::clone(e.set()));
        let watcher = Watcher::new(domain.clone(), Box::new(known));
        let replica = queues.replica.clone();
        let found = Box::new(move |found: &Found| {
            replica.send(ReplicaInput::Evidence(Box::new(found.evidence.clone()))).is_ok()
        });
        let sentry = Sentry { tape, watcher, shown, p2p, dir, domain, own, found };
        self.start("watch", move || Ok(sentry.run()?))
    }

    fn archive(
        &mut self,
        Archived { store, genesis, settled }: Archived,
        inputs: Receiver<ArchiveInput>,
        queues: &Queues,
    ) -> eyre::Result<()> {
        let disk = queues.disk.clone();
        self.start("archive", move || Ok(archive::run(&store, &genesis, &inputs, &disk)?))?;
        // Not before its thread takes them: they may be more than the queue holds.
        for sealed in settled {
            queues.archive.send(ArchiveInput::Block(sealed))?;
        }
        Ok(())
    }

    fn chain(
        &mut self,
        chain: ChainThread,
        (inputs, woken): (Receiver<ChainInput>, Receiver<()>),
        queues: &Queues,
    ) -> eyre::Result<()> {
        let (replica, archive) = (queues.replica.clone(), queues.archive.clone());
        self.start("chain", move || {
            let mut points = VecDeque::new();
            Ok(chain.run(&inputs, &woken, |output| {
                let sent = match output {
                    ChainOutput::Lag(point) => {
                        points.push_back(point);
                        true
                    }
                    ChainOutput::Txs(txs) => replica.send(ReplicaInput::Txs(txs)).is_ok(),
                    ChainOutput::Settled(s) => archive.send(ArchiveInput::Block(s)).is_ok(),
                };
                if !sent {
                    tracing::debug!("the receiver of the chain thread has ended");
                }
                tell_points(&mut points, &replica);
            })?)
        })
    }

    fn frames(
        &mut self,
        frames: Receiver<RawFrame>,
        verifier: Verifier,
        (replica, tape): (Sender<ReplicaInput>, Arc<Tape>),
        p2p: Handle,
    ) -> eyre::Result<()> {
        self.start("frames", move || {
            inbound::verify_frames(&frames, &verifier, (&replica, &tape), &p2p);
            Ok(())
        })
    }

    fn start(
        &mut self,
        name: &'static str,
        body: impl FnOnce() -> eyre::Result<()> + Send + 'static,
    ) -> eyre::Result<()> {
        let ended = self.ended.clone();
        let handle = spawn(name, move || {
            let result = body().map(|()| name).wrap_err_with(|| format!("{name} failed"));
            if ended.blocking_send(result).is_err() {
                tracing::debug!(name, "ended after the others");
            }
        })?;
        self.list.push(handle);
        Ok(())
    }
}

/// Never waits for the replica, which may be waiting for the chain thread: what finds no room is told with a later
/// output. When many wait the oldest go: certified headers say them.
fn tell_points(points: &mut VecDeque<LagPoint>, replica: &Sender<ReplicaInput>) {
    while let Some(point) = points.front() {
        if replica.try_send(ReplicaInput::Lag(point.height, point.root())).is_err() {
            break;
        }
        points.pop_front();
    }
    while points.len() > MAX_POINTS {
        points.pop_front();
    }
}

/// A key that signs elsewhere is not signed with by the next start either, until its heights are well past.
fn remember(seen: &Elsewhere, disk: &Sender<DiskInput>) {
    // The disk thread syncs when it is stopped, which follows.
    let floor = Intent::Floor { height: seen.floor };
    if disk.send(DiskInput::Guard(floor)).is_err() {
        tracing::error!("the disk thread has ended: the sign guard does not know of this");
    }
}
