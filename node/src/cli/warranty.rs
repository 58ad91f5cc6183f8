//! `rota set warranty`: what an operator gives back when a frame of its is lost with it, and the bond for that.
//!
//! Not for: claiming (`rota preconf claim --warranty`). Invariant: as for stakes, every call is tried on L1 before it is sent.

use super::{
    Done,
    call::{Call, finish, make},
    claim::contract,
    node::settings_on_l1,
    out,
    owner::{self, OperatorArgs, WithdrawArgs},
    set::{self, ShowArgs},
};
use crate::{
    exit::{Exit, Failure},
    setup::{Calendar, OnL1, OperatorOnL1, WarrantyOnL1},
};
use alloy_primitives::{Address, U256};
use clap::{Args, Subcommand};
use rota_l1::TxRequest;
use rota_types::WarrantyOffer;
use serde_json::json;

/// Hundredths of a percent in one.
const BPS: u32 = 10_000;

/// `rota set warranty ..`
#[derive(Debug, Subcommand)]
pub enum WarrantyCommand {
    /// What an operator gives back now and later, and what is left of its bond.
    Show(ShowArgs),
    /// Add to the bond. Anyone may; only the owner gets it back.
    Post(PostArgs),
    /// Say what is given back, from the epoch after the next one on.
    Set(SetArgs),
    /// Take the bond back, some time after stopping with set --off.
    Withdraw(WithdrawArgs),
}

/// `rota set warranty post`.
#[derive(Debug, Args)]
pub struct PostArgs {
    /// Which operator, and how.
    #[command(flatten)]
    pub of: OperatorArgs,
    /// What is added, in ETH.
    #[arg(long, value_name = "ETH")]
    pub amount: String,
}

/// `rota set warranty set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Which operator, and how.
    #[command(flatten)]
    pub of: OperatorArgs,
    /// How many times the offered tip a lost transaction gets back, in 1/10,000: 100000 is ten times.
    #[arg(long, value_name = "N", required_unless_present = "off", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub bps: Option<u32>,
    /// Most for one transaction, in ETH.
    #[arg(long, value_name = "ETH", required_unless_present = "off")]
    pub per_tx: Option<String>,
    /// Most for all transactions of one term, in ETH: what one crash can cost.
    #[arg(long, value_name = "ETH", required_unless_present = "off")]
    pub per_term: Option<String>,
    /// Stop giving anything back.
    #[arg(long, conflicts_with_all = ["bps", "per_tx", "per_term"])]
    pub off: bool,
}

impl SetArgs {
    fn offer(&self) -> Result<WarrantyOffer, Failure> {
        let wei = |flag: &str, text: &Option<String>| -> Result<u128, Failure> {
            let text = text.as_deref().unwrap_or("0");
            let wei = out::parse_eth(flag, text)?;
            u128::try_from(wei).map_err(|e| Failure::new(Exit::Usage, format!("--{flag}: {e}")))
        };
        Ok(WarrantyOffer {
            bps: self.bps.unwrap_or(0),
            claim_cap: wei("per-tx", &self.per_tx)?,
            term_cap: wei("per-term", &self.per_term)?,
        })
    }
}

pub(super) async fn run(command: &WarrantyCommand, json: bool) -> Done {
    match command {
        WarrantyCommand::Show(args) => show(args, json).await,
        WarrantyCommand::Post(args) => post(args, json).await,
        WarrantyCommand::Set(args) => {
            let offer = args.offer()?;
            let make = |contract, o: &OperatorOnL1, w: &WarrantyOnL1| {
                let request = rota_l1::offer_request(contract, o.id, &offer)
                    .map_err(|e| Failure::new(Exit::Usage, e))?;
                let from = w.epoch.saturating_add(2);
                let what = words(&offer);
                Ok((request, format!("operator {}: from epoch {from} on {what}", o.id)))
            };
            call(&args.of, json, make).await
        }
        WarrantyCommand::Withdraw(args) => {
            let make = |contract, o: &OperatorOnL1, w: &WarrantyOnL1| {
                let to = args.to.unwrap_or(o.owner);
                let request = rota_l1::withdraw_bond_request(contract, o.id, to);
                let bond = out::eth(w.bond);
                Ok((request, format!("pay the bond of {bond} of operator {} out to {to}", o.id)))
            };
            call(&args.of, json, make).await
        }
    }
}

