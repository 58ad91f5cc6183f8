//! The decision core and the manager against the pool in memory, which has geth's replacement rules (anvil has not).

use super::*;
use crate::memory::testing::{INBOX, World};
use crate::{At, L1, MemoryL1, MemorySender};
use alloy_primitives::{Address, Bytes, U256};
use parking_lot::Mutex;
use std::sync::Arc;

const POSTER: Address = Address::repeat_byte(0xb0);

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
    core.signed(Attempt { hash: B256::repeat_byte(2), fees: first.doubled(), block: 12, taken: true });
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
    let absurd = Observation { base_fee: u128::MAX, blob_base_fee: u128::MAX, tip: u128::MAX, ..seen(1, 0) };
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
    assert_eq!(late.step(&Observation { inclusion: Some(inclusion(1, 11)), ..seen(12, 6) }), Action::Wait);
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

struct Chain {
    world: World,
    l1: MemoryL1,
    journal: MemoryJournal,
}

impl Chain {
    fn new() -> Self {
        let world = World::new(4);
        let l1 = world.l1();
        Self { world, l1, journal: MemoryJournal::default() }
    }

    fn manager(&self) -> TxManager<MemorySender, MemoryJournal> {
        TxManager::open(self.l1.sender(POSTER), self.journal.clone(), policy()).unwrap()
    }

    fn request(&self, from: u64, to: u64) -> TxRequest {
        self.world.post(from, to, 0).request(INBOX).unwrap()
    }

    async fn posted(&self) -> Vec<(u64, u64)> {
        let head = self.l1.block(At::Latest).await.unwrap().unwrap();
        let batches = self.l1.batches(0, head).await.unwrap();
        batches.iter().map(|b| (b.from_height, b.to_height)).collect()
    }
}

/// Mines and polls until the transaction is done.
async fn finish(chain: &Chain, manager: &mut TxManager<MemorySender, MemoryJournal>) -> Outcome {
    for _ in 0..40 {
        if let Status::Done(outcome) = manager.poll().await.unwrap() {
            return outcome;
        }
        chain.l1.mine();
    }
    panic!("not done after 40 blocks: {:?}", manager.pending());
}

#[tokio::test]
async fn a_batch_is_posted_once() {
    let chain = Chain::new();
    let mut manager = chain.manager();
    assert_eq!(manager.poll().await.unwrap(), Status::Idle);
    manager.submit(chain.request(1, 3)).unwrap();
    assert_eq!(manager.submit(chain.request(1, 3)), Err(TxError::Busy));
    let outcome = finish(&chain, &mut manager).await;
    assert!(outcome.inclusion.success);
    assert_eq!(outcome.attempts, 1);
    assert_eq!(chain.posted().await, vec![(1, 3)]);
    assert_eq!(manager.poll().await.unwrap(), Status::Idle);
}

#[tokio::test]
async fn a_fee_spike_is_outbid_under_the_replacement_rule_of_geth() {
    let chain = Chain::new();
    let mut manager = chain.manager();
    manager.submit(chain.request(1, 1)).unwrap();
    manager.poll().await.unwrap();
    chain.l1.set_base_fees(20_000_000_000, 900);
    let outcome = finish(&chain, &mut manager).await;
    assert!(outcome.inclusion.success);
    assert!(outcome.attempts > 1);
    assert_eq!(chain.posted().await, vec![(1, 1)]);
}

#[tokio::test]
async fn the_pool_refuses_a_replacement_below_twice_the_fees() {
    let chain = Chain::new();
    let sender = chain.l1.sender(POSTER);
    let fees = Fees { max_fee: 100, tip: 10, blob_fee: 10 };
    let mut tx = UnsignedTx { request: chain.request(1, 1), nonce: 0, fees };
    let offer = async |tx: &UnsignedTx| {
        let signed = sender.sign(tx).await.unwrap();
        sender.broadcast(&signed).await
    };
    assert_eq!(offer(&tx).await, Ok(()));
    for short in [
        Fees { max_fee: 199, ..fees.doubled() },
        Fees { tip: 19, ..fees.doubled() },
        Fees { blob_fee: 19, ..fees.doubled() },
    ] {
        tx.fees = short;
        assert_eq!(offer(&tx).await, Err(SendFault::Underpriced), "{short:?}");
    }
    tx.fees = fees.doubled();
    assert_eq!(offer(&tx).await, Ok(()));
}

#[tokio::test]
async fn a_reorganised_batch_is_posted_again() {
    let chain = Chain::new();
    let mut manager = chain.manager();
    manager.submit(chain.request(1, 2)).unwrap();
    manager.poll().await.unwrap();
    chain.l1.mine();
    assert!(matches!(manager.poll().await.unwrap(), Status::Included(_)));
    chain.l1.reorg(1);
    assert!(chain.posted().await.is_empty());
    let outcome = finish(&chain, &mut manager).await;
    assert!(outcome.inclusion.success);
    assert_eq!(chain.posted().await, vec![(1, 2)]);
}

