//! The driver's side of the set: who has a link, who is shut out, what the node is told of it.
//!
//! Not for: sockets. Invariant: a link that stays in the set is never interrupted by a change of the set, and the
//! node hears of every link's last state, even if it was busy when the state changed.

use std::sync::Arc;

use libp2p::Multiaddr;
use rota_types::wire::Lane;

use crate::{
    clock::spawn,
    config::PeerEntry,
    directory::{Directory, split_peer},
    driver::Driver,
    error::P2pError,
    incoming::Incoming,
    link::Link,
    writer::Writer,
};

/// A link and whether the node was told that it is up.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) link: Arc<Link>,
    pub(crate) up: bool,
}

impl Driver {
    /// Replaces the set: new links get their writers, old ones end.
    pub(crate) fn set_peers(&mut self, entries: &[PeerEntry]) -> Result<(), P2pError> {
        let old = self.hub.directory();
        let new = Directory::build(self.hub.own, entries, &self.hub.limits, &old)?;
        let (was, is) = (old.me, new.me);
        let links = new.links.clone();
        self.hub.replace_directory(new);
        self.told.retain(|index, told| {
            let kept = links.get(index).is_some_and(|link| Arc::ptr_eq(link, &told.link));
            if !kept {
                told.link.close();
                self.swarm.behaviour_mut().limits.remove_peer_id(&told.link.peer);
                if told.up {
                    let reason = "no longer in the set".to_owned();
                    self.hub.tell_or_drop(Incoming::PeerDown { index: *index, reason });
                }
            }
            kept
        });
        for (index, link) in links {
            if !self.told.contains_key(&index) {
                self.start_link(link);
            }
        }
        let validators = entries.iter().filter(|e| e.peer != self.hub.own);
        let plain = |addrs: &[Multiaddr]| addrs.iter().map(|addr| split_peer(addr).0).collect();
        let mut wanted: Vec<_> = validators.map(|e| (e.peer, plain(&e.addrs))).collect();
        wanted.extend(self.bootnodes.iter().filter(|(peer, _)| *peer != self.hub.own).cloned());
        self.dialer.set_targets(wanted);
        if was != is {
            self.hub.tell_or_drop(Incoming::RoleChanged { role: is });
        }
        self.dial();
        Ok(())
    }

    fn start_link(&mut self, link: Arc<Link>) {
        self.swarm.behaviour_mut().limits.bypass_peer_id(&link.peer);
        link.set_connected(self.swarm.is_connected(&link.peer));
        for lane in Lane::ALL.into_iter().filter(|lane| link.lanes.contains(lane)) {
            let writer = Writer {
                hub: Arc::clone(&self.hub),
                link: Arc::clone(&link),
                lane,
                control: self.control.clone(),
            };
            spawn(writer.run());
        }
        self.told.insert(link.index, Told { link, up: false });
    }

    pub(crate) fn enforce_bans(&mut self) {
        let banned = self.hub.banned();
        let blocked = &mut self.swarm.behaviour_mut().blocked;
        for peer in self.blocked.iter().filter(|peer| !banned.contains(peer)) {
            blocked.unblock_peer(*peer);
        }
        for peer in banned.iter().filter(|peer| !self.blocked.contains(peer)) {
            blocked.block_peer(*peer);
        }
        self.blocked = banned;
    }

    /// Tells which links came up or went down. What a busy node does not take is told at the next tick.
    pub(crate) fn tell_news(&mut self) {
        for (index, told) in &mut self.told {
            let (index, up) = (*index, told.link.is_up());
            if up == told.up {
                continue;
            }
            let news = if up {
                Incoming::PeerUp { index }
            } else {
                Incoming::PeerDown { index, reason: told.link.down_reason() }
            };
            if self.hub.tell(news).is_ok() {
                told.up = up;
            }
        }
    }
}
