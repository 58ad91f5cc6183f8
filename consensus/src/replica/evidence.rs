//! What others signed against the rules, as evidence that anyone can check.
//!
//! Not for: deciding by it; what follows from two histories of a leader is in `frames`. Invariant: only what was
//! verified here goes in, so what comes out verifies.

use super::{Output, Replica};
use rota_preconf::Frame;
use rota_types::{Signed, SignedAck, wire::Message};

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
        let found = self.witnessed.observe(said);
        out.extend(found.into_iter().map(|evidence| Output::Evidence(Box::new(evidence))));
    }
}
