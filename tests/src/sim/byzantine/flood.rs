//! The flooder: a great many messages that cost it little. Each is well formed; many carry its own good signature.

use super::{Mask, cast::Cx};
use alloy_primitives::B256;
use rota_types::{
    Ack, Flags, FrameBody, FrameHeader, SignedFrame, SignedProposal, Status, Term, VoteKind,
    wire::{Head, Message},
};

pub(super) struct Flood;

impl Mask for Flood {
    fn act(&mut self, cx: &mut Cx<'_>) {
        if cx.place().is_none() {
            return;
        }
        for _ in 0..2 {
            if let Some(message) = invent(cx) {
                cx.did("floods");
                cx.tell_all(&message);
            }
        }
    }
}

fn invent(cx: &mut Cx<'_>) -> Option<Message> {
    let (height, round) = cx.place()?;
    let far_height = match cx.dice.below(4) {
        0 => height + cx.dice.below(5),
        1 => height + cx.dice.below(1_000_000),
        2 => u64::MAX - cx.dice.below(3),
        _ => height,
    };
    let far_round = match cx.dice.below(4) {
        0 => round,
        1 => round + 1,
        2 => u32::MAX - cx.dice.below(10_000) as u32,
        _ => round + cx.dice.below(100_000) as u32,
    };
    let (place, nothing) = ((far_height, far_round), cx.nothing());
    let far_g = cx.dice.next() >> 20;
    let kind = cx.dice.pick(&[VoteKind::Prevote, VoteKind::Precommit]);
    Some(match cx.dice.below(9) {
        0 => cx.vote(place, kind, nothing),
        1 => cx.vote(place, kind, B256::ZERO),
        2 => cx.status(Status {
            epoch: cx.epoch.number(),
            height,
            round: far_round,
            signer: cx.seat,
            best_round: i32::try_from(far_round).unwrap_or(i32::MAX),
            best_g: u64::MAX,
            best_hash: nothing,
            best_ref: nothing,
        }),
        3 => {
            Message::TermInit(cx.init((height, far_round.max(1)), (0, nothing, false), Vec::new()))
        }
        4 => forged(cx, (height, far_round))?,
        5 | 6 => frame(cx)?,
        7 => cx.ack(Ack {
            epoch: cx.epoch.number(),
            height: far_height,
            round: far_round,
            signer: cx.seat,
            g: far_g,
            frame_hash: nothing,
            init_hash: B256::ZERO,
        }),
        _ => Message::Head(Head { height: far_height, value_id: nothing, oldest: 1 }),
    })
}

/// A proposal in the name of whoever leads that round, with a signature of this member.
fn forged(cx: &mut Cx<'_>, place: (u64, u32)) -> Option<Message> {
    let chain = cx.scene.replica?.chain();
    let leader = chain.base().epoch.schedule().leader(chain.base().cursor, place.1);
    let header = chain.header(place.0)?.0.clone();
    let Message::Proposal(proposal) = cx.propose(place, header, None) else { return None };
    let mut p = *proposal;
    p.proposal.proposer = leader;
    p.proposal.pol_round = if cx.dice.one_in(2) { 0 } else { -1 };
    p.proposal.init_hash = cx.nothing();
    let domain = &cx.rules.domain;
    let signed = SignedProposal::sign(p.proposal, p.header, p.init, cx.vote, domain);
    Some(Message::Proposal(Box::new(signed)))
}

/// A frame of a term that it leads or not, near the base or far ahead, on a parent or on none.
fn frame(cx: &mut Cx<'_>) -> Option<Message> {
    let base = cx.scene.replica?.chain().base();
    let near = cx.dice.one_in(2);
    let header = FrameHeader {
        epoch: cx.epoch.number(),
        term: Term { height: base.height + cx.dice.below(3), round: cx.dice.below(4) as u32 },
        leader: cx.seat,
        g: base.base.g + 1 + if near { 0 } else { cx.dice.below(1_000_000) },
        seq: cx.dice.next() as u32,
        prev_hash: if near { base.base.hash } else { cx.nothing() },
        init_hash: B256::ZERO,
        height: base.height,
        flags: Flags::default(),
        timestamp_ms: cx.scene.now_ms,
        tx_count: 0,
        tx_root: B256::ZERO,
        gas_cum: 0,
        exec_commit: B256::ZERO,
        insured_cum: 0,
        env_hash: B256::ZERO,
        close_hash: B256::ZERO,
    };
    let domain = &cx.rules.domain;
    Some(Message::Frame(SignedFrame::sign(header, FrameBody::default(), cx.seq, domain)))
}
