//! The contracts, the bindings and the transaction manager against a real chain.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod common;

use alloy::providers::Provider;
use alloy_primitives::{Address, B256, Bytes, U256};
use common::{L1_CHAIN, Net, OPERATORS, account, ether, header};
use rota_l1::bindings::{Inbox, Registry};
use rota_l1::{
    At, BatchPost, Inclusion, L1, L1Block, L1Error, MAX_BLOBS_PER_TX, MemoryJournal, Outcome,
    Policy, Refusal, RpcSender, Status, TurnKind, TxManager, load_kzg,
};
use std::time::Duration;

/// Goal of the design for four operators, blobs not counted.
const GAS_PER_BATCH: u64 = 100_000;
/// Goal of the design for a registration with both proofs.
const GAS_PER_REGISTRATION: u64 = 450_000;

async fn head(net: &Net) -> L1Block {
    net.l1.block(At::Latest).await.unwrap().unwrap()
}

#[tokio::test]
async fn four_operators_join_and_a_batch_goes_out_and_comes_back() {
    let Some(net) = Net::running("batch").await else { return };
    load_kzg().await.unwrap();
    let at = head(&net).await;
    let operators = net.l1.operators(at.number).await.unwrap();
    assert_eq!(operators.len(), OPERATORS);
    assert_eq!(operators[1].owner, account(2).address());
    assert_eq!(operators[1].seq_key, net.keys.seqs[1].public());
    assert_eq!(operators[1].vote_key, net.keys.votes[1].address());
    assert_eq!(operators[1].peer, "/ip4/127.0.0.1/udp/9000/quic-v1");
    let set = net.l1.validator_set(0, at.number).await.unwrap().unwrap();
    assert_eq!(set.total(), 4_000_000_000);
    assert_eq!(net.l1.validator_set(0, at.number - 1).await.unwrap(), None);
    assert_eq!(net.l1.validator_set(1, at.number).await.unwrap(), None);

    let mut post = net.keys.post(&net.domain, 1, header(3), 3);
    post.payload = (0..=252u8).cycle().take(300_000).collect::<Vec<_>>().into();
    // As low as the price of blobs.
    net.anvil.base_fee(1).await;
    let first = net.submit(&post).await;
    assert!(first.inclusion.success);
    let second = net.submit(&net.keys.post(&net.domain, 4, header(4), 3)).await;
    assert!(second.inclusion.success);
    assert!(second.inclusion.gas_used <= GAS_PER_BATCH, "{}", second.inclusion.gas_used);

    is_noted(&net, [&first, &second]).await;
    let to = head(&net).await;
    let read = net.l1.batches(net.contracts.block, to).await.unwrap();
    assert_eq!(
        read.iter().map(|b| (b.from_height, b.to_height)).collect::<Vec<_>>(),
        [(1, 3), (4, 4)]
    );
    assert_eq!((&read[0].header, &read[0].certificate), (&post.header, &post.certificate));
    assert_eq!(read[0].blob_hashes.len(), 3);
    assert!(read[0].certificate.verify(&set, &net.domain).is_ok());
    assert_eq!(net.l1.payload(&read[0]).await.unwrap(), post.payload);
    let mut wrong = read[1].clone();
    wrong.blob_hashes = read[0].blob_hashes.clone();
    assert!(matches!(net.l1.payload(&wrong).await, Err(L1Error::Blobs { .. })));
    let gone = L1Block { hash: B256::ZERO, ..to };
    assert!(matches!(net.l1.batches(0, gone).await, Err(L1Error::NotCanonical { .. })));
    assert!(net.l1.balance(account(5).address()).await.unwrap() < ether() * U256::from(10_000u64));
}

