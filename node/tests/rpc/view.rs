//! The view as the chain thread and the readers see it.

use crate::support::{Dice, Leader, OWNER, START_MS, hash_of, plain, sign, transfer, user};
use alloy_eips::BlockNumberOrTag as Tag;
use alloy_primitives::B256;
use rota_node::view::{
    Archive, At, BlockView, EventKind, NoPromise, Notice, OtherProven, Posting, ProblemKind,
    ProvenStep, Retraction, TxLocation, View, ViewConfig,
};
use rota_preconf::IntakeConfig;
use rota_types::{ReceiptSet, Stage, wire::DecidedHeight};
use rota_verify::{Anchor, verify};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

fn number(view: &View, tag: Tag) -> u64 {
    view.block(At::Number(tag)).unwrap().number()
}

#[test]
fn a_transaction_climbs_the_ladder_with_its_times() {
    let mut leader = Leader::new();
    let hash = leader.submit(&transfer(1, 0));
    let stage = |leader: &Leader| leader.view.tx(&hash).unwrap().progress.stage.unwrap();
    assert_eq!(stage(&leader), Stage::Received);
    leader.tick(2);
    let frame_hash = leader.frame();
    let found = leader.view.tx(&hash).unwrap();
    let block = found.block.as_ref().unwrap();
    assert_eq!((block.number, block.hash, block.sealed), (1, frame_hash, false));
    assert_eq!(found.progress.preconfirmed_ms, Some(START_MS + 2));
    assert_eq!(found.progress.received_ms, Some(START_MS));
    leader.tick(3);
    leader.ack();
    assert_eq!(stage(&leader), Stage::Acked);
    leader.close(true);
    let block = leader.view.tx(&hash).unwrap().block.unwrap();
    assert!(block.sealed);
    assert_ne!(block.hash, frame_hash);
    // The frame hash goes on resolving, to the block that it became part of.
    let by_frame = leader.view.block(At::Hash(frame_hash)).unwrap();
    assert_eq!((by_frame.hash, by_frame.txs.len()), (block.hash, 1));
    assert_eq!(leader.view.heads().latest.number, 0);
    let height = leader.decide();
    assert_eq!(stage(&leader), Stage::Decided);
    assert_eq!(leader.view.heads().latest.number, 1);
    leader.view.posted(height, B256::repeat_byte(1), 40, START_MS + 9);
    assert_eq!(stage(&leader), Stage::Posted);
    assert_eq!(number(&leader.view, Tag::Safe), 1);
    leader.view.unposted(height, START_MS + 10);
    assert_eq!(stage(&leader), Stage::Decided);
    assert_eq!(number(&leader.view, Tag::Safe), 0);
    leader.view.posted(height, B256::repeat_byte(2), 41, START_MS + 11);
    leader.view.finalized(height, 41, START_MS + 12);
    let progress = leader.view.tx(&hash).unwrap().progress;
    assert_eq!(progress.stage, Some(Stage::Finalized));
    assert_eq!(progress.posted.unwrap().l1_tx, B256::repeat_byte(2));
    assert_eq!(number(&leader.view, Tag::Finalized), 1);
}

