//! The guard over every order of intents and every point of a crash.

use super::*;
use crate::SignStateOf;
use proptest::prelude::*;
use rota_types::VoteKind;
use std::collections::BTreeMap;

fn domain(generation: u32) -> Domain {
    Domain::new(1, 7, Address::repeat_byte(1), B256::repeat_byte(2), generation)
}

const VOTER: Address = Address::repeat_byte(9);

fn open(dir: &Path) -> SignGuard {
    SignGuard::open(dir, VOTER, &domain(0)).unwrap()
}

fn intent() -> impl Strategy<Value = Intent> {
    let pos = (1u64..4, 0u32..3, 0u8..3);
    (pos, 0u8..7, 0u64..4).prop_map(|((height, round, c), kind, g)| {
        let content = B256::repeat_byte(c);
        match kind {
            0 => Intent::Vote { height, round, kind: VoteKind::Prevote, value_id: content },
            1 => Intent::Vote { height, round, kind: VoteKind::Precommit, value_id: content },
            2 => Intent::Proposal { height, round, value_id: content },
            3 => Intent::Status { height, round, digest: content },
            4 => Intent::Ack { height, round, g, hash: content },
            5 => Intent::Term { height, round, init_hash: content },
            // Rare, since it forbids most of what follows.
            _ if c == 0 => Intent::Floor { height },
            _ => Intent::Term { height, round, init_hash: content },
        }
    })
}

/// Where two different contents would be a contradiction, and the content there.
fn slot(i: &Intent) -> ((u8, u64, u32, u64), B256) {
    let (h, r) = i.position();
    match *i {
        Intent::Vote { kind, value_id, .. } => ((kind as u8, h, r, 0), value_id),
        Intent::Proposal { value_id, .. } => ((3, h, r, 0), value_id),
        Intent::Status { digest, .. } => ((4, h, r, 0), digest),
        Intent::Ack { g, hash, .. } => ((5, h, r, g), hash),
        Intent::Term { init_hash, .. } => ((6, h, r, 0), init_hash),
        Intent::Floor { .. } => ((7, h, r, 0), B256::ZERO),
    }
}

