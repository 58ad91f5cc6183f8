//! Signing and broadcasting for one account over JSON-RPC.
//!
//! Invariant: signing is deterministic (RFC 6979), and blobs always carry EIP-7594 cell proofs, which anvil does not ask
//! for and Osaka nodes do.

use crate::endpoints::{Endpoints, Fault};
use crate::tx::{Inclusion, Observation, SendFault, SignedTx, TxChain, UnsignedTx};
use crate::{L1Error, blobs};
use alloy::consensus::{BlobTransactionSidecarEip7594, BlockHeader};
use alloy::eips::{BlockNumberOrTag, Encodable2718};
use alloy::network::{
    Ethereum, EthereumWallet, NetworkTransactionBuilder, TransactionBuilder, TransactionBuilder4844,
};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::TransactionRequest;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

/// Sends from one key.
pub struct RpcSender {
    endpoints: Arc<Endpoints>,
    wallet: EthereumWallet,
    account: Address,
    chain_id: u64,
    /// The last sidecar: proofs cost 0.3 s a blob and a dearer attempt has the same blobs.
    sidecar: Mutex<Option<(B256, BlobTransactionSidecarEip7594)>>,
}

impl fmt::Debug for RpcSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcSender")
            .field("endpoints", &self.endpoints)
            .field("account", &self.account)
            .field("chain_id", &self.chain_id)
            .finish_non_exhaustive()
    }
}

impl RpcSender {
    /// A sender on the chain with this id.
    #[must_use]
    pub fn new(endpoints: Arc<Endpoints>, signer: PrivateKeySigner, chain_id: u64) -> Self {
        let account = signer.address();
        let wallet = EthereumWallet::from(signer);
        Self { endpoints, wallet, account, chain_id, sidecar: Mutex::new(None) }
    }

    async fn sidecar(&self, payload: &Bytes) -> Result<BlobTransactionSidecarEip7594, L1Error> {
        let key = keccak256(payload);
        let known = self.sidecar.lock().as_ref().filter(|(k, _)| *k == key).map(|(_, s)| s.clone());
        if let Some(sidecar) = known {
            return Ok(sidecar);
        }
        let sidecar = blobs::encode(payload.clone()).await?;
        *self.sidecar.lock() = Some((key, sidecar.clone()));
        Ok(sidecar)
    }

    async fn build(&self, tx: &UnsignedTx) -> Result<SignedTx, L1Error> {
        let mut request = TransactionRequest::default()
            .with_from(self.account)
            .with_to(tx.request.to)
            .with_input(tx.request.input.clone())
            .with_value(tx.request.value)
            .with_gas_limit(tx.request.gas_limit)
            .with_nonce(tx.nonce)
            .with_chain_id(self.chain_id)
            .with_max_fee_per_gas(tx.fees.max_fee)
            .with_max_priority_fee_per_gas(tx.fees.tip);
        if let Some(payload) = &tx.request.payload {
            request.max_fee_per_blob_gas = Some(tx.fees.blob_fee);
            request = request.with_blob_sidecar_7594(self.sidecar(payload).await?);
        }
        let envelope =
            request.build(&self.wallet).await.map_err(|e| L1Error::Build(e.to_string()))?;
        Ok(SignedTx { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() })
    }

    async fn look(
        p: RootProvider<Ethereum>,
        account: Address,
        hashes: &[B256],
    ) -> Result<Observation, Fault> {
        let head = p
            .get_block_by_number(BlockNumberOrTag::Latest)
            .await?
            .ok_or_else(|| Fault::Endpoint("no newest block".into()))?;
        let next_nonce = p.get_transaction_count(account).await?;
        let mut inclusion = None;
        for hash in hashes {
            let Some(receipt) = p.get_transaction_receipt(*hash).await? else { continue };
            let (Some(block), Some(block_hash)) = (receipt.block_number, receipt.block_hash) else {
                continue;
            };
            let (success, gas_used) = (receipt.status(), receipt.gas_used);
            inclusion = Some(Inclusion { hash: *hash, block, block_hash, success, gas_used });
            break;
        }
        Ok(Observation {
            block: head.header.number(),
            base_fee: head.header.base_fee_per_gas().unwrap_or_default().into(),
            blob_base_fee: p.get_blob_base_fee().await?,
            tip: p.get_max_priority_fee_per_gas().await?,
            next_nonce,
            inclusion,
        })
    }

