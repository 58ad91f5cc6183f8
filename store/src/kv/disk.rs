//! The key-value store on sled 0.34.7, with what sled leaves open closed here.
//!
//! * One sled tree, our trees are a byte in front of the key: one sled batch is then one atomic write.
//! * `flush` of sled ends in `sync_file_range`, which survives no power loss: `sync_data` follows.
//! * Page items above 128 KiB go to files that sled never syncs; a page holds up to 16 entries. Values
//!   above `CHUNK` are therefore split, with a checksum over the whole.
//! * A damaged directory can make sled panic: caught on open, and told as `StoreError::Corrupt`.
//!
//! Invariant: a value read back is the value written, or the error is `Corrupt`.

use super::{Batch, Entries, Kv, Order, Scan, Tree};
use crate::{StoreError, error::IoContext};
use std::{
    fs::File,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

/// Cache to give to `SledKv::open` unless memory is known to be short.
///
/// sled 0.34.7 does not give memory back when it evicts pages, so a cache smaller than the live data
/// costs more memory, not less. Measured: 40 MB of live data, 400 batches of 1,000 random puts and a
/// 100 kB value: 150 MB and 8 ms per commit with 128 MiB, 1 GB and 20 ms with 32 MiB, 1.8 GB with 4 MiB.
pub const DEFAULT_CACHE: u64 = 512 * 1024 * 1024;
/// Bytes of one piece of a split value.
const CHUNK: usize = 4096;
/// Put before the tree byte of pieces; no tree has this bit.
const PIECE: u8 = 0x80;
const WHOLE: u8 = 0;
const SPLIT: u8 = 1;

/// A store in a directory.
#[derive(Debug)]
pub struct SledKv {
    db: sled::Db,
    file: File,
    path: PathBuf,
}

impl SledKv {
    /// Opens or creates the store. `cache_bytes` bounds sled's cache of pages (see `DEFAULT_CACHE`). `StoreError::Corrupt`: set the directory aside and derive the chain again.
    pub fn open(path: impl Into<PathBuf>, cache_bytes: u64) -> Result<Self, StoreError> {
        let path = path.into();
        let config = sled::Config::new()
            .path(&path)
            .cache_capacity(cache_bytes)
            .mode(sled::Mode::LowSpace)
            // We flush once per block; a timer would only write pages twice.
            .flush_every_ms(None);
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let db = config.open()?;
            // Reads the first pages, so that damage shows now and not at the first block.
            let _ = db.first()?;
            let _ = db.last()?;
            Ok(db)
        }));
        let db = match opened {
            Ok(result) => result.map_err(|e| opening(&path, e))?,
            Err(_) => return Err(corrupt(&path, "the database panicked while opening")),
        };
        let file = File::open(path.join("db")).at("open", &path.join("db"))?;
        Ok(Self { db, file, path })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(test)]
    pub(super) fn overwrite_piece(&self, tree: Tree, key: &[u8], piece: Vec<u8>) {
        let _ = self.db.insert(piece_key(tree, key, 0), piece);
    }

    #[cfg(test)]
    pub(super) fn scan_raw_len(&self) -> usize {
        self.db.len()
    }

    fn caught<T>(&self, f: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        catch_unwind(AssertUnwindSafe(f))
            .unwrap_or_else(|_| Err(corrupt(&self.path, "the database panicked")))
    }

    fn err(&self, e: sled::Error) -> StoreError {
        convert(&self.path, e)
    }

    /// Puts the value of a stored entry together.
    fn load(&self, tree: Tree, key: &[u8], stored: &[u8]) -> Result<Vec<u8>, StoreError> {
        match stored.split_first() {
            Some((&WHOLE, value)) => Ok(value.to_vec()),
            Some((&SPLIT, head)) => {
                let (len, crc) = split_head(head)
                    .ok_or_else(|| corrupt(&self.path, "the head of a split value"))?;
                let mut value = Vec::new();
                for i in 0..pieces(len) {
                    let piece = self.db.get(piece_key(tree, key, i)).map_err(|e| self.err(e))?;
                    let piece = piece
                        .ok_or_else(|| corrupt(&self.path, "a piece of a value is missing"))?;
                    value.extend_from_slice(&piece);
                }
                if value.len() == len && crc32fast::hash(&value) == crc {
                    Ok(value)
                } else {
                    Err(corrupt(&self.path, "the checksum of a value is wrong"))
                }
            }
            _ => Err(corrupt(&self.path, "an entry of unknown form")),
        }
    }

    /// Adds one put or delete to a sled batch, with the pieces of large values.
    fn stage(
        &self,
        out: &mut sled::Batch,
        tree: Tree,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let at = entry_key(tree, key);
        let old = if tree.has_large_values() {
            let stored = self.db.get(&at).map_err(|e| self.err(e))?;
            stored.as_deref().and_then(piece_count).unwrap_or(0)
        } else {
            0
        };
        let new = match value {
            Some(value) if value.len() > CHUNK => {
                for (i, piece) in (0u32..).zip(value.chunks(CHUNK)) {
                    out.insert(piece_key(tree, key, i), piece);
                }
                let mut head = vec![SPLIT];
                head.extend_from_slice(
                    &u64::try_from(value.len()).unwrap_or(u64::MAX).to_be_bytes(),
                );
                head.extend_from_slice(&crc32fast::hash(value).to_be_bytes());
                out.insert(at, head);
                pieces(value.len())
            }
            Some(value) => {
                let mut whole = Vec::with_capacity(value.len().saturating_add(1));
                whole.push(WHOLE);
                whole.extend_from_slice(value);
                out.insert(at, whole);
                0
            }
            None => {
                out.remove(at);
                0
            }
        };
        for i in new..old {
            out.remove(piece_key(tree, key, i));
        }
        Ok(())
    }
}

