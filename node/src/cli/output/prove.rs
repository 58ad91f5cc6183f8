//! `rota output prove`: proves for one slot, with what a follower of the same operator computes.
//!
//! Invariant: the follower says with which implementations it executed; a slot that is named after another one is refused.

use super::{ProveArgs, contract, follower_block};
use crate::cli::{Done, call::owner_key, client::Node, node::settings_on_l1, out};
use crate::{
    exit::{Exit, Failure},
    outputs::Implementation,
    prover::{ProverArgs, ProverStep, run_prover},
    setup::OnL1,
};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::Address;
use serde_json::json;
use std::time::Duration;

pub(super) async fn prove(args: &ProveArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let outputs = l1.outputs(contract(&network)?);
    let node = Node::new(&args.rpc.rpc_url)?;
    has(&node, args.implementation).await?;
    let slot = args.implementation.slot(args.slot, &outputs.view().await?.slots)?;
    let key = if args.call.dry_run { None } else { owner_key(&args.call)? };
    if key.is_none() && !args.call.dry_run {
        return Err(Failure::new(Exit::Usage, "the key of the account that pays bonds is needed")
            .hint("give --key-file FILE, or --dry-run to see what would be sent"));
    }
    let account = key.as_ref().map(PrivateKeySigner::address);
    eprintln!("proving for slot {slot} ({})", args.implementation.name());
    let poll = Duration::from_millis(args.poll.as_millis());
    let prover = ProverArgs { outputs, slot, key, poll };
    let at = |l1_block| follower_block(&node, l1_block, Some(args.implementation));
    let tell = |step| told(account, &step, json);
    tokio::select! {
        ended = run_prover(&prover, &l1, at, tell) => ended.map_err(|e| Failure::from_report(&e)),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// A follower that executed with something else must not stand for this slot.
async fn has(node: &Node, implementation: Implementation) -> Result<(), Failure> {
    let answer = node.ask("rota_getImplementations", json!([])).await?;
    let has: Vec<String> = serde_json::from_value(answer).unwrap_or_default();
    if has.iter().any(|name| name == implementation.name()) {
        return Ok(());
    }
    let message = format!("that follower does not execute with {}", implementation.name());
    Err(Failure::new(Exit::Usage, message)
        .hint("a slot stands for the implementation that it is named after: use another follower"))
}

fn told(account: Option<Address>, step: &ProverStep, json: bool) {
    let line = match step {
        ProverStep::Looked(_) => return,
        ProverStep::Done(action, outcome) if json => json!({
            "v": 1, "done": action.to_string(), "account": account, "transactionHash": outcome.inclusion.hash,
            "l1Block": outcome.inclusion.block, "gasUsed": outcome.inclusion.gas_used
        })
        .to_string(),
        ProverStep::Done(action, outcome) => {
            let at = outcome.inclusion;
            format!("{action}: {} in L1 block {}, {} gas", at.hash, at.block, at.gas_used)
        }
        ProverStep::Would(action) => format!("would {action}"),
        ProverStep::Trouble(why) => {
            eprintln!("trouble: {why}");
            return;
        }
    };
    // Nobody reads on: there is nothing to do about it.
    let _ = out::line(line);
}
