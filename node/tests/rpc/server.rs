//! The listening server: batches, limits, ids, CORS, WebSocket.

use crate::support::{Leader, transfer};
use jsonrpsee::core::client::{ClientT, Subscription, SubscriptionClientT};
use rota_node::rpc::{RpcConfig, RpcServer, serve};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn start(leader: &Leader, change: impl FnOnce(&mut RpcConfig)) -> (RpcServer, String) {
    let mut config = RpcConfig::default();
    change(&mut config);
    let server = serve("127.0.0.1:0".parse().unwrap(), leader.backend(config)).await.unwrap();
    let url = format!("http://{}", server.addr());
    (server, url)
}

/// One request on its own connection: status, headers in lower case, body.
async fn request(url: &str, method: &str, headers: &str, body: &str) -> (u16, String, Value) {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\norigin: https://wallet.example\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses the size may close before it has read everything.
    let _ = stream.write_all(body.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), serde_json::from_str(body).unwrap_or_default())
}

async fn post(url: &str, body: String) -> (u16, Value) {
    let (status, _, answer) = request(url, "POST", "", &body).await;
    (status, answer)
}

#[tokio::test]
async fn batches_ids_limits_and_cors() {
    let leader = Leader::new();
    let (server, url) = start(&leader, |c| c.max_body = 20_000).await;
    let batch = json!([
        { "jsonrpc": "2.0", "id": "a", "method": "eth_chainId", "params": [] },
        { "jsonrpc": "2.0", "id": 18_446_744_073_709_551_615u64, "method": "eth_fillTransaction", "params": [{}] },
        { "jsonrpc": "2.0", "id": 3, "method": "net_version" },
    ]);
    let (status, answer) = post(&url, batch.to_string()).await;
    assert_eq!(status, 200);
    assert_eq!((&answer[0]["id"], &answer[0]["result"]), (&json!("a"), &json!("0x12cc9")));
    assert_eq!(answer[1]["id"], json!(18_446_744_073_709_551_615u64));
    assert_eq!(answer[1]["error"]["code"], -32601);
    assert_eq!(answer[2]["result"], "77001");
    let one = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] });
    let (_, answer) = post(&url, json!(vec![one.clone(); 101]).to_string()).await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("batch"), "{answer}");
    let (_, answer) = post(&url, json!(vec![one.clone(); 100]).to_string()).await;
    assert_eq!(answer.as_array().unwrap().len(), 100);
    let (status, _) = post(&url, format!("\"{}\"", "x".repeat(30_000))).await;
    assert_eq!(status, 413);
    let (_, answer) = post(&url, "{".to_owned()).await;
    assert_eq!(answer["error"]["code"], -32700);
    let asks = "access-control-request-method: POST\r\n";
    let (_, preflight, _) = request(&url, "OPTIONS", asks, "").await;
    assert!(preflight.contains("access-control-allow-origin: *"), "{preflight}");
    server.stop().await;
}

#[tokio::test]
async fn websocket_carries_calls_and_subscriptions_on_the_same_port() {
    let mut leader = Leader::new();
    let (server, url) = start(&leader, |_| ()).await;
    let url = url.replace("http", "ws");
    let client = jsonrpsee::ws_client::WsClientBuilder::default().build(&url).await.unwrap();
    let id: String = client.request("eth_chainId", jsonrpsee::rpc_params![]).await.unwrap();
    assert_eq!(id, "0x12cc9");
    let mut frames: Subscription<Value> = client
        .subscribe("preconf_subscribe", jsonrpsee::rpc_params!["frames"], "preconf_unsubscribe")
        .await
        .unwrap();
    // Wallets take hex text only.
    let heads: Value =
        client.request("eth_subscribe", jsonrpsee::rpc_params!["newHeads"]).await.unwrap();
    assert!(heads.as_str().unwrap().starts_with("0x"));
    let raw = transfer(1, 0);
    let hash = leader.submit(&raw);
    leader.frame();
    let message = frames.next().await.unwrap().unwrap();
    assert_eq!(message["data"]["transactions"], json!([hash]));
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn a_header_asks_for_more_certainty_than_the_default() {
    let mut leader = Leader::new();
    let (server, url) = start(&leader, |_| ()).await;
    let hash = leader.submit(&transfer(1, 0));
    leader.close(true);
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionReceipt", "params": [hash] });
    let ask = async |headers: &str| request(&url, "POST", headers, &body.to_string()).await.2;
    assert_eq!(ask("").await["result"]["transactionHash"], json!(hash));
    assert!(ask("x-preconf-min-stage: decided\r\n").await["result"].is_null());
    leader.decide();
    assert!(ask("x-preconf-min-stage: decided\r\n").await["result"].is_object());
    assert!(ask("x-preconf-min-stage: desided\r\n").await["result"].is_null());
    server.stop().await;
}

#[tokio::test]
async fn calls_are_counted_by_method_and_outcome() {
    let leader = Leader::new();
    let (server, url) = start(&leader, |_| ()).await;
    let call = |method: &str| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] });
    for method in ["eth_chainId", "eth_chainId", "eth_getBalance", "made_up", "made_up_too"] {
        post(&url, call(method).to_string()).await;
    }
    post(&url, json!([call("eth_chainId"), call("net_version")]).to_string()).await;
    let mut counted: Vec<_> = server.counts().take().collect();
    counted.sort_unstable();
    assert_eq!(
        counted,
        [
            ("eth_chainId", "batch", 1),
            ("eth_chainId", "ok", 2),
            ("eth_getBalance", "error", 1),
            ("net_version", "batch", 1),
            ("unknown", "error", 2),
        ]
    );
    assert_eq!(server.counts().take().count(), 0, "taken once");
    server.stop().await;
}
