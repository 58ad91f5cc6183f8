//! Peers that do not keep to the protocol, made from a bare libp2p swarm.

use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, SwarmBuilder, identity::Keypair, noise, tcp, yamux,
};
use libp2p_stream::Control;
use rota_p2p::{Config, Ctx, Incoming, Network as _, PeerEntry, PeerFault, Refusal};
use rota_types::{Encode as _, wire::Lane};
use tokio::time::timeout;

use crate::support::{
    CTX, DEADLINE, Node, Transport, config, connect, eventually, message, set_of, shutdown,
    strangers,
};

/// A peer that can open streams and say anything.
struct Rogue {
    control: Control,
    target: PeerId,
}

fn rogue_id() -> Keypair {
    Keypair::ed25519_from_bytes([66; 32]).expect("a key")
}

impl Rogue {
    fn connect(to: Multiaddr, target: PeerId) -> Self {
        let mut swarm = SwarmBuilder::with_existing_identity(rogue_id())
            .with_tokio()
            .with_tcp(tcp::Config::new(), noise::Config::new, yamux::Config::default)
            .expect("a transport")
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .expect("a behaviour")
            .with_swarm_config(|c| c.with_idle_connection_timeout(DEADLINE))
            .build();
        let control = swarm.behaviour().new_control();
        swarm.dial(to).expect("an address");
        #[expect(clippy::disallowed_methods, reason = "a test has no task registry")]
        tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        Self { control, target }
    }

