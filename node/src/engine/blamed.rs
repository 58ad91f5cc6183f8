//! Who was reported for a fault that only the replica can see, and at which height.
//!
//! Invariant: one fault is one report, however often it is found again.

use rota_consensus::PeerNo;
use std::collections::BTreeMap;

/// The height at which each validator was last reported. A frame that breaks the rules is found again with
/// every frame beside it; it is one fault.
#[derive(Debug, Default)]
pub(super) struct Blamed(BTreeMap<PeerNo, u64>);

impl Blamed {
    /// Whether this is the validator's first fault at the height.
    pub(super) fn first(&mut self, validator: PeerNo, height: u64) -> bool {
        self.0.insert(validator, height) != Some(height)
    }
}

#[cfg(test)]
mod tests {
    use super::{Blamed, PeerNo};

    #[test]
    fn a_validator_is_blamed_once_per_height() {
        let mut blamed = Blamed::default();
        let [two, three] = [PeerNo(2), PeerNo(3)];
        assert!(blamed.first(three, 10));
        assert!(!blamed.first(three, 10));
        assert!(blamed.first(two, 10), "another one");
        assert!(blamed.first(three, 11), "another height");
    }
}
