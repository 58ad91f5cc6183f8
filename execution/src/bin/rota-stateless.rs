//! Re-executes one block with nothing but a file: `rota-stateless FILE`, where `rota output witness N -o FILE` wrote it.
//!
//! Not for: which block is the right one; that follows from L1. Exit code 0: the parent's hash leads to the block's hash; 10: it does not,
//! or the witness shows too little; 1: the file cannot be read.

use alloy_consensus::{Block, TxEnvelope};
use alloy_primitives::Bytes;
use alloy_rlp::Decodable;
use rota_execution::{Witness, reexecute};
use serde::Deserialize;
use std::{io::Write, process::ExitCode};

/// What `rota output witness` writes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    v: u8,
    chain_id: u64,
    block: Bytes,
    witness: Witness,
}

fn main() -> ExitCode {
    let said = match run() {
        Ok(line) => writeln!(std::io::stdout(), "{line}").map(|()| ExitCode::SUCCESS),
        Err((code, why)) => {
            writeln!(std::io::stderr(), "error: {why}").map(|()| ExitCode::from(code))
        }
    };
    said.unwrap_or(ExitCode::FAILURE)
}

fn run() -> Result<String, (u8, String)> {
    let mut args = std::env::args_os().skip(1);
    let (Some(path), None) = (args.next(), args.next()) else {
        return Err((1, "usage: rota-stateless FILE (from: rota output witness N -o FILE)".into()));
    };
    let cannot = |what: &dyn std::fmt::Display| (1, format!("{}: {what}", path.display()));
    let text = std::fs::read(&path).map_err(|e| cannot(&e))?;
    let file: File = serde_json::from_slice(&text).map_err(|e| cannot(&e))?;
    if file.v != 1 {
        return Err(cannot(&format!("version {}, this program reads version 1", file.v)));
    }
    let block = Block::<TxEnvelope>::decode(&mut file.block.as_ref());
    let block = block.map_err(|e| cannot(&format!("the block does not decode: {e}")))?;
    let parent = block.header.parent_hash;
    let done = reexecute(&file.witness, &block, file.chain_id).map_err(|e| (10, e.to_string()))?;
    let (number, txs, bytes) = (block.header.number, done.included.len(), file.witness.size());
    Ok(format!(
        "block {number} {} follows from {parent}: {txs} transactions, state root {}, witness of {bytes} bytes",
        done.hash(),
        done.head.header.state_root
    ))
}
