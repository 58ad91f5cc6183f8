//! Which connections of a validator are out of date.
//!
//! A process that was killed leaves connections behind that look alive until they time out, and streams opened
//! on them go nowhere. A new connection of the same identity says that the older ones are over. Two that begin
//! at the same time, because both ends dialled, are both kept.
//! Not for: closing. Invariant: of connections that differ by more than `SETTLED_MS` only the newest is kept.

use std::collections::BTreeMap;

use libp2p::{PeerId, swarm::ConnectionId};

/// Connections that begin closer together than this belong to one meeting.
const SETTLED_MS: u64 = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: BTreeMap<PeerId, Vec<(ConnectionId, u64)>>,
}

impl Connections {
    /// Notes a new connection and gives the older ones that it replaces.
    pub(crate) fn opened(
        &mut self,
        now_ms: u64,
        peer: PeerId,
        id: ConnectionId,
    ) -> Vec<ConnectionId> {
        let open = self.open.entry(peer).or_default();
        let is_old = |since: u64| now_ms.saturating_sub(since) > SETTLED_MS;
        let old = open.iter().filter(|(_, since)| is_old(*since)).map(|(old, _)| *old).collect();
        open.push((id, now_ms));
        old
    }

    /// Forgets a connection.
    pub(crate) fn closed(&mut self, peer: &PeerId, id: ConnectionId) {
        if let Some(open) = self.open.get_mut(peer) {
            open.retain(|(other, _)| *other != id);
            if open.is_empty() {
                self.open.remove(peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_connection_replaces_the_older_ones_but_not_its_twin() {
        let (mut connections, peer) = (Connections::default(), PeerId::random());
        let id = ConnectionId::new_unchecked;
        assert!(connections.opened(0, peer, id(1)).is_empty());
        assert!(connections.opened(40, peer, id(2)).is_empty(), "both ends dialled");
        assert_eq!(connections.opened(5_000, peer, id(3)), vec![id(1), id(2)]);
        connections.closed(&peer, id(1));
        connections.closed(&peer, id(2));
        assert!(connections.opened(5_010, peer, id(4)).is_empty());
        assert!(connections.opened(9_000, PeerId::random(), id(5)).is_empty(), "another peer");
    }
}
