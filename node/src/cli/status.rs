//! `rota status`: how a node is, in a few lines, with an exit code for scripts.

use super::{Done, args::RpcArgs, client::Node, out};
use crate::exit::{Exit, Failure};
use serde_json::{Value, json};

/// Heads in the order of the ladder.
const HEADS: [&str; 5] = ["preconfirmed", "acked", "decided", "posted", "finalized"];

pub(super) async fn status(args: &RpcArgs, json: bool) -> Done {
    let node = Node::new(&args.rpc_url)?;
    let status = node.ask("seq_status", json!([])).await?;
    let ill = ill(&status);
    if json {
        out::json(&json!({ "v": 1, "healthy": ill.is_none(), "status": status }))?;
    } else {
        print(&status, ill.is_none())?;
    }
    match ill {
        None => Ok(()),
        Some(why) => Err(Failure::new(Exit::Unhealthy, why)
            .hint("the node's log and /readyz of its web address say more")),
    }
}

/// Why the node is not well.
fn ill(status: &Value) -> Option<String> {
    let failing = status.get("failingChecks").and_then(Value::as_array);
    let failing: Vec<&str> = failing.into_iter().flatten().filter_map(Value::as_str).collect();
    if !failing.is_empty() {
        return Some(format!("failing checks: {}", failing.join(", ")));
    }
    let syncing = status.get("syncing").and_then(Value::as_bool).unwrap_or(false);
    syncing.then(|| "the node is not in step with the network yet".into())
}

fn print(status: &Value, healthy: bool) -> Done {
    let text = |key: &str| status.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
    let number = |key: &str| hex(status.get(key));
    out::line(format_args!(
        "{} · {} · chain {} · v{}    {}",
        text("moniker"),
        text("role"),
        number("chainId"),
        text("version"),
        if healthy { "HEALTHY" } else { "NOT WELL" }
    ))?;
    for stage in HEADS {
        let head = status.get("heads").and_then(|h| h.get(stage));
        let of = |key: &str| head.and_then(|h| h.get(key));
        let age = of("ageMs").and_then(Value::as_u64).unwrap_or_default();
        let hash = of("hash").and_then(Value::as_str).unwrap_or("-");
        out::line(format_args!(
            "  {stage:<13} block {:<8} height {:<8} frame {:<9} {hash}  {age} ms ago",
            hex(of("number")),
            hex(of("height")),
            hex(of("g"))
        ))?;
    }
    out::line(format_args!(
        "  state         {} · height {} round {} {} · leader {}",
        text("state"),
        number("height"),
        number("round"),
        text("step"),
        text("leader")
    ))?;
    if let Some(why) = status.get("observing").and_then(Value::as_str) {
        out::line(format_args!("  not signing   {why}"))?;
    }
    let peers = status.get("peers").and_then(Value::as_u64).unwrap_or_default();
    out::line(format_args!("  peers         {peers} · stake connected {}", text("powerConnected")))
}

/// A quantity as a decimal number.
pub(super) fn hex(value: Option<&Value>) -> String {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).map_or_else(|_| "-".into(), |n| n.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_well_if_it_is_in_step_and_no_check_fails() {
        assert_eq!(ill(&json!({ "syncing": false, "failingChecks": [] })), None);
        let failing = ill(&json!({ "failingChecks": ["l1", "peers"] })).unwrap();
        assert_eq!(failing, "failing checks: l1, peers");
        assert!(ill(&json!({ "syncing": true, "failingChecks": [] })).is_some());
        assert_eq!(hex(Some(&json!("0x1f"))), "31");
        assert_eq!(hex(None), "-");
    }
}
