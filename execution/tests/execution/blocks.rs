//! Blocks, transaction by transaction: what is in them, what is skipped, what they leave behind.

use crate::support::*;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4895::Withdrawal,
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7685::EMPTY_REQUESTS_HASH,
};
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use rota_execution::{Account, BlockEnv, ExecutionError, OpenBlock, Skip};

const FRIEND: Address = Address::repeat_byte(0x42);

#[test]
fn a_transfer_moves_wei_burns_the_base_fee_and_pays_the_vault() {
    let parent = first();
    let mut block = open(&parent);
    let base_fee = u128::from(block.context().base_fee);
    let included = include(&mut block, &wallet(0).transfer(0, FRIEND, 5));
    assert_eq!((included.index, included.gas_used, included.first_log), (0, 21_000, 0));
    assert_eq!(included.effective_gas_price, base_fee + GWEI);
    let state = block.snapshot();
    assert_eq!(state.balance(&FRIEND), U256::from(5));
    assert_eq!(state.balance(&FEE_VAULT), U256::from(21_000 * GWEI));
    let paid = U256::from(5 + 21_000 * (base_fee + GWEI));
    assert_eq!(state.balance(&wallet(0).address), ether(1_000) - paid);
    assert_eq!(state.nonce(&wallet(0).address), 1);
}

#[test]
fn a_snapshot_never_changes_and_its_root_is_the_sealed_one() {
    let parent = first();
    let mut block = open(&parent);
    include(&mut block, &wallet(0).transfer(0, FRIEND, 5));
    let early = block.snapshot();
    let root = early.root();
    include(&mut block, &wallet(1).transfer(0, FRIEND, 6));
    let late = block.snapshot();
    assert_eq!(early.balance(&FRIEND), U256::from(5));
    assert_eq!((early.root(), late.balance(&FRIEND)), (root, U256::from(11)));
    let sealed = seal(block);
    assert_ne!(sealed.head.header.state_root, root);
    assert_eq!(parent.state.balance(&FRIEND), U256::ZERO);
    assert_eq!(parent.state.root(), parent.header.state_root);
}

#[test]
fn skipped_transactions_say_why_and_leave_no_trace() {
    let parent = first();
    let (rich, poor) = (wallet(0), wallet(100));
    let mut block = open(&parent);
    include(&mut block, &rich.transfer(0, FRIEND, 1));
    let base_fee = block.context().base_fee;
    let cheap = TxEip1559 {
        gas_limit: 21_000,
        max_fee_per_gas: 7,
        max_priority_fee_per_gas: 7,
        ..fees(1, FRIEND)
    };
    let foreign = TxEip1559 { gas_limit: 21_000, chain_id: 1, ..fees(1, FRIEND) };
    let tight = TxEip1559 { gas_limit: 20_999, ..fees(1, FRIEND) };
    let blob =
        TxEip4844 { chain_id: CHAIN_ID, nonce: 1, gas_limit: 21_000, ..TxEip4844::default() };
    let blob = blob.into_signed(Signature::test_signature());
    assert_eq!(skip(&mut block, &rich.transfer(0, FRIEND, 1)), Skip::NonceTooLow { expected: 1 });
    assert_eq!(skip(&mut block, &rich.transfer(2, FRIEND, 1)), Skip::NonceTooHigh { expected: 1 });
    assert_eq!(skip(&mut block, &rich.eip1559(cheap)), Skip::FeeTooLow { base_fee });
    assert_eq!(
        skip(&mut block, &poor.transfer(0, FRIEND, 1)),
        Skip::InsufficientFunds { balance: U256::ZERO, needed: U256::from(21_000 * 20 * GWEI + 1) }
    );
    assert!(matches!(skip(&mut block, &rich.eip1559(foreign)), Skip::Invalid(_)));
    assert!(matches!(skip(&mut block, &rich.eip1559(tight)), Skip::Invalid(_)));
    assert_eq!(skip(&mut block, &(blob.into(), rich.address)), Skip::BlobTx);
    include(&mut block, &rich.transfer(1, FRIEND, 1));

    let mut clean = open(&parent);
    include(&mut clean, &rich.transfer(0, FRIEND, 1));
    include(&mut clean, &rich.transfer(1, FRIEND, 1));
    assert_eq!(seal(block).hash(), seal(clean).hash());
}

