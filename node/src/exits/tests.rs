use super::*;
use alloy_genesis::GenesisAccount;
use rota_execution::{genesis, prague_genesis, sent_slot};
use rota_store::MemKv;
use std::collections::BTreeMap;

fn slot(i: u64) -> U256 {
    sent_slot(B256::from(U256::from(i)))
}

/// A state after so many withdrawals, with some other accounts.
fn state(withdrawals: u64) -> State {
    let one = B256::from(U256::from(1));
    let mut storage: BTreeMap<B256, B256> =
        (0..withdrawals).map(|i| (slot(i).into(), one)).collect();
    if withdrawals > 0 {
        storage.insert(COUNT.into(), U256::from(withdrawals).into());
    }
    let passer = GenesisAccount::default().with_nonce(Some(1)).with_storage(Some(storage));
    let others = (0..200u64).map(|i| {
        let address = alloy_primitives::Address::from_word(keccak256(i.to_be_bytes()));
        (
            address,
            GenesisAccount::default()
                .with_balance(U256::from(i.saturating_add(withdrawals).saturating_add(1))),
        )
    });
    let alloc = others.chain([(MESSAGE_PASSER, passer)]);
    genesis(&prague_genesis(7, 1, 30_000_000, alloc)).unwrap().state
}

/// Keeps the states after so many withdrawals each, as blocks of these numbers.
fn keep(exits: &Exits, blocks: &[(u64, u64)], proven: u64) {
    for (number, withdrawals) in blocks {
        let (state, known) = (state(*withdrawals), exits.slots().unwrap());
        let new: Vec<U256> = (0..*withdrawals).map(slot).filter(|s| !known.contains(s)).collect();
        exits.keep((*number, &state), &new, proven).unwrap();
    }
}

#[test]
fn what_is_given_later_is_what_the_state_gave() {
    let store = Blocks::open(Arc::new(MemKv::default())).unwrap();
    let exits = Exits::new(store.clone());
    let blocks = [(3, 0), (10, 1), (11, 1), (40, 40), (90, 41)];
    keep(&exits, &blocks, 0);
    // Of another process, in any order.
    let exits = Exits::new(store);
    for (number, withdrawals) in [blocks[4], blocks[1], blocks[0], blocks[3], blocks[2], blocks[4]]
    {
        let asked = [slot(0), slot(39), slot(40), slot(1_000), COUNT];
        let found = exits.proof(number, &asked).unwrap().unwrap();
        assert_eq!(found, state(withdrawals).proof(MESSAGE_PASSER, &asked), "block {number}");
    }
    assert!(exits.proof(12, &[]).unwrap().is_none(), "a block that was not kept");
}

#[test]
fn blocks_below_a_proven_one_and_very_old_ones_are_forgotten() {
    let exits = Exits::new(Blocks::open(Arc::new(MemKv::default())).unwrap());
    keep(&exits, &[(5, 1), (8, 3)], 6);
    assert!(exits.proof(5, &[]).unwrap().is_some(), "the proven one was missed here");
    let exits = Exits::new(Blocks::open(Arc::new(MemKv::default())).unwrap());
    keep(&exits, &[(5, 1), (6, 2), (9, 3)], 6);
    assert!(exits.proof(5, &[]).unwrap().is_none());
    assert!(exits.proof(6, &[]).unwrap().is_some() && exits.proof(9, &[]).unwrap().is_some());
    keep(&exits, &[(KEPT + 9, 3)], 6);
    assert!(exits.proof(6, &[]).unwrap().is_none());
    assert!(exits.proof(9, &[slot(2)]).unwrap().is_some(), "as old as may be");
}

#[test]
fn nothing_is_given_that_does_not_fit_the_block() {
    let store = Blocks::open(Arc::new(MemKv::default())).unwrap();
    let exits = Exits::new(store.clone());
    // A withdrawal was never noticed.
    exits.keep((7, &state(2)), &[slot(0)], 0).unwrap();
    assert!(matches!(exits.proof(7, &[slot(0)]), Err(ExitsError::OtherRoot { block: 7, .. })));
    let mut batch = Batch::default();
    batch.put(Tree::Exits, place(7), [1u8; 9]);
    store.kv().apply(batch).unwrap();
    assert!(matches!(exits.proof(7, &[]), Err(ExitsError::Damaged(_))));
}
