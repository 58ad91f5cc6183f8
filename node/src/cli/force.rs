//! `rota tx force`: puts a signed transaction of the rollup into the queue on L1, and follows it.
//!
//! Not for: signing it. Invariant: what derivation would skip for its form is not paid for; whether nonce and balance fit is
//! known only when it is its turn.

use super::{
    Done,
    args::RpcArgs,
    call::{Call, CallArgs, make},
    client::Node,
    node::settings_on_l1,
    out,
    tx::{Shown, reached},
};
use crate::{
    exit::{Exit, Failure},
    setup::{ForcedEntry, ForcedTerms, OnL1},
};
use alloy_primitives::{B256, Bytes, U256};
use clap::Args;
use rota_l1::enqueue_request;
use rota_types::{ForcedTx, Stage, Tx};
use serde_json::{Value, json};
use std::{io::Read, time::Duration};

/// Between two looks.
const POLL: Duration = Duration::from_millis(500);

/// `rota tx force`.
#[derive(Debug, Args)]
pub struct ForceArgs {
    /// The signed transaction in hex, a file with it, or - for stdin.
    #[arg(value_name = "TX|FILE")]
    pub tx: String,
    /// How it gets to L1; the key is of any account there that pays for it.
    #[command(flatten)]
    pub call: CallArgs,
    /// Which node is asked how far it is.
    #[command(flatten)]
    pub rpc: RpcArgs,
    /// Gas to pay for [default: the transaction's own gas limit; with less it would be skipped].
    #[arg(long, value_name = "GAS")]
    pub gas: Option<u64>,
    /// Stage to wait for: decided, posted, finalized.
    #[arg(long, default_value = "decided", value_name = "STAGE")]
    pub until: Stage,
    /// Give up following after this time; it stays in the queue.
    #[arg(long, default_value = "30m", value_name = "TIME")]
    pub timeout: crate::config::Dur,
    /// Only put it into the queue.
    #[arg(long)]
    pub no_wait: bool,
}

pub(super) async fn force(args: &ForceArgs, json: bool) -> Done {
    let (config, network) = settings_on_l1(&args.call.at)?;
    let raw = raw(&args.tx)?;
    let (tx, gas) = checked(&raw, args.gas, network.l2_chain_id)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let terms = l1.forced_terms().await?;
    let fee = terms.fee.saturating_add(terms.gas_price.saturating_mul(U256::from(gas)));
    let words = format!(
        "put transaction {} of {} into the queue on L1 for {}; no block of the rollup may be more than {} later than that without it",
        tx.hash,
        tx.sender,
        out::eth(fee),
        out::duration(terms.window_s)
    );
    let request = enqueue_request(terms.queue, raw, gas, fee);
    let call = Call { from: tx.sender, request, words };
    let Some(outcome) = make(&args.call, &l1, call, json).await? else { return Ok(()) };
    let at = outcome.inclusion;
    let entry = l1.forced_entry(at.block, tx.hash).await?.ok_or_else(|| {
        Failure::new(Exit::L1Tx, format!("L1 block {} has no such entry any more", at.block))
            .hint("L1 may have reorganised: look again, and repeat the command if it is gone")
    })?;
    if !json {
        told(&entry, (&terms, at.hash))?;
    }
    let status =
        if args.no_wait { Value::Null } else { follow(args, &entry, (&tx, &terms), json).await? };
    if json {
        return out::json(&json!({
            "v": 1, "transactionHash": tx.hash, "index": entry.index, "l1Block": entry.l1_block,
            "l1Transaction": at.hash, "feeWei": fee.to_string(), "latest": latest(&entry, &terms), "status": status
        }));
    }
    Ok(())
}

/// From the argument itself, a file, or stdin.
fn raw(given: &str) -> Result<Bytes, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("{given} is no signed transaction in hex: {why}"))
            .hint("make one with: cast mktx, or any wallet that signs without sending")
    };
    let text = match given {
        "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|e| wrong(&e))?;
            text
        }
        hex if hex.starts_with("0x") => hex.to_owned(),
        path => std::fs::read_to_string(path).map_err(|e| wrong(&e))?,
    };
    text.trim().parse().map_err(|e| wrong(&e))
}

/// As derivation reads it, with the gas to pay for.
fn checked(raw: &Bytes, gas: Option<u64>, chain_id: u64) -> Result<(Tx, u64), Failure> {
    let entry = |gas| ForcedTx { index: 0, l1_number: 0, gas, tx: raw.clone() };
    let skipped = |e: rota_types::NotForced| {
        Failure::new(Exit::Failed, format!("derivation would skip it: {e}"))
            .hint("nothing was sent; sign it for this rollup, and pay for all of its gas")
    };
    let own = entry(u64::MAX).decode(chain_id).map_err(skipped)?.gas_limit();
    let gas = gas.unwrap_or(own);
    Ok((entry(gas).decode(chain_id).map_err(skipped)?, gas))
}

