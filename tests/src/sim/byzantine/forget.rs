//! The amnesiac: votes for whatever is proposed, whatever it was locked on, and as soon as it is proposed.

use super::{Fate, Heard, Mask, cast::Cx};
use rota_types::{VoteKind, wire::Message};

pub(super) struct Forget;

impl Mask for Forget {
    fn send(&mut self, _: &mut Cx<'_>, _: u16, message: &Message) -> Fate {
        if matches!(message, Message::Vote(v) if !v.vote.value_id.is_zero()) {
            return Fate::Drop;
        }
        Fate::Pass
    }

    fn hear(&mut self, cx: &mut Cx<'_>, _: u16, heard: &Heard<'_>) -> bool {
        if let Heard::Message(Message::Proposal(p)) = heard {
            let place = (p.proposal.height, p.proposal.round);
            cx.did(if place.1 > 0 {
                "votes without a lock in later rounds"
            } else {
                "votes without a lock"
            });
            for kind in [VoteKind::Prevote, VoteKind::Precommit] {
                let vote = cx.vote(place, kind, p.proposal.value_id);
                cx.tell_all(&vote);
            }
        }
        true
    }
}
