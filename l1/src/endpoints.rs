//! Several RPC endpoints as one: the next is asked when one fails.
//!
//! Invariant: one question is answered by one endpoint from start to end, so an answer never mixes two views of the chain.

use crate::{L1Error, Refusal};
use alloy::network::Ethereum;
use alloy::providers::{ProviderBuilder, RootProvider};
use alloy::transports::{RpcError, TransportError};
use alloy_primitives::Bytes;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// JSON-RPC code of a reverted call (geth, reth, anvil).
const CODE_REVERTED: i64 = 3;

/// Why one endpoint gave no answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// This endpoint's fault: ask the next.
    Endpoint(String),
    /// It answered with an error: ask the next, but a broadcast reads the words.
    Said {
        /// JSON-RPC code.
        code: i64,
        /// Its words.
        message: String,
    },
    /// This endpoint sees another chain: ask the next, and say so if none sees it.
    View(L1Error),
    /// The same everywhere: do not ask the next.
    Final(L1Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(why) => f.write_str(why),
            Self::Said { code, message } => write!(f, "error {code}: {message}"),
            Self::View(e) | Self::Final(e) => e.fmt(f),
        }
    }
}

impl From<TransportError> for Fault {
    fn from(e: TransportError) -> Self {
        let RpcError::ErrorResp(payload) = &e else { return Self::Endpoint(e.to_string()) };
        if let Some(refusal) = payload.as_revert_data().and_then(|data| Refusal::decode(&data)) {
            return Self::Final(L1Error::Refused(refusal));
        }
        if payload.code == CODE_REVERTED || payload.message.starts_with("execution reverted") {
            let data: Bytes = payload.as_revert_data().unwrap_or_default();
            return Self::Final(L1Error::Reverted(format!("{} ({data})", payload.message)));
        }
        Self::Said { code: payload.code, message: payload.message.to_string() }
    }
}

impl From<alloy::contract::Error> for Fault {
    fn from(e: alloy::contract::Error) -> Self {
        match e {
            alloy::contract::Error::TransportError(e) => e.into(),
            other => Self::Endpoint(format!("no such contract there? {other}")),
        }
    }
}

struct Endpoint {
    label: String,
    url: String,
    provider: RootProvider<Ethereum>,
}

/// RPC endpoints of one chain, in order of preference.
pub struct Endpoints {
    list: Vec<Endpoint>,
    preferred: AtomicUsize,
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter().map(|e| &e.label)).finish()
    }
}

impl Endpoints {
    /// Endpoints by address; `timeout` holds for one request.
    pub fn new(urls: &[String], timeout: Duration) -> Result<Self, L1Error> {
        let client = client(timeout)?;
        let list: Vec<Endpoint> = urls
            .iter()
            .map(|url| {
                let parsed = url
                    .parse()
                    .map_err(|_| L1Error::Config(format!("not an address: {}", label(url))))?;
                let provider = ProviderBuilder::default().connect_reqwest(client.clone(), parsed);
                Ok(Endpoint { label: label(url), url: url.clone(), provider })
            })
            .collect::<Result<_, L1Error>>()?;
        if list.is_empty() {
            return Err(L1Error::Config("no L1 endpoint is configured".into()));
        }
        Ok(Self { list, preferred: AtomicUsize::new(0) })
    }

    /// Asks the preferred endpoint, then the others in turn. The one that answers is preferred from then on.
    pub(crate) async fn ask<T, A, F>(&self, question: A) -> Result<T, L1Error>
    where
        A: Fn(RootProvider<Ethereum>) -> F,
        F: Future<Output = Result<T, Fault>>,
    {
        let first = self.preferred.load(Ordering::Relaxed);
        let (mut reasons, mut view) = (Vec::new(), None);
        for (index, endpoint) in self.from(first) {
            match question(endpoint.provider.clone()).await {
                Ok(answer) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(Fault::Final(e)) => return Err(e),
                Err(Fault::View(e)) => view = Some(e),
                Err(fault @ (Fault::Endpoint(_) | Fault::Said { .. })) => {
                    let why = endpoint.named(&fault.to_string());
                    tracing::warn!(%why, "L1 endpoint failed");
                    reasons.push(why);
                }
            }
        }
        Err(view.unwrap_or_else(|| L1Error::Unavailable(reasons.join("; "))))
    }

    /// Asks every endpoint; gives each one's name and answer.
    pub(crate) async fn ask_all<T, A, F>(&self, question: A) -> Vec<Result<T, (Fault, String)>>
    where
        A: Fn(RootProvider<Ethereum>) -> F,
        F: Future<Output = Result<T, Fault>>,
    {
        let each = self.list.iter().map(|endpoint| {
            let answer = question(endpoint.provider.clone());
            async move {
                answer.await.map_err(|fault| {
                    let named = endpoint.named(&fault.to_string());
                    (fault, named)
                })
            }
        });
        futures::future::join_all(each).await
    }

