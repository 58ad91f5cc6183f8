//! What a height inherits from the heights before it, and the rules that are the same for all heights.
//!
//! Not for: frames (`Chain` checks them one by one).
//! Invariant (I-9): the context of a height is a pure function of the context before, the header and its
//! CLOSE frame.

use crate::{
    Conviction, Cursor, Epoch, Epochs, Insured, Lags, Mutation,
    jail::{evidence_root, sentence},
};
use alloy_primitives::B256;
use rota_types::{
    ChainParams, Close, Domain, Env, Flags, FrameHeader, Header, Mmr, Term, jailed_hash,
};
use std::sync::Arc;

/// What is the same for every height.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The sets that are known, and when each is in force.
    pub epochs: Epochs,
    /// Shared parameters.
    pub params: ChainParams,
    /// Signature context.
    pub domain: Domain,
    /// What execution gave at the last checkpoints.
    pub lags: Lags,
    /// The rule that a test has switched off.
    #[cfg(feature = "mutations")]
    pub mutation: Option<Mutation>,
}

impl Rules {
    /// All rules, in force.
    #[must_use]
    pub fn new(epochs: Epochs, params: ChainParams, domain: Domain) -> Self {
        Self {
            epochs,
            params,
            domain,
            lags: Lags::default(),
            #[cfg(feature = "mutations")]
            mutation: None,
        }
    }

    /// Whether a test has switched this rule off.
    #[cfg(feature = "mutations")]
    #[must_use]
    pub fn off(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Whether a test has switched this rule off: never, in a program.
    #[cfg(not(feature = "mutations"))]
    #[must_use]
    pub const fn off(&self, _: Mutation) -> bool {
        false
    }
}

/// The tip that the next frame must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Position.
    pub g: u64,
    /// Frame hash.
    pub hash: B256,
    /// Timestamp, milliseconds.
    pub timestamp_ms: u64,
}

/// The stream of one leader that may continue the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Its term.
    pub term: Term,
    /// Its leader.
    pub leader: u16,
    /// Its TermInit, zero in round 0.
    pub init_hash: B256,
    /// Next position in the term.
    pub next_seq: u32,
}

impl Stream {
    /// The term that the schedule gives a leader at the start of `height`.
    fn scheduled(epoch: &Epoch, cursor: Cursor, height: u64) -> Self {
        let leader = epoch.schedule().leader(cursor, 0);
        let term = Term { height, round: 0 };
        Self { term, leader, init_hash: B256::ZERO, next_seq: 0 }
    }
}

/// What ends a height, besides its header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closing<'a> {
    /// The CLOSE frame.
    pub(crate) frame: &'a FrameHeader,
    /// Who is jailed from the next height on.
    pub(crate) jailed: u64,
}

/// What the first height after a fallback stands on.
#[derive(Debug, Clone)]
pub struct Resumption {
    /// The newest height that L1 alone gave.
    pub height: u64,
    /// Its value id.
    pub value_id: B256,
    /// What the first frame names as the one before it: the value id, or the genesis hash if there is no height.
    pub base_hash: B256,
    /// Value ids of all heights up to it.
    pub history: Mmr,
    /// Position of its last frame.
    pub last_g: u64,
    /// Its second; as origin the last L1 block of the fallback.
    pub env: Env,
}

/// Everything that a height inherits from the frames before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeightContext {
    /// The height.
    pub height: u64,
    /// The epoch in force: whose set leads, acks and decides.
    pub epoch: Arc<Epoch>,
    /// Value id of the height before, zero at the first.
    pub parent_id: B256,
    /// Leader cursor in force.
    pub cursor: Cursor,
    /// Value ids of all heights before.
    pub history: Mmr,
    /// Environment of the height before.
    pub parent_env: Option<Env>,
    /// The first height after a fallback: the origin of `parent_env` is the last L1 block of the fallback, and that of
    /// this height lies above.
    pub resumed: bool,
    /// Whether the height before sealed its execution block.
    pub sealed: bool,
    /// Last frame of the height before.
    pub base: Link,
    /// Stream that is active in round 0.
    pub stream: Stream,
    /// Insured amounts before it.
    pub insured: Insured,
}

impl HeightContext {
    /// The first height of the rollup, on top of nothing, in its first epoch.
    #[must_use]
    pub fn genesis(epoch: &Arc<Epoch>, genesis_hash: B256) -> Self {
        let cursor = epoch.schedule().start();
        let stream = Stream::scheduled(epoch, cursor, 1);
        Self {
            height: 1,
            epoch: Arc::clone(epoch),
            parent_id: B256::ZERO,
            cursor,
            history: Mmr::default(),
            parent_env: None,
            resumed: false,
            sealed: true,
            base: Link { g: 0, hash: genesis_hash, timestamp_ms: 0 },
            stream,
            insured: Insured::default(),
        }
    }

    /// The first height after a fallback, in the epoch of its emergency set, on top of what L1 alone gave. What was
    /// insured before is void with the generation before.
    #[must_use]
    pub fn resumption(epoch: &Arc<Epoch>, on: Resumption) -> Self {
        let cursor = epoch.schedule().start();
        let height = on.height.saturating_add(1);
        Self {
            height,
            epoch: Arc::clone(epoch),
            parent_id: on.value_id,
            cursor,
            history: on.history,
            parent_env: Some(on.env),
            resumed: true,
            sealed: true,
            // The clocks of leaders go on whatever time L1 gave the blocks of the fallback.
            base: Link { g: on.last_g, hash: on.base_hash, timestamp_ms: 0 },
            stream: Stream::scheduled(epoch, cursor, height),
            insured: Insured::default(),
        }
    }

    /// Whether nobody can have signed for a height before this one in its generation.
    #[must_use]
    pub const fn is_first(&self) -> bool {
        self.resumed || self.height == 1
    }

