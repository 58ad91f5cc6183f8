//! Costs of execution and of the state root, in this build and on this machine.
//!
//! `cargo run -p rota-execution --example bench` (no profile change needed: the ratio is what
//! counts)
#![expect(
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark measures time, prints and stops at the first problem"
)]

use std::{collections::BTreeMap, time::Instant};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Signature, TxKind, U256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, KECCAK_EMPTY, Nibbles, TrieAccount};
use rota_execution::{BlockEnv, Head, OpenBlock, Outcome, Trie, genesis, prague_genesis};

const CHAIN_ID: u64 = 1;
const ACCOUNTS: u32 = 100_000;
const TRANSFERS: u32 = 1_000;

fn address(id: u32) -> Address {
    Address::from_word(keccak256(id.to_be_bytes()))
}

fn transfers(nonce: u64) -> Vec<(TxEnvelope, Address)> {
    let one = |id: u32| {
        let tx = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: 10_000_000_000,
            to: TxKind::Call(address((id * 7_919) % ACCOUNTS)),
            value: U256::from(1),
            ..TxEip1559::default()
        };
        (tx.into_signed(Signature::test_signature()).into(), address(id * 97 % ACCOUNTS))
    };
    (0..TRANSFERS).map(one).collect()
}

fn env(parent: &Head) -> BlockEnv {
    BlockEnv {
        number: parent.header.number + 1,
        timestamp_s: parent.header.timestamp + 1,
        gas_limit: parent.header.gas_limit,
        fee_recipient: Address::repeat_byte(0xfe),
        prev_randao: B256::ZERO,
        parent_beacon_block_root: B256::ZERO,
        withdrawals: Vec::new(),
    }
}

/// Executes the transfers in frames of `frame`, with a snapshot and a checkpoint after each, and
/// seals.
fn block(parent: &Head, frame: usize) -> Head {
    let transactions = transfers(parent.header.number);
    let mut block = OpenBlock::open(parent, env(parent), CHAIN_ID).unwrap();
    let mut kept = Vec::new();
    let start = Instant::now();
    for frame in transactions.chunks(frame) {
        let mut run = block.run();
        for (tx, sender) in frame {
            assert!(matches!(run.apply(tx, *sender).unwrap(), Outcome::Included(_)));
        }
        drop(run);
        kept.push((block.snapshot(), block.checkpoint()));
    }
    let applied = start.elapsed();
    let start = Instant::now();
    let sealed = block.seal(B256::ZERO).unwrap();
    let per_tx = applied.as_secs_f64() * 1e6 / f64::from(TRANSFERS);
    let seal = start.elapsed().as_secs_f64() * 1e3;
    println!(
        "{TRANSFERS} transfers in frames of {frame:4}: {per_tx:6.2} us each, seal {seal:6.2} ms"
    );
    sealed.head
}

/// As [`block`], with the tries brought forward after every tenth of the block, as another thread
/// would.
fn prepared(parent: &Head) {
    let transactions = transfers(parent.header.number);
    let mut block = OpenBlock::open(parent, env(parent), CHAIN_ID).unwrap();
    for part in transactions.chunks(100) {
        let settled = block.snapshot().settled();
        for (tx, sender) in part {
            assert!(matches!(block.apply(tx, *sender).unwrap(), Outcome::Included(_)));
        }
        block.adopt(&settled);
    }
    let start = Instant::now();
    block.seal(B256::ZERO).unwrap();
    let seal = start.elapsed().as_secs_f64() * 1e3;
    println!("seal with nine tenths of the trie work done elsewhere: {seal:6.2} ms");
}

fn empty_frames(parent: &Head) {
    let mut block = OpenBlock::open(parent, env(parent), CHAIN_ID).unwrap();
    let start = Instant::now();
    for _ in 0..TRANSFERS {
        let _run = block.run();
    }
    let per_run = start.elapsed().as_secs_f64() * 1e6 / f64::from(TRANSFERS);
    println!("opening an EVM for a frame: {per_run:.2} us");
}

fn leaf(balance: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let account = TrieAccount {
        nonce: 1,
        balance: U256::from(balance),
        storage_root: EMPTY_ROOT_HASH,
        code_hash: KECCAK_EMPTY,
    };
    account.encode(&mut out);
    out
}

fn roots() {
    let mut leaves = BTreeMap::new();
    let mut trie = Trie::default();
    for id in 0..ACCOUNTS {
        let key = keccak256(address(id));
        trie.insert(key, &leaf(u64::from(id)));
        leaves.insert(key, leaf(u64::from(id)));
    }
    let _hashed = trie.root();
    for round in 0..3u64 {
        let start = Instant::now();
        for id in 0..TRANSFERS {
            let key = keccak256(address((id * 97) % ACCOUNTS));
            trie.insert(key, &leaf(round + 7));
        }
        let root = trie.root();
        let ours = start.elapsed().as_secs_f64() * 1e3;
        for id in 0..TRANSFERS {
            leaves.insert(keccak256(address((id * 97) % ACCOUNTS)), leaf(round + 7));
        }
        let start = Instant::now();
        let mut builder = HashBuilder::default();
        for (key, value) in &leaves {
            builder.add_leaf(Nibbles::unpack(key), value);
        }
        assert_eq!(builder.root(), root);
        let rebuilt = start.elapsed().as_secs_f64() * 1e3;
        println!(
            "root, {TRANSFERS} touched of {ACCOUNTS}: {ours:6.2} ms, rebuilt from scratch {rebuilt:6.2} ms, ratio {:.3}",
            ours / rebuilt
        );
    }
}

fn main() {
    let rich = |id| {
        (address(id), GenesisAccount::default().with_balance(U256::from(10).pow(U256::from(20))))
    };
    let file = prague_genesis(CHAIN_ID, 0, 30_000_000, (0..ACCOUNTS).map(rich));
    let start = Instant::now();
    let mut head = genesis(&file).unwrap();
    println!("genesis of {ACCOUNTS} accounts: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    for frame in [1, 10, 100, 1_000, 1, 10, 100, 1_000] {
        head = block(&head, frame);
    }
    prepared(&head);
    empty_frames(&head);
    roots();
}
