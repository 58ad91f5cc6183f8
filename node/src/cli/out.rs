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

/// Reads an amount in ETH.
pub(super) fn parse_eth(flag: &str, text: &str) -> Result<alloy_primitives::U256, Failure> {
    alloy_primitives::utils::parse_ether(text).map_err(|_| {
        Failure::new(Exit::Usage, format!("--{flag}: {text:?} is no amount of ETH"))
            .hint("write it like 32 or 0.5")
    })
}
