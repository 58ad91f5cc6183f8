//! The log as one stream: every reader has a cursor, and is given what comes after it.
//!
//! Not for: sending (`rpc`). A reader pulls, so a slow one costs a cursor and no queue; what it has not seen is read
//! from the tables. Invariant: the positions given are contiguous and each is given once; before one is given again
//! there is a [`Step::Retract`] to a position below it; a reader that cannot be served so is told where it stands.

use super::{BlockView, FrameRecord, Lagged, View, inner::Inner, status::AckInfo};
use alloy_primitives::{Address, B256};
use rota_types::Millis;
use std::sync::Arc;
use tokio::sync::watch;

/// Retractions kept for readers. Policy when full: drop the oldest, and cut off who has not seen it.
const MAX_RETRACTIONS: usize = 1_024;

/// Frames that were taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retraction {
    /// Newest position that stays.
    pub to_g: u64,
    /// First and last position taken back.
    pub frames: (u64, u64),
    /// The leader whose frames they were (of the first).
    pub leader: Address,
    /// Why: `round_change`, `equivocation` or `leader_lost`.
    pub reason: &'static str,
    /// Transactions that are waiting again.
    pub txs: Vec<B256>,
    /// Sealed blocks that are gone.
    pub blocks: Vec<B256>,
    /// Hashes of the frames, from the first on.
    pub hashes: Vec<B256>,
    /// When.
    pub at_ms: Millis,
}

impl Retraction {
    /// Whether it took back this frame.
    fn holds(&self, g: u64, hash: &B256) -> bool {
        let at = g.checked_sub(self.frames.0).and_then(|i| usize::try_from(i).ok());
        at.and_then(|i| self.hashes.get(i)) == Some(hash)
    }
}

/// Where a reader is.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// Position of the next frame.
    next: u64,
    /// Hash that the reader holds at `next - 1`, until it was compared.
    parent: Option<B256>,
    acked: u64,
    decided: u64,
    sealed: u64,
    /// Number of the next retraction.
    retraction: u64,
    /// Wants retractions and nothing else.
    is_watch: bool,
}

impl Cursor {
    /// The next position: everything below was given.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Goes back to a position; what was told of later ones is told again.
    fn back(&mut self, to_g: u64) {
        if self.is_watch {
            return;
        }
        self.next = to_g.saturating_add(1);
        self.acked = self.acked.min(to_g);
        self.decided = self.decided.min(to_g);
        self.sealed = self.sealed.min(to_g);
    }
}

/// One thing that a reader is given.
#[derive(Debug, Clone)]
pub enum Step {
    /// The next frame.
    Frame(Arc<FrameRecord>),
    /// A block has its final content and hash.
    Sealed(Arc<BlockView>),
    /// More than two thirds stored everything up to `g`; the ones from `from_g` on are new.
    Acked {
        /// First position that is news.
        from_g: u64,
        /// Last position.
        g: u64,
        /// How much stake, and when.
        info: AckInfo,
    },
    /// A height is decided: nothing up to `g` is ever taken back.
    Decided {
        /// First position that is news.
        from_g: u64,
        /// Last position.
        g: u64,
        /// The height.
        height: u64,
    },
    /// What was given above `to_g` does not hold.
    Retract(Arc<Retraction>),
}

/// Why a reader cannot start where it wants to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotFollow {
    /// User: too old for this node's memory.
    #[error("the log from position {from_g} is no longer kept here; the oldest is {oldest}")]
    TooOld {
        /// Wanted.
        from_g: u64,
        /// Kept.
        oldest: u64,
    },
    /// User: the frame that it holds was never decided, and it is not known from where on it differs.
    #[error("frame {g} is not the one that was decided; decided is up to {decided}")]
    Diverged {
        /// Position of the frame.
        g: u64,
        /// Newest decided position.
        decided: u64,
    },
}

