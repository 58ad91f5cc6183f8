#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::*;
use alloy_consensus::{Signed, TxEip1559, TxEnvelope};
use alloy_primitives::{Bytes, Signature, keccak256};
use proptest::prelude::*;

const RICH: U256 = U256::MAX;

fn tx(sender: u8, nonce: u64, tip: u128) -> Arc<Tx> {
    let inner = TxEip1559 {
        chain_id: 7,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: tip + 100,
        max_priority_fee_per_gas: tip,
        value: U256::from(1_000),
        ..TxEip1559::default()
    };
    let raw = Bytes::from(vec![
        2,
        sender,
        u8::try_from(nonce % 251).unwrap(),
        u8::try_from(tip % 251).unwrap(),
    ]);
    let hash = keccak256(format!("{sender}/{nonce}/{tip}"));
    let envelope =
        TxEnvelope::Eip1559(Signed::new_unchecked(inner, Signature::test_signature(), hash));
    Arc::new(Tx { raw, envelope, sender: Address::with_last_byte(sender), hash, insured: 0 })
}

fn account(state_nonce: u64) -> SenderState {
    SenderState { state_nonce, balance: RICH }
}

fn small(capacity: usize) -> Intake {
    Intake::new(IntakeConfig {
        capacity,
        per_sender: 8,
        nonce_window: 8,
        expiry_ms: 100,
        retry_after_ms: 5,
        premium_bps: 5,
    })
}

fn all(intake: &mut Intake) -> Vec<(u8, u64)> {
    let limits = TakeLimits { txs: 1_000, bytes: 1_000_000, gas: u64::MAX, insured: u128::MAX };
    intake.take(limits).iter().map(|t| (t.sender[19], t.nonce())).collect()
}

#[test]
fn highest_tip_goes_first_and_each_sender_keeps_its_order() {
    let mut intake = small(20);
    for t in [tx(1, 0, 5), tx(1, 1, 90), tx(2, 0, 50), tx(3, 0, 50)] {
        intake.insert(t, account(0), 10, 0).unwrap();
    }
    assert_eq!(all(&mut intake), [(2, 0), (3, 0), (1, 0), (1, 1)]);
    assert_eq!(intake.gauges().in_flight, 4);
    assert!(all(&mut intake).is_empty());
}

#[test]
fn a_gap_waits_until_it_is_filled() {
    let mut intake = small(20);
    let late = intake.insert(tx(1, 2, 5), account(0), 10, 0).unwrap();
    assert_eq!(late.place, Place::Queued { gap: 2 });
    assert!(all(&mut intake).is_empty());
    assert_eq!(intake.next_nonce(&Address::with_last_byte(1)), Some(0));
    assert_eq!(intake.insert(tx(1, 0, 5), account(0), 10, 0).unwrap().place, Place::Ready);
    assert_eq!(all(&mut intake), [(1, 0)]);
    assert_eq!(intake.insert(tx(1, 1, 5), account(0), 10, 0).unwrap().place, Place::Ready);
    assert_eq!(intake.next_nonce(&Address::with_last_byte(1)), Some(3));
    assert_eq!(all(&mut intake), [(1, 1), (1, 2)]);
}

#[test]
fn every_refusal_names_what_would_do() {
    let mut intake = small(20);
    let low = intake.insert(tx(1, 3, 5), account(4), 10, 0);
    assert_eq!(low, Err(Reject::NonceTooLow { state: 4, got: 3 }));
    let high = intake.insert(tx(1, 13, 5), account(4), 10, 0);
    assert_eq!(high, Err(Reject::NonceTooHigh { state: 4, got: 13, max: 12 }));
    let cheap = intake.insert(tx(1, 4, 5), account(4), 200, 0);
    assert_eq!(cheap, Err(Reject::FeeTooLow { got: 105, base_fee: 200 }));
    intake.insert(tx(1, 4, 100), account(4), 10, 0).unwrap();
    assert_eq!(intake.insert(tx(1, 4, 100), account(4), 10, 0), Err(Reject::AlreadyKnown));
    let under = intake.insert(tx(1, 4, 109), account(4), 10, 0);
    assert_eq!(under, Err(Reject::ReplacementUnderpriced { need_fee: 220, need_tip: 110 }));
    let better = intake.insert(tx(1, 4, 120), account(4), 10, 0).unwrap();
    assert_eq!(better.replaced, Some(tx(1, 4, 100).hash));
    assert_eq!(all(&mut intake), [(1, 4)]);
    // What is in flight has a promise: it cannot be replaced, and its nonce is used.
    let late = intake.insert(tx(1, 4, 300), account(4), 10, 0);
    assert_eq!(late, Err(Reject::NonceTooLow { state: 5, got: 4 }));
}

