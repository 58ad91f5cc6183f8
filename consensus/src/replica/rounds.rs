//! Round changes: report what was accepted, justify what is carried, refuse by withholding.

use super::{Output, Replica, Retract, To};
use crate::machine::Fatal;
use alloy_primitives::B256;
use rota_preconf::{BadInit, InitView, Select, Stream, check_init, make_init, select};
use rota_store::Intent;
use rota_types::{
    Millis, SignedProposal, SignedStatus, SignedTermInit, Status, Term, wire::Message,
};
use std::sync::Arc;

impl Replica {
    pub(super) fn on_round(
        &mut self,
        now: Millis,
        round: u32,
        proposer: u16,
        out: &mut Vec<Output>,
    ) {
        self.round = round;
        self.leader = proposer;
        self.timers.heard(now);
        out.push(Output::Round { height: self.height, round, leader: proposer });
        if round == 0 {
            return;
        }
        // Whatever term was led here is over at this height.
        self.stop_leading(out);
        self.accepted = None;
        self.init = None;
        self.need_value = None;
        self.report(out);
        for message in std::mem::take(&mut self.later) {
            match message {
                Message::TermInit(init) => self.on_init(now, proposer, Arc::new(init), out),
                Message::Proposal(p) => self.waiting.push(*p),
                _ => {}
            }
        }
    }

    /// Signs and sends the one Status of this height and round.
    fn report(&mut self, out: &mut Vec<Output>) {
        let able = self.machine.votes() && self.reports;
        let Some(keys) = self.keys.clone().filter(|_| able) else { return };
        let tip = self.chain.tip();
        let status = Status {
            epoch: self.set.epoch(),
            height: self.height,
            round: self.round,
            signer: keys.index,
            best_round: self.best.0,
            best_g: tip.g,
            best_hash: tip.hash,
            best_ref: self.best.1,
        };
        let digest = status.digest(&self.rules.domain);
        let intent = Intent::Status { height: self.height, round: self.round, digest };
        match self.guard.check_and_record(&intent) {
            Ok(true) => out.push(Output::Guard(intent)),
            Ok(false) => {}
            Err(refused) => {
                tracing::info!(%refused, "status withheld");
                return;
            }
        }
        let signed = SignedStatus::sign(status, &keys.vote, &self.rules.domain);
        self.statuses.add(signed.clone());
        let message = Message::Status(signed);
        self.own_status = Some(message.clone());
        out.push(Output::Send { to: To::Others, message, durable: true });
    }

    /// With every repeated vote, repeats what the round change needs as well.
    pub(super) fn say_again(&self, message: &Message, out: &mut Vec<Output>) {
        if self.round == 0 || !matches!(message, Message::Vote(_)) {
            return;
        }
        let init = self.init.as_ref().map(|i| Message::TermInit((**i).clone()));
        for message in self.own_status.iter().cloned().chain(init) {
            out.push(Output::Send { to: To::Others, message, durable: true });
        }
    }

    pub(super) fn on_status(&mut self, from: u16, report: SignedStatus, out: &mut Vec<Output>) {
        let s = &report.status;
        if s.height != self.height || s.epoch != self.set.epoch() || s.round == 0 {
            return;
        }
        let valid = self
            .set
            .get(s.signer)
            .is_some_and(|v| report.verify(v.vote_key, &self.rules.domain).is_ok());
        if valid {
            self.statuses.add(report);
        } else {
            out.push(Output::Fault {
                peer: from,
                what: "status signature does not verify".to_owned(),
            });
        }
    }

