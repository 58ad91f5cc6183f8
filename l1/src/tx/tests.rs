//! The decision core, one look at the chain after the other.

use super::*;
use crate::memory::testing::INBOX;
use alloy_primitives::{Bytes, U256};

mod manager;

fn policy() -> Policy {
    Policy {
        bump_after: 2,
        confirmations: 2,
        nonce_grace: 2,
        min_tip: 1,
        cap: Fees { max_fee: 1 << 40, tip: 1 << 20, blob_fee: 1 << 20 },
    }
}

fn seen(block: u64, next_nonce: u64) -> Observation {
    Observation { block, base_fee: 100, blob_base_fee: 7, tip: 3, next_nonce, inclusion: None }
}

fn request() -> TxRequest {
    TxRequest {
        to: INBOX,
        input: Bytes::from_static(b"in"),
        value: U256::ZERO,
        gas_limit: 100_000,
        payload: Some(Bytes::from_static(b"blob")),
    }
}

fn inclusion(hash: u8, block: u64) -> Inclusion {
    Inclusion {
        hash: B256::repeat_byte(hash),
        block,
        block_hash: B256::repeat_byte(0xbb),
        success: true,
        gas_used: 1,
    }
}

/// A core with one attempt of hash 1 and nonce 5, signed at block 10.
fn waiting() -> (TxCore, Fees) {
    let mut core = TxCore::new(policy(), None);
    assert!(core.submit(request()));
    let Action::Sign { nonce: 5, fees } = core.step(&seen(10, 5)) else { panic!("sign first") };
    core.signed(Attempt { hash: B256::repeat_byte(1), fees, block: 10, taken: true });
    core.sent(None);
    (core, fees)
}

#[test]
fn the_first_offer_leaves_room_for_both_base_fees_to_double() {
    let (core, fees) = waiting();
    assert_eq!(fees, Fees { max_fee: 203, tip: 3, blob_fee: 14 });
    assert_eq!(core.record().unwrap().nonce, Some(5));
}

#[test]
fn fees_double_every_few_blocks_and_follow_a_spike() {
    let (mut core, first) = waiting();
    assert_eq!(core.step(&seen(11, 5)), Action::Wait);
    assert_eq!(core.step(&seen(12, 5)), Action::Sign { nonce: 5, fees: first.doubled() });
    core.signed(Attempt {
        hash: B256::repeat_byte(2),
        fees: first.doubled(),
        block: 12,
        taken: true,
    });
    assert_eq!(core.step(&seen(13, 5)), Action::Wait);
    let spike = Observation { base_fee: 1_000_000, blob_base_fee: 5_000, ..seen(14, 5) };
    let Action::Sign { nonce: 5, fees } = core.step(&spike) else { panic!("bump") };
    assert_eq!(fees, Fees { max_fee: 2_000_003, tip: 12, blob_fee: 10_000 });
    assert_eq!(core.hashes(), vec![B256::repeat_byte(2), B256::repeat_byte(1)]);
}

#[test]
fn the_cap_is_never_exceeded_and_the_last_offer_goes_out_again() {
    let (mut core, _) = waiting();
    let near = Fees { max_fee: 300, tip: 1 << 19, blob_fee: (1 << 19) + 1 };
    core.signed(Attempt { hash: B256::repeat_byte(2), fees: near, block: 10, taken: true });
    assert_eq!(core.step(&seen(12, 5)), Action::Sign { nonce: 5, fees: near });
    core.signed(Attempt { hash: B256::repeat_byte(2), fees: near, block: 12, taken: true });
    assert_eq!(core.status(), Status::Waiting { attempts: 2, fees: near, at_cap: true });
    assert_eq!(core.step(&seen(13, 5)), Action::Wait);
    let mut fresh = TxCore::new(policy(), None);
    fresh.submit(request());
    let absurd =
        Observation { base_fee: u128::MAX, blob_base_fee: u128::MAX, tip: u128::MAX, ..seen(1, 0) };
    assert_eq!(fresh.step(&absurd), Action::Sign { nonce: 0, fees: policy().cap });
}

