//! `seq_*`, `rollup_*`, `net_*`, `web3_*`, `txpool_*` and the constants of `eth_*`.

use super::{
    Answer, Context, Module,
    args::{Args, Count},
    error,
    info::SeqStatus,
};
use crate::view::{HeadRef, Heads};
use alloy_primitives::{Address, B256, Bytes, U64, keccak256};
use jsonrpsee::core::RegisterMethodError;
use serde::Serialize;
use serde_json::{Value, json};

/// Slots of one `seq_leaderSchedule`.
const MAX_SLOTS: u64 = 1_024;

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    register_standard(module)?;
    module.register_method("seq_status", |_, ctx, _| Answer::Ok(ctx.seq_status()))?;
    module.register_method("seq_validators", |p, ctx, _| {
        let height = Args::of(&p)?.maybe::<Count>("height")?.map(|c| c.0);
        ctx.info.validators(height).ok_or_else(|| {
            let hint = "leave the height out for the set of now";
            error::plain(error::HEIGHT_PRUNED, "the set of that height is not known", hint)
        })
    })?;
    module.register_method("seq_leaderSchedule", |p, ctx, _| {
        let mut args = Args::of(&p)?;
        let from = args.maybe::<Count>("from height")?.map(|c| c.0);
        let count = args.maybe::<Count>("count")?.map_or(10, |c| c.0);
        if count > MAX_SLOTS {
            let message = format!("{count} slots asked, the limit is {MAX_SLOTS}");
            return Err(error::invalid(message, "ask for fewer"));
        }
        Answer::Ok(ctx.info.leader_schedule(from, count))
    })?;
    module.register_method("seq_commitCertificate", |p, ctx, _| {
        let height: Count = Args::of(&p)?.need("height")?;
        ctx.certificate(height.0)
    })?;
    module.register_method("rollup_syncStatus", |_, ctx, _| Answer::Ok(ctx.sync_status()))?;
    Ok(())
}

fn register_standard(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_method("eth_chainId", |_, ctx, _| {
        Answer::Ok(U64::from(ctx.view.config().chain_id))
    })?;
    module.register_method("net_version", |_, ctx, _| {
        Answer::Ok(ctx.view.config().chain_id.to_string())
    })?;
    module.register_method("net_listening", |_, ctx, _| Answer::Ok(ctx.info.is_listening()))?;
    module.register_method("net_peerCount", |_, ctx, _| {
        Answer::Ok(U64::from(ctx.info.peer_count()))
    })?;
    module
        .register_method("web3_clientVersion", |_, ctx, _| Answer::Ok(ctx.info.client_version()))?;
    module.register_method("web3_sha3", |p, _, _| {
        let data: Bytes = Args::of(&p)?.need("data")?;
        Answer::Ok(keccak256(&data))
    })?;
    module.register_method("eth_syncing", |_, ctx, _| {
        Answer::Ok(ctx.info.sync_progress().map_or(json!(false), |p| json!(p)))
    })?;
    // This node holds no users' keys.
    module.register_method("eth_accounts", |_, _, _| Answer::Ok(Vec::<Address>::new()))?;
    module.register_method("txpool_status", |_, ctx, _| {
        let (pending, queued) = ctx.info.queue();
        Answer::Ok(json!({ "pending": U64::from(pending), "queued": U64::from(queued) }))
    })?;
    Ok(())
}

/// A head in `seq_status`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HeadJson {
    number: U64,
    hash: B256,
    height: U64,
    g: U64,
    timestamp: U64,
    age_ms: u64,
}

impl HeadJson {
    fn of(head: &HeadRef, now: u64) -> Self {
        Self {
            number: U64::from(head.number),
            hash: head.hash,
            height: U64::from(head.height),
            g: U64::from(head.g),
            timestamp: U64::from(head.timestamp_s),
            age_ms: now.saturating_sub(head.timestamp_s.saturating_mul(1_000)),
        }
    }
}

/// Every head, by the name of its stage.
#[derive(Debug, Clone, Serialize)]
pub(super) struct HeadsJson {
    preconfirmed: HeadJson,
    acked: HeadJson,
    decided: HeadJson,
    posted: HeadJson,
    finalized: HeadJson,
}

impl HeadsJson {
    pub(super) fn of(heads: &Heads, now: u64) -> Self {
        Self {
            preconfirmed: HeadJson::of(&heads.pending, now),
            acked: HeadJson::of(&heads.acked, now),
            decided: HeadJson::of(&heads.latest, now),
            posted: HeadJson::of(&heads.safe, now),
            finalized: HeadJson::of(&heads.finalized, now),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct FullStatus {
    chain_id: U64,
    #[serde(flatten)]
    node: SeqStatus,
    heads: HeadsJson,
    syncing: bool,
}

impl Context {
    fn seq_status(&self) -> FullStatus {
        FullStatus {
            chain_id: U64::from(self.view.config().chain_id),
            node: self.info.status(),
            heads: HeadsJson::of(&self.view.heads(), (self.now)()),
            syncing: self.info.sync_progress().is_some(),
        }
    }

    /// The fields of `optimism_syncStatus` that have a meaning here, for tools that read it.
    fn sync_status(&self) -> Value {
        let heads = self.view.heads();
        let block = |head: &HeadRef| json!({ "hash": head.hash, "number": head.number, "timestamp": head.timestamp_s });
        let l1 =
            self.info.l1_head().map(|(number, hash)| json!({ "hash": hash, "number": number }));
        json!({
            "head_l1": l1,
            "unsafe_l2": block(&heads.pending),
            "cross_unsafe_l2": block(&heads.latest),
            "safe_l2": block(&heads.safe),
            "finalized_l2": block(&heads.finalized),
        })
    }
}
