//! Encrypting key files: new ones, and plain ones in place.
//!
//! Invariant: a plain file is deleted only when its encrypted one is on disk and was opened again; whatever moment a
//! crash takes, the key is in at least one of the two.

use super::{KeyFileError, KeyKind, Keystore, Password, Secret, Work, secret};
use std::{fs, path::Path};

/// What became of a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encrypted {
    /// It was plain and is encrypted now.
    Now,
    /// It was encrypted before.
    Before,
    /// There is no such key.
    Absent,
}

impl KeyKind {
    /// Encrypts the plain file of this key in place.
    ///
    /// # Errors
    /// [`KeyFileError`]; the plain file is then still there.
    pub fn encrypt(
        self,
        datadir: &Path,
        (password, work): (&Password, Work),
    ) -> Result<Encrypted, KeyFileError> {
        let (plain, sealed) = (self.plain(datadir), self.sealed(datadir));
        if !plain.exists() {
            let there = sealed.exists();
            return Ok(if there { Encrypted::Before } else { Encrypted::Absent });
        }
        let key = Secret::read(&plain)?;
        if !sealed.exists() {
            seal(self, datadir, &key, (password, work))?;
        }
        // Also after a crash between the two steps: the password may be another one now.
        let again = open(&sealed, password)?;
        if again.expose() != key.expose() {
            return Err(KeyFileError::Two { sealed, plain });
        }
        let at = |source| KeyFileError::Io { what: "delete", path: plain.clone(), source };
        fs::remove_file(&plain).map_err(at)?;
        secret::sync_dir(&plain)?;
        Ok(Encrypted::Now)
    }
}

/// Writes the encrypted file of a key.
pub(super) fn seal(
    kind: KeyKind,
    datadir: &Path,
    key: &Secret,
    (password, work): (&Password, Work),
) -> Result<(), KeyFileError> {
    let path = kind.sealed(datadir);
    let public = kind.public_of(key).ok_or_else(|| KeyFileError::Malformed(path.clone()))?;
    let unusable = |source| KeyFileError::Keystore { path: path.clone(), source };
    let file = Keystore::seal(key, (kind.algorithm(), &public), password, work);
    let text = file.and_then(|f| f.text()).map_err(unusable)?;
    secret::create(&path, text.as_bytes())
}

fn open(path: &Path, password: &Password) -> Result<Secret, KeyFileError> {
    let unusable = |source| KeyFileError::Keystore { path: path.into(), source };
    let (text, _) = secret::read(path)?;
    Keystore::parse(&text).and_then(|file| file.open(password)).map_err(unusable)
}
