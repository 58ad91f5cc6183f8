//! Withholding: frames for some only, no answers; and saying nothing at all.

use super::{Answer, Fate, Heard, Mask, cast::Cx};
use rota_types::{
    Flags,
    wire::{Message, Request},
};

/// Shows frames of its own to some, changing with every height, and answers nothing.
#[derive(Default)]
pub(super) struct Withhold {
    /// Who is shown frames of this height.
    shown: Vec<u16>,
}

impl Mask for Withhold {
    fn prepare(&mut self, cx: &mut Cx<'_>, message: &Message) {
        if let Message::Frame(f) = message
            && (f.header.flags.has(Flags::OPEN) || self.shown.is_empty())
        {
            self.shown = cx.some();
        }
    }
    fn send(&mut self, cx: &mut Cx<'_>, to: u16, message: &Message) -> Fate {
        if matches!(message, Message::Frame(_)) && !self.shown.contains(&to) {
            cx.did("withheld frames");
            return Fate::Drop;
        }
        Fate::Pass
    }
    fn answer(&mut self, cx: &mut Cx<'_>, _: u16, _: &Request) -> Answer {
        cx.did("unanswered requests");
        Answer::None
    }
}

/// Says nothing.
pub(super) struct Silent;

impl Mask for Silent {
    fn send(&mut self, cx: &mut Cx<'_>, _: u16, _: &Message) -> Fate {
        cx.did("silences");
        Fate::Drop
    }
    fn answer(&mut self, _: &mut Cx<'_>, _: u16, _: &Request) -> Answer {
        Answer::None
    }
}

/// Its node is never told of a newer origin: here it is only seen how often that mattered.
pub(super) struct StallOrigin;

impl Mask for StallOrigin {
    fn hear(&mut self, cx: &mut Cx<'_>, _: u16, heard: &Heard<'_>) -> bool {
        if let Heard::Frame(frame) = heard
            && frame.signed.body.env.as_ref().is_some_and(|env| env.l1_number > 0)
        {
            cx.did("refused origins");
        }
        true
    }
}
