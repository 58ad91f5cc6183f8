//! Lines about something that goes on, each with the time that has passed.

use crate::cli::say;
use alloy_primitives::U256;
use std::time::SystemTime;

/// Lines for people, with the time since something began; nothing if they want JSON.
pub(crate) struct Teller {
    pub(crate) quiet: bool,
    pub(crate) since: SystemTime,
}

impl Teller {
    pub(crate) fn ms(&self) -> u64 {
        ms_between(self.since, now())
    }

    pub(crate) fn say(&self, what: &str, more: impl std::fmt::Display) {
        if !self.quiet {
            say(format_args!("  {:>6} ms  {what:<11} {more}", self.ms()));
        }
    }
}

/// The time, as files are dated.
pub(crate) fn now() -> SystemTime {
    let passed = std::time::Duration::from_millis(rota_node::clock::now_ms());
    SystemTime::UNIX_EPOCH.checked_add(passed).unwrap_or(SystemTime::UNIX_EPOCH)
}

pub(crate) fn ms_between(from: SystemTime, to: SystemTime) -> u64 {
    let passed = to.duration_since(from).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}

/// In ETH, for people.
pub(crate) fn eth(wei: U256) -> String {
    let text = alloy_primitives::utils::format_ether(wei);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
