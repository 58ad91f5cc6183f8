//! Putting a set together.
//!
//! Invariant: step by step as `Registry.sol`; weights in gwei.

use super::{Frozen, GWEI, Left, Operator, Registry, State, refuse};
use crate::L1Error;
use crate::memory::MemoryParams;
use alloy_primitives::U256;
use rota_types::{Validator, ValidatorSet};
use std::collections::BTreeMap;

/// As `Epochs.MAX_SET`.
const MAX_SET: usize = 64;

/// A set being put together.
#[derive(Debug)]
struct Plan {
    epoch: u64,
    /// What may join, what may leave, and what one may grow by, gwei.
    quarter: u64,
    /// Ids, with the weights they come with.
    members: Vec<(usize, u64)>,
}

impl Registry {
    /// As `L1::set_outdated`.
    pub(in crate::memory) fn outdated(&self) -> bool {
        let Some((_, newest)) = self.frozen.last_key_value() else { return false };
        let weights: BTreeMap<usize, u64> = newest.members.iter().copied().collect();
        self.operators.iter().enumerate().any(|(id, o)| {
            let weight = weights.get(&id).copied();
            let grown = weight.is_some_and(|weight| o.is.power() > weight);
            let changes = o.state != State::Active || o.rotation.is_some() || grown;
            o.state == State::Queued || (weight.is_some() && changes)
        })
    }

    pub(super) fn freeze_set(
        &mut self,
        params: &MemoryParams,
        block: u64,
        epoch: u64,
    ) -> Result<(), L1Error> {
        refuse("Registry_AlreadyFrozen", self.frozen.contains_key(&epoch))?;
        let next = self.frozen_sets(params).current(block).saturating_add(1);
        let open = if self.base.is_none() { 0 } else { next };
        refuse("Registry_EpochNotOpen", epoch != open)?;
        // A refusal changes nothing.
        let mut after = self.clone();
        let count = if self.base.is_none() {
            after.freeze_first(params, block);
            after.newest().map_or(0, |(_, m)| m.len())
        } else {
            after.freeze_next(params, block, epoch)
        };
        let least = if self.base.is_none() { params.min_operators.max(1) } else { 1 };
        refuse("Registry_TooFewOperators", count < least)?;
        *self = after;
        Ok(())
    }

    /// Set 0, of those who are there.
    pub(super) fn freeze_first(&mut self, params: &MemoryParams, block: u64) {
        let mut plan = Plan { epoch: 0, quarter: u64::MAX, members: Vec::new() };
        self.base = Some(block);
        self.admit(&mut plan);
        if plan.members.len() == MAX_SET {
            self.displace(&mut plan, 0);
        }
        let largest = largest(params, &plan);
        self.write(&plan, largest);
    }

    fn freeze_next(&mut self, params: &MemoryParams, block: u64, epoch: u64) -> usize {
        let mut plan = self.keep(epoch, None);
        self.release(&mut plan);
        self.admit(&mut plan);
        if plan.members.len() == MAX_SET {
            let again = self.effective(params, block);
            self.displace(&mut plan, again);
        }
        if !plan.members.is_empty() {
            let largest = largest(params, &plan);
            self.write(&plan, largest);
        }
        plan.members.len()
    }

    /// The members of the newest set whose place is in `responders` become the next set; gives its epoch.
    pub(in crate::memory) fn freeze_emergency(
        &mut self,
        params: &MemoryParams,
        block: u64,
        responders: &[usize],
    ) -> Result<u64, L1Error> {
        let last = self.newest().map_or(0, |(e, _)| e);
        let epoch = self.frozen_sets(params).current(block).max(last).saturating_add(1);
        let plan = self.keep(epoch, Some(responders));
        refuse("Registry_TooFewOperators", plan.members.is_empty())?;
        self.write(&plan, u64::MAX);
        Ok(epoch)
    }

    fn keep(&mut self, epoch: u64, responders: Option<&[usize]>) -> Plan {
        let before = self.newest().map_or_else(Vec::new, |(_, m)| m.to_vec());
        let total = before.iter().fold(0u64, |sum, (_, w)| sum.saturating_add(*w));
        let mut plan = Plan { epoch, quarter: total / 4, members: Vec::new() };
        for (place, (id, weight)) in before.into_iter().enumerate() {
            let Some(o) = self.operators.get_mut(id) else { continue };
            if o.state == State::Jailed {
                o.left = Left::At(epoch);
            } else if responders.is_some_and(|r| !r.contains(&place)) {
                (o.state, o.left) = (State::Exiting, Left::At(epoch));
            } else {
                let growth = if responders.is_some() { 0 } else { plan.quarter };
                plan.members.push((id, stake(o).min(weight.saturating_add(growth))));
            }
        }
        plan
    }

