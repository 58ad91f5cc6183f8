//! The lying reporter: its Status leaves out, invents a round, names a ghost, or names a frame that breaks the rules.
//! Now and then each peer gets another one.

use super::{Answer, Fate, Mask, cast::Cx, part};
use alloy_primitives::B256;
use rota_preconf::Frame;
use rota_types::{
    Flags, FrameBody, FrameHeader, SignedFrame, Status, Term,
    wire::{Message, Request},
};
use std::sync::Arc;

/// How it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Omit,
    High,
    Ghost,
    Broken,
}

pub(super) struct Lie {
    way: Way,
    /// The lie of this height and round.
    told: Option<((u64, u32), Message)>,
    /// Frames that break the rules.
    broken: Vec<Arc<Frame>>,
}

impl Lie {
    pub(super) const fn new(way: Way) -> Self {
        Self { way, told: None, broken: Vec::new() }
    }

    fn lie(&mut self, cx: &mut Cx<'_>, truth: &Status) -> Option<Message> {
        let base = cx.scene.replica?.chain().base().base;
        let nothing = Status {
            best_round: 0,
            best_g: base.g,
            best_hash: base.hash,
            best_ref: B256::ZERO,
            ..truth.clone()
        };
        let status = match self.way {
            Way::Omit => {
                cx.did(if truth.best_g > base.g { "omitted chains" } else { "nothing to omit" });
                nothing
            }
            Way::High => {
                cx.did("invented rounds");
                let best_round = i32::try_from(truth.round).unwrap() - 1;
                let best_round = if cx.dice.one_in(4) { i32::MAX } else { best_round };
                Status { best_round, best_ref: cx.nothing(), ..nothing }
            }
            Way::Ghost => {
                cx.did("ghosts");
                let best_g = base.g + 1 + cx.dice.below(100);
                Status { best_g, best_hash: cx.nothing(), ..nothing }
            }
            Way::Broken => {
                let frame = self.broken_frame(cx)?;
                cx.did("broken frames reported");
                Status { best_g: frame.g(), best_hash: frame.hash, ..nothing }
            }
        };
        Some(cx.status(status))
    }

    /// A frame on the base, signed by this member, whose turn it is not, or that does not keep to the rules.
    fn broken_frame(&mut self, cx: &mut Cx<'_>) -> Option<Arc<Frame>> {
        let chain = cx.scene.replica?.chain();
        let (base, stream) = (chain.base().base, chain.base().stream);
        let mut header = FrameHeader {
            epoch: cx.epoch.number(),
            term: stream.term,
            leader: cx.seat,
            g: base.g + 1,
            seq: stream.next_seq,
            prev_hash: base.hash,
            init_hash: stream.init_hash,
            height: chain.base().height,
            flags: Flags::default(),
            timestamp_ms: base.timestamp_ms,
            tx_count: 0,
            tx_root: B256::ZERO,
            gas_cum: 0,
            exec_commit: B256::ZERO,
            insured_cum: 0,
            env_hash: B256::ZERO,
            close_hash: B256::ZERO,
        };
        match cx.dice.below(4) {
            // Without OPEN, in the right place.
            0 => {}
            1 => header.g += 7,
            2 => header.term = Term { height: header.height + 3, round: 2 },
            _ => header.height += 1,
        }
        let signed = SignedFrame::sign(header, FrameBody::default(), cx.seq, &cx.rules.domain);
        let hash = signed.header.hash(&cx.rules.domain);
        let frame = Arc::new(Frame::own(signed, hash, Vec::new()));
        if cx.dice.one_in(2) {
            cx.tell_all(&cx.frame(&frame));
        }
        if self.broken.len() > 64 {
            self.broken.clear();
        }
        self.broken.push(Arc::clone(&frame));
        Some(frame)
    }
}

impl Mask for Lie {
    fn send(&mut self, cx: &mut Cx<'_>, _: u16, message: &Message) -> Fate {
        let Message::Status(truth) = message else { return Fate::Pass };
        let place = (truth.status.height, truth.status.round);
        let again = cx.dice.one_in(4);
        if let Some((at, told)) = &self.told
            && *at == place
            && !again
        {
            return Fate::Instead(told.clone());
        }
        let Some(lie) = self.lie(cx, &truth.status) else { return Fate::Pass };
        self.told = Some((place, lie.clone()));
        Fate::Instead(lie)
    }

    fn answer(&mut self, _: &mut Cx<'_>, _: u16, request: &Request) -> Answer {
        let Request::Frames { tip, .. } = request else { return Answer::Honest };
        let frame = self.broken.iter().find(|f| f.hash == *tip);
        let response = frame.and_then(|f| part(std::slice::from_ref(f), 0, tip));
        response.map_or(Answer::Honest, Answer::This)
    }
}
