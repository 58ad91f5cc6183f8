#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows has found something")]

use rota_types::{RoundCertificate, wire::Lane};

use super::*;

fn message(number: u64) -> Message {
    let votes = vec![];
    let (epoch, round) = (1, 0);
    Message::RoundCertificate(RoundCertificate {
        epoch,
        height: number,
        round,
        precommits: false,
        votes,
    })
}

fn number(delivery: &Delivery) -> u64 {
    match &delivery.parcel {
        Parcel::Message(message) => match message.as_ref() {
            Message::RoundCertificate(certificate) => certificate.height,
            _ => unreachable!("no test sends another message"),
        },
        Parcel::Gossip { .. } => u64::MAX,
    }
}

const ROUGH: LinkPlan =
    LinkPlan { latency_us: 500, jitter_us: 900, loss_permille: 100, duplicate_permille: 50 };

/// Everything that arrives when four nodes send 200 messages each, with times.
fn run(seed: u64, keep_order: bool) -> Vec<(u64, Delivery)> {
    let mut net = SimNet::new(4, ROUGH, seed);
    net.set_keep_order(keep_order);
    for step in 0..200 {
        for from in 0..4_u16 {
            net.send(step * 100, from, (from + 1) % 4, &message(step));
        }
    }
    let mut arrived = Vec::new();
    while let Some(at) = net.next_event_at() {
        arrived.extend(net.pop_due(at).into_iter().map(|delivery| (at, delivery)));
    }
    assert_eq!(arrived.len() as u64 + net.lost(), 800 + duplicates(&arrived));
    arrived
}

fn duplicates(arrived: &[(u64, Delivery)]) -> u64 {
    let mut seen = BTreeSet::new();
    let fresh = |d: &&(u64, Delivery)| !seen.insert((d.1.from, number(&d.1)));
    arrived.iter().filter(fresh).count() as u64
}

#[test]
fn the_seed_decides_everything() {
    assert_eq!(run(1, true), run(1, true));
    assert_ne!(run(1, true), run(2, true));
}

#[test]
fn loss_and_duplicates_come_at_their_rates() {
    let arrived = run(3, true);
    let twice = duplicates(&arrived);
    let lost = 800 + twice - arrived.len() as u64;
    assert!((40..=130).contains(&lost), "{lost} of 800 at 10 %");
    assert!((15..=70).contains(&twice), "{twice} of 800 at 5 %");
}

#[test]
fn streams_keep_their_order_unless_told_otherwise() {
    let sorted = |arrived: &[(u64, Delivery)]| {
        (0..4).all(|from| {
            arrived.iter().filter(|(_, d)| d.from == from).map(|(_, d)| number(d)).is_sorted()
        })
    };
    assert!(sorted(&run(5, true)));
    assert!(!sorted(&run(5, false)));
}

#[test]
fn delays_are_within_the_plan_and_nothing_arrives_early() {
    let plan = LinkPlan { latency_us: 100, jitter_us: 10, ..LinkPlan::default() };
    let mut net = SimNet::new(2, plan, 9);
    net.set_link(1, 0, LinkPlan { latency_us: 7_000, ..plan });
    net.send(1_000, 0, 1, &message(1));
    net.send(1_000, 1, 0, &message(2));
    assert!(net.pop_due(1_099).is_empty());
    assert_eq!(net.pop_due(1_110).iter().map(number).collect::<Vec<_>>(), [1]);
    assert!(net.next_event_at().is_some_and(|at| (8_000..=8_010).contains(&at)));
    assert_eq!(net.pop_due(u64::MAX).len(), 1);
    assert_eq!(net.next_event_at(), None);
}

#[test]
fn partitions_and_crashes_cut_what_is_under_way() {
    let mut net = SimNet::new(4, LinkPlan { latency_us: 100, ..LinkPlan::default() }, 1);
    net.send(0, 0, 2, &message(1));
    net.send(0, 0, 1, &message(2));
    net.partition(&[&[0, 1]]);
    assert!(net.reaches(0, 1) && net.reaches(2, 3) && !net.reaches(1, 2));
    net.send(0, 2, 0, &message(3));
    net.send(0, 2, 3, &message(4));
    assert_eq!(net.pop_due(100).iter().map(number).collect::<Vec<_>>(), [2, 4]);
    net.heal();
    net.take_down(2);
    net.send(100, 2, 0, &message(5));
    net.bring_up(2);
    net.send(100, 2, 0, &message(6));
    assert_eq!(net.pop_due(200).iter().map(number).collect::<Vec<_>>(), [6]);
    assert_eq!(net.lost(), 3);
}

#[test]
fn handles_behave_as_the_trait_says() {
    let net = Arc::new(Mutex::new(SimNet::new(3, LinkPlan::default(), 1)));
    let now_us = Arc::new(AtomicU64::new(40));
    let handle = SimHandle::new(Arc::clone(&net), Arc::clone(&now_us), 1);
    assert_eq!(handle.send(1, &message(1)), Err(SendError::UnknownPeer));
    assert_eq!(handle.send(3, &message(1)), Err(SendError::UnknownPeer));
    assert_eq!(handle.send(2, &message(1)), Ok(()));
    assert_eq!(handle.broadcast(&message(2)), Ok(2));
    now_us.store(41, Ordering::Relaxed);
    assert_eq!(handle.publish(Topic::Evidence, vec![1]), Ok(()));
    let mut net = net.lock().expect("no panic");
    let early: Vec<_> = net.pop_due(40).iter().map(|d| (d.to, number(d))).collect();
    assert_eq!(early, [(2, 1), (0, 2), (2, 2)]);
    let gossip = net.pop_due(41);
    assert_eq!(gossip.len(), 2);
    assert!(gossip.iter().all(|d| d.from == 1 && d.parcel.lane().is_none()));
    assert_eq!(message(1).lane(), Lane::Consensus);
}
