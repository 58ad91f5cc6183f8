//! Blocks executed with nothing but their witness: the same block, or an error, whatever is left out or changed.

use alloy_consensus::{Block, TxEnvelope};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use proptest::prelude::*;
use rota_execution::{
    ExecutedBlock, ExecutionError, Head, NotReexecuted, Witness, execute_block, record, reexecute,
};

use crate::support::*;

const EXTRA: B256 = B256::repeat_byte(0x77);

/// The next block with deposits, its witness, and the same block without one.
fn recorded(parent: &Head, transactions: &[Signed]) -> (ExecutedBlock, Witness) {
    let mut env = env(parent);
    let to = Address::repeat_byte((env.number % 7) as u8 + 0x40);
    env.withdrawals = vec![Withdrawal { index: 0, validator_index: 0, address: to, amount: 5 }];
    let txs = || transactions.iter().map(|(tx, sender)| (tx, *sender));
    let (block, witness) = record(parent, env.clone(), CHAIN_ID, txs(), EXTRA).unwrap();
    let plain = execute_block(parent, env, CHAIN_ID, txs(), EXTRA).unwrap();
    assert_eq!(block.hash(), plain.hash(), "being watched changes nothing");
    (block, witness)
}

fn again(witness: &Witness, block: &Block<TxEnvelope>) -> Result<B256, NotReexecuted> {
    reexecute(witness, block, CHAIN_ID).map(|done| done.hash())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_witness_is_enough_for_its_block(
        blocks in prop::collection::vec(prop::collection::vec(any::<u64>(), 0..25), 1..5),
        pick in any::<prop::sample::Index>(),
    ) {
        let (mut head, mut traffic) = (first(), Traffic::default());
        for randoms in blocks {
            traffic.follow(&head.state);
            let txs: Vec<_> = randoms.into_iter().map(|random| traffic.make(random)).collect();
            let (block, witness) = recorded(&head, &txs);
            let given = block.to_block();
            prop_assert_eq!(again(&witness, &given), Ok(block.hash()));
            // Less of it gives the same block or none, never another.
            let less = |change: &dyn Fn(&mut Witness)| {
                let mut witness = witness.clone();
                change(&mut witness);
                matches!(again(&witness, &given), Err(NotReexecuted::Other { .. }))
            };
            let other = less(&|w| drop(w.state.remove(pick.index(w.state.len()))))
                || less(&|w| drop(w.keys.remove(pick.index(w.keys.len()))))
                || less(&|w| drop(w.codes.remove(pick.index(w.codes.len()))));
            prop_assert!(!other);
            head = Head { state: block.head.state.clone(), ..block.head };
        }
    }
}

/// A slot set and cleared again: the branch above it falls together.
#[test]
fn what_a_deletion_moves_is_in_the_witness() {
    let mut head = first();
    let store = Address::repeat_byte(0x11);
    let from = wallet(0);
    let mut incomplete = 0;
    for nonce in 0..40 {
        let (slot, value) = (nonce % 20, if nonce < 20 { 9 } else { 0 });
        let tx = from.call(nonce, store, words(&[slot, value]));
        let (block, witness) = recorded(&head, &[tx]);
        let given = block.to_block();
        assert_eq!(again(&witness, &given), Ok(block.hash()), "transaction {nonce}");
        for at in 0..witness.state.len() {
            let mut less = witness.clone();
            less.state.remove(at);
            let said = again(&less, &given);
            let other = matches!(said, Err(NotReexecuted::Other { .. }));
            assert!(!other, "transaction {nonce}, node {at}: {said:?}");
            incomplete += u32::from(said == Err(NotReexecuted::Incomplete));
        }
        head = block.head;
    }
    assert_eq!(head.state.storage(&store, &U256::from(3)), U256::ZERO);
    assert!(incomplete > 0, "what a change would have to look at was hidden in none");
}

#[test]
fn everything_in_it_is_needed() {
    let head = first();
    let (a, b) = (wallet(0), wallet(1));
    let txs = [
        a.call(0, Address::repeat_byte(0x11), words(&[3, 4])),
        b.transfer(0, Address::repeat_byte(0x77), 5),
    ];
    let (block, witness) = recorded(&head, &txs);
    let given = block.to_block();
    assert_eq!(again(&witness, &given), Ok(block.hash()));
    assert!(witness.size() < 40_000, "{}", witness.size());
    let mut needed = 0;
    for at in 0..witness.state.len() {
        let mut less = witness.clone();
        less.state.remove(at);
        needed += u32::from(again(&less, &given).is_err());
    }
    assert_eq!(needed as usize, witness.state.len(), "no node is there for nothing");
    for at in 0..witness.codes.len() {
        let mut less = witness.clone();
        less.codes.remove(at);
        assert!(again(&less, &given).is_err());
    }
    // An account whose name is hidden is not taken for one that does not exist.
    let mut nameless = witness;
    nameless.keys.retain(|key| key[..] != a.address[..]);
    let hidden = NotReexecuted::Execution(ExecutionError::NotInWitness(a.address, None));
    assert_eq!(again(&nameless, &given), Err(hidden));
}

#[test]
fn a_false_block_or_witness_is_refused() {
    let head = first();
    let (block, witness) = recorded(&head, &[wallet(0).transfer(0, wallet(1).address, 5)]);
    let good = block.to_block();
    let mut other = good.clone();
    other.header.state_root = B256::repeat_byte(1);
    assert!(matches!(again(&witness, &other), Err(NotReexecuted::Other { .. })));
    let mut other = good.clone();
    other.body.transactions.clear();
    assert!(matches!(again(&witness, &other), Err(NotReexecuted::Other { .. })));
    let mut other = good.clone();
    other.body.transactions.push(wallet(0).transfer(9, wallet(1).address, 5).0);
    assert!(matches!(again(&witness, &other), Err(NotReexecuted::NotIncluded { index: 1, .. })));
    let mut other = good.clone();
    other.header.parent_hash = B256::repeat_byte(1);
    assert!(matches!(again(&witness, &other), Err(NotReexecuted::Parent { .. })));
    // Another state under the parent's header: a node that says the sender is rich.
    let mut forged = witness.clone();
    for node in &mut forged.state {
        let mut bytes = node.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        *node = bytes.into();
    }
    assert!(again(&forged, &good).is_err());
    let mut forged = witness;
    forged.headers = vec![Bytes::from_static(b"\xc0")];
    let got = keccak256([0xc0]);
    assert_eq!(
        again(&forged, &good),
        Err(NotReexecuted::Parent { got, want: good.header.parent_hash })
    );
}
