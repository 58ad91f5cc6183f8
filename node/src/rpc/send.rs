//! Sending a transaction, and waiting for it: the fast path of the whole program.
//!
//! Order: wait is set up, then submit, then one look-up, then await. No polling, no sleeping, no other task.

use super::{
    Answer, Context, Module, ReceiptJson,
    args::{Args, Count},
    error, shape,
};
use crate::{submit::SubmitError, view::TxView};
use alloy_primitives::{B256, Bytes, U256};
use jsonrpsee::{core::RegisterMethodError, types::ErrorObjectOwned};
use rota_preconf::{Place, Reject};
use rota_types::{Receipt, Stage, Tx};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_method("eth_sendRawTransaction", |p, ctx, _| {
        let raw: Bytes = Args::of(&p)?.need("raw transaction")?;
        let tx = ctx.decode(&raw)?;
        (ctx.submit)(&tx).map_err(|e| error::submit(&e))?;
        Answer::Ok(tx.hash)
    })?;
    module.register_async_method("eth_sendRawTransactionSync", |p, ctx, asked| async move {
        let (raw, timeout) = sync_params(&ctx, &p)?;
        let tx = ctx.decode(&raw)?;
        let until = ctx.min_stage(&asked);
        let found = ctx.send_and_wait(&tx, until, timeout).await.map_err(|e| e.sync(&tx))?;
        shape::receipt(&found).ok_or_else(|| error::promise(crate::view::NoPromise::Unknown))
    })?;
    module.register_async_method("preconf_sendRawTransaction", |p, ctx, _| async move {
        let (raw, options) = staged_params(&p)?;
        ctx.send_staged(&raw, options).await
    })?;
    module.register_async_method("preconf_sendInsuredTransaction", |p, ctx, _| async move {
        let (raw, options) = staged_params(&p)?;
        if options.insured.is_none_or(|wei| wei.is_zero()) {
            let hint = "give { insured } in wei; preconf_getCoverage says how much is free";
            return Err(error::invalid("no insured amount", hint));
        }
        ctx.send_staged(&raw, options).await
    })?;
    Ok(())
}

fn staged_params(p: &jsonrpsee::types::Params<'_>) -> Answer<(Bytes, SendOptions)> {
    let mut args = Args::of(p)?;
    Ok((args.need("raw transaction")?, args.maybe("options")?.unwrap_or_default()))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct SendOptions {
    until: Option<Stage>,
    timeout_ms: Option<Count>,
    /// Wei; hex or decimal text.
    insured: Option<U256>,
}

/// `preconf_sendRawTransaction`.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct SentJson {
    transaction_hash: B256,
    stage: Stage,
    receipt: Option<ReceiptJson>,
    promise: Option<Receipt>,
}

/// Why there is nothing to show.
enum Unsent {
    Refused(SubmitError),
    Failed(String),
    /// Not confirmed in time; `gap` names the nonce that it waits for.
    Timeout {
        waited_ms: u64,
        reached: &'static str,
        gap: Option<u64>,
    },
}

fn sync_params(ctx: &Context, p: &jsonrpsee::types::Params<'_>) -> Answer<(Bytes, Duration)> {
    let mut args = Args::of(p)?;
    let raw = args.need("raw transaction")?;
    // EIP-7966: a time-out that makes no sense means the default one.
    let wanted = args.maybe::<Value>("timeout")?;
    let wanted = wanted.and_then(|v| serde_json::from_value::<Count>(v).ok()).map(|c| c.0);
    Ok((raw, ctx.timeout(wanted)))
}

impl Context {
    fn timeout(&self, wanted: Option<u64>) -> Duration {
        let sensible = |ms: &u64| *ms > 0 && *ms <= self.config.max_sync_timeout_ms;
        Duration::from_millis(wanted.filter(sensible).unwrap_or(self.config.sync_timeout_ms))
    }

    fn decode(&self, raw: &Bytes) -> Answer<Arc<Tx>> {
        Tx::decode(raw, self.view.config().chain_id).map(Arc::new).map_err(|e| error::tx(&e))
    }

