//! Who earns the fees: shares of each height, summed up per account, and the tree that L1 pays from.
//!
//! Not for: what a transaction paid (`execution` knows) and not for paying (the contract on L1).
//! Invariant: integers only, and the sum of all accounts grows by exactly the fees given, less the part for posting; so the
//! node that ordered a block and the one that derives it from L1 hold the same book.

use crate::{
    Decode, DecodeError, Encode, MerkleProof, Reader, ValidatorSet, Writer,
    merkle::{prove, proven, root},
};
use alloy_primitives::{Address, B256, Keccak256, U256};
use std::collections::BTreeMap;

/// Share of the leader, in ten-thousandths; the members have what is left besides [`POSTING_BPS`].
pub const LEADER_BPS: u16 = 8_000;
/// Share that is nobody's reward, in ten-thousandths: `Rewards` on L1 sets it aside of all that comes in, and pays back what
/// posting batches costs.
pub const POSTING_BPS: u16 = 500;
/// Most accounts in an encoded book.
const MAX_ACCOUNTS: usize = 1 << 20;

/// What every account has earned since the genesis, wei. Only ever grows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RewardsBook(BTreeMap<Address, u128>);

/// By whose set the fees of a height are shared, and who led it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedBy {
    /// Epoch of the height.
    pub epoch: u64,
    /// Index of who closed it; none for what L1 forces in and for heights that nobody certified.
    pub leader: Option<u16>,
}

/// The fees of the transactions of one height, or of those that L1 forced in.
#[derive(Debug, Clone, Copy)]
pub struct HeightFees<'a> {
    /// The set of the height's epoch.
    pub set: &'a ValidatorSet,
    /// [`LedBy::leader`]; without one (or outside of the set) all goes to the members.
    pub leader: Option<u16>,
    /// Wei.
    pub wei: u128,
}

impl RewardsBook {
    /// Shares out fees: [`LEADER_BPS`] to the owner of the leader, [`POSTING_BPS`] to nobody, what is left to the owners of
    /// all members by weight, each part rounded down. What rounding leaves goes to the leader; without one to the first
    /// member. The part for posting is rounded up, so that L1 never has less than this book.
    pub fn share(&mut self, fees: HeightFees<'_>) {
        let HeightFees { set, leader, wei } = fees;
        let leader = leader.and_then(|i| set.get(i)).map(|v| v.owner);
        let Some(first) = leader.or_else(|| set.get(0).map(|v| v.owner)) else { return };
        let bps = if leader.is_some() { LEADER_BPS } else { 0 };
        let mut left = shared(wei);
        let members = left.saturating_sub(part(wei, bps.into(), 10_000));
        let total = set.total();
        for (_, v) in set.iter().filter(|_| total > 0) {
            let amount = part(members, v.power(), total).min(left);
            left = left.saturating_sub(amount);
            self.add(v.owner, amount);
        }
        self.add(first, left);
    }

    fn add(&mut self, account: Address, wei: u128) {
        if wei > 0 {
            let sum = self.0.entry(account).or_default();
            *sum = sum.saturating_add(wei);
        }
    }

    /// What an account has earned, wei.
    #[must_use]
    pub fn get(&self, account: &Address) -> u128 {
        self.0.get(account).copied().unwrap_or(0)
    }
    /// Accounts and what they have earned, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&Address, u128)> {
        self.0.iter().map(|(account, wei)| (account, *wei))
    }
    /// What all have earned, wei.
    #[must_use]
    pub fn total(&self) -> u128 {
        self.0.values().fold(0, |sum, wei| sum.saturating_add(*wei))
    }

    /// Root over `reward_leaf` of all accounts, ascending (`docs/protocol.md`, "Trees"); zero for none.
    #[must_use]
    pub fn root(&self) -> B256 {
        root(self.leaves())
    }

    /// The place of an account under the root; none if it has earned nothing.
    #[must_use]
    pub fn prove(&self, account: &Address) -> Option<MerkleProof> {
        let index = self.0.keys().position(|a| a == account)?;
        prove(self.leaves(), u32::try_from(index).ok()?)
    }

    /// Whether `account` has earned `wei` under `root`.
    #[must_use]
    pub fn verify(root: &B256, account: &Address, wei: u128, proof: &MerkleProof) -> bool {
        proven(root, reward_leaf(proof.index, account, wei), proof)
    }

    fn leaves(&self) -> Vec<B256> {
        (0u32..).zip(self.iter()).map(|(i, (account, wei))| reward_leaf(i, account, wei)).collect()
    }
}

