//! The validators of an epoch and their weights.
//!
//! Invariant: power is the stake in gwei, as the Registry freezes it, so that Rust and Solidity count
//! the same weight; a quorum is strictly more than two thirds.

use alloy_primitives::{Address, B256, Keccak256, U256};
use serde::{Deserialize, Serialize};

/// One registered operator, as the Registry holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// Cold account that owns the stake.
    pub owner: Address,
    /// ed25519 public key for frames, acks and term openings.
    #[serde(with = "hex32")]
    pub seq_key: [u8; 32],
    /// Address of the secp256k1 key for votes and Status.
    pub vote_key: Address,
    /// Stake, wei.
    pub stake: U256,
    /// Receives this operator's share of the fees.
    pub fee_recipient: Address,
    /// Multiaddress with `/p2p/<peer id>`.
    pub peer: String,
}

impl Validator {
    /// Voting power: the stake in whole gwei.
    #[must_use]
    pub fn power(&self) -> u64 {
        u64::try_from(self.stake.wrapping_div(U256::from(1_000_000_000u64))).unwrap_or(u64::MAX)
    }
}

/// The set of one epoch, in registration order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorSet {
    epoch: u64,
    validators: Vec<Validator>,
}

impl ValidatorSet {
    /// The set of `epoch`.
    #[must_use]
    pub const fn new(epoch: u64, validators: Vec<Validator>) -> Self {
        Self { epoch, validators }
    }
    /// Its epoch.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }
    /// The validator at an index.
    #[must_use]
    pub fn get(&self, index: u16) -> Option<&Validator> {
        self.validators.get(usize::from(index))
    }
    /// Index and validator, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Validator)> {
        (0u16..).zip(&self.validators)
    }
    /// How many validators.
    #[must_use]
    pub fn len(&self) -> usize {
        self.validators.len()
    }
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.validators.is_empty()
    }
    /// Index of the validator with this vote key.
    #[must_use]
    pub fn by_vote_key(&self, key: Address) -> Option<u16> {
        self.iter().find(|(_, v)| v.vote_key == key).map(|(i, _)| i)
    }
    /// Index of the validator with this sequencer key.
    #[must_use]
    pub fn by_seq_key(&self, key: &[u8; 32]) -> Option<u16> {
        self.iter().find(|(_, v)| v.seq_key == *key).map(|(i, _)| i)
    }
    /// Sum of all power, gwei.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.validators.iter().map(Validator::power).fold(0, u64::saturating_add)
    }
    /// Whether `weight` is strictly more than two thirds.
    #[must_use]
    pub fn is_quorum(&self, weight: u64) -> bool {
        u128::from(weight).saturating_mul(3) > u128::from(self.total()).saturating_mul(2)
    }
    /// `keccak256` over `vote key (20) || stake in gwei (uint96)` of each validator, as frozen on L1.
    #[must_use]
    pub fn hash(&self) -> B256 {
        let mut h = Keccak256::new();
        for v in &self.validators {
            h.update(v.vote_key);
            h.update([0u8; 4]);
            h.update(v.power().to_be_bytes());
        }
        h.finalize()
    }
}

mod hex32 {
    use alloy_primitives::B256;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(v: &[u8; 32], s: S) -> Result<S::Ok, S::Error> {
        B256::from(*v).serialize(s)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
        Ok(B256::deserialize(d)?.0)
    }
}
