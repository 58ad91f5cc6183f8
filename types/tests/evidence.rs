//! Evidence of every kind: what is an offence and what is not, its bytes, and the vectors that the contract is
//! held to (`tests/vectors/evidence.json`; `UPDATE_VECTORS=1` writes it).
#![expect(clippy::arithmetic_side_effects, reason = "test code")]

mod common;

use alloy_primitives::{U256, hex};
use common::{
    blocks::{proven, proven_for},
    innocent::{innocent, malformed},
    offences::{Fork, guilty},
};
use proptest::prelude::*;
use rota_types::*;
use serde_json::{Map, Value, json};

#[test]
fn every_offence_is_one_and_nothing_else_is() {
    let x = Fork::new();
    let (set, domain) = (&x.four.set, &x.four.domain);
    let mut kinds = std::collections::BTreeSet::new();
    for (name, evidence) in guilty(&x) {
        let verdict = evidence.verify_proven(set, domain, proven_for(&evidence));
        let verdict = verdict.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(name.starts_with(verdict.kind.name()), "{name}");
        kinds.insert(verdict.kind);
        if verdict.kind == EvidenceKind::CertTwice {
            assert_eq!(verdict.accused, [1, 2]);
        } else if verdict.kind == EvidenceKind::FalseBlock {
            let all: &[u16] = if name.ends_with("all") { &[0, 1, 2, 3] } else { &[0, 1, 2] };
            assert_eq!((verdict.accused.as_slice(), verdict.class), (all, OffenceClass::Execution));
        } else {
            assert_eq!(verdict.accused, [evidence.accused]);
        }
    }
    assert_eq!(kinds.len(), EvidenceKind::ALL.len());
    for (name, evidence) in innocent(&x) {
        let verdict = evidence.verify_proven(set, domain, proven_for(&evidence));
        assert!(verdict.is_err(), "{name} is no offence");
    }
}

#[test]
fn a_file_is_checked_without_anything_else() {
    let x = Fork::new();
    for (name, evidence) in guilty(&x) {
        let file = EvidenceFile::of(&evidence, &x.four.set, &x.four.domain);
        let text = serde_json::to_string(&file).unwrap();
        let read: EvidenceFile = serde_json::from_str(&text).unwrap();
        assert_eq!(read.rests_on(), evidence.rests_on());
        let proven = proven_for(&evidence);
        let (found, verdict) = read.verify_proven(proven).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((found, verdict.kind), (evidence.clone(), evidence.kind()));
        assert_eq!(read.set_id(), ReceiptSet::of(&x.four.set).id());
        assert_eq!(read.ctx(), x.four.domain.ctx());
        let other = if evidence.kind() == EvidenceKind::PastEnd { "VoteTwice" } else { "PastEnd" };
        let named = EvidenceFile { kind: other.to_owned(), ..read.clone() };
        assert!(matches!(named.verify(), Err(EvidenceFileError::Kind { .. })));
        let newer = EvidenceFile { v: 2, ..read.clone() };
        assert_eq!(newer.verify().unwrap_err(), EvidenceFileError::Version(2));
        let mut elsewhere = read;
        elsewhere.domain.l2_chain_id += 1;
        assert!(elsewhere.verify_proven(proven).is_err(), "{name} on another rollup");
    }
}

/// Nodes judge without an oracle: they jail nobody for it, and believe no file about what is proven.
#[test]
fn a_false_block_is_nothing_without_the_proven_one() {
    let x = Fork::new();
    let (_, evidence) = guilty(&x).into_iter().find(|(n, _)| *n == "FalseBlock").unwrap();
    let unknown = Err(EvidenceError::NotProven(17));
    assert_eq!(evidence.verify(&x.four.set, &x.four.domain), unknown);
    let file = EvidenceFile::of(&evidence, &x.four.set, &x.four.domain);
    assert_eq!(
        file.verify().unwrap_err(),
        EvidenceFileError::Refused(EvidenceError::NotProven(17))
    );
    let other = evidence.verify_proven(&x.four.set, &x.four.domain, Some(B256::repeat_byte(1)));
    assert_eq!(other, Err(EvidenceError::Path), "the file's block is not the proven one");
}

