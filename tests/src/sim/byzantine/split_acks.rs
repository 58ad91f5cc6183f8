//! The ack splitter: other frames towards other peers, frames that it does not have, places ahead of the chain.

use super::{Fate, Mask, cast::Cx};
use rota_types::{Ack, wire::Message};

pub(super) struct SplitAcks;

impl Mask for SplitAcks {
    fn send(&mut self, cx: &mut Cx<'_>, _: u16, message: &Message) -> Fate {
        let Message::Ack(signed) = message else { return Fate::Pass };
        let ack = signed.ack.clone();
        let other = match cx.dice.below(5) {
            0 => return Fate::Pass,
            1 => return Fate::Drop,
            2 => Ack { frame_hash: cx.nothing(), ..ack },
            3 => Ack { g: ack.g + 1 + cx.dice.below(5_000), frame_hash: cx.nothing(), ..ack },
            // The parent's hash at this place, or that of some frame it knows.
            _ => {
                let parent = cx.scene.replica.and_then(|r| r.frame(&ack.frame_hash));
                let Some(parent) = parent.map(|f| f.prev()) else { return Fate::Pass };
                Ack { frame_hash: parent, ..ack }
            }
        };
        cx.did("split acks");
        Fate::Instead(cx.ack(other))
    }
}
