//! The deciding part of a sequencer: consensus, frames, acks and round changes in one sans-IO machine.
//!
//! Not for: verifying frames (they come verified), executing them, or touching disk and network.
//! Invariants: an output that needs durability says so; nothing is signed without the guard's consent; the
//! accepted chain at a height and round is the chain of one leader (`docs/protocol.md`, "Rules").

mod acks;
mod asks;
mod change;
mod decide;
mod evidence;
mod frames;
mod io;
mod justify;
mod lags;
mod later;
mod lead;
mod listen;
mod open;
mod origins;
mod own;
mod perform;
mod restore;
mod rounds;
mod seats;
mod sync;
mod timers;

pub use io::{Decided, Input, Output, Retract, Synced, To};
pub use listen::{Elsewhere, Observe};
pub use seats::{Identity, PeerNo};

use crate::machine::{Fatal, Machine};
use alloy_primitives::B256;
use rota_preconf::{
    AckTally, Chain, Docket, Epoch, FrameBuilder, FramePool, HeightContext, Rules, StatusBook,
    Watch, WatchLimits,
};
use rota_store::Watermarks;
use rota_types::{Millis, Term, Tx, wire::Message};
use seats::{Keys, Seats};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use timers::Timers;

/// What a replica starts from.
#[derive(Debug)]
pub struct Restored {
    /// The height to decide next.
    pub context: HeightContext,
    /// The peers of each set in the book, by index.
    pub peers: BTreeMap<u64, Vec<PeerNo>>,
    /// What each of the own keys has signed, with `restarted` called; in the order of `Identity::pairs`.
    pub guards: Vec<Watermarks>,
    /// Entries of the write-ahead log.
    pub wal: Vec<Vec<u8>>,
    /// Frames of the frame log, verified.
    pub frames: Vec<Arc<rota_preconf::Frame>>,
    /// How long to listen before signing: where the others are, and, if the guard is empty, whether anyone is
    /// ahead. Zero for a key that is known to be new.
    pub listen_ms: Millis,
}

/// The state machine.
pub struct Replica {
    seats: Seats,
    /// The keys that are in the set in force.
    keys: Option<Keys>,
    /// In force at the height.
    epoch: Arc<Epoch>,
    rules: Rules,
    machine: Machine,
    /// What the keys in force have signed, and which of the own keys they are.
    guard: Watermarks,
    pair: usize,
    /// Guards of the other keys.
    guards: BTreeMap<usize, Watermarks>,
    chain: Chain,
    pool: FramePool,
    acks: AckTally,
    statuses: StatusBook,
    timers: Timers,
    height: u64,
    round: u32,
    leader: u16,
    finished: bool,
    /// The machine that finalised was given up.
    abandoned: bool,
    open: open::Open,
    future: BTreeMap<u64, Vec<(PeerNo, Message)>>,
    origins: origins::Origins,
    /// Leaders, by epoch and index, that signed two frames for one place of a term.
    equivocators: BTreeSet<(Term, u64, u16)>,
    lead: lead::Lead,
    sync: sync::Sync,
    /// What others signed, for evidence.
    witnessed: Watch,
    /// What of it waits for an own CLOSE.
    docket: Docket,
    acked: (u64, u32, u64),
    acked_hash: B256,
    certified: u64,
    tallied: u64,
    tokens: u64,
    observing: bool,
    listen: listen::Listen,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica")
            .field("index", &self.index())
            .field("height", &self.height)
            .field("round", &self.round)
            .field("tip", &self.chain.tip().g)
            .finish_non_exhaustive()
    }
}