#[test]
fn the_gas_limit_counts_over_the_whole_block() {
    let mut block = open(&first());
    let looping = include(&mut block, &wallet(0).create(0, deploy(LOOP))).contract.unwrap();
    let used = block.gas_used();
    let greedy =
        |nonce, gas_limit| wallet(1).eip1559(TxEip1559 { gas_limit, ..fees(nonce, looping) });
    let halted = include(&mut block, &greedy(0, GAS_LIMIT - used - 30_000));
    assert!(!halted.receipt.status());
    assert_eq!((halted.gas_used, block.gas_left()), (GAS_LIMIT - used - 30_000, 30_000));
    assert_eq!(skip(&mut block, &greedy(1, 30_001)), Skip::BlockGasExceeded { available: 30_000 });
    include(&mut block, &wallet(2).transfer(0, FRIEND, 1));
    assert_eq!(
        skip(&mut block, &wallet(2).transfer(1, FRIEND, 1)),
        Skip::BlockGasExceeded { available: 9_000 }
    );
    assert_eq!(seal(block).head.header.gas_used, GAS_LIMIT - 9_000);
}

#[test]
fn the_base_fee_follows_the_parent() {
    let parent = first();
    let mut block = open(&parent);
    assert_eq!(block.context().base_fee, 875_000_000, "an empty genesis lowers it by an eighth");
    let looping = include(&mut block, &wallet(0).create(0, deploy(LOOP))).contract.unwrap();
    let gas_limit = block.gas_left();
    include(&mut block, &wallet(1).eip1559(TxEip1559 { gas_limit, ..fees(0, looping) }));
    let full = seal(block);
    let next = open(&full.head);
    assert_eq!(next.context().base_fee, 984_375_000, "a full block raises it by an eighth");
}

#[test]
fn contracts_are_created_called_logged_and_their_storage_is_zeroed() {
    let parent = first();
    let mut block = open(&parent);
    let store = include(&mut block, &wallet(0).create(0, deploy(STORE))).contract.unwrap();
    assert_eq!(&block.snapshot().code(&store)[..], STORE);
    let one = include(&mut block, &wallet(0).call(1, store, words(&[3, 33])));
    let two = include(&mut block, &wallet(1).call(0, store, words(&[4, 44])));
    assert_eq!((one.first_log, two.first_log, two.receipt.logs().len()), (0, 1, 1));
    assert_eq!(one.receipt.logs()[0].topics(), [B256::with_last_byte(3)]);
    let block = seal(block);
    let state = &block.head.state;
    assert_eq!(state.storage(&store, &U256::from(4)), U256::from(44));
    let filled = state.proof(store, &[]).storage_root;

    let mut next = open(&block.head);
    include(&mut next, &wallet(2).call(0, store, words(&[3, 0])));
    include(&mut next, &wallet(2).call(1, store, words(&[4, 0])));
    let next = seal(next);
    let proof = next.head.state.proof(store, &[]);
    assert_ne!(filled, proof.storage_root);
    assert_eq!(proof.storage_root, alloy_trie::EMPTY_ROOT_HASH);
    let zeroed = &next.diff.accounts[&store].slots;
    assert_eq!(
        zeroed.iter().map(|(s, v)| (s.to::<u64>(), v.to::<u64>())).collect::<Vec<_>>(),
        [(3, 0), (4, 0)]
    );
}

#[test]
fn a_revert_keeps_the_fee_and_nothing_else() {
    let mut block = open(&first());
    let reverts = include(&mut block, &wallet(0).create(0, deploy(REVERT))).contract.unwrap();
    let failed = include(&mut block, &wallet(1).call(0, reverts, vec![]));
    assert!(!failed.receipt.status());
    assert!(failed.receipt.logs().is_empty());
    assert_eq!(block.snapshot().storage(&reverts, &U256::ZERO), U256::ZERO);
    assert_eq!(block.snapshot().nonce(&wallet(1).address), 1);
}