impl FromIterator<(Address, u128)> for RewardsBook {
    fn from_iter<I: IntoIterator<Item = (Address, u128)>>(accounts: I) -> Self {
        let mut book = Self::default();
        for (account, wei) in accounts {
            book.add(account, wei);
        }
        book
    }
}

impl Encode for RewardsBook {
    fn encode_to(&self, w: &mut Writer) {
        w.u32(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        for (account, wei) in self.iter() {
            w.raw(account.as_slice()).u128(wei);
        }
    }
}

impl Decode for RewardsBook {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = r.count("accounts", MAX_ACCOUNTS)?;
        let mut book = BTreeMap::new();
        for _ in 0..count {
            let (account, wei) = (r.address("account")?, r.u128("wei")?);
            if book.last_key_value().is_some_and(|(last, _)| *last >= account) {
                return Err(DecodeError::Invalid("accounts of a rewards book do not ascend"));
            }
            book.insert(account, wei);
        }
        Ok(Self(book))
    }
}

/// The leaf of an account: `keccak(0x00 || index:u32 || account:20 || wei:u128)`.
#[must_use]
pub fn reward_leaf(index: u32, account: &Address, wei: u128) -> B256 {
    let mut h = Keccak256::new();
    h.update([0x00]);
    h.update(index.to_be_bytes());
    h.update(account);
    h.update(wei.to_be_bytes());
    h.finalize()
}

/// What of some fees is shared out, wei.
fn shared(wei: u128) -> u128 {
    part(wei, 10_000u64.saturating_sub(POSTING_BPS.into()), 10_000)
}

/// `wei * weight / total`, rounded down.
fn part(wei: u128, weight: u64, total: u64) -> u128 {
    let product = U256::from(wei).saturating_mul(U256::from(weight));
    let part = product.checked_div(U256::from(total)).unwrap_or_default();
    u128::try_from(part).unwrap_or(u128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Validator;
    use proptest::prelude::*;

    fn set(gwei: &[u64]) -> ValidatorSet {
        let validator = |(i, gwei): (u8, &u64)| Validator {
            owner: Address::repeat_byte(i),
            seq_key: [i; 32],
            vote_key: Address::repeat_byte(i),
            stake: U256::from(*gwei).saturating_mul(U256::from(1_000_000_000u64)),
            fee_recipient: Address::ZERO,
            peer: String::new(),
        };
        ValidatorSet::new(0, (1u8..).zip(gwei).map(validator).collect())
    }

    fn earned(book: &RewardsBook) -> Vec<u128> {
        (1u8..4).map(|i| book.get(&Address::repeat_byte(i))).collect()
    }

    #[test]
    fn the_leader_has_four_fifths_and_the_members_by_weight_what_posting_leaves() {
        let (set, mut book) = (set(&[100, 200, 700]), RewardsBook::default());
        book.share(HeightFees { set: &set, leader: Some(0), wei: 10_000 });
        assert_eq!(earned(&book), [8_150, 300, 1_050]);
        // 7 wei: one for posting, 5 to the leader, of 1 the members get nothing; what is left is the leader's.
        book.share(HeightFees { set: &set, leader: Some(1), wei: 7 });
        assert_eq!(earned(&book), [8_150, 306, 1_050]);
        // Nobody led: all but the posting by weight, the rest to the first.
        book.share(HeightFees { set: &set, leader: None, wei: 1_001 });
        assert_eq!(earned(&book), [8_245, 496, 1_715]);
        book.share(HeightFees { set: &set, leader: Some(u16::MAX), wei: 1_000 });
        assert_eq!(earned(&book), [8_340, 686, 2_380]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_made(
            gwei in prop::collection::vec(0u64.., 1..9),
            heights in prop::collection::vec((any::<Option<u16>>(), 0u128..1 << 100), 0..9),
        ) {
            let (set, mut book) = (set(&gwei), RewardsBook::default());
            for (leader, wei) in &heights {
                let leader = leader.map(|l| l % 10);
                book.share(HeightFees { set: &set, leader, wei: *wei });
            }
            prop_assert_eq!(book.total(), heights.iter().map(|(_, wei)| shared(*wei)).sum::<u128>());
            prop_assert_eq!(&RewardsBook::decode(&book.encode()).unwrap(), &book);
            let root = book.root();
            for (account, wei) in book.iter() {
                let proof = book.prove(account).unwrap();
                prop_assert!(RewardsBook::verify(&root, account, wei, &proof));
                prop_assert!(!RewardsBook::verify(&root, account, wei.wrapping_add(1), &proof));
                prop_assert!(!RewardsBook::verify(&root, &Address::ZERO, wei, &proof));
            }
        }
    }
}
