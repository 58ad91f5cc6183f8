//! The Engine API over HTTP.
//!
//! Not for: deciding what to ask. Invariant: every request carries a token of its own second (HS256, `iat`), and the
//! secret is in no error and no log.

use super::{Answer, Ask, EngineBlock, ExternalError, Failed, Hello};
use crate::keys::{KeyFileError, Secret};
use alloy_primitives::{B256, U64, hex};
use alloy_rpc_types_engine::{
    Claims, ForkchoiceState, ForkchoiceUpdated, JwtSecret, PayloadStatus,
};
use reqwest::{StatusCode, header};
use rota_types::Millis;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{fmt, path::Path, time::Duration};
use zeroize::Zeroizing;

const NEW_PAYLOAD: &str = "engine_newPayloadV4";
const FORKCHOICE: &str = "engine_forkchoiceUpdatedV3";
const CAPABILITIES: &str = "engine_exchangeCapabilities";
/// "Method not found".
const NO_METHOD: i64 = -32_601;
/// For one request: a client that executes a large block may take long.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer that is read.
const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// Longest text of an answer that is repeated in an error.
const MAX_TEXT: usize = 300;

/// How a client is reached.
#[derive(Clone)]
pub struct EngineConfig {
    /// Its authenticated address, `http://host:8551`.
    pub url: String,
    secret: JwtSecret,
}

impl fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineConfig").field("url", &self.url).finish_non_exhaustive()
    }
}

impl EngineConfig {
    /// With the secret that both sides read: 32 bytes in hex in a file that nobody else may read.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn open(url: String, secret: &Path) -> Result<Self, KeyFileError> {
        let bytes = Secret::read(secret)?;
        let digits = Zeroizing::new(hex::encode(bytes.expose()));
        let malformed = |_| KeyFileError::Malformed(secret.into());
        let secret = JwtSecret::from_hex(digits.as_str()).map_err(malformed)?;
        Ok(Self { url, secret })
    }

    /// A token of this second; clients take it for a minute.
    ///
    /// # Errors
    /// Never with a secret of 32 bytes.
    pub fn token(&self, now: Millis) -> Result<String, Failed> {
        let iat = now.checked_div(1_000).unwrap_or_default();
        let token = self.secret.encode(&Claims { iat, exp: None });
        token.map_err(|_| Failed::Nonsense("no token could be made".into()))
    }
}

/// A client.
#[derive(Debug)]
pub struct EngineClient {
    config: EngineConfig,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct RpcAnswer {
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct RpcError {
    code: i64,
    message: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct BlockRef {
    hash: B256,
}

#[derive(Deserialize)]
struct Version {
    name: String,
    version: String,
}

impl EngineClient {
    /// Connects when it is first asked.
    ///
    /// # Errors
    /// [`ExternalError::Setup`].
    pub fn new(config: EngineConfig) -> Result<Self, ExternalError> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).build();
        let http = http.map_err(|e| ExternalError::Setup(e.to_string()))?;
        Ok(Self { config, http })
    }

    /// Where it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.url
    }

    /// Asks. Every failure is an answer.
    pub async fn ask(&self, ask: &Ask, now: Millis) -> Answer {
        let answer = match ask {
            Ask::Hello => self.hello(now).await.map(Answer::Hello),
            Ask::HashAt(number) => self.hash_at(*number, now).await.map(Answer::HashAt),
            Ask::Payload(block) => self.payload(block, now).await.map(Answer::Status),
            Ask::Forkchoice(_, state) => self.forkchoice(state, now).await.map(Answer::Status),
        };
        answer.unwrap_or_else(Answer::Failed)
    }

    /// Gives a block to execute.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn payload(&self, block: &EngineBlock, now: Millis) -> Result<PayloadStatus, Failed> {
        self.call(NEW_PAYLOAD, block.params(), now).await
    }

    async fn forkchoice(
        &self,
        state: &ForkchoiceState,
        now: Millis,
    ) -> Result<PayloadStatus, Failed> {
        let updated: ForkchoiceUpdated = self.call(FORKCHOICE, json!([state, null]), now).await?;
        Ok(updated.payload_status)
    }

    async fn hash_at(&self, number: u64, now: Millis) -> Result<Option<B256>, Failed> {
        let params = json!([U64::from(number), false]);
        let found = self.call::<Option<BlockRef>>("eth_getBlockByNumber", params, now).await;
        match found {
            Ok(found) => Ok(found.map(|b| b.hash)),
            // Some clients call a block that they do not have an error.
            Err(Failed::Refused { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    async fn hello(&self, now: Millis) -> Result<Hello, Failed> {
        let missing = |missing| Failed::NoEngine { url: self.config.url.clone(), missing };
        let wanted = json!([[NEW_PAYLOAD, FORKCHOICE]]);
        let serves: Vec<String> = match self.call(CAPABILITIES, wanted, now).await {
            Err(Failed::Refused { code: NO_METHOD, .. }) => return Err(missing("Engine API")),
            other => other?,
        };
        for method in [NEW_PAYLOAD, FORKCHOICE] {
            if !serves.iter().any(|m| m == method) {
                return Err(missing(method));
            }
        }
        let chain_id: U64 = self.call("eth_chainId", json!([]), now).await?;
        let latest: U64 = self.call("eth_blockNumber", json!([]), now).await?;
        let genesis = self.hash_at(0, now).await?;
        let genesis = genesis.ok_or_else(|| Failed::Nonsense("it has no block 0".into()))?;
        let version = self.version(now).await;
        Ok(Hello { version, chain_id: chain_id.to(), genesis, latest: latest.to() })
    }

    /// For logs and reports only.
    async fn version(&self, now: Millis) -> String {
        let own = json!([{ "code": "RO", "name": "rota", "version": env!("CARGO_PKG_VERSION"), "commit": "0x00000000" }]);
        let told = self.call::<Vec<Version>>("engine_getClientVersionV1", own, now).await;
        let first = told.ok().and_then(|v| v.into_iter().next());
        first.map_or_else(|| "unnamed".into(), |v| format!("{} {}", v.name, v.version))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
        now: Millis,
    ) -> Result<T, Failed> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self.http.post(&self.config.url).bearer_auth(self.config.token(now)?);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let mut answer = request.body(body.to_string()).send().await.map_err(unreachable)?;
        let status = answer.status();
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            text.extend_from_slice(&chunk);
            if text.len() > MAX_ANSWER {
                return Err(Failed::Nonsense(format!("more than {MAX_ANSWER} bytes")));
            }
        }
        if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) {
            return Err(Failed::Unauthorized(shorten(&text)));
        }
        let parsed = serde_json::from_slice::<RpcAnswer>(&text);
        let RpcAnswer { result, error } =
            parsed.map_err(|_| Failed::Nonsense(format!("HTTP {status}: {}", shorten(&text))))?;
        if let Some(RpcError { code, message, data }) = error {
            let detail = data.get("err").and_then(Value::as_str).unwrap_or_default();
            let message = if detail.is_empty() { message } else { format!("{message}: {detail}") };
            return Err(Failed::Refused { code, message });
        }
        let result = result.unwrap_or(Value::Null);
        serde_json::from_value(result).map_err(|e| Failed::Nonsense(format!("{method}: {e}")))
    }
}

/// The innermost cause is the one that says "connection refused".
fn unreachable(error: reqwest::Error) -> Failed {
    let error = error.without_url();
    if error.is_timeout() {
        return Failed::Unreachable(format!("no answer within {} s", TIMEOUT.as_secs()));
    }
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Failed::Unreachable(cause.to_string())
}

fn shorten(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
