//! Deadlines of consensus, and the watch on a silent leader.
//!
//! Invariant: a timer that was cancelled or set again never fires for its old deadline, because a kind and
//! round has one deadline only.

use malachite_types::{Timeout, TimeoutKind};
use rota_types::{ChainParams, Millis};
use std::collections::BTreeMap;

const REBROADCAST_MS: Millis = 1_200;

#[derive(Debug, Default)]
pub(super) struct Timers {
    /// (kind, round) -> deadline.
    set: BTreeMap<(u8, u32), Millis>,
    /// Latest moment to wait for a proposal of a round, however alive its leader seems.
    limits: BTreeMap<u32, Millis>,
    heard: Millis,
}

impl Timers {
    pub(super) fn set(&mut self, now: Millis, timeout: Timeout, params: &ChainParams) {
        let round = timeout.round.as_u32().unwrap_or(0);
        let growth = params.round_delta_ms.saturating_mul(u64::from(round));
        let after = match timeout.kind {
            TimeoutKind::Propose => {
                let silence = params.propose_ms.saturating_add(growth);
                let limit = silence.saturating_add(params.idle_block_ms.max(params.block_ms));
                self.limits.insert(round, now.saturating_add(limit));
                silence
            }
            TimeoutKind::Prevote | TimeoutKind::Precommit => params.vote_ms.saturating_add(growth),
            TimeoutKind::Rebroadcast => REBROADCAST_MS.saturating_add(growth),
            TimeoutKind::FinalizeHeight(_) => 0,
        };
        self.set.insert(key(timeout), now.saturating_add(after));
    }

    pub(super) fn cancel(&mut self, timeout: Timeout) {
        self.set.remove(&key(timeout));
    }

    /// Lets the precommit timer of a round fire at once, if it runs.
    pub(super) fn hurry(&mut self, now: Millis, round: u32) {
        if let Some(deadline) = self.set.get_mut(&(2, round)) {
            *deadline = now;
        }
    }

    pub(super) fn clear(&mut self) {
        self.set.clear();
        self.limits.clear();
    }

    /// The leader of the round showed that it is alive.
    pub(super) const fn heard(&mut self, now: Millis) {
        self.heard = now;
    }

    pub(super) fn next(&self) -> Option<Millis> {
        self.set.values().min().copied()
    }

    /// The next timer that is due. A propose timer waits on while its leader is heard.
    pub(super) fn pop(&mut self, now: Millis, params: &ChainParams) -> Option<Timeout> {
        loop {
            let (&at, _) = self.set.iter().find(|(_, deadline)| **deadline <= now)?;
            self.set.remove(&at);
            let (kind, round) = at;
            let timeout = Timeout::new(malachite_types::Round::new(round), unkind(kind));
            if timeout.kind != TimeoutKind::Propose || round > 0 {
                return Some(timeout);
            }
            let limit = self.limits.get(&round).copied().unwrap_or(now);
            let silent_at = self.heard.saturating_add(params.propose_ms);
            let wait = silent_at.min(limit);
            if wait <= now {
                return Some(timeout);
            }
            self.set.insert(at, wait);
        }
    }
}

const fn key(timeout: Timeout) -> (u8, u32) {
    let kind = match timeout.kind {
        TimeoutKind::Propose => 0,
        TimeoutKind::Prevote => 1,
        TimeoutKind::Precommit => 2,
        TimeoutKind::Rebroadcast => 3,
        TimeoutKind::FinalizeHeight(_) => 4,
    };
    let round = match timeout.round {
        malachite_types::Round::Some(r) => r,
        malachite_types::Round::Nil => 0,
    };
    (kind, round)
}

const fn unkind(kind: u8) -> TimeoutKind {
    match kind {
        0 => TimeoutKind::Propose,
        1 => TimeoutKind::Prevote,
        2 => TimeoutKind::Precommit,
        3 => TimeoutKind::Rebroadcast,
        _ => TimeoutKind::FinalizeHeight(std::time::Duration::ZERO),
    }
}
