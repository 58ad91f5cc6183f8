//! Posting and following on an L1 in memory, step by step.

use super::testing::{Chain, INBOX};
use super::*;
use crate::slash::Shown;
use alloy_primitives::Address;
use rota_l1::{
    BatchPost, Fees, L1, L1Error, MemoryJournal, MemoryL1, MemorySender, TxChain, TxManager,
    UnsignedTx,
};
use rota_store::Blocks;
use rota_types::{EvidenceFile, EvidenceKind};

const ALICE: Address = Address::repeat_byte(0xaa);
const BOB: Address = Address::repeat_byte(0xbb);

/// One sequencer's L1 side.
struct Side {
    inbox: Inbox,
    poster: Poster<MemorySender, MemoryJournal>,
    events: Vec<InboxEvent>,
    now: u64,
}

impl Side {
    fn new(store: &Blocks, l1: &MemoryL1, account: Address, index: u64) -> Self {
        let inbox = Inbox::open(store.clone(), 1).unwrap();
        let manager =
            TxManager::open(l1.sender(account), MemoryJournal::default(), posting_policy());
        let poster = Poster::new(manager.unwrap(), store.clone(), INBOX, Turn::new(index, 4));
        Self { inbox, poster, events: Vec::new(), now: 0 }
    }

    async fn look(&mut self, l1: &MemoryL1) {
        while self.inbox.step(l1).await.unwrap() {}
        self.events.extend(self.inbox.take_events());
    }

    async fn step(&mut self, l1: &MemoryL1) -> Result<PosterEvent, PostError> {
        self.look(l1).await;
        self.poster.step(l1, &self.inbox.state(), self.now).await
    }

    /// Mines and steps until the tip that can be derived is `height`.
    async fn until(&mut self, l1: &MemoryL1, height: u64) {
        for _ in 0..40 {
            let _ = self.step(l1).await.unwrap();
            if self.inbox.state().usable >= height {
                return;
            }
            l1.mine();
        }
        panic!("height {height} was not posted: {:?}", self.inbox.state());
    }

    fn posted(&self) -> Vec<u64> {
        let heights = self.events.iter().filter_map(|e| match e {
            InboxEvent::Posted { height, .. } => Some(*height),
            _ => None,
        });
        heights.collect()
    }

    fn finalized(&self) -> Option<u64> {
        self.events.iter().rev().find_map(|e| match e {
            InboxEvent::Finalized { height, .. } => Some(*height),
            _ => None,
        })
    }
}

#[tokio::test]
async fn whose_turn_it_is_freezes_the_next_set_once() {
    let chain = Chain::new();
    let (l1, store) = (chain.l1(3), chain.store(0));
    let registry = chain.domain.registry;
    let mut side = Side::new(&store, &l1, ALICE, 0);
    side.poster = side.poster.with_freezes(registry);
    let blocks = l1.frozen_sets(1).await.unwrap().epoch_blocks;
    let owner = chain.validators()[0].owner;
    let mut frozen = Vec::new();
    for n in 0..blocks {
        if n == blocks / 2 {
            assert!(frozen.is_empty(), "nothing changes");
            let more = alloy_primitives::U256::from(5_000_000_000u64);
            send(&l1, owner, rota_l1::top_up_request(registry, 0, more)).await;
        }
        l1.mine();
        match side.step(&l1).await.unwrap() {
            PosterEvent::Freezing(epoch) => frozen.push(epoch),
            PosterEvent::Idle | PosterEvent::Pending => {}
            other => panic!("{other:?}"),
        }
    }
    let head = l1.block(rota_l1::At::Latest).await.unwrap().unwrap().number;
    assert_eq!(l1.frozen_sets(head).await.unwrap().epochs, [0, 1]);
    assert_eq!(frozen, [1, 1], "sent, and seen on L1");
}

/// Somebody posts this, whatever it is.
async fn force(l1: &MemoryL1, account: Address, post: &BatchPost) {
    send(l1, account, post.request(INBOX).unwrap()).await;
}

async fn send(l1: &MemoryL1, account: Address, request: rota_l1::TxRequest) {
    let sender = l1.sender(account);
    let fees = Fees { max_fee: 10_000_000_000, tip: 5, blob_fee: 10 };
    let nonce = sender.observe(&[]).await.unwrap().next_nonce;
    let signed = sender.sign(&UnsignedTx { request, nonce, fees }).await.unwrap();
    sender.broadcast(&signed).await.unwrap();
    l1.mine();
}