fn assert_consistent(signed: &[Intent]) {
    let mut seen = BTreeMap::new();
    let mut left = BTreeMap::new();
    let mut floor = 0;
    for i in signed {
        let (key, content) = slot(i);
        assert_eq!(*seen.entry(key).or_insert(content), content, "two contents at {key:?}");
        let (h, r) = i.position();
        let limit = matches!(i, Intent::Floor { .. });
        assert!(limit || h > floor, "signed at height {h}, below the floor {floor}");
        match i {
            Intent::Status { .. } => {
                left.insert(h, r);
            }
            Intent::Floor { .. } => floor = floor.max(h),
            Intent::Ack { .. } => {
                assert!(left.get(&h).is_none_or(|l| *l <= r), "ack for a round that was left");
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_accepted_sequence_contradicts_itself_over_restarts(
        runs in prop::collection::vec(prop::collection::vec(intent(), 0..12), 1..4)
    ) {
        let tmp = tempfile::tempdir().unwrap();
        let mut signed = Vec::new();
        for run in runs {
            let mut terms = Vec::new();
            let mut guard = open(tmp.path());
            for i in run {
                if guard.check_and_record(i).is_ok() {
                    guard.sync().unwrap();
                    if let Intent::Term { .. } = i { terms.push(i); }
                    signed.push(i);
                    prop_assert!(guard.check_and_record(i).is_ok(), "the same again is fine");
                }
            }
            let marks = guard.watermarks().clone();
            drop(guard);
            let mut again = open(tmp.path());
            for t in terms {
                prop_assert!(again.check_and_record(t).is_err(), "a term of an earlier run goes on");
            }
            prop_assert_eq!(again.newest(), marks.newest());
            // Of the acks of one round only the first is on disk: the next run gives none there.
            let last = |m: &Watermarks| m.snapshot().into_iter().rfind(|i| matches!(i, Intent::Ack { .. }));
            if let (Some(ours), Some(theirs)) = (last(&marks), last(again.watermarks())) {
                prop_assert_eq!(ours.position(), theirs.position());
                prop_assert!(again.check_and_record(ours).is_err(), "acks of an earlier run go on");
            }
            let rest = |m: &Watermarks| -> Vec<Intent> {
                m.snapshot().into_iter().filter(|i| !matches!(i, Intent::Ack { .. })).collect()
            };
            prop_assert_eq!(rest(again.watermarks()), rest(&marks));
        }
        assert_consistent(&signed);
    }

    #[test]
    fn a_crash_at_any_byte_loses_only_what_was_not_synced(
        before in prop::collection::vec(intent(), 1..8),
        unsynced in prop::collection::vec(intent(), 0..4),
        after in prop::collection::vec(intent(), 1..8),
    ) {
        let tmp = tempfile::tempdir().unwrap();
        let mut guard = open(tmp.path());
        let path = guard.log.path().to_path_buf();
        // What was synced has left the machine.
        let mut left: Vec<Intent> = Vec::new();
        for i in before {
            if guard.check_and_record(i).is_ok() { left.push(i); }
        }
        guard.sync().unwrap();
        let synced = std::fs::read(&path).unwrap().len();
        for i in unsynced { let _ = guard.check_and_record(i); }
        guard.sync().unwrap();
        drop(guard);
        let bytes = std::fs::read(&path).unwrap();
        for cut in synced..=bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let mut guard = open(tmp.path());
            let mut signed = left.clone();
            for i in &after {
                if guard.check_and_record(*i).is_ok() { signed.push(*i); }
            }
            assert_consistent(&signed);
        }
    }

    #[test]
    fn compaction_forgets_nothing(all in prop::collection::vec(intent(), 0..20), probe in intent()) {
        let mut marks = Watermarks::default();
        for i in all { let _ = marks.check_and_record(&i); }
        marks.restarted();
        let mut copy = Watermarks::default();
        for i in marks.snapshot() { prop_assert!(copy.check_and_record(&i).is_ok()); }
        copy.restarted();
        prop_assert_eq!(&copy, &marks);
        prop_assert_eq!(copy.check_and_record(&probe), marks.check_and_record(&probe));
    }

    #[test]
    fn intents_have_one_encoding(i in intent()) {
        prop_assert_eq!(Intent::decode(&i.encode()), Ok(i));
    }
}

#[test]
fn refusals_name_both_contents_in_plain_words() {
    let tmp = tempfile::tempdir().unwrap();
    let mut guard = open(tmp.path());
    let vote = |height, value_id| Intent::Vote {
        height,
        round: 1,
        kind: VoteKind::Prevote,
        value_id: B256::repeat_byte(value_id),
    };
    guard.check_and_record(vote(5, 0xaa)).unwrap();
    let conflict = guard.check_and_record(vote(5, 0xbb)).unwrap_err().to_string();
    for part in ["prevote", "height 5 round 1", &"aa".repeat(32), &"bb".repeat(32)] {
        assert!(conflict.contains(part), "{conflict}");
    }
    let lower = guard.check_and_record(vote(4, 0xaa)).unwrap_err().to_string();
    assert!(lower.contains("height 4 round 1") && lower.contains("height 5 round 1"), "{lower}");
}

#[test]
fn votes_are_ordered_by_height_round_and_kind_and_the_same_again_is_signed() {
    let mut m = Watermarks::default();
    let v = |height, round, kind| Intent::Vote { height, round, kind, value_id: B256::ZERO };
    assert_eq!(m.check_and_record(&v(3, 0, VoteKind::Prevote)), Ok(true));
    assert_eq!(m.check_and_record(&v(3, 0, VoteKind::Precommit)), Ok(true));
    assert_eq!(m.check_and_record(&v(3, 2, VoteKind::Precommit)), Ok(true));
    assert_eq!(m.check_and_record(&v(3, 0, VoteKind::Prevote)), Ok(false), "a replayed vote");
    assert!(m.check_and_record(&v(3, 2, VoteKind::Prevote)).is_err());
    assert!(m.check_and_record(&v(3, 1, VoteKind::Precommit)).is_err());
    assert_eq!(m.check_and_record(&v(4, 0, VoteKind::Prevote)), Ok(true));
    assert!(m.check_and_record(&v(3, 2, VoteKind::Precommit)).is_err());
    assert_eq!(m.newest(), Some(4));
}

#[test]
fn another_network_is_refused_and_a_later_generation_starts_afresh() {
    let tmp = tempfile::tempdir().unwrap();
    let vote = Intent::Vote { height: 9, round: 0, kind: VoteKind::Prevote, value_id: B256::ZERO };
    let mut guard = open(tmp.path());
    guard.check_and_record(vote).unwrap();
    guard.sync().unwrap();
    assert!(matches!(
        SignGuard::open(tmp.path(), VOTER, &domain(0)),
        Err(StoreError::Locked { .. })
    ));
    drop(guard);
    let other = Domain::new(1, 8, Address::repeat_byte(1), B256::repeat_byte(2), 0);
    let later_other = Domain::new(1, 8, Address::repeat_byte(1), B256::repeat_byte(2), 1);
    for d in [other, later_other] {
        assert!(matches!(
            SignGuard::open(tmp.path(), VOTER, &d),
            Err(StoreError::OtherNetwork { .. })
        ));
    }
    assert_eq!(open(tmp.path()).newest(), Some(9));
    assert_eq!(SignGuard::open(tmp.path(), VOTER, &domain(2)).unwrap().newest(), None);
    assert!(matches!(
        SignGuard::open(tmp.path(), VOTER, &domain(1)),
        Err(StoreError::OtherNetwork { .. })
    ));
}

#[test]
fn a_later_generation_keeps_what_the_one_before_signed_whenever_a_crash_comes() {
    let tmp = tempfile::tempdir().unwrap();
    let vote = Intent::Vote { height: 9, round: 0, kind: VoteKind::Prevote, value_id: B256::ZERO };
    let mut guard = open(tmp.path());
    guard.check_and_record(vote).unwrap();
    guard.sync().unwrap();
    let path = guard.path().to_path_buf();
    drop(guard);
    let before = std::fs::read(&path).unwrap();
    let kept = path.with_extension("generation-0");
    // A crash before the copy is whole, and one between the copy and the new file.
    for left in [&b""[..], &before[..3], &before] {
        std::fs::write(&path, &before).unwrap();
        std::fs::write(&kept, left).unwrap();
        assert_eq!(SignGuard::generation_in(tmp.path(), VOTER).unwrap(), Some(0));
        let mut guard = SignGuard::open(tmp.path(), VOTER, &domain(1)).unwrap();
        assert_eq!(guard.newest(), None);
        assert_eq!(std::fs::read(&kept).unwrap(), before);
        guard.check_and_record(vote).unwrap();
        guard.sync().unwrap();
        drop(guard);
        assert_eq!(SignGuard::generation_in(tmp.path(), VOTER).unwrap(), Some(1));
        let again = SignGuard::open(tmp.path(), VOTER, &domain(1)).unwrap();
        assert_eq!(again.newest(), Some(9), "what was signed in this one");
        assert!(SignGuard::open(tmp.path(), VOTER, &domain(0)).is_err());
    }
    assert_eq!(SignGuard::generation_in(tmp.path(), Address::ZERO).unwrap(), None);
}

#[test]
fn a_key_that_was_given_away_is_not_taken_back_by_a_later_generation() {
    let tmp = tempfile::tempdir().unwrap();
    let of = |generation| SignStateOf::new(&domain(generation), VOTER, [7; 32]);
    open(tmp.path()).export(of(0)).unwrap();
    let vote = Intent::Vote { height: 9, round: 0, kind: VoteKind::Prevote, value_id: B256::ZERO };
    assert!(SignGuard::peek(tmp.path(), VOTER, &domain(1)).unwrap().unwrap().exported);
    for _ in 0..2 {
        let mut guard = SignGuard::open(tmp.path(), VOTER, &domain(1)).unwrap();
        assert!(guard.exported());
        assert!(guard.check_and_record(vote).is_err());
    }
    let mut guard = SignGuard::open(tmp.path(), VOTER, &domain(1)).unwrap();
    guard.reopen().unwrap();
    drop(guard);
    let mut guard = SignGuard::open(tmp.path(), VOTER, &domain(2)).unwrap();
    guard.check_and_record(vote).unwrap();
}

#[test]
fn a_long_file_is_rewritten_while_running_and_on_open() {
    let tmp = tempfile::tempdir().unwrap();
    let mut guard = open(tmp.path());
    let ack = |h| Intent::Ack { height: h, round: 0, g: h, hash: B256::repeat_byte(1) };
    for g in 0..90_000 {
        guard.check_and_record(ack(g)).unwrap();
    }
    assert!(guard.log.len() > MAX_BYTES);
    guard.sync().unwrap();
    assert!(guard.log.len() < 1000, "{}", guard.log.len());
    for g in 90_000..95_000 {
        guard.check_and_record(ack(g)).unwrap();
    }
    guard.sync().unwrap();
    drop(guard);
    let mut guard = open(tmp.path());
    assert!(guard.log.len() < 1000, "{}", guard.log.len());
    assert!(guard.check_and_record(ack(94_998)).is_err());
    assert!(guard.check_and_record(ack(94_999)).is_err(), "acks of an earlier run");
    guard.check_and_record(ack(95_000)).unwrap();
    assert!(guard.is_dirty());
}

#[test]
fn age_tells_a_new_or_old_file_from_a_current_one() {
    let tmp = tempfile::tempdir().unwrap();
    let mut guard = open(tmp.path());
    assert_eq!(guard.age(0, 2), GuardAge::Current);
    assert_eq!(guard.age(50, 2), GuardAge::Empty);
    guard.check_and_record(Intent::Status { height: 48, round: 1, digest: B256::ZERO }).unwrap();
    assert_eq!(guard.age(50, 2), GuardAge::Current);
    assert_eq!(guard.age(51, 2), GuardAge::Old { newest: 48, behind: 3 });
}
