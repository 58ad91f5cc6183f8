//! Everything but the keys and the guard is deleted: the node comes back, and signs nothing a second time.

use super::{domain, network, origin, set};
use alloy_primitives::{B256, keccak256};
use rota_consensus::{Identity as Signing, Observe};
use rota_node::{
    chain::ForcedBook,
    sequencer::{Sequencer, Setup},
    sets::Sets,
    settle::L1News,
};
use rota_p2p::{Config, Ctx, Identity, Limits};
use rota_preconf::Rules;
use rota_store::{AppendLog, Blocks, DEFAULT_CACHE, DataDir, Intent, SignGuard, SledKv};
use rota_types::{Decode, SeqKey, ValidatorSet, VoteKey};
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

const NODES: u16 = 4;
const PATIENCE: Duration = Duration::from_secs(120);

fn secret(tag: &str, i: u16) -> [u8; 32] {
    keccak256(format!("{tag}/{i}")).0
}

fn identity(i: u16) -> Identity {
    Identity::from_secret(&mut secret("node", i)).unwrap()
}

/// Four operators on free ports of this machine.
struct Town {
    tmp: tempfile::TempDir,
    ports: Vec<u16>,
    set: ValidatorSet,
}

impl Town {
    fn new() -> Self {
        // All at once, so that no port is given out twice.
        let held: Vec<TcpListener> =
            (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = held.iter().map(|l| l.local_addr().unwrap().port()).collect();
        let members = (0..NODES).map(|i| {
            let vote = VoteKey::from_secret(&secret("vote", i)).unwrap();
            let (port, peer) = (ports[usize::from(i)], identity(i).peer_id());
            let address = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{peer}");
            (SeqKey::from_seed(&secret("seq", i)).public(), vote.address(), address)
        });
        let set = set(members);
        Self { tmp: tempfile::tempdir().unwrap(), ports, set }
    }

    fn dir(&self, i: u16) -> PathBuf {
        self.tmp.path().join(i.to_string())
    }

    fn address(&self, i: u16) -> rota_p2p::Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{}", self.ports[usize::from(i)]).parse().unwrap()
    }

    async fn try_start(&self, i: u16) -> eyre::Result<Sequencer> {
        let vote = VoteKey::from_secret(&secret("vote", i)).unwrap();
        let (dir, params) = (DataDir::open(self.dir(i))?, network().params);
        let sets = Sets::open(&self.dir(i), params.window_heights, identity(i).peer_id())?;
        sets.learn(0, self.set.clone())?;
        let validators = sets.entries();
        let kv = SledKv::open(dir.db(), DEFAULT_CACHE)?;
        let setup = Setup {
            store: Blocks::open(Arc::new(kv))?,
            dir,
            identity: Signing::local(sets.me(), SeqKey::from_seed(&secret("seq", i)), vote),
            rules: Rules::new(sets.book(), params, domain()),
            sets: Arc::new(sets),
            marks: Vec::new(),
            genesis: network().genesis_head().unwrap(),
            p2p: Config {
                identity: identity(i),
                ctx: Ctx(domain().ctx().0),
                version: 1,
                listen: vec![self.address(i)],
                validators,
                bootnodes: Vec::new(),
                topics: Vec::new(),
                limits: Limits::default(),
            },
            premium_bps: 5,
        };
        let running = Sequencer::start(setup).await?;
        let origin = origin(&network());
        // As the reader of L1 does it: what is forced in first, then the block.
        ForcedBook::new(running.store.clone()).extend(origin.l1_number, &[], &[])?;
        running.origin()(L1News::Read(origin.l1_number));
        running.origin()(L1News::Origin(origin));
        Ok(running)
    }

    async fn start(&self, i: u16) -> Sequencer {
        self.try_start(i).await.unwrap()
    }

    /// In one process the tasks of an earlier run may hold the database for good; a copy has locks of its own.
    fn release(&self, i: u16) {
        let (dir, copy) = (self.dir(i), self.tmp.path().join("copy"));
        let done = Command::new("cp").arg("-a").args([&dir, &copy]).status().unwrap();
        assert!(done.success());
        fs::remove_dir_all(&dir).unwrap();
        fs::rename(&copy, &dir).unwrap();
    }

    fn guard_of(&self, i: u16) -> (PathBuf, rota_store::GuardView) {
        let vote = VoteKey::from_secret(&secret("vote", i)).unwrap();
        let dir = self.dir(i).join("sign-state");
        let path = dir.join(format!("{}.log", alloy_primitives::hex::encode(vote.address())));
        (path, SignGuard::peek(&dir, vote.address(), &domain()).unwrap().unwrap())
    }
}

