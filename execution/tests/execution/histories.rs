//! Random histories: how a block was fed does not matter, and every view of the result agrees.

use alloy_primitives::{Address, B256, U256};
use alloy_rlp::Encodable;
use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};
use proptest::prelude::*;
use rota_execution::{ExecutedBlock, Head, State, execute_block};

use crate::support::*;

fn whole(parent: &Head, transactions: &[Signed]) -> ExecutedBlock {
    let transactions = transactions.iter().map(|(tx, sender)| (tx, *sender));
    execute_block(parent, env(parent), CHAIN_ID, transactions, B256::repeat_byte(0x77)).unwrap()
}

/// Frame by frame, with detours: every frame is first applied with others behind it, then rolled
/// back.
fn framed(parent: &Head, transactions: &[Signed], frames: &[usize]) -> ExecutedBlock {
    let mut block = open(parent);
    let (mut rest, mut ahead) = (transactions, None);
    for size in frames.iter().copied().cycle() {
        if rest.is_empty() {
            break;
        }
        let checkpoint = block.checkpoint();
        for (tx, sender) in rest.iter().rev().chain(rest) {
            block.apply(tx, *sender).unwrap();
        }
        let abandoned = block.snapshot().settled();
        block.restore(&checkpoint).unwrap();
        let (frame, later) = rest.split_at(size.min(rest.len()));
        let mut run = block.run();
        for (tx, sender) in frame {
            run.apply(tx, *sender).unwrap();
        }
        drop(run);
        if rest.len().is_multiple_of(3) {
            block.adopt(&abandoned);
            ahead = Some(block.snapshot().settled());
        } else if let Some(earlier) = &ahead {
            block.adopt(earlier);
        }
        rest = later;
    }
    seal(block)
}

fn verify(state: &State, address: Address) {
    let slots: Vec<_> = (0..6).map(U256::from).collect();
    let proof = state.proof(address, &slots);
    let account = state.account(&address).map(|account| TrieAccount {
        nonce: account.nonce,
        balance: account.balance,
        storage_root: proof.storage_root,
        code_hash: account.code_hash,
    });
    let encoded = |value: &dyn Encodable| {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    };
    let path = Nibbles::unpack(alloy_primitives::keccak256(address));
    verify_proof(state.root(), path, account.map(|account| encoded(&account)), &proof.nodes)
        .unwrap();
    for slot in proof.slots {
        let path = Nibbles::unpack(alloy_primitives::keccak256(slot.slot.to_be_bytes::<32>()));
        let value = (!slot.value.is_zero()).then(|| encoded(&slot.value));
        verify_proof(proof.storage_root, path, value, &slot.nodes).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn frames_stores_roots_and_proofs_agree(
        blocks in prop::collection::vec(prop::collection::vec(any::<u64>(), 0..25), 1..4),
        frames in prop::collection::vec(1usize..7, 1..4),
    ) {
        let mut head = first();
        let (mut traffic, mut shelf) = (Traffic::default(), Shelf::default());
        shelf.apply(&head.state.export());
        for randoms in blocks {
            traffic.follow(&head.state);
            let transactions: Vec<_> = randoms.into_iter().map(|random| traffic.make(random)).collect();
            let block = whole(&head, &transactions);
            let other = framed(&head, &transactions, &frames);
            prop_assert_eq!(block.hash(), other.hash());
            prop_assert_eq!(&block.diff, &other.diff);
            prop_assert_eq!(block.head.header.state_root, oracle_root(&block.head.state));
            prop_assert_eq!(head.state.with_diff(&block.diff).root(), block.head.header.state_root);
            shelf.apply(&block.diff);
            let loaded = shelf.clone().load();
            prop_assert_eq!(loaded.root(), block.head.header.state_root);
            prop_assert_eq!(loaded.export(), block.head.state.export());
            for byte in [0x00, 0x05, 0x10, 0x11, 0x12, 0x16, 0x17, 0xfe] {
                verify(&block.head.state, Address::repeat_byte(byte));
            }
            head = Head::new(block.head.header.clone(), loaded).unwrap();
        }
    }
}

#[test]
fn a_state_that_is_not_the_headers_is_refused() {
    let parent = first();
    assert!(Head::new(parent.header, State::default()).is_err());
}

#[test]
fn damaged_parts_are_refused() {
    let mut diff = first().state.export();
    let (accounts, codes) = (diff.accounts.clone(), std::mem::take(&mut diff.codes));
    let accounts: Vec<_> =
        accounts.into_iter().map(|(address, change)| (address, change.account.unwrap())).collect();
    let missing = codes.values().skip(1).cloned();
    assert!(State::from_parts(accounts.clone(), [], missing).is_err());
    let orphan = [(Address::repeat_byte(0x99), U256::from(1), U256::from(1))];
    assert!(State::from_parts(accounts, orphan, codes.into_values()).is_err());
}