impl View {
    /// A cursor at `from_g`, or behind the newest frame. `parent` is the hash that the reader holds at `from_g - 1`: if
    /// this node has another one there, the reader is given a retraction first.
    ///
    /// # Errors
    /// [`CannotFollow`] says from where on it is possible.
    pub fn follow(
        &self,
        from_g: Option<u64>,
        parent: Option<B256>,
    ) -> Result<Cursor, CannotFollow> {
        let inner = self.inner.read();
        let next = from_g.unwrap_or_else(|| inner.tip_g().saturating_add(1)).max(1);
        let oldest = inner.oldest_g();
        if next < oldest {
            return Err(CannotFollow::TooOld { from_g: next, oldest });
        }
        let before = next.saturating_sub(1);
        let cursor = Cursor {
            next,
            parent: parent.filter(|_| before > 0),
            acked: before,
            decided: before,
            sealed: before,
            retraction: inner.retracted,
            is_watch: false,
        };
        if let Some((held, parent)) = inner.hash_before(next).zip(cursor.parent)
            && held != parent
        {
            inner.divergence(before, &parent)?;
        }
        Ok(cursor)
    }

    /// A cursor for retractions only, from now on.
    #[must_use]
    pub fn follow_retractions(&self) -> Cursor {
        let end = u64::MAX.saturating_sub(1);
        let retraction = self.retraction_count();
        let (next, acked, decided, sealed) = (u64::MAX, end, end, end);
        Cursor { next, parent: None, acked, decided, sealed, retraction, is_watch: true }
    }

    /// What comes next for a reader, at most about `most` things; nothing if it has everything.
    ///
    /// # Errors
    /// It fell behind what is kept; it is told where it stands.
    pub fn pull(&self, cursor: &mut Cursor, most: usize) -> Result<Vec<Step>, Lagged> {
        self.inner.read().pull(cursor, most)
    }

    /// Changes whenever there may be something to pull.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.stream.changed()
    }

    /// Changes with every heartbeat.
    #[must_use]
    pub fn beats(&self) -> watch::Receiver<u64> {
        self.stream.beats()
    }

    /// How many retractions there were; a start for [`Self::retractions`].
    #[must_use]
    pub fn retraction_count(&self) -> u64 {
        self.inner.read().retracted
    }

    /// Retractions since `seen`, which is moved on, as far as they are kept.
    #[must_use]
    pub fn retractions(&self, seen: &mut u64) -> Vec<Arc<Retraction>> {
        let inner = self.inner.read();
        let new = inner.retractions_since(*seen).cloned().collect();
        *seen = inner.retracted;
        new
    }
}

impl Inner {
    /// Notes a retraction for the readers.
    pub(super) fn note_retraction(&mut self, retraction: Arc<Retraction>) {
        self.retracted = self.retracted.saturating_add(1);
        self.retractions.push_back(retraction);
        if self.retractions.len() > MAX_RETRACTIONS {
            self.retractions.pop_front();
        }
    }

    fn first_retraction(&self) -> u64 {
        self.retracted.saturating_sub(u64::try_from(self.retractions.len()).unwrap_or(u64::MAX))
    }

