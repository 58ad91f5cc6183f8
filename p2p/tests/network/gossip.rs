//! Gossip: reaches those outside of the set, is forwarded only when judged valid, scores who forwards rubbish.

use std::time::Duration;

use rota_p2p::{Config, Incoming, Judgement, Network as _, SendError, Topic};

use crate::support::{Node, Transport, config, connect, eventually, follower, shutdown};

/// Two validators that relay, and a follower that knows only the first.
async fn network() -> (Vec<Node>, Node) {
    let mut nodes = Vec::new();
    for seed in 1..=2 {
        let base = config(seed, Transport::Tcp.any_port());
        nodes.push(Node::start(Config { topics: vec![Topic::Decided], ..base }).await);
    }
    connect(&mut nodes).await;
    let boot = nodes[0].handle.listen_addrs();
    let follower = Node::start(follower(9, boot, vec![Topic::Decided])).await;
    (nodes, follower)
}

/// Publishes numbered messages from `node` until the test ends: gossip meshes need a moment to form.
fn keep_publishing(node: &Node, size: usize) -> tokio::task::JoinHandle<()> {
    let handle = node.handle.clone();
    #[expect(clippy::disallowed_methods, reason = "a test has no task registry")]
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for number in 0_u64.. {
            tick.tick().await;
            let mut data = number.to_be_bytes().to_vec();
            data.resize(size, 1);
            if handle.publish(Topic::Decided, data) == Err(SendError::Closed) {
                return;
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_hears_what_validators_found_valid() {
    let (mut nodes, mut follower) = network().await;
    let publisher = keep_publishing(&nodes[1], 1_000);
    let relay = nodes[0].handle.clone();
    let accept = |item| match item {
        Incoming::Gossip { topic: Topic::Decided, data, from, id } if data.len() == 1_000 => {
            assert_eq!(from.index, Some(1));
            // Odd numbers are "invalid" for the relay.
            let good = data[7] % 2 == 0;
            relay.judge(id, if good { Judgement::Accept } else { Judgement::Ignore });
            None::<()>
        }
        _ => None,
    };
    let mut heard = Vec::new();
    let hear = |item| match item {
        Incoming::Gossip { topic, data, from, .. } => {
            assert_eq!((topic, from.id), (Topic::Decided, relay.peer_id()));
            assert_eq!(data[7] % 2, 0, "only what was accepted is forwarded");
            heard.push(data);
            (heard.len() >= 5).then_some(())
        }
        _ => None,
    };
    tokio::select! {
        () = nodes[0].wait(accept) => {}
        () = follower.wait(hear) => {}
    }
    assert_eq!(heard.len(), 5);
    publisher.abort();
    nodes.push(follower);
    shutdown(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_forwards_rubbish_is_banned() {
    let (mut nodes, follower) = network().await;
    let publisher = keep_publishing(&nodes[1], 100);
    let (judge, bad) = (nodes[0].handle.clone(), nodes[1].handle.peer_id());
    let banned = nodes[0].wait(|item| match item {
        Incoming::Gossip { id, .. } => {
            judge.judge(id, Judgement::Reject);
            None
        }
        Incoming::Banned { peer } => Some(peer.id),
        _ => None,
    });
    assert_eq!(banned.await, bad);
    assert!(judge.is_banned(&bad));
    nodes[0].wait_down(1).await;
    eventually("disconnection", || judge.peers().iter().all(|p| p.peer.id != bad)).await;
    publisher.abort();
    nodes.push(follower);
    shutdown(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_gossip_is_not_published() {
    let node = Node::start(config(1, Transport::Tcp.any_port())).await;
    let bound = rota_p2p::Limits::default().gossip_bytes;
    let over = node.handle.publish(Topic::Frames, vec![0; bound + 1]);
    assert_eq!(over, Err(SendError::Oversized { length: bound + 1, bound }));
    shutdown(vec![node]).await;
}
