//! The view, the submitter and the RPC server, driven by a leader that the tests play.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "what goes wrong fails the test"
)]

mod clients;
mod golden;
mod insurance;
mod methods;
mod rewards;
mod send;
mod server;
mod stream;
mod subscribe;
mod support;
mod view;

use serde_json::{Value, json};

/// Calls a method in process: the result, or the error object.
async fn call(methods: &jsonrpsee::Methods, method: &str, params: Value) -> Result<Value, Value> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let (answer, _) = methods.raw_json_request(&request.to_string(), 1).await.unwrap();
    let mut answer: Value = serde_json::from_str(answer.get()).unwrap();
    match answer.get_mut("error") {
        Some(error) => Err(error.take()),
        None => Ok(answer["result"].take()),
    }
}
