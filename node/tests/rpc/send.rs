//! Sending and waiting.

use crate::{
    call,
    support::{CHAIN, Leader, START_MS, hash_of, plain, sign, transfer, user},
};
use alloy_consensus::TxEip1559;
use alloy_primitives::{TxKind, U256};
use rota_node::rpc::{RpcConfig, methods};
use rota_node::view::ViewConfig;
use rota_preconf::IntakeConfig;
use rota_types::Stage;
use serde_json::json;

#[tokio::test]
async fn sync_answers_at_the_frame_and_takes_every_form_of_timeout() {
    let mut leader = Leader::new();
    let rpc = leader.methods();
    let forms =
        [json!([]), json!([2000]), json!(["0x7d0"]), json!([null]), json!([0]), json!(["soon"])];
    for (nonce, extra) in (0u64..).zip(forms) {
        let raw = transfer(1, nonce);
        let mut params = vec![json!(raw)];
        params.extend(extra.as_array().unwrap().clone());
        let send = call(&rpc, "eth_sendRawTransactionSync", json!(params));
        let play = async {
            // Woken by the submission itself: no polling.
            leader.woken();
            leader.frame();
        };
        let (receipt, ()) = tokio::join!(send, play);
        let receipt = receipt.unwrap();
        assert_eq!(receipt["transactionHash"], json!(hash_of(&raw)));
        assert_eq!(receipt["preconf"]["stage"], "preconfirmed");
    }
    // Sent again: what became of it is the answer.
    let raw = transfer(1, 0);
    let again = call(&rpc, "eth_sendRawTransactionSync", json!([raw])).await.unwrap();
    assert_eq!(again["transactionHash"], json!(hash_of(&raw)));
}

#[tokio::test]
async fn sync_waits_until_a_gap_is_filled_and_survives_a_round_change() {
    let mut leader = Leader::new();
    let rpc = leader.methods();
    let late = transfer(1, 1);
    let send = call(&rpc, "eth_sendRawTransactionSync", json!([late, 5000]));
    let play = async {
        leader.woken();
        leader.frame();
        leader.submit(&transfer(1, 0));
        tokio::task::yield_now().await;
        leader.frame();
    };
    let (receipt, ()) = tokio::join!(send, play);
    assert_eq!(receipt.unwrap()["transactionIndex"], "0x1");

    let raw = transfer(2, 0);
    let wanted = json!([raw, { "until": "decided", "timeoutMs": 5000 }]);
    let send = call(&rpc, "preconf_sendRawTransaction", wanted);
    let play = async {
        leader.woken();
        let before = leader.g();
        leader.frame();
        tokio::task::yield_now().await;
        leader.rewind(before, "leader_lost");
        tokio::task::yield_now().await;
        leader.close(true);
        leader.decide();
    };
    let (sent, ()) = tokio::join!(send, play);
    let sent = sent.unwrap();
    assert_eq!(sent["stage"], "decided");
    assert!(sent["promise"]["decided"].is_object());
    assert_eq!(sent["receipt"]["transactionHash"], json!(hash_of(&raw)));
}

#[tokio::test]
async fn sync_speaks_the_codes_of_eip_7966() {
    let leader = Leader::new();
    let rpc = leader.methods();
    let raw = transfer(1, 0);
    let error = call(&rpc, "eth_sendRawTransactionSync", json!([raw, 5])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]), (&json!(4), &json!(hash_of(&raw))));
    let raw = transfer(2, 3);
    let error = call(&rpc, "eth_sendRawTransactionSync", json!([raw, 5])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]), (&json!(6), &json!("0x0")));
    let poor = sign(&user(30), plain(0));
    let error = call(&rpc, "eth_sendRawTransactionSync", json!([poor])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]), (&json!(5), &json!(hash_of(&poor))));
    let staged = json!([transfer(3, 0), { "until": "acked", "timeoutMs": 5 }]);
    let error = call(&rpc, "preconf_sendRawTransaction", staged).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["reached"]), (&json!(7002), &json!("received")));
}

