//! Where a devnet keeps its files, and what it says about itself there.
//!
//! Invariant: the lock is held by exactly the process that supervises; the kernel gives it back when that ends, so a process
//! id in it is never a stranger's.

use alloy_primitives::Address;
use rota_node::exit::{Exit, Failure};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Files of a devnet, below one directory.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Below `.rota` or what was given.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: std::path::absolute(root).unwrap_or_else(|_| root.into()) }
    }
    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// Programs from npm.
    #[must_use]
    pub fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }
    /// Everything that `down --wipe` deletes.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root.join("devnet")
    }
    /// The data directory of a node.
    #[must_use]
    pub fn node(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }
    /// The log of a process.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.data().join("logs").join(format!("{name}.log"))
    }
    /// The network file.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        self.data().join("network.json")
    }
    /// The password of every node's key files.
    #[must_use]
    pub fn password(&self) -> PathBuf {
        self.data().join("password")
    }
    /// The frozen set, for `rota preconf verify`.
    #[must_use]
    pub fn set(&self) -> PathBuf {
        self.data().join("set.json")
    }
    /// The address of the Registry alone, for scripts: with the L1 it is all that a stranger needs.
    #[must_use]
    pub fn registry(&self) -> PathBuf {
        self.data().join("registry")
    }
    /// What the slasher keeps: evidence, cases, its account.
    #[must_use]
    pub fn slasher(&self) -> PathBuf {
        self.data().join("slasher")
    }
    /// The key of the slasher's account.
    #[must_use]
    pub fn slasher_key(&self) -> PathBuf {
        self.slasher().join("account.key")
    }
    /// The chain of the L1, as anvil left it.
    #[must_use]
    pub fn l1_state(&self) -> PathBuf {
        self.data().join("anvil.json")
    }
    /// There if the last run was stopped and not killed, so that all data fit together.
    #[must_use]
    pub fn clean(&self) -> PathBuf {
        self.data().join("stopped-cleanly")
    }
    /// What runs.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.data().join("state.json")
    }
    /// What a detached supervisor says. Apart from the data: a fresh start deletes those.
    #[must_use]
    pub fn supervisor_log(&self) -> PathBuf {
        self.root.join("supervisor.log")
    }
    fn lock(&self) -> PathBuf {
        self.root.join("devnet.lock")
    }
    /// Where the supervisor listens: beside the data, or in the directory for temporary files if that path is too long.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        /// Room in a socket's address.
        const MOST: usize = 100;
        let usual = self.root.join("devnet.sock");
        if usual.as_os_str().len() <= MOST {
            return usual;
        }
        let hash = alloy_primitives::keccak256(usual.as_os_str().as_encoded_bytes());
        let name = format!(
            "rota-{}.sock",
            alloy_primitives::hex::encode(hash.get(..8).unwrap_or_default())
        );
        std::env::temp_dir().join(name)
    }

    /// Becomes the supervisor, or says who is.
    ///
    /// # Errors
    /// Another process supervises.
    pub fn take_lock(&self) -> Result<File, Failure> {
        let io = |e: &std::io::Error| {
            Failure::new(Exit::DataDir, format!("cannot use {}: {e}", self.root.display()))
                .hint("choose another directory with --dir")
        };
        fs::create_dir_all(&self.root).map_err(|e| io(&e))?;
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.lock());
        let mut file = options.map_err(|e| io(&e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = self.supervisor().map_or_else(String::new, |p| format!(" (pid {p})"));
                return Err(Failure::new(
                    Exit::DataDir,
                    format!("a devnet runs here already{pid}"),
                )
                .hint("rota devnet status shows it, rota devnet down stops it"));
            }
            Err(TryLockError::Error(e)) => return Err(io(&e)),
        }
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(|e| io(&e))?;
        Ok(file)
    }

    /// Process id of the running supervisor, if one runs.
    #[must_use]
    pub fn supervisor(&self) -> Option<u32> {
        let file = File::open(self.lock()).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                fs::read_to_string(self.lock()).ok()?.trim().parse().ok()
            }
            _ => None,
        }
    }
}

/// What runs, for `status` and for people.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// Version of this format, 1.
    pub v: u32,
    /// Chain id of the rollup.
    pub chain_id: u64,
    /// JSON-RPC of the L1.
    pub l1_url: String,
    /// Process id of the L1.
    pub l1_pid: Option<u32>,
    /// The Registry, once it is deployed.
    pub registry: Option<Address>,
    /// Everything is ready.
    pub ready: bool,
    /// Nodes in order, the follower last.
    pub nodes: Vec<NodeState>,
    /// The slasher, unless it was left out.
    pub slasher: Option<SlasherState>,
}

/// The slasher's process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SlasherState {
    /// How its process is.
    pub state: State,
    /// Its process id.
    pub pid: Option<u32>,
    /// Its log.
    pub log: PathBuf,
    /// Where it keeps evidence and cases.
    pub dir: PathBuf,
}

/// One node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeState {
    /// `n1`, .., `follower`.
    pub name: String,
    /// What it does.
    pub role: String,
    /// How its process is.
    pub state: State,
    /// Its process id.
    pub pid: Option<u32>,
    /// The exit code that it ended with by itself.
    pub exit: Option<i32>,
    /// JSON-RPC.
    pub rpc: SocketAddr,
    /// Dashboard, health, metrics.
    pub web: SocketAddr,
    /// Its log.
    pub log: PathBuf,
}

/// How a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was not started yet.
    Waiting,
    /// It runs.
    Running,
    /// It was ended on request.
    Killed,
    /// It ended by itself.
    Exited,
}

impl Snapshot {
    /// Reads it.
    #[must_use]
    pub fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_slice(&fs::read(layout.state()).ok()?).ok()
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(&self, layout: &Layout) -> std::io::Result<()> {
        let path = layout.state();
        let unfinished = path.with_extension("new");
        fs::write(&unfinished, serde_json::to_vec_pretty(self)?)?;
        fs::rename(unfinished, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_supervisor_at_a_time_and_its_id_is_known_while_it_lives() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        assert_eq!(layout.supervisor(), None);
        let lock = layout.take_lock().unwrap();
        assert_eq!(layout.supervisor(), Some(std::process::id()));
        let refused = layout.take_lock().unwrap_err();
        assert_eq!(refused.exit, Exit::DataDir);
        assert!(refused.message.contains(&std::process::id().to_string()));
        drop(lock);
        assert_eq!(layout.supervisor(), None);
    }

    #[test]
    fn the_socket_has_an_address_that_fits_however_deep_the_directory_is() {
        let deep = Layout::new(&Path::new("/").join("deep/".repeat(60)));
        assert!(deep.control().as_os_str().len() < 104);
        assert!(Layout::new(Path::new("/a")).control().starts_with("/a"));
    }
}
