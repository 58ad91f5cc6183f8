//! The impostor: after each message, the same under a wrong name: another index, epoch, key or network.

use super::{Fate, Mask, cast::Cx};
use rota_types::{Domain, SignedAck, SignedProposal, SignedStatus, SignedVote, wire::Message};

pub(super) struct Impostor;

impl Mask for Impostor {
    fn send(&mut self, cx: &mut Cx<'_>, to: u16, message: &Message) -> Fate {
        if cx.dice.one_in(3) {
            let wrong = wrong(cx, to, message);
            if let Some(wrong) = wrong {
                cx.did("false names");
                cx.send(to, wrong);
            }
        }
        Fate::Pass
    }
}

/// The same message under another index, of another epoch, or of another network.
fn wrong(cx: &mut Cx<'_>, to: u16, message: &Message) -> Option<Message> {
    let seats: Vec<u16> = (0u16..).take(cx.peers.len()).filter(|i| *i != cx.seat).collect();
    let to = cx.peers.iter().position(|node| *node == to).and_then(|i| u16::try_from(i).ok())?;
    // In the name of the receiver too: what a node said itself it need not verify.
    let other = if cx.dice.one_in(2) { to } else { cx.dice.pick(&seats) };
    let value = cx.nothing();
    let d = &cx.rules.domain;
    let far = Domain::new(1, 2, d.registry, d.genesis_hash, 1);
    let (index, epoch, domain) = match cx.dice.below(4) {
        0 => (other, 0, d),
        1 => (u16::MAX, 0, d),
        2 => (cx.seat, 1, d),
        _ => (cx.seat, 0, &far),
    };
    Some(match message.clone() {
        Message::Vote(mut v) => {
            v.vote.epoch += epoch;
            if index == to {
                v.vote.value_id = value;
            }
            Message::Vote(SignedVote::sign(v.vote, index, cx.vote, domain))
        }
        Message::Ack(mut a) => {
            a.ack.epoch += epoch;
            a.ack.signer = index;
            Message::Ack(SignedAck::sign(a.ack, cx.seq, domain))
        }
        Message::Status(mut s) => {
            s.status.epoch += epoch;
            s.status.signer = index;
            Message::Status(SignedStatus::sign(s.status, cx.vote, domain))
        }
        Message::Proposal(p) => {
            let mut p = *p;
            p.proposal.epoch += epoch;
            p.proposal.proposer = index;
            let signed = SignedProposal::sign(p.proposal, p.header, p.init, cx.vote, domain);
            Message::Proposal(Box::new(signed))
        }
        Message::TermInit(mut i) => {
            i.init.epoch += epoch;
            i.init.leader = index;
            Message::TermInit(rota_types::SignedTermInit::sign(i.init, i.reports, cx.seq, domain))
        }
        Message::Frame(mut f) => {
            f.header.epoch += epoch;
            f.header.leader = index;
            Message::Frame(rota_types::SignedFrame::sign(f.header, f.body, cx.seq, domain))
        }
        _ => return None,
    })
}
