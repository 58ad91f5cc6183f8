//! The processes of a devnet, and what is said about them in `state.json`.
//!
//! Not for: deciding when to start what ([`crate::setup`]) and not for showing what the network does ([`crate::watch`]).
//! Invariant: nodes stop before the L1, and only a stop that went well leaves the mark that data may be used again.

use crate::{
    layout::{NodeState, SlasherState, Snapshot, State},
    plan::{NodePlan, Plan, SLASHER},
    proc::Proc,
};
use alloy_primitives::Address;
use futures::future::join_all;
use rota_node::{
    config::Role,
    exit::{Exit, Failure},
    network::Network,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Lines of a log that are shown when its process failed.
const LAST_WORDS: usize = 8;

struct Slot {
    /// None: it is the slasher.
    plan: Option<NodePlan>,
    name: String,
    proc: Option<Proc>,
    state: State,
    exit: Option<i32>,
}

impl Slot {
    fn new(plan: Option<NodePlan>) -> Self {
        let name = plan.as_ref().map_or_else(|| SLASHER.to_owned(), |p| p.name.clone());
        Self { plan, name, proc: None, state: State::Waiting, exit: None }
    }

    /// Its name, or a sequencer's number.
    fn is(&self, who: &str) -> bool {
        self.name == who || self.name.strip_prefix('n') == Some(who)
    }
}

/// What runs.
pub(crate) struct Supervisor {
    pub(crate) plan: Plan,
    rota: PathBuf,
    l1: Option<Proc>,
    slots: Vec<Slot>,
    /// Zero until the set is frozen: what there is before that cannot go on another time.
    chain_id: u64,
    registry: Option<Address>,
    ready: bool,
}

impl Supervisor {
    /// Nothing runs yet.
    pub(crate) fn new(plan: Plan, rota: PathBuf) -> Self {
        let mut slots: Vec<Slot> = plan.nodes.iter().map(|n| Slot::new(Some(n.clone()))).collect();
        slots.extend(plan.slasher.then(|| Slot::new(None)));
        Self { plan, rota, l1: None, slots, chain_id: 0, registry: None, ready: false }
    }

    /// Starts the L1.
    pub(crate) fn start_l1(&mut self, anvil: &Path, block_time: u16) -> Result<(), Failure> {
        self.l1 = Some(Proc::start(&self.plan.l1_spec(anvil, block_time))?);
        self.save()
    }

    /// Which rollup it is.
    pub(crate) fn set_network(&mut self, network: &Network) -> Result<(), Failure> {
        self.chain_id = network.l2_chain_id;
        self.registry = Some(network.registry);
        self.save()
    }

    /// Everything is ready.
    pub(crate) fn set_ready(&mut self) -> Result<(), Failure> {
        self.ready = true;
        self.save()
    }

    /// Starts a process that does not run; gives its name.
    pub(crate) fn start(&mut self, name: &str) -> Result<String, Failure> {
        let unknown = self.unknown(name);
        let Some(slot) = self.slots.iter_mut().find(|s| s.is(name)) else { return Err(unknown) };
        if slot.state == State::Running {
            return Err(Failure::new(Exit::Failed, format!("{} runs already", slot.name))
                .hint("rota devnet status shows it"));
        }
        let spec = match (&slot.plan, self.registry) {
            (Some(node), _) => self.plan.node_spec(&self.rota, node),
            (None, Some(registry)) => self.plan.slasher_spec(&self.rota, registry),
            (None, None) => return Err(Failure::new(Exit::Failed, "there is no registry yet")),
        };
        slot.proc = Some(Proc::start(&spec)?);
        (slot.state, slot.exit) = (State::Running, None);
        let name = slot.name.clone();
        self.save().map(|()| name)
    }

    /// Takes in the next sequencer, whose keys are there, and writes its settings. It does not run yet.
    pub(crate) fn adopt(&mut self, name: &str) -> Result<String, Failure> {
        let next = self.plan.next().filter(|n| n.name == name);
        let next = next.ok_or_else(|| {
            Failure::new(Exit::Usage, format!("{name} is not the next sequencer"))
                .hint("rota devnet add makes it")
        })?;
        let at = self.plan.sequencers().count();
        self.plan.grow(next.clone());
        crate::setup::write_config(&self.plan, &next)?;
        self.slots.insert(at.min(self.slots.len()), Slot::new(Some(next)));
        self.save().map(|()| name.to_owned())
    }

    /// Ends a process as if its machine had failed; gives its name.
    pub(crate) async fn kill(&mut self, name: &str) -> Result<String, Failure> {
        let unknown = self.unknown(name);
        let Some(slot) = self.slots.iter_mut().find(|s| s.is(name)) else { return Err(unknown) };
        let found = slot.name.clone();
        let Some(mut proc) = slot.proc.take() else {
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
            (slot.state, slot.exit) = (State::Exited, status.code());
            let name = &slot.name;
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
        let names: Vec<&str> = self.slots.iter().map(|s| s.name.as_str()).collect();
        Failure::new(Exit::Usage, format!("there is no node {name}"))
            .hint(format!("one of {}", names.join(", ")))
    }

    fn save(&self) -> Result<(), Failure> {
        let layout = &self.plan.layout;
        let node = |s: &Slot| {
            let plan = s.plan.as_ref()?;
            Some(NodeState {
                name: s.name.clone(),
                role: if plan.role == Role::Sequencer { "sequencer" } else { "follower" }.into(),
                state: s.state,
                pid: s.proc.as_ref().map(Proc::pid),
                exit: s.exit,
                rpc: plan.rpc,
                web: plan.web,
                log: layout.log(&s.name),
            })
        };
        let slasher = self.slots.iter().find(|s| s.plan.is_none()).map(|s| SlasherState {
            state: s.state,
            pid: s.proc.as_ref().map(Proc::pid),
            log: layout.log(&s.name),
            dir: layout.slasher(),
        });
        let snapshot = Snapshot {
            v: 1,
            chain_id: self.chain_id,
            l1_url: self.plan.l1_url(),
            l1_pid: self.l1.as_ref().map(Proc::pid),
            registry: self.registry,
            ready: self.ready,
            nodes: self.slots.iter().filter_map(node).collect(),
            slasher,
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
