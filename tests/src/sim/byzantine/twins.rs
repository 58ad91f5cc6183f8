//! Two processes with one key. Each is heard by, and hears, a part of the set; the parts change, and some hear both.

use super::{Answer, Fate, Heard, Mask, cast::Cx, puppet::Puppet};
use rota_consensus::{Input, PeerNo, Synced, To};
use rota_types::wire::{Message, Request, Response};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    First,
    Second,
    Both,
}

#[derive(Default)]
pub(super) struct Twins {
    second: Option<Puppet>,
    sides: BTreeMap<u16, Side>,
    until: u64,
}

impl Twins {
    fn side(&self, peer: u16) -> Side {
        self.sides.get(&peer).copied().unwrap_or(Side::First)
    }

    fn feed(&mut self, cx: &mut Cx<'_>, input: Input) {
        if self.second.as_mut().is_some_and(|s| !s.feed(cx, input)) {
            self.second = None;
        }
        self.speak(cx);
    }

    /// Sends what the second said to those who hear it.
    fn speak(&mut self, cx: &mut Cx<'_>) {
        let Some(second) = &mut self.second else { return };
        for (to, message) in std::mem::take(&mut second.said) {
            let receivers = match to {
                To::One(one) => vec![one.0],
                To::Others | To::All => cx.others(),
            };
            for to in receivers {
                if self.sides.get(&to).is_some_and(|side| *side != Side::First) {
                    cx.did("said by the second twin");
                    cx.send(to, message.clone());
                }
            }
        }
    }
}

impl Mask for Twins {
    fn send(&mut self, _: &mut Cx<'_>, to: u16, _: &Message) -> Fate {
        if self.side(to) == Side::Second { Fate::Drop } else { Fate::Pass }
    }

    fn hear(&mut self, cx: &mut Cx<'_>, from: u16, heard: &Heard<'_>) -> bool {
        let side = self.side(from);
        if side != Side::First {
            let input = match heard {
                Heard::Frame(frame) => {
                    Input::Frame { frame: Arc::clone(frame), from: PeerNo(from) }
                }
                Heard::Message(m) => Input::Message { from: PeerNo(from), message: (*m).clone() },
            };
            self.feed(cx, input);
        }
        side != Side::Second
    }

    fn answer(&mut self, _: &mut Cx<'_>, from: u16, request: &Request) -> Answer {
        let Request::Frames { from_g, tip } = request else { return Answer::Honest };
        match &self.second {
            Some(second) if self.side(from) != Side::First => {
                let frames = second.replica().frames_to(*from_g, tip);
                if frames.is_empty() {
                    return Answer::Honest;
                }
                let frames = frames.iter().map(|f| (*f.signed).clone()).collect();
                Answer::This(Response::Frames(frames))
            }
            _ => Answer::Honest,
        }
    }

    fn told(&mut self, cx: &mut Cx<'_>, from: u16, heights: &[Synced]) {
        self.feed(cx, Input::Synced { from: PeerNo(from), heights: heights.to_vec() });
    }

    fn act(&mut self, cx: &mut Cx<'_>) {
        if cx.scene.now_ms >= self.until {
            self.until = cx.scene.now_ms + cx.dice.between(800, 3_000);
            for peer in cx.others() {
                let side = cx.dice.pick(&[Side::First, Side::Second, Side::Second, Side::Both]);
                self.sides.insert(peer, side);
            }
        }
        if self.second.is_none() {
            self.second = Some(Puppet::new(cx));
        }
        if self.second.as_mut().is_some_and(|s| !s.act(cx)) {
            self.second = None;
        }
        self.speak(cx);
    }
}
