//! `rota rewards release`: the fees in the rollup's vault go to the contract on L1 that pays them out.
//!
//! Not for: showing and finishing it on L1, which is the same as for any withdrawal. Invariant: the vault is asked before
//! anything is paid for, so that nobody pays for a refusal.

use super::unusable;
use crate::{
    cli::{
        Done,
        bridge::{SendOn, ask, on_rollup},
        client::Node,
        out,
    },
    exit::{Exit, Failure},
};
use alloy::{network::TransactionBuilder, rpc::types::TransactionRequest, sol_types::SolCall};
use alloy_primitives::{Address, U256};
use rota_l1::bindings::FeeVault;
use serde_json::json;

pub(super) async fn run(args: &SendOn, json: bool) -> Done {
    let node = Node::new(&args.rpc.rpc_url)?;
    let block = node.ask("eth_getBlockByNumber", json!(["latest", false])).await?;
    let field = |name: &str| block.get(name).cloned().unwrap_or_default();
    let vault: Address = serde_json::from_value(field("miner")).map_err(|e| unusable(&e))?;
    let now: U256 = serde_json::from_value(field("timestamp")).map_err(|e| unusable(&e))?;
    let rewards = ask(&node, vault, &FeeVault::rewardsCall {}).await?;
    let from = ask(&node, vault, &FeeVault::releasableAtCall {}).await?;
    let last = U256::from(ask(&node, vault, &FeeVault::releasedAtCall {}).await?);
    let interval = ask(&node, vault, &FeeVault::INTERVALCall {}).await?;
    let worth = ask(&node, vault, &FeeVault::WORTHCall {}).await?;
    let held = node.ask("eth_getBalance", json!([vault, "pending"])).await?;
    let held: U256 = serde_json::from_value(held).map_err(|e| unusable(&e))?;
    if held.is_zero() {
        return Err(Failure::new(Exit::Failed, "there are no fees in the vault")
            .hint("every transaction on the rollup pays some"));
    }
    if from > now {
        let wait = |at: U256| out::duration(at.saturating_sub(now).saturating_to());
        let least = out::eth(worth);
        return Err(Failure::new(Exit::Failed, format!("{} are not released yet", out::eth(held)))
            .hint(format!(
                "each release costs a proof on L1, so there is one a day at most, in {} if there are {least} by then, \
                 and one of less after a month: what is there now in {}",
                wait(last.saturating_add(interval)),
                wait(from)
            )));
    }
    let words = format!("send {} of fees to {rewards} on L1", out::eth(held));
    let request = TransactionRequest::default()
        .with_to(vault)
        .with_input(FeeVault::releaseCall {}.abi_encode());
    if on_rollup(args, request, words, json).await? {
        eprintln!("next, when L1 has its block proven: rota bridge prove HASH");
    }
    Ok(())
}
