//! What a signature costs at a remote signer: `cargo run --release -p rota-tests --example signer`, or `make bench`.
//!
//! Over loopback, so the network's own way comes on top. The limit in the same run is what cannot be left out: the same
//! signature in this process, after a guard on the same disk was synced where a node has to sync one.
#![expect(clippy::disallowed_methods, reason = "a bench takes the time of the real clock")]

use alloy_primitives::{Address, B256};
use rota_node::{
    clock::spawn,
    signer::{Core, Identity, Remote, RemoteSigner, Server, serve},
};
use rota_store::{Intent, SignGuard};
use rota_types::{
    Domain, Flags, FrameHeader, LocalSigner, SeqMessage, Signer, Term, Vote, VoteKind, VoteMessage,
};
use std::{
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

/// Frames in one term, and heights with one vote each.
const FRAMES: u32 = 2_000;
const VOTES: u64 = 300;

fn main() {
    let domain = Domain::new(1, 2, Address::repeat_byte(3), B256::repeat_byte(4), 0);
    let dir = std::env::var_os("ROTA_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(dir).expect("a directory");
    let here = keys();
    let mut guard = SignGuard::open(dir.path(), here.vote_key(), &domain).expect("a guard");
    let vote = |height: u64| Vote {
        epoch: 0,
        height,
        round: 0,
        kind: VoteKind::Prevote,
        value_id: B256::repeat_byte(7),
    };
    let local_votes = each(VOTES, |i| {
        let v = vote(i + 1);
        let (height, round, kind, value_id) = (v.height, v.round, v.kind, v.value_id);
        guard.check_and_record(Intent::Vote { height, round, kind, value_id }).expect("agrees");
        guard.sync().expect("syncs");
        here.sign_vote(&VoteMessage::Vote(v), &domain).expect("signs");
    });
    let frames = chain(&domain);
    let local_frames = each(u64::from(FRAMES), |i| {
        here.sign_seq(&frames[usize::try_from(i).expect("fits")], &domain).expect("signs");
    });

    let there = remote(dir.path(), &domain);
    let remote_votes = each(VOTES, |i| {
        there.sign_vote(&VoteMessage::Vote(vote(i + 1)), &domain).expect("signs");
    });
    // Of the first frame of a term the guard is synced.
    let remote_frames = each(u64::from(FRAMES), |i| {
        there.sign_seq(&frames[usize::try_from(i).expect("fits")], &domain).expect("signs");
    });
    print("frame (nothing synced)", &local_frames, &remote_frames);
    print("vote (guard synced)", &local_votes, &remote_votes);
}

fn keys() -> LocalSigner {
    LocalSigner::from_secrets(&[1; 32], &[2; 32]).expect("keys")
}

/// A signer that listens in this process, and the node's side of it.
fn remote(dir: &Path, domain: &Domain) -> std::sync::Arc<RemoteSigner> {
    let (guards, node) = (dir.join("signer"), dir.join("node"));
    std::fs::create_dir_all(&guards).expect("a directory");
    let core = Core::open(&guards, keys(), domain.clone()).expect("a signer");
    let (own, friend) = (Identity::open(dir), Identity::open(&node));
    let (own, friend) = (own.expect("a key"), friend.expect("a key"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address").to_string();
    let remote = Remote { addr, public: own.public(), patience: Duration::from_secs(5) };
    let (server, ended) = Server::new(vec![core], own, vec![friend.public()]);
    spawn("signer-door", move || serve(listener, server, &ended)).expect("a thread");
    let mut pairs = RemoteSigner::connect(&remote, friend, domain.ctx()).expect("connects");
    pairs.remove(0).0
}

/// Frames of one term, as a leader signs them.
fn chain(domain: &Domain) -> Vec<SeqMessage> {
    let height = VOTES + 10;
    let mut prev = B256::ZERO;
    let frame = |seq: u32| {
        let header = FrameHeader {
            epoch: 0,
            term: Term { height, round: 0 },
            leader: 0,
            g: u64::from(seq) + 1,
            seq,
            prev_hash: prev,
            init_hash: B256::ZERO,
            height,
            flags: Flags::default(),
            timestamp_ms: 1,
            tx_count: 0,
            tx_root: B256::ZERO,
            gas_cum: 0,
            exec_commit: B256::ZERO,
            insured_cum: 0,
            env_hash: B256::ZERO,
            close_hash: B256::ZERO,
        };
        prev = header.hash(domain);
        SeqMessage::Frame(header)
    };
    (0..FRAMES).map(frame).collect()
}

/// Microseconds of each, sorted.
fn each(count: u64, mut one: impl FnMut(u64)) -> Vec<f64> {
    let mut took: Vec<f64> = (0..count)
        .map(|i| {
            let began = Instant::now();
            one(i);
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took
}

fn print(what: &str, local: &[f64], remote: &[f64]) {
    let at = |all: &[f64], percent: usize| all[all.len() * percent / 100];
    println!(
        "{what}: in this process p50 {:.0} us, p99 {:.0} us; at the signer p50 {:.0} us, p99 {:.0} us; p50 ratio {:.2}",
        at(local, 50),
        at(local, 99),
        at(remote, 50),
        at(remote, 99),
        at(remote, 50) / at(local, 50)
    );
}
