//! Every shape that is ours, byte for byte: these are an interface. `UPDATE_GOLDEN=1` writes them anew.

use crate::{
    call,
    subscribe::{next, subscribe},
    support::{Leader, hash_of, transfer},
};
use alloy_primitives::B256;
use rota_node::view::ProvenStep;
use serde_json::{Value, json};
use std::path::PathBuf;

fn check(name: &str, value: &Value) {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.json"));
    let text = format!("{}\n", serde_json::to_string_pretty(value).unwrap());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(want == text, "{name} changed; was:\n{want}\nis:\n{text}");
}

/// Two transactions on their way up the ladder, with keys, times and hashes that never change.
#[tokio::test]
async fn shapes_of_the_ladder_are_stable() {
    let mut leader = Leader::new();
    let rpc = leader.methods();
    let raw = transfer(1, 0);
    let hash = hash_of(&raw);
    let mut frames = subscribe(&rpc, "preconf_subscribe", json!(["frames"])).await;
    let mut stages = subscribe(&rpc, "preconf_subscribe", json!(["transaction", hash])).await;
    leader.submit(&transfer(2, 0));
    leader.submit(&raw);
    let status = call(&rpc, "preconf_getTransactionStatus", json!([hash])).await.unwrap();
    check("preconf_status_received", &status);
    leader.tick(2);
    leader.frame();
    leader.tick(3);
    leader.ack();
    check("preconf_message_stage", &next(&mut stages).await);
    check("preconf_message_frame", &next(&mut frames).await);
    let receipt = call(&rpc, "eth_getTransactionReceipt", json!([hash])).await.unwrap();
    check("eth_receipt_with_preconf", &receipt);
    let promise = call(&rpc, "preconf_getReceipt", json!([hash])).await.unwrap();
    check("preconf_receipt_acked", &promise);
    let verified = call(&rpc, "preconf_verifyReceipt", json!([hash])).await.unwrap();
    check("preconf_verified_acked", &verified);
    assert_eq!(call(&rpc, "preconf_verifyReceipt", json!([promise])).await.unwrap(), verified);
    let mut forged = promise.clone();
    forged["insured"] = json!("0x1");
    let refused = call(&rpc, "preconf_verifyReceipt", json!([forged])).await.unwrap();
    check("preconf_verified_not", &refused);
    leader.tick(200);
    leader.close(true);
    let height = leader.decide();
    leader.tick(9_000);
    leader.view.posted(height, B256::repeat_byte(0xaa), 31, leader.time());
    leader.tick(700_000);
    leader.view.finalized(height, 31, leader.time());
    let status = call(&rpc, "preconf_getTransactionStatus", json!([hash])).await.unwrap();
    check("preconf_status_finalized", &status);
    leader.view.expect_proofs();
    let block = leader.view.tx(&hash).unwrap().block.unwrap();
    let (number, at_ms) = (block.number, leader.time() + 90_000);
    let step = ProvenStep { step: 12, block: number, hash: block.hash, l1_block: 97, at_ms };
    assert_eq!(leader.view.proven(step), Ok(true));
    let status = call(&rpc, "preconf_getTransactionStatus", json!([hash])).await.unwrap();
    check("preconf_status_proven", &status);
    let promise = call(&rpc, "preconf_getReceipt", json!([hash])).await.unwrap();
    check("preconf_receipt_decided", &promise);
    for (name, method, params) in [
        ("preconf_stats", "preconf_getStats", json!([])),
        ("seq_status", "seq_status", json!([])),
        ("seq_leader_schedule", "seq_leaderSchedule", json!([5, 1])),
        ("seq_commit_certificate", "seq_commitCertificate", json!([1])),
        ("rollup_sync_status", "rollup_syncStatus", json!([])),
    ] {
        check(name, &call(&rpc, method, params).await.unwrap());
    }
}

#[tokio::test]
async fn shapes_of_trouble_are_stable() {
    let mut leader = Leader::new();
    let rpc = leader.methods();
    let mut retractions = subscribe(&rpc, "preconf_subscribe", json!(["retractions"])).await;
    let raw = transfer(1, 0);
    leader.frame();
    let before = leader.g();
    leader.submit(&raw);
    leader.frame();
    leader.rewind(before, "round_change");
    check("preconf_message_retract", &next(&mut retractions).await);
    let status = call(&rpc, "preconf_getTransactionStatus", json!([hash_of(&raw)])).await.unwrap();
    check("preconf_status_retracted", &status);
    let mut stream = subscribe(&rpc, "preconf_subscribe", json!(["frames"])).await;
    leader.view.heartbeat(leader.time());
    check("preconf_message_heartbeat", &next(&mut stream).await);
    let sent = json!([transfer(2, 0), { "until": "acked", "timeoutMs": 1 }]);
    check(
        "preconf_error_stage_timeout",
        &call(&rpc, "preconf_sendRawTransaction", sent).await.unwrap_err(),
    );
}