#[test]
fn selfdestruct_deletes_only_what_the_same_transaction_created() {
    let parent = first();
    let mut block = open(&parent);
    let pays_out = include(&mut block, &wallet(0).create(0, deploy(PAY_OUT))).contract.unwrap();
    include(&mut block, &wallet(1).transfer(0, pays_out, 0));
    assert_eq!(&block.snapshot().code(&pays_out)[..], PAY_OUT);
    let stillborn = include(&mut block, &wallet(2).create(0, STILLBORN)).contract.unwrap();
    let state = block.snapshot();
    assert_eq!(state.account(&stillborn), None);
    assert_eq!(state.storage(&stillborn, &U256::from(1)), U256::ZERO);
    let rich =
        wallet(1).eip1559(TxEip1559 { gas_limit: 100_000, value: ether(1), ..fees(1, pays_out) });
    include(&mut block, &rich);
    let account = block.snapshot().account(&pays_out).unwrap();
    assert_eq!((account.nonce, account.balance), (1, U256::ZERO), "EIP-6780 keeps it");
    let block = seal(block);
    assert!(!block.diff.accounts.contains_key(&stillborn));
}

#[test]
fn an_address_can_be_used_again_after_destruction() {
    let mut block = open(&first());
    let factory = include(&mut block, &wallet(0).create(0, deploy(FACTORY))).contract.unwrap();
    for nonce in 1..4 {
        include(&mut block, &wallet(0).call(nonce, factory, STILLBORN));
        let child = block.snapshot().storage(&factory, &U256::ZERO);
        let child = Address::from_word(child.into());
        assert_ne!(child, Address::ZERO);
        assert_eq!(block.snapshot().account(&child), None);
    }
}

#[test]
fn a_contract_created_and_destroyed_in_one_transaction_leaves_only_its_wei() {
    let mut block = open(&first());
    let mayfly = Address::repeat_byte(0x18);
    for nonce in 0..2 {
        let input = deploy(SHORT_LIVED).into();
        let value = U256::from(5);
        let tx = TxEip1559 { gas_limit: 250_000, value, input, ..fees(nonce, mayfly) };
        assert!(include(&mut block, &wallet(0).eip1559(tx)).receipt.status());
        let child = Address::from_word(block.snapshot().storage(&mayfly, &U256::ZERO).into());
        assert_ne!(child, Address::ZERO);
        assert_eq!(block.snapshot().account(&child), None);
    }
    assert_eq!(block.snapshot().balance(&mayfly), U256::from(10));
}

#[test]
fn a_failed_inner_call_takes_only_its_own_changes_back() {
    let mut block = open(&first());
    let nest = Address::repeat_byte(0x19);
    let included = include(&mut block, &wallet(0).call(0, nest, words(&[1, 2])));
    assert_eq!(included.receipt.logs().len(), 1);
    let state = block.snapshot();
    assert_eq!(state.storage(&Address::repeat_byte(0x11), &U256::from(1)), U256::from(2));
    assert_eq!(state.storage(&Address::repeat_byte(0x13), &U256::ZERO), U256::ZERO);
}

#[test]
fn empty_accounts_do_not_exist() {
    let parent = first();
    let env = BlockEnv {
        withdrawals: vec![Withdrawal {
            address: Address::repeat_byte(0x51),
            amount: 0,
            ..Withdrawal::default()
        }],
        ..env(&parent)
    };
    let mut block = OpenBlock::open(&parent, env, CHAIN_ID).unwrap();
    include(&mut block, &wallet(0).transfer(0, FRIEND, 0));
    let block = seal(block);
    assert_eq!(block.head.state.account(&FRIEND), None);
    assert_eq!(block.head.state.account(&Address::repeat_byte(0x51)), None);
    assert_eq!(block.head.state.len(), parent.state.len() + 1, "only the fee vault is new");
}

#[test]
fn deposits_are_paid_in_gwei() {
    let parent = first();
    let deposit = |index, amount| Withdrawal { index, validator_index: 0, address: FRIEND, amount };
    let env = BlockEnv { withdrawals: vec![deposit(0, 3), deposit(1, 4)], ..env(&parent) };
    let block = seal(OpenBlock::open(&parent, env, CHAIN_ID).unwrap());
    assert_eq!(block.head.state.balance(&FRIEND), U256::from(7 * GWEI));
    assert_eq!(block.to_block().body.withdrawals.unwrap().len(), 2);
}

