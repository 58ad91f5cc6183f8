//! From the network to the threads: frames are verified on their own thread, votes go straight to the
//! replica, forwarded transactions to the queue.
//!
//! Queues: `frames` and `bundles`, bounded, policy wait (the peer's lane is not read meanwhile).
//! Invariant: nothing unverified reaches the replica as a `Frame`; whoever sends garbage is scored.

mod bundles;

pub use bundles::{Bundle, forward, take_bundles};

use crate::{
    engine::ReplicaInput,
    sets::Sets,
    slash::{Shown, Tape},
};
use alloy_primitives::{B256, Bytes, keccak256};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;
use rayon::prelude::*;
use rota_consensus::{PeerNo, Synced};
use rota_p2p::{Busy, Handle, Incoming, Peer, PeerFault, Sink, Target, Topic};
use rota_preconf::{Frame, InvalidFrame};
use rota_store::Blocks;
use rota_types::{
    Domain, Encode, Signed, SignedFrame, Tx,
    wire::{DecidedHeight, MAX_HEIGHTS, MAX_RESPONSE, MAX_WITNESSED, Message, Request, Response},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

/// Transactions decoded lately, so that a sender is recovered once per node.
#[derive(Debug, Default)]
pub struct TxCache(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    txs: BTreeMap<B256, Arc<Tx>>,
    /// Oldest first.
    order: VecDeque<B256>,
}

const CACHED_TXS: usize = 65_536;

impl TxCache {
    /// The transaction with this hash.
    #[must_use]
    pub fn get(&self, hash: &B256) -> Option<Arc<Tx>> {
        self.0.lock().txs.get(hash).cloned()
    }
    /// Remembers a transaction; the oldest goes when full.
    pub fn put(&self, tx: &Arc<Tx>) {
        let mut inner = self.0.lock();
        if inner.txs.insert(tx.hash, Arc::clone(tx)).is_none() {
            inner.order.push_back(tx.hash);
        }
        while inner.order.len() > CACHED_TXS {
            if let Some(old) = inner.order.pop_front() {
                inner.txs.remove(&old);
            }
        }
    }
}

/// What checking frames needs.
#[derive(Clone)]
pub struct Verifier {
    /// The sets.
    pub sets: Arc<Sets>,
    /// What signatures are for.
    pub domain: Domain,
    /// Known transactions.
    pub cache: Arc<TxCache>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("sets", &self.sets).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Checks a frame with the set of its epoch; transactions that are new are decoded in parallel first.
    pub fn verify(&self, signed: SignedFrame) -> Result<Frame, Unverified> {
        let number = signed.header.epoch;
        let epoch = self.sets.get(number).ok_or(Unverified::Epoch(number))?;
        let unknown: Vec<&Bytes> = signed
            .body
            .txs
            .iter()
            .filter(|raw| self.cache.get(&keccak256(raw)).is_none())
            .collect();
        if unknown.len() > 4 {
            let chain_id = self.domain.l2_chain_id;
            let decoded: Vec<_> =
                unknown.par_iter().filter_map(|raw| Tx::decode(raw, chain_id).ok()).collect();
            decoded.into_iter().for_each(|tx| self.cache.put(&Arc::new(tx)));
        }
        Ok(Frame::verify(signed, epoch.set(), &self.domain, |hash| self.cache.get(hash))?)
    }
}

/// Why a frame is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// Nobody's fault: this node has not read the set from L1 yet. It is asked for again.
    #[error("the set of epoch {0} is not known here")]
    Epoch(u64),
    /// The sender's fault.
    #[error(transparent)]
    Invalid(#[from] InvalidFrame),
}

/// A frame to verify, with its sender.
pub type RawFrame = (Box<SignedFrame>, Peer);

/// The queues behind the sink.
#[derive(Debug)]
pub struct Doors {
    /// To the verifier.
    pub frames: Sender<RawFrame>,
    /// To the submitter.
    pub bundles: Sender<Bundle>,
    /// To the replica.
    pub replica: Sender<ReplicaInput>,
    /// To the watch: evidence that others gossip.
    pub evidence: Sender<Shown>,
    /// What members signed, besides frames, which come here once they are verified.
    pub tape: Arc<Tape>,
}

/// Where everything from the network goes. Never blocks.
#[must_use]
pub fn sink(doors: Doors) -> Sink {
    Arc::new(move |incoming| {
        match incoming {
            Incoming::Message { from, message } => return doors.message(from, message),
            Incoming::PeerUp { index } => tracing::info!(index, "validator connected"),
            Incoming::PeerDown { index, reason } => {
                tracing::warn!(index, %reason, "validator disconnected");
            }
            Incoming::Refused { peer, refusal } => {
                tracing::warn!(peer = %peer.id, %refusal, "stream refused");
            }
            Incoming::Banned { peer } => {
                tracing::warn!(peer = %peer.id, "peer shut out for a while");
            }
            Incoming::RoleChanged { role } => tracing::info!(?role, "role changed"),
            Incoming::Gossip { topic: Topic::Evidence, data, id, .. } => {
                if doors.evidence.try_send(Shown::Gossip(data, id)).is_err() {
                    tracing::warn!("more evidence than can be looked at");
                }
            }
            // A missing frame shows by its child and is asked for; votes are repeated.
            Incoming::Gap { .. } | Incoming::Gossip { .. } => {}
        }
        Ok(())
    })
}

impl Doors {
    fn message(&self, from: Peer, message: Box<Message>) -> Result<(), Busy> {
        let busy = |message| Busy(Box::new(Incoming::Message { from, message }));
        match *message {
            Message::Frame(frame) => match self.frames.try_send((Box::new(frame), from)) {
                Err(TrySendError::Full((frame, _))) => Err(busy(Box::new(Message::Frame(*frame)))),
                _ => Ok(()),
            },
            Message::Txs(txs) => match self.bundles.try_send(Bundle::Plain(txs)) {
                Err(TrySendError::Full(bundle)) => Err(busy(Box::new(bundle.message()))),
                _ => Ok(()),
            },
            Message::InsuredTxs(txs) => match self.bundles.try_send(Bundle::Insured(txs)) {
                Err(TrySendError::Full(bundle)) => Err(busy(Box::new(bundle.message()))),
                _ => Ok(()),
            },
            other => {
                let Some(index) = from.index else { return Ok(()) };
                let said = Signed::all_of(&other);
                let input = ReplicaInput::Message(PeerNo(index), Box::new(other));
                match self.replica.try_send(input) {
                    Err(TrySendError::Full(ReplicaInput::Message(_, message))) => {
                        Err(busy(message))
                    }
                    _ => {
                        self.tape.extend(said);
                        Ok(())
                    }
                }
            }
        }
    }
}

/// Verifies frames until their queue closes.
pub fn verify_frames(
    frames: &Receiver<RawFrame>,
    verifier: &Verifier,
    (replica, tape): (&Sender<ReplicaInput>, &Tape),
    p2p: &Handle,
) {
    for (signed, from) in frames {
        let Some(index) = from.index else { continue };
        match verifier.verify(*signed) {
            Ok(frame) => {
                let said = &frame.signed;
                tape.extend(vec![Signed::Frame(said.header.clone(), said.signature)]);
                if replica.send(ReplicaInput::Frame(Arc::new(frame), PeerNo(index))).is_err() {
                    return;
                }
            }
            Err(Unverified::Epoch(epoch)) => {
                tracing::debug!(index, epoch, "a frame of a set that is not known yet");
            }
            Err(Unverified::Invalid(error)) => {
                tracing::warn!(peer = %from.id, %error, "a peer sent a bad frame");
                let fault = match error {
                    InvalidFrame::Signature(_) => PeerFault::InvalidSignature,
                    _ => PeerFault::BadFrame,
                };
                p2p.report(from.id, fault);
            }
        }
    }
}

/// The connected peer with this number.
#[must_use]
pub fn connected(p2p: &Handle, peer: PeerNo) -> Option<Peer> {
    p2p.peers().into_iter().map(|p| p.peer).find(|p| p.index == Some(peer.0))
}

/// Answers peers: frames from the replica, heights from the database.
#[must_use]
pub fn handler(
    replica: Sender<ReplicaInput>,
    store: Blocks,
    tape: Arc<Tape>,
) -> Arc<dyn Fn(Peer, Request) -> Response + Send + Sync> {
    Arc::new(move |_, request| match request {
        Request::Frames { .. } | Request::Justification { .. } | Request::SignedBy { .. } => {
            let none = match request {
                Request::Justification { .. } => Response::Justification(None),
                // To `SignedBy` this is no answer, not "nothing of that key": who asked asks again.
                _ => Response::Frames(Vec::new()),
            };
            let (reply, answer) = bounded(1);
            let asked = replica.try_send(ReplicaInput::Asked { request, reply });
            let answer = match asked {
                Ok(()) => answer.recv_timeout(Duration::from_secs(2)).unwrap_or(none),
                Err(_) => none,
            };
            match answer {
                Response::Frames(frames) => Response::Frames(fit(frames)),
                other => other,
            }
        }
        Request::Heights { from, count } => {
            let count = usize::try_from(count).unwrap_or(MAX_HEIGHTS).min(MAX_HEIGHTS);
            let heights = store.heights(from, count).unwrap_or_else(|error| {
                tracing::error!(%error, "reading heights for a peer failed");
                Vec::new()
            });
            Response::Heights(fit(heights))
        }
        Request::Witness { from, count } => {
            let count = usize::try_from(count).unwrap_or(MAX_WITNESSED).min(MAX_WITNESSED);
            let (from, statements) = tape.read(from, count);
            Response::Witness { from, statements: fit(statements) }
        }
    })
}

/// As many items as fit into a response.
fn fit<T: Encode>(items: Vec<T>) -> Vec<T> {
    let mut left = MAX_RESPONSE.saturating_sub(1024);
    items
        .into_iter()
        .take_while(|item| {
            let size = item.encode().len();
            let fits = size <= left;
            left = left.saturating_sub(size);
            fits
        })
        .collect()
}

/// Makes the replica's requests, a few at a time.
pub async fn ask(
    mut asks: tokio::sync::mpsc::Receiver<(PeerNo, Request)>,
    p2p: Handle,
    verifier: Verifier,
    doors: (Sender<RawFrame>, Sender<ReplicaInput>),
) {
    let mut under_way = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
            next = asks.recv(), if under_way.len() < 16 => {
                let Some((to, request)) = next else { return };
                let (p2p, verifier, doors) = (p2p.clone(), verifier.clone(), doors.clone());
                under_way.spawn(async move {
                    match p2p.request(Target::Validator(to.0), &request).await {
                        Ok(response) => answer(to, response, &p2p, verifier, doors).await,
                        Err(error) => tracing::debug!(to = to.0, %error, "request not answered"),
                    }
                });
            }
        }
    }
}

