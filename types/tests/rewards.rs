//! Known bytes for rewards and lagged checkpoints, shared with the contracts' tests (`tests/vectors/rewards.json`).
//!
//! `UPDATE_VECTORS=1 cargo test -p rota-types --test rewards` writes the file; otherwise it is compared.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code"
)]

mod common;

use alloy_primitives::hex;
use common::{
    four,
    sample::{EPOCH, digest_of, header},
};
use rota_types::*;
use serde_json::{Map, Value, json};

/// Bytes of the trees: more than one level, odd nodes at several.
const SIZES: [u8; 5] = [1, 2, 3, 5, 7];

fn book(count: u8) -> RewardsBook {
    let account = |i: u8| Address::from_slice(&digest_of(100 + i)[12..]);
    (0..count)
        .map(|i| (account(i), u128::from(i + 1) * 1_000_000_000_000_000_003 + (1 << (9 * i))))
        .collect()
}

fn word(v: u128) -> String {
    hex::encode_prefixed(U256::from(v).to_be_bytes::<32>())
}

fn tree(o: &mut Map<String, Value>, book: &RewardsBook, name: &str) {
    let leaves = (0u32..).zip(book.iter()).map(|(i, (account, wei))| reward_leaf(i, account, wei));
    let mut set = |key: &str, value: Value| o.insert(format!("{name}_{key}"), value);
    set("count", json!(book.iter().count()));
    set("accounts", json!(book.iter().map(|(a, _)| hex::encode_prefixed(a)).collect::<Vec<_>>()));
    set("amounts", json!(book.iter().map(|(_, wei)| word(wei)).collect::<Vec<_>>()));
    set("leaves", json!(leaves.collect::<Vec<_>>()));
    set("root", json!(book.root()));
    for (account, wei) in book.iter() {
        let proof = book.prove(account).unwrap();
        assert!(RewardsBook::verify(&book.root(), account, wei, &proof));
        set(&format!("branch_{}", proof.index), json!(proof.siblings));
    }
}

#[test]
fn the_bytes_are_the_ones_on_record() {
    let (f, mut o) = (four(EPOCH), Map::new());
    for size in SIZES {
        tree(&mut o, &book(size), &format!("tree{size}"));
    }
    let lag = LagPoint {
        height: 1216,
        block_number: 303,
        block_hash: digest_of(120),
        rewards_root: book(7).root(),
    };
    assert_eq!(lag.encode().len(), LAG_LEN);
    assert_eq!(LagPoint::decode(&lag.encode()).unwrap(), lag);
    o.insert("lag_height".into(), json!(lag.height));
    o.insert("lag_block_number".into(), json!(lag.block_number));
    o.insert("lag_block_hash".into(), json!(lag.block_hash));
    o.insert("lag_rewards_root".into(), json!(lag.rewards_root));
    o.insert("lag_enc".into(), json!(hex::encode_prefixed(lag.encode())));
    o.insert("lag_root".into(), json!(lag.root()));
    // The header that names it, certified by three of the four members of `formats.json`, whose domain it is of.
    let mut header = header();
    header.close.height = lag.height + EXEC_LAG;
    header.close.exec_lag_height = lag.height;
    header.close.exec_lag_root = lag.root();
    let id = header.value_id(&f.domain);
    let certificate = f.certify(header.height(), id, &[0, 1, 3]);
    let (bitmap, signatures) = (certificate.signers.as_bytes(), certificate.packed_signatures());
    let length = u8::try_from(bitmap.len()).unwrap();
    let packed =
        [&certificate.round.to_be_bytes()[..], &[length], bitmap, signatures.as_ref()].concat();
    o.insert("header_height".into(), json!(header.height()));
    o.insert("header_epoch".into(), json!(EPOCH));
    o.insert("header_enc".into(), json!(hex::encode_prefixed(header.encode())));
    o.insert("header_value_id".into(), json!(id));
    o.insert("certificate".into(), json!(hex::encode_prefixed(packed)));

    o.insert("posting_bps".into(), json!(POSTING_BPS));

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/rewards.json");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&Value::Object(o.clone())).unwrap() + "\n";
        std::fs::write(path, text).unwrap();
    }
    let recorded: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(recorded, Value::Object(o), "what L1 pays from has changed");
}
