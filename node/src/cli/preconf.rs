//! `rota preconf`: the promise as a file, and checking one without asking anyone.

use super::{
    Done,
    args::{GetArgs, VerifyArgs},
    client::Node,
    node, out,
};
use crate::{
    exit::{Exit, Failure},
    network::Network,
    setup::OnL1,
};
use rota_types::{Decode, FrameHeader, Receipt, ValidatorSet};
use serde_json::json;
use std::path::Path;

pub(super) async fn get(args: &GetArgs, json: bool) -> Done {
    let node = Node::new(&args.tx.rpc.rpc_url)?;
    let promise = node.ask("preconf_getPromise", json!([args.tx.hash])).await?;
    let text = serde_json::to_string_pretty(&promise).map_err(|e| Failure::new(Exit::Failed, e))?;
    let Some(path) = &args.output else { return out::line(text) };
    std::fs::write(path, text + "\n")
        .map_err(|e| Failure::new(Exit::Failed, format!("cannot write {}: {e}", path.display())))?;
    if json {
        return out::json(&json!({ "v": 1, "file": path }));
    }
    eprintln!("promise saved; check it any time: rota preconf verify {}", path.display());
    Ok(())
}

pub(super) async fn verify(args: &VerifyArgs, json: bool) -> Done {
    let receipt: Receipt = read(&args.file, "a promise")?;
    let config = node::settings(&args.at, Vec::new())?;
    let network = Network::load(&config.network_path())?;
    let set: ValidatorSet = match &args.set {
        Some(path) => read(path, "a set")?,
        None if config.l1.rpc.is_empty() => {
            return Err(Failure::new(Exit::Config, "the set of sequencers is not known").hint(
                "give --set FILE (from rota set list -o FILE), or --l1.rpc URL to read it from L1",
            ));
        }
        None => {
            let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
            let none = || Failure::new(Exit::Config, "the set is not frozen on L1 yet");
            l1.members().await?.1.ok_or_else(none)?
        }
    };
    report(&receipt, &network, &set, json)
}

fn report(receipt: &Receipt, network: &Network, set: &ValidatorSet, json: bool) -> Done {
    let domain = network.domain()?;
    let stage = receipt.verify(set, &domain).map_err(|e| {
        Failure::new(Exit::Verify, format!("the promise does not hold: {e}"))
            .hint("check that network file and set are those of the promise's network")
    })?;
    let frame = FrameHeader::decode(&receipt.frame).map_err(|e| Failure::new(Exit::Verify, e))?;
    let leader = set.get(frame.leader).map(|v| v.owner).unwrap_or_default();
    if json {
        return out::json(&json!({
            "v": 1, "verified": true, "stage": stage, "transactionHash": receipt.transaction_hash,
            "frame": frame.g, "position": receipt.position.index, "leader": leader, "epoch": frame.epoch
        }));
    }
    out::line(format_args!("transaction  {}", receipt.transaction_hash))?;
    out::line(format_args!(
        "signature    ok  ed25519 by {leader}, member {} of the set of epoch {}",
        frame.leader, frame.epoch
    ))?;
    out::line(format_args!(
        "inclusion    ok  transaction {} of frame {}",
        receipt.position.index, frame.g
    ))?;
    out::line(format_args!("stage        {stage}"))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path, what: &str) -> Result<T, Failure> {
    let wrong = |e: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, format!("{} is not {what}: {e}", path.display()))
            .hint("rota preconf get and rota set list -o write these files")
    };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(&e))?;
    serde_json::from_str(&text).map_err(|e| wrong(&e))
}
