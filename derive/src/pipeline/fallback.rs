//! What derivation does by itself when the set is gone (`docs/protocol.md`, "Fallback").
//!
//! Invariant (I-25): from the activation on nothing of an older generation is accepted, and each L1 block that brings
//! something in gives one block: the state is a function of L1, whoever asks and in whatever steps.

use super::{Brought, Pipeline, State};
use crate::{
    AcceptedBatch, DeriveError, Derived, DerivedHeight, Fault, L1Origin, L1Ref, Mode, Skip,
};
use alloy_primitives::{B256, keccak256};
use rota_types::{Close, Env, ForcedTx, Header, Term, tx_root};
use std::sync::Arc;

/// Leader of a height that nobody led.
const NOBODY: u16 = u16::MAX;

impl Pipeline {
    /// A fallback was activated: what is not derived by now is void.
    pub fn fall_back(&mut self, generation: u32, l1: L1Ref) -> Result<Derived, DeriveError> {
        self.check_order(&l1)?;
        self.check_passed(l1.number)?;
        let was = self.generation();
        if was.checked_add(1) != Some(generation) {
            return Err(DeriveError::Generation { got: generation, was });
        }
        let (mut state, mut derived) = (self.state.clone(), Derived::default());
        // Heights that would still have joined the open block are void.
        let span = state.grouping.seal();
        self.complete(&mut state, span, l1, &mut derived);
        state.domain = Arc::new(state.domain.of_generation(generation));
        state.mode = Mode::Fallback { since: l1, until: None };
        derived.resume = None;
        self.commit(state, &derived, l1.number);
        self.seen = (l1.number, Some(l1.hash));
        Ok(derived)
    }

    /// An emergency set was formed: the fallback ends before the L1 block `start`.
    pub fn emergency(&mut self, generation: u32, start: u64, l1: L1Ref) -> Result<(), DeriveError> {
        self.check_order(&l1)?;
        self.check_passed(l1.number)?;
        let Mode::Fallback { since, until: None } = self.state.mode else { return Ok(()) };
        if generation != self.generation() {
            return Err(DeriveError::Generation { got: generation, was: self.generation() });
        }
        let mut state = self.state.clone();
        state.mode = Mode::Fallback { since, until: Some(start) };
        self.commit(state, &Derived::default(), l1.number);
        self.seen = (l1.number, Some(l1.hash));
        Ok(())
    }

    /// Says that everything of L1 blocks up to `upto` was given, and takes what they give by themselves.
    pub fn pass(&mut self, upto: u64) -> Derived {
        let mut derived = Derived::default();
        self.passed = self.passed.max(upto);
        while let Mode::Fallback { since, until } = self.state.mode {
            let last = until.map_or(upto, |until| upto.min(until.saturating_sub(1)));
            if let Some(next) = self.queue.next(self.state.head.l1_number, last).cloned() {
                if !self.force(&next, since, &mut derived) {
                    break;
                }
                continue;
            }
            if let Some(floor) = until.and_then(|u| u.checked_sub(1)).filter(|f| *f <= upto) {
                let mut state = self.state.clone();
                state.mode = Mode::Resumed(floor);
                self.commit(state, &Derived::default(), floor);
            }
            break;
        }
        derived
    }

    /// What L1 blocks below this one give must have been taken.
    pub(super) fn check_passed(&self, l1_number: u64) -> Result<(), DeriveError> {
        let before = l1_number.saturating_sub(1);
        match self.state.mode {
            _ if self.passed >= l1_number => {
                Err(DeriveError::Order { got: l1_number, seen: self.passed.saturating_add(1) })
            }
            Mode::Fallback { .. } if self.passed < before => Err(DeriveError::Pass(before)),
            _ => Ok(()),
        }
    }

