//! `rota slash`: watching for contradictions, and taking evidence to L1.

mod args;
mod say;
mod submit;

pub(super) use args::SlashCommand;

use super::{Done, out, set::account};
use crate::{
    exit::{Exit, Failure},
    setup::SetupError,
    slash::{self, Report, SlasherArgs, run_slasher},
};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{B256, Bytes, U256};
use args::{ClaimArgs, OnL1Args, ShowArgs, VerifyEvidenceArgs, WatchSlashArgs};
use rota_l1::{
    Court, Deployment, Endpoints, L1Error, MemoryJournal, Policy, RpcSender, TxManager, TxRequest,
};
use rota_types::EvidenceFile;
use say::{kind_name, offence_json, tell};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// For one request to L1.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn run(command: &SlashCommand, json: bool) -> Done {
    match command {
        SlashCommand::Watch(args) => watch(args, json).await,
        SlashCommand::List(args) => list(args, json).await,
        SlashCommand::Show(args) => show(args, json).await,
        SlashCommand::Verify(args) => verify(args, json).await,
        SlashCommand::Submit(args) => Box::pin(submit::run(args, json)).await,
        SlashCommand::Claim(args) => claim(args, json).await,
    }
}

/// The contract that judges, and how to reach it.
struct Bench {
    endpoints: Arc<Endpoints>,
    deployment: Deployment,
    court: Court,
}

impl Bench {
    async fn open(args: &OnL1Args) -> Result<Self, Failure> {
        let endpoints = Arc::new(Endpoints::new(&urls(args), TIMEOUT).map_err(Failure::from)?);
        let deployment = Deployment::read(&endpoints, args.registry).await?;
        let court = Court::new(Arc::clone(&endpoints), deployment.slasher);
        Ok(Self { endpoints, deployment, court })
    }

    async fn send(
        &self,
        signer: PrivateKeySigner,
        request: TxRequest,
    ) -> Result<rota_l1::Inclusion, Failure> {
        let request = self.court.with_gas(signer.address(), request).await?;
        let chain_id = self.deployment.l1_chain_id;
        let sender = RpcSender::new(Arc::clone(&self.endpoints), signer, chain_id);
        let policy = Policy { confirmations: 0, ..Policy::default() };
        let mut manager =
            TxManager::open(sender, MemoryJournal::default(), policy).map_err(SetupError::from)?;
        manager.submit(request).map_err(SetupError::from)?;
        let outcome = manager.finish(Duration::from_millis(500)).await.map_err(SetupError::from)?;
        Ok(outcome.inclusion)
    }
}

fn urls(args: &OnL1Args) -> Vec<String> {
    args.l1_rpc.split(',').map(|u| u.trim().to_owned()).filter(|u| !u.is_empty()).collect()
}

async fn watch(args: &WatchSlashArgs, json: bool) -> Done {
    let password = args.key_password_file.as_deref();
    let key = args.key_file.as_deref().map(|path| account(path, password)).transpose()?;
    let settings = SlasherArgs {
        urls: urls(&args.l1),
        registry: args.l1.registry,
        account: key,
        dir: args.dir.clone(),
        files: args.sources.clone(),
        poll: Duration::from_millis(args.poll.as_millis()),
        nodes: args.rpc_url.clone().zip(args.follower_url.clone()),
    };
    let mut seq = 0u64;
    let tell = |report: Report| tell(&report, &mut seq, json);
    let stop = CancellationToken::new();
    let done = tokio::select! {
        done = Box::pin(run_slasher(settings, stop.clone(), tell)) => done,
        signal = crate::run::interrupted() => signal.map(drop),
    };
    stop.cancel();
    done.map_err(|e| Failure::from_report(&e))
}

async fn list(args: &OnL1Args, json: bool) -> Done {
    let bench = Bench::open(args).await?;
    let offences = bench.court.offences(bench.deployment.base).await?;
    if json {
        let all: Vec<Value> = offences.iter().map(offence_json).collect();
        return out::json(&json!({"v": 1, "offences": all}));
    }
    for o in &offences {
        out::line(format_args!(
            "{}  operator {:<4} {:<16} {} taken in L1 block {}, {}",
            o.key,
            o.operator,
            kind_name(o.kind),
            out::eth(o.seized),
            o.revealed,
            if o.settled {
                "settled".to_owned()
            } else {
                format!("settled from block {}", o.settles)
            }
        ))?;
    }
    if offences.is_empty() {
        eprintln!("no offence is on record");
    }
    Ok(())
}

async fn show(args: &ShowArgs, json: bool) -> Done {
    let bench = Bench::open(&args.l1).await?;
    let offences = bench.court.offences(bench.deployment.base).await?;
    let Some(o) = offences.iter().find(|o| o.key.to_string().starts_with(&args.id)) else {
        return Err(Failure::new(Exit::Failed, format!("there is no offence {}", args.id))
            .hint("rota slash list shows those on record"));
    };
    if json {
        return out::json(&json!({"v": 1, "offence": offence_json(o)}));
    }
    out::line(format_args!("offence    {}", o.key))?;
    out::line(format_args!("kind       {}", kind_name(o.kind)))?;
    out::line(format_args!("operator   {}", o.operator))?;
    out::line(format_args!("taken      {} in L1 block {}", out::eth(o.seized), o.revealed))?;
    out::line(format_args!("reporter   {}", o.reporter))?;
    out::line(format_args!("settled    {} (from L1 block {})", o.settled, o.settles))
}

