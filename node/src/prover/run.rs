//! The prover's loop: look, try what should be done, send the first that L1 would take.
//!
//! Invariant: one transaction is under way at a time.

use super::{Action, Facts, Own, memory::Memory, plan};
use crate::{
    outputs::{BlockAt, OutputError},
    setup::{OnL1, SetupError},
};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256};
use rota_l1::{
    BondedOutput, L1Error, OracleView, Outcome, Outputs, SlotOnL1, TxRequest, checkpoint_request,
    claim_output_request, collect_bond_request, propose_request, settle_bond_request,
};
use std::time::Duration;

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
    /// L1 and the follower were asked, and this is how things stand.
    Looked(Looked),
    /// Sent and mined.
    Done(Action, Outcome),
    /// Would be sent, if there were a key.
    Would(Action),
    /// L1 or the follower could not be asked, or L1 took nothing for another reason than that it is not time; it is tried again.
    Trouble(String),
}

/// How things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// The newest final step.
    pub proven_step: u64,
    /// Its block.
    pub proven_block: u64,
    /// Number of the newest checkpoint.
    pub last_checkpoint: u64,
    /// The last step that the follower has an output for.
    pub right_to: u64,
    /// The next step is in dispute.
    pub disputed: bool,
    /// What the account has, wei; zero without a key.
    pub balance: U256,
    /// What a bond in the own slot costs, wei.
    pub bond: U256,
    /// What should be done now.
    pub wanted: usize,
}

/// Proves until the caller drops it. `at` says what the follower derived up to an L1 block, with the implementation that the slot is
/// named after.
///
/// # Errors
/// The slot is none of the oracle's, or takes no bonds.
pub async fn run_prover<E, F>(
    args: &ProverArgs,
    l1: &OnL1<'_>,
    at: impl Fn(u64) -> F,
    mut tell: impl FnMut(ProverStep),
) -> eyre::Result<()>
where
    E: From<OutputError> + std::fmt::Display,
    F: Future<Output = Result<Option<BlockAt>, E>>,
{
    let (mut memory, mut would) = (Memory::default(), Vec::new());
    loop {
        let wait = match look(args, &mut memory, &at).await {
            Ok((facts, balance)) => {
                let own = own(args);
                let bond = bond(&facts.view.slots, own.slot).ok_or_else(|| {
                    eyre::eyre!("{} is no slot of the oracle that takes bonds", own.slot)
                })?;
                let all = plan(&facts, own);
                tell(ProverStep::Looked(looked(&facts, (balance, bond), all.len())));
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
                tell(ProverStep::Trouble(why.to_string()));
                true
            }
        };
        if wait {
            tokio::time::sleep(args.poll).await;
        }
    }
}

fn own(args: &ProverArgs) -> Own {
    let account = args.key.as_ref().map_or(Address::ZERO, PrivateKeySigner::address);
    Own { account, slot: args.slot }
}

/// What a bond in a slot costs.
fn bond(slots: &[SlotOnL1], slot: Address) -> Option<U256> {
    Some(slots.iter().find(|s| s.address == slot)?.bonds?.0)
}

fn looked(facts: &Facts, (balance, bond): (U256, U256), wanted: usize) -> Looked {
    let tip = facts.view.tip;
    Looked {
        proven_step: tip.step,
        proven_block: tip.l2_block,
        last_checkpoint: facts.view.last_checkpoint,
        right_to: facts.right.last().map_or(tip.step, |(o, _)| o.step),
        disputed: facts.view.open.is_some_and(|open| open.disputed),
        balance,
        bond,
        wanted,
    }
}

/// Everything that matters, and what the account has.
async fn look<E, F>(
    args: &ProverArgs,
    memory: &mut Memory,
    at: &impl Fn(u64) -> F,
) -> Result<(Facts, U256), E>
where
    E: From<OutputError>,
    F: Future<Output = Result<Option<BlockAt>, E>>,
{
    let (l1, own) = (&args.outputs, own(args));
    let failed = |e: L1Error| E::from(OutputError::L1(e));
    let view = l1.view().await.map_err(failed)?;
    let (_, rules) = memory.rules(l1).await.map_err(failed)?;
    let windows = view.slots.iter().filter_map(|s| s.bonds.map(|(_, window)| window));
    let window = windows.max().unwrap_or_default();
    let right = memory.right(l1, (&view, window), at).await?;
    let bonded = memory.bonded(l1, &view, own).await.map_err(failed)?;
    let newest = l1.checkpoint(view.last_checkpoint).await.map_err(failed)?;
    let balance = match &args.key {
        Some(_) => l1.balance(own.account).await.map_err(failed)?,
        None => U256::ZERO,
    };
    let facts = Facts {
        claimed: claimed(l1, &view, &bonded).await.map_err(failed)?,
        credits: credits(l1, &view, own.account).await.map_err(failed)?,
        checkpoints: (rules.interval, newest.map_or(0, |c| c.l1_block)),
        view,
        right,
        bonded,
    };
    Ok((facts, balance))
}

/// Slots that owe the account something: a contradiction pays in the slot where it was made.
async fn credits(
    l1: &Outputs,
    view: &OracleView,
    account: Address,
) -> Result<Vec<Address>, L1Error> {
    let mut owing = Vec::new();
    for slot in view.slots.iter().filter(|s| s.bonds.is_some()) {
        if !l1.credit(slot.address, account).await?.is_zero() {
            owing.push(slot.address);
        }
    }
    Ok(owing)
}

/// What the oracle knows of slots in the open step.
async fn claimed(
    l1: &Outputs,
    view: &OracleView,
    bonded: &[BondedOutput],
) -> Result<Vec<(Address, B256)>, L1Error> {
    let mut claimed = Vec::new();
    let Some(open) = view.open else { return Ok(claimed) };
    for slot in &view.slots {
        claimed.push((slot.address, l1.claimed(open.step, slot.address).await?));
    }
    // In a dispute a slot is shown more than once, and what it was shown later is known by its hash alone.
    for b in bonded.iter().filter(|b| open.disputed && b.output.step == open.step) {
        if l1.is_candidate(open.step, b.hash).await? {
            claimed.push((b.slot, b.hash));
        }
    }
    Ok(claimed)
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
    Some(match action {
        Action::Contradict(slot, output) | Action::Bond(slot, output) => {
            propose_request(slot, &output, bond(slots, slot)?)
        }
        Action::Claim(slot, output) => claim_output_request(oracle, slot, &output, Bytes::new()),
        Action::Checkpoint => checkpoint_request(oracle),
        Action::Settle(slot, output) => settle_bond_request(slot, &output),
        Action::Collect(slot) => collect_bond_request(slot),
    })
}
