//! `rota tx`: sign and send a transaction, and follow it up the ladder.

use super::{
    Done,
    args::{SendArgs, TxArgs, Until, WatchArgs},
    client::Node,
    out, set,
    status::hex,
};
use crate::exit::{Exit, Failure};
use alloy::{
    consensus::SignableTransaction,
    eips::Encodable2718,
    network::{TransactionBuilder, TxSignerSync},
    providers::Provider,
    rpc::types::TransactionRequest,
};
use alloy_consensus::{TxEip1559, TxEnvelope};
use alloy_primitives::{B256, Bytes, TxKind, U256};
use jsonrpsee::{
    core::client::{Error as ClientError, Subscription, SubscriptionClientT},
    rpc_params,
};
use serde_json::{Value, json};

/// Longest stage name, for columns.
const WIDTH: usize = 13;

pub(super) async fn status(args: &TxArgs, json: bool) -> Done {
    let node = Node::new(&args.rpc.rpc_url)?;
    let status = node.ask("preconf_getTransactionStatus", json!([args.hash])).await?;
    if json {
        return out::json(&json!({ "v": 1, "status": status }));
    }
    let mut shown = Shown::default();
    shown.lines(&status).into_iter().try_for_each(out::line)?;
    problem(&status).map_or(Ok(()), Err)
}

pub(super) async fn watch(args: &WatchArgs, json: bool) -> Done {
    let node = Node::new(&args.tx.rpc.rpc_url)?;
    let follow = Follow::start(&node, args.tx.hash, &args.until).await?;
    follow.finish(json).await
}

pub(super) async fn send(args: &SendArgs, json: bool) -> Done {
    let value = out::parse_eth("value", &args.value)?;
    let signer = set::account(&args.key_file, args.key_password_file.as_deref())?;
    let node = Node::new(&args.rpc.rpc_url)?;
    let request = TransactionRequest::default()
        .with_from(signer.address())
        .with_to(args.to)
        .with_value(value)
        .with_input(args.data.clone());
    let insured = match &args.insure {
        Some(text) => insured(&node, out::parse_eth("insure", text)?).await?,
        None => (U256::ZERO, 0),
    };
    let (hash, raw) = sign(&node, request, &signer, insured.1).await?;
    // Listening before it is sent: no stage is missed.
    let follow = Follow::start(&node, hash, &args.until).await?;
    if insured.0.is_zero() {
        node.ask("eth_sendRawTransaction", json!([raw])).await?;
    } else {
        let options = json!({ "insured": insured.0, "until": "received" });
        node.ask("preconf_sendInsuredTransaction", json!([raw, options])).await?;
    }
    if !json {
        out::line(hash)?;
    }
    follow.finish(json).await
}

/// Signs a call, sends it and follows it.
pub(super) async fn send_request(
    node: &Node,
    request: TransactionRequest,
    signer: &alloy::signers::local::PrivateKeySigner,
    (until, json): (&Until, bool),
) -> Done {
    let (hash, raw) = sign(node, request, signer, 0).await?;
    let follow = Follow::start(node, hash, until).await?;
    node.ask("eth_sendRawTransaction", json!([raw])).await?;
    if !json {
        out::line(hash)?;
    }
    follow.finish(json).await
}

/// The amount with what it costs at this node, wei.
async fn insured(node: &Node, wei: U256) -> Result<(U256, u128), Failure> {
    let coverage = node.ask("preconf_getCoverage", json!([])).await?;
    let bps = coverage.get("premiumBps").and_then(Value::as_u64).unwrap_or(0);
    let amount =
        u128::try_from(wei).map_err(|_| Failure::new(Exit::Usage, "too much to insure"))?;
    Ok((wei, rota_types::premium(amount, u16::try_from(bps).unwrap_or(u16::MAX))))
}

