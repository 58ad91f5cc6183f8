//! Landing on an L1 in memory, with a crash after every write.

use super::*;
use crate::{
    chain,
    follower::{Derivation, FollowerChain},
    inbound::Verifier,
    sets::Sets,
    settle::testing::{Chain, INBOX, forced},
    view::{At, View, ViewConfig},
};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256};
use rota_l1::{Fees, L1, MemoryL1, TxChain, UnsignedTx};
use rota_p2p::PeerId;
use rota_preconf::Epoch;
use rota_store::{Batch, Blocks, Entries, Kv, MemKv, Scan, StoreError, Tree};
use rota_types::{Domain, ValidatorSet};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

const POSTER: Address = Address::repeat_byte(0xaa);
/// The emergency set, and the first L1 block that is not in the fallback any more.
const SET: EmergencySet = EmergencySet { epoch: 5, start: 34 };

/// A database that takes so many writes, and none after that.
#[derive(Debug)]
struct Dying(MemKv, AtomicU32);

impl Kv for Dying {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(tree, key)
    }
    fn scan(&self, tree: Tree, scan: &Scan) -> Result<Entries, StoreError> {
        self.0.scan(tree, scan)
    }
    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let left = self.1.load(Ordering::Relaxed);
        if left == 0 {
            return Err(StoreError::Poisoned { path: "dead".into() });
        }
        self.1.store(left.saturating_sub(1), Ordering::Relaxed);
        self.0.apply(batch)
    }
    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Thirteen of a chain's heights are posted; then the set is given up, and L1 goes on alone.
async fn given_up() -> (Chain, MemoryL1) {
    let mut chain = Chain::new();
    chain.every = 2;
    let l1 = chain.l1(4);
    for (nonce, number) in (0..).zip(2u64..24) {
        if number % 3 == 0 {
            l1.enqueue(21_000, forced(nonce / 3));
        }
        let block = l1.mine();
        let found = l1.forced(number, block).await.unwrap();
        chain.forced.extend(found.iter().map(rota_l1::Enqueued::forced));
    }
    let chain = chain.grow(24);
    let sender = l1.sender(POSTER);
    let fees = Fees { max_fee: 10_000_000_000, tip: 5, blob_fee: 10 };
    let request = chain.post(1, 13).request(INBOX).unwrap();
    let signed = sender.sign(&UnsignedTx { request, nonce: 0, fees }).await.unwrap();
    sender.broadcast(&signed).await.unwrap();
    l1.mine();
    l1.fall_back(1);
    l1.mine();
    (chain, l1)
}

async fn formed() -> (Chain, MemoryL1) {
    let (chain, l1) = given_up().await;
    l1.emergency_set(1, SET.epoch, SET.start);
    while l1.mine().number < SET.start + 8 {}
    (chain, l1)
}

fn rollup(chain: &Chain) -> FollowerChain {
    FollowerChain {
        domain: chain.domain.clone(),
        genesis: chain.genesis.clone(),
        params: rota_derive::BlockParams {
            gas_limit: 30_000_000,
            fee_vault: Address::repeat_byte(4),
        },
        deploy_block: 1,
    }
}

fn epoch(chain: &Chain) -> Arc<Epoch> {
    let set = ValidatorSet::new(SET.epoch, chain.validators());
    Arc::new(Epoch::new(SET.start, Arc::new(set), 6))
}

async fn land(chain: &Chain, l1: &MemoryL1, store: &Blocks) -> eyre::Result<chain::Base> {
    let mut lander = Lander::new(rollup(chain), store.clone(), l1, (1, SET)).await?;
    while lander.step(l1, 7).await? {}
    lander.finish(&epoch(chain), None, 7)
}

/// Hashes of the blocks that a follower has.
async fn followed(chain: &Chain, l1: &MemoryL1) -> Vec<B256> {
    let store = Blocks::open(Arc::new(MemKv::default())).unwrap();
    let view = Arc::new(View::new(ViewConfig::default(), &chain.genesis));
    let mut derivation = Derivation::new(rollup(chain), Arc::clone(&view), store);
    while derivation.step(l1, 7).await.unwrap() {}
    let newest = derivation.head().header.number;
    let hash = |n| view.block(At::Number(BlockNumberOrTag::Number(n))).unwrap().hash;
    (1..=newest).map(hash).collect()
}

#[tokio::test]
async fn a_crash_after_any_write_leads_to_the_same_chain() {
    let (chain, l1) = formed().await;
    let expected = followed(&chain, &l1).await;
    let whole = Blocks::open(Arc::new(MemKv::default())).unwrap();
    let base = land(&chain, &l1, &whole).await.unwrap();
    assert_eq!(usize::try_from(base.start.block).unwrap(), expected.len());
    let mut crashes = 0;
    for writes in 1.. {
        let kv = Arc::new(Dying(MemKv::default(), AtomicU32::new(writes)));
        let store = Blocks::open(kv.clone()).unwrap();
        let first = land(&chain, &l1, &store).await;
        assert_eq!(chain::Base::load(&store).unwrap().is_some(), first.is_ok(), "the last write");
        crashes += u32::from(first.is_err());
        // The next start, after a crash or not.
        kv.1.store(u32::MAX, Ordering::Relaxed);
        assert_eq!(land(&chain, &l1, &store).await.unwrap(), base);
        for (number, hash) in (1u64..).zip(&expected) {
            assert_eq!(store.block(number).unwrap().unwrap().0, *hash, "block {number}");
        }
        if first.is_ok() {
            break;
        }
    }
    assert!(crashes > 8, "{crashes}");
}