    async fn send_staged(&self, raw: &Bytes, options: SendOptions) -> Answer<SentJson> {
        let tx = self.insured(self.decode(raw)?, options.insured.unwrap_or_default())?;
        // Insurance counts from acked on, so that is what who asks for it waits for.
        let usual = if tx.insured > 0 { Stage::Acked } else { Stage::Preconfirmed };
        let until = options.until.unwrap_or(usual);
        self.reachable(until)?;
        let timeout = self.timeout(options.timeout_ms.map(|c| c.0));
        let found = self.send_and_wait(&tx, until, timeout).await.map_err(|e| e.staged(&tx))?;
        Ok(SentJson {
            transaction_hash: tx.hash,
            stage: found.progress.stage.unwrap_or(Stage::Received),
            receipt: shape::receipt(&found),
            promise: self.view.promise(&tx.hash).ok(),
        })
    }

    async fn send_and_wait(
        &self,
        tx: &Arc<Tx>,
        until: Stage,
        timeout: Duration,
    ) -> Result<TxView, Unsent> {
        let mut wait = self.view.wait(tx.hash, until);
        let place = match (self.submit)(tx) {
            Ok(admitted) => Some(admitted.place),
            // Sent before: then the answer is what becomes of it.
            Err(SubmitError::Refused(Reject::AlreadyKnown)) => None,
            Err(_) if self.view.tx(&tx.hash).is_some_and(|t| t.block.is_some()) => None,
            Err(refused) => return Err(Unsent::Refused(refused)),
        };
        let expired = tokio::time::sleep(timeout);
        tokio::pin!(expired);
        loop {
            if let Some(found) = self.view.tx(&tx.hash) {
                if found.progress.stage >= Some(until) {
                    return Ok(found);
                }
                if let Some(reason) = failed(&found) {
                    return Err(Unsent::Failed(reason));
                }
            }
            tokio::select! {
                biased;
                _ = &mut wait => {}
                () = &mut expired => return Err(self.timed_out(tx, timeout, place)),
            }
            // Whatever was told, the look-up decides: a retracted one waits again.
            wait = self.view.wait(tx.hash, until);
        }
    }

    fn timed_out(&self, tx: &Tx, timeout: Duration, place: Option<Place>) -> Unsent {
        let stage = self.view.tx(&tx.hash).and_then(|t| t.progress.stage);
        let next = self.view.pending_account(&tx.sender).nonce;
        let waits = matches!(place, Some(Place::Queued { .. })) && tx.nonce() > next;
        Unsent::Timeout {
            waited_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            reached: stage.map_or("unknown", Stage::name),
            gap: waits.then_some(next),
        }
    }
}

/// Why a transaction that is in no block is not waiting any more.
fn failed(found: &TxView) -> Option<String> {
    let over = found.block.is_none() && found.progress.stage.is_none();
    found.problem.as_ref().filter(|_| over).map(|p| p.reason.clone())
}

impl Unsent {
    /// In the codes of EIP-7966.
    fn sync(&self, tx: &Tx) -> ErrorObjectOwned {
        match self {
            Self::Timeout { gap: Some(next), .. } => ErrorObjectOwned::owned(
                error::SYNC_NONCE_GAP,
                format!("nonce gap: the transaction has nonce {} and waits for {next}", tx.nonce()),
                Some(format!("{next:#x}")),
            ),
            Self::Timeout { waited_ms, reached, .. } => {
                error::timeout(tx.hash, *waited_ms, reached)
            }
            Self::Refused(refused @ SubmitError::Refused(Reject::Underfunded { .. })) => {
                let message = error::submit(refused).message().to_owned();
                ErrorObjectOwned::owned(error::SYNC_NOT_READY, message, Some(tx.hash))
            }
            other => other.common(tx),
        }
    }

    /// In our own codes.
    fn staged(&self, tx: &Tx) -> ErrorObjectOwned {
        match self {
            Self::Timeout { waited_ms, reached, .. } => error::with_data(
                error::STAGE_TIMEOUT,
                format!("not reached within {waited_ms} ms; the transaction is {reached}"),
                json!({
                    "transactionHash": tx.hash, "reached": reached,
                    "hint": "preconf_subscribe with transaction and the hash tells when it is"
                }),
            ),
            other => other.common(tx),
        }
    }

    fn common(&self, tx: &Tx) -> ErrorObjectOwned {
        match self {
            Self::Refused(refused) => error::submit(refused),
            Self::Failed(reason) => error::with_data(
                error::REFUSED,
                format!("the transaction was not executed: {reason}"),
                json!({ "transactionHash": tx.hash, "hint": "sign a new one" }),
            ),
            Self::Timeout { waited_ms, reached, .. } => {
                error::timeout(tx.hash, *waited_ms, reached)
            }
        }
    }
}
