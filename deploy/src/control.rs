//! How `kill`, `start` and `add` reach the supervisor: one line of JSON over a Unix socket, one line back.
//!
//! Not for: stopping (a signal does that, also while the network still starts). Invariant: a client that says nothing or
//! too much is cut off; only the owner can connect.

use crate::{layout::Layout, supervisor::Supervisor};
use rota_node::exit::{Exit, Failure};
use serde::{Deserialize, Serialize};
use std::{fs, os::unix::fs::PermissionsExt, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};

/// For one request.
const PATIENCE: Duration = Duration::from_secs(15);
const MAX_LINE: u64 = 1024;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "do", content = "node", deny_unknown_fields)]
pub(crate) enum Order {
    /// SIGKILL.
    Kill(String),
    /// Start again.
    Start(String),
    /// Take in the next sequencer, whose keys were made: it gets its settings.
    Adopt(String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Done,
    Failed { message: String, hint: String },
}

/// The supervisor's end.
pub(crate) struct Door(UnixListener);

impl Door {
    /// Listens. A socket that an earlier supervisor left is replaced: the lock says that there is no other.
    pub(crate) fn open(layout: &Layout) -> Result<Self, Failure> {
        let path = layout.control();
        let _ = fs::remove_file(&path);
        let wrong = |e: std::io::Error| {
            Failure::new(Exit::Failed, format!("cannot listen on {}: {e}", path.display()))
        };
        let listener = UnixListener::bind(&path).map_err(wrong)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(wrong)?;
        Ok(Self(listener))
    }

    /// The next client.
    pub(crate) async fn client(&self) -> Option<UnixStream> {
        self.0.accept().await.ok().map(|(stream, _)| stream)
    }
}

/// Reads an order, carries it out, answers. Gives a line for the people who watch.
pub(crate) async fn serve(mut stream: UnixStream, supervisor: &mut Supervisor) -> Option<String> {
    let mut line = String::new();
    let mut reader = BufReader::new((&mut stream).take(MAX_LINE));
    tokio::time::timeout(Duration::from_secs(1), reader.read_line(&mut line)).await.ok()?.ok()?;
    let order: Order = serde_json::from_str(&line).ok()?;
    let (carried_out, done) = match &order {
        Order::Kill(node) => (supervisor.kill(node).await, "killed"),
        Order::Start(node) => (supervisor.start(node), "started"),
        Order::Adopt(node) => (supervisor.adopt(node), "taken in"),
    };
    let answer = match &carried_out {
        Ok(_) => Answer::Done,
        Err(f) => Answer::Failed { message: f.message.clone(), hint: f.hint.clone() },
    };
    let text = serde_json::to_string(&answer).ok()? + "\n";
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(text.as_bytes())).await;
    carried_out.ok().map(|name| format!("{name:<10} {done} on request"))
}

/// Asks the supervisor for something.
pub(crate) async fn ask(layout: &Layout, order: &Order) -> Result<(), Failure> {
    let path = layout.control();
    let none = |_| {
        Failure::new(Exit::Unreachable, "no devnet runs here")
            .hint("start one with: rota devnet up")
    };
    let stream = UnixStream::connect(&path).await.map_err(none)?;
    let failed = |what: &dyn std::fmt::Display| Failure::new(Exit::Failed, what);
    let asked = async {
        let mut stream = stream;
        let text = serde_json::to_string(order).map_err(|e| failed(&e))? + "\n";
        stream.write_all(text.as_bytes()).await.map_err(|e| failed(&e))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.map_err(|e| failed(&e))?;
        serde_json::from_str(&line).map_err(|_| failed(&"the supervisor gave no answer"))
    };
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    match answer.map_err(|_| Failure::new(Exit::Timeout, "the supervisor did not answer"))?? {
        Answer::Done => Ok(()),
        Answer::Failed { message, hint } => Err(Failure::new(Exit::Failed, message).hint(hint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, PortPlan};

    fn supervisor(layout: &Layout) -> Supervisor {
        let plan = Plan::new(layout.clone(), 2, PortPlan::new(None).unwrap());
        Supervisor::new(plan, "/nowhere/rota".into())
    }

    #[tokio::test]
    async fn orders_are_carried_out_or_refused_with_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let order = Order::Kill("n1".into());
        assert_eq!(ask(&layout, &order).await.unwrap_err().exit, Exit::Unreachable);
        let door = Door::open(&layout).unwrap();
        let mut supervisor = supervisor(&layout);
        for (order, words) in [
            (Order::Kill("n1".into()), "n1 does not run"),
            (Order::Kill("n7".into()), "there is no node n7"),
            (Order::Start("x".into()), "there is no node x"),
        ] {
            let serving = async {
                let client = door.client().await.unwrap();
                serve(client, &mut supervisor).await
            };
            let (said, answer) = tokio::join!(serving, ask(&layout, &order));
            let refused = answer.unwrap_err();
            assert_eq!(refused.message, words);
            assert!(said.is_none() && !refused.hint.is_empty());
        }
    }

    #[tokio::test]
    async fn a_client_that_says_too_much_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let door = Door::open(&layout).unwrap();
        let mut supervisor = supervisor(&layout);
        let flood = async {
            let mut stream = UnixStream::connect(layout.control()).await.unwrap();
            let _ = stream.write_all(&[b'x'; 1 << 16]).await;
        };
        let serving = async { serve(door.client().await.unwrap(), &mut supervisor).await };
        let (said, ()) = tokio::join!(serving, flood);
        assert_eq!(said, None);
    }
}
