//! The committed chains: any Ethereum client computes the same hashes, and so do we, today as
//! yesterday.
//!
//! `cargo test -p rota-execution -- --ignored write_vectors` writes the file anew;
//! `execution/oracle` has go-ethereum and EthereumJS import it. `write_random_chains` makes more of
//! them, for one run only.

use std::{fs, path::PathBuf};

use alloy_consensus::{Block, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::{eip4895::Withdrawal, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS};
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::{Decodable, Encodable};
use rota_execution::{BlockEnv, ExecutedBlock, Head, OpenBlock, execute_block, genesis};
use serde::{Deserialize, Serialize};

use crate::support::*;

#[derive(Serialize, Deserialize)]
struct Vectors {
    about: String,
    agreed: Vec<String>,
    chains: Vec<Chain>,
}

#[derive(Serialize, Deserialize)]
struct Chain {
    name: String,
    genesis: Genesis,
    genesis_hash: B256,
    blocks: Vec<Executed>,
}

#[derive(Serialize, Deserialize)]
struct Executed {
    rlp: Bytes,
    hash: B256,
    state_root: B256,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/execution_blocks.json")
}

fn executed(block: &ExecutedBlock) -> Executed {
    let mut rlp = Vec::new();
    block.to_block().encode(&mut rlp);
    Executed { rlp: rlp.into(), hash: block.hash(), state_root: block.head.header.state_root }
}

fn chain(name: &str, blocks: impl FnOnce(Head) -> Vec<ExecutedBlock>) -> Chain {
    let head = first();
    Chain {
        name: name.to_owned(),
        genesis: genesis_file(),
        genesis_hash: head.hash,
        blocks: blocks(head).iter().map(executed).collect(),
    }
}

/// One block of each special kind.
fn special(mut head: Head) -> Vec<ExecutedBlock> {
    let mut blocks = Vec::new();
    let mut nonce = 0;
    for kind in 0..6 {
        let deposit =
            |index, address, amount| Withdrawal { index, validator_index: 1, address, amount };
        let mut env = env(&head);
        match kind {
            1 => {
                env.withdrawals = vec![
                    deposit(0, Address::repeat_byte(0x61), 5),
                    deposit(1, Address::repeat_byte(0x62), 0),
                ]
            }
            2 => env.gas_limit += 20_000,
            3 => env.timestamp_s += 3_600,
            _ => {}
        }
        let mut block = OpenBlock::open(&head, env, CHAIN_ID).unwrap();
        match kind {
            4 => {
                let mut request = fees(nonce, WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS);
                (request.gas_limit, request.value) = (200_000, U256::from(1));
                request.input = vec![0x11; 56].into();
                include(&mut block, &wallet(0).eip1559(request));
                nonce += 1;
            }
            5 => {
                let mut full = fees(nonce, Address::repeat_byte(0x14));
                full.gas_limit = block.gas_left();
                include(&mut block, &wallet(0).eip1559(full));
            }
            _ => {}
        }
        let block = seal(block);
        head = block.head.clone();
        blocks.push(block);
    }
    blocks.push(seal(open(&head)));
    blocks
}

fn traffic(mut head: Head, seed: u64, length: u64) -> Vec<ExecutedBlock> {
    let mut traffic = Traffic::default();
    let mut blocks = Vec::new();
    for number in 0..length {
        traffic.follow(&head.state);
        let mut block = open(&head);
        for at in 0..40 {
            let random = keccak256((seed * 1_000_000 + number * 1_000 + at).to_be_bytes());
            let (tx, sender) = traffic.make(u64::from_be_bytes(random[..8].try_into().unwrap()));
            block.apply(&tx, sender).unwrap();
        }
        let block = seal(block);
        assert!(block.included.len() > 10, "the vectors would prove little");
        head = block.head.clone();
        blocks.push(block);
    }
    blocks
}

#[test]
#[ignore = "writes the committed file"]
fn write_vectors() {
    let vectors = Vectors {
        about: "A genesis file as stock clients read it, and the blocks after it as RLP."
            .to_owned(),
        agreed: vec![
            "go-ethereum 1.17.10 (execution/oracle/geth)".to_owned(),
            "EthereumJS 10.1.3 (execution/oracle/check.mjs)".to_owned(),
        ],
        chains: vec![chain("special", special), chain("traffic", |head| traffic(head, 0, 6))],
    };
    fs::write(path(), serde_json::to_string_pretty(&vectors).unwrap() + "\n").unwrap();
}

/// More chains than anybody wants in a repository, for a long run of the oracle.
#[test]
#[ignore = "writes random chains for execution/oracle"]
fn write_random_chains() {
    let chain = |seed| chain(&format!("random {seed}"), |head| traffic(head, seed, 10));
    let chains = (1..=20).map(chain).collect();
    let vectors = Vectors { about: String::new(), agreed: Vec::new(), chains };
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("execution_random.json");
    fs::write(&path, serde_json::to_string(&vectors).unwrap()).unwrap();
}

#[test]
fn the_committed_chains_are_reproduced() {
    let vectors: Vectors = serde_json::from_str(&fs::read_to_string(path()).unwrap()).unwrap();
    assert!(!vectors.chains.is_empty());
    for chain in vectors.chains {
        let mut head = genesis(&chain.genesis).unwrap();
        assert_eq!(head.hash, chain.genesis_hash);
        for expected in chain.blocks {
            let block = Block::<TxEnvelope>::decode(&mut &expected.rlp[..]).unwrap();
            assert_eq!(
                block.header.hash_slow(),
                expected.hash,
                "the bytes are the block of that hash"
            );
            let env = BlockEnv {
                number: block.header.number,
                timestamp_s: block.header.timestamp,
                gas_limit: block.header.gas_limit,
                fee_recipient: block.header.beneficiary,
                prev_randao: block.header.mix_hash,
                parent_beacon_block_root: block.header.parent_beacon_block_root.unwrap(),
                withdrawals: block.body.withdrawals.unwrap().into_inner(),
            };
            let senders: Vec<_> =
                block.body.transactions.iter().map(|tx| tx.recover_signer().unwrap()).collect();
            let transactions = block.body.transactions.iter().zip(senders);
            let tag = B256::from_slice(&block.header.extra_data);
            let ours = execute_block(&head, env, CHAIN_ID, transactions, tag).unwrap();
            assert_eq!(ours.head.header, block.header, "{} {}", chain.name, block.header.number);
            assert_eq!(
                (ours.hash(), ours.head.header.state_root),
                (expected.hash, expected.state_root)
            );
            head = ours.head;
        }
    }
}
