//! JSON-RPC over HTTP and WebSocket, on one port: what wallets call, and what this network adds.
//!
//! Not for: knowing anything itself. It reads [`crate::view::View`], hands transactions to one closure, and asks
//! a [`NodeInfo`] about the node.
//! Invariant: answers come from one snapshot each; `pending` is preconfirmed, `latest` decided, `safe` posted,
//! `finalized` final on L1; a user's mistake is answered with words, never with "internal error".

mod args;
mod blocks;
mod calls;
mod count;
pub(crate) mod error;
mod fees;
mod filters;
mod info;
mod insurance;
mod light;
mod logs;
mod min_stage;
mod output;
mod preconf;
mod rewards;
mod send;
mod seq;
mod server;
mod shape;
mod state;
mod stats;
mod stream;
mod subscribe;
mod witness;

pub use count::RpcCounts;
pub use info::{LeaderSlot, NodeInfo, SeqStatus, SyncProgress, ValidatorInfo};
pub use preconf::{StageJson, StatusJson};
pub use server::{RpcServer, serve};
pub use shape::{FrameJson, PositionJson, PreconfJson, ReceiptJson};
pub use stats::PreconfStats;

use crate::{
    light::SetProver,
    submit::{NowMs, SubmitError},
    view::{Stats, View},
};
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::ErrorObjectOwned};
use parking_lot::Mutex;
use rota_preconf::Admitted;
use rota_types::{Millis, Stage, Tx};
use std::sync::Arc;

/// Takes a decoded transaction.
pub type Submit = Arc<dyn Fn(&Arc<Tx>) -> Result<Admitted, SubmitError> + Send + Sync>;

/// Bounds and defaults of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcConfig {
    /// Stage from which `eth_getTransactionReceipt` answers.
    pub receipts: Stage,
    /// How long `eth_sendRawTransactionSync` waits if not told, ms.
    pub sync_timeout_ms: u64,
    /// How long it waits at most, ms.
    pub max_sync_timeout_ms: u64,
    /// Gas of a call or an estimate at most.
    pub call_gas_cap: u64,
    /// Blocks of one `eth_getLogs` at most.
    pub max_log_blocks: u64,
    /// Logs of one answer at most.
    pub max_logs: usize,
    /// Tip that wallets are told to give, wei.
    pub suggested_tip: u128,
    /// What an insured amount costs here, in 1/10,000 of it.
    pub premium_bps: u16,
    /// Filters kept; policy when full: refuse.
    pub max_filters: usize,
    /// A filter that nobody asks is dropped after this, ms.
    pub filter_expiry_ms: u64,
    /// Calls in one batch.
    pub max_batch: u32,
    /// Bytes of a request.
    pub max_body: u32,
    /// Bytes of an answer.
    pub max_response: u32,
    /// Connections; policy when full: refuse.
    pub max_connections: u32,
    /// Subscriptions of one connection.
    pub max_subscriptions: u32,
    /// Origins that browsers may call from; `*` for all, empty for none.
    pub cors: Vec<String>,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            receipts: Stage::Preconfirmed,
            sync_timeout_ms: 2_000,
            max_sync_timeout_ms: 60_000,
            call_gas_cap: 50_000_000,
            max_log_blocks: 10_000,
            max_logs: 20_000,
            suggested_tip: 1_000_000,
            premium_bps: 5,
            max_filters: 1_024,
            filter_expiry_ms: 300_000,
            max_batch: 100,
            max_body: 2 * 1024 * 1024,
            max_response: 32 * 1024 * 1024,
            max_connections: 1_024,
            max_subscriptions: 128,
            cors: vec!["*".to_owned()],
        }
    }
}

/// What the server works with.
pub struct Backend {
    /// What this node knows.
    pub view: Arc<View>,
    /// Takes transactions.
    pub submit: Submit,
    /// Facts about the node.
    pub info: Arc<dyn NodeInfo>,
    /// Proves sets on L1; none where no L1 is read.
    pub set_proofs: Option<SetProver>,
    /// The time.
    pub now: NowMs,
    /// Bounds and defaults.
    pub config: RpcConfig,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The backend with what the server itself remembers.
struct Context {
    backend: Backend,
    filters: filters::Filters,
    stats: Mutex<Option<(Millis, Stats)>>,
}

impl std::ops::Deref for Context {
    type Target = Backend;
    fn deref(&self) -> &Backend {
        &self.backend
    }
}

type Module = RpcModule<Context>;
type Answer<T> = Result<T, ErrorObjectOwned>;

/// All methods, for a server or for calling in process.
///
/// # Errors
/// Us: two methods with one name.
pub fn methods(backend: Backend) -> Result<jsonrpsee::Methods, RegisterMethodError> {
    let filters =
        filters::Filters::new(backend.config.max_filters, backend.config.filter_expiry_ms);
    let mut module = RpcModule::new(Context { backend, filters, stats: Mutex::new(None) });
    seq::register(&mut module)?;
    state::register(&mut module)?;
    blocks::register(&mut module)?;
    calls::register(&mut module)?;
    fees::register(&mut module)?;
    logs::register(&mut module)?;
    filters::register(&mut module)?;
    send::register(&mut module)?;
    preconf::register(&mut module)?;
    insurance::register(&mut module)?;
    rewards::register(&mut module)?;
    output::register(&mut module)?;
    light::register(&mut module)?;
    witness::register(&mut module)?;
    subscribe::register(&mut module)?;
    Ok(module.into())
}