    fn retractions_since(&self, seen: u64) -> impl Iterator<Item = &Arc<Retraction>> {
        let skip = seen.saturating_sub(self.first_retraction());
        self.retractions.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX))
    }

    fn tip_g(&self) -> u64 {
        let decided = self.undecided_g.saturating_sub(1);
        self.frames.last_key_value().map_or(decided, |(g, _)| (*g).max(decided))
    }

    /// The oldest position that can be given.
    fn oldest_g(&self) -> u64 {
        let next = self.tip_g().saturating_add(1);
        self.frames.first_key_value().map_or(next, |(g, _)| *g)
    }

    /// Hash of the frame before `g`, if one of the two is here.
    fn hash_before(&self, g: u64) -> Option<B256> {
        let before = self.frames.get(&g.saturating_sub(1)).map(|f| f.hash);
        before.or_else(|| self.frames.get(&g).map(|f| f.frame.header.prev_hash))
    }

    fn pull(&self, cursor: &mut Cursor, most: usize) -> Result<Vec<Step>, Lagged> {
        let mut out = Vec::new();
        self.pull_retractions(cursor, &mut out)?;
        while out.len() < most
            && let Some(frame) = self.frames.get(&cursor.next)
        {
            out.push(Step::Frame(frame.clone()));
            cursor.next = cursor.next.saturating_add(1);
        }
        let missing = self.frames.range(cursor.next..).next().map(|(g, _)| *g);
        if let Some(oldest) = missing.filter(|g| *g > cursor.next) {
            // What was found so far is given first; the next time nothing is.
            return if out.is_empty() {
                Err(Lagged { from_g: cursor.next, oldest })
            } else {
                Ok(out)
            };
        }
        self.pull_marks(cursor, &mut out);
        Ok(out)
    }

    fn pull_retractions(&self, cursor: &mut Cursor, out: &mut Vec<Step>) -> Result<(), Lagged> {
        if let Some(parent) = cursor.parent {
            // Until the reader's frame was compared, what this node takes back is not what the reader holds.
            cursor.retraction = self.retracted;
            let before = cursor.next.saturating_sub(1);
            let held = self.hash_before(cursor.next);
            if held.is_none() && !self.retractions.iter().any(|r| r.holds(before, &parent)) {
                // This node is behind, or the reader holds frames that will never come here: it shows later.
                return Ok(());
            }
            cursor.parent = None;
            if held != Some(parent) {
                let oldest = self.oldest_g();
                let found = self.divergence(before, &parent);
                let retraction = found.map_err(|_| Lagged { from_g: oldest, oldest })?;
                if retraction.to_g.saturating_add(1) < oldest {
                    return Err(Lagged { from_g: retraction.to_g.saturating_add(1), oldest });
                }
                cursor.back(retraction.to_g);
                out.push(Step::Retract(Arc::new(retraction)));
            }
        }
        if cursor.retraction < self.first_retraction() {
            // Decided positions are the same for everybody, whatever was taken back since.
            let from_g = cursor.next.min(self.undecided_g.max(1));
            return Err(Lagged { from_g, oldest: self.oldest_g() });
        }
        for retraction in self.retractions_since(cursor.retraction) {
            if retraction.to_g.saturating_add(1) < cursor.next {
                cursor.back(retraction.to_g);
                out.push(Step::Retract(retraction.clone()));
            }
        }
        cursor.retraction = self.retracted;
        Ok(())
    }

    /// Where a reader that holds `hash` at `g` leaves this node's chain, and why.
    fn divergence(&self, g: u64, hash: &B256) -> Result<Retraction, CannotFollow> {
        let decided = self.undecided_g.saturating_sub(1);
        if let Some(at) = self.retractions.iter().rposition(|r| r.holds(g, hash)) {
            let since = self.retractions.iter().skip(at);
            let to_g = since.map(|r| r.to_g).min().unwrap_or(decided);
            let mut found = self.retractions.get(at).map(|r| (**r).clone()).unwrap_or_default();
            (found.to_g, found.frames) = (to_g, (to_g.saturating_add(1), g));
            return Ok(found);
        }
        if g <= decided {
            return Err(CannotFollow::Diverged { g, decided });
        }
        // Never seen here, and not decided: another round's chain replaced it.
        let frames = (decided.saturating_add(1), g);
        Ok(Retraction { to_g: decided, frames, reason: "round_change", ..Retraction::default() })
    }

    /// Acks, decisions and seals of positions that were given.
    fn pull_marks(&self, cursor: &mut Cursor, out: &mut Vec<Step>) {
        for (g, info) in self.acks.range(cursor.acked.saturating_add(1)..cursor.next) {
            let from_g = cursor.acked.saturating_add(1);
            out.push(Step::Acked { from_g, g: *g, info: *info });
            cursor.acked = *g;
        }
        for (g, height) in self.height_ends.range(cursor.decided.saturating_add(1)..cursor.next) {
            let from_g = cursor.decided.saturating_add(1);
            out.push(Step::Decided { from_g, g: *g, height: *height });
            cursor.decided = *g;
        }
        let new = |b: &&Arc<BlockView>| b.span.last_g > cursor.sealed;
        let blocks: Vec<_> = self.blocks.values().rev().take_while(new).cloned().collect();
        let given = |b: &Arc<BlockView>| b.span.last_g < cursor.next;
        for block in blocks.into_iter().rev().filter(given) {
            cursor.sealed = block.span.last_g;
            out.push(Step::Sealed(block));
        }
    }
}

impl Default for Retraction {
    fn default() -> Self {
        Self {
            to_g: 0,
            frames: (0, 0),
            leader: Address::ZERO,
            reason: "round_change",
            txs: Vec::new(),
            blocks: Vec::new(),
            hashes: Vec::new(),
            at_ms: 0,
        }
    }
}
