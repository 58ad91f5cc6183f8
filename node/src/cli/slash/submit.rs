//! `rota slash submit`: one file of evidence, from the contract's opinion of it to the reward.
//!
//! Invariant: the case and its salt are on the disk before the commitment is sent, so a command that was interrupted is
//! simply given again with the same `--dir`.

use super::{
    Bench, account,
    args::SubmitArgs,
    judged, mined, proven, read, refused,
    say::{tell, worth_json, worth_words},
};
use crate::{
    cli::{Done, out},
    exit::{Exit, Failure},
    setup::SetupError,
    slash::{self, Case, Desk, DeskError, Report, Told},
};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes};
use rota_l1::{RpcSender, TxError, TxRequest};
use serde_json::json;
use std::{path::Path, time::Duration};

/// Between two looks at L1.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn run(args: &SubmitArgs, json: bool) -> Done {
    let bench = Bench::open(&args.l1).await?;
    let file = read(&args.file)?;
    // What was signed before a fallback still costs the stake.
    let generation = file.domain.domain().generation;
    let ctx = bench.deployment.domain().of_generation(generation).ctx();
    let known = proven(&file, &bench.court).await?;
    let (_, evidence, verdict) = judged(file, (Some(ctx), None), known)?;
    let ruling = bench.court.check(&evidence).await.map_err(|e| refused(&e))?;
    let worth = if ruling.processed {
        None
    } else {
        let shown = (&evidence, verdict.kind.class());
        Some(bench.court.worth(&ruling, shown).await.map_err(|e| refused(&e))?)
    };
    let (kind, operator, key) = (verdict.kind.name(), ruling.operator, ruling.key);
    let said = worth.as_ref().map_or_else(|| "slashed already".to_owned(), worth_words);
    eprintln!("{kind}: the contract agrees; operator {operator}, offence {key}: {said}");
    if args.dry_run {
        return out::json(&json!({
            "v": 1, "kind": kind, "operator": operator.to_string(), "key": key,
            "processed": ruling.processed, "worth": worth.as_ref().map(worth_json)
        }));
    }
    if let Some(reporter) = args.print_tx {
        return print_transactions(&bench, evidence, (key, reporter));
    }
    let Some(file) = &args.key_file else {
        return Err(Failure::new(Exit::Usage, "no account given").hint("give --key-file FILE"));
    };
    let signer = account(file, args.key_password_file.as_deref())?;
    if args.no_reward {
        let at = bench.send(signer, bench.court.report(evidence)).await?;
        return mined("reported", &at, json);
    }
    bring(&bench, signer, (&args.dir, evidence), json).await
}

/// The same desk as of the program that watches, for this case.
async fn bring(
    bench: &Bench,
    signer: PrivateKeySigner,
    (dir, evidence): (&Path, Bytes),
    json: bool,
) -> Done {
    let disk = |e: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, format!("{}: {e}", dir.display()))
            .hint("make room there or correct its rights, and repeat the command: the salt of a commitment is only there")
    };
    std::fs::create_dir_all(dir).map_err(|e| disk(&e))?;
    let (me, chain_id) = (signer.address(), bench.deployment.l1_chain_id);
    let sender = RpcSender::new(bench.endpoints.clone(), signer, chain_id);
    let failed = |e: DeskError| match e {
        DeskError::L1(e) => Failure::from(e),
        DeskError::Tx(e) => Failure::from(SetupError::from(e)),
        DeskError::File(e) => disk(&e),
    };
    let mut desk = Desk::open(bench.court.clone(), sender, dir).await.map_err(failed)?;
    let theirs = desk.cases().iter().find(|case| case.reporter != me);
    if let Some(Case { key, reporter, .. }) = theirs {
        let what = format!("{} holds the case {key} of {reporter}", dir.display());
        return Err(Failure::new(Exit::Key, what)
            .hint("give the key of that account, or another directory with --dir"));
    }
    let mut seq = 0;
    let salt = slash::salt().map_err(|e| Failure::new(Exit::Failed, e))?;
    let told = desk.bring(evidence, salt).await.map_err(failed)?;
    let opened = match &told {
        Told::Opened { key, .. } => Some(*key),
        _ => None,
    };
    tell(&Report::Told(told), &mut seq, json);
    let Some(key) = opened else { return Ok(()) };
    while !desk.is_over(&key) {
        match desk.step().await {
            Ok(told) => told.into_iter().for_each(|t| tell(&Report::Told(t), &mut seq, json)),
            Err(why @ (DeskError::File(_) | DeskError::Tx(TxError::Funds(_)))) => {
                return Err(failed(why));
            }
            Err(why) => tell(&Report::Trouble(why.to_string()), &mut seq, json),
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Both transactions; the salt is in them, and whoever signs keeps it.
fn print_transactions(bench: &Bench, evidence: Bytes, (key, reporter): (B256, Address)) -> Done {
    let case = Case {
        evidence: evidence.clone(),
        key,
        salt: slash::salt().map_err(|e| Failure::new(Exit::Failed, e))?,
        reporter,
    };
    let plain = |r: &TxRequest| json!({"to": r.to, "value": "0x0", "data": r.input});
    out::json(&json!({
        "v": 1, "from": reporter, "salt": case.salt,
        "commit": plain(&bench.court.commit(case.commitment())),
        "reveal": plain(&bench.court.reveal(evidence, case.salt)),
        "note": "send commit, wait for one L1 block, send reveal"
    }))
}
