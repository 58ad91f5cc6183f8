//! `rota bridge`: ETH and tokens into the rollup and out of it.
//!
//! Invariant: anyone may show and finish a withdrawal, and only its target is paid.

mod args;
mod send;
mod token;

pub(super) use args::{BridgeCommand, SendOn};
use args::{DepositArgs, FollowArgs, StatusArgs, WithdrawArgs};
pub(super) use send::{ask, on_rollup};

use super::{
    Done,
    call::{Call, make, owner_key},
    client::Node,
    node::settings_on_l1,
    out, set,
};
use crate::{
    exit::{Exit, Failure},
    setup::{BridgeOnL1, OnL1, ShownOnL1},
};
use alloy::sol_types::SolCall;
use alloy::{
    network::TransactionBuilder,
    rpc::types::{Block, EIP1186AccountProofResponse, TransactionReceipt, TransactionRequest},
};
use alloy_primitives::{Address, B256, U256};
use rota_execution::{MESSAGE_PASSER, TOKEN_BRIDGE, sent_slot};
use rota_l1::{
    Withdrawal, WithdrawalProof, bindings::MessagePasser, deposit_request, finalize_request,
    prove_request, released,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(super) async fn run(command: &BridgeCommand, json: bool) -> Done {
    match command {
        BridgeCommand::Deposit(args) => deposit(args, json).await,
        BridgeCommand::Withdraw(args) => withdraw(args, json).await,
        BridgeCommand::Prove(args) => prove(args, json).await,
        BridgeCommand::Finalize(args) => finalize(args, json).await,
        BridgeCommand::Status(args) => status(args, json).await,
        BridgeCommand::Token(command) => token::run(command, json).await,
    }
}

async fn deposit(args: &DepositArgs, json: bool) -> Done {
    let wei = out::parse_eth("amount", &args.amount)?;
    let (config, network) = settings_on_l1(&args.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let from = owner_key(&args.call)?.map(|k| k.address());
    let to = args.to.or(from).ok_or_else(|| {
        Failure::new(Exit::Usage, "whom it is for is not known").hint("say it with --to ADDRESS")
    })?;
    let portal = l1.bridge().await?.portal;
    let words = format!("deposit {} for {to} on the rollup", out::eth(wei));
    let request = deposit_request(portal, to, wei);
    let call = Call { from: from.unwrap_or(to), request, words };
    match make(&args.call, &l1, call, json).await? {
        Some(outcome) => {
            set::sent("deposited", &outcome, json)?;
            eprintln!("it is there when the rollup's origin has passed that L1 block");
            Ok(())
        }
        None => Ok(()),
    }
}

async fn withdraw(args: &WithdrawArgs, json: bool) -> Done {
    let wei = out::parse_eth("amount", &args.amount)?;
    let target = args.to.or(args.send.sender()?).ok_or_else(|| {
        Failure::new(Exit::Usage, "whom it is for is not known").hint("say it with --to ADDRESS")
    })?;
    let call = MessagePasser::initiateCall {
        target,
        gasLimit: U256::from(args.gas),
        data: args.data.clone(),
    };
    let request = TransactionRequest::default()
        .with_from(target)
        .with_to(MESSAGE_PASSER)
        .with_value(wei)
        .with_input(call.abi_encode());
    let words = format!("send {} to {target} on L1", out::eth(wei));
    if on_rollup(&args.send, request, words, json).await? {
        eprintln!("next, when L1 has its block proven: rota bridge prove HASH");
    }
    Ok(())
}

async fn prove(args: &FollowArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let node = Node::new(&args.rpc.rpc_url)?;
    let (block, w) = sent(&node, args.tx, args.index).await?;
    let at = l1.bridge().await?;
    let (number, hash) = match args.block {
        Some(number) => (number, l1.proven_hash(&at, number).await?),
        None => at.proven,
    };
    if hash.is_zero() {
        return Err(Failure::new(Exit::Failed, format!("block {number} is not proven on L1"))
            .hint("leave --block out: the newest proven block is taken"));
    }
    if number < block {
        let message =
            format!("it is in block {block}, after block {number}, which is proven on L1");
        return Err(Failure::new(Exit::Failed, message).hint(
            "without --block the newest proven block is taken; try again when a later one is proven",
        ));
    }
    let proof = proof(&node, (number, hash), &w).await?;
    let words = format!("show withdrawal {} in block {number}", w.hash());
    let request = prove_request(at.portal, &w, proof);
    done(args, &l1, Call { from: Address::ZERO, request, words }, ("shown", json)).await?;
    eprintln!("next, {} later: rota bridge finalize {}", out::duration(at.maturity_s), args.tx);
    Ok(())
}

async fn finalize(args: &FollowArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let node = Node::new(&args.rpc.rpc_url)?;
    let (_, w) = sent(&node, args.tx, args.index).await?;
    let portal = l1.bridge().await?.portal;
    let words = format!("pay {}", pays(&w));
    let request = finalize_request(portal, &w);
    done(args, &l1, Call { from: Address::ZERO, request, words }, ("paid", json)).await
}

async fn done(args: &FollowArgs, l1: &OnL1<'_>, call: Call, (what, json): (&str, bool)) -> Done {
    match make(&args.call, l1, call, json).await? {
        Some(outcome) => set::sent(what, &outcome, json),
        None => Ok(()),
    }
}

async fn status(args: &StatusArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let node = Node::new(&args.rpc.rpc_url)?;
    let (block, w) = sent(&node, args.tx, args.index).await?;
    let at = l1.bridge().await?;
    let shown = l1.shown(&at, w.hash()).await?;
    let stage = stage(block, &at, &shown);
    if json {
        return out::json(&json!({
            "v": 1, "withdrawal": w.hash(), "l2Block": block, "sender": w.sender, "target": w.target,
            "valueWei": w.value.to_string(), "stage": stage, "proven": at.proven.0, "shownIn": shown.l2_block,
            "payableAt": shown.l2_block.map(|_| shown.since.saturating_add(at.maturity_s)), "paused": at.paused
        }));
    }
    out::line(format_args!("withdrawal  {}", w.hash()))?;
    out::line(format_args!("pays        {}", pays(&w)))?;
    out::line(format_args!("sent in     block {block}; L1 has {} proven", at.proven.0))?;
    out::line(format_args!("stage       {stage}"))?;
    if at.paused {
        out::line("payments are stopped for now")?;
    }
    Ok(())
}

/// What a withdrawal does on L1, in words.
fn pays(w: &Withdrawal) -> String {
    match released(w) {
        Some((token, to, amount)) if w.sender == TOKEN_BRIDGE => {
            format!(
                "{amount} of the smallest unit of the token {token} to {to}, by the bridge {}",
                w.target
            )
        }
        _ => format!("{} to {}", out::eth(w.value), w.target),
    }
}

/// Where a withdrawal stands, in a word.
const fn stage(block: u64, at: &BridgeOnL1, shown: &ShownOnL1) -> &'static str {
    match shown.l2_block {
        _ if shown.paid => "paid",
        Some(_) if shown.counts && at.now_s < shown.since.saturating_add(at.maturity_s) => {
            "waiting"
        }
        Some(_) if shown.counts => "payable",
        _ if at.proven.0 >= block => "provable",
        _ => "sent",
    }
}

/// The withdrawal that a transaction of the rollup sent, with its block.
async fn sent(node: &Node, hash: B256, index: usize) -> Result<(u64, Withdrawal), Failure> {
    let receipt = node.ask("eth_getTransactionReceipt", json!([hash])).await?;
    let receipt: Option<TransactionReceipt> = read(receipt)?;
    let nothing = |what: String| {
        Failure::new(Exit::Failed, what).hint(
            "rota tx status says how far a transaction is; old ones are known to sequencers (--rpc-url)",
        )
    };
    let receipt = receipt.ok_or_else(|| nothing(format!("{hash} is in no block")))?;
    let number = receipt.block_number.ok_or_else(|| nothing(format!("{hash} is in no block")))?;
    let logs = receipt.inner.logs().iter().filter(|l| l.address() == MESSAGE_PASSER);
    let found = logs.filter_map(|l| Withdrawal::from_log(&l.inner)).nth(index);
    let found = found.ok_or_else(|| nothing(format!("{hash} sent nothing to L1")))?;
    Ok((number, found))
}

/// What shows a withdrawal in a block, checked against the hash that L1 has.
async fn proof(
    node: &Node,
    (number, hash): (u64, B256),
    w: &Withdrawal,
) -> Result<WithdrawalProof, Failure> {
    let at = format!("{number:#x}");
    let block = node.ask("eth_getBlockByNumber", json!([at, false])).await?;
    let block: Option<Block> = read(block)?;
    let other = || {
        Failure::new(Exit::Failed, format!("the node has another block {number} than L1"))
            .hint("ask another node with --rpc-url")
    };
    let header = block.ok_or_else(|| {
        Failure::new(Exit::Failed, format!("the node does not have block {number}")).hint(
            "ask a sequencer or a follower from the set with --rpc-url: others forget blocks after minutes",
        )
    })?;
    let header = header.header.inner;
    if header.hash_slow() != hash {
        return Err(other());
    }
    let slot = B256::from(sent_slot(w.hash()));
    let proof = node.ask("eth_getProof", json!([MESSAGE_PASSER, [slot], at])).await?;
    let proof: EIP1186AccountProofResponse = read(proof)?;
    let word = proof.storage_proof.first().filter(|s| s.value == U256::from(1));
    let word = word.ok_or_else(|| {
        Failure::new(Exit::Failed, format!("it is not in the state of block {number}"))
    })?;
    Ok(WithdrawalProof {
        header: alloy_rlp::encode(&header).into(),
        account: proof.account_proof,
        slot: word.proof.clone(),
    })
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|e| {
        Failure::new(Exit::Failed, format!("the node's answer is of no use: {e}"))
            .hint("ask another node with --rpc-url")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawal_climbs_the_stages_in_order() {
        let mut at = BridgeOnL1 {
            portal: Address::ZERO,
            tokens: Address::ZERO,
            oracle: Address::ZERO,
            maturity_s: 100,
            paused: false,
            proven: (4, B256::ZERO),
            now_s: 1_000,
        };
        let mut shown = ShownOnL1 { l2_block: None, since: 0, counts: true, paid: false };
        assert_eq!(stage(5, &at, &shown), "sent");
        at.proven.0 = 6;
        assert_eq!(stage(5, &at, &shown), "provable");
        (shown.l2_block, shown.since) = (Some(6), 950);
        assert_eq!(stage(5, &at, &shown), "waiting");
        at.now_s = 1_050;
        assert_eq!(stage(5, &at, &shown), "payable");
        shown.counts = false;
        assert_eq!(stage(5, &at, &shown), "provable");
        shown.paid = true;
        assert_eq!(stage(5, &at, &shown), "paid");
    }
}
