//! Subscriptions, in process.

use crate::support::{Leader, transfer};
use jsonrpsee::core::server::Subscription;
use rota_node::view::ViewConfig;
use rota_preconf::IntakeConfig;
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
    leader.frame();
    seen.push(next(&mut stream).await);
    leader.ack();
    seen.push(next(&mut stream).await);
    leader.close(true);
    leader.decide();
    seen.push(next(&mut stream).await);
    let stages: Vec<&str> = seen.iter().map(|m| m["data"]["stage"].as_str().unwrap()).collect();
    assert_eq!(
        stages,
        ["received", "preconfirmed", "received", "preconfirmed", "acked", "decided"]
    );
    assert_eq!(seen[2]["data"]["problem"]["kind"], "retracted");
    let seqs: Vec<u64> = seen.iter().map(|m| m["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
    let end = tokio::time::timeout(Duration::from_secs(10), stream.next::<Value>()).await.unwrap();
    assert!(end.is_none());
}

#[tokio::test]
async fn frames_resume_where_they_were_left_and_say_what_is_gone() {
    let change = |c: &mut ViewConfig| c.stream_capacity = 16;
    let mut leader = Leader::with(change, IntakeConfig::default());
    let rpc = leader.methods();
    for _ in 0..10 {
        leader.frame();
    }
    let params = json!(["frames", { "fromSeq": 3, "full": true }]);
    let mut stream = subscribe(&rpc, "preconf_subscribe", params).await;
    let gap = next(&mut stream).await;
    assert_eq!(
        (&gap["type"], &gap["data"]["from"], &gap["data"]["to"]),
        (&json!("gap"), &json!(3), &json!(4))
    );
    let first = next(&mut stream).await;
    assert_eq!(
        (&first["type"], &first["seq"], &first["data"]["g"]),
        (&json!("frame"), &json!(5), &json!("0x3"))
    );
    assert!(first["data"]["signedFrame"].is_string());
    for _ in 0..7 {
        next(&mut stream).await;
    }
    let mut retractions = subscribe(&rpc, "preconf_subscribe", json!(["retractions"])).await;
    leader.rewind(8, "equivocation");
    for stream in [&mut stream, &mut retractions] {
        let message = next(stream).await;
        assert_eq!(message["type"], "retract");
        assert_eq!(message["data"]["reason"], "equivocation");
        assert_eq!(
            (&message["data"]["firstG"], &message["data"]["lastG"]),
            (&json!("0x9"), &json!("0xa"))
        );
    }
    leader.view.heartbeat(leader.time());
    let beat = next(&mut stream).await;
    assert_eq!(
        (&beat["type"], &beat["data"]["preconfirmed"]["g"]),
        (&json!("heartbeat"), &json!("0x8"))
    );
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
