//! Moving a guard with its keys: out of one machine, into another.
//!
//! Invariants: a guard is marked before its export is in anyone's hands, so that two machines never sign at once by
//! accident; an import never makes the guard forget anything.

use super::{EXPORTED, REOPENED, SignGuard};
use crate::{
    Intent, Known, MergeError, SignState, SignStateError, SignStateOf, StoreError, Watermarks,
};

/// Why an import was refused. The guard is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is of no use here. The operator's move.
    #[error(transparent)]
    File(#[from] SignStateError),
    /// File and guard contradict each other: the key has signed a contradiction already. The operator's move.
    #[error(transparent)]
    Contradiction(#[from] MergeError),
    /// The file is older than the guard: it does not know what this machine has signed. The operator's move.
    #[error("the file is older than the guard here, which also knows {0}")]
    Behind(String),
    /// The guard was exported and the file holds nothing newer: it is that export. The operator's move.
    #[error(
        "the file is what was exported from here: nothing was signed elsewhere since, or it is not the newest"
    )]
    OwnExport,
    /// The disk failed. Ours: halt.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// Whether the guard knows more than before.
    pub changed: bool,
    /// Highest height signed for, afterwards.
    pub newest: Option<u64>,
}

impl SignGuard {
    /// What the key has signed, for another machine. From here on this one signs nothing.
    ///
    /// # Errors
    /// The disk failed; then nothing was given out.
    pub fn export(&mut self, of: SignStateOf) -> Result<SignState, StoreError> {
        self.log.usable()?;
        if !self.exported {
            self.log.append(EXPORTED)?;
        }
        self.log.sync()?;
        self.exported = true;
        // The importing machine is another run of the program.
        let mut marks = self.marks.clone();
        marks.restarted();
        Ok(SignState::new(of, &marks))
    }

    /// Takes what a key has signed elsewhere, durably: of both histories the newest. A file that is older than the
    /// guard is refused unless `merge` says that it is meant.
    ///
    /// # Errors
    /// [`ImportError`]; the guard is as it was.
    pub fn import(
        &mut self,
        file: &SignState,
        here: &SignStateOf,
        merge: bool,
    ) -> Result<Imported, ImportError> {
        self.log.usable()?;
        let theirs = file.watermarks(here)?;
        self.marks.restarted();
        let merged = self.marks.merge(&theirs)?;
        let changed = merged != self.marks;
        if merged != theirs && !merge {
            return Err(ImportError::Behind(beyond(&self.marks, &theirs)));
        }
        if self.exported && !changed {
            return Err(ImportError::OwnExport);
        }
        if changed || self.exported {
            let before = (std::mem::replace(&mut self.marks, merged), self.exported);
            self.exported = false;
            if let Err(error) = self.rewrite() {
                (self.marks, self.exported) = before;
                return Err(error.into());
            }
        }
        Ok(Imported { changed, newest: self.newest() })
    }

    /// Takes what a signer elsewhere has signed with this key, durably: of both histories the newest.
    ///
    /// # Errors
    /// The two contradict each other, or the disk failed; the guard is as it was.
    pub fn learn(&mut self, theirs: &Watermarks) -> Result<(), ImportError> {
        self.log.usable()?;
        let merged = self.marks.merge(theirs)?;
        if merged == self.marks {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.marks, merged);
        if let Err(error) = self.rewrite() {
            self.marks = before;
            return Err(error.into());
        }
        Ok(())
    }

    /// Another run of the program signs from here on: what the one before opened is not continued.
    pub const fn restarted(&mut self) {
        self.marks.restarted();
    }

    /// Signs here again although the guard was exported: only right if the export was never used.
    ///
    /// # Errors
    /// The disk failed.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        self.log.append(REOPENED)?;
        self.log.sync()?;
        self.exported = false;
        Ok(())
    }
}

/// Something that `ours` knows and `theirs` does not.
fn beyond(ours: &Watermarks, theirs: &Watermarks) -> String {
    let above = |i: &&Intent| theirs.known(i) == Known::No;
    let snapshot = ours.snapshot();
    let floor = format!("that nothing may be signed up to height {}", ours.floor());
    let named = |i: &Intent| {
        let (height, round) = i.position();
        format!("a {} at height {height} round {round}", i.name())
    };
    match snapshot.iter().rfind(above) {
        Some(intent) => named(intent),
        None if ours.floor() > theirs.floor() => floor,
        None => snapshot.last().map_or_else(|| "more".into(), named),
    }
}

#[cfg(test)]
mod tests;
