//! The stack of a sequencer against blocks executed at once.

use super::{Done, ForcedBook, ForcedSource, Ground, Stack, StackError, load_lags, load_point};
use crate::settle::testing::{CHAIN, Chain, forced};
use alloy_primitives::{Address, B256, U256};
use rota_execution::ExecutedBlock;
use rota_preconf::Frame;
use rota_store::{Blocks, MemKv};
use rota_types::{Deposit, ForcedTx, RewardsBook, Tx};
use std::sync::Arc;

fn chain() -> Chain {
    let mut chain = Chain::new();
    chain.every = 2;
    let entry =
        |(index, l1_number, nonce)| ForcedTx { index, l1_number, gas: 21_000, tx: forced(nonce) };
    chain.forced = [(0, 1, 0), (1, 1, 1), (2, 4, 5), (3, 4, 2), (4, 5, 3)].map(entry).into();
    let deposit = |(index, l1_number)| Deposit {
        index,
        l1_number,
        to: Address::repeat_byte(0xd0),
        amount_gwei: index.saturating_add(1_000_000),
    };
    chain.deposits = [(0, 1), (1, 1), (2, 3), (3, 6)].map(deposit).into();
    chain.grow(16)
}

pub(crate) fn book(chain: &Chain, upto: u64) -> ForcedBook {
    let book = ForcedBook::new(Blocks::open(Arc::new(MemKv::default())).unwrap());
    book.extend(upto, &chain.forced, &chain.deposits).unwrap();
    book
}

/// The frames of the chain, one for each height, with the value ids that they close.
pub(crate) fn frames(chain: &Chain) -> Vec<(Arc<Frame>, Option<B256>)> {
    let frame = |d: &rota_types::wire::DecidedHeight| {
        let signed = d.frames[0].clone();
        let txs = signed.body.txs.iter().map(|t| Arc::new(Tx::decode(t, CHAIN).unwrap())).collect();
        let hash = signed.header.hash(&chain.domain);
        let id = d.header.value_id(&chain.domain);
        (Arc::new(Frame::own(signed, hash, txs)), Some(id))
    };
    chain.decided.iter().map(frame).collect()
}

fn sealed(done: Vec<Done>) -> Vec<B256> {
    let hash = |done| match done {
        Done::Sealed(sealed) => Some(sealed.block.hash()),
        Done::Executed(_) => None,
    };
    done.into_iter().filter_map(hash).collect()
}

pub(crate) fn stack(chain: &Chain, source: impl ForcedSource + 'static) -> Stack {
    let ground = Ground { head: chain.genesis.clone(), origin: 0, rewards: Arc::default() };
    let set = Arc::new(chain.set());
    Stack::new(CHAIN, ground, Arc::new(source), Arc::new(move |_| Some(Arc::clone(&set))))
}

