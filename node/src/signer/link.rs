//! An encrypted connection between a node and its signer: Noise XK with pinned static keys on both sides.
//!
//! Not for: what is said (`wire`). Invariants: nothing is read or said before both sides have proved the key that the
//! other one expects; a message is bounded before it is read; after any error the connection is of no use.

use crate::keys::{KeyFileError, Keys, Secret};
use alloy_primitives::hex;
use snow::{
    Builder, HandshakeState, TransportState,
    params::DHChoice,
    resolvers::{CryptoResolver, DefaultResolver},
};
use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

const PATTERN: &str = "Noise_XK_25519_ChaChaPoly_BLAKE2s";
const PROLOGUE: &[u8] = b"rota/signer/1";
/// Longest message of Noise, and the part of it that is ours.
const MAX_FRAME: usize = 65_535;
const CHUNK: usize = 60_000;
/// In front of a chunk: the last one of a message, or not.
const LAST: u8 = 0;
const MORE: u8 = 1;
/// For each step of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The network.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The other side is not the one expected, or what it sends is not sound.
    #[error("it could not be proved who answers: {0}")]
    Noise(#[from] snow::Error),
    /// Longer than allowed, or empty.
    #[error("a message of a wrong length")]
    Length,
    /// Its key is not among those that are allowed.
    #[error("key {0} is not allowed here")]
    Stranger(String),
    /// It says no, and why.
    #[error("{0}")]
    Refused(String),
}

/// This machine's own key for such connections.
#[derive(Debug)]
pub struct Identity {
    secret: Secret,
    public: [u8; 32],
}

impl Identity {
    /// Reads `keys/link.key`, or makes it.
    ///
    /// # Errors
    /// The file cannot be read or made.
    pub fn open(datadir: &Path) -> Result<Self, KeyFileError> {
        let path = Keys::dir(datadir).join("link.key");
        if !path.exists() {
            Secret::make(&path)?;
        }
        let secret = Secret::read(&path)?;
        let public = public(&secret).ok_or(KeyFileError::Malformed(path))?;
        Ok(Self { secret, public })
    }

    /// The public key, which the other side pins.
    #[must_use]
    pub const fn public(&self) -> [u8; 32] {
        self.public
    }
}

fn public(secret: &Secret) -> Option<[u8; 32]> {
    let mut dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519)?;
    dh.set(secret.expose());
    dh.pubkey().try_into().ok()
}

/// An open connection.
pub(super) struct Link {
    stream: TcpStream,
    noise: TransportState,
    buffer: Vec<u8>,
    peer: [u8; 32],
}

impl Link {
    /// Connects to whoever holds `public`.
    pub(super) fn connect(
        stream: TcpStream,
        own: &Identity,
        public: &[u8; 32],
    ) -> Result<Self, LinkError> {
        let noise = Builder::new(PATTERN.parse()?)
            .prologue(PROLOGUE)?
            .local_private_key(own.secret.expose())?
            .remote_public_key(public)?
            .build_initiator()?;
        Self::shake(stream, noise)
    }

    /// Accepts one of the `allowed`.
    pub(super) fn accept(
        stream: TcpStream,
        own: &Identity,
        allowed: &[[u8; 32]],
    ) -> Result<Self, LinkError> {
        let noise = Builder::new(PATTERN.parse()?)
            .prologue(PROLOGUE)?
            .local_private_key(own.secret.expose())?
            .build_responder()?;
        let link = Self::shake(stream, noise)?;
        if allowed.contains(&link.peer) {
            return Ok(link);
        }
        Err(LinkError::Stranger(hex::encode(link.peer)))
    }

    fn shake(mut stream: TcpStream, mut noise: HandshakeState) -> Result<Self, LinkError> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(HANDSHAKE))?;
        stream.set_write_timeout(Some(HANDSHAKE))?;
        let mut buffer = vec![0u8; MAX_FRAME];
        let mut nothing = [0u8; 64];
        while !noise.is_handshake_finished() {
            if noise.is_my_turn() {
                let length = noise.write_message(&[], &mut buffer)?;
                put(&mut stream, buffer.get(..length).unwrap_or_default())?;
            } else {
                let frame = take(&mut stream)?;
                noise.read_message(&frame, &mut nothing)?;
            }
        }
        let peer = noise.get_remote_static().and_then(|k| k.try_into().ok());
        let peer = peer.ok_or(LinkError::Length)?;
        let noise = noise.into_transport_mode()?;
        Ok(Self { stream, noise, buffer, peer })
    }

    /// The other side's key, proved.
    pub(super) const fn peer(&self) -> [u8; 32] {
        self.peer
    }

    /// How long a read or a write may take.
    pub(super) fn patience(&self, patience: Duration) -> Result<(), LinkError> {
        let patience = Some(patience.max(Duration::from_millis(1)));
        self.stream.set_read_timeout(patience)?;
        Ok(self.stream.set_write_timeout(patience)?)
    }

    pub(super) fn send(&mut self, message: &[u8]) -> Result<(), LinkError> {
        let mut chunks = message.chunks(CHUNK).peekable();
        while let Some(chunk) = chunks.next() {
            let flag = if chunks.peek().is_some() { MORE } else { LAST };
            let plain = [&[flag], chunk].concat();
            let length = self.noise.write_message(&plain, &mut self.buffer)?;
            put(&mut self.stream, self.buffer.get(..length).unwrap_or_default())?;
        }
        Ok(())
    }

    pub(super) fn receive(&mut self, most: usize) -> Result<Vec<u8>, LinkError> {
        let mut out = Vec::new();
        loop {
            let frame = take(&mut self.stream)?;
            let length = self.noise.read_message(&frame, &mut self.buffer)?;
            let plain = self.buffer.get(..length).unwrap_or_default();
            let (flag, chunk) = plain.split_first().ok_or(LinkError::Length)?;
            if out.len().saturating_add(chunk.len()) > most || chunk.is_empty() {
                return Err(LinkError::Length);
            }
            out.extend_from_slice(chunk);
            if *flag == LAST {
                return Ok(out);
            }
        }
    }
}

fn put(stream: &mut TcpStream, frame: &[u8]) -> Result<(), LinkError> {
    let length = u16::try_from(frame.len()).map_err(|_| LinkError::Length)?;
    Ok(stream.write_all(&[&length.to_be_bytes(), frame].concat())?)
}

fn take(stream: &mut TcpStream) -> Result<Vec<u8>, LinkError> {
    let mut length = [0u8; 2];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0u8; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}
