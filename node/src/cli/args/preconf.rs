//! The arguments of `rota preconf`.

use super::{RpcArgs, TxArgs, Where};
use crate::cli::call::CallArgs;
use alloy_primitives::{B256, Bytes};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `rota preconf ..`
#[derive(Debug, Subcommand)]
pub enum PreconfCommand {
    /// Fetch the promise of a transaction into a file.
    Get(GetArgs),
    /// Check a promise without asking anyone.
    Verify(VerifyArgs),
    /// What can be insured now, and what it costs.
    Coverage(RpcArgs),
    /// From a promise that was broken, what L1 is shown to pay for it: the Slasher for an insured one that was reverted, the
    /// warranty of its leader for one that was lost with it.
    Claim(ClaimArgs),
    /// From a promise that the log broke, evidence against a leader who signed two histories, for rota slash submit.
    Evidence(BrokenArgs),
}

/// `rota preconf evidence`.
#[derive(Debug, Args)]
pub struct BrokenArgs {
    /// The promise.
    pub file: PathBuf,
    /// A node that has what the log has in its place.
    #[command(flatten)]
    pub rpc: RpcArgs,
    /// File to write [default: stdout].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `rota preconf get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// The transaction.
    #[command(flatten)]
    pub tx: TxArgs,
    /// File to write [default: stdout].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `rota preconf claim`.
#[derive(Debug, Args)]
pub struct ClaimArgs {
    /// The promise: with acks and an insured amount, or any with --warranty.
    pub file: PathBuf,
    /// A node that has what the log has in its place.
    #[command(flatten)]
    pub rpc: RpcArgs,
    /// The offence, as rota slash list names it [default: those on L1 that the frame was taken back because of].
    #[arg(long, value_name = "ID")]
    pub offence: Option<B256>,
    /// Go on until it is paid: wait for the offence to be reported, for the time for claims, and take it out.
    #[arg(long, requires = "owner_key_file", conflicts_with_all = ["warranty", "dry_run", "print_tx"])]
    pub wait: bool,
    /// File to write [default: stdout].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Claim the refund of a leader whose frame was lost with it, in place of the insured amount.
    #[arg(long, conflicts_with = "offence")]
    pub warranty: bool,
    /// The signed transaction, if neither promise nor node have it.
    #[arg(long, value_name = "HEX", requires = "warranty")]
    pub transaction: Option<Bytes>,
    /// How the calls are made; the key is of any account that pays for gas, and only the sender's own takes the money out.
    #[command(flatten)]
    pub call: CallArgs,
}

impl ClaimArgs {
    /// Whether L1 is asked, or told.
    pub(in crate::cli) const fn calls(&self) -> bool {
        self.call.dry_run || self.call.print_tx || self.call.owner_key_file.is_some()
    }
}

/// `rota preconf verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The promise.
    pub file: PathBuf,
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// File with the set, from `rota set list -o FILE`; without it the set is read from L1.
    #[arg(long, value_name = "FILE")]
    pub set: Option<PathBuf>,
    /// Id of the set that is trusted, in place of a file.
    #[arg(long, value_name = "HASH", conflicts_with = "set")]
    pub set_id: Option<B256>,
    /// Context of the network that is trusted, in place of the network file.
    #[arg(long, value_name = "HASH")]
    pub ctx: Option<B256>,
    /// Also ask this L1 endpoint whether the batch that the promise names is posted and final.
    #[arg(long, value_name = "URL")]
    pub l1: Option<String>,
}

impl VerifyArgs {
    /// Whether the set is known without L1.
    pub(in crate::cli) const fn names_set(&self) -> bool {
        self.set.is_some() || self.set_id.is_some()
    }
}
