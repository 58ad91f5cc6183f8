//! The arguments of `rota slash`.

use alloy_primitives::{Address, B256};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `rota slash ..`
#[derive(Debug, Subcommand)]
pub enum SlashCommand {
    /// Watch the network and, with an account, take what is found to L1. Needs no stake and no node.
    Watch(WatchSlashArgs),
    /// Offences on record, newest last.
    List(OnL1Args),
    /// One offence on record.
    Show(ShowArgs),
    /// Check a file of evidence; L1 is asked only what is proven, and only if the evidence rests on that.
    Verify(VerifyEvidenceArgs),
    /// Take a file of evidence to L1: commit, reveal, and say what it brought.
    Submit(SubmitArgs),
    /// Take out what was earned.
    Claim(ClaimArgs),
}

/// Where the contracts are.
#[derive(Debug, Clone, Args)]
pub struct OnL1Args {
    /// L1 endpoints, separated by commas.
    #[arg(long = "l1.rpc", env = "ROTA_L1_RPC", hide_env_values = true, value_name = "URLS")]
    pub l1_rpc: String,
    /// The Registry contract.
    #[arg(long, env = "ROTA_REGISTRY", value_name = "ADDRESS")]
    pub registry: Address,
}

/// `rota slash watch`.
#[derive(Debug, Args)]
pub struct WatchSlashArgs {
    /// Where the contracts are.
    #[command(flatten)]
    pub l1: OnL1Args,
    /// Key of the account that pays and gets rewards; without it evidence is only found and kept.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// File with the password of that key file, if it is encrypted.
    #[arg(long, value_name = "FILE")]
    pub key_password_file: Option<PathBuf>,
    /// Directory for evidence and cases.
    #[arg(long, default_value = "rota-slasher", value_name = "DIR")]
    pub dir: PathBuf,
    /// Files of evidence to begin with; may be given again and again.
    #[arg(long = "source", value_name = "FILE")]
    pub sources: Vec<PathBuf>,
    /// Between two looks at L1.
    #[arg(long, default_value = "1s", value_name = "TIME")]
    pub poll: crate::config::Dur,
    /// A node that keeps certified heights: what the set certified of execution is compared with what is proven on L1.
    #[arg(long, value_name = "URL", requires = "follower_url")]
    pub rpc_url: Option<String>,
    /// An execution client that a follower leads, which has all proven blocks; a follower itself keeps the newest 1,024 or so,
    /// fewer than L1 takes to prove one.
    #[arg(long, value_name = "URL", requires = "rpc_url")]
    pub follower_url: Option<String>,
}

/// `rota slash show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Its name, as rota slash list shows it; the first digits are enough.
    pub id: String,
    /// Where the contracts are.
    #[command(flatten)]
    pub l1: OnL1Args,
}

/// `rota slash verify`.
#[derive(Debug, Args)]
pub struct VerifyEvidenceArgs {
    /// The file.
    pub file: PathBuf,
    /// Context of the network that is trusted.
    #[arg(long, value_name = "HASH")]
    pub ctx: Option<B256>,
    /// Id of the set that is trusted (setId of its epoch in the Registry).
    #[arg(long, value_name = "HASH")]
    pub set_id: Option<B256>,
    /// L1 endpoints, separated by commas: a false block is held against what is proven there.
    #[arg(long = "l1.rpc", hide_env_values = true, value_name = "URLS", requires = "registry")]
    pub l1_rpc: Option<String>,
    /// The Registry contract.
    #[arg(long, value_name = "ADDRESS", requires = "l1_rpc")]
    pub registry: Option<Address>,
}

/// `rota slash submit`.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// The file.
    pub file: PathBuf,
    /// Where the contracts are.
    #[command(flatten)]
    pub l1: OnL1Args,
    /// Key of the account that pays and gets the reward.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["dry_run", "print_tx"])]
    pub key_file: Option<PathBuf>,
    /// File with the password of that key file, if it is encrypted.
    #[arg(long, value_name = "FILE")]
    pub key_password_file: Option<PathBuf>,
    /// Ask the contract what it would do, and send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the two transactions for this account to sign elsewhere, and send nothing.
    #[arg(long, value_name = "ACCOUNT")]
    pub print_tx: Option<Address>,
    /// Show it in one transaction, without a commitment: no reward, but at once.
    #[arg(long)]
    pub no_reward: bool,
    /// Directory for the case, so that it goes on after an interruption.
    #[arg(long, default_value = "rota-slasher", value_name = "DIR")]
    pub dir: PathBuf,
}

/// `rota slash claim`.
#[derive(Debug, Args)]
pub struct ClaimArgs {
    /// Where the contracts are.
    #[command(flatten)]
    pub l1: OnL1Args,
    /// Key of the account that earned it.
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
    /// File with the password of that key file, if it is encrypted.
    #[arg(long, value_name = "FILE")]
    pub key_password_file: Option<PathBuf>,
}
