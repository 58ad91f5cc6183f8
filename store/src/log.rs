//! An append-only file of records: the consensus log, the frame log and the sign guard.
//!
//! A record is `length u32 || crc32(length || bytes) || bytes`, big-endian. The checksum covers the
//! length, so a run of zeros is no record.
//! Not for: random access, and not for data that outgrows memory: `open` reads the whole file, callers
//! keep it short with `reset`.
//! Invariant: whatever was appended before a `sync` that returned `Ok` is there after any crash, in
//! order. After the first error of a write the log refuses everything (what is on disk is unknown).

use crate::{StoreError, dir::sync_dir, error::IoContext};
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Largest record, bytes.
pub const MAX_RECORD: usize = 1 << 20;
const HEADER: usize = 8;
/// Buffered bytes beyond which `append` hands them to the operating system (without waiting for the disk).
const BUFFER: usize = 256 * 1024;

/// The end of a file that a crash left unfinished; it was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TornTail {
    /// Where the valid records end.
    pub offset: u64,
    /// How many bytes were cut off.
    pub bytes: u64,
}

/// A log just opened.
#[derive(Debug)]
pub struct Opened {
    /// The log, ready to append.
    pub log: AppendLog,
    /// All records, oldest first.
    pub records: Vec<Vec<u8>>,
    /// Set if an unfinished tail was cut off.
    pub torn: Option<TornTail>,
    /// Whether the file did not exist before.
    pub created: bool,
}

/// An append-only log.
#[derive(Debug)]
pub struct AppendLog {
    path: PathBuf,
    file: File,
    /// Records not handed to the operating system yet.
    buffer: Vec<u8>,
    /// Bytes in the file and the buffer.
    len: u64,
    dirty: bool,
    poisoned: bool,
}

impl AppendLog {
    /// Opens or creates the file and reads its records. An unfinished tail is cut off and reported; a
    /// damaged record with valid ones after it is `StoreError::CorruptRecord`.
    pub fn open(path: impl Into<PathBuf>) -> Result<Opened, StoreError> {
        let path = path.into();
        // A crash in `reset` before the rename leaves this behind; the old file still counts.
        match fs::remove_file(staging(&path)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).at("remove", &path);
            }
            _ => {}
        }
        let created = !path.exists();
        let mut file = open_file(&path)?;
        if created {
            sync_parent(&path)?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).at("read", &path)?;
        let (records, end) = parse(&bytes, &path)?;
        let (offset, whole) = (to_u64(end), to_u64(bytes.len()));
        let torn =
            (offset < whole).then(|| TornTail { offset, bytes: whole.saturating_sub(offset) });
        if torn.is_some() {
            file.set_len(offset).and_then(|()| file.sync_all()).at("truncate", &path)?;
        }
        let log =
            Self { path, file, buffer: Vec::new(), len: offset, dirty: false, poisoned: false };
        Ok(Opened { log, records, torn, created })
    }

    /// Reads the records of a file that another process may be writing, without changing it. `None` if there is no
    /// such file; an unfinished tail is left out.
    pub fn read(path: &Path) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        match fs::read(path) {
            Ok(bytes) => parse(&bytes, path).map(|(records, _)| Some(records)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).at("read", path),
        }
    }

    /// Adds a record. It is durable only after `sync`.
    pub fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        self.usable()?;
        let before = self.buffer.len();
        encode(&mut self.buffer, record)?;
        let added = self.buffer.len().saturating_sub(before);
        self.len = self.len.saturating_add(to_u64(added));
        self.dirty = true;
        if self.buffer.len() > BUFFER { self.spill() } else { Ok(()) }
    }

    /// Makes everything appended so far durable (`fdatasync`). Free if there is nothing new.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.usable()?;
        if !self.dirty {
            return Ok(());
        }
        self.spill()?;
        if let Err(e) = self.file.sync_data() {
            self.poisoned = true;
            return Err(e).at("sync", &self.path);
        }
        self.dirty = false;
        Ok(())
    }

    /// Replaces the whole content, durably and at once: after a crash either the old or the new
    /// records are there.
    pub fn reset<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), StoreError> {
        self.usable()?;
        let mut bytes = Vec::new();
        for record in records {
            encode(&mut bytes, record)?;
        }
        match self.replace(&bytes) {
            Ok(file) => {
                self.file = file;
                self.buffer.clear();
                self.len = to_u64(bytes.len());
                self.dirty = false;
                Ok(())
            }
            Err(e) => {
                self.poisoned = true;
                Err(e)
            }
        }
    }

    /// Bytes of all records, buffered ones included.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }
    /// Whether there is no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Whether something is not durable yet.
    #[must_use]
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Fails if an earlier write failed.
    pub(crate) fn usable(&self) -> Result<(), StoreError> {
        if self.poisoned { Err(StoreError::Poisoned { path: self.path.clone() }) } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), StoreError> {
        if let Err(e) = self.file.write_all(&self.buffer) {
            self.poisoned = true;
            return Err(e).at("append to", &self.path);
        }
        self.buffer.clear();
        Ok(())
    }

    fn replace(&self, bytes: &[u8]) -> Result<File, StoreError> {
        let new = staging(&self.path);
        let mut file = open_file(&new)?;
        file.set_len(0).at("truncate", &new)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).at("write", &new)?;
        fs::rename(&new, &self.path).at("rename", &new)?;
        sync_parent(&self.path)?;
        Ok(file)
    }
}