    fn release(&mut self, plan: &mut Plan) {
        let mut gone = 0u64;
        while let Some(id) = self.exits.front().copied() {
            let Some(o) = self.operators.get_mut(id) else { break };
            if o.state == State::Exiting && o.left == Left::Not {
                if o.until_epoch > plan.epoch || plan.members.len() == 1 {
                    break;
                }
                let Some(place) = plan.members.iter().position(|(other, _)| *other == id) else {
                    break;
                };
                let weight = plan.members.get(place).map_or(0, |(_, w)| *w);
                if gone != 0 && gone.saturating_add(weight) > plan.quarter {
                    break;
                }
                gone = gone.saturating_add(weight);
                o.left = Left::At(plan.epoch);
                plan.members.remove(place);
            }
            self.exits.pop_front();
        }
    }

    fn admit(&mut self, plan: &mut Plan) {
        let mut joined = 0u64;
        while plan.members.len() < MAX_SET {
            let Some(id) = self.queue.front().copied() else { break };
            let Some(o) = self.operators.get(id) else { break };
            if o.from_epoch > plan.epoch {
                break;
            }
            let weight = stake(o).min(plan.quarter);
            if joined != 0 && joined.saturating_add(weight) > plan.quarter {
                break;
            }
            joined = joined.saturating_add(weight);
            self.seat(plan, id, weight);
        }
    }

    fn displace(&mut self, plan: &mut Plan, again: u64) {
        let Some(id) = self.challenger else { return };
        let weight = self.operators.get(id).map_or(0, |o| stake(o).min(plan.quarter));
        // The last of the smallest.
        let smallest = plan.members.iter().enumerate().rev().min_by_key(|(_, (_, w))| *w);
        let Some((place, (loser, least))) = smallest.map(|(place, m)| (place, *m)) else { return };
        if weight <= least {
            return;
        }
        plan.members.remove(place);
        self.seat(plan, id, weight);
        let epoch = plan.epoch;
        let Some(o) = self.operators.get_mut(loser) else { return };
        o.left = Left::At(epoch);
        if o.state == State::Active {
            (o.state, o.from_epoch) = (State::Queued, again);
            self.queue.push_back(loser);
        }
    }

    fn seat(&mut self, plan: &mut Plan, id: usize, weight: u64) {
        self.dequeue(id);
        if let Some(o) = self.operators.get_mut(id) {
            (o.state, o.left) = (State::Active, Left::Not);
        }
        plan.members.push((id, weight));
    }

    fn write(&mut self, plan: &Plan, largest: u64) {
        let mut members = Vec::new();
        let mut set = Vec::new();
        for (id, weight) in &plan.members {
            let Some(o) = self.operators.get_mut(*id) else { continue };
            if let Some((vote_key, seq_key, _)) = o.rotation.take_if(|r| r.2 <= plan.epoch) {
                (o.is.vote_key, o.is.seq_key) = (vote_key, seq_key);
            }
            let weight = (*weight).min(largest);
            members.push((*id, weight));
            let stake = U256::from(weight).saturating_mul(U256::from(GWEI));
            set.push(Validator { stake, ..o.is.clone() });
        }
        let set = ValidatorSet::new(plan.epoch, set);
        self.frozen.insert(plan.epoch, Frozen { members, set });
    }
}

/// Whole gwei.
fn stake(o: &Operator) -> u64 {
    o.is.power()
}

/// The most that one operator may weigh.
fn largest(params: &MemoryParams, plan: &Plan) -> u64 {
    let sum = plan.members.iter().fold(0u128, |sum, (_, w)| sum.saturating_add(u128::from(*w)));
    let share = sum.saturating_mul(u128::from(params.rules.max_share_bps)) / 10_000;
    let count = u128::try_from(plan.members.len()).unwrap_or(u128::MAX);
    let equal = sum.checked_div(count).unwrap_or(0);
    u64::try_from(share.max(equal)).unwrap_or(u64::MAX)
}
