//! What a prover should do next, from what L1 says and what is right.
//!
//! Invariant: no IO, no clock; the same facts give the same list.

use alloy_primitives::{Address, B256};
use rota_l1::{BondedOutput, OracleView, Output};
use std::fmt;

/// Who proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// Whose bonds.
    pub account: Address,
    /// The slot that is named after the implementation of its follower.
    pub slot: Address,
}

/// Everything that matters, as of one look.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The oracle.
    pub view: OracleView,
    /// Right outputs of the steps that are not final, in order, with their hashes.
    pub right: Vec<(Output, B256)>,
    /// What is bonded on steps around these.
    pub bonded: Vec<BondedOutput>,
    /// For the open step: what each slot was first shown to stand for, zero for nothing; and in a dispute every bonded output that
    /// the council may choose already, with its slot.
    pub claimed: Vec<(Address, B256)>,
    /// Slots that owe the account something.
    pub credits: Vec<Address>,
    /// L1 blocks from one checkpoint to the next, and the L1 block of the newest.
    pub checkpoints: (u64, u64),
}

/// A transaction that should be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Put a bond on the right output where a wrong one is bonded.
    Contradict(Address, Output),
    /// Show the oracle what a slot stands for.
    Claim(Address, Output),
    /// Put a bond on the right output.
    Bond(Address, Output),
    /// Record a checkpoint.
    Checkpoint,
    /// Return or divide a bond.
    Settle(Address, Output),
    /// Take out what a slot owes.
    Collect(Address),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = |o: &Output| format!("step {}: block {} {}", o.step, o.l2_block, o.l2_hash);
        match self {
            Self::Contradict(slot, o) => write!(f, "contradict on {slot} with {}", step(o)),
            Self::Claim(slot, o) => write!(f, "claim for {slot}, {}", step(o)),
            Self::Bond(slot, o) => write!(f, "bond on {slot}, {}", step(o)),
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::Settle(slot, o) => write!(f, "settle on {slot}, {}", step(o)),
            Self::Collect(slot) => write!(f, "collect from {slot}"),
        }
    }
}

/// What should be done, most urgent first. What was done already by others is left out as far as the facts tell.
#[must_use]
pub fn plan(facts: &Facts, own: Own) -> Vec<Action> {
    let mut all = Vec::new();
    contradictions(facts, &mut all);
    claims(facts, &mut all);
    bonds(facts, own, &mut all);
    let (interval, newest) = facts.checkpoints;
    if facts.view.block > newest.saturating_add(interval) {
        all.push(Action::Checkpoint);
    }
    settlements(facts, own, &mut all);
    all.extend(facts.credits.iter().map(|slot| Action::Collect(*slot)));
    all
}

/// Wrong outputs on top of right ones, in any slot: nobody else may be looking.
fn contradictions(facts: &Facts, all: &mut Vec<Action>) {
    for (output, hash) in &facts.right {
        for slot in facts.view.slots.iter().filter(|s| s.bonds.is_some()) {
            let here = |b: &&BondedOutput| b.slot == slot.address && b.output.step == output.step;
            let wrong = |b: &BondedOutput| b.hash != *hash && b.output.parent == output.parent;
            let mut bonded = facts.bonded.iter().filter(here);
            if bonded.clone().any(wrong) && !bonded.any(|b| b.hash == *hash) {
                all.push(Action::Contradict(slot.address, *output));
            }
        }
    }
}

/// What slots stand for in the open step: the right output, and what contradicts it, so that the council can tell them apart.
fn claims(facts: &Facts, all: &mut Vec<Action>) {
    let Some(((right, _), open)) = facts.right.first().zip(facts.view.open) else { return };
    if right.step != open.step {
        return;
    }
    let of_step = |b: &&BondedOutput| b.output.step == open.step && b.output.parent == right.parent;
    for b in facts.bonded.iter().filter(of_step) {
        let window = facts.view.slots.iter().find(|s| s.address == b.slot).and_then(|s| s.bonds);
        let Some((_, window)) = window else { continue };
        let stands = b.contested || facts.view.block >= b.l1_block.saturating_add(window);
        let known = facts.claimed.iter().any(|(slot, hash)| *slot == b.slot && *hash == b.hash);
        // What is wrong and stands alone is shown by whoever wants it.
        let is_right = facts.right.first().is_some_and(|(_, hash)| *hash == b.hash);
        if stands && !known && (is_right || b.contested) {
            all.push(Action::Claim(b.slot, b.output));
        }
    }
}

fn bonds(facts: &Facts, own: Own, all: &mut Vec<Action>) {
    for (output, hash) in &facts.right {
        if !facts.bonded.iter().any(|b| b.slot == own.slot && b.hash == *hash) {
            let action = Action::Bond(own.slot, *output);
            let contradicts = Action::Contradict(own.slot, *output);
            if !all.contains(&contradicts) {
                all.push(action);
            }
        }
    }
}