/// Seconds since the Unix epoch: a later block of the rollup has it, or is not accepted on L1.
const fn latest(entry: &ForcedEntry, terms: &ForcedTerms) -> u64 {
    entry.timestamp.saturating_add(terms.window_s)
}

fn told(entry: &ForcedEntry, (terms, l1_tx): (&ForcedTerms, B256)) -> Done {
    out::line(format_args!(
        "queued         entry {} in L1 block {}, {l1_tx}",
        entry.index, entry.l1_block
    ))?;
    out::line(format_args!(
        "at the latest  in the first block of the rollup after {} ({} after that L1 block): L1 accepts none without it",
        latest(entry, terms),
        out::duration(terms.window_s)
    ))?;
    out::line(format_args!(
        "else           after {} L1 blocks without the set anyone may start a fallback, which executes the queue",
        terms.fallback_blocks
    ))
}

/// Waits until a node has it at the stage asked for.
async fn follow(
    args: &ForceArgs,
    entry: &ForcedEntry,
    (tx, terms): (&Tx, &ForcedTerms),
    json: bool,
) -> Result<Value, Failure> {
    let node = Node::new(&args.rpc.rpc_url)?;
    let again = format!("it stays in the queue; look again: rota tx status {}", tx.hash);
    let followed = async {
        let mut shown = Shown::default();
        loop {
            match node.ask("preconf_getTransactionStatus", json!([tx.hash])).await {
                Ok(status) => {
                    if !json {
                        shown.lines(&status).into_iter().try_for_each(out::line)?;
                    }
                    if reached(&status, args.until) {
                        return Ok(status);
                    }
                }
                Err(e) if e.exit == Exit::Unreachable => return Err(e.hint(again.clone())),
                // Not known there: it was not its turn yet, or it did not fit when it was.
                Err(_) if over(&node, latest(entry, terms)).await? => {
                    let message = format!("{} was skipped: nonce or balance did not fit", tx.hash);
                    return Err(Failure::new(Exit::Failed, message)
                        .hint("sign it anew with the account's nonce, and force that"));
                }
                Err(_) => {}
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let late = || {
        let message = format!("{} was not {} within {}", tx.hash, args.until, args.timeout);
        Err(Failure::new(Exit::Timeout, message).hint(again.clone()))
    };
    tokio::time::timeout(args.timeout.get(), followed).await.unwrap_or_else(|_| late())
}

/// Whether the newest block of the rollup is later than this.
async fn over(node: &Node, latest: u64) -> Result<bool, Failure> {
    let block = node.ask("eth_getBlockByNumber", json!(["latest", false])).await?;
    let timestamp = block.get("timestamp").and_then(Value::as_str).unwrap_or_default();
    let timestamp = u64::from_str_radix(timestamp.trim_start_matches("0x"), 16).unwrap_or(0);
    Ok(timestamp > latest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::signers::SignerSync;
    use alloy::signers::local::PrivateKeySigner;
    use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
    use alloy_eips::Encodable2718;

    fn signed(chain_id: u64) -> Bytes {
        let key = PrivateKeySigner::from_bytes(&B256::repeat_byte(1)).unwrap();
        let to = alloy_primitives::Address::ZERO.into();
        let tx = TxEip1559 { chain_id, gas_limit: 50_000, to, ..TxEip1559::default() };
        let signature = key.sign_hash_sync(&tx.signature_hash()).unwrap();
        TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
    }

    #[test]
    fn what_derivation_would_skip_is_not_paid_for() {
        let raw = signed(7);
        let (tx, gas) = checked(&raw, None, 7).unwrap();
        assert_eq!((gas, tx.gas_limit()), (50_000, 50_000));
        assert_eq!(checked(&raw, Some(60_000), 7).unwrap().1, 60_000);
        for failure in [
            checked(&raw, Some(49_999), 7).unwrap_err(),
            checked(&raw, None, 8).unwrap_err(),
            checked(&Bytes::from_static(b"\x02\xc0"), None, 7).unwrap_err(),
        ] {
            assert_eq!(failure.exit, Exit::Failed);
            assert!(failure.message.starts_with("derivation would skip it: "), "{failure}");
        }
    }

    #[test]
    fn it_is_given_in_hex_or_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tx");
        std::fs::write(&file, "0x02c0\n").unwrap();
        let from_file = raw(file.to_str().unwrap()).unwrap();
        assert_eq!(
            (from_file, raw("0x02c0").unwrap()),
            ("0x02c0".parse().unwrap(), "0x02c0".parse().unwrap())
        );
        assert_eq!(raw("0xzz").unwrap_err().exit, Exit::Usage);
        assert_eq!(raw("/nowhere").unwrap_err().exit, Exit::Usage);
    }
}
