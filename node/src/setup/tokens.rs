//! A token and its bridge on L1, as somebody meets them who brings tokens to the rollup.
//!
//! Not for: the bridge on the rollup, which a node is asked about. Invariant: what L1 says; the bridge on the rollup checks
//! every proof again.

use super::{OnL1, SetupError, provider, unavailable};
use alloy::{
    eips::BlockId,
    providers::Provider,
    rpc::types::{EIP1186AccountProofResponse, TransactionReceipt},
};
use alloy_primitives::{Address, B256, U256};
use rota_l1::{
    L1Error, OriginProof, TokenDeposit,
    bindings::{BridgedToken, TokenBridgeL1},
};

/// A token on L1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOnL1 {
    /// What it calls itself; nothing if it does not say.
    pub symbol: String,
    /// Digits after the point; zero if it does not say.
    pub decimals: u8,
    /// What the account has.
    pub balance: U256,
    /// What the bridge may take of it.
    pub allowed: U256,
    /// What the bridge has locked, of everybody.
    pub locked: U256,
}

impl OnL1<'_> {
    /// A token, as `account` has it and `bridge` may take it.
    ///
    /// # Errors
    /// L1 does not answer, or there is no ERC-20 token.
    pub async fn token(
        &self,
        token: Address,
        account: Address,
        bridge: Address,
    ) -> Result<TokenOnL1, SetupError> {
        let p = provider(self.urls, None)?;
        let code = p.get_code_at(token).await.map_err(|e| unavailable(e, self.urls))?;
        if code.is_empty() {
            return Err(SetupError::NoToken(token));
        }
        let failed = |e: alloy::contract::Error| match e {
            alloy::contract::Error::TransportError(e) if e.as_error_resp().is_none() => {
                unavailable(e, self.urls).into()
            }
            _ => SetupError::NoToken(token),
        };
        // The functions that every token has.
        let t = BridgedToken::new(token, p.clone());
        let locked = TokenBridgeL1::new(bridge, p).locked(token).call().await;
        Ok(TokenOnL1 {
            balance: t.balanceOf(account).call().await.map_err(failed)?,
            allowed: t.allowance(account, bridge).call().await.map_err(failed)?,
            symbol: t.symbol().call().await.unwrap_or_default(),
            decimals: match t.decimals().call().await.map_err(failed) {
                Ok(digits) => digits,
                Err(SetupError::NoToken(_)) => 0,
                Err(why) => return Err(why),
            },
            locked: locked.map_err(|e| unavailable(e, self.urls))?,
        })
    }

    /// The deposit at `bridge` that a transaction of L1 made, with its L1 block: the one of this place, from 0.
    ///
    /// # Errors
    /// L1 does not answer, or has no such deposit.
    pub async fn token_deposit(
        &self,
        bridge: Address,
        tx: B256,
        place: usize,
    ) -> Result<(u64, TokenDeposit), SetupError> {
        let p = provider(self.urls, None)?;
        let asked = p.get_transaction_receipt(tx).await;
        let receipt: Option<TransactionReceipt> = asked.map_err(|e| unavailable(e, self.urls))?;
        let none = || SetupError::NoDeposit { tx, bridge };
        let receipt = receipt.ok_or_else(none)?;
        let number = receipt.block_number.ok_or_else(none)?;
        let logs = receipt.inner.logs().iter().filter(|log| log.address() == bridge);
        let found = logs.filter_map(|log| TokenDeposit::from_log(&log.inner)).nth(place);
        found.map(|deposit| (number, deposit)).ok_or_else(none)
    }

    /// Number of the L1 block with this hash.
    ///
    /// # Errors
    /// L1 does not answer, or does not know the block.
    pub async fn number_of(&self, hash: B256) -> Result<u64, SetupError> {
        let asked = provider(self.urls, None)?.get_block_by_hash(hash).await;
        let block = asked.map_err(|e| unavailable(e, self.urls))?;
        Ok(block.ok_or(SetupError::NoOrigin(hash))?.header.number)
    }

    /// What shows a deposit as of the L1 block `origin`, which a block of the rollup of `timestamp` has for its origin.
    ///
    /// # Errors
    /// L1 does not answer, or has no state of that block any more.
    pub async fn origin_proof(
        &self,
        bridge: Address,
        deposit: &TokenDeposit,
        (timestamp, origin): (u64, B256),
    ) -> Result<OriginProof, SetupError> {
        let p = provider(self.urls, None)?;
        let failed = |e| unavailable(e, self.urls);
        let block = p.get_block_by_hash(origin).await.map_err(failed)?;
        let header = block.ok_or(SetupError::NoOrigin(origin))?.header.inner;
        if header.hash_slow() != origin {
            let endpoint = "the first one".to_owned();
            let what = format!("a block for {origin} that has another hash");
            return Err(L1Error::Nonsense { endpoint, what }.into());
        }
        let asked =
            p.get_proof(bridge, vec![deposit.slot()]).block_id(BlockId::number(header.number));
        let mut got: EIP1186AccountProofResponse = asked.await.map_err(failed)?;
        let slot = got.storage_proof.pop().map(|word| word.proof).unwrap_or_default();
        let header = alloy_rlp::encode(&header).into();
        Ok(OriginProof { timestamp, header, account: got.account_proof, slot })
    }
}
