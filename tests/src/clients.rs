//! Unmodified Ethereum clients as processes: go-ethereum from its Go module, EthereumJS from npm.
//!
//! Not for: installing them; `make geth` and `make ethereumjs` do. A client that is not there is skipped with the reason.
//! Invariant: a client is killed when it is dropped, and its log is shown when a test fails.

use crate::live::{Rpc, until};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The version that `make geth` builds.
pub const GETH: &str = "v1.17.8";
/// One that is killed comes back within this time, or never.
const START: Duration = Duration::from_secs(60);

/// Which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// go-ethereum.
    Geth,
    /// EthereumJS.
    EthereumJs,
}

impl Kind {
    /// Its program, or why it is not there.
    fn program(self) -> Result<PathBuf, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let (path, make) = match self {
            Self::Geth => (target().join("geth").join(GETH).join("geth"), "geth"),
            Self::EthereumJs => {
                (root.join("tests/clients/node_modules/.bin/ethereumjs"), "ethereumjs")
            }
        };
        let missing = format!("{} is not there: make {make}", path.display());
        path.exists().then_some(path).ok_or(missing)
    }
}

/// The target directory that this test was built into.
fn target() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let profile = exe.ancestors().find(|d| d.file_name().is_some_and(|n| n == "deps")).unwrap();
    profile.ancestors().nth(2).unwrap().to_path_buf()
}

/// A client with its own data directory.
pub struct Client {
    kind: Kind,
    program: PathBuf,
    dir: tempfile::TempDir,
    /// Of the Engine API, of JSON-RPC.
    ports: (u16, u16),
    child: Option<Child>,
}

impl Client {
    /// Starts one from a genesis file, or says why it cannot.
    ///
    /// # Errors
    /// The program is not installed.
    pub fn start(kind: Kind, genesis: &Value) -> Result<Self, String> {
        let program = kind.program()?;
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("genesis.json"), genesis.to_string()).unwrap();
        let ports = (free_port(), free_port());
        let mut client = Self { kind, program, dir, ports, child: None };
        let secret = File::options().write(true).create_new(true).mode(0o600).open(client.jwt());
        secret.unwrap().write_all(&[b'a'; 64]).unwrap();
        if kind == Kind::Geth {
            client.init();
        }
        client.run();
        Ok(client)
    }

    fn init(&self) {
        let out = Command::new(&self.program)
            .arg("init")
            .arg("--datadir")
            .arg(self.dir.path().join("data"))
            .arg(self.dir.path().join("genesis.json"))
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// Starts it again after [`Client::kill`].
    pub fn run(&mut self) {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        let (engine, http) = (self.ports.0.to_string(), self.ports.1.to_string());
        let log = File::options().create(true).append(true).open(at("log")).unwrap();
        let mut command = Command::new(&self.program);
        match self.kind {
            Kind::Geth => command
                .args(["--datadir", &at("data"), "--syncmode", "full"])
                .args(["--authrpc.port", &engine, "--authrpc.jwtsecret", &at("jwt")])
                .args(["--http", "--http.port", &http, "--port", "0"])
                .args(["--nodiscover", "--maxpeers", "0", "--ipcdisable"])
                .args(["--datadir.minfreedisk", "0"]),
            Kind::EthereumJs => command
                .args(["--dataDir", &at("data"), "--gethGenesis", &at("genesis.json")])
                .args(["--rpcEngine", "--rpcEnginePort", &engine, "--jwtSecret", &at("jwt")])
                .args(["--rpc", "--rpcPort", &http, "--port", &free_port().to_string()])
                .args(["--sync", "none", "--discV4=false", "--discDns=false", "--maxPeers", "0"])
                .args(["--logLevel", "warn", "--saveReceipts"]),
        };
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        until(START, "the client to answer", || self.ask("eth_chainId", json!([])));
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends it in order: it writes down what it has in memory.
    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        until(START, "the client to end", || child.try_wait().unwrap());
    }

    /// The Engine API.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.0)
    }

    /// Its JSON-RPC, which serves no Engine API.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.1)
    }

    /// The secret of it.
    pub fn jwt(&self) -> PathBuf {
        self.dir.path().join("jwt")
    }

    /// An answer to a JSON-RPC call, if there is one.
    pub fn ask(&self, method: &str, params: Value) -> Option<Value> {
        let mut rpc = Rpc::connect(&format!("127.0.0.1:{}", self.ports.1)).ok()?;
        rpc.call(method, params).ok()
    }

    /// Hash of its block at a number or tag.
    pub fn hash(&self, at: &Value) -> Option<String> {
        let block = self.ask("eth_getBlockByNumber", json!([at, false]))?;
        block["hash"].as_str().map(str::to_owned)
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let mut text = String::new();
        let file = File::open(self.dir.path().join("log"));
        drop(file.map(|mut f| f.read_to_string(&mut text)));
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        if std::thread::panicking() {
            eprintln!("{:?}:\n{}", self.kind, self.log());
        }
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
