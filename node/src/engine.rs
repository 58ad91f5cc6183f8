//! The replica thread: one loop that feeds the sans-IO replica and carries its outputs away in order.
//!
//! Queue: `replica`, bounded; peers' lanes stop being read while it is full. Invariant: outputs go to the
//! disk thread in the order they came, so that no message overtakes the records it relies on.

mod blamed;

use crate::{
    archive::{self, ArchiveInput},
    chain::ChainInput,
    disk::{self, DiskInput},
    inbound::connected,
    sets::Sets,
    slash::Tape,
    web::Progress,
};
use alloy_primitives::B256;
use blamed::Blamed;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use parking_lot::{Mutex, RwLock};
use rota_consensus::{Fatal, Input, Observe, Output, PeerNo, Replica, Synced};
use rota_p2p::{Handle, PeerFault};
use rota_preconf::{Cursor, Epoch, Frame};
use rota_types::{
    Env, Evidence, Justification, Millis, Signed, Tx,
    wire::{Head, Message, Request, Response},
};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

/// A message that comes back to its own sender once durable.
#[derive(Debug)]
pub struct Loopback {
    /// Own number.
    pub from: PeerNo,
    /// The message.
    pub message: Message,
}

/// What the replica thread takes.
#[derive(Debug)]
pub enum ReplicaInput {
    /// A verified frame.
    Frame(Arc<Frame>, PeerNo),
    /// Another message of a validator.
    Message(PeerNo, Box<Message>),
    /// An own message, durable now.
    Loopback(Box<Loopback>),
    /// Executed transactions.
    Txs(Vec<Arc<Tx>>),
    /// A usable L1 origin.
    Origin(Box<Env>),
    /// What L1 forces in up to this block is on disk.
    L1Read(u64),
    /// What execution gave at a checkpoint: its height, and its root.
    Lag(u64, B256),
    /// A sync is done.
    Durable(u64),
    /// Decided heights from a peer.
    Synced(PeerNo, Vec<Synced>),
    /// What a Status rests on, as it was asked for.
    Justification(PeerNo, Box<Justification>),
    /// What a peer has of this key, as it was asked for.
    Signed(PeerNo, Vec<Signed>),
    /// Evidence that this node found, or was shown.
    Evidence(Box<Evidence>),
    /// A set that is frozen, with its peers by index.
    Set(Arc<Epoch>, Vec<PeerNo>),
    /// Answer a peer's question about the undecided height.
    Asked {
        /// The question.
        request: Request,
        /// Where to.
        reply: Sender<Response>,
    },
    /// L1 began this generation at this block: the one of this node is over.
    Over(u32, u64),
    /// Stop.
    Stop,
}

/// What other threads may know of the replica without asking it.
#[derive(Debug, Default)]
pub struct Facts {
    /// Height being decided.
    pub height: AtomicU64,
    /// Its round.
    pub round: AtomicU32,
    /// Leader of the round.
    pub leader: AtomicU16,
    /// Leader of the next window.
    pub next_leader: AtomicU16,
    /// Whether this node leads.
    pub leading: AtomicBool,
    /// Steps of the loop.
    pub progress: Arc<Progress>,
    /// Milliseconds from the leader's CLOSE to the decision here, since they were last collected.
    pub cuts: Mutex<VecDeque<Millis>>,
    /// When the newest height was decided, milliseconds.
    pub decided_at: AtomicU64,
    /// Highest height that a peer claims.
    pub network: AtomicU64,
    /// Why it follows without signing, if it does.
    pub observe: RwLock<Option<Observe>>,
    /// How often this node began to lead, since it was last collected.
    pub led: AtomicU64,
    /// Rounds above 0 entered.
    pub round_changes: AtomicU64,
    /// Newest decided head, for peers.
    pub head: RwLock<Option<Head>>,
    /// Leader cursor in force.
    pub cursor: RwLock<Option<Cursor>>,
}

/// Where outputs go.
#[derive(Debug)]
pub struct Outlets {
    /// Disk thread.
    pub disk: Sender<DiskInput>,
    /// Chain thread.
    pub chain: Sender<ChainInput>,
    /// Archive thread.
    pub archive: Sender<ArchiveInput>,
    /// The network.
    pub p2p: Handle,
    /// Requests to peers, made by an async task.
    pub asks: tokio::sync::mpsc::Sender<(PeerNo, Request)>,
    /// Which set is in force is told here.
    pub sets: Arc<Sets>,
    /// Shared facts.
    pub facts: Arc<Facts>,
    /// What this node signs, beside what others do.
    pub tape: Arc<Tape>,
}

/// Cuts kept for the metrics; the oldest go first.
const MAX_CUTS: usize = 4096;

/// The loop.
pub struct Engine {
    replica: Replica,
    outlets: Outlets,
    now: fn() -> Millis,
    blamed: Blamed,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("place", &self.replica.place()).finish_non_exhaustive()
    }
}

