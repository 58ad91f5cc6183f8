//! One sender's transactions: a run without gaps that can be framed, the rest behind a gap, and those in flight.
//!
//! Invariant: `next` is the first nonce from the state's on that is not in flight, and the queued nonces
//! `next..end` have no gap.

use super::{
    IntakeConfig, Reject,
    order::{Cheapest, Rank},
};
use alloy_consensus::Transaction;
use alloy_primitives::{Address, U256};
use rota_types::{Millis, Tx, premium};
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

/// A transaction with its place in the orders.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) tx: Arc<Tx>,
    pub(super) tip: u128,
    pub(super) arrived: Millis,
    pub(super) order: u64,
}

impl Entry {
    pub(super) fn new(tx: Arc<Tx>, base_fee: u64, arrived: Millis, order: u64) -> Self {
        let tip = tx.envelope.effective_tip_per_gas(base_fee).unwrap_or_default();
        Self { tx, tip, arrived, order }
    }

    pub(super) fn rank(&self) -> Rank {
        let insured = self.tx.insured > 0;
        Rank { tip: Reverse(self.tip), order: self.order, sender: self.tx.sender, insured }
    }

    pub(super) fn cheapest(&self) -> Cheapest {
        Cheapest {
            tip: self.tip,
            order: Reverse(self.order),
            sender: self.tx.sender,
            nonce: self.tx.nonce(),
        }
    }

    /// The most it can cost: value and gas limit times fee cap.
    fn cost(&self) -> U256 {
        cost(&self.tx)
    }
}

fn cost(tx: &Tx) -> U256 {
    let gas = U256::from(tx.gas_limit()).saturating_mul(U256::from(tx.envelope.max_fee_per_gas()));
    gas.saturating_add(tx.envelope.value())
}

/// A change to the index of what is behind a gap.
#[derive(Debug, Clone, Copy)]
pub(super) enum Move {
    In(Cheapest),
    Out(Cheapest),
}

#[derive(Debug)]
pub(super) struct Sender {
    address: Address,
    state_nonce: u64,
    balance: U256,
    next: u64,
    end: u64,
    queued: BTreeMap<u64, Entry>,
    in_flight: BTreeMap<u64, Entry>,
    queued_cost: U256,
    moves: Vec<Move>,
}

impl Sender {
    pub(super) const fn new(address: Address, state_nonce: u64) -> Self {
        Self {
            address,
            state_nonce,
            balance: U256::ZERO,
            next: state_nonce,
            end: state_nonce,
            queued: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            queued_cost: U256::ZERO,
            moves: Vec::new(),
        }
    }

    pub(super) const fn address(&self) -> Address {
        self.address
    }
    pub(super) const fn state_nonce(&self) -> u64 {
        self.state_nonce
    }
    pub(super) const fn balance(&self) -> U256 {
        self.balance
    }
    /// First nonce that nothing here covers without a gap.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }
    pub(super) fn is_idle(&self) -> bool {
        self.queued.is_empty() && self.in_flight.is_empty()
    }
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Entry> {
        self.queued.values()
    }
    pub(super) fn queued(&self, nonce: u64) -> Option<&Entry> {
        self.queued.get(&nonce)
    }
    pub(super) fn is_free(&self, nonce: u64) -> bool {
        !self.queued.contains_key(&nonce) && !self.in_flight.contains_key(&nonce)
    }
    pub(super) fn below(&self, nonce: u64) -> Vec<u64> {
        self.queued.range(..nonce).map(|(n, _)| *n).collect()
    }

    /// The transaction that can be framed next.
    pub(super) fn head(&self) -> Option<&Entry> {
        self.queued.get(&self.next)
    }

    /// Moves the head into flight, if it fits.
    pub(super) fn take_head(&mut self, fits: impl Fn(&Tx) -> bool) -> Option<Arc<Tx>> {
        self.head().filter(|head| fits(&head.tx))?;
        let entry = self.queued.remove(&self.next)?;
        self.queued_cost = self.queued_cost.saturating_sub(entry.cost());
        let tx = entry.tx.clone();
        self.in_flight.insert(self.next, entry);
        self.advance();
        Some(tx)
    }

    /// Whether a transaction may come in; nothing changes.
    pub(super) fn check(
        &self,
        tx: &Tx,
        base_fee: u64,
        config: &IntakeConfig,
    ) -> Result<(), Reject> {
        let (nonce, old) = (tx.nonce(), self.queued.get(&tx.nonce()));
        let same = |e: &Entry| e.tx.hash == tx.hash;
        // The same with more insured is a new wish; less would let others take a wish away.
        let raised = |e: &Entry| same(e) && e.tx.insured < tx.insured;
        if old.is_some_and(|e| same(e) && !raised(e))
            || self.in_flight.get(&nonce).is_some_and(same)
        {
            return Err(Reject::AlreadyKnown);
        }
        if nonce < self.state_nonce || self.in_flight.contains_key(&nonce) {
            return Err(Reject::NonceTooLow { state: self.next, got: nonce });
        }
        let max = self.state_nonce.saturating_add(config.nonce_window);
        if nonce > max {
            return Err(Reject::NonceTooHigh { state: self.end, got: nonce, max });
        }
        let fee = tx.envelope.max_fee_per_gas();
        if fee < u128::from(base_fee) {
            return Err(Reject::FeeTooLow { got: fee, base_fee });
        }
        if let Some(old) = old {
            if !raised(old) {
                check_replacement(&old.tx, tx)?;
            }
        } else if self.queued.len() >= config.per_sender {
            return Err(Reject::PerSenderLimit { limit: config.per_sender });
        }
        check_premium(tx, base_fee, config.premium_bps)?;
        // In flight and not yet executed: the balance does not show it.
        let flying = self.in_flight.range(self.state_nonce..).map(|(_, e)| e.cost());
        let waiting = self.queued_cost.saturating_sub(old.map_or(U256::ZERO, Entry::cost));
        let need = flying.fold(waiting.saturating_add(cost(tx)), U256::saturating_add);
        if need > self.balance {
            return Err(Reject::Underfunded { have: self.balance, need });
        }
        Ok(())
    }

