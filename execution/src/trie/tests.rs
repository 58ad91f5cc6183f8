//! The trie against alloy-trie's hash builder and proof verifier.

use std::collections::BTreeMap;

use alloy_primitives::{B256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, proof::verify_proof};
use proptest::prelude::*;

use super::Trie;

fn oracle(pairs: &BTreeMap<B256, Vec<u8>>) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in pairs {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    builder.root()
}

/// Keys that collide on long prefixes as often as keccak's never would.
fn key(id: u16, crowded: bool) -> B256 {
    if !crowded {
        return keccak256(id.to_be_bytes());
    }
    let mut key = B256::ZERO;
    let [high, low] = id.to_be_bytes();
    key[1] = low & 0x03;
    key[20] = low & 0x0c;
    key[30] = high;
    key[31] = low & 0xf0;
    key
}

#[derive(Clone, Debug)]
enum Edit {
    Put(u16, Vec<u8>),
    Take(u16),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..4),
        prop::collection::vec(any::<u8>(), 30..36),
        prop::collection::vec(any::<u8>(), 70..120),
    ];
    let edit = prop_oneof![
        3 => (0u16..200, value).prop_map(|(id, value)| Edit::Put(id, value)),
        2 => (0u16..200).prop_map(Edit::Take),
    ];
    prop::collection::vec(edit, 1..160)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn any_history_gives_the_builder_root(edits in edits(), crowded: bool, peek in 1usize..9) {
        let (mut trie, mut pairs) = (Trie::default(), BTreeMap::new());
        for (step, edit) in edits.into_iter().enumerate() {
            match edit {
                Edit::Put(id, value) => {
                    trie.insert(key(id, crowded), &value);
                    pairs.insert(key(id, crowded), value);
                }
                Edit::Take(id) => {
                    trie.remove(&key(id, crowded));
                    pairs.remove(&key(id, crowded));
                }
            }
            // Hashing half way must not freeze anything.
            if step.is_multiple_of(peek) {
                prop_assert_eq!(trie.root(), oracle(&pairs));
            }
        }
        prop_assert_eq!(trie.root(), oracle(&pairs));
        for (key, value) in &pairs {
            prop_assert_eq!(trie.get(key), Some(&value[..]));
        }
        prop_assert_eq!(trie.is_empty(), pairs.is_empty());
    }

    #[test]
    fn proofs_show_presence_and_absence(edits in edits(), crowded: bool) {
        let mut trie = Trie::default();
        for edit in edits {
            match edit {
                Edit::Put(id, value) => trie.insert(key(id, crowded), &value),
                Edit::Take(id) => trie.remove(&key(id, crowded)),
            }
        }
        let root = trie.root();
        for id in 0..220 {
            let key = key(id, crowded);
            let value = trie.get(&key).map(<[u8]>::to_vec);
            let proof = trie.proof(&key);
            let path = Nibbles::unpack(key);
            prop_assert!(verify_proof(root, path, value.clone(), &proof).is_ok(), "id {}", id);
            prop_assert!(verify_proof(root, path, Some(vec![0x81, 0xff, 1, 2, 3]), &proof).is_err());
            if value.is_some() {
                prop_assert!(verify_proof(root, path, None, &proof).is_err());
            }
        }
    }

    #[test]
    fn an_old_version_never_changes(first in edits(), second in edits()) {
        let run = |trie: &mut Trie, edits: Vec<Edit>| {
            for edit in edits {
                match edit {
                    Edit::Put(id, value) => trie.insert(key(id, true), &value),
                    Edit::Take(id) => trie.remove(&key(id, true)),
                }
            }
        };
        let mut trie = Trie::default();
        run(&mut trie, first.clone());
        let old = trie.clone();
        run(&mut trie, second);
        let mut alone = Trie::default();
        run(&mut alone, first);
        prop_assert_eq!(old.root(), alone.root());
    }
}

#[test]
fn emptied_trie_has_the_empty_root() {
    let mut trie = Trie::default();
    assert_eq!(trie.root(), EMPTY_ROOT_HASH);
    for id in 0..50 {
        trie.insert(key(id, true), &[0x01]);
    }
    assert_ne!(trie.root(), EMPTY_ROOT_HASH);
    for id in 0..50 {
        trie.remove(&key(id, true));
    }
    assert_eq!(trie.root(), EMPTY_ROOT_HASH);
    assert!(trie.proof(&key(1, true)).is_empty());
}

/// A file of a few kilobytes whose branches all point to one node, 60 of them deep, would be 16^60 nodes.
#[test]
fn nodes_that_point_to_one_another_many_times_are_refused() {
    let mut nodes = super::partial::Nodes::new();
    let mut child = keccak256([1]);
    for _ in 0..60 {
        let mut branch = vec![0xf9, 0x02, 0x11];
        for _ in 0..16 {
            branch.push(0xa0);
            branch.extend(child);
        }
        branch.push(0x80);
        child = keccak256(&branch);
        nodes.insert(child, branch.into());
    }
    let said = Trie::partial(child, &nodes).unwrap_err().to_string();
    assert!(said.contains("more than one place"), "{said}");
}
