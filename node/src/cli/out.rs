//! Writing the result to stdout. A reader that goes away (`| head`) ends the program quietly.

use super::Done;
use crate::exit::{Exit, Failure};
use serde::Serialize;
use std::io::{self, Write};

/// One line of text.
pub(super) fn line(text: impl std::fmt::Display) -> Done {
    raw(format!("{text}\n").as_bytes())
}

/// One JSON document in one line.
pub(super) fn json(value: &impl Serialize) -> Done {
    let text = serde_json::to_string(value).map_err(|e| Failure::new(Exit::Failed, e))?;
    line(text)
}

/// Bytes as they are.
pub(super) fn raw(bytes: &[u8]) -> Done {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(Exit::Failed, e)),
        _ => Ok(()),
    }
}

/// Wei as ETH, without needless zeros.
pub(super) fn eth(wei: alloy_primitives::U256) -> String {
    let text = alloy_primitives::utils::format_ether(wei);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} ETH")
}

/// An L1 block and when it is, in words.
pub(super) fn at_block(calendar: &crate::setup::Calendar, block: u64) -> String {
    if block <= calendar.block {
        return format!("since L1 block {block}");
    }
    format!("at L1 block {block}, in about {}", duration(calendar.seconds_until(block)))
}

/// Seconds in the two largest units.
pub(super) fn duration(seconds: u64) -> String {
    let part = |unit: u64| seconds.checked_div(unit).unwrap_or(0);
    let rest =
        |unit: u64, of: u64| seconds.checked_rem(of).and_then(|r| r.checked_div(unit)).unwrap_or(0);
    match seconds {
        86_400.. => format!("{} d {} h", part(86_400), rest(3_600, 86_400)),
        3_600.. => format!("{} h {} min", part(3_600), rest(60, 3_600)),
        60.. => format!("{} min", part(60)),
        _ => format!("{seconds} s"),
    }
}

/// Reads an amount in ETH.
pub(super) fn parse_eth(flag: &str, text: &str) -> Result<alloy_primitives::U256, Failure> {
    alloy_primitives::utils::parse_ether(text).map_err(|_| {
        Failure::new(Exit::Usage, format!("--{flag}: {text:?} is no amount of ETH"))
            .hint("write it like 32 or 0.5")
    })
}