#[tokio::test]
async fn decided_heights_are_posted_and_become_final() {
    let chain = Chain::new().grow(6);
    let (l1, store) = (chain.l1(4), chain.store(6));
    let mut side = Side::new(&store, &l1, ALICE, 0);
    side.until(&l1, 6).await;
    assert_eq!(side.posted(), [6]);
    assert_eq!(side.finalized(), None);
    for _ in 0..4 {
        l1.mine();
    }
    side.look(&l1).await;
    assert_eq!(side.finalized(), Some(6));
    let stats = side.poster.stats();
    assert_eq!((stats.accepted, stats.late, stats.failed), (1, 0, 0));
    assert!(!stats.spent_wei.is_zero());
    // Nothing is left to do.
    l1.mine();
    assert_eq!(side.step(&l1).await.unwrap(), PosterEvent::Idle);
}

#[tokio::test]
async fn a_batch_never_exceeds_what_one_transaction_holds() {
    let chain = Chain::new().grow(40);
    let (l1, store) = (chain.l1(64), chain.store(40));
    let whole = build_post(&store, 1, 0, rota_l1::MAX_PAYLOAD).unwrap().unwrap();
    assert_eq!((whole.from, whole.to, whole.post.repost), (1, 40, false));
    let max = whole.post.payload.len() / 3;
    let mut side = Side::new(&store, &l1, ALICE, 0);
    side.poster = side.poster.with_max_payload(max);
    side.until(&l1, 40).await;
    assert!(side.posted().len() > 2, "{:?}", side.posted());
    for batch in l1.batches(1, l1.block(rota_l1::At::Latest).await.unwrap().unwrap()).await.unwrap()
    {
        assert!(l1.payload(&batch).await.unwrap().len() <= max);
    }
    let none = build_post(&store, 1, 0, 50).unwrap_err().to_string();
    assert!(none.contains("height 1 alone"), "{none}");
    assert!(build_post(&store, 41, 0, max).unwrap().is_none());
}

#[tokio::test]
async fn of_two_posters_at_once_one_is_late_and_nothing_is_lost() {
    let chain = Chain::new().grow(4);
    let (l1, store) = (chain.l1(64), chain.store(4));
    let mut a = Side::new(&store, &l1, ALICE, 0);
    let mut b = Side::new(&store, &l1, BOB, 0);
    for side in [&mut a, &mut b] {
        side.step(&l1).await.unwrap();
    }
    l1.mine();
    l1.mine();
    for side in [&mut a, &mut b] {
        assert!(matches!(side.step(&l1).await.unwrap(), PosterEvent::Sent { from: 1, to: 4, .. }));
    }
    l1.mine();
    let (one, other) = (a.step(&l1).await.unwrap(), b.step(&l1).await.unwrap());
    assert!(matches!(one, PosterEvent::Accepted { .. }), "{one:?}");
    assert_eq!(other, PosterEvent::Late);
    assert_eq!((a.posted(), b.posted()), (vec![4], vec![4]));
    for _ in 0..10 {
        l1.mine();
        assert_eq!(a.step(&l1).await.unwrap(), PosterEvent::Idle);
        assert_eq!(b.step(&l1).await.unwrap(), PosterEvent::Idle);
    }
}

#[tokio::test]
async fn the_next_in_turn_takes_over_from_one_that_is_dead() {
    let chain = Chain::new().grow(4);
    let (l1, store) = (chain.l1(64), chain.store(4));
    let mut third = Side::new(&store, &l1, BOB, 2);
    third.step(&l1).await.unwrap();
    let mut waited = 0;
    while third.step(&l1).await.unwrap() == PosterEvent::Idle {
        l1.mine();
        waited += 1;
    }
    assert_eq!(waited, 6);
    // It is not the third one's turn when the first has posted.
    let mut late = Side::new(&store, &l1, BOB, 2);
    l1.mine();
    late.until(&l1, 4).await;
    assert_eq!(late.poster.stats().accepted, 0);
}

