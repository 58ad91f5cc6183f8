//! Executing what was derived, showing it, and giving it to who keeps it.
//!
//! Invariant: a block is given away after it is executed here, in order; one that an L1 reorganisation takes back may be
//! given again as another, so only who reads final L1 blocks keeps them.

use super::{
    super::execute::{note_points, run},
    Derivation, Done,
};
use crate::{
    chain::{Sealed, points},
    view::{BlockView, Posting, Span},
};
use rota_derive::{Derived, DerivedBlock, L1Ref, Mode, Start};
use rota_types::Millis;
use std::sync::Arc;

/// Every so many blocks the hash is told in the log.
const TELL_EVERY: u64 = 10;

/// Takes executed blocks in order.
pub type Sink = Box<dyn FnMut(&Sealed) -> eyre::Result<()> + Send>;

/// Where the derivation stood when it was ended.
#[derive(Debug, Clone)]
pub struct Landed {
    /// The newest height, and the block after it, which is complete.
    pub start: Start,
    /// L1 origin of that block.
    pub origin: u64,
    /// Where the newest height was posted.
    pub posted: Option<L1Ref>,
}

impl Derivation {
    /// With somebody who takes each block.
    #[must_use]
    pub fn with_sink(mut self, sink: Sink) -> Self {
        self.sink = Some(sink);
        self
    }

    /// Ends it where the fallback that it read last is over: no height joins the open block any more. None if it
    /// stands elsewhere.
    ///
    /// # Errors
    /// Execution failed, or who takes the blocks did.
    pub fn land(mut self, now: Millis) -> eyre::Result<Option<Landed>> {
        let (generation, mode) = self.mode();
        let (Mode::Resumed(floor), true) = (mode, self.is_caught_up()) else { return Ok(None) };
        if let Some(open) = self.pipeline.open_block() {
            self.execute(Derived { blocks: vec![open], ..Derived::default() }, now)?;
        }
        let head = self.pipeline.head().clone();
        let block = self.head.header.number;
        let start = Start { head, block, l1_number: floor.saturating_add(1), generation, mode };
        Ok(Some(Landed { start, origin: self.origin, posted: self.pipeline.posted().copied() }))
    }

    pub(super) fn execute(&mut self, derived: Derived, now: Millis) -> eyre::Result<()> {
        for height in &derived.heights {
            let header = &height.header;
            self.positions.insert(header.height(), (header.first_g, header.last_g));
        }
        for block in derived.blocks {
            let before = (&self.head, self.rewards.as_ref());
            note_points(&mut self.lags, &block, before)?;
            let (executed, rewards) = run(&block, before, &self.pipeline)?;
            let heights = (block.first_height, block.last_height);
            let sealed = Sealed {
                g: self.log(heights),
                heights,
                origin: block.env.l1_number,
                rewards_before: Arc::clone(&self.rewards),
                rewards: Arc::new(rewards),
                points: points(heights, &self.head, &self.rewards).collect(),
                block: executed,
            };
            self.show(&block, &sealed, now);
            self.note_block(&sealed.block)?;
            if let Some(sink) = &mut self.sink {
                sink(&sealed)?;
            }
            self.origin = sealed.origin;
            let parent = (
                std::mem::replace(&mut self.head, sealed.block.head),
                std::mem::replace(&mut self.rewards, sealed.rewards),
            );
            let l1_number = block.completed_by;
            self.done.push_back(Done { l1_number, height: block.last_height, parent });
        }
        self.tell();
        Ok(())
    }

    /// First and last log position of some heights.
    fn log(&self, (first, last): (u64, u64)) -> (u64, u64) {
        let first = self.positions.get(&first).map_or(0, |p| p.0);
        (first, self.positions.get(&last).map_or(0, |p| p.1))
    }

    fn show(&mut self, block: &DerivedBlock, sealed: &Sealed, now: Millis) {
        let executed = &sealed.block;
        let (first_height, last_height) = sealed.heights;
        let (first_g, last_g) = sealed.g;
        let span = Span { first_g, last_g, first_height, last_height };
        let view = Arc::new(BlockView::from_executed(executed, span));
        let l1 = block.l1_block;
        let posting =
            Posting { height: last_height, l1_tx: l1.tx_hash, l1_block: l1.number, at_ms: now };
        let (number, hash, txs) = (block.number, executed.hash(), executed.included.len());
        if number.is_multiple_of(TELL_EVERY) {
            tracing::info!("block={number} hash={hash}");
        }
        tracing::debug!(number, %hash, txs, last_height, "block derived");
        self.view.derived(view, posting);
        self.completed.note(block, hash);
    }
}
