//! What the reporter must not forget: evidence with its salt, and the transaction under way.
//!
//! Invariant: a salt is on disk before its commitment is sent; files are replaced whole. A file that does not decode stops
//! the program with its name: dropping it could forfeit a reward.

use super::Case;
use alloy_primitives::{Address, B256, Bytes};
use rota_l1::{Journal, JournalError};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A file cannot be kept or read. The operator's fault or the disk's.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct CaseFileError {
    /// Which file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

/// The cases of one reporter, a file each.
#[derive(Debug)]
pub struct Cases {
    dir: PathBuf,
    list: Vec<Case>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: u8,
    key: B256,
    salt: B256,
    reporter: Address,
    evidence: Bytes,
}

impl Cases {
    /// Reads what is there.
    ///
    /// # Errors
    /// A directory or a file that cannot be read.
    pub fn open(dir: PathBuf) -> Result<Self, CaseFileError> {
        let wrong = |path: &Path, what: String| CaseFileError { path: path.into(), what };
        fs::create_dir_all(&dir).map_err(|e| wrong(&dir, e.to_string()))?;
        let mut paths: Vec<PathBuf> = fs::read_dir(&dir)
            .map_err(|e| wrong(&dir, e.to_string()))?
            .filter_map(|entry| entry.ok().map(|e| e.path()))
            .filter(|p| p.extension().is_some_and(|e| e == "json"))
            .collect();
        paths.sort();
        let mut list = Vec::new();
        for path in paths {
            let bytes = fs::read(&path).map_err(|e| wrong(&path, e.to_string()))?;
            let stored: Stored =
                serde_json::from_slice(&bytes).map_err(|e| wrong(&path, e.to_string()))?;
            if stored.v != 1 {
                return Err(wrong(&path, format!("version {} is not known", stored.v)));
            }
            let Stored { key, salt, reporter, evidence, .. } = stored;
            list.push(Case { evidence, key, salt, reporter });
        }
        Ok(Self { dir, list })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Case> {
        self.list.iter()
    }

    /// Whether this offence has a case.
    #[must_use]
    pub fn has(&self, key: &B256) -> bool {
        self.list.iter().any(|c| c.key == *key)
    }

    /// Opens a case, on disk first. An offence that has one keeps it.
    ///
    /// # Errors
    /// The disk.
    pub fn open_case(&mut self, case: Case) -> Result<(), CaseFileError> {
        if self.has(&case.key) {
            return Ok(());
        }
        let path = self.dir.join(format!("{}.json", case.key));
        let wrong = |what: String| CaseFileError { path: path.clone(), what };
        let stored = Stored {
            v: 1,
            key: case.key,
            salt: case.salt,
            reporter: case.reporter,
            evidence: case.evidence.clone(),
        };
        let bytes = serde_json::to_vec_pretty(&stored).map_err(|e| wrong(e.to_string()))?;
        replace(&path, &bytes).map_err(|e| wrong(e.to_string()))?;
        self.list.push(case);
        Ok(())
    }
}

/// The journal of the reporter's account, in a file.
#[derive(Debug)]
pub struct FileJournal(pub PathBuf);

impl Journal for FileJournal {
    fn load(&self) -> Result<Option<Vec<u8>>, JournalError> {
        match fs::read(&self.0) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(JournalError(format!("{}: {e}", self.0.display()))),
        }
    }
    fn save(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        replace(&self.0, bytes).map_err(|e| JournalError(format!("{}: {e}", self.0.display())))
    }
}

/// Replaces a file, whole and on disk.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = fs::File::create(&unfinished)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(dir) => fs::File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(n: u8) -> Case {
        Case {
            evidence: Bytes::from(vec![n; 9]),
            key: B256::repeat_byte(n),
            salt: B256::repeat_byte(n.wrapping_add(100)),
            reporter: Address::repeat_byte(7),
        }
    }

    #[test]
    fn cases_survive_and_an_offence_keeps_its_first_salt() {
        let dir = tempfile::tempdir().unwrap();
        let mut cases = Cases::open(dir.path().join("cases")).unwrap();
        cases.open_case(case(2)).unwrap();
        cases.open_case(case(1)).unwrap();
        cases.open_case(Case { salt: B256::ZERO, ..case(2) }).unwrap();
        let again = Cases::open(dir.path().join("cases")).unwrap();
        assert_eq!(again.iter().cloned().collect::<Vec<_>>(), vec![case(1), case(2)]);
        fs::write(dir.path().join("cases/zz.json"), "{").unwrap();
        let said = Cases::open(dir.path().join("cases")).unwrap_err().to_string();
        assert!(said.contains("zz.json"), "{said}");
    }

    #[test]
    fn the_journal_keeps_the_last_record() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = FileJournal(dir.path().join("tx.json"));
        assert_eq!(journal.load().unwrap(), None);
        journal.save(b"one").unwrap();
        journal.save(b"two").unwrap();
        assert_eq!(FileJournal(journal.0).load().unwrap(), Some(b"two".to_vec()));
    }
}