#[test]
fn done_only_when_deep_enough() {
    let (mut core, _) = waiting();
    let mined = inclusion(1, 11);
    assert_eq!(core.step(&Observation { inclusion: Some(mined), ..seen(11, 6) }), Action::Wait);
    assert_eq!(core.status(), Status::Included(mined));
    assert!(!core.submit(request()), "one at a time");
    let done = core.step(&Observation { inclusion: Some(mined), ..seen(13, 6) });
    assert_eq!(done, Action::Done(Outcome { inclusion: mined, attempts: 1 }));
    assert!(core.submit(request()));
}

#[test]
fn a_reorganisation_sends_the_same_transaction_again_at_once() {
    let (mut core, fees) = waiting();
    core.step(&Observation { inclusion: Some(inclusion(1, 11)), ..seen(11, 6) });
    assert_eq!(core.step(&seen(11, 5)), Action::Sign { nonce: 5, fees });
    core.signed(Attempt { hash: B256::repeat_byte(1), fees, block: 11, taken: true });
    assert_eq!(core.record().unwrap().attempts.len(), 1, "the same hash is one attempt");
    assert_eq!(core.step(&seen(12, 5)), Action::Wait);
    // A chain that got shorter may have lost the pool too.
    assert_eq!(core.step(&seen(8, 5)), Action::Sign { nonce: 5, fees });
}

#[test]
fn a_nonce_used_by_another_program_is_given_up_after_a_grace() {
    let (mut core, fees) = waiting();
    assert_eq!(core.step(&seen(11, 6)), Action::Wait);
    // The receipt was only late: no new nonce.
    let mut late = core.clone();
    assert_eq!(
        late.step(&Observation { inclusion: Some(inclusion(1, 11)), ..seen(12, 6) }),
        Action::Wait
    );
    assert_eq!(late.step(&seen(13, 5)), Action::Sign { nonce: 5, fees });
    assert_eq!(core.step(&seen(12, 6)), Action::Wait);
    assert!(matches!(core.step(&seen(13, 6)), Action::Sign { nonce: 6, .. }));
    assert!(core.hashes().is_empty(), "hashes of the lost nonce can no longer be mined");
}

#[test]
fn a_nonce_that_became_a_gap_is_given_up_after_a_grace() {
    // A deep reorganisation took away an earlier, finished transaction: nonce 5 can never be mined before 4.
    let (mut core, _) = waiting();
    assert_eq!(core.step(&seen(11, 4)), Action::Wait);
    assert!(matches!(core.step(&seen(13, 4)), Action::Sign { nonce: 4, .. }));
}

#[test]
fn an_underpriced_replacement_is_doubled_at_the_next_look() {
    let (mut core, fees) = waiting();
    core.sent(Some(&SendFault::Underpriced));
    assert_eq!(core.step(&seen(10, 5)), Action::Sign { nonce: 5, fees: fees.doubled() });
}

#[test]
fn a_request_is_withdrawn_only_before_it_is_signed() {
    let mut core = TxCore::new(policy(), None);
    core.submit(request());
    assert!(core.withdraw());
    let (mut core, _) = waiting();
    assert!(!core.withdraw());
    assert!(core.record().is_some());
}

#[test]
fn records_survive_the_journal() {
    let (core, _) = waiting();
    let bytes = Record::encode(core.record()).unwrap();
    assert_eq!(Record::decode(&bytes).unwrap().as_ref(), core.record());
    assert_eq!(Record::decode(&Record::encode(None).unwrap()), Ok(None));
    assert_eq!(Record::decode(b""), Ok(None));
    assert!(Record::decode(&[9, b'{']).is_err(), "unknown version");
    assert!(Record::decode(&bytes[..bytes.len() - 1]).is_err(), "torn record");
}
