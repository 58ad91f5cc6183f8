//! The driver against a client in memory that dies, forgets, syncs, refuses and lies.
#![expect(clippy::arithmetic_side_effects, reason = "test code: an overflow fails it")]

use super::*;
use alloy_consensus::{Block, BlockBody, Header, TxEnvelope};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::B256;
use alloy_rpc_types_engine::{ForkchoiceState, PayloadStatus, PayloadStatusEnum};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rota_execution::{Head, genesis, prague_genesis};
use rota_store::{Blocks, MemKv};
use std::collections::{BTreeMap, BTreeSet};

const CHAIN_ID: u64 = 77;

fn first() -> Head {
    genesis(&prague_genesis(CHAIN_ID, 1, 30_000_000, [])).unwrap()
}

fn ledger() -> Ledger {
    Ledger::new(Blocks::open(Arc::new(MemKv::default())).unwrap(), &first())
}

fn driver() -> Driver {
    Driver::new(Settings { chain_id: CHAIN_ID, stride: 4 })
}

/// The derived chain and its forks.
struct Derived {
    ledger: Ledger,
    marks: Vec<Mark>,
}

impl Derived {
    fn new() -> Self {
        let head = first();
        Self { ledger: ledger(), marks: vec![Mark { number: 0, hash: head.hash }] }
    }

    /// So many more blocks; `fork` makes them others.
    fn grow(&mut self, count: u64, fork: u8) {
        for _ in 0..count {
            let parent = *self.marks.last().unwrap();
            let header = Header {
                number: parent.number + 1,
                parent_hash: parent.hash,
                extra_data: vec![fork].into(),
                ..first().header
            };
            let withdrawals = Some(Withdrawals::default());
            let body = BlockBody::<TxEnvelope> { withdrawals, ..BlockBody::default() };
            let block = EngineBlock::new(Block::new(header, body), Default::default());
            self.ledger.write(&block).unwrap();
            self.marks.push(Mark { number: block.number(), hash: block.hash() });
        }
        self.tell();
    }

    fn go_back(&mut self, to: usize) {
        self.marks.truncate(to + 1);
        self.tell();
    }

    fn tell(&self) {
        let (head, at) = (*self.marks.last().unwrap(), self.marks.len().saturating_sub(8));
        let finalized = self.marks[at];
        self.ledger.set_target(Target { head, safe: head, finalized, settled: true });
    }

    /// A follower that was started again and has read L1 so far.
    fn reading(&self, upto: usize) {
        let head = self.marks[upto];
        self.ledger.set_target(Target {
            head,
            safe: head,
            finalized: self.marks[0],
            settled: false,
        });
    }

    fn head(&self) -> Mark {
        *self.marks.last().unwrap()
    }
}

/// A client: what it knows, and which of it is its chain.
struct Model {
    known: BTreeMap<B256, (u64, B256)>,
    canonical: Vec<B256>,
    /// Known, but to be executed again: it takes nothing on top of them.
    stateless: BTreeSet<B256>,
    /// Its chain before it died. Told to go to one of these, it says VALID and stays where it is until it was told
    /// where it stands (geth: "ignoring beacon update to old head while syncing").
    index: Vec<B256>,
    up: bool,
    /// Blocks that it executes only when asked so often.
    slow: u32,
    asked: u32,
    refuse: bool,
    bad: Option<B256>,
}

impl Model {
    fn new() -> Self {
        let genesis = first().hash;
        Self {
            known: BTreeMap::from([(genesis, (0, B256::ZERO))]),
            canonical: vec![genesis],
            stateless: BTreeSet::new(),
            index: Vec::new(),
            up: true,
            slow: 0,
            asked: 0,
            refuse: false,
            bad: None,
        }
    }

    /// Dies and comes back with the newest blocks gone.
    fn forget(&mut self, keep: usize) {
        self.canonical.truncate(keep.max(1));
        let canonical = self.canonical.clone();
        self.known.retain(|hash, _| canonical.contains(hash));
    }

    /// Dies as geth does: its head goes back, blocks above it stay without their states.
    fn lose_states(&mut self, keep: usize) {
        self.index = self.canonical.clone();
        self.canonical.truncate(keep.max(1));
        let canonical = self.canonical.clone();
        self.stateless = self.known.keys().filter(|h| !canonical.contains(h)).copied().collect();
    }

