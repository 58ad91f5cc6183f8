//! A guard that moves decides as it did before it moved, and never forgets.

use super::*;
use crate::Intent;
use alloy_primitives::{Address, B256};
use proptest::prelude::*;
use rota_types::{Domain, VoteKind};
use std::path::Path;

const VOTER: Address = Address::repeat_byte(9);
const SEQ: [u8; 32] = [7; 32];

fn domain(generation: u32) -> Domain {
    Domain::new(1, 7, Address::repeat_byte(1), B256::repeat_byte(2), generation)
}

fn of() -> SignStateOf {
    SignStateOf::new(&domain(0), VOTER, SEQ)
}

fn open(dir: &Path) -> SignGuard {
    SignGuard::open(dir, VOTER, &domain(0)).unwrap()
}

fn intent() -> impl Strategy<Value = Intent> {
    let pos = (1u64..5, 0u32..3, 0u8..3);
    (pos, 0u8..13, 0u64..4).prop_map(|((height, round, c), kind, g)| {
        let content = B256::repeat_byte(c);
        match kind {
            0 | 1 => Intent::Vote { height, round, kind: VoteKind::Prevote, value_id: content },
            2 | 3 => Intent::Vote { height, round, kind: VoteKind::Precommit, value_id: content },
            4 | 5 => Intent::Proposal { height, round, value_id: content },
            6 | 7 => Intent::Status { height, round, digest: content },
            8 | 9 => Intent::Ack { height, round, g, hash: content },
            10 | 11 => Intent::Term { height, round, init_hash: content },
            _ => Intent::Floor { height },
        }
    })
}

fn intents(most: usize) -> impl Strategy<Value = Vec<Intent>> {
    prop::collection::vec(intent(), 0..most)
}

fn marks(all: &[Intent]) -> Watermarks {
    let mut marks = Watermarks::default();
    for i in all {
        let _ = marks.check_and_record(i);
    }
    marks.restarted();
    marks
}