    async fn offer(&self, tx: &SignedTx) -> Result<(), SendFault> {
        let raw = &tx.raw;
        let answers = self
            .endpoints
            .ask_all(|p| async move { Ok(p.send_raw_transaction(raw).await.map(|_| ())?) })
            .await;
        let mut worst: Option<SendFault> = None;
        let mut down = Vec::new();
        for answer in answers {
            match answer {
                Ok(()) => return Ok(()),
                Err((fault, named)) => match classify(&fault, &named) {
                    None => return Ok(()),
                    Some(SendFault::Endpoint(why)) => down.push(why),
                    Some(other) => worst = worst.or(Some(other)),
                },
            }
        }
        Err(worst.unwrap_or_else(|| SendFault::Endpoint(down.join("; "))))
    }
}

/// What a refusal to take a transaction means, by the words of geth, reth, Nethermind and anvil (there are no codes for
/// it). None: the endpoint has it already.
fn classify(fault: &Fault, named: &str) -> Option<SendFault> {
    let Fault::Said { message, .. } = fault else {
        return Some(SendFault::Endpoint(named.to_string()));
    };
    let text = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    if has(&["already known", "already imported", "alreadyknown"]) {
        return None;
    }
    Some(if has(&["nonce too low", "nonce is too low", "oldnonce"]) {
        SendFault::NonceTooLow
    } else if has(&["replacement transaction underpriced", "replacementnotallowed"]) {
        SendFault::Underpriced
    } else if has(&["less than block b", "underpriced", "feetoolow", "max fee per "]) {
        SendFault::FeeTooLow
    } else if has(&["insufficient funds", "insufficientfunds"]) {
        SendFault::Funds(named.to_string())
    } else if has(&[
        "limit exceeded",
        "rate limit",
        "too many requests",
        "timeout",
        "already reserved",
        "txpool is full",
    ]) {
        SendFault::Endpoint(named.to_string())
    } else {
        SendFault::Rejected(named.to_string())
    })
}

impl TxChain for RpcSender {
    fn account(&self) -> Address {
        self.account
    }

    fn observe<'a>(&'a self, hashes: &'a [B256]) -> BoxFuture<'a, Result<Observation, L1Error>> {
        let account = self.account;
        self.endpoints.ask(move |p| Self::look(p, account, hashes)).boxed()
    }

    fn sign<'a>(&'a self, tx: &'a UnsignedTx) -> BoxFuture<'a, Result<SignedTx, L1Error>> {
        self.build(tx).boxed()
    }

    fn broadcast<'a>(&'a self, tx: &'a SignedTx) -> BoxFuture<'a, Result<(), SendFault>> {
        self.offer(tx).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<SendFault> {
        classify(&Fault::Said { code: -32000, message: text.into() }, text)
    }

    #[test]
    fn refusals_of_real_nodes_are_understood() {
        assert_eq!(said("already known"), None);
        assert_eq!(said("nonce too low: next nonce 5, tx nonce 4"), Some(SendFault::NonceTooLow));
        assert_eq!(
            said("replacement transaction underpriced: new tx gas fee cap 1 <= 2"),
            Some(SendFault::Underpriced)
        );
        for text in [
            "max fee per gas less than block base fee: address 0x0",
            "max fee per blob gas less than block blob gas fee",
            "transaction underpriced",
        ] {
            assert_eq!(said(text), Some(SendFault::FeeTooLow), "{text}");
        }
        let poor = "insufficient funds for gas * price + value";
        assert_eq!(said(poor), Some(SendFault::Funds(poor.into())));
        let odd = "invalid sender";
        assert_eq!(said(odd), Some(SendFault::Rejected(odd.into())));
        for text in ["too many requests", "daily limit exceeded", "address already reserved"] {
            assert_eq!(said(text), Some(SendFault::Endpoint(text.into())), "{text}");
        }
        let down = classify(&Fault::Endpoint("connection refused".into()), "named");
        assert_eq!(down, Some(SendFault::Endpoint("named".into())));
    }
}
