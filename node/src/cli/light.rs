//! `rota light`: a fact about the rollup from one L1 block hash, as a file, and checking one.
//!
//! Not for: how it is checked (`rota-verify`). Invariant: nothing of the file is believed; which L1 block is final is asked of
//! an L1 endpoint, or given by the user.

use super::{
    Done,
    args::{RpcArgs, Where},
    client::Node,
    node, out,
    preconf::read,
};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    network::Network,
    run::reader,
};
use clap::{Args, Subcommand};
use rota_l1::{At, L1, L1Error};
use rota_types::{B256, LightProof, keccak256};
use rota_verify::{LightAnchor, LightVerdict, TRUST_BLOCKS, percent, verify_light};
use serde_json::{Value, json};
use std::path::PathBuf;

/// `rota light ..`
#[derive(Debug, Subcommand)]
pub enum LightCommand {
    /// Fetch a proof of a transaction, a height or the newest certified block hash into a file.
    Get(GetArgs),
    /// Check a proof against an L1 block.
    Verify(VerifyArgs),
}

/// `rota light get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// A transaction hash, a height, or `checkpoint`: the newest execution block hash that the set certified.
    #[arg(value_name = "HASH|HEIGHT|checkpoint")]
    pub what: String,
    /// Prove it under the certificate of this height [default: the newest].
    #[arg(long, value_name = "HEIGHT")]
    pub at_height: Option<u64>,
    /// Where the settings are: if the node has no L1 that gives proofs, this command asks the one in the settings.
    #[command(flatten)]
    pub at: Where,
    /// Which node is asked.
    #[command(flatten)]
    pub rpc: RpcArgs,
    /// File to write [default: stdout].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `rota light verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The proof.
    pub file: PathBuf,
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// Context of the network, in place of the network file.
    #[arg(long, value_name = "HASH")]
    pub ctx: Option<B256>,
    /// Hash of an L1 block that is known to be final; then no endpoint is asked.
    #[arg(long, value_name = "HASH", conflicts_with = "l1")]
    pub l1_block: Option<B256>,
    /// The L1 endpoint that is asked whether the block of the proof is final [default: those of the settings].
    #[arg(long, value_name = "URL")]
    pub l1: Option<String>,
    /// L1 blocks for which a set is believed after the next one was frozen.
    #[arg(long, value_name = "BLOCKS", default_value_t = TRUST_BLOCKS)]
    pub trust_blocks: u64,
}

pub(super) async fn run(command: &LightCommand, json: bool) -> Done {
    match command {
        LightCommand::Get(args) => get(args, json).await,
        LightCommand::Verify(args) => verify(args, json).await,
    }
}

async fn get(args: &GetArgs, json: bool) -> Done {
    let what = what(&args.what)?;
    let node = Node::new(&args.rpc.rpc_url)?;
    let asked = match args.at_height {
        Some(at) => json!([what, format!("{at:#x}")]),
        None => json!([what]),
    };
    let answer = node.ask("rota_getProof", asked).await?;
    let mut proof: LightProof = serde_json::from_value(answer).map_err(|e| {
        Failure::new(Exit::Failed, format!("the node's answer is no light proof: {e}"))
    })?;
    if proof.l1.is_none() {
        let config = node::settings(&args.at, Vec::new())?;
        proof.l1 = Some(own_l1(&config, proof.set.epoch).await?);
    }
    let text = serde_json::to_string_pretty(&proof).map_err(|e| Failure::new(Exit::Failed, e))?;
    let Some(path) = &args.output else { return out::line(text) };
    std::fs::write(path, text + "\n")
        .map_err(|e| Failure::new(Exit::Failed, format!("cannot write {}: {e}", path.display())))?;
    if json {
        return out::json(&json!({ "v": 1, "file": path }));
    }
    eprintln!("proof saved; check it: rota light verify {}", path.display());
    Ok(())
}

fn what(text: &str) -> Result<Value, Failure> {
    let is_hash = || text.parse::<B256>().is_ok();
    match text.parse::<u64>() {
        Ok(height) => Ok(json!(format!("{height:#x}"))),
        Err(_) if text == "checkpoint" || is_hash() => Ok(json!(text)),
        Err(_) => Err(Failure::new(Exit::Config, format!("{text} is no hash and no height"))
            .hint("give a transaction hash, a height as a decimal number, or: checkpoint")),
    }
}

/// The part about L1 from an endpoint of the settings.
async fn own_l1(config: &Config, epoch: u64) -> Result<rota_types::SetProof, Failure> {
    let hint = "the node asked has no L1 endpoint that gives proofs; name one here: --l1.rpc URL";
    let network = Network::load(&config.network_path())?;
    let l1 = reader(config, &network).map_err(|e| Failure::new(Exit::Config, e).hint(hint))?;
    l1.set_proof(epoch).await.map_err(|e| Failure::new(Exit::Unreachable, e).hint(hint))
}

