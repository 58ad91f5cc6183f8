//! Durations as people write them: `500ms`, `2s`, `1m`, `1h`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr, time::Duration};

/// A duration in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dur(u64);

impl Dur {
    /// From milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }
    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }
    /// As the standard library has it.
    #[must_use]
    pub const fn get(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

/// Units with their milliseconds; `ms` first, since `s` ends it too.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

impl FromStr for Dur {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not a duration; write it like \"500ms\", \"2s\" or \"1m\"");
        let (number, unit) = UNITS
            .iter()
            .find_map(|(u, ms)| Some((text.strip_suffix(u)?, *ms)))
            .ok_or_else(wrong)?;
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(unit).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Dur {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |ms: &u64| self.0 > 0 && self.0.checked_rem(*ms) == Some(0);
        let (unit, ms) = UNITS.iter().rev().find(|(_, ms)| whole(ms)).copied().unwrap_or(("ms", 1));
        write!(f, "{}{unit}", self.0.checked_div(ms).unwrap_or_default())
    }
}

impl Serialize for Dur {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dur {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_durations_are_read_back() {
        for (text, ms) in
            [("0ms", 0), ("500ms", 500), ("2s", 2_000), ("90s", 90_000), ("1h", 3_600_000)]
        {
            let read: Dur = text.parse().unwrap();
            assert_eq!(read, Dur::from_millis(ms));
            assert_eq!(read.to_string(), text);
        }
        assert_eq!(Dur::from_millis(60_000).to_string(), "1m");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "5",
            "ms",
            "-1s",
            "1.5s",
            "1 s",
            "5d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(text.parse::<Dur>().is_err(), "{text}");
        }
    }
}