    /// Missing nonces before `nonce`.
    pub(super) fn gap_before(&self, nonce: u64) -> u64 {
        let Some(width) = nonce.checked_sub(self.end) else { return 0 };
        let there = self.queued.range(self.end..nonce).count();
        width.saturating_sub(u64::try_from(there).unwrap_or(u64::MAX))
    }

    pub(super) fn queue(&mut self, entry: Entry) {
        let nonce = entry.tx.nonce();
        self.queued_cost = self.queued_cost.saturating_add(entry.cost());
        self.moves.push(Move::In(entry.cheapest()));
        self.queued.insert(nonce, entry);
        if nonce == self.end {
            self.extend();
        } else if nonce < self.end {
            self.recount();
        }
    }

    pub(super) fn unqueue(&mut self, nonce: u64) -> Option<Entry> {
        let entry = self.queued.remove(&nonce)?;
        self.queued_cost = self.queued_cost.saturating_sub(entry.cost());
        self.moves.push(Move::Out(entry.cheapest()));
        if nonce < self.end {
            self.recount();
        }
        Some(entry)
    }

    /// Takes a nonce out of flight; gives how many there were.
    pub(super) fn land(&mut self, nonce: u64) -> usize {
        usize::from(self.in_flight.remove(&nonce).is_some())
    }

    pub(super) fn land_same(&mut self, tx: &Tx) -> Option<Entry> {
        self.in_flight.get(&tx.nonce()).filter(|e| e.tx.hash == tx.hash)?;
        self.in_flight.remove(&tx.nonce())
    }

    pub(super) fn lower_state_nonce(&mut self, nonce: u64) {
        if nonce < self.state_nonce {
            self.state_nonce = nonce;
            self.recount();
        }
    }

    pub(super) fn observe(&mut self, state_nonce: u64, balance: U256) {
        self.balance = balance;
        // Up to `next` everything is in flight, so a state that catches up moves nothing.
        let moved = state_nonce < self.state_nonce || state_nonce > self.next;
        self.state_nonce = state_nonce;
        if moved {
            self.recount();
        }
    }

    /// Finds `next` and `end` anew, and what is behind a gap.
    pub(super) fn recount(&mut self) {
        self.next = self.state_nonce;
        self.advance_from(self.state_nonce);
        self.end = self.next;
        self.moves.extend(self.queued.values().map(|e| Move::In(e.cheapest())));
        self.extend();
    }

    /// Changes to the index of what is behind a gap, to be made in this order.
    pub(super) fn take_moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.moves)
    }

    fn advance(&mut self) {
        self.advance_from(self.next);
        self.end = self.end.max(self.next);
    }

    fn advance_from(&mut self, from: u64) {
        self.next = from;
        for nonce in self.in_flight.range(from..).map(|(n, _)| *n) {
            if nonce != self.next {
                break;
            }
            self.next = self.next.saturating_add(1);
        }
    }

    fn extend(&mut self) {
        for (nonce, entry) in self.queued.range(self.end..) {
            if *nonce != self.end {
                break;
            }
            self.moves.push(Move::Out(entry.cheapest()));
            self.end = self.end.saturating_add(1);
        }
    }
}

/// The tip pays for what is to be insured.
fn check_premium(tx: &Tx, base_fee: u64, bps: u16) -> Result<(), Reject> {
    let tip = tx.envelope.effective_tip_per_gas(base_fee).unwrap_or_default();
    let have = tip.saturating_mul(tx.gas_limit().into());
    let (insured, need) = (tx.insured, premium(tx.insured, bps));
    if have < need { Err(Reject::PremiumTooLow { insured, need, have }) } else { Ok(()) }
}

/// Both the fee cap and the tip must rise by a tenth, or the same nonce could be churned for free.
fn check_replacement(old: &Tx, new: &Tx) -> Result<(), Reject> {
    let raised = |v: u128| v.saturating_add(v.div_ceil(10));
    let tip = |tx: &Tx| {
        tx.envelope.max_priority_fee_per_gas().unwrap_or_else(|| tx.envelope.max_fee_per_gas())
    };
    let (need_fee, need_tip) = (raised(old.envelope.max_fee_per_gas()), raised(tip(old)));
    if new.envelope.max_fee_per_gas() >= need_fee && tip(new) >= need_tip {
        Ok(())
    } else {
        Err(Reject::ReplacementUnderpriced { need_fee, need_tip })
    }
}
