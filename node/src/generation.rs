//! Starting in the generation that the rollup is in: after a fallback, where L1 alone has brought it.
//!
//! A fallback on L1 ends a generation: what its set decided and did not post is void. Its emergency set goes on from the
//! chain that everyone derives from L1, so a sequencer of a later generation derives it too, up to the last L1 block of the
//! fallback, writes it down as its own chain, and only then orders on top of it.
//!
//! Not for: deciding that a fallback begins (L1), nor for ordering (`sequencer`). Invariants (I-25): nothing is signed before
//! the emergency set is final on L1; once a directory has begun a generation it never signs in an earlier one; a crash at
//! any step leads to the same chain.

mod era;
mod landing;
mod standby;
mod upto;
mod void;

use alloy_primitives::Address;
use rota_store::{DataDir, SignGuard, StoreError};
use std::path::Path;

pub use era::{EmergencySet, Era, Eras};
pub use landing::Lander;
pub(crate) use standby::{Enter, enter};
pub use void::voided;

/// The generation that the keys of `voter` in a data directory sign in: that of the directory, or of the guard if that is
/// ahead, as on a machine that only signs.
///
/// # Errors
/// Us: it cannot be read, or the guard is damaged.
pub fn of_keys(root: &Path, voter: Address) -> Result<u32, StoreError> {
    let guard = SignGuard::generation_in(&root.join("sign-state"), voter)?;
    Ok(DataDir::generation_in(root)?.max(guard.unwrap_or(0)))
}

#[cfg(test)]
mod tests;