    /// Opens a stream on the lane called `lane` and says `hello`.
    async fn open(&mut self, lane: &str, hello: &[u8]) -> Stream {
        let name = StreamProtocol::try_from_owned(format!("/rota/{lane}/1")).expect("a name");
        let opened = async {
            loop {
                // Not connected yet: the stream layer would dial without an address.
                match self.control.open_stream(self.target, name.clone()).await {
                    Ok(stream) => return stream,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let mut stream = timeout(DEADLINE, opened).await.expect("connected");
        stream.write_all(hello).await.expect("written");
        stream.flush().await.expect("flushed");
        stream
    }
}

/// Version 1, our context, and a role.
fn hello(ctx: Ctx, role: [u8; 3]) -> Vec<u8> {
    [b"rota".as_slice(), &[0, 1], &ctx.0, &role].concat()
}

/// The last byte of the acknowledgement.
async fn answer(stream: &mut Stream) -> u8 {
    let mut ack = [0; 39];
    timeout(DEADLINE, stream.read_exact(&mut ack)).await.expect("in time").expect("an ack");
    ack[38]
}

async fn end_of(stream: &mut Stream) {
    let mut byte = [0; 1];
    let read = timeout(DEADLINE, stream.read(&mut byte)).await.expect("in time");
    assert!(!matches!(read, Ok(1)), "the stream goes on");
}

/// Validator 0 of a set in which the rogue is validator 1.
async fn victim() -> (Node, Rogue) {
    let node = Node::start(config(1, Transport::Tcp.any_port())).await;
    let rogue = rogue_id().public().to_peer_id();
    let entry = PeerEntry { index: 1, peer: rogue, addrs: vec![] };
    node.handle.set_peers(vec![node.entry(0), entry]).expect("a fine set");
    let rogue = Rogue::connect(node.handle.listen_addrs()[0].clone(), node.handle.peer_id());
    (node, rogue)
}

fn points(node: &Node) -> u32 {
    let id = rogue_id().public().to_peer_id();
    node.handle.peers().iter().find(|p| p.peer.id == id).map_or(0, |p| p.points)
}

const VALIDATOR_1: [u8; 3] = [1, 0, 0];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_length_ends_the_stream_and_is_scored() {
    let (node, mut rogue) = victim().await;
    let mut stream = rogue.open("consensus", &hello(CTX, VALIDATOR_1)).await;
    assert_eq!(answer(&mut stream).await, 0);
    stream.write_all(&u32::MAX.to_be_bytes()).await.expect("written");
    stream.flush().await.expect("flushed");
    end_of(&mut stream).await;
    // The table of peers is filled by another task than the one that reads the stream.
    eventually("a score", || (30..=40).contains(&points(&node))).await;
    shutdown(vec![node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_scored_until_the_peer_is_banned() {
    let (mut node, mut rogue) = victim().await;
    let good = message(Lane::Acks, 5, 0).encode();
    let frame = |payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("short");
        [&length.to_be_bytes(), payload].concat()
    };
    // A good message; then rubbish; then a message that belongs to another lane; then rubbish again.
    let mut stream = rogue.open("acks", &hello(CTX, VALIDATOR_1)).await;
    stream.write_all(&frame(&good)).await.expect("written");
    stream.write_all(&frame(&[0xee; 50])).await.expect("written");
    stream.flush().await.expect("flushed");
    assert_eq!(node.next_message().await, (Some(1), Lane::Acks, Some(5)));
    assert_eq!(answer(&mut stream).await, 0);
    end_of(&mut stream).await;
    for (lane, payload) in [("frames", good.as_slice()), ("bulk", &[0xee; 50])] {
        let mut stream = rogue.open(lane, &hello(CTX, VALIDATOR_1)).await;
        stream.write_all(&frame(payload)).await.expect("written");
        stream.flush().await.expect("flushed");
        assert_eq!(answer(&mut stream).await, 0);
        end_of(&mut stream).await;
    }
    let banned = node.wait(|i| if let Incoming::Banned { peer } = i { Some(peer) } else { None });
    let banned = banned.await;
    assert_eq!((banned.index, banned.id), (Some(1), rogue_id().public().to_peer_id()));
    eventually("disconnection", || node.handle.peers().is_empty()).await;
    shutdown(vec![node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_listed_identity_is_a_validator() {
    let (mut node, mut rogue) = victim().await;
    node.handle.set_peers(vec![node.entry(0)]).expect("a fine set");
    eventually("a set without it", || {
        node.handle.gauges().iter().all(|g| g.name != "p2p_lane_out")
    })
    .await;
    let mut stream = rogue.open("consensus", &hello(CTX, [1, 0, 0])).await;
    assert_eq!(answer(&mut stream).await, 3, "not in the set");
    let refusal = node.wait(|i| match i {
        Incoming::Refused { refusal, .. } => Some(refusal),
        _ => None,
    });
    let peer = rogue_id().public().to_peer_id();
    assert_eq!(refusal.await, Refusal::NotInSet { peer });
    let mut stream = rogue.open("consensus", &hello(CTX, [0, 0, 0])).await;
    assert_eq!(answer(&mut stream).await, 4, "observers have no consensus lane");
    let mut stream = rogue.open("bulk", &hello(CTX, [0, 0, 0])).await;
    assert_eq!(answer(&mut stream).await, 0, "observers may forward transactions");
    let mut stream = rogue.open("consensus", &hello(CTX, [9, 9, 9])).await;
    end_of(&mut stream).await;
    eventually("a score", || points(&node) >= PeerFault::BadHandshake.weight() - 2).await;
    shutdown(vec![node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_opener_holds_nothing_and_a_newer_stream_replaces_the_older() {
    let (mut node, mut rogue) = victim().await;
    let mut silent = rogue.open("frames", &[]).await;
    end_of(&mut silent).await;
    let mut first = rogue.open("frames", &hello(CTX, VALIDATOR_1)).await;
    assert_eq!(answer(&mut first).await, 0);
    let mut second = rogue.open("frames", &hello(CTX, VALIDATOR_1)).await;
    assert_eq!(answer(&mut second).await, 0);
    end_of(&mut first).await;
    let payload = message(Lane::Frames, 8, 100).encode();
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    second.write_all(&[&length, payload.as_slice()].concat()).await.expect("written");
    second.flush().await.expect("flushed");
    assert_eq!(node.next_message().await, (Some(1), Lane::Frames, Some(8)));
    shutdown(vec![node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_streams_do_not_take_the_places_of_other_peers() {
    let (mut node, mut rogue) = victim().await;
    let bound = rota_p2p::Limits::default().handshakes.0;
    let mut silent = Vec::new();
    for _ in 0..bound * 2 {
        silent.push(rogue.open("bulk", &[]).await);
    }
    let flood = PeerFault::Flood.weight();
    eventually("a score", || points(&node) >= flood).await;
    let friend = Node::start(config(2, Transport::Tcp.any_port())).await;
    let rogue = PeerEntry { index: 1, peer: rogue_id().public().to_peer_id(), addrs: vec![] };
    let set = vec![node.entry(0), rogue, friend.entry(2)];
    node.handle.set_peers(set.clone()).expect("a fine set");
    friend.handle.set_peers(set).expect("a fine set");
    node.wait_up(vec![2]).await;
    shutdown(vec![node, friend]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_another_network_is_named_on_both_sides_and_left_alone() {
    let other = Ctx([8; 32]);
    let ours = config(1, Transport::Tcp.any_port());
    let theirs = Config { ctx: other, ..config(2, Transport::Tcp.any_port()) };
    let mut nodes = vec![Node::start(ours).await, Node::start(theirs).await];
    let set = set_of(&nodes);
    for node in &nodes {
        node.handle.set_peers(set.clone()).expect("a fine set");
    }
    for (own, peer, theirs, ours) in [(0, 1, other, CTX), (1, 0, CTX, other)] {
        let id = nodes[peer].handle.peer_id();
        let refusal = nodes[own].wait(|i| match i {
            Incoming::Refused { refusal, .. } => Some(refusal),
            Incoming::PeerUp { .. } => panic!("networks must not mix"),
            _ => None,
        });
        let refusal = refusal.await;
        assert_eq!(refusal, Refusal::WrongNetwork { peer: id, theirs, ours });
        let text = format!("peer {id} is on another network: its context {theirs} ours {ours}");
        assert_eq!(refusal.to_string(), text);
    }
    for (own, peer) in [(0, 1), (1, 0)] {
        let id = nodes[peer].handle.peer_id();
        nodes[own].wait(|i| matches!(i, Incoming::Banned { .. }).then_some(())).await;
        assert!(nodes[own].handle.is_banned(&id));
        let handle = nodes[own].handle.clone();
        eventually("disconnection", || handle.peers().is_empty()).await;
    }
    shutdown(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_program_is_named() {
    let ours = Config { version: 2, ..config(1, Transport::Tcp.any_port()) };
    let mut nodes = vec![Node::start(ours).await];
    nodes.push(Node::start(config(2, Transport::Tcp.any_port())).await);
    let set = set_of(&nodes);
    nodes.iter().for_each(|node| node.handle.set_peers(set.clone()).expect("a fine set"));
    let peer = nodes[1].handle.peer_id();
    let refusal = nodes[0].wait(|i| match i {
        Incoming::Refused { refusal, .. } => Some(refusal),
        _ => None,
    });
    assert_eq!(refusal.await, Refusal::WrongVersion { peer, theirs: 1, ours: 2 });
    shutdown(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_own_message_is_not_sent() {
    let mut nodes = strangers(2, Transport::Tcp).await;
    connect(&mut nodes).await;
    let huge = message(Lane::Frames, 1, Lane::Frames.max());
    assert!(nodes[0].handle.send(1, &huge).is_err());
    assert!(nodes[0].handle.broadcast(&huge).is_err());
    nodes[0].handle.send(1, &message(Lane::Frames, 2, 10)).expect("queued");
    assert_eq!(nodes[1].next_message().await, (Some(0), Lane::Frames, Some(2)));
    shutdown(nodes).await;
}
