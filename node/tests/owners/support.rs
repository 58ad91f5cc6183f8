//! A real anvil that mines when it is told to, contracts deployed by `rota l1 deploy`, and the program itself.

use alloy_primitives::{Address, U256};
use serde_json::{Map, Value};
use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// The dev accounts of anvil, by their well-known keys.
pub(crate) const KEYS: [&str; 6] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
];
pub(crate) const L2_CHAIN: u64 = 70_700;

/// The address of a dev account.
pub(crate) fn owner(i: usize) -> Address {
    let key: alloy::signers::local::PrivateKeySigner = KEYS[i].parse().unwrap();
    key.address()
}

/// A program of Foundry's, if it is installed.
fn foundry(name: &str) -> Option<PathBuf> {
    let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => "darwin-arm64",
        ("macos", _) => "darwin-amd64",
        (_, "aarch64") => "linux-arm64",
        _ => "linux-amd64",
    };
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/node_modules");
    let binary = modules.join(format!("@foundry-rs/{name}-{platform}/bin/{name}"));
    if !binary.exists() {
        eprintln!("SKIPPED: {} is missing; run `npm ci` in contracts/", binary.display());
        return None;
    }
    Some(binary)
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(done: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
    }

    /// It succeeded; what it printed.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// It succeeded; its one document.
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// It failed with this code, and says this.
    pub(crate) fn fails(self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(self.err.contains(words) && self.err.contains("hint: "), "{}", self.err);
        assert_eq!(self.out, "", "a failure has no result");
    }
}

/// One network on an L1 of its own.
pub(crate) struct Net {
    anvil: Child,
    pub(crate) url: String,
    pub(crate) dir: tempfile::TempDir,
    cast: PathBuf,
}

impl Net {
    /// An L1 without contracts; none if Foundry is not installed.
    pub(crate) fn start() -> Option<Self> {
        let (anvil, cast) = (foundry("anvil")?, foundry("cast")?);
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("anvil.log");
        let anvil = Command::new(anvil)
            .args(["--port", "0", "--enable-tx-gas-limit", "--slots-in-an-epoch", "1"])
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut net = Self { anvil, url: String::new(), dir, cast };
        net.url = net.listening(&log);
        for (i, key) in KEYS.iter().enumerate() {
            net.secret(&format!("owner{i}.key"), key);
        }
        Some(net)
    }

    fn listening(&self, log: &Path) -> String {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let text = std::fs::read_to_string(log).unwrap();
            let found = text.lines().find_map(|l| l.strip_prefix("Listening on "));
            if let Some(address) = found.filter(|_| text.ends_with('\n')) {
                return format!("http://{}", address.trim());
            }
            assert!(Instant::now() < end, "anvil does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A file that only its owner can read.
    fn secret(&self, name: &str, text: &str) {
        let options = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path(name));
        writeln!(options.unwrap(), "{text}").unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Runs `rota`; names that begin with @ are files of this network.
    pub(crate) fn rota(&self, args: &[&str]) -> Said {
        let args =
            args.iter().map(|a| a.strip_prefix('@').map_or((*a).to_owned(), |f| self.text(f)));
        let done = Command::new(env!("CARGO_BIN_EXE_rota"))
            .args(args)
            .env_clear()
            .env("HOME", self.dir.path())
            .output();
        Said::of(done.unwrap())
    }

    /// A command of `rota set` at the node of operator `i`.
    pub(crate) fn set(&self, i: usize, args: &[&str]) -> Said {
        let at = format!("@op{i}");
        self.rota(&[&["set"], args, &["--datadir", &at]].concat())
    }

    /// The same, sent by the owner.
    pub(crate) fn owned(&self, i: usize, args: &[&str]) -> Said {
        let key = format!("@owner{i}.key");
        self.set(i, &[args, &["--owner-key-file", &key]].concat())
    }

    /// Another tool than ours.
    pub(crate) fn cast(&self, args: &[&str]) -> Said {
        let done = Command::new(&self.cast).args(args).args(["--rpc-url", &self.url]).output();
        Said::of(done.unwrap())
    }

    /// Mines until there is this L1 block.
    pub(crate) fn reach(&self, block: u64) {
        let head: u64 = self.cast(&["block-number"]).ok().trim().parse().unwrap();
        let more = format!("{:#x}", block.saturating_sub(head));
        if block > head {
            self.cast(&["rpc", "anvil_mine", &more]).ok();
        }
    }

    /// What an operator's state is called, with the words for it.
    pub(crate) fn state(&self, i: usize) -> (String, String) {
        let shown = self.set(i, &["show", "--json"]).json();
        let of = |key: &str| shown["operator"][key].as_str().unwrap().to_owned();
        (of("state"), of("words"))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _ = self.anvil.kill();
        let _ = self.anvil.wait();
    }
}

/// A genesis with the dev accounts funded.
pub(crate) fn genesis() -> String {
    let accounts: Vec<Address> = (0..KEYS.len()).map(owner).collect();
    let params = rota_types::ChainParams::default();
    let rich = U256::from(10u64).pow(U256::from(20u64));
    let genesis =
        rota_node::setup::funded_genesis(L2_CHAIN, 1_700_000_000, &params, (&accounts, rich));
    serde_json::to_string(&genesis).unwrap()
}

/// Names and kinds of values, without the values: of lists the first element.
pub(crate) fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.iter().map(|(k, v)| (k.clone(), shape(v))).collect::<Map<_, _>>())
        }
        Value::Array(list) => Value::Array(list.first().map(shape).into_iter().collect()),
        Value::String(_) => "string".into(),
        Value::Number(_) => "number".into(),
        Value::Bool(_) => "bool".into(),
        Value::Null => "null".into(),
    }
}
