//! What execution gave at the last checkpoints: every so many heights a CLOSE names the checkpoint before
//! (`docs/protocol.md`, "Rewards").
//!
//! Not for: executing. Whoever does so tells this book, as does who has seen a certified header.
//! Invariant (I-9): what a CLOSE must name is a function of the frames far below it; a checkpoint that is not in the
//! book yet can only delay, and two roots for one checkpoint are never both taken.

use alloy_primitives::B256;
use rota_types::{EXEC_LAG, Header};
use std::collections::BTreeMap;

/// Checkpoints kept. Policy when full: the oldest are forgotten.
const KEPT: usize = 1_024;

/// The roots (`LagPoint::root`) of the newest checkpoints.
#[derive(Debug, Clone)]
pub struct Lags {
    every: u64,
    roots: BTreeMap<u64, B256>,
}

/// This node's execution gave something else than the set certified. Us: it must not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("execution up to height {height} gave {own} here, and the set certified {certified}")]
pub struct OtherExecution {
    /// The checkpoint.
    pub height: u64,
    /// Root of this node.
    pub own: B256,
    /// Root in a certified header.
    pub certified: B256,
}

impl Default for Lags {
    fn default() -> Self {
        Self::every(EXEC_LAG)
    }
}

impl Lags {
    /// An empty book with a checkpoint every so many heights: [`EXEC_LAG`] in a network, fewer in a simulation.
    #[must_use]
    pub const fn every(heights: u64) -> Self {
        Self { every: heights, roots: BTreeMap::new() }
    }

    /// Whether a height is a checkpoint.
    #[must_use]
    pub const fn is_point(&self, height: u64) -> bool {
        height > 0 && height.is_multiple_of(self.every)
    }

    /// The checkpoint that the CLOSE of a height names; none for most.
    #[must_use]
    pub const fn named_by(&self, height: u64) -> Option<u64> {
        match height.checked_sub(self.every) {
            Some(point) if self.is_point(height) && point > 0 => Some(point),
            _ => None,
        }
    }

    /// `exec_lag_height` and `exec_lag_root` of a height; `None` if that is not known here yet.
    #[must_use]
    pub fn at(&self, height: u64) -> Option<(u64, B256)> {
        match self.named_by(height) {
            Some(point) => self.roots.get(&point).map(|root| (point, *root)),
            None => Some((0, B256::ZERO)),
        }
    }

    /// The newest checkpoint in the book.
    #[must_use]
    pub fn newest(&self) -> Option<(u64, B256)> {
        self.roots.last_key_value().map(|(height, root)| (*height, *root))
    }

    /// Notes what the own execution gave.
    ///
    /// # Errors
    /// The set certified another root.
    pub fn executed(&mut self, height: u64, own: B256) -> Result<(), OtherExecution> {
        self.note(height, own).map_err(|certified| OtherExecution { height, own, certified })
    }

    /// Notes what a header says whose certificate was verified.
    ///
    /// # Errors
    /// The own execution gave another root.
    pub fn certified(&mut self, header: &Header) -> Result<(), OtherExecution> {
        let (height, certified) = (header.close.exec_lag_height, header.close.exec_lag_root);
        if self.named_by(header.height()) != Some(height) {
            return Ok(());
        }
        self.note(height, certified).map_err(|own| OtherExecution { height, own, certified })
    }

    /// Forgets a checkpoint.
    pub fn forget(&mut self, height: u64) {
        self.roots.remove(&height);
    }

    /// Keeps the first root for a checkpoint; gives it if this is another.
    fn note(&mut self, height: u64, root: B256) -> Result<(), B256> {
        let known = *self.roots.entry(height).or_insert(root);
        while self.roots.len() > KEPT {
            self.roots.pop_first();
        }
        if known == root { Ok(()) } else { Err(known) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(n: u8) -> B256 {
        B256::repeat_byte(n)
    }

    #[test]
    fn every_checkpoint_but_the_first_names_the_one_before() {
        let mut lags = Lags::default();
        for height in [0, 1, 63, 64, 65, 127, 129] {
            assert_eq!(lags.at(height), Some((0, B256::ZERO)), "{height}");
        }
        assert_eq!((lags.at(128), lags.at(192)), (None, None));
        lags.executed(64, root(1)).unwrap();
        assert_eq!((lags.at(128), lags.at(192)), (Some((64, root(1))), None));
        lags.executed(128, root(2)).unwrap();
        assert_eq!(lags.at(192), Some((128, root(2))));
    }

    #[test]
    fn two_roots_for_one_checkpoint_are_refused_whichever_comes_first() {
        let mut header = Header {
            env: rota_types::Env {
                timestamp_s: 0,
                l1_number: 0,
                l1_hash: B256::ZERO,
                gas_limit: 0,
                prev_randao: B256::ZERO,
                fee_vault: rota_types::Address::ZERO,
            },
            close: rota_types::Close {
                height: 128,
                exec_lag_height: 64,
                exec_lag_root: root(7),
                ..Default::default()
            },
            first_g: 0,
            last_g: 0,
            txs_root: B256::ZERO,
            frames_root: B256::ZERO,
            last_frame_hash: B256::ZERO,
        };
        let mut lags = Lags::default();
        lags.certified(&header).unwrap();
        lags.executed(64, root(7)).unwrap();
        let other = OtherExecution { height: 64, own: root(8), certified: root(7) };
        assert_eq!(lags.executed(64, root(8)), Err(other));
        let mut lags = Lags::default();
        lags.executed(64, root(8)).unwrap();
        assert_eq!(lags.certified(&header), Err(other));
        // A header that names none says nothing.
        header.close.height = 129;
        lags.certified(&header).unwrap();
    }

    #[test]
    fn the_book_is_bounded_and_the_newest_stay() {
        let mut lags = Lags::every(1);
        for height in 1..=5_000u64 {
            lags.executed(height, root(1)).unwrap();
        }
        assert_eq!(lags.roots.len(), KEPT);
        assert!(lags.at(5_001).is_some());
    }
}