#[test]
fn forced_transactions_are_executed_first_and_shown_with_the_opening_frame() {
    let chain = chain();
    let expected: Vec<B256> = chain.blocks().iter().map(ExecutedBlock::hash).collect();
    let mut stack = stack(&chain, book(&chain, 9));
    let (mut hashes, mut shown) = (Vec::new(), Vec::new());
    for (frame, closed) in frames(&chain) {
        let done = stack.accept(&frame, closed).unwrap();
        for item in &done {
            if let Done::Executed(executed) = item {
                shown.extend(executed.forced.iter().map(|(tx, _)| (frame.height(), tx.nonce())));
            }
        }
        hashes.extend(sealed(done));
    }
    assert_eq!(hashes, expected[..7]);
    // Origins 1, 4 and 5 begin with heights 3, 9 and 11; what cannot be included yet is shown too.
    assert_eq!(shown, [(3, 0), (3, 1), (9, 5), (9, 2), (11, 3)]);
    let settled = stack.settle(14);
    assert_eq!(settled.iter().map(|s| s.origin).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn deposits_are_credited_in_the_block_whose_origin_passes_them() {
    let chain = chain();
    let expected = chain.blocks();
    let mut stack = stack(&chain, book(&chain, 9));
    for (frame, closed) in frames(&chain) {
        stack.accept(&frame, closed).unwrap();
        // A detour: what is executed again is credited once.
        if frame.height() == 12 {
            stack.rewind(3).unwrap();
            for (frame, closed) in &frames(&chain)[3..12] {
                stack.accept(frame, *closed).unwrap();
            }
        }
    }
    let to = Address::repeat_byte(0xd0);
    let mut sum = U256::ZERO;
    for (sealed, plain) in stack.settle(14).iter().zip(&expected) {
        assert_eq!(sealed.block.hash(), plain.hash());
        let credited = sealed.block.withdrawals.iter().filter(|w| w.validator_index == 1);
        let indices: Vec<u64> = credited.clone().map(|w| w.index).collect();
        let due = chain.deposits.iter().filter(|d| d.l1_number == sealed.origin);
        assert_eq!(indices, due.map(|d| d.index).collect::<Vec<_>>(), "origin {}", sealed.origin);
        sum += credited.map(|w| w.amount_wei()).sum::<U256>();
        assert_eq!(sealed.block.head.state.balance(&to), sum);
    }
    assert_eq!(sum, U256::from(4_000_006_000_000_000u64));
}

#[test]
fn a_book_with_a_gap_is_refused() {
    let chain = chain();
    let book = book(&chain, 9);
    let deposit = Deposit { index: 5, l1_number: 11, ..chain.deposits[3] };
    let why = book.extend(11, &[], &[deposit]).unwrap_err();
    assert_eq!(why.to_string(), "L1 told of deposit 5; 4 is the next: some are missing");
    assert_eq!(book.upto().unwrap(), Some(9), "nothing was noted");
    book.extend(11, &[], &[Deposit { index: 4, ..deposit }]).unwrap();
}

/// The rewards as of each settled block.
pub(crate) fn rewards(chain: &Chain, upto: u64) -> Vec<Arc<RewardsBook>> {
    let mut stack = stack(chain, book(chain, upto));
    for (frame, closed) in frames(chain) {
        stack.accept(&frame, closed).unwrap();
    }
    stack.settle(chain.last()).iter().map(|s| Arc::clone(&s.rewards)).collect()
}

#[test]
fn fees_go_to_who_closed_and_to_the_set_and_none_is_lost() {
    let chain = chain();
    let (blocks, rewards) = (chain.blocks(), rewards(&chain, 9));
    let vault = blocks[0].head.header.beneficiary;
    let owners: Vec<_> = chain.validators().iter().map(|v| v.owner).collect();
    let mut before = RewardsBook::default();
    for (after, (block, next)) in rewards.iter().zip(blocks.iter().zip(&blocks[1..])) {
        // What the vault has once the base fee is back, to the wei but for what is below a gwei in each height.
        let returned = next.withdrawals.iter().filter(|w| w.validator_index == 0);
        let burned = returned.map(|w| w.amount_wei().to::<u128>()).sum::<u128>();
        let vault = block.head.state.balance(&vault).to::<u128>() + burned;
        let shared = vault * 95 / 100;
        assert!(after.total() <= shared && shared - after.total() < 3_000_000_000 * 8);
        // Two heights of one transfer each: who closed earns four fifths of it besides what all earn.
        let second = block.head.header.timestamp;
        let fee = u128::from(block.head.header.base_fee_per_gas.unwrap()) * 21_000;
        let grown = |i: usize| after.get(&owners[i]) - before.get(&owners[i]);
        for height in chain.decided.iter().filter(|d| d.header.env.timestamp_s == second) {
            let closer = usize::from(height.header.close.closer);
            let others = (0..4).filter(|i| *i != closer).map(grown).min().unwrap();
            assert!(grown(closer) > others + fee * 7 / 10 && others > 0);
        }
        before = (**after).clone();
    }
    assert_eq!(rewards.len(), 7);
}

#[test]
fn checkpoints_are_kept_with_their_rewards_and_known_after_a_restart() {
    let chain = Chain::new().grow(140);
    let (blocks, rewards) = (chain.blocks(), rewards(&chain, 9));
    let store = Blocks::open(Arc::new(MemKv::default())).unwrap();
    let mut stack = stack(&chain, book(&chain, 9));
    let mut told = Vec::new();
    for (frame, closed) in frames(&chain) {
        stack.accept(&frame, closed).unwrap();
        // As at the decision: the block of the height may still be open.
        told.extend((frame.height() % 64 == 0).then(|| stack.point(frame.height()).unwrap()));
    }
    for sealed in stack.settle(chain.last()) {
        let mut batch = rota_store::BlockBatch::default();
        super::write_block(&mut batch, &sealed);
        store.commit(batch).unwrap();
    }
    // Heights 63 and 64 are block 32, 127 and 128 block 64: what counts is the block before.
    for (point, before) in told.iter().zip([31usize, 63]) {
        let (kept, book) = load_point(&store, point.height + 63).unwrap().unwrap();
        assert_eq!(kept, *point);
        assert_eq!(
            (kept.block_number, kept.block_hash),
            (before as u64, blocks[before - 1].hash())
        );
        assert_eq!((kept.rewards_root, &book), (book.root(), &*rewards[before - 1]));
    }
    assert_eq!((told.len(), load_point(&store, 63).unwrap()), (2, None));
    let lags = load_lags(&store).unwrap();
    assert_eq!(lags.at(128), Some((64, told[0].root())));
    assert_eq!(lags.at(192), Some((128, told[1].root())));
    assert_eq!(super::rewards::load(&store).unwrap(), **rewards.last().unwrap());
}

#[test]
fn going_back_and_on_again_gives_the_same_blocks() {
    let chain = chain();
    let expected: Vec<B256> = chain.blocks().iter().map(ExecutedBlock::hash).collect();
    let all = frames(&chain);
    let root = rewards(&chain, 9).last().unwrap().root();
    for back in 0..all.len() {
        let mut stack = stack(&chain, book(&chain, 9));
        for (frame, closed) in &all {
            stack.accept(frame, *closed).unwrap();
        }
        let to = all[back].0.g();
        stack.rewind(to).unwrap();
        let mut hashes = Vec::new();
        for (frame, closed) in all.iter().filter(|(f, _)| f.g() > to) {
            hashes.extend(sealed(stack.accept(frame, *closed).unwrap()));
        }
        assert_eq!(stack.settle(14).last().map(|s| s.rewards.root()), Some(root), "back to {to}");
        // A block that the last frame kept had completed stays sealed.
        assert_eq!(hashes, expected[usize::try_from(to / 2).unwrap().min(7)..7], "back to {to}");
    }
}

#[test]
fn a_frame_whose_origin_is_not_read_changes_nothing_and_can_come_again() {
    let chain = chain();
    let expected: Vec<B256> = chain.blocks().iter().map(ExecutedBlock::hash).collect();
    let book = book(&chain, 3);
    let mut stack = stack(&chain, book.clone());
    let mut hashes = Vec::new();
    for (frame, closed) in frames(&chain) {
        let mut done = stack.accept(&frame, closed);
        if matches!(done, Err(StackError::Forced { .. })) {
            let upto = book.upto().unwrap().unwrap() + 1;
            book.extend(upto, &[], &[]).unwrap();
            done = stack.accept(&frame, closed);
        }
        hashes.extend(sealed(done.unwrap()));
    }
    assert_eq!(hashes, expected[..7]);
    assert_eq!(book.upto().unwrap(), Some(7));
}