    /// The height and the block of one L1 block that forces something in. False if seconds have run out.
    fn force(
        &mut self,
        Brought { block: l1, forced: entries, .. }: &Brought,
        since: L1Ref,
        derived: &mut Derived,
    ) -> bool {
        let mut state = self.state.clone();
        let header = self.forced_header(&state, l1, entries);
        let value_id = header.value_id(&state.domain);
        let height = DerivedHeight { header, value_id, txs: Arc::default() };
        // What waited in the queue at the activation is executed because of it.
        let at = if l1.number > since.number {
            L1Ref { number: l1.number, hash: l1.hash, tx_hash: B256::ZERO }
        } else {
            since
        };
        let mut new = Derived::default();
        if self.push(&mut state, height, at, &mut new).is_err() {
            return false;
        }
        let span = state.grouping.seal();
        self.complete(&mut state, span, at, &mut new);
        new.resume = None;
        self.commit(state, &new, at.number);
        derived.heights.extend(new.heights);
        derived.blocks.extend(new.blocks);
        true
    }

    /// A header that nobody signed: everything in it follows from L1 and the head.
    fn forced_header(&self, state: &State, l1: &L1Origin, entries: &[ForcedTx]) -> Header {
        let head = &state.head;
        let height = head.height.saturating_add(1);
        let newest = state.grouping.open().map_or(state.grouping.second(), |s| s.env.timestamp_s);
        let env = Env {
            timestamp_s: l1.timestamp.max(newest.saturating_add(1)),
            l1_number: l1.number,
            l1_hash: l1.hash,
            gas_limit: self.params.gas_limit,
            prev_randao: l1.prev_randao,
            fee_vault: self.params.fee_vault,
        };
        let close = Close {
            generation: state.domain.generation,
            epoch: head.epoch,
            height,
            parent_id: head.value_id,
            term: Term { height, round: 0 },
            closer: NOBODY,
            cursor: 0,
            window_left: 0,
            jailed_bitmap_hash: B256::ZERO,
            evidence_root: B256::ZERO,
            next_set_hash: B256::ZERO,
            insured_total: 0,
            exec_lag_height: 0,
            exec_lag_root: B256::ZERO,
            history_root: head.history.root(),
        };
        let hashes: Vec<B256> = entries.iter().map(|e| keccak256(&e.tx)).collect();
        let g = head.last_g.saturating_add(1);
        Header {
            env,
            close,
            first_g: g,
            last_g: g,
            txs_root: tx_root(&hashes, &[]),
            frames_root: B256::ZERO,
            last_frame_hash: B256::ZERO,
        }
    }

    /// Heights that anyone posted: they may order transactions and let time pass up to the present, nothing else.
    pub(super) fn derive_uncertified(
        &self,
        batch: &AcceptedBatch,
    ) -> Result<(State, Derived), Skip> {
        let heights = self.linked(batch)?;
        let head = &self.state.head;
        let mut g = head.last_g;
        for height in &heights {
            let (h, env) = (&height.header, &height.header.env);
            g = g.saturating_add(1);
            let no = |what| Err(Skip::Uncertified { height: h.height(), what });
            if (env.l1_number, (env.l1_hash, env.prev_randao)) != (head.l1_number, head.l1) {
                return no("another L1 origin than the head's");
            }
            if (env.gas_limit, env.fee_vault) != (self.params.gas_limit, self.params.fee_vault) {
                return no("another gas limit or fee vault than the network's");
            }
            if env.timestamp_s > batch.l1_timestamp {
                return no("later than the L1 block that it was posted in");
            }
            if (h.close.epoch, h.first_g, h.last_g) != (head.epoch, g, g) {
                return no("another epoch or position than the next");
            }
            if env.timestamp_s < head.timestamp_s || h.close.generation != self.generation() {
                return no("another generation, or time goes back");
            }
        }
        match self.extend(heights, batch.l1) {
            // Nobody certified them: no quorum is at fault.
            Err(Skip::Fault(fault)) => Err(unsigned(fault, head.height)),
            other => other,
        }
    }
}

fn unsigned(fault: Fault, head: u64) -> Skip {
    let height = head.saturating_add(1);
    let what = match fault {
        Fault::Sealed { .. } => "its second is complete",
        Fault::Height { .. } => "not the next height",
        _ => "it does not follow the head",
    };
    Skip::Uncertified { height, what }
}
