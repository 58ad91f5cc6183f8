//! Accounts and transactions for a live network.

use super::{Devnet, quantity};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, hex};
use rota_types::VoteKey;
use serde_json::json;

/// Key of the first test account of every devnet (the well-known development mnemonic).
pub const ACCOUNT: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// 100 ETH.
const FUNDS: u128 = 100_000_000_000_000_000_000;

/// A signed transfer of 1 wei for a live network.
pub fn transfer(key: &VoteKey, chain_id: u64, nonce: u64) -> Bytes {
    let tx = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_000_000,
        to: TxKind::Call(Address::repeat_byte(0x77)),
        value: U256::from(1),
        ..Default::default()
    };
    sign(tx, key)
}

/// Signs any transaction.
pub fn sign(tx: TxEip1559, key: &VoteKey) -> Bytes {
    let sig = key.sign(&tx.signature_hash());
    let signature = Signature::from_bytes_and_parity(&sig[..64], sig[64] == 28);
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}

/// The key of the first test account.
pub fn account() -> VoteKey {
    let secret: [u8; 32] = hex::decode(ACCOUNT).unwrap().try_into().unwrap();
    VoteKey::from_secret(&secret).unwrap()
}

/// The key of load account `i`, which [`fund`] gives a balance.
pub fn load_account(i: u64) -> VoteKey {
    VoteKey::from_secret(&alloy_primitives::keccak256(format!("load/{i}")).0).unwrap()
}

/// The first `count` load accounts get a balance from the first test account.
pub fn fund(net: &Devnet, count: u64) {
    let (mut rpc, key) = (net.rpc("n1"), account());
    let from = format!("{}", key.address());
    let nonce = quantity(&rpc.call("eth_getTransactionCount", json!([from, "pending"])).unwrap());
    for i in 0..count {
        let tx = TxEip1559 {
            chain_id: net.chain_id,
            nonce: nonce + i,
            gas_limit: 21_000,
            max_fee_per_gas: 20_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(load_account(i).address()),
            value: U256::from(FUNDS),
            ..Default::default()
        };
        rpc.call("eth_sendRawTransactionSync", json!([sign(tx, &key), 10_000])).unwrap();
    }
}
