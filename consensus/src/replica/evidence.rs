//! What others signed against the rules, as evidence that anyone can check, and its way into the next own CLOSE.
//!
//! Not for: deciding by it before it is in the chain; what follows from two histories of a leader is in `frames`. Invariants: only
//! what was verified here goes in, so what comes out verifies; the docket is of the set in force and bounded.

use super::{Output, Replica};
use rota_preconf::{Conviction, Frame};
use rota_types::{Evidence, Signed, SignedAck, wire::Message};

impl Replica {
    /// Frames come verified.
    pub(super) fn witness_frame(&mut self, frame: &Frame, out: &mut Vec<Output>) {
        let signed = &frame.signed;
        self.witness(&Signed::Frame(signed.header.clone(), signed.signature), out);
    }

    /// An ack that was verified.
    pub(super) fn witness_ack(&mut self, ack: &SignedAck, out: &mut Vec<Output>) {
        self.witness(&Signed::Ack(ack.clone()), out);
    }

    /// Votes, proposals, reports and openings of others: each is verified here, once for what it shows.
    pub(super) fn witness_message(&mut self, message: &Message, out: &mut Vec<Output>) {
        if matches!(message, Message::Frame(_) | Message::Ack(_)) {
            return;
        }
        for said in Signed::all_of(message) {
            let own = said.epoch() == self.epoch.number() && Some(said.signer()) == self.index();
            let set = self.rules.epochs.get(said.epoch()).map(|epoch| epoch.set());
            if !own && set.is_some_and(|set| said.verify(set, &self.rules.domain).is_ok()) {
                self.witness(&said, out);
            }
        }
    }

    fn witness(&mut self, said: &Signed, out: &mut Vec<Output>) {
        self.witnessed.advance(self.height.saturating_sub(1));
        for evidence in self.witnessed.observe(said) {
            self.on_evidence(&evidence);
            out.push(Output::Evidence(Box::new(evidence)));
        }
    }

    /// Evidence against a member of the set in force waits for the next CLOSE of this replica. What is of another
    /// set has no effect on who leads: L1 deals with it.
    pub(super) fn on_evidence(&mut self, evidence: &Evidence) {
        let jailed = self.chain.base().cursor.jailed;
        let known = rota_preconf::is_jailed(jailed, evidence.accused);
        if evidence.epoch != self.epoch.number() || known || !self.docket.wants(evidence.accused) {
            return;
        }
        match Conviction::judge(evidence, self.epoch.set(), &self.rules.domain) {
            Ok(conviction) => self.docket.insert(conviction),
            Err(error) => tracing::warn!(%error, "evidence that shows nothing"),
        }
    }

    /// Forgets what the decided heights have dealt with.
    pub(super) fn settle_docket(&mut self, changed: bool) {
        let jailed = self.chain.base().cursor.jailed;
        if changed {
            self.docket.clear();
        } else {
            self.docket.settle(jailed);
        }
    }
}