#[tokio::test]
async fn what_a_reorg_of_l1_drops_is_posted_again() {
    let chain = Chain::new().grow(8);
    let (l1, store) = (chain.l1(64), chain.store(3));
    let mut side = Side::new(&store, &l1, ALICE, 0);
    side.until(&l1, 3).await;
    let keep = l1.block(rota_l1::At::Latest).await.unwrap().unwrap().number;
    chain.decide(&store, 4, 8);
    side.until(&l1, 8).await;
    let head = l1.block(rota_l1::At::Latest).await.unwrap().unwrap().number;
    side.events.clear();
    l1.reorg(usize::try_from(head - keep).unwrap());
    side.look(&l1).await;
    assert_eq!(side.events, [InboxEvent::Unposted(4)]);
    assert_eq!(side.inbox.state().usable, 3);
    side.until(&l1, 8).await;
    assert_eq!(side.posted(), [8]);
    let all = l1.batches(1, l1.block(rota_l1::At::Latest).await.unwrap().unwrap()).await.unwrap();
    assert_eq!(all.iter().map(|b| b.to_height).collect::<Vec<_>>(), [3, 8]);
}

#[tokio::test]
async fn garbage_with_a_good_certificate_is_skipped_and_its_heights_posted_again() {
    let chain = Chain::new().grow(6);
    let (l1, store) = (chain.l1(64), chain.store(4));
    let mut side = Side::new(&store, &l1, ALICE, 0);
    side.look(&l1).await;
    let garbage = BatchPost { payload: b"\x01nothing".as_slice().into(), ..chain.post(1, 4) };
    force(&l1, BOB, &garbage).await;
    side.look(&l1).await;
    assert_eq!(side.posted(), Vec::<u64>::new());
    assert_eq!((side.inbox.state().usable, side.inbox.state().accepted), (0, 4));
    side.until(&l1, 4).await;
    let head = l1.block(rota_l1::At::Latest).await.unwrap().unwrap();
    let batches = l1.batches(1, head).await.unwrap();
    assert_eq!(batches.iter().map(|b| b.repost).collect::<Vec<_>>(), [false, true]);
    // Data of other heights, and one changed transaction, are no better.
    chain.decide(&store, 5, 6);
    let wrong = BatchPost { payload: chain.post(5, 5).payload, ..chain.post(5, 6) };
    force(&l1, BOB, &wrong).await;
    side.look(&l1).await;
    assert_eq!(side.inbox.state().usable, 4);
    let mut heights = rota_types::Batch::decompress(&chain.post(5, 6).payload).unwrap();
    heights.heights[1].txs.swap(0, 1);
    let swapped = heights.compress().unwrap().into();
    let swapped = BatchPost { payload: swapped, repost: true, ..chain.post(5, 6) };
    force(&l1, BOB, &swapped).await;
    side.look(&l1).await;
    assert_eq!(side.inbox.state().usable, 4);
    side.until(&l1, 6).await;
    assert_eq!(side.posted(), [4, 6]);
}

#[tokio::test]
async fn a_batch_is_judged_only_when_its_heights_are_decided_here() {
    let chain = Chain::new().grow(6);
    let (l1, store) = (chain.l1(64), chain.store(2));
    let mut side = Side::new(&store, &l1, ALICE, 0);
    force(&l1, BOB, &chain.post(1, 6)).await;
    side.look(&l1).await;
    let state = side.inbox.state();
    assert_eq!((state.usable, state.accepted, state.caught_up), (0, 6, false));
    l1.mine();
    l1.mine();
    l1.mine();
    assert_eq!(side.step(&l1).await.unwrap(), PosterEvent::Idle);
    chain.decide(&store, 3, 6);
    side.look(&l1).await;
    assert_eq!(side.posted(), [6]);
}

#[tokio::test]
async fn a_restart_goes_on_after_the_last_final_block() {
    let chain = Chain::new().grow(6);
    let (l1, store) = (chain.l1(2), chain.store(6));
    let mut side = Side::new(&store, &l1, ALICE, 0);
    side.until(&l1, 6).await;
    for _ in 0..5 {
        l1.mine();
    }
    side.look(&l1).await;
    assert_eq!(side.finalized(), Some(6));
    l1.expire_blobs();
    let mut again = Side::new(&store, &l1, ALICE, 0);
    again.look(&l1).await;
    assert_eq!((again.posted(), again.finalized()), (vec![6], Some(6)));
    let (old, new) = (side.inbox.state(), again.inbox.state());
    assert_eq!(old, new);
}