impl Kv for SledKv {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.caught(|| {
            let stored = self.db.get(entry_key(tree, key)).map_err(|e| self.err(e))?;
            stored.map(|s| self.load(tree, key, &s)).transpose()
        })
    }

    fn scan(&self, tree: Tree, scan: &Scan) -> Result<Entries, StoreError> {
        if scan.to.as_ref().is_some_and(|to| *to <= scan.from) {
            return Ok(Vec::new());
        }
        let from = Bound::Included(entry_key(tree, &scan.from));
        let to = scan
            .to
            .as_ref()
            .map_or_else(|| vec![(tree as u8).saturating_add(1)], |to| entry_key(tree, to));
        self.caught(|| {
            let mut out = Vec::new();
            let mut range = self.db.range::<Vec<u8>, _>((from, Bound::Excluded(to)));
            while out.len() < scan.limit {
                let next = match scan.order {
                    Order::Ascending => range.next(),
                    Order::Descending => range.next_back(),
                };
                let Some(next) = next else { break };
                let (key, stored) = next.map_err(|e| self.err(e))?;
                let key = key.get(1..).unwrap_or_default().to_vec();
                let value = self.load(tree, &key, &stored)?;
                out.push((key, value));
            }
            Ok(out)
        })
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        self.caught(|| {
            let mut out = sled::Batch::default();
            for (tree, key, value) in &batch.ops {
                self.stage(&mut out, *tree, key, value.as_deref())?;
            }
            self.db.apply_batch(out).map_err(|e| self.err(e))
        })
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.caught(|| self.db.flush().map(|_| ()).map_err(|e| self.err(e)))?;
        self.file.sync_data().at("sync", &self.path)
    }
}

impl Tree {
    /// Whether values above `CHUNK` are usual and replaced or deleted, so that old pieces must go.
    const fn has_large_values(self) -> bool {
        matches!(
            self,
            Self::Meta
                | Self::Heights
                | Self::Blocks
                | Self::Receipts
                | Self::Code
                | Self::Evidence
                | Self::L1
        )
    }
}

fn entry_key(tree: Tree, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len().saturating_add(1));
    out.push(tree as u8);
    out.extend_from_slice(key);
    out
}

/// `tree | PIECE || length of the key || key || index`: no two keys share a piece.
fn piece_key(tree: Tree, key: &[u8], index: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len().saturating_add(9));
    out.push(tree as u8 | PIECE);
    out.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(&index.to_be_bytes());
    out
}

fn split_head(head: &[u8]) -> Option<(usize, u32)> {
    let (len, crc) = head.split_first_chunk::<8>()?;
    let crc: [u8; 4] = crc.try_into().ok()?;
    Some((usize::try_from(u64::from_be_bytes(*len)).ok()?, u32::from_be_bytes(crc)))
}

fn piece_count(stored: &[u8]) -> Option<u32> {
    let (&SPLIT, head) = stored.split_first()? else { return None };
    split_head(head).map(|(len, _)| pieces(len))
}

fn pieces(len: usize) -> u32 {
    u32::try_from(len.div_ceil(CHUNK)).unwrap_or(u32::MAX)
}

fn corrupt(path: &Path, detail: &str) -> StoreError {
    StoreError::Corrupt { path: path.to_path_buf(), detail: detail.to_owned() }
}

/// While opening, files that end early or hold nonsense are damage too.
fn opening(path: &Path, e: sled::Error) -> StoreError {
    use std::io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    match e {
        sled::Error::Io(e)
            if matches!(e.kind(), InvalidData | InvalidInput | NotFound | UnexpectedEof) =>
        {
            corrupt(path, &e.to_string())
        }
        sled::Error::Io(e) if e.to_string().contains("lock") => {
            StoreError::Locked { path: path.join("db"), pid: None }
        }
        e => convert(path, e),
    }
}

fn convert(path: &Path, e: sled::Error) -> StoreError {
    match e {
        sled::Error::Io(source) => {
            StoreError::Io { what: "use the database", path: path.to_path_buf(), source }
        }
        sled::Error::Corruption { .. } => corrupt(path, "a checksum is wrong"),
        other => corrupt(path, &other.to_string()),
    }
}
