//! Real input for tests: keys from a seed, a set of their owners, and signed transactions.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Signature, TxKind, U256, keccak256};
use rota_preconf::{Epoch, Epochs, Rules};
use rota_types::{ChainParams, Domain, SeqKey, Tx, Validator, ValidatorSet, VoteKey};
use std::sync::Arc;

/// Wei of an ether.
pub const ETH: u128 = 1_000_000_000_000_000_000;
/// Chain id of test rollups.
pub const CHAIN_ID: u64 = 7_211;

/// Both hot keys of test validator `i`.
pub fn keys(i: u16) -> (SeqKey, VoteKey) {
    let seed = |tag: &str| keccak256(format!("{tag}/{i}")).0;
    (SeqKey::from_seed(&seed("seq")), VoteKey::from_secret(&seed("vote")).unwrap())
}

/// A set of epoch 0 with these stakes in whole ether.
pub fn set(stakes: &[u64]) -> ValidatorSet {
    set_of(0, &(0u16..).zip(stakes.iter().copied()).collect::<Vec<_>>())
}

/// The set of an epoch: numbers of keys, and stakes in whole ether.
pub fn set_of(epoch: u64, members: &[(u16, u64)]) -> ValidatorSet {
    let validators = members
        .iter()
        .map(|(i, stake)| {
            let (seq, vote) = keys(*i);
            Validator {
                owner: Address::left_padding_from(&(*i + 1).to_be_bytes()),
                seq_key: seq.public(),
                vote_key: vote.address(),
                stake: U256::from(*stake) * U256::from(1_000_000_000_000_000_000u64),
                fee_recipient: Address::ZERO,
                peer: String::new(),
            }
        })
        .collect();
    ValidatorSet::new(epoch, validators)
}

/// The domain of test rollups.
pub fn domain() -> Domain {
    Domain::new(31_337, CHAIN_ID, Address::repeat_byte(0x52), B256::repeat_byte(0x47), 0)
}

/// The epoch of a set that is in force from the beginning.
pub fn epoch(set: &ValidatorSet, params: &ChainParams) -> Arc<Epoch> {
    Arc::new(Epoch::new(0, Arc::new(set.clone()), params.window_heights))
}

/// Rules with one epoch.
pub fn rules(epoch: &Arc<Epoch>, params: ChainParams) -> Rules {
    Rules::new(Epochs::new(Arc::clone(epoch)), params, domain())
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