#[test]
fn offences_in_one_place_have_one_key() {
    let x = Fork::new();
    let all = guilty(&x);
    let key = |name: &str, operator: u64| {
        let (_, evidence) = all.iter().find(|(n, _)| *n == name).unwrap();
        evidence.place().key(U256::from(operator))
    };
    assert_eq!(key("FrameTwice", 1), key("OtherCut", 1));
    assert_eq!(key("FrameTwice", 1), key("PastEnd after the end", 1));
    assert_ne!(key("FrameTwice", 1), key("FrameTwice", 2));
    assert_ne!(key("FrameTwice", 1), key("InitTwice", 1));
    assert_eq!(key("AckTwice", 2), key("StatusTwice", 2));
    assert_ne!(key("VoteTwice prevote", 2), key("VoteTwice precommit", 2));
    assert_ne!(key("AckAgainstVote", 2), key("AckAgainstVote of a later round", 2));
}

#[test]
fn lengths_are_those_of_the_table() {
    let x = Fork::new();
    let header = 16;
    for (name, length) in [
        ("FrameTwice", 2 * (273 + 64)),
        ("InitTwice", 2 * (99 + 64)),
        ("OtherCut", 90 + 65 + 480 + 273 + 64 + 32 + 9 + 3 * 32),
        ("AckTwice", 2 * (96 + 64) + 2),
        ("AckTwice over a chain", 2 * (96 + 64) + 2 + 3 * 273),
        ("StatusTwice", 2 * (98 + 65)),
        ("AckAgainstVote", 96 + 64 + 53 + 65 + 480 + 32 + 9 + 3 * 32 + 2),
        ("VoteTwice prevote", 2 * (53 + 65)),
        ("ProposalTwice", 2 * (90 + 65)),
        ("CertTwice", 2 * (44 + 1 + 1 + 3 * 65)),
        ("FalseBlock", 480 + 80 + 480 + 1 + 12 * 32 + 2 + 640 + 44 + 1 + 1 + 3 * 65),
        ("StatusHidesVote by length", 53 + 65 + 480 + 98 + 65 + 2),
    ] {
        let (_, evidence) = guilty(&x).into_iter().find(|(n, _)| *n == name).unwrap();
        assert_eq!(evidence.encode().len(), header + length, "{name}");
    }
}

#[test]
fn what_is_malformed_does_not_decode() {
    for (name, bytes) in malformed(&Fork::new()) {
        assert!(Evidence::decode(&bytes).is_err(), "{name}");
    }
}

