//! A sequencer: its threads, its queues and what connects them. Reads as a list.
//!
//! Invariant: the first thread that ends takes the others with it, and its error is the process's.

use crate::{
    archive::{self, ArchiveInput, StoreArchive},
    chain::{self, ChainInput, ChainOutput, ChainThread, Stack},
    clock::{now_ms, spawn},
    disk::{Disk, DiskInput, FrameRecord, read_record},
    engine::{Engine, Facts, Outlets, ReplicaInput},
    inbound::{self, Doors, TxCache, Verifier},
    submit::{SubmitError, Submitter},
    view::{View, ViewConfig},
};
use alloy_primitives::Bytes;
use crossbeam_channel::{Sender, bounded};
use eyre::WrapErr;
use rota_consensus::{Keys, Replica, Restored};
use rota_execution::Head;
use rota_preconf::{Admitted, Frame, Intake, IntakeConfig, Rules};
use rota_store::{AppendLog, Blocks, DEFAULT_CACHE, DataDir, SignGuard, SledKv};
use rota_types::{Address, Env, Tx, ValidatorSet, wire::DecidedHeight};
use std::{sync::Arc, thread::JoinHandle};

/// Everything a sequencer is made of.
pub struct Setup {
    /// Open data directory.
    pub dir: DataDir,
    /// Its keys and index.
    pub keys: Keys,
    /// Address of the vote key, which names the guard's file.
    pub voter: Address,
    /// The set.
    pub set: Arc<ValidatorSet>,
    /// The rules.
    pub rules: Arc<Rules>,
    /// Genesis block and state.
    pub genesis: Head,
    /// Network settings; its context and set are filled in by the caller.
    pub p2p: rota_p2p::Config,
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
    /// The network.
    pub p2p: rota_p2p::Handle,
    /// The database.
    pub store: Blocks,
    /// Depth of the queues, for metrics.
    pub queues: Queues,
    replica: Sender<ReplicaInput>,
    disk: Sender<DiskInput>,
    chain: Sender<ChainInput>,
    archive: Sender<ArchiveInput>,
    ended: tokio::sync::mpsc::Receiver<eyre::Result<&'static str>>,
    threads: Vec<JoinHandle<()>>,
    _dir: DataDir,
}

/// The bounded queues between the threads, for gauges.
#[derive(Clone)]
pub struct Queues {
    replica: Sender<ReplicaInput>,
    disk: Sender<DiskInput>,
    chain: Sender<ChainInput>,
    archive: Sender<ArchiveInput>,
    frames: Sender<inbound::RawFrame>,
    bundles: Sender<Vec<Bytes>>,
}

impl Queues {
    /// Name, depth and capacity of each.
    #[must_use]
    pub fn gauges(&self) -> Vec<(&'static str, usize, usize)> {
        fn one<T>(name: &'static str, q: &Sender<T>) -> (&'static str, usize, usize) {
            (name, q.len(), q.capacity().unwrap_or(0))
        }
        vec![
            one("replica", &self.replica),
            one("disk", &self.disk),
            one("chain", &self.chain),
            one("archive", &self.archive),
            one("frames", &self.frames),
            one("bundles", &self.bundles),
        ]
    }
}

/// Starts a thread whose end ends the process.
struct Threads {
    ended: tokio::sync::mpsc::Sender<eyre::Result<&'static str>>,
    list: Vec<JoinHandle<()>>,
}

