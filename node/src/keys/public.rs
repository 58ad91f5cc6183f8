//! What is public of a node's keys, without any password.
//!
//! Invariant: what an encrypted file states is checked whenever it is opened, so a node never signs with another key
//! than the one shown here.

use super::{KeyFileError, KeyKind, Keystore, Secret, secret};
use alloy_primitives::Address;
use rota_p2p::Identity;
use std::path::Path;
use zeroize::Zeroizing;

/// The public parts of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeys {
    /// Key of frames, acks and term openings.
    pub seq: [u8; 32],
    /// Address of the vote key.
    pub vote: Address,
    /// The libp2p peer id.
    pub peer_id: String,
    /// The account that pays for batches, if there is one.
    pub poster: Option<Address>,
}

impl PublicKeys {
    /// Reads them.
    ///
    /// # Errors
    /// [`KeyFileError`] names the file.
    pub fn read(datadir: &Path) -> Result<Self, KeyFileError> {
        let (seq, vote) = Self::signing(datadir)?;
        let path = KeyKind::Node.plain(datadir);
        let mut copy = Zeroizing::new(*Secret::read(&path)?.expose());
        let identity =
            Identity::from_secret(&mut copy).map_err(|_| KeyFileError::Malformed(path))?;
        let poster = Self::poster(datadir)?;
        Ok(Self { seq, vote, peer_id: identity.peer_id().to_string(), poster })
    }

    /// The account that pays for batches, if it is here.
    ///
    /// # Errors
    /// [`KeyFileError`] names the file.
    pub fn poster(datadir: &Path) -> Result<Option<Address>, KeyFileError> {
        match account(KeyKind::Poster, datadir) {
            Err(KeyFileError::Missing(_)) => Ok(None),
            other => other.map(Some),
        }
    }

    /// The sequencer key and the address of the vote key.
    ///
    /// # Errors
    /// [`KeyFileError`] names the file.
    pub fn signing(datadir: &Path) -> Result<([u8; 32], Address), KeyFileError> {
        let bytes = public(KeyKind::Seq, datadir)?;
        let wrong = |_| KeyFileError::Malformed(KeyKind::Seq.path(datadir));
        let seq = bytes.as_slice().try_into().map_err(wrong)?;
        Ok((seq, account(KeyKind::Vote, datadir)?))
    }
}

fn account(kind: KeyKind, datadir: &Path) -> Result<Address, KeyFileError> {
    let bytes = public(kind, datadir)?;
    Address::try_from(bytes.as_slice()).map_err(|_| KeyFileError::Malformed(kind.path(datadir)))
}

fn public(kind: KeyKind, datadir: &Path) -> Result<Vec<u8>, KeyFileError> {
    let path = kind.path(datadir);
    match stated(&path)? {
        Some(public) => Ok(public),
        None => kind.public_of(&Secret::read(&path)?).ok_or(KeyFileError::Malformed(path)),
    }
}

/// What an encrypted file says of its key; `None` if the file is a plain one.
pub(super) fn stated(path: &Path) -> Result<Option<Vec<u8>>, KeyFileError> {
    let (text, _) = secret::read(path)?;
    if !text.trim_start().starts_with('{') {
        return Ok(None);
    }
    let unusable = |source| KeyFileError::Keystore { path: path.into(), source };
    let public = Keystore::parse(&text).map_err(unusable)?.public();
    public.map(Some).ok_or_else(|| KeyFileError::Malformed(path.into()))
}