/// What the inbox holds for the cost of a batch is what the chain took by its base fees, blobs for the most part here, and less by
/// a little; the second moved the origin by one block only, and counts by half.
async fn is_noted(net: &Net, posted: [&Outcome; 2]) {
    let provider = net.anvil.provider();
    let mut paid = [0u128; 2];
    for (outcome, paid) in posted.iter().zip(&mut paid) {
        let hash = outcome.inclusion.hash;
        let receipt = provider.get_transaction_receipt(hash).await.unwrap().unwrap();
        let block = provider.get_block_by_hash(outcome.inclusion.block_hash).await.unwrap();
        let base = u128::from(block.unwrap().header.base_fee_per_gas.unwrap());
        let blobs = receipt.blob_gas_price.unwrap() * u128::from(receipt.blob_gas_used.unwrap());
        *paid = base * u128::from(receipt.gas_used) + blobs;
    }
    let inbox = Inbox::new(net.contracts.inbox, provider);
    let noted = inbox.postage(account(5).address()).call().await.unwrap();
    let most = U256::from(paid[0] + paid[1] / 2);
    assert!(noted < most && noted > most * U256::from(8) / U256::from(10), "{noted} of {most}");
}

/// Every way the inbox refuses on a fresh chain: the batch and the reason.
fn refusals(net: &Net) -> Vec<(BatchPost, Refusal)> {
    let post = |from, height| net.keys.post(&net.domain, from, header(height), 4);
    let changed = |change: &dyn Fn(&mut rota_types::Header)| {
        let mut h = header(1);
        change(&mut h);
        net.keys.post(&net.domain, 1, h, 4)
    };
    let broken = |change: &dyn Fn(&mut BatchPost)| {
        let mut p = post(1, 1);
        change(&mut p);
        p
    };
    let short = net.keys.post(&net.domain, 1, header(1), 2);
    vec![
        (post(2, 2), Refusal::Gap(1)),
        (post(2, 1), Refusal::WrongHeight(1)),
        (post(0, 1), Refusal::WrongHeight(1)),
        (short, Refusal::Quorum { weight: 2_000_000_000, total: 4_000_000_000 }),
        (changed(&|h| h.close.generation = 1), Refusal::WrongGeneration(1)),
        (changed(&|h| h.close.epoch = 1), Refusal::UnknownEpoch(1)),
        (broken(&|p| p.certificate.signatures.swap(0, 1)), Refusal::BadSignature(0)),
        (
            broken(&|p| p.certificate.signatures[3] = p.certificate.signatures[2]),
            Refusal::BadSignature(3),
        ),
        (
            broken(&|p| p.certificate.signatures[2] = high_s(&p.certificate.signatures[2])),
            Refusal::BadSignature(2),
        ),
        (broken(&|p| p.certificate.round = 1), Refusal::BadSignature(0)),
        (broken(&|p| p.header.txs_root = B256::ZERO), Refusal::BadSignature(0)),
        (broken(&|p| p.certificate.signatures.truncate(3)), Refusal::SignatureCount),
        (broken(&|p| p.certificate.signers.set(9)), Refusal::SignatureCount),
        (
            broken(&|p| {
                p.certificate.signers.set(4);
                p.certificate.signatures.push([1; 65]);
            }),
            Refusal::SignatureCount,
        ),
    ]
}

/// Every way it refuses once heights 1 and 2 are on it.
fn later_refusals(net: &Net) -> Vec<(BatchPost, Refusal)> {
    let mut back = header(3);
    back.env.l1_number = 0;
    let post = |from, height| net.keys.post(&net.domain, from, header(height), 4);
    vec![
        (post(1, 2), Refusal::Stale(2)),
        (post(1, 1), Refusal::Stale(2)),
        (post(4, 4), Refusal::Gap(3)),
        (net.keys.post(&net.domain, 3, back, 4), Refusal::OriginBackwards(2)),
    ]
}

fn high_s(sig: &[u8; 65]) -> [u8; 65] {
    let order: U256 =
        "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141".parse().unwrap();
    let s = U256::from_be_slice(&sig[32..64]);
    let mut out = *sig;
    out[32..64].copy_from_slice(&(order - s).to_be_bytes::<32>());
    out[64] = if sig[64] == 27 { 28 } else { 27 };
    out
}

