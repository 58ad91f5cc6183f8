//! Forgetting what is old enough, so that memory is bounded.
//!
//! Invariant: only decided blocks go, oldest first; they are final and `retain` behind, or, if L1 does not
//! make progress, four times as far behind.

use super::inner::Inner;

const UNFINAL_FACTOR: u64 = 4;

impl Inner {
    pub(super) fn evict(&mut self, retain: u64) {
        let final_floor = self.finalized.min(self.latest.saturating_sub(retain));
        let hard_floor = self.latest.saturating_sub(retain.saturating_mul(UNFINAL_FACTOR));
        let floor = final_floor.max(hard_floor);
        while let Some((number, block)) = self.blocks.first_key_value() {
            if *number >= floor {
                break;
            }
            let (number, span) = (*number, block.span);
            let Some(block) = self.blocks.remove(&number) else { break };
            self.numbers.remove(&block.hash);
            for result in &block.txs {
                self.txs.remove(result.transaction.tx_hash());
            }
            self.forget_log(span.last_g, span.last_height);
        }
    }

    fn forget_log(&mut self, last_g: u64, last_height: u64) {
        let keep = last_g.saturating_add(1);
        let frames = self.frames.split_off(&keep);
        for frame in std::mem::replace(&mut self.frames, frames).values() {
            self.frame_gs.remove(&frame.hash);
        }
        self.frame_states = self.frame_states.split_off(&keep);
        self.acks = self.acks.split_off(&keep);
        self.ack_certs = self.ack_certs.split_off(&keep);
        self.height_ends = self.height_ends.split_off(&keep);
        self.heights = self.heights.split_off(&last_height.saturating_add(1));
        // The newest entry says how far L1 has come, whatever was forgotten: it stays.
        let keep_last = |newest: Option<u64>| newest.map_or(0, |h| h.min(last_height));
        let posted = keep_last(self.postings.last_key_value().map(|(h, _)| *h));
        self.postings = self.postings.split_off(&posted);
        let finals = keep_last(self.finals.last_key_value().map(|(h, _)| *h));
        self.finals = self.finals.split_off(&finals);
    }
}
