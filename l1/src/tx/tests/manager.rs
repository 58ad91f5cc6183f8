//! The manager against the pool in memory, which has geth's replacement rules (anvil has not).

use super::super::*;
use super::policy;
use crate::memory::testing::{INBOX, World};
use crate::{At, L1, MemoryL1, MemorySender};
use alloy_primitives::{Address, U256};
use parking_lot::Mutex;
use std::sync::Arc;

const POSTER: Address = Address::repeat_byte(0xb0);

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
async fn a_restart_sends_again_what_the_pool_may_have_lost() {
    let chain = Chain::new();
    let mut manager = chain.manager();
    manager.submit(chain.request(1, 2)).unwrap();
    manager.poll().await.unwrap();
    chain.l1.drop_pool();
    let mut manager = chain.manager();
    manager.poll().await.unwrap();
    chain.l1.mine();
    assert_eq!(chain.posted().await, vec![(1, 2)]);
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
    let mut theirs =
        TxManager::open(chain.l1.sender(other), MemoryJournal::default(), policy()).unwrap();
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
    let rich =
        Policy { cap: Fees { max_fee: u128::MAX, tip: 1 << 40, blob_fee: u128::MAX }, ..policy() };
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

/// A small generator: the tests need no better one.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33).checked_rem(sides).unwrap()
    }
}

/// Whatever happens to the chain, the pool, the endpoint and the process, the batch ends up on L1 once, within the cap.
#[tokio::test]
async fn any_mishap_ends_with_one_batch() {
    for seed in 0..300 {
        let (chain, mut dice) = (Chain::new(), Dice(seed));
        let mut manager = chain.manager();
        manager.submit(chain.request(1, 2)).unwrap();
        for _ in 0..40 {
            match dice.roll(8) {
                0 | 1 => {
                    chain.l1.mine();
                }
                2 => {
                    chain.l1.reorg(usize::try_from(dice.roll(4)).unwrap());
                }
                3 => chain.l1.drop_pool(),
                4 => manager = chain.manager(),
                5 => chain.l1.set_offline(dice.roll(3) == 0),
                6 => chain
                    .l1
                    .set_base_fees(u128::from(dice.roll(1 << 30)), u128::from(dice.roll(900))),
                _ => {}
            }
            let _ = manager.poll().await;
            if let Some(record) = manager.pending() {
                assert!(record.attempts.iter().all(|a| a.fees.within(policy().cap)), "seed {seed}");
            }
        }
        chain.l1.set_offline(false);
        chain.l1.set_base_fees(1_000, 1);
        // The end of it may lie before the last reorganisation: what is finished may be lost, and is posted anew.
        if manager.pending().is_none() && chain.posted().await.is_empty() {
            manager.submit(chain.request(1, 2)).unwrap();
        }
        if manager.pending().is_some() {
            finish(&chain, &mut manager).await;
        }
        assert_eq!(chain.posted().await, vec![(1, 2)], "seed {seed}");
    }
}