#[test]
fn the_balance_must_cover_everything_that_waits() {
    let mut intake = small(20);
    let one = U256::from(21_000u64 * 105 + 1_000);
    let account = SenderState { state_nonce: 0, balance: one * U256::from(2) };
    intake.insert(tx(1, 0, 5), account, 10, 0).unwrap();
    all(&mut intake);
    intake.insert(tx(1, 1, 5), account, 10, 0).unwrap();
    let third = intake.insert(tx(1, 2, 5), account, 10, 0);
    assert_eq!(
        third,
        Err(Reject::Underfunded { have: account.balance, need: one * U256::from(3) })
    );
    // Executed: the balance shows it now.
    let account = SenderState { state_nonce: 1, ..account };
    intake.insert(tx(1, 2, 5), account, 10, 0).unwrap();
}

#[test]
fn a_full_queue_is_busy_except_for_those_who_pay_more_than_one_behind_a_gap() {
    let mut intake = small(3);
    intake.insert(tx(1, 0, 5), account(0), 10, 0).unwrap();
    intake.insert(tx(2, 5, 7), account(0), 10, 0).unwrap();
    intake.insert(tx(3, 5, 9), account(0), 10, 0).unwrap();
    let busy = intake.insert(tx(4, 0, 7), account(0), 10, 0);
    assert_eq!(busy, Err(Reject::Busy { retry_after_ms: 5, len: 3, capacity: 3 }));
    let admitted = intake.insert(tx(4, 0, 8), account(0), 10, 0).unwrap();
    assert_eq!(admitted.evicted, Some(tx(2, 5, 7).hash));
    assert_eq!(intake.len(), 3);
    assert_eq!(all(&mut intake), [(4, 0), (1, 0)]);
}

