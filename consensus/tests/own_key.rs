//! A replica that hears its own key: never stopped by what it signed itself, always by what it did not sign.
#![expect(clippy::unwrap_used, reason = "test code")]

mod four;

use alloy_primitives::{Address, B256};
use four::{ME, NOW, domain, keys, replica_at};
use proptest::prelude::*;
use rota_consensus::{Fatal, Input, Observe, Output, PeerNo, Replica, Synced};
use rota_store::{Intent, Watermarks};
use rota_types::{
    Ack, Bitmap, Close, CommitCertificate, Domain, Env, Header, PolkaCertificate, SignedAck,
    SignedStatus, SignedVote, Status, Term, Vote, VoteKind,
    wire::{Head, Message, Request},
};

/// The height that the replica is at.
const HEIGHT: u64 = 10;

/// A replica at `HEIGHT` with what its key has signed. It has not started.
fn replica(guard: &Watermarks, listen_ms: u64) -> Replica {
    replica_at(HEIGHT, guard, &[], listen_ms)
}

/// One that signs already.
fn signing(guard: &Watermarks) -> Replica {
    let mut replica = replica(guard, 0);
    replica.start(NOW, &[], &mut Vec::new()).unwrap();
    assert_eq!(replica.observe(), None);
    replica
}

fn from(peer: u16, message: Message) -> Input {
    Input::Message { from: PeerNo(peer), message }
}

fn vote(height: u64, round: u32, byte: u8) -> Vote {
    let value_id = B256::repeat_byte(byte);
    Vote { epoch: 0, height, round, kind: VoteKind::Prevote, value_id }
}

fn signed(vote: Vote, key: u16) -> Message {
    Message::Vote(SignedVote::sign(vote, ME, &keys(key).1, &domain()))
}

/// A polka in which only this key's prevote is of interest.
fn polka(vote: &Vote) -> Message {
    Message::Polka(PolkaCertificate {
        epoch: 0,
        height: vote.height,
        round: vote.round,
        value_id: vote.value_id,
        signers: Bitmap::of([ME]),
        signatures: vec![keys(ME).1.sign(&vote.digest(&domain()))],
    })
}

const fn intent(vote: &Vote) -> Intent {
    let Vote { height, round, kind, value_id, .. } = *vote;
    Intent::Vote { height, round, kind, value_id }
}

/// The message that an intent of this key leads to.
fn message(intent: &Intent) -> Option<(Intent, Message)> {
    let (seq, vote) = keys(ME);
    let d = domain();
    Some(match *intent {
        Intent::Vote { height, round, kind, value_id } => {
            let v = Vote { epoch: 0, height, round, kind, value_id };
            (*intent, Message::Vote(SignedVote::sign(v, ME, &vote, &d)))
        }
        Intent::Status { height, round, digest } => {
            let status = Status {
                epoch: 0,
                height,
                round,
                signer: ME,
                best_round: 0,
                best_g: 0,
                best_hash: digest,
                best_ref: B256::ZERO,
            };
            let digest = status.digest(&d);
            let intent = Intent::Status { height, round, digest };
            (intent, Message::Status(SignedStatus::sign(status, &vote, &d)))
        }
        Intent::Ack { height, round, g, hash } => {
            let ack = Ack {
                epoch: 0,
                height,
                round,
                signer: ME,
                g,
                frame_hash: hash,
                init_hash: B256::ZERO,
            };
            (*intent, Message::Ack(SignedAck::sign(ack, &seq, &d)))
        }
        _ => return None,
    })
}

