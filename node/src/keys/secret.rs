//! 32 secret bytes, and the plain file that may hold them.
//!
//! Not for: encrypted files (`keystore`). Invariant: the bytes are in no log, error or `Debug`, and wiped when dropped.

use super::{KeyFileError, Keystore, OTHERS, Passwords};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{B256, hex};
use rand::{TryRngCore, rngs::OsRng};
use rota_types::VoteKey;
use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};
use zeroize::Zeroizing;

/// Longest key file that is read.
const MAX_FILE: u64 = 16 * 1024;

/// 32 secret bytes, wiped when dropped.
pub struct Secret(pub(super) Zeroizing<[u8; 32]>);

impl Secret {
    /// From the operating system's randomness, good for both curves.
    pub fn random() -> io::Result<Self> {
        loop {
            let mut bytes = Zeroizing::new([0u8; 32]);
            OsRng.try_fill_bytes(bytes.as_mut()).map_err(io::Error::other)?;
            let secret = Self(bytes);
            // One in 2^128 is no scalar of the curve.
            if secret.is_secp256k1() {
                return Ok(secret);
            }
        }
    }

    /// The bytes. The caller wipes its copies.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a key file: an encrypted one, or 64 hex digits (`0x` or not) that nobody else may read.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn open(path: &Path, passwords: &Passwords) -> Result<Self, KeyFileError> {
        let (text, mode) = read(path)?;
        if !text.trim_start().starts_with('{') {
            return Self::plain(path, &text, mode);
        }
        let unusable = |source| KeyFileError::Keystore { path: path.into(), source };
        let sealed = Keystore::parse(&text).map_err(unusable)?;
        sealed.open(passwords.to_open(path)?).map_err(unusable)
    }

    /// Reads a plain key file that nobody else may read.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let (text, mode) = read(path)?;
        Self::plain(path, &text, mode)
    }

    fn plain(path: &Path, text: &str, mode: u32) -> Result<Self, KeyFileError> {
        if mode & OTHERS != 0 {
            return Err(KeyFileError::Loose { path: path.into(), mode });
        }
        let mut bytes = Zeroizing::new([0u8; 32]);
        hex::decode_to_slice(text.trim(), bytes.as_mut())
            .map_err(|_| KeyFileError::Malformed(path.into()))?;
        Ok(Self(bytes))
    }

    /// Makes a plain key file with a new secret. Never overwrites.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn make(path: &Path) -> Result<(), KeyFileError> {
        let at = |source| KeyFileError::Io { what: "make a key for", path: path.into(), source };
        if let Some(dir) = path.parent() {
            super::make_dir(dir)?;
        }
        Self::random().map_err(at)?.write(path)
    }

    /// Writes a plain key file that only the owner can read. Never overwrites.
    ///
    /// # Errors
    /// [`KeyFileError::Exists`], or the operating system's refusal.
    pub fn write(&self, path: &Path) -> Result<(), KeyFileError> {
        let digits = Zeroizing::new(hex::encode(self.0.as_slice()));
        create(path, Zeroizing::new(format!("{}\n", digits.as_str())).as_bytes())
    }

    pub(super) fn is_secp256k1(&self) -> bool {
        VoteKey::from_secret(&self.0).is_ok()
    }

    /// As an Ethereum account.
    #[must_use]
    pub fn signer(&self) -> Option<PrivateKeySigner> {
        PrivateKeySigner::from_bytes(&B256::from(*self.0)).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The text of a key file and its permissions.
pub(super) fn read(path: &Path) -> Result<(Zeroizing<String>, u32), KeyFileError> {
    let at = |what| move |source| KeyFileError::Io { what, path: path.into(), source };
    let file = match fs::File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(KeyFileError::Missing(path.into()));
        }
        other => other.map_err(at("open"))?,
    };
    let mode = file.metadata().map_err(at("look at"))?.permissions().mode() & 0o777;
    let mut text = Zeroizing::new(String::new());
    match file.take(MAX_FILE).read_to_string(&mut text) {
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            Err(KeyFileError::Malformed(path.into()))
        }
        other => other.map(|_| (text, mode)).map_err(at("read")),
    }
}

/// Writes a file that only the owner can read, whole or not at all. Never overwrites.
pub(super) fn create(path: &Path, bytes: &[u8]) -> Result<(), KeyFileError> {
    let at = |what| move |source| KeyFileError::Io { what, path: path.into(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let half = path.with_file_name(name);
    if path.exists() {
        return Err(KeyFileError::Exists(path.into()));
    }
    match fs::remove_file(&half) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at("clean up before")(e)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&half);
    let mut file = file.map_err(at("create"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at("write"))?;
    let linked = match fs::hard_link(&half, path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            Err(KeyFileError::Exists(path.into()))
        }
        other => other.map_err(at("create")),
    };
    fs::remove_file(&half).map_err(at("clean up after"))?;
    linked?;
    sync_dir(path)
}

/// Makes a new or removed file of a directory durable.
pub(super) fn sync_dir(path: &Path) -> Result<(), KeyFileError> {
    let at = |source| KeyFileError::Io { what: "sync the directory of", path: path.into(), source };
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(dir).and_then(|d| d.sync_all()).map_err(at)
}
