//! Giving acks and counting them (`docs/protocol.md`, rules A1-A6).

use super::{Output, PeerNo, Replica, To, later::ROUNDS_AHEAD};
use crate::machine::Fatal;
use rota_preconf::{AckVerdict, Frame, Mutation};
use rota_store::Intent;
use rota_types::{Ack, Flags, Millis, SeqMessage, SignError, SignedAck, VoteKind, wire::Message};

/// Positions above the tip for which acks are counted.
const FAR: u64 = 4_096;

impl Replica {
    pub(super) fn on_ack(&mut self, signed: &SignedAck, from: PeerNo, out: &mut Vec<Output>) {
        let ack = &signed.ack;
        if ack.epoch != self.epoch.number() {
            let message = Message::Ack(signed.clone());
            return self.keep_for(ack.height, from, message);
        }
        if ack.g <= self.chain.base().base.g {
            return;
        }
        let own = Some(ack.signer) == self.index() && from == self.seats.me();
        let key = self.epoch.set().get(ack.signer).map(|v| v.seq_key);
        let valid = own || key.is_some_and(|key| signed.verify(&key, &self.rules.domain).is_ok());
        if !valid {
            out.push(Output::Fault {
                peer: from,
                what: "ack signature does not verify".to_owned(),
            });
            return;
        }
        if ack.g > self.chain.tip().g.saturating_add(FAR) {
            return;
        }
        self.witness_ack(signed, out);
        if self.acks.add(signed) == AckVerdict::Conflict {
            let (epoch, validator) = (ack.epoch, ack.signer);
            out.push(Output::Misbehaved { epoch, validator, what: "two acks for one place" });
        }
    }

    /// Tells how far more than two thirds have stored, when that moved.
    pub(super) fn tally(&mut self, now: Millis, out: &mut Vec<Output>) {
        let Some((g, weight)) = self.acks.acked(&self.chain, self.epoch.set(), &self.rules) else {
            return;
        };
        if g <= self.tallied {
            return;
        }
        self.tallied = g;
        self.heard_acks(now, g);
        let from = self.certified.max(self.chain.base().base.g).saturating_add(1);
        let certificate = self.acks.certificate(from, &self.chain, self.epoch.set());
        if let Some(c) = &certificate {
            self.certified = c.g;
        }
        out.push(Output::Acked { g, weight, certificate });
    }

    /// Acks the newest frame that the rules let this replica ack.
    pub(super) fn give_ack(&mut self, out: &mut Vec<Output>) -> Result<(), Fatal> {
        let Some(keys) = self.keys.clone().filter(|_| self.machine.votes()) else {
            return Ok(());
        };
        let Some((g, frame_hash)) = self.ackable() else { return Ok(()) };
        if (self.height, self.round, g) <= self.acked {
            return Ok(());
        }
        let (height, round) = (self.height, self.round);
        let intent = Intent::Ack { height, round, g, hash: frame_hash };
        match self.guard.check_and_record(&intent) {
            Ok(true) => out.push(Output::Guard(intent)),
            Ok(false) => {}
            Err(refused) => {
                tracing::debug!(%refused, "ack withheld");
                self.acked = (height, round, g);
                return Ok(());
            }
        }
        self.acked = (height, round, g);
        self.acked_hash = frame_hash;
        let init_hash = self.open.accepted.unwrap_or_default();
        let epoch = self.epoch.number();
        let ack = Ack { epoch, height, round, signer: keys.index, g, frame_hash, init_hash };
        let signature =
            match keys.signer.sign_seq(&SeqMessage::Ack(ack.clone()), &self.rules.domain) {
                // A signer that started anew does not know what was acked in this round.
                Err(SignError::Refused(why)) => {
                    tracing::warn!(why, "ack withheld by the signer");
                    return Ok(());
                }
                other => other?,
            };
        let message = Message::Ack(SignedAck { ack, signature });
        out.push(Output::Send { to: To::All, message, durable: true });
        Ok(())
    }

    /// The newest ack point that is allowed now.
    fn ackable(&self) -> Option<(u64, alloy_primitives::B256)> {
        // A1: in a round above 0 only the chain that this round's TermInit opened.
        if self.round > 0 && self.open.accepted.is_none() {
            return None;
        }
        // A4: compatible with everything prevoted at this height.
        if self.excluded_by_votes() {
            return None;
        }
        let decided = self.chain.header(self.height);
        let term = decided.map(|(h, _)| h.close.term);
        self.chain.frames().iter().rev().find(|f| self.may_ack(f, term)).map(|f| (f.g(), f.hash))
    }

    fn may_ack(&self, frame: &Frame, closed_in: Option<rota_types::Term>) -> bool {
        let h = &frame.signed.header;
        let point = h.tx_count > 0 || h.flags.has(Flags::CLOSE);
        let speculative = h.height > self.height;
        // A5, and a next leader's frames count only once its height has begun.
        let early = self.round == 0 || self.rules.off(Mutation::SpeculativeAck);
        let allowed = !speculative || (early && closed_in == Some(h.term));
        // A6: not for a leader known to have signed two histories in this term.
        point && allowed && !self.equivocators.contains(&(h.term, h.epoch, h.leader))
    }

    /// Notes a nil precommit that came from its signer.
    pub(super) fn note_nil(&mut self, from: PeerNo, message: &Message) {
        if let Message::Vote(v) = message
            && v.vote.kind == VoteKind::Precommit
            && v.vote.value_id.is_zero()
            && v.vote.height == self.height
            && self.peer(v.signer) == Some(from)
            && v.vote.round <= self.round.saturating_add(ROUNDS_AHEAD)
        {
            self.open.nil_precommits.entry(v.vote.round).or_default().insert(v.signer);
        }
    }

    /// More than two thirds of nil precommits decide nothing whatever else arrives: waiting for the rest of
    /// the round would only lengthen the gap that a dead leader leaves.
    pub(super) fn hurry_on(&mut self, now: Millis) {
        let Some(signers) = self.open.nil_precommits.get(&self.round) else { return };
        let power = |i: &u16| self.epoch.set().get(*i).map_or(0, rota_types::Validator::power);
        let weight = signers.iter().map(power).fold(0, u64::saturating_add);
        if self.epoch.set().is_quorum(weight) {
            self.timers.hurry(now, self.round);
        }
    }

    pub(super) fn note_vote(&mut self, intent: &Intent) {
        if let Intent::Vote { kind: VoteKind::Prevote, round, value_id, .. } = intent
            && !value_id.is_zero()
        {
            let highest = self.open.prevotes.entry(*value_id).or_default();
            *highest = (*highest).max(*round);
        }
        // A precommit binds as well: its value is the locked one.
        if let Intent::Vote { value_id, .. } = intent
            && !value_id.is_zero()
        {
            self.open.prevoted.insert(*value_id);
        }
    }
}