#[tokio::test]
async fn the_last_stage_is_what_l1_holds_for_proven() {
    let mut leader = Leader::new();
    let hash = leader.submit(&transfer(1, 0));
    leader.frame();
    leader.close(true);
    let height = leader.decide();
    let view = &leader.view;
    let stage = || view.tx(&hash).unwrap().progress.stage.unwrap();
    let block = view.tx(&hash).unwrap().block.unwrap();
    let step = |number: u64, hash| ProvenStep {
        step: 7,
        block: number,
        hash,
        l1_block: 90,
        at_ms: START_MS + 20,
    };
    assert!(!view.expects_proofs());
    view.expect_proofs();
    assert!(view.expects_proofs());
    // Not before it is final here, and not if it is another block here.
    assert_eq!(view.proven(step(1, block.hash)), Ok(false));
    assert_eq!(stage(), Stage::Decided);
    let theirs = B256::repeat_byte(9);
    let other = OtherProven { number: 1, theirs, ours: block.hash };
    assert_eq!(view.proven(step(1, theirs)), Err(other));
    view.posted(height, B256::repeat_byte(1), 40, START_MS + 9);
    view.finalized(height, 40, START_MS + 10);
    assert_eq!((stage(), view.block_stage(1)), (Stage::Finalized, Stage::Finalized));
    let told = view.wait(hash, Stage::Proven);
    assert_eq!(view.proven(step(1, block.hash)), Ok(true));
    assert_eq!(told.await, Notice::Reached(Stage::Proven));
    let progress = view.tx(&hash).unwrap().progress;
    assert_eq!((progress.stage, progress.proven), (Some(Stage::Proven), Some(step(1, block.hash))));
    assert_eq!((view.block_stage(1), view.block_stage(0)), (Stage::Proven, Stage::Finalized));
    assert_eq!(view.proven(step(1, block.hash)), Ok(false), "it is known");
}

#[test]
fn a_block_of_several_heights_is_latest_only_when_all_are_decided_and_sealed() {
    let mut leader = Leader::new();
    leader.submit(&transfer(1, 0));
    leader.close(false);
    leader.decide();
    let heads = leader.view.heads();
    assert_eq!((heads.pending.number, heads.latest.number, heads.latest.height), (1, 0, 1));
    leader.submit(&transfer(1, 1));
    leader.close(true);
    assert_eq!(leader.view.heads().latest.number, 0);
    leader.decide();
    let block = leader.view.block(At::Number(Tag::Latest)).unwrap();
    assert_eq!((block.number(), block.txs.len(), block.span.last_height), (1, 2, 2));
}

#[test]
fn a_rewind_takes_back_frames_blocks_and_states_and_nothing_that_is_decided() {
    let mut leader = Leader::new();
    leader.submit(&transfer(1, 0));
    leader.whole_block();
    let kept = leader.g();
    leader.submit(&transfer(1, 1));
    leader.frame();
    let stays = leader.g();
    let lost = leader.submit(&transfer(1, 2));
    let gone_frame = leader.frame();
    leader.ack();
    leader.close(true);
    let gone_block = leader.view.block(At::Number(Tag::Pending)).unwrap().hash;
    let mut events = leader.view.subscribe();

    leader.rewind(stays, "round_change");
    let heads = leader.view.heads();
    assert_eq!((heads.pending.number, heads.pending.g, heads.acked.g), (2, stays, stays));
    let pending = leader.view.block(At::Number(Tag::Pending)).unwrap();
    assert!(!pending.sealed);
    assert_eq!(pending.txs.len(), 1);
    assert_eq!(leader.view.pending_account(&user(1).address()).nonce, 2);
    assert!(leader.view.block(At::Hash(gone_frame)).is_none());
    assert!(leader.view.block(At::Hash(gone_block)).is_none());
    let found = leader.view.tx(&lost).unwrap();
    assert_eq!(found.progress.stage, Some(Stage::Received));
    assert_eq!(found.problem.unwrap().kind, ProblemKind::Retracted);
    let event = events.try_recv().unwrap();
    let EventKind::Retract(retraction) = &event.kind else { panic!("{event:?}") };
    let Retraction { to_g, frames, leader: who, reason, txs, blocks, .. } = &**retraction;
    assert_eq!((*to_g, *frames, *who), (stays, (stays + 1, stays + 2), OWNER));
    assert_eq!((*reason, txs, blocks), ("round_change", &vec![lost], &vec![gone_block]));
    assert_eq!(leader.view.stats().promises.lost, 1);

    // It is framed again, by whoever leads now.
    leader.frame();
    assert_eq!(leader.view.tx(&lost).unwrap().progress.stage, Some(Stage::Preconfirmed));
    // Decided frames stay, whatever is asked.
    leader.view.rewind(0, "equivocation", 1);
    assert_eq!(leader.view.heads().pending.g, kept);
    assert_eq!(number(&leader.view, Tag::Pending), 1);
    assert_eq!(leader.view.stats().promises.broken, 2);
}

