//! The command tree. Only commands that work are in it.

mod preconf;

pub(super) use preconf::{BrokenArgs, ClaimArgs, GetArgs, PreconfCommand, VerifyArgs};

use super::{
    guard::GuardCommand,
    key::{KeyCommand, MakeArgs},
    set::SetCommand,
    signer::SignerCommand,
    slash::SlashCommand,
};
use crate::config::{Role, Source};
use alloy_primitives::{Address, B256, Bytes};
use clap::{Args, Parser, Subcommand};
use rota_types::Stage;
use std::path::PathBuf;

/// Where a node is asked if nothing is said.
const DEFAULT_RPC: &str = "http://127.0.0.1:8545";

/// Decentralized sequencer with preconfirmations for EVM rollups.
#[derive(Debug, Parser)]
#[command(name = "rota", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// Write results and errors as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a node.
    #[command(visible_aliases = ["start", "node"])]
    Run(RunFlags),
    /// Make a data directory with keys and a commented configuration.
    Init(InitArgs),
    /// Keys of this node.
    #[command(subcommand)]
    Key(KeyCommand),
    /// What the keys of this node have signed, and moving it with the keys.
    #[command(subcommand)]
    Guard(GuardCommand),
    /// Sign for nodes on other machines.
    #[command(subcommand)]
    Signer(SignerCommand),
    /// Look at keys, guard, disk, clock and ports, and say what to do.
    Doctor(Where),
    /// The set of sequencers on L1.
    #[command(subcommand)]
    Set(SetCommand),
    /// The contracts on L1.
    #[command(subcommand)]
    L1(L1Command),
    /// The rollup as other programs see it.
    #[command(subcommand)]
    Chain(super::chain::ChainCommand),
    /// How a running node is; exit code 6 if it is not well.
    Status(RpcArgs),
    /// Send and follow transactions.
    #[command(subcommand)]
    Tx(TxCommand),
    /// What was posted to L1, explained.
    #[command(subcommand)]
    Batch(super::batch::BatchCommand),
    /// Facts about the rollup that follow from one L1 block, as files.
    #[command(subcommand)]
    Light(super::light::LightCommand),
    /// Preconfirmations as files.
    #[command(subcommand)]
    Preconf(PreconfCommand),
    /// ETH into the rollup and out of it.
    #[command(subcommand)]
    Bridge(super::bridge::BridgeCommand),
    /// What fees earned an account, and paying it out on L1.
    #[command(subcommand)]
    Rewards(super::rewards::RewardsCommand),
    /// Which blocks are proven on L1, and contradicting what is wrong.
    #[command(subcommand)]
    Output(super::output::OutputCommand),
    /// Find contradictions and take them to L1.
    #[command(subcommand, visible_alias = "evidence")]
    Slash(SlashCommand),
    /// A whole network on this machine (the program rota-devnet).
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Devnet {
        /// Arguments of rota-devnet.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Completions for a shell, on stdout.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Where keys and data are.
#[derive(Debug, Clone, Default, Args)]
pub struct Home {
    /// Configuration file [default: rota.toml of the data directory, if there].
    #[arg(long, env = "ROTA_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data directory [default: $XDG_DATA_HOME/rota].
    #[arg(long, value_name = "DIR")]
    pub datadir: Option<String>,
    /// File with the password of the key files [default: systemd's credential, or the terminal is asked].
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<String>,
}

/// Where the settings are.
#[derive(Debug, Clone, Default, Args)]
pub struct Where {
    /// Where keys and data are.
    #[command(flatten)]
    pub home: Home,
    /// Network file [default: network.json of the data directory].
    #[arg(long, value_name = "FILE")]
    pub network: Option<String>,
    /// L1 endpoints, separated by commas.
    #[arg(long = "l1.rpc", value_name = "URLS", hide_env_values = true)]
    pub l1_rpc: Option<String>,
}

/// `rota run`. Each flag is a key of the configuration file.
#[derive(Debug, Args)]
pub struct RunFlags {
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// What the node does.
    #[arg(long, value_parser = role)]
    pub role: Option<Role>,
    /// Where a follower has the chain from: `l1`, what is posted, or `set`, what its members have decided.
    #[arg(long, value_parser = source)]
    pub source: Option<Source>,
    /// The operator's name for the node.
    #[arg(long)]
    pub moniker: Option<String>,
    /// Endpoints that serve blobs, separated by commas.
    #[arg(long = "l1.beacon", value_name = "URLS")]
    pub l1_beacon: Option<String>,
    /// How blobs are asked for: slot or block.
    #[arg(long = "l1.blob_index", value_name = "HOW")]
    pub l1_blob_index: Option<String>,
    /// Multiaddresses to listen on, separated by commas.
    #[arg(long = "p2p.listen", value_name = "ADDRS")]
    pub p2p_listen: Option<String>,
    /// Nodes to stay connected to, separated by commas.
    #[arg(long = "p2p.bootnodes", value_name = "ADDRS")]
    pub p2p_bootnodes: Option<String>,
    /// Address of JSON-RPC.
    #[arg(long = "rpc.addr", value_name = "IP:PORT")]
    pub rpc_addr: Option<String>,
    /// Address of dashboard, health and metrics.
    #[arg(long = "web.addr", value_name = "IP:PORT")]
    pub web_addr: Option<String>,
    /// Whether to post batches: true or false.
    #[arg(long = "batch.post", value_name = "BOOL")]
    pub batch_post: Option<String>,
    /// Time between two batches.
    #[arg(long = "batch.interval", value_name = "TIME")]
    pub batch_interval: Option<String>,
    /// Follower, prover: Engine API of an execution client to lead along, such as http://127.0.0.1:8551.
    #[arg(long, value_name = "URL")]
    pub engine: Option<String>,
    /// Follower, prover: file with the JWT secret of that client.
    #[arg(long, value_name = "FILE")]
    pub jwt: Option<PathBuf>,
    /// What a prover needs.
    #[command(flatten)]
    pub prover: ProverFlags,
    /// Log directives, such as info,rota_p2p=debug.
    #[arg(long = "log.filter", value_name = "FILTER")]
    pub log_filter: Option<String>,
    /// terminal or json.
    #[arg(long = "log.format", value_name = "FORMAT")]
    pub log_format: Option<String>,
}

/// What `rota run --role prover` needs besides.
#[derive(Debug, Args)]
pub struct ProverFlags {
    /// Prover: for which slot, revm or engine.
    #[arg(long, value_enum)]
    pub implementation: Option<crate::outputs::Implementation>,
    /// Prover: another slot than the first that is named after the implementation.
    #[arg(long, value_name = "ADDRESS")]
    pub slot: Option<alloy_primitives::Address>,
    /// Prover: file with the key of the account that pays bonds and gas (encrypted, or 32 bytes in hex with mode 0600).
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Prover: file with the password of that key file, if it is encrypted.
    #[arg(long, value_name = "FILE")]
    pub key_password_file: Option<PathBuf>,
}

fn source(text: &str) -> Result<Source, String> {
    [Source::L1, Source::Set]
        .into_iter()
        .find(|s| s.name() == text)
        .ok_or_else(|| "l1 or set".into())
}

/// `rota init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// How new keys are made.
    #[command(flatten)]
    pub make: MakeArgs,
    /// Network file to copy into it.
    #[arg(long, value_name = "FILE")]
    pub network: Option<PathBuf>,
    /// What the node does [default: follower].
    #[arg(long, value_parser = role)]
    pub role: Option<Role>,
    /// The operator's name for the node.
    #[arg(long)]
    pub moniker: Option<String>,
    /// L1 endpoints, separated by commas.
    #[arg(long = "l1.rpc", value_name = "URLS", env = "ROTA_L1_RPC", hide_env_values = true)]
    pub l1_rpc: Option<String>,
    /// Endpoints that serve blobs, separated by commas.
    #[arg(long = "l1.beacon", value_name = "URLS", env = "ROTA_L1_BEACON", hide_env_values = true)]
    pub l1_beacon: Option<String>,
}

