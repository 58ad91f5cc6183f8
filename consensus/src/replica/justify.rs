//! What must hold before a proposal reaches consensus, and re-proposals.
//!
//! Invariant (I-27): a fresh proposal of a round above 0 reaches consensus only if this replica accepted the
//! opening that it names and its CLOSE is on the accepted chain; a re-proposal only if nothing else was
//! accepted in the round, its polka is known and its frames are here.

use super::{Output, PeerNo, Replica, Retract};
use crate::{machine::Fatal, wal};
use alloy_primitives::B256;
use rota_preconf::{Mutation, Need, gives};
use rota_store::Intent;
use rota_types::{
    Header, Justification, Millis, SignedProposal, SignedTermInit,
    wire::{Message, Request, Response},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Proposals of the round that wait for what justifies them.
const MAX_WAITING: usize = 8;

/// What the write-ahead log told of rounds above 0 at the height of the start.
#[derive(Debug, Default)]
pub(super) struct Logged {
    pub(super) accepted: BTreeMap<u32, Justification>,
    pub(super) statuses: BTreeMap<u32, rota_types::SignedStatus>,
    /// What is in the log already.
    pub(super) known: BTreeSet<B256>,
    /// Values of the log whose frames are not here.
    pub(super) lost: BTreeSet<B256>,
    /// Frames of the frame log.
    pub(super) frames: BTreeSet<B256>,
    /// Frames in the log that were not accepted: what an accepted opening was judged with.
    pub(super) held: BTreeSet<B256>,
}

impl Replica {
    pub(super) fn on_proposal(
        &mut self,
        from: PeerNo,
        proposal: SignedProposal,
        out: &mut Vec<Output>,
    ) {
        let p = &proposal.proposal;
        let base = self.chain.base();
        let leader = base.epoch.schedule().leader(base.cursor, p.round);
        let key = self.epoch.set().get(leader).map(|v| v.vote_key);
        let signed = key.is_some_and(|key| proposal.verify(key, &self.rules.domain).is_ok());
        if p.epoch != self.epoch.number()
            || p.proposer != leader
            || p.value_id != proposal.header.value_id(&self.rules.domain)
            || !signed
        {
            let what = "proposal names a wrong proposer, epoch or header".to_owned();
            out.push(Output::Fault { peer: from, what });
            return;
        }
        if p.round > self.round {
            let round = p.round;
            self.open.later.keep(self.round, round, from, Message::Proposal(Box::new(proposal)));
        } else if self.open.waiting.len() < MAX_WAITING {
            self.open.waiting.push((from, proposal));
        }
    }

    /// Hands over the proposals that are justified by now.
    pub(super) fn retry_proposals(
        &mut self,
        now: Millis,
        out: &mut Vec<Output>,
    ) -> Result<bool, Fatal> {
        self.retry_inits(now, out);
        let mut moved = false;
        for (from, proposal) in std::mem::take(&mut self.open.waiting) {
            let round = proposal.proposal.round;
            if let Some(init) = proposal.init.clone().filter(|_| round == self.round) {
                self.on_init(now, from, Arc::new(init), out);
            }
            if self.justified(now, &proposal, out)? {
                moved = true;
                self.feed(now, Message::Proposal(Box::new(proposal)), out)?;
                if self.finished {
                    return Ok(true);
                }
            } else if round == self.round && self.open.waiting.len() < MAX_WAITING {
                self.open.waiting.push((from, proposal));
            }
        }
        Ok(moved)
    }

    fn justified(
        &mut self,
        now: Millis,
        proposal: &SignedProposal,
        out: &mut Vec<Output>,
    ) -> Result<bool, Fatal> {
        let p = &proposal.proposal;
        // A proposal of a round that is over is never prevoted, but it may be decided.
        if p.round == 0 || p.round < self.round {
            return Ok(true);
        }
        if p.round != self.round {
            return Ok(false);
        }
        if p.pol_round >= 0 {
            return self.take_reproposal(now, proposal, out);
        }
        let on_chain = self.chain.header(self.height).is_some_and(|(_, id)| *id == p.value_id);
        Ok(self.open.accepted == Some(p.init_hash) && on_chain)
    }

    /// Takes a re-proposal as this round's, once its polka is known and its frames are here. It is accepted
    /// when it is prevoted.
    fn take_reproposal(
        &mut self,
        now: Millis,
        proposal: &SignedProposal,
        out: &mut Vec<Output>,
    ) -> Result<bool, Fatal> {
        let p = &proposal.proposal;
        let reference = p.digest(&self.rules.domain);
        if self.open.accepted.or(self.open.taken).is_some_and(|other| other != reference) {
            return Ok(false);
        }
        let Some(polka) = self.machine.polka(p.pol_round, &p.value_id) else { return Ok(false) };
        match gives(&proposal.header, &self.view()) {
            Ok(true) if !self.carried_fits(&proposal.header.last_frame_hash) => return Ok(false),
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(need) => {
                if let Need::Frame(_) = need {
                    let tip = Need::Frame(proposal.header.last_frame_hash);
                    self.ask_member(now, p.proposer, tip, out);
                }
                return Ok(false);
            }
        }
        self.open.taken = Some(reference);
        self.open.polkas.insert((polka.round, polka.value_id), polka);
        if self.open.offered.insert(p.value_id) {
            let header = Arc::new(proposal.header.clone());
            self.offer_value(now, header, p.round, false, out)?;
        }
        Ok(true)
    }

    /// This replica is about to prevote a value: if it is one proposed again, its chain is what counts.
    pub(super) fn on_prevote(&mut self, value_id: &B256, out: &mut Vec<Output>) {
        if self.round == 0 || self.open.init.is_some() {
            return;
        }
        let Some(proposal) = self.machine.reproposal(self.round, value_id) else { return };
        let round = u32::try_from(proposal.proposal.pol_round).unwrap_or(u32::MAX);
        if let Some(polka) = self.open.polkas.get(&(round, *value_id)).cloned() {
            self.adopt(Justification::Reproposal { proposal, polka }, out);
        }
    }

    /// Makes the chain of a re-proposal the accepted one.
    fn adopt(&mut self, what: Justification, out: &mut Vec<Output>) {
        let Justification::Reproposal { proposal, .. } = &what else { return };
        let header = &proposal.header;
        if !self.chain.contains(header.last_g, &header.last_frame_hash) {
            let base = self.chain.base().base.hash;
            let Ok(path) = self.pool.path(&base, &header.last_frame_hash) else { return };
            if let Err(error) = self.switch(&path, Retract::RoundChange, out) {
                tracing::warn!(%error, "re-proposed frames do not chain");
                return;
            }
        }
        let reference = what.reference(&self.rules.domain);
        self.open.accepted = Some(reference);
        self.open.best = (i32::try_from(self.round).unwrap_or(i32::MAX), reference);
        self.keep(what, reference, out);
    }

    /// After a restart: accepts again what the log says was accepted in this round.
    pub(super) fn accept_again(&mut self, now: Millis, round: u32, out: &mut Vec<Output>) {
        match self.open.logged.accepted.remove(&round) {
            Some(Justification::Init(init)) => {
                let hash = init.init.hash(&self.rules.domain);
                if Some(init.init.leader) == self.index() {
                    self.own_again(round, hash, out);
                }
                self.accept_init(now, Arc::new(init), hash, out);
            }
            Some(what) => self.adopt(what, out),
            None => return,
        }
        if self.open.accepted.is_none() {
            // The frames are lost: what would be reported is less than what was accepted.
            tracing::warn!(height = self.height, round, "accepted frames are missing: no reports");
            self.open.mute = true;
        }
    }

    /// Keeps what was accepted, for those who ask and for a restart.
    pub(super) fn keep(&mut self, what: Justification, reference: B256, out: &mut Vec<Output>) {
        if self.open.logged.known.insert(reference) && !self.observing {
            out.push(Output::Wal(wal::accepted(self.height, &what)));
            if let Justification::Init(init) = &what {
                self.keep_foundation(init, out);
            }
        }
        let mut archive = std::mem::take(&mut self.open.archive);
        if let Err(error) = archive.insert(Arc::new(what), &self.view()) {
            tracing::warn!(%error, "what was accepted cannot be kept for others");
        }
        self.open.archive = archive;
    }

    /// What an accepted opening was judged with must outlive a crash as well: whoever reported it may be the only
    /// other one who has it, and may lie.
    fn keep_foundation(&mut self, init: &SignedTermInit, out: &mut Vec<Output>) {
        let (frames, justifications) = self.open.archive.foundation(init, &self.view());
        for frame in frames {
            if !self.chain.contains(frame.g(), &frame.hash)
                && self.open.logged.held.insert(frame.hash)
            {
                self.pool.pin(frame.hash);
                out.push(Output::Wal(wal::held_frame(self.height, &frame.signed)));
            }
        }
        for what in justifications {
            if self.open.logged.known.insert(what.reference(&self.rules.domain)) {
                out.push(Output::Wal(wal::held(self.height, &what)));
            }
        }
    }

    /// An own opening that only the log knows of did not leave before the crash; it will now.
    fn own_again(&mut self, round: u32, init_hash: B256, out: &mut Vec<Output>) {
        let intent = Intent::Term { height: self.height, round, init_hash };
        if self.guard.check_and_record(&intent) == Ok(true) {
            out.push(Output::Guard(intent));
        }
    }

    /// Takes a justification that was asked for.
    pub(super) fn on_justification(
        &mut self,
        from: PeerNo,
        what: Justification,
        out: &mut Vec<Output>,
    ) {
        let reference = what.reference(&self.rules.domain);
        if what.place().0 != self.height || !self.open.asks.has(&reference) {
            return;
        }
        let mut archive = std::mem::take(&mut self.open.archive);
        if let Err(error) = archive.insert(Arc::new(what), &self.view()) {
            out.push(Output::Fault { peer: from, what: format!("justification: {error}") });
        }
        self.open.archive = archive;
    }

    /// Answers what a peer asks of the undecided height; `None` for what only the database knows.
    #[must_use]
    pub fn answer(&self, request: &Request) -> Option<Response> {
        match request {
            Request::Frames { from_g, tip } => {
                let frames = self.frames_to(*from_g, tip);
                Some(Response::Frames(frames.iter().map(|f| (*f.signed).clone()).collect()))
            }
            Request::Justification { height, reference } => {
                let kept = self.open.archive.get(reference).filter(|_| *height == self.height);
                Some(Response::Justification(kept.map(|k| Box::new((**k).clone()))))
            }
            Request::SignedBy { epoch, signer } => {
                let statements = self.witnessed.newest_of(*epoch, *signer).into_iter().collect();
                Some(Response::Witness { from: 0, statements })
            }
            Request::Heights { .. } | Request::Witness { .. } => None,
        }
    }

    /// Whether the frames held give exactly this header.
    pub(super) fn branch_gives(&self, header: &Header) -> bool {
        gives(header, &self.view()) == Ok(true)
    }

    /// Whether an own prevote at this height excludes an ack of the accepted chain (A4).
    pub(super) fn excluded_by_votes(&self) -> bool {
        let closed = self.chain.header(self.height);
        let against = |id: &B256| closed.is_none_or(|(_, own)| own != id);
        !self.rules.off(Mutation::AckAgainstPrevote) && self.open.prevoted.iter().any(against)
    }
}
