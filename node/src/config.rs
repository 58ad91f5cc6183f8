//! Settings of one node: `rota.toml`, `ROTA_*` variables and flags, in one struct.
//!
//! Not for: what all nodes share ([`crate::network`]) and not for secrets ([`crate::keys`]).
//! Precedence: flag > variable > file > default. Invariant: a [`Config`] from [`load`] is validated, and every key
//! has its default in one place, [`Config::default`].

mod duration;
mod load;
mod prover;
mod source;
#[cfg(test)]
mod tests;
mod validate;

pub use duration::Dur;
pub use load::{ConfigError, Sources, load, parse};
pub use prover::ProverSettings;
pub use source::Source;

use serde::{Deserialize, Serialize};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Orders, votes, posts batches. Needs all keys and a registration on L1.
    Sequencer,
    /// Has the chain from L1 alone, or from the members of the set; see [`Source`].
    Follower,
    /// A follower that also proves on L1 what it computed, with bonds.
    Prover,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sequencer, Self::Follower, Self::Prover];

    /// The word used everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sequencer => "sequencer",
            Self::Follower => "follower",
            Self::Prover => "prover",
        }
    }
}

/// How blobs are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlobIndex {
    /// By beacon slot: every real beacon node.
    Slot,
    /// By number of the execution block: anvil.
    Block,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Terminal,
    /// One JSON object per line.
    Json,
}

/// Settings of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The operator's name for the node, at most 32 characters.
    pub moniker: String,
    /// What it does.
    pub role: Role,
    /// Where a follower has the chain from.
    pub source: Source,
    /// Where it keeps keys, sign state and data; empty for the user's data directory.
    pub datadir: PathBuf,
    /// The network file, relative to the data directory.
    pub network: PathBuf,
    /// File with the password of the encrypted keys, relative to the data directory; empty for systemd's credential
    /// `rota-password`, or the terminal.
    pub password_file: PathBuf,
    /// Ethereum.
    pub l1: L1Config,
    /// Peers.
    pub p2p: P2pConfig,
    /// JSON-RPC.
    pub rpc: RpcSettings,
    /// Dashboard, health, metrics.
    pub web: WebConfig,
    /// Posting to L1.
    pub batch: BatchConfig,
    /// Preconfirmations.
    pub preconf: PreconfConfig,
    /// Who signs.
    pub signer: SignerConfig,
    /// An execution client to lead along; of followers and provers only.
    pub engine: EngineSettings,
    /// Proving on L1; of provers only.
    pub prover: ProverSettings,
    /// Log lines.
    pub log: LogConfig,
}

/// Ethereum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct L1Config {
    /// JSON-RPC endpoints in order of preference.
    pub rpc: Vec<String>,
    /// Endpoints that serve blobs, in order of preference.
    pub beacon: Vec<String>,
    /// How blobs are asked for.
    pub blob_index: BlobIndex,
    /// Time of slot 0, seconds since the Unix epoch; of `slot` only.
    pub beacon_genesis_time: u64,
    /// Seconds per slot; of `slot` only.
    pub slot_seconds: u64,
    /// For one request.
    pub timeout: Dur,
    /// Between two looks at the head of L1.
    pub poll: Dur,
}

/// Peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct P2pConfig {
    /// Multiaddresses to listen on.
    pub listen: Vec<String>,
    /// Nodes outside of the set to stay connected to, each with `/p2p/<id>`.
    pub bootnodes: Vec<String>,
}

/// JSON-RPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RpcSettings {
    /// Address of HTTP and WebSocket.
    pub addr: SocketAddr,
    /// Connections at most.
    pub max_connections: u32,
    /// Origins that browsers may call from; `*` for all.
    pub cors: Vec<String>,
    /// How long `eth_sendRawTransactionSync` waits if not told.
    pub sync_timeout: Dur,
    /// How long it waits at most.
    pub max_sync_timeout: Dur,
}

/// Dashboard, health, metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// Address of the web server.
    pub addr: SocketAddr,
}

/// Posting to L1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// Whether this node posts; of sequencers only.
    pub post: bool,
    /// Time between two batches.
    pub interval: Dur,
}

/// Preconfirmations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreconfConfig {
    /// What an insured amount costs here, in 1/10,000 of it, paid by the tip; 0 for nothing.
    pub premium_bps: u16,
}

/// Where the two hot keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignerKind {
    /// In this process.
    Local,
    /// At a signer (`rota signer run`).
    Remote,
}

/// Who signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignerConfig {
    /// Where the two hot keys are.
    pub kind: SignerKind,
    /// Host and port of the signer; of `remote` only.
    pub addr: String,
    /// Its public key in hex, as `rota signer id` shows it there; of `remote` only.
    pub public_key: String,
    /// How long one signature may take, reconnecting included, before the node stops.
    pub patience: Dur,
}

