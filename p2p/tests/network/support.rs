//! Nodes for tests: each collects what comes in, in a bounded channel, and can play "busy" per lane.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use rota_p2p::{
    Busy, Config, Ctx, Handle, Identity, Incoming, Limits, Multiaddr, PeerEntry, PeerId,
    RequestHandler, Sink, Topic, start,
};
use rota_types::{
    Ack, B256, Bytes, Flags, FrameBody, FrameHeader, RoundCertificate, SignedAck, SignedFrame,
    Term,
    wire::{Lane, Message, Response},
};
use tokio::{sync::mpsc, time::timeout};

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const CTX: Ctx = Ctx([7; 32]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Quic,
}

impl Transport {
    pub(crate) fn any_port(self) -> Multiaddr {
        let text = match self {
            Self::Tcp => "/ip4/127.0.0.1/tcp/0",
            Self::Quic => "/ip4/127.0.0.1/udp/0/quic-v1",
        };
        text.parse().expect("an address")
    }
}

/// A running node.
pub(crate) struct Node {
    pub(crate) handle: Handle,
    pub(crate) incoming: mpsc::Receiver<Incoming>,
    told_up: BTreeSet<u16>,
    /// Bits of the lanes on which the sink says "busy".
    busy: Arc<AtomicU8>,
}

pub(crate) fn identity(seed: u8) -> Identity {
    Identity::from_secret(&mut [seed; 32]).expect("a key")
}

pub(crate) fn config(seed: u8, listen: Multiaddr) -> Config {
    Config {
        identity: identity(seed),
        ctx: CTX,
        version: 1,
        listen: vec![listen],
        validators: vec![],
        bootnodes: vec![],
        topics: vec![],
        limits: Limits::default(),
    }
}

pub(crate) fn no_answers() -> RequestHandler {
    Arc::new(|_, _| Response::Frames(vec![]))
}

fn bit(lane: Lane) -> u8 {
    1 << (lane as u8)
}

impl Node {
    pub(crate) async fn start(config: Config) -> Self {
        Self::serve(config, no_answers()).await
    }

    pub(crate) async fn serve(config: Config, handler: RequestHandler) -> Self {
        let (sender, incoming) = mpsc::channel(100_000);
        let busy = Arc::new(AtomicU8::new(0));
        let gate = Arc::clone(&busy);
        let sink: Sink = Arc::new(move |item: Incoming| {
            if let Incoming::Message { message, .. } = &item
                && gate.load(Ordering::SeqCst) & bit(message.lane()) != 0
            {
                return Err(Busy(Box::new(item)));
            }
            sender.try_send(item).map_err(|error| Busy(Box::new(error.into_inner())))
        });
        let handle = start(config, sink, handler).await.expect("a free port");
        Self { handle, incoming, told_up: BTreeSet::new(), busy }
    }

    /// Starts on a port that was in use a moment ago: a QUIC socket outlives its node until its connections have
    /// drained.
    pub(crate) async fn restart(config: Config) -> Self {
        let port_is_free = || async {
            let udp = config.listen[0].to_string().contains("udp");
            let port = config.listen[0].to_string().split('/').nth(4).map(str::to_owned);
            let address = format!("127.0.0.1:{}", port.expect("a port"));
            !udp || tokio::net::UdpSocket::bind(address).await.is_ok()
        };
        let waited = async {
            while !port_is_free().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(DEADLINE, waited).await.expect("the old socket closes");
        Self::start(config).await
    }

    pub(crate) fn set_busy(&self, lane: Lane, busy: bool) {
        if busy {
            self.busy.fetch_or(bit(lane), Ordering::SeqCst);
        } else {
            self.busy.fetch_and(!bit(lane), Ordering::SeqCst);
        }
    }

    pub(crate) fn entry(&self, index: u16) -> PeerEntry {
        PeerEntry { index, peer: self.handle.peer_id(), addrs: self.handle.listen_addrs() }
    }

    /// The first thing that `pick` wants.
    pub(crate) async fn wait<T>(&mut self, mut pick: impl FnMut(Incoming) -> Option<T>) -> T {
        let (incoming, told_up) = (&mut self.incoming, &mut self.told_up);
        let found = async {
            loop {
                let item = incoming.recv().await.expect("the node runs");
                match &item {
                    Incoming::PeerUp { index } => _ = told_up.insert(*index),
                    Incoming::PeerDown { index, .. } => _ = told_up.remove(index),
                    _ => {}
                }
                if let Some(wanted) = pick(item) {
                    return wanted;
                }
            }
        };
        timeout(DEADLINE, found).await.expect("it did not come in time")
    }

    /// Waits until this node was told that all of `indices` are up.
    pub(crate) async fn wait_up(&mut self, indices: Vec<u16>) {
        while indices.iter().any(|index| !self.told_up.contains(index)) {
            self.wait(|item| matches!(item, Incoming::PeerUp { .. }).then_some(())).await;
        }
    }

    pub(crate) async fn wait_down(&mut self, wanted: u16) -> String {
        let down = self.wait(|item| match item {
            Incoming::PeerDown { index, reason } if index == wanted => Some(reason),
            _ => None,
        });
        down.await
    }

    /// The next message or gap: sender's index, lane, sequence number or `None` for a gap.
    pub(crate) async fn next_message(&mut self) -> (Option<u16>, Lane, Option<u64>) {
        let next = self.wait(|item| match item {
            Incoming::Message { from, message } => {
                Some((from.index, message.lane(), Some(sequence(&message))))
            }
            Incoming::Gap { from, lane } => Some((from.index, lane, None)),
            _ => None,
        });
        next.await
    }
}

/// Polls `condition` until it holds; for state that has no event.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let polled = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(DEADLINE, polled).await.is_ok(), "{what} did not happen in time");
}

