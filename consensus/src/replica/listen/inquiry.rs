//! Before an empty guard signs: do the others have a signature of this key?
//!
//! Not for: what follows from one (`listen`). Who lost guard, logs and database at once, while the network has not decided a
//! height, cannot tell that from being new, and nobody is ahead of it. So every other member is asked. Asking begins late
//! in the listening: what an earlier process sent has arrived by then.
//! Invariant: before it signs all others have answered, or, after twice the time, members of more than two thirds of the
//! stake with it: without these nothing is decided anyway. What a member knew before its own restart it does not say
//! (`docs/protocol.md`, section 14).

use super::super::{Output, PeerNo, Replica};
use rota_types::{Millis, wire::Request};
use std::collections::BTreeSet;

/// Between two questions to a member that has not answered.
const AGAIN_MS: Millis = 500;

/// Whom it asked, and who answered.
#[derive(Debug, Default)]
pub(super) struct Inquiry {
    next: Millis,
    answered: BTreeSet<PeerNo>,
}

impl Inquiry {
    pub(super) const fn starting_at(now: Millis) -> Self {
        Self { next: now, answered: BTreeSet::new() }
    }
    pub(super) const fn deadline(&self) -> Millis {
        self.next
    }
    pub(super) fn answered_by(&mut self, peer: PeerNo) {
        self.answered.insert(peer);
    }
}

impl Replica {
    /// Asks who has not answered yet, when that is due.
    pub(super) fn inquire(&mut self, now: Millis, out: &mut Vec<Output>) {
        let epoch = self.epoch.number();
        let inquiry = &mut self.listen.inquiry;
        if now < inquiry.next {
            return;
        }
        inquiry.next = now.saturating_add(AGAIN_MS);
        let Some((_, signer)) = self.seats.own(epoch) else { return };
        for to in self.seats.others(epoch) {
            if !inquiry.answered.contains(&to) {
                out.push(Output::Ask { to, request: Request::SignedBy { epoch, signer } });
            }
        }
    }

    /// Whether enough members have answered, `late` meaning that twice the time is over.
    pub(super) fn is_answered(&self, late: bool) -> bool {
        let epoch = self.epoch.number();
        if self.seats.own(epoch).is_none() {
            return true;
        }
        let answered = &self.listen.inquiry.answered;
        let all = self.seats.others(epoch).iter().all(|peer| answered.contains(peer));
        let with_me = answered.iter().copied().chain([self.seats.me()]);
        let power = with_me.map(|peer| self.power_of(peer)).fold(0, u64::saturating_add);
        all || (late && self.epoch.set().is_quorum(power))
    }
}
