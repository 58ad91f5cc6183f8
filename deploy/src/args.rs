//! The command tree of `rota-devnet`.

use crate::netns::Namespaces;
use clap::{Args, Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf};

/// A whole Rota network on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "rota devnet",
    bin_name = "rota devnet",
    version,
    about,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Directory of tools and data.
    #[arg(
        long,
        global = true,
        default_value = ".rota",
        env = "ROTA_DEVNET_DIR",
        value_name = "DIR"
    )]
    pub dir: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the network and show what happens, until Ctrl-C.
    Up(UpArgs),
    /// Show the nodes and their heads.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Stop the network.
    Down {
        /// Also delete its data.
        #[arg(long)]
        wipe: bool,
    },
    /// Show log files.
    Logs {
        /// n1, n2, .., follower, slasher, l1, or supervisor [default: all nodes].
        node: Option<String>,
        /// Keep showing what comes.
        #[arg(short, long)]
        follow: bool,
        /// Lines from the end of each.
        #[arg(short, long, default_value_t = 40)]
        lines: usize,
    },
    /// End a node at once (SIGKILL), as if its machine had failed.
    Kill {
        /// 1, 2, .. or its name.
        node: String,
    },
    /// Start a node that was ended.
    Start {
        /// 1, 2, .. or its name.
        node: String,
    },
    /// Sign a contradiction with the keys of a sequencer, as a second machine with them would, and see what it costs.
    Equivocate {
        /// 1, 2, .. or its name.
        node: String,
        /// Put an insured transaction into the second frame, have a coalition of members ack it, and write the promise, which
        /// the log breaks, to this file.
        #[arg(long, value_name = "FILE")]
        promise: Option<PathBuf>,
        /// What happened, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let another operator join: keys, stake, a process, and its way into the set.
    Add {
        /// What happened, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let an operator leave the set.
    Leave {
        /// 1, 2, .. or its name.
        node: String,
        /// Also wait until the stake is free, letting L1 blocks pass, and take it out.
        #[arg(long)]
        withdraw: bool,
        /// What happened, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let L1 blocks pass at once.
    Travel {
        /// How many.
        blocks: u64,
    },
    /// Funded test accounts with their keys.
    Accounts {
        /// The first key alone, for scripts.
        #[arg(short, long)]
        quiet: bool,
    },
    /// Becomes another program that ends with its parent.
    #[command(name = "__exec", hide = true)]
    Exec {
        /// Process id of the parent.
        parent: u32,
        /// Program and arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// Supervises one program until a signal.
    #[command(name = "__hold", hide = true)]
    Hold {
        /// Program and arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

/// `rota devnet up`.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// Sequencers, 1 to 9.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub nodes: u16,
    /// Leave out the follower.
    #[arg(long)]
    pub no_follower: bool,
    /// Leave out the slasher.
    #[arg(long)]
    pub no_slasher: bool,
    /// Delete the data of an earlier network first.
    #[arg(long)]
    pub fresh: bool,
    /// Return when everything is ready and leave it running.
    #[arg(long)]
    pub detach: bool,
    /// Seconds between two L1 blocks.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=12))]
    pub block_time: u16,
    /// Count all ports from this one, instead of the usual ones. Below 32000: clients get the ports above.
    #[arg(long, value_name = "PORT")]
    pub base_port: Option<u16>,
    /// Log directives of the nodes.
    #[arg(long, default_value = "info", value_name = "FILTER")]
    pub log_filter: String,
    /// Network namespaces that exist already, for tests: PREFIX@A.B.C.
    #[arg(long, hide = true)]
    pub netns: Option<Namespaces>,
    /// Set by --detach for the process that stays.
    #[arg(long, hide = true)]
    pub supervised: bool,
}
