//! What wallets call, in process.

use crate::{
    call,
    support::{Leader, plain, sign, transfer, user},
};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Bytes, TxKind, U256, hex, keccak256};
use serde_json::{Value, json};

/// Stores 7 in slot 0 and emits one log with topic `Ping()` on every call.
fn contract(nonce: u64) -> Bytes {
    let topic = hex::encode(keccak256(b"Ping()"));
    let runtime = format!("60076000557f{topic}60006000a1602a60005260206000f3");
    let size = format!("{:02x}", runtime.len() / 2);
    let init = format!("60{size}600c60003960{size}6000f3{runtime}");
    let input = hex::decode(init).unwrap().into();
    let tx = TxEip1559 {
        to: TxKind::Create,
        value: U256::ZERO,
        gas_limit: 300_000,
        input,
        ..plain(nonce)
    };
    sign(&user(1), tx)
}

fn poke(nonce: u64, to: &str) -> Bytes {
    let to = TxKind::Call(to.parse().unwrap());
    sign(&user(1), TxEip1559 { to, value: U256::ZERO, gas_limit: 100_000, ..plain(nonce) })
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

#[tokio::test]
async fn a_provisional_receipt_resolves_everywhere_and_reads_see_the_writes() {
    let mut leader = Leader::new();
    let rpc = leader.methods();
    let hash = leader.submit(&transfer(1, 0));
    let who = user(1).address();
    let waiting = call(&rpc, "eth_getTransactionByHash", json!([hash])).await.unwrap();
    assert_eq!(waiting["blockHash"], Value::Null);
    assert_eq!(call(&rpc, "eth_getTransactionReceipt", json!([hash])).await.unwrap(), Value::Null);
    let frame = leader.frame();
    let receipt = call(&rpc, "eth_getTransactionReceipt", json!([hash])).await.unwrap();
    assert_eq!(receipt["blockHash"], json!(frame));
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["preconf"]["stage"], "preconfirmed");
    assert_eq!(receipt["preconf"]["frame"]["hash"], json!(frame));
    for (method, at) in [
        ("eth_getBlockByHash", json!(frame)),
        ("eth_getBlockByNumber", json!("0x1")),
        ("eth_getBlockByNumber", json!("pending")),
    ] {
        let block = call(&rpc, method, json!([at, false])).await.unwrap();
        assert_eq!(block["transactions"], json!([hash]), "{method}");
        assert_eq!((&block["hash"], &block["number"]), (&json!(frame), &json!("0x1")));
    }
    // Decided is still 0, but a wallet that reads its nonce there must not use it twice.
    assert_eq!(call(&rpc, "eth_blockNumber", json!([])).await.unwrap(), "0x0");
    for tag in ["latest", "pending"] {
        assert_eq!(call(&rpc, "eth_getTransactionCount", json!([who, tag])).await.unwrap(), "0x1");
    }
    assert_eq!(call(&rpc, "eth_getTransactionCount", json!([who, "safe"])).await.unwrap(), "0x0");
    leader.close(true);
    leader.decide();
    let receipt = call(&rpc, "eth_getTransactionReceipt", json!([hash])).await.unwrap();
    let block = call(&rpc, "eth_getBlockByNumber", json!(["latest", true])).await.unwrap();
    assert_eq!(receipt["blockHash"], block["hash"]);
    assert_ne!(receipt["blockHash"], json!(frame));
    assert_eq!(block["transactions"][0]["hash"], json!(hash));
    let same = call(&rpc, "eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x0"])).await;
    assert_eq!(same.unwrap()["hash"], json!(hash));
    let receipts = call(&rpc, "eth_getBlockReceipts", json!(["latest"])).await.unwrap();
    assert_eq!(receipts[0]["transactionHash"], json!(hash));
}

