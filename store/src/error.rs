//! What can go wrong with the disk, and whose move it is.

use std::{io, path::Path, path::PathBuf};

/// A failure of persistence.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process uses the directory or file. The operator's move: stop the other process.
    #[error("{} is in use by another process{}", path.display(), pid.map_or_else(String::new, |p| format!(" (pid {p})")))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, if it wrote its id.
        pid: Option<u32>,
    },
    /// The operating system refused an operation (disk full, permissions, hardware). Ours: halt.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The reason given.
        source: io::Error,
    },
    /// The database is damaged. Ours: set the directory aside and derive it again from L1.
    #[error("the database at {} is damaged: {detail}", path.display())]
    Corrupt {
        /// Where.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A record in the middle of a log is damaged. Ours: halt, an operator must look.
    #[error("{}: the record at offset {offset} is damaged and valid records follow it", path.display())]
    CorruptRecord {
        /// The log.
        path: PathBuf,
        /// Offset of the record, bytes.
        offset: u64,
    },
    /// An earlier write failed, so what is on disk is unknown. Ours: halt.
    #[error("{}: refused because an earlier write failed", path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
    /// A record above the bound. Ours: a bug in the caller.
    #[error("record of {got} bytes; the limit is {max}")]
    TooLarge {
        /// Bytes given.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// A batch that does not continue the stored chain. Ours: a bug in the caller.
    #[error("{what} {got} does not follow {head}")]
    Gap {
        /// Height or block.
        what: &'static str,
        /// Number given.
        got: u64,
        /// Number of the stored head.
        head: u64,
    },
    /// The sign guard cannot be read, so what the key has signed is not known. The operator's move: nothing is signed
    /// until the guard is whole again.
    #[error("the sign guard {} is damaged: {detail}", path.display())]
    GuardDamaged {
        /// The guard's file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The sign guard was exported: another machine signs with this key now. The operator's move.
    #[error("the sign guard {} was exported to another machine, which signs with this key now", path.display())]
    GuardExported {
        /// The guard's file.
        path: PathBuf,
    },
    /// The sign guard belongs to another network or key. The operator's move: use the right directory.
    #[error("{} belongs to {found}, not to {expected}", path.display())]
    OtherNetwork {
        /// The guard's file.
        path: PathBuf,
        /// What it is bound to.
        found: String,
        /// What was asked for.
        expected: String,
    },
}

impl StoreError {
    /// Whether the data can be thrown away and derived again from L1.
    #[must_use]
    pub const fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }
}

/// Names the operation and the file in an IO error.
pub(crate) trait IoContext<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Io { what, path: path.to_path_buf(), source })
    }
}
