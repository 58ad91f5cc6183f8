//! libsecp256k1.

use super::address_of;
use alloy_primitives::{Address, B256};
use secp256k1::{
    Message, PublicKey, SECP256K1, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};

pub(crate) struct Secret(SecretKey);

impl Secret {
    pub(crate) fn new(bytes: &[u8; 32]) -> Option<Self> {
        SecretKey::from_byte_array(*bytes).ok().map(Self)
    }

    pub(crate) fn address(&self) -> Address {
        address(&self.0.public_key(SECP256K1))
    }

    /// Low `s`; `v` is 27 or 28.
    pub(crate) fn sign(&self, digest: &B256) -> [u8; 65] {
        let sig = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(digest.0), &self.0);
        let (id, compact) = sig.serialize_compact();
        let mut out = [0u8; 65];
        if let Some((rs, v)) = out.split_first_chunk_mut::<64>() {
            *rs = compact;
            v.copy_from_slice(&[if id == RecoveryId::Zero { 27 } else { 28 }]);
        }
        out
    }
}

pub(crate) fn recover(digest: &B256, sig: &[u8; 65]) -> Option<Address> {
    let (rs, v) = sig.split_first_chunk::<64>()?;
    let id = match v {
        [27] => RecoveryId::Zero,
        [28] => RecoveryId::One,
        _ => return None,
    };
    let recoverable = RecoverableSignature::from_compact(rs, id).ok()?;
    let standard = recoverable.to_standard();
    let mut low = standard;
    low.normalize_s();
    if low != standard {
        return None;
    }
    let key = SECP256K1.recover_ecdsa(Message::from_digest(digest.0), &recoverable).ok()?;
    Some(address(&key))
}

fn address(key: &PublicKey) -> Address {
    address_of(key.serialize_uncompressed().get(1..).unwrap_or_default())
}