#[test]
fn a_promise_grows_and_verifies_at_every_step() {
    let mut leader = Leader::new();
    for nonce in 0..5 {
        leader.submit(&transfer(1, nonce));
    }
    let hash = leader.submit(&transfer(2, 0));
    leader.frame();
    let anchor = Anchor { ctx: leader.domain.ctx(), set_id: ReceiptSet::of(&leader.set).id() };
    let check = |leader: &Leader| {
        let verdict = verify(&leader.view.promise(&hash).unwrap(), &anchor).unwrap();
        (verdict.stage, verdict.claimed)
    };
    assert_eq!(check(&leader), (Stage::Preconfirmed, Stage::Preconfirmed));
    leader.frame();
    leader.frame();
    leader.ack();
    assert_eq!(leader.view.promise(&hash).unwrap().acked.unwrap().headers.len(), 2);
    assert_eq!(check(&leader), (Stage::Acked, Stage::Acked));
    leader.close(true);
    leader.decide();
    assert_eq!(check(&leader), (Stage::Decided, Stage::Decided));
    leader.whole_block();
    leader.whole_block();
    leader.view.posted(3, B256::repeat_byte(1), 40, START_MS + 9);
    assert_eq!(check(&leader), (Stage::Decided, Stage::Posted));
    let posted = leader.view.promise(&hash).unwrap().posted.unwrap();
    assert_eq!((posted.headers.len(), posted.last_height), (2, 3));
    leader.view.finalized(3, 40, START_MS + 12);
    assert_eq!(check(&leader), (Stage::Decided, Stage::Finalized));
    assert!(leader.view.promise(&B256::ZERO).is_err());
}

#[test]
fn waiting_tells_the_right_one_once_and_leaves_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut leader = Leader::new();
    let (first, second) = (transfer(1, 0), transfer(2, 0));
    let waits: Vec<_> =
        [(&first, Stage::Preconfirmed), (&first, Stage::Decided), (&second, Stage::Acked)]
            .into_iter()
            .map(|(raw, stage)| leader.view.wait(hash_of(raw), stage))
            .collect();
    let unused = leader.view.wait(hash_of(&first), Stage::Finalized);
    drop(unused);
    leader.submit(&first);
    leader.frame();
    leader.submit(&second);
    leader.close(true);
    leader.ack();
    leader.decide();
    let told: Vec<_> = waits.into_iter().map(|w| runtime.block_on(w)).collect();
    let reached = [Stage::Preconfirmed, Stage::Decided, Stage::Acked].map(Notice::Reached);
    assert_eq!(told, reached);
}

#[test]
fn a_skipped_transaction_says_why_and_a_replaced_one_by_what() {
    let mut leader = Leader::new();
    let old = leader.submit(&transfer(1, 0));
    let mut better = plain(0);
    better.max_fee_per_gas *= 2;
    better.max_priority_fee_per_gas *= 2;
    let better = leader.submit(&sign(&user(1), better));
    let problem = leader.view.tx(&old).unwrap().problem.unwrap();
    assert_eq!((problem.kind, problem.replaced_by), (ProblemKind::Replaced, Some(better)));
    leader.frame();
    // A leader frames the old one all the same: it is skipped where it stands.
    let hash = leader.submit(&transfer(3, 0));
    leader.forced.push(leader.view.tx(&old).unwrap().tx);
    leader.frame();
    let problem = leader.view.tx(&old).unwrap().problem.unwrap();
    assert_eq!(problem.kind, ProblemKind::Skipped);
    assert!(problem.reason.contains("nonce too low"), "{}", problem.reason);
    assert!(leader.view.tx(&hash).unwrap().block.is_some());
}

struct Shelf {
    blocks: BTreeMap<u64, Arc<BlockView>>,
    heights: BTreeMap<u64, DecidedHeight>,
}