/// `rota l1 ..`
#[derive(Debug, Subcommand)]
pub enum L1Command {
    /// Deploy the contracts of a new network and write its network file.
    Deploy(DeployArgs),
    /// When the set has stopped for good: go on without it.
    #[command(subcommand)]
    Fallback(super::fallback::FallbackCommand),
}

/// `rota l1 deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// L1 endpoint.
    #[arg(long = "l1.rpc", env = "ROTA_L1_RPC", hide_env_values = true, value_name = "URL")]
    pub l1_rpc: String,
    /// File with the key of the account that pays (encrypted, or 32 bytes in hex with mode 0600).
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
    /// File with the password of that key file, if it is encrypted.
    #[arg(long, value_name = "FILE")]
    pub key_password_file: Option<PathBuf>,
    /// Genesis of the rollup in the format of geth; the contracts of the bridge are added to it.
    #[arg(long, value_name = "FILE")]
    pub genesis: PathBuf,
    /// Parameters that differ from the usual ones, as JSON.
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// Least stake of an operator in ETH.
    #[arg(long, default_value = "32", value_name = "ETH")]
    pub min_stake: String,
    /// Least size of the first set.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub min_operators: u64,
    /// Safe that decides where provers disagree: at least 8 owners, of whom 75 % must sign [default: nobody].
    #[arg(long, value_name = "ADDRESS")]
    pub council: Option<alloy_primitives::Address>,
    /// ETH that the portal gets for what the genesis gives out: no more than was put in is ever paid back.
    #[arg(long, default_value = "0", value_name = "ETH")]
    pub seed: String,
    /// Times, limits and prices on L1.
    #[command(flatten)]
    pub rules: super::rules::RulesArgs,
    /// Where to write the network file.
    #[arg(short, long, default_value = "network.json", value_name = "FILE")]
    pub output: PathBuf,
}

