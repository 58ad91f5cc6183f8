//! `preconf_*`: how far a transaction is, the promise as a file, and how well promises are kept.

use super::{Answer, Context, Module, args::Args, error, shape::FrameJson};
use crate::view::{FrameRecord, Percentiles, ProblemKind, Progress, TxView};
use alloy_primitives::{Address, B256, Bytes, U64};
use jsonrpsee::core::RegisterMethodError;
use rota_types::{Decode, Millis, Receipt, ReceiptSet, Stage};
use rota_verify::{Anchor, Verdict};
use serde::Serialize;

/// In the place of `preconfirmed`, of what L1 forced in: the rules put it there, whoever leads.
const FORCED: &str = "forced";
pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_method("preconf_getTransactionStatus", |p, ctx, _| {
        let hash: B256 = Args::of(&p)?.need("hash")?;
        ctx.status(&hash).ok_or_else(|| {
            if let Some(height) = ctx.view.voided(&hash) {
                let void = format!(
                    "void: height {height}, which had it, was decided and not posted before the set was given up on L1"
                );
                return error::plain(error::TX_UNKNOWN, void, "send it again");
            }
            let hint = "check the hash, or ask the node it was sent to";
            error::plain(error::TX_UNKNOWN, "unknown transaction", hint)
        })
    })?;
    for name in ["preconf_getReceipt", "preconf_getPromise"] {
        module.register_method(name, |p, ctx, _| {
            let hash: B256 = Args::of(&p)?.need("hash")?;
            ctx.view.promise(&hash).map_err(error::promise)
        })?;
    }
    module.register_method("preconf_verifyReceipt", |p, ctx, _| {
        let what: Checked = Args::of(&p)?.need("receipt or transaction hash")?;
        ctx.verify(what)
    })?;
    module.register_method("preconf_getStats", |_, ctx, _| Answer::Ok(ctx.promise_stats()))?;
    Ok(())
}

/// A receipt, or the transaction whose receipt is meant.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Checked {
    Hash(B256),
    Receipt(Box<Receipt>),
}

/// `preconf_verifyReceipt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifiedJson {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// `preconf_getTransactionStatus`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusJson {
    /// The transaction.
    pub transaction_hash: B256,
    /// The highest stage; `null` if it is not even waiting.
    pub stage: Option<Stage>,
    /// `success` or `reverted`, once it is in a block.
    pub execution: Option<&'static str>,
    /// Number of its block.
    pub block_number: Option<U64>,
    /// Hash of its block; the frame hash while the block is open.
    pub block_hash: Option<B256>,
    /// Index in the block.
    pub transaction_index: Option<U64>,
    /// Its frame.
    pub frame: Option<LedFrameJson>,
    /// True if L1 forced it in: it is in no frame. Missing otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// Each stage reached, with what stands behind it.
    pub stages: Vec<StageJson>,
    /// What is insured, or asked to be, wei; missing if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insured_wei: Option<String>,
    /// What comes next.
    pub next: Option<NextJson>,
    /// What went wrong.
    pub problem: Option<ProblemJson>,
}

/// A frame and who leads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LedFrameJson {
    /// The frame.
    #[serde(flatten)]
    pub frame: FrameJson,
    /// Owner of the leader.
    pub leader: Address,
    /// Its name.
    pub moniker: Option<String>,
}

/// One stage that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StageJson {
    /// Its name.
    pub stage: &'static str,
    /// When this node learned it, ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<Millis>,
    /// Since the first stage, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta_ms: Option<Millis>,
    /// preconfirmed: the leader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<Address>,
    /// preconfirmed: what the leader loses if it contradicts itself, wei.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stake_at_risk: Option<String>,
    /// preconfirmed, acked, decided: whether undoing it is slashable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slashable: Option<bool>,
    /// acked: stake that stored it, of the whole set, gwei.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<String>,
    /// decided: the height.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<U64>,
    /// decided: the round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round: Option<U64>,
    /// decided: the encoded commit certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Bytes>,
    /// posted: the L1 transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1_tx: Option<B256>,
    /// proven: the step of the oracle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<U64>,
    /// posted, finalized, proven: the L1 block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1_block: Option<U64>,
}

