//! A replica without keys: nobody tells it anything, so it asks, and it signs nothing.
#![expect(clippy::unwrap_used, reason = "test code")]

mod four;

use four::{NOW, epoch, replica_at, replica_of};
use rota_consensus::{Identity, Input, Output, PeerNo, Replica};
use rota_store::Watermarks;
use rota_types::wire::Request;

/// The heights that it asks for, and of whom, until then.
fn asked(replica: &mut Replica, until: u64) -> Vec<(u16, u64)> {
    let (mut now, mut out) = (NOW, Vec::new());
    while now <= until {
        replica.step(now, Input::Tick, &mut out).unwrap();
        replica.flush(now, &mut out).unwrap();
        now = replica.next_deadline(now).unwrap_or(u64::MAX).max(now.saturating_add(1));
    }
    assert!(!out.iter().any(|o| matches!(o, Output::Guard(_))), "it signs");
    let ask = |o: &Output| match o {
        Output::Ask { to, request: Request::Heights { from, .. } } => Some((to.0, *from)),
        _ => None,
    };
    out.iter().filter_map(ask).collect()
}

#[test]
fn it_asks_one_member_after_the_other_and_never_signs() {
    let nobody = Identity { me: PeerNo(9), pairs: Vec::new() };
    let mut replica = replica_of(nobody, 1, (Vec::new(), &[]), 0);
    replica.start(NOW, &[], &mut Vec::new()).unwrap();
    let all = asked(&mut replica, NOW.saturating_add(1_000));
    assert_eq!(all, [(0, 1), (1, 1), (2, 1), (3, 1), (0, 1), (1, 1)]);
    // An answer without heights changes nothing.
    let input = Input::Synced { from: PeerNo(1), heights: Vec::new() };
    replica.step(NOW.saturating_add(1_001), input, &mut Vec::new()).unwrap();
}

/// Who is far behind may know members that have left long ago.
#[test]
fn it_asks_the_members_of_later_sets_too() {
    let nobody = Identity { me: PeerNo(9), pairs: Vec::new() };
    let mut replica = replica_of(nobody, 1, (Vec::new(), &[]), 0);
    replica.start(NOW, &[], &mut Vec::new()).unwrap();
    let peers = (5..9).map(PeerNo).collect();
    replica.step(NOW, Input::Set { epoch: epoch(1), peers }, &mut Vec::new()).unwrap();
    let all = asked(&mut replica, NOW.saturating_add(1_500));
    // The first of all was asked with the step before.
    assert_eq!(all.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [1, 2, 3, 5, 6, 7, 8]);
}

/// A member is told, and asks only for what it was told of.
#[test]
fn a_member_does_not() {
    let mut member = replica_at(1, &Watermarks::default(), &[], 1_000_000);
    member.start(NOW, &[], &mut Vec::new()).unwrap();
    assert_eq!(asked(&mut member, NOW.saturating_add(1_000)), []);
}
