//! `rota chain`: what other programs need to follow the rollup.
//!
//! Invariant: a file is written only if its first block has the hash that this rollup's signatures are bound to.

use super::{Done, args::Where, node::settings, out};
use crate::{
    exit::{Exit, Failure},
    network::Network,
};
use alloy_genesis::Genesis;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use std::path::PathBuf;

/// `rota chain ..`
#[derive(Debug, Subcommand)]
pub enum ChainCommand {
    /// The first block as a file that stock Ethereum clients start from.
    Genesis(GenesisArgs),
}

/// Who reads the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GenesisFormat {
    /// go-ethereum, reth, Nethermind, ethrex, EthereumJS (--gethGenesis).
    Geth,
}

/// `rota chain genesis`.
#[derive(Debug, Args)]
pub struct GenesisArgs {
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// Who reads the file.
    #[arg(long, value_enum, default_value = "geth")]
    pub format: GenesisFormat,
    /// Where to write it [default: stdout].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

pub(super) fn run(command: &ChainCommand, json: bool) -> Done {
    match command {
        ChainCommand::Genesis(args) => genesis(args, json),
    }
}

fn genesis(args: &GenesisArgs, json: bool) -> Done {
    let config = settings(&args.at, Vec::new())?;
    let network = Network::load(&config.network_path())?;
    let failed = |e: &dyn std::fmt::Display| Failure::new(Exit::Failed, e);
    let GenesisFormat::Geth = args.format;
    let text = serde_json::to_string_pretty(&network.genesis).map_err(|e| failed(&e))?;
    // What a client reads is the text, not what this process has in memory.
    let read: Genesis = serde_json::from_str(&text).map_err(|e| failed(&e))?;
    let theirs = rota_execution::genesis(&read).map_err(|e| failed(&e))?.hash;
    let ours = network.genesis_head()?.hash;
    if theirs != ours {
        let what = format!("the file would give block 0 {theirs}, and the rollup's is {ours}");
        return Err(Failure::new(Exit::Verify, what)
            .hint("get the network file again from whoever deployed the rollup"));
    }
    let Some(path) = &args.out else {
        eprintln!("block 0 is {ours}: the same from this file and from the network file");
        return out::raw(format!("{text}\n").as_bytes());
    };
    std::fs::write(path, format!("{text}\n"))
        .map_err(|e| Failure::new(Exit::Failed, format!("{}: {e}", path.display())))?;
    if json {
        let chain_id = network.l2_chain_id;
        return out::json(&json!({ "v": 1, "file": path, "chain_id": chain_id, "block_0": ours }));
    }
    out::line(format_args!("genesis file  {}", path.display()))?;
    out::line(format_args!("chain id      {}", network.l2_chain_id))?;
    out::line(format_args!(
        "block 0       {ours} (the same from this file and from the network file)"
    ))?;
    eprintln!("next: docs/follow.md has the commands of each client");
    Ok(())
}
