//! `rota signer`: the hot keys and their guards on a machine of their own.
//!
//! Invariant: the data directory is locked while it runs, so no node signs with the same keys beside it.

use super::{
    Done,
    args::{Home, Where},
    node::{settings, settings_at, start_log},
    out,
};
use crate::{
    exit::{Exit, Failure},
    generation,
    keys::{Keys, SequencerKeys},
    network::Network,
    signer::{Core, CoreError, Identity, Server, serve},
};
use alloy_primitives::{Address, hex};
use clap::{Args, Subcommand};
use rota_store::DataDir;
use rota_types::LocalSigner;
use serde_json::json;
use std::net::{SocketAddr, TcpListener};

/// `rota signer ..`
#[derive(Debug, Subcommand)]
pub enum SignerCommand {
    /// Sign for the nodes that are allowed, under the guard of this data directory.
    Run(RunArgs),
    /// The public key of this machine, for the other side's settings. Makes it if there is none.
    Id(Home),
}

/// `rota signer run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:10340", value_name = "IP:PORT")]
    pub listen: SocketAddr,
    /// Public keys of the nodes that are served, separated by commas (rota signer id, there).
    #[arg(long, required = true, value_delimiter = ',', value_parser = key, value_name = "KEYS")]
    pub allow: Vec<Allowed>,
    /// Sign from this generation of the rollup on, and never in an earlier one again: after a fallback on L1
    /// (rota l1 fallback show). It is remembered.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub generation: u32,
}

/// A public key.
#[derive(Debug, Clone, Copy)]
pub struct Allowed([u8; 32]);

pub(super) fn run(command: &SignerCommand, json: bool) -> Done {
    match command {
        SignerCommand::Run(args) => sign(args, json),
        SignerCommand::Id(home) => {
            let identity = Identity::open(&settings_at(home)?.data_root())?;
            let public = hex::encode(identity.public());
            if json {
                return out::json(&json!({ "v": 1, "publicKey": public }));
            }
            out::line(public)
        }
    }
}

fn sign(args: &RunArgs, json: bool) -> Done {
    let config = settings(&args.at, Vec::new())?;
    let root = config.data_root();
    start_log(&config.log.filter, config.log.format);
    let pairs = Keys::load_pairs(&root, &config.passwords())?;
    let identity = Identity::open(&root)?;
    let dir = DataDir::open(&root).map_err(|e| Failure::from_report(&e.into()))?;
    let (votes, public) = (voters(&pairs), hex::encode(identity.public()));
    let mut known = args.generation;
    for vote in &votes {
        let of = generation::of_keys(&root, *vote);
        known = known.max(of.map_err(|e| Failure::from_report(&e.into()))?);
    }
    let domain = Network::load(&config.network_path())?.domain_of(known)?;
    let mut cores = Vec::new();
    for SequencerKeys { seq, vote } in pairs {
        let keys = LocalSigner { seq, vote };
        cores.push(Core::open(&dir.sign_state(), keys, domain.clone()).map_err(stopped)?);
    }
    let listener = TcpListener::bind(args.listen).map_err(|e| {
        Failure::new(Exit::Config, format!("cannot listen on {}: {e}", args.listen))
            .hint("stop what has the port, or choose another with --listen")
    })?;
    let addr = listener.local_addr().map_err(|e| Failure::new(Exit::Failed, e))?;
    let allowed = args.allow.iter().map(|a| a.0).collect();
    let (server, ended) = Server::new(cores, identity, allowed);
    if json {
        let (vote, next) = (votes.first(), votes.get(1));
        out::json(&json!({
            "v": 1, "listen": addr, "publicKey": public, "voteKey": vote, "nextVoteKey": next
        }))?;
    } else {
        let all: Vec<String> = votes.iter().map(ToString::to_string).collect();
        let all = all.join(" and, when it is in force, ");
        out::line(format_args!("signing for {all} on {addr}, public key {public}"))?;
    }
    Err(stopped(serve(listener, server, &ended).map_err(|e| Failure::new(Exit::Failed, e))?))
}

fn voters(pairs: &[SequencerKeys]) -> Vec<Address> {
    pairs.iter().map(|pair| pair.vote.address()).collect()
}

fn stopped(why: CoreError) -> Failure {
    match why {
        CoreError::Store(e) => Failure::from_report(&e.into()),
        CoreError::Convicted(_) => Failure::new(Exit::Slashable, why).hint(
            "find out where else the key was used; never use it again: rota set show says what becomes of the stake",
        ),
        e => Failure::new(Exit::DataDir, e),
    }
}

fn key(text: &str) -> Result<Allowed, String> {
    let mut key = [0u8; 32];
    hex::decode_to_slice(text.trim(), &mut key).map_err(|_| "32 bytes in hex")?;
    Ok(Allowed(key))
}
