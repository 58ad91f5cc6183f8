//! `rota_getProof`: a fact about the rollup that follows from one L1 block hash (`docs/light.md`).
//!
//! Not for: checking it. The caller does, with `rota light verify` or `verify/`.

use super::{Answer, Context, Module, args::Args, error};
use crate::view::{LightSubject, NoLight};
use alloy_primitives::{B256, U64};
use jsonrpsee::{core::RegisterMethodError, types::ErrorObjectOwned};
use rota_types::{Decode, Header, LightProof};
use serde::Deserialize;

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_async_method("rota_getProof", |p, ctx, _| async move {
        let mut args = Args::of(&p)?;
        let what: What = args.need("transaction hash, height or \"checkpoint\"")?;
        let at: Option<U64> = args.maybe("height of the certificate")?;
        ctx.light(what, at).await
    })?;
    Ok(())
}

/// What is to be proven.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum What {
    Transaction(B256),
    Height(U64),
    Named(Named),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Named {
    Checkpoint,
}

impl Context {
    async fn light(&self, what: What, at: Option<U64>) -> Answer<LightProof> {
        let subject = match what {
            What::Transaction(hash) => LightSubject::Transaction(hash),
            What::Height(height) => LightSubject::Height(height.to()),
            What::Named(Named::Checkpoint) => LightSubject::Checkpoint,
        };
        let at = at.map(|at| at.to());
        let mut proof = self.view.light_proof(subject, at).map_err(refused)?;
        if let (Some(prover), Ok(header)) = (&self.set_proofs, Header::decode(&proof.header)) {
            // Without it the caller is told to ask L1 itself.
            let l1 = prover.prove(header.close.epoch, (self.now)()).await.ok();
            proof.l1 = l1.map(|l1| (*l1).clone());
        }
        Ok(proof)
    }
}

fn refused(why: NoLight) -> ErrorObjectOwned {
    let message = why.to_string();
    match why {
        NoLight::NoArchive => error::plain(error::HEIGHT_PRUNED, message, "ask a sequencer"),
        NoLight::Unknown => {
            let hint = "preconf_getTransactionStatus says how far it is; one that L1 forced in is in no frame";
            error::plain(error::TX_UNKNOWN, message, hint)
        }
        NoLight::Height(_) | NoLight::NoCheckpoint => {
            error::plain(error::NOT_FOUND, message, "seq_status has the heads of this node")
        }
        NoLight::Pruned(_) => {
            error::plain(error::HEIGHT_PRUNED, message, "ask a sequencer that has the whole chain")
        }
    }
}
