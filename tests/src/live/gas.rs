//! What transactions on the L1 of a devnet cost, by the function that they call.
//!
//! Invariant: every figure is a receipt's; names come from the contracts' interfaces.

use super::{L1, quantity};
use alloy_json_abi::JsonAbi;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    path::PathBuf,
};

/// Calls of one function: gas of the cheapest and of the dearest, and how many.
#[derive(Debug, Clone, Copy)]
struct Calls {
    least: u64,
    most: u64,
    count: u64,
}

/// Calls by name, of transactions that did what they should.
#[derive(Debug)]
pub struct Gas(BTreeMap<String, Calls>);

impl Gas {
    /// Of every block so far.
    pub fn of(l1: &mut L1) -> Self {
        let names = names();
        let mut calls: BTreeMap<String, Calls> = BTreeMap::new();
        let head = quantity(&l1.call("eth_blockNumber", json!([])));
        for number in 0..=head {
            let at = format!("{number:#x}");
            let block = l1.call("eth_getBlockByNumber", json!([at, true]));
            let receipts = l1.call("eth_getBlockReceipts", json!([at]));
            let txs = block["transactions"].as_array().unwrap();
            for (tx, receipt) in txs.iter().zip(receipts.as_array().unwrap()) {
                assert_eq!(tx["hash"], receipt["transactionHash"]);
                let selector = tx["input"].as_str().and_then(|input| input.get(..10));
                let Some(name) = selector.and_then(|s| names.get(s)) else { continue };
                if receipt["status"] != "0x1" || tx["to"] == Value::Null {
                    continue;
                }
                let gas = quantity(&receipt["gasUsed"]);
                let new = Calls { least: gas, most: gas, count: 0 };
                let known = calls.entry(name.clone()).or_insert(new);
                known.least = known.least.min(gas);
                known.most = known.most.max(gas);
                known.count += 1;
            }
        }
        Self(calls)
    }

    /// How many functions were called.
    pub fn functions(&self) -> usize {
        self.0.len()
    }
}

impl Display for Gas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, Calls { least, most, count }) in &self.0 {
            writeln!(f, "gas  {name:<44} {least:>9} to {most:>9}, {count} times")?;
        }
        Ok(())
    }
}

/// Names by selector; one that several contracts have names all of them.
fn names() -> BTreeMap<String, String> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../contracts/abi");
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        let contract = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let abi = text.get("abi").unwrap_or(&text).clone();
        let abi: JsonAbi = serde_json::from_value(abi).unwrap();
        for function in abi.functions() {
            let name = format!("{contract}.{}", function.name);
            let known = names.entry(function.selector().to_string()).or_default();
            *known = if known.is_empty() { name } else { format!("{known} or {name}") };
        }
    }
    names
}
