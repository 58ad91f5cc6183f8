//! `x-preconf-min-stage: decided`: one client asks for more certainty than the server's default.

use super::Context;
use axum::http::Request;
use jsonrpsee::Extensions;
use rota_types::Stage;
use std::task::{Context as TaskContext, Poll};
use tower::{Layer, Service};

const HEADER: &str = "x-preconf-min-stage";

/// The stage that a request wants, on its extensions.
#[derive(Debug, Clone, Copy)]
struct MinStage(Stage);

/// Reads the header.
#[derive(Debug, Clone, Copy)]
pub(super) struct MinStageLayer;

/// The service with the header read.
#[derive(Debug, Clone)]
pub(super) struct ReadMinStage<S>(S);

impl<S> Layer<S> for MinStageLayer {
    type Service = ReadMinStage<S>;
    fn layer(&self, inner: S) -> ReadMinStage<S> {
        ReadMinStage(inner)
    }
}

impl<S, B> Service<Request<B>> for ReadMinStage<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(value) = request.headers().get(HEADER) {
            // Who asks for more and misspells it must not get less.
            let stage = value.to_str().ok().and_then(|v| v.trim().parse().ok());
            request.extensions_mut().insert(MinStage(stage.unwrap_or(Stage::Finalized)));
        }
        self.0.call(request)
    }
}

impl Context {
    /// The stage from which this request is given receipts.
    pub(super) fn min_stage(&self, extensions: &Extensions) -> Stage {
        let asked = extensions.get::<MinStage>().map_or(Stage::Received, |m| m.0);
        asked.max(self.config.receipts).max(Stage::Preconfirmed)
    }
}
