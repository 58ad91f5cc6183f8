//! ETH that a user brings in through L1.
//!
//! Not for: reading the Portal (`l1`) and not for executing. Invariant (I-42): which deposits an execution block credits, and
//! in which order, is a pure function of L1 and of the two origins; nobody chooses.

use crate::{Decode, DecodeError, Encode, Reader, Writer};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::Address;

/// Deposits that one L1 block may have; as `Portal`.
pub const MAX_DEPOSITS: usize = 1_000;
/// Least deposit, gwei; as `Portal`.
pub const MIN_DEPOSIT_GWEI: u64 = 100_000;

/// A deposit as the Portal took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deposit {
    /// Its number, from 0, without gaps.
    pub index: u64,
    /// L1 block.
    pub l1_number: u64,
    /// Who gets it on the rollup.
    pub to: Address,
    /// Gwei.
    pub amount_gwei: u64,
}

impl Deposit {
    /// As a block carries it (EIP-4895). Validator 1 tells it from what comes back of the base fee, which has 0.
    #[must_use]
    pub const fn withdrawal(&self) -> Withdrawal {
        Withdrawal {
            index: self.index,
            validator_index: 1,
            address: self.to,
            amount: self.amount_gwei,
        }
    }
}

/// What the execution block with origin `upto` whose predecessor has origin `after` credits: the deposits of the L1 blocks
/// above `after` up to `upto`, by index.
#[must_use]
pub fn due_deposits<'a>(
    book: impl IntoIterator<Item = &'a Deposit>,
    after: u64,
    upto: u64,
) -> Vec<Deposit> {
    let due = |d: &&Deposit| d.l1_number > after && d.l1_number <= upto;
    let mut due: Vec<Deposit> = book.into_iter().filter(due).copied().collect();
    due.sort_unstable_by_key(|d| d.index);
    due
}

/// The index after the last of some, if the first has `next` and none is missing; otherwise the first that does not follow.
///
/// # Errors
/// `(expected, got)`: whoever told of them left something out.
pub fn follow_on(next: u64, indices: impl IntoIterator<Item = u64>) -> Result<u64, (u64, u64)> {
    indices.into_iter().try_fold(next, |expected, got| match got == expected {
        true => Ok(expected.saturating_add(1)),
        false => Err((expected, got)),
    })
}

impl Encode for Deposit {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.index).u64(self.l1_number).raw(self.to.as_slice()).u64(self.amount_gwei);
    }
}

impl Decode for Deposit {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (index, l1_number) = (r.u64("deposit index")?, r.u64("deposit L1 block")?);
        let to = r.address("deposit receiver")?;
        Ok(Self { index, l1_number, to, amount_gwei: r.u64("deposit amount")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deposit(index: u64, l1_number: u64) -> Deposit {
        Deposit {
            index,
            l1_number,
            to: Address::repeat_byte(7),
            amount_gwei: index.saturating_add(5),
        }
    }

    #[test]
    fn each_deposit_is_due_in_one_block() {
        let book = [deposit(0, 3), deposit(2, 4), deposit(1, 4), deposit(3, 9)];
        let indices = |after, upto| -> Vec<u64> {
            due_deposits(&book, after, upto).iter().map(|d| d.index).collect()
        };
        assert_eq!(indices(3, 9), [1, 2, 3]);
        assert_eq!([indices(0, 4), indices(4, 9)].concat(), [0, 1, 2, 3]);
        assert!(indices(4, 8).is_empty());
    }

    #[test]
    fn a_gap_is_told() {
        assert_eq!(follow_on(4, [4, 5, 6]), Ok(7));
        assert_eq!(follow_on(4, []), Ok(4));
        assert_eq!(follow_on(4, [4, 6]), Err((5, 6)));
        assert_eq!(follow_on(4, [3]), Err((4, 3)));
    }

    #[test]
    fn deposits_survive_their_encoding() {
        let d = deposit(3, 9);
        assert_eq!(Deposit::decode_from(&mut Reader::new(&d.encode())), Ok(d));
        assert_eq!(d.withdrawal().amount, 8);
    }
}
