//! What burns comes back: no wei is made, and less than a gwei is lost for each block.

use crate::support::*;
use alloy_primitives::{Address, B256, U256};
use proptest::prelude::*;
use rota_execution::{BlockEnv, ExecutedBlock, Fees, Head, base_fee_return, execute_block};

const VAULT: Address = FEE_VAULT;

/// One more block of these transactions, with what the block before burned.
fn next(head: &Head, txs: &[Signed]) -> ExecutedBlock {
    let withdrawals = base_fee_return(&head.header, VAULT).into_iter().collect();
    let env = BlockEnv { withdrawals, ..env(head) };
    let txs = txs.iter().map(|(tx, sender)| (tx, *sender));
    execute_block(head, env, CHAIN_ID, txs, B256::ZERO).unwrap()
}

fn supply(head: &Head) -> U256 {
    let accounts = head.state.export().accounts;
    accounts.values().filter_map(|change| change.account.as_ref()).map(|a| a.balance).sum()
}

#[test]
fn the_base_fee_of_a_block_is_in_the_next_one_and_only_there() {
    let first = first();
    assert_eq!(base_fee_return(&first.header, VAULT), None, "the genesis burned nothing");
    let one = next(&first, &[wallet(0).transfer(0, Address::repeat_byte(0x42), 5)]);
    let burned = u128::from(one.head.header.base_fee_per_gas.unwrap()) * 21_000;
    let paid = base_fee_return(&one.head.header, VAULT).unwrap();
    assert_eq!((paid.index, paid.validator_index, paid.address), (2, 0, VAULT));
    assert_eq!(u128::from(paid.amount), burned / GWEI);
    let two = next(&one.head, &[]);
    let vault = 21_000 * GWEI + burned / GWEI * GWEI;
    assert_eq!(two.head.state.balance(&VAULT), U256::from(vault));
    assert_eq!(base_fee_return(&two.head.header, VAULT), None);
    assert_eq!(next(&two.head, &[]).head.state.balance(&VAULT), U256::from(vault));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_supply_never_grows_and_only_dust_is_lost(
        blocks in prop::collection::vec(prop::collection::vec((0u8..6, 0u64..1000), 0..12), 1..12),
    ) {
        let (mut head, mut nonces) = (first(), [0u64; 6]);
        let (start, mut earned) = (supply(&head), 0u128);
        let vault = head.state.balance(&VAULT);
        for (txs, count) in blocks.into_iter().chain([vec![]]).zip(1u64..) {
            let mut transfer = |(who, wei): (u8, u64)| {
                let nonce = &mut nonces[usize::from(who)];
                *nonce += 1;
                wallet(who).transfer(*nonce - 1, Address::repeat_byte(0x42), wei)
            };
            let txs: Vec<_> = txs.into_iter().map(&mut transfer).collect();
            let block = next(&head, &txs);
            let base_fee = block.head.header.base_fee_per_gas.unwrap();
            // Each transaction by itself: what parts of a block have is what the vault gets, or less.
            for tx in &block.included {
                let mut fees = Fees::default();
                fees.add(tx, base_fee);
                earned += fees.wei(base_fee);
            }
            head = block.head;
            let coming = base_fee_return(&head.header, VAULT).map_or(0, |w| w.amount);
            let now = supply(&head) + U256::from(coming) * U256::from(GWEI);
            prop_assert!(now <= start);
            prop_assert!(start - now < U256::from(GWEI) * U256::from(count));
        }
        // The last block was empty: everything has come back.
        let got = head.state.balance(&VAULT) - vault;
        prop_assert!(U256::from(earned) <= got);
    }
}
