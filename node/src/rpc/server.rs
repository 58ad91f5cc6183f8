//! The listening server.

use super::{
    Backend,
    count::{CountLayer, RpcCounts},
    methods,
    min_stage::MinStageLayer,
};
use jsonrpsee::{
    core::{middleware::RpcServiceBuilder, traits::IdProvider},
    server::{BatchRequestConfig, PingConfig, Server, ServerConfig, ServerHandle},
    types::SubscriptionId,
};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

/// A running server. Dropping it stops it; [`RpcServer::stop`] also waits for the last answers.
#[derive(Debug)]
pub struct RpcServer {
    addr: SocketAddr,
    handle: ServerHandle,
    counts: Arc<RpcCounts>,
}

impl RpcServer {
    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Calls, for the metrics.
    #[must_use]
    pub fn counts(&self) -> Arc<RpcCounts> {
        self.counts.clone()
    }

    /// Stops taking connections and waits for those that are open to end.
    pub async fn stop(self) {
        // Already stopped is as good.
        let _ = self.handle.stop();
        self.handle.stopped().await;
    }
}

/// Starts the server on `addr`, HTTP and WebSocket on one port. Must be called inside a tokio runtime.
///
/// # Errors
/// The address cannot be used, or (ours) two methods have one name.
pub async fn serve(addr: SocketAddr, backend: Backend) -> io::Result<RpcServer> {
    let config = &backend.config;
    let settings = ServerConfig::builder()
        .max_request_body_size(config.max_body)
        .max_response_body_size(config.max_response)
        .max_connections(config.max_connections)
        .max_subscriptions_per_connection(config.max_subscriptions)
        .set_batch_request_config(BatchRequestConfig::Limit(config.max_batch))
        .enable_ws_ping(PingConfig::new())
        .set_tcp_no_delay(true)
        .set_id_provider(HexIds::default())
        .build();
    let middleware = tower::ServiceBuilder::new().layer(cors(&config.cors)).layer(MinStageLayer);
    let module = methods(backend).map_err(io::Error::other)?;
    let counts = Arc::new(RpcCounts::new(module.method_names()));
    let counted = RpcServiceBuilder::new().layer(CountLayer(counts.clone()));
    let server = Server::builder()
        .set_config(settings)
        .set_http_middleware(middleware)
        .set_rpc_middleware(counted)
        .build(addr)
        .await?;
    let addr = server.local_addr()?;
    Ok(RpcServer { addr, handle: server.start(module), counts })
}

/// Ids of subscriptions as hex text: clients of Ethereum take no numbers. They are good on one connection
/// only, so counting gives nothing away.
#[derive(Debug, Default)]
struct HexIds(AtomicU64);

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        let id = self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        SubscriptionId::Str(format!("{id:#x}").into())
    }
}

fn cors(origins: &[String]) -> CorsLayer {
    let layer = CorsLayer::new().allow_methods(Any).allow_headers(Any);
    if origins.iter().any(|o| o == "*") {
        return layer.allow_origin(Any);
    }
    let list = origins.iter().filter_map(|o| o.parse().ok());
    layer.allow_origin(AllowOrigin::list(list))
}
