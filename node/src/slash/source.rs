//! Reads the tapes of the members over the network, as anyone may.
//!
//! Not for: verifying (the watcher does). One task, one loop; a member that is slow to answer is asked again at the next turn
//! and holds up no other. Queue: `statements`, bounded, policy wait: members are then asked less often.

use super::Tape;
use rota_p2p::{Handle, Target};
use rota_types::{
    Signed,
    wire::{MAX_WITNESSED, Request, Response},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Statements of one source.
#[derive(Debug)]
pub struct Heard {
    /// Whose tape it is: its place in the directory of peers.
    pub from: u16,
    /// What it holds.
    pub statements: Vec<Signed>,
    /// How many it had dropped before they were read here.
    pub missed: u64,
}

/// How far each tape has been read.
#[derive(Debug, Default)]
struct Places(BTreeMap<u16, u64>);

impl Places {
    /// Takes note of an answer; says how many statements are missing before it. The first answer of a member is where
    /// reading begins, and so is one that starts over after its restart.
    fn advance(&mut self, from: u16, first: u64, count: usize) -> u64 {
        let end = first.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        self.0.insert(from, end).map_or(0, |wanted| first.saturating_sub(wanted))
    }

    fn of(&self, from: u16) -> u64 {
        self.0.get(&from).copied().unwrap_or(0)
    }
}

/// Asks every connected member for what is new, again and again, until told to stop.
pub async fn read_tapes(
    p2p: Handle,
    out: mpsc::Sender<Heard>,
    every: Duration,
    stop: CancellationToken,
) {
    let mut places = Places::default();
    loop {
        let mut asked = JoinSet::new();
        for member in p2p.validators_connected() {
            let (p2p, from) = (p2p.clone(), places.of(member));
            let count = u32::try_from(MAX_WITNESSED).unwrap_or(u32::MAX);
            asked.spawn(async move {
                let request = Request::Witness { from, count };
                (member, p2p.request(Target::Validator(member), &request).await)
            });
        }
        while let Some(done) = asked.join_next().await {
            let (member, first, statements) = match done {
                Ok((member, Ok(Response::Witness { from, statements }))) => {
                    (member, from, statements)
                }
                Ok((member, Err(error))) => {
                    tracing::debug!(member, %error, "a member did not show its tape");
                    continue;
                }
                _ => continue,
            };
            let missed = places.advance(member, first, statements.len());
            if statements.is_empty() && missed == 0 {
                continue;
            }
            if out.send(Heard { from: member, statements, missed }).await.is_err() {
                return;
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// Gives what is new on the own tape to the watcher, until the watcher ends or the stop is asked for.
pub fn read_own(tape: &Arc<Tape>, from: u16, out: &mpsc::Sender<Heard>, stop: &CancellationToken) {
    const PATIENCE: Duration = Duration::from_millis(500);
    let mut at = 0;
    while !stop.is_cancelled() {
        let (first, statements) = tape.wait(at, MAX_WITNESSED, PATIENCE);
        let missed = first.saturating_sub(at);
        at = first.saturating_add(u64::try_from(statements.len()).unwrap_or(u64::MAX));
        let nothing = statements.is_empty() && missed == 0;
        if !nothing && out.blocking_send(Heard { from, statements, missed }).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_counted_and_a_restart_is_none() {
        let mut places = Places::default();
        assert_eq!(places.advance(1, 40, 10), 0, "reading begins where the tape does");
        assert_eq!(places.of(1), 50);
        assert_eq!(places.advance(1, 57, 3), 7);
        assert_eq!(places.advance(1, 0, 4), 0, "the member started again");
        assert_eq!((places.of(1), places.of(2)), (4, 0));
    }
}