#[test]
fn legacy_access_list_and_delegation_transactions_work() {
    let parent = first();
    let mut block = open(&parent);
    let store = include(&mut block, &wallet(0).create(0, deploy(STORE))).contract.unwrap();
    let gas_price = 10 * GWEI;
    let legacy = TxLegacy {
        chain_id: None,
        nonce: 0,
        gas_price,
        gas_limit: 21_000,
        to: TxKind::Call(FRIEND),
        ..TxLegacy::default()
    };
    include(&mut block, &wallet(1).legacy(legacy));
    let listed = AccessList(vec![AccessListItem {
        address: store,
        storage_keys: vec![B256::with_last_byte(3)],
    }]);
    let listed = TxEip2930 {
        chain_id: CHAIN_ID,
        nonce: 1,
        gas_price,
        gas_limit: 100_000,
        to: TxKind::Call(store),
        access_list: listed,
        input: words(&[3, 33]).into(),
        ..TxEip2930::default()
    };
    include(&mut block, &wallet(1).eip2930(listed));
    let delegation = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce: 0,
        gas_limit: 300_000,
        max_fee_per_gas: 20 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: wallet(3).address,
        authorization_list: vec![wallet(3).delegate(store, 0)],
        input: words(&[8, 88]).into(),
        ..TxEip7702::default()
    };
    include(&mut block, &wallet(2).eip7702(delegation));
    let block = seal(block);
    let account = wallet(3).address;
    assert_eq!(block.head.state.storage(&account, &U256::from(8)), U256::from(88));
    assert_eq!(block.head.state.nonce(&account), 1);
    assert_eq!(block.head.state.code(&account)[..3], [0xef, 0x01, 0x00]);

    let mut next = open(&block.head);
    include(&mut next, &wallet(4).call(0, account, words(&[8, 0])));
    include(&mut next, &wallet(3).transfer(1, FRIEND, 1));
    assert_eq!(next.snapshot().storage(&account, &U256::from(8)), U256::ZERO);
}

#[test]
fn a_code_that_was_dropped_again_is_still_written_down() {
    let parent = first();
    let mut shelf = Shelf::default();
    shelf.apply(&parent.state.export());
    let delegation = |nonce, address, authority_nonce| {
        wallet(0).eip7702(TxEip7702 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 100_000,
            max_fee_per_gas: 20 * GWEI,
            to: FRIEND,
            authorization_list: vec![wallet(1).delegate(address, authority_nonce)],
            ..TxEip7702::default()
        })
    };
    let mut block = open(&parent);
    include(&mut block, &delegation(0, FRIEND, 0));
    include(&mut block, &delegation(1, Address::ZERO, 1));
    let block = seal(block);
    assert_eq!(block.diff.codes.len(), 1);
    assert!(block.head.state.code(&wallet(1).address).is_empty());
    let mut next = open(&block.head);
    include(&mut next, &delegation(2, FRIEND, 2));
    let next = seal(next);
    shelf.apply(&block.diff);
    shelf.apply(&next.diff);
    assert_eq!(shelf.load().export(), next.head.state.export());
}

#[test]
fn contracts_see_the_environment_and_older_hashes() {
    let parent = first();
    let mut block = open(&parent);
    let sees = include(&mut block, &wallet(0).create(0, deploy(SEE))).contract.unwrap();
    let hashes = include(&mut block, &wallet(0).create(1, deploy(HASHES))).contract.unwrap();
    include(&mut block, &wallet(1).call(0, sees, vec![]));
    let one = seal(block);
    let slot = |at: u64| one.head.state.storage(&sees, &U256::from(at));
    let header = &one.head.header;
    assert_eq!(slot(0), U256::from(header.timestamp));
    assert_eq!(B256::from(slot(1)), header.mix_hash);
    assert_eq!(slot(2), U256::from(header.base_fee_per_gas.unwrap()));
    assert_eq!(Address::from_word(slot(3).into()), FEE_VAULT);
    assert_eq!(
        (slot(4), slot(5), slot(6)),
        (U256::from(CHAIN_ID), U256::from(1), U256::from(GAS_LIMIT))
    );

    let mut two = open(&one.head);
    for (nonce, number) in (2..).zip(0..3) {
        include(&mut two, &wallet(0).call(nonce, hashes, words(&[number])));
    }
    let hash = |at: u64| B256::from(two.snapshot().storage(&hashes, &U256::from(at)));
    assert_eq!((hash(0), hash(1), hash(2)), (parent.hash, one.hash(), B256::ZERO));
}

