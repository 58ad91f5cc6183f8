//! `rota output prove`: proves for one slot, with what a follower of the same operator computes.
//!
//! Invariant: the follower says with which implementations it executed; a slot that is named after another one is refused.

use super::{ProveArgs, contract, follower_block};
use crate::cli::{Done, call::owner_key, client::Node, node::settings_on_l1, out};
use crate::{
    exit::{Exit, Failure},
    prover::{ProverArgs, ProverStep, run_prover},
    setup::OnL1,
};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::Address;
use clap::ValueEnum;
use rota_l1::SlotOnL1;
use serde_json::json;
use std::time::Duration;

/// What a follower executes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Implementation {
    /// revm, in the follower itself.
    Revm,
    /// A client outside that checks every block by the Engine API.
    Engine,
}

impl Implementation {
    const fn name(self) -> &'static str {
        match self {
            Self::Revm => "revm",
            Self::Engine => "engine",
        }
    }

    /// The words in a slot's basis that are for it.
    const fn words(self) -> &'static str {
        match self {
            Self::Revm => "with revm",
            Self::Engine => "independent Ethereum client",
        }
    }
}

pub(super) async fn prove(args: &ProveArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let outputs = l1.outputs(contract(&network)?);
    let node = Node::new(&args.rpc.rpc_url)?;
    has(&node, args.implementation).await?;
    let slot = slot(args, &outputs.view().await?.slots)?;
    let key = if args.call.dry_run { None } else { owner_key(&args.call)? };
    if key.is_none() && !args.call.dry_run {
        return Err(Failure::new(Exit::Usage, "the key of the account that pays bonds is needed")
            .hint("give --key-file FILE, or --dry-run to see what would be sent"));
    }
    let account = key.as_ref().map(PrivateKeySigner::address);
    eprintln!("proving for slot {slot} ({})", args.implementation.name());
    let poll = Duration::from_millis(args.poll.as_millis());
    let prover = ProverArgs { outputs, slot, key, poll };
    let at = async |l1_block| follower_block(&node, l1_block).await;
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

fn slot(args: &ProveArgs, slots: &[SlotOnL1]) -> Result<Address, Failure> {
    let words = args.implementation.words();
    let named = |s: &&SlotOnL1| s.bonds.is_some() && s.basis.contains(words);
    let found = match args.slot {
        Some(address) => slots.iter().find(|s| s.address == address).filter(named),
        None => slots.iter().find(named),
    };
    found.map(|s| s.address).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("no such slot says that it is re-execution {words}"))
            .hint("rota output list shows all slots")
    })
}

fn told(account: Option<Address>, step: &ProverStep, json: bool) {
    let line = match step {
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
