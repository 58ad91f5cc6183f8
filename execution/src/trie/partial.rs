//! A trie of which some nodes are not here: what a witness shows of a larger one.
//!
//! Its root is that of the whole trie. Reading says whether a key is there, is not, or is hidden; a change that would have
//! to look at a hidden node is not made, and the trie says that it is broken. So a root that comes out is the one that
//! the whole trie would have.

use super::{
    Trie,
    node::{Children, KEY_NIBBLES, Kind, Link, Node, leaf, nibble, shared_until, with_nibble},
};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::nodes::{RlpNode, TrieNode};
use std::{collections::BTreeMap, sync::Arc};

/// Encoded nodes by their hashes.
pub(crate) type Nodes = BTreeMap<B256, Bytes>;

/// The nodes of a witness do not make a trie. Whoever made it is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the nodes make no trie: {0}")]
pub struct BadNodes(&'static str);

impl BadNodes {
    pub(crate) const fn new(why: &'static str) -> Self {
        Self(why)
    }
}

/// What can be said of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It has a value.
    Present,
    /// It has none.
    Absent,
    /// The way to it leads over a node that is not here.
    Hidden,
}

impl Trie {
    /// The trie with this root, as far as the nodes are given.
    pub(crate) fn partial(root: B256, nodes: &Nodes) -> Result<Self, BadNodes> {
        let mut left = nodes.len();
        let root = (root != alloy_trie::EMPTY_ROOT_HASH)
            .then(|| link(&RlpNode::word_rlp(&root), (&B256::ZERO, 0), nodes, &mut left))
            .transpose()?;
        Ok(Self { root, partial: true, broken: false })
    }

    /// Whether a change was left out because of a hidden node.
    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// What can be said of a key.
    pub(crate) fn look(&self, key: &B256) -> Look {
        self.walk(key, |_, _| ())
    }

    /// Hands out every value that is here.
    pub(crate) fn each<'a>(&'a self, mut take: impl FnMut(&'a B256, &'a [u8])) {
        let mut open: Vec<&Link> = self.root.iter().collect();
        while let Some(link) = open.pop() {
            match link.kind() {
                Kind::Leaf { key, value } => take(key, value),
                Kind::Extension { child, .. } => open.push(child),
                Kind::Branch(children) => open.extend(children.iter().flatten()),
                Kind::Hidden(_) => {}
            }
        }
    }

    /// The nodes beside the way to a key: what may be left alone if the key goes.
    pub(crate) fn beside(&self, key: &B256) -> Vec<Bytes> {
        let mut nodes = Vec::new();
        self.walk(key, |children, depth| {
            let below = depth.saturating_add(1);
            let encoded = children.iter().flatten().map(|child| child.encoded(below));
            nodes.extend(encoded.filter(|e| e.len() >= B256::len_bytes()).map(Bytes::from));
        });
        nodes
    }

    /// A value can be put where the way is here.
    pub(super) fn may_insert(&self, key: &B256) -> bool {
        self.look(key) != Look::Hidden
    }

    /// A key can go if the way is here, and what would be left alone in the last branch on it.
    pub(super) fn may_remove(&self, key: &B256) -> bool {
        let mut left_alone_is_hidden = false;
        let look = self.walk(key, |children, depth| {
            let here = nibble(key, depth);
            let mut others =
                children.iter().enumerate().filter(|(at, child)| *at != here && child.is_some());
            let other = others.next().and_then(|(_, child)| child.as_ref());
            let alone = others.next().is_none();
            left_alone_is_hidden =
                alone && other.is_some_and(|other| matches!(other.kind(), Kind::Hidden(_)));
        });
        match look {
            Look::Present => !left_alone_is_hidden,
            Look::Absent => true,
            Look::Hidden => false,
        }
    }

    fn walk(&self, key: &B256, mut branch: impl FnMut(&Children, usize)) -> Look {
        let Some(mut link) = self.root.as_ref() else { return Look::Absent };
        let mut depth = 0usize;
        loop {
            match link.kind() {
                Kind::Leaf { key: own, .. } if own == key => return Look::Present,
                Kind::Leaf { .. } => return Look::Absent,
                Kind::Hidden(_) => return Look::Hidden,
                Kind::Extension { key: own, end, child } => {
                    if shared_until(own, key, depth, *end) != *end {
                        return Look::Absent;
                    }
                    depth = *end;
                    link = child;
                }
                Kind::Branch(children) => {
                    branch(children, depth);
                    let next = children.get(nibble(key, depth)).and_then(Option::as_ref);
                    let Some(next) = next else { return Look::Absent };
                    link = next;
                    depth = depth.saturating_add(1);
                }
            }
        }
    }
}

