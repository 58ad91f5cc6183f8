//! `rota rewards release`: the fees in the rollup's vault go to the contract on L1 that pays them out.
//!
//! Not for: showing and finishing it on L1, which is the same as for any withdrawal. Invariant: the vault is asked before
//! anything is paid for, so that nobody pays for a refusal.

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
    let unusable = |e: serde_json::Error| {
        Failure::new(Exit::Failed, format!("the node's answer is of no use: {e}"))
            .hint("ask another node with --rpc-url")
    };
    let vault: Address = serde_json::from_value(field("miner")).map_err(unusable)?;
    let now: U256 = serde_json::from_value(field("timestamp")).map_err(unusable)?;
    let rewards = ask(&node, vault, &FeeVault::rewardsCall {}).await?;
    let released = ask(&node, vault, &FeeVault::releasedAtCall {}).await?;
    let interval = ask(&node, vault, &FeeVault::INTERVALCall {}).await?;
    let held = node.ask("eth_getBalance", json!([vault, "latest"])).await?;
    let held: U256 = serde_json::from_value(held).map_err(unusable)?;
    let wait = wait(released, interval, now);
    if wait > 0 {
        let message = format!("the vault was emptied {} ago", out::duration(since(released, now)));
        return Err(Failure::new(Exit::Failed, message).hint(format!(
            "each release costs a proof on L1, so there is one a day at most: repeat it in {}",
            out::duration(wait)
        )));
    }
    let words = format!("send {} of fees to {rewards} on L1", out::eth(held));
    let request = TransactionRequest::default()
        .with_from(vault)
        .with_to(vault)
        .with_input(FeeVault::releaseCall {}.abi_encode());
    if on_rollup(args, request, words, json).await? {
        eprintln!("next, when L1 has its block proven: rota bridge prove HASH");
    }
    Ok(())
}

/// Seconds since the newest release.
fn since(released: u64, now: U256) -> u64 {
    now.saturating_to::<u64>().saturating_sub(released)
}

/// Seconds until the next one may be; 0 before the first.
fn wait(released: u64, interval: U256, now: U256) -> u64 {
    if released == 0 {
        return 0;
    }
    interval.saturating_to::<u64>().saturating_sub(since(released, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_is_emptied_once_a_day() {
        let [day, now] = [86_400u64, 1_000_000].map(U256::from);
        assert_eq!(wait(0, day, now), 0);
        assert_eq!(wait(1_000_000, day, now), 86_400);
        assert_eq!(wait(913_601, day, now), 1);
        assert_eq!(wait(913_600, day, now), 0);
    }
}