    /// As leader of a round above 0: opens the term once more than two thirds have reported.
    pub(super) fn try_init(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<bool, Fatal> {
        let Some(keys) = self.keys.clone().filter(|k| k.index == self.leader) else {
            return Ok(false);
        };
        if self.round == 0 || self.init.is_some() || self.need_value != Some(self.round) {
            return Ok(false);
        }
        let Some(reports) = self.statuses.quorum(self.height, self.round, &self.set) else {
            return Ok(false);
        };
        let (g, hash, closed) = match select(&reports, &self.chain, &self.pool, &self.set) {
            Select::Carry { g, hash, closed } => (g, hash, closed),
            Select::Missing(frame) => {
                self.ask_reporters(now, &reports, frame, out);
                return Ok(false);
            }
        };
        let place = (self.height, self.round);
        let init = make_init(place, keys.index, (g, hash, closed), &reports, &self.view());
        let init_hash = init.hash(&self.rules.domain);
        let intent = Intent::Term { height: place.0, round: place.1, init_hash };
        match self.guard.check_and_record(&intent) {
            Ok(true) => out.push(Output::Guard(intent)),
            Ok(false) => {}
            Err(refused) => {
                tracing::info!(%refused, "term not opened");
                self.need_value = None;
                return Ok(false);
            }
        }
        let signed = Arc::new(SignedTermInit::sign(init, reports, &keys.seq, &self.rules.domain));
        let message = Message::TermInit((*signed).clone());
        out.push(Output::Send { to: To::Others, message, durable: true });
        self.accept_init(now, signed, init_hash, out);
        if !closed {
            self.open_own(Term { height: place.0, round: place.1 }, out);
        }
        Ok(true)
    }

    fn ask_reporters(
        &mut self,
        now: Millis,
        reports: &[SignedStatus],
        frame: B256,
        out: &mut Vec<Output>,
    ) {
        tracing::debug!(%frame, "a reported frame is missing");
        for report in reports {
            let s = &report.status;
            if self.pool.path(&self.chain.base().base.hash, &s.best_hash).is_err() {
                self.ask_frames(now, s.signer, s.best_hash, out);
            }
        }
    }

    pub(super) fn on_init(
        &mut self,
        now: Millis,
        from: u16,
        init: Arc<SignedTermInit>,
        out: &mut Vec<Output>,
    ) {
        let place = (init.init.height, init.init.round);
        if place.0 != self.height || place.1 < self.round || self.accepted.is_some() {
            return;
        }
        if place.1 > self.round {
            if self.later.len() < 64 {
                self.later.push(Message::TermInit((*init).clone()));
            }
            return;
        }
        match check_init(&init, self.leader, &self.view()) {
            Ok(hash) => self.accept_init(now, init, hash, out),
            Err(BadInit::Missing(frame)) => {
                let reports = init.reports.clone();
                self.ask_reporters(now, &reports, frame, out);
                self.later.push(Message::TermInit((*init).clone()));
            }
            Err(error) => {
                out.push(Output::Fault { peer: from, what: format!("term init: {error}") });
            }
        }
    }

    /// From here on, in this round, only the chain that `init` carries and its leader's frames count.
    fn accept_init(
        &mut self,
        now: Millis,
        init: Arc<SignedTermInit>,
        hash: B256,
        out: &mut Vec<Output>,
    ) {
        let i = &init.init;
        let base = self.chain.base().base.hash;
        let held = i.carry_closed && self.chain.contains(i.carry_g, &i.carry_hash);
        if !held {
            let Ok(path) = self.pool.path(&base, &i.carry_hash) else { return };
            if let Err(error) = self.switch(&path, Retract::RoundChange, out) {
                tracing::warn!(%error, "carried frames do not chain");
                return;
            }
        }
        if !i.carry_closed {
            self.chain.enter(Stream {
                term: Term { height: i.height, round: i.round },
                leader: i.leader,
                init_hash: hash,
                next_seq: 0,
            });
        }
        self.accepted = Some(hash);
        self.best = (i32::try_from(i.round).unwrap_or(i32::MAX), hash);
        self.init = Some(init);
        self.timers.heard(now);
        self.extend(now, true, out);
    }

    /// Hands over the proposals that are justified by now. A fresh proposal of a round above 0 needs this
    /// round's TermInit and its CLOSE on the accepted chain (I-27); a round's re-proposal needs its frames.
    pub(super) fn retry_proposals(
        &mut self,
        now: Millis,
        out: &mut Vec<Output>,
    ) -> Result<bool, Fatal> {
        self.retry_inits(now, out);
        let mut moved = false;
        for proposal in std::mem::take(&mut self.waiting) {
            let p = &proposal.proposal;
            if let Some(init) = proposal.init.clone().filter(|_| p.round == self.round) {
                self.on_init(now, p.proposer, Arc::new(init), out);
            }
            if self.justified(&proposal) {
                moved = true;
                self.feed(now, Message::Proposal(Box::new(proposal)), out)?;
                if self.finished {
                    return Ok(true);
                }
            } else if p.round == self.round && self.waiting.len() < 8 {
                self.find_value(now, &proposal, out)?;
                self.waiting.push(proposal);
            }
        }
        Ok(moved)
    }

    fn retry_inits(&mut self, now: Millis, out: &mut Vec<Output>) {
        if self.round == 0 || self.accepted.is_some() {
            return;
        }
        for message in std::mem::take(&mut self.later) {
            match message {
                Message::TermInit(init) if init.init.round == self.round => {
                    self.on_init(now, self.leader, Arc::new(init), out);
                }
                other => self.later.push(other),
            }
        }
    }

    fn justified(&self, proposal: &SignedProposal) -> bool {
        let p = &proposal.proposal;
        if p.round == 0 {
            return true;
        }
        if p.pol_round >= 0 {
            return self.offered.contains(&p.value_id);
        }
        let on_chain = self.chain.header(self.height).is_some_and(|(_, id)| *id == p.value_id);
        p.round == self.round && self.accepted == Some(p.init_hash) && on_chain
    }

    /// A re-proposed value may be on a branch that this replica does not follow: fetch and offer it.
    fn find_value(
        &mut self,
        now: Millis,
        proposal: &SignedProposal,
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        let p = &proposal.proposal;
        if p.pol_round < 0 {
            return Ok(());
        }
        let tip = proposal.header.last_frame_hash;
        if self.branch_gives(&proposal.header) {
            self.offered.insert(p.value_id);
            let header = Arc::new(proposal.header.clone());
            return self.offer_value(now, header, p.round, false, out);
        }
        self.ask_frames(now, p.proposer, tip, out);
        Ok(())
    }

    /// Whether the frames held give exactly this header.
    pub(super) fn branch_gives(&self, header: &rota_types::Header) -> bool {
        let base = self.chain.base();
        let Ok(path) = self.pool.path(&base.base.hash, &header.last_frame_hash) else {
            return false;
        };
        let mut chain = rota_preconf::Chain::new(base.clone());
        let mut last = None;
        for frame in &path {
            match chain.append_carried(frame, &self.rules) {
                Ok(closed) => last = closed,
                Err(_) => return false,
            }
        }
        last.is_some_and(|(h, _)| h == *header)
    }

    fn view(&self) -> InitView<'_> {
        InitView {
            chain: &self.chain,
            pool: &self.pool,
            set: &self.set,
            domain: &self.rules.domain,
        }
    }
}