    /// Prefers the next endpoint. For a caller who sees that the answers are old: an endpoint that stopped following the
    /// chain still answers.
    pub fn rotate(&self) {
        let next = self.preferred.load(Ordering::Relaxed).saturating_add(1);
        let next = next.checked_rem(self.list.len()).unwrap_or(0);
        self.preferred.store(next, Ordering::Relaxed);
    }

    fn from(&self, first: usize) -> impl Iterator<Item = (usize, &Endpoint)> {
        let all = || self.list.iter().enumerate();
        all().skip(first).chain(all().take(first))
    }
}

impl Endpoint {
    /// The reason with the endpoint's name, and without its address: that may hold a key.
    fn named(&self, why: &str) -> String {
        let bare = self.url.trim_end_matches('/');
        format!(
            "{}: {}",
            self.label,
            why.replace(&self.url, &self.label).replace(bare, &self.label)
        )
    }
}

/// An HTTP client that gives up after `timeout`.
pub(crate) fn client(timeout: Duration) -> Result<reqwest::Client, L1Error> {
    reqwest::Client::builder()
        .timeout(timeout)
        .build()
        .map_err(|e| L1Error::Config(format!("HTTP client: {e}")))
}

/// Scheme, host and port of an address.
pub(crate) fn label(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(no scheme)".into() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::providers::Provider;

    #[test]
    fn a_label_holds_no_secret() {
        assert_eq!(
            label("https://user:pw@rpc.example:8545/v3/KEY?k=KEY#KEY"),
            "https://rpc.example:8545"
        );
        assert_eq!(label("https://rpc.example?k=KEY"), "https://rpc.example");
        assert_eq!(label("KEY"), "(no scheme)");
    }

    #[tokio::test]
    async fn every_dead_endpoint_is_named_and_no_key_shown() {
        let urls = ["http://127.0.0.1:1/KEY".to_string(), "http://127.0.0.1:2/KEY".to_string()];
        let endpoints = Endpoints::new(&urls, Duration::from_secs(2)).unwrap();
        let asked = endpoints.ask(|p| async move { Ok(p.get_chain_id().await?) }).await;
        let Err(L1Error::Unavailable(why)) = asked else { panic!("{asked:?}") };
        assert!(
            why.contains("http://127.0.0.1:1:") && why.contains("http://127.0.0.1:2:"),
            "{why}"
        );
        assert!(!why.contains("KEY"), "{why}");
    }

    #[tokio::test]
    async fn the_endpoint_that_answers_is_preferred_and_final_answers_end_the_search() {
        let urls: Vec<String> = (1..4).map(|p| format!("http://127.0.0.1:{p}")).collect();
        let endpoints = Endpoints::new(&urls, Duration::from_secs(2)).unwrap();
        let asked = AtomicUsize::new(0);
        let question = |_| {
            let n = asked.fetch_add(1, Ordering::Relaxed);
            async move { if n == 0 { Err(Fault::Endpoint("down".into())) } else { Ok(n) } }
        };
        assert_eq!(endpoints.ask(question).await, Ok(1));
        assert_eq!(endpoints.preferred.load(Ordering::Relaxed), 1);
        let asked = AtomicUsize::new(0);
        let refused = endpoints
            .ask(|_| {
                asked.fetch_add(1, Ordering::Relaxed);
                async { Err::<(), _>(Fault::Final(L1Error::Refused(Refusal::NoBlob))) }
            })
            .await;
        assert_eq!(refused, Err(L1Error::Refused(Refusal::NoBlob)));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn rotation_passes_over_an_endpoint_that_answers() {
        let urls: Vec<String> = (1..3).map(|p| format!("http://127.0.0.1:{p}")).collect();
        let endpoints = Endpoints::new(&urls, Duration::from_secs(2)).unwrap();
        let asked = async || endpoints.ask(|p| async move { Ok(p.client().is_local()) }).await;
        for expected in [0, 1, 0] {
            asked().await.unwrap();
            assert_eq!(endpoints.preferred.load(Ordering::Relaxed), expected);
            endpoints.rotate();
        }
    }

    #[tokio::test]
    async fn a_view_that_nobody_shares_is_reported_as_such() {
        let urls = ["http://127.0.0.1:1".to_string(), "http://127.0.0.1:2".to_string()];
        let endpoints = Endpoints::new(&urls, Duration::from_secs(2)).unwrap();
        let view = || L1Error::NotCanonical { number: 3, hash: alloy_primitives::B256::ZERO };
        let asked = endpoints.ask(|_| async { Err::<(), _>(Fault::View(view())) }).await;
        assert_eq!(asked, Err(view()));
    }
}
