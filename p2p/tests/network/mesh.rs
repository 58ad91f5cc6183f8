//! Streams between validators: none is lost, order is kept, they come back, one does not block another.

use rota_p2p::{
    Config, Handle, Incoming, LaneLimits, Limits, Network as _, Overflow, QueueLimits, Role,
    SendError,
};
use rota_types::wire::Lane;

use crate::support::{
    Node, Transport, config, connect, eventually, index_of, mesh, message, set_of, shutdown,
    strangers,
};

/// Everyone says one thing on every lane to everyone; all of it arrives, from whom it should.
async fn all_lanes_carry(nodes: &mut [Node], number: u64) {
    for (from, node) in (0_u16..).zip(nodes.iter()) {
        for lane in Lane::ALL {
            let number = number + u64::from(from);
            let queued = node.handle.broadcast(&message(lane, number, 100));
            assert_eq!(queued, Ok(nodes.len() - 1), "{from} {lane:?}");
        }
    }
    let count = nodes.len();
    for (own, node) in (0_u16..).zip(nodes.iter_mut()) {
        let mut heard = Vec::new();
        while heard.len() < (count - 1) * Lane::ALL.len() {
            let (from, lane, got) = node.next_message().await;
            let from = from.expect("all are validators");
            // What an earlier stream left behind has smaller numbers.
            if let Some(got) = got.filter(|got| *got >= number) {
                assert_eq!(got, number + u64::from(from));
                assert!(from != own && !heard.contains(&(from, lane)));
                heard.push((from, lane));
            }
        }
    }
}

