//! Insertion and deletion: copy the path, keep the shape canonical.

use std::sync::Arc;

use alloy_primitives::B256;

use super::node::{
    Children, KEY_NIBBLES, Kind, Link, Node, leaf, nibble, shared_until, with_nibble,
};

/// Puts a value below `link`, which stands at `depth`.
pub(super) fn insert(link: &mut Link, depth: usize, key: &B256, value: &[u8]) {
    let (own, end) = match link.kind() {
        Kind::Leaf { key, .. } => (*key, KEY_NIBBLES),
        Kind::Extension { key, end, .. } => (*key, *end),
        Kind::Branch(_) | Kind::Hidden(_) => (*key, depth),
    };
    let fork = shared_until(&own, key, depth, end);
    if fork < end {
        *link = split(link, depth, fork, leaf(*key, value), key);
        return;
    }
    match Arc::make_mut(link).kind_mut() {
        Kind::Leaf { value: old, .. } => *old = value.into(),
        Kind::Extension { end, child, .. } => insert(child, *end, key, value),
        Kind::Branch(children) => match children.get_mut(nibble(key, depth)) {
            Some(Some(child)) => insert(child, depth.saturating_add(1), key, value),
            Some(empty) => *empty = Some(leaf(*key, value)),
            None => {}
        },
        // `partial` lets nobody come here.
        Kind::Hidden(_) => {}
    }
}

/// Takes a key that is present away from below `link`; true when nothing is left there.
pub(super) fn remove(link: &mut Link, depth: usize, key: &B256) -> bool {
    match Arc::make_mut(link).kind_mut() {
        Kind::Leaf { .. } => return true,
        Kind::Hidden(_) => return false,
        Kind::Extension { end, child, .. } => {
            remove(child, *end, key);
            if !matches!(child.kind(), Kind::Branch(_)) {
                *link = moved(child);
            }
        }
        Kind::Branch(children) => {
            if let Some(slot) = children.get_mut(nibble(key, depth))
                && let Some(child) = slot
                && remove(child, depth.saturating_add(1), key)
            {
                *slot = None;
            }
            if let Some(collapsed) = collapse(children, depth, key) {
                *link = collapsed;
            }
        }
    }
    false
}

/// Replaces a leaf or an extension by a branch at `fork`, with what was there on one side and
/// `added` on the other.
fn split(old: &Link, depth: usize, fork: usize, added: Link, key: &B256) -> Link {
    let below = fork.saturating_add(1);
    let (own, kept) = match old.kind() {
        // The extension ends right after the fork: its branch takes its place.
        Kind::Extension { key, end, child } if *end == below => (key, child.clone()),
        Kind::Extension { key, .. } | Kind::Leaf { key, .. } => (key, moved(old)),
        // Keys differ nowhere before a branch, so nobody splits one.
        Kind::Branch(_) | Kind::Hidden(_) => return old.clone(),
    };
    let mut children: Box<Children> = Box::default();
    for (at, child) in [(nibble(own, fork), kept), (nibble(key, fork), added)] {
        if let Some(slot) = children.get_mut(at) {
            *slot = Some(child);
        }
    }
    let branch = Arc::new(Node::new(Kind::Branch(children)));
    if fork == depth {
        return branch;
    }
    Arc::new(Node::new(Kind::Extension { key: *key, end: fork, child: branch }))
}

/// What a branch with a single child left becomes; `None` while it has more.
fn collapse(children: &Children, depth: usize, removed: &B256) -> Option<Link> {
    let mut left =
        children.iter().enumerate().filter_map(|(at, child)| Some((at, child.as_ref()?)));
    let (at, child) = left.next()?;
    if left.next().is_some() {
        return None;
    }
    Some(match child.kind() {
        Kind::Leaf { .. } | Kind::Extension { .. } => moved(child),
        Kind::Branch(_) | Kind::Hidden(_) => Arc::new(Node::new(Kind::Extension {
            key: with_nibble(removed, depth, at),
            end: depth.saturating_add(1),
            child: child.clone(),
        })),
    })
}

/// The same node for another depth: its path, and so its reference, changes.
fn moved(link: &Link) -> Link {
    Arc::new(Node::clone(link))
}
