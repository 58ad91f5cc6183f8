//! Calls counted by method, for the metrics.
//!
//! Invariant: a method that does not exist is counted under one name, so that clients cannot make series.

use jsonrpsee::{
    MethodResponse,
    core::middleware::{Batch, BatchEntry, Notification, RpcServiceT},
    types::Request,
};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const UNKNOWN: &str = "unknown";
/// What became of a call; those in a batch are counted and their answers not looked at.
const CODES: [&str; 3] = ["ok", "error", "batch"];

/// Calls since they were last taken.
#[derive(Debug)]
pub struct RpcCounts(BTreeMap<&'static str, [AtomicU64; 3]>);

impl RpcCounts {
    pub(super) fn new(methods: impl Iterator<Item = &'static str>) -> Self {
        let all = methods.chain([UNKNOWN]);
        Self(all.map(|name| (name, [const { AtomicU64::new(0) }; 3])).collect())
    }

    fn add(&self, method: &str, code: usize) {
        let counters = self.0.get(method).or_else(|| self.0.get(UNKNOWN));
        if let Some(counter) = counters.and_then(|c| c.get(code)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Method, code and number of calls since the last time.
    pub fn take(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let each = |(name, counters): (&&'static str, &[AtomicU64; 3])| {
            let name = *name;
            let counts = counters.each_ref().map(|c| c.swap(0, Ordering::Relaxed));
            CODES.into_iter().zip(counts).map(move |(code, count)| (name, code, count))
        };
        self.0.iter().flat_map(each).filter(|(_, _, count)| *count > 0)
    }
}

/// Counts what passes.
#[derive(Debug, Clone)]
pub(super) struct CountLayer(pub(super) Arc<RpcCounts>);

impl<S> tower::Layer<S> for CountLayer {
    type Service = Count<S>;
    fn layer(&self, inner: S) -> Count<S> {
        Count { inner, counts: self.0.clone() }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Count<S> {
    inner: S,
    counts: Arc<RpcCounts>,
}

impl<S> RpcServiceT for Count<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse> + Send + Sync + Clone + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = S::NotificationResponse;
    type BatchResponse = S::BatchResponse;

    fn call<'a>(
        &self,
        request: Request<'a>,
    ) -> impl Future<Output = Self::MethodResponse> + Send + 'a {
        let (inner, counts) = (self.inner.clone(), self.counts.clone());
        async move {
            let method = request.method.clone();
            let response = inner.call(request).await;
            counts.add(&method, usize::from(!response.is_success()));
            response
        }
    }

    fn batch<'a>(
        &self,
        requests: Batch<'a>,
    ) -> impl Future<Output = Self::BatchResponse> + Send + 'a {
        for entry in requests.iter().flatten() {
            if let BatchEntry::Call(request) = entry {
                self.counts.add(&request.method, 2);
            }
        }
        self.inner.batch(requests)
    }

    fn notification<'a>(
        &self,
        n: Notification<'a>,
    ) -> impl Future<Output = Self::NotificationResponse> + Send + 'a {
        self.inner.notification(n)
    }
}