impl Archive for Shelf {
    fn block(&self, number: u64) -> Option<Arc<BlockView>> {
        self.blocks.get(&number).cloned()
    }
    fn block_number(&self, hash: &B256) -> Option<u64> {
        self.blocks.iter().find(|(_, b)| b.hash == *hash).map(|(n, _)| *n)
    }
    fn height(&self, height: u64) -> Option<DecidedHeight> {
        self.heights.get(&height).cloned()
    }
    fn tx_location(&self, hash: &B256) -> Option<TxLocation> {
        self.blocks.iter().find_map(|(number, b)| {
            let at = b.txs.iter().position(|t| t.transaction.tx_hash() == hash)?;
            Some(TxLocation { number: *number, index: u64::try_from(at).ok()? })
        })
    }
}

#[test]
fn old_final_blocks_leave_memory_and_come_from_the_archive() {
    let change = |c: &mut ViewConfig| c.retain_blocks = 2;
    let mut leader = Leader::with(change, IntakeConfig::default());
    let first = leader.submit(&transfer(1, 0));
    let mut blocks = BTreeMap::new();
    for n in 1..=12 {
        leader.whole_block();
        let block = leader.view.block(At::Number(n.into())).unwrap();
        blocks.insert(n, Arc::new(BlockView { state: None, ..(*block).clone() }));
    }
    // Without finality four times as many stay.
    assert!(leader.view.block(At::Number(4.into())).is_some());
    assert!(leader.view.block(At::Number(3.into())).is_none());
    leader.view.finalized(12, 9, 0);
    assert!(leader.view.block(At::Number(9.into())).is_none());
    assert!(leader.view.block(At::Number(10.into())).is_some());
    assert!(leader.view.tx(&first).is_none());
    let heights = leader.stored.clone();
    leader.view.set_archive(Arc::new(Shelf { blocks, heights }));
    let found = leader.view.tx(&first).unwrap();
    assert_eq!(found.block.unwrap().number, 1);
    assert_eq!(found.progress.stage, Some(Stage::Finalized));
    assert!(leader.view.block(At::Number(1.into())).unwrap().state.is_none());
    // The promise comes from the stored height: decided, on L1, and without the acks.
    let promise = leader.view.promise(&first).unwrap();
    let anchor = Anchor { ctx: leader.domain.ctx(), set_id: promise.set_id };
    let verdict = verify(&promise, &anchor).unwrap();
    assert_eq!((verdict.stage, verdict.acked), (Stage::Decided, None));
    let shelf = Shelf { blocks: BTreeMap::new(), heights: BTreeMap::new() };
    leader.view.set_archive(Arc::new(shelf));
    assert_eq!(leader.view.promise(&first).unwrap_err(), NoPromise::Unknown);
}

#[test]
fn a_restart_restores_blocks_places_and_heads() {
    let mut leader = Leader::new();
    let hash = leader.submit(&transfer(1, 0));
    leader.whole_block();
    let block = leader.view.block(At::Number(Tag::Latest)).unwrap();
    let again = View::new(leader.view.config().clone(), &leader.genesis);
    again.restore_block(block.clone());
    assert_eq!(again.heads().latest.number, 1);
    assert_eq!(again.heads().pending.hash, block.hash);
    let found = again.tx(&hash).unwrap();
    assert_eq!(found.progress.stage, Some(Stage::Decided));
    assert_eq!(found.block.unwrap().hash, block.hash);
    assert_eq!(again.pending_account(&user(1).address()).nonce, 1);
}

