//! A follower against the blocks of the sequencers, on an L1 in memory.

mod exit;
mod forced;
mod kept;
mod outputs;

use super::*;
use crate::config::Role;
use crate::settle::testing::{Chain, INBOX};
use crate::view::At;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::Address;
use rota_l1::{BatchPost, Fees, MemoryL1, TxChain, UnsignedTx};
use rota_store::MemKv;
use rota_types::Stage;

const POSTER: Address = Address::repeat_byte(0xaa);

struct Follower {
    derivation: Derivation,
    view: Arc<View>,
}

fn open(chain: &Chain, store: &Blocks) -> Follower {
    let config = ViewConfig { chain_id: chain.domain.l2_chain_id, ..ViewConfig::default() };
    let view = Arc::new(View::new(config, &chain.genesis));
    let known = FollowerChain {
        domain: chain.domain.clone(),
        genesis: chain.genesis.clone(),
        params: params(),
        deploy_block: 1,
    };
    Follower { derivation: Derivation::new(known, view.clone(), store.clone()), view }
}

/// Those of the chain under test.
fn params() -> rota_derive::BlockParams {
    rota_derive::BlockParams { gas_limit: 30_000_000, fee_vault: Address::repeat_byte(4) }
}

fn at(number: u64) -> At {
    At::Number(BlockNumberOrTag::Number(number))
}

fn store() -> Blocks {
    Blocks::open(Arc::new(MemKv::default())).unwrap()
}

impl Follower {
    async fn read(&mut self, l1: &MemoryL1) {
        while self.derivation.step(l1, 7).await.unwrap() {}
    }

    fn hashes(&self) -> Vec<alloy_primitives::B256> {
        let newest = self.view.heads().latest.number;
        (1..=newest).map(|n| self.view.block(at(n)).unwrap().hash).collect()
    }
}

async fn post(l1: &MemoryL1, post: &BatchPost) {
    let sender = l1.sender(POSTER);
    let fees = Fees { max_fee: 10_000_000_000, tip: 5, blob_fee: 10 };
    let nonce = sender.observe(&[]).await.unwrap().next_nonce;
    let request = post.request(INBOX).unwrap();
    let signed = sender.sign(&UnsignedTx { request, nonce, fees }).await.unwrap();
    sender.broadcast(&signed).await.unwrap();
    l1.mine();
}

#[tokio::test]
async fn its_blocks_are_those_of_the_sequencers_whatever_way_they_were_posted() {
    let chain = Chain::new().grow(24);
    let expected: Vec<_> = chain.blocks().iter().map(rota_execution::ExecutedBlock::hash).collect();
    for ways in [vec![(1, 24)], vec![(1, 5), (6, 6), (4, 13), (14, 24)]] {
        let l1 = chain.l1(6);
        // The origin of height 24 is block 2: it must lie before the batch.
        l1.mine();
        let mut follower = open(&chain, &store());
        for (from, to) in ways {
            post(&l1, &chain.post(from, to)).await;
            follower.read(&l1).await;
        }
        // The last second stays open until a later one is posted.
        assert_eq!(follower.hashes(), expected[..11]);
        let heads = follower.view.heads();
        assert_eq!((heads.latest.number, heads.safe.number, heads.finalized.number), (11, 11, 0));
        let block = follower.view.block(at(11)).unwrap();
        assert_eq!((block.txs.len(), block.span.last_height, block.span.last_g), (2, 22, 22));
        let tx = follower.view.tx(block.txs[0].transaction.tx_hash()).unwrap();
        assert_eq!(tx.progress.stage, Some(Stage::Posted));
        for _ in 0..6 {
            l1.mine();
        }
        follower.read(&l1).await;
        assert_eq!(follower.view.heads().finalized.number, 11);
        assert!(follower.derivation.is_caught_up());
    }
}