async fn answer(
    to: PeerNo,
    response: Response,
    p2p: &Handle,
    verifier: Verifier,
    doors: (Sender<RawFrame>, Sender<ReplicaInput>),
) {
    let Some(peer) = connected(p2p, to) else { return };
    let (frames, replica) = doors;
    let work = move || match response {
        Response::Frames(list) => {
            for frame in list {
                if frames.send((Box::new(frame), peer)).is_err() {
                    return;
                }
            }
        }
        Response::Justification(None) => {}
        Response::Witness { statements, .. } => {
            if replica.send(ReplicaInput::Signed(to, statements)).is_err() {
                tracing::debug!("the replica has ended");
            }
        }
        Response::Justification(Some(what)) => {
            if replica.send(ReplicaInput::Justification(to, what)).is_err() {
                tracing::debug!("the replica has ended");
            }
        }
        Response::Heights(list) => {
            // Up to the first height whose set is not known here yet.
            let known = |h: &DecidedHeight| verifier.sets.get(h.header.close.epoch).is_some();
            let heights: Vec<Synced> = list
                .into_iter()
                .take_while(known)
                .map(|h| Synced {
                    header: h.header,
                    certificate: h.certificate,
                    frames: h
                        .frames
                        .into_iter()
                        .filter_map(|f| verifier.verify(f).ok())
                        .map(Arc::new)
                        .collect(),
                })
                .collect();
            if replica.send(ReplicaInput::Synced(to, heights)).is_err() {
                tracing::debug!("the replica has ended");
            }
        }
    };
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        tracing::error!(%error, "an answer was not taken");
    }
}
