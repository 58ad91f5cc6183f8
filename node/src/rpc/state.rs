//! Accounts, code, storage and proofs at a block.

use super::{Answer, Context, Module, args::Args, error};
use crate::view::{At, BlockView};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, U64, U256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use jsonrpsee::core::RegisterMethodError;
use rota_execution::{AccountProof, MESSAGE_PASSER, State};
use rota_types::Stage;
use std::sync::Arc;

/// Slots of one `eth_getProof`.
const MAX_PROOF_SLOTS: usize = 1_024;

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_method("eth_getBalance", |p, ctx, _| {
        let mut args = Args::of(&p)?;
        let address: Address = args.need("address")?;
        let state = ctx.state(args.block(BlockNumberOrTag::Latest)?)?;
        Answer::Ok(state.balance(&address))
    })?;
    module.register_method("eth_getCode", |p, ctx, _| {
        let mut args = Args::of(&p)?;
        let address: Address = args.need("address")?;
        let state = ctx.state(args.block(BlockNumberOrTag::Latest)?)?;
        Answer::Ok(state.code(&address))
    })?;
    module.register_method("eth_getStorageAt", |p, ctx, _| {
        let mut args = Args::of(&p)?;
        let address: Address = args.need("address")?;
        let slot: U256 = args.need("slot")?;
        let state = ctx.state(args.block(BlockNumberOrTag::Latest)?)?;
        Answer::Ok(B256::from(state.storage(&address, &slot)))
    })?;
    module.register_method("eth_getTransactionCount", |p, ctx, extensions| {
        let mut args = Args::of(&p)?;
        let address: Address = args.need("address")?;
        let at = args.block(BlockNumberOrTag::Latest)?;
        let early = ctx.min_stage(extensions) < Stage::Decided;
        Answer::Ok(U64::from(ctx.nonce(&address, at, early)?))
    })?;
    module.register_blocking_method("eth_getProof", |p, ctx, _| {
        let mut args = Args::of(&p)?;
        let address: Address = args.need("address")?;
        let slots: Vec<U256> = args.maybe("slots")?.unwrap_or_default();
        if slots.len() > MAX_PROOF_SLOTS {
            let message = format!("{} slots asked, the limit is {MAX_PROOF_SLOTS}", slots.len());
            return Err(error::invalid(message, "ask in several calls"));
        }
        let at = args.block(BlockNumberOrTag::Latest)?;
        Answer::Ok(answer(match ctx.state(at) {
            Ok(state) => state.proof(address, &slots),
            // Withdrawals are shown on L1 when their block is proven, days later.
            Err(gone) => ctx.exits(at, address, &slots).ok_or(gone)?,
        }))
    })?;
    Ok(())
}

impl Context {
    /// The block asked for.
    pub(super) fn block(&self, at: At) -> Answer<Arc<BlockView>> {
        self.view.block(at).ok_or_else(|| {
            let what = match at {
                At::Number(number) => format!("block {number} is not known"),
                At::Hash(hash) => format!("block {hash} is not known"),
                At::Acked => "no acked block is known".to_owned(),
            };
            error::plain(error::NOT_FOUND, what, "eth_blockNumber gives the newest decided block")
        })
    }

    /// The state after the block asked for.
    pub(super) fn state(&self, at: At) -> Answer<State> {
        if at == At::Number(BlockNumberOrTag::Pending) {
            return Ok(self.view.pending_state());
        }
        let block = self.block(at)?;
        block.state.clone().ok_or_else(|| self.no_state(block.number()))
    }

    fn exits(&self, at: At, address: Address, slots: &[U256]) -> Option<AccountProof> {
        let archive = self.view.archive().filter(|_| address == MESSAGE_PASSER)?;
        archive.exits(self.view.block(at)?.number(), slots)
    }

    pub(super) fn no_state(&self, number: u64) -> jsonrpsee::types::ErrorObjectOwned {
        let message = format!(
            "the state of block {number} is no longer kept; this node keeps the last {}",
            self.view.config().retain_blocks
        );
        error::plain(error::REFUSED, message, "use a newer block, or an archive node")
    }

    /// Read your writes: while receipts are given before the decision, `latest` counts what is preconfirmed,
    /// or a wallet that reads its nonce there would use one twice.
    fn nonce(&self, address: &Address, at: At, early: bool) -> Answer<u64> {
        if at == At::Number(BlockNumberOrTag::Pending)
            || (early && at == At::Number(BlockNumberOrTag::Latest))
        {
            return Ok(self.view.pending_account(address).nonce);
        }
        Ok(self.state(at)?.nonce(address))
    }
}

fn answer(proof: AccountProof) -> EIP1186AccountProofResponse {
    EIP1186AccountProofResponse {
        address: proof.address,
        balance: proof.account.balance,
        code_hash: proof.account.code_hash,
        nonce: proof.account.nonce,
        storage_hash: proof.storage_root,
        account_proof: proof.nodes,
        storage_proof: proof
            .slots
            .into_iter()
            .map(|s| EIP1186StorageProof::new(B256::from(s.slot).into(), s.value, s.nodes))
            .collect(),
    }
}