#[tokio::test]
async fn contracts_calls_overrides_storage_proofs_and_estimates() {
    let mut leader = Leader::new();
    let rpc = leader.methods();
    let hash = leader.submit(&contract(0));
    leader.whole_block();
    let receipt = call(&rpc, "eth_getTransactionReceipt", json!([hash])).await.unwrap();
    let at = receipt["contractAddress"].as_str().unwrap().to_owned();
    let result = call(&rpc, "eth_call", json!([{ "to": at }, "latest"])).await.unwrap();
    assert_eq!(number(&json!(result.as_str().unwrap()[58..])), 42);
    // PUSH0 PUSH0 REVERT in place of the code.
    let change = json!({ &at: { "code": "0x5f5ffd" } });
    let reverted =
        call(&rpc, "eth_call", json!([{ "to": at }, "latest", change])).await.unwrap_err();
    assert_eq!((&reverted["code"], &reverted["data"]), (&json!(3), &json!("0x")));
    let gas = call(&rpc, "eth_estimateGas", json!([{ "from": user(1).address(), "to": at }])).await;
    assert!((40_000..80_000).contains(&number(&gas.unwrap())));
    let list = call(&rpc, "eth_createAccessList", json!([{ "to": at }, "latest"])).await.unwrap();
    assert_eq!(list["accessList"][0]["storageKeys"].as_array().unwrap().len(), 1);
    leader.submit(&poke(1, &at));
    leader.whole_block();
    let zero = "0x0";
    let word = call(&rpc, "eth_getStorageAt", json!([at, zero, "latest"])).await.unwrap();
    assert_eq!(number(&json!(word.as_str().unwrap()[58..])), 7);
    assert_eq!(
        number(
            &call(&rpc, "eth_getStorageAt", json!([at, zero, "0x1"]))
                .await
                .unwrap()
                .as_str()
                .map(|s| json!(s[58..]))
                .unwrap()
        ),
        0
    );
    let proof = call(&rpc, "eth_getProof", json!([at, [zero], "latest"])).await.unwrap();
    assert_eq!(proof["storageProof"][0]["value"], "0x7");
    assert!(!proof["accountProof"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn logs_by_range_address_topic_hash_and_filter() {
    let mut leader = Leader::new();
    let rpc = leader.methods();
    let made = leader.submit(&contract(0));
    leader.whole_block();
    let receipt = call(&rpc, "eth_getTransactionReceipt", json!([made])).await.unwrap();
    let at = receipt["contractAddress"].as_str().unwrap().to_owned();
    let topic = keccak256(b"Ping()");
    let filter = call(&rpc, "eth_newFilter", json!([{ "address": at }])).await.unwrap();
    let blocks = call(&rpc, "eth_newBlockFilter", json!([])).await.unwrap();
    let admitted = call(&rpc, "eth_newPendingTransactionFilter", json!([])).await.unwrap();
    let hash = leader.submit(&poke(1, &at));
    leader.frame();
    let pending = json!([{ "fromBlock": "pending", "toBlock": "pending", "topics": [topic] }]);
    assert_eq!(call(&rpc, "eth_getLogs", pending).await.unwrap().as_array().unwrap().len(), 1);
    leader.close(true);
    leader.decide();
    let block = call(&rpc, "eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
    for (query, count) in [
        (json!({ "fromBlock": "0x0", "toBlock": "latest" }), 1),
        (json!({ "fromBlock": "0x0", "address": at, "topics": [[topic]] }), 1),
        (json!({ "blockHash": block["hash"] }), 1),
        (json!({ "fromBlock": "0x0", "topics": [keccak256(b"Pong()")] }), 0),
        (json!({ "fromBlock": "0x0", "toBlock": "0x1" }), 0),
    ] {
        let logs = call(&rpc, "eth_getLogs", json!([query])).await.unwrap();
        assert_eq!(logs.as_array().unwrap().len(), count, "{query}");
    }
    let logs = call(&rpc, "eth_getFilterChanges", json!([filter])).await.unwrap();
    assert_eq!(logs[0]["transactionHash"], json!(hash));
    assert_eq!(logs[0]["blockHash"], block["hash"]);
    assert_eq!(call(&rpc, "eth_getFilterChanges", json!([filter])).await.unwrap(), json!([]));
    let news = call(&rpc, "eth_getFilterChanges", json!([blocks])).await.unwrap();
    assert_eq!(news, json!([block["hash"]]));
    let seen = call(&rpc, "eth_getFilterChanges", json!([admitted])).await.unwrap();
    assert_eq!(seen, json!([hash]));
    assert_eq!(call(&rpc, "eth_uninstallFilter", json!([filter])).await.unwrap(), json!(true));
    assert_eq!(
        call(&rpc, "eth_getFilterChanges", json!([filter])).await.unwrap_err()["code"],
        -32000
    );
}

#[tokio::test]
async fn fees_constants_and_uncles() {
    let mut leader = Leader::new();
    let rpc = leader.methods();
    leader.submit(&transfer(1, 0));
    leader.whole_block();
    leader.whole_block();
    let history = call(&rpc, "eth_feeHistory", json!(["0xa", "latest", [20, 80]])).await.unwrap();
    assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 4);
    assert_eq!(history["oldestBlock"], "0x0");
    assert_eq!(history["reward"][1], json!(["0xf4240", "0xf4240"]));
    let bad = call(&rpc, "eth_feeHistory", json!([4, "latest", [80, 20]])).await.unwrap_err();
    assert_eq!(bad["code"], -32602);
    for (method, params, want) in [
        ("eth_chainId", json!([]), json!("0x12cc9")),
        ("net_version", json!([]), json!("77001")),
        ("net_listening", json!([]), json!(true)),
        ("net_peerCount", json!([]), json!("0x3")),
        ("eth_syncing", json!([]), json!(false)),
        ("eth_accounts", json!([]), json!([])),
        ("eth_blobBaseFee", json!([]), json!("0x1")),
        ("eth_maxPriorityFeePerGas", json!([]), json!("0xf4240")),
        ("web3_sha3", json!(["0x"]), json!(keccak256(b""))),
        ("eth_getUncleCountByBlockNumber", json!(["0x1"]), json!("0x0")),
        ("eth_getUncleByBlockNumberAndIndex", json!(["0x1", "0x0"]), Value::Null),
        ("eth_getBlockTransactionCountByNumber", json!(["0x1"]), json!("0x1")),
        ("txpool_status", json!([]), json!({ "pending": "0x0", "queued": "0x0" })),
    ] {
        assert_eq!(call(&rpc, method, params).await.unwrap(), want, "{method}");
    }
    let price = number(&call(&rpc, "eth_gasPrice", json!([])).await.unwrap());
    assert!(price > number(&history["baseFeePerGas"][3]));
}

#[tokio::test]
async fn mistakes_are_answered_with_words() {
    let leader = Leader::new();
    let rpc = leader.methods();
    for (method, params, code, words) in [
        ("eth_getBalance", json!([]), -32602, "missing parameter: address"),
        ("eth_getBalance", json!(["0x12"]), -32602, "invalid parameter address"),
        ("eth_getBalance", json!([user(1).address(), "newest"]), -32602, "newest is no block"),
        ("eth_getBalance", json!([user(1).address(), "0xff"]), -32001, "block 0xff is not known"),
        ("eth_getBalance", json!({ "address": 1 }), -32602, "parameters must be an array"),
        ("eth_getTransactionReceipt", json!(["0x1234"]), -32602, "invalid parameter hash"),
        ("eth_call", json!([{ "to": "nobody" }]), -32602, "invalid parameter transaction"),
        ("preconf_getTransactionStatus", json!([keccak256(b"")]), 7003, "unknown transaction"),
        ("preconf_getReceipt", json!([keccak256(b"")]), 7003, "unknown transaction"),
        ("seq_commitCertificate", json!([9]), 7102, "height 9 is not decided"),
        ("seq_validators", json!([500]), 7102, "not known"),
        ("eth_newThing", json!([]), -32601, "Method not found"),
    ] {
        let error = call(&rpc, method, params).await.unwrap_err();
        assert_eq!(error["code"], code, "{method}: {error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{method}: {error}");
        if code != -32601 {
            assert!(error["data"]["hint"].is_string(), "{method}: {error}");
        }
    }
}
