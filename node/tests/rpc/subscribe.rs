//! Subscriptions, in process.

use crate::{
    call,
    support::{Leader, hash_of, transfer},
};
use jsonrpsee::core::server::Subscription;
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) async fn subscribe(
    rpc: &jsonrpsee::Methods,
    method: &str,
    params: Value,
) -> Subscription {
    let params: Vec<Value> = params.as_array().unwrap().clone();
    let mut args = jsonrpsee::core::params::ArrayParams::new();
    for param in params {
        args.insert(param).unwrap();
    }
    rpc.subscribe(method, args, 256).await.unwrap()
}

pub(crate) async fn next(subscription: &mut Subscription) -> Value {
    let item = tokio::time::timeout(Duration::from_secs(10), subscription.next::<Value>()).await;
    item.expect("a message within the deadline").unwrap().unwrap().0
}

#[tokio::test]
async fn heads_come_when_decided_and_none_is_left_out() {
    let mut leader = Leader::new();
    let rpc = leader.methods();
    let mut heads = subscribe(&rpc, "eth_subscribe", json!(["newHeads"])).await;
    let mut txs = subscribe(&rpc, "eth_subscribe", json!(["newPendingTransactions"])).await;
    let hash = leader.submit(&transfer(1, 0));
    assert_eq!(next(&mut txs).await, json!(hash));
    leader.whole_block();
    leader.whole_block();
    assert_eq!(next(&mut heads).await["number"], "0x1");
    let second = next(&mut heads).await;
    assert_eq!(second["number"], "0x2");
    let block = leader.view.block(rota_node::view::At::Number(2.into())).unwrap();
    assert_eq!(second["hash"], json!(block.hash));
}

#[tokio::test]
async fn a_transaction_is_followed_stage_by_stage_and_the_stream_ends() {
    let mut leader = Leader::new();
    let rpc = leader.methods();
    let raw = transfer(1, 0);
    let hash = crate::support::hash_of(&raw);
    let params = json!(["transaction", hash, { "until": "decided" }]);
    let mut stream = subscribe(&rpc, "preconf_subscribe", params).await;
    leader.submit(&raw);
    let mut seen = vec![next(&mut stream).await];
    let before = leader.g();
    leader.frame();
    seen.push(next(&mut stream).await);
    leader.rewind(before, "round_change");
    seen.push(next(&mut stream).await);
    seen.push(next(&mut stream).await);
    leader.frame();
    seen.push(next(&mut stream).await);
    leader.ack();
    seen.push(next(&mut stream).await);
    leader.close(true);
    leader.decide();
    seen.push(next(&mut stream).await);
    let retract = seen.remove(2);
    assert_eq!(
        (&retract["type"], &retract["data"]["reason"]),
        (&json!("retract"), &json!("round_change"))
    );
    assert_eq!((&retract["seq"], &retract["g"]), (&json!(3), &json!("0x0")));
    let stages: Vec<&str> = seen.iter().map(|m| m["data"]["stage"].as_str().unwrap()).collect();
    assert_eq!(
        stages,
        ["received", "preconfirmed", "received", "preconfirmed", "acked", "decided"]
    );
    assert_eq!(seen[2]["data"]["problem"]["kind"], "retracted");
    let seqs: Vec<u64> = seen.iter().map(|m| m["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 4, 5, 6, 7]);
    let end = tokio::time::timeout(Duration::from_secs(10), stream.next::<Value>()).await.unwrap();
    assert!(end.is_none());
}

#[tokio::test]
async fn unknown_subscriptions_are_refused_with_the_known_ones() {
    let leader = Leader::new();
    let rpc = leader.methods();
    let request =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newThings"] });
    let (answer, _) = rpc.raw_json_request(&request.to_string(), 1).await.unwrap();
    assert!(answer.get().contains("unknown subscription newThings"));
    assert!(answer.get().contains("newHeads"));
}

/// On a network without an oracle nobody waits for what never comes.
#[tokio::test]
async fn a_stage_that_is_never_reached_is_refused_by_name() {
    let leader = Leader::new();
    let rpc = leader.methods();
    let hash = leader.submit(&transfer(1, 0));
    let params = json!(["transaction", hash, { "until": "proven" }]);
    let asked =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "preconf_subscribe", "params": params });
    let (answer, _) = rpc.raw_json_request(&asked.to_string(), 1).await.unwrap();
    assert!(answer.get().contains("`proven` is never reached here"), "{}", answer.get());
    let params = json!([transfer(1, 1), { "until": "proven" }]);
    let refused = call(&rpc, "preconf_sendRawTransaction", params).await.unwrap_err();
    assert!(format!("{refused:?}").contains("`proven` is never reached here"), "{refused:?}");
    // Refused before it was sent.
    assert!(leader.view.tx(&hash_of(&transfer(1, 1))).is_none());
    leader.view.expect_proofs();
    let (answer, _) = rpc.raw_json_request(&asked.to_string(), 1).await.unwrap();
    assert!(!answer.get().contains("never reached"), "{}", answer.get());
}

/// Retracted and framed again before the reader is awake: it is told all the same, since the place changed.
#[tokio::test]
async fn a_transaction_that_moves_between_two_looks_is_told_of() {
    let mut leader = Leader::new();
    let rpc = leader.methods();
    leader.frame();
    let hash = leader.submit(&transfer(1, 0));
    let before = leader.g();
    leader.frame();
    let params = json!(["transaction", hash, { "until": "decided" }]);
    let mut stream = subscribe(&rpc, "preconf_subscribe", params).await;
    let first = next(&mut stream).await;
    assert_eq!((&first["g"], &first["data"]["stage"]), (&json!("0x2"), &json!("preconfirmed")));
    leader.rewind(before, "equivocation");
    leader.frame();
    let told = next(&mut stream).await;
    assert_eq!(
        (&told["type"], &told["data"]["reason"]),
        (&json!("retract"), &json!("equivocation"))
    );
    let again = next(&mut stream).await;
    assert_eq!(
        (&again["type"], &again["data"]["stage"]),
        (&json!("stage"), &json!("preconfirmed"))
    );
}
