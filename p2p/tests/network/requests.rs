//! Requests: answered, refused, late, too long, undecodable.

use std::sync::{Arc, Mutex, mpsc};

use rota_p2p::{Config, Limits, RequestError, SendError, Target};
use rota_types::{
    B256,
    wire::{Message, Request, Response},
};

use crate::support::{Node, Shared, Transport, config, connect, message, shutdown};

fn heights(from: u64) -> Request {
    Request::Heights { from, count: 1 }
}

fn frames(count: usize, size: usize) -> Response {
    let frame = |_| match message(rota_types::wire::Lane::Frames, 5, size) {
        Message::Frame(frame) => frame,
        _ => unreachable!("asked for a frame"),
    };
    Response::Frames((0..count).map(frame).collect())
}

async fn asker(limits: Limits) -> Node {
    Node::start(Config { limits, ..config(1, Transport::Tcp.any_port()) }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_answered_over_both_transports() {
    for transport in [Transport::Tcp, Transport::Quic] {
        let asker = Node::start(config(1, transport.any_port())).await;
        let seen: Shared<Vec<_>> = Arc::default();
        let log = Arc::clone(&seen);
        let handler = Arc::new(move |peer: rota_p2p::Peer, request: Request| {
            log.lock().expect("no panic").push((peer.index, request));
            frames(10, 100_000)
        });
        let server = Node::serve(config(2, transport.any_port()), handler).await;
        let mut nodes = vec![asker, server];
        connect(&mut nodes).await;
        let request = Request::Frames { from_g: 3, tip: B256::repeat_byte(9) };
        let by_index = nodes[0].handle.request(Target::Validator(1), &request).await;
        assert_eq!(by_index, Ok(frames(10, 100_000)));
        let peer = Target::Peer(nodes[1].handle.peer_id());
        assert_eq!(nodes[0].handle.request(peer, &heights(4)).await, by_index);
        let expected = vec![(Some(0), request), (Some(0), heights(4))];
        assert_eq!(*seen.lock().expect("no panic"), expected);
        shutdown(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_fails_at_once() {
    let node = asker(Limits::default()).await;
    let nobody = node.handle.request(Target::Validator(5), &heights(1)).await;
    assert_eq!(nobody, Err(RequestError::Invalid(SendError::UnknownPeer)));
    let stranger = Target::Peer(rota_p2p::PeerId::random());
    let unconnected = node.handle.request(stranger, &heights(1)).await;
    assert!(matches!(unconnected, Err(RequestError::NotConnected(_))), "{unconnected:?}");
    shutdown(vec![node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_is_a_timeout_and_a_full_server_says_busy() {
    let request_timeout = std::time::Duration::from_millis(300);
    let asker = asker(Limits { request_timeout, ..Limits::default() }).await;
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let handler = Arc::new(move |_, _| {
        // Until the test lets go, or its end drops the sender.
        gate.lock().map(|gate| gate.recv().is_ok()).ok();
        frames(1, 1)
    });
    let limits = Limits { requests_served: (1, 1), ..Limits::default() };
    let server = Config { limits, ..config(2, Transport::Tcp.any_port()) };
    let mut nodes = vec![asker, Node::serve(server, handler).await];
    connect(&mut nodes).await;
    let (first, request) = (nodes[0].handle.clone(), heights(1));
    assert_eq!(first.request(Target::Validator(1), &request).await, Err(RequestError::Timeout));
    // The first one still occupies the only place.
    assert_eq!(first.request(Target::Validator(1), &request).await, Err(RequestError::PeerBusy));
    let refused = nodes[1].handle.gauges();
    assert_eq!(refused.iter().find(|g| g.name == "p2p_requests").map(|g| g.dropped), Some(1));
    release.send(()).expect("the handler waits");
    release.send(()).expect("the channel is open");
    let mut answer = Err(RequestError::PeerBusy);
    while answer == Err(RequestError::PeerBusy) {
        answer = first.request(Target::Validator(1), &request).await;
    }
    assert_eq!(answer, Ok(frames(1, 1)));
    drop(release);
    shutdown(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_above_the_bound_is_refused_and_scored() {
    let asker = asker(Limits { response_bytes: 10_000, ..Limits::default() }).await;
    let server = config(2, Transport::Tcp.any_port());
    let server = Node::serve(server, Arc::new(|_, _| frames(1, 10_001))).await;
    let id = server.handle.peer_id();
    let mut nodes = vec![asker, server];
    connect(&mut nodes).await;
    let answer = nodes[0].handle.request(Target::Validator(1), &heights(1)).await;
    assert_eq!(answer, Err(RequestError::Oversized));
    let points = nodes[0].handle.peers().iter().find(|p| p.peer.id == id).map(|p| p.points);
    assert!(points.is_some_and(|points| (30..=40).contains(&points)), "{points:?}");
    shutdown(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_handler_frees_its_place() {
    let asker = asker(Limits::default()).await;
    let limits = Limits {
        requests_served: (1, 1),
        request_timeout: std::time::Duration::from_millis(500),
        ..Limits::default()
    };
    let server = Config { limits, ..config(2, Transport::Tcp.any_port()) };
    let handler = Arc::new(|_, request| match request {
        Request::Heights { from: 0, .. } => panic!("the handler is broken, on purpose"),
        _ => frames(1, 1),
    });
    let mut nodes = vec![asker, Node::serve(server, handler).await];
    connect(&mut nodes).await;
    let broken = nodes[0].handle.request(Target::Validator(1), &heights(0)).await;
    assert!(broken.is_err());
    let fine = nodes[0].handle.request(Target::Validator(1), &heights(1)).await;
    assert_eq!(fine, Ok(frames(1, 1)));
    shutdown(nodes).await;
}
