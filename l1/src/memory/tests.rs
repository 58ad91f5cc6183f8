//! The chain in memory: determinism, finality, reorganisations and the contracts' rules.

use super::testing::{INBOX, World as Keys, header};
use super::*;
use crate::tx::{TxChain, UnsignedTx};
use crate::{
    BatchPost, OperatorKeys, Refusal, TurnKind, TxRequest, freeze_request, register_request,
    registration,
};

const POSTER: Address = Address::repeat_byte(0xb0);

/// Sends one transaction and mines it; whether it succeeded.
async fn send(l1: &MemoryL1, from: Address, request: TxRequest) -> bool {
    let sender = l1.sender(from);
    let nonce = sender.observe(&[]).await.unwrap().next_nonce;
    let fees = Fees { max_fee: 10_000_000_000, tip: 1, blob_fee: 10 };
    let signed = sender.sign(&UnsignedTx { request, nonce, fees }).await.unwrap();
    sender.broadcast(&signed).await.unwrap();
    l1.mine();
    sender.observe(&[signed.hash]).await.unwrap().inclusion.unwrap().success
}

/// What the inbox says to a batch on top of the newest block.
fn verdict(l1: &MemoryL1, post: &BatchPost) -> Result<(), L1Error> {
    l1.preflight(post, POSTER).now_or_never().unwrap()
}

async fn post(l1: &MemoryL1, post: &BatchPost) -> bool {
    send(l1, POSTER, post.request(INBOX).unwrap()).await
}

#[tokio::test]
async fn the_same_history_gives_the_same_hashes_and_a_reorganisation_others() {
    let keys = Keys::new(4);
    let (a, b) = (keys.l1(), keys.l1());
    for l1 in [&a, &b] {
        assert!(post(l1, &keys.post(1, 2, 0)).await);
        l1.mine();
    }
    let head = |l1: &MemoryL1| l1.0.lock().head();
    assert_eq!(head(&a), head(&b));
    let old = head(&a);
    let new = a.reorg(2);
    assert_eq!(new.number, old.number);
    assert_ne!(new.hash, old.hash);
    let gone = a.batches(0, old).await;
    assert_eq!(gone, Err(L1Error::NotCanonical { number: old.number, hash: old.hash }));
    assert!(a.batches(0, new).await.unwrap().is_empty());
    let one = a.block(At::Number(1)).await.unwrap().unwrap();
    let two = a.block(At::Number(2)).await.unwrap().unwrap();
    assert_eq!(two.parent_hash, one.hash);
}

#[tokio::test]
async fn finality_follows_at_its_depth() {
    let keys = Keys::new(1);
    let params =
        MemoryParams { finality_depth: 3, ..MemoryParams::new(keys.domain.clone(), INBOX) };
    let l1 = MemoryL1::new(params, keys.validators());
    let last = l1.mine_until(1_700_000_000 + 5 * 12);
    assert_eq!(last.number, 5);
    assert_eq!(l1.block(At::Finalized).await.unwrap().unwrap().number, 2);
    assert_eq!(l1.block(At::Number(6)).await.unwrap(), None);
}

#[tokio::test]
async fn a_posted_batch_is_read_back_whole() {
    let keys = Keys::new(4);
    let l1 = keys.l1();
    let sent = keys.post(1, 3, 2);
    assert!(post(&l1, &sent).await);
    let head = l1.block(At::Latest).await.unwrap().unwrap();
    let read = l1.batches(0, head).await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!((&read[0].header, &read[0].certificate), (&sent.header, &sent.certificate));
    assert_eq!((read[0].from_height, read[0].to_height, read[0].block), (1, 3, head));
    assert_eq!(l1.payload(&read[0]).await.unwrap(), sent.payload);
    let set = l1.validator_set(0, head.number).await.unwrap().unwrap();
    assert!(read[0].certificate.verify(&set, &keys.domain).is_ok());
    l1.expire_blobs();
    assert!(matches!(l1.payload(&read[0]).await, Err(L1Error::Blobs { .. })));
}

