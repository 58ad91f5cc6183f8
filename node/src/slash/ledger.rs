//! What nodes of the rollup say: certified heights with their checkpoints, and block headers.
//!
//! Not for: believing it. A certified height verifies against a set of L1, a header against a proven hash. Queue: none, one
//! question at a time.

use crate::rpc::error;
use alloy::{
    consensus::Header as BlockHeader,
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::types::Block,
    transports::{RpcError, TransportErrorKind},
};
use alloy_primitives::Bytes;
use eyre::{WrapErr, eyre};
use rota_types::LightProof;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{future::Future, time::Duration};

/// For one answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where certified heights and blocks come from.
pub(super) trait Ledger: Sync {
    /// A height under the certificate of another one that is not below it; none if this node does not have it.
    fn certified(
        &self,
        height: u64,
        under: u64,
    ) -> impl Future<Output = eyre::Result<Option<LightProof>>> + Send;

    /// The newest height that names a checkpoint, under the newest certificate.
    fn newest(&self) -> impl Future<Output = eyre::Result<Option<LightProof>>> + Send;

    /// RLP of a block's header; none if this node does not have it.
    fn header(&self, number: u64) -> impl Future<Output = eyre::Result<Option<Bytes>>> + Send;
}

/// A node that is asked over its JSON-RPC.
#[derive(Debug, Clone)]
pub(super) struct Remote(DynProvider);

impl Remote {
    pub(super) fn new(url: &str) -> eyre::Result<Self> {
        let url = url.parse().wrap_err("an address of a node")?;
        Ok(Self(ProviderBuilder::new().connect_http(url).erased()))
    }

    /// None if it refuses with a code that says: not here, and not later.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
        absent: &[i32],
    ) -> eyre::Result<Option<T>> {
        let asked = self.0.raw_request::<_, Value>(method.into(), params);
        let answer = tokio::time::timeout(TIMEOUT, asked).await;
        match answer.map_err(|_| eyre!("a node does not answer {method}"))? {
            Ok(found) => Ok(serde_json::from_value(found).wrap_err(method)?),
            Err(RpcError::ErrorResp(e)) if absent.iter().any(|code| i64::from(*code) == e.code) => {
                Ok(None)
            }
            Err(RpcError::ErrorResp(e)) => Err(eyre!("a node refuses {method}: {}", e.message)),
            // Its text could hold the address with what is secret in it.
            Err(RpcError::Transport(TransportErrorKind::HttpError(e))) => {
                Err(eyre!("a node answers {method} with status {}", e.status))
            }
            Err(_) => Err(eyre!("a node does not answer {method}")),
        }
    }
}

impl Ledger for Remote {
    async fn certified(&self, height: u64, under: u64) -> eyre::Result<Option<LightProof>> {
        let params = json!([format!("{height:#x}"), format!("{under:#x}")]);
        self.ask("rota_getProof", params, &[error::HEIGHT_PRUNED]).await
    }

    async fn newest(&self) -> eyre::Result<Option<LightProof>> {
        self.ask("rota_getProof", json!(["checkpoint"]), &[error::NOT_FOUND]).await
    }

    async fn header(&self, number: u64) -> eyre::Result<Option<Bytes>> {
        let params = json!([format!("{number:#x}"), false]);
        let block: Option<Option<Block>> = self.ask("eth_getBlockByNumber", params, &[]).await?;
        let header: Option<BlockHeader> = block.flatten().map(|b| b.header.inner);
        Ok(header.map(|h| alloy_rlp::encode(&h).into()))
    }
}
