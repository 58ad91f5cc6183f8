//! Users with keys, and what they sign.

use super::CHAIN;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, keccak256};
use rota_types::VoteKey;

/// A key of a user; 1..=20 are funded at genesis.
pub(crate) fn user(n: u8) -> VoteKey {
    VoteKey::from_secret(&[n; 32]).unwrap()
}

pub(crate) fn sign(key: &VoteKey, tx: TxEip1559) -> Bytes {
    let sig = key.sign(&tx.signature_hash());
    let signature = Signature::from_raw_array(&sig).unwrap();
    TxEnvelope::Eip1559(tx.into_signed(signature)).encoded_2718().into()
}

pub(crate) fn transfer(from: u8, nonce: u64) -> Bytes {
    sign(&user(from), plain(nonce))
}

pub(crate) fn plain(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 3_000_000_000,
        max_priority_fee_per_gas: 1_000_000,
        to: TxKind::Call(address!("0x00000000000000000000000000000000000000b2")),
        value: U256::from(1_000_000_000_000_000u64),
        ..TxEip1559::default()
    }
}

pub(crate) fn hash_of(raw: &Bytes) -> B256 {
    keccak256(raw)
}

/// The account of [`CLIENT_KEY`].
pub(super) fn client_account() -> (Address, GenesisAccount) {
    let balance = U256::from(10u64).pow(U256::from(22));
    (CLIENT, GenesisAccount::default().with_balance(balance))
}

/// Address of [`CLIENT_KEY`].
pub(crate) const CLIENT: Address = address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
/// The first well-known development key.
pub(crate) const CLIENT_KEY: &str =
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
