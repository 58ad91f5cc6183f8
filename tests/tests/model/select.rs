//! The branch that real nodes carry over a round change is the one that the model carries (I-11).

use alloy_primitives::B256;
use rota_preconf::{
    Chain, Frame, FrameBuilder, FrameCut, FramePool, HeightContext, Rules, Select, Stream, select,
};
use rota_tests::{make, model};
use rota_types::{ChainParams, Env, Flags, SignedStatus, Status, Term, ValidatorSet};
use std::sync::Arc;

/// A tree of real frames, forks and rounds and all, and the same tree in the model.
pub(super) struct Forest {
    pub(super) set: ValidatorSet,
    pub(super) rules: Rules,
    pub(super) stakes: Vec<u64>,
    tree: model::Tree,
    /// By the model's id: the chain that ends there, and its last frame (none at the root).
    pub(super) chains: Vec<Chain>,
    pub(super) frames: Vec<Arc<Frame>>,
}

impl Forest {
    pub(super) fn grow(dice: &mut model::Dice) -> Self {
        let stakes: Vec<u64> = (0..4 + dice.below(7)).map(|_| 1 + dice.below(10) as u64).collect();
        let set = make::set(&stakes);
        let params = ChainParams::default();
        let epoch = make::epoch(&set, &params);
        let mut rules = make::rules(&epoch, params);
        rules.epochs.reach(1);
        let root = Chain::new(HeightContext::genesis(&epoch, B256::repeat_byte(1)));
        let mut tree = model::Tree::default();
        tree.reset();
        let mut forest = Self { set, rules, stakes, tree, chains: vec![root], frames: Vec::new() };
        for now in 0..4 + dice.below(24) as u64 {
            forest.add(dice, now);
        }
        forest
    }

    /// One frame more, on any frame: a twin of others, of a later round, or beyond a CLOSE.
    fn add(&mut self, dice: &mut model::Dice, now: u64) {
        // Late frames grow deep, early ones grow wide.
        let from = dice.below(self.chains.len());
        let parent = from.max(dice.below(self.chains.len()));
        let mut chain = self.chains[parent].clone();
        if chain.context().height > 2 {
            return;
        }
        if chain.context().height == 1 && dice.one_in(3) {
            let round = 1 + dice.below(3) as u32;
            chain.enter(Stream {
                term: Term { height: 1, round },
                leader: chain.base().epoch.schedule().leader(chain.base().cursor, round),
                init_hash: B256::repeat_byte(dice.below(200) as u8),
                next_seq: 0,
            });
        }
        let Stream { term, leader, .. } = *chain.stream();
        let origin = Env {
            timestamp_s: 0,
            l1_number: 1,
            l1_hash: B256::ZERO,
            gas_limit: self.rules.params.gas_limit,
            prev_randao: B256::ZERO,
            fee_vault: self.rules.params.fee_vault,
        };
        let close = dice.one_in(4);
        let cut = FrameCut { now, txs: &[], close, origin: &origin, evidence: &[] };
        let mut builder = FrameBuilder::new(term, leader, now);
        let frame = builder.build(&chain, &cut, &make::keys(leader).0, &self.rules).unwrap();
        let frame = Arc::new(frame);
        chain.append(&frame, &self.rules).unwrap();
        let id = self.tree.add(model::Frame {
            parent: parent as u8,
            term: 0,
            init: 0,
            height: frame.height() as u8,
            close: frame.signed.header.flags.has(Flags::CLOSE),
            hash: u32::from_be_bytes(frame.hash[..4].try_into().unwrap()),
        });
        assert_eq!(usize::from(id), self.chains.len());
        self.chains.push(chain);
        self.frames.push(frame);
    }

    pub(super) fn pool<'a>(frames: impl Iterator<Item = &'a Arc<Frame>>) -> FramePool {
        let mut pool = FramePool::default();
        frames.for_each(|frame| drop(pool.insert(Arc::clone(frame))));
        pool
    }

    /// A report; its signature is not looked at by a selection.
    pub(super) fn report(&self, signer: u16, best_round: u8, tip: u8) -> SignedStatus {
        let link = self.chains[usize::from(tip)].tip();
        let status = Status {
            epoch: 0,
            height: 1,
            round: 4,
            signer,
            best_round: best_round.into(),
            best_g: link.g,
            best_hash: link.hash,
            best_ref: B256::ZERO,
        };
        SignedStatus { status, signature: [0; 65] }
    }

    /// What the model selects from the same reports.
    fn expected(&self, reports: &[(u16, u8, u8)]) -> u8 {
        let weighed: Vec<(u8, u8, u64)> = reports
            .iter()
            .map(|(who, best, tip)| (*best, *tip, self.stakes[*who as usize]))
            .collect();
        self.tree.select(0, 1, &weighed)
    }

    fn carry(&self, id: u8) -> Select {
        let link = self.chains[usize::from(id)].tip();
        Select::Carry { g: link.g, hash: link.hash, closed: self.tree.close_of(id, 1).is_some() }
    }

    fn real(&self, reports: &[(u16, u8, u8)], chain: usize, pool: &FramePool) -> Select {
        let signed: Vec<_> =
            reports.iter().map(|(who, b, tip)| self.report(*who, *b, *tip)).collect();
        select(&signed, &self.chains[chain], pool, &self.set)
    }
}

