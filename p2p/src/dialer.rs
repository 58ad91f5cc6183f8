//! Whom to dial next, and when.
//!
//! Not for: dialling. Invariant: sans-IO; between two attempts at one peer lies a pause that doubles up
//! to a bound, and a connected or banned peer is not dialled.

use std::{collections::BTreeMap, time::Duration};

use libp2p::{Multiaddr, PeerId};

#[derive(Debug, Default)]
struct Target {
    addrs: Vec<Multiaddr>,
    connections: u32,
    since_ms: u64,
    attempts: u32,
    next_ms: u64,
}

/// The peers this node wants to stay connected to.
#[derive(Debug)]
pub(crate) struct Dialer {
    backoff: (Duration, Duration),
    targets: BTreeMap<PeerId, Target>,
}

/// The pause before attempt number `attempt` (0 = first retry), doubling between the two bounds.
pub(crate) fn pause(backoff: (Duration, Duration), attempt: u32) -> Duration {
    backoff.0.saturating_mul(1_u32 << attempt.min(16)).min(backoff.1)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Dialer {
    pub(crate) const fn new(backoff: (Duration, Duration)) -> Self {
        Self { backoff, targets: BTreeMap::new() }
    }

    /// Replaces the wanted peers; what is known about those that stay is kept.
    pub(crate) fn set_targets(&mut self, wanted: Vec<(PeerId, Vec<Multiaddr>)>) {
        let mut old = std::mem::take(&mut self.targets);
        for (peer, addrs) in wanted {
            let mut target = old.remove(&peer).unwrap_or_default();
            if target.addrs != addrs {
                target.addrs = addrs;
                target.attempts = 0;
                target.next_ms = 0;
            }
            self.targets.insert(peer, target);
        }
    }

    /// The peers to dial now; the next attempt at each is scheduled.
    pub(crate) fn due(
        &mut self,
        now_ms: u64,
        is_banned: impl Fn(&PeerId) -> bool,
    ) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut due = Vec::new();
        for (peer, target) in &mut self.targets {
            let idle = target.connections == 0 && target.next_ms <= now_ms;
            if !idle || target.addrs.is_empty() || is_banned(peer) {
                continue;
            }
            let wait = millis(pause(self.backoff, target.attempts));
            // Both ends retry; a pause that depends on the peer keeps them from meeting every time.
            let spread = peer.to_bytes().last().map_or(0, |b| u64::from(*b) % 16);
            target.next_ms = now_ms.saturating_add(wait).saturating_add(spread);
            target.attempts = target.attempts.saturating_add(1);
            due.push((*peer, target.addrs.clone()));
        }
        due
    }

    /// The number of connections to `peer` changed.
    pub(crate) fn on_connections(&mut self, now_ms: u64, peer: &PeerId, connections: u32) {
        let Some(target) = self.targets.get_mut(peer) else { return };
        if connections > 0 && target.connections == 0 {
            target.since_ms = now_ms;
        }
        // A peer that was there for a while is probably restarting: try soon, then back off. One that
        // closes at once does not want us, and is asked less and less often.
        let lasted = now_ms.saturating_sub(target.since_ms) >= millis(self.backoff.1);
        if connections == 0 && target.connections > 0 && lasted {
            target.attempts = 0;
            target.next_ms = now_ms.saturating_add(millis(self.backoff.0));
        }
        target.connections = connections;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

    fn dialer() -> (Dialer, PeerId) {
        let (mut dialer, peer) = (Dialer::new(BACKOFF), PeerId::random());
        dialer.set_targets(vec![(peer, vec![Multiaddr::empty()]), (PeerId::random(), vec![])]);
        (dialer, peer)
    }

    #[test]
    fn attempts_thin_out_to_the_bound() {
        let (mut dialer, peer) = dialer();
        let attempts: Vec<u64> =
            (0..20_000).filter(|ms| !dialer.due(*ms, |_| false).is_empty()).collect();
        assert_eq!(attempts[0], 0);
        assert!((100..120).contains(&attempts[1]));
        assert!((13..=15).contains(&attempts.len()), "{attempts:?}");
        let last = attempts[attempts.len() - 1] - attempts[attempts.len() - 2];
        assert!((2_000..2_020).contains(&last));
        assert!(dialer.targets[&peer].attempts > 10);
    }

    #[test]
    fn connected_and_banned_peers_are_left_alone() {
        let (mut dialer, peer) = dialer();
        assert!(dialer.due(0, |p| *p == peer).is_empty());
        dialer.on_connections(0, &peer, 1);
        assert!(dialer.due(50_000, |_| false).is_empty());
        dialer.on_connections(50_000, &peer, 0);
        assert!(dialer.due(50_099, |_| false).is_empty());
        assert_eq!(dialer.due(50_100, |_| false).len(), 1);
    }

    #[test]
    fn a_peer_that_hangs_up_at_once_is_not_pestered() {
        let (mut dialer, peer) = dialer();
        let mut attempts = 0;
        for ms in 0..20_000 {
            if !dialer.due(ms, |_| false).is_empty() {
                attempts += 1;
                dialer.on_connections(ms, &peer, 1);
                dialer.on_connections(ms, &peer, 0);
            }
        }
        assert!((13..=15).contains(&attempts), "{attempts}");
    }

    #[test]
    fn a_new_address_is_tried_at_once() {
        let (mut dialer, peer) = dialer();
        for ms in [0, 200, 600, 1_400] {
            dialer.due(ms, |_| false);
        }
        assert!(dialer.due(1_500, |_| false).is_empty());
        let new: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().expect("an address");
        dialer.set_targets(vec![(peer, vec![new.clone()])]);
        assert_eq!(dialer.due(1_500, |_| false), vec![(peer, vec![new])]);
    }
}
