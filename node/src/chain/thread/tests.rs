//! What the queue of transactions and the view say together while a frame comes.

use super::*;
use crate::{
    chain::tests::{book, frames, stack},
    clock::spawn,
    settle::testing::{CHAIN, Chain, transfer},
    view::ViewConfig,
};
use crossbeam_channel::{Receiver, bounded};
use rota_preconf::{Intake, IntakeConfig, Place};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

const LONG: Duration = Duration::from_secs(20);

struct Rig {
    chain: ChainThread,
    /// How often the door has asked for the time.
    asked: Arc<AtomicU64>,
    _woken: Receiver<()>,
}

fn rig(chain: &Chain) -> Rig {
    let config = ViewConfig { chain_id: CHAIN, ..ViewConfig::default() };
    let view = Arc::new(View::new(config, &chain.genesis));
    let (wake, woken) = bounded(1);
    let asked = Arc::new(AtomicU64::new(0));
    let clock = {
        let asked = Arc::clone(&asked);
        move || asked.fetch_add(1, Ordering::SeqCst)
    };
    let intake = Intake::new(IntakeConfig::default());
    let submitter = Arc::new(Submitter::new(Arc::clone(&view), intake, wake, Arc::new(clock)));
    let chain = ChainThread {
        stack: stack(chain, book(chain, 9)),
        view,
        submitter,
        sets: Arc::new(Sets::of_one(chain.set(), 24, rota_p2p::PeerId::random())),
        now: || 1,
        wanted: false,
    };
    Rig { chain, asked, _woken: woken }
}

fn tx(nonce: u64) -> Arc<Tx> {
    Arc::new(Tx::decode(&transfer(nonce), CHAIN).unwrap())
}

#[expect(clippy::disallowed_methods, reason = "threads are waited for by the real clock")]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "{what}");
        std::thread::yield_now();
    }
}

/// A frame executes the only transaction of an account; at that moment its next one comes. Whoever has the lock when, it can be framed.
#[test]
fn the_next_transaction_of_an_account_never_waits_for_one_that_was_executed() {
    let history = Chain::new().grow(1);
    let Rig { mut chain, asked, _woken } = rig(&history);
    let (view, door) = (Arc::clone(&chain.view), Arc::clone(&chain.submitter));
    let (first, second) = (tx(0), tx(1));
    assert_eq!(door.submit(&first).unwrap().place, Place::Ready);
    assert_eq!(door.intake().take(LIMITS).len(), 1);

    let mut queue = door.intake();
    let before = asked.load(Ordering::SeqCst);
    let at_the_door = Arc::clone(&door);
    let sender = first.sender;
    let submitted = spawn("user", move || at_the_door.submit(&second).unwrap().place).unwrap();
    until("the second is at the door", || asked.load(Ordering::SeqCst) > before);
    let (frame, closed) = frames(&history).remove(0);
    let executed = spawn("chain", move || chain.accept(&frame, closed).unwrap()).unwrap();
    until("the view shows a frame before the queue hears of it", || {
        view.pending_account(&sender).nonce == 1
    });
    // What the chain's thread does next, before the second gets in.
    queue.settled(sender, 0);
    drop(queue);
    assert_eq!(submitted.join().unwrap(), Place::Ready);
    executed.join().unwrap();
    assert!(door.intake().has_ready());
}