#[tokio::test]
async fn the_inbox_and_its_model_in_memory_refuse_alike_and_by_name() {
    let Some(net) = Net::running("refusals").await else { return };
    let twin = net.twin().await;
    let poster = account(5).address();
    let both = async |cases: Vec<(BatchPost, Refusal)>| {
        for (post, why) in cases {
            let want = Err(L1Error::Refused(why));
            assert_eq!(net.l1.preflight(&post, poster).await, want);
            assert_eq!(twin.preflight(&post, poster).await, want);
        }
    };
    both(refusals(&net)).await;
    let first = net.keys.post(&net.domain, 1, header(2), 4);
    assert_eq!(net.l1.preflight(&first, poster).await, Ok(()));
    assert!(net.submit(&first).await.inclusion.success);
    let mut manager =
        TxManager::open(twin.sender(poster), MemoryJournal::default(), Policy::default()).unwrap();
    manager.submit(first.request(net.contracts.inbox).unwrap()).unwrap();
    manager.poll().await.unwrap();
    twin.mine();
    both(later_refusals(&net)).await;
    let again = BatchPost { repost: true, ..first };
    assert_eq!(net.l1.preflight(&again, poster).await, Ok(()));
    assert_eq!(twin.preflight(&again, poster).await, Ok(()));
    // No blob: the same call in a plain transaction.
    let mut plain =
        net.keys.post(&net.domain, 3, header(3), 4).request(net.contracts.inbox).unwrap();
    plain.payload = None;
    assert!(!net.send(5, plain).await.inclusion.success);
}

async fn try_register(
    net: &Net,
    owner: usize,
    r: Registry::Registration,
    stake: U256,
) -> Option<Refusal> {
    let contract = Registry::new(net.contracts.registry, net.anvil.provider());
    let call = contract.register(r).from(account(owner).address()).value(stake);
    let error = call.call().await.err()?;
    Refusal::decode(&error.as_revert_data().expect("revert data"))
}

