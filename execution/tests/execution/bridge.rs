//! Withdrawals and token deposits in real tries, with the proofs that the contracts check.
//!
//! `cargo test -p rota-execution -- --ignored write_bridge_vectors` writes `tests/vectors/bridge.json`;
//! `contracts/test/BridgeVectors.t.sol` reads it.

use std::{collections::BTreeMap, fs, path::PathBuf};

use alloy_consensus::TxEip1559;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use rota_execution::{
    Head, MESSAGE_PASSER, TOKEN_BRIDGE, genesis, prague_genesis, predeploys, sent_slot,
};
use serde_json::{Map, Value, json};

use crate::support::*;

/// So many that a path is several nodes long.
const ACCOUNTS: u64 = 400;
const WITHDRAWALS: u64 = 30;
/// Holds tokens on an L1 of its own.
const L1_BRIDGE: Address = Address::repeat_byte(0xb1);

/// The words and the tail of an ABI encoding whose last argument is `bytes`.
fn encode(words: &[U256], data: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes::<32>()).collect();
    let offset = U256::from(words.len() * 32 + 32);
    out.extend(offset.to_be_bytes::<32>());
    out.extend(U256::from(data.len()).to_be_bytes::<32>());
    out.extend(data);
    out.resize(out.len().next_multiple_of(32), 0);
    out
}

fn word(address: Address) -> U256 {
    U256::from_be_bytes(address.into_word().0)
}

struct Sent {
    nonce: u64,
    sender: Address,
    target: Address,
    value: U256,
    gas: u64,
    data: Vec<u8>,
}

impl Sent {
    fn new(nonce: u64) -> Self {
        let data = vec![nonce as u8; (nonce * 7) as usize];
        let (sender, target) = (wallet(0).address, Address::from_word(keccak256([nonce as u8])));
        Self { nonce, sender, target, value: U256::from(nonce * 1_000), gas: nonce * 10_000, data }
    }

    fn hash(&self) -> B256 {
        let head = [
            U256::from(self.nonce),
            word(self.sender),
            word(self.target),
            self.value,
            U256::from(self.gas),
        ];
        keccak256(encode(&head, &self.data))
    }

    fn call(&self) -> Signed {
        let mut input = keccak256("initiate(address,uint256,bytes)")[..4].to_vec();
        input.extend(encode(&[word(self.target), U256::from(self.gas)], &self.data));
        wallet(0).eip1559(TxEip1559 {
            gas_limit: 300_000,
            value: self.value,
            input: input.into(),
            ..fees(self.nonce, MESSAGE_PASSER)
        })
    }
}

/// A rollup with withdrawals in its first block, among many accounts.
fn rollup() -> (Head, Vec<Sent>) {
    let many = (0..ACCOUNTS).map(|i| Address::from_word(keccak256(i.to_be_bytes())));
    let rich = many.chain([wallet(0).address]);
    let rich = rich.map(|a| (a, GenesisAccount::default().with_balance(ether(1_000))));
    let file = prague_genesis(CHAIN_ID, 1_700_000_000, GAS_LIMIT, rich.chain(predeploys()));
    let mut block = open(&genesis(&file).unwrap());
    let sent: Vec<Sent> = (0..WITHDRAWALS).map(Sent::new).collect();
    for one in &sent {
        let included = include(&mut block, &one.call());
        assert!(included.receipt.status(), "withdrawal {}", one.nonce);
        assert_eq!(included.receipt.logs()[0].address, MESSAGE_PASSER);
    }
    (seal(block).head, sent)
}