#[tokio::test]
async fn a_follower_that_executes_something_else_than_the_set_stops() {
    let plain = Chain::new().grow(140);
    let rewards = crate::chain::tests::rewards(&plain, 9);
    // Height 64 is in block 32; what counts is block 31.
    let block = &plain.blocks()[30];
    let point = rota_types::LagPoint {
        height: 64,
        block_number: 31,
        block_hash: block.hash(),
        rewards_root: rewards[30].root(),
    };
    for (root, good) in [(point.root(), true), (alloy_primitives::B256::repeat_byte(1), false)] {
        let mut chain = Chain::new();
        chain.lag = Some(root);
        let chain = chain.grow(140);
        for cuts in [vec![(1, 140)], vec![(1, 100), (101, 140)]] {
            let l1 = chain.l1(6);
            for _ in 0..8 {
                l1.mine();
            }
            let mut follower = open(&chain, &store());
            for (from, to) in cuts {
                post(&l1, &chain.post(from, to)).await;
            }
            let mut done = follower.derivation.step(&l1, 7).await;
            while matches!(done, Ok(true)) {
                done = follower.derivation.step(&l1, 7).await;
            }
            match done {
                Ok(_) => assert!(good && follower.hashes().len() == 69),
                Err(why) => assert!(!good && why.is::<rota_preconf::OtherExecution>(), "{why}"),
            }
        }
    }
}

#[tokio::test]
async fn bad_batches_are_skipped_and_the_next_good_one_is_taken() {
    let chain = Chain::new().grow(8);
    let l1 = chain.l1(64);
    let mut follower = open(&chain, &store());
    let garbage = BatchPost { payload: b"garbage".as_slice().into(), ..chain.post(1, 4) };
    post(&l1, &garbage).await;
    let mut heights = rota_types::Batch::decompress(&chain.post(1, 4).payload).unwrap();
    heights.heights[2].header.env.gas_limit = 1;
    let tampered = heights.compress().unwrap().into();
    post(&l1, &BatchPost { payload: tampered, repost: true, ..chain.post(1, 4) }).await;
    follower.read(&l1).await;
    assert_eq!((follower.derivation.skipped(), follower.derivation.height()), (2, 0));
    post(&l1, &BatchPost { repost: true, ..chain.post(1, 4) }).await;
    post(&l1, &chain.post(5, 8)).await;
    follower.read(&l1).await;
    assert_eq!((follower.derivation.skipped(), follower.derivation.height()), (2, 8));
    assert_eq!(follower.hashes().len(), 3);
}

#[tokio::test]
async fn a_second_certificate_on_l1_is_kept_as_evidence_and_changes_nothing() {
    let chain = Chain::new().grow(8);
    let l1 = chain.l1(64);
    let dir = tempfile::tempdir().unwrap();
    let mut follower = open(&chain, &store());
    follower.derivation = follower.derivation.with_evidence(dir.path().into());
    post(&l1, &chain.post(1, 4)).await;
    post(&l1, &chain.post(5, 8)).await;
    post(&l1, &BatchPost { repost: true, ..chain.post(5, 8) }).await;
    follower.read(&l1).await;
    let blocks = follower.hashes();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    post(&l1, &BatchPost { repost: true, ..chain.second(4) }).await;
    post(&l1, &chain.second(8)).await;
    post(&l1, &chain.second(8)).await;
    follower.read(&l1).await;
    let files = std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().path());
    let mut heights: Vec<u64> = files
        .map(|file| {
            let (_, verdict) = crate::slash::read(&file).unwrap().verify().unwrap();
            assert_eq!(verdict.accused.as_slice(), [0, 1, 2]);
            verdict.place.height
        })
        .collect();
    heights.sort_unstable();
    assert_eq!(heights, [4, 8]);
    assert_eq!(follower.hashes(), blocks);
}

#[tokio::test]
async fn a_reorg_of_l1_takes_back_its_blocks_and_the_same_come_again() {
    let chain = Chain::new().grow(20);
    let expected: Vec<_> = chain.blocks().iter().map(rota_execution::ExecutedBlock::hash).collect();
    let l1 = chain.l1(64);
    let mut follower = open(&chain, &store());
    post(&l1, &chain.post(1, 7)).await;
    follower.read(&l1).await;
    assert_eq!(follower.hashes(), expected[..3]);
    post(&l1, &chain.post(8, 15)).await;
    post(&l1, &chain.post(16, 20)).await;
    follower.read(&l1).await;
    assert_eq!(follower.hashes(), expected[..9]);
    l1.reorg(2);
    follower.read(&l1).await;
    assert_eq!(follower.hashes(), expected[..3]);
    assert_eq!(follower.derivation.head().hash, expected[2]);
    let lost = chain.blocks()[5].included[0].transaction.tx_hash().to_owned();
    assert!(follower.view.tx(&lost).is_none());
    post(&l1, &chain.post(8, 20)).await;
    follower.read(&l1).await;
    assert_eq!(follower.hashes(), expected[..9]);
    let spans: Vec<u64> =
        (1..=9).map(|n| follower.view.block(at(n)).unwrap().span.first_g).collect();
    assert_eq!(spans, [1, 3, 5, 7, 9, 11, 13, 15, 17]);
}