/// Starts `count` nodes that do not know each other yet.
pub(crate) async fn strangers(count: u8, transport: Transport) -> Vec<Node> {
    let mut nodes = Vec::new();
    for seed in 1..=count {
        nodes.push(Node::start(config(seed, transport.any_port())).await);
    }
    nodes
}

pub(crate) fn set_of(nodes: &[Node]) -> Vec<PeerEntry> {
    (0_u16..).zip(nodes).map(|(index, node)| node.entry(index)).collect()
}

/// Makes all nodes validators of one set at the same moment and waits until every stream is up.
pub(crate) async fn connect(nodes: &mut [Node]) {
    let set = set_of(nodes);
    for node in nodes.iter() {
        node.handle.set_peers(set.clone()).expect("a fine set");
    }
    let all: Vec<u16> = set.iter().map(|entry| entry.index).collect();
    for (own, node) in (0_u16..).zip(nodes.iter_mut()) {
        node.wait_up(all.iter().copied().filter(|index| *index != own).collect()).await;
    }
}

pub(crate) async fn mesh(count: u8, transport: Transport) -> Vec<Node> {
    let mut nodes = strangers(count, transport).await;
    connect(&mut nodes).await;
    nodes
}

pub(crate) async fn shutdown(nodes: Vec<Node>) {
    for node in nodes {
        let closed: std::pin::Pin<Box<dyn Future<Output = ()>>> = Box::pin(node.handle.shutdown());
        timeout(DEADLINE, closed).await.expect("it closes");
    }
}

fn frame(g: u64, size: usize) -> SignedFrame {
    let zero = B256::ZERO;
    let header = FrameHeader {
        epoch: 1,
        term: Term { height: 1, round: 0 },
        leader: 0,
        g,
        seq: 0,
        prev_hash: zero,
        init_hash: zero,
        height: 1,
        flags: Flags::from_bits(0).expect("no flag"),
        timestamp_ms: 0,
        tx_count: 1,
        tx_root: zero,
        gas_cum: 0,
        exec_commit: zero,
        insured_cum: 0,
        env_hash: zero,
        close_hash: zero,
    };
    let body = FrameBody { txs: vec![vec![7; size].into()], ..FrameBody::default() };
    SignedFrame { header, signature: [0; 64], body }
}

/// A message of `lane` that carries a number and about `size` bytes where the lane allows it.
pub(crate) fn message(lane: Lane, number: u64, size: usize) -> Message {
    match lane {
        Lane::Consensus => Message::RoundCertificate(RoundCertificate {
            epoch: 1,
            height: number,
            round: 0,
            precommits: false,
            votes: vec![],
        }),
        Lane::Frames => Message::Frame(frame(number, size)),
        Lane::Acks => {
            let (frame_hash, init_hash) = (B256::ZERO, B256::ZERO);
            let ack =
                Ack { epoch: 1, height: 1, round: 0, signer: 0, g: number, frame_hash, init_hash };
            Message::Ack(SignedAck { ack, signature: [0; 64] })
        }
        Lane::Bulk => {
            let number = Bytes::from(number.to_be_bytes().to_vec());
            Message::Txs(vec![number, vec![7; size].into()])
        }
    }
}

pub(crate) fn sequence(message: &Message) -> u64 {
    match message {
        Message::RoundCertificate(certificate) => certificate.height,
        Message::Frame(frame) => frame.header.g,
        Message::Ack(ack) => ack.ack.g,
        Message::Txs(txs) => u64::from_be_bytes(txs[0].as_ref().try_into().expect("8 bytes")),
        _ => unreachable!("no test sends another kind"),
    }
}

/// A gossip subscriber outside of the set.
pub(crate) fn follower(seed: u8, boot: Vec<Multiaddr>, topics: Vec<Topic>) -> Config {
    Config { bootnodes: boot, topics, ..config(seed, Transport::Tcp.any_port()) }
}

/// A slot that is filled from another thread.
pub(crate) type Shared<T> = Arc<Mutex<T>>;

pub(crate) fn index_of(node: &Node, peer: &PeerId) -> Option<u16> {
    node.handle.peers().iter().find(|p| p.peer.id == *peer).and_then(|p| p.peer.index)
}
