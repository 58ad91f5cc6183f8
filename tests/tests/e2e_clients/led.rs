//! A client led by the real driver, with the test in the place of the derivation.

use rota_execution::{ExecutedBlock, genesis};
use rota_node::{
    external::{
        Driver, EngineBlock, EngineConfig, EngineHealth, External, ExternalError, Ledger, Mark,
        Settings, Target, lead,
    },
    settle::Pace,
};
use rota_store::{Blocks, MemKv};
use rota_tests::{
    chains::{CHAIN_ID, genesis_file},
    clients::Client,
    live::until,
};
use serde_json::Value;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{runtime::Runtime, task::JoinHandle};
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(120);

pub(crate) struct Led {
    runtime: Runtime,
    task: JoinHandle<Result<(), ExternalError>>,
    ledger: Arc<Ledger>,
    health: Arc<EngineHealth>,
    stop: CancellationToken,
    dir: tempfile::TempDir,
}

impl Led {
    pub(crate) fn start(client: &Client) -> Self {
        Self::start_with(&client.url(), &client.jwt(), CHAIN_ID)
    }

    pub(crate) fn start_with(url: &str, jwt: &Path, chain_id: u64) -> Self {
        let store = Blocks::open(Arc::new(MemKv::default())).unwrap();
        let ledger = Arc::new(Ledger::new(store, &genesis(&genesis_file()).unwrap()));
        Self::resume(url, jwt, chain_id, ledger)
    }

    fn resume(url: &str, jwt: &Path, chain_id: u64, ledger: Arc<Ledger>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (health, stop) = (Arc::<EngineHealth>::default(), CancellationToken::new());
        let external = External {
            client: EngineConfig::open(url.to_owned(), jwt).unwrap(),
            reports: dir.path().to_path_buf(),
        };
        let pace = Pace {
            every: Duration::from_millis(50),
            now: Arc::new(rota_node::clock::now_ms),
            stop: stop.clone(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let driver = Driver::new(Settings { chain_id, stride: 64 });
        let (chain, changed) = (Arc::clone(&ledger), ledger.subscribe());
        let task =
            runtime.spawn(lead(driver, external, (chain, changed), Arc::clone(&health), pace));
        Self { runtime, task, ledger, health, stop, dir }
    }

    pub(crate) fn write(&self, block: &ExecutedBlock) {
        self.ledger.write(&EngineBlock::of(block)).unwrap();
    }

    pub(crate) fn write_block(&self, block: &EngineBlock) {
        self.ledger.write(block).unwrap();
    }

    /// Moves the heads, to blocks that were written.
    pub(crate) fn head(&self, head: Mark, safe: Mark, finalized: Mark) {
        self.ledger.set_target(Target { head, safe, finalized, settled: true });
    }

    /// Waits until the client has confirmed this head.
    pub(crate) fn until_at(&self, mark: Mark) {
        until(LONG, "the client to be at the head", || {
            assert!(!self.task.is_finished(), "the driver ended");
            let seen = self.health.seen();
            (seen.head == mark.number && seen.hash == mark.hash).then_some(())
        });
    }

    /// Waits until the client has confirmed this head, or the operator is told to start it again; whether that is so.
    pub(crate) fn at_or_told(&self, mark: Mark) -> bool {
        until(LONG, "the client to be at the head, or a word", || {
            let seen = self.health.seen();
            let there = seen.head == mark.number && seen.hash == mark.hash;
            let told = seen.problem.is_some_and(|p| p.contains("start it again"));
            (there || told).then_some(told)
        })
    }

    /// Ends it, and starts another one that knows nothing of the client.
    pub(crate) fn restart(self, client: &Client) -> Self {
        let ledger = Arc::clone(&self.ledger);
        self.stop();
        Self::resume(&client.url(), &client.jwt(), CHAIN_ID, ledger)
    }

    pub(crate) fn stop(self) {
        self.stop.cancel();
        self.runtime.block_on(self.task).unwrap().unwrap();
    }

    /// Waits until it ends by itself; gives why, and the directory with its reports.
    pub(crate) fn ended(self) -> (ExternalError, tempfile::TempDir) {
        let ended = self.runtime.block_on(async { tokio::time::timeout(LONG, self.task).await });
        (ended.unwrap().unwrap().unwrap_err(), self.dir)
    }
}

/// Sends a request to the Engine API as it is: what a person does with `curl`.
pub(crate) fn send(client: &Client, request: &Value) -> Value {
    let config = EngineConfig::open(client.url(), &client.jwt()).unwrap();
    let token = config.token(rota_node::clock::now_ms()).unwrap();
    let bearer = format!("Authorization: Bearer {token}");
    let out = std::process::Command::new("curl")
        .args(["-s", "-H", &bearer, "-H", "Content-Type: application/json"])
        .args(["-d", &request.to_string(), &client.url()])
        .output()
        .unwrap();
    serde_json::from_slice(&out.stdout).unwrap()
}
