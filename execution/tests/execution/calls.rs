//! Calls, estimates, access lists and overrides on snapshots.

use std::collections::BTreeMap;

use alloy_eips::eip4788::BEACON_ROOTS_ADDRESS;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use rota_execution::{
    AccountOverride, BlockContext, CallRequest, CallStatus, Estimate, ExecutionError, call,
    estimate_gas, list_accesses,
};

use crate::support::*;

const CAP: u64 = 50_000_000;
const LOADED: Address = Address::repeat_byte(0x10);
const STORED: Address = Address::repeat_byte(0x11);
const PAYING: Address = Address::repeat_byte(0x12);
const REVERTING: Address = Address::repeat_byte(0x13);
const LOOPING: Address = Address::repeat_byte(0x14);

fn request(to: Address, input: impl Into<Bytes>) -> CallRequest {
    CallRequest {
        from: wallet(0).address,
        to: TxKind::Call(to),
        input: input.into(),
        ..CallRequest::default()
    }
}

#[test]
fn a_call_reads_any_snapshot_and_changes_nothing() {
    let parent = first();
    let mut block = open(&parent);
    include(&mut block, &wallet(0).transfer(0, Address::ZERO, 1));
    let (state, context) = (block.snapshot(), block.context().clone());
    let result = call(&state, &context, &request(LOADED, words(&[7])), CAP).unwrap();
    assert_eq!(
        (result.status, U256::from_be_slice(&result.output)),
        (CallStatus::Success, U256::from(9))
    );
    let root = state.root();
    let result = call(&state, &context, &request(STORED, words(&[1, 2])), CAP).unwrap();
    assert_eq!(result.logs.len(), 1);
    assert_eq!((state.root(), state.storage(&STORED, &U256::from(1))), (root, U256::ZERO));
}

#[test]
fn calls_see_the_l1_origin_of_their_block() {
    let parent = first();
    let block = seal(open(&parent));
    let context = BlockContext::of(&block.head.header, CHAIN_ID);
    let timestamp = words(&[context.timestamp_s]);
    let result =
        call(&block.head.state, &context, &request(BEACON_ROOTS_ADDRESS, timestamp), CAP).unwrap();
    assert_eq!(Some(B256::from_slice(&result.output)), block.head.header.parent_beacon_block_root);
}

#[test]
fn a_call_says_how_it_failed() {
    let parent = first();
    let context = BlockContext::of(&parent.header, CHAIN_ID);
    let status = |request: &CallRequest| {
        call(&parent.state, &context, request, CAP).map(|result| result.status)
    };
    assert_eq!(status(&request(REVERTING, vec![])), Ok(CallStatus::Revert));
    let limited = CallRequest { gas: Some(100_000), ..request(LOOPING, vec![]) };
    assert!(matches!(status(&limited), Ok(CallStatus::Halt(_))));
    let greedy = CallRequest { value: ether(1_001), ..request(PAYING, vec![]) };
    assert!(matches!(status(&greedy), Err(ExecutionError::Call(_))));
    let cheap = CallRequest { max_fee_per_gas: Some(1), ..request(PAYING, vec![]) };
    assert!(matches!(status(&cheap), Err(ExecutionError::Call(_))));
    let contract = CallRequest { from: LOADED, ..request(PAYING, vec![]) };
    assert_eq!(
        status(&contract),
        Ok(CallStatus::Success),
        "a contract may be the sender of a call"
    );
}

#[test]
fn the_gas_cap_bounds_every_call() {
    let parent = first();
    let context = BlockContext::of(&parent.header, CHAIN_ID);
    let request = CallRequest { gas: Some(u64::MAX), ..request(LOOPING, vec![]) };
    assert_eq!(call(&parent.state, &context, &request, 70_000).unwrap().gas_used, 70_000);
}

#[test]
fn an_estimate_is_enough_and_not_much_more() {
    let parent = first();
    let context = BlockContext::of(&parent.header, CHAIN_ID);
    let estimate =
        |request: &CallRequest| estimate_gas(&parent.state, &context, request, CAP).unwrap();
    assert_eq!(estimate(&request(wallet(1).address, vec![])), Estimate::Enough(21_000));
    let creation = CallRequest { to: TxKind::Create, ..request(Address::ZERO, deploy(STORE)) };
    let nested = request(Address::repeat_byte(0x15), deploy(LOAD));
    for request in [request(STORED, words(&[1, 2])), request(LOADED, words(&[7])), creation, nested]
    {
        let Estimate::Enough(gas) = estimate(&request) else { panic!("no estimate") };
        let with = |gas| {
            let request = CallRequest { gas: Some(gas), ..request.clone() };
            call(&parent.state, &context, &request, CAP).map(|result| result.status)
        };
        assert_eq!(with(gas), Ok(CallStatus::Success));
        assert_ne!(with(gas - gas / 30), Ok(CallStatus::Success));
    }
    let failed = estimate(&request(REVERTING, vec![]));
    assert!(matches!(failed, Estimate::Never(result) if result.status == CallStatus::Revert));
    let poor = CallRequest {
        from: wallet(100).address,
        max_fee_per_gas: Some(GWEI),
        ..request(STORED, words(&[1, 2]))
    };
    assert!(estimate_gas(&parent.state, &context, &poor, CAP).is_err());
}

#[test]
fn an_access_list_names_what_was_reached_and_saves_gas_in_a_nested_call() {
    let parent = first();
    let context = BlockContext::of(&parent.header, CHAIN_ID);
    let (list, with) =
        list_accesses(&parent.state, &context, &request(STORED, words(&[5, 6])), CAP).unwrap();
    assert_eq!(list.0.len(), 1);
    assert_eq!(
        (list.0[0].address, &list.0[0].storage_keys[..]),
        (STORED, &[B256::with_last_byte(5)][..])
    );
    assert_eq!(with.status, CallStatus::Success);
    let (list, _) =
        list_accesses(&parent.state, &context, &request(wallet(1).address, vec![]), CAP).unwrap();
    assert!(list.0.is_empty());
}

#[test]
fn overrides_hold_for_one_call() {
    let parent = first();
    let context = BlockContext::of(&parent.header, CHAIN_ID);
    let empty = Address::repeat_byte(0x77);
    let load = AccountOverride {
        balance: Some(ether(5)),
        nonce: Some(3),
        code: Some(Bytes::from_static(LOAD)),
        slots: BTreeMap::from([(U256::from(1), U256::from(11))]),
        ..AccountOverride::default()
    };
    let cleared = AccountOverride {
        clear_slots: true,
        slots: BTreeMap::from([(U256::from(2), U256::from(22))]),
        ..AccountOverride::default()
    };
    let state = parent.state.with_overrides(&BTreeMap::from([(empty, load), (LOADED, cleared)]));
    let read = |to, slot| {
        let result = call(&state, &context, &request(to, words(&[slot])), CAP).unwrap();
        U256::from_be_slice(&result.output).to::<u64>()
    };
    assert_eq!((read(empty, 1), read(LOADED, 7), read(LOADED, 2)), (11, 0, 22));
    assert_eq!((state.balance(&empty), state.nonce(&empty)), (ether(5), 3));
    assert_eq!(state.root(), oracle_root(&state));
    assert_eq!(parent.state.account(&empty), None);
}
