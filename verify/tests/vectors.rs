//! The receipts that every implementation must judge alike: `tests/vectors/receipts.json`, which the test of the
//! WebAssembly build reads too. `UPDATE_VECTORS=1` writes it anew.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code"
)]

mod cases;
#[path = "../../types/tests/common/mod.rs"]
mod common;

use rota_types::{B256, Receipt};
use rota_verify::{Anchor, verify};
use serde_json::{Value, json};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/receipts.json");

/// A change of the receipt `finalized`: at `path` a byte of hex text is flipped, or the value replaced.
fn changes() -> Vec<Value> {
    let flip = |path: &str, at: usize| json!({ "path": path, "flip": at });
    let set = |path: &str, value: Value| json!({ "path": path, "set": value });
    let zero = json!(B256::ZERO);
    let mut out: Vec<Value> = [0, 1, 25, 100, 272].map(|at| flip("/frame", at)).to_vec();
    out.extend([0, 33, 63].map(|at| flip("/signature", at)));
    out.extend([0, 8, 30, 90, 100, 200].map(|at| flip("/acked/certificate", at)));
    out.extend([1, 36, 272].map(|at| flip("/acked/headers/0", at)));
    out.extend([0, 150, 370, 479].map(|at| flip("/decided/header", at)));
    out.extend([0, 10, 40, 60, 120].map(|at| flip("/decided/certificate", at)));
    out.extend([
        flip("/transactionHash", 31),
        flip("/ctx", 0),
        flip("/setId", 0),
        flip("/domain/genesisHash", 0),
        flip("/set/members/1/seqKey", 5),
        set("/v", json!(1)),
        set("/insured", json!("0x8")),
        set("/insured", json!("0x0")),
        flip("/transaction", 3),
        set("/domain/l1ChainId", json!("0x2")),
        set("/set/epoch", json!("0x4")),
        set("/set/members/0/stakeGwei", json!("0x1")),
        set("/position/index", json!(0)),
        set("/position/count", json!(6)),
        set("/position/siblings", json!([])),
        set("/acked/headers", json!([])),
        set("/decided/frame_proof", Value::Null),
        set("/decided/frameProof/siblings/0", zero),
        set("/decided", Value::Null),
        set("/posted/lastHeight", json!("0x8")),
        set("/posted/lastHeight", json!("0xc")),
        flip("/posted/headers/0", 479),
        set("/posted/l1Block", json!("latest")),
        set("/frame", json!("0x")),
        set("/more", json!(1)),
    ]);
    out
}

/// The receipt with a change made to it.
fn changed(good: &Value, change: &Value) -> Value {
    let mut bad = good.clone();
    let path = change["path"].as_str().unwrap();
    if let Some(at) = change.get("flip") {
        let text = bad.pointer(path).unwrap().as_str().unwrap();
        let at = 2 + 2 * usize::try_from(at.as_u64().unwrap()).unwrap();
        let byte = u8::from_str_radix(&text[at..at + 2], 16).unwrap() ^ 1;
        let text = format!("{}{byte:02x}{}", &text[..at], &text[at + 2..]);
        *bad.pointer_mut(path).unwrap() = text.into();
        return bad;
    }
    let (parent, key) = path.rsplit_once('/').unwrap();
    match bad.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.insert(key.to_owned(), change["set"].clone())),
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = change["set"].clone(),
        _ => unreachable!(),
    }
    bad
}

/// As the WebAssembly build answers.
fn answer(anchor: &Value, receipt: &Value) -> Value {
    let anchor = Anchor {
        ctx: serde_json::from_value(anchor["ctx"].clone()).unwrap(),
        set_id: serde_json::from_value(anchor["setId"].clone()).unwrap(),
    };
    match serde_json::from_value::<Receipt>(receipt.clone()) {
        Err(_) => json!({ "error": "not a receipt" }),
        Ok(receipt) => match verify(&receipt, &anchor) {
            Ok(verdict) => json!({ "ok": verdict }),
            Err(error) => json!({ "error": error.to_string() }),
        },
    }
}

fn build() -> Value {
    let case = cases::case();
    let anchor = case.anchor();
    let anchor = json!({ "ctx": anchor.ctx, "setId": anchor.set_id });
    let stages: Vec<Value> = case
        .stages()
        .iter()
        .map(|(name, receipt)| {
            let receipt = json!(receipt);
            let answer = answer(&anchor, &receipt);
            json!({ "name": name, "receipt": receipt, "answer": answer })
        })
        .collect();
    let good = &stages.last().unwrap()["receipt"];
    let changes: Vec<Value> = changes()
        .into_iter()
        .map(|mut change| {
            let answer = answer(&anchor, &changed(good, &change));
            change["answer"] = answer;
            change
        })
        .collect();
    json!({
        "about": "Receipts of every stage with the answers that a verifier must give; then changes of the last of them, each of which must be refused.",
        "anchor": anchor, "stages": stages, "changes": changes,
    })
}

#[test]
fn the_vectors_are_what_this_code_makes_and_judges() {
    let built = build();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(PATH, serde_json::to_string_pretty(&built).unwrap() + "\n").unwrap();
    }
    let recorded: Value = serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    assert_eq!(recorded, built, "receipts that users keep would be judged otherwise");
    for stage in recorded["stages"].as_array().unwrap() {
        assert!(stage["answer"]["ok"].is_object(), "{}", stage["name"]);
    }
    for change in recorded["changes"].as_array().unwrap() {
        assert!(change["answer"]["error"].is_string(), "{change}");
    }
}
