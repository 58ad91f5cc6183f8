//! L1 over JSON-RPC and a blob source.
//!
//! Not for: sending (`RpcSender`). Invariant: logs are taken only from an endpoint that has the block they are asked up to.

use crate::bindings::{Inbox, Registry};
use crate::chain::{At, L1, L1Block, PostedBatch};
use crate::endpoints::{Endpoints, Fault, client};
use crate::post::Submitted;
use crate::{BatchPost, BlobSource, Enqueued, L1Error, Turn, blobs};
use alloy::consensus::{BlockHeader, Transaction};
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{Filter, Log, TransactionRequest};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::SolEvent;
use futures::FutureExt;
use futures::future::BoxFuture;
use rota_types::{Validator, ValidatorSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Operators asked for in one call.
const PAGE: u64 = 50;
/// Blocks in one log query: the strictest of the common public limits.
const LOG_RANGE: u64 = 500;

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
}

impl RpcL1 {
    /// Connects to nothing yet; the first question does.
    pub fn new(config: RpcConfig) -> Result<Self, L1Error> {
        let endpoints = Arc::new(Endpoints::new(&config.urls, config.timeout)?);
        Ok(Self { endpoints, http: client(config.timeout)?, config })
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

    async fn read_operators(
        p: RootProvider<Ethereum>,
        registry: Address,
        block: u64,
    ) -> Result<Vec<Validator>, Fault> {
        let contract = Registry::new(registry, p);
        let mut all = Vec::new();
        loop {
            let from = U256::from(all.len());
            let page = contract
                .operators(from, U256::from(PAGE))
                .block(BlockId::number(block))
                .call()
                .await?;
            let last = u64::try_from(page.len()).unwrap_or(u64::MAX) < PAGE;
            all.extend(page.into_iter().map(validator));
            if last {
                return Ok(all);
            }
        }
    }

    async fn read_set(
        p: RootProvider<Ethereum>,
        registry: Address,
        epoch: u64,
        block: u64,
    ) -> Result<Option<ValidatorSet>, Fault> {
        let contract = Registry::new(registry, p.clone());
        let id = BlockId::number(block);
        let hash = contract.setHash(epoch).block(id).call().await?;
        if hash.is_zero() {
            return Ok(None);
        }
        let records = contract.setRecords(epoch).block(id).call().await?;
        let mut members = Self::read_operators(p, registry, block).await?;
        members.truncate(records.len() / 32);
        let set = ValidatorSet::new(epoch, members);
        if set.hash() == hash {
            Ok(Some(set))
        } else {
            Err(Fault::Endpoint(format!(
                "operators of epoch {epoch} do not hash to the frozen set"
            )))
        }
    }

    async fn read_batches(
        p: RootProvider<Ethereum>,
        inbox: Address,
        from: u64,
        to: L1Block,
    ) -> Result<Vec<PostedBatch>, Fault> {
        Self::require(&p, to).await?;
        let (mut blocks, mut out) = (BTreeMap::new(), Vec::new());
        let mut start = from;
        while start <= to.number {
            let end = start.saturating_add(LOG_RANGE - 1).min(to.number);
            let filter = Filter::new()
                .address(inbox)
                .event_signature(Inbox::BatchAccepted::SIGNATURE_HASH)
                .from_block(start)
                .to_block(end);
            for log in p.get_logs(&filter).await? {
                if let Some(batch) = Self::read_batch(&p, inbox, &log, &mut blocks).await? {
                    out.push(batch);
                }
            }
            start = end.saturating_add(1);
        }
        // The chain may have moved while the logs were read.
        Self::require(&p, to).await?;
        out.sort_by_key(|b| (b.block.number, b.log_index));
        Ok(out)
    }

    /// None for a batch whose transaction does not call the inbox itself: its header and certificate are not in plain
    /// sight, so for all readers alike it does not count (anyone can post it again).
    async fn read_batch(
        p: &RootProvider<Ethereum>,
        inbox: Address,
        log: &Log,
        blocks: &mut BTreeMap<u64, L1Block>,
    ) -> Result<Option<PostedBatch>, Fault> {
        let nonsense = |what: &str| Fault::Endpoint(format!("log of the inbox without {what}"));
        let event = Inbox::BatchAccepted::decode_log(&log.inner)
            .map_err(|e| Fault::Endpoint(format!("event of the inbox: {e}")))?;
        let number = log.block_number.ok_or_else(|| nonsense("a block number"))?;
        let tx_hash = log.transaction_hash.ok_or_else(|| nonsense("a transaction"))?;
        let log_index = log.log_index.ok_or_else(|| nonsense("an index"))?;
        let block = match blocks.get(&number) {
            Some(block) => *block,
            None => Self::read_block(p, At::Number(number))
                .await?
                .ok_or_else(|| nonsense("its block"))?,
        };
        blocks.insert(number, block);
        if log.block_hash != Some(block.hash) {
            return Err(Fault::View(L1Error::NotCanonical { number, hash: block.hash }));
        }
        let tx =
            p.get_transaction_by_hash(tx_hash).await?.ok_or_else(|| nonsense("its transaction"))?;
        if tx.to() != Some(inbox) {
            return Ok(None);
        }
        let place = (block, log_index, tx_hash);
        Ok(Submitted::decode(tx.input()).and_then(|s| assemble(place, &event, &s)))
    }
}

fn assemble(
    (block, log_index, tx_hash): (L1Block, u64, B256),
    event: &Inbox::BatchAccepted,
    submitted: &Submitted,
) -> Option<PostedBatch> {
    let b = &submitted.call.b;
    let same =
        (b.fromHeight, b.toHeight, b.round) == (event.fromHeight, event.toHeight, event.round);
    same.then_some(())?;
    Some(PostedBatch {
        block,
        log_index,
        tx_hash,
        from_height: b.fromHeight,
        to_height: b.toHeight,
        repost: b.repost,
        header: submitted.header.clone(),
        certificate: submitted.certificate(event.valueId)?,
        blob_hashes: event.blobHashes.clone(),
    })
}

fn validator(o: Registry::Operator) -> Validator {
    Validator {
        owner: o.owner,
        seq_key: o.seqKey.0,
        vote_key: o.voteKey,
        stake: U256::from(o.stake),
        fee_recipient: o.feeRecipient,
        // An operator chooses these bytes; what is no text cannot be dialled either.
        peer: String::from_utf8_lossy(&o.peer).into_owned(),
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
        self.endpoints.ask(move |p| Self::read_operators(p, registry, block)).boxed()
    }

    fn validator_set(
        &self,
        epoch: u64,
        block: u64,
    ) -> BoxFuture<'_, Result<Option<ValidatorSet>, L1Error>> {
        let registry = self.config.registry;
        self.endpoints.ask(move |p| Self::read_set(p, registry, epoch, block)).boxed()
    }

    fn batches(&self, from: u64, to: L1Block) -> BoxFuture<'_, Result<Vec<PostedBatch>, L1Error>> {
        let inbox = self.config.inbox;
        self.endpoints.ask(move |p| Self::read_batches(p, inbox, from, to)).boxed()
    }

    fn forced(&self, _: u64, _: L1Block) -> BoxFuture<'_, Result<Vec<Enqueued>, L1Error>> {
        // Until the contract is there.
        async { Ok(Vec::new()) }.boxed()
    }

    fn turns(&self, _: u64, _: L1Block) -> BoxFuture<'_, Result<Vec<Turn>, L1Error>> {
        // Until the contract is there.
        async { Ok(Vec::new()) }.boxed()
    }

    fn payload<'a>(&'a self, batch: &'a PostedBatch) -> BoxFuture<'a, Result<Bytes, L1Error>> {
        async move {
            let sources = &self.config.blob_sources;
            let found = blobs::fetch(&self.http, sources, &batch.block, &batch.blob_hashes).await?;
            blobs::decode(&found)
        }
        .boxed()
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