impl Default for SignerConfig {
    fn default() -> Self {
        Self {
            kind: SignerKind::Local,
            addr: String::new(),
            public_key: String::new(),
            patience: Dur::from_millis(5_000),
        }
    }
}

/// An execution client to lead along.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSettings {
    /// Its authenticated address, such as `http://127.0.0.1:8551`; empty for none.
    pub url: String,
    /// File with the secret that both sides have (32 bytes in hex, mode 0600), relative to the data directory.
    pub jwt: PathBuf,
}

/// Log lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Directives such as `info,rota_p2p=debug`.
    pub filter: String,
    /// How they look.
    pub format: LogFormat,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            moniker: "rota".into(),
            role: Role::Follower,
            source: Source::L1,
            datadir: PathBuf::new(),
            network: "network.json".into(),
            password_file: PathBuf::new(),
            l1: L1Config::default(),
            p2p: P2pConfig::default(),
            rpc: RpcSettings::default(),
            web: WebConfig::default(),
            batch: BatchConfig::default(),
            preconf: PreconfConfig::default(),
            signer: SignerConfig::default(),
            engine: EngineSettings::default(),
            prover: ProverSettings::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for L1Config {
    fn default() -> Self {
        Self {
            rpc: Vec::new(),
            beacon: Vec::new(),
            blob_index: BlobIndex::Slot,
            // Ethereum's main network.
            beacon_genesis_time: 1_606_824_023,
            slot_seconds: 12,
            timeout: Dur::from_millis(10_000),
            poll: Dur::from_millis(1_000),
        }
    }
}

impl Default for P2pConfig {
    fn default() -> Self {
        Self {
            listen: vec![
                "/ip4/127.0.0.1/tcp/27000".into(),
                "/ip4/127.0.0.1/udp/27000/quic-v1".into(),
            ],
            bootnodes: Vec::new(),
        }
    }
}

impl Default for RpcSettings {
    fn default() -> Self {
        Self {
            addr: (Ipv4Addr::LOCALHOST, 8545).into(),
            max_connections: 500,
            cors: Vec::new(),
            sync_timeout: Dur::from_millis(2_000),
            max_sync_timeout: Dur::from_millis(60_000),
        }
    }
}

impl Default for WebConfig {
    fn default() -> Self {
        Self { addr: (Ipv4Addr::LOCALHOST, 8080).into() }
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { post: true, interval: Dur::from_millis(12_000) }
    }
}

impl Default for PreconfConfig {
    fn default() -> Self {
        Self { premium_bps: 5 }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Terminal }
    }
}

impl L1Config {
    /// The endpoints of `beacon` as blob sources.
    #[must_use]
    pub fn blob_sources(&self) -> Vec<rota_l1::BlobSource> {
        let source = |url: &String| match self.blob_index {
            BlobIndex::Block => rota_l1::BlobSource::Execution { url: url.clone() },
            BlobIndex::Slot => rota_l1::BlobSource::Beacon {
                url: url.clone(),
                genesis_time: self.beacon_genesis_time,
                slot_seconds: self.slot_seconds,
            },
        };
        self.beacon.iter().map(source).collect()
    }
}

impl Config {
    /// The data directory, with the user's one in place of an empty path.
    #[must_use]
    pub fn data_root(&self) -> PathBuf {
        if self.datadir.as_os_str().is_empty() { default_datadir() } else { self.datadir.clone() }
    }

    /// Where the network file is.
    #[must_use]
    pub fn network_path(&self) -> PathBuf {
        self.data_root().join(&self.network)
    }

    /// Where the password of the key files comes from.
    #[must_use]
    pub fn passwords(&self) -> crate::keys::Passwords {
        let named = !self.password_file.as_os_str().is_empty();
        crate::keys::Passwords::new(named.then(|| self.data_root().join(&self.password_file)))
    }

    /// Which key files the node needs.
    #[must_use]
    pub const fn needs(&self) -> crate::keys::Needs {
        let orders = matches!(self.role, Role::Sequencer);
        let sequencer = orders && matches!(self.signer.kind, SignerKind::Local);
        crate::keys::Needs { sequencer, poster: orders && self.batch.post }
    }

    /// Settings for the JSON-RPC server.
    #[must_use]
    pub fn rpc_server(&self) -> crate::rpc::RpcConfig {
        crate::rpc::RpcConfig {
            sync_timeout_ms: self.rpc.sync_timeout.as_millis(),
            max_sync_timeout_ms: self.rpc.max_sync_timeout.as_millis(),
            max_connections: self.rpc.max_connections,
            cors: self.rpc.cors.clone(),
            premium_bps: self.preconf.premium_bps,
            ..crate::rpc::RpcConfig::default()
        }
    }
}

/// `$XDG_DATA_HOME/rota`, or `~/.local/share/rota`, or `./rota-data` without a home.
#[must_use]
pub fn default_datadir() -> PathBuf {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map_or_else(|| PathBuf::from("rota-data"), |base| base.join("rota"))
}
