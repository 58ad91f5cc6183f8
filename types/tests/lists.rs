//! The mountain range, batches, sets and bitmaps.
#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

mod common;

use alloy_primitives::keccak256;
use common::{Gen, four};
use proptest::prelude::*;
use rota_types::*;
use std::collections::BTreeSet;

/// The root by the definition: perfect trees over the binary digits of the count, largest first.
fn naive_mmr(leaves: &[B256]) -> B256 {
    fn tree(leaves: &[B256]) -> B256 {
        match leaves {
            [one] => *one,
            _ => {
                let (l, r) = leaves.split_at(leaves.len() / 2);
                keccak256([&[1u8][..], tree(l).as_slice(), tree(r).as_slice()].concat())
            }
        }
    }
    if leaves.is_empty() {
        return B256::ZERO;
    }
    let hashed: Vec<B256> = (0u64..)
        .zip(leaves)
        .map(|(i, l)| keccak256([&[0u8][..], &i.to_be_bytes(), l.as_slice()].concat()))
        .collect();
    let count = u64::try_from(leaves.len()).unwrap();
    let mut root = [&[2u8][..], &count.to_be_bytes()].concat();
    let mut rest = &hashed[..];
    while !rest.is_empty() {
        let (peak, tail) = rest.split_at(1 << rest.len().ilog2());
        root.extend_from_slice(tree(peak).as_slice());
        rest = tail;
    }
    keccak256(root)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_mountain_range_is_the_one_defined(seed: u64, n in 0usize..70) {
        let mut g = Gen(seed);
        let leaves: Vec<B256> = (0..n).map(|_| g.hash()).collect();
        let mut mmr = Mmr::default();
        let mut roots = BTreeSet::new();
        for leaf in &leaves {
            prop_assert!(roots.insert(mmr.root()));
            mmr.push(*leaf);
        }
        prop_assert_eq!(mmr.root(), naive_mmr(&leaves));
        prop_assert_eq!(mmr.count(), u64::try_from(n).unwrap());
        let mut again = Mmr::decode(&mmr.encode()).unwrap();
        let (mut one, next) = (mmr, g.hash());
        one.push(next);
        again.push(next);
        prop_assert_eq!(one.root(), again.root());
    }

    #[test]
    fn a_batch_gives_back_all_but_what_is_computed(seed: u64) {
        let batch = batch(seed);
        let read = Batch::decompress(&batch.compress().unwrap()).unwrap();
        prop_assert_eq!(read.heights.len(), batch.heights.len());
        for (got, want) in read.heights.iter().zip(&batch.heights) {
            let mut header = want.header.clone();
            header.close.parent_id = B256::ZERO;
            header.close.history_root = B256::ZERO;
            let hashes: Vec<B256> = want.txs.iter().map(keccak256).collect();
            header.txs_root = tx_root(&hashes, &[]);
            prop_assert_eq!(&got.header, &header);
            prop_assert_eq!(&got.txs, &want.txs);
        }
    }

    #[test]
    fn a_damaged_batch_is_refused_or_shows_in_a_header(seed: u64, at: usize, bit in 0u8..8) {
        let batch = batch(seed);
        let good = batch.compress().unwrap();
        let clean = Batch::decompress(&good).unwrap();
        let mut bad = good.clone();
        let at = at % bad.len();
        bad[at] ^= 1 << bit;
        if let Ok(read) = Batch::decompress(&bad) {
            let ids = |b: &Batch| b.heights.iter().map(|h| h.header.encode()).collect::<Vec<_>>();
            let same_ids = ids(&read) == ids(&clean);
            prop_assert_eq!(same_ids, read == clean, "other transactions under the same headers");
        }
        for cut in [0, 1, good.len() / 2, good.len() - 1] {
            prop_assert!(Batch::decompress(&good[..cut]).is_err());
        }
        let mut longer = good;
        longer.push(0);
        prop_assert!(Batch::decompress(&longer).is_err());
    }

    #[test]
    fn a_bitmap_is_a_set(indexes in prop::collection::vec(0u16..256, 0..20)) {
        let map = Bitmap::of(indexes.iter().copied());
        let set: BTreeSet<u16> = indexes.into_iter().collect();
        prop_assert_eq!(map.count(), set.len());
        prop_assert!((0..300).all(|i| map.has(i) == set.contains(&i)));
        prop_assert_eq!(map.iter().collect::<Vec<_>>(), set.into_iter().collect::<Vec<_>>());
    }
}

