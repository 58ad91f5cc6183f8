//! A key whose guard, log and database are gone, in a network that has not decided its first height: the others are asked
//! what they have of it before it signs.
#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

mod four;

use alloy_primitives::B256;
use four::{ME, NOW, domain, keys, replica_at};
use rota_consensus::{Input, Observe, Output, PeerNo, Replica};
use rota_store::Watermarks;
use rota_types::{
    Ack, ChainParams, Signed, SignedAck, SignedVote, Vote, VoteKind,
    wire::{Message, Request, Response},
};

const LISTEN: u64 = 3_000;

/// One that has nothing on disk, started.
fn blank() -> Replica {
    let mut replica = replica_at(1, &Watermarks::default(), &[], LISTEN);
    replica.start(NOW, &[], &mut Vec::new()).unwrap();
    replica
}

fn asked(out: &[Output]) -> Vec<u16> {
    let ask = |o: &Output| match o {
        Output::Ask { to, request: Request::SignedBy { epoch: 0, signer: ME } } => Some(to.0),
        _ => None,
    };
    out.iter().filter_map(ask).collect()
}

fn signs(out: &[Output]) -> bool {
    out.iter().any(|o| matches!(o, Output::Guard(_)))
}

fn nothing(from: u16) -> Input {
    Input::Signed { from: PeerNo(from), statements: Vec::new() }
}

/// Ticks up to and including `until`.
fn run(replica: &mut Replica, from: u64, until: u64) -> Vec<Output> {
    let (mut now, mut out) = (from, Vec::new());
    while now <= until {
        replica.step(now, Input::Tick, &mut out).unwrap();
        replica.flush(now, &mut out).unwrap();
        let due = replica.next_deadline(now).unwrap_or(u64::MAX);
        now = due.max(now + 1);
    }
    out
}

#[test]
fn all_others_are_asked_late_in_the_listening_and_then_it_signs() {
    let mut replica = blank();
    assert_eq!(asked(&run(&mut replica, NOW, NOW + LISTEN / 2 - 1)), Vec::<u16>::new());
    assert_eq!(asked(&run(&mut replica, NOW + LISTEN / 2, NOW + LISTEN / 2 + 1)), [1, 2, 3]);
    for peer in [1, 2, 3] {
        replica.step(NOW + 2_000, nothing(peer), &mut Vec::new()).unwrap();
    }
    let out = run(&mut replica, NOW + 2_001, NOW + LISTEN - 1);
    assert!(asked(&out).is_empty() && !signs(&out), "it listens to the end");
    run(&mut replica, NOW + LISTEN, NOW + LISTEN);
    assert_eq!(replica.observe(), None);
}

#[test]
fn whoever_does_not_answer_is_waited_for_once_more_and_a_quorum_always() {
    let mut replica = blank();
    let mut out = Vec::new();
    replica.step(NOW + 2_000, nothing(1), &mut out).unwrap();
    out.extend(run(&mut replica, NOW + 2_001, NOW + 60_000));
    assert!(replica.observing() && !signs(&out), "two of four are no quorum");
    assert!(asked(&out).iter().filter(|to| **to == 3).count() > 20, "they are asked again");
    replica.step(NOW + 60_001, nothing(3), &mut out).unwrap();
    assert_eq!(replica.observe(), None, "one may stay silent");

    let mut replica = blank();
    replica.step(NOW + 2_000, nothing(1), &mut out).unwrap();
    replica.step(NOW + 2_000, nothing(3), &mut out).unwrap();
    run(&mut replica, NOW + 2_001, NOW + 2 * LISTEN - 1);
    assert!(replica.observing(), "who is slow is waited for");
    run(&mut replica, NOW + 2 * LISTEN, NOW + 2 * LISTEN);
    assert_eq!(replica.observe(), None);
}

#[test]
fn a_signature_that_another_member_has_keeps_it_silent() {
    let (height, round, g) = (1, 0, 12);
    let (frame_hash, init_hash) = (B256::repeat_byte(1), B256::ZERO);
    let ack = Ack { epoch: 0, height, round, signer: ME, g, frame_hash, init_hash };
    let signature = keys(ME).0.sign(&ack.digest(&domain()));
    let ack = SignedAck { ack, signature };
    // A member that took the ack has it for who asks, and for nobody else's index.
    let mut other = replica_at(1, &Watermarks::default(), &[], 0);
    other.start(NOW, &[], &mut Vec::new()).unwrap();
    let theirs = Ack { signer: 2, ..ack.ack };
    let theirs = SignedAck { signature: keys(2).0.sign(&theirs.digest(&domain())), ack: theirs };
    let told = Input::Message { from: PeerNo(2), message: Message::Ack(theirs.clone()) };
    other.step(NOW, told, &mut Vec::new()).unwrap();
    let answer = |signer| other.answer(&Request::SignedBy { epoch: 0, signer });
    let statements = vec![Signed::Ack(theirs)];
    assert_eq!(answer(2), Some(Response::Witness { from: 0, statements }));
    assert_eq!(answer(3), Some(Response::Witness { from: 0, statements: Vec::new() }));

    let vote = Vote { epoch: 0, height, round, kind: VoteKind::Prevote, value_id: B256::ZERO };
    let forged = SignedVote::sign(vote, ME, &keys(1).1, &domain());
    let windows = 2 * u64::from(ChainParams::default().window_heights);
    for (said, kept) in [(Signed::Ack(ack), true), (Signed::Vote(forged), false)] {
        let mut replica = blank();
        let statements = vec![said];
        let mut out = Vec::new();
        let told = Input::Signed { from: PeerNo(3), statements };
        replica.step(NOW + 2_000, told, &mut out).unwrap();
        for peer in [1, 2] {
            replica.step(NOW + 2_000, nothing(peer), &mut out).unwrap();
        }
        out.extend(run(&mut replica, NOW + 2_001, NOW + 10 * LISTEN));
        let silent = Some(Observe::NoGuard(height + windows));
        assert_eq!(replica.observe(), if kept { silent } else { None });
        assert!(!kept || !signs(&out));
    }
}
