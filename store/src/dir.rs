//! The data directory: its layout and the lock that keeps a second process out.
//!
//! Not for: what is in the files. `rm -rf db wal` is always safe; `sign-state/` is kept apart so that no
//! reset of chain data takes the signing history with it.
//! Each generation of the rollup has a database and logs of its own: `db` and `wal` are of generation 0, those of a
//! later one lie in `generation-N/`. Nothing is moved or overwritten when one begins.
//! Invariants: while a `DataDir` lives, no other process has one on the same path; the kernel releases
//! the lock when the process ends, however it ends. The generation of a directory never falls.

use crate::{StoreError, error::IoContext};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Only the owner.
const PRIVATE_DIR: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;
/// Before the number of a generation above 0.
const GENERATION: &str = "generation-";

/// An open data directory, held by this process alone.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    generation: u32,
    _lock: FileLock,
}

impl DataDir {
    /// Creates what is missing and takes the lock. `StoreError::Locked` names the other process.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        create_private(&root)?;
        let lock = FileLock::take(&root.join("LOCK"))?;
        let generation = Self::generation_in(&root)?;
        let dir = Self { root, generation, _lock: lock };
        for sub in [dir.keys(), dir.sign_state(), dir.db(), dir.wal(), dir.logs()] {
            create_private(&sub)?;
        }
        // These two hold secrets and the signing history: tightened even if someone loosened them.
        for sub in [dir.keys(), dir.sign_state()] {
            fs::set_permissions(&sub, Permissions::from_mode(PRIVATE_DIR))
                .at("set the permissions of", &sub)?;
        }
        sync_dir(&dir.root)?;
        Ok(dir)
    }
    /// The newest generation that has begun in a data directory; it may be looked at while a process has it.
    ///
    /// # Errors
    /// Us: it cannot be read.
    pub fn generation_in(root: &Path) -> Result<u32, StoreError> {
        let entries = match fs::read_dir(root) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries.at("read", root)?,
        };
        let mut newest = 0;
        for entry in entries {
            let name = entry.at("read", root)?.file_name();
            let number = name.to_str().and_then(|n| n.strip_prefix(GENERATION)?.parse().ok());
            newest = newest.max(number.unwrap_or(0));
        }
        Ok(newest)
    }

    /// From here on this directory is of a later generation, whatever happens to the process; does nothing if it is
    /// already. The database and the logs of the one before stay where they are.
    ///
    /// # Errors
    /// Us: it cannot be written.
    pub fn enter(&mut self, generation: u32) -> Result<(), StoreError> {
        if generation <= self.generation {
            return Ok(());
        }
        create_private(&self.root.join(format!("{GENERATION}{generation}")))?;
        sync_dir(&self.root)?;
        self.generation = generation;
        for sub in [self.db(), self.wal()] {
            create_private(&sub)?;
        }
        sync_dir(&self.place(generation))
    }

    /// The generation that the database and the logs are of.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }
    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// Keystores.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }
    /// The sign guard's files. Never deleted with chain data.
    #[must_use]
    pub fn sign_state(&self) -> PathBuf {
        self.root.join("sign-state")
    }
    /// The database.
    #[must_use]
    pub fn db(&self) -> PathBuf {
        self.db_of(self.generation)
    }
    /// The database of a generation; it may not be there.
    #[must_use]
    pub fn db_of(&self, generation: u32) -> PathBuf {
        self.place(generation).join("db")
    }
    /// Consensus log and frame log.
    #[must_use]
    pub fn wal(&self) -> PathBuf {
        self.place(self.generation).join("wal")
    }
    /// Where database and logs of a generation are.
    fn place(&self, generation: u32) -> PathBuf {
        match generation {
            0 => self.root.clone(),
            later => self.root.join(format!("{GENERATION}{later}")),
        }
    }
    /// Log files.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }
}

/// An exclusive advisory lock on a file that holds the owner's process id.
#[derive(Debug)]
pub(crate) struct FileLock(#[expect(dead_code, reason = "held for the lock only")] File);

impl FileLock {
    /// Takes the lock or says who has it.
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE_FILE)
            .open(path)
            .at("open", path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(path).ok().and_then(|s| s.trim().parse().ok());
                return Err(StoreError::Locked { path: path.to_path_buf(), pid });
            }
            Err(TryLockError::Error(e)) => return Err(e).at("lock", path),
        }
        file.set_len(0).at("write", path)?;
        writeln!(file, "{}", std::process::id()).at("write", path)?;
        Ok(Self(file))
    }
}

/// Makes the entries of a directory durable (a new or renamed file).
pub(crate) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|d| d.sync_all()).at("sync", path)
}

fn create_private(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    match DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e).at("create", path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_private_and_a_second_open_is_refused_with_the_owners_pid() {
        let tmp = tempfile::tempdir().unwrap();
        let root = tmp.path().join("a/b");
        let dir = DataDir::open(&root).unwrap();
        for sub in [dir.keys(), dir.sign_state(), dir.db(), dir.wal(), dir.logs()] {
            let mode = fs::metadata(&sub).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, PRIVATE_DIR, "{}", sub.display());
        }
        match DataDir::open(&root) {
            Err(StoreError::Locked { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(dir);
        DataDir::open(&root).unwrap();
    }

    #[test]
    fn a_generation_begins_once_and_leaves_what_was_before_alone() {
        let tmp = tempfile::tempdir().unwrap();
        assert_eq!(DataDir::generation_in(&tmp.path().join("none")).unwrap(), 0);
        let mut dir = DataDir::open(tmp.path()).unwrap();
        let (db, wal) = (dir.db(), dir.wal());
        fs::write(db.join("old"), b"evidence").unwrap();
        dir.enter(0).unwrap();
        assert_eq!((dir.generation(), dir.db()), (0, db.clone()));
        dir.enter(2).unwrap();
        assert_eq!(dir.generation(), 2);
        assert!(dir.db() != db && dir.wal() != wal && dir.db().is_dir() && dir.wal().is_dir());
        assert_eq!(fs::read(db.join("old")).unwrap(), b"evidence");
        // Never back, also for a later process; a crash may have come right after the directory was made.
        dir.enter(1).unwrap();
        assert_eq!(dir.generation(), 2);
        let made = dir.db();
        drop(dir);
        fs::remove_dir_all(tmp.path().join("generation-2/db")).unwrap();
        let again = DataDir::open(tmp.path()).unwrap();
        assert_eq!((again.generation(), again.db()), (2, made.clone()));
        assert!(made.is_dir());
        assert_eq!(DataDir::generation_in(tmp.path()).unwrap(), 2);
    }

    #[test]
    fn loose_permissions_of_secrets_are_tightened_and_a_foreign_root_is_left_alone() {
        let tmp = tempfile::tempdir().unwrap();
        fs::set_permissions(tmp.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(tmp.path().join("keys")).unwrap();
        fs::set_permissions(tmp.path().join("keys"), Permissions::from_mode(0o755)).unwrap();
        let dir = DataDir::open(tmp.path()).unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir.keys()), PRIVATE_DIR);
        assert_eq!(mode(tmp.path()), 0o755);
    }
}
