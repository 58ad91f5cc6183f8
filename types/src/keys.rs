//! The two hot keys of a sequencer and the one acceptance rule for their signatures.
//!
//! Not for: storing keys (`node` reads keystores) and not for deciding what may be signed (the sign
//! guard in `store` and the rules in `preconf`).
//! Invariant (I-17): a signature accepted here is accepted by the contracts and the reverse. Ed25519 is
//! `verify_strict` (canonical S, A and R, no small-order points, cofactorless); secp256k1 is low-s only.

use crate::secp;
use alloy_primitives::{Address, B256};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use std::fmt;

/// A 64-byte ed25519 signature, `R || S`.
pub type SeqSignature = [u8; 64];
/// A 65-byte recoverable secp256k1 signature, `r || s || v` with `v` 27 or 28.
pub type VoteSignature = [u8; 65];

/// Why a key or a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The 32 bytes are no usable secret key. The operator's key file is at fault.
    #[error("not a valid secret key")]
    Secret,
    /// The public key is not canonical or of small order. The registrant is at fault.
    #[error("not an acceptable ed25519 public key")]
    Public,
    /// The signature does not verify. The sender is at fault.
    #[error("signature does not verify")]
    Signature,
}

/// The ed25519 key that signs frames, acks and term openings.
pub struct SeqKey(SigningKey);

impl SeqKey {
    /// A key from its 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }
    /// The public key, compressed.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
    /// Signs a digest.
    #[must_use]
    pub fn sign(&self, digest: &B256) -> SeqSignature {
        self.0.sign(digest.as_slice()).to_bytes()
    }
}

impl fmt::Debug for SeqKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeqKey({})", alloy_primitives::hex::encode(self.public()))
    }
}

/// Checks a signature by `verify_strict`.
pub fn verify_seq(public: &[u8; 32], digest: &B256, sig: &SeqSignature) -> Result<(), KeyError> {
    #[cfg(feature = "memo")]
    return crate::memo::remembered([public, digest.as_slice(), sig], || {
        verify_strict(public, digest, sig).map(|()| Address::ZERO)
    })
    .map(drop);
    #[cfg(not(feature = "memo"))]
    verify_strict(public, digest, sig)
}

fn verify_strict(public: &[u8; 32], digest: &B256, sig: &SeqSignature) -> Result<(), KeyError> {
    let key = VerifyingKey::from_bytes(public).map_err(|_| KeyError::Public)?;
    key.verify_strict(digest.as_slice(), &Signature::from_bytes(sig))
        .map_err(|_| KeyError::Signature)
}

/// The secp256k1 key that signs votes, proposals and Status.
pub struct VoteKey {
    secret: secp::Secret,
    address: Address,
}

impl VoteKey {
    /// A key from its 32 secret bytes.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, KeyError> {
        let secret = secp::Secret::new(secret).ok_or(KeyError::Secret)?;
        let address = secret.address();
        Ok(Self { secret, address })
    }
    /// The Ethereum address of the key.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }
    /// Signs a digest; the result is low-s and recoverable.
    #[must_use]
    pub fn sign(&self, digest: &B256) -> VoteSignature {
        self.secret.sign(digest)
    }
}

impl fmt::Debug for VoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VoteKey({})", self.address)
    }
}

/// The address that made `sig` over `digest`, as `ecrecover` with a low-s check would give it.
pub fn recover_vote(digest: &B256, sig: &VoteSignature) -> Result<Address, KeyError> {
    #[cfg(feature = "memo")]
    return crate::memo::remembered([b"", digest.as_slice(), sig], || recover(digest, sig));
    #[cfg(not(feature = "memo"))]
    recover(digest, sig)
}

fn recover(digest: &B256, sig: &VoteSignature) -> Result<Address, KeyError> {
    secp::recover(digest, sig).ok_or(KeyError::Signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn a_vote_signature_recovers_its_signer_and_high_s_is_refused() {
        let key = VoteKey::from_secret(&[7; 32]).unwrap();
        let digest = keccak256(b"m");
        let sig = key.sign(&digest);
        assert_eq!(recover_vote(&digest, &sig), Ok(key.address()));
        let n = alloy_primitives::U256::from_str_radix(
            "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
            16,
        )
        .unwrap();
        let s = alloy_primitives::U256::from_be_slice(&sig[32..64]);
        let mut high = sig;
        high[32..64].copy_from_slice(&(n - s).to_be_bytes::<32>());
        high[64] = if sig[64] == 27 { 28 } else { 27 };
        assert_eq!(recover_vote(&digest, &high), Err(KeyError::Signature));
    }

    #[test]
    fn a_small_order_key_is_refused_for_every_message() {
        let mut identity = [0u8; 32];
        identity[0] = 1;
        let mut sig = [0u8; 64];
        sig[0] = 1;
        assert!(verify_seq(&identity, &keccak256(b"m"), &sig).is_err());
    }
}
