//! The way out when nobody orders: a withdrawal that L1 forces in, and what shows it.

use super::*;
use crate::settle::testing::forced_call;
use alloy_primitives::{B256, U256};
use rota_derive::Mode;
use rota_execution::{MESSAGE_PASSER, sent_slot};
use rota_l1::{Withdrawal, bindings::MessagePasser};

#[tokio::test]
async fn a_withdrawal_leaves_with_every_sequencer_silent() {
    let chain = Chain::new();
    let l1 = chain.l1(64);
    let mut follower = open(&chain, &store());
    // No height was ever ordered. The set is given up.
    l1.fall_back(1);
    l1.mine();
    follower.read(&l1).await;
    assert!(matches!(follower.derivation.mode(), (1, Mode::Fallback { .. })));
    let target = Address::repeat_byte(0x1e);
    let call = MessagePasser::initiateCall {
        target,
        gasLimit: U256::from(50_000),
        data: b"hello".as_slice().into(),
    };
    let (raw, sender) = forced_call(0, (MESSAGE_PASSER, U256::from(3_000_000)), &call);
    l1.enqueue(200_000, raw.clone());
    // A deposit in the same L1 block: the block of the rollup has both.
    l1.deposit(sender, 1_000_000);
    l1.mine();
    follower.read(&l1).await;
    let tx = follower.view.tx(&alloy_primitives::keccak256(&raw)).unwrap().block.unwrap();
    let block = follower.view.block(at(tx.number)).unwrap();
    assert_eq!(block.withdrawals.iter().filter(|w| w.address == sender).count(), 1);
    let withdrawal = Withdrawal {
        nonce: U256::ZERO,
        sender,
        target,
        value: U256::from(3_000_000),
        gas_limit: U256::from(50_000),
        data: b"hello".as_slice().into(),
    };
    let log = &tx.result.receipt.logs()[0];
    assert_eq!(Withdrawal::from_log(log), Some(withdrawal.clone()));
    // What the portal asks for is in the state of that block, with the nodes that show it.
    let state = block.state.clone().unwrap();
    let slot = sent_slot(withdrawal.hash());
    let proof = state.proof(MESSAGE_PASSER, &[slot]);
    assert_eq!(proof.slots[0].value, U256::from(1));
    let top = |nodes: &[alloy_primitives::Bytes]| alloy_primitives::keccak256(&nodes[0]);
    assert_eq!(top(&proof.nodes), block.header.state_root);
    assert_eq!(top(&proof.slots[0].nodes), proof.storage_root);
    assert_eq!(state.balance(&MESSAGE_PASSER), U256::from(3_000_000));
    assert_eq!(state.proof(MESSAGE_PASSER, &[sent_slot(B256::ZERO)]).slots[0].value, U256::ZERO);
}
