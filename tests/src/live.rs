//! Real processes: a devnet of its own, what is done to it, and what its clients see.
//!
//! Invariant: a `Devnet` takes everything it started down with it, also when a test panics; and it runs copies of the
//! programs, so that a build in between does not exchange them under it.
//!
//! | module | what it is for |
//! |---|---|
//! | `rpc`, `ws` | clients small enough to time with |
//! | `tx` | accounts and transactions |
//! | `wallet` | users who send, are promised things, and go to another node when theirs is down |
//! | `tape` | subscribers who write down every frame, ack and retraction |
//! | `lan` | network namespaces that can be cut off |
//! | `flow` | users who send all the time and remember what was confirmed |
//! | `l1`, `gas` | the L1, moved block by block, and what its transactions cost |
//! | `chaos` | what happens to nodes, and waiting until they are well again |
//! | `audit` | what the disks say afterwards, against what was promised |
#![expect(clippy::disallowed_methods, reason = "real processes are timed by the real clock")]

mod audit;
mod chaos;
mod flow;
mod gas;
mod l1;
mod lan;
mod rpc;
mod tape;
mod tx;
mod wallet;
mod ws;

pub use audit::{Audit, LostFrame};
pub use chaos::LONG;
pub use flow::Flow;
pub use gas::Gas;
pub use l1::{FRONT_RUNNER, L1, Pending, SlasherAt};
pub use lan::Lan;
pub use rpc::{Asker, Rpc, ask, get, quantity};
pub use tape::{FrameSeen, Heard, Tape, Tapes, What};
pub use tx::{ACCOUNT, account, fund, load_account, sign, transfer};
pub use wallet::{Ledger, Promise, Sent, Wallets};

use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

struct NodeAt {
    name: String,
    rpc: String,
    web: String,
}

/// A devnet with its directory and ports.
pub struct Devnet {
    dir: tempfile::TempDir,
    nodes: Vec<NodeAt>,
    l1_pid: u64,
    /// Chain id of the rollup.
    pub chain_id: u64,
    /// Dropped after the processes in it.
    lan: Option<Lan>,
}

impl Devnet {
    /// Brings one up and waits until it is ready.
    pub fn up(base_port: u16, args: &[&str]) -> Self {
        Self::bring_up(base_port, args, None)
    }

    /// Brings one up whose sequencers are in network namespaces of their own.
    pub fn up_on(lan: Lan, base_port: u16, args: &[&str]) -> Self {
        Self::bring_up(base_port, args, Some(lan))
    }

