//! Real input for tests: keys from a seed, a set of their owners, and signed transactions.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Signature, TxKind, U256, keccak256};
use rota_preconf::{Rules, Schedule};
use rota_types::{ChainParams, Domain, SeqKey, Tx, Validator, ValidatorSet, VoteKey};
use std::sync::Arc;

/// Chain id of test rollups.
pub const CHAIN_ID: u64 = 7_211;

/// Both hot keys of test validator `i`.
pub fn keys(i: u16) -> (SeqKey, VoteKey) {
    let seed = |tag: &str| keccak256(format!("{tag}/{i}")).0;
    (SeqKey::from_seed(&seed("seq")), VoteKey::from_secret(&seed("vote")).unwrap())
}

/// A set with these stakes in whole ether.
pub fn set(stakes: &[u64]) -> ValidatorSet {
    let validators = (0u16..)
        .zip(stakes)
        .map(|(i, stake)| {
            let (seq, vote) = keys(i);
            Validator {
                owner: Address::with_last_byte(u8::try_from(i).unwrap() + 1),
                seq_key: seq.public(),
                vote_key: vote.address(),
                stake: U256::from(*stake) * U256::from(1_000_000_000_000_000_000u64),
                fee_recipient: Address::ZERO,
                peer: String::new(),
            }
        })
        .collect();
    ValidatorSet::new(0, validators)
}

/// The domain of test rollups.
pub fn domain() -> Domain {
    Domain::new(31_337, CHAIN_ID, Address::repeat_byte(0x52), B256::repeat_byte(0x47), 0)
}

/// Rules over a set.
pub fn rules(set: &ValidatorSet, params: ChainParams) -> Rules {
    let schedule = Schedule::new(set, keccak256(b"schedule"), params.window_heights);
    Rules::new(0, schedule, params, domain())
}

/// A signed transfer of 1 wei from test account `who`.
pub fn transfer(who: u64, nonce: u64) -> Arc<Tx> {
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::repeat_byte(0x77)),
        value: U256::from(1),
        ..Default::default()
    };
    let key = VoteKey::from_secret(&keccak256(format!("account/{who}")).0).unwrap();
    let sig = key.sign(&tx.signature_hash());
    let signature = Signature::from_bytes_and_parity(&sig[..64], sig[64] == 28);
    let raw = TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into();
    Arc::new(Tx::decode(&raw, CHAIN_ID).unwrap())
}