async fn sign(
    node: &Node,
    request: TransactionRequest,
    signer: &alloy::signers::local::PrivateKeySigner,
    premium: u128,
) -> Result<(B256, Bytes), Failure> {
    let p = &node.provider;
    let wrong = |e| node.failed(&e);
    let chain_id = p.get_chain_id().await.map_err(wrong)?;
    let nonce = p.get_transaction_count(signer.address()).pending().await.map_err(wrong)?;
    let gas_limit = p.estimate_gas(request.clone()).await.map_err(wrong)?;
    let fees = p.estimate_eip1559_fees().await.map_err(wrong)?;
    // The tip pays the premium: the price in the block is what the tip comes on top of.
    let tip = fees.max_priority_fee_per_gas;
    let least = premium.div_ceil(u128::from(gas_limit.max(1)));
    let more = least.saturating_sub(tip);
    let mut tx = TxEip1559 {
        chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: fees.max_fee_per_gas.saturating_add(more),
        max_priority_fee_per_gas: tip.saturating_add(more),
        to: request.to.unwrap_or(TxKind::Create),
        value: request.value.unwrap_or(U256::ZERO),
        input: request.input.into_input().unwrap_or_default(),
        ..TxEip1559::default()
    };
    let signature =
        signer.sign_transaction_sync(&mut tx).map_err(|e| Failure::new(Exit::Key, e))?;
    let envelope = TxEnvelope::from(tx.into_signed(signature));
    Ok((*envelope.tx_hash(), envelope.encoded_2718().into()))
}

/// A transaction that is followed.
struct Follow {
    // The subscription ends with its client.
    _client: jsonrpsee::ws_client::WsClient,
    messages: Subscription<Value>,
    hash: B256,
    until: Until,
}

impl Follow {
    async fn start(node: &Node, hash: B256, until: &Until) -> Result<Self, Failure> {
        let client = node.socket().await?;
        let params = rpc_params!["transaction", hash, json!({ "until": until.until })];
        let messages = client
            .subscribe("preconf_subscribe", params, "preconf_unsubscribe")
            .await
            .map_err(refused)?;
        Ok(Self { _client: client, messages, hash, until: until.clone() })
    }

    async fn finish(mut self, json: bool) -> Done {
        let (limit, until, hash) = (self.until.timeout, self.until.until, self.hash);
        let late = || {
            Failure::new(Exit::Timeout, format!("{hash} was not {until} within {limit}"))
                .hint(format!("look again later: rota tx status {hash}"))
        };
        let followed = tokio::time::timeout(limit.get(), self.print(json)).await;
        followed.unwrap_or_else(|_| Err(late()))
    }

    async fn print(&mut self, json: bool) -> Done {
        let mut shown = Shown::default();
        while let Some(message) = self.messages.next().await {
            let message = message.map_err(|e| Failure::new(Exit::Failed, e))?;
            let status = message.get("data").cloned().unwrap_or_default();
            let retracted = message.get("type").and_then(Value::as_str) == Some("retract");
            if json {
                out::json(&message)?;
            } else if retracted {
                out::line(retract_line(&status))?;
            } else {
                shown.lines(&status).into_iter().try_for_each(out::line)?;
            }
            if retracted {
                // The ladder is climbed again, from the bottom.
                shown = Shown::default();
                continue;
            }
            if let Some(failure) = problem(&status) {
                return Err(failure);
            }
            if reached(&status, self.until.until) {
                return Ok(());
            }
        }
        Err(Failure::new(Exit::Unreachable, "the node closed the connection")
            .hint(format!("look again: rota tx status {}", self.hash)))
    }
}

pub(super) fn reached(status: &Value, until: rota_types::Stage) -> bool {
    let stage = status.get("stage").and_then(Value::as_str);
    stage.and_then(|s| s.parse::<rota_types::Stage>().ok()).is_some_and(|s| s >= until)
}

/// A frame that was taken back, with the reason.
fn retract_line(data: &Value) -> String {
    let reason = data.get("reason").and_then(Value::as_str).unwrap_or("?");
    let to_g = hex(data.get("toG"));
    format!(
        "{:<WIDTH$} {:>9}  {reason}: frames above {to_g} are gone; it waits again",
        "retracted", ""
    )
}

/// The node's own words, where it has some.
fn refused(e: ClientError) -> Failure {
    let ClientError::Call(e) = e else { return Failure::new(Exit::Failed, e) };
    let data = e.data().and_then(|d| serde_json::from_str::<Value>(d.get()).ok());
    let hint = data.as_ref().and_then(|d| d.get("hint")).and_then(Value::as_str);
    let failure = Failure::new(Exit::Failed, e.message());
    hint.map_or(failure.clone(), |hint| failure.hint(hint))
}

