//! Round changes: report what was accepted, open a term with what the reports select, accept an opening.
//!
//! Invariant: in a round above 0 at most one opening or re-proposal is accepted, the first one that is good.

use super::{Output, PeerNo, Replica, Retract, To, later::ROUNDS_AHEAD};
use crate::{machine::Fatal, wal};
use alloy_primitives::B256;
use rota_preconf::{BadInit, Choice, InitView, Link, Mutation, Stream, make_init};
use rota_store::Intent;
use rota_types::{
    Flags, Justification, Millis, SeqMessage, SignError, SignedStatus, SignedTermInit, Status,
    Term, VoteMessage, wire::Message,
};
use std::sync::Arc;

/// Openings of the round that wait for frames.
const MAX_INITS: usize = 4;

impl Replica {
    pub(super) fn on_round(
        &mut self,
        now: Millis,
        round: u32,
        proposer: u16,
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        self.round = round;
        self.leader = proposer;
        self.timers.heard(now);
        out.push(Output::Round { height: self.height, round, leader: proposer });
        if round == 0 {
            return Ok(());
        }
        // Whatever term was led here is over at this height.
        self.stop_leading(out);
        self.open.accepted = None;
        self.open.taken = None;
        self.open.refused_init = false;
        self.open.init = None;
        self.open.inits.clear();
        self.open.need_value = None;
        self.report(out)?;
        self.accept_again(now, round, out);
        for (from, message) in self.open.later.take(round) {
            match message {
                Message::TermInit(init) => self.on_init(now, from, Arc::new(init), out),
                Message::Proposal(p) => self.open.waiting.push((from, *p)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The tip to report: nothing above the CLOSE of the height was accepted in a round above 0.
    fn reported(&self) -> (i32, B256, Link) {
        let tip = self.chain.tip();
        let (round, reference) = self.open.best;
        if self.rules.off(Mutation::ForgetfulStatus) && round == 0 {
            let acked = self.chain.at(self.acked.2).filter(|_| self.acked.0 == self.height);
            let base = self.chain.base().base;
            return (0, B256::ZERO, acked.map_or(base, |f| Link { g: f.g(), hash: f.hash, ..tip }));
        }
        let close = self.chain.header(self.height).filter(|_| round > 0);
        let tip = close.map_or(tip, |(h, _)| Link { g: h.last_g, hash: h.last_frame_hash, ..tip });
        (round, reference, tip)
    }

    /// Signs and sends the one Status of this height and round.
    fn report(&mut self, out: &mut Vec<Output>) -> Result<(), Fatal> {
        let able = self.machine.votes() && !self.open.mute;
        let Some(keys) = self.keys.clone().filter(|_| able) else { return Ok(()) };
        if let Some(signed) = self.open.logged.statuses.get(&self.round).cloned() {
            let digest = signed.status.digest(&self.rules.domain);
            self.say_status(signed, digest, out);
            return Ok(());
        }
        let (best_round, best_ref, tip) = self.reported();
        let status = Status {
            epoch: self.epoch.number(),
            height: self.height,
            round: self.round,
            signer: keys.index,
            best_round,
            best_g: tip.g,
            best_hash: tip.hash,
            best_ref,
        };
        if !self.tells_all(&status) {
            tracing::warn!(
                height = self.height,
                round = self.round,
                "what was acked or prevoted is not on the chain: no report"
            );
            return Ok(());
        }
        let digest = status.digest(&self.rules.domain);
        let intent = Intent::Status { height: self.height, round: self.round, digest };
        if let Err(refused) = self.guard.check(&intent) {
            tracing::info!(%refused, "status withheld");
            return Ok(());
        }
        let message = VoteMessage::Status(status.clone());
        let signature = match keys.signer.sign_vote(&message, &self.rules.domain) {
            Err(SignError::Refused(why)) => {
                tracing::warn!(why, "status withheld by the signer");
                return Ok(());
            }
            other => other?,
        };
        let signed = SignedStatus { status, signature };
        out.push(Output::Wal(wal::reported(&signed)));
        self.say_status(signed, digest, out);
        Ok(())
    }

    /// Whether a report has the newest frame that was acked and every value that was prevoted at this height:
    /// one that leaves something out, and rests on no later round, would be a lie.
    fn tells_all(&self, status: &Status) -> bool {
        if self.rules.off(Mutation::ForgetfulStatus) {
            return true;
        }
        let best = i64::from(status.best_round);
        let closed = self.chain.header(self.height).map(|(_, id)| *id);
        let prevotes = self.open.prevotes.iter().all(|(id, round)| {
            best > i64::from(*round) || best == i64::from(*round) && closed == Some(*id)
        });
        let acks = self.guard.newest_ack().is_none_or(|(at, g, hash)| {
            at.height != self.height
                || best > i64::from(at.round)
                || best == i64::from(at.round) && self.chain.contains(g, &hash)
        });
        prevotes && acks
    }

    /// Sends a report that is in the log, after the guard knows of it.
    fn say_status(&mut self, signed: SignedStatus, digest: B256, out: &mut Vec<Output>) {
        let intent = Intent::Status { height: self.height, round: self.round, digest };
        match self.guard.check_and_record(&intent) {
            Ok(true) => out.push(Output::Guard(intent)),
            Ok(false) => {}
            Err(refused) => {
                tracing::info!(%refused, "status withheld");
                return;
            }
        }
        self.statuses.add(signed.clone());
        let message = Message::Status(signed);
        self.open.own_status = Some(message.clone());
        out.push(Output::Send { to: To::Others, message, durable: true });
    }

    /// With every repeated vote, repeats what the round change needs as well.
    pub(super) fn say_again(&self, message: &Message, out: &mut Vec<Output>) {
        if self.round == 0 || !matches!(message, Message::Vote(_)) {
            return;
        }
        let init = self.open.init.as_ref().map(|i| Message::TermInit((**i).clone()));
        for message in self.open.own_status.iter().cloned().chain(init) {
            out.push(Output::Send { to: To::Others, message, durable: true });
        }
    }

    pub(super) fn on_status(&mut self, from: PeerNo, report: SignedStatus, out: &mut Vec<Output>) {
        let s = &report.status;
        let near = s.round > 0
            && s.round >= self.round
            && s.round <= self.round.saturating_add(ROUNDS_AHEAD);
        if s.height != self.height || s.epoch != self.epoch.number() || !near {
            return;
        }
        if self.statuses.has(s.height, s.round, s.signer) {
            return;
        }
        let valid = self
            .epoch
            .set()
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
        let open = self.open.accepted.or(self.open.taken).is_none()
            && self.open.need_value == Some(self.round);
        if self.round == 0 || self.open.init.is_some() || !open {
            return Ok(false);
        }
        let Some(reports) = self.statuses.quorum(self.height, self.round, self.epoch.set()) else {
            return Ok(false);
        };
        let mut archive = std::mem::take(&mut self.open.archive);
        let choice = archive.choose(&reports, &self.view());
        self.open.archive = archive;
        let (reports, carry) = match choice {
            Choice::Open { reports, carry } => (reports, carry),
            Choice::Wait(missing) => {
                for (signer, need) in missing {
                    self.ask_member(now, signer, need, out);
                }
                return Ok(false);
            }
        };
        let place = (self.height, self.round);
        let init = make_init(place, keys.index, carry, &reports, &self.view());
        let init_hash = init.hash(&self.rules.domain);
        let intent = Intent::Term { height: place.0, round: place.1, init_hash };
        match self.guard.check_and_record(&intent) {
            Ok(true) => out.push(Output::Guard(intent)),
            Ok(false) => {}
            Err(refused) => {
                tracing::info!(%refused, "term not opened");
                self.open.need_value = None;
                return Ok(false);
            }
        }
        let message = SeqMessage::Init(init.clone());
        let signature = match keys.signer.sign_seq(&message, &self.rules.domain) {
            Err(SignError::Refused(why)) => {
                tracing::warn!(why, "term not opened: the signer refused");
                self.open.need_value = None;
                return Ok(false);
            }
            other => other?,
        };
        let signed = Arc::new(SignedTermInit { init, signature, reports });
        let message = Message::TermInit((*signed).clone());
        self.accept_init(now, signed, init_hash, out);
        out.push(Output::Send { to: To::Others, message, durable: true });
        if !carry.2 {
            self.open_own(Term { height: place.0, round: place.1 }, out);
        }
        Ok(true)
    }

    pub(super) fn on_init(
        &mut self,
        now: Millis,
        from: PeerNo,
        init: Arc<SignedTermInit>,
        out: &mut Vec<Output>,
    ) {
        let (height, round) = (init.init.height, init.init.round);
        if height != self.height || round < self.round {
            return;
        }
        if round > self.round {
            let message = Message::TermInit((*init).clone());
            self.open.later.keep(self.round, round, from, message);
            return;
        }
        if self.round == 0
            || self.open.accepted.or(self.open.taken).is_some()
            || self.open.refused_init
        {
            return;
        }
        if let Err(error) = rota_preconf::check_signatures(&init, &self.view()) {
            out.push(Output::Fault { peer: from, what: format!("term init: {error}") });
            return;
        }
        self.judge_init(now, init, out);
    }

    /// Judges an opening of this round whose signatures are checked.
    fn judge_init(&mut self, now: Millis, init: Arc<SignedTermInit>, out: &mut Vec<Output>) {
        let mut archive = std::mem::take(&mut self.open.archive);
        let verdict = archive.check(&init, &self.view());
        self.open.archive = archive;
        match verdict {
            Ok(_) if self.refuses_init(&init) => {}
            Ok(_) if !self.carried_fits(&init.init.carry_hash) => {
                if self.open.inits.len() < MAX_INITS && !self.open.inits.contains(&init) {
                    self.open.inits.push(init);
                }
            }
            Ok(hash) => self.accept_init(now, init, hash, out),
            Err(BadInit::Missing { signer, need }) => {
                self.ask_member(now, signer, need, out);
                self.ask_member(now, init.init.leader, need, out);
                if self.open.inits.len() < MAX_INITS && !self.open.inits.contains(&init) {
                    self.open.inits.push(init);
                }
            }
            Err(error) => {
                // Its leader signed it: nothing else of this leader counts in this round.
                self.open.refused_init = true;
                self.blame(init.init.leader, format!("term init: {error}"), out);
            }
        }
    }

    /// What a rule that is known to deadlock would refuse (never, in a program).
    fn refuses_init(&self, init: &SignedTermInit) -> bool {
        if !self.rules.off(Mutation::RefuseUnlessExtends) || self.acked.0 != self.height {
            return false;
        }
        let base = self.chain.base().base.hash;
        let on = |tip: &B256, hash: &B256| {
            self.pool.path(&base, tip).is_ok_and(|path| path.iter().any(|f| f.hash == *hash))
        };
        let extends = on(&init.init.carry_hash, &self.acked_hash);
        let below = init.init.carry_closed && on(&self.acked_hash, &init.init.carry_hash);
        !extends && !below
    }

    pub(super) fn retry_inits(&mut self, now: Millis, out: &mut Vec<Output>) {
        if self.round == 0
            || self.open.accepted.or(self.open.taken).is_some()
            || self.open.refused_init
        {
            return;
        }
        for init in std::mem::take(&mut self.open.inits) {
            if self.open.accepted.is_none() {
                self.judge_init(now, init, out);
            }
        }
    }

    /// From here on, in this round, only the chain that `init` carries and its leader's frames count.
    pub(super) fn accept_init(
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
        self.open.accepted = Some(hash);
        self.open.best = (i32::try_from(i.round).unwrap_or(i32::MAX), hash);
        self.keep(Justification::Init((*init).clone()), hash, out);
        self.open.init = Some(init);
        self.timers.heard(now);
        self.extend(now, out);
    }
    pub(super) fn view(&self) -> InitView<'_> {
        InitView { chain: &self.chain, pool: &self.pool, rules: &self.rules }
    }

    /// The newest height that is closed on the accepted chain, for a frame that says so.
    pub(super) fn closes(&self, frame: &rota_preconf::Frame) -> Option<B256> {
        let closes = frame.signed.header.flags.has(Flags::CLOSE);
        closes.then(|| self.chain.header(frame.height()).map(|(_, id)| *id)).flatten()
    }
}