/// The node behind a reference, below the nibbles of `path` up to `depth`. At most `left` more are opened.
fn link(
    reference: &RlpNode,
    (path, depth): (&B256, usize),
    nodes: &Nodes,
    left: &mut usize,
) -> Result<Link, BadNodes> {
    let Some(encoded) = opened(reference, nodes, left)? else {
        return Ok(Arc::new(Node::new(Kind::Hidden(reference.clone()))));
    };
    let mut bytes = encoded.as_slice();
    let node = TrieNode::decode(&mut bytes).map_err(|_| BadNodes("a node does not decode"))?;
    if !bytes.is_empty() {
        return Err(BadNodes("a node has bytes after its end"));
    }
    match node {
        TrieNode::EmptyRoot => Err(BadNodes("an empty node inside")),
        TrieNode::Leaf(node) => {
            let (key, end) = extended(path, depth, &node.key.to_vec())?;
            if end != KEY_NIBBLES || node.value.is_empty() {
                return Err(BadNodes("a leaf at the wrong depth, or without a value"));
            }
            Ok(leaf(key, &node.value))
        }
        TrieNode::Extension(node) => {
            let (key, end) = extended(path, depth, &node.key.to_vec())?;
            if end == depth || end >= KEY_NIBBLES {
                return Err(BadNodes("an extension of the wrong length"));
            }
            let child = link(&node.child, (&key, end), nodes, left)?;
            if matches!(child.kind(), Kind::Leaf { .. } | Kind::Extension { .. }) {
                return Err(BadNodes("an extension that does not end in a branch"));
            }
            Ok(Arc::new(Node::new(Kind::Extension { key, end, child })))
        }
        TrieNode::Branch(node) => {
            if depth >= KEY_NIBBLES || node.state_mask.count_bits() < 2 {
                return Err(BadNodes("a branch too deep, or with fewer than two ways"));
            }
            let mut children: Box<Children> = Box::default();
            let mut stack = node.stack.iter();
            for (at, slot) in (0u8..).zip(children.iter_mut()) {
                if !node.state_mask.is_bit_set(at) {
                    continue;
                }
                let Some(child) = stack.next() else {
                    return Err(BadNodes("a branch with too few ways"));
                };
                let below = with_nibble(path, depth, usize::from(at));
                *slot = Some(link(child, (&below, depth.saturating_add(1)), nodes, left)?);
            }
            Ok(Arc::new(Node::new(Kind::Branch(children))))
        }
    }
}

/// The bytes behind a reference; none if they are not here.
fn opened(
    reference: &RlpNode,
    nodes: &Nodes,
    left: &mut usize,
) -> Result<Option<Vec<u8>>, BadNodes> {
    // Shorter than a hash: it stands in its parent.
    let Some(hash) = reference.as_hash() else { return Ok(Some(reference.to_vec())) };
    let Some(encoded) = nodes.get(&hash) else { return Ok(None) };
    if keccak256(encoded) != hash {
        return Err(BadNodes("a node has another hash"));
    }
    // The keys of a trie are hashes, so no honest node is in two places; a small file must not unfold into a huge trie.
    *left = left.checked_sub(1).ok_or(BadNodes("a node is in more than one place"))?;
    Ok(Some(encoded.to_vec()))
}

/// The path with these nibbles after its depth, and the depth then.
fn extended(path: &B256, depth: usize, nibbles: &[u8]) -> Result<(B256, usize), BadNodes> {
    let (mut key, mut at) = (*path, depth);
    for nibble in nibbles {
        if at >= KEY_NIBBLES {
            return Err(BadNodes("a path is too long"));
        }
        key = with_nibble(&key, at, usize::from(*nibble));
        at = at.saturating_add(1);
    }
    Ok((key, at))
}