#[tokio::test]
async fn every_refusal_of_the_inbox_has_its_name() {
    let keys = Keys::new(4);
    let l1 = keys.l1();
    let refused = |p: &BatchPost, why| assert_eq!(verdict(&l1, p), Err(L1Error::Refused(why)));
    refused(&keys.post(2, 2, 0), Refusal::Gap(1));
    refused(
        &keys.post_of(1, header(1), 0, 2),
        Refusal::Quorum { weight: 2_000_000_000, total: 4_000_000_000 },
    );
    let mut wrong = keys.post(1, 1, 0);
    wrong.certificate.signatures.swap(0, 1);
    refused(&wrong, Refusal::BadSignature(0));
    let mut short = keys.post(1, 1, 0);
    short.certificate.signatures.pop();
    refused(&short, Refusal::SignatureCount);
    let mut outside = keys.post(1, 1, 0);
    outside.certificate.signers.set(4);
    outside.certificate.signatures.push([0; 65]);
    refused(&outside, Refusal::SignatureCount);
    let mut other = header(1);
    other.close.generation = 1;
    refused(&keys.post_of(1, other, 0, 4), Refusal::WrongGeneration(1));
    let mut later = header(1);
    later.close.epoch = 1;
    refused(&keys.post_of(1, later, 0, 4), Refusal::UnknownEpoch(1));
    refused(&keys.post(2, 1, 0), Refusal::WrongHeight(1));
    let mut round = keys.post(1, 1, 0);
    round.certificate.round = 1;
    refused(&round, Refusal::BadSignature(0));

    assert!(post(&l1, &keys.post(1, 2, 0)).await);
    refused(&keys.post(1, 2, 0), Refusal::Stale(2));
    refused(&keys.post(4, 4, 0), Refusal::Gap(3));
    let mut back = header(3);
    back.env.l1_number = 0;
    refused(&keys.post_of(3, back, 0, 4), Refusal::OriginBackwards(2));
    let again = BatchPost { repost: true, ..keys.post(1, 2, 0) };
    assert_eq!(verdict(&l1, &again), Ok(()));
}

#[tokio::test]
async fn two_certified_values_of_one_height_fork_and_the_first_stands() {
    let keys = Keys::new(4);
    let l1 = keys.l1();
    assert!(post(&l1, &keys.post(1, 2, 0)).await);
    let mut other = header(2);
    other.txs_root = B256::repeat_byte(0xee);
    assert!(post(&l1, &keys.post_of(1, other.clone(), 0, 4)).await);
    assert!(l1.forked());
    let head = l1.block(At::Latest).await.unwrap().unwrap();
    assert_eq!(l1.batches(0, head).await.unwrap().len(), 1);
    let turns = l1.turns(0, head).await.unwrap();
    let [Turn { what: TurnKind::Forked(second), .. }] = turns.as_slice() else {
        panic!("{turns:?}")
    };
    assert_eq!((second.block, second.certificate.value_id), (head, other.value_id(&keys.domain)));
    assert!(post(&l1, &keys.post(3, 3, 0)).await);
}

#[tokio::test]
async fn operators_join_with_proofs_and_the_set_freezes_once() {
    let keys = Keys::new(3);
    let params = MemoryParams { min_operators: 2, ..MemoryParams::new(keys.domain.clone(), INBOX) };
    let l1 = MemoryL1::new(params, Vec::new());
    let registry = keys.domain.registry;
    let ether = U256::from(10u64).pow(U256::from(18u64));
    let join = |i: usize, owner: Address| {
        let pair = OperatorKeys { seq: &keys.seqs[i], vote: &keys.votes[i] };
        registration(&keys.domain, owner, pair, owner, "/memory/1")
    };
    let owner = |i: u8| Address::repeat_byte(0xc0 + i);
    assert!(!send(&l1, POSTER, freeze_request(registry, 0)).await, "too few");
    assert!(send(&l1, owner(0), register_request(registry, join(0, owner(0)), ether)).await);
    assert!(
        !send(&l1, owner(0), register_request(registry, join(0, owner(0)), ether)).await,
        "used"
    );
    assert!(
        !send(&l1, owner(2), register_request(registry, join(1, owner(1)), ether)).await,
        "copied"
    );
    let low = register_request(registry, join(1, owner(1)), U256::from(1u64));
    assert!(!send(&l1, owner(1), low).await, "stake");
    assert!(send(&l1, owner(1), register_request(registry, join(1, owner(1)), ether)).await);
    let before = l1.block(At::Latest).await.unwrap().unwrap().number;
    assert!(send(&l1, POSTER, freeze_request(registry, 0)).await);
    assert!(!send(&l1, POSTER, freeze_request(registry, 0)).await, "twice");
    assert!(send(&l1, owner(2), register_request(registry, join(2, owner(2)), ether)).await);
    let head = l1.block(At::Latest).await.unwrap().unwrap().number;
    assert_eq!(l1.operators(head).await.unwrap().len(), 3);
    assert_eq!(l1.validator_set(0, head).await.unwrap().unwrap().len(), 2);
    assert_eq!(l1.validator_set(0, before).await.unwrap(), None);
    assert!(l1.balance(owner(0)).await.unwrap() < l1.balance(Address::ZERO).await.unwrap());
}
