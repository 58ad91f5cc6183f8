//! `rota rewards posting`: what posting batches costs an operator on L1, and how it comes back out of the fees.
//!
//! Not for: posting. Invariant: only the owner says who posts for an operator; whoever asks for the refund, only the poster
//! is paid.

use super::contract;
use crate::{
    cli::{
        Done,
        call::{Call, finish, make},
        node::settings_on_l1,
        out,
        owner::{self, OperatorArgs},
        set::{self, ShowArgs},
    },
    exit::{Exit, Failure},
    keys::PublicKeys,
    setup::{OnL1, PostageOnL1},
};
use alloy_primitives::{Address, U256};
use clap::{Args, Subcommand};
use rota_l1::{name_poster_request, refund_poster_request};
use serde_json::json;

/// `rota rewards posting ..`
#[derive(Debug, Subcommand)]
pub enum PostingCommand {
    /// What posting cost an operator, and how much of it came back.
    Show(ShowArgs),
    /// Say which account posts for an operator. Its owner sends it, once.
    Name(NameArgs),
    /// Pay the account that posts for an operator what it spent. Anyone may send it.
    Refund(OperatorArgs),
}

/// `rota rewards posting name`.
#[derive(Debug, Args)]
pub struct NameArgs {
    /// Which operator, and how.
    #[command(flatten)]
    pub of: OperatorArgs,
    /// The account [default: the poster of this node].
    #[arg(value_name = "ADDRESS", conflicts_with = "off")]
    pub poster: Option<Address>,
    /// Nobody posts for it any more.
    #[arg(long)]
    pub off: bool,
}

pub(super) async fn run(command: &PostingCommand, json: bool) -> Done {
    match command {
        PostingCommand::Show(args) => show(args, json).await,
        PostingCommand::Name(args) => name(args, json).await,
        PostingCommand::Refund(args) => refund(args, json).await,
    }
}

fn due(p: &PostageOnL1) -> U256 {
    p.spent.saturating_sub(p.refunded)
}

async fn show(args: &ShowArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let contract = contract(&network)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let o = owner::find(&l1, &config, (args.operator, None)).await?;
    let p = l1.postage(contract, o.id).await?;
    if json {
        return out::json(&json!({
            "v": 1, "operator": o.id, "poster": p.poster, "spentWei": p.spent.to_string(),
            "refundedWei": p.refunded.to_string(), "dueWei": due(&p).to_string(), "keptWei": p.kept.to_string()
        }));
    }
    out::line(format_args!("operator  {}", o.id))?;
    match p.poster {
        Some(poster) => out::line(format_args!("poster    {poster}"))?,
        None => return out::line("poster    not named: rota rewards posting name"),
    }
    out::line(format_args!("spent     {} by the base fees of L1", out::eth(p.spent)))?;
    out::line(format_args!("refunded  {}", out::eth(p.refunded)))?;
    out::line(format_args!("due       {}", out::eth(due(&p))))?;
    let more = if p.kept < due(&p) { "; more comes in by rota rewards release" } else { "" };
    out::line(format_args!("kept      {} for all who post{more}", out::eth(p.kept)))
}

async fn name(args: &NameArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.of.call.at)?;
    let contract = contract(&network)?;
    let poster = match (args.poster, args.off) {
        (_, true) => Address::ZERO,
        (Some(poster), _) => poster,
        (None, false) => PublicKeys::poster(&config.data_root())?.ok_or_else(|| {
            Failure::new(Exit::Usage, "there is no poster key here")
                .hint("name the account: rota key show says it on the node")
        })?,
    };
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let o = owner::find(&l1, &config, args.of.which()?).await?;
    let words = if args.off {
        format!("nobody posts for operator {}", o.id)
    } else {
        format!("{poster} posts for operator {}, and gets back what that costs", o.id)
    };
    let now = l1.postage(contract, o.id).await?;
    if let Some(old) = now.poster.filter(|old| *old != poster && !due(&now).is_zero()) {
        let due = out::eth(due(&now));
        eprintln!(
            "warning: {due} are due to {old}, which is not paid back after this: refund first"
        );
    }
    let request = name_poster_request(contract, o.id, poster);
    finish(&args.of.call, &l1, Call { from: o.owner, request, words }, json).await
}

async fn refund(args: &OperatorArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let contract = contract(&network)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    // The key may be anybody's, as long as it is known whose operator is meant.
    let o = match owner::find(&l1, &config, (args.operator, None)).await {
        Err(_) if args.operator.is_none() => owner::find(&l1, &config, args.which()?).await?,
        found => found?,
    };
    let p = l1.postage(contract, o.id).await?;
    let poster = p.poster.ok_or_else(|| {
        Failure::new(Exit::Failed, format!("operator {} has named nobody who posts for it", o.id))
            .hint("its owner does: rota rewards posting name")
    })?;
    if due(&p).is_zero() {
        let message =
            format!("nothing is due to {poster}: what it spent came back, or was nothing");
        return Err(Failure::new(Exit::Failed, message).hint("rota rewards posting show"));
    }
    if p.kept.is_zero() {
        let message = format!("{} are due, and nothing is kept for posting", out::eth(due(&p)));
        return Err(Failure::new(Exit::Failed, message)
            .hint("a part of the fees that come from the rollup is: rota rewards release"));
    }
    let words = format!("pay {poster} back {}", out::eth(due(&p).min(p.kept)));
    let request = refund_poster_request(contract, o.id);
    match make(&args.call, &l1, Call { from: poster, request, words }, json).await? {
        Some(outcome) => set::sent("paid back", &outcome, json),
        None => Ok(()),
    }
}
