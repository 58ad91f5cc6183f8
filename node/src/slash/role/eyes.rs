//! What the slasher sees with: a connection to the members as an observer, and their tapes.
//!
//! Invariant: it needs nothing but the sets on L1, and an identity that is made for the run.

use super::super::{WatchInput, known::KnownSets, link, read_tapes, stranger};
use rota_p2p::{GossipId, Handle, Incoming, Sink, Topic};
use rota_types::Domain;
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Between two looks at a member's tape.
const TAPE: Duration = Duration::from_millis(200);
/// Pieces waiting for the watcher, and what it gives.
pub(super) const QUEUE: usize = 256;

/// The members of the newest two sets, under one directory: places are those of the newest.
pub(super) fn peers(sets: &KnownSets) -> Vec<rota_p2p::PeerEntry> {
    sets.newest().map(|set| crate::sets::entries_of(&set)).unwrap_or_default()
}

/// Connects as an observer, with an identity of its own for this run.
pub(super) async fn observe(
    domain: &Domain,
    sets: &KnownSets,
    gossip: mpsc::Sender<(Vec<u8>, GossipId)>,
) -> eyre::Result<Handle> {
    let sink: Sink = Arc::new(move |incoming| {
        if let Incoming::Gossip { topic: Topic::Evidence, data, id, .. } = incoming
            && gossip.try_send((data, id)).is_err()
        {
            tracing::warn!("more evidence than can be looked at");
        }
        Ok(())
    });
    link(domain, peers(sets), stranger()?, sink).await
}

#[expect(clippy::disallowed_methods, reason = "two named tasks of the program")]
pub(super) fn start_tapes(
    p2p: &Handle,
    to_watcher: &mpsc::Sender<WatchInput>,
    stop: &CancellationToken,
) {
    let (heard_in, mut heard) = mpsc::channel(QUEUE);
    tokio::spawn(read_tapes(p2p.clone(), heard_in, TAPE, stop.clone()));
    let to_watcher = to_watcher.clone();
    tokio::spawn(async move {
        while let Some(piece) = heard.recv().await {
            if to_watcher.send(WatchInput::Heard(piece)).await.is_err() {
                return;
            }
        }
    });
}
