//! `rota output witness`: one block and its witness in a file.
//!
//! Invariant: the file is checked before it is written, by the code that `rota-stateless` runs.

use super::WitnessArgs;
use crate::{
    cli::{Done, client::Node, out},
    exit::{Exit, Failure},
};
use alloy_consensus::{Block, TxEnvelope};
use alloy_primitives::{Bytes, U64};
use alloy_rlp::Decodable;
use rota_execution::{Witness, reexecute};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(super) async fn witness(args: &WitnessArgs, json: bool) -> Done {
    let node = Node::new(&args.rpc.rpc_url)?;
    let number = json!([format!("{:#x}", args.block)]);
    let chain_id: U64 = read(node.ask("eth_chainId", json!([])).await?)?;
    let block: Bytes = read(node.ask("debug_getRawBlock", number.clone()).await?)?;
    let witness: Witness = read(node.ask("debug_executionWitness", number).await?)?;
    let chain_id: u64 = chain_id.to();
    let decoded = Block::<TxEnvelope>::decode(&mut block.as_ref());
    let decoded =
        decoded.map_err(|e| Failure::new(Exit::Failed, format!("the node's block: {e}")))?;
    let done = reexecute(&witness, &decoded, chain_id).map_err(|e| {
        Failure::new(
            Exit::Verify,
            format!("the block does not follow from the node's witness: {e}"),
        )
        .hint("the node is wrong or lies; ask another one")
    })?;
    let file = json!({ "v": 1, "chainId": chain_id, "block": block, "witness": witness });
    let Some(path) = &args.output else { return out::json(&file) };
    std::fs::write(path, file.to_string() + "\n")
        .map_err(|e| Failure::new(Exit::Failed, format!("cannot write {}: {e}", path.display())))?;
    let (hash, bytes) = (done.hash(), witness.size());
    if json {
        return out::json(
            &json!({ "v": 1, "file": path, "blockHash": hash, "witnessBytes": bytes }),
        );
    }
    out::line(format_args!(
        "block {} {hash}: witness of {bytes} bytes in {}",
        args.block,
        path.display()
    ))
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value)
        .map_err(|e| Failure::new(Exit::Failed, format!("the node answered something else: {e}")))
}
