//! The processes of a devnet, and what is said about them in `state.json`.
//!
//! Not for: deciding when to start what ([`crate::setup`]) and not for showing what the network does ([`crate::watch`]).
//! Invariant: nodes stop before the L1, and only a stop that went well leaves the mark that data may be used again.

use crate::{
    layout::{NodeState, Snapshot, State},
    plan::{NodePlan, Plan},
    proc::Proc,
};
use futures::future::join_all;
use rota_node::{
    config::Role,
    exit::{Exit, Failure},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Lines of a log that are shown when its process failed.
const LAST_WORDS: usize = 8;

struct Slot {
    plan: NodePlan,
    proc: Option<Proc>,
    state: State,
}

/// What runs.
pub(crate) struct Supervisor {
    pub(crate) plan: Plan,
    rota: PathBuf,
    l1: Option<Proc>,
    slots: Vec<Slot>,
    /// Zero until the set is frozen: what there is before that cannot go on another time.
    chain_id: u64,
    ready: bool,
}

impl Supervisor {
    /// Nothing runs yet.
    pub(crate) fn new(plan: Plan, rota: PathBuf) -> Self {
        let slot = |n: &NodePlan| Slot { plan: n.clone(), proc: None, state: State::Waiting };
        let slots = plan.nodes.iter().map(slot).collect();
        Self { plan, rota, l1: None, slots, chain_id: 0, ready: false }
    }

    /// Starts the L1.
    pub(crate) fn start_l1(&mut self, anvil: &Path, block_time: u16) -> Result<(), Failure> {
        self.l1 = Some(Proc::start(&self.plan.l1_spec(anvil, block_time))?);
        self.save()
    }

    /// Which rollup it is.
    pub(crate) fn set_chain_id(&mut self, id: u64) -> Result<(), Failure> {
        self.chain_id = id;
        self.save()
    }

    /// Everything is ready.
    pub(crate) fn set_ready(&mut self) -> Result<(), Failure> {
        self.ready = true;
        self.save()
    }

    /// Starts a node that does not run; gives its name.
    pub(crate) fn start(&mut self, name: &str) -> Result<String, Failure> {
        let plan = self.plan.find(name).cloned().ok_or_else(|| self.unknown(name))?;
        let spec = self.plan.node_spec(&self.rota, &plan);
        let Some(slot) = self.slots.iter_mut().find(|s| s.plan.name == plan.name) else {
            return Err(self.unknown(name));
        };
        if slot.state == State::Running {
            return Err(Failure::new(Exit::Failed, format!("{} runs already", plan.name))
                .hint("rota devnet status shows it"));
        }
        slot.proc = Some(Proc::start(&spec)?);
        slot.state = State::Running;
        self.save().map(|()| plan.name)
    }

    /// Ends a node as if its machine had failed; gives its name.
    pub(crate) async fn kill(&mut self, name: &str) -> Result<String, Failure> {
        let found =
            self.plan.find(name).map(|p| p.name.clone()).ok_or_else(|| self.unknown(name))?;
        let slot = self.slots.iter_mut().find(|s| s.plan.name == found);
        let Some((slot, mut proc)) = slot.and_then(|s| s.proc.take().map(|p| (s, p))) else {
            return Err(Failure::new(Exit::Failed, format!("{found} does not run"))
                .hint(format!("start it with: rota devnet start {found}")));
        };
        proc.kill().await;
        slot.state = State::Killed;
        self.save().map(|()| found)
    }

    /// Processes that ended by themselves since the last look, in words.
    pub(crate) fn reap(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        let layout = &self.plan.layout;
        if let Some(status) = self.l1.as_mut().and_then(Proc::ended) {
            self.l1 = None;
            said.push(format!("L1 ended ({status})\n{}", last_words(&layout.log("l1"))));
        }
        for slot in &mut self.slots {
            let Some(status) = slot.proc.as_mut().and_then(Proc::ended) else { continue };
            slot.proc = None;
            slot.state = State::Exited;
            let name = &slot.plan.name;
            said.push(format!("{name} ended ({status})\n{}", last_words(&layout.log(name))));
        }
        if !said.is_empty() {
            // Shown again with the next change; the processes matter more than the file about them.
            let _ = self.save();
        }
        said
    }

    /// Stops everything, nodes first. Leaves the mark for the next start if there is something to go on from, and says so.
    pub(crate) async fn stop(&mut self) -> bool {
        let complete = self.chain_id != 0 && self.l1.is_some();
        join_all(self.slots.iter_mut().filter_map(|s| s.proc.as_mut()).map(Proc::stop)).await;
        for slot in &mut self.slots {
            slot.proc = None;
            slot.state = State::Killed;
        }
        if let Some(mut l1) = self.l1.take() {
            l1.stop().await;
        }
        self.ready = false;
        let _ = self.save();
        let kept = complete && self.plan.layout.l1_state().is_file();
        kept && fs::write(self.plan.layout.clean(), b"").is_ok()
    }

    fn unknown(&self, name: &str) -> Failure {
        let names: Vec<&str> = self.plan.nodes.iter().map(|n| n.name.as_str()).collect();
        Failure::new(Exit::Usage, format!("there is no node {name}"))
            .hint(format!("one of {}", names.join(", ")))
    }

    fn save(&self) -> Result<(), Failure> {
        let node = |s: &Slot| NodeState {
            name: s.plan.name.clone(),
            role: if s.plan.role == Role::Sequencer { "sequencer" } else { "follower" }.into(),
            state: s.state,
            pid: s.proc.as_ref().map(Proc::pid),
            rpc: s.plan.rpc,
            web: s.plan.web,
            log: self.plan.layout.log(&s.plan.name),
        };
        let snapshot = Snapshot {
            v: 1,
            chain_id: self.chain_id,
            l1_url: self.plan.l1_url(),
            l1_pid: self.l1.as_ref().map(Proc::pid),
            ready: self.ready,
            nodes: self.slots.iter().map(node).collect(),
        };
        snapshot.write(&self.plan.layout).map_err(|e| {
            Failure::new(
                Exit::DataDir,
                format!("cannot write {}: {e}", self.plan.layout.state().display()),
            )
        })
    }
}

/// The end of a log, indented.
pub(crate) fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> =
        text.lines().rev().filter(|l| !l.trim().is_empty()).take(LAST_WORDS).collect();
    let shown: Vec<String> = lines.into_iter().rev().map(|l| format!("    {l}")).collect();
    format!("{}\n    ({})", shown.join("\n"), log.display())
}