impl Replica {
    /// A replica that has not started.
    #[must_use]
    pub fn new(identity: Identity, mut rules: Rules, restored: &Restored) -> Self {
        let height = restored.context.height;
        let witnessed = Watch::new(rules.domain.clone(), WatchLimits::default());
        // What the chain builds on was known when it was built on.
        rules.epochs.reach(restored.context.parent_env.as_ref().map_or(0, |p| p.l1_number));
        let epoch = Arc::clone(&restored.context.epoch);
        let seats = change::seated(identity, &rules, &epoch, restored);
        let keys = seats.keys(epoch.number());
        let pair = change::pair(&seats, epoch.number());
        let mut guards: BTreeMap<usize, Watermarks> =
            (0usize..).zip(restored.guards.iter().cloned()).collect();
        let guard = guards.remove(&pair).unwrap_or_default();
        // A key that voted at this height, or signed above, may only go on with the log of what it did:
        // without the log the replica follows until the height is behind it. An ack or a term of this
        // height alone binds by the guard.
        let signed = restore::signed_at(&guard, height);
        let logged = restored.wal.iter().any(|e| crate::wal::height(e) == Some(height));
        let trusted =
            restored.listen_ms == 0 || change::handed_over(&guards, height, change::HANDED_OVER);
        let unknown = guard.newest().is_none() && !trusted;
        let observing = (signed && !logged) || unknown || guard.floor() >= height;
        let voter = keys.as_ref().filter(|_| !observing);
        let machine = change::machine(&restored.context, &rules.domain, voter);
        Self {
            seats,
            keys,
            epoch,
            rules,
            machine,
            guard,
            pair,
            guards,
            chain: Chain::new(restored.context.clone()),
            pool: restore::held(&restored.frames),
            acks: AckTally::default(),
            statuses: StatusBook::default(),
            timers: Timers::default(),
            height,
            round: 0,
            leader: 0,
            finished: false,
            abandoned: false,
            open: open::Open::default(),
            future: BTreeMap::new(),
            origins: origins::Origins::default(),
            equivocators: BTreeSet::new(),
            lead: lead::Lead::default(),
            sync: sync::Sync::default(),
            witnessed,
            docket: Docket::default(),
            acked: (0, 0, 0),
            acked_hash: B256::ZERO,
            certified: 0,
            tallied: 0,
            tokens: 0,
            observing,
            listen: listen::Listen::new(restored.listen_ms, unknown),
        }
        .recall(&restored.wal, &restored.frames)
        .remember()
    }

    /// This replica's index, if it is in the set in force.
    #[must_use]
    pub fn index(&self) -> Option<u16> {
        self.keys.as_ref().map(|k| k.index)
    }
    /// The epoch in force at the height being decided.
    #[must_use]
    pub const fn epoch(&self) -> &Arc<Epoch> {
        &self.epoch
    }
    /// Height and round being decided.
    #[must_use]
    pub const fn place(&self) -> (u64, u32) {
        (self.height, self.round)
    }
    /// Leader of the current round.
    #[must_use]
    pub const fn leader(&self) -> u16 {
        self.leader
    }
    /// Who takes over if the leader of this round fails, or after its window.
    #[must_use]
    pub fn next_leader(&self) -> u16 {
        let base = self.chain.base();
        let rounds = u32::try_from(self.epoch.set().len()).unwrap_or(u32::MAX).saturating_mul(8);
        (self.round.saturating_add(1)..=self.round.saturating_add(rounds))
            .map(|r| base.epoch.schedule().leader(base.cursor, r))
            .find(|l| *l != self.leader)
            .unwrap_or(self.leader)
    }
    /// The accepted chain.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }
    /// What the keys in force have signed.
    #[must_use]
    pub const fn guard(&self) -> &Watermarks {
        &self.guard
    }
    /// Whether it follows without signing for now; `observe` says why.
    #[must_use]
    pub fn observing(&self) -> bool {
        self.observe().is_some()
    }
    /// Frames held above the last decided height.
    #[must_use]
    pub fn pooled(&self) -> usize {
        self.pool.len()
    }
    /// A frame held above the last decided height.
    #[must_use]
    pub fn frame(&self, hash: &B256) -> Option<&Arc<rota_preconf::Frame>> {
        self.pool.get(hash)
    }
    /// The frames from `from_g` to the frame `tip`, if all are here.
    #[must_use]
    pub fn frames_to(&self, from_g: u64, tip: &B256) -> Vec<Arc<rota_preconf::Frame>> {
        let mut out = Vec::new();
        let mut at = *tip;
        while let Some(frame) = self.pool.get(&at).filter(|f| f.g() >= from_g) {
            at = frame.prev();
            out.push(Arc::clone(frame));
        }
        out.reverse();
        out
    }