/// Which node is asked.
#[derive(Debug, Clone, Args)]
pub struct RpcArgs {
    /// JSON-RPC address of a node.
    #[arg(long, env = "ROTA_RPC_URL", hide_env_values = true, default_value = DEFAULT_RPC, value_name = "URL")]
    pub rpc_url: String,
}

/// `rota tx ..`
#[derive(Debug, Subcommand)]
pub enum TxCommand {
    /// Sign, send and follow a transaction.
    Send(SendArgs),
    /// Force a signed transaction in through L1: no sequencer can leave it out.
    Force(super::force::ForceArgs),
    /// How far a transaction is.
    Status(TxArgs),
    /// Follow a transaction, one line per stage.
    Watch(WatchArgs),
}

/// How long and how far to follow.
#[derive(Debug, Clone, Args)]
pub struct Until {
    /// Stage to wait for: received, preconfirmed, acked, decided, posted, finalized, proven.
    #[arg(long, default_value = "decided", value_name = "STAGE")]
    pub until: Stage,
    /// Give up after this time.
    #[arg(long, default_value = "2m", value_name = "TIME")]
    pub timeout: crate::config::Dur,
}

/// `rota tx send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// Which node is asked.
    #[command(flatten)]
    pub rpc: RpcArgs,
    /// How far to follow.
    #[command(flatten)]
    pub until: Until,
    /// Receiver.
    #[arg(long)]
    pub to: Address,
    /// Value in ETH.
    #[arg(long, default_value = "0", value_name = "ETH")]
    pub value: String,
    /// Calldata.
    #[arg(long, default_value = "0x")]
    pub data: Bytes,
    /// Amount in ETH to insure; the tip is raised to what it costs.
    #[arg(long, value_name = "ETH")]
    pub insure: Option<String>,
    /// File with the sender's key (encrypted, or 32 bytes in hex with mode 0600).
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
    /// File with the password of that key file, if it is encrypted.
    #[arg(long, value_name = "FILE")]
    pub key_password_file: Option<PathBuf>,
}

/// A transaction at a node.
#[derive(Debug, Args)]
pub struct TxArgs {
    /// Its hash.
    pub hash: B256,
    /// Which node is asked.
    #[command(flatten)]
    pub rpc: RpcArgs,
}

/// `rota tx watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The transaction.
    #[command(flatten)]
    pub tx: TxArgs,
    /// How far to follow.
    #[command(flatten)]
    pub until: Until,
}

fn role(text: &str) -> Result<Role, String> {
    Role::ALL
        .into_iter()
        .find(|r| r.name() == text)
        .ok_or_else(|| "sequencer, follower or prover".into())
}