async fn post(args: &PostArgs, json: bool) -> Done {
    let amount = out::parse_eth("amount", &args.amount)?;
    let (config, network) = settings_on_l1(&args.of.call.at)?;
    let contract = contract(&network)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    // The key may be anybody's if the operator is named.
    let which = args.of.operator.map_or_else(|| args.of.which(), |id| Ok((Some(id), None)))?;
    let o = owner::find(&l1, &config, which).await?;
    let request = rota_l1::post_bond_request(contract, o.id, amount);
    let words = format!("add {} to the bond of operator {}", out::eth(amount), o.id);
    match make(&args.of.call, &l1, Call { from: o.owner, request, words }, json).await? {
        Some(outcome) => set::sent("posted", &outcome, json),
        None => Ok(()),
    }
}

/// A call that only the owner may make.
async fn call(
    args: &OperatorArgs,
    json: bool,
    make: impl FnOnce(Address, &OperatorOnL1, &WarrantyOnL1) -> Result<(TxRequest, String), Failure>,
) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let contract = contract(&network)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let operator = owner::find(&l1, &config, args.which()?).await?;
    let now = l1.warranty(contract, operator.id).await?;
    let (request, words) = make(contract, &operator, &now)?;
    finish(&args.call, &l1, Call { from: operator.owner, request, words }, json).await
}

async fn show(args: &ShowArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.at)?;
    let contract = contract(&network)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let o = owner::find(&l1, &config, (args.operator, None)).await?;
    let (w, c) = (l1.warranty(contract, o.id).await?, l1.calendar().await?);
    if json {
        let offer = |o: &WarrantyOffer| json!({ "bps": o.bps, "perTxWei": o.claim_cap.to_string(), "perTermWei": o.term_cap.to_string() });
        return out::json(&json!({
            "v": 1, "operator": o.id, "owner": o.owner, "warranty": contract, "bondWei": w.bond.to_string(),
            "offer": offer(&w.offer), "last": offer(&w.last.0), "lastFromEpoch": w.last.1, "epoch": w.epoch,
            "bondFreeFromEpoch": w.free_from, "lapsedUntilEpoch": w.lapsed_until, "claimEpochs": w.claim_epochs,
            "words": words(&w.offer)
        }));
    }
    out::line(format_args!("operator       {} of {}", o.id, o.owner))?;
    out::line(format_args!("bond           {}", out::eth(w.bond)))?;
    out::line(format_args!("now            {}", words(&w.offer)))?;
    if w.last.0 != w.offer {
        let when = out::at_block(&c, c.start(w.last.1));
        out::line(format_args!("from epoch {:<4}{}, {when}", w.last.1, words(&w.last.0)))?;
    }
    out::line(format_args!("claims         for {} epochs after a frame's set", w.claim_epochs))?;
    if w.lapsed_until > w.epoch {
        out::line(format_args!(
            "lapsed         too many terms were lost: it can offer again in epoch {}",
            w.lapsed_until
        ))?;
    }
    out::line(format_args!("bond free      {}", free(&w, &c)))
}

fn free(w: &WarrantyOnL1, c: &Calendar) -> String {
    match w.free_from {
        Some(epoch) if epoch <= w.epoch => "now: rota set warranty withdraw".into(),
        Some(epoch) => format!("in epoch {epoch}, {}", out::at_block(c, c.start(epoch))),
        None if w.last.0.bps != 0 => {
            "some epochs after it stops: rota set warranty set --off".into()
        }
        None => "some epochs after the last set with the offer".into(),
    }
}

fn words(offer: &WarrantyOffer) -> String {
    if offer.bps == 0 {
        return "nothing is given back".into();
    }
    let (whole, rest) = (offer.bps.wrapping_div(BPS), offer.bps.wrapping_rem(BPS));
    let times = if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:04}") };
    format!(
        "{times} times the offered tip is given back, at most {} for a transaction and {} for a term",
        out::eth(U256::from(offer.claim_cap)),
        out::eth(U256::from(offer.term_cap))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_said_in_words() {
        assert_eq!(words(&WarrantyOffer::default()), "nothing is given back");
        let offer =
            WarrantyOffer { bps: 25_000, claim_cap: 10u128.pow(16), term_cap: 10u128.pow(17) };
        let said = words(&offer);
        assert!(said.starts_with("2.5000 times the offered tip"), "{said}");
        assert!(
            said.ends_with("at most 0.01 ETH for a transaction and 0.1 ETH for a term"),
            "{said}"
        );
    }
}
