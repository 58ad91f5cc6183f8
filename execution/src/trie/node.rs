//! The three kinds of trie node, their RLP and their cached references; and what stands for a node that is not here.
//!
//! A node does not store its own path: it holds a whole key and the caller knows the depth. Moving
//! a leaf up or down then changes nothing but its reference, and no paths are sliced or joined.

use std::sync::{Arc, OnceLock};

use alloy_primitives::B256;
use alloy_rlp::{BufMut, EMPTY_STRING_CODE, Encodable, Header};
use alloy_trie::nodes::RlpNode;

/// Nibbles in a key.
pub(super) const KEY_NIBBLES: usize = 64;

/// A shared node.
pub(super) type Link = Arc<Node>;

/// The sixteen ways on from a branch.
pub(super) type Children = [Option<Link>; 16];

/// A node and, once somebody asked, the reference its parent holds.
#[derive(Debug)]
pub(super) struct Node {
    kind: Kind,
    reference: OnceLock<RlpNode>,
}

/// What a node is. Keys are 32 bytes, so no branch ever holds a value.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The only key below this point.
    Leaf { key: B256, value: Arc<[u8]> },
    /// All keys below share the nibbles of `key` up to `end`; the child is always a branch.
    Extension { key: B256, end: usize, child: Link },
    /// At least two keys differ here.
    Branch(Box<Children>),
    /// Known by what its parent holds, and by nothing else.
    Hidden(RlpNode),
}

impl Clone for Node {
    /// A copy is made to be changed or moved, so it starts without a reference.
    fn clone(&self) -> Self {
        Self::new(self.kind.clone())
    }
}

impl Node {
    pub(super) const fn new(kind: Kind) -> Self {
        Self { kind, reference: OnceLock::new() }
    }

    pub(super) const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The kind, to be changed: forgets the reference.
    pub(super) fn kind_mut(&mut self) -> &mut Kind {
        self.reference = OnceLock::new();
        &mut self.kind
    }

    /// What the parent writes down: the hash, or the node itself when shorter than 32 bytes.
    pub(super) fn reference(&self, depth: usize) -> &RlpNode {
        if let Kind::Hidden(reference) = &self.kind {
            return reference;
        }
        self.reference.get_or_init(|| RlpNode::from_rlp(&self.encoded(depth)))
    }

    /// The node's RLP; hashes whatever below has not been hashed yet.
    pub(super) fn encoded(&self, depth: usize) -> Vec<u8> {
        match &self.kind {
            Kind::Leaf { key, value } => {
                let path = compact_path(key, depth, KEY_NIBBLES, true);
                let payload = path.length().saturating_add(value[..].length());
                let mut out = list(payload);
                path.encode(&mut out);
                value[..].encode(&mut out);
                out
            }
            Kind::Extension { key, end, child } => {
                let path = compact_path(key, depth, *end, false);
                let reference = child.reference(*end);
                let mut out = list(path.length().saturating_add(reference.len()));
                path.encode(&mut out);
                out.put_slice(reference);
                out
            }
            Kind::Branch(children) => {
                let below = depth.saturating_add(1);
                let payload = children.iter().fold(1usize, |sum, child| {
                    sum.saturating_add(child.as_ref().map_or(1, |c| c.reference(below).len()))
                });
                let mut out = list(payload);
                for child in children.iter() {
                    match child {
                        Some(child) => out.put_slice(child.reference(below)),
                        None => out.put_u8(EMPTY_STRING_CODE),
                    }
                }
                out.put_u8(EMPTY_STRING_CODE);
                out
            }
            Kind::Hidden(reference) => reference.to_vec(),
        }
    }
}

/// A leaf, ready to be linked.
pub(super) fn leaf(key: B256, value: &[u8]) -> Link {
    Arc::new(Node::new(Kind::Leaf { key, value: value.into() }))
}

/// The nibble of `key` at a depth below 64; zero beyond.
pub(super) fn nibble(key: &B256, depth: usize) -> usize {
    let byte = key.get(depth / 2).copied().unwrap_or_default();
    usize::from(if depth.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f })
}

/// The first depth in `from..end` where two keys differ, or `end`.
pub(super) fn shared_until(one: &B256, other: &B256, from: usize, end: usize) -> usize {
    (from..end).find(|depth| nibble(one, *depth) != nibble(other, *depth)).unwrap_or(end)
}

/// `key` with the nibble at `depth` replaced.
pub(super) fn with_nibble(key: &B256, depth: usize, value: usize) -> B256 {
    let mut key = *key;
    let low = u8::try_from(value & 0x0f).unwrap_or_default();
    if let Some(byte) = key.get_mut(depth / 2) {
        *byte = if depth.is_multiple_of(2) {
            (*byte & 0x0f) | (low << 4)
        } else {
            (*byte & 0xf0) | low
        };
    }
    key
}

fn list(payload_length: usize) -> Vec<u8> {
    let header = Header { list: true, payload_length };
    let mut out = Vec::with_capacity(header.length_with_payload());
    header.encode(&mut out);
    out
}

/// Hex-prefix encoding of the nibbles `from..to` (yellow paper, appendix C).
fn compact_path(key: &B256, from: usize, to: usize, is_leaf: bool) -> CompactPath {
    let mut path = CompactPath { bytes: [0; 33], len: 1 };
    let odd = to.saturating_sub(from) % 2 == 1;
    let flag = (u8::from(is_leaf) << 1) | u8::from(odd);
    let pair = |high: usize, low: usize| u8::try_from((high << 4) | low).unwrap_or_default();
    path.bytes[0] = pair(usize::from(flag), if odd { nibble(key, from) } else { 0 });
    let mut at = from.saturating_add(usize::from(odd));
    while at < to {
        let next = at.saturating_add(1);
        if let Some(byte) = path.bytes.get_mut(path.len) {
            *byte = pair(nibble(key, at), nibble(key, next));
        }
        path.len = path.len.saturating_add(1);
        at = next.saturating_add(1);
    }
    path
}

struct CompactPath {
    bytes: [u8; 33],
    len: usize,
}

impl Encodable for CompactPath {
    fn encode(&self, out: &mut dyn BufMut) {
        self.bytes.get(..self.len).unwrap_or_default().encode(out);
    }

    fn length(&self) -> usize {
        self.bytes.get(..self.len).unwrap_or_default().length()
    }
}
