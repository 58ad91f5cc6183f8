//! `rota l1`: putting a new network's contracts on L1.

use super::{Done, args::DeployArgs, out, set::account};
use crate::{
    exit::{Exit, Failure},
    setup::{self, Plan},
};
use alloy_genesis::Genesis;
use rota_l1::Council;
use rota_types::ChainParams;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::path::Path;

pub(super) async fn deploy(args: &DeployArgs, json: bool) -> Done {
    if args.output.exists() {
        return Err(Failure::new(
            Exit::Config,
            format!("{} exists already", args.output.display()),
        )
        .hint("a network file is never overwritten: give another with -o FILE"));
    }
    let genesis: Genesis = read(&args.genesis)?;
    let params: ChainParams = args.params.as_deref().map(read).transpose()?.unwrap_or_default();
    let min_stake = out::parse_eth("min-stake", &args.min_stake)?;
    let deployer = account(&args.key_file, args.key_password_file.as_deref())?;
    let plan = Plan {
        genesis,
        params,
        min_stake,
        min_operators: args.min_operators,
        rules: args.rules.rules()?,
        council: args.council.map_or(Council::None, Council::Safe),
        seed: out::parse_eth("seed", &args.seed)?,
    };
    let urls = [args.l1_rpc.clone()];
    let (network, contracts) = setup::deploy(&urls, &deployer, plan).await?;
    network.save(&args.output)?;
    if json {
        return out::json(&json!({ "v": 1, "contracts": contracts, "network": args.output }));
    }
    out::line(format_args!("registry              {}", contracts.registry))?;
    out::line(format_args!("inbox                 {}", contracts.inbox))?;
    out::line(format_args!("certificate verifier  {}", contracts.certificate_verifier))?;
    out::line(format_args!("ed25519 verifier      {}", contracts.ed25519_verifier))?;
    out::line(format_args!("slasher               {}", contracts.slasher))?;
    out::line(format_args!("forced queue          {}", contracts.forced_queue))?;
    out::line(format_args!("rewards               {}", contracts.rewards))?;
    out::line(format_args!("oracle                {}", contracts.oracle))?;
    let [revm, engine] = contracts.oracle_slots;
    out::line(format_args!("slot, revm            {revm}"))?;
    out::line(format_args!("slot, another client  {engine}"))?;
    let council = args.council.map_or_else(|| "none".to_owned(), |safe| safe.to_string());
    out::line(format_args!("council               {council}"))?;
    out::line(format_args!("timelock              {}", contracts.timelock))?;
    out::line(format_args!("portal                {}", contracts.portal))?;
    out::line(format_args!("token bridge          {}", contracts.token_bridge))?;
    out::line(format_args!("warranty              {}", contracts.warranty))?;
    out::line(format_args!("network file          {}", args.output.display()))?;
    if args.council.is_none() {
        eprintln!("no council: a dispute between provers stays, and their slots never change");
    }
    eprintln!("next: give the network file to the operators; each runs: rota init, rota set join");
    Ok(())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let wrong =
        |e: &dyn std::fmt::Display| Failure::new(Exit::Config, format!("{}: {e}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| wrong(&e))?;
    serde_json::from_str(&text).map_err(|e| wrong(&e))
}
