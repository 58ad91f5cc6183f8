//! The replayer: old messages again, its own and those of others, of earlier rounds and heights.

use super::{Heard, Mask, cast::Cx};
use rota_types::wire::Message;

const KEEP: usize = 1024;

#[derive(Default)]
pub(super) struct Replay {
    heard: Vec<Message>,
    next: usize,
}

impl Replay {
    fn keep(&mut self, message: Message) {
        if self.heard.len() < KEEP {
            self.heard.push(message);
        } else {
            self.heard[self.next % KEEP] = message;
            self.next += 7;
        }
    }
}

impl Mask for Replay {
    fn prepare(&mut self, _: &mut Cx<'_>, message: &Message) {
        self.keep(message.clone());
    }
    fn hear(&mut self, cx: &mut Cx<'_>, _: u16, heard: &Heard<'_>) -> bool {
        self.keep(match heard {
            Heard::Frame(frame) => cx.frame(frame),
            Heard::Message(message) => (*message).clone(),
        });
        true
    }
    fn act(&mut self, cx: &mut Cx<'_>) {
        if self.heard.is_empty() || !cx.dice.one_in(4) {
            return;
        }
        for to in cx.others() {
            let old = cx.dice.below(self.heard.len() as u64) as usize;
            cx.did("replays");
            cx.send(to, self.heard[old].clone());
        }
    }
}
