//! The equivocating leader: two histories of one term, each shown to a part of the set, with what belongs to it:
//! proposals, acks and votes.

use super::{Answer, Fate, Mask, cast::Cx, craft::Branch, part};
use rota_preconf::Frame;
use rota_types::{
    Flags, SignedFrame, Status,
    wire::{Message, Request},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Forks anywhere, or at the CLOSE of a height only.
pub(super) struct Fork {
    at_close: bool,
    branch: Option<Branch>,
    /// Who is shown the second history.
    side: BTreeSet<u16>,
    /// In this height it helps neither history to a decision, and reports the second one.
    betrays: bool,
    /// Of each frame of the real node, the one that stands in its place, by position.
    twin: BTreeMap<u64, Arc<Frame>>,
}

impl Fork {
    pub(super) fn frames() -> Self {
        Self {
            at_close: false,
            branch: None,
            side: BTreeSet::new(),
            betrays: false,
            twin: BTreeMap::new(),
        }
    }
    pub(super) fn close() -> Self {
        Self { at_close: true, ..Self::frames() }
    }

    /// Goes on with the second history, or begins one, when the real node signs a frame.
    fn grow(&mut self, cx: &mut Cx<'_>, frame: &SignedFrame) {
        let h = &frame.header;
        let closes = h.flags.has(Flags::CLOSE);
        let base = cx.scene.replica.map(|r| r.chain().base().base);
        let lives = self.branch.as_ref().is_some_and(|b| {
            b.term == h.term
                && Some(b.chain.base().base) == base
                && b.chain.context().height == h.height
                && b.chain.tip().g + 1 == h.g
        });
        if !lives {
            self.branch = None;
            if (self.at_close && !closes) || !cx.dice.one_in(if self.at_close { 2 } else { 6 }) {
                return;
            }
            self.branch = Branch::beside(cx, frame);
            self.side = cx.some().into_iter().collect();
            self.betrays = cx.dice.one_in(2);
            self.twin.clear();
        }
        let Some(branch) = &mut self.branch else { return };
        let known = cx.path(&h.hash(&cx.rules.domain)).unwrap_or_default();
        let mut txs = known.last().map(|f| f.txs.clone()).unwrap_or_default();
        // The other history has the transactions in another order, or leaves one out.
        txs.reverse();
        if cx.dice.one_in(2) {
            txs.pop();
        }
        let Some(other) = branch.cut(cx, &txs, closes) else {
            self.branch = None;
            return;
        };
        cx.did(if self.at_close { "forked closes" } else { "forked frames" });
        self.twin.insert(h.g, other);
    }

    /// A betrayal: no vote and no proposal in round 0, and a report of the second history whatever was acked.
    fn betray(&self, cx: &mut Cx<'_>, message: &Message) -> Option<Fate> {
        let branch = self.branch.as_ref().filter(|_| self.betrays)?;
        let height = branch.chain.base().height;
        match message {
            Message::Vote(v) if (v.vote.height, v.vote.round) == (height, 0) => Some(Fate::Drop),
            Message::Proposal(p) if (p.proposal.height, p.proposal.round) == (height, 0) => {
                Some(Fate::Drop)
            }
            Message::Status(s) if s.status.height == height && s.status.best_round == 0 => {
                let tip = branch.chain.tip();
                cx.did("forked reports");
                let status = s.status.clone();
                Some(Fate::Instead(cx.status(Status {
                    best_g: tip.g,
                    best_hash: tip.hash,
                    ..status
                })))
            }
            _ => None,
        }
    }

    fn other(&mut self, cx: &mut Cx<'_>, message: &Message) -> Option<Message> {
        let branch = self.branch.as_ref()?;
        match message {
            Message::Frame(f) if f.header.leader == cx.seat => {
                self.twin.get(&f.header.g).map(|f| cx.frame(f))
            }
            Message::Proposal(p) if p.proposal.pol_round < 0 => {
                let (header, _) = branch.closed(p.proposal.height)?;
                cx.did("forked proposals");
                let place = (p.proposal.height, p.proposal.round);
                Some(cx.propose(place, header.clone(), p.init.clone()))
            }
            Message::Ack(a) => {
                let twin = self.twin.get(&a.ack.g)?;
                Some(cx.ack(rota_types::Ack { frame_hash: twin.hash, ..a.ack.clone() }))
            }
            Message::Vote(v) if !v.vote.value_id.is_zero() => {
                let (_, id) = branch.closed(v.vote.height)?;
                Some(cx.vote((v.vote.height, v.vote.round), v.vote.kind, *id))
            }
            _ => None,
        }
    }
}

impl Mask for Fork {
    fn prepare(&mut self, cx: &mut Cx<'_>, message: &Message) {
        if let Message::Frame(frame) = message
            && frame.header.leader == cx.seat
        {
            self.grow(cx, frame);
        }
    }

    fn send(&mut self, cx: &mut Cx<'_>, to: u16, message: &Message) -> Fate {
        if let Some(fate) = self.betray(cx, message) {
            return fate;
        }
        let proposal = matches!(message, Message::Proposal(_));
        // A forked CLOSE is proposed to those who have the other one.
        let second = self.side.contains(&to) != (self.at_close && proposal);
        if second && let Some(other) = self.other(cx, message) {
            return Fate::Instead(other);
        }
        Fate::Pass
    }

    fn answer(&mut self, _: &mut Cx<'_>, _: u16, request: &Request) -> Answer {
        match (request, &self.branch) {
            (Request::Frames { from_g, tip }, Some(branch)) => {
                part(branch.chain.frames(), *from_g, tip).map_or(Answer::Honest, Answer::This)
            }
            _ => Answer::Honest,
        }
    }
}
