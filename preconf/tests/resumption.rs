//! I-25: the first height after a fallback, on top of what L1 alone gave.
#![expect(clippy::unwrap_used, reason = "test code")]

use alloy_primitives::{Address, B256, U256, keccak256};
use rota_preconf::{
    BadFrame, Chain, Epoch, Epochs, Frame, FrameBuilder, FrameCut, HeightContext, Resumption, Rules,
};
use rota_types::{
    ChainParams, Domain, Encode, Env, MAX_ORIGIN_STEP, Mmr, SeqKey, Validator, ValidatorSet,
    VoteKey,
};
use std::sync::Arc;

/// Last L1 block of the fallback.
const FLOOR: u64 = 99;
/// A second of L1 that is an hour ahead of the leaders' clocks.
const SECOND: u64 = 1_800_003_600;
const NOW: u64 = 1_800_000_000_000;
const EPOCH: u64 = 5;

fn key(i: u8) -> SeqKey {
    SeqKey::from_seed(&keccak256([i]).0)
}

fn epoch() -> Arc<Epoch> {
    let validator = |i: u8| Validator {
        owner: Address::with_last_byte(i),
        seq_key: key(i).public(),
        vote_key: VoteKey::from_secret(&keccak256([i, i]).0).unwrap().address(),
        stake: U256::from(1_000_000_000_000_000_000u64),
        fee_recipient: Address::ZERO,
        peer: String::new(),
    };
    let set = ValidatorSet::new(EPOCH, (0..3).map(validator).collect());
    Arc::new(Epoch::new(FLOOR.saturating_add(1), Arc::new(set), 3))
}

fn env(l1_number: u64) -> Env {
    let params = ChainParams::default();
    Env {
        timestamp_s: SECOND,
        l1_number,
        l1_hash: keccak256(l1_number.to_be_bytes()),
        gas_limit: params.gas_limit,
        prev_randao: B256::ZERO,
        fee_vault: params.fee_vault,
    }
}

fn context() -> HeightContext {
    let mut history = Mmr::default();
    (0..41).for_each(|_| history.push(B256::repeat_byte(1)));
    let value_id = B256::repeat_byte(7);
    let on = Resumption {
        height: 41,
        value_id,
        base_hash: value_id,
        history,
        last_g: 300,
        env: env(FLOOR),
    };
    HeightContext::resumption(&epoch(), on)
}

fn rules(generation: u32) -> Rules {
    // The set that was given up is in the book too: the last L1 block of the fallback is of its epoch.
    let before = ValidatorSet::new(EPOCH.saturating_sub(1), Vec::new());
    let mut epochs = Epochs::new(Arc::new(Epoch::new(0, Arc::new(before), 3)));
    assert!(epochs.insert(epoch()));
    epochs.reach(FLOOR.saturating_add(50));
    let domain = Domain::new(1, 2, Address::repeat_byte(3), B256::repeat_byte(4), generation);
    Rules::new(epochs, ChainParams { window_heights: 3, ..ChainParams::default() }, domain)
}

/// The first height, as a leader with this origin makes it.
fn first(origin: u64, rules: &Rules) -> Frame {
    let chain = Chain::new(context());
    let stream = *chain.stream();
    let mut builder = FrameBuilder::new(stream.term, stream.leader, NOW);
    let origin = env(origin);
    let cut = FrameCut { now: NOW, txs: &[], close: true, origin: &origin, evidence: &[] };
    let key = key(u8::try_from(stream.leader).unwrap());
    builder.build(&chain, &cut, &key, rules).unwrap()
}

#[test]
fn the_first_origin_lies_behind_the_fallback_and_not_far() {
    let rules = rules(1);
    let chain = Chain::new(context());
    for step in [1, MAX_ORIGIN_STEP] {
        chain.check(&first(FLOOR.saturating_add(step), &rules), &rules).unwrap();
    }
    // One that may not be used is left for the one before, which is no origin.
    for origin in [FLOOR.saturating_sub(1), FLOOR, FLOOR.saturating_add(MAX_ORIGIN_STEP + 1)] {
        let why = chain.check(&first(origin, &rules), &rules).unwrap_err();
        assert_eq!(why, BadFrame::Rule("the L1 origin lies in the fallback"), "{origin}");
    }
}

#[test]
fn it_goes_on_from_the_derived_head_in_the_generation_and_epoch_of_the_new_set() {
    let rules = rules(1);
    let mut chain = Chain::new(context());
    let frame = Arc::new(first(FLOOR.saturating_add(2), &rules));
    let header = &frame.signed.header;
    assert_eq!((header.g, header.height, header.epoch), (301, 42, EPOCH));
    assert_eq!((header.prev_hash, header.timestamp_ms), (B256::repeat_byte(7), NOW));
    let set = epoch();
    assert!(Frame::decode(&frame.signed.encode(), set.set(), &rules.domain).is_ok());
    let old = Domain::new(1, 2, Address::repeat_byte(3), B256::repeat_byte(4), 0);
    assert!(Frame::decode(&frame.signed.encode(), set.set(), &old).is_err(), "not in the old one");
    let (closed, _) = chain.append(&frame, &rules).unwrap().unwrap();
    assert_eq!((closed.close.generation, closed.close.parent_id), (1, B256::repeat_byte(7)));
    assert_eq!(closed.close.history_root, context().history.root());
    assert_eq!(closed.env.timestamp_s, SECOND + 1, "no height joins the block before");
    // From then on everything is as ever: the origin may stay.
    let next = chain.context();
    assert!(!next.resumed && next.epoch.number() == EPOCH);
    assert_eq!(next.parent_env.as_ref().unwrap().l1_number, FLOOR + 2);
}
