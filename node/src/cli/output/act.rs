//! Sending something to the oracle or to a slot.
//!
//! Invariant: a bond is put on nothing but what the user's follower computed.

use super::{BondArgs, CollectArgs, SlotArgs, contract, look::bonded_since, right};
use crate::cli::{
    Done,
    call::{Call, CallArgs, make},
    node::settings_on_l1,
    out, set,
};
use crate::{
    exit::{Exit, Failure},
    setup::OnL1,
};
use alloy_primitives::{Address, Bytes};
use rota_l1::{
    BondedOutput, Output, SlotOnL1, TxRequest, checkpoint_request, claim_output_request,
    collect_bond_request, propose_request, settle_bond_request,
};

async fn send(
    args: &CallArgs,
    l1: &OnL1<'_>,
    (request, words): (TxRequest, String),
    what: &str,
    json: bool,
) -> Done {
    // Anyone may send these: from the account of the key, if one is given.
    let from = Address::ZERO;
    match make(args, l1, Call { from, request, words }, json).await? {
        Some(outcome) => set::sent(what, &outcome, json),
        None => Ok(()),
    }
}

fn bond_on(slot: &SlotOnL1, output: &Output) -> Result<(TxRequest, String), Failure> {
    let (bond, _) = slot.bonds.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("slot {} takes no bonds: {}", slot.address, slot.basis))
            .hint("rota output list shows the others")
    })?;
    let words = format!(
        "put {} at stake on block {} {} in step {} ({})",
        out::eth(bond),
        output.l2_block,
        output.l2_hash,
        output.step,
        slot.basis
    );
    Ok((propose_request(slot.address, output, bond), words))
}

pub(super) async fn challenge(args: &BondArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let outputs = l1.outputs(contract(&network)?);
    let view = outputs.view().await?;
    let (output, hash) = right(&outputs, &args.rpc, args.step).await?;
    let bonded = bonded_since(&outputs, &view, args.step).await?;
    let here = |s: &&SlotOnL1| args.slot.is_none_or(|slot| slot == s.address);
    let mut done = false;
    for slot in view.slots.iter().filter(here) {
        let of = |b: &&BondedOutput| b.slot == slot.address && b.output.step == args.step;
        // One on top of another parent falls with that; a contradiction of it would be of no use.
        let wrong = |b: &BondedOutput| b.hash != hash && b.output.parent == output.parent;
        let is_wrong = bonded.iter().filter(of).any(wrong);
        let is_here = bonded.iter().filter(of).any(|b| b.hash == hash);
        if is_wrong && !is_here {
            let call = bond_on(slot, &output)?;
            send(&args.call, &l1, call, "contradicted", json).await?;
            done = true;
        }
    }
    if done {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("step {}: nothing wrong stands alone", args.step))
        .hint(format!("rota output verify {} compares all that is claimed", args.step)))
}

pub(super) async fn propose(args: &BondArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let outputs = l1.outputs(contract(&network)?);
    let view = outputs.view().await?;
    let here = |s: &&SlotOnL1| args.slot.map_or(s.bonds.is_some(), |slot| slot == s.address);
    let slot = view.slots.iter().find(here).ok_or_else(|| {
        Failure::new(Exit::Usage, "the oracle has no such slot").hint("rota output list")
    })?;
    let (output, _) = right(&outputs, &args.rpc, args.step).await?;
    send(&args.call, &l1, bond_on(slot, &output)?, "bonded", json).await
}

/// The step's bonded outputs on the slots asked for.
async fn those(
    args: &SlotArgs,
    l1: &OnL1<'_>,
    oracle: Address,
) -> Result<Vec<BondedOutput>, Failure> {
    let outputs = l1.outputs(oracle);
    let view = outputs.view().await?;
    let mut found = bonded_since(&outputs, &view, args.step).await?;
    found.retain(|b| b.output.step == args.step && args.slot.is_none_or(|slot| slot == b.slot));
    if found.is_empty() {
        return Err(Failure::new(Exit::Failed, format!("nothing is bonded on step {}", args.step))
            .hint("rota output list"));
    }
    Ok(found)
}

pub(super) async fn claim(args: &SlotArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let oracle = contract(&network)?;
    let outputs = l1.outputs(oracle);
    let mut refused = None;
    for b in those(args, &l1, oracle).await? {
        if outputs.output_of(args.step).await?.is_zero()
            && (outputs.claimed(args.step, b.slot).await? != b.hash)
        {
            let call = claim_output_request(oracle, b.slot, &b.output, Bytes::new());
            let words = format!("show the oracle that {} stands for {}", b.slot, b.output.l2_hash);
            match send(&args.call, &l1, (call, words), "claimed", json).await {
                Ok(()) => return Ok(()),
                // Another one may stand already.
                Err(e) => refused = Some(e),
            }
        }
    }
    Err(refused.unwrap_or_else(|| {
        Failure::new(Exit::Failed, "the oracle knows all of it").hint("rota output list")
    }))
}

pub(super) async fn checkpoint(args: &CallArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let call = (checkpoint_request(contract(&network)?), "record a checkpoint".to_owned());
    send(args, &l1, call, "recorded", json).await
}

pub(super) async fn settle(args: &SlotArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let found = those(args, &l1, contract(&network)?).await?;
    for b in found.iter().filter(|b| !b.settled) {
        let words = format!("settle the bond of {} on {}", b.claimant, b.output.l2_hash);
        let call = (settle_bond_request(b.slot, &b.output), words);
        send(&args.call, &l1, call, "settled", json).await?;
    }
    Ok(())
}

pub(super) async fn collect(args: &CollectArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let words = format!("collect what {} owes this account", args.slot);
    send(&args.call, &l1, (collect_bond_request(args.slot), words), "collected", json).await
}