async fn twenty_runs(transport: Transport) {
    for run in 0..20 {
        let mut nodes = mesh(4, transport).await;
        for node in &nodes {
            assert_eq!(node.handle.validators_connected().len(), 3, "run {run}");
        }
        all_lanes_carry(&mut nodes, 1_000 * run).await;
        shutdown(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_that_open_all_streams_at_once_lose_none_over_tcp() {
    twenty_runs(Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_that_open_all_streams_at_once_lose_none_over_quic() {
    twenty_runs(Transport::Quic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_keeps_its_order() {
    let mut nodes = mesh(2, Transport::Tcp).await;
    let handle = nodes[0].handle.clone();
    let sender = std::thread::scope(|scope| {
        // A plain thread without a runtime, as the consensus thread of a node.
        scope
            .spawn(|| {
                for number in 0..400 {
                    for lane in [Lane::Consensus, Lane::Acks, Lane::Frames] {
                        handle.send(1, &message(lane, number, 2_000)).expect("queued");
                    }
                }
            })
            .join()
    });
    sender.expect("the thread ends");
    let mut next = [0_u64; 4];
    while next.iter().sum::<u64>() < 1_200 {
        let (from, lane, number) = nodes[1].next_message().await;
        let slot = &mut next[lane as usize];
        assert_eq!((from, number), (Some(0), Some(*slot)), "{lane:?}");
        *slot += 1;
    }
    shutdown(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_gets_its_streams_back_and_a_gap_is_told() {
    for transport in [Transport::Tcp, Transport::Quic] {
        let mut nodes = mesh(3, transport).await;
        let set = set_of(&nodes);
        all_lanes_carry(&mut nodes, 10).await;
        let last = nodes.pop().expect("three");
        let address = last.handle.listen_addrs()[0].clone();
        shutdown(vec![last]).await;
        for node in &mut nodes {
            assert!(!node.wait_down(2).await.is_empty());
        }
        // Each stream notices on its own that it is down; from then on each has its policy.
        let (handle, gauge) = (nodes[0].handle.clone(), |handle: &Handle, label: &str| {
            let gauges = handle.gauges();
            gauges.iter().find(|g| g.label == label).map_or((0, 0), |g| (g.depth, g.dropped))
        });
        let refused =
            || handle.send(2, &message(Lane::Bulk, 1, 10)) == Err(SendError::NotConnected);
        eventually("refusal", refused).await;
        let dropped = || {
            handle.send(2, &message(Lane::Frames, 1, 10)) == Ok(())
                && gauge(&handle, "frames:2").1 > 0
        };
        eventually("drop", dropped).await;
        // A stream that is still being drained would not let twenty gather.
        let kept = || {
            handle.send(2, &message(Lane::Consensus, 77, 10)) == Ok(())
                && gauge(&handle, "consensus:2").0 >= 20
        };
        eventually("keeping", kept).await;

        // It does not know where the others are: they have to dial it again.
        let plain = address.into_iter().filter(|p| !p.to_string().starts_with("/p2p")).collect();
        let mut again = config(3, plain);
        again.validators = set;
        again.validators.iter_mut().for_each(|entry| entry.addrs.clear());
        let mut again = Node::restart(again).await;
        let mut heard = Vec::new();
        while heard.len() < 3 {
            let (from, lane, number) = again.next_message().await;
            let wanted = (lane, number);
            let told = matches!(lane, Lane::Consensus | Lane::Frames) && !heard.contains(&wanted);
            if from == Some(0) && told {
                heard.push(wanted);
            }
        }
        heard.sort();
        let expected = [(Lane::Consensus, None), (Lane::Consensus, Some(77)), (Lane::Frames, None)];
        assert_eq!(heard, expected);
        again.wait_up(vec![0, 1]).await;
        for node in &mut nodes {
            node.wait_up(vec![2]).await;
        }
        nodes.push(again);
        all_lanes_carry(&mut nodes, 100).await;
        shutdown(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_reader_blocks_neither_other_lanes_nor_other_peers() {
    const QUEUE: usize = 16;
    let mut nodes = Vec::new();
    for seed in 1..=3 {
        let base = Limits::default();
        let queue =
            QueueLimits { messages: QUEUE, bytes: 16 << 20, overflow: Overflow::DropNewest };
        let limits = Limits { frames: LaneLimits { queue, ..base.frames }, ..base };
        let config = Config { limits, ..config(seed, Transport::Tcp.any_port()) };
        nodes.push(Node::start(config).await);
    }
    connect(&mut nodes).await;
    nodes[1].set_busy(Lane::Frames, true);
    let depth = |nodes: &[Node]| {
        let gauges = nodes[0].handle.gauges();
        let gauge = gauges.iter().find(|g| g.label == "frames:1").expect("a gauge");
        assert!(gauge.depth <= QUEUE && gauge.capacity == QUEUE);
        (gauge.depth, gauge.dropped)
    };
    // Far more than the queue and the windows of the stream hold; one after the other, so that node 2 keeps up.
    let mut sent = 0;
    while depth(&nodes).1 < 50 {
        let frame = message(Lane::Frames, sent, 100_000);
        assert_eq!(nodes[0].handle.broadcast(&frame), Ok(2));
        nodes[0].handle.send(1, &message(Lane::Consensus, sent, 0)).expect("queued");
        assert_eq!(nodes[2].next_message().await, (Some(0), Lane::Frames, Some(sent)));
        assert_eq!(nodes[1].next_message().await, (Some(0), Lane::Consensus, Some(sent)));
        sent += 1;
        assert!(sent < 2_000, "the stalled reader keeps taking frames");
    }
    nodes[1].set_busy(Lane::Frames, false);
    let mut expected = 0;
    loop {
        match nodes[1].next_message().await {
            (_, Lane::Frames, Some(number)) => assert_eq!(number, expected),
            (_, Lane::Frames, None) => break,
            other => panic!("unexpected {other:?}"),
        }
        expected += 1;
    }
    assert_eq!(sent - expected, depth(&nodes).1, "the gap stands where the loss is");
    nodes[0].handle.send(1, &message(Lane::Frames, sent, 10)).expect("queued");
    assert_eq!(nodes[1].next_message().await, (Some(0), Lane::Frames, Some(sent)));
    shutdown(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_slowed_down_and_scored_and_loses_nothing() {
    let base = Limits::default();
    let acks = LaneLimits { messages_per_second: 100, burst: 10, ..base.acks };
    let limits = Limits { acks, ..base };
    let mut nodes = strangers(1, Transport::Tcp).await;
    nodes.push(Node::start(Config { limits, ..config(2, Transport::Tcp.any_port()) }).await);
    connect(&mut nodes).await;
    for number in 0..40 {
        nodes[0].handle.send(1, &message(Lane::Acks, number, 0)).expect("queued");
    }
    for number in 0..40 {
        assert_eq!(nodes[1].next_message().await, (Some(0), Lane::Acks, Some(number)));
    }
    let points: u32 = nodes[1].handle.peers().iter().map(|peer| peer.points).sum();
    assert!((1..=10).contains(&points), "{points}");
    shutdown(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_set_can_change_while_running() {
    let mut nodes = strangers(3, Transport::Tcp).await;
    connect(&mut nodes[..2]).await;
    assert_eq!(nodes[2].handle.role(), Role::Observer);
    let mut set = set_of(&nodes);
    for node in &nodes {
        node.handle.set_peers(set.clone()).expect("a fine set");
    }
    nodes[2].wait_up(vec![0, 1]).await;
    assert_eq!(nodes[2].handle.role(), Role::Validator);
    nodes[0].wait_up(vec![2]).await;
    nodes[1].wait_up(vec![2]).await;
    all_lanes_carry(&mut nodes, 5).await;
    let id = nodes[1].handle.peer_id();
    assert_eq!(index_of(&nodes[0], &id), Some(1));
    // Node 1 leaves the set; the link of 0 and 2 goes on without a gap.
    set.remove(1);
    nodes[0].handle.set_peers(set.clone()).expect("a fine set");
    nodes[2].handle.set_peers(set).expect("a fine set");
    assert_eq!(nodes[0].wait_down(1).await, "no longer in the set");
    assert_eq!(nodes[0].handle.send(1, &message(Lane::Acks, 9, 0)), Err(SendError::UnknownPeer));
    nodes[2].handle.send(0, &message(Lane::Acks, 9, 0)).expect("queued");
    assert_eq!(nodes[0].next_message().await, (Some(2), Lane::Acks, Some(9)));
    nodes[1].wait_down(0).await;
    shutdown(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_forwards_transactions_and_nothing_else() {
    let mut nodes = mesh(2, Transport::Tcp).await;
    let mut observer = config(9, Transport::Tcp.any_port());
    observer.validators = set_of(&nodes);
    let mut observer = Node::start(observer).await;
    observer.wait_up(vec![0, 1]).await;
    observer.handle.send(1, &message(Lane::Bulk, 3, 500)).expect("queued");
    assert_eq!(nodes[1].next_message().await, (None, Lane::Bulk, Some(3)));
    let vote = observer.handle.send(1, &message(Lane::Consensus, 3, 0));
    assert_eq!(vote, Err(SendError::UnknownPeer));
    let peers = observer.handle.peers();
    assert_eq!(peers.len(), 2);
    assert!(peers.iter().all(|peer| peer.peer.index.is_some() && peer.connections > 0));
    nodes.push(observer);
    shutdown(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_node_is_told_of_its_peers_later() {
    let mut nodes = mesh(2, Transport::Tcp).await;
    nodes[1].set_busy(Lane::Bulk, true);
    nodes[0].handle.send(1, &message(Lane::Bulk, 1, 10)).expect("queued");
    nodes[0].handle.send(1, &message(Lane::Acks, 2, 10)).expect("queued");
    assert_eq!(nodes[1].next_message().await, (Some(0), Lane::Acks, Some(2)));
    nodes[1].set_busy(Lane::Bulk, false);
    assert_eq!(nodes[1].next_message().await, (Some(0), Lane::Bulk, Some(1)));
    let gone = nodes.remove(0);
    shutdown(vec![gone]).await;
    nodes[1 - 1].wait_down(0).await;
    eventually("disconnection", || nodes[0].handle.peers().is_empty()).await;
    assert!(nodes[0].incoming.try_recv().map_or(true, |i| !matches!(i, Incoming::PeerUp { .. })));
    shutdown(nodes).await;
}