#[tokio::test]
async fn an_account_without_funds_says_so_and_begins_nothing() {
    let chain = Chain::new().grow(2);
    let (l1, store) = (chain.l1(64), chain.store(2));
    let mut side = Side::new(&store, &l1, ALICE, 0);
    side.step(&l1).await.unwrap();
    l1.mine();
    l1.mine();
    l1.set_base_fees(u128::MAX / 1_000_000_000, 1);
    let said = side.step(&l1).await.unwrap_err();
    assert!(matches!(said, PostError::Funds { account: ALICE, .. }), "{said}");
    l1.set_base_fees(1_000_000_000, 1);
    side.until(&l1, 2).await;
}

#[tokio::test]
async fn l1_gone_is_an_error_that_passes() {
    let chain = Chain::new().grow(2);
    let (l1, store) = (chain.l1(64), chain.store(2));
    let mut side = Side::new(&store, &l1, ALICE, 0);
    side.step(&l1).await.unwrap();
    l1.mine();
    l1.set_offline(true);
    let why = side.inbox.step(&l1).await.unwrap_err();
    assert!(matches!(why.downcast_ref(), Some(L1Error::Unavailable(_))), "{why}");
    l1.set_offline(false);
    side.until(&l1, 2).await;
}

#[tokio::test]
async fn a_restart_shows_what_was_posted_before_l1_answers_and_takes_back_what_is_gone() {
    let chain = Chain::new().grow(4);
    let (l1, store) = (chain.l1(64), chain.store(4));
    let mut first = Inbox::open(store.clone(), 1).unwrap();
    force(&l1, ALICE, &chain.post(1, 3)).await;
    while first.step(&l1).await.unwrap() {}
    let told = first.take_events();
    assert!(matches!(told.as_slice(), [InboxEvent::Posted { height: 3, .. }]), "{told:?}");

    let mut again = Inbox::open(store.clone(), 1).unwrap();
    assert_eq!(again.take_events(), told);
    l1.set_offline(true);
    assert!(again.step(&l1).await.is_err());
    l1.set_offline(false);
    while again.step(&l1).await.unwrap() {}
    assert_eq!(again.take_events(), told, "confirmed, and nothing taken back");

    let mut third = Inbox::open(store, 1).unwrap();
    assert_eq!(third.take_events(), told);
    l1.reorg(1);
    l1.drop_pool();
    l1.mine();
    while third.step(&l1).await.unwrap() {}
    assert_eq!(third.take_events(), [InboxEvent::Unposted(1)]);
}

/// Whoever signed two certificates is shown to the watch: that of the tip, which the contract keeps out, and that of an old
/// height, which it takes for one more posting of it.
#[tokio::test]
async fn a_second_certificate_on_l1_is_evidence_against_what_this_node_decided() {
    let chain = Chain::new().grow(8);
    let (l1, store) = (chain.l1(64), chain.store(8));
    let (out, shown) = crate::slash::shown();
    let set = std::sync::Arc::new(chain.set());
    let sets = move |epoch| Some(set.clone()).filter(|_| epoch == 0);
    let mut inbox =
        Inbox::open(store, 1).unwrap().with_witness(Witness::new(chain.domain.clone(), sets, out));
    force(&l1, ALICE, &chain.post(1, 8)).await;
    let same = BatchPost { repost: true, ..chain.post(1, 8) };
    force(&l1, ALICE, &same).await;
    while inbox.step(&l1).await.unwrap() {}
    assert!(shown.try_recv().is_err(), "one value, posted twice");

    force(&l1, BOB, &chain.second(8)).await;
    force(&l1, BOB, &BatchPost { repost: true, ..chain.second(4) }).await;
    while inbox.step(&l1).await.unwrap() {}
    let mut heights = Vec::new();
    while let Ok(Shown::Judged(found)) = shown.try_recv() {
        let file = EvidenceFile::of(&found.evidence, &found.set, &chain.domain);
        let (_, verdict) = file.verify().unwrap();
        assert_eq!((verdict.kind, &*verdict.accused), (EvidenceKind::CertTwice, &[0, 1, 2][..]));
        heights.push(verdict.place.height);
    }
    heights.sort_unstable();
    assert_eq!(heights, [4, 8]);
    assert_eq!(inbox.state().usable, 8, "what is derived is as it was");
}