    fn answer(&mut self, ask: &Ask) -> Answer {
        if !self.up {
            return Answer::Failed(Failed::Unreachable("connection refused".into()));
        }
        let status = |s| Answer::Status(PayloadStatus::from_status(s));
        match ask {
            Ask::Hello => Answer::Hello(Hello {
                version: "model 1".into(),
                chain_id: CHAIN_ID,
                genesis: self.canonical[0],
                latest: self.canonical.len() as u64 - 1,
            }),
            Ask::HashAt(number) => {
                let at = usize::try_from(*number).unwrap();
                Answer::HashAt(self.canonical.get(at).copied())
            }
            Ask::Payload(block) => {
                self.asked += 1;
                if Some(block.hash()) == self.bad {
                    let validation_error = "invalid merkle root".to_owned();
                    return status(PayloadStatusEnum::Invalid { validation_error });
                }
                if !self.known.contains_key(&block.parent_hash()) {
                    return status(PayloadStatusEnum::Syncing);
                }
                if self.known.contains_key(&block.hash()) {
                    return status(PayloadStatusEnum::Valid);
                }
                if self.stateless.contains(&block.parent_hash()) || self.asked <= self.slow {
                    return status(PayloadStatusEnum::Accepted);
                }
                self.asked = 0;
                self.known.insert(block.hash(), (block.number(), block.parent_hash()));
                status(PayloadStatusEnum::Valid)
            }
            Ask::Forkchoice(_, state) => self.forkchoice(state),
        }
    }

    fn forkchoice(&mut self, state: &ForkchoiceState) -> Answer {
        if self.refuse {
            let message = "too deep reorg".to_owned();
            return Answer::Failed(Failed::Refused { code: -38_006, message });
        }
        let mut chain = Vec::new();
        let mut at = state.head_block_hash;
        while let Some((_, parent)) = self.known.get(&at) {
            chain.push(at);
            at = *parent;
        }
        if chain.is_empty() {
            return Answer::Status(PayloadStatus::from_status(PayloadStatusEnum::Syncing));
        }
        chain.reverse();
        for hash in [state.safe_block_hash, state.finalized_block_hash] {
            assert!(hash.is_zero() || chain.contains(&hash), "safe and final are below the head");
        }
        if self.canonical.last() == Some(&state.head_block_hash) {
            self.index.clear();
        } else if self.index.contains(&state.head_block_hash) {
            return Answer::Status(PayloadStatus::from_status(PayloadStatusEnum::Valid));
        }
        self.index.clear();
        self.stateless.retain(|hash| !chain.contains(hash));
        self.canonical = chain;
        Answer::Status(PayloadStatus::from_status(PayloadStatusEnum::Valid))
    }
}

/// Steps until the driver wants to wait for long, or fails.
fn run(
    driver: &mut Driver,
    (model, derived): (&mut Model, &Derived),
    now: &mut u64,
) -> Result<(), ExternalError> {
    for _ in 0..10_000 {
        match driver.next(*now, &derived.ledger)? {
            Next::Ask(ask) => {
                let answer = model.answer(&ask);
                driver.answer(*now, &ask, answer)?;
            }
            Next::Wait(ms) if ms > 6_000 => return Ok(()),
            Next::Wait(ms) => *now += ms,
        }
    }
    panic!("it never comes to rest: {driver:?}")
}

fn settled(driver: &mut Driver, model: &mut Model, derived: &Derived, now: &mut u64) {
    // What the client has forgotten in between shows at the next heartbeat.
    *now += 20_000;
    run(driver, (model, derived), now).unwrap();
    assert_eq!(model.canonical.last(), Some(&derived.head().hash));
    assert_eq!(driver.seen().head, derived.head().number);
    assert!(driver.is_up() && driver.seen().problem.is_none(), "{:?}", driver.seen());
}

#[test]
fn it_follows_whatever_dies_forgets_or_is_reorganised() {
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut derived, mut model, mut driver) = (Derived::new(), Model::new(), driver());
        let mut now = 1;
        for round in 0..12u8 {
            match rng.random_range(0..7) {
                0 => driver = super::tests::driver(),
                1 => model.forget(rng.random_range(0..=model.canonical.len())),
                2 => derived.go_back(rng.random_range(0..derived.marks.len())),
                3 => model.slow = rng.random_range(0..3),
                4 => model.lose_states(rng.random_range(0..=model.canonical.len())),
                _ => {}
            }
            derived.grow(rng.random_range(0..20), round);
            settled(&mut driver, &mut model, &derived, &mut now);
        }
    }
}

#[test]
fn an_older_head_is_told_when_l1_takes_blocks_back() {
    let (mut derived, mut model, mut driver, mut now) = (Derived::new(), Model::new(), driver(), 1);
    derived.grow(10, 0);
    settled(&mut driver, &mut model, &derived, &mut now);
    derived.go_back(6);
    settled(&mut driver, &mut model, &derived, &mut now);
    assert_eq!(model.canonical.len(), 7);
}

#[test]
fn a_follower_that_reads_l1_again_does_not_take_the_client_back() {
    let (mut derived, mut model, mut now) = (Derived::new(), Model::new(), 1);
    derived.grow(10, 0);
    settled(&mut driver(), &mut model, &derived, &mut now);
    let mut driver = driver();
    for upto in 0..10 {
        derived.reading(upto);
        for _ in 0..20 {
            match driver.next(now, &derived.ledger).unwrap() {
                Next::Ask(ask) => driver.answer(now, &ask, model.answer(&ask)).unwrap(),
                Next::Wait(ms) => now += ms,
            }
        }
        assert_eq!(model.canonical.len(), 11);
    }
    derived.grow(3, 0);
    settled(&mut driver, &mut model, &derived, &mut now);
    // An empty client is fed while L1 is still being read.
    let (mut driver, mut empty) = (super::tests::driver(), Model::new());
    derived.reading(7);
    run(&mut driver, (&mut empty, &derived), &mut now).unwrap();
    assert_eq!(empty.canonical.len(), 8);
}