/// The own bonds, and others of their steps: half of a lost one may be ours.
fn settlements(facts: &Facts, own: Own, all: &mut Vec<Action>) {
    let is_ours = |b: &BondedOutput| {
        let same = |o: &&BondedOutput| o.slot == b.slot && o.output.step == b.output.step;
        facts.bonded.iter().filter(same).any(|o| o.claimant == own.account)
    };
    for b in &facts.bonded {
        if b.output.step <= facts.view.tip.step && !b.settled && is_ours(b) {
            all.push(Action::Settle(b.slot, b.output));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use rota_l1::{OpenStep, ProvenTip, SlotOnL1};

    const WINDOW: u64 = 10;

    fn slot(i: u8) -> Address {
        Address::repeat_byte(i)
    }

    fn own() -> Own {
        Own { account: Address::repeat_byte(0xaa), slot: slot(1) }
    }

    fn output(step: u64, parent: u8, block: u8) -> (Output, B256) {
        let output = Output {
            step,
            parent: B256::repeat_byte(parent),
            l2_block: step.saturating_mul(10),
            l2_hash: B256::repeat_byte(block),
            height: step.saturating_mul(40),
            value_id: B256::repeat_byte(block),
        };
        (output, B256::repeat_byte(block))
    }

    fn bonded(of: u8, (output, hash): (Output, B256), contested: bool) -> BondedOutput {
        let claimant = Address::repeat_byte(0xaa);
        BondedOutput {
            slot: slot(of),
            claimant,
            hash,
            output,
            l1_block: 100,
            settled: false,
            contested,
        }
    }

    /// Step 1 is open and step 2 has a checkpoint.
    fn facts(block: u64, bonded: Vec<BondedOutput>) -> Facts {
        let bonds = Some((U256::from(1), WINDOW));
        let slots = [1, 2].map(|i| SlotOnL1 { address: slot(i), basis: String::new(), bonds });
        let tip = ProvenTip {
            step: 0,
            output: B256::repeat_byte(9),
            l2_block: 0,
            l2_hash: B256::ZERO,
            height: 0,
            time_s: 0,
        };
        let open = OpenStep { step: 1, candidates: 0, disputed: false, stuck_at_s: 0 };
        let view = OracleView {
            block,
            tip,
            open: Some(open),
            last_checkpoint: 2,
            slots: slots.to_vec(),
            paused_until_s: 0,
            council: (Address::ZERO, false),
        };
        Facts {
            view,
            right: vec![output(1, 9, 0x11), output(2, 0x11, 0x22)],
            bonded,
            claimed: vec![(slot(1), B256::ZERO), (slot(2), B256::ZERO)],
            credits: Vec::new(),
            checkpoints: (20, 95),
        }
    }

    #[test]
    fn it_bonds_every_step_with_a_checkpoint_and_waits_for_the_window() {
        let (one, two) = (output(1, 9, 0x11), output(2, 0x11, 0x22));
        let bond = |o: (Output, B256)| Action::Bond(slot(1), o.0);
        assert_eq!(plan(&facts(101, vec![]), own()), [bond(one), bond(two)]);
        let had = || vec![bonded(1, one, false), bonded(1, two, false)];
        assert_eq!(plan(&facts(109, had()), own()), []);
        assert_eq!(plan(&facts(110, had()), own()), [Action::Claim(slot(1), one.0)]);
        let mut told = facts(110, had());
        told.claimed[0].1 = one.1;
        assert_eq!(plan(&told, own()), []);
        told.view.block = 116;
        assert_eq!(plan(&told, own()), [Action::Checkpoint]);
    }

    #[test]
    fn what_is_wrong_is_contradicted_in_every_slot_first() {
        let (one, two) = (output(1, 9, 0x11), output(2, 0x11, 0x22));
        let wrong = output(1, 9, 0x66);
        let seen = facts(101, vec![bonded(2, wrong, false)]);
        let expected = [
            Action::Contradict(slot(2), one.0),
            Action::Bond(slot(1), one.0),
            Action::Bond(slot(1), two.0),
        ];
        assert_eq!(plan(&seen, own()), expected);
        // On top of another parent it falls by itself.
        let elsewhere = facts(101, vec![bonded(2, output(2, 0x66, 0x77), false)]);
        assert!(!plan(&elsewhere, own()).iter().any(|a| matches!(a, Action::Contradict(..))));
        // Once it is contradicted both are shown, so that there is a choice.
        let both = vec![bonded(2, wrong, true), bonded(2, one, true)];
        let mut seen = facts(101, both);
        let shown = plan(&seen, own());
        assert_eq!(shown[..2], [Action::Claim(slot(2), wrong.0), Action::Claim(slot(2), one.0)]);
        // What the council may choose is shown: the slot stands for one of them first, and that is known too.
        seen.claimed[1].1 = one.1;
        assert_eq!(plan(&seen, own())[0], Action::Claim(slot(2), wrong.0));
        seen.claimed.extend([(slot(2), one.1), (slot(2), wrong.1)]);
        assert!(!plan(&seen, own()).iter().any(|a| matches!(a, Action::Claim(..))));
    }

    #[test]
    fn a_wrong_output_that_stands_alone_is_not_shown_by_us() {
        let mut seen = facts(120, vec![bonded(2, output(1, 8, 0x66), false)]);
        seen.right.clear();
        assert_eq!(plan(&seen, own()), [Action::Checkpoint]);
    }

    #[test]
    fn bonds_come_back_when_the_step_is_final() {
        let one = output(1, 9, 0x11);
        let mut seen = facts(101, vec![bonded(1, one, false)]);
        seen.right.clear();
        seen.view.tip.step = 1;
        assert_eq!(plan(&seen, own()), [Action::Settle(slot(1), one.0)]);
        seen.bonded[0].settled = true;
        // What it won elsewhere as well.
        seen.credits = vec![slot(1), slot(2)];
        let collected = [1, 2].map(|i| Action::Collect(slot(i)));
        assert_eq!(plan(&seen, own()), collected);
        seen.bonded[0].settled = false;
        seen.bonded[0].claimant = Address::ZERO;
        seen.credits.clear();
        assert_eq!(plan(&seen, own()), []);
    }
}