fn batch(seed: u64) -> Batch {
    let mut g = Gen(seed);
    let heights =
        g.list(4, |g| BatchHeight { header: g.header(), txs: g.list(6, |g| g.bytes(200)) });
    Batch { heights }
}

#[test]
fn a_batch_that_grows_without_end_is_refused() {
    // 64 MiB of zeros in a few kB.
    let bomb = zstd::bulk::compress(&vec![0u8; 4 * MAX_BATCH_RAW], 6).unwrap();
    let mut bytes = vec![1];
    bytes.extend_from_slice(&bomb);
    assert!(bytes.len() < 100_000);
    assert!(Batch::decompress(&bytes).is_err());
    assert!(Batch::decompress(&[2]).is_err());
}

#[test]
fn a_batch_that_nobody_could_read_is_not_made() {
    let header = Gen(1).header();
    let height = BatchHeight { header, txs: vec![] };
    let many = Batch { heights: vec![height.clone(); MAX_BATCH_HEIGHTS + 1] };
    assert!(many.compress().is_err());
    let tx = Bytes::from(vec![0; MAX_TX_BYTES]);
    let big = Batch { heights: vec![BatchHeight { txs: vec![tx; 129], ..height }] };
    assert!(big.compress().is_err());
}

#[test]
fn computed_fields_in_a_batch_must_be_zero() {
    let mut w = Writer::default();
    w.u32(1);
    Gen(2).header().encode_to(&mut w);
    w.u32(0);
    let mut bytes = vec![1];
    bytes.extend_from_slice(&zstd::bulk::compress(&w.finish(), 6).unwrap());
    assert!(matches!(Batch::decompress(&bytes), Err(BatchError::Decode(DecodeError::Invalid(_)))));
}

#[test]
fn a_quorum_is_strictly_more_than_two_thirds_of_the_stake() {
    let set = four(0).set;
    assert_eq!(set.total(), 134_000_000_000);
    assert!(!set.is_quorum(89_333_333_333));
    assert!(set.is_quorum(89_333_333_334));
    let nine = |stake: u64| Validator {
        stake: U256::from(stake) * U256::from(1_000_000_000u64),
        ..set.get(0).unwrap().clone()
    };
    let three = ValidatorSet::new(0, vec![nine(1), nine(1), nine(1)]);
    assert!(!three.is_quorum(2) && three.is_quorum(3));
    assert!(!ValidatorSet::new(0, vec![]).is_quorum(0));
}

#[test]
fn the_set_hash_is_over_packed_records() {
    let set = four(0).set;
    let packed: Vec<u8> = set
        .iter()
        .flat_map(|(_, v)| [v.vote_key.as_slice(), &[0; 4], &v.power().to_be_bytes()].concat())
        .collect();
    assert_eq!(set.hash(), keccak256(packed));
}

#[test]
fn every_parameter_is_part_of_the_genesis_hash() {
    let json = serde_json::to_value(ChainParams::default()).unwrap();
    let base = ChainParams::default().genesis_hash(B256::ZERO);
    let fields = json.as_object().unwrap();
    assert_eq!(fields.len(), 13);
    for (name, value) in fields {
        let mut other = json.clone();
        other[name] = match value.as_u64() {
            Some(n) => (n + 1).into(),
            None => "0x0000000000000000000000000000000000000001".into(),
        };
        let params: ChainParams = serde_json::from_value(other).unwrap();
        assert_ne!(params.genesis_hash(B256::ZERO), base, "{name} is not hashed");
    }
    assert_ne!(ChainParams::default().genesis_hash(B256::repeat_byte(1)), base);
}