/// A guard that took the intents, on disk.
fn signed(dir: &Path, all: &[Intent]) -> SignGuard {
    let mut guard = open(dir);
    for i in all {
        let _ = guard.check_and_record(*i);
    }
    guard.sync().unwrap();
    drop(guard);
    open(dir)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_exported_guard_decides_on_the_new_machine_as_on_the_old_one(
        before in intents(20), next in intents(8)
    ) {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut there = signed(old.path(), &before);
        let mut reference = there.watermarks().clone();
        let text = there.export(of()).unwrap().to_json().unwrap();
        let mut here = open(new.path());
        here.import(&SignState::from_json(&text).unwrap(), &of(), false).unwrap();
        drop(here);
        let mut here = open(new.path());
        prop_assert!(!here.exported());
        for i in &next {
            prop_assert_eq!(here.watermarks().known(i), reference.known(i));
            let (a, b) = (here.check_and_record(*i), reference.check_and_record(i));
            prop_assert_eq!(a.map_err(|e| e.to_string()), b.map(drop).map_err(|e| e.to_string()));
            prop_assert!(there.check_and_record(*i).is_err(), "the old machine signs no more");
        }
    }

    #[test]
    fn what_one_of_two_histories_forbids_is_forbidden_by_both_together(
        a in intents(14), b in intents(14), probes in intents(24)
    ) {
        let (a, b) = (marks(&a), marks(&b));
        let Ok(merged) = a.merge(&b) else {
            prop_assert!(b.merge(&a).is_err(), "a contradiction is one from both sides");
            return Ok(());
        };
        prop_assert_eq!(a.merge(&merged), Ok(merged.clone()), "nothing of it is forgotten");
        prop_assert_eq!(b.merge(&merged), Ok(merged.clone()));
        prop_assert_eq!(merged.merge(&merged), Ok(merged.clone()));
        for probe in &probes {
            match merged.check(probe) {
                Ok(true) => prop_assert!(
                    a.check(probe) == Ok(true) && b.check(probe) == Ok(true), "{:?}", probe
                ),
                Ok(false) => prop_assert!(
                    a.check(probe) == Ok(false) || b.check(probe) == Ok(false), "{:?}", probe
                ),
                Err(_) => {}
            }
        }
    }

    #[test]
    fn importing_never_lowers_anything(a in intents(14), b in intents(14), merge in any::<bool>()) {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = signed(old.path(), &a).export(of()).unwrap();
        let mut here = signed(new.path(), &b);
        let before = here.watermarks().clone();
        let result = here.import(&file, &of(), merge);
        drop(here);
        let after = open(new.path()).watermarks().clone();
        match result {
            Ok(done) => {
                prop_assert_eq!(before.merge(&after), Ok(after.clone()));
                prop_assert_eq!(done.changed, after != before);
                if !merge {
                    prop_assert_eq!(Ok(after), file.watermarks(&of()).map_err(|e| e.to_string()));
                }
            }
            Err(ImportError::Behind(_)) => {
                prop_assert!(!merge);
                prop_assert_eq!(after, before);
            }
            Err(ImportError::Contradiction(_)) => prop_assert_eq!(after, before),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn whatever_the_key_signed_is_known_after_any_restart_and_after_a_move(
        runs in prop::collection::vec(intents(12), 1..4)
    ) {
        let tmp = tempfile::tempdir().unwrap();
        let mut left = Vec::new();
        for run in runs {
            let mut guard = open(tmp.path());
            for i in run {
                if guard.check_and_record(i).is_ok() {
                    left.push(i);
                }
                for i in &left {
                    prop_assert_eq!(guard.watermarks().known(i), Known::Yes, "{:?}", i);
                }
            }
            guard.sync().unwrap();
        }
        let guard = open(tmp.path());
        for i in &left {
            prop_assert_eq!(guard.watermarks().known(i), Known::Yes, "after a restart: {:?}", i);
        }
    }

    #[test]
    fn a_changed_file_is_refused(all in intents(10), at in any::<prop::sample::Index>(), c in "[0-9a-fx]") {
        let text = SignState::new(of(), &marks(&all)).to_json().unwrap();
        let at = at.index(text.len());
        let mut changed = text.clone();
        changed.replace_range(at..=at, &c);
        let read = SignState::from_json(&changed);
        // Hex digits may be written in capitals or not, and a space more is no change.
        prop_assert!(changed == text || read.is_err() || read.unwrap() == SignState::from_json(&text).unwrap());
        // The line's end is not part of what it says.
        let cut = &text[..at.min(text.trim_end().len().saturating_sub(1))];
        prop_assert!(SignState::from_json(cut).is_err(), "a file that was cut off");
    }
}

const fn vote(height: u64, byte: u8) -> Intent {
    let value_id = B256::repeat_byte(byte);
    Intent::Vote { height, round: 0, kind: VoteKind::Prevote, value_id }
}

#[test]
fn a_guard_that_was_exported_stays_silent_until_it_is_taken_back() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = signed(old.path(), &[vote(5, 1)]).export(of()).unwrap();
    let mut there = open(old.path());
    assert!(there.exported());
    let refused = there.check_and_record(vote(6, 1)).unwrap_err().to_string();
    assert!(refused.contains("exported to another machine"), "{refused}");
    // The same file again proves nothing about the other machine.
    assert!(matches!(there.import(&first, &of(), false), Err(ImportError::OwnExport)));
    assert!(matches!(there.import(&first, &of(), true), Err(ImportError::OwnExport)));
    assert_eq!(there.export(of()).unwrap(), first, "an export can be repeated");

    // The other machine signs on; its own export brings the key back.
    let mut here = open(new.path());
    here.import(&first, &of(), false).unwrap();
    here.check_and_record(vote(6, 1)).unwrap();
    let back = here.export(of()).unwrap();
    assert_eq!(
        there.import(&back, &of(), false).unwrap(),
        Imported { changed: true, newest: Some(6) }
    );
    drop(there);
    let mut there = open(old.path());
    assert!(!there.exported());
    assert!(there.check_and_record(vote(6, 2)).is_err());
    there.check_and_record(vote(7, 1)).unwrap();

    // A long file is rewritten, and the mark with it.
    drop(here);
    let mut here = open(new.path());
    here.rewrite().unwrap();
    drop(here);
    let mut here = open(new.path());
    assert!(here.exported());
    here.reopen().unwrap();
    drop(here);
    open(new.path()).check_and_record(vote(7, 9)).unwrap();
}

#[test]
fn another_network_key_or_generation_and_an_older_file_are_refused_by_name() {
    let tmp = tempfile::tempdir().unwrap();
    let mut guard = signed(tmp.path(), &[vote(5, 1)]);
    let other = Domain::new(1, 8, Address::repeat_byte(1), B256::repeat_byte(2), 0);
    let cases = [
        (SignStateOf::new(&other, VOTER, SEQ), "rollup"),
        (SignStateOf::new(&domain(1), VOTER, SEQ), "generation"),
        (SignStateOf::new(&domain(0), Address::repeat_byte(8), SEQ), "vote key"),
        (SignStateOf::new(&domain(0), VOTER, [8; 32]), "sequencer key"),
    ];
    for (of_file, what) in cases {
        let file = SignState::new(of_file, &marks(&[vote(9, 1)]));
        let said = guard.import(&file, &of(), true).unwrap_err().to_string();
        assert!(said.contains(&format!("another {what}:")), "{said}");
    }
    let older = SignState::new(of(), &marks(&[vote(4, 1)]));
    let said = guard.import(&older, &of(), false).unwrap_err().to_string();
    assert!(said.contains("older") && said.contains("prevote at height 5 round 0"), "{said}");
    assert!(!guard.import(&older, &of(), true).unwrap().changed);
    let conflict = SignState::new(of(), &marks(&[vote(5, 2)]));
    let said = guard.import(&conflict, &of(), true).unwrap_err().to_string();
    assert!(said.contains("signed a contradiction") && said.contains("height 5"), "{said}");
    assert_eq!(guard.newest(), Some(5));
}

#[test]
fn a_look_at_the_file_takes_nothing_and_changes_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    assert!(SignGuard::peek(tmp.path(), VOTER, &domain(0)).unwrap().is_none());
    let guard = signed(tmp.path(), &[vote(5, 1)]);
    let bytes = std::fs::read(guard.path()).unwrap();
    // Another process has it and is in the middle of a write.
    std::fs::write(guard.path(), [bytes.as_slice(), &[1, 2, 3]].concat()).unwrap();
    let view = SignGuard::peek(tmp.path(), VOTER, &domain(0)).unwrap().unwrap();
    assert_eq!((view.marks.newest(), view.exported), (Some(5), false));
    assert_eq!(std::fs::read(guard.path()).unwrap().len(), bytes.len() + 3);
}