/// An L1 on which deposits were noted. Some hashes begin with zeros, which the trie leaves out.
fn deposits() -> (Head, Vec<B256>) {
    let hash = |i: u64| match i % 5 {
        0 => B256::from(U256::from_be_bytes(keccak256(i.to_be_bytes()).0) >> 16),
        _ => keccak256(i.to_be_bytes()),
    };
    let hashes: Vec<B256> = (0..60).map(hash).collect();
    let slot = |i: u64| keccak256([U256::from(i), U256::ZERO].map(B256::from).concat());
    let storage: BTreeMap<B256, B256> = (0u64..).map(slot).zip(hashes.iter().copied()).collect();
    let many = (0..ACCOUNTS).map(|i| Address::from_word(keccak256(i.to_be_bytes())));
    let rich = many.map(|a| (a, GenesisAccount::default().with_balance(ether(1))));
    let bridge = GenesisAccount::default().with_nonce(Some(1)).with_storage(Some(storage));
    let file = prague_genesis(1, 1_700_000_000, GAS_LIMIT, rich.chain([(L1_BRIDGE, bridge)]));
    (genesis(&file).unwrap(), hashes)
}

fn proof(head: &Head, account: Address, slot: U256) -> (Vec<Bytes>, Vec<Bytes>) {
    let proof = head.state.proof(account, &[slot]);
    (proof.nodes, proof.slots[0].nodes.clone())
}

fn vectors() -> Value {
    let (head, sent) = rollup();
    let mut out = Map::new();
    out.insert(
        "about".into(),
        json!("withdrawals in a block of the rollup, token deposits in one of L1"),
    );
    out.insert("passer".into(), json!(MESSAGE_PASSER));
    out.insert("token_bridge".into(), json!(TOKEN_BRIDGE));
    out.insert("header".into(), json!(Bytes::from(alloy_rlp::encode(&head.header))));
    out.insert("block_hash".into(), json!(head.hash));
    for one in [&sent[0], &sent[9], &sent[29]] {
        let (account, slot) = proof(&head, MESSAGE_PASSER, sent_slot(one.hash()));
        let n = one.nonce;
        out.insert(format!("w{n}_sender"), json!(one.sender));
        out.insert(format!("w{n}_target"), json!(one.target));
        out.insert(format!("w{n}_value"), json!(one.value.to::<u64>()));
        out.insert(format!("w{n}_gas"), json!(one.gas));
        out.insert(format!("w{n}_data"), json!(Bytes::from(one.data.clone())));
        out.insert(format!("w{n}_hash"), json!(one.hash()));
        out.insert(format!("w{n}_account_proof"), json!(account));
        out.insert(format!("w{n}_slot_proof"), json!(slot));
    }
    let (head, hashes) = deposits();
    out.insert("l1_bridge".into(), json!(L1_BRIDGE));
    out.insert("l1_header".into(), json!(Bytes::from(alloy_rlp::encode(&head.header))));
    out.insert("l1_hash".into(), json!(head.hash));
    for i in [0u64, 7, 55] {
        let slot = keccak256([U256::from(i), U256::ZERO].map(B256::from).concat());
        let (account, slot) = proof(&head, L1_BRIDGE, slot.into());
        out.insert(format!("d{i}_word"), json!(hashes[i as usize]));
        out.insert(format!("d{i}_account_proof"), json!(account));
        out.insert(format!("d{i}_slot_proof"), json!(slot));
    }
    out.into()
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/bridge.json")
}

#[test]
#[ignore = "writes the committed file"]
fn write_bridge_vectors() {
    fs::write(path(), serde_json::to_string_pretty(&vectors()).unwrap() + "\n").unwrap();
}

#[test]
fn the_committed_proofs_are_reproduced() {
    let committed: Value = serde_json::from_str(&fs::read_to_string(path()).unwrap()).unwrap();
    assert_eq!(committed, vectors());
}

#[test]
fn what_is_sent_stays_in_the_passer_and_is_in_its_slot() {
    let (head, sent) = rollup();
    let sum: U256 = sent.iter().map(|s| s.value).sum();
    assert_eq!(head.state.balance(&MESSAGE_PASSER), sum);
    for one in &sent {
        let proof = head.state.proof(MESSAGE_PASSER, &[sent_slot(one.hash())]);
        assert_eq!(proof.slots[0].value, U256::from(1));
    }
}
