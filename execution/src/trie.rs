//! A persistent Merkle-Patricia trie with 32-byte keys: Ethereum's commitment to accounts and
//! slots.
//!
//! Nodes are shared between versions and copied only along a changed path, so `clone` is O(1), an
//! old version stays readable for ever, and a node is hashed at most once in its life. It is not a
//! store (nothing is read from disk) and not a map for the EVM (values are encoded leaves).
//!
//! Invariant: the shape is canonical. The same set of pairs gives the same nodes whatever the order
//! of insertions and deletions, hence the same root as any other Ethereum implementation.

mod edit;
mod node;
mod partial;
#[cfg(test)]
mod tests;

use alloy_primitives::{B256, Bytes, keccak256};
use node::{Kind, Link, nibble, shared_until};
pub use partial::BadNodes;
pub(crate) use partial::{Look, Nodes};

/// One version of a trie. Values are RLP and never empty.
#[derive(Clone, Debug, Default)]
pub struct Trie {
    root: Option<Link>,
    /// Some nodes may be hidden.
    partial: bool,
    /// A change would have needed a hidden node: the root means nothing any more.
    broken: bool,
}

impl Trie {
    /// True when nothing is stored.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The encoded value under a (hashed) key.
    #[must_use]
    pub fn get(&self, key: &B256) -> Option<&[u8]> {
        let mut link = self.root.as_ref()?;
        let mut depth = 0usize;
        loop {
            match link.kind() {
                Kind::Leaf { key: own, value } => return (own == key).then_some(&**value),
                Kind::Extension { key: own, end, child } => {
                    if shared_until(own, key, depth, *end) != *end {
                        return None;
                    }
                    depth = *end;
                    link = child;
                }
                Kind::Branch(children) => {
                    link = children.get(nibble(key, depth))?.as_ref()?;
                    depth = depth.saturating_add(1);
                }
                Kind::Hidden(_) => return None,
            }
        }
    }

    /// Puts a value under a key, replacing any other.
    pub fn insert(&mut self, key: B256, value: &[u8]) {
        if self.partial && !self.may_insert(&key) {
            self.broken = true;
            return;
        }
        match &mut self.root {
            Some(root) => edit::insert(root, 0, &key, value),
            empty => *empty = Some(node::leaf(key, value)),
        }
    }

    /// Takes a key away; does nothing if it is not there.
    pub fn remove(&mut self, key: &B256) {
        if self.partial && !self.may_remove(key) {
            self.broken = true;
            return;
        }
        if self.get(key).is_none() {
            return;
        }
        if let Some(root) = &mut self.root
            && edit::remove(root, 0, key)
        {
            self.root = None;
        }
    }

    /// The root hash. Hashes the nodes that changed since they were last asked for, and no others.
    #[must_use]
    pub fn root(&self) -> B256 {
        self.root.as_ref().map_or(alloy_trie::EMPTY_ROOT_HASH, |root| {
            let reference = root.reference(0);
            reference.as_hash().unwrap_or_else(|| keccak256(root.encoded(0)))
        })
    }

    /// The encoded nodes from the root towards `key` (EIP-1186): they show its value, or that it
    /// has none.
    #[must_use]
    pub fn proof(&self, key: &B256) -> Vec<Bytes> {
        let mut nodes = Vec::new();
        let mut next = self.root.as_ref();
        let mut depth = 0usize;
        while let Some(link) = next {
            let encoded = link.encoded(depth);
            // A node shorter than a hash is embedded in its parent; only the root is always named
            // by hash.
            if depth == 0 || encoded.len() >= B256::len_bytes() {
                nodes.push(encoded.into());
            }
            next = match link.kind() {
                Kind::Leaf { .. } | Kind::Hidden(_) => None,
                Kind::Extension { key: own, end, child } => {
                    let follows = shared_until(own, key, depth, *end) == *end;
                    depth = *end;
                    follows.then_some(child)
                }
                Kind::Branch(children) => {
                    let child = children.get(nibble(key, depth)).and_then(Option::as_ref);
                    depth = depth.saturating_add(1);
                    child
                }
            };
        }
        nodes
    }
}