fn read(path: &Path) -> Result<EvidenceFile, Failure> {
    slash::read(path).map_err(|e| {
        Failure::new(Exit::Verify, format!("{} is no file of evidence: {e}", path.display()))
            .hint("rota slash watch writes such files")
    })
}

/// What L1 holds for the block that a file rests on.
async fn proven(file: &EvidenceFile, court: &Court) -> Result<Option<B256>, Failure> {
    match file.rests_on() {
        Some(block) => Ok(court.agreed(block).await?),
        None => Ok(None),
    }
}

/// Judges a file; the set and the context must be the trusted ones, if any are.
fn judged(
    file: EvidenceFile,
    (ctx, set_id): (Option<B256>, Option<B256>),
    proven: Option<B256>,
) -> Result<(EvidenceFile, Bytes, rota_types::Verdict), Failure> {
    let wrong = |what: String| Failure::new(Exit::Verify, what);
    if ctx.is_some_and(|ctx| ctx != file.ctx()) {
        return Err(wrong(format!(
            "the evidence is of another network: its context is {}",
            file.ctx()
        )));
    }
    if set_id.is_some_and(|id| id != file.set_id()) {
        return Err(wrong(format!("the evidence names another set: its id is {}", file.set_id())));
    }
    let (_, verdict) = file.verify_proven(proven).map_err(|e| {
        let why = wrong(e.to_string());
        let unproven = file.rests_on().is_some() && proven.is_none();
        if unproven {
            why.hint(
                "slots on L1 have agreed on no hash of that block (rota output list), or L1 was not asked: slash verify needs --l1.rpc and --registry",
            )
        } else {
            why
        }
    })?;
    let bytes = file.evidence.clone();
    Ok((file, bytes, verdict))
}

async fn verify(args: &VerifyEvidenceArgs, json: bool) -> Done {
    let file = read(&args.file)?;
    let on_l1 = args.l1_rpc.clone().zip(args.registry).filter(|_| file.rests_on().is_some());
    let known = match on_l1 {
        Some((l1_rpc, registry)) => {
            let bench = Bench::open(&OnL1Args { l1_rpc, registry }).await?;
            proven(&file, &bench.court).await?
        }
        None => None,
    };
    let (file, _, verdict) = judged(file, (args.ctx, args.set_id), known)?;
    if json {
        return out::json(&json!({
            "v": 1, "kind": verdict.kind.name(), "accused": verdict.accused,
            "epoch": verdict.place.epoch, "height": verdict.place.height, "round": verdict.place.round,
            "ctx": file.ctx(), "setId": file.set_id(),
            "trusted": args.ctx.is_some() && args.set_id.is_some()
        }));
    }
    let what = match file.rests_on() {
        Some(block) => {
            format!("the certificate is good, and block {block} is proven to be another")
        }
        None => "both signatures are good and contradict each other".to_owned(),
    };
    out::line(format_args!("{}  {what}", verdict.kind.name()))?;
    for index in &verdict.accused {
        if let Some(member) = file.set.members.get(usize::from(*index)) {
            out::line(format_args!(
                "guilty     member {index} of epoch {}, owner {}",
                file.set.epoch, member.owner
            ))?;
        }
    }
    out::line(format_args!("network    {}", file.ctx()))?;
    out::line(format_args!("set        {}", file.set_id()))?;
    if args.ctx.is_none() || args.set_id.is_none() {
        eprintln!(
            "the set is the one that the file brings; compare network and set with what L1 says"
        );
    }
    Ok(())
}

fn refused(why: &L1Error) -> Failure {
    match why {
        L1Error::Refused(_) | L1Error::Reverted(_) => {
            Failure::new(Exit::Verify, format!("the contract would not slash for it: {why}"))
                .hint("docs/slashing.md says what each refusal means")
        }
        other => Failure::new(Exit::Unreachable, other),
    }
}

fn mined(what: &str, at: &rota_l1::Inclusion, json: bool) -> Done {
    if !at.success {
        return Err(Failure::new(
            Exit::L1Tx,
            format!("{} reverted in block {}", at.hash, at.block),
        ));
    }
    if json {
        return out::json(&json!({
            "v": 1, "transactionHash": at.hash, "l1Block": at.block, "gasUsed": at.gas_used
        }));
    }
    out::line(format_args!("{what}: {} in L1 block {}, {} gas", at.hash, at.block, at.gas_used))
}

async fn claim(args: &ClaimArgs, json: bool) -> Done {
    let bench = Bench::open(&args.l1).await?;
    let signer = account(&args.key_file, args.key_password_file.as_deref())?;
    let me = signer.address();
    let credit = bench.court.credit(me).await?;
    if credit == U256::ZERO {
        return Err(Failure::new(Exit::Failed, format!("nothing is credited to {me}"))
            .hint("a reward is credited when the offence is settled: rota slash list"));
    }
    let at = bench.send(signer, bench.court.withdraw(me)).await?;
    eprintln!("{} for {me}", out::eth(credit));
    mined("taken out", &at, json)
}