#[test]
fn a_withdrawal_request_changes_the_requests_hash() {
    let parent = first();
    assert_eq!(seal(open(&parent)).head.header.requests_hash, Some(EMPTY_REQUESTS_HASH));
    let mut block = open(&parent);
    let request = TxEip1559 {
        gas_limit: 200_000,
        value: U256::from(1),
        input: vec![0x11; 56].into(),
        ..fees(0, WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS)
    };
    assert!(include(&mut block, &wallet(0).eip1559(request)).receipt.status());
    let block = seal(block);
    assert_eq!(block.requests.len(), 1);
    assert_eq!(block.requests[0].len(), 1 + 20 + 56);
    assert_ne!(block.head.header.requests_hash, Some(EMPTY_REQUESTS_HASH));
}

#[test]
fn a_checkpoint_brings_back_everything_even_after_another_history() {
    let parent = first();
    let mut block = open(&parent);
    include(&mut block, &wallet(0).transfer(0, FRIEND, 1));
    let early = block.checkpoint();
    include(&mut block, &wallet(1).create(0, deploy(STORE)));
    let late = block.checkpoint();
    block.restore(&early).unwrap();
    assert_eq!((block.included().len(), block.gas_used()), (1, 21_000));
    for nonce in 0..5 {
        include(&mut block, &wallet(2).transfer(nonce, FRIEND, 1));
    }
    block.restore(&late).unwrap();
    include(&mut block, &wallet(1).transfer(1, FRIEND, 1));

    let mut straight = open(&parent);
    assert!(straight.restore(&late).is_err(), "same parent, same environment, but another block");
    include(&mut straight, &wallet(0).transfer(0, FRIEND, 1));
    include(&mut straight, &wallet(1).create(0, deploy(STORE)));
    include(&mut straight, &wallet(1).transfer(1, FRIEND, 1));
    let (block, straight) = (seal(block), seal(straight));
    assert_eq!(block.hash(), straight.hash());
    assert_eq!(block.diff, straight.diff);
}

#[test]
fn trie_work_is_adopted_from_the_own_past_only() {
    let parent = first();
    let mut block = open(&parent);
    assert!(!block.adopt(&parent.state.settled()), "there is nothing to gain yet");
    let start = block.checkpoint();
    include(&mut block, &wallet(0).transfer(0, FRIEND, 1));
    let abandoned = block.snapshot().settled();
    block.restore(&start).unwrap();
    include(&mut block, &wallet(1).transfer(0, FRIEND, 2));
    let unsettled = block.snapshot();
    let settled = unsettled.settled();
    include(&mut block, &wallet(1).transfer(1, FRIEND, 3));
    assert!(!block.adopt(&abandoned));
    assert!(!block.adopt(&unsettled));
    assert!(block.adopt(&settled));
    assert!(!block.adopt(&settled), "the second time brings nothing");
    let mut plain = open(&parent);
    include(&mut plain, &wallet(1).transfer(0, FRIEND, 2));
    include(&mut plain, &wallet(1).transfer(1, FRIEND, 3));
    assert_eq!(seal(block).hash(), seal(plain).hash());
}

#[test]
fn an_environment_that_does_not_follow_is_refused() {
    let parent = first();
    let refused = |env: BlockEnv| {
        assert!(matches!(
            OpenBlock::open(&parent, env, CHAIN_ID),
            Err(ExecutionError::Environment(_))
        ));
    };
    refused(BlockEnv { number: 2, ..env(&parent) });
    refused(BlockEnv { timestamp_s: parent.header.timestamp, ..env(&parent) });
    refused(BlockEnv { gas_limit: GAS_LIMIT + GAS_LIMIT / 1_024, ..env(&parent) });
    refused(BlockEnv { gas_limit: GAS_LIMIT - GAS_LIMIT / 1_024, ..env(&parent) });
    let bound = GAS_LIMIT / 1_024 - 1;
    OpenBlock::open(&parent, BlockEnv { gas_limit: GAS_LIMIT + bound, ..env(&parent) }, CHAIN_ID)
        .unwrap();
}

#[test]
fn the_open_block_can_move_to_another_thread() {
    fn is_send<T: Send + Sync + Clone>(value: T) -> T {
        value
    }
    let block = is_send(open(&first()));
    assert_eq!(block.snapshot().account(&FRIEND).unwrap_or_default(), Account::default());
}
