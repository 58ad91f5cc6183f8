//! Asking a node over its JSON-RPC: plain requests over HTTP, subscriptions over WebSocket.
//!
//! Invariant: an answer that is an error of the node is told apart from a node that does not answer.

use crate::exit::{Exit, Failure};
use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::transports::{RpcError, TransportError};
use alloy_primitives::Bytes;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use rota_l1::bridge_error;
use serde_json::Value;
use std::time::Duration;

/// For connecting.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A node that is asked.
pub(super) struct Node {
    url: String,
    pub(super) provider: DynProvider,
}

impl Node {
    pub(super) fn new(url: &str) -> Result<Self, Failure> {
        let parsed = url.parse().map_err(|e| {
            Failure::new(Exit::Usage, format!("--rpc-url is no address: {e}"))
                .hint("write it like http://127.0.0.1:8545")
        })?;
        let provider = ProviderBuilder::new().connect_http(parsed).erased();
        Ok(Self { url: url.to_owned(), provider })
    }

    /// One request.
    pub(super) async fn ask(&self, method: &'static str, params: Value) -> Result<Value, Failure> {
        let asked = tokio::time::timeout(TIMEOUT, self.provider.raw_request(method.into(), params));
        match asked.await {
            Ok(answer) => answer.map_err(|e| self.failed(&e)),
            Err(_) => Err(self.silent("no answer in time")),
        }
    }

    /// A WebSocket to the same port.
    pub(super) async fn socket(&self) -> Result<WsClient, Failure> {
        let url = self.url.replacen("http", "ws", 1);
        let connecting = WsClientBuilder::default().connection_timeout(TIMEOUT).build(&url);
        connecting.await.map_err(|e| self.silent(&e.to_string()))
    }

    /// An error of a request, in words.
    pub(super) fn failed(&self, e: &TransportError) -> Failure {
        match e {
            RpcError::ErrorResp(payload) => {
                refused(&payload.message, payload.data.as_ref().map(|d| d.get()))
            }
            other => self.silent(&other.to_string()),
        }
    }

    fn silent(&self, why: &str) -> Failure {
        let why = why.replace(self.url.trim_end_matches('/'), "it");
        let host = self.url.split("://").nth(1).unwrap_or_default();
        let host = host.split(['/', '?']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        Failure::new(Exit::Unreachable, format!("the node at {host} does not answer: {why}"))
            .hint("start one with rota run or rota devnet up, or name it with --rpc-url")
    }
}

/// The node's own refusal; its hint, if it gives one, is the better one.
fn refused(message: &str, data: Option<&str>) -> Failure {
    let data: Option<Value> = data.and_then(|d| serde_json::from_str(d).ok());
    let reverted: Option<Bytes> = data.clone().and_then(|d| serde_json::from_value(d).ok());
    let name = reverted.and_then(|data| bridge_error(&data));
    let message = name.map_or_else(|| message.to_owned(), |name| format!("{message}: {name}"));
    let otherwise = match name {
        Some("Vault_TooEarly") => {
            "somebody released them just now: rota rewards release says when the next may be"
        }
        _ => "rota status shows how the node is",
    };
    let hint = data.as_ref().and_then(|d| d.get("hint")).and_then(Value::as_str);
    Failure::new(Exit::Failed, message).hint(hint.unwrap_or(otherwise))
}