impl Threads {
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

impl Sequencer {
    /// Restores, connects and starts everything.
    pub async fn start(setup: Setup) -> eyre::Result<Self> {
        let Setup { dir, keys, voter, set, rules, genesis, p2p } = setup;
        let store = Blocks::open(Arc::new(SledKv::open(dir.db(), DEFAULT_CACHE)?))?;
        let guard = SignGuard::open(&dir.sign_state(), voter, &rules.domain)?;
        let wal = AppendLog::open(dir.wal().join("consensus.log"))?;
        let frames = AppendLog::open(dir.wal().join("frames.log"))?;
        let verifier =
            Verifier { set: Arc::clone(&set), rules: Arc::clone(&rules), cache: Arc::default() };
        let undecided = catch_up_store(&store, &frames.records, &verifier)?;
        let restored = chain::restore(&store, &genesis, &rules, &set)?;

        let view = Arc::new(View::new(view_config(&rules), &genesis));
        view.validators(Arc::clone(&set));
        view.set_archive(Arc::new(StoreArchive(store.clone())));
        restored.blocks.iter().for_each(|b| view.restore_block(Arc::clone(b)));

        let (wake, woken) = bounded(1);
        let intake = Intake::new(IntakeConfig::default());
        let submitter =
            Arc::new(Submitter::new(Arc::clone(&view), intake, wake, Arc::new(now_ms)));
        let mut chain_thread = ChainThread {
            stack: Stack::new(rules.domain.l2_chain_id, restored.head.clone()),
            view: Arc::clone(&view),
            submitter: Arc::clone(&submitter),
            set: Arc::clone(&set),
            now: now_ms,
            wanted: false,
        };
        let settled = replay_heights(&mut chain_thread, &restored)?;

        let (replica_in, replica_out) = bounded(16_384);
        let (disk_in, disk_out) = bounded(16_384);
        let (chain_in, chain_out) = bounded(16_384);
        let (archive_in, archive_out) = bounded(1024);
        let (frames_in, frames_out) = bounded(2048);
        let (bundles_in, bundles_out) = bounded(256);
        let (leaders_in, _leaders_out) = bounded(1);
        let (asks_in, asks_out) = tokio::sync::mpsc::channel(256);
        let (ended_in, ended) = tokio::sync::mpsc::channel(16);
        let facts = Arc::new(Facts::default());
        let doors = Doors {
            frames: frames_in.clone(),
            bundles: bundles_in.clone(),
            replica: replica_in.clone(),
        };
        let handler = inbound::handler(replica_in.clone(), store.clone());
        let p2p = rota_p2p::start(p2p, inbound::sink(doors), handler).await?;
        spawn_asks(asks_out, &p2p, &verifier, (frames_in.clone(), replica_in.clone()));

        let mut threads = Threads { ended: ended_in, list: Vec::new() };
        let index = keys.index;
        let disk = Disk {
            guard: Some(guard),
            wal: wal.log,
            frames: frames.log,
            p2p: p2p.clone(),
            replica: replica_in.clone(),
            index,
            undecided: undecided.clone(),
        };
        let restored_replica = Restored {
            context: restored.context.clone(),
            guard: disk.guard.as_ref().map(|g| g.watermarks().clone()).unwrap_or_default(),
            wal: wal.records.clone(),
            frames: undecided,
        };
        threads.start("disk", move || Ok(disk.run(&disk_out)?))?;
        let (archive_store, archive_genesis, archive_disk) =
            (store.clone(), genesis.clone(), disk_in.clone());
        threads.start("archive", move || {
            Ok(archive::run(&archive_store, &archive_genesis, &archive_out, &archive_disk)?)
        })?;
        for sealed in settled {
            archive_in.send(ArchiveInput::Block(sealed))?;
        }
        let (to_replica, to_archive) = (replica_in.clone(), archive_in.clone());
        threads.start("chain", move || {
            Ok(chain_thread.run(&chain_out, &woken, |output| {
                let sent = match output {
                    ChainOutput::Txs(txs) => to_replica.send(ReplicaInput::Txs(txs)).is_ok(),
                    ChainOutput::Settled(s) => to_archive.send(ArchiveInput::Block(s)).is_ok(),
                };
                if !sent {
                    tracing::debug!("the receiver of the chain thread has ended");
                }
            })?)
        })?;
        let outlets = Outlets {
            disk: disk_in.clone(),
            chain: chain_in.clone(),
            archive: archive_in.clone(),
            p2p: p2p.clone(),
            asks: asks_in,
            leaders: leaders_in,
            facts: Arc::clone(&facts),
        };
        let replica = Replica::new(Some(keys), set, rules, &restored_replica);
        let engine = Engine { replica, outlets, now: now_ms };
        let entries = restored_replica.wal;
        threads.start("replica", move || Ok(engine.run(&entries, &replica_out)?))?;
        let (check, to, net) = (verifier.clone(), replica_in.clone(), p2p.clone());
        threads.start("frames", move || {
            inbound::verify_frames(&frames_out, &check, &to, &net);
            Ok(())
        })?;
        let (taker, check) = (Arc::clone(&submitter), verifier.clone());
        threads.start("bundles", move || {
            inbound::take_bundles(&bundles_out, &taker, &check);
            Ok(())
        })?;
        let (forward_in, forward_out) = bounded::<Bytes>(8192);
        let (net, known) = (p2p.clone(), Arc::clone(&facts));
        threads.start("forward", move || {
            inbound::forward(&forward_out, &net, &known, index);
            Ok(())
        })?;
        let submit = door(Arc::clone(&submitter), verifier.cache, forward_in);
        let queues = Queues {
            replica: replica_in.clone(),
            disk: disk_in.clone(),
            chain: chain_in.clone(),
            archive: archive_in.clone(),
            frames: frames_in,
            bundles: bundles_in,
        };
        Ok(Self {
            view,
            submit,
            submitter,
            facts,
            p2p,
            store,
            queues,
            replica: replica_in,
            disk: disk_in,
            chain: chain_in,
            archive: archive_in,
            ended,
            threads: threads.list,
            _dir: dir,
        })
    }

