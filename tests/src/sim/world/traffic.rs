//! What travels between nodes: messages, requests and answers.

use super::{Due, World};
use crate::sim::{
    faults::{Fate, Letter},
    node::Leave,
};
use alloy_primitives::B256;
use rota_consensus::{Input, PeerNo, Synced, To};
use rota_preconf::Frame;
use rota_types::{
    Justification, SignedFrame,
    wire::{DecidedHeight, Message, Response},
};
use std::sync::Arc;

impl World {
    pub(super) fn deliver(&mut self, to: u16, from: u16, message: Message) {
        if self.nodes[usize::from(to)].replica.is_none() || self.cuts.contains(&(from, to)) {
            return;
        }
        self.checker.delivered(self.now_us, to, &message);
        self.detect.received(self.now_us, to, &message);
        match message {
            Message::Frame(signed) => {
                if let Some(frame) = self.verify(to, signed) {
                    self.frame_in(to, from, frame);
                }
            }
            other => {
                if self.passes(to, from, &other) {
                    self.input(to, Input::Message { from: PeerNo(from), message: other });
                }
            }
        }
    }

    pub(super) fn answer(&mut self, to: u16, from: u16, response: Response) {
        match response {
            Response::Frames(frames) => {
                let mut verified = Vec::new();
                for signed in frames {
                    self.checker.delivered_frame(to, &signed);
                    self.detect.frame(self.now_us, to, &signed);
                    verified.extend(self.verify(to, signed));
                }
                for frame in verified {
                    self.frame_in(to, from, frame);
                }
            }
            Response::Justification(None) => {}
            Response::Witness { statements, .. } => {
                self.input(to, Input::Signed { from: PeerNo(from), statements });
            }
            Response::Justification(Some(what)) => {
                self.seen_justification(to, &what);
                for message in restated(&what) {
                    self.checker.delivered(self.now_us, to, &message);
                    self.detect.received(self.now_us, to, &message);
                }
                self.input(to, Input::Justification { from: PeerNo(from), what });
            }
            Response::Heights(heights) => {
                // Up to the first height whose set the node has not seen.
                let known = |h: &DecidedHeight| self.knows(to, h.header.close.epoch);
                let heights: Vec<DecidedHeight> = heights.into_iter().take_while(known).collect();
                for h in &heights {
                    h.frames.iter().for_each(|f| self.detect.frame(self.now_us, to, f));
                    self.detect.decided(self.now_us, to, &h.header, &h.certificate);
                }
                let heights: Vec<Synced> = heights
                    .into_iter()
                    .map(|h| Synced {
                        header: h.header,
                        certificate: h.certificate,
                        frames: h.frames.into_iter().filter_map(|f| self.verify(to, f)).collect(),
                    })
                    .collect();
                self.told(to, from, &heights);
                self.input(to, Input::Synced { from: PeerNo(from), heights });
            }
        }
    }

    /// What a justification shows counts as delivered.
    fn seen_justification(&mut self, to: u16, what: &Justification) {
        let message = match what {
            Justification::Init(init) => Message::TermInit(init.clone()),
            Justification::Reproposal { proposal, .. } => {
                Message::Proposal(Box::new(proposal.clone()))
            }
        };
        self.checker.delivered(self.now_us, to, &message);
    }

    /// Whether a node has seen the set of an epoch.
    fn knows(&self, node: u16, epoch: u64) -> bool {
        self.nodes[usize::from(node)].disk.epochs.get(epoch).is_some()
    }

    /// Verifies a frame once for the whole run: the result is the same on every node that knows the set.
    pub(super) fn verify(&mut self, node: u16, signed: SignedFrame) -> Option<Arc<Frame>> {
        if !self.knows(node, signed.header.epoch) {
            return None;
        }
        let hash = signed.header.hash(&self.rules.domain);
        if let Some(frame) = self.verified.get(&hash).filter(|f| *f.signed == signed) {
            return Some(Arc::clone(frame));
        }
        let known = |hash: &B256| self.known.get(hash).cloned();
        let set = Arc::clone(self.sets.set(signed.header.epoch)?);
        let frame = Frame::verify(signed, &set, &self.rules.domain, known).ok()?;
        let frame = Arc::new(frame);
        self.verified.insert(hash, Arc::clone(&frame));
        Some(frame)
    }

    pub(super) fn leave(&mut self, node: u16, leaves: Vec<Leave>) {
        for leave in leaves {
            match leave {
                Leave::Durable(token) => self.input(node, Input::Durable(token)),
                Leave::Send(to, message) => self.send(node, to, message),
            }
        }
    }

    /// Gives one message to the network, as the script of the plan says.
    pub(super) fn post(&mut self, from: u16, to: u16, message: &Message) {
        let now_ms = self.now_us / 1000;
        match self.plan.script.judge(&Letter { now_ms, from, to, message: Some(message) }) {
            Fate::Pass => self.net.send(self.now_us, from, to, message),
            Fate::Drop => {}
            Fate::Hold(until_ms) => {
                let message = Box::new(message.clone());
                self.push(until_ms * 1000, Due::Late { from, to, message });
            }
        }
    }

    pub(super) fn send(&mut self, node: u16, to: To, message: Message) {
        let n = u16::try_from(self.nodes.len()).unwrap();
        let targets = match to {
            To::One(one) => vec![one.0],
            To::Others | To::All => (0..n).filter(|i| *i != node).collect(),
        };
        if self.cast.has(node) {
            self.send_masked(node, &targets, &message);
        } else {
            self.checker.sent(self.now_us, node, &message);
            self.detect.sent(self.now_us, node, &message);
            for target in targets {
                self.post(node, target, &message);
            }
        }
        if to == To::All {
            self.input(node, Input::Message { from: PeerNo(node), message });
        }
    }
}

/// The messages that say what a justification says.
fn restated(what: &Justification) -> Vec<Message> {
    match what {
        Justification::Init(init) => vec![Message::TermInit(init.clone())],
        Justification::Reproposal { proposal, polka } => {
            vec![Message::Polka(polka.clone()), Message::Proposal(Box::new(proposal.clone()))]
        }
    }
}
