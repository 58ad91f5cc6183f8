//! The double voter: in every round two prevotes and two precommits, in changing order, for changing peers.

use super::{Fate, Heard, Mask, cast::Cx};
use alloy_primitives::B256;
use rota_types::wire::Message;

#[derive(Default)]
pub(super) struct VoteTwice {
    /// The values proposed at the newest height.
    values: (u64, Vec<B256>),
}

impl Mask for VoteTwice {
    fn send(&mut self, cx: &mut Cx<'_>, to: u16, message: &Message) -> Fate {
        let Message::Vote(v) = message else { return Fate::Pass };
        let place = (v.vote.height, v.vote.round);
        let known = if self.values.0 == place.0 { &self.values.1 } else { &Vec::new() };
        let other = known.iter().find(|id| **id != v.vote.value_id).copied();
        let other = match other {
            Some(value) if v.vote.value_id.is_zero() || cx.dice.one_in(2) => value,
            _ if v.vote.value_id.is_zero() => cx.nothing(),
            _ => B256::ZERO,
        };
        let other = cx.vote(place, v.vote.kind, other);
        cx.did("double votes");
        match cx.dice.below(4) {
            0 => return Fate::Instead(other),
            1 => {
                cx.send(to, other);
                cx.later(1_000, to, message.clone());
                return Fate::Drop;
            }
            2 => cx.later(2_000, to, other),
            _ => cx.send(to, other),
        }
        Fate::Pass
    }

    fn hear(&mut self, _: &mut Cx<'_>, _: u16, heard: &Heard<'_>) -> bool {
        if let Heard::Message(Message::Proposal(p)) = heard {
            if self.values.0 != p.proposal.height {
                self.values = (p.proposal.height, Vec::new());
            }
            if self.values.1.len() < 16 {
                self.values.1.push(p.proposal.value_id);
            }
        }
        true
    }
}