fn any_intent() -> impl Strategy<Value = Intent> {
    ((8u64..12, 0u32..3, 0u8..2), 0u8..4, 0u64..6).prop_map(|((height, round, c), kind, g)| {
        let value_id = B256::repeat_byte(c);
        match kind {
            0 => Intent::Vote { height, round, kind: VoteKind::Prevote, value_id },
            1 => Intent::Vote { height, round, kind: VoteKind::Precommit, value_id },
            2 => Intent::Status { height, round, digest: value_id },
            _ => Intent::Ack { height, round, g, hash: value_id },
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever keeps all that a key ever signed can send it again at any time, in any order.
    #[test]
    fn no_replay_of_its_own_messages_stops_it(
        runs in prop::collection::vec(prop::collection::vec(any_intent(), 0..10), 1..4),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        // As on disk: of the acks of a round only the first is written down.
        let (mut disk, mut sent) = (Watermarks::default(), Vec::new());
        for run in runs {
            let mut memory = disk.clone();
            memory.restarted();
            for i in run {
                let Some((i, message)) = message(&i) else { continue };
                match memory.check_and_record(&i) {
                    Ok(true) => {
                        disk.restarted();
                        disk.check_and_record(&i).unwrap();
                        sent.push(message);
                    }
                    Ok(false) => sent.push(message),
                    Err(_) => {}
                }
            }
        }
        // A height that nothing was signed at, or one whose log is lost: it signs, or follows.
        for listen_ms in [0, 3_000] {
            let mut replica = replica(&disk, listen_ms);
            let mut out = Vec::new();
            replica.start(NOW, &[], &mut out).unwrap();
            let before = replica.observe();
            for at in &order {
                if sent.is_empty() { break; }
                let message = at.get(&sent).clone();
                prop_assert_eq!(replica.step(NOW, from(2, message), &mut out), Ok(()));
            }
            prop_assert!(
                listen_ms > 0 || !matches!(replica.observe(), Some(Observe::OldGuard(_))),
                "{:?}", replica.observe()
            );
            let floors = out.iter().filter(|o| matches!(o, Output::Guard(Intent::Floor { .. })));
            prop_assert!(disk.newest().is_none() || floors.count() == 0, "was {before:?}");
        }
    }
}

#[test]
fn a_signature_that_the_guard_does_not_know_stops_a_replica_that_signs() {
    let mut guard = Watermarks::default();
    guard.check_and_record(&intent(&vote(HEIGHT - 1, 0, 1))).unwrap();
    let unknown = vote(HEIGHT, 3, 1);
    for message in
        [signed(unknown.clone(), ME), polka(&unknown), signed(vote(HEIGHT + 3, 0, 1), ME)]
    {
        let mut replica = signing(&guard);
        let stopped = replica.step(NOW, from(2, message), &mut Vec::new()).unwrap_err();
        let Fatal::Elsewhere(seen) = &stopped else { panic!("{stopped}") };
        assert_eq!((seen.what, seen.contradicts), ("prevote", false));
        assert!(seen.floor > seen.height, "a later run stays silent there");
        let said = stopped.to_string();
        assert!(
            said.contains("another machine signs with it, or the guard is an old copy"),
            "{said}"
        );
    }
    // Below the newest vote, but not what was signed there.
    let mut replica = signing(&guard);
    let other = signed(vote(HEIGHT - 1, 0, 2), ME);
    let Err(Fatal::Elsewhere(seen)) = replica.step(NOW, from(2, other), &mut Vec::new()) else {
        panic!("not stopped by a contradiction")
    };
    assert!(seen.contradicts && seen.height == HEIGHT - 1);
}

#[test]
fn a_forged_signature_stops_nobody() {
    let mut replica = signing(&Watermarks::default());
    let mut garbage = SignedVote::sign(vote(HEIGHT, 3, 1), ME, &keys(ME).1, &domain());
    garbage.signature[7] ^= 1;
    let d = domain();
    let other_chain = Domain::new(1, 8, d.registry, d.genesis_hash, 0);
    let foreign = SignedVote::sign(vote(HEIGHT, 3, 1), ME, &keys(ME).1, &other_chain);
    for message in [
        signed(vote(HEIGHT, 3, 1), 2),
        Message::Vote(garbage),
        Message::Vote(foreign),
        // Genuine, but another validator's.
        Message::Vote(SignedVote::sign(vote(HEIGHT, 3, 1), 2, &keys(2).1, &domain())),
    ] {
        assert_eq!(replica.step(NOW, from(2, message), &mut Vec::new()), Ok(()));
    }
    assert_eq!(replica.observe(), None);
}

/// A guard that was at work up to the height before.
fn worked() -> Watermarks {
    let mut guard = Watermarks::default();
    guard.check_and_record(&intent(&vote(HEIGHT - 1, 0, 1))).unwrap();
    guard
}

#[test]
fn a_start_hears_where_the_others_are_before_it_signs() {
    let head = |height| Message::Head(Head { height, value_id: B256::ZERO, oldest: 1 });
    // Two of the other three are at this height: nobody can have decided it.
    let mut replica = replica(&worked(), 3_000);
    let mut out = Vec::new();
    replica.start(NOW, &[], &mut out).unwrap();
    assert_eq!(replica.observe(), Some(Observe::Starting));
    replica.step(NOW, from(1, head(HEIGHT - 1)), &mut out).unwrap();
    assert_eq!(replica.observe(), Some(Observe::Starting), "one alone says nothing");
    replica.step(NOW, from(2, head(HEIGHT - 1)), &mut out).unwrap();
    assert_eq!(replica.observe(), None);

    // More than a third say that they are ahead: it follows.
    let mut replica = self::replica(&worked(), 3_000);
    replica.start(NOW, &[], &mut out).unwrap();
    replica.step(NOW, from(1, head(500)), &mut out).unwrap();
    assert_eq!(replica.observe(), Some(Observe::Starting), "one may lie");
    out.clear();
    replica.step(NOW, from(3, head(400)), &mut out).unwrap();
    assert_eq!(replica.observe(), Some(Observe::CatchingUp));
    assert!(out.iter().any(|o| matches!(o, Output::Ask { .. })), "it asks for what it lacks");
    for wait in [100, 1_000, 10_000] {
        replica.step(NOW + wait, Input::Tick, &mut out).unwrap();
    }
    assert!(!out.iter().any(|o| matches!(o, Output::Guard(_))), "nothing is signed meanwhile");

    // Nobody says anything: it goes on after a while.
    let mut replica = self::replica(&worked(), 3_000);
    replica.start(NOW, &[], &mut out).unwrap();
    let due = replica.next_deadline(NOW).unwrap();
    assert!(due > NOW && due <= NOW + 3_000);
    replica.step(due, Input::Tick, &mut out).unwrap();
    assert_eq!(replica.observe(), None);
}

#[test]
fn an_old_guard_found_at_the_start_is_followed_with_and_remembered() {
    let mut replica = replica(&worked(), 3_000);
    let mut out = Vec::new();
    replica.start(NOW, &[], &mut out).unwrap();
    let seen = vote(HEIGHT + 2, 1, 1);
    replica.step(NOW, from(2, polka(&seen)), &mut out).unwrap();
    let Some(Observe::OldGuard(until)) = replica.observe() else {
        panic!("{:?}", replica.observe())
    };
    assert!(until >= seen.height + 2);
    let durable = out
        .iter()
        .any(|o| matches!(o, Output::Guard(Intent::Floor { height }) if *height == until));
    assert!(durable, "a later start knows it too");
    // The same again changes nothing, a higher one does.
    out.clear();
    replica.step(NOW, from(3, polka(&seen)), &mut out).unwrap();
    assert!(!out.iter().any(|o| matches!(o, Output::Guard(_))));
    replica.step(NOW, from(3, polka(&vote(HEIGHT + 5, 0, 1))), &mut out).unwrap();
    assert!(matches!(replica.observe(), Some(Observe::OldGuard(higher)) if higher > until));

    // The next run, from the guard on disk.
    let mut guard = worked();
    guard.check_and_record(&Intent::Floor { height: until }).unwrap();
    let mut again = self::replica(&guard, 3_000);
    again.start(NOW, &[], &mut Vec::new()).unwrap();
    assert_eq!(again.observe(), Some(Observe::OldGuard(until)));
}

/// What a peer answers that has a height with this key's vote in it.
fn decided(height: u64) -> Synced {
    let (l1_hash, prev_randao, fee_vault) = (B256::ZERO, B256::ZERO, Address::ZERO);
    let header = Header {
        env: Env { timestamp_s: 0, l1_number: 0, l1_hash, gas_limit: 0, prev_randao, fee_vault },
        close: close(height),
        first_g: 1,
        last_g: 2,
        txs_root: B256::ZERO,
        frames_root: B256::ZERO,
        last_frame_hash: B256::ZERO,
    };
    let value_id = header.value_id(&domain());
    let vote = Vote { epoch: 0, height, round: 0, kind: VoteKind::Precommit, value_id };
    let certificate = CommitCertificate {
        epoch: 0,
        height,
        round: 0,
        value_id,
        signers: Bitmap::of([ME]),
        signatures: vec![keys(ME).1.sign(&vote.digest(&domain()))],
    };
    Synced { header, certificate, frames: Vec::new() }
}

fn close(height: u64) -> Close {
    Close { height, term: Term { height, round: 0 }, window_left: 1, ..Close::default() }
}

#[test]
fn while_it_follows_with_an_old_guard_it_looks_for_a_second_machine() {
    let mut guard = worked();
    guard.check_and_record(&Intent::Floor { height: HEIGHT + 20 }).unwrap();
    let mut replica = replica(&guard, 3_000);
    let mut out = Vec::new();
    replica.start(NOW, &[], &mut out).unwrap();
    let mut asked = std::collections::BTreeSet::new();
    for i in 1..10 {
        let now = NOW + i * 1_000;
        assert!(replica.next_deadline(now).is_some());
        replica.step(now, Input::Tick, &mut out).unwrap();
        for output in out.drain(..) {
            if let Output::Ask { to, request: Request::Heights { from, count } } = output {
                assert_eq!((from, count), (HEIGHT - 1, 1));
                asked.insert(to);
            }
        }
    }
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), [1, 2, 3].map(PeerNo), "all others in turn");
    // An earlier run may have voted there: no reason to stop, but one to wait longer.
    let answer = Input::Synced { from: PeerNo(2), heights: vec![decided(HEIGHT + 1)] };
    replica.step(NOW, answer, &mut out).unwrap();
    assert!(matches!(replica.observe(), Some(Observe::OldGuard(until)) if until > HEIGHT + 20));
}
