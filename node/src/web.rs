//! `/metrics`, `/livez` and `/readyz` on an address of their own.
//!
//! Not for: knowing anything. Every check is a closure that its owner gives. Invariant: live means that the
//! main loop makes steps; ready means that users may be sent here.

mod checks;
mod progress;
#[cfg(test)]
mod tests;

pub use checks::{Check, CheckReport, Ready, Severity};
pub use progress::Progress;

use crate::submit::NowMs;
use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{Encoder, Registry, TextEncoder};
use rota_types::Millis;
use std::{io, net::SocketAddr, sync::Arc};
use tokio_util::sync::CancellationToken;

/// A main loop that makes no step for so long is stuck.
const STUCK_MS: Millis = 5_000;

/// What the server shows.
pub struct Web {
    registry: Registry,
    progress: Arc<Progress>,
    now: NowMs,
    stuck_ms: Millis,
    checks: Vec<Check>,
    pulls: Vec<Box<dyn Fn() + Send + Sync>>,
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web").field("checks", &self.checks).finish_non_exhaustive()
    }
}

impl Web {
    /// A server without checks.
    #[must_use]
    pub fn new(registry: Registry, progress: Arc<Progress>, now: NowMs) -> Self {
        let (checks, pulls) = (Vec::new(), Vec::new());
        Self { registry, progress, now, stuck_ms: STUCK_MS, checks, pulls }
    }

    /// For a loop whose steps wait for others: how long a step may take.
    #[must_use]
    pub const fn with_stuck_after(mut self, ms: Millis) -> Self {
        self.stuck_ms = ms;
        self
    }

    /// Adds a check to `/readyz`. The order is that of the answer.
    #[must_use]
    pub fn with_check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Adds several.
    #[must_use]
    pub fn with_checks(mut self, checks: impl IntoIterator<Item = Check>) -> Self {
        self.checks.extend(checks);
        self
    }

    /// Called before each `/metrics`, to set gauges from the source.
    #[must_use]
    pub fn with_pull(mut self, pull: impl Fn() + Send + Sync + 'static) -> Self {
        self.pulls.push(Box::new(pull));
        self
    }

    /// All checks, as of now.
    #[must_use]
    pub fn ready(&self) -> Ready {
        Ready::of(&self.checks)
    }
}

/// The routes, for a server or for calling in process.
pub fn routes(web: Web) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(Arc::new(web))
}

/// Takes the address, so that a port in use is told before anything else starts.
///
/// # Errors
/// The address cannot be used.
pub async fn bind(addr: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(addr).await
}

/// Binds and serves until told to stop.
///
/// # Errors
/// The address cannot be used.
pub async fn serve_web(addr: SocketAddr, web: Web, stop: CancellationToken) -> io::Result<()> {
    serve_on(bind(addr).await?, web, stop).await
}

/// Serves until told to stop.
///
/// # Errors
/// The listener failed.
pub async fn serve_on(
    listener: tokio::net::TcpListener,
    web: Web,
    stop: CancellationToken,
) -> io::Result<()> {
    axum::serve(listener, routes(web)).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn metrics(State(web): State<Arc<Web>>) -> Response {
    web.pulls.iter().for_each(|pull| pull());
    let mut text = Vec::new();
    let encoder = TextEncoder::new();
    match encoder.encode(&web.registry.gather(), &mut text) {
        Ok(()) => {
            ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response()
        }
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).into_response(),
    }
}

async fn livez(State(web): State<Arc<Web>>) -> Response {
    let idle = web.progress.idle_ms((web.now)());
    if idle < web.stuck_ms {
        return (StatusCode::OK, "ok\n").into_response();
    }
    let text = format!("the main loop made no step for {} s\n", idle / 1_000);
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn readyz(State(web): State<Arc<Web>>, RawQuery(query): RawQuery) -> Response {
    let ready = web.ready();
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let verbose =
        query.is_some_and(|q| q.split('&').any(|p| p == "verbose" || p == "verbose=true"));
    let shown = if verbose { ready } else { ready.failing() };
    (status, Json(shown)).into_response()
}