fn draw(forest: &Forest, dice: &mut model::Dice) -> Vec<(u16, u8, u8)> {
    let mut reports = Vec::new();
    for who in 0..forest.stakes.len() as u16 {
        if !dice.one_in(4) {
            let best = 2 - (dice.below(6) as u8).min(2);
            reports.push((who, best, dice.below(forest.chains.len()) as u8));
        }
    }
    shuffle(&mut reports, dice);
    reports
}

pub(super) fn shuffle<T>(items: &mut [T], dice: &mut model::Dice) {
    for at in (1..items.len()).rev() {
        items.swap(at, dice.below(at + 1));
    }
}

/// Calls `check` with many trees and many lists of reports on each.
fn for_many(seed: u64, check: impl Fn(&Forest, &mut Vec<(u16, u8, u8)>, &mut model::Dice)) {
    let mut dice = model::Dice::new(seed);
    for _ in 0..150 {
        let forest = Forest::grow(&mut dice);
        for _ in 0..20 {
            let mut reports = draw(&forest, &mut dice);
            check(&forest, &mut reports, &mut dice);
        }
    }
}

#[test]
fn nodes_carry_what_the_model_carries() {
    for_many(1, |forest, reports, _| {
        let pool = Forest::pool(forest.frames.iter());
        let expected = forest.carry(forest.expected(reports));
        assert_eq!(forest.real(reports, 0, &pool), expected, "{reports:?}");
    });
}

#[test]
fn the_carry_depends_on_nothing_but_the_reports() {
    for_many(2, |forest, reports, dice| {
        let first = forest.real(reports, 0, &Forest::pool(forest.frames.iter()));
        // Another node: another order of arrival, another branch followed, and no frame that nobody reports.
        let named = reports.iter().fold(0, |all, r| all | forest.tree.up(r.2));
        let mut frames: Vec<_> = (1u8..).zip(&forest.frames).collect();
        frames.retain(|(id, _)| named >> id & 1 == 1);
        shuffle(&mut frames, dice);
        shuffle(reports, dice);
        let pool = Forest::pool(frames.iter().map(|(_, frame)| *frame));
        let in_height = |at: &usize| forest.chains[*at].base().height == 1;
        let chain = Some(dice.below(forest.chains.len())).filter(in_height).unwrap_or(0);
        assert_eq!(forest.real(reports, chain, &pool), first, "{reports:?}");
    });
}

#[test]
fn more_support_for_the_winner_never_changes_the_winner() {
    for_many(3, |forest, reports, dice| {
        let winner = forest.expected(reports);
        let newest = reports.iter().map(|r| r.1).max().unwrap_or(0);
        let Some(other) =
            (0..forest.stakes.len() as u16).find(|w| !reports.iter().any(|r| r.0 == *w))
        else {
            return;
        };
        let pool = Forest::pool(forest.frames.iter());
        reports.push((other, newest, winner));
        assert_eq!(forest.real(reports, 0, &pool), forest.carry(winner), "{reports:?}");
        let above = dice.member(forest.tree.down(winner)).unwrap();
        *reports.last_mut().unwrap() = (other, newest, above);
        let Select::Carry { hash, .. } = forest.real(reports, 0, &pool) else {
            panic!("a frame is missing")
        };
        let longer = forest.chains.iter().position(|c| c.tip().hash == hash).unwrap() as u8;
        assert!(forest.tree.leads_to(winner, longer), "{reports:?}: {winner} became {longer}");
        if newest > 0 {
            let anything = dice.below(forest.chains.len()) as u8;
            *reports.last_mut().unwrap() = (other, newest - 1, anything);
            assert_eq!(forest.real(reports, 0, &pool), forest.carry(winner), "{reports:?}");
        }
    });
}

#[test]
fn a_missing_frame_is_named_and_never_guessed() {
    for_many(4, |forest, reports, dice| {
        let newest = reports.iter().map(|r| r.1).max().unwrap_or(0);
        let needed = reports.iter().filter(|r| r.1 == newest);
        let needed = needed.fold(0, |all, r| all | forest.tree.up(r.2)) & !1;
        let Some(lost) = dice.member(needed) else { return };
        let kept = (1u8..).zip(&forest.frames).filter(|(id, _)| *id != lost).map(|(_, f)| f);
        let missing = Select::Missing(forest.frames[usize::from(lost) - 1].hash);
        assert_eq!(forest.real(reports, 0, &Forest::pool(kept)), missing, "{reports:?}");
    });
}
