//! Transactions that a user forces in through L1, past every sequencer.
//!
//! Not for: reading the queue (`l1`) and not for executing. Invariant (I-15): which of them come first in an execution
//! block, and in which order, is a pure function of L1 and of the two origins; nobody chooses.

use crate::{Decode, DecodeError, Encode, Reader, Tx, TxError, Writer};
use alloy_primitives::Bytes;

/// Largest forced transaction, bytes; as `ForcedQueue`.
pub const MAX_FORCED_BYTES: usize = 32 * 1024;
/// Gas that one L1 block may add to the queue; as `ForcedQueue`. Times [`crate::MAX_ORIGIN_STEP`] it fits into a block.
pub const MAX_FORCED_GAS: u64 = 30_000_000;

/// An entry of the queue. Nothing in it was checked on L1 but its size and the fee for its gas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForcedTx {
    /// Place in the queue, from 0, without gaps.
    pub index: u64,
    /// L1 block in which it was enqueued.
    pub l1_number: u64,
    /// Gas paid for on L1.
    pub gas: u64,
    /// Meant to be a signed transaction of the rollup.
    pub tx: Bytes,
}

/// Why a forced transaction can be in no block. The user's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotForced {
    /// Too many bytes; the contract refuses it already.
    #[error("forced transaction of {got} bytes; the limit is {max}", max = MAX_FORCED_BYTES)]
    TooLarge {
        /// Bytes given.
        got: usize,
    },
    /// Its gas limit is more than was paid for.
    #[error("gas limit {limit} is above the {paid} paid for on L1")]
    Gas {
        /// Gas limit of the transaction.
        limit: u64,
        /// Gas paid for.
        paid: u64,
    },
    /// Not a transaction of this rollup.
    #[error(transparent)]
    Tx(#[from] TxError),
}

impl ForcedTx {
    /// The transaction, if it may be executed.
    ///
    /// # Errors
    /// Why derivation skips it.
    pub fn decode(&self, chain_id: u64) -> Result<Tx, NotForced> {
        if self.tx.len() > MAX_FORCED_BYTES {
            return Err(NotForced::TooLarge { got: self.tx.len() });
        }
        let tx = Tx::decode(&self.tx, chain_id)?;
        let (limit, paid) = (tx.gas_limit(), self.gas);
        if limit > paid {
            return Err(NotForced::Gas { limit, paid });
        }
        Ok(tx)
    }
}

/// What comes first in the execution block with origin `upto` whose predecessor has origin `after`: the entries of the L1
/// blocks above `after` up to `upto` that may be executed, in queue order.
#[must_use]
pub fn forced_txs<'a>(
    queue: impl IntoIterator<Item = &'a ForcedTx>,
    after: u64,
    upto: u64,
    chain_id: u64,
) -> Vec<Tx> {
    let due = |f: &&ForcedTx| f.l1_number > after && f.l1_number <= upto;
    let mut due: Vec<&ForcedTx> = queue.into_iter().filter(due).collect();
    due.sort_unstable_by_key(|f| f.index);
    due.into_iter().filter_map(|f| f.decode(chain_id).ok()).collect()
}

impl Encode for ForcedTx {
    fn encode_to(&self, w: &mut Writer) {
        w.u64(self.index).u64(self.l1_number).u64(self.gas).bytes(&self.tx);
    }
}

impl Decode for ForcedTx {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (index, l1_number) = (r.u64("forced index")?, r.u64("forced L1 block")?);
        let gas = r.u64("forced gas")?;
        Ok(Self { index, l1_number, gas, tx: r.bytes("forced transaction", MAX_FORCED_BYTES)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VoteKey;
    use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
    use alloy_eips::eip2718::Encodable2718;
    use alloy_primitives::{Address, Signature, TxKind};

    const CHAIN: u64 = 42_069;

    fn signed(nonce: u64, gas_limit: u64, chain_id: u64) -> Bytes {
        let to = TxKind::Call(Address::ZERO);
        let tx = TxEip1559 { chain_id, nonce, gas_limit, to, ..TxEip1559::default() };
        let key = VoteKey::from_secret(&[0x55; 32]).unwrap();
        let sig = Signature::from_raw_array(&key.sign(&tx.signature_hash())).unwrap();
        TxEnvelope::from(tx.into_signed(sig)).encoded_2718().into()
    }

    fn entry(index: u64, l1_number: u64, tx: Bytes) -> ForcedTx {
        ForcedTx { index, l1_number, gas: 50_000, tx }
    }

    #[test]
    fn what_is_due_comes_in_queue_order_and_the_rest_is_skipped() {
        let queue = [
            entry(0, 10, signed(0, 21_000, CHAIN)),
            entry(4, 12, signed(4, 50_000, CHAIN)),
            entry(1, 11, signed(1, 21_000, CHAIN)),
            entry(2, 11, Bytes::from_static(b"no transaction")),
            entry(3, 12, signed(3, 50_001, CHAIN)),
            entry(5, 12, signed(5, 21_000, 1)),
            entry(6, 13, signed(6, 21_000, CHAIN)),
            entry(7, 12, vec![2u8; MAX_FORCED_BYTES + 1].into()),
        ];
        let nonces = |after, upto| -> Vec<u64> {
            forced_txs(&queue, after, upto, CHAIN).iter().map(Tx::nonce).collect()
        };
        assert_eq!(nonces(10, 12), [1, 4]);
        assert_eq!(nonces(0, 13), [0, 1, 4, 6]);
        assert!(nonces(13, 20).is_empty());
        // Ranges that touch share nothing and leave nothing out.
        assert_eq!([nonces(9, 11), nonces(11, 13)].concat(), nonces(9, 13));
        assert_eq!(queue[4].decode(CHAIN), Err(NotForced::Gas { limit: 50_001, paid: 50_000 }));
    }

    #[test]
    fn entries_survive_their_encoding() {
        let entry = entry(3, 9, signed(1, 21_000, CHAIN));
        assert_eq!(ForcedTx::decode_from(&mut Reader::new(&entry.encode())), Ok(entry));
    }
}