/// Waits until something is so; a node that ends fails the test.
async fn until(what: &str, nodes: &mut [Sequencer], mut so: impl FnMut(&[Sequencer]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so(nodes) {
        assert!(Instant::now() < deadline, "no {what} in time");
        let poll = Duration::from_millis(50);
        for node in nodes.iter_mut() {
            if let Ok(ended) = tokio::time::timeout(Duration::ZERO, node.ended()).await {
                panic!("a node ended while waiting for {what}: {ended:?}");
            }
        }
        tokio::time::sleep(poll).await;
    }
}

fn height(node: &Sequencer) -> u64 {
    node.facts.height.load(Ordering::Relaxed)
}

fn reason(node: &Sequencer) -> Option<Observe> {
    *node.facts.observe.read()
}

/// The intents in a guard's file after the first `skip` records.
fn intents(path: &Path, skip: usize) -> Vec<Intent> {
    let records = AppendLog::read(path).unwrap().unwrap();
    records.iter().skip(skip).map(|r| Intent::decode(r).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_database_and_logs_is_safe() {
    comes_back_without(&["db", "wal"]).await;
}

/// The frame log goes back to a base that is gone, and L1 was not read yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_the_database_alone_is_safe() {
    comes_back_without(&["db"]).await;
}

async fn comes_back_without(gone: &[&str]) {
    let town = Town::new();
    let mut nodes = Vec::new();
    for i in 0..NODES {
        nodes.push(town.start(i).await);
    }
    until("first heights", &mut nodes, |n| n.iter().all(|n| height(n) > 4)).await;

    let last = nodes.pop().unwrap();
    last.stop().await;
    let (path, before) = town.guard_of(NODES - 1);
    let signed = before.marks.newest().expect("it took part");
    let records = AppendLog::read(&path).unwrap().unwrap().len();
    for gone in gone {
        fs::remove_dir_all(town.dir(NODES - 1).join(gone)).unwrap();
    }
    // The others go on meanwhile.
    until("heights without it", &mut nodes, |n| n.iter().all(|n| height(n) > signed + 3)).await;

    nodes.push(town.start(NODES - 1).await);
    until("a vote of the one that came back", &mut nodes, |n| {
        let back = n.last().unwrap();
        let newest = SignGuard::peek(
            &town.dir(NODES - 1).join("sign-state"),
            VoteKey::from_secret(&secret("vote", NODES - 1)).unwrap().address(),
            &domain(),
        );
        reason(back).is_none() && newest.unwrap().unwrap().marks.newest() > Some(signed)
    })
    .await;
    for intent in intents(&path, records) {
        assert!(intent.position().0 > signed, "signed {intent:?} at or below height {signed}");
    }
    // All of it is one chain.
    let common =
        nodes.iter().map(|n| n.store.decided_head().unwrap().unwrap().height).min().unwrap();
    assert!(common >= signed, "it has what it signed again");
    let ids: Vec<B256> = nodes
        .iter()
        .map(|n| n.store.height(signed).unwrap().unwrap().certificate.value_id)
        .collect();
    assert!(ids.windows(2).all(|w| w[0] == w[1]));
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_guard_in_a_current_directory_is_noticed() {
    let town = Town::new();
    let mut nodes = Vec::new();
    for i in 0..NODES {
        nodes.push(town.start(i).await);
    }
    until("first heights", &mut nodes, |n| n.iter().all(|n| height(n) > 2)).await;
    nodes.pop().unwrap().stop().await;
    town.release(NODES - 1);
    let (path, _) = town.guard_of(NODES - 1);
    let copy = fs::read(&path).unwrap();
    nodes.push(town.start(NODES - 1).await);
    // Past a whole turn of the schedule: it has led, and signed far more than the copy knows.
    until("many heights", &mut nodes, |n| n.iter().all(|n| height(n) > 30)).await;
    nodes.pop().unwrap().stop().await;
    town.release(NODES - 1);

    let (_, newest) = town.guard_of(NODES - 1);
    let signed = newest.marks.newest().unwrap();
    fs::write(&path, &copy).unwrap();
    let records = AppendLog::read(&path).unwrap().unwrap().len();
    nodes.push(town.start(NODES - 1).await);
    until("the reason", &mut nodes, |n| {
        matches!(reason(n.last().unwrap()), Some(Observe::OldGuard(_)))
    })
    .await;
    // It signs again by itself, above all that it signed.
    until("a vote", &mut nodes, |n| reason(n.last().unwrap()).is_none()).await;
    until("a record", &mut nodes, |_| intents(&path, records).len() > 1).await;
    for intent in intents(&path, records) {
        let floor = matches!(intent, Intent::Floor { .. });
        assert!(floor || intent.position().0 > signed, "signed {intent:?}, known {signed}");
    }
    for node in nodes {
        node.stop().await;
    }
}
