//! `rota bridge token`: tokens into the rollup and out of it.
//!
//! Not for: showing and paying what was sent back, which is the same as for ETH. Invariant: no more is approved than is
//! deposited, and nothing is approved to the portal.

use super::{args::SendOn, ask, on_rollup, read};
use crate::{
    cli::{
        Done,
        args::{RpcArgs, Where},
        call::{Call, CallArgs, make, owner_key},
        client::Node,
        node::settings_on_l1,
        out, set,
    },
    exit::{Exit, Failure},
    setup::OnL1,
};
use alloy::{
    network::TransactionBuilder,
    rpc::types::{Block, TransactionRequest},
};
use alloy_primitives::{Address, B256, Bytes, U256, utils};
use clap::{Args, Subcommand};
use rota_execution::TOKEN_BRIDGE;
use rota_l1::{
    approve_request,
    bindings::{BridgedToken, TokenBridgeL2},
    give_back, token_deposit_request,
};
use serde_json::json;

/// `rota bridge token ..`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Lock tokens on L1 for an account of the rollup.
    Deposit(TokenDepositArgs),
    /// Make the tokens of a deposit on the rollup. Anyone may send it.
    Take(TakeArgs),
    /// Burn tokens on the rollup: L1 gives them back after prove and finalize.
    Withdraw(TokenWithdrawArgs),
    /// A token on both sides.
    Show(ShowArgs),
}

/// `rota bridge token deposit`.
#[derive(Debug, Args)]
pub struct TokenDepositArgs {
    /// The token on L1.
    pub token: Address,
    /// How the calls are made; the key is of the account on L1 that has the tokens.
    #[command(flatten)]
    pub call: CallArgs,
    /// Amount, in whole tokens: 12.5.
    #[arg(long)]
    pub amount: String,
    /// Who gets them on the rollup [default: who pays].
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<Address>,
}

/// `rota bridge token take`.
#[derive(Debug, Args)]
pub struct TakeArgs {
    /// The transaction of L1 that locked the tokens.
    pub tx: B256,
    /// Which of the deposits that it made, from 0.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub index: usize,
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// How it is sent.
    #[command(flatten)]
    pub send: SendOn,
}

/// `rota bridge token withdraw`.
#[derive(Debug, Args)]
pub struct TokenWithdrawArgs {
    /// The token on the rollup.
    pub token: Address,
    /// How it is sent; the key is of the account that has the tokens.
    #[command(flatten)]
    pub send: SendOn,
    /// Amount, in whole tokens: 12.5.
    #[arg(long)]
    pub amount: String,
    /// Who gets them on L1 [default: the sender].
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<Address>,
}

/// `rota bridge token show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The token on L1.
    pub token: Address,
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// Which node is asked.
    #[command(flatten)]
    pub rpc: RpcArgs,
}

pub(super) async fn run(command: &TokenCommand, json: bool) -> Done {
    match command {
        TokenCommand::Deposit(args) => deposit(args, json).await,
        TokenCommand::Take(args) => take(args, json).await,
        TokenCommand::Withdraw(args) => withdraw(args, json).await,
        TokenCommand::Show(args) => show(args, json).await,
    }
}

async fn deposit(args: &TokenDepositArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let from = owner_key(&args.call)?.map(|k| k.address());
    let to = args.to.or(from).ok_or_else(for_whom)?;
    // Without a key nobody knows whose tokens they are.
    let (known, from) = (from.is_some(), from.unwrap_or(to));
    let bridge = l1.bridge().await?.tokens;
    let token = l1.token(args.token, from, bridge).await?;
    let amount = units(&args.amount, token.decimals)?;
    let written = format!("{} {}", args.amount, token.symbol);
    if known && token.balance < amount {
        let has = utils::format_units(token.balance, token.decimals).unwrap_or_default();
        let message = format!("{from} has {has} {}, and {written} are to go", token.symbol);
        return Err(Failure::new(Exit::L1Tx, message).hint("give a smaller --amount"));
    }
    let short = !known || token.allowed < amount;
    // Some tokens change an approval only by way of none.
    let reset = known && short && !token.allowed.is_zero();
    let approvals = reset.then_some((U256::ZERO, "nothing, before that")).into_iter();
    for (amount, what) in approvals.chain(short.then_some((amount, written.as_str()))) {
        let words = format!("let the bridge {bridge} take {what}");
        let request = approve_request(args.token, bridge, amount);
        let approved = make(&args.call, &l1, Call { from, request, words }, json).await?;
        if approved.is_none() && args.call.dry_run {
            return out::line(format_args!("and then lock {written} for {to} on the rollup"));
        }
    }
    let words = format!("lock {written} for {to} on the rollup");
    let request = token_deposit_request(bridge, args.token, to, amount);
    if let Some(outcome) = make(&args.call, &l1, Call { from, request, words }, json).await? {
        set::sent("locked", &outcome, json)?;
        let hash = outcome.inclusion.hash;
        eprintln!(
            "next, when the rollup's origin has passed that L1 block: rota bridge token take {hash}"
        );
    }
    Ok(())
}