/// The next stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NextJson {
    /// Its name.
    pub stage: Stage,
    /// How long it usually takes, ms, if that is known.
    pub eta_ms: Option<u64>,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProblemJson {
    /// In one word.
    pub kind: ProblemKind,
    /// In a sentence.
    pub reason: String,
    /// What took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<B256>,
}

impl Context {
    pub(super) fn status(&self, hash: &B256) -> Option<StatusJson> {
        let view = self.view.tx(hash)?;
        let block = view.block.as_ref();
        let stage = view.progress.stage;
        let succeeded = |ok: bool| if ok { "success" } else { "reverted" };
        Some(StatusJson {
            transaction_hash: *hash,
            stage,
            execution: block.map(|b| succeeded(b.result.receipt.status())),
            block_number: block.map(|b| U64::from(b.number)),
            block_hash: block.map(|b| b.hash),
            transaction_index: block.map(|b| U64::from(b.result.index)),
            frame: view.frame.as_ref().map(|(f, _)| LedFrameJson {
                frame: FrameJson::of(&f.frame.header, f.hash),
                leader: f.leader,
                moniker: self.info.moniker(&f.leader),
            }),
            forced: view.forced,
            stages: self.stages(&view),
            insured_wei: insured_wei(&view),
            next: stage.and_then(|s| self.next(s)),
            problem: view.problem.map(|p| ProblemJson {
                kind: p.kind,
                reason: p.reason,
                replaced_by: p.replaced_by,
            }),
        })
    }

    /// By this node's own context and set: a convenience for who trusts the node anyway.
    fn verify(&self, what: Checked) -> Answer<VerifiedJson> {
        let receipt = match what {
            Checked::Hash(hash) => self.view.promise(&hash).map_err(error::promise)?,
            Checked::Receipt(receipt) => *receipt,
        };
        let set = self.view.set(receipt.set.epoch);
        let set_id = set.map_or(B256::ZERO, |set| ReceiptSet::of(&set).id());
        let anchor = Anchor { ctx: self.view.config().domain.ctx(), set_id };
        Ok(match rota_verify::verify(&receipt, &anchor) {
            Ok(verdict) => VerifiedJson { valid: true, verdict: Some(verdict), reason: None },
            Err(why) => VerifiedJson { valid: false, verdict: None, reason: Some(why.to_string()) },
        })
    }

    fn stages(&self, view: &TxView) -> Vec<StageJson> {
        let progress = &view.progress;
        let start = progress.received_ms.or(progress.preconfirmed_ms);
        let at = |stage: Stage, ms: Option<Millis>| StageJson {
            stage: stage.name(),
            at_ms: ms,
            delta_ms: ms.zip(start).map(|(ms, start)| ms.saturating_sub(start)),
            ..StageJson::default()
        };
        let mut out = Vec::new();
        if progress.received_ms.is_some() {
            out.push(at(Stage::Received, progress.received_ms));
        }
        if view.forced {
            out.push(StageJson {
                stage: FORCED,
                ..at(Stage::Preconfirmed, progress.preconfirmed_ms)
            });
        }
        if let Some((frame, _)) = &view.frame {
            let header = &frame.frame.header;
            let set = self.view.set(header.epoch);
            let stake =
                set.as_ref().and_then(|s| s.get(header.leader)).map(|v| v.stake.to_string());
            out.push(StageJson {
                leader: Some(frame.leader),
                stake_at_risk: stake,
                slashable: Some(true),
                ..at(Stage::Preconfirmed, progress.preconfirmed_ms)
            });
        }
        if let Some(acked) = &progress.acked {
            out.push(StageJson {
                power: Some(format!("{}/{}", acked.weight_gwei, acked.total_gwei)),
                ..at(Stage::Acked, Some(acked.at_ms))
            });
        }
        if let Some(height) = &progress.decided {
            out.push(StageJson {
                height: Some(U64::from(height.decision.height)),
                round: Some(U64::from(height.decision.round)),
                certificate: Some(height.decision.certificate.clone()),
                slashable: Some(true),
                ..at(Stage::Decided, Some(height.at_ms))
            });
        }
        on_l1(progress, &at, &mut out);
        out
    }

