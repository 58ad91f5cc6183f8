//! Evidence before the real contracts, and evidence from simulated sets: a correct validator is never accused, and
//! what breaks a promise is always punished (I-3, I-4, I-6).
//!
//! `ROTA_SIM_FRESH=N` sets where the fresh seeds begin; `make evidence SEED=N` replays one.

use alloy_primitives::{Address, B256, Bytes, U256};
use rota_tests::{
    evm::Court,
    sim::{Plan, campaign},
};
use rota_types::{
    Decode, Domain, Evidence, OffencePlace, SeqKey, Validator, ValidatorSet, VoteKey,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Adversarial plans that every build runs, and those that change from day to day.
const FIXED: u64 = 150;
const FRESH: u64 = 50;

/// `tests/vectors/evidence.json`.
#[derive(Deserialize)]
struct Vectors {
    l1_chain_id: u64,
    l2_chain_id: u64,
    registry: Address,
    genesis_hash: B256,
    generation: u32,
    epoch: u64,
    owners: Vec<Address>,
    powers_gwei: Vec<u64>,
    names: Vec<String>,
    evidence: Vec<Bytes>,
    guilty: Vec<bool>,
    /// What slots agreed on.
    proven_blocks: Vec<u64>,
    proven_hashes: Vec<B256>,
    malformed: Vec<Bytes>,
    malformed_names: Vec<String>,
}

impl Vectors {
    fn read() -> Self {
        serde_json::from_str(include_str!("../vectors/evidence.json")).unwrap()
    }
    fn domain(&self) -> Domain {
        Domain::new(
            self.l1_chain_id,
            self.l2_chain_id,
            self.registry,
            self.genesis_hash,
            self.generation,
        )
    }
    fn set(&self) -> ValidatorSet {
        let validators =
            (0u16..).zip(&self.owners).zip(&self.powers_gwei).map(|((i, owner), gwei)| {
                let (seq, vote) = keys(i);
                Validator {
                    owner: *owner,
                    seq_key: seq.public(),
                    vote_key: vote.address(),
                    stake: U256::from(*gwei) * U256::from(1_000_000_000u64),
                    fee_recipient: Address::repeat_byte(0xfe),
                    peer: "/ip4/127.0.0.1/tcp/27000".to_owned(),
                }
            });
        ValidatorSet::new(self.epoch, validators.collect())
    }
}

/// The keys of the vectors.
fn keys(i: u16) -> (SeqKey, VoteKey) {
    let i = u8::try_from(i).unwrap();
    (SeqKey::from_seed(&[0x10 + i; 32]), VoteKey::from_secret(&[0x20 + i; 32]).unwrap())
}

#[test]
fn the_contract_judges_every_vector_as_the_nodes_do() {
    let v = Vectors::read();
    let (set, domain) = (v.set(), v.domain());
    let mut court = Court::new(&set, &domain, keys);
    let proven: BTreeMap<_, _> =
        v.proven_blocks.iter().copied().zip(v.proven_hashes.iter().copied()).collect();
    proven.iter().for_each(|(number, hash)| court.agree(*number, *hash));
    for ((name, bytes), guilty) in v.names.iter().zip(&v.evidence).zip(&v.guilty) {
        let evidence = Evidence::decode(bytes).unwrap();
        let known = evidence.rests_on().and_then(|number| proven.get(&number).copied());
        let verdict = evidence.verify_proven(&set, &domain, known);
        assert_eq!(verdict.is_ok(), *guilty, "{name}");
        match (verdict, court.check(bytes)) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(
                    (ours.kind as u8, ours.class as u8),
                    (theirs.kind, theirs.class),
                    "{name}"
                );
                assert_eq!(U256::from(ours.accused[0]), theirs.operator, "{name}");
                assert_eq!(ours.place.key(theirs.operator), theirs.key, "{name}");
            }
            (Err(_), Err(_)) => {}
            (ours, theirs) => panic!("{name}: {ours:?} here, {theirs:?} on L1"),
        }
    }
    for (name, bytes) in v.malformed_names.iter().zip(&v.malformed) {
        assert!(Evidence::decode(bytes).is_err() && court.check(bytes).is_err(), "{name}");
    }
}

#[test]
fn a_slash_takes_the_whole_stake_once() {
    let v = Vectors::read();
    let (set, domain) = (v.set(), v.domain());
    let mut court = Court::new(&set, &domain, keys);
    let named = |name: &str| {
        let at = v.names.iter().position(|n| n == name).unwrap();
        Evidence::decode(&v.evidence[at]).unwrap()
    };
    let (first, again) = (named("FrameTwice"), named("PastEnd after the end"));
    assert!(!court.jailed(1));
    court.report(&first).unwrap();
    assert!(court.jailed(1) && !court.jailed(2));
    assert_eq!(court.seized(), set.get(1).unwrap().stake);
    assert!(court.report(&first).is_err(), "once");
    assert!(court.report(&again).is_err(), "one offence, shown in another way");
    let place: OffencePlace = again.place();
    assert_eq!(court.check(&v.evidence[2]).unwrap().key, place.key(U256::from(1)));
    assert!(court.check(&v.evidence[2]).unwrap().processed);
    // Two certificates accuse who signed both; one of them has nothing left to lose.
    court.report(&named("CertTwice")).unwrap();
    assert!(court.jailed(2) && !court.jailed(0) && !court.jailed(3));
    assert_eq!(court.seized(), set.get(1).unwrap().stake + set.get(2).unwrap().stake);
}

/// All of the simulation's checks hold in these runs too: whoever is correct is never accused, whoever contradicted
/// itself before correct members is convicted, and what was reverted is paid for.
fn judged(first: u64, count: u64) -> rota_tests::sim::Summary {
    let summary = campaign(first..=first + count - 1, Plan::adversarial, 0, |_| ());
    assert!(summary.failures.is_empty(), "{}", summary.text());
    summary
}

#[test]
fn fixed_liars_are_convicted_and_nobody_else() {
    let summary = judged(1, FIXED);
    println!("{}", summary.text());
    assert!(summary.convicting > FIXED / 4, "{}", summary.text());
    for kind in
        ["FrameTwice", "InitTwice", "AckTwice", "StatusHidesAck", "StatusTwice", "VoteTwice"]
    {
        assert!(summary.proven.contains_key(kind), "nobody proved {kind}: {}", summary.text());
    }
}

/// L1 takes back what was final, for one member, for some or for all, while others lie and crash.
#[test]
fn a_reorganised_l1_convicts_nobody_correct() {
    let branching = |seed| Plan::adversarial(seed).with_branches();
    let summary = campaign(20_001..=20_080, branching, 0, |_| ());
    assert!(summary.failures.is_empty(), "{}", summary.text());
    println!("{}", summary.text());
    assert!(summary.off_l1 >= 20 && summary.convicting >= 15, "{}", summary.text());
}

/// A member that loses guard, logs and database at once while the first height is undecided is told by the others.
#[test]
fn a_lost_disk_convicts_nobody() {
    for seed in [1885, 4119] {
        judged(seed, 1);
    }
}

#[expect(clippy::disallowed_methods, reason = "other seeds every day")]
#[test]
fn fresh_liars_are_convicted_and_nobody_else() {
    let day = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
    let given = std::env::var("ROTA_SIM_FRESH").ok().and_then(|v| v.parse().ok());
    let first = given.unwrap_or(day * 1_000_000);
    println!("fresh seeds from {first}; again with ROTA_SIM_FRESH={first}");
    judged(first, FRESH);
}