    fn bring_up(base_port: u16, args: &[&str], lan: Option<Lan>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut devnet = Self { dir, nodes: Vec::new(), l1_pid: 0, chain_id: 0, lan };
        devnet.copy_programs();
        let mut all: Vec<String> =
            ["up", "--detach", "--base-port"].iter().map(|a| (*a).to_owned()).collect();
        all.push(base_port.to_string());
        if let Some(lan) = &devnet.lan {
            all.extend(["--netns".to_owned(), lan.spec()]);
        }
        all.extend(args.iter().map(|a| (*a).to_owned()));
        let out = devnet.rota_devnet(&all.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(out.status.success(), "{}", text(&out));
        let state = devnet.state();
        devnet.chain_id = state["chain_id"].as_u64().unwrap();
        devnet.l1_pid = state["l1_pid"].as_u64().unwrap();
        let field = |n: &Value, f: &str| n[f].as_str().unwrap().to_owned();
        for node in state["nodes"].as_array().unwrap() {
            let [name, rpc, web] = ["name", "rpc", "web"].map(|f| field(node, f));
            devnet.nodes.push(NodeAt { name, rpc, web });
        }
        devnet
    }

    fn copy_programs(&self) {
        let built = binaries();
        std::fs::create_dir_all(self.bin()).unwrap();
        for program in ["rota", "rota-devnet", "rota-stateless"] {
            std::fs::copy(built.join(program), self.bin().join(program)).unwrap();
        }
        // Tools are shared between runs: they are only read.
        let tools = built.join("devnet-tools");
        std::fs::create_dir_all(&tools).unwrap();
        std::os::unix::fs::symlink(&tools, self.root().join("tools")).unwrap();
    }

    fn bin(&self) -> PathBuf {
        self.root().join("bin")
    }
    fn root(&self) -> &Path {
        self.dir.path()
    }
    /// The namespaces that the sequencers are in.
    pub fn lan(&self) -> &Lan {
        self.lan.as_ref().expect("a devnet that was brought up on a lan")
    }
    /// A file or directory of the devnet.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root().join("devnet").join(name)
    }
    /// Data directory of a node.
    pub fn datadir(&self, name: &str) -> PathBuf {
        self.file(name)
    }
    /// What the supervisor says of its processes.
    pub fn state(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.file("state.json")).unwrap()).unwrap()
    }
    /// The program that executes a block from a file.
    pub fn stateless(&self) -> Command {
        Command::new(self.bin().join("rota-stateless"))
    }
    /// The program `rota`.
    pub fn rota(&self) -> Command {
        Command::new(self.bin().join("rota"))
    }
    /// Runs `rota-devnet` on this devnet.
    pub fn rota_devnet(&self, args: &[&str]) -> Output {
        self.devnet_command(args).output().unwrap()
    }
    /// The same, to be run by whoever gets it.
    pub fn devnet_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.bin().join("rota-devnet"));
        command.arg("--dir").arg(self.root()).args(args);
        command
    }
    /// Names of the sequencers.
    pub fn sequencers(&self) -> Vec<String> {
        self.nodes.iter().map(|n| n.name.clone()).filter(|n| n != "follower").collect()
    }
    /// JSON-RPC address of a node.
    pub fn rpc_addr(&self, name: &str) -> String {
        self.nodes.iter().find(|n| n.name == name).unwrap().rpc.clone()
    }
    /// Web address of a node.
    pub fn web_addr(&self, name: &str) -> String {
        self.nodes.iter().find(|n| n.name == name).unwrap().web.clone()
    }
    /// A connection to a node.
    pub fn rpc(&self, name: &str) -> Rpc {
        Rpc::connect(&self.rpc_addr(name)).unwrap()
    }
    /// `seq_status` of a node, if it answers.
    pub fn status(&self, name: &str) -> Option<Value> {
        ask(&self.rpc_addr(name), "seq_status", json!([]))
    }
    /// The real `cast`.
    pub fn cast(&self) -> Command {
        let modules = self.root().join("tools/node_modules/@foundry-rs");
        Command::new(modules.join("cast-linux-amd64/bin/cast"))
    }
    /// Name of the sequencer that leads now.
    pub fn leader(&self) -> String {
        until(Duration::from_secs(60), "a leader", || {
            let leads = |name: &String| self.status(name).is_some_and(|s| s["state"] == "leading");
            self.sequencers().into_iter().find(leads)
        })
    }
    /// Newest lines of the logs and where each node is, for a failure's message.
    pub fn logs(&self) -> String {
        let mut all = text(&self.rota_devnet(&["logs"]));
        for name in self.sequencers() {
            let status = self.status(&name).unwrap_or_default();
            all.push_str(&format!("{name} at the end: {status}\n"));
        }
        all
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
            self.keep_files();
        }
        self.rota_devnet(&["down", "--wipe"]);
    }
}

/// Waits for `probe` to give something, and fails by name after `deadline`.
pub fn until<T>(deadline: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "waited {deadline:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Both outputs of a command.
pub fn text(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// Where this build's programs are: beside the test itself.
fn binaries() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let dir = exe.ancestors().find(|d| d.join("rota-devnet").exists());
    dir.expect("cargo build -p rota-node -p rota-deploy first").to_path_buf()
}