#[tokio::test]
async fn a_final_block_that_l1_replaces_makes_it_begin_again() {
    let chain = Chain::new().grow(8);
    let l1 = chain.l1(2);
    let mut follower = open(&chain, &store());
    post(&l1, &chain.post(1, 8)).await;
    for _ in 0..4 {
        l1.mine();
    }
    follower.read(&l1).await;
    assert_eq!(follower.view.heads().finalized.number, 3);
    l1.reorg(6);
    for _ in 0..3 {
        follower.read(&l1).await;
    }
    assert_eq!((follower.hashes().len(), follower.derivation.height()), (0, 0));
    post(&l1, &chain.post(1, 8)).await;
    follower.read(&l1).await;
    assert_eq!(follower.hashes().len(), 3);
}

#[tokio::test]
async fn a_restart_needs_no_blobs_again() {
    let chain = Chain::new().grow(8);
    let (l1, kept) = (chain.l1(64), store());
    post(&l1, &chain.post(1, 8)).await;
    let mut follower = open(&chain, &kept);
    follower.read(&l1).await;
    l1.expire_blobs();
    let mut again = open(&chain, &kept);
    again.read(&l1).await;
    assert_eq!(again.hashes(), follower.hashes());
    let mut fresh = open(&chain, &store());
    let why = fresh.derivation.step(&l1, 7).await.unwrap_err();
    assert!(matches!(why.downcast_ref(), Some(L1Error::Blobs { .. })), "{why}");
}

/// One request over a socket, however the server frames its answer.
async fn http(addr: SocketAddr, request: String) -> Option<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(addr).await.ok()?;
    socket.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

async fn get(addr: SocketAddr, path: &str) -> Option<String> {
    http(addr, format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
}

async fn rpc(addr: SocketAddr, method: &str) -> Option<String> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":[]}}"#);
    let head = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json";
    http(addr, format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await
}

fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn the_role_serves_what_it_derived_and_stops_when_told() {
    let chain = Chain::new().grow(8);
    let l1 = chain.l1(2);
    post(&l1, &chain.post(1, 8)).await;
    let web = free();
    let rpc_addr = free();
    let stop = tokio_util::sync::CancellationToken::new();
    let args = FollowerArgs {
        role: Role::Follower,
        chain: FollowerChain {
            domain: chain.domain.clone(),
            genesis: chain.genesis.clone(),
            params: params(),
            deploy_block: 1,
        },
        moniker: "f".into(),
        store: store(),
        standby: None,
        rpc: (rpc_addr, RpcConfig::default()),
        web,
        pace: Pace {
            every: Duration::from_millis(5),
            now: Arc::new(crate::clock::now_ms),
            stop: stop.clone(),
        },
        external: None,
        oracle: None,
        evidence: "evidence".into(),
        proving: None,
    };
    let client = async {
        // Not there at first; the deadline is that of the whole test.
        while !get(web, "/readyz").await.is_some_and(|a| a.starts_with("HTTP/1.1 200")) {
            tokio::task::yield_now().await;
        }
        let number = rpc(rpc_addr, "eth_blockNumber").await.unwrap();
        assert!(number.contains(r#""result":"0x3""#), "{number}");
        let hash = chain.blocks()[2].hash().to_string();
        let status = rpc(rpc_addr, "rollup_syncStatus").await.unwrap();
        assert!(status.contains(&hash), "{status}");
        let metrics = get(web, "/metrics").await.unwrap();
        assert!(metrics.contains("rota_l1_endpoint_up 1"), "{metrics}");
        stop.cancel();
    };
    let both = async { tokio::join!(run_follower(args, Arc::new(l1)), client).0 };
    let deadline = Duration::from_secs(60);
    tokio::time::timeout(deadline, Box::pin(both)).await.unwrap().unwrap();
}