#[tokio::test]
async fn the_first_height_stands_on_what_l1_alone_gave() {
    let (chain, l1) = formed().await;
    let store = Blocks::open(Arc::new(MemKv::default())).unwrap();
    let base = land(&chain, &l1, &store).await.unwrap();
    // Height 13 was posted; the queue gave the others.
    let head = &base.start.head;
    assert!(head.height > 13 && head.l1_number == base.origin && base.floor() == SET.start - 1);
    let set = ValidatorSet::new(SET.epoch, chain.validators());
    let sets = Arc::new(Sets::of_one(set, 6, PeerId::random()));
    let d = &chain.domain;
    let domain = Domain::new(d.l1_chain_id, d.l2_chain_id, d.registry, d.genesis_hash, 1);
    let verifier = Verifier { sets, domain, cache: Arc::default() };
    let restored = chain::restore(&store, &chain.genesis, &verifier).unwrap();
    let context = &restored.context;
    assert_eq!((context.height, context.parent_id), (head.height + 1, head.value_id));
    assert_eq!(context.history.root(), head.history.root());
    assert!(context.resumed && context.is_first() && context.sealed);
    assert_eq!(context.parent_env.as_ref().unwrap().l1_number, SET.start - 1);
    assert_eq!((context.base.g, context.base.hash), (head.last_g, head.value_id));
    assert_eq!(restored.ground.head.hash, *followed(&chain, &l1).await.last().unwrap());
    assert_eq!(restored.ground.origin, base.origin);
    assert!(restored.heights.is_empty());
    assert!(restored.ground.rewards.total() > 0, "what was earned before is kept");
}

#[tokio::test]
async fn what_was_decided_and_not_posted_is_said_to_be_void() {
    let (chain, l1) = formed().await;
    let (store, before) = (Blocks::open(Arc::new(MemKv::default())).unwrap(), chain.store(24));
    let mut batch = rota_store::BlockBatch::default();
    crate::settle::start_inbox(&mut batch, 1, 13, (B256::ZERO, 1));
    before.commit(batch).unwrap();
    let mut lander = Lander::new(rollup(&chain), store.clone(), &l1, (1, SET)).await.unwrap();
    while lander.step(&l1, 7).await.unwrap() {}
    lander.finish(&epoch(&chain), Some(&before), 7).unwrap();
    for height in 1..=24 {
        for tx in &chain.at(height).frames[0].body.txs {
            let void = voided(&store, &alloy_primitives::keccak256(tx)).unwrap();
            assert_eq!(void, (height > 13).then_some(height));
        }
    }
    assert_eq!(voided(&store, &alloy_primitives::keccak256(forced(0))).unwrap(), None);
}

#[tokio::test]
async fn other_blocks_in_the_database_are_not_overwritten() {
    let (chain, l1) = formed().await;
    let store = Blocks::open(Arc::new(MemKv::default())).unwrap();
    let mut batch = rota_store::BlockBatch::default();
    batch.block(1, B256::repeat_byte(1), b"another");
    store.commit(batch).unwrap();
    let why = land(&chain, &l1, &store).await.unwrap_err().to_string();
    assert!(why.contains("block 1 in the database"), "{why}");
}

#[tokio::test]
async fn only_what_is_final_counts_and_a_newer_generation_forgets_the_set() {
    let (_, l1) = given_up().await;
    let mut eras = Eras::new(1, 0);
    eras.read(&l1).await.unwrap();
    assert_eq!(eras.era(), Era::default(), "not final yet");
    for _ in 0..4 {
        l1.mine();
    }
    eras.read(&l1).await.unwrap();
    assert_eq!(eras.era(), Era { generation: 1, set: None });
    l1.emergency_set(1, SET.epoch, SET.start);
    for _ in 0..5 {
        l1.mine();
    }
    let head = eras.read(&l1).await.unwrap().unwrap();
    assert_eq!(eras.era(), Era { generation: 1, set: Some(SET) });
    assert_eq!(eras.next(), head.number + 1);
    // Who starts later reads the same at once; who knows of the generation passes it over.
    let mut late = Eras::new(1, 0);
    late.read(&l1).await.unwrap();
    assert_eq!(late.era(), eras.era());
    let mut knows = Eras::new(head.number + 1, 1);
    l1.fall_back(2);
    for _ in 0..5 {
        l1.mine();
    }
    for each in [&mut eras, &mut knows] {
        each.read(&l1).await.unwrap();
        assert_eq!(each.era(), Era { generation: 2, set: None });
    }
}