fn open_file(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).at("open", path)
}

fn staging(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn sync_parent(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => sync_dir(p),
        _ => sync_dir(Path::new(".")),
    }
}

fn encode(out: &mut Vec<u8>, record: &[u8]) -> Result<(), StoreError> {
    let len = u32::try_from(record.len()).ok().filter(|_| record.len() <= MAX_RECORD);
    let Some(len) = len else {
        return Err(StoreError::TooLarge { got: record.len(), max: MAX_RECORD });
    };
    let len = len.to_be_bytes();
    out.extend_from_slice(&len);
    out.extend_from_slice(&checksum(&len, record).to_be_bytes());
    out.extend_from_slice(record);
    Ok(())
}

fn checksum(len: &[u8; 4], record: &[u8]) -> u32 {
    let mut h = crc32fast::Hasher::new();
    h.update(len);
    h.update(record);
    h.finalize()
}

/// The record at the start of `bytes`, if it is whole and its checksum right.
fn first(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let n = usize::try_from(u32::from_be_bytes(*len)).ok().filter(|n| *n <= MAX_RECORD)?;
    let record = rest.get(..n)?;
    (checksum(len, record) == u32::from_be_bytes(*crc)).then_some(record)
}

/// The records and where they end.
fn parse(bytes: &[u8], path: &Path) -> Result<(Vec<Vec<u8>>, usize), StoreError> {
    let mut records = Vec::new();
    let mut at = 0usize;
    while let Some(record) = first(bytes.get(at..).unwrap_or_default()) {
        records.push(record.to_vec());
        at = at.saturating_add(HEADER).saturating_add(record.len());
    }
    // What follows is either an unfinished write, which has nothing valid behind it, or damage.
    let tail = bytes.get(at..).unwrap_or_default();
    if (1..tail.len()).any(|i| tail.get(i..).and_then(first).is_some()) {
        return Err(StoreError::CorruptRecord { path: path.to_path_buf(), offset: to_u64(at) });
    }
    Ok((records, at))
}

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may overflow and panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(path: &Path) -> (Vec<Vec<u8>>, Option<TornTail>) {
        let o = AppendLog::open(path).unwrap();
        (o.records, o.torn)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_truncation_keeps_exactly_the_whole_records(
            items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6)
        ) {
            let tmp = tempfile::tempdir().unwrap();
            let path = tmp.path().join("log");
            let mut o = AppendLog::open(&path).unwrap();
            for i in &items { o.log.append(i).unwrap(); }
            o.log.sync().unwrap();
            prop_assert_eq!(to_u64(std::fs::read(&path).unwrap().len()), o.log.len());
            let bytes = std::fs::read(&path).unwrap();
            for cut in 0..=bytes.len() {
                std::fs::write(&path, &bytes[..cut]).unwrap();
                let (mut n, mut end) = (0, 0);
                for i in &items {
                    if end + HEADER + i.len() > cut { break; }
                    end += HEADER + i.len();
                    n += 1;
                }
                let (got, torn) = records(&path);
                prop_assert_eq!(&got[..], &items[..n]);
                prop_assert_eq!(torn.map(|t| t.bytes), (cut > end).then(|| to_u64(cut - end)));
                prop_assert_eq!(records(&path).1, None);
            }
        }

        #[test]
        fn a_flipped_bit_is_never_read_as_data(at in 0usize..1000, bit in 0u8..8) {
            let tmp = tempfile::tempdir().unwrap();
            let path = tmp.path().join("log");
            let items: Vec<Vec<u8>> = (1u8..5).map(|i| vec![i; 20]).collect();
            let mut o = AppendLog::open(&path).unwrap();
            for i in &items { o.log.append(i).unwrap(); }
            o.log.sync().unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            std::fs::write(&path, &bytes).unwrap();
            let hit = at / 28;
            match AppendLog::open(&path) {
                Ok(o) => {
                    prop_assert_eq!(hit, 3, "only damage of the last record can look like a torn write");
                    prop_assert_eq!(&o.records[..], &items[..3]);
                }
                Err(StoreError::CorruptRecord { offset, .. }) => {
                    prop_assert_eq!(offset, to_u64(hit * 28));
                }
                Err(e) => prop_assert!(false, "{}", e),
            }
        }
    }

    #[test]
    fn zeros_at_the_end_are_cut_off_and_a_lying_length_allocates_nothing() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("log");
        std::fs::write(&path, [0u8; 4096]).unwrap();
        assert_eq!(records(&path), (vec![], Some(TornTail { offset: 0, bytes: 4096 })));
        std::fs::write(&path, [0xff; 64]).unwrap();
        assert_eq!(records(&path).0, Vec::<Vec<u8>>::new());
        let mut log = AppendLog::open(&path).unwrap().log;
        assert!(matches!(log.append(&vec![0; MAX_RECORD + 1]), Err(StoreError::TooLarge { .. })));
        log.append(&[]).unwrap();
        log.sync().unwrap();
        assert_eq!(records(&path).0, vec![Vec::<u8>::new()]);
    }

    #[test]
    fn reset_replaces_all_and_a_left_over_staging_file_does_not_count() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("log");
        let mut log = AppendLog::open(&path).unwrap().log;
        log.append(b"old").unwrap();
        log.sync().unwrap();
        std::fs::write(tmp.path().join("log.new"), b"unfinished").unwrap();
        assert_eq!(records(&path).0, [b"old".to_vec()]);
        log.reset([b"a".as_slice(), b"b"]).unwrap();
        log.append(b"c").unwrap();
        log.sync().unwrap();
        assert_eq!(records(&path).0, [b"a".to_vec(), b"b".to_vec(), b"c".to_vec()]);
    }

    #[test]
    fn after_a_failed_write_the_log_refuses_everything() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("log");
        let mut log = AppendLog::open(&path).unwrap().log;
        // A handle that cannot be written stands for a disk that fails.
        log.file = File::open(&path).unwrap();
        log.append(b"x").unwrap();
        assert!(matches!(log.sync(), Err(StoreError::Io { .. })));
        assert!(matches!(log.append(b"y"), Err(StoreError::Poisoned { .. })));
        assert!(matches!(log.sync(), Err(StoreError::Poisoned { .. })));
        assert!(matches!(log.reset([]), Err(StoreError::Poisoned { .. })));
    }

    #[test]
    fn a_failed_sync_is_final_although_every_write_was_taken() {
        let tmp = tempfile::tempdir().unwrap();
        let mut log = AppendLog::open(tmp.path().join("log")).unwrap().log;
        // Takes every write and refuses to sync.
        log.file = OpenOptions::new().write(true).open("/dev/null").unwrap();
        log.append(b"x").unwrap();
        assert!(matches!(log.sync(), Err(StoreError::Io { what: "sync", .. })));
        assert!(log.is_dirty());
        assert!(
            matches!(log.sync(), Err(StoreError::Poisoned { .. })),
            "a second sync proves nothing"
        );
        assert!(matches!(log.append(b"y"), Err(StoreError::Poisoned { .. })));
    }
}