/// A transaction that will go no further.
fn problem(status: &Value) -> Option<Failure> {
    let problem = status.get("problem").filter(|p| !p.is_null())?;
    if status.get("stage").is_some_and(|s| !s.is_null()) {
        return None;
    }
    let of = |key: &str| problem.get(key).and_then(Value::as_str).unwrap_or_default();
    let failure = Failure::new(Exit::Failed, format!("{}: {}", of("kind"), of("reason")));
    Some(failure.hint("sign a new one"))
}

/// How many stages were shown.
#[derive(Default)]
pub(super) struct Shown(usize);

impl Shown {
    /// Lines for the stages that are new.
    pub(super) fn lines(&mut self, status: &Value) -> Vec<String> {
        let stages = status.get("stages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        // Fewer than before: a tail was lost with its leader, and the ladder is climbed again.
        let from = self.0.min(stages.len());
        self.0 = stages.len();
        stages.iter().skip(from).map(|s| stage_line(s, status)).collect()
    }
}

fn stage_line(stage: &Value, status: &Value) -> String {
    let text = |key: &str| stage.get(key).and_then(Value::as_str);
    let name = text("stage").unwrap_or("?");
    let delta = stage.get("deltaMs").and_then(Value::as_u64);
    let delta = delta.map_or_else(String::new, |ms| format!("+{ms} ms"));
    let frame = status.get("frame").filter(|f| !f.is_null());
    let note = match name {
        "preconfirmed" => {
            let stake = text("stakeAtRisk").and_then(|s| s.parse::<U256>().ok()).map(out::eth);
            let g = hex(frame.and_then(|f| f.get("g")));
            format!(
                "frame {g} signed by {} ({} at stake)",
                text("leader").unwrap_or("?"),
                stake.unwrap_or_else(|| "stake unknown".into())
            )
        }
        "forced" => "put in by L1; no sequencer can leave it out".to_owned(),
        "acked" => format!("stored by {} gwei of stake", text("power").unwrap_or("?")),
        "decided" => format!(
            "height {} round {}, block {}",
            hex(stage.get("height")),
            hex(stage.get("round")),
            hex(status.get("blockNumber"))
        ),
        "posted" => {
            format!("L1 block {}, {}", hex(stage.get("l1Block")), text("l1Tx").unwrap_or("?"))
        }
        "finalized" => format!("L1 block {}", hex(stage.get("l1Block"))),
        "proven" => {
            format!("step {}, L1 block {}", hex(stage.get("step")), hex(stage.get("l1Block")))
        }
        _ => String::new(),
    };
    format!("{name:<WIDTH$} {delta:>9}  {note}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_is_shown_once_and_again_after_a_loss() {
        let status = |n: usize| {
            let all = [
                json!({ "stage": "received", "deltaMs": 0 }),
                json!({ "stage": "preconfirmed", "deltaMs": 2, "leader": "0xab", "stakeAtRisk": "32000000000000000000" }),
                json!({ "stage": "decided", "deltaMs": 9, "height": "0xa", "round": "0x0" }),
            ];
            json!({ "stages": all[..n].to_vec(), "frame": { "g": "0x7" }, "blockNumber": "0x3" })
        };
        let mut shown = Shown::default();
        assert_eq!(shown.lines(&status(1)), ["received          +0 ms"]);
        assert_eq!(
            shown.lines(&status(3)),
            [
                "preconfirmed      +2 ms  frame 7 signed by 0xab (32 ETH at stake)",
                "decided           +9 ms  height 10 round 0, block 3",
            ]
        );
        assert!(shown.lines(&status(3)).is_empty());
        assert!(shown.lines(&status(1)).is_empty());
        assert_eq!(shown.lines(&status(2)).len(), 1);
    }

    #[test]
    fn the_end_is_the_stage_asked_for_or_a_problem() {
        use rota_types::Stage;
        assert!(reached(&json!({ "stage": "decided" }), Stage::Acked));
        assert!(!reached(&json!({ "stage": "received" }), Stage::Acked));
        assert!(!reached(&json!({ "stage": null }), Stage::Received));
        let gone =
            json!({ "stage": null, "problem": { "kind": "rejected", "reason": "nonce too low" } });
        assert_eq!(problem(&gone).unwrap().message, "rejected: nonce too low");
        assert!(problem(&json!({ "stage": "received", "problem": { "kind": "lost" } })).is_none());
    }
}