#[test]
fn one_sender_has_a_limit_and_misfits_do_not_block_others() {
    let mut intake = small(100);
    for nonce in 0..8 {
        intake.insert(tx(1, nonce, 50), account(0), 10, 0).unwrap();
    }
    let ninth = intake.insert(tx(1, 8, 50), account(0), 10, 0);
    assert_eq!(ninth, Err(Reject::PerSenderLimit { limit: 8 }));
    intake.insert(tx(2, 0, 1), account(0), 10, 0).unwrap();
    assert!(
        intake.take(TakeLimits { txs: 9, bytes: 3, gas: u64::MAX, insured: u128::MAX }).is_empty()
    );
    let two = intake.take(TakeLimits { txs: 9, bytes: 100, gas: 42_000, insured: 0 });
    assert_eq!(two.iter().map(|t| t.nonce()).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(all(&mut intake).len(), 7);
}

#[test]
fn a_round_change_puts_back_and_state_going_back_is_followed() {
    let mut intake = small(20);
    for nonce in 0..3 {
        intake.insert(tx(1, nonce, 5), account(0), 10, 0).unwrap();
    }
    let taken = intake.take(TakeLimits { txs: 3, bytes: 1_000, gas: u64::MAX, insured: u128::MAX });
    let who = Address::with_last_byte(1);
    intake.account_changed(who, 3, RICH);
    intake.settled(who, 0);
    assert!(intake.put_back(taken[1..].to_vec(), 1).is_empty());
    assert_eq!(all(&mut intake), [(1, 1), (1, 2)]);
    intake.skipped(who, 1);
    intake.account_changed(who, 1, RICH);
    assert_eq!(intake.next_nonce(&who), Some(1));
    intake.insert(tx(1, 1, 6), account(1), 10, 0).unwrap();
    assert_eq!(all(&mut intake), [(1, 1)]);
}

#[test]
fn one_without_room_after_a_round_change_leaves_a_gap_behind_it() {
    let mut intake = small(2);
    intake.insert(tx(1, 0, 5), account(0), 10, 0).unwrap();
    let first = intake.take(TakeLimits { txs: 1, bytes: 1_000, gas: u64::MAX, insured: u128::MAX });
    let who = Address::with_last_byte(1);
    intake.settled(who, 0);
    intake.insert(tx(1, 1, 5), account(1), 10, 0).unwrap();
    intake.insert(tx(2, 0, 5), account(0), 10, 0).unwrap();
    assert_eq!(intake.put_back(first.clone(), 1), first);
    assert_eq!(all(&mut intake), [(2, 0)]);
    assert_eq!(intake.next_nonce(&who), Some(0));
}

#[test]
fn what_waits_too_long_goes() {
    let mut intake = small(20);
    intake.insert(tx(1, 0, 5), account(0), 10, 0).unwrap();
    intake.insert(tx(1, 1, 5), account(0), 10, 50).unwrap();
    assert!(intake.expire(99).is_empty());
    assert_eq!(intake.expire(100).len(), 1);
    assert!(!intake.has_ready());
    assert_eq!(intake.gauges().gapped, 1);
    assert_eq!(intake.expire(150).len(), 1);
    assert!(intake.is_empty());
    assert_eq!(intake.gauges(), IntakeGauges { capacity: 20, ..IntakeGauges::default() });
}

#[derive(Debug, Clone)]
enum Op {
    Insert { sender: u8, ahead: u64, tip: u128 },
    Take(usize),
    Execute(usize),
    Settle(usize),
    PutBack(usize),
    Expire(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (0u8..4, 0u64..5, 0u128..40).prop_map(|(sender, ahead, tip)| Op::Insert { sender, ahead, tip }),
        2 => (0usize..6).prop_map(Op::Take),
        2 => (0usize..4).prop_map(Op::Execute),
        1 => (0usize..4).prop_map(Op::Settle),
        1 => (0usize..6).prop_map(Op::PutBack),
        1 => (0u64..60).prop_map(Op::Expire),
    ]
}

/// What a node around the queue knows: the log of framed transactions, how much of it is executed and settled.
#[derive(Default)]
struct World {
    log: Vec<Arc<Tx>>,
    executed: usize,
    settled: usize,
    waiting: BTreeMap<B256, Arc<Tx>>,
    now: u64,
}

impl World {
    fn nonce(&self, who: Address, upto: usize) -> u64 {
        u64::try_from(self.log[..upto].iter().filter(|t| t.sender == who).count()).unwrap()
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each operation")]
    fn step(&mut self, intake: &mut Intake, op: Op) {
        self.now += 1;
        match op {
            Op::Insert { sender, ahead, tip } => {
                let who = Address::with_last_byte(sender);
                let state = self.nonce(who, self.executed);
                let t = tx(sender, state + ahead, tip);
                if let Ok(done) = intake.insert(t.clone(), account(state), 10, self.now) {
                    self.waiting.insert(t.hash, t);
                    for gone in [done.replaced, done.evicted].into_iter().flatten() {
                        assert!(
                            self.waiting.remove(&gone).is_some(),
                            "only a waiting one gives way"
                        );
                    }
                }
            }
            Op::Take(n) => {
                for t in intake.take(TakeLimits {
                    txs: n,
                    bytes: 1_000,
                    gas: u64::MAX,
                    insured: u128::MAX,
                }) {
                    assert!(
                        self.waiting.remove(&t.hash).is_some(),
                        "taken twice or never admitted"
                    );
                    assert_eq!(t.nonce(), self.nonce(t.sender, self.log.len()), "nonce gap");
                    self.log.push(t);
                }
            }
            Op::Execute(n) => {
                for _ in 0..n.min(self.log.len() - self.executed) {
                    let who = self.log[self.executed].sender;
                    self.executed += 1;
                    for gone in intake.account_changed(who, self.nonce(who, self.executed), RICH) {
                        assert!(self.waiting.remove(&gone).is_some());
                    }
                }
            }
            Op::Settle(n) => {
                for _ in 0..n.min(self.executed - self.settled) {
                    let t = &self.log[self.settled];
                    intake.settled(t.sender, t.nonce());
                    self.settled += 1;
                }
            }
            Op::PutBack(n) => {
                let keep = self.log.len().saturating_sub(n).max(self.settled);
                let back = self.log.split_off(keep);
                self.executed = self.executed.min(keep);
                self.waiting.extend(back.iter().map(|t| (t.hash, t.clone())));
                assert!(intake.put_back(back, self.now).is_empty(), "nothing taken is lost");
            }
            Op::Expire(ms) => {
                self.now += ms;
                for gone in intake.expire(self.now) {
                    assert!(self.waiting.remove(&gone.hash).is_some());
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_no_gap_is_emitted_and_the_bound_holds(ops in prop::collection::vec(op(), 1..120)) {
        let mut intake = small(12);
        let mut world = World::default();
        for op in ops {
            world.step(&mut intake, op);
            let gauges = intake.gauges();
            prop_assert!(intake.len() <= 12);
            prop_assert_eq!(gauges.ready + gauges.gapped, world.waiting.len());
            prop_assert_eq!(gauges.in_flight, world.log.len() - world.settled);
            prop_assert_eq!(gauges.bytes, world.waiting.values().map(|t| t.raw.len()).sum::<usize>());
        }
        // Everything without a gap comes out, and everything else is what has a gap.
        world.step(&mut intake, Op::Take(100));
        prop_assert_eq!(intake.gauges().ready, 0);
        for t in world.waiting.values() {
            prop_assert!(t.nonce() > world.nonce(t.sender, world.log.len()));
        }
    }
}

/// Free of charge, so that amounts may be large.
fn free(capacity: usize) -> Intake {
    let config = IntakeConfig { capacity, premium_bps: 0, ..IntakeConfig::default() };
    Intake::new(config)
}

fn insured(sender: u8, nonce: u64, tip: u128, amount: u128) -> Arc<Tx> {
    tx(sender, nonce, tip).insuring(amount)
}

fn within(intake: &mut Intake, insured: u128) -> Vec<(u8, u128)> {
    let limits = TakeLimits { txs: 1_000, bytes: 1_000_000, gas: u64::MAX, insured };
    intake.take(limits).iter().map(|t| (t.sender[19], t.insured)).collect()
}

#[test]
fn the_tip_pays_for_the_insured_amount() {
    let mut intake = small(20);
    // 5 bps of 420,000,000 wei are 210,000 wei: a tip of 10 for 21,000 gas.
    let dear = intake.insert(insured(1, 0, 10, 420_000_001), account(0), 10, 0);
    let need = Reject::PremiumTooLow { insured: 420_000_001, need: 210_001, have: 210_000 };
    assert_eq!(dear, Err(need));
    intake.insert(insured(1, 0, 10, 420_000_000), account(0), 10, 0).unwrap();
    // A higher base fee leaves less for the tip: 5 of the 110.
    let cut = intake.insert(insured(2, 0, 10, 420_000_000), account(0), 105, 0);
    assert!(matches!(cut, Err(Reject::PremiumTooLow { have: 105_000, .. })));
    intake.set_insurable(9);
    let over = intake.insert(insured(3, 0, 10, 10), account(0), 10, 0);
    assert_eq!(over, Err(Reject::InsuredTooMuch { insured: 10, most: 9 }));
}

#[test]
fn what_does_not_fit_under_the_caps_waits_and_holds_up_nobody() {
    let mut intake = free(1_000);
    for sender in 0..100 {
        intake.insert(insured(sender, 0, 90, 50), account(0), 10, 0).unwrap();
    }
    intake.insert(tx(200, 0, 1), account(0), 10, 0).unwrap();
    intake.insert(insured(201, 0, 1, 7), account(0), 10, 0).unwrap();
    assert_eq!(within(&mut intake, 10), [(200, 0)], "a hundred that do not fit are not all tried");
    assert!(intake.has_ready());
    assert_eq!(within(&mut intake, 120), [(0, 50), (1, 50)]);
    intake.settled(Address::with_last_byte(0), 0);
    assert_eq!(within(&mut intake, u128::MAX).len(), 99);
}

#[test]
fn a_wish_can_be_raised_and_is_never_taken_away() {
    let mut intake = free(20);
    let wish = |amount| insured(1, 0, 5, amount);
    intake.insert(wish(10), account(0), 10, 0).unwrap();
    for amount in [0, 9, 10] {
        assert_eq!(intake.insert(wish(amount), account(0), 10, 0), Err(Reject::AlreadyKnown));
    }
    let raised = intake.insert(wish(11), account(0), 10, 0).unwrap();
    assert_eq!((raised.replaced, raised.place), (None, Place::Ready));
    assert_eq!(intake.len(), 1);
    assert_eq!(within(&mut intake, 11), [(1, 11)]);
    assert_eq!(intake.insert(wish(12), account(0), 10, 0), Err(Reject::AlreadyKnown));
    // Back from a frame that is gone: the wish still stands.
    assert!(intake.put_back(vec![wish(0)], 0).is_empty());
    assert_eq!(within(&mut intake, 11), [(1, 11)]);
}