#[test]
fn a_client_that_is_down_is_waited_for() {
    let (mut derived, mut model, mut driver, mut now) = (Derived::new(), Model::new(), driver(), 1);
    derived.grow(3, 0);
    model.up = false;
    let mut waits = Vec::new();
    while waits.len() < 12 {
        match driver.next(now, &derived.ledger).unwrap() {
            Next::Ask(ask) => driver.answer(now, &ask, model.answer(&ask)).unwrap(),
            Next::Wait(ms) => {
                waits.push(ms);
                now += ms;
            }
        }
    }
    assert_eq!(waits, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000, 5_000]);
    assert_eq!(driver.seen().problem.as_deref(), Some("connection refused"));
    assert!(!driver.is_up());
    model.up = true;
    settled(&mut driver, &mut model, &derived, &mut now);
}

#[test]
fn an_invalid_block_ends_it_with_both_hashes_and_a_file_to_replay() {
    let (mut derived, mut model, mut now) = (Derived::new(), Model::new(), 1);
    derived.grow(6, 0);
    model.bad = Some(derived.marks[5].hash);
    let end = run(&mut driver(), (&mut model, &derived), &mut now).unwrap_err();
    let ExternalError::Invalid(found) = end else { panic!("{end}") };
    assert_eq!(found.block.hash(), derived.marks[5].hash);
    let dir = tempfile::tempdir().unwrap();
    let file = write_report(dir.path(), &found, &derived.ledger).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["client"]["reason"], "invalid merkle root");
    assert_eq!(report["parent"]["hash"], derived.marks[4].hash.to_string());
    assert_eq!(report["genesis"]["hash"], derived.marks[0].hash.to_string());
    assert_eq!(report["request"]["params"][0]["blockHash"], derived.marks[5].hash.to_string());
    let said = ExternalError::Disagreed { found, file }.to_string();
    for part in ["block 5", "invalid merkle root", &derived.marks[5].hash.to_string()] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn another_chain_and_another_genesis_end_it_by_name() {
    let (mut derived, mut now) = (Derived::new(), 1);
    derived.grow(2, 0);
    let mut other = Model::new();
    other.canonical[0] = B256::repeat_byte(9);
    let end = run(&mut driver(), (&mut other, &derived), &mut now).unwrap_err().to_string();
    assert!(end.contains("block 0 is 0x0909") && end.contains("genesis"), "{end}");
    let mut driver = Driver::new(Settings { chain_id: 5, stride: 4 });
    let end = run(&mut driver, (&mut Model::new(), &derived), &mut now).unwrap_err().to_string();
    assert!(end.contains("runs chain 77") && end.contains("is chain 5"), "{end}");
}

#[test]
fn a_head_that_is_refused_for_ever_ends_it() {
    let (mut derived, mut model, mut now) = (Derived::new(), Model::new(), 1);
    derived.grow(2, 0);
    model.refuse = true;
    let end = run(&mut driver(), (&mut model, &derived), &mut now).unwrap_err();
    assert!(matches!(&end, ExternalError::Stuck { why, .. } if why == "too deep reorg"), "{end}");
}

#[test]
fn a_block_that_takes_long_is_asked_for_again_and_again() {
    let (mut derived, mut model, mut driver, mut now) = (Derived::new(), Model::new(), driver(), 1);
    model.slow = 6;
    derived.grow(3, 0);
    settled(&mut driver, &mut model, &derived, &mut now);
    model.slow = u32::MAX;
    derived.grow(1, 0);
    let mut said = String::new();
    for _ in 0..80 {
        match driver.next(now, &derived.ledger).unwrap() {
            Next::Ask(ask) => driver.answer(now, &ask, model.answer(&ask)).unwrap(),
            Next::Wait(ms) => now += ms,
        }
        said = driver.seen().problem.clone().unwrap_or_default().max(said);
    }
    assert!(said.starts_with("ACCEPTED at block 4"), "{said}");
    // A client that is killed early may wait for peers from then on, with the block below executed.
    let told = driver.seen().problem.clone().unwrap();
    assert!(told.contains("start it again"), "{told}");
    model.slow = 0;
    settled(&mut driver, &mut model, &derived, &mut now);
}

#[test]
fn a_stored_block_comes_back_whole() {
    let mut derived = Derived::new();
    derived.grow(2, 3);
    let block = derived.ledger.block(2).unwrap();
    assert_eq!((block.hash(), derived.ledger.hash(2)), (derived.marks[2].hash, Some(block.hash())));
    assert_eq!(EngineBlock::decode(&block.encode()).unwrap(), *block);
    assert!(EngineBlock::decode(&block.encode()[1..]).is_none());
    derived.go_back(1);
    assert!(derived.ledger.block(2).is_none() && derived.ledger.hash(2).is_none());
}
