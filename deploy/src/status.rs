//! `status`: a table of the nodes with their heads, and exit code 6 if something is missing.

use crate::{
    layout::{Layout, NodeState, SlasherState, Snapshot, State},
    plan::SLASHER,
    rpc::{Asker, http, number},
};
use futures::future::join_all;
use rota_node::exit::{Exit, Failure};
use serde_json::{Value, json};

/// Columns of heads, with the stage of each.
const HEADS: [(&str, &str); 4] = [
    ("PRECONF", "preconfirmed"),
    ("DECIDED", "decided"),
    ("POSTED", "posted"),
    ("FINAL", "finalized"),
];

pub(crate) async fn status(layout: &Layout, json: bool) -> Result<(), Failure> {
    let none = || {
        Failure::new(Exit::Unreachable, "no devnet runs here")
            .hint("start one with: rota devnet up")
    };
    let supervisor = layout.supervisor().ok_or_else(none)?;
    let snapshot = Snapshot::read(layout).ok_or_else(none)?;
    let asker = Asker::new();
    let asked = snapshot.nodes.iter().map(|node| {
        let url = http(node.rpc);
        let asker = &asker;
        async move { asker.ask(&url, "seq_status", json!([])).await }
    });
    let statuses = join_all(asked).await;
    let rows: Vec<(&NodeState, Option<Value>)> = snapshot.nodes.iter().zip(statuses).collect();
    if json {
        let nodes: Vec<Value> =
            rows.iter().map(|(n, s)| json!({ "process": n, "status": s })).collect();
        let l1 = json!({ "url": snapshot.l1_url, "pid": snapshot.l1_pid, "registry": snapshot.registry });
        crate::cli::say(json!({
            "v": 1, "supervisor": supervisor, "chainId": snapshot.chain_id, "ready": snapshot.ready,
            "l1": l1, "nodes": nodes, "slasher": snapshot.slasher
        }));
    } else {
        crate::cli::say(format!(
            "chain {} · L1 {} (pid {}) · supervisor pid {supervisor}",
            snapshot.chain_id,
            snapshot.l1_url,
            snapshot.l1_pid.map_or_else(|| "-".into(), |p| p.to_string())
        ));
        table(&rows).into_iter().for_each(crate::cli::say);
        snapshot.slasher.iter().map(slasher_row).for_each(crate::cli::say);
    }
    let mut silent: Vec<&str> =
        rows.iter().filter(|(_, s)| s.is_none()).map(|(n, _)| n.name.as_str()).collect();
    silent.extend(snapshot.slasher.iter().filter(|s| s.state != State::Running).map(|_| SLASHER));
    if silent.is_empty() && snapshot.ready {
        return Ok(());
    }
    let what = if silent.is_empty() {
        "still starting".into()
    } else {
        format!("no answer from {}", silent.join(", "))
    };
    Err(Failure::new(Exit::Unhealthy, what)
        .hint("rota devnet logs NODE says why; rota devnet start NODE starts it"))
}

fn table(rows: &[(&NodeState, Option<Value>)]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<9} {:<8} {:>7}  {:<22} {:>8} {:>8} {:>8} {:>8} {:>8}  {:<9} PEERS",
        "NODE",
        "PROCESS",
        "PID",
        "JSON-RPC",
        HEADS[0].0,
        HEADS[1].0,
        HEADS[2].0,
        HEADS[3].0,
        "HEIGHT",
        "STATE"
    )];
    lines.extend(rows.iter().map(|(node, status)| row(node, status.as_ref())));
    lines
}

const fn word(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Running => "running",
        State::Killed => "killed",
        State::Exited => "exited",
    }
}

fn or_dash(n: Option<u64>) -> String {
    n.map_or_else(|| "-".into(), |n| n.to_string())
}

/// The slasher has no chain: what it found is what it has.
fn slasher_row(slasher: &SlasherState) -> String {
    let kept = std::fs::read_dir(slasher.dir.join("evidence")).map_or(0, Iterator::count);
    let (process, pid) = (word(slasher.state), or_dash(slasher.pid.map(u64::from)));
    format!(
        "{SLASHER:<9} {process:<8} {pid:>7}  {kept} contradictions in {}",
        slasher.dir.display()
    )
}

fn row(node: &NodeState, status: Option<&Value>) -> String {
    let head = |(_, stage): (&str, &str)| {
        let number = status.and_then(|s| number(s.get("heads")?.get(stage)?.get("number")));
        number.map_or_else(|| "-".into(), |n| n.to_string())
    };
    let [preconf, decided, posted, last] = HEADS.map(head);
    let height = status.and_then(|s| number(s.get("height")));
    let text = |key: &str| status.and_then(|s| s.get(key)).and_then(Value::as_str).unwrap_or("-");
    let peers = status.and_then(|s| s.get("peers")).and_then(Value::as_u64);
    let process = word(node.state);
    format!(
        "{:<9} {process:<8} {:>7}  {:<22} {preconf:>8} {decided:>8} {posted:>8} {last:>8} {:>8}  {:<9} {}",
        node.name,
        or_dash(node.pid.map(u64::from)),
        node.rpc,
        or_dash(height),
        text("state"),
        or_dash(peers)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_does_not_answer_has_a_row_too_and_columns_align() {
        let node = NodeState {
            name: "n1".into(),
            role: "sequencer".into(),
            state: State::Killed,
            pid: None,
            exit: None,
            rpc: "127.0.0.1:28545".parse().unwrap(),
            web: "127.0.0.1:28080".parse().unwrap(),
            log: "n1.log".into(),
        };
        let head = |n: &str| json!({ "number": n });
        let status = json!({
            "heads": { "preconfirmed": head("0x10"), "decided": head("0xf"), "posted": head("0x8"), "finalized": head("0x0") },
            "height": "0x40", "state": "voting", "peers": 3
        });
        let lines = table(&[(&node, None), (&node, Some(status))]);
        let ends = |line: &str, word: &str| line.find(word).map(|at| at + word.len());
        assert_eq!(ends(&lines[0], "PRECONF"), ends(&lines[2], " 16"));
        assert_eq!(ends(&lines[0], "HEIGHT"), ends(&lines[2], " 64"));
        assert!(lines[1].contains("killed") && lines[2].contains("voting"));
    }
}
