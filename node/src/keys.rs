//! The secrets of a node: four files with 32 bytes in hex, in `keys/` of the data directory.
//!
//! Not for: the stake's owner key, which stays cold, and not for the sign guard (`store`), which must be moved together
//! with these files. Invariant: a secret is in no log, error or `Debug`; a file that others can read is refused; an
//! existing file is never overwritten.

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{B256, hex};
use rand::{TryRngCore, rngs::OsRng};
use rota_p2p::Identity;
use rota_types::{SeqKey, VoteKey};
use std::{
    fmt,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Longest key file that is read: hex with a prefix, spaces and line ends.
const MAX_FILE: u64 = 256;
const OTHERS: u32 = 0o077;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// ed25519: frames, acks, term openings.
    Seq,
    /// secp256k1: votes.
    Vote,
    /// ed25519: the libp2p identity.
    Node,
    /// secp256k1: the L1 account that pays for batches.
    Poster,
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Seq, Self::Vote, Self::Node, Self::Poster];

    /// The file's name.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Seq => "seq.key",
            Self::Vote => "vote.key",
            Self::Node => "node.key",
            Self::Poster => "poster.key",
        }
    }
}

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

/// 32 secret bytes, wiped when dropped.
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// From the operating system's randomness.
    fn random() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        OsRng.try_fill_bytes(bytes.as_mut()).map_err(io::Error::other)?;
        Ok(Self(bytes))
    }

    /// The bytes. The caller wipes its copies.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a key file that nobody else may read: 64 hex digits, `0x` or not.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let at = |what| move |source| KeyFileError::Io { what, path: path.into(), source };
        let file = match fs::File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(KeyFileError::Missing(path.into()));
            }
            other => other.map_err(at("open"))?,
        };
        let mode = file.metadata().map_err(at("look at"))?.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(KeyFileError::Loose { path: path.into(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE).read_to_string(&mut text).map_err(at("read"))?;
        Self::parse(&text).ok_or_else(|| KeyFileError::Malformed(path.into()))
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim();
        let mut bytes = Zeroizing::new([0u8; 32]);
        hex::decode_to_slice(digits, bytes.as_mut()).ok()?;
        Some(Self(bytes))
    }

    /// Writes a key file that only the owner can read. Never overwrites.
    ///
    /// # Errors
    /// [`KeyFileError::Exists`], or the operating system's refusal.
    pub fn write(&self, path: &Path) -> Result<(), KeyFileError> {
        let at = |what| move |source| KeyFileError::Io { what, path: path.into(), source };
        let mut options = OpenOptions::new();
        let mut file = match options.write(true).create_new(true).mode(0o600).open(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeyFileError::Exists(path.into()));
            }
            other => other.map_err(at("create"))?,
        };
        let text = Zeroizing::new(format!(
            "{}\n",
            Zeroizing::new(hex::encode(self.0.as_slice())).as_str()
        ));
        file.write_all(text.as_bytes()).map_err(at("write"))?;
        file.sync_all().map_err(at("sync"))
    }

    fn is_secp256k1(&self) -> bool {
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

/// The hot keys that sign for an operator.
#[derive(Debug)]
pub struct SequencerKeys {
    /// Frames, acks, term openings.
    pub seq: SeqKey,
    /// Votes.
    pub vote: VoteKey,
}

/// The keys of one node.
#[derive(Debug)]
pub struct Keys {
    /// Present on sequencers.
    pub sequencer: Option<SequencerKeys>,
    /// The libp2p identity.
    pub identity: Identity,
    /// The account that pays for batches; present if the node posts.
    pub poster: Option<PrivateKeySigner>,
}

/// Which keys a node needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Signs frames and votes.
    pub sequencer: bool,
    /// Posts batches.
    pub poster: bool,
}

impl Keys {
    /// The directory of the key files.
    #[must_use]
    pub fn dir(datadir: &Path) -> PathBuf {
        datadir.join("keys")
    }

    /// Reads what is needed.
    ///
    /// # Errors
    /// [`KeyFileError`] names the file.
    pub fn load(datadir: &Path, needs: Needs) -> Result<Self, KeyFileError> {
        let path = |kind: KeyKind| Self::dir(datadir).join(kind.file());
        let malformed = |kind| move || KeyFileError::Malformed(path(kind));
        let sequencer = needs.sequencer.then(|| Self::load_sequencer(datadir)).transpose()?;
        let node = Secret::read(&path(KeyKind::Node))?;
        let mut copy = Zeroizing::new(*node.expose());
        let identity = Identity::from_secret(&mut copy)
            .map_err(|_| KeyFileError::Malformed(path(KeyKind::Node)))?;
        let poster = if needs.poster {
            let secret = Secret::read(&path(KeyKind::Poster))?;
            Some(secret.signer().ok_or_else(malformed(KeyKind::Poster))?)
        } else {
            None
        };
        Ok(Self { sequencer, identity, poster })
    }

