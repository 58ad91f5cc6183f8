//! A disagreement as a file that a person can replay.
//!
//! Invariant: the file holds what is needed to try the block on a third client: the genesis it starts from, the parent, the
//! block in RLP, the request as it was sent, and both results. It holds no secret.

use super::{Chain, Disagreement, ExternalError};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Writes the file, whole or not at all, and gives its path.
///
/// # Errors
/// [`ExternalError::Io`].
pub fn write_report(
    dir: &Path,
    found: &Disagreement,
    chain: &dyn Chain,
) -> Result<PathBuf, ExternalError> {
    let block = &found.block;
    let parent = block.number().checked_sub(1).and_then(|number| chain.block(number));
    let header = block.header();
    let report = json!({
        "v": 1,
        "about": "An execution client called a block invalid that Rota executed, as derived from L1 or decided by the set. One of the two is wrong.",
        "replay": [
            "rota chain genesis --out genesis.json (its block 0 is `genesis.hash`)",
            "start a client with that genesis, empty, and let a follower lead it to the block `parent.hash`",
            "POST `request` to its Engine API: status VALID acquits Rota, INVALID acquits the client",
        ],
        "genesis": { "hash": chain.genesis() },
        "parent": {
            "number": block.number().saturating_sub(1),
            "hash": block.parent_hash(),
            // Block 0 is in the genesis file.
            "header": parent.as_ref().map(|p| p.header()),
            "rlp": parent.as_ref().map(|p| p.rlp()),
        },
        "block": { "number": block.number(), "hash": block.hash(), "header": header, "rlp": block.rlp() },
        "request": {
            "jsonrpc": "2.0", "id": 1, "method": "engine_newPayloadV4", "params": block.params(),
        },
        "rota": {
            "version": env!("CARGO_PKG_VERSION"),
            "hash": block.hash(),
            "state_root": header.state_root,
            "receipts_root": header.receipts_root,
            "gas_used": header.gas_used,
            "transactions": block.txs(),
        },
        "client": {
            "version": found.client.as_ref().map(|c| c.version.clone()),
            "status": "INVALID",
            "reason": found.reason,
            "latest_valid_hash": found.latest_valid,
        },
    });
    let name = format!("invalid-block-{}-{}.json", block.number(), &block.hash().to_string()[..10]);
    let path = dir.join(name);
    let io = |source| ExternalError::Io { path: path.clone(), source };
    fs::create_dir_all(dir).map_err(io)?;
    let unfinished = path.with_extension("json.new");
    fs::write(&unfinished, format!("{report:#}\n")).map_err(io)?;
    fs::rename(&unfinished, &path).map_err(io)?;
    Ok(path)
}
