//! Catching up: noticing that others are ahead, and taking decided heights with their certificates.

use super::{Output, Replica, Synced};
use crate::machine::Fatal;
use rota_types::{
    CommitCertificate, Header, Millis,
    wire::{Head, Request},
};
use std::sync::Arc;

/// Heights asked for at once.
const BATCH: u32 = 16;
/// Time before asking again.
const ASK_AGAIN_MS: Millis = 500;
/// Grace for a height that others have decided: its votes are probably on their way.
const GRACE_MS: Millis = 300;

#[derive(Debug, Default)]
pub(super) struct Sync {
    /// Highest height that a peer said is decided, and the peer.
    best: Option<(u64, u16)>,
    asked: Millis,
    since: Millis,
    pending: Option<Arc<Header>>,
    from: u16,
}

impl Sync {
    /// A message of a higher height shows that the one before it is decided.
    pub(super) fn ahead(&mut self, now: Millis, from: u16, height: u64) {
        self.note(now, from, height.saturating_sub(1));
    }

    fn note(&mut self, now: Millis, from: u16, decided: u64) {
        if self.best.is_none() {
            self.since = now;
        }
        if self.best.is_none_or(|(h, _)| h < decided) {
            self.best = Some((decided, from));
        }
    }

    pub(super) fn decided(&mut self, now: Millis) {
        self.since = now;
        self.pending = None;
    }

    /// Highest height that others said is decided.
    pub(super) fn heard(&self) -> Option<u64> {
        self.best.map(|(height, _)| height)
    }

    pub(super) const fn peer(&self) -> u16 {
        self.from
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.best?;
        Some(self.since.saturating_add(GRACE_MS).max(self.asked.saturating_add(ASK_AGAIN_MS)))
    }
}

impl Replica {
    pub(super) fn on_head(&mut self, now: Millis, from: u16, head: &Head, out: &mut Vec<Output>) {
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
        self.extend(now, true, out);
        self.hear(now, out)?;
        self.ask_heights(now, out);
        Ok(())
    }

    fn ask_heights(&mut self, now: Millis, out: &mut Vec<Output>) {
        let Some((decided, from)) = self.sync.best else { return };
        if decided < self.height {
            self.sync.best = None;
            return;
        }
        let far = decided > self.height;
        let late = now >= self.sync.since.saturating_add(GRACE_MS);
        if (far || late) && now >= self.sync.asked.saturating_add(ASK_AGAIN_MS) {
            self.sync.asked = now;
            // Ask another one next time: this one may be dead.
            let others = u16::try_from(self.set.len()).unwrap_or(u16::MAX).max(1);
            let mut next = from.wrapping_add(1).checked_rem(others).unwrap_or(0);
            if Some(next) == self.index() {
                next = next.wrapping_add(1).checked_rem(others).unwrap_or(0);
            }
            self.sync.best = Some((decided, next));
            let request = Request::Heights { from: self.height, count: BATCH };
            out.push(Output::Ask { to: from, request });
        }
    }

    pub(super) fn on_synced(
        &mut self,
        now: Millis,
        from: u16,
        heights: Vec<Synced>,
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        self.sync.from = from;
        for item in heights {
            if item.header.height() != self.height {
                continue;
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
                self.pool.insert(frame);
            }
            if !self.branch_gives(&item.header) {
                out.push(Output::Fault {
                    peer: from,
                    what: "frames do not give the header".to_owned(),
                });
                return Ok(());
            }
            self.take_synced(now, &item.certificate, item.header, out)?;
            self.settle(now, out)?;
        }
        // More may be there: ask at once.
        self.sync.asked = 0;
        self.ask_heights(now, out);
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
