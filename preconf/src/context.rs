//! What a height inherits from the heights before it, and the rules that are the same for an epoch.
//!
//! Not for: frames (`Chain` checks them one by one).
//! Invariant (I-9): the context of a height is a pure function of the context before, the header and its
//! CLOSE frame.

use crate::{Cursor, Mutation, Schedule};
use alloy_primitives::B256;
use rota_types::{ChainParams, Close, Domain, Env, Flags, FrameHeader, Header, Mmr, Term};

/// What is the same for every height of an epoch.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Epoch of the set.
    pub epoch: u64,
    /// Who leads when.
    pub schedule: Schedule,
    /// Shared parameters.
    pub params: ChainParams,
    /// Signature context.
    pub domain: Domain,
    /// The rule that a test has switched off.
    #[cfg(feature = "mutations")]
    pub mutation: Option<Mutation>,
}

impl Rules {
    /// The rules of an epoch, all in force.
    #[must_use]
    pub const fn new(epoch: u64, schedule: Schedule, params: ChainParams, domain: Domain) -> Self {
        Self {
            epoch,
            schedule,
            params,
            domain,
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

/// Everything that a height inherits from the frames before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeightContext {
    /// The height.
    pub height: u64,
    /// Value id of the height before, zero at the first.
    pub parent_id: B256,
    /// Leader cursor in force.
    pub cursor: Cursor,
    /// Value ids of all heights before.
    pub history: Mmr,
    /// Environment of the height before.
    pub parent_env: Option<Env>,
    /// Whether the height before sealed its execution block.
    pub sealed: bool,
    /// Last frame of the height before.
    pub base: Link,
    /// Stream that is active in round 0.
    pub stream: Stream,
}

impl HeightContext {
    /// The first height of the rollup, on top of nothing.
    #[must_use]
    pub fn genesis(rules: &Rules, genesis_hash: B256) -> Self {
        let cursor = rules.schedule.start();
        let term = Term { height: 1, round: 0 };
        let leader = rules.schedule.leader(cursor, 0);
        Self {
            height: 1,
            parent_id: B256::ZERO,
            cursor,
            history: Mmr::default(),
            parent_env: None,
            sealed: true,
            base: Link { g: 0, hash: genesis_hash, timestamp_ms: 0 },
            stream: Stream { term, leader, init_hash: B256::ZERO, next_seq: 0 },
        }
    }

    /// The context after `header`, whose CLOSE frame is `close`.
    #[must_use]
    pub fn after(
        &self,
        header: &Header,
        value_id: B256,
        close: &FrameHeader,
        rules: &Rules,
    ) -> Self {
        let height = self.height.saturating_add(1);
        let cursor = rules.schedule.next(&header.close);
        let term = rules.schedule.active(height, cursor, header.close.term);
        let stream = if term == header.close.term {
            Stream {
                term,
                leader: close.leader,
                init_hash: close.init_hash,
                next_seq: close.seq.saturating_add(1),
            }
        } else {
            let leader = rules.schedule.leader(cursor, 0);
            Stream { term, leader, init_hash: B256::ZERO, next_seq: 0 }
        };
        let mut history = self.history.clone();
        history.push(value_id);
        Self {
            height,
            parent_id: value_id,
            cursor,
            history,
            parent_env: Some(header.env.clone()),
            sealed: close.flags.has(Flags::SEAL),
            base: Link {
                g: header.last_g,
                hash: header.last_frame_hash,
                timestamp_ms: close.timestamp_ms,
            },
            stream,
        }
    }

    /// Seconds of the execution block that a height opened at `timestamp_ms` belongs to.
    #[must_use]
    pub fn second(&self, timestamp_ms: u64) -> u64 {
        let own = timestamp_ms / 1000;
        self.parent_env
            .as_ref()
            .map_or(own, |env| own.max(env.timestamp_s.saturating_add(u64::from(self.sealed))))
    }

    /// The close body of this height when `stream` closes it.
    #[must_use]
    pub fn close(&self, stream: &Stream, rules: &Rules) -> Close {
        Close {
            generation: rules.domain.generation,
            epoch: rules.epoch,
            height: self.height,
            parent_id: self.parent_id,
            term: stream.term,
            closer: stream.leader,
            cursor: self.cursor.cursor,
            window_left: self.cursor.window_left,
            jailed_bitmap_hash: B256::ZERO,
            evidence_root: B256::ZERO,
            next_set_hash: B256::ZERO,
            insured_total: 0,
            exec_lag_height: 0,
            exec_lag_root: B256::ZERO,
            history_root: self.history.root(),
        }
    }

    /// Whether a term that closes this height with `close` ends there.
    #[must_use]
    pub fn ends_term(&self, close: &Close, rules: &Rules) -> bool {
        rules.schedule.next(close).window_left == rules.schedule.window()
    }
}