    /// Reads the two keys that sign for an operator.
    ///
    /// # Errors
    /// [`KeyFileError`] names the file.
    pub fn load_sequencer(datadir: &Path) -> Result<SequencerKeys, KeyFileError> {
        let path = |kind: KeyKind| Self::dir(datadir).join(kind.file());
        let seq = SeqKey::from_seed(Secret::read(&path(KeyKind::Seq))?.expose());
        let vote = VoteKey::from_secret(Secret::read(&path(KeyKind::Vote))?.expose())
            .map_err(|_| KeyFileError::Malformed(path(KeyKind::Vote)))?;
        Ok(SequencerKeys { seq, vote })
    }

    /// Makes the key files that are not there; gives the ones it made.
    ///
    /// # Errors
    /// [`KeyFileError::Io`].
    pub fn create(datadir: &Path) -> Result<Vec<KeyKind>, KeyFileError> {
        let dir = Self::dir(datadir);
        let dir = &dir;
        let at = |what| move |source| KeyFileError::Io { what, path: dir.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at("create"))?;
        let mut made = Vec::new();
        for kind in KeyKind::ALL {
            let mut secret = Secret::random().map_err(at("make a key for"))?;
            // One in 2^128 is no scalar of the curve.
            while !secret.is_secp256k1() {
                secret = Secret::random().map_err(at("make a key for"))?;
            }
            match secret.write(&dir.join(kind.file())) {
                Ok(()) => made.push(kind),
                Err(KeyFileError::Exists(_)) => {}
                Err(other) => return Err(other),
            }
        }
        fs::File::open(dir).and_then(|d| d.sync_all()).map_err(at("sync"))?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Needs = Needs { sequencer: true, poster: true };

    #[test]
    fn made_keys_are_private_and_stay_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Keys::create(dir.path()).unwrap(), KeyKind::ALL);
        for kind in KeyKind::ALL {
            let path = Keys::dir(dir.path()).join(kind.file());
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let first = Keys::load(dir.path(), ALL).unwrap();
        assert_eq!(Keys::create(dir.path()).unwrap(), []);
        let again = Keys::load(dir.path(), ALL).unwrap();
        assert_eq!(first.identity.peer_id(), again.identity.peer_id());
        let public = |k: &Keys| k.sequencer.as_ref().unwrap().seq.public();
        assert_eq!(public(&first), public(&again));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Keys::create(dir.path()).unwrap();
        let path = Keys::dir(dir.path()).join("vote.key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        match Keys::load(dir.path(), ALL) {
            Err(KeyFileError::Loose { mode: 0o640, path: named }) => assert_eq!(named, path),
            other => panic!("{other:?}"),
        }
        // A follower does not read it.
        Keys::load(dir.path(), Needs { sequencer: false, poster: false }).unwrap();
    }

    #[test]
    fn missing_and_malformed_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            matches!(Keys::load(dir.path(), ALL), Err(KeyFileError::Missing(p)) if p.ends_with("keys/seq.key"))
        );
        Keys::create(dir.path()).unwrap();
        let path = Keys::dir(dir.path()).join("poster.key");
        for text in ["", "12", "zz", &"00".repeat(32), &"11".repeat(33)] {
            fs::write(&path, text).unwrap();
            assert!(
                matches!(Keys::load(dir.path(), ALL), Err(KeyFileError::Malformed(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn nothing_printed_holds_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        Keys::create(dir.path()).unwrap();
        let shown = format!("{:?}", Keys::load(dir.path(), ALL).unwrap());
        for kind in KeyKind::ALL {
            let path = Keys::dir(dir.path()).join(kind.file());
            let text = fs::read_to_string(&path).unwrap();
            let secret = Secret::read(&path).unwrap();
            assert!(!shown.contains(text.trim()), "{kind:?}");
            assert!(!shown.contains(&format!("{:?}", secret.expose())), "{kind:?}");
            assert_eq!(format!("{secret:?}"), "Secret(..)");
        }
        let path = dir.path().join("half.key");
        fs::write(&path, "abcdef0123").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let said = format!("{:?}", Secret::read(&path));
        assert!(!said.contains("abcdef"), "{said}");
    }
}
