//! The arguments of `rota bridge`.

use super::token::TokenCommand;
use crate::cli::{
    args::{RpcArgs, Until, Where},
    call::CallArgs,
};
use alloy_primitives::{Address, B256, Bytes};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `rota bridge ..`
#[derive(Debug, Subcommand)]
pub enum BridgeCommand {
    /// Bring ETH from L1 to an account of the rollup.
    Deposit(DepositArgs),
    /// Send ETH to L1: it is paid there after prove and finalize.
    Withdraw(WithdrawArgs),
    /// Show a withdrawal on L1 in a block that is proven there. Anyone may send it.
    Prove(FollowArgs),
    /// Pay a withdrawal that was shown for long enough. Anyone may send it.
    Finalize(FollowArgs),
    /// How far a withdrawal is.
    Status(StatusArgs),
    /// Tokens into the rollup and out of it.
    #[command(subcommand)]
    Token(TokenCommand),
}

/// How a transaction of the rollup is made.
#[derive(Debug, Args)]
pub struct SendOn {
    /// Which node gets it.
    #[command(flatten)]
    pub rpc: RpcArgs,
    /// How far to follow.
    #[command(flatten)]
    pub until: Until,
    /// File with the sender's key (encrypted, or 32 bytes in hex with mode 0600).
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// File with the password of that key file, if it is encrypted.
    #[arg(long, value_name = "FILE")]
    pub key_password_file: Option<PathBuf>,
    /// Ask the node what would happen, and send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the transaction for a wallet, and send nothing.
    #[arg(long, conflicts_with = "dry_run")]
    pub print_tx: bool,
}

/// `rota bridge deposit`.
#[derive(Debug, Args)]
pub struct DepositArgs {
    /// How the call is made; the key is of the account on L1 that pays.
    #[command(flatten)]
    pub call: CallArgs,
    /// Amount in ETH, a whole number of gwei.
    #[arg(long, value_name = "ETH")]
    pub amount: String,
    /// Who gets it on the rollup [default: who pays].
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<Address>,
}

/// `rota bridge withdraw`.
#[derive(Debug, Args)]
pub struct WithdrawArgs {
    /// How it is sent.
    #[command(flatten)]
    pub send: SendOn,
    /// Amount in ETH.
    #[arg(long, value_name = "ETH")]
    pub amount: String,
    /// Who is called on L1 [default: the sender].
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<Address>,
    /// Gas that the call on L1 gets at least.
    #[arg(long, default_value_t = 0, value_name = "GAS")]
    pub gas: u64,
    /// Calldata of that call.
    #[arg(long, default_value = "0x")]
    pub data: Bytes,
}

/// `rota bridge prove`, `rota bridge finalize`.
#[derive(Debug, Args)]
pub struct FollowArgs {
    /// The transaction of the rollup that sent it.
    pub tx: B256,
    /// Which of the withdrawals that it sent, from 0.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub index: usize,
    /// How the call is made; the key is of any account on L1 that pays for gas.
    #[command(flatten)]
    pub call: CallArgs,
    /// A node that has the block with its state.
    #[command(flatten)]
    pub rpc: RpcArgs,
    /// Number of the proven block [default: the newest].
    #[arg(long, value_name = "NUMBER")]
    pub block: Option<u64>,
}

/// `rota bridge status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The transaction of the rollup that sent it.
    pub tx: B256,
    /// Which of the withdrawals that it sent, from 0.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub index: usize,
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// Which node is asked.
    #[command(flatten)]
    pub rpc: RpcArgs,
}
