//! `rota rewards`: what fees earned an account on the rollup, how they come to L1, and paying it out there.
//!
//! Not for: checking the proof; the contract does, and a claim is tried before it is paid for. Invariant: whoever sends a
//! claim, only the account in it is paid.

mod posting;
mod release;

pub(super) use posting::PostingCommand;

use super::{
    Done,
    args::{RpcArgs, Where},
    bridge::SendOn,
    call::{Call, CallArgs, make},
    client::Node,
    node::settings_on_l1,
    out,
    owner::signing_pairs,
    set,
};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    network::Network,
    setup::{OnL1, RewardsOnL1},
};
use alloy_primitives::{Address, B256, Bytes, U64};
use clap::{Args, Subcommand};
use rota_l1::{RewardClaim, claim_rewards_request};
use rota_types::{Encode, LagPoint};
use serde::Deserialize;
use serde_json::json;

/// `rota rewards ..`
#[derive(Debug, Subcommand)]
pub enum RewardsCommand {
    /// What an account earned, what it was paid, and what is there to pay with.
    Show(ShowArgs),
    /// Pay an account on L1 what it earned. Anyone may send it.
    Claim(ClaimArgs),
    /// Send the fees in the rollup's vault to L1, where they are paid out. Anyone may; rarely, for it costs a proof.
    Release(SendOn),
    /// What posting batches costs an operator, and getting it back.
    #[command(subcommand)]
    Posting(PostingCommand),
}

/// Whose rewards.
#[derive(Debug, Args)]
pub struct WhoseArgs {
    /// The account [default: the owner of the operator with the vote key of this node].
    #[arg(long, value_name = "ADDRESS")]
    pub account: Option<Address>,
    /// Which node is asked for them.
    #[command(flatten)]
    pub rpc: RpcArgs,
}

/// `rota rewards show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// Whose.
    #[command(flatten)]
    pub whose: WhoseArgs,
}

/// `rota rewards claim`.
#[derive(Debug, Args)]
pub struct ClaimArgs {
    /// How the call is made; the key is of any account that pays for gas.
    #[command(flatten)]
    pub call: CallArgs,
    /// Whose.
    #[command(flatten)]
    pub whose: WhoseArgs,
}

/// `rota_getRewards`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Earned {
    account: Address,
    height: U64,
    block_number: U64,
    block_hash: B256,
    rewards_root: B256,
    index: U64,
    count: U64,
    amount_wei: String,
    proof: Vec<B256>,
    header: Bytes,
    certificate: Bytes,
}

impl Earned {
    async fn ask(node: &Node, account: Address) -> Result<Option<Self>, Failure> {
        let answer = node.ask("rota_getRewards", json!([account])).await?;
        serde_json::from_value(answer).map_err(|e| unusable(&e))
    }

    fn claim(self) -> Result<RewardClaim, Failure> {
        let place = |v: U64| u32::try_from(v.to::<u64>()).map_err(|e| unusable(&e));
        let lag = LagPoint {
            height: self.height.to(),
            block_number: self.block_number.to(),
            block_hash: self.block_hash,
            rewards_root: self.rewards_root,
        };
        Ok(RewardClaim {
            account: self.account,
            amount: self.amount_wei.parse().map_err(|e| unusable(&e))?,
            index: place(self.index)?,
            count: place(self.count)?,
            branch: self.proof,
            lag: lag.encode().into(),
            header: self.header,
            certificate: self.certificate,
        })
    }
}

fn unusable(why: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("the node's answer is of no use: {why}"))
        .hint("ask another node with --rpc-url")
}

pub(super) async fn run(command: &RewardsCommand, json: bool) -> Done {
    match command {
        RewardsCommand::Show(args) => show(args, json).await,
        RewardsCommand::Claim(args) => claim(args, json).await,
        RewardsCommand::Release(args) => release::run(args, json).await,
        RewardsCommand::Posting(command) => posting::run(command, json).await,
    }
}

async fn show(args: &ShowArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let account = account(&args.whose, &l1, &config).await?;
    let contract = contract(&network)?;
    let paid = l1.rewards(contract, account).await?;
    let earned = Earned::ask(&Node::new(&args.whose.rpc.rpc_url)?, account).await?;
    let claim = earned.map(Earned::claim).transpose()?;
    let amount = claim.as_ref().map_or(0, |c| c.amount);
    let due = amount.saturating_sub(paid.claimed);
    if json {
        let height = claim.as_ref().and_then(|c| height_of(&c.lag));
        return out::json(&json!({
            "v": 1, "account": account, "rewards": contract, "earnedWei": amount.to_string(), "height": height,
            "claimedWei": paid.claimed.to_string(), "claimedHeight": paid.height, "dueWei": due.to_string(),
            "balanceWei": paid.balance.to_string(), "postingWei": paid.posting.to_string()
        }));
    }
    print(account, claim.as_ref(), (&paid, due))
}

