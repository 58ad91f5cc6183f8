//! `rota preconf`: the promise as a file, and checking one without asking anyone.

use super::{
    Done,
    args::{GetArgs, VerifyArgs},
    client::Node,
    confirm::confirm,
    node, out,
};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    network::Network,
    run::reader,
    setup::OnL1,
};
use rota_types::{B256, Receipt, ReceiptSet, Stage, ValidatorSet};
use rota_verify::{Anchor, Leader, SLASHING, Verdict, percent};
use serde_json::json;
use std::path::Path;

pub(super) async fn get(args: &GetArgs, json: bool) -> Done {
    let node = Node::new(&args.tx.rpc.rpc_url)?;
    let promise = node.ask("preconf_getPromise", json!([args.tx.hash])).await?;
    let text = serde_json::to_string_pretty(&promise).map_err(|e| Failure::new(Exit::Failed, e))?;
    let Some(path) = &args.output else { return out::line(text) };
    std::fs::write(path, text + "\n")
        .map_err(|e| Failure::new(Exit::Failed, format!("cannot write {}: {e}", path.display())))?;
    if json {
        return out::json(&json!({ "v": 1, "file": path }));
    }
    eprintln!("promise saved; check it any time: rota preconf verify {}", path.display());
    Ok(())
}

pub(super) async fn verify(args: &VerifyArgs, json: bool) -> Done {
    let receipt: Receipt = read(&args.file, "a promise")?;
    let mut config = node::settings(&args.at, Vec::new())?;
    if let Some(url) = &args.l1 {
        config.l1.rpc = vec![url.clone()];
    }
    // With both hashes given no file of the network is needed, unless L1 is to be asked.
    let needed = args.ctx.is_none() || args.l1.is_some() || !args.names_set();
    let network = if needed { Some(Network::load(&config.network_path())?) } else { None };
    let ctx = match (args.ctx, &network) {
        (Some(ctx), _) => ctx,
        // Which generation it is of is part of what was signed, and says by itself which fallbacks made it void.
        (None, Some(network)) => network.domain_of(receipt.domain.generation)?.ctx(),
        (None, None) => B256::ZERO,
    };
    let anchor =
        Anchor { ctx, set_id: set_id(args, &config, (network.as_ref(), receipt.set.epoch)).await? };
    let verdict = rota_verify::verify(&receipt, &anchor).map_err(|e| {
        Failure::new(Exit::Verify, format!("the promise does not hold: {e}"))
            .hint("check that network file and set are those of the promise's network")
    })?;
    let on_l1 = match &network {
        Some(network) if args.l1.is_some() => {
            let l1 = reader(&config, network).map_err(|e| Failure::new(Exit::Failed, e))?;
            Some(confirm(&l1, &verdict, &receipt.domain.domain()).await?)
        }
        _ => None,
    };
    report(&verdict, on_l1, json)
}

/// The id of the set that is trusted: as given, of a file, or as L1 has it.
async fn set_id(
    args: &VerifyArgs,
    config: &Config,
    (network, epoch): (Option<&Network>, u64),
) -> Result<B256, Failure> {
    if let Some(id) = args.set_id {
        return Ok(id);
    }
    let set: ValidatorSet = match (&args.set, network) {
        (Some(path), _) => read(path, "a set")?,
        (None, Some(network)) if !config.l1.rpc.is_empty() => {
            let l1 = OnL1::connect(network, &config.l1.rpc).await?;
            let none = || Failure::new(Exit::Config, "the set is not frozen on L1 yet");
            l1.set(Some(epoch)).await?.ok_or_else(none)?
        }
        (None, _) => {
            return Err(Failure::new(Exit::Config, "the set of sequencers is not known").hint(
                "give --set FILE (from rota set list -o FILE) or --set-id HASH, or --l1 URL to read it from L1",
            ));
        }
    };
    Ok(ReceiptSet::of(&set).id())
}

fn report(verdict: &Verdict, on_l1: Option<Stage>, json: bool) -> Done {
    let stage = on_l1.unwrap_or(verdict.stage);
    let (worth, lost_if) =
        (rota_verify::worth(verdict, stage), rota_verify::lost_if(verdict, stage));
    if json {
        return out::json(&json!({
            "v": 2, "verified": true, "stage": stage, "l1Checked": on_l1.is_some(),
            "worth": worth, "covered": rota_verify::covered(verdict), "lostIf": lost_if, "note": SLASHING, "receipt": verdict,
        }));
    }
    lines(verdict, on_l1).into_iter().try_for_each(out::line)?;
    out::line(format_args!("stage        {stage}"))?;
    out::line(format_args!("worth        {worth}"))?;
    out::line(format_args!("lost if      {lost_if}"))?;
    out::line(format_args!("note         {SLASHING}"))
}

/// One line for each part that was checked.
fn lines(verdict: &Verdict, on_l1: Option<Stage>) -> Vec<String> {
    let Leader { index, owner, .. } = verdict.leader;
    let mut out = vec![
        format!("transaction  {}", verdict.transaction_hash),
        format!(
            "signature    ok  ed25519 by {owner}, member {index} of the set of epoch {}",
            verdict.epoch
        ),
        format!(
            "inclusion    ok  transaction {} of frame {}, height {}",
            verdict.index, verdict.g, verdict.height
        ),
    ];
    if let Some(a) = &verdict.acked {
        let share = percent(a.weight_gwei, a.total_gwei);
        out.push(format!(
            "acks         ok  {} members with {share} % of the stake, up to frame {}",
            a.signers.len(),
            a.g
        ));
        let least = if a.round_leader.is_some() { "" } else { "at least " };
        out.push(format!(
            "secured      {least}{} wei ({})",
            a.secured_wei,
            out::eth(a.secured_wei)
        ));
    }
    if let Some(words) = rota_verify::covered(verdict) {
        out.push(format!("insured      {words}"));
    }
    if let Some(d) = &verdict.decided {
        let share = percent(d.weight_gwei, d.total_gwei);
        out.push(format!(
            "decision     ok  height {}, round {}, {} members with {share} % of the stake",
            verdict.height,
            d.round,
            d.signers.len()
        ));
    }
    if let Some(p) = &verdict.posted {
        let checked = match on_l1 {
            Some(stage) => format!("ok  {stage}"),
            None => format!("not checked: said to be {}; --l1 URL asks Ethereum", verdict.claimed),
        };
        out.push(format!(
            "L1           {checked}; batch up to height {} in block {}, transaction {}",
            p.last_height, p.l1_block, p.l1_tx
        ));
    } else if on_l1.is_some() {
        out.push("L1           the promise names no batch yet; get it anew later".to_owned());
    }
    out
}

pub(super) fn read<T: serde::de::DeserializeOwned>(path: &Path, what: &str) -> Result<T, Failure> {
    let wrong = |e: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, format!("{} is not {what}: {e}", path.display()))
            .hint("rota preconf get and rota set list -o write these files")
    };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(&e))?;
    serde_json::from_str(&text).map_err(|e| wrong(&e))
}
