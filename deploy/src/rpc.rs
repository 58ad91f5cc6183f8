//! Asking nodes and the L1 how they are: short, and never fatal.

use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};

/// Asks over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Asker(reqwest::Client);

impl Asker {
    /// Gives up on each question after a while.
    pub(crate) fn new() -> Self {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(3)).build();
        Self(client.unwrap_or_default())
    }

    /// One JSON-RPC request; none if there is no answer or it is an error.
    pub(crate) async fn ask(&self, url: &str, method: &str, params: Value) -> Option<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer: Value = self.0.post(url).json(&body).send().await.ok()?.json().await.ok()?;
        answer.get("result").cloned()
    }

    /// As `ask`, for methods whose result may be null.
    pub(crate) async fn call(&self, url: &str, method: &str, params: Value) -> Option<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer: Value = self.0.post(url).json(&body).send().await.ok()?.json().await.ok()?;
        answer.get("error").is_none().then_some(answer)
    }

    /// Status of a page; none if nobody listens.
    pub(crate) async fn get(&self, url: &str) -> Option<(u16, String)> {
        let answer = self.0.get(url).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.unwrap_or_default()))
    }
}

/// As an address for HTTP.
pub(crate) fn http(addr: SocketAddr) -> String {
    format!("http://{addr}")
}

/// A quantity.
pub(crate) fn number(value: Option<&Value>) -> Option<u64> {
    let text = value?.as_str()?;
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}