    /// Starts, or goes on after a restart from the log.
    pub fn start(
        &mut self,
        now: Millis,
        wal: &[Vec<u8>],
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        let room = self.chain.room(None);
        for frame in self.chain.frames() {
            let closed = self.closes(frame);
            out.push(Output::Accepted { frame: Arc::clone(frame), closed, room });
        }
        out.push(Output::Keys(self.pair));
        let place = (self.height, self.chain.base().is_first());
        self.listen.begin(now, place, self.two_windows());
        if !self.wait_to_start(now, wal) {
            self.begin(now, wal, out)?;
        }
        self.tell_observing();
        Ok(())
    }

    /// Begins to take part, or to follow, at the height of the start.
    fn begin(&mut self, now: Millis, wal: &[Vec<u8>], out: &mut Vec<Output>) -> Result<(), Fatal> {
        self.timers.heard(now);
        let members = self.members();
        let height = self.height;
        let mut acts = Vec::new();
        let logged = wal.iter().any(|e| crate::wal::height(e) == Some(height));
        if !logged || self.observing {
            self.machine.start(height, members, &mut self.guard, &mut acts)?;
        } else {
            let lost = std::mem::take(&mut self.open.logged.lost);
            self.machine.replay(height, members, wal, &lost, &mut self.guard, &mut acts)?;
        }
        self.perform(now, acts, out)?;
        self.settle(now, out)
    }

    /// Takes one input. Call `flush` after a group of inputs.
    pub fn step(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Fatal> {
        self.watch(&input, out)?;
        self.note_lag(&input)?;
        let Some(input) = self.hold_back(now, input, out)? else { return Ok(()) };
        let before = out.len();
        self.notice_pause(now, out);
        match input {
            Input::Frame { frame, from } => self.on_frame(now, frame, from, out),
            Input::Message { from, message } => {
                self.witness_message(&message, out);
                self.on_message(now, from, message, out)?;
            }
            Input::Txs(txs) => self.on_txs(txs, out),
            Input::Origin(env) => {
                self.read_l1(env.l1_number);
                self.origins.insert(env);
                self.extend(now, out);
            }
            Input::L1Read(number) => self.read_l1(number),
            Input::Set { epoch, peers } => self.on_set(epoch, peers),
            Input::Durable(token) => self.on_durable(now, token, out),
            Input::Justification { from, what } => self.on_justification(from, *what, out),
            Input::Signed { from, .. } => self.listen.answered_by(from),
            Input::Evidence(evidence) => self.on_evidence(&evidence),
            Input::Synced { from, heights } => self.on_synced(now, from, heights, out)?,
            Input::Lag { .. } | Input::Tick => {}
        }
        self.tick(now, out)?;
        self.settle(now, out)?;
        self.tell_observing();
        self.accused(out.get(before..).unwrap_or_default())
    }

    /// Cuts frames and gives acks for everything taken since the last flush.
    pub fn flush(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Fatal> {
        if self.listen.held() {
            return Ok(());
        }
        self.cut(now, out)?;
        self.settle(now, out)?;
        self.give_ack(out)?;
        self.tally(now, out);
        Ok(())
    }

    /// When `Input::Tick` is due.
    #[must_use]
    pub fn next_deadline(&self, now: Millis) -> Option<Millis> {
        [
            self.timers.next(),
            self.cut_at(now),
            self.sync.deadline(),
            self.poll_at(),
            self.listen.deadline(),
            self.open.asks.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what follows from the state until nothing does.
    fn settle(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Fatal> {
        loop {
            let moved = self.begin_next(now, out)?
                || self.offer(now, out)?
                || self.try_init(now, out)?
                || self.propose(now, out)?
                || self.retry_proposals(now, out)?;
            if !moved {
                break;
            }
        }
        self.open_term(now, out);
        Ok(())
    }

    fn next_token(&mut self) -> u64 {
        self.tokens = self.tokens.wrapping_add(1);
        self.tokens
    }

    const fn builder(&self) -> Option<&FrameBuilder> {
        self.lead.builder()
    }
}

/// Transactions waiting to be framed.
pub(crate) type Batch = Vec<Arc<Tx>>;
