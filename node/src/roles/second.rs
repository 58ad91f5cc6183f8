//! The second hand of a sequencer: what happens because time passes.
//!
//! Invariant: it decides nothing; what it drops or sends on is chosen by the queue.

use crate::{clock::now_ms, sequencer::Sequencer, submit::Submitter};
use crossbeam_channel::Sender;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Once a second: a heartbeat for streams; what waited too long is dropped, what waits is sent on again. The
/// latter also at once when another node leads.
#[expect(clippy::disallowed_methods, reason = "a named task of the node")]
pub(super) fn second_hand(running: &Sequencer, stop: &CancellationToken) {
    let (view, submitter) = (Arc::clone(&running.view), Arc::clone(&running.submitter));
    let (facts, forward, stop) =
        (Arc::clone(&running.facts), running.forward.clone(), stop.clone());
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        let (mut ticks, mut leader) = (0u64, facts.leader.load(Ordering::Relaxed));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let leads = facts.leading.load(Ordering::Relaxed);
            let now = facts.leader.load(Ordering::Relaxed);
            if std::mem::replace(&mut leader, now) != now && !leads {
                forward_again(&submitter, &forward, 0);
            }
            ticks = ticks.wrapping_add(1);
            if ticks.is_multiple_of(10) {
                view.heartbeat(now_ms());
                submitter.expire(now_ms());
                if !leads {
                    forward_again(&submitter, &forward, 1_000);
                }
            }
        }
    });
}

/// What has waited here for so long is sent on again: its bundle may have been lost with a leader.
fn forward_again(submitter: &Submitter, forward: &Sender<Arc<rota_types::Tx>>, age_ms: u64) {
    const MOST: usize = 512;
    let waiting = submitter.intake().waiting_since(now_ms().saturating_sub(age_ms), MOST);
    for tx in waiting {
        if forward.try_send(tx).is_err() {
            return;
        }
    }
}
