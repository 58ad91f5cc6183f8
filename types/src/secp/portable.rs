//! secp256k1 in Rust (`k256`), for WebAssembly.

use super::address_of;
use alloy_primitives::{Address, B256};
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};

pub(crate) struct Secret(SigningKey);

impl Secret {
    pub(crate) fn new(bytes: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(bytes).ok().map(Self)
    }

    pub(crate) fn address(&self) -> Address {
        address(self.0.verifying_key())
    }

    /// Low `s`; `v` is 27 or 28.
    pub(crate) fn sign(&self, digest: &B256) -> [u8; 65] {
        let mut out = [0u8; 65];
        // Fails for a digest shorter than half a field only; 32 bytes are not.
        let Ok((sig, id)) = self.0.sign_prehash_recoverable(digest.as_slice()) else {
            return out;
        };
        if let Some((rs, v)) = out.split_first_chunk_mut::<64>() {
            *rs = sig.to_bytes().into();
            v.copy_from_slice(&[if id.is_y_odd() { 28 } else { 27 }]);
        }
        out
    }
}

pub(crate) fn recover(digest: &B256, sig: &[u8; 65]) -> Option<Address> {
    let (rs, v) = sig.split_first_chunk::<64>()?;
    let odd = match v {
        [27] => false,
        [28] => true,
        _ => return None,
    };
    let signature = Signature::from_slice(rs).ok()?;
    if signature.normalize_s().is_some() {
        return None;
    }
    let id = RecoveryId::new(odd, false);
    VerifyingKey::recover_from_prehash(digest.as_slice(), &signature, id)
        .ok()
        .map(|key| address(&key))
}

fn address(key: &VerifyingKey) -> Address {
    address_of(key.to_encoded_point(false).as_bytes().get(1..).unwrap_or_default())
}
