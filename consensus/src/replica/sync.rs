//! Catching up: noticing that others are ahead, and taking decided heights with their certificates.

use super::{Output, PeerNo, Replica, Synced};
use crate::machine::Fatal;
use rota_preconf::{Epoch, Need, gives};
use rota_types::{
    CommitCertificate, Header, Millis,
    wire::{Head, Request},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Heights asked for at once.
const BATCH: u32 = 16;
/// Time before asking again.
const ASK_AGAIN_MS: Millis = 500;
/// Between two questions of a replica that nobody tells anything.
const POLL_MS: Millis = 200;
/// Grace for a height that others have decided: its votes are probably on their way.
const GRACE_MS: Millis = 300;

#[derive(Debug, Default)]
pub(super) struct Sync {
    /// Newest decided height that a peer said, of those not asked for in vain.
    claims: BTreeMap<PeerNo, u64>,
    /// Peers that were asked since the last progress and did not deliver.
    asked_in_vain: BTreeSet<PeerNo>,
    asked: Millis,
    since: Millis,
    pending: Option<Arc<Header>>,
    from: Option<PeerNo>,
}

impl Sync {
    /// A message of a higher height shows that the one before it is decided.
    pub(super) fn ahead(&mut self, now: Millis, from: PeerNo, height: u64) {
        self.note(now, from, height.saturating_sub(1));
    }

    fn note(&mut self, now: Millis, from: PeerNo, decided: u64) {
        if self.claims.is_empty() {
            self.since = now;
        }
        let claim = self.claims.entry(from).or_default();
        *claim = decided.max(*claim);
    }

    pub(super) fn decided(&mut self, now: Millis, height: u64) {
        self.since = now;
        self.pending = None;
        self.asked_in_vain.clear();
        self.claims.retain(|_, claim| *claim >= height);
    }

    /// Highest height that members of more than one third of this set said is decided.
    fn heard_of(&self, epoch: &Epoch, power: impl Fn(PeerNo) -> u64) -> Option<u64> {
        let mut claims: Vec<(u64, PeerNo)> = self.claims.iter().map(|(i, h)| (*h, *i)).collect();
        claims.sort_unstable_by_key(|c| std::cmp::Reverse(c.0));
        let mut weight = 0u64;
        for (height, peer) in claims {
            weight = weight.saturating_add(power(peer));
            if u128::from(weight).saturating_mul(3) > u128::from(epoch.total()) {
                return Some(height);
            }
        }
        None
    }

    /// Whom to ask for `height` next: those that were not asked in vain first, each in turn.
    fn whom(&self, height: u64) -> Option<PeerNo> {
        let able = || self.claims.iter().filter(|(_, claim)| **claim >= height).map(|(i, _)| *i);
        let fresh = || able().filter(|i| !self.asked_in_vain.contains(i));
        let after = fresh().find(|i| Some(*i) > self.from);
        after
            .or_else(|| fresh().next())
            .or_else(|| able().find(|i| Some(*i) > self.from))
            .or_else(|| able().next())
    }

    pub(super) const fn peer(&self) -> Option<PeerNo> {
        self.from
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.claims.first_key_value()?;
        Some(self.since.saturating_add(GRACE_MS).max(self.asked.saturating_add(ASK_AGAIN_MS)))
    }
}

impl Replica {
    /// Highest height that validators of more than one third said is decided: one of them is correct. They may be of
    /// the set in force here or of a later one: whoever is far behind hears little of the former.
    pub(super) fn heard(&self) -> Option<u64> {
        if self.sync.claims.is_empty() {
            return None;
        }
        let now = self.epoch.number();
        let sets = self.rules.epochs.iter().filter(|epoch| epoch.number() >= now);
        let heard = sets.filter_map(|epoch| {
            let index = |peer| self.seats.index(epoch.number(), peer);
            let member = |peer| index(peer).and_then(|i| epoch.set().get(i));
            self.sync.heard_of(epoch, |peer| member(peer).map_or(0, rota_types::Validator::power))
        });
        heard.max()
    }

    pub(super) fn on_head(
        &mut self,
        now: Millis,
        from: PeerNo,
        head: &Head,
        out: &mut Vec<Output>,
    ) {
        if head.height >= self.height {
            self.sync.note(now, from, head.height);
            self.ask_heights(now, out);
        }
    }

    /// Timers that are due.
    pub(super) fn tick(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Fatal> {
        while let Some(timeout) = self.timers.pop(now, &self.rules.params) {
            let mut acts = Vec::new();
            self.machine.timeout(timeout, &mut self.guard, &mut acts)?;
            self.perform(now, acts, out)?;
        }
        self.extend(now, out);
        self.hear(now, out)?;
        self.ask_others(now, out);
        self.ask_heights(now, out);
        self.poll_heights(now, out);
        Ok(())
    }

    /// When a replica that is no member asks again; none for members, which are told.
    pub(super) fn poll_at(&self) -> Option<Millis> {
        let outside = self.seats.own(self.epoch.number()).is_none();
        outside.then(|| self.sync.asked.saturating_add(POLL_MS))
    }

    /// Whoever is no member is told nothing: it asks one member after the other what follows. Of later sets too: those of
    /// the set in force here may have left long ago.
    fn poll_heights(&mut self, now: Millis, out: &mut Vec<Output>) {
        if self.poll_at().is_none_or(|at| now < at) {
            return;
        }
        let epoch = self.epoch.number();
        let later = self.rules.epochs.iter().map(|e| e.number()).filter(|number| *number >= epoch);
        let members: BTreeSet<PeerNo> =
            later.flat_map(|number| self.seats.others(number)).collect();
        let after = members.iter().find(|peer| Some(**peer) > self.sync.from);
        let Some(to) = after.or(members.first()).copied() else { return };
        (self.sync.asked, self.sync.from) = (now, Some(to));
        out.push(Output::Ask { to, request: Request::Heights { from: self.height, count: BATCH } });
    }

    fn ask_heights(&mut self, now: Millis, out: &mut Vec<Output>) {
        let me = self.seats.me();
        self.sync.claims.retain(|peer, claim| *claim >= self.height && *peer != me);
        let far = self.heard().is_some_and(|decided| decided > self.height);
        let late = now >= self.sync.since.saturating_add(GRACE_MS);
        if !(far || late) || now < self.sync.asked.saturating_add(ASK_AGAIN_MS) {
            return;
        }
        let Some(to) = self.sync.whom(self.height) else { return };
        self.sync.asked = now;
        self.sync.from = Some(to);
        self.sync.asked_in_vain.insert(to);
        out.push(Output::Ask { to, request: Request::Heights { from: self.height, count: BATCH } });
    }

    pub(super) fn on_synced(
        &mut self,
        now: Millis,
        from: PeerNo,
        heights: Vec<Synced>,
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        self.sync.from = Some(from);
        let before = self.height;
        for item in heights {
            if item.header.height() != self.height {
                continue;
            }
            if !self.height_fits(&item.header) {
                // Asked for again later.
                break;
            }
            let id = item.header.value_id(&self.rules.domain);
            if item.certificate.value_id != id || item.certificate.height != self.height {
                out.push(Output::Fault {
                    peer: from,
                    what: "certificate of another header".to_owned(),
                });
                return Ok(());
            }
            for frame in item.frames {
                let hash = frame.hash;
                self.pool.insert(frame);
                self.pool.pin(hash);
            }
            let learned = self.learn_lag(&item.header, &item.certificate)?;
            let given = gives(&item.header, &self.view());
            if !matches!(given, Ok(true)) {
                self.unlearn_lag(learned);
            }
            match given {
                Ok(true) => {}
                // The set of the next height is not known yet: asked for again later.
                Err(Need::Origin(_) | Need::Lag(_)) => return Ok(()),
                Ok(false) | Err(_) => {
                    out.push(Output::Fault {
                        peer: from,
                        what: "frames do not give the header".to_owned(),
                    });
                    return Ok(());
                }
            }
            let height = self.height;
            self.take_synced(now, &item.certificate, item.header, out)?;
            self.settle(now, out)?;
            if self.height == height {
                self.unlearn_lag(learned);
            }
        }
        if self.height > before {
            // More may be there: ask at once.
            self.sync.asked = 0;
        }
        self.ask_heights(now, out);
        self.poll_heights(now, out);
        Ok(())
    }

    fn take_synced(
        &mut self,
        now: Millis,
        certificate: &CommitCertificate,
        header: Header,
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        let mut acts = Vec::new();
        self.machine.synced(certificate, &header, &mut self.guard, &mut acts)?;
        self.sync.pending = Some(Arc::new(header));
        self.perform(now, acts, out)
    }

    pub(super) fn on_sync_verified(
        &mut self,
        now: Millis,
        certificate: &CommitCertificate,
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        let Some(header) = self.sync.pending.take() else { return Ok(()) };
        self.offer_value(now, header, certificate.round, true, out)
    }
}