/// Lets the readers end when the writer's part is over, also by a failed assertion.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn readers_never_see_pending_missing_or_behind_latest() {
    let mut leader = Leader::new();
    let view = leader.view.clone();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut readings = 0u32;
                while !stop.load(Ordering::SeqCst) || readings == 0 {
                    let heads = view.heads();
                    assert!(heads.pending.number >= heads.latest.number);
                    assert!(heads.pending.g >= heads.latest.g);
                    let latest = number(&view, Tag::Latest);
                    let pending = view.block(At::Number(Tag::Pending)).expect("never null");
                    assert!(pending.number() >= latest);
                    assert!(pending.state.is_some());
                    readings += 1;
                }
            });
        }
        let _end = StopOnDrop(&stop);
        for round in 0..150u64 {
            leader.submit(&transfer(1, round));
            let before = leader.g();
            leader.frame();
            if round % 3 == 0 {
                leader.rewind(before, "round_change");
                leader.frame();
            }
            leader.close(true);
            leader.decide();
        }
    });
    assert_eq!(leader.view.heads().latest.number, 150);
}

/// A random walk over everything that a sequencer's view is told, restarts included.
#[test]
fn pending_is_never_null_never_frozen_and_never_behind_latest() {
    for seed in 0..24u64 {
        let mut leader = Leader::new();
        let mut dice = Dice(seed);
        let mut nonce = 0;
        for step in 0..60 {
            match dice.roll(8) {
                0 | 1 => {
                    leader.submit(&transfer(1, nonce));
                    nonce += 1;
                    leader.frame();
                }
                2 => drop(leader.close(true)),
                3 => drop(leader.close(false)),
                4 => leader.ack(),
                5 | 6 if leader.can_decide() => drop(leader.decide()),
                5..=7 => {
                    let decided = leader.view.heads().latest.g;
                    let back = dice.roll(leader.g() - decided + 1);
                    if back > 0 {
                        leader.rewind(leader.g() - back, "round_change");
                    }
                }
                _ => drop(leader.frame()),
            }
            let what = format!("seed {seed} step {step}");
            check_pending(&leader.view, &what);
            assert_eq!(leader.view.heads().pending.g, leader.g(), "{what}: frozen");
            let again = leader.restarted();
            check_pending(&again, &format!("{what}, restarted"));
            let (was, is) = (leader.view.heads().latest, again.heads().latest);
            assert_eq!((was.number, was.hash, was.g), (is.number, is.hash, is.g), "{what}");
        }
    }
}

fn check_pending(view: &View, what: &str) {
    let heads = view.heads();
    let pending = view.block(At::Number(Tag::Pending)).unwrap_or_else(|| panic!("{what}: null"));
    assert_eq!(
        (pending.number(), pending.hash),
        (heads.pending.number, heads.pending.hash),
        "{what}"
    );
    assert_eq!(pending.span.last_g, heads.pending.g, "{what}");
    assert!(pending.state.is_some(), "{what}: no state");
    for (lower, upper) in [
        (heads.finalized, heads.safe),
        (heads.safe, heads.latest),
        (heads.latest, heads.acked),
        (heads.acked, heads.pending),
    ] {
        assert!(lower.number <= upper.number && lower.g <= upper.g, "{what}: {heads:?}");
    }
    let latest = view.block(At::Number(Tag::Latest)).unwrap();
    assert!(latest.sealed && latest.number() <= pending.number(), "{what}");
}

#[test]
fn pending_follows_a_node_that_derives_from_l1_and_goes_back() {
    let mut leader = Leader::new();
    let blocks: Vec<_> = (1..=4u64)
        .map(|number| {
            leader.submit(&transfer(1, number - 1));
            leader.whole_block();
            leader.view.block(At::Number(number.into())).unwrap()
        })
        .collect();
    let follower = leader.other();
    check_pending(&follower, "at genesis");
    for block in &blocks {
        let height = block.span.last_height;
        let posting = Posting { height, l1_tx: B256::ZERO, l1_block: height, at_ms: 1 };
        follower.derived(block.clone(), posting);
        check_pending(&follower, "derived");
        assert_eq!(follower.heads().pending.hash, block.hash);
    }
    assert_eq!(follower.revert(2, 2), 2);
    check_pending(&follower, "reverted");
    assert_eq!(number(&follower, Tag::Pending), 2);
    assert_eq!(follower.pending_account(&user(1).address()).nonce, 2);
    follower.start_over(&leader.genesis);
    check_pending(&follower, "from the start");
}
