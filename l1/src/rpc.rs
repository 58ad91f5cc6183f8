//! L1 over JSON-RPC and a blob source.
//!
//! Not for: sending (`RpcSender`). Invariant: logs are taken only from an endpoint that has the block they are asked up to.

mod logs;
mod proof;
mod sets;

use crate::bindings::Inbox;
use crate::chain::{At, L1, L1Block, PostedBatch};
use crate::endpoints::{Endpoints, Fault, client};
use crate::sets::FrozenSets;
use crate::{BatchPost, BlobSource, Deposited, Enqueued, L1Error, Turn, blobs};
use alloy::consensus::BlockHeader;
use alloy::eips::BlockNumberOrTag;
use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::TransactionRequest;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use futures::FutureExt;
use futures::future::BoxFuture;
use rota_types::{SetProof, Validator, ValidatorSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Where L1 is.
#[derive(Debug, Clone)]
pub struct RpcConfig {
    /// JSON-RPC endpoints, the preferred first.
    pub urls: Vec<String>,
    /// Blob sources, the preferred first.
    pub blob_sources: Vec<BlobSource>,
    /// The Registry contract.
    pub registry: Address,
    /// The Inbox contract.
    pub inbox: Address,
    /// For one request.
    pub timeout: Duration,
}

/// Reads L1 over the network.
#[derive(Debug)]
pub struct RpcL1 {
    endpoints: Arc<Endpoints>,
    http: reqwest::Client,
    config: RpcConfig,
    /// The queue of forced transactions: the inbox says where it is, and never changes it.
    queue: OnceLock<Address>,
    /// As `queue`.
    portal: OnceLock<Address>,
}

impl RpcL1 {
    /// Connects to nothing yet; the first question does.
    pub fn new(config: RpcConfig) -> Result<Self, L1Error> {
        let endpoints = Arc::new(Endpoints::new(&config.urls, config.timeout)?);
        let (queue, portal) = (OnceLock::new(), OnceLock::new());
        Ok(Self { endpoints, http: client(config.timeout)?, config, queue, portal })
    }

    /// The endpoints, to share with a sender.
    #[must_use]
    pub fn endpoints(&self) -> Arc<Endpoints> {
        Arc::clone(&self.endpoints)
    }

    async fn call_inbox(&self, post: &BatchPost, from: Address) -> Result<(), L1Error> {
        let request = TransactionRequest {
            from: Some(from),
            to: Some(TxKind::Call(self.config.inbox)),
            input: post.calldata().into(),
            // What counts is that there is a blob, not which.
            blob_versioned_hashes: Some(vec![ANY_BLOB]),
            max_fee_per_blob_gas: Some(u128::from(u64::MAX)),
            ..Default::default()
        };
        let request = &request;
        let call = |p: RootProvider<Ethereum>| async move { Ok(p.call(request.clone()).await?) };
        self.endpoints.ask(call).await.map(|_| ())
    }

    /// Where the queue of forced transactions is.
    pub async fn forced_queue(&self) -> Result<Address, L1Error> {
        if let Some(known) = self.queue.get() {
            return Ok(*known);
        }
        let inbox = self.config.inbox;
        let asked = self
            .endpoints
            .ask(move |p| async move { Ok(Inbox::new(inbox, p).forced().call().await?) })
            .await?;
        Ok(*self.queue.get_or_init(|| asked))
    }

    /// Proof of an epoch's set under the newest final block. A set that is not frozen there has an id of zero.
    ///
    /// # Errors
    /// No endpoint gave one: many keep proofs of the newest blocks only.
    pub async fn set_proof(&self, epoch: u64) -> Result<SetProof, L1Error> {
        let registry = self.config.registry;
        self.endpoints.ask(move |p| proof::set_proof(p, registry, epoch)).await
    }

    /// Where deposits are made.
    pub async fn portal(&self) -> Result<Address, L1Error> {
        if let Some(known) = self.portal.get() {
            return Ok(*known);
        }
        let inbox = self.config.inbox;
        let asked = self
            .endpoints
            .ask(move |p| async move { Ok(Inbox::new(inbox, p).portal().call().await?) })
            .await?;
        Ok(*self.portal.get_or_init(|| asked))
    }

    async fn fetch(&self, block: &L1Block, hashes: &[B256]) -> Result<Bytes, L1Error> {
        let sources = &self.config.blob_sources;
        blobs::decode(&blobs::fetch(&self.http, sources, block, hashes).await?)
    }

    async fn read_block(p: &RootProvider<Ethereum>, at: At) -> Result<Option<L1Block>, Fault> {
        let tag = match at {
            At::Latest => BlockNumberOrTag::Latest,
            At::Finalized => BlockNumberOrTag::Finalized,
            At::Number(n) => BlockNumberOrTag::Number(n),
        };
        let Some(block) = p.get_block_by_number(tag).await? else { return Ok(None) };
        Ok(Some(L1Block {
            number: block.header.number(),
            hash: block.header.hash,
            parent_hash: block.header.parent_hash(),
            timestamp: block.header.timestamp(),
            prev_randao: block.header.mix_hash().unwrap_or_default(),
        }))
    }

    async fn require(p: &RootProvider<Ethereum>, want: L1Block) -> Result<(), Fault> {
        match Self::read_block(p, At::Number(want.number)).await? {
            Some(found) if found.hash == want.hash => Ok(()),
            _ => Err(Fault::View(L1Error::NotCanonical { number: want.number, hash: want.hash })),
        }
    }
}

/// A well-formed versioned hash.
const ANY_BLOB: B256 = {
    let mut bytes = [0u8; 32];
    bytes[0] = 1;
    B256::new(bytes)
};

impl L1 for RpcL1 {
    fn block(&self, at: At) -> BoxFuture<'_, Result<Option<L1Block>, L1Error>> {
        self.endpoints.ask(move |p| async move { Self::read_block(&p, at).await }).boxed()
    }

    fn operators(&self, block: u64) -> BoxFuture<'_, Result<Vec<Validator>, L1Error>> {
        let registry = self.config.registry;
        self.endpoints.ask(move |p| sets::operators(p, registry, block)).boxed()
    }

    fn epoch_at(&self, l1_number: u64) -> BoxFuture<'_, Result<u64, L1Error>> {
        let registry = self.config.registry;
        self.endpoints.ask(move |p| sets::epoch_at(p, registry, l1_number)).boxed()
    }

    fn frozen_sets(&self, block: u64) -> BoxFuture<'_, Result<FrozenSets, L1Error>> {
        let registry = self.config.registry;
        self.endpoints.ask(move |p| sets::frozen(p, registry, block)).boxed()
    }

    fn set_outdated(&self, block: u64) -> BoxFuture<'_, Result<bool, L1Error>> {
        let registry = self.config.registry;
        self.endpoints.ask(move |p| sets::outdated(p, registry, block)).boxed()
    }

    fn validator_set(
        &self,
        epoch: u64,
        block: u64,
    ) -> BoxFuture<'_, Result<Option<ValidatorSet>, L1Error>> {
        let registry = self.config.registry;
        self.endpoints.ask(move |p| sets::members(p, registry, epoch, block)).boxed()
    }

    fn batches(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<PostedBatch>, L1Error>> {
        let inbox = self.config.inbox;
        self.endpoints.ask(move |p| logs::batches(p, inbox, from, to)).boxed()
    }

    fn forced(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Enqueued>, L1Error>> {
        async move {
            let queue = self.forced_queue().await?;
            self.endpoints.ask(move |p| logs::forced(p, queue, from, to)).await
        }
        .boxed()
    }

    fn deposits(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Deposited>, L1Error>> {
        async move {
            let portal = self.portal().await?;
            self.endpoints.ask(move |p| logs::deposits(p, portal, from, to)).await
        }
        .boxed()
    }

    fn turns(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<Turn>, L1Error>> {
        let inbox = self.config.inbox;
        self.endpoints.ask(move |p| logs::turns(p, inbox, from, to)).boxed()
    }

    fn payload<'a>(&'a self, batch: &'a PostedBatch) -> BoxFuture<'a, Result<Bytes, L1Error>> {
        self.fetch(&batch.block, &batch.blob_hashes).boxed()
    }

    fn preflight<'a>(
        &'a self,
        post: &'a BatchPost,
        from: Address,
    ) -> BoxFuture<'a, Result<(), L1Error>> {
        self.call_inbox(post, from).boxed()
    }

    fn balance(&self, account: Address) -> BoxFuture<'_, Result<U256, L1Error>> {
        self.endpoints.ask(move |p| async move { Ok(p.get_balance(account).await?) }).boxed()
    }
}
