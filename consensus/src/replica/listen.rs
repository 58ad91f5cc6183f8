//! Listening before signing with a key whose history is not here.
//!
//! An empty sign guard is a new operator's, or one that was lost. Signing at once would risk signing a second
//! time what the lost guard knew. So the replica follows: until it has heard nobody ahead of it for a while (a
//! network that begins), or until two windows above the first head it heard of (anything this key may have
//! signed lies below).

use super::{Output, Replica};
use crate::machine::Fatal;
use rota_types::Millis;

#[derive(Debug, Default)]
pub(super) struct Listen {
    wait: Option<Millis>,
    until: Option<Millis>,
    /// Nothing is signed at this height or below.
    floor: u64,
}

impl Listen {
    pub(super) fn new(wait: Option<Millis>) -> Self {
        Self { wait, ..Self::default() }
    }
    /// A database that knows of heights says by itself that the key may have signed before.
    pub(super) fn begin(&mut self, now: Millis, height: u64, windows: u64) {
        let Some(wait) = self.wait.take() else { return };
        if height > 1 {
            self.floor = height.saturating_add(windows);
        } else {
            self.until = Some(now.saturating_add(wait));
        }
    }
    pub(super) const fn deadline(&self) -> Option<Millis> {
        self.until
    }
    /// Whether signing at `height` is still too early.
    pub(super) const fn holds(&self, height: u64) -> bool {
        self.until.is_some() || height <= self.floor
    }
}

impl Replica {
    pub(super) fn two_windows(&self) -> u64 {
        u64::from(self.rules.schedule.window()).saturating_mul(2)
    }

    /// Ends the listening when it has heard enough.
    pub(super) fn hear(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Fatal> {
        let Some(until) = self.listen.until else { return Ok(()) };
        if let Some(decided) = self.sync.heard().filter(|d| *d >= self.height) {
            self.listen.until = None;
            self.listen.floor = decided.saturating_add(self.two_windows());
            tracing::warn!(
                until_height = self.listen.floor,
                "no record of what this key has signed: following without signing"
            );
        } else if now >= until {
            self.listen.until = None;
            let members = self.members();
            if self.resume_voting(&members) {
                tracing::info!(height = self.height, "nobody is ahead: signing from here on");
                let mut acts = Vec::new();
                self.machine.start(self.height, members, &mut self.guard, &mut acts)?;
                self.perform(now, acts, out)?;
            }
        }
        Ok(())
    }
}