    /// The context after `header`, whose CLOSE frame is `close`; `None` if the epoch that its origin gives is not
    /// known here.
    #[must_use]
    pub(crate) fn after(
        &self,
        header: &Header,
        value_id: B256,
        Closing { frame: close, jailed }: Closing<'_>,
        rules: &Rules,
    ) -> Option<Self> {
        let height = self.height.saturating_add(1);
        let jailed = if rules.off(Mutation::JailedLead) { 0 } else { jailed };
        let epoch = Arc::clone(self.next_epoch(&header.env, rules)?);
        let (cursor, stream) = if epoch.number() == self.epoch.number() {
            self.go_on(header, close, jailed)
        } else {
            // A set begins at the start of its schedule, with a term of its own, when all before is decided.
            let cursor = epoch.schedule().start();
            (cursor, Stream::scheduled(&epoch, cursor, height))
        };
        let before = if epoch.number() == self.epoch.number() { close.insured_cum } else { 0 };
        let insured = Insured { total: header.close.insured_total, before, ..Insured::default() };
        let mut history = self.history.clone();
        history.push(value_id);
        Some(Self {
            height,
            epoch,
            parent_id: value_id,
            cursor,
            history,
            parent_env: Some(header.env.clone()),
            resumed: false,
            sealed: close.flags.has(Flags::SEAL),
            base: Link {
                g: header.last_g,
                hash: header.last_frame_hash,
                timestamp_ms: close.timestamp_ms,
            },
            stream,
            insured,
        })
    }

    /// Cursor and stream of the next height in the same epoch.
    fn go_on(&self, header: &Header, close: &FrameHeader, jailed: u64) -> (Cursor, Stream) {
        let height = self.height.saturating_add(1);
        let schedule = self.epoch.schedule();
        let cursor = schedule.next(&header.close, self.cursor.jailed, jailed);
        let term = schedule.active(height, cursor, header.close.term);
        if term != header.close.term {
            return (cursor, Stream::scheduled(&self.epoch, cursor, height));
        }
        let stream = Stream {
            term,
            leader: close.leader,
            init_hash: close.init_hash,
            next_seq: close.seq.saturating_add(1),
        };
        (cursor, stream)
    }

    /// The epoch of the height after this one, if this one has the environment `env`; `None` if it is not known
    /// here.
    #[must_use]
    pub fn next_epoch<'a>(&'a self, env: &Env, rules: &'a Rules) -> Option<&'a Arc<Epoch>> {
        let next = rules.epochs.at(env.l1_number)?;
        let late = rules.off(Mutation::OldSet) && next.number() != self.epoch.number();
        let begun = self.parent_env.as_ref().is_some_and(|p| p.l1_number >= next.start());
        Some(if late && !begun { &self.epoch } else { next })
    }

    /// The set's insured total, wei, when this height opens with `env`.
    #[must_use]
    pub fn insured_at(&self, env: &Env) -> u128 {
        let blocks =
            self.parent_env.as_ref().map_or(0, |p| env.l1_number.saturating_sub(p.l1_number));
        self.insured.drained(self.epoch.total(), blocks)
    }

    /// Seconds of the execution block that a height opened at `timestamp_ms` belongs to.
    #[must_use]
    pub fn second(&self, timestamp_ms: u64) -> u64 {
        let own = timestamp_ms / 1000;
        self.parent_env
            .as_ref()
            .map_or(own, |env| own.max(env.timestamp_s.saturating_add(u64::from(self.sealed))))
    }

    /// The close body of this height, opened with `env` and with `insured_cum` insured in it, when `stream` closes it; `None` if the epoch of the next
    /// height, or the checkpoint that it names, is not known here.
    #[must_use]
    pub fn close(
        &self,
        stream: &Stream,
        env: &Env,
        insured_cum: u128,
        rules: &Rules,
    ) -> Option<Close> {
        let next = self.next_epoch(env, rules)?;
        let last = next.number() != self.epoch.number();
        let (exec_lag_height, exec_lag_root) = rules.lags.at(self.height)?;
        Some(Close {
            generation: rules.domain.generation,
            epoch: self.epoch.number(),
            height: self.height,
            parent_id: self.parent_id,
            term: stream.term,
            closer: stream.leader,
            cursor: self.cursor.cursor,
            window_left: self.cursor.window_left,
            insured_total: self.insured_at(env).saturating_add(insured_cum),
            jailed_bitmap_hash: if last { B256::ZERO } else { jailed_hash(self.cursor.jailed) },
            next_set_hash: if last { next.set().hash() } else { B256::ZERO },
            exec_lag_height,
            exec_lag_root,
            history_root: self.history.root(),
            ..Close::default()
        })
    }

    /// Puts evidence into the close body of this height, and says who is jailed from the next height on; `None` if the
    /// rules do not allow it: the last height of an epoch has none.
    #[must_use]
    pub fn convict(&self, close: &mut Close, convictions: &[Conviction]) -> Option<u64> {
        let last = !close.next_set_hash.is_zero();
        let jailed = sentence(convictions, self.cursor.jailed)?;
        if convictions.is_empty() || last {
            return convictions.is_empty().then_some(jailed);
        }
        close.evidence_root = evidence_root(convictions);
        close.jailed_bitmap_hash = jailed_hash(jailed);
        Some(jailed)
    }

    /// Whether a term that closes this height with `close` ends there: with its window, or with its epoch. `jailed` are those
    /// of the next height.
    #[must_use]
    pub fn ends_term(&self, close: &Close, jailed: u64) -> bool {
        let schedule = self.epoch.schedule();
        let next = schedule.next(close, self.cursor.jailed, jailed);
        !close.next_set_hash.is_zero() || next.window_left == schedule.window()
    }
}
