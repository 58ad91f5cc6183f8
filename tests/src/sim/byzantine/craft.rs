//! Signing by hand: what a member with its keys and no scruples can make.

use super::cast::Cx;
use alloy_primitives::B256;
use rota_preconf::{Chain, Frame, FrameBuilder, FrameCut, Stream};
use rota_types::{
    Ack, Header, Proposal, SignedAck, SignedFrame, SignedProposal, SignedStatus, SignedTermInit,
    SignedVote, Status, Term, TermInit, Tx, Vote, VoteKind, wire::Message,
};
use std::sync::Arc;

/// A chain of frames of its own, beside the one of the real node.
pub(super) struct Branch {
    pub(super) chain: Chain,
    builder: FrameBuilder,
    pub(super) term: Term,
}

impl Branch {
    /// The real node's chain up to the parent of its own `frame`, to be continued otherwise in the same term.
    pub(super) fn beside(cx: &Cx<'_>, frame: &SignedFrame) -> Option<Self> {
        let h = &frame.header;
        let mut chain = cx.scene.replica?.chain().clone();
        chain.truncate(&h.prev_hash, &cx.rules)?;
        let branch = Self::enter(cx, chain, h.term, h.init_hash, h.seq);
        (branch.chain.context().height == h.height).then_some(branch)
    }

    /// The frames of `path` above the real node's base, to be continued in the term that `init_hash` opens.
    pub(super) fn over(
        cx: &Cx<'_>,
        path: &[Arc<Frame>],
        term: Term,
        init_hash: B256,
    ) -> Option<Self> {
        let base = cx.scene.replica?.chain().base().clone();
        let mut chain = Chain::new(base);
        for frame in path {
            chain.append_carried(frame, &cx.rules).ok()?;
        }
        Some(Self::enter(cx, chain, term, init_hash, 0))
    }

    fn enter(cx: &Cx<'_>, mut chain: Chain, term: Term, init_hash: B256, next_seq: u32) -> Self {
        chain.enter(Stream { term, leader: cx.seat, init_hash, next_seq });
        let builder = FrameBuilder::new(term, cx.seat, cx.scene.now_ms);
        Self { chain, builder, term }
    }

    /// Signs the next frame on it.
    pub(super) fn cut(&mut self, cx: &Cx<'_>, txs: &[Arc<Tx>], close: bool) -> Option<Arc<Frame>> {
        let tip = self.chain.tip().timestamp_ms;
        let cut = FrameCut {
            now: cx.scene.now_ms.max(tip) + 1,
            txs,
            close,
            origin: cx.scene.origin,
            evidence: &[],
        };
        let frame = self.builder.build(&self.chain, &cut, cx.seq, &cx.rules)?;
        let frame = Arc::new(frame);
        self.chain.append_carried(&frame, &cx.rules).ok()?;
        Some(frame)
    }

    /// Header and value id of the height that it closed.
    pub(super) fn closed(&self, height: u64) -> Option<&(Header, B256)> {
        self.chain.header(height)
    }
}

impl Cx<'_> {
    /// Height and round of the real node.
    pub(super) fn place(&self) -> Option<(u64, u32)> {
        self.scene.replica.map(rota_consensus::Replica::place)
    }

    pub(super) fn vote(&self, place: (u64, u32), kind: VoteKind, value_id: B256) -> Message {
        let epoch = self.epoch.number();
        let vote = Vote { epoch, height: place.0, round: place.1, kind, value_id };
        Message::Vote(SignedVote::sign(vote, self.seat, self.vote, &self.rules.domain))
    }
    pub(super) fn ack(&self, ack: Ack) -> Message {
        Message::Ack(SignedAck::sign(ack, self.seq, &self.rules.domain))
    }
    pub(super) fn status(&self, status: Status) -> Message {
        Message::Status(SignedStatus::sign(status, self.vote, &self.rules.domain))
    }
    pub(super) fn frame(&self, frame: &Frame) -> Message {
        Message::Frame((*frame.signed).clone())
    }

    /// A fresh proposal of a header.
    pub(super) fn propose(
        &self,
        place: (u64, u32),
        header: Header,
        init: Option<SignedTermInit>,
    ) -> Message {
        let domain = &self.rules.domain;
        let proposal = Proposal {
            epoch: self.epoch.number(),
            height: place.0,
            round: place.1,
            pol_round: -1,
            proposer: self.seat,
            value_id: header.value_id(domain),
            init_hash: init.as_ref().map(|i| i.init.hash(domain)).unwrap_or_default(),
        };
        let signed = SignedProposal::sign(proposal, header, init, self.vote, domain);
        Message::Proposal(Box::new(signed))
    }

    pub(super) fn init(
        &self,
        place: (u64, u32),
        carry: (u64, B256, bool),
        reports: Vec<SignedStatus>,
    ) -> SignedTermInit {
        let domain = &self.rules.domain;
        let init = TermInit {
            epoch: self.epoch.number(),
            height: place.0,
            round: place.1,
            leader: self.seat,
            carry_g: carry.0,
            carry_hash: carry.1,
            carry_closed: carry.2,
            j_root: TermInit::root_of(&reports, domain),
            j_count: u16::try_from(reports.len()).unwrap(),
        };
        SignedTermInit::sign(init, reports, self.seq, domain)
    }

    /// The frames from the base of the real node to `tip`, if it has them all.
    pub(super) fn path(&self, tip: &B256) -> Option<Vec<Arc<Frame>>> {
        let replica = self.scene.replica?;
        let base = replica.chain().base().base.hash;
        let (mut out, mut at) = (Vec::new(), *tip);
        while at != base {
            let frame = replica.frame(&at)?;
            at = frame.prev();
            out.push(Arc::clone(frame));
        }
        out.reverse();
        Some(out)
    }

    /// A hash that nothing has.
    pub(super) fn nothing(&mut self) -> B256 {
        alloy_primitives::keccak256(self.dice.next().to_be_bytes())
    }
}
