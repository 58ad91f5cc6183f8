//! Whether the slasher sees what members sign: blind, sighted again, or too slow for them.
//!
//! Not for: what is seen. Invariant: silence is told once for each `BLIND_MS` of it, with its whole length.

use super::Report;
use crate::slash::Looked;
use rota_types::Millis;

/// It is called blind when it heard nothing for this long.
const BLIND_MS: Millis = 60_000;

/// What was heard, and when.
#[derive(Debug)]
pub(super) struct Sight {
    looked: Looked,
    heard_at: Millis,
    /// When silence was told last, or began.
    told_at: Millis,
    blind: bool,
}

impl Sight {
    /// From now on.
    pub(super) fn new(now: Millis) -> Self {
        Self { looked: Looked::default(), heard_at: now, told_at: now, blind: false }
    }

    /// Takes the newest counts; gives what there is to tell.
    pub(super) fn heard(&mut self, now: Millis, looked: Looked) -> [Option<Report>; 2] {
        let mut sighted = None;
        if looked.verified > self.looked.verified {
            (self.heard_at, self.told_at) = (now, now);
            sighted = std::mem::take(&mut self.blind).then_some(Report::Sighted(looked));
        }
        let missed = looked.missed.saturating_sub(self.looked.missed);
        self.looked = looked;
        [sighted, (missed > 0).then_some(Report::Missed(missed))]
    }

    /// Whether nothing was heard for too long.
    pub(super) fn look(&mut self, now: Millis) -> Option<Report> {
        if now.saturating_sub(self.told_at) < BLIND_MS {
            return None;
        }
        (self.blind, self.told_at) = (true, now);
        Some(Report::Blind(now.saturating_sub(self.heard_at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(verified: u64, missed: u64) -> Looked {
        Looked { verified, missed, ..Looked::default() }
    }

    #[test]
    fn silence_is_told_with_its_length_and_so_is_its_end() {
        let mut sight = Sight::new(1_000);
        assert!(matches!(sight.heard(2_000, looked(5, 0)), [None, None]));
        assert!(sight.look(61_999).is_none());
        assert!(matches!(sight.look(62_000), Some(Report::Blind(60_000))));
        assert!(sight.look(121_999).is_none(), "once a minute");
        // Counts without a new statement are no sight.
        assert!(matches!(sight.heard(122_000, looked(5, 0)), [None, None]));
        assert!(matches!(sight.look(122_000), Some(Report::Blind(120_000))));
        assert!(matches!(sight.heard(123_000, looked(6, 0)), [Some(Report::Sighted(_)), None]));
        assert!(matches!(sight.heard(124_000, looked(7, 0)), [None, None]), "told once");
        assert!(sight.look(183_000).is_none());
        assert!(matches!(sight.look(184_000), Some(Report::Blind(60_000))));
    }

    #[test]
    fn what_was_gone_before_it_was_read_is_told_once() {
        let mut sight = Sight::new(0);
        assert!(matches!(sight.heard(1, looked(1, 7)), [None, Some(Report::Missed(7))]));
        assert!(matches!(sight.heard(2, looked(2, 7)), [None, None]));
        assert!(matches!(sight.heard(3, looked(3, 9)), [None, Some(Report::Missed(2))]));
    }
}
