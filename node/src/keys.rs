//! The secrets of a node, in `keys/` of the data directory: encrypted files, or plain ones that only the owner can read.
//!
//! Not for: the stake's owner key, which stays cold, and not for the sign guard (`store`), which must be moved together
//! with these files. Invariant: a secret is in no log, error or `Debug`; a plain file that others can read is refused; an
//! existing file is never overwritten.

mod encrypt;
mod error;
mod keystore;
mod password;
mod public;
mod secret;
#[cfg(test)]
mod tests;

pub use encrypt::Encrypted;
pub use error::KeyFileError;
pub use keystore::{Keystore, KeystoreError, Work};
pub use password::{CREDENTIAL, Password, Passwords};
pub use public::PublicKeys;
pub use secret::Secret;

use alloy::signers::local::PrivateKeySigner;
use rota_p2p::Identity;
use rota_types::{SeqKey, VoteKey};
use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Directory with the keys that an operator changes to.
const NEXT: &str = "next";
/// Permissions that nobody but the owner may have.
const OTHERS: u32 = 0o077;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// ed25519: frames, acks, term openings.
    Seq,
    /// secp256k1: votes.
    Vote,
    /// ed25519: the libp2p identity. Always a plain file: it signs nothing that costs stake.
    Node,
    /// secp256k1: the L1 account that pays for batches.
    Poster,
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Seq, Self::Vote, Self::Node, Self::Poster];
    /// Those that are encrypted.
    pub const SEALED: [Self; 3] = [Self::Seq, Self::Vote, Self::Poster];

    /// The name of its file without the ending, for commands as well.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seq => "seq",
            Self::Vote => "vote",
            Self::Node => "node",
            Self::Poster => "poster",
        }
    }

    /// Its encrypted file.
    #[must_use]
    pub fn sealed(self, datadir: &Path) -> PathBuf {
        Keys::dir(datadir).join(self.name()).with_extension("json")
    }

    /// Its plain file.
    #[must_use]
    pub fn plain(self, datadir: &Path) -> PathBuf {
        Keys::dir(datadir).join(self.name()).with_extension("key")
    }

    /// The file that is there; the encrypted one if both or none are.
    #[must_use]
    pub fn path(self, datadir: &Path) -> PathBuf {
        let (sealed, plain) = (self.sealed(datadir), self.plain(datadir));
        let is_plain = self == Self::Node || (plain.exists() && !sealed.exists());
        if is_plain { plain } else { sealed }
    }

    /// The algorithm, as files name it.
    #[must_use]
    pub const fn algorithm(self) -> &'static str {
        match self {
            Self::Seq | Self::Node => "ed25519",
            Self::Vote | Self::Poster => "secp256k1",
        }
    }

    /// The public part: the key of ed25519, the address of secp256k1.
    fn public_of(self, secret: &Secret) -> Option<Vec<u8>> {
        match self {
            Self::Seq | Self::Node => Some(SeqKey::from_seed(secret.expose()).public().to_vec()),
            Self::Vote | Self::Poster => Some(secret.signer()?.address().to_vec()),
        }
    }

    fn open(self, datadir: &Path, passwords: &Passwords) -> Result<Secret, KeyFileError> {
        let path = self.path(datadir);
        let secret = Secret::open(&path, passwords)?;
        let public =
            self.public_of(&secret).ok_or_else(|| KeyFileError::Malformed(path.clone()))?;
        let stated = public::stated(&path)?;
        if stated.is_some_and(|stated| stated != public) {
            return Err(KeyFileError::Malformed(path));
        }
        let other = self.plain(datadir);
        if self != Self::Node && path != other && other.exists() {
            let left = self.public_of(&Secret::read(&other)?);
            if left.as_ref() != Some(&public) {
                return Err(KeyFileError::Two { sealed: path, plain: other });
            }
            tracing::warn!(file = %other.display(), "the key is encrypted, and its plain file is still there: delete it");
        } else if self != Self::Node && path == other {
            tracing::warn!(file = %path.display(), "the key is not encrypted; rota key encrypt does that in place");
        }
        Ok(secret)
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
    /// The keys that a sequencer changes to, if there are any.
    pub next: Option<SequencerKeys>,
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

/// How new files are kept.
#[derive(Debug, Clone, Copy)]
pub enum Keep<'a> {
    /// Encrypted with a password.
    Sealed(&'a Password, Work),
    /// In hex, readable by the owner only.
    Plain,
}

impl Keys {
    /// The directory of the key files.
    #[must_use]
    pub fn dir(datadir: &Path) -> PathBuf {
        datadir.join("keys")
    }

    /// Reads what is needed. The keys that an operator changes to lie in `next/keys`, until they are in force and moved
    /// to `keys`.
    ///
    /// # Errors
    /// [`KeyFileError`] names the file.
    pub fn load(datadir: &Path, needs: Needs, passwords: &Passwords) -> Result<Self, KeyFileError> {
        let sequencer =
            needs.sequencer.then(|| Self::load_sequencer(datadir, passwords)).transpose()?;
        let path = KeyKind::Node.plain(datadir);
        let mut copy = Zeroizing::new(*Secret::read(&path)?.expose());
        let identity =
            Identity::from_secret(&mut copy).map_err(|_| KeyFileError::Malformed(path))?;
        let poster = needs.poster.then(|| Self::load_poster(datadir, passwords)).transpose()?;
        let next = Self::next_dir(datadir);
        let rotates = needs.sequencer && Self::dir(&next).exists();
        let next = rotates.then(|| Self::load_sequencer(&next, passwords)).transpose()?;
        Ok(Self { sequencer, next, identity, poster })
    }

    /// Reads the two keys that sign for an operator.
    ///
    /// # Errors
    /// [`KeyFileError`] names the file.
    pub fn load_sequencer(
        datadir: &Path,
        passwords: &Passwords,
    ) -> Result<SequencerKeys, KeyFileError> {
        let seq = SeqKey::from_seed(KeyKind::Seq.open(datadir, passwords)?.expose());
        let vote = VoteKey::from_secret(KeyKind::Vote.open(datadir, passwords)?.expose())
            .map_err(|_| KeyFileError::Malformed(KeyKind::Vote.path(datadir)))?;
        Ok(SequencerKeys { seq, vote })
    }

    /// Reads the pair that signs for an operator and, if its operator changes keys, the one that will.
    ///
    /// # Errors
    /// [`KeyFileError`] names the file.
    pub fn load_pairs(
        datadir: &Path,
        passwords: &Passwords,
    ) -> Result<Vec<SequencerKeys>, KeyFileError> {
        let mut pairs = vec![Self::load_sequencer(datadir, passwords)?];
        let next = Self::next_dir(datadir);
        if Self::dir(&next).exists() {
            pairs.push(Self::load_sequencer(&next, passwords)?);
        }
        Ok(pairs)
    }

    fn load_poster(
        datadir: &Path,
        passwords: &Passwords,
    ) -> Result<PrivateKeySigner, KeyFileError> {
        let secret = KeyKind::Poster.open(datadir, passwords)?;
        secret.signer().ok_or_else(|| KeyFileError::Malformed(KeyKind::Poster.path(datadir)))
    }

    /// The directory, laid out like a data directory, of the keys that an operator changes to.
    #[must_use]
    pub fn next_dir(datadir: &Path) -> PathBuf {
        datadir.join(NEXT)
    }

    /// Makes the key files that are not there; gives the ones it made.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn create(datadir: &Path, keep: Keep<'_>) -> Result<Vec<KeyKind>, KeyFileError> {
        Self::make(datadir, &KeyKind::ALL, keep)
    }

    /// Makes those of the two signing keys that are not there.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn create_pair(datadir: &Path, keep: Keep<'_>) -> Result<Vec<KeyKind>, KeyFileError> {
        Self::make(datadir, &[KeyKind::Seq, KeyKind::Vote], keep)
    }

    fn make(
        datadir: &Path,
        kinds: &[KeyKind],
        keep: Keep<'_>,
    ) -> Result<Vec<KeyKind>, KeyFileError> {
        make_dir(&Self::dir(datadir))?;
        let mut made = Vec::new();
        for &kind in kinds {
            if kind.sealed(datadir).exists() || kind.plain(datadir).exists() {
                continue;
            }
            let at = |source| KeyFileError::Io {
                what: "make a key for",
                path: kind.plain(datadir),
                source,
            };
            kind.keep(datadir, &Secret::random().map_err(at)?, keep)?;
            made.push(kind);
        }
        Ok(made)
    }

    /// Puts a key from elsewhere into its file. Never overwrites.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn import(
        datadir: &Path,
        kind: KeyKind,
        secret: &Secret,
        keep: Keep<'_>,
    ) -> Result<(), KeyFileError> {
        make_dir(&Self::dir(datadir))?;
        for path in [kind.sealed(datadir), kind.plain(datadir)] {
            if path.exists() {
                return Err(KeyFileError::Exists(path));
            }
        }
        kind.keep(datadir, secret, keep)
    }
}

impl KeyKind {
    fn keep(self, datadir: &Path, secret: &Secret, keep: Keep<'_>) -> Result<(), KeyFileError> {
        match keep {
            Keep::Sealed(password, work) if self != Self::Node => {
                encrypt::seal(self, datadir, secret, (password, work))
            }
            _ => secret.write(&self.plain(datadir)),
        }
    }
}

fn make_dir(dir: &Path) -> Result<(), KeyFileError> {
    let at = |source| KeyFileError::Io { what: "create", path: dir.into(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at)
}
