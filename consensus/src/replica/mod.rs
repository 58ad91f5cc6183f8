//! The deciding part of a sequencer: consensus, frames, acks and round changes in one sans-IO machine.
//!
//! Not for: verifying frames (they come verified), executing them, or touching disk and network.
//! Invariants: an output that needs durability says so; nothing is signed without the guard's consent; the
//! accepted chain at a height and round is the chain of one leader (`docs/protocol.md`, "Rules").

mod acks;
mod asks;
mod decide;
mod frames;
mod io;
mod justify;
mod later;
mod lead;
mod listen;
mod open;
mod origins;
mod own;
mod perform;
mod restore;
mod rounds;
mod sync;
mod timers;

pub use io::{Decided, Input, Output, Retract, Synced, To};
pub use listen::{Elsewhere, Observe};

use crate::machine::{Fatal, Machine, Setup};
use alloy_primitives::B256;
use rota_preconf::{AckTally, Chain, FrameBuilder, FramePool, HeightContext, Rules, StatusBook};
use rota_store::Watermarks;
use rota_types::{
    LocalSigner, Millis, SeqKey, Signer, Term, Tx, ValidatorSet, VoteKey, wire::Message,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use timers::Timers;

/// Who this replica is. Without keys it follows and never signs.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Index in the set.
    pub index: u16,
    /// Who signs: this process, or another one.
    pub signer: Arc<dyn Signer>,
}

impl Keys {
    /// Keys that are in this process.
    #[must_use]
    pub fn local(index: u16, seq: SeqKey, vote: VoteKey) -> Self {
        Self { index, signer: Arc::new(LocalSigner { seq, vote }) }
    }
}

/// What a replica starts from.
#[derive(Debug)]
pub struct Restored {
    /// The height to decide next.
    pub context: HeightContext,
    /// What this key has signed, with `restarted` called.
    pub guard: Watermarks,
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
    keys: Option<Keys>,
    set: Arc<ValidatorSet>,
    rules: Arc<Rules>,
    machine: Machine,
    guard: Watermarks,
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
    future: BTreeMap<u64, Vec<(u16, Message)>>,
    origins: origins::Origins,
    /// Leaders that signed two frames for one place of a term.
    equivocators: BTreeSet<(Term, u16)>,
    lead: lead::Lead,
    sync: sync::Sync,
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
    pub fn new(
        keys: Option<Keys>,
        set: Arc<ValidatorSet>,
        rules: Arc<Rules>,
        restored: &Restored,
    ) -> Self {
        let height = restored.context.height;
        let domain = Arc::new(rules.domain.clone());
        // A key that voted at this height, or signed above, may only go on with the log of what it did:
        // without the log the replica follows until the height is behind it. An ack or a term of this
        // height alone binds by the guard.
        let signed = restore::signed_at(&restored.guard, height);
        let logged = restored.wal.iter().any(|e| crate::wal::height(e) == Some(height));
        let unknown = restored.guard.newest().is_none() && restored.listen_ms > 0;
        let observing = (signed && !logged) || unknown || restored.guard.floor() >= height;
        let voter = keys.as_ref().filter(|_| !observing);
        let machine = Machine::new(
            height,
            crate::context::Members::new(&set, &rules.schedule, restored.context.cursor),
            Setup {
                me: voter.map(|k| k.index),
                set: Arc::clone(&set),
                domain,
                key: voter.map(|k| Arc::clone(&k.signer)),
            },
        );
        let sync = sync::Sync::new(&set);
        Self {
            keys,
            set,
            rules,
            machine,
            guard: restored.guard.clone(),
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
            sync,
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

    /// This replica's index, if it signs.
    #[must_use]
    pub fn index(&self) -> Option<u16> {
        self.keys.as_ref().map(|k| k.index)
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
        let cursor = self.chain.base().cursor;
        let rounds = u32::try_from(self.set.len()).unwrap_or(u32::MAX).saturating_mul(8);
        (self.round.saturating_add(1)..=self.round.saturating_add(rounds))
            .map(|r| self.rules.schedule.leader(cursor, r))
            .find(|l| *l != self.leader)
            .unwrap_or(self.leader)
    }
    /// The accepted chain.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }
    /// What this replica's keys have signed.
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
        for frame in self.chain.frames() {
            let closed = self.closes(frame);
            out.push(Output::Accepted { frame: Arc::clone(frame), closed });
        }
        self.listen.begin(now, self.height, self.two_windows());
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
        let Some(input) = self.hold_back(now, input, out)? else { return Ok(()) };
        let before = out.len();
        self.notice_pause(now, out);
        match input {
            Input::Frame { frame, from } => self.on_frame(now, frame, from, out),
            Input::Message { from, message } => self.on_message(now, from, message, out)?,
            Input::Txs(txs) => self.on_txs(txs, out),
            Input::Origin(env) => {
                self.origins.insert(env);
                self.extend(now, true, out);
            }
            Input::L1Read(number) => self.origins.read_to(number),
            Input::Durable(token) => self.on_durable(now, token, out),
            Input::Justification { from, what } => self.on_justification(from, *what, out),
            Input::Synced { from, heights } => self.on_synced(now, from, heights, out)?,
            Input::Tick => {}
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
            self.listen.deadline(),
            self.open.asks.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn members(&self) -> crate::context::Members {
        crate::context::Members::new(&self.set, &self.rules.schedule, self.chain.base().cursor)
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
