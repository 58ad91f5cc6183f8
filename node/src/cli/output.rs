//! `rota output`: which blocks are proven on L1, what is claimed of the next ones, and contradicting what is wrong.
//!
//! Not for: proving by itself all the time (`rota run --role prover`). Invariant: what is right is what a follower of the user's
//! choice computed from L1; nothing on L1 is taken for right because it is there.

mod act;
mod look;
mod prove;
mod witness;

use super::{Done, args::RpcArgs, args::Where, call::CallArgs, client::Node};
use crate::{
    config::Dur,
    exit::{Exit, Failure},
    network::Network,
    outputs::{BlockAt, Implementation, NoSlot, OutputError, right_output},
};
use alloy_primitives::{Address, B256, U64};
use clap::{Args, Subcommand};
use rota_l1::{Output, Outputs};
use serde_json::json;

/// `rota output ..`
#[derive(Debug, Subcommand)]
pub enum OutputCommand {
    /// What is proven, what is claimed of the next steps, by which slots, and who may decide.
    List(Where),
    /// One step: its L1 block, what was claimed, what became final.
    Show(StepArgs),
    /// Compare a step with what a follower computed from L1; exit code 10 if they differ.
    Verify(VerifyArgs),
    /// Write a block with all that is needed to execute it: `rota-stateless FILE` does, with nothing else.
    Witness(WitnessArgs),
    /// Put a bond on the right output of a step where a wrong one is bonded: the slot freezes, and the oracle knows.
    Challenge(BondArgs),
    /// Put a bond on the right output of a step.
    Propose(BondArgs),
    /// Do all of that by itself for one slot, until stopped.
    Prove(ProveArgs),
    /// Show the oracle what a slot stands for. Anyone may send it.
    Claim(SlotArgs),
    /// Record an L1 block up to which the next step derives. Anyone may send it.
    Checkpoint(CallArgs),
    /// Return or divide the bonds on a step that is final. Anyone may send it.
    Settle(SlotArgs),
    /// Pay out what a slot owes the account of the key.
    Collect(CollectArgs),
}

/// `rota output show`.
#[derive(Debug, Args)]
pub struct StepArgs {
    /// Which step.
    pub step: u64,
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
}

/// `rota output verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Which step.
    #[command(flatten)]
    pub step: StepArgs,
    /// A follower that derives from L1.
    #[command(flatten)]
    pub rpc: RpcArgs,
}

/// `rota output witness`.
#[derive(Debug, Args)]
pub struct WitnessArgs {
    /// Number of the block.
    pub block: u64,
    /// A node that keeps the state of the block before it.
    #[command(flatten)]
    pub rpc: RpcArgs,
    /// File to write [default: stdout].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<std::path::PathBuf>,
}

/// `rota output challenge` and `propose`.
#[derive(Debug, Args)]
pub struct BondArgs {
    /// Which step.
    pub step: u64,
    /// On which slot [default: challenge: each with a wrong output; propose: the first].
    #[arg(long, value_name = "ADDRESS")]
    pub slot: Option<Address>,
    /// How the call is made; the key is of any account that pays bond and gas.
    #[command(flatten)]
    pub call: CallArgs,
    /// A follower that derives from L1.
    #[command(flatten)]
    pub rpc: RpcArgs,
}

/// `rota output claim` and `settle`.
#[derive(Debug, Args)]
pub struct SlotArgs {
    /// Which step.
    pub step: u64,
    /// Which slot [default: each that has something].
    #[arg(long, value_name = "ADDRESS")]
    pub slot: Option<Address>,
    /// How the call is made; the key is of any account that pays for gas.
    #[command(flatten)]
    pub call: CallArgs,
}

/// `rota output prove`.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// With what the follower executes, and so for which slot.
    #[arg(long, value_enum)]
    pub implementation: Implementation,
    /// Which slot [default: the first that is named after the implementation].
    #[arg(long, value_name = "ADDRESS")]
    pub slot: Option<Address>,
    /// Between two looks at L1.
    #[arg(long, default_value = "4s", value_name = "TIME")]
    pub poll: Dur,
    /// How calls are made; the key is of the account that pays bonds and gas.
    #[command(flatten)]
    pub call: CallArgs,
    /// A follower of your own that derives from L1.
    #[command(flatten)]
    pub rpc: RpcArgs,
}

/// `rota output collect`.
#[derive(Debug, Args)]
pub struct CollectArgs {
    /// Which slot.
    #[arg(long, value_name = "ADDRESS")]
    pub slot: Address,
    /// How the call is made.
    #[command(flatten)]
    pub call: CallArgs,
}

pub(super) async fn run(command: &OutputCommand, json: bool) -> Done {
    match command {
        OutputCommand::List(at) => look::list(at, json).await,
        OutputCommand::Show(args) => look::show(args, json).await,
        OutputCommand::Verify(args) => look::verify(args, json).await,
        OutputCommand::Witness(args) => witness::witness(args, json).await,
        OutputCommand::Challenge(args) => act::challenge(args, json).await,
        OutputCommand::Prove(args) => prove::prove(args, json).await,
        OutputCommand::Propose(args) => act::propose(args, json).await,
        OutputCommand::Claim(args) => act::claim(args, json).await,
        OutputCommand::Checkpoint(args) => act::checkpoint(args, json).await,
        OutputCommand::Settle(args) => act::settle(args, json).await,
        OutputCommand::Collect(args) => act::collect(args, json).await,
    }
}

fn contract(network: &Network) -> Result<Address, Failure> {
    network.oracle.ok_or_else(|| {
        Failure::new(Exit::Network, "the network file names no Oracle contract")
            .hint("get the newest network file from whoever runs the network")
    })
}

/// What a follower computed for a step, and its hash.
async fn right(l1: &Outputs, rpc: &RpcArgs, step: u64) -> Result<(Output, B256), Failure> {
    if step == 0 {
        return Err(Failure::new(Exit::Usage, "steps are counted from 1"));
    }
    let node = Node::new(&rpc.rpc_url)?;
    right_output(l1, step, async |l1_block| follower_block(&node, l1_block, None).await).await
}

/// What a follower derived up to an L1 block, as an implementation computed it or all that it has; none if it has not come so far.
async fn follower_block(
    node: &Node,
    l1_block: u64,
    by: Option<Implementation>,
) -> Result<Option<BlockAt>, Failure> {
    let asked = json!([U64::from(l1_block), by.map(Implementation::name)]);
    let answer = node.ask("rota_getBlockAt", asked).await?;
    serde_json::from_value(answer).map_err(|e| {
        Failure::new(Exit::Failed, format!("the node's answer is of no use: {e}"))
            .hint("ask another follower with --rpc-url")
    })
}

impl From<NoSlot> for Failure {
    fn from(e: NoSlot) -> Self {
        Self::new(Exit::Usage, e).hint("rota output list shows all slots")
    }
}

impl From<OutputError> for Failure {
    fn from(e: OutputError) -> Self {
        match e {
            OutputError::L1(e) => e.into(),
            OutputError::NoCheckpoint(_) => Self::new(Exit::Failed, e)
                .hint("rota output list shows the newest; rota output checkpoint records one"),
            OutputError::NotDerived { .. } => Self::new(Exit::Failed, e)
                .hint("wait until L1 has finalized it and the follower is in step"),
        }
    }
}
