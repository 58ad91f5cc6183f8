//! The prover's loop: look, try what should be done, send the first that L1 would take.
//!
//! Invariant: one transaction is under way at a time.

use super::{Action, Facts, Own, plan};
use crate::{
    outputs::{BlockAt, OutputError, right_outputs},
    setup::{OnL1, SetupError},
};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes};
use rota_l1::{
    Outcome, Outputs, SlotOnL1, TxRequest, checkpoint_request, claim_output_request,
    collect_bond_request, propose_request, settle_bond_request,
};
use std::time::Duration;

/// Steps that are looked at beyond the last final one. Policy when there are more: the later ones wait.
const AHEAD: u64 = 16;
/// Final steps whose bonds are still looked for.
const BEHIND: u64 = 16;

/// How a prover is run.
#[derive(Debug)]
pub struct ProverArgs {
    /// Reads the oracle.
    pub outputs: Outputs,
    /// The slot that is named after the implementation of its follower.
    pub slot: Address,
    /// Pays bonds and gas; without it nothing is sent.
    pub key: Option<PrivateKeySigner>,
    /// Between two looks.
    pub poll: Duration,
}

/// What it tells.
#[derive(Debug)]
pub enum ProverStep {
    /// Sent and mined.
    Done(Action, Outcome),
    /// Would be sent, if there were a key.
    Would(Action),
    /// L1 or the follower could not be asked; it is tried again.
    Trouble(String),
}

/// Proves until the caller drops it. `at` says what the follower derived up to an L1 block.
///
/// # Errors
/// The slot is none of the oracle's, or takes no bonds.
pub async fn run_prover<E: From<OutputError> + std::fmt::Display>(
    args: &ProverArgs,
    l1: &OnL1<'_>,
    at: impl AsyncFn(u64) -> Result<Option<BlockAt>, E>,
    mut tell: impl FnMut(ProverStep),
) -> eyre::Result<()> {
    let mut would = Vec::new();
    loop {
        let wait = match look(args, &at).await {
            Ok(facts) => {
                let own = Own { account: account(args), slot: args.slot };
                let mine =
                    facts.view.slots.iter().any(|s| s.address == own.slot && s.bonds.is_some());
                eyre::ensure!(mine, "{} is no slot of the oracle that takes bonds", own.slot);
                let all = plan(&facts, own);
                if args.key.is_none() {
                    all.iter()
                        .filter(|a| !would.contains(*a))
                        .for_each(|a| tell(ProverStep::Would(*a)));
                    would = all;
                    true
                } else {
                    !act(args, l1, (&facts, all), &mut tell).await
                }
            }
            Err(why) => {
                tell(ProverStep::Trouble(why));
                true
            }
        };
        if wait {
            tokio::time::sleep(args.poll).await;
        }
    }
}

fn account(args: &ProverArgs) -> Address {
    args.key.as_ref().map_or(Address::ZERO, PrivateKeySigner::address)
}

async fn look<E: From<OutputError> + std::fmt::Display>(
    args: &ProverArgs,
    at: &impl AsyncFn(u64) -> Result<Option<BlockAt>, E>,
) -> Result<Facts, String> {
    let outputs = &args.outputs;
    let text = |e: rota_l1::L1Error| e.to_string();
    let view = outputs.view().await.map_err(text)?;
    let (tip, last) = (view.tip, view.last_checkpoint.min(view.tip.step.saturating_add(AHEAD)));
    let right = right_outputs(outputs, (tip.step, tip.output), last, at).await;
    let (right, _) = right.map_err(|e| e.to_string())?;
    let first = tip.step.saturating_sub(BEHIND).max(1);
    let bonded = match outputs.checkpoint(first).await.map_err(text)? {
        Some(point) => {
            let slots: Vec<Address> =
                view.slots.iter().filter(|s| s.bonds.is_some()).map(|s| s.address).collect();
            outputs.bonded(&slots, (point.l1_block, view.block)).await.map_err(text)?
        }
        None => Vec::new(),
    };
    let mut claimed = Vec::new();
    if let Some(open) = view.open {
        for slot in &view.slots {
            let known: B256 = outputs.claimed(open.step, slot.address).await.map_err(text)?;
            claimed.push((slot.address, known));
        }
    }
    let newest = outputs.checkpoint(view.last_checkpoint).await.map_err(text)?;
    let (interval, _) = outputs.rules().await.map_err(text)?;
    Ok(Facts {
        credit: outputs.credit(args.slot, account(args)).await.map_err(text)?,
        checkpoints: (interval, newest.map_or(0, |c| c.l1_block)),
        view,
        right,
        bonded,
        claimed,
    })
}

/// Sends the first that L1 takes; whether there was one.
async fn act(
    args: &ProverArgs,
    l1: &OnL1<'_>,
    (facts, all): (&Facts, Vec<Action>),
    tell: &mut impl FnMut(ProverStep),
) -> bool {
    let Some(key) = &args.key else { return false };
    for action in all {
        let Some(request) = request(args.outputs.address(), action, &facts.view.slots) else {
            continue;
        };
        match l1.call(key, request).await {
            Ok(outcome) => {
                tell(ProverStep::Done(action, outcome));
                return true;
            }
            // Another did it, or it is not time yet.
            Err(SetupError::L1(rota_l1::L1Error::Refused(_)) | SetupError::Failed { .. }) => {}
            Err(why) => {
                let is_ours = matches!(why, SetupError::Tx(_));
                tell(ProverStep::Trouble(format!("{action}: {why}")));
                // Without the money for a bond the rest can still be done.
                if !is_ours {
                    return false;
                }
            }
        }
    }
    false
}

fn request(oracle: Address, action: Action, slots: &[SlotOnL1]) -> Option<TxRequest> {
    let bond = |slot: Address| slots.iter().find(|s| s.address == slot)?.bonds;
    Some(match action {
        Action::Contradict(slot, output) | Action::Bond(slot, output) => {
            propose_request(slot, &output, bond(slot)?.0)
        }
        Action::Claim(slot, output) => claim_output_request(oracle, slot, &output, Bytes::new()),
        Action::Checkpoint => checkpoint_request(oracle),
        Action::Settle(slot, output) => settle_bond_request(slot, &output),
        Action::Collect(slot) => collect_bond_request(slot),
    })
}
