//! What the network does, as lines that a person wants to read, by asking the nodes now and then.
//!
//! Invariant: it only asks; nothing waits for it. A node that does not answer is passed over.

use crate::{
    accounts::ACCOUNTS,
    plan::{FOLLOWER, Plan},
    rpc::{Asker, http, number},
};
use alloy_primitives::Address;
use serde_json::{Value, json};
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);
/// Looks without news before a line says that everything goes on.
const QUIET: u32 = 20;
/// Blocks that are looked into at once: more are only counted.
const MOST: u64 = 20;

/// What was seen so far.
#[derive(Debug, Default)]
struct Seen {
    decided: Option<u64>,
    posted: Option<u64>,
    followed: Option<u64>,
    quiet: u32,
}

/// Follows the network and gives each line to `say`. Ends never.
pub(crate) async fn watch(plan: Plan, asker: Asker, say: impl Fn(String)) {
    let mut seen = Seen::default();
    loop {
        tokio::time::sleep(EVERY).await;
        let lines = look(&plan, &asker, &mut seen).await;
        seen.quiet = if lines.is_empty() { seen.quiet.saturating_add(1) } else { 0 };
        lines.into_iter().for_each(&say);
        if seen.quiet >= QUIET {
            seen.quiet = 0;
            say(tick(&plan, &asker).await);
        }
    }
}

/// The first sequencer that answers, with its status.
async fn first(plan: &Plan, asker: &Asker) -> Option<(String, Value)> {
    for node in plan.sequencers() {
        let url = http(node.rpc);
        if let Some(status) = asker.ask(&url, "seq_status", json!([])).await {
            return Some((url, status));
        }
    }
    None
}

fn head(status: &Value, stage: &str) -> Option<u64> {
    number(status.get("heads")?.get(stage)?.get("number"))
}

async fn look(plan: &Plan, asker: &Asker, seen: &mut Seen) -> Vec<String> {
    let Some((url, status)) = first(plan, asker).await else { return Vec::new() };
    let mut lines = Vec::new();
    if let Some(decided) = head(&status, "decided") {
        let from = seen.decided.map_or(decided, |d| d.saturating_add(1));
        for block in from.max(decided.saturating_sub(MOST))..=decided {
            lines.extend(block_line(asker, &url, block).await);
        }
        // A node that is behind does not take back what another has shown.
        seen.decided = seen.decided.max(Some(decided));
    }
    let posted = head(&status, "posted").filter(|p| *p > 0);
    if posted > seen.posted {
        seen.posted = posted;
        lines.extend(posted.map(|p| {
            format!("posted     blocks up to {p} are on L1, as blobs with their certificate")
        }));
    }
    lines.extend(follower_line(plan, asker, &url, seen).await);
    lines
}

/// A decided block, if there is something in it.
async fn block_line(asker: &Asker, url: &str, block: u64) -> Option<String> {
    let found =
        asker.ask(url, "eth_getBlockByNumber", json!([format!("{block:#x}"), false])).await?;
    let count = found.get("transactions")?.as_array()?.len();
    let hash = found.get("hash")?.as_str()?;
    let noun = if count == 1 { "transaction" } else { "transactions" };
    (count > 0).then(|| format!("decided    block {block} with {count} {noun}, {hash}"))
}

/// Whether the follower, which knows L1 only, has come to the same block.
async fn follower_line(plan: &Plan, asker: &Asker, url: &str, seen: &mut Seen) -> Option<String> {
    let follower = http(plan.find(FOLLOWER)?.rpc);
    let block = |of: String, at: String| async move {
        let found = asker.ask(&of, "eth_getBlockByNumber", json!([at, false])).await?;
        Some((number(found.get("number"))?, found.get("hash")?.as_str()?.to_owned()))
    };
    let (at, own) = block(follower, "safe".into()).await?;
    if at == 0 || Some(at) <= seen.followed {
        return None;
    }
    let (_, theirs) = block(url.to_owned(), format!("{at:#x}")).await?;
    seen.followed = Some(at);
    Some(if own == theirs {
        format!("follower   rebuilt block {at} from L1 alone and agrees: {own}")
    } else {
        format!("follower   DISAGREES at block {at}: it has {own}, the sequencers have {theirs}")
    })
}

/// The name of the node whose operator has this account.
fn operator(address: &str) -> Option<String> {
    let address: Address = address.parse().ok()?;
    let index = ACCOUNTS.iter().position(|(a, _)| *a == address)?;
    // The first account is nobody's: it pays for the contracts.
    (index > 0).then(|| format!("n{index}"))
}

/// One line about everything.
async fn tick(plan: &Plan, asker: &Asker) -> String {
    let Some((url, status)) = first(plan, asker).await else {
        return "no sequencer answers".into();
    };
    let of = |stage| head(&status, stage).map_or_else(|| "-".into(), |n| n.to_string());
    let stats = asker.ask(&url, "preconf_getStats", json!([])).await.unwrap_or_default();
    let p50 = stats.pointer("/latencyMs/preconfirmed/p50").and_then(Value::as_u64);
    let height = number(status.get("height")).unwrap_or_default();
    let leader = status.get("leader").and_then(Value::as_str).and_then(operator);
    format!(
        "quiet      height {height} led by {} · decided block {} · posted {} · finalized {} · preconf p50 {} ms",
        leader.unwrap_or_else(|| "-".into()),
        of("decided"),
        of("posted"),
        of("finalized"),
        p50.map_or_else(|| "-".into(), |ms| ms.to_string())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_called_by_its_nodes_name() {
        assert_eq!(operator(&ACCOUNTS[1].0.to_string()), Some("n1".into()));
        assert_eq!(operator(&ACCOUNTS[4].0.to_string().to_lowercase()), Some("n4".into()));
        assert_eq!(operator(&ACCOUNTS[0].0.to_string()), None);
        assert_eq!(operator("0x0"), None);
    }

    #[tokio::test]
    async fn a_network_that_does_not_answer_gives_no_lines() {
        let ports = crate::PortPlan::new(Some(1)).unwrap();
        let layout = crate::Layout::new(std::path::Path::new("/nowhere"));
        let plan = Plan::new(layout, 2, ports);
        let (asker, mut seen) = (Asker::new(), Seen::default());
        assert!(look(&plan, &asker, &mut seen).await.is_empty());
        assert_eq!(tick(&plan, &asker).await, "no sequencer answers");
    }
}