#[tokio::test]
async fn every_refusal_has_a_code_words_and_a_hint() {
    let mut leader = Leader::new();
    let rpc = leader.methods();
    leader.submit(&transfer(1, 0));
    leader.frame();
    leader.submit(&transfer(2, 0));
    let dear = |f: fn(&mut TxEip1559)| {
        let mut tx = plain(0);
        f(&mut tx);
        sign(&user(2), tx)
    };
    for (raw, code, words) in [
        (vec![1, 2, 3].into(), -32602, "not a valid transaction encoding"),
        (vec![3, 2, 3].into(), -32000, "blob transactions are not accepted"),
        (vec![2; 200_000].into(), -32000, "oversized data"),
        (dear(|t| t.chain_id = 1), -32000, "invalid chain id"),
        (dear(|t| t.gas_limit = 20_000), -32000, "intrinsic gas too low"),
        (dear(|t| t.gas_limit = 40_000_000), -32000, "above the cap"),
        (dear(|t| t.max_priority_fee_per_gas = u128::MAX), -32000, "higher than max fee per gas"),
        (dear(|t| t.max_fee_per_gas = 1_000_000), -32000, "less than block base fee"),
        (dear(|t| t.value = U256::MAX >> 10), -32000, "replacement transaction underpriced"),
        (dear(|t| (t.nonce, t.value) = (1, U256::MAX >> 10)), -32000, "insufficient funds for gas"),
        (dear(|t| t.nonce = 100_000), -32000, "nonce too high"),
        (sign(&user(1), TxEip1559 { value: U256::ZERO, ..plain(0) }), -32000, "nonce too low"),
        (transfer(2, 0), 1000, "already known"),
    ] {
        let error = call(&rpc, "eth_sendRawTransaction", json!([raw])).await.unwrap_err();
        assert_eq!(error["code"], code, "{words}: {error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{words}: {error}");
        assert!(error["data"]["hint"].is_string(), "{error}");
    }
    leader.door.close("draining", 700);
    let error = call(&rpc, "eth_sendRawTransaction", json!([transfer(3, 0)])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["retryAfterMs"]), (&json!(7005), &json!(700)));
    leader.door.open();
    call(&rpc, "eth_sendRawTransaction", json!([transfer(3, 0)])).await.unwrap();
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let intake = IntakeConfig { capacity: 1, retry_after_ms: 250, ..IntakeConfig::default() };
    let leader = Leader::with(|_: &mut ViewConfig| (), intake);
    let rpc = leader.methods();
    leader.submit(&transfer(1, 0));
    let error = call(&rpc, "eth_sendRawTransaction", json!([transfer(2, 0)])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["retryAfterMs"]), (&json!(-32005), &json!(250)));
    assert!(leader.view.tx(&hash_of(&transfer(2, 0))).is_none());
}

#[tokio::test]
async fn custodians_can_ask_for_decided_receipts_only() {
    let mut leader = Leader::new();
    let config = RpcConfig { receipts: Stage::Decided, ..RpcConfig::default() };
    let rpc = methods(leader.backend(config)).unwrap();
    let hash = leader.submit(&transfer(1, 0));
    leader.close(true);
    let receipt = call(&rpc, "eth_getTransactionReceipt", json!([hash])).await.unwrap();
    assert!(receipt.is_null());
    let who = user(1).address();
    assert_eq!(call(&rpc, "eth_getTransactionCount", json!([who, "latest"])).await.unwrap(), "0x0");
    leader.decide();
    let receipt = call(&rpc, "eth_getTransactionReceipt", json!([hash])).await.unwrap();
    assert_eq!(receipt["preconf"]["stage"], "decided");
}

#[test]
fn a_bundle_from_a_peer_is_recovered_in_parallel_and_each_has_its_own_answer() {
    let mut leader = Leader::new();
    let mut raws: Vec<_> = (0..8).map(|nonce| transfer(4, nonce)).collect();
    raws.push(vec![9, 9].into());
    raws.push(sign(&user(5), TxEip1559 { to: TxKind::Create, gas_limit: 60_000, ..plain(0) }));
    let answers = leader.door.submit_bundle(&raws, CHAIN);
    let good: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, true, true, true, true, true, true, true, false, true]);
    leader.frame();
    assert_eq!(leader.view.pending_account(&user(4).address()).nonce, 8);
    leader.submit(&transfer(4, 8));
    leader.door.expire(START_MS + 10_000_000);
    let gone = leader.view.tx(&hash_of(&transfer(4, 8))).unwrap();
    assert!(gone.problem.unwrap().reason.contains("waited too long"));
}