fn print(account: Address, claim: Option<&RewardClaim>, (paid, due): (&RewardsOnL1, u128)) -> Done {
    let wei = |v: u128| out::eth(alloy_primitives::U256::from(v));
    out::line(format_args!("account   {account}"))?;
    match claim {
        Some(claim) => out::line(format_args!(
            "earned    {} up to height {}",
            wei(claim.amount),
            height_of(&claim.lag).unwrap_or_default()
        ))?,
        None => out::line("earned    nothing that the set has certified yet")?,
    }
    let at = if paid.claimed == 0 { String::new() } else { format!(" for height {}", paid.height) };
    out::line(format_args!("paid      {}{at}", wei(paid.claimed)))?;
    out::line(format_args!("due       {}", wei(due)))?;
    let free = paid.balance.saturating_sub(paid.posting);
    let short = free < alloy_primitives::U256::from(due);
    let more = if short {
        "; the rest when fees have come from the rollup: rota rewards release"
    } else {
        ""
    };
    out::line(format_args!("to pay    {} in the contract{more}", out::eth(free)))
}

fn height_of(lag: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*lag.first_chunk()?))
}

async fn claim(args: &ClaimArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let account = account(&args.whose, &l1, &config).await?;
    let contract = contract(&network)?;
    let earned = Earned::ask(&Node::new(&args.whose.rpc.rpc_url)?, account).await?;
    let earned = earned.ok_or_else(|| {
        Failure::new(Exit::Failed, format!("the set has certified no rewards of {account} yet"))
            .hint("every 64th height names the rewards of the 64th before; rota rewards show")
    })?;
    let claim = earned.claim()?;
    let paid = l1.rewards(contract, account).await?;
    let due = claim.amount.saturating_sub(paid.claimed);
    let words = format!(
        "pay {account} {} for heights up to {}",
        out::eth(alloy_primitives::U256::from(due)),
        height_of(&claim.lag).unwrap_or_default()
    );
    let request = claim_rewards_request(contract, claim);
    match make(&args.call, &l1, Call { from: account, request, words }, json).await? {
        Some(outcome) => set::sent("paid", &outcome, json),
        None => Ok(()),
    }
}

async fn account(whose: &WhoseArgs, l1: &OnL1<'_>, config: &Config) -> Result<Address, Failure> {
    if let Some(account) = whose.account {
        return Ok(account);
    }
    let (own, all) = (signing_pairs(config)?, l1.operators().await?);
    let own = all.into_iter().find(|o| own.iter().any(|(_, vote)| o.has(*vote))).map(|o| o.owner);
    own.ok_or_else(|| {
        Failure::new(Exit::Usage, "whose rewards? the keys here are not registered on L1")
            .hint("name an account with --account 0x<owner>")
    })
}

fn contract(network: &Network) -> Result<Address, Failure> {
    network.rewards.ok_or_else(|| {
        Failure::new(Exit::Network, "the network file names no Rewards contract")
            .hint("get the newest network file from whoever runs the network")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_a_claim_with_the_checkpoint_encoded() {
        let hash = B256::repeat_byte(7);
        let earned: Earned = serde_json::from_value(json!({
            "account": Address::repeat_byte(1), "height": "0x40", "blockNumber": "0x10", "blockHash": hash,
            "rewardsRoot": hash, "index": "0x2", "count": "0x3", "amountWei": "340282366920938463463374607431768211455",
            "proof": [hash], "header": "0x0102", "headerHeight": "0x80", "certificate": "0x0000000001"
        }))
        .unwrap();
        let claim = earned.clone().claim().unwrap();
        assert_eq!((claim.index, claim.count, claim.amount), (2, 3, u128::MAX));
        assert_eq!((claim.lag.len(), height_of(&claim.lag)), (rota_types::LAG_LEN, Some(64)));
        let wrong = Earned { amount_wei: "0x1".into(), ..earned };
        assert_eq!(wrong.claim().unwrap_err().exit, Exit::Failed);
    }
}