async fn verify(args: &VerifyArgs, json: bool) -> Done {
    let proof: LightProof = read(&args.file, "a light proof")?;
    let mut config = node::settings(&args.at, Vec::new())?;
    if let Some(url) = &args.l1 {
        config.l1.rpc = vec![url.clone()];
    }
    let needed = args.ctx.is_none() || args.l1_block.is_none();
    let network = if needed { Some(Network::load(&config.network_path())?) } else { None };
    let ctx = match (args.ctx, &network) {
        (Some(ctx), _) => ctx,
        (None, Some(network)) => network.domain_of(proof.domain.generation)?.ctx(),
        (None, None) => B256::ZERO,
    };
    // If the user names no block, L1 confirms the proof's own afterwards.
    let said = || proof.l1.as_ref().map_or(B256::ZERO, |l1| keccak256(&l1.header));
    let l1_block = args.l1_block.unwrap_or_else(said);
    let anchor = LightAnchor { ctx, l1_block, trust_blocks: args.trust_blocks };
    let verdict = verify_light(&proof, &anchor).map_err(|e| {
        Failure::new(Exit::Verify, format!("the proof does not hold: {e}"))
            .hint("get it anew: rota light get; check that the network file is that of its network")
    })?;
    if let (None, Some(network)) = (args.l1_block, &network) {
        let l1 = reader(&config, network).map_err(|e| Failure::new(Exit::Config, e))?;
        is_final(&l1, &verdict, (l1_block, args.trust_blocks)).await?;
    }
    report(&verdict, l1_block, json)
}

/// L1 must have that block, call it final, and the set must not have been replaced long ago as of today: whoever made the
/// proof chose the block, perhaps one of years ago in which its set was the newest.
async fn is_final(l1: &dyn L1, v: &LightVerdict, (hash, trust_blocks): (B256, u64)) -> Done {
    let silent = |e: L1Error| {
        Failure::new(Exit::Unreachable, format!("L1 does not answer: {e}"))
            .hint("try again, or give another --l1 URL")
    };
    let number = v.l1_block;
    let has = l1.block(At::Number(number)).await.map_err(silent)?;
    let last = l1.block(At::Finalized).await.map_err(silent)?.map_or(0, |b| b.number);
    if has.is_none_or(|b| b.hash != hash) || number > last {
        let message = format!("L1 does not have block {hash} as its final block {number}");
        return Err(Failure::new(Exit::Verify, message).hint(
            "if that endpoint is behind, try again or give another --l1 URL; else the proof is of another L1, or made up",
        ));
    }
    let age = last.saturating_sub(v.superseded_at.unwrap_or(number));
    if age > trust_blocks {
        let message = format!(
            "too old: its set may have been replaced {age} L1 blocks ago, and its members may have left"
        );
        return Err(Failure::new(Exit::Verify, message).hint("get it anew: rota light get"));
    }
    Ok(())
}

fn report(v: &LightVerdict, l1_block: B256, json: bool) -> Done {
    if json {
        return out::json(&json!({ "v": 1, "verified": true, "l1Hash": l1_block, "proof": v }));
    }
    out::line(format_args!("L1 block     {} {l1_block}", v.l1_block))?;
    let replaced = v
        .superseded_at
        .map_or_else(String::new, |at| format!("; the next set was frozen in L1 block {at}"));
    out::line(format_args!("set          ok  of epoch {}, as L1 froze it{replaced}", v.epoch))?;
    let share = percent(v.weight_gwei, v.total_gwei);
    out::line(format_args!(
        "certificate  ok  height {}, {share} % of the stake",
        v.certified_height
    ))?;
    if v.height != v.certified_height {
        out::line(format_args!("history      ok  height {} is below it", v.height))?;
    }
    if let Some(tx) = &v.transaction {
        let (hash, index, g) = (tx.hash, tx.index, tx.g);
        out::line(format_args!("transaction  ok  {hash} is transaction {index} of frame {g}"))?;
    }
    if let Some(c) = &v.checkpoint {
        let (number, hash) = (c.block_number, c.block_hash);
        out::line(format_args!("execution    ok  block {number} is {hash}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settle::testing::Chain;

    fn verdict(number: u64, superseded_at: Option<u64>) -> LightVerdict {
        LightVerdict {
            l1_block: number,
            l1_timestamp: 0,
            epoch: 0,
            superseded_at,
            certified_height: 1,
            weight_gwei: 3,
            total_gwei: 4,
            height: 1,
            value_id: B256::ZERO,
            timestamp_s: 0,
            transaction: None,
            checkpoint: None,
        }
    }

    /// Whoever makes a proof chooses its block: what L1 froze after it counts too.
    #[tokio::test]
    async fn a_set_of_long_ago_is_not_believed_under_a_block_of_long_ago() {
        let l1 = Chain::new().grow(1).l1(2);
        let old = l1.mine();
        let said = async |v: &LightVerdict, hash, trust| {
            is_final(&l1, v, (hash, trust)).await.err().map(|e| e.to_string()).unwrap_or_default()
        };
        let v = verdict(old.number, None);
        assert!(said(&v, old.hash, 10).await.contains("final block"), "not final yet");
        while l1.block(At::Finalized).await.unwrap().unwrap().number < old.number + 10 {
            l1.mine();
        }
        assert_eq!(said(&v, old.hash, 10).await, "");
        assert!(said(&v, B256::ZERO, 10).await.contains("does not have block"));
        assert_eq!(said(&verdict(old.number, Some(old.number)), old.hash, 10).await, "");
        let replaced = verdict(old.number, Some(old.number - 1));
        assert!(said(&replaced, old.hash, 10).await.contains("11 L1 blocks ago"));
        l1.mine();
        assert!(said(&v, old.hash, 10).await.contains("too old"));
    }
}