#[tokio::test]
async fn a_transaction_lost_by_the_pool_is_sent_again() {
    let chain = Chain::new();
    let mut manager = chain.manager();
    manager.submit(chain.request(1, 2)).unwrap();
    manager.poll().await.unwrap();
    chain.l1.drop_pool();
    assert!(finish(&chain, &mut manager).await.inclusion.success);
    assert_eq!(chain.posted().await, vec![(1, 2)]);
}

#[tokio::test]
async fn a_restart_at_any_point_posts_once() {
    for mined_before_restart in [false, true] {
        let chain = Chain::new();
        let mut manager = chain.manager();
        manager.submit(chain.request(1, 2)).unwrap();
        drop(manager);
        let mut manager = chain.manager();
        manager.poll().await.unwrap();
        if mined_before_restart {
            chain.l1.mine();
        }
        drop(manager);
        let mut manager = chain.manager();
        assert_eq!(manager.pending().unwrap().attempts.len(), 1);
        assert!(finish(&chain, &mut manager).await.inclusion.success);
        assert_eq!(chain.posted().await, vec![(1, 2)]);
        assert!(chain.manager().pending().is_none());
    }
}

#[tokio::test]
async fn a_lost_journal_is_outbid() {
    let chain = Chain::new();
    let mut first = chain.manager();
    first.submit(chain.request(1, 1)).unwrap();
    first.poll().await.unwrap();
    // Another request on the same nonce, without the record of the first: refused until it pays twice as much.
    let journal = MemoryJournal::default();
    let mut second = TxManager::open(chain.l1.sender(POSTER), journal, policy()).unwrap();
    second.submit(chain.request(1, 2)).unwrap();
    second.poll().await.unwrap();
    second.poll().await.unwrap();
    chain.l1.mine();
    let outcome = finish(&chain, &mut second).await;
    assert!(outcome.inclusion.success);
    assert_eq!((outcome.attempts, chain.posted().await), (2, vec![(1, 2)]));
}

#[tokio::test]
async fn a_batch_that_another_posted_reverts_and_frees_the_manager() {
    let chain = Chain::new();
    let mut ours = chain.manager();
    let other = Address::repeat_byte(0x01);
    let mut theirs = TxManager::open(chain.l1.sender(other), MemoryJournal::default(), policy()).unwrap();
    theirs.submit(chain.request(1, 2)).unwrap();
    theirs.poll().await.unwrap();
    ours.submit(chain.request(1, 2)).unwrap();
    let outcome = finish(&chain, &mut ours).await;
    assert!(!outcome.inclusion.success);
    assert_eq!(chain.posted().await, vec![(1, 2)]);
    assert!(ours.pending().is_none());
}

#[tokio::test]
async fn an_outage_changes_nothing() {
    let chain = Chain::new();
    let mut manager = chain.manager();
    manager.submit(chain.request(1, 2)).unwrap();
    chain.l1.set_offline(true);
    let down = manager.poll().await;
    assert!(matches!(down, Err(TxError::Chain(L1Error::Unavailable(_)))), "{down:?}");
    chain.l1.set_offline(false);
    assert!(finish(&chain, &mut manager).await.inclusion.success);
}

#[tokio::test]
async fn an_account_that_cannot_pay_says_so_and_goes_on_once_the_price_falls() {
    let chain = Chain::new();
    let sender = chain.l1.sender(POSTER);
    let rich = Policy { cap: Fees { max_fee: u128::MAX, tip: 1 << 40, blob_fee: u128::MAX }, ..policy() };
    let mut manager = TxManager::open(sender, chain.journal.clone(), rich).unwrap();
    chain.l1.set_base_fees(u128::MAX / 4, 1);
    manager.submit(chain.request(1, 2)).unwrap();
    for _ in 0..3 {
        let poor = manager.poll().await;
        assert!(matches!(poor, Err(TxError::Funds(_))), "{poor:?}");
    }
    chain.l1.set_base_fees(1_000, 1);
    let outcome = finish(&chain, &mut manager).await;
    assert!(outcome.inclusion.success);
    let cheap = U256::from(10u64).pow(U256::from(24u64)) - U256::from(1_000_000_000u64);
    assert!(chain.l1.balance(POSTER).await.unwrap() > cheap, "paid the old price");
}

/// A journal whose disk is full.
#[derive(Clone, Default)]
struct BrokenJournal(Arc<Mutex<bool>>);

impl Journal for BrokenJournal {
    fn load(&self) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(None)
    }
    fn save(&mut self, _: &[u8]) -> Result<(), JournalError> {
        if *self.0.lock() { Err(JournalError("disk full".into())) } else { Ok(()) }
    }
}

#[tokio::test]
async fn nothing_is_broadcast_that_is_not_in_the_journal() {
    let chain = Chain::new();
    let journal = BrokenJournal::default();
    let mut manager = TxManager::open(chain.l1.sender(POSTER), journal.clone(), policy()).unwrap();
    manager.submit(chain.request(1, 2)).unwrap();
    *journal.0.lock() = true;
    assert!(matches!(manager.poll().await, Err(TxError::Journal(_))));
    chain.l1.mine();
    assert!(chain.posted().await.is_empty());
}
