//! How far each stage has come, in blocks.
//!
//! A block has a stage when its last height has it; the acked head alone is counted in frames.

use super::{HeadRef, Heads, inner::Inner};
use rota_types::Stage;

impl Inner {
    /// Moves `latest`, `safe` and `finalized` as far as the heights allow; gives the stages that moved.
    pub(super) fn advance(&mut self) -> Vec<(Stage, HeadRef)> {
        let posted = self.postings.last_key_value().map_or(0, |(h, _)| *h);
        let last_final = self.finals.last_key_value().map_or(0, |(h, _)| *h);
        let latest = self.newest_within(self.decided_height, self.latest);
        let safe = self.newest_within(posted.min(self.decided_height), self.safe);
        let finalized = self.newest_within(last_final.min(self.decided_height), self.finalized);
        let before = (self.latest, self.safe, self.finalized);
        (self.latest, self.safe, self.finalized) = (latest, safe, finalized);
        let heads = self.heads();
        [
            (before.0 != latest, Stage::Decided, heads.latest),
            (before.1 != safe, Stage::Posted, heads.safe),
            (before.2 != finalized, Stage::Finalized, heads.finalized),
        ]
        .into_iter()
        .filter_map(|(moved, stage, head)| moved.then_some((stage, head)))
        .collect()
    }

    /// The newest sealed block, from `from` on, whose last height is at most `height`.
    fn newest_within(&self, height: u64, from: u64) -> u64 {
        let fits = self.blocks.range(from..).take_while(|(_, b)| b.span.last_height <= height);
        fits.last().map_or(from, |(number, _)| *number)
    }

    /// All heads.
    pub(super) fn heads(&self) -> Heads {
        let sealed = |number: u64| {
            self.blocks.get(&number).map_or_else(HeadRef::default, |b| HeadRef {
                number,
                hash: b.hash,
                timestamp_s: b.header.timestamp,
                g: b.span.last_g,
                height: b.span.last_height,
            })
        };
        let newest = self.blocks.last_key_value().map_or(0, |(n, _)| *n);
        let pending = self.open_head().unwrap_or_else(|| sealed(newest));
        let latest = HeadRef {
            g: self.undecided_g.saturating_sub(1),
            height: self.decided_height,
            ..sealed(self.latest)
        };
        let acked = self.acks.last_key_value().and_then(|(g, _)| self.frame_head(*g));
        let acked = acked.filter(|a| a.g > latest.g).unwrap_or(latest);
        Heads { pending, acked, latest, safe: sealed(self.safe), finalized: sealed(self.finalized) }
    }

    fn open_head(&self) -> Option<HeadRef> {
        self.open.as_ref()?;
        self.frame_head(*self.frames.last_key_value()?.0)
    }

    fn frame_head(&self, g: u64) -> Option<HeadRef> {
        let (g, frame) = self.frames.range(..=g).next_back()?;
        let sealed = self.blocks.get(&frame.block.number);
        Some(HeadRef {
            number: frame.block.number,
            hash: sealed.map_or(frame.hash, |b| b.hash),
            timestamp_s: frame.block.timestamp_s,
            g: *g,
            height: frame.frame.header.height,
        })
    }
}
