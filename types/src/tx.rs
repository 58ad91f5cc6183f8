//! A transaction that is well formed for this rollup, with its sender recovered once.
//!
//! Not for: nonce and balance, which need state (`node` checks them at intake, execution skips them).
//! Invariant: a `Tx` decodes, has this chain's id, a valid low-s signature and covers its intrinsic gas.

use crate::MAX_TX_BYTES;
use alloy_consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes};
use std::sync::Arc;

/// Largest gas limit of one transaction (EIP-7825).
pub const TX_GAS_CAP: u64 = 16_777_216;

/// Why a transaction was refused. The user (or the leader who framed it) is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxError {
    /// The bytes are no EIP-2718 transaction.
    #[error("not a valid transaction encoding: {0}")]
    Malformed(String),
    /// Too many bytes.
    #[error("transaction of {got} bytes; the limit is {max}")]
    TooLarge {
        /// Bytes given.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// EIP-4844 transactions carry data for L1 and have no meaning here.
    #[error("blob transactions are not accepted on this rollup; send the call without blobs")]
    Blob,
    /// Signed for another chain, or for every chain.
    #[error("signed for chain id {got}, this rollup is {want}")]
    WrongChain {
        /// Chain id in the transaction, "none" if it has none.
        got: String,
        /// Chain id of the rollup.
        want: u64,
    },
    /// The signature recovers to nobody.
    #[error("invalid signature")]
    Signature,
    /// The gas limit does not cover the intrinsic cost.
    #[error("intrinsic gas too low: gas limit {got}, at least {need} needed")]
    IntrinsicGas {
        /// Gas limit given.
        got: u64,
        /// Gas limit needed.
        need: u64,
    },
    /// The gas limit is above the per-transaction cap.
    #[error("gas limit {got} is above the cap of {max} per transaction")]
    GasCap {
        /// Gas limit given.
        got: u64,
        /// The cap.
        max: u64,
    },
    /// The tip is above the fee cap.
    #[error("max priority fee per gas is higher than max fee per gas")]
    TipAboveFee,
    /// Contract code above the limit of EIP-3860.
    #[error("init code of {got} bytes; the limit is {max}")]
    InitCode {
        /// Bytes given.
        got: usize,
        /// The limit.
        max: usize,
    },
}

/// A checked transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tx {
    /// EIP-2718 bytes.
    pub raw: Bytes,
    /// The decoded transaction.
    pub envelope: TxEnvelope,
    /// Who signed it.
    pub sender: Address,
    /// `keccak256(raw)`.
    pub hash: B256,
    /// Wei that are, or are to be, insured. Not signed by the sender: it is a wish while the transaction waits,
    /// and on a frame what the transaction's leaf commits to.
    pub insured: u128,
}

impl Tx {
    /// Decodes, checks what needs no state, and recovers the sender (about 40 us).
    pub fn decode(raw: &Bytes, chain_id: u64) -> Result<Self, TxError> {
        if raw.len() > MAX_TX_BYTES {
            return Err(TxError::TooLarge { got: raw.len(), max: MAX_TX_BYTES });
        }
        if raw.first() == Some(&3) {
            return Err(TxError::Blob);
        }
        let mut rest: &[u8] = raw;
        let envelope =
            TxEnvelope::decode_2718(&mut rest).map_err(|e| TxError::Malformed(e.to_string()))?;
        if !rest.is_empty() {
            return Err(TxError::Malformed(format!("{} trailing bytes", rest.len())));
        }
        check(&envelope, chain_id)?;
        let sender = envelope.recover_signer().map_err(|_| TxError::Signature)?;
        let hash = *envelope.tx_hash();
        Ok(Self { raw: raw.clone(), envelope, sender, hash, insured: 0 })
    }
    /// The same transaction with this amount insured.
    #[must_use]
    pub fn insuring(self: Arc<Self>, insured: u128) -> Arc<Self> {
        if self.insured == insured { self } else { Arc::new(Self { insured, ..(*self).clone() }) }
    }
    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.envelope.nonce()
    }
    /// The gas limit.
    #[must_use]
    pub fn gas_limit(&self) -> u64 {
        self.envelope.gas_limit()
    }
}

fn check(tx: &TxEnvelope, chain_id: u64) -> Result<(), TxError> {
    if tx.is_eip4844() {
        return Err(TxError::Blob);
    }
    if tx.chain_id() != Some(chain_id) {
        let got = tx.chain_id().map_or_else(|| "none".to_owned(), |c| c.to_string());
        return Err(TxError::WrongChain { got, want: chain_id });
    }
    if tx.gas_limit() > TX_GAS_CAP {
        return Err(TxError::GasCap { got: tx.gas_limit(), max: TX_GAS_CAP });
    }
    if tx.max_priority_fee_per_gas().is_some_and(|tip| tip > tx.max_fee_per_gas()) {
        return Err(TxError::TipAboveFee);
    }
    const MAX_INIT_CODE: usize = 49_152;
    if tx.is_create() && tx.input().len() > MAX_INIT_CODE {
        return Err(TxError::InitCode { got: tx.input().len(), max: MAX_INIT_CODE });
    }
    let need = intrinsic_gas(tx);
    if tx.gas_limit() < need {
        return Err(TxError::IntrinsicGas { got: tx.gas_limit(), need });
    }
    Ok(())
}

/// Intrinsic gas by the Prague rules (EIP-2028, 2930, 3860, 7623, 7702).
fn intrinsic_gas(tx: &TxEnvelope) -> u64 {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let zeros = count(tx.input().iter().filter(|b| **b == 0).count());
    let tokens =
        count(tx.input().len()).saturating_sub(zeros).saturating_mul(4).saturating_add(zeros);
    let mut gas = 21_000u64.saturating_add(tokens.saturating_mul(4));
    if tx.is_create() {
        let words = count(tx.input().len().div_ceil(32));
        gas = gas.saturating_add(32_000).saturating_add(words.saturating_mul(2));
    }
    if let Some(list) = tx.access_list() {
        let keys = list.0.iter().map(|i| count(i.storage_keys.len())).fold(0, u64::saturating_add);
        gas = gas
            .saturating_add(count(list.0.len()).saturating_mul(2_400))
            .saturating_add(keys.saturating_mul(1_900));
    }
    let auths = count(tx.authorization_list().map_or(0, <[_]>::len));
    gas = gas.saturating_add(auths.saturating_mul(25_000));
    gas.max(21_000u64.saturating_add(tokens.saturating_mul(10)))
}