#[test]
fn a_damaged_guard_is_never_taken_for_a_new_one() {
    let tmp = tempfile::tempdir().unwrap();
    let guard = signed(tmp.path(), &[vote(5, 1), vote(6, 1), vote(7, 1)]);
    let path = guard.path().to_path_buf();
    drop(guard);
    let whole = std::fs::read(&path).unwrap();
    let first = 8 + 57;
    for at in [0, 9, first + 2, first + 20] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let found = SignGuard::open(tmp.path(), VOTER, &domain(0));
        assert!(matches!(found, Err(StoreError::GuardDamaged { .. })), "{at}: {found:?}");
        let found = SignGuard::peek(tmp.path(), VOTER, &domain(0));
        assert!(matches!(found, Err(StoreError::GuardDamaged { .. })), "{at}: {found:?}");
    }
}

#[test]
fn after_a_failed_write_the_guard_lets_no_signature_through_and_gives_nothing_out() {
    let tmp = tempfile::tempdir().unwrap();
    let mut guard = signed(tmp.path(), &[vote(5, 1)]);
    // A rewrite has nowhere to go: the directory of the guard is gone.
    std::fs::remove_dir_all(tmp.path()).unwrap();
    assert!(guard.rewrite().is_err());
    assert!(matches!(guard.check_and_record(vote(6, 1)), Err(crate::GuardError::Store(_))));
    assert!(guard.export(of()).is_err());
    let file = SignState::new(of(), &marks(&[vote(9, 1)]));
    assert!(matches!(guard.import(&file, &of(), false), Err(ImportError::Store(_))));
    assert_eq!(guard.newest(), Some(5));
}
