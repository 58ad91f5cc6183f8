//! What a replica may go on from after a crash: only its own log, and no further than the guard allows.
#![expect(clippy::unwrap_used, reason = "test code")]

mod four;

use alloy_primitives::B256;
use four::{NOW, domain, keys, replica_at};
use rota_consensus::{Input, Observe, Output, PeerNo, Replica};
use rota_store::{Intent, Watermarks};
use rota_types::{SignedVote, Vote, VoteKind, wire::Message};

const HEIGHT: u64 = 10;

/// A replica at `HEIGHT`, started, and what it put out.
fn started(signed: &[Intent], wal: &[Vec<u8>]) -> (Replica, Vec<Output>) {
    let mut guard = Watermarks::default();
    for intent in signed {
        assert!(guard.check_and_record(intent).unwrap());
    }
    let mut replica = replica_at(HEIGHT, &guard, wal, 0);
    let mut out = Vec::new();
    replica.start(NOW, wal, &mut out).unwrap();
    (replica, out)
}

fn prevote(value: u8) -> Vote {
    let value_id = B256::repeat_byte(value);
    Vote { epoch: 0, height: HEIGHT, round: 0, kind: VoteKind::Prevote, value_id }
}

/// Others prevote, and every timeout of some seconds passes.
fn seconds_pass(replica: &mut Replica, out: &mut Vec<Output>) {
    for i in 1..3u16 {
        let vote = SignedVote::sign(prevote(9), i, &keys(i).1, &domain());
        let input = Input::Message { from: PeerNo(i), message: Message::Vote(vote) };
        replica.step(NOW, input, out).unwrap();
    }
    for now in (NOW..NOW + 4_000).step_by(50) {
        replica.step(now, Input::Tick, out).unwrap();
        replica.flush(now, out).unwrap();
    }
}

fn intent(vote: &Vote) -> Intent {
    let Vote { height, round, kind, value_id, .. } = *vote;
    Intent::Vote { height, round, kind, value_id }
}

fn logged(out: &[Output]) -> Vec<Vec<u8>> {
    let entry = |o: &Output| if let Output::Wal(bytes) = o { Some(bytes.clone()) } else { None };
    out.iter().filter_map(entry).collect()
}

/// Own votes of the height's round 0 that were to leave.
fn voted(out: &[Output]) -> Vec<Vote> {
    let vote = |o: &Output| match o {
        Output::Send { message: Message::Vote(v), .. } if v.vote.round == 0 => Some(v.vote.clone()),
        _ => None,
    };
    out.iter().filter_map(vote).collect()
}

#[test]
fn who_follows_logs_nothing_that_would_pass_for_the_log_of_a_voter() {
    let (mut replica, mut out) = started(&[intent(&prevote(7))], &[]);
    assert_eq!(replica.observe(), Some(Observe::NoLog(HEIGHT)));
    seconds_pass(&mut replica, &mut out);
    assert_eq!(logged(&out), Vec::<Vec<u8>>::new());
    assert_eq!(voted(&out), Vec::new());
    // One that takes part does log all of this.
    let (mut replica, mut out) = started(&[], &[]);
    seconds_pass(&mut replica, &mut out);
    assert!(logged(&out).len() > 2);
    assert_eq!(voted(&out).first().map(|v| v.value_id), Some(B256::ZERO));
}

/// The guard knows of a vote that the log does not, so it had not left: nothing else is signed there, and it goes on.
#[test]
fn a_place_that_the_run_before_left_half_written_stays_empty() {
    let (mut replica, mut out) = started(&[], &[]);
    let vote = SignedVote::sign(prevote(9), 1, &keys(1).1, &domain());
    let input = Input::Message { from: PeerNo(1), message: Message::Vote(vote) };
    replica.step(NOW, input, &mut out).unwrap();
    let wal = logged(&out);
    assert_eq!(wal.len(), 1);

    let (mut replica, mut out) = started(&[intent(&prevote(7))], &wal);
    assert_eq!(replica.observe(), None);
    seconds_pass(&mut replica, &mut out);
    let kinds: Vec<_> = voted(&out).iter().map(|v| v.kind).collect();
    assert!(!kinds.contains(&VoteKind::Prevote), "{kinds:?}");
    assert!(logged(&out).len() > 1, "it takes part");
}