    fn next(&self, stage: Stage) -> Option<NextJson> {
        let next = above(stage).filter(|next| self.reachable(*next).is_ok())?;
        let stats = self.recent_stats();
        let usual = match next {
            Stage::Preconfirmed => Some(stats.preconfirmed),
            Stage::Acked => Some(stats.acked),
            Stage::Decided => Some(stats.decided),
            _ => None,
        };
        let known = usual.filter(|p| *p != Percentiles::default());
        Some(NextJson { stage: next, eta_ms: known.map(|p| p.p50) })
    }

    /// Refuses to wait for what is never told here.
    pub(super) fn reachable(&self, stage: Stage) -> Answer<()> {
        if stage < Stage::Proven || self.view.expects_proofs() {
            return Ok(());
        }
        let why = "the stage `proven` is never reached here: the network has no oracle, or its network file names none";
        Err(error::plain(error::NEVER, why, "the highest stage is `finalized`"))
    }

    /// `seq_commitCertificate`.
    pub(super) fn certificate(&self, height: u64) -> Answer<CertificateJson> {
        let record = self.view.height(height).ok_or_else(|| {
            let message = format!("height {height} is not decided, or no longer kept in memory");
            error::plain(error::HEIGHT_PRUNED, message, "seq_status gives the decided height")
        })?;
        let decision = &record.decision;
        let cert = rota_types::CommitCertificate::decode(&decision.certificate).ok();
        Ok(CertificateJson {
            height: U64::from(height),
            round: U64::from(decision.round),
            last_g: U64::from(decision.last_g),
            value_id: cert.as_ref().map(|c| c.value_id),
            epoch: cert.as_ref().map(|c| U64::from(c.epoch)),
            signers: cert.map(|c| c.signers.iter().collect()).unwrap_or_default(),
            header: decision.header.clone(),
            certificate: decision.certificate.clone(),
            at_ms: record.at_ms,
        })
    }
}

/// `seq_commitCertificate`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateJson {
    height: U64,
    round: U64,
    last_g: U64,
    epoch: Option<U64>,
    value_id: Option<B256>,
    signers: Vec<u16>,
    header: Bytes,
    certificate: Bytes,
    at_ms: Millis,
}

/// The stages that L1 gives.
fn on_l1(
    progress: &Progress,
    at: &impl Fn(Stage, Option<Millis>) -> StageJson,
    out: &mut Vec<StageJson>,
) {
    if let Some(posted) = &progress.posted {
        out.push(StageJson {
            l1_tx: Some(posted.l1_tx),
            l1_block: Some(U64::from(posted.l1_block)),
            ..at(Stage::Posted, Some(posted.at_ms))
        });
    }
    if let Some(last) = &progress.finalized {
        out.push(StageJson {
            l1_block: Some(U64::from(last.l1_block)),
            ..at(Stage::Finalized, Some(last.at_ms))
        });
    }
    if let Some(proven) = &progress.proven {
        out.push(StageJson {
            step: Some(U64::from(proven.step)),
            l1_block: Some(U64::from(proven.l1_block)),
            ..at(Stage::Proven, Some(proven.at_ms))
        });
    }
}

/// What a frame insures of the transaction, or what it waits to have insured.
fn insured_wei(view: &TxView) -> Option<String> {
    let framed = |f: &FrameRecord, at: u32| {
        let at = usize::try_from(at).ok()?;
        f.txs.get(at).map(|t| t.tx.insured)
    };
    let amount = match &view.frame {
        Some((frame, at)) => framed(frame, *at),
        None if view.block.is_none() => Some(view.tx.insured),
        None => None,
    };
    amount.filter(|wei| *wei > 0).map(|wei| wei.to_string())
}

/// The stage after this one.
pub(super) fn above(stage: Stage) -> Option<Stage> {
    Stage::ALL.into_iter().find(|s| *s > stage)
}