    /// Gives the replica an L1 origin that may be used.
    pub fn origin(&self) -> impl Fn(Env) + Send + Sync + 'static {
        let replica = self.replica.clone();
        move |env| {
            if replica.send(ReplicaInput::Origin(Box::new(env))).is_err() {
                tracing::debug!("the replica has ended");
            }
        }
    }

    /// Waits until one thread ends.
    pub async fn ended(&mut self) -> eyre::Result<&'static str> {
        self.ended.recv().await.unwrap_or(Ok("all threads"))
    }

    /// Stops in the order of the data, so that nothing accepted is lost.
    pub async fn stop(self) {
        let Self { replica, disk, chain, archive, threads, p2p, .. } = self;
        let stopped = tokio::task::spawn_blocking(move || {
            let sent = [
                replica.send(ReplicaInput::Stop).is_ok(),
                chain.send(ChainInput::Stop).is_ok(),
                archive.send(ArchiveInput::Stop).is_ok(),
                disk.send(DiskInput::Stop).is_ok(),
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

fn view_config(rules: &Rules) -> ViewConfig {
    ViewConfig {
        chain_id: rules.domain.l2_chain_id,
        ctx: rules.domain.ctx(),
        ..ViewConfig::default()
    }
}

/// The door for RPC: queue here, remember the sender, pass on to the leader.
fn door(
    submitter: Arc<Submitter>,
    cache: Arc<TxCache>,
    forward: Sender<Bytes>,
) -> crate::rpc::Submit {
    Arc::new(move |tx: &Arc<Tx>| -> Result<Admitted, SubmitError> {
        let admitted = submitter.submit(tx)?;
        cache.put(tx);
        if forward.try_send(tx.raw.clone()).is_err() {
            tracing::warn!(tx = %tx.hash, "too many transactions to forward; it waits here");
        }
        Ok(admitted)
    })
}

#[expect(clippy::disallowed_methods, reason = "the one async task of the sequencer itself")]
fn spawn_asks(
    asks: tokio::sync::mpsc::Receiver<(u16, rota_types::wire::Request)>,
    p2p: &rota_p2p::Handle,
    verifier: &Verifier,
    doors: (Sender<inbound::RawFrame>, Sender<ReplicaInput>),
) {
    tokio::spawn(inbound::ask(asks, p2p.clone(), verifier.clone(), doors));
}

/// Heights that were decided but had not reached the database are put there from the frame log; what is
/// left are the undecided frames.
fn catch_up_store(
    store: &Blocks,
    records: &[Vec<u8>],
    verifier: &Verifier,
) -> eyre::Result<Vec<Arc<Frame>>> {
    let mut frames = Vec::new();
    let mut decided = Vec::new();
    for bytes in records {
        match read_record(bytes).wrap_err("the frame log is damaged")? {
            FrameRecord::Frame(frame) => frames.push(Arc::new(verifier.verify(frame)?)),
            FrameRecord::Decided(header, certificate) => decided.push((header, certificate)),
        }
    }
    decided.sort_by_key(|(h, _)| h.height());
    let mut head = store.decided_head()?.map_or(0, |h| h.height);
    let mut context = match store.get(rota_store::Tree::Meta, chain::CONTEXT)? {
        Some(bytes) => chain::decode_context(&bytes)?,
        None => {
            let genesis_hash = verifier.rules.domain.genesis_hash;
            rota_preconf::HeightContext::genesis(&verifier.rules, genesis_hash)
        }
    };
    for (header, certificate) in decided {
        if header.height() != head.saturating_add(1) {
            continue;
        }
        let own: Vec<Arc<Frame>> = path(&frames, &context, &header);
        let Some(close) = own.last().map(|f| f.signed.header.clone()) else { break };
        let value_id = header.value_id(&verifier.rules.domain);
        let next = context.after(&header, value_id, &close, &verifier.rules);
        let height = DecidedHeight {
            header,
            certificate,
            frames: own.iter().map(|f| (*f.signed).clone()).collect(),
        };
        let mut batch = rota_store::BlockBatch::default();
        batch.height(&height, value_id);
        let meta = chain::encode_context(&next);
        batch.put(rota_store::Tree::Meta, chain::CONTEXT, meta);
        store.commit(batch)?;
        head = head.saturating_add(1);
        context = next;
        tracing::info!(height = head, "decided height restored from the frame log");
    }
    store.flush()?;
    frames.retain(|f| f.g() > context.base.g);
    Ok(frames)
}

/// The frames of a decided height, by their links.
fn path(
    frames: &[Arc<Frame>],
    context: &rota_preconf::HeightContext,
    header: &rota_types::Header,
) -> Vec<Arc<Frame>> {
    let mut out = Vec::new();
    let mut at = header.last_frame_hash;
    while at != context.base.hash {
        let Some(frame) = frames.iter().rev().find(|f| f.hash == at) else { return Vec::new() };
        at = frame.prev();
        out.push(Arc::clone(frame));
    }
    out.reverse();
    out
}

/// Executes decided heights above the newest settled block again.
fn replay_heights(
    chain: &mut ChainThread,
    restored: &chain::Restored,
) -> eyre::Result<Vec<Arc<chain::Sealed>>> {
    let mut settled = Vec::new();
    for (decided, frames) in &restored.heights {
        let value_id = decided.certificate.value_id;
        for frame in frames {
            let closes = frame.g() == decided.header.last_g;
            chain.accept(frame, closes.then_some(value_id))?;
        }
        settled.extend(chain.decide(&decided.header, &decided.certificate));
    }
    Ok(settled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_survives_the_store() {
        let context = rota_preconf::HeightContext {
            height: 9,
            parent_id: Default::default(),
            cursor: rota_preconf::Cursor { cursor: 3, window_left: 2 },
            history: Default::default(),
            parent_env: None,
            sealed: true,
            base: rota_preconf::Link { g: 77, hash: Default::default(), timestamp_ms: 5 },
            stream: rota_preconf::Stream {
                term: rota_types::Term { height: 4, round: 1 },
                leader: 2,
                init_hash: Default::default(),
                next_seq: 8,
            },
        };
        let bytes = chain::encode_context(&context);
        assert_eq!(chain::decode_context(&bytes).unwrap(), context);
    }
}