#[tokio::test]
async fn the_registry_refuses_by_name() {
    let Some(net) = Net::deployed("registry").await else { return };
    let named = |name| Some(Refusal::Registry(name));
    let contract = Registry::new(net.contracts.registry, net.anvil.provider());
    let freeze = async |epoch| {
        let error = contract.freezeSet(epoch).call().await.err();
        error.and_then(|e| Refusal::decode(&e.as_revert_data().unwrap()))
    };
    assert_eq!(freeze(0).await, named("Registry_TooFewOperators"));
    assert_eq!(freeze(1).await, named("Registry_EpochNotOpen"));
    let r = || net.keys.registration(&net.domain, 1);
    type Change<'a> = &'a dyn Fn(&mut Registry::Registration);
    let cases: [(&str, Change<'_>); 7] = [
        ("Registry_ZeroVoteKey", &|r| r.voteKey = Address::ZERO),
        ("Registry_ZeroFeeRecipient", &|r| r.feeRecipient = Address::ZERO),
        ("Registry_PeerTooLong", &|r| r.peer = Bytes::from(vec![b'x'; 257])),
        ("Registry_BadVoteProof", &|r| r.peer = Bytes::from_static(b"other")),
        ("Registry_BadVoteProof", &|r| r.voteSig = Bytes::from(r.voteSig[..64].to_vec())),
        ("Registry_HighS", &|r| {
            r.voteSig = high_s(&r.voteSig[..].try_into().unwrap()).to_vec().into()
        }),
        ("Registry_BadSeqProof", &|r| r.seqS = B256::ZERO),
    ];
    for (name, change) in cases {
        let mut changed = r();
        change(&mut changed);
        assert_eq!(try_register(&net, 1, changed, ether()).await, named(name), "{name}");
    }
    let low = ether() - U256::from(1u64);
    assert_eq!(try_register(&net, 1, r(), low).await, named("Registry_StakeTooLow"));
    assert_eq!(try_register(&net, 2, r(), ether()).await, named("Registry_BadVoteProof"), "copied");
    for i in 1..=OPERATORS {
        let request = rota_l1::register_request(
            net.contracts.registry,
            net.keys.registration(&net.domain, i),
            ether(),
        );
        let joined = net.send(i, request).await.inclusion;
        assert!(joined.success && joined.gas_used <= GAS_PER_REGISTRATION, "{joined:?}");
    }
    assert_eq!(try_register(&net, 1, r(), ether()).await, named("Registry_SeqKeyUsed"));
    let mut reused = net.keys.registration(&net.domain, 5);
    reused.voteKey = net.keys.votes[0].address();
    assert_eq!(try_register(&net, 5, reused, ether()).await, named("Registry_VoteKeyUsed"));
    assert!(
        net.send(0, rota_l1::freeze_request(net.contracts.registry, 0)).await.inclusion.success
    );
    assert_eq!(freeze(0).await, named("Registry_AlreadyFrozen"));
}

/// Polls until the transaction is seen mined, within two minutes.
async fn included(manager: &mut TxManager<RpcSender, MemoryJournal>) -> Inclusion {
    let seen = async {
        loop {
            if let Status::Included(inclusion) = manager.poll().await.unwrap() {
                return inclusion;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), seen).await.expect("not mined")
}

/// The second certificate of a height is in nothing but the call that brought it.
#[tokio::test]
async fn a_second_certified_value_is_read_back_and_is_no_batch() {
    let Some(net) = Net::running("forked").await else { return };
    let first = net.keys.post(&net.domain, 1, header(3), 3);
    assert!(net.submit(&first).await.inclusion.success);
    let mut other = header(3);
    other.txs_root = B256::repeat_byte(0xee);
    let second = net.keys.post(&net.domain, 1, other, 3);
    let sent = net.submit(&second).await;
    assert!(sent.inclusion.success);
    let to = head(&net).await;
    assert_eq!(net.l1.batches(net.contracts.block, to).await.unwrap().len(), 1);
    let turns = net.l1.turns(net.contracts.block, to).await.unwrap();
    assert_eq!((turns.len(), turns[0].tx_hash), (1, sent.inclusion.hash));
    let TurnKind::Forked(read) = &turns[0].what else { panic!("{turns:?}") };
    assert_eq!((&read.header, &read.certificate), (&second.header, &second.certificate));
    let set = net.l1.validator_set(0, to.number).await.unwrap().unwrap();
    assert!(read.certificate.verify(&set, &net.domain).is_ok());
}

#[tokio::test]
async fn a_reorganised_batch_is_posted_again_by_a_restarted_manager() {
    let Some(net) = Net::running("reorg").await else { return };
    let journal = MemoryJournal::default();
    let policy = Policy { confirmations: 3, ..Policy::default() };
    let mut manager = net.manager(5, journal.clone(), policy);
    let mut post = net.keys.post(&net.domain, 1, header(1), 3);
    post.payload = vec![3; 31 * 4096].into();
    manager.submit(post.request(net.contracts.inbox).unwrap()).unwrap();
    let first = included(&mut manager).await;
    drop(manager);
    net.anvil.reorg(1).await;
    let to = head(&net).await;
    assert!(net.l1.batches(net.contracts.block, to).await.unwrap().is_empty());

    let mut manager = net.manager(5, journal, policy);
    let second = included(&mut manager).await;
    assert_eq!(second.hash, first.hash);
    assert_ne!(second.block_hash, first.block_hash);
    net.anvil.mine(3).await;
    let done = manager.finish(Duration::from_millis(20)).await.unwrap();
    assert!(done.inclusion.success);
    let to = head(&net).await;
    let read = net.l1.batches(net.contracts.block, to).await.unwrap();
    assert_eq!(read.len(), 1);
    assert!(read[0].blob_hashes.len() <= MAX_BLOBS_PER_TX);
    assert_eq!(net.l1.payload(&read[0]).await.unwrap(), post.payload);
    let finalized = net.l1.block(At::Finalized).await.unwrap().unwrap();
    assert!(finalized.number < to.number);
    assert_eq!(net.anvil.provider().get_chain_id().await.unwrap(), L1_CHAIN);
}
