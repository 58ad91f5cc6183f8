//! `rota l1 fallback`: when the set has stopped for good, what anyone, and what its operators can do on L1.
//!
//! Not for: starting sequencers in the generation that follows (`rota run` does). Invariant: what L1 would refuse for its time is refused here, with what comes next.

use super::{
    Done,
    args::Where,
    call::{Call, CallArgs, finish, make},
    node::settings_on_l1,
    out,
    set::sent,
};
use crate::{
    exit::{Exit, Failure},
    network::Network,
    setup::{FallbackOnL1, OnL1, RollCall},
};
use alloy_primitives::Address;
use clap::{Args, Subcommand};
use rota_l1::{TxRequest, activate_fallback_request, emergency_set_request, roll_call_request};
use serde_json::json;

/// `rota l1 fallback`.
#[derive(Debug, Subcommand)]
pub enum FallbackCommand {
    /// Whether one may start or goes on, and who has answered the roll call.
    Show(Where),
    /// Start one; anyone may, once the certified origin stood still for long enough.
    Start(CallArgs),
    /// Answer the roll call: this operator is there to go on.
    Answer(AnswerArgs),
    /// Make those who answered the next set; anyone may, after the roll call.
    Form(CallArgs),
}

/// `rota l1 fallback answer`.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// Number of the operator: rota set list.
    #[arg(long, value_name = "NUMBER")]
    pub operator: u64,
    /// How it gets to L1; the key is the owner's.
    #[command(flatten)]
    pub call: CallArgs,
}

pub(super) async fn run(command: &FallbackCommand, json: bool) -> Done {
    let at = match command {
        FallbackCommand::Show(at) => at,
        FallbackCommand::Start(call) | FallbackCommand::Form(call) => &call.at,
        FallbackCommand::Answer(args) => &args.call.at,
    };
    let (config, network) = settings_on_l1(at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let state = l1.fallback().await?;
    match command {
        FallbackCommand::Show(_) => show(&l1, &state, json).await,
        FallbackCommand::Start(call) => start(call, (&l1, &network), &state, json).await,
        FallbackCommand::Answer(args) => answer(args, (&l1, &network), &state, json).await,
        FallbackCommand::Form(call) => form(call, (&l1, &network), &state, json).await,
    }
}

async fn show(l1: &OnL1<'_>, state: &FallbackOnL1, json: bool) -> Done {
    let members = l1.roll_call(state).await?;
    if json {
        let members: Vec<_> = members
            .iter()
            .map(|RollCall { operator: o, weight, answered }| {
                json!({ "operator": o.id, "owner": o.owner, "weightGwei": weight, "answered": answered })
            })
            .collect();
        return out::json(&json!({
            "v": 1, "generation": state.generation, "l1Block": state.block, "goesOn": state.goes_on,
            "mayStartAfter": state.may_start_after, "since": state.since, "rollCallUntil": state.roll_call_until(),
            "epoch": state.epoch, "start": state.start, "members": members
        }));
    }
    out::line(format_args!("generation     {}", state.generation))?;
    out::line(format_args!("fallback       {}", words(state)))?;
    for RollCall { operator, weight, answered } in members.iter().filter(|_| state.resuming) {
        let said = if *answered { "answered" } else { "has not answered" };
        out::line(format_args!("operator {}     {weight} gwei, {said}", operator.id))?;
    }
    Ok(())
}

/// Where it stands, and what comes next.
fn words(s: &FallbackOnL1) -> String {
    if !s.resuming {
        let left = s.may_start_after.map(|after| (after, after.checked_sub(s.block)));
        return match left {
            None => "cannot start: no set is frozen yet".to_owned(),
            Some((after, Some(left))) => {
                format!("may not start before L1 block {after} is over, {left} from now")
            }
            Some((_, None)) => "may be started by anyone: rota l1 fallback start".to_owned(),
        };
    }
    let since = s.since;
    match (s.start, s.roll_call_until().checked_sub(s.block)) {
        (0, Some(left)) => {
            format!("since L1 block {since}; the roll call is open for {left} blocks more")
        }
        (0, None) => {
            format!("since L1 block {since}; the set may be formed: rota l1 fallback form")
        }
        (start, _) => format!(
            "since L1 block {since}; the set of epoch {} is in force from L1 block {start} on",
            s.epoch
        ),
    }
}

async fn start(
    args: &CallArgs,
    (l1, network): (&OnL1<'_>, &Network),
    state: &FallbackOnL1,
    json: bool,
) -> Done {
    if state.may_start_after.is_none_or(|after| state.block <= after) {
        return Err(Failure::new(Exit::Failed, format!("a fallback {}", words(state))).hint(
            "it is for a set that certifies nothing any more; one transaction alone: rota tx force",
        ));
    }
    let words = format!(
        "start generation {}: nothing that was signed before counts any more",
        state.generation.saturating_add(1)
    );
    anyones(args, l1, (activate_fallback_request(network.inbox), words), json).await
}

async fn form(
    args: &CallArgs,
    (l1, network): (&OnL1<'_>, &Network),
    state: &FallbackOnL1,
    json: bool,
) -> Done {
    if !state.resuming || state.start != 0 || state.block <= state.roll_call_until() {
        return Err(Failure::new(
            Exit::Failed,
            format!("there is no set to form: {}", words(state)),
        )
        .hint("rota l1 fallback show says when"));
    }
    let words = "make those who answered the roll call the next set".to_owned();
    anyones(args, l1, (emergency_set_request(network.inbox), words), json).await
}

async fn anyones(
    args: &CallArgs,
    l1: &OnL1<'_>,
    (request, words): (TxRequest, String),
    json: bool,
) -> Done {
    let call = Call { from: Address::ZERO, request, words };
    match make(args, l1, call, json).await? {
        Some(outcome) => sent("done", &outcome, json),
        None => Ok(()),
    }
}

async fn answer(
    args: &AnswerArgs,
    (l1, network): (&OnL1<'_>, &Network),
    state: &FallbackOnL1,
    json: bool,
) -> Done {
    if !state.resuming || state.start != 0 {
        return Err(Failure::new(Exit::Failed, format!("there is no roll call: {}", words(state)))
            .hint("rota l1 fallback show says what comes next"));
    }
    let operators = l1.operators().await?;
    let operator = operators.iter().find(|o| o.id == args.operator).ok_or_else(|| {
        Failure::new(Exit::Failed, "no such operator").hint("rota set list shows all operators")
    })?;
    let request = roll_call_request(network.inbox, state.generation, operator.id);
    let words = format!(
        "answer the roll call of generation {} for operator {}",
        state.generation, operator.id
    );
    finish(&args.call, l1, Call { from: operator.owner, request, words }, json).await
}
