//! Looking at the oracle.
//!
//! Invariant: sends nothing.

use super::{StepArgs, VerifyArgs, contract, right};
use crate::cli::{Done, args::Where, node::settings_on_l1, out};
use crate::{
    exit::{Exit, Failure},
    setup::OnL1,
};
use alloy_primitives::B256;
use rota_l1::{BondedOutput, FinalOutput, OracleView, Output, Outputs};
use serde_json::{Value, json};

pub(super) async fn list(at: &Where, json: bool) -> Done {
    let (config, network) = settings_on_l1(at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let outputs = l1.outputs(contract(&network)?);
    let view = outputs.view().await?;
    let bonded = match view.open {
        Some(open) => bonded_since(&outputs, &view, open.step).await?,
        None => Vec::new(),
    };
    if json {
        return out::json(&as_json(&view, outputs.address(), &bonded));
    }
    let tip = view.tip;
    out::line(format_args!("oracle   {}", outputs.address()))?;
    out::line(format_args!(
        "proven   step {}: block {} {}, height {}",
        tip.step, tip.l2_block, tip.l2_hash, tip.height
    ))?;
    open(&view)?;
    let (council, holds) = view.council;
    let words = if holds { "may decide disputes" } else { "is no council: it can do nothing" };
    out::line(format_args!("council  {council} {words}"))?;
    if view.paused_until_s > 0 {
        out::line(format_args!("paused   withdrawals, until {}", view.paused_until_s))?;
    }
    for slot in &view.slots {
        let terms = slot.bonds.map_or_else(String::new, |(bond, window)| {
            format!("; bond {}, {window} L1 blocks to contradict", out::eth(bond))
        });
        out::line(format_args!("slot     {} {}{terms}", slot.address, slot.basis))?;
    }
    bonded.iter().try_for_each(|b| told(b, &view))
}

fn open(view: &OracleView) -> Done {
    let Some(open) = view.open else {
        return out::line("next     nothing: no checkpoint after the proven step yet");
    };
    let how = match (open.disputed, open.candidates) {
        (true, n) => format!("in dispute, {n} claimed; the council chooses among them"),
        (false, 0) => "no slot stands for an output yet".to_owned(),
        (false, _) => "one slot stands for an output, another must agree".to_owned(),
    };
    let (step, last, stuck) = (open.step, view.last_checkpoint, open.stuck_at_s);
    out::line(format_args!("next     step {step} of {last}: {how}; stuck from {stuck} on"))
}

fn told(b: &BondedOutput, view: &OracleView) -> Done {
    let window = view.slots.iter().find(|s| s.address == b.slot).and_then(|s| s.bonds);
    let from = b.l1_block.saturating_add(window.map_or(0, |(_, blocks)| blocks));
    let how = if b.contested {
        "contested".to_owned()
    } else if view.block >= from {
        "stands".to_owned()
    } else {
        format!("stands from L1 block {from} on")
    };
    let Output { step, l2_block, l2_hash, .. } = b.output;
    out::line(format_args!(
        "bonded   step {step}: block {l2_block} {l2_hash} on {} by {}, {how}",
        b.slot, b.claimant
    ))
}

/// Everything bonded on steps from one on: bonds come after the checkpoint.
pub(super) async fn bonded_since(
    l1: &Outputs,
    view: &OracleView,
    step: u64,
) -> Result<Vec<BondedOutput>, Failure> {
    let Some(from) = l1.checkpoint(step).await? else { return Ok(Vec::new()) };
    let slots: Vec<_> =
        view.slots.iter().filter(|s| s.bonds.is_some()).map(|s| s.address).collect();
    let mut found = l1.bonded(&slots, (from.l1_block, view.block)).await?;
    found.retain(|b| b.output.step >= step);
    Ok(found)
}

fn as_json(view: &OracleView, oracle: alloy_primitives::Address, bonded: &[BondedOutput]) -> Value {
    let tip = view.tip;
    let open = view.open.map(|o| {
        json!({ "step": o.step, "candidates": o.candidates, "disputed": o.disputed, "stuckAt": o.stuck_at_s })
    });
    let slot = |s: &rota_l1::SlotOnL1| {
        let (bond, window) = s.bonds.unzip();
        json!({
            "address": s.address, "basis": s.basis, "bondWei": bond.map(|b| b.to_string()), "windowBlocks": window
        })
    };
    json!({
        "v": 1, "oracle": oracle, "l1Block": view.block, "lastCheckpoint": view.last_checkpoint, "open": open,
        "proven": {
            "step": tip.step, "output": tip.output, "blockNumber": tip.l2_block, "blockHash": tip.l2_hash,
            "height": tip.height, "at": tip.time_s
        },
        "council": { "address": view.council.0, "holds": view.council.1 }, "pausedUntil": view.paused_until_s,
        "slots": view.slots.iter().map(slot).collect::<Vec<_>>(),
        "bonded": bonded.iter().map(bonded_json).collect::<Vec<_>>()
    })
}

fn output_json(o: &Output, hash: B256) -> Value {
    json!({
        "step": o.step, "parent": o.parent, "blockNumber": o.l2_block, "blockHash": o.l2_hash, "height": o.height,
        "valueId": o.value_id, "output": hash
    })
}

fn bonded_json(b: &BondedOutput) -> Value {
    json!({
        "slot": b.slot, "claimant": b.claimant, "l1Block": b.l1_block, "settled": b.settled, "contested": b.contested,
        "value": output_json(&b.output, b.hash)
    })
}

/// What L1 has of a step.
struct Found {
    l1_block: u64,
    l1_hash: B256,
    bonded: Vec<BondedOutput>,
    done: Option<FinalOutput>,
    view: OracleView,
}

async fn find(outputs: &Outputs, step: u64) -> Result<Found, Failure> {
    let view = outputs.view().await?;
    let point = outputs.checkpoint(step).await?.filter(|_| step > 0).ok_or_else(|| {
        Failure::new(Exit::Failed, format!("the oracle has no step {step}"))
            .hint("rota output list shows the newest checkpoint")
    })?;
    let mut bonded = bonded_since(outputs, &view, step).await?;
    bonded.retain(|b| b.output.step == step);
    let done = outputs.finalized(point.l1_block, view.block).await?;
    let done = done.into_iter().find(|f| f.output.step == step);
    Ok(Found { l1_block: point.l1_block, l1_hash: point.l1_hash, bonded, done, view })
}

pub(super) async fn show(args: &StepArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let found = find(&l1.outputs(contract(&network)?), args.step).await?;
    if json {
        let done = found.done.map(|f| {
            json!({ "value": output_json(&f.output, f.hash), "byCouncil": f.by_council, "l1Block": f.l1_block })
        });
        return out::json(&json!({
            "v": 1, "step": args.step, "l1Block": found.l1_block, "l1Hash": found.l1_hash, "final": done,
            "bonded": found.bonded.iter().map(bonded_json).collect::<Vec<_>>()
        }));
    }
    out::line(format_args!("step     {}", args.step))?;
    out::line(format_args!("derives  L1 up to block {} {}", found.l1_block, found.l1_hash))?;
    match &found.done {
        Some(f) => {
            let by = if f.by_council { "by the council" } else { "by agreement" };
            let Output { l2_block, l2_hash, .. } = f.output;
            out::line(format_args!(
                "final    block {l2_block} {l2_hash}, {by} in L1 block {}",
                f.l1_block
            ))?;
        }
        None => out::line("final    not yet")?,
    }
    found.bonded.iter().try_for_each(|b| told(b, &found.view))
}

pub(super) async fn verify(args: &VerifyArgs, json: bool) -> Done {
    let step = args.step.step;
    let (config, network) = settings_on_l1(&args.step.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let outputs = l1.outputs(contract(&network)?);
    let found = find(&outputs, step).await?;
    let (output, hash) = right(&outputs, &args.rpc, step).await?;
    let wrong: Vec<_> = found.bonded.iter().filter(|b| b.hash != hash).collect();
    let done = found.done.map(|f| f.hash == hash);
    if json {
        out::json(&json!({
            "v": 1, "right": output_json(&output, hash), "final": found.done.map(|f| f.hash), "finalIsRight": done,
            "wrong": wrong.iter().map(|b| bonded_json(b)).collect::<Vec<_>>()
        }))?;
    } else {
        out::line(format_args!("right    block {} {}", output.l2_block, output.l2_hash))?;
        out::line(match done {
            Some(true) => "final    the same",
            Some(false) => "final    ANOTHER output was proven on L1",
            None => "final    not yet",
        })?;
        wrong.iter().try_for_each(|b| {
            out::line(format_args!("wrong    {} {} by {}", b.slot, b.output.l2_hash, b.claimant))
        })?;
    }
    if done == Some(false) {
        return Err(Failure::new(Exit::Verify, "L1 proved what this follower did not compute").hint(
            "check with a follower of another implementation; the council can hold up withdrawals",
        ));
    }
    if done.is_none() && !wrong.is_empty() {
        return Err(Failure::new(Exit::Verify, "somebody put a bond on another output")
            .hint(format!("contradict it: rota output challenge {step}")));
    }
    Ok(())
}
