//! Why there is no key.

use super::KeystoreError;
use std::{io, path::PathBuf};

/// Why there is no key. The operator's fault; no text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// No such file.
    #[error("there is no key at {}", .0.display())]
    Missing(PathBuf),
    /// There is one already.
    #[error("{} exists already and is not overwritten", .0.display())]
    Exists(PathBuf),
    /// Others may read it.
    #[error("{} can be read by others (mode {mode:03o}); run: chmod 600 {}", path.display(), path.display())]
    Loose {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It holds no key.
    #[error("{} does not hold 32 bytes in hex that are a valid key", .0.display())]
    Malformed(PathBuf),
    /// An encrypted file gives no key.
    #[error("{} {source}", path.display())]
    Keystore {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: KeystoreError,
    },
    /// An encrypted and a plain file with two different keys.
    #[error("{} and {} are two different keys", sealed.display(), plain.display())]
    Two {
        /// The encrypted file.
        sealed: PathBuf,
        /// The plain file.
        plain: PathBuf,
    },
    /// A password is needed and nobody can be asked.
    #[error("{} needs a password, and none is given", .0.display())]
    NoPassword(PathBuf),
    /// The password is empty.
    #[error("the password from {} is empty", .0.display())]
    EmptyPassword(PathBuf),
    /// The operating system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The reason given.
        source: io::Error,
    },
}
