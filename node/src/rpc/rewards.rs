//! `rota_getRewards`: what fees earned an account, with everything that `Rewards.claim` on L1 asks for.
//!
//! Not for: paying; the contract on L1 does. Invariant: what is given is proven under a root that a certified header names.

use super::{Answer, Context, Module, args::Args, error};
use alloy_primitives::{Address, B256, Bytes, U64};
use jsonrpsee::core::RegisterMethodError;
use rota_types::{CommitCertificate, EXEC_LAG, Encode, Writer};
use serde::Serialize;

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_method("rota_getRewards", |p, ctx, _| {
        let account: Address = Args::of(&p)?.need("account")?;
        ctx.rewards(account)
    })?;
    Ok(())
}

/// `rota_getRewards`; null as long as no certified checkpoint has something for the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RewardsJson {
    /// Who earned it.
    pub(super) account: Address,
    /// The checkpoint height.
    pub(super) height: U64,
    /// Number of the newest execution block below the block of that height.
    pub(super) block_number: U64,
    /// Its hash.
    pub(super) block_hash: B256,
    /// Root over what everyone had earned then.
    pub(super) rewards_root: B256,
    /// Place of the account under it.
    pub(super) index: U64,
    /// How many accounts there are.
    pub(super) count: U64,
    /// Earned since the genesis, wei as decimal text.
    pub(super) amount_wei: String,
    /// Siblings from the leaf up.
    pub(super) proof: Vec<B256>,
    /// The certified header that names the checkpoint.
    pub(super) header: Bytes,
    /// Its height.
    pub(super) header_height: U64,
    /// The epoch of the set that certified it.
    pub(super) epoch: U64,
    /// `round:u32 || length:u8 || bitmap || signatures`.
    pub(super) certificate: Bytes,
    /// Whether a batch with this height is accepted on L1; before that the contract does not pay.
    pub(super) posted: bool,
}

impl Context {
    fn rewards(&self, account: Address) -> Answer<Option<RewardsJson>> {
        let archive = self.view.archive().ok_or_else(|| {
            let message = "this node does not keep rewards with certificates";
            error::plain(error::HEIGHT_PRUNED, message, "ask a sequencer")
        })?;
        let heads = self.view.heads();
        let newest = |head: u64| {
            let (point, book) = archive.rewards(head.checked_sub(EXEC_LAG)?)?;
            let header = archive.height(point.height.checked_add(EXEC_LAG)?)?;
            let named = header.header.close.exec_lag_root == point.root();
            named.then_some((point, book, header))
        };
        let posted = newest(heads.safe.height);
        let is_posted = posted.is_some();
        let Some((point, book, decided)) = posted.or_else(|| newest(heads.latest.height)) else {
            return Ok(None);
        };
        Ok(book.prove(&account).map(|proof| RewardsJson {
            account,
            height: U64::from(point.height),
            block_number: U64::from(point.block_number),
            block_hash: point.block_hash,
            rewards_root: point.rewards_root,
            index: U64::from(proof.index),
            count: U64::from(proof.count),
            amount_wei: book.get(&account).to_string(),
            proof: proof.siblings,
            header: decided.header.encode().into(),
            header_height: U64::from(decided.header.height()),
            epoch: U64::from(decided.header.close.epoch),
            certificate: packed(&decided.certificate),
            posted: is_posted,
        }))
    }
}

fn packed(certificate: &CommitCertificate) -> Bytes {
    let bitmap = certificate.signers.as_bytes();
    let mut w = Writer::default();
    w.u32(certificate.round).u8(u8::try_from(bitmap.len()).unwrap_or(u8::MAX));
    w.raw(bitmap).raw(&certificate.packed_signatures());
    w.finish().into()
}
