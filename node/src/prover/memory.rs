//! What a prover has read of L1 and need not read again: checkpoints, what is right for them, bonds.
//!
//! Not for: deciding. Invariant: only what the oracle's own rule takes for final is kept; everything newer is read at each look.
//! It is as large as the bonds on L1, each of which cost somebody its amount.

use super::Own;
use crate::outputs::{BlockAt, OutputError};
use alloy_primitives::{Address, B256};
use rota_l1::{BondedOutput, Checkpoint, L1Error, OracleView, Output, Outputs};
use std::collections::{BTreeMap, BTreeSet};

/// L1 blocks of twelve seconds in the week after which the council may act (`Oracle.STUCK`).
const WEEK_BLOCKS: u64 = 50_400;
/// L1 blocks that one look goes further back for old bonds of the account.
const BACK: u64 = 5_000;

/// The oracle's rules, which never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// L1 blocks from one checkpoint to the next, at least.
    pub interval: u64,
    /// L1 blocks after which one counts.
    pub final_blocks: u64,
}

/// How many steps after the last final one matter: all whose checkpoints fit in the longest window of a slot, and the week that a
/// dispute on the first of them may take, in which nothing becomes final and everything on top can be bonded. Policy for more:
/// the later ones wait.
#[must_use]
pub const fn reach(rules: Rules, window_blocks: u64) -> u64 {
    let blocks = window_blocks.saturating_add(rules.final_blocks).saturating_add(WEEK_BLOCKS);
    let interval = if rules.interval == 0 { 1 } else { rules.interval };
    blocks.div_ceil(interval).saturating_add(2)
}

/// Of one prover.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: Option<(B256, Rules)>,
    points: BTreeMap<u64, (Checkpoint, BlockAt)>,
    bonds: Bonds,
}

/// Bonds on some slots in the L1 blocks `from..next`; from 0: everything that there is was read.
#[derive(Debug, Default)]
struct Bonds {
    slots: Vec<Address>,
    from: u64,
    next: u64,
    all: Vec<BondedOutput>,
    /// With the L1 block in which that was seen first.
    settled: BTreeMap<(Address, B256), u64>,
}

impl Memory {
    /// The oracle's domain and rules.
    pub(super) async fn rules(&mut self, l1: &Outputs) -> Result<(B256, Rules), L1Error> {
        if let Some(known) = self.known {
            return Ok(known);
        }
        let (interval, final_blocks) = l1.rules().await?;
        let known = (l1.domain().await?, Rules { interval, final_blocks });
        Ok(*self.known.insert(known))
    }

    /// What is right for the steps after the last final one, as far as it can be said. `at` is what a follower derived.
    pub(super) async fn right<E, F>(
        &mut self,
        l1: &Outputs,
        (view, window): (&OracleView, u64),
        at: &impl Fn(u64) -> F,
    ) -> Result<Vec<(Output, B256)>, E>
    where
        E: From<OutputError>,
        F: Future<Output = Result<Option<BlockAt>, E>>,
    {
        let failed = |e: L1Error| E::from(OutputError::L1(e));
        let (domain, rules) = self.rules(l1).await.map_err(failed)?;
        let (tip, mut parent) = (view.tip.step, view.tip.output);
        self.points = self.points.split_off(&tip.saturating_add(1));
        let last = view.last_checkpoint.min(tip.saturating_add(reach(rules, window)));
        let mut found = Vec::new();
        for step in tip.saturating_add(1)..=last {
            let (point, block) = match self.points.get(&step) {
                Some(known) => *known,
                None => {
                    let point = l1.checkpoint(step).await.map_err(failed)?;
                    let Some(point) = point else { break };
                    let Some(block) = at(point.l1_block).await? else { break };
                    if point.l1_block.saturating_add(rules.final_blocks) <= view.block {
                        self.points.insert(step, (point, block));
                    }
                    (point, block)
                }
            };
            let output = block.output(step, parent);
            parent = output.hash(domain, &point);
            found.push((output, parent));
        }
        Ok(found)
    }

    /// Bonds on all steps that are not final, and on those that are where the account has one that is not settled. With each look
    /// older ones come in, until the oracle's first block is reached.
    pub(super) async fn bonded(
        &mut self,
        l1: &Outputs,
        view: &OracleView,
        own: Own,
    ) -> Result<Vec<BondedOutput>, L1Error> {
        let (_, rules) = self.rules(l1).await?;
        let slots = view.slots.iter().filter(|s| s.bonds.is_some()).map(|s| s.address);
        let slots: Vec<Address> = slots.collect();
        if self.bonds.slots != slots {
            let from = l1.checkpoint(view.tip.step).await?.map_or(view.block, |c| c.l1_block);
            let settled = std::mem::take(&mut self.bonds.settled);
            self.bonds = Bonds { slots, from, next: from, settled, ..Bonds::default() };
        }
        let bonds = &mut self.bonds;
        let (found, read_to) = l1.bonds(&bonds.slots, (bonds.next, view.block)).await?;
        let loose = bonds.keep(found, read_to.min(view.block.saturating_sub(rules.final_blocks)));
        if !own.account.is_zero() && bonds.from > 0 {
            let first = l1.checkpoint(0).await?.map_or(0, |c| c.l1_block);
            let from = bonds.from.saturating_sub(BACK).max(first);
            let to = bonds.from.saturating_sub(1);
            bonds.all.extend(l1.bonds(&bonds.slots, (from, to)).await?.0);
            bonds.from = if from == first { 0 } else { from };
        }
        let mut all: Vec<_> = bonds.all.iter().chain(&loose).copied().collect();
        contest(&mut all);
        let mut matter = mattering(&all, view.tip.step, own);
        let fixed = |at: &u64| at.saturating_add(rules.final_blocks) <= view.block;
        matter.retain(|b| !bonds.settled.get(&(b.slot, b.hash)).is_some_and(fixed));
        for b in matter.iter_mut().filter(|b| b.output.step <= view.tip.step) {
            b.settled = l1.is_settled(b.slot, b.hash).await?;
            if b.settled {
                bonds.settled.entry((b.slot, b.hash)).or_insert(view.block);
            } else {
                bonds.settled.remove(&(b.slot, b.hash));
            }
        }
        Ok(matter)
    }
}

