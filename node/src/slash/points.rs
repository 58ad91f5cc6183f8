//! The checkpoints of execution that headers named, with what their roots are the hash of.
//!
//! Not for: judging them. Nodes forget them hours later, and L1 proves blocks days later: whoever compares has kept them. Policy
//! when full: the oldest are forgotten, in the file at the next start. Invariant: a record is whole or not there.

use rota_types::{Decode, EXEC_LAG, Encode, LAG_LEN, LagPoint};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

/// Checkpoints kept, 80 bytes each: twelve days of four heights a second.
const KEEP: usize = 65_536;

/// The checkpoints, in memory and in a file.
#[derive(Debug)]
pub(super) struct Points {
    file: PathBuf,
    by_height: BTreeMap<u64, LagPoint>,
}

impl Points {
    /// Reads what is there. A record that was not finished is left out.
    pub(super) fn open(file: &Path) -> io::Result<Self> {
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e),
        };
        let mut out = Self { file: file.into(), by_height: BTreeMap::new() };
        for record in bytes.chunks_exact(LAG_LEN) {
            let point = LagPoint::decode(record).map_err(io::Error::other)?;
            out.keep(point);
        }
        let whole: Vec<u8> = out.by_height.values().flat_map(Encode::encode).collect();
        super::files::replace(file, &whole)?;
        Ok(out)
    }

    /// Adds one.
    pub(super) fn note(&mut self, point: LagPoint) -> io::Result<()> {
        if self.by_height.get(&point.height) != Some(&point) {
            let mut file = fs::OpenOptions::new().append(true).create(true).open(&self.file)?;
            let whole = file.metadata()?.len();
            if let Err(full) = file.write_all(&point.encode()) {
                // What is appended next must not come behind a part of a record.
                file.set_len(whole)?;
                return Err(full);
            }
            self.keep(point);
        }
        Ok(())
    }

    fn keep(&mut self, point: LagPoint) {
        self.by_height.insert(point.height, point);
        while self.by_height.len() > KEEP {
            self.by_height.pop_first();
        }
    }

    /// Those that name a block of a range.
    pub(super) fn of_blocks(&self, range: RangeInclusive<u64>) -> Vec<LagPoint> {
        self.by_height.values().filter(|p| range.contains(&p.block_number)).copied().collect()
    }

    pub(super) fn has(&self, height: u64) -> bool {
        self.by_height.contains_key(&height)
    }

    /// Heights of missing checkpoints from `newest` down to `floor`, at most so many.
    pub(super) fn missing(&self, newest: u64, floor: u64, most: usize) -> Vec<u64> {
        let first = floor.max(1).checked_next_multiple_of(EXEC_LAG).unwrap_or(u64::MAX);
        let heights = (first..=newest).rev().filter(|h| h.is_multiple_of(EXEC_LAG));
        heights.filter(|h| !self.has(*h)).take(most).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_types::B256;

    fn point(height: u64, block_number: u64) -> LagPoint {
        LagPoint { height, block_number, block_hash: B256::ZERO, rewards_root: B256::ZERO }
    }

    #[test]
    fn points_survive_a_restart_in_the_middle_of_a_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("points");
        let mut points = Points::open(&path).unwrap();
        for (height, block) in [(128, 20), (64, 9), (256, 41), (128, 20)] {
            points.note(point(height, block)).unwrap();
        }
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[1; 79]).unwrap();
        drop(file);
        let mut again = Points::open(&path).unwrap();
        assert_eq!(again.of_blocks(10..=41), [point(128, 20), point(256, 41)]);
        assert_eq!(again.missing(400, 0, 9), [384, 320, 192]);
        assert_eq!(again.missing(400, 192, 2), [384, 320]);
        again.note(point(320, 50)).unwrap();
        assert!(Points::open(&path).unwrap().has(320));
    }
}