impl Engine {
    /// A loop around a state machine, which has not begun.
    #[must_use]
    pub fn new(replica: Replica, outlets: Outlets, now: fn() -> Millis) -> Self {
        Self { replica, outlets, now, blamed: Blamed::default() }
    }

    /// Starts the replica from its log and runs until told to stop.
    pub fn run(mut self, wal: &[Vec<u8>], inputs: &Receiver<ReplicaInput>) -> Result<(), Fatal> {
        let mut out = Vec::new();
        let now = (self.now)();
        self.enter(self.replica.epoch());
        *self.outlets.facts.cursor.write() = Some(self.replica.chain().base().cursor);
        self.replica.start(now, wal, &mut out)?;
        self.carry(&mut out, now);
        loop {
            let now = (self.now)();
            self.outlets.facts.progress.touch(now);
            let wait = self.replica.next_deadline(now).map_or(1000, |at| at.saturating_sub(now));
            match inputs.recv_timeout(Duration::from_millis(wait.min(1000))) {
                Ok(ReplicaInput::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(input) => self.take(input, &mut out)?,
                Err(RecvTimeoutError::Timeout) => {
                    self.replica.step((self.now)(), Input::Tick, &mut out)?;
                }
            }
            let mut budget = 128u32;
            while budget > 0 {
                match inputs.try_recv() {
                    Ok(ReplicaInput::Stop) => return Ok(()),
                    Ok(input) => self.take(input, &mut out)?,
                    Err(_) => break,
                }
                budget = budget.saturating_sub(1);
            }
            let now = (self.now)();
            self.replica.flush(now, &mut out)?;
            self.carry(&mut out, now);
        }
    }

    fn take(&mut self, input: ReplicaInput, out: &mut Vec<Output>) -> Result<(), Fatal> {
        let input = match input {
            ReplicaInput::Frame(frame, from) => Input::Frame { frame, from },
            ReplicaInput::Message(from, message) => {
                if let Message::Head(head) = message.as_ref() {
                    self.outlets.facts.network.fetch_max(head.height, Ordering::Relaxed);
                }
                self.show_init(&message);
                Input::Message { from, message: *message }
            }
            ReplicaInput::Loopback(l) => {
                self.show_init(&l.message);
                Input::Message { from: l.from, message: l.message }
            }
            ReplicaInput::Txs(txs) => Input::Txs(txs),
            ReplicaInput::Origin(env) => Input::Origin(*env),
            ReplicaInput::L1Read(number) => Input::L1Read(number),
            ReplicaInput::Lag(height, root) => Input::Lag { height, root },
            ReplicaInput::Durable(token) => Input::Durable(token),
            ReplicaInput::Synced(from, heights) => Input::Synced { from, heights },
            ReplicaInput::Justification(from, what) => Input::Justification { from, what },
            ReplicaInput::Signed(from, statements) => Input::Signed { from, statements },
            ReplicaInput::Evidence(evidence) => Input::Evidence(evidence),
            ReplicaInput::Set(epoch, peers) => Input::Set { epoch, peers },
            ReplicaInput::Asked { request, reply } => {
                let answer = self.replica.answer(&request);
                if answer.is_some_and(|answer| reply.try_send(answer).is_err()) {
                    tracing::debug!("who asked is gone");
                }
                return Ok(());
            }
            ReplicaInput::Over(generation, l1_block) => {
                return Err(Fatal::Over { generation, l1_block });
            }
            ReplicaInput::Stop => return Ok(()),
        };
        self.replica.step((self.now)(), input, out)
    }

    /// Receipts name who opened a round.
    fn show_init(&self, message: &Message) {
        let signed = match message {
            Message::TermInit(signed) => Some(signed),
            Message::Proposal(proposal) => proposal.init.as_ref(),
            _ => None,
        };
        if let Some(signed) = signed {
            self.chain(ChainInput::Init(Box::new(signed.init.clone())));
        }
    }

    /// Carries outputs away, in order.
    fn carry(&mut self, out: &mut Vec<Output>, now: Millis) {
        for output in out.drain(..) {
            match output {
                Output::Wal(bytes) => self.disk(DiskInput::Wal(bytes)),
                Output::WalReset => self.disk(DiskInput::WalReset),
                Output::Guard(intent) => self.disk(DiskInput::Guard(intent)),
                Output::Keys(pair) => self.disk(DiskInput::Keys(pair)),
                Output::Epoch { epoch, .. } => self.enter(&epoch),
                Output::Store(frame) => self.disk(DiskInput::Frame(frame)),
                Output::Durable(token) => self.disk(DiskInput::Durable(token)),
                Output::Send { to, message, durable: true } => {
                    self.disk(DiskInput::Send(to, Box::new(message)));
                }
                Output::Send { to, message, durable: false } => {
                    self.outlets.tape.write(&message);
                    disk::send(&self.outlets.p2p, to, &message);
                }
                Output::Accepted { frame, closed, room } => {
                    self.chain(ChainInput::Accepted(frame, closed, room));
                }
                Output::Rewound { g, reason } => {
                    tracing::warn!(to_g = g, reason = reason.name(), "frames retracted");
                    self.chain(ChainInput::Rewound(g, reason.name()));
                }
                Output::Acked { g, weight, certificate } => {
                    let stake = (weight, self.replica.epoch().total());
                    self.chain(ChainInput::Acked(g, stake, certificate));
                }
                Output::Decided(decided) => self.decided(decided, now),
                Output::TakeTxs => self.chain(ChainInput::Take),
                Output::ReturnTxs(txs) => self.chain(ChainInput::Return(txs)),
                other => self.tell(other),
            }
        }
        let (height, round) = self.replica.place();
        let facts = &self.outlets.facts;
        facts.height.store(height, Ordering::Relaxed);
        facts.round.store(round, Ordering::Relaxed);
        facts.next_leader.store(self.replica.next_leader(), Ordering::Relaxed);
        *facts.observe.write() = self.replica.observe();
    }

    fn tell(&mut self, output: Output) {
        let facts = &self.outlets.facts;
        match output {
            Output::Leading(on) => {
                if on && !facts.leading.load(Ordering::Relaxed) {
                    facts.led.fetch_add(1, Ordering::Relaxed);
                }
                facts.leading.store(on, Ordering::Relaxed);
                let (height, round) = self.replica.place();
                tracing::info!(height, round, leading = on, "leadership changed");
            }
            Output::Ask { to, request } => {
                let sent = self.outlets.asks.try_send((to, request));
                if sent.is_err() {
                    tracing::debug!(to = to.0, "too many requests under way");
                }
            }
            Output::Round { height, round, leader } => {
                // Who is told nothing sees every round pass.
                if round > 0 && self.outlets.sets.is_reachable() {
                    facts.round_changes.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(height, round, leader, "round changed");
                }
                facts.leader.store(leader, Ordering::Relaxed);
            }
            Output::Fault { peer, what } => self.blame(peer, &what),
            Output::Evidence(evidence) => {
                let (validator, kind) = (evidence.accused, evidence.kind().name());
                let bytes = alloy_primitives::hex::encode_prefixed(rota_types::Encode::encode(
                    evidence.as_ref(),
                ));
                tracing::error!(validator, kind, evidence = bytes, "a validator can be slashed");
            }
            Output::Misbehaved { epoch, validator, what } => {
                tracing::error!(epoch, validator, what, "a validator signed a contradiction");
            }
            _ => {}
        }
    }

    /// Tells the network of a fault that only the replica can see.
    fn blame(&mut self, number: PeerNo, what: &str) {
        let (height, _) = self.replica.place();
        if !self.blamed.first(number, height) {
            tracing::debug!(peer = number.0, what, "a validator sent something wrong again");
            return;
        }
        tracing::warn!(peer = number.0, what, "a validator sent something wrong");
        if let Some(peer) = connected(&self.outlets.p2p, number) {
            self.outlets.p2p.report(peer.id, PeerFault::BadFrame);
        }
    }

    /// Another set is in force from here on.
    fn enter(&self, epoch: &Epoch) {
        let Outlets { sets, p2p, .. } = &self.outlets;
        sets.enter(epoch.number());
        if let Err(error) = p2p.set_peers(sets.entries()) {
            tracing::error!(%error, "the peers of the set are not dialled");
        }
        if !sets.is_reachable() {
            tracing::info!("in no set that is known: others tell this node nothing, it asks them");
        }
    }

    fn decided(&self, decided: Box<rota_consensus::Decided>, now: Millis) {
        let header = &decided.header;
        let height = header.height();
        let facts = &self.outlets.facts;
        facts.decided_at.store(now, Ordering::Relaxed);
        facts.network.fetch_max(height, Ordering::Relaxed);
        let head = Head { height, value_id: decided.value_id, oldest: 1 };
        *facts.head.write() = Some(head.clone());
        *facts.cursor.write() = Some(decided.next.cursor);
        if let Some(close) = decided.frames.last() {
            let mut cuts = facts.cuts.lock();
            cuts.push_back(now.saturating_sub(close.signed.header.timestamp_ms));
            while cuts.len() > MAX_CUTS {
                cuts.pop_front();
            }
        }
        let txs: usize = decided.frames.iter().map(|f| f.txs.len()).sum();
        let round = decided.certificate.round;
        tracing::debug!(height, round, txs, frames = decided.frames.len(), "decided height");
        let entry = (header.clone(), decided.certificate.clone());
        self.disk(DiskInput::Decided(Box::new(entry)));
        if !archive::hand_over(decided, &self.outlets.archive, &self.outlets.chain) {
            tracing::debug!("the chain thread or the archive has ended");
        }
        disk::send(&self.outlets.p2p, rota_consensus::To::Others, &Message::Head(head));
    }

    fn disk(&self, input: DiskInput) {
        if self.outlets.disk.send(input).is_err() {
            tracing::debug!("the disk thread has ended");
        }
    }

    fn chain(&self, input: ChainInput) {
        if self.outlets.chain.send(input).is_err() {
            tracing::debug!("the chain thread has ended");
        }
    }
}