impl Bonds {
    /// Keeps what is in L1 blocks that stay, and gives the rest.
    fn keep(&mut self, found: Vec<BondedOutput>, upto: u64) -> Vec<BondedOutput> {
        let (fixed, loose): (Vec<_>, Vec<_>) = found.into_iter().partition(|b| b.l1_block <= upto);
        self.all.extend(fixed);
        self.next = self.next.max(upto.saturating_add(1));
        loose
    }
}

/// Marks where a slot has two outputs on one parent, as the slot does.
fn contest(all: &mut [BondedOutput]) {
    let place = |b: &BondedOutput| (b.slot, b.output.step, b.output.parent);
    let mut outputs: BTreeMap<_, BTreeSet<B256>> = BTreeMap::new();
    for b in all.iter() {
        outputs.entry(place(b)).or_default().insert(b.hash);
    }
    for b in all {
        b.contested = outputs.get(&place(b)).is_some_and(|hashes| hashes.len() > 1);
    }
}

/// All on steps that are open, and all in a slot and a final step where the account has one.
fn mattering(all: &[BondedOutput], tip: u64, own: Own) -> Vec<BondedOutput> {
    let ours = all.iter().filter(|b| b.claimant == own.account);
    let ours: BTreeSet<_> = ours.map(|b| (b.slot, b.output.step)).collect();
    let matters =
        |b: &&BondedOutput| b.output.step > tip || ours.contains(&(b.slot, b.output.step));
    all.iter().filter(matters).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_l1::L1Rules;

    fn bond(slot: u8, step: u64, block: u8, l1_block: u64) -> BondedOutput {
        let output = Output {
            step,
            parent: B256::repeat_byte(1),
            l2_block: step,
            l2_hash: B256::repeat_byte(block),
            height: step,
            value_id: B256::ZERO,
        };
        BondedOutput {
            slot: Address::repeat_byte(slot),
            claimant: Address::repeat_byte(block),
            hash: B256::repeat_byte(block),
            output,
            l1_block,
            settled: false,
            contested: false,
        }
    }

    #[test]
    fn every_step_of_a_window_and_of_a_week_in_dispute_is_looked_at() {
        let of = |l1: L1Rules| {
            let rules =
                Rules { interval: l1.checkpoint_blocks, final_blocks: l1.output_final_blocks };
            (reach(rules, l1.output_window_blocks), l1)
        };
        let (steps, l1) = of(L1Rules::default());
        let waited = l1.output_window_blocks + l1.output_final_blocks + 7 * 24 * 3_600 / 12;
        assert!(steps * l1.checkpoint_blocks > waited, "{steps} steps");
        assert!(steps > 72 + 168, "{steps} steps");
        // Bonds on the newest checkpoint that a whole window has passed since are seen.
        let (quick, l1) = of(L1Rules { checkpoint_blocks: 7, ..l1 });
        assert!(quick * l1.checkpoint_blocks > waited);
        assert!(reach(Rules { interval: 0, final_blocks: 0 }, 0) > 0);
    }

    #[test]
    fn a_slot_with_two_outputs_on_one_parent_is_contested_there_only() {
        let mut all = [bond(1, 5, 1, 10), bond(1, 5, 2, 11), bond(2, 5, 1, 12), bond(1, 6, 1, 13)];
        contest(&mut all);
        assert_eq!(all.map(|b| b.contested), [true, true, false, false]);
        all[1].output.parent = B256::ZERO;
        contest(&mut all);
        assert!(all.iter().all(|b| !b.contested));
    }

    #[test]
    fn old_bonds_are_of_interest_where_there_is_an_own_one() {
        let own = Own { account: Address::repeat_byte(1), slot: Address::repeat_byte(1) };
        let all = [
            bond(1, 1, 1, 10),
            bond(1, 1, 2, 11),
            bond(2, 1, 2, 12),
            bond(1, 2, 2, 13),
            bond(2, 9, 2, 14),
        ];
        let hit = mattering(&all, 8, own);
        assert_eq!(hit, [all[0], all[1], all[4]]);
    }

    #[test]
    fn what_l1_may_still_take_back_is_read_again() {
        let mut bonds = Bonds { next: 10, ..Bonds::default() };
        let found = vec![bond(1, 1, 1, 10), bond(1, 1, 2, 15), bond(1, 2, 1, 16)];
        assert_eq!(bonds.keep(found.clone(), 15), [found[2]]);
        assert_eq!((bonds.all.len(), bonds.next), (2, 16));
        // An endpoint that is behind takes nothing back.
        assert_eq!(bonds.keep(vec![], 12), []);
        assert_eq!(bonds.next, 16);
    }
}