#[test]
fn counts_above_their_bounds_are_refused() {
    let x = Fork::new();
    let (_, evidence) = guilty(&x).into_iter().find(|(n, _)| *n == "AckTwice").unwrap();
    let mut bytes = evidence.encode();
    let at = bytes.len() - 2;
    bytes[at..].copy_from_slice(&65u16.to_be_bytes());
    assert!(matches!(Evidence::decode(&bytes), Err(DecodeError::Bound { max: 64, .. })));
    let (_, evidence) = guilty(&x).into_iter().find(|(n, _)| *n == "CertTwice").unwrap();
    let mut bytes = evidence.encode();
    bytes[16 + 44] = 33;
    assert!(matches!(Evidence::decode(&bytes), Err(DecodeError::Bound { max: 32, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What decodes encodes to the same bytes; nothing panics; a changed byte never stays an offence of somebody
    /// who did not sign it.
    #[test]
    fn bytes_have_one_meaning(pick in 0usize..1000, at in 0usize..4000, bit in 0u8..8, cut in 0usize..4) {
        let x = Fork::new();
        let all = guilty(&x);
        let (name, evidence) = &all[pick % all.len()];
        let mut bytes = evidence.encode();
        prop_assert!(bytes.len() <= MAX_EVIDENCE);
        prop_assert_eq!(&Evidence::decode(&bytes).unwrap(), evidence);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        bytes.truncate(bytes.len() - cut);
        if let Ok(changed) = Evidence::decode(&bytes) {
            prop_assert_eq!(changed.encode(), bytes);
            // The two kinds of pairs of frames may show the same.
            let judged = |e: &Evidence| e.verify_proven(&x.four.set, &x.four.domain, proven_for(e));
            if let Ok(verdict) = judged(&changed) {
                prop_assert_eq!(&verdict.accused, &judged(evidence).unwrap().accused, "{}", name);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..3000), kind in 1u8..15) {
        let mut bytes = bytes;
        if bytes.len() > 2 {
            bytes[0] = 1;
            bytes[1] = kind;
        }
        if let Ok(evidence) = Evidence::decode(&bytes) {
            prop_assert_eq!(evidence.encode(), bytes);
        }
    }
}

#[test]
fn the_vectors_are_what_this_code_makes_and_judges() {
    let x = Fork::new();
    let (f, mut o) = (&x.four, Map::new());
    let mut all: Vec<(String, Evidence)> =
        guilty(&x).into_iter().map(|(n, e)| (n.to_owned(), e)).collect();
    all.extend(innocent(&x));
    let list = |it: &dyn Fn(&(String, Evidence)) -> Value| all.iter().map(it).collect::<Vec<_>>();
    let judged = |e: &Evidence| e.verify_proven(&f.set, &f.domain, proven_for(e));
    let bits = |e: &Evidence| {
        judged(e).map_or(0u64, |v| v.accused.iter().fold(0, |bits, i| bits | 1 << i))
    };
    o.insert("l1_chain_id".into(), json!(f.domain.l1_chain_id));
    o.insert("l2_chain_id".into(), json!(f.domain.l2_chain_id));
    o.insert("registry".into(), json!(f.domain.registry));
    o.insert("genesis_hash".into(), json!(f.domain.genesis_hash));
    o.insert("generation".into(), json!(f.domain.generation));
    o.insert("epoch".into(), json!(f.set.epoch()));
    let members =
        |of: &dyn Fn(&Validator) -> Value| f.set.iter().map(|(_, v)| of(v)).collect::<Vec<Value>>();
    o.insert("vote_keys".into(), members(&|v| json!(v.vote_key)).into());
    o.insert("seq_keys".into(), members(&|v| json!(B256::from(v.seq_key))).into());
    o.insert("owners".into(), members(&|v| json!(v.owner)).into());
    o.insert("powers_gwei".into(), members(&|v| json!(v.power())).into());
    let blocks = proven();
    o.insert("proven_blocks".into(), blocks.iter().map(|(n, _)| json!(n)).collect());
    o.insert("proven_hashes".into(), blocks.iter().map(|(_, b)| json!(keccak256(b))).collect());
    o.insert("names".into(), list(&|(n, _)| json!(n)).into());
    o.insert("evidence".into(), list(&|(_, e)| json!(hex::encode_prefixed(e.encode()))).into());
    o.insert("guilty".into(), list(&|(_, e)| json!(judged(e).is_ok())).into());
    o.insert("kinds".into(), list(&|(_, e)| json!(e.kind() as u8)).into());
    o.insert("classes".into(), list(&|(_, e)| json!(e.kind().class() as u8)).into());
    o.insert("accused_bits".into(), list(&|(_, e)| json!(bits(e))).into());
    o.insert("groups".into(), list(&|(_, e)| json!(e.place().group)).into());
    o.insert("heights".into(), list(&|(_, e)| json!(e.place().height)).into());
    o.insert("rounds".into(), list(&|(_, e)| json!(e.place().round)).into());
    o.insert(
        "keys_of_operator_7".into(),
        list(&|(_, e)| json!(e.place().key(U256::from(7)))).into(),
    );
    let bad = malformed(&x);
    o.insert("malformed_names".into(), bad.iter().map(|(n, _)| json!(n)).collect());
    let hexed = |(_, bytes): &(&str, Vec<u8>)| json!(hex::encode_prefixed(bytes));
    o.insert("malformed".into(), bad.iter().map(hexed).collect());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/evidence.json");
    let text = serde_json::to_string_pretty(&Value::Object(o.clone())).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == text, "the recorded vectors differ");
}
