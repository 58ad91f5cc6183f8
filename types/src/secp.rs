//! secp256k1 with recovery, by libsecp256k1 in a node and in plain Rust where there is no C.
//!
//! Not for: what is signed. Invariant (I-17): both accept the same signatures, those of `ecrecover` with a
//! low `s`.

#[cfg(feature = "native")]
mod native;
#[cfg(all(feature = "portable", any(test, not(feature = "native"))))]
mod portable;

#[cfg(feature = "native")]
pub(crate) use native::{Secret, recover};
#[cfg(all(feature = "portable", not(feature = "native")))]
pub(crate) use portable::{Secret, recover};

#[cfg(not(any(feature = "native", feature = "portable")))]
compile_error!("rota-types needs the feature `native` or `portable`");

use alloy_primitives::{Address, keccak256};

/// The address of a public key: `x || y`.
fn address_of(point: &[u8]) -> Address {
    let hash = keccak256(point);
    Address::from_slice(hash.get(12..).unwrap_or_default())
}

#[cfg(test)]
#[cfg(all(feature = "native", feature = "portable"))]
mod tests;
