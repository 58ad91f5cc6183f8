//! Who is who: the validators, whether this node is one, and the links to the others.
//!
//! Not for: dialling, and not for the places in a set: the numbers here are this node's own.
//! Invariant: an index has one identity and an identity has at most one index;
//! a directory is replaced as a whole and never changed in place.

use std::{collections::BTreeMap, sync::Arc};

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

use crate::{
    config::{Limits, PeerEntry},
    error::P2pError,
    hello::Role,
    link::Link,
};

/// The set as this node sees it.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) me: Role,
    pub(crate) links: BTreeMap<u16, Arc<Link>>,
    by_peer: BTreeMap<PeerId, u16>,
}

/// Takes `/p2p/<id>` off the end of an address.
pub(crate) fn split_peer(addr: &Multiaddr) -> (Multiaddr, Option<PeerId>) {
    let mut addr = addr.clone();
    match addr.iter().last() {
        Some(Protocol::P2p(peer)) => {
            addr.pop();
            (addr, Some(peer))
        }
        _ => (addr, None),
    }
}

impl Directory {
    /// The empty set of an observer.
    pub(crate) const fn empty() -> Self {
        Self { me: Role::Observer, links: BTreeMap::new(), by_peer: BTreeMap::new() }
    }

    /// The directory of `entries` for the node `own`; links of `old` that still fit are kept.
    pub(crate) fn build(
        own: PeerId,
        entries: &[PeerEntry],
        limits: &Limits,
        old: &Self,
    ) -> Result<Self, P2pError> {
        check(entries)?;
        let place = entries.iter().find(|e| e.peer == own);
        let me = place.map_or(Role::Observer, |_| Role::Validator);
        let mut links = BTreeMap::new();
        for entry in entries.iter().filter(|e| e.peer != own) {
            let kept = old.links.get(&entry.index).filter(|l| l.peer == entry.peer && old.me == me);
            let link = kept
                .cloned()
                .unwrap_or_else(|| Arc::new(Link::new(me, entry.index, entry.peer, limits)));
            links.insert(entry.index, link);
        }
        let by_peer = entries.iter().map(|e| (e.peer, e.index)).collect();
        Ok(Self { me, links, by_peer })
    }

    /// The index of `peer` in the set.
    pub(crate) fn index_of(&self, peer: &PeerId) -> Option<u16> {
        self.by_peer.get(peer).copied()
    }

    /// The link to `peer`, if it is another validator.
    pub(crate) fn link_of(&self, peer: &PeerId) -> Option<&Arc<Link>> {
        self.links.get(&self.index_of(peer)?)
    }
}

fn check(entries: &[PeerEntry]) -> Result<(), P2pError> {
    let (mut indices, mut peers) = (BTreeMap::new(), BTreeMap::new());
    for entry in entries {
        if indices.insert(entry.index, ()).is_some() || peers.insert(entry.peer, ()).is_some() {
            return Err(P2pError::BadSet(format!("{} or index {} twice", entry.peer, entry.index)));
        }
        for addr in &entry.addrs {
            if split_peer(addr).1.is_some_and(|named| named != entry.peer) {
                return Err(P2pError::BadSet(format!("{addr} is not of {}", entry.peer)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u16, peer: PeerId) -> PeerEntry {
        PeerEntry { index, peer, addrs: vec![] }
    }

    #[test]
    fn links_survive_a_set_change_that_does_not_concern_them() {
        let (limits, [own, a, b, c]) = (Limits::default(), [0; 4].map(|_| PeerId::random()));
        let build = |entries: &[PeerEntry], old: &Directory| {
            Directory::build(own, entries, &limits, old).expect("a fine set")
        };
        let first = build(&[entry(0, own), entry(1, a), entry(2, b)], &Directory::empty());
        assert_eq!(first.me, Role::Validator);
        assert_eq!(first.links.len(), 2, "no link to itself");
        let second = build(&[entry(0, own), entry(1, a), entry(2, c)], &first);
        assert!(Arc::ptr_eq(&first.links[&1], &second.links[&1]));
        assert!(!Arc::ptr_eq(&first.links[&2], &second.links[&2]));
        assert!(second.link_of(&b).is_none());
        let moved = build(&[entry(3, own), entry(1, a)], &second);
        assert!(Arc::ptr_eq(&moved.links[&1], &second.links[&1]), "our number is our own affair");
        let out = build(&[entry(1, a)], &moved);
        assert_eq!((out.me, out.links[&1].lanes.len()), (Role::Observer, 1));
    }

    #[test]
    fn contradictory_sets_are_refused() {
        let (limits, [own, a]) = (Limits::default(), [0; 2].map(|_| PeerId::random()));
        let of_another = Multiaddr::empty().with(Protocol::P2p(own));
        for entries in [
            vec![entry(0, own), entry(0, a)],
            vec![entry(0, a), entry(1, a)],
            vec![PeerEntry { index: 0, peer: a, addrs: vec![of_another] }],
        ] {
            assert!(Directory::build(own, &entries, &limits, &Directory::empty()).is_err());
        }
    }
}