async fn take(args: &TakeArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let bridge = l1.bridge().await?.tokens;
    let (number, deposit) = l1.token_deposit(bridge, args.tx, args.index).await?;
    let node = Node::new(&args.send.rpc.rpc_url)?;
    let call = TokenBridgeL2::takenCall { _0: bridge, _1: deposit.index };
    if ask(&node, TOKEN_BRIDGE, &call).await? {
        let message = format!("{} has them already", deposit.to);
        return Err(
            Failure::new(Exit::Failed, message).hint("rota bridge token show names the token")
        );
    }
    let latest = node.ask("eth_getBlockByNumber", json!(["latest", false])).await?;
    let latest: Option<Block> = read(latest)?;
    let header = latest.map(|block| block.header.inner).unwrap_or_default();
    let origin = header.parent_beacon_block_root.unwrap_or_default();
    let passed = l1.number_of(origin).await?;
    if passed < number {
        let message = format!("L1 block {number} locked them, and the rollup's origin is {passed}");
        return Err(Failure::new(Exit::Failed, message).hint("repeat the command in a minute"));
    }
    let proof = l1.origin_proof(bridge, &deposit, (header.timestamp, origin)).await?;
    let amount = utils::format_units(deposit.amount, deposit.decimals).unwrap_or_default();
    let words = format!("make {amount} {} for {} on the rollup", deposit.symbol, deposit.to);
    let request = to_bridge(deposit.to, deposit.take(bridge, proof));
    on_rollup(&args.send, request, words, json).await.map(|_| ())
}

async fn withdraw(args: &TokenWithdrawArgs, json: bool) -> Done {
    let to = args.to.or(args.send.sender()?).ok_or_else(for_whom)?;
    let node = Node::new(&args.send.rpc.rpc_url)?;
    if !ask(&node, TOKEN_BRIDGE, &TokenBridgeL2::isBridgedCall(args.token)).await? {
        let message = format!("{} is no token from L1", args.token);
        return Err(Failure::new(Exit::Usage, message)
            .hint("rota bridge token show L1-TOKEN says which one it is on the rollup"));
    }
    let decimals = ask(&node, args.token, &BridgedToken::decimalsCall {}).await?;
    let symbol = ask(&node, args.token, &BridgedToken::symbolCall {}).await?;
    let amount = units(&args.amount, decimals)?;
    let words = format!("send {} {symbol} to {to} on L1", args.amount);
    let request = to_bridge(to, give_back(args.token, to, amount));
    if on_rollup(&args.send, request, words, json).await? {
        eprintln!("next, when L1 has its block proven: rota bridge prove HASH");
    }
    Ok(())
}

async fn show(args: &ShowArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let bridge = l1.bridge().await?.tokens;
    let token = l1.token(args.token, Address::ZERO, bridge).await?;
    let node = Node::new(&args.rpc.rpc_url)?;
    let call = TokenBridgeL2::tokenOfCall { _0: bridge, _1: args.token };
    let there = Some(ask(&node, TOKEN_BRIDGE, &call).await?).filter(|t: &Address| !t.is_zero());
    let supply = match there {
        Some(there) => ask(&node, there, &BridgedToken::totalSupplyCall {}).await?,
        None => U256::ZERO,
    };
    if json {
        return out::json(&json!({
            "v": 1, "token": args.token, "symbol": token.symbol, "decimals": token.decimals, "bridge": bridge,
            "locked": token.locked.to_string(), "onRollup": there, "supply": supply.to_string()
        }));
    }
    let amount = |units| utils::format_units(units, token.decimals).unwrap_or_default();
    out::line(format_args!("token on L1     {} {}", args.token, token.symbol))?;
    out::line(format_args!("bridge on L1    {bridge} holds {}", amount(token.locked)))?;
    match there {
        Some(there) => {
            out::line(format_args!("on the rollup   {there}, {} in all", amount(supply)))
        }
        None => out::line("on the rollup   nothing yet"),
    }
}

fn to_bridge(from: Address, data: Bytes) -> TransactionRequest {
    TransactionRequest::default().with_from(from).with_to(TOKEN_BRIDGE).with_input(data)
}

fn units(text: &str, decimals: u8) -> Result<U256, Failure> {
    // What is too fine for the token would be cut off in silence.
    let fine = text.split_once('.').map_or(0, |(_, digits)| digits.len()) > usize::from(decimals);
    let parsed = utils::parse_units(text, decimals).ok().filter(|n| !fine && !n.is_negative());
    parsed.map(|n| n.get_absolute()).filter(|n| !n.is_zero()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("--amount: {text:?} is no amount of this token"))
            .hint(format!("write it like 12.5, with at most {decimals} digits after the point"))
    })
}

fn for_whom() -> Failure {
    Failure::new(Exit::Usage, "whom it is for is not known").hint("say it with --to ADDRESS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_of_the_token_and_above_zero() {
        assert_eq!(units("12.5", 6).unwrap(), U256::from(12_500_000));
        assert_eq!(units("3", 0).unwrap(), U256::from(3));
        for (text, decimals) in [("0", 18), ("-1", 18), ("1.2345", 3), ("x", 18), ("", 18)] {
            assert!(units(text, decimals).is_err(), "{text}");
        }
    }
}
