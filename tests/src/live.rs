//! Real processes: a devnet of its own, and a JSON-RPC client small enough to time with.
//!
//! Invariant: a `Devnet` takes everything it started down with it, also when a test panics.
#![expect(clippy::disallowed_methods, reason = "real processes are timed by the real clock")]

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, hex};
use rota_types::VoteKey;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

/// Key of the first test account of every devnet (the well-known development mnemonic).
pub const ACCOUNT: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// A JSON-RPC connection that stays open.
pub struct Rpc {
    addr: String,
    stream: BufReader<TcpStream>,
}

impl Rpc {
    /// Connects.
    pub fn connect(addr: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self { addr: addr.to_owned(), stream: BufReader::new(stream) })
    }

    /// Calls a method; the error of the server is the `Err`.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, String> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer = self.post(&body.to_string()).map_err(|e| e.to_string())?;
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(answer["error"].to_string()),
        }
    }

    fn post(&mut self, body: &str) -> std::io::Result<Value> {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.addr,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut length = 0usize;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(n) = line.strip_prefix("content-length:") {
                length = n.trim().parse().unwrap_or(0);
            }
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        serde_json::from_slice(&bytes).map_err(std::io::Error::other)
    }
}

/// `GET path`, as text.
pub fn get(addr: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, b)| b).to_owned();
    Ok((status, body))
}

/// A signed transfer for a live network.
pub fn transfer(key: &VoteKey, chain_id: u64, nonce: u64) -> Bytes {
    let tx = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_000_000,
        to: TxKind::Call(Address::repeat_byte(0x77)),
        value: U256::from(1),
        ..Default::default()
    };
    let sig = key.sign(&tx.signature_hash());
    let signature = Signature::from_bytes_and_parity(&sig[..64], sig[64] == 28);
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}

/// The key of the first test account.
pub fn account() -> VoteKey {
    let secret: [u8; 32] = hex::decode(ACCOUNT).unwrap().try_into().unwrap();
    VoteKey::from_secret(&secret).unwrap()
}

/// The key of load account `i`, funded by the caller.
pub fn load_account(i: u64) -> VoteKey {
    VoteKey::from_secret(&alloy_primitives::keccak256(format!("load/{i}")).0).unwrap()
}

/// A devnet with its directory and ports.
pub struct Devnet {
    dir: tempfile::TempDir,
    bin: PathBuf,
    nodes: Vec<(String, String, String)>,
    l1_pid: u64,
    /// Chain id of the rollup.
    pub chain_id: u64,
}

impl Devnet {
    /// Brings one up and waits until it is ready.
    pub fn up(base_port: u16, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin = binaries();
        let mut devnet = Self { dir, bin, nodes: Vec::new(), l1_pid: 0, chain_id: 0 };
        let port = base_port.to_string();
        let mut all = vec!["up", "--detach", "--base-port", &port];
        all.extend_from_slice(args);
        // Tools are shared between runs: they are only read.
        let tools = devnet.bin.join("devnet-tools");
        std::fs::create_dir_all(&tools).unwrap();
        std::os::unix::fs::symlink(&tools, devnet.root().join("tools")).unwrap();
        let out = devnet.rota_devnet(&all);
        assert!(out.status.success(), "{}", text(&out));
        let state = std::fs::read(devnet.root().join("devnet/state.json")).unwrap();
        let state: Value = serde_json::from_slice(&state).unwrap();
        devnet.chain_id = state["chain_id"].as_u64().unwrap();
        devnet.l1_pid = state["l1_pid"].as_u64().unwrap();
        let field = |n: &Value, f: &str| n[f].as_str().unwrap().to_owned();
        for node in state["nodes"].as_array().unwrap() {
            devnet.nodes.push((field(node, "name"), field(node, "rpc"), field(node, "web")));
        }
        devnet
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }
    /// Data directory of a node.
    pub fn datadir(&self, name: &str) -> PathBuf {
        self.root().join("devnet").join(name)
    }
    /// The program `rota`.
    pub fn rota(&self) -> Command {
        Command::new(self.bin.join("rota"))
    }
    /// Runs `rota-devnet` on this devnet.
    pub fn rota_devnet(&self, args: &[&str]) -> Output {
        let mut command = Command::new(self.bin.join("rota-devnet"));
        command.arg("--dir").arg(self.root()).args(args).output().unwrap()
    }
    /// Names of the sequencers.
    pub fn sequencers(&self) -> Vec<String> {
        self.nodes.iter().map(|n| n.0.clone()).filter(|n| n != "follower").collect()
    }
    /// JSON-RPC address of a node.
    pub fn rpc_addr(&self, name: &str) -> String {
        self.nodes.iter().find(|n| n.0 == name).unwrap().1.clone()
    }
    /// Web address of a node.
    pub fn web_addr(&self, name: &str) -> String {
        self.nodes.iter().find(|n| n.0 == name).unwrap().2.clone()
    }
    /// A connection to a node.
    pub fn rpc(&self, name: &str) -> Rpc {
        Rpc::connect(&self.rpc_addr(name)).unwrap()
    }
    /// The real `cast`.
    pub fn cast(&self) -> Command {
        let modules = self.root().join("tools/node_modules/@foundry-rs");
        Command::new(modules.join("cast-linux-amd64/bin/cast"))
    }
    /// Sends a signal to the L1, such as `STOP` or `CONT`.
    pub fn signal_l1(&self, signal: &str) {
        let pid = self.l1_pid.to_string();
        let sent = Command::new("kill").args([format!("-{signal}"), pid]).status().unwrap();
        assert!(sent.success(), "kill -{signal} of the L1");
    }
    /// Name of the sequencer that leads now.
    pub fn leader(&self) -> String {
        until(Duration::from_secs(20), "a leader", || {
            self.sequencers().into_iter().find(|name| {
                let status = Rpc::connect(&self.rpc_addr(name))
                    .map_err(|e| e.to_string())
                    .and_then(|mut rpc| rpc.call("seq_status", json!([])));
                status.is_ok_and(|s| s["state"] == "leading")
            })
        })
    }
    /// Newest lines of the logs, for a failure's message.
    pub fn logs(&self) -> String {
        text(&self.rota_devnet(&["logs"]))
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
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

/// A quantity of JSON-RPC.
pub fn quantity(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap_or("0x0").trim_start_matches("0x"), 16).unwrap_or(0)
}

/// Where this build's programs are: beside the test itself.
fn binaries() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let dir = exe.ancestors().find(|d| d.join("rota-devnet").exists());
    dir.expect("cargo build -p rota-node -p rota-deploy first").to_path_buf()
}
