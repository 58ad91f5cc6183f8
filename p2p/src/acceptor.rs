//! Accepts inbound streams, checks their hello, and lets one reader per peer and lane run.
//!
//! Not for: reading messages. Invariant: a newer stream of the same peer and lane replaces the older one, and is
//! read only after the older one's reader has ended, so that the order of a lane is kept.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
};

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _, stream::select_all};
use libp2p::{PeerId, Stream};
use libp2p_stream::IncomingStreams;
use rota_types::wire::Lane;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::timeout,
};

use crate::{
    error::Refusal,
    hello::{Answer, BadHello, HELLO_LEN, Hello, Role},
    hub::Hub,
    incoming::Peer,
    link::{Direction, Link, until_set},
    rate::Place,
    reader::Reader,
    score::PeerFault,
};

/// The stream that is being read for a peer and lane.
#[derive(Debug)]
struct Slot {
    stop: Notify,
    ended: watch::Sender<bool>,
}

type Slots = BTreeMap<(PeerId, Lane), Arc<Slot>>;

/// Who opened a stream.
enum Opener {
    Validator(Arc<Link>),
    Observer { _place: Place },
}

/// Accepts the streams of all lanes.
#[derive(Debug, Clone)]
pub(crate) struct Acceptor {
    hub: Arc<Hub>,
    slots: Arc<Mutex<Slots>>,
    handshakes: Arc<AtomicUsize>,
    observers: Arc<AtomicUsize>,
}

impl Acceptor {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, slots: Arc::default(), handshakes: Arc::default(), observers: Arc::default() }
    }

    /// Runs until the network stops; its readers end with it.
    pub(crate) async fn run(self, inbound: Vec<(Lane, IncomingStreams)>) {
        let mut stop = self.hub.stop.subscribe();
        let mut all = select_all(inbound.into_iter().map(|(lane, streams)| {
            streams.map(move |(peer, stream)| (lane, peer, stream)).boxed()
        }));
        let mut readers = JoinSet::new();
        let mut of_peers: BTreeMap<PeerId, Arc<AtomicUsize>> = BTreeMap::new();
        loop {
            tokio::select! {
                biased;
                () = until_set(&mut stop) => return,
                Some(_) = readers.join_next(), if !readers.is_empty() => {}
                next = all.next() => {
                    let Some((lane, peer, stream)) = next else { return };
                    // A counter that only this map holds counts nothing.
                    of_peers.retain(|_, counter| Arc::strong_count(counter) > 1);
                    let (of_peer, of_all) = self.hub.limits.handshakes;
                    let places = Place::take(of_peers.entry(peer).or_default(), of_peer)
                        .zip(Place::take(&self.handshakes, of_all));
                    match places {
                        Some(places) => {
                            readers.spawn(self.clone().serve(lane, peer, stream, places));
                        }
                        // The opener gets no acknowledgement and tries again later.
                        None => self.hub.report(peer, PeerFault::Flood),
                    }
                }
            }
        }
    }

    /// The whole life of one inbound stream.
    async fn serve(self, lane: Lane, peer: PeerId, mut stream: Stream, places: (Place, Place)) {
        let deadline = self.hub.limits.handshake;
        let greeted = timeout(deadline, self.greet(lane, peer, &mut stream)).await;
        drop(places);
        let opener = match greeted {
            Ok(Some(opener)) => opener,
            Ok(None) => return,
            Err(_) => return self.hub.report(peer, PeerFault::Timeout),
        };
        let (slot, older) = self.take_slot(lane, peer);
        if let Some(older) = older {
            older.stop.notify_one();
            until_set(&mut older.ended.subscribe()).await;
        }
        let link = match &opener {
            Opener::Validator(link) => Some(link.as_ref()),
            Opener::Observer { .. } => None,
        };
        let reason = self.read(lane, peer, &mut stream, (link, &slot)).await;
        tracing::debug!(%peer, lane = lane.name(), reason, "ended inbound stream");
        let replaced = !self.leave_slot(lane, peer, &slot);
        if let (Some(link), false) = (link, replaced) {
            link.lane_down(lane, Direction::In, reason);
            self.hub.attention.notify_one();
        }
        slot.ended.send_replace(true);
    }

    async fn read(
        &self,
        lane: Lane,
        peer: PeerId,
        stream: &mut Stream,
        (link, slot): (Option<&Link>, &Slot),
    ) -> &'static str {
        let (_keep, mut closed) = match link {
            Some(link) => (None, link.closed()),
            None => {
                let never = watch::Sender::new(false);
                let closed = never.subscribe();
                (Some(never), closed)
            }
        };
        if let Some(link) = link {
            link.lane_up(lane, Direction::In);
            self.hub.attention.notify_one();
        }
        let from = Peer { id: peer, index: link.map(|link| link.index) };
        tokio::select! {
            biased;
            () = slot.stop.notified() => "replaced by a newer stream",
            () = until_set(&mut closed) => "no longer in the set",
            // A stream of a connection that this side closed is not woken: watch the connection too.
            () = self.hub.until_departed(&peer) => "disconnected",
            reason = Reader::new(&self.hub, from, lane).run(stream) => reason,
        }
    }

    /// Reads the hello and answers it.
    async fn greet(&self, lane: Lane, peer: PeerId, stream: &mut Stream) -> Option<Opener> {
        let mut bytes = [0; HELLO_LEN];
        stream.read_exact(&mut bytes).await.ok()?;
        let Ok(hello) = Hello::decode(&bytes) else {
            self.hub.report(peer, BadHello::FAULT);
            return None;
        };
        let (mut answer, link) = self.hub.judge_hello(&peer, &hello);
        let mut opener = link.map(Opener::Validator);
        if answer == Answer::Accepted && opener.is_none() {
            opener = Place::take(&self.observers, self.hub.limits.observers)
                .filter(|_| lane == Lane::Bulk)
                .map(|place| Opener::Observer { _place: place });
            answer = match (lane, &opener) {
                (Lane::Bulk, Some(_)) => Answer::Accepted,
                (Lane::Bulk, None) => Answer::Full,
                _ => Answer::NotForObservers,
            };
        }
        let written = async {
            stream.write_all(&self.hub.ack(answer).encode()).await?;
            stream.flush().await
        };
        let written = written.await;
        if answer != Answer::Accepted {
            self.refuse(peer, &hello, answer);
        }
        written.ok()?;
        opener
    }

    fn refuse(&self, peer: PeerId, hello: &Hello, answer: Answer) {
        match (answer, hello.role) {
            (Answer::WrongContext, _) => self.hub.wrong_network(peer, hello.ctx),
            (Answer::WrongVersion, _) => {
                let (theirs, ours) = (hello.version, self.hub.version);
                self.hub.refused(peer, Refusal::WrongVersion { peer, theirs, ours });
            }
            (Answer::NotInSet, Role::Validator) => {
                self.hub.refused(peer, Refusal::NotInSet { peer });
            }
            _ => {}
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_slot(&self, lane: Lane, peer: PeerId) -> (Arc<Slot>, Option<Arc<Slot>>) {
        let slot = Arc::new(Slot { stop: Notify::new(), ended: watch::Sender::new(false) });
        let older = self.slots().insert((peer, lane), Arc::clone(&slot));
        (slot, older)
    }

    /// Whether the slot was still this stream's.
    fn leave_slot(&self, lane: Lane, peer: PeerId, slot: &Arc<Slot>) -> bool {
        let mut slots = self.slots();
        let present = slots.get(&(peer, lane)).is_some_and(|held| Arc::ptr_eq(held, slot));
        if present {
            slots.remove(&(peer, lane));
        }
        present
    }
}
