//! The bounded admission queue: which transactions may be framed next, and in which order.
//!
//! Not for: decoding and signatures (`rota_types::Tx`), execution, or deciding who leads. Time and state are
//! arguments. Policy of the queue when full: refuse, unless the newcomer pays more than the cheapest
//! transaction that waits behind a nonce gap.
//! Invariant: what [`Intake::take`] gives has no nonce gap relative to the state and to what was taken before;
//! the queue plus what is in flight never exceeds the capacity; a taken transaction is remembered until it is
//! settled, skipped or put back.

mod order;
mod reject;
mod sender;
mod shapes;
#[cfg(test)]
mod tests;

pub use reject::Reject;
pub use shapes::{Admitted, IntakeConfig, IntakeGauges, Place, SenderState, TakeLimits};

use alloy_primitives::{Address, B256, U256};
use order::{Cheapest, Heads, Rank};
use rota_types::{Millis, Tx};
use sender::{Entry, Move, Sender};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Heads that do not fit into the space left are passed over; after this many a frame is full.
const MAX_MISFITS: usize = 64;

/// The queue.
#[derive(Debug)]
pub struct Intake {
    config: IntakeConfig,
    senders: BTreeMap<Address, Sender>,
    heads: Heads,
    gapped: BTreeSet<Cheapest>,
    ages: BTreeMap<u64, (Address, u64)>,
    arrivals: u64,
    in_flight: usize,
    bytes: usize,
    insurable: u128,
}

impl Intake {
    /// An empty queue.
    #[must_use]
    pub fn new(config: IntakeConfig) -> Self {
        Self {
            config,
            senders: BTreeMap::new(),
            heads: Heads::default(),
            gapped: BTreeSet::new(),
            ages: BTreeMap::new(),
            arrivals: 0,
            in_flight: 0,
            bytes: 0,
            insurable: u128::MAX,
        }
    }

    /// Admits a transaction. `account` is the sender's in the newest state, `base_fee` that of the open block.
    ///
    /// # Errors
    /// [`Reject`] says whose fault it is and what would be accepted.
    pub fn insert(
        &mut self,
        tx: Arc<Tx>,
        account: SenderState,
        base_fee: u64,
        now: Millis,
    ) -> Result<Admitted, Reject> {
        let mut sender = self.detach(tx.sender, account.state_nonce);
        // State read by the caller may be older than what `account_changed` told: never go back here.
        let state_nonce = account.state_nonce.max(sender.state_nonce());
        self.purge(&mut sender, state_nonce, account.balance);
        let result = self.admit(&mut sender, tx, base_fee, now);
        self.attach(sender);
        let evicted = match &result {
            Ok(_) if self.len() > self.config.capacity => self.evict(),
            _ => None,
        };
        result.map(|admitted| Admitted { evicted, ..admitted })
    }

    /// From here on a transaction that wants more insured than this, wei, is refused.
    pub const fn set_insurable(&mut self, most: u128) {
        self.insurable = most;
    }

    /// The next transactions to frame: highest tip first, then first come, each sender's in nonce order.
    /// They are in flight from now on.
    pub fn take(&mut self, limits: TakeLimits) -> Vec<Arc<Tx>> {
        let (mut out, mut misfits) = (Vec::new(), (Vec::<Rank>::new(), Vec::new()));
        let TakeLimits { txs, mut bytes, mut gas, mut insured } = limits;
        while out.len() < txs {
            let open = (misfits.0.len() < MAX_MISFITS, misfits.1.len() < MAX_MISFITS);
            let Some(rank) = self.heads.pop(open.0, open.1) else { break };
            let Some(sender) = self.senders.get_mut(&rank.sender) else { continue };
            let fits =
                |tx: &Tx| tx.raw.len() <= bytes && tx.gas_limit() <= gas && tx.insured <= insured;
            let Some(tx) = sender.take_head(fits) else {
                if rank.insured {
                    misfits.1.push(rank)
                } else {
                    misfits.0.push(rank)
                };
                continue;
            };
            insured = insured.saturating_sub(tx.insured);
            bytes = bytes.saturating_sub(tx.raw.len());
            gas = gas.saturating_sub(tx.gas_limit());
            self.bytes = self.bytes.saturating_sub(tx.raw.len());
            self.in_flight = self.in_flight.saturating_add(1);
            self.ages.remove(&rank.order);
            if let Some(entry) = sender.head() {
                self.heads.insert(entry.rank());
            }
            out.push(tx);
        }
        let (plain, insured) = misfits;
        plain.into_iter().chain(insured).for_each(|rank| self.heads.insert(rank));
        out
    }

    /// The sender's transaction with this nonce can no longer be undone: forget it.
    pub fn settled(&mut self, address: Address, nonce: u64) {
        self.change(address, |intake, sender| {
            intake.in_flight = intake.in_flight.saturating_sub(sender.land(nonce));
            let next = sender.state_nonce().max(nonce.saturating_add(1));
            intake.purge(sender, next, sender.balance());
        });
    }

    /// A taken transaction turned out not to be includable: forget it, its nonce is free again.
    pub fn skipped(&mut self, address: Address, nonce: u64) {
        self.change(address, |intake, sender| {
            intake.in_flight = intake.in_flight.saturating_sub(sender.land(nonce));
            sender.recount();
        });
    }

    /// A round change took these out of the log again: they wait once more, with their nonces in order.
    /// Gives back those that found no room, which can only be ones that were never taken from here.
    pub fn put_back(&mut self, txs: Vec<Arc<Tx>>, now: Millis) -> Vec<Arc<Tx>> {
        let mut homeless = Vec::new();
        for tx in txs {
            let mut sender = self.detach(tx.sender, tx.nonce());
            let flown = sender.land_same(&tx);
            self.in_flight = self.in_flight.saturating_sub(usize::from(flown.is_some()));
            let entry = flown.unwrap_or_else(|| Entry::new(tx.clone(), 0, now, self.arrival()));
            // Its nonce is unused again, whatever the account said before, and also if there is no room:
            // what follows it then waits behind a gap.
            sender.lower_state_nonce(tx.nonce());
            if self.len() < self.config.capacity && sender.is_free(tx.nonce()) {
                self.keep(&mut sender, entry);
            } else {
                homeless.push(tx);
            }
            sender.recount();
            self.attach(sender);
        }
        homeless
    }

    /// The sender's account changed in the state (also backwards, after a round change). Gives the hashes of
    /// waiting transactions whose nonce is used up.
    pub fn account_changed(
        &mut self,
        address: Address,
        state_nonce: u64,
        balance: U256,
    ) -> Vec<B256> {
        self.change(address, |intake, sender| {
            sender.lower_state_nonce(state_nonce);
            intake.purge(sender, state_nonce, balance)
        })
        .unwrap_or_default()
    }

    /// Drops what has waited too long and gives it back, oldest first.
    pub fn expire(&mut self, now: Millis) -> Vec<Arc<Tx>> {
        let mut out = Vec::new();
        while let Some((_, (address, nonce))) = self.ages.first_key_value() {
            let (address, nonce) = (*address, *nonce);
            let old = |e: &Entry| e.arrived.saturating_add(self.config.expiry_ms) <= now;
            if !self.senders.get(&address).and_then(|s| s.queued(nonce)).is_some_and(old) {
                break;
            }
            self.change(address, |intake, sender| out.extend(intake.unqueue(sender, nonce)));
        }
        out
    }

    /// Transactions that wait since `before` or longer, at most `max`: their way to the leader may have failed.
    #[must_use]
    pub fn waiting_since(&self, before: Millis, max: usize) -> Vec<Arc<Tx>> {
        let all = self.senders.values().flat_map(Sender::waiting);
        all.filter(|e| e.arrived <= before).take(max).map(|e| Arc::clone(&e.tx)).collect()
    }

    /// The nonce that a sender should use next, counting everything without a gap; `None` if nothing of the
    /// sender is here.
    #[must_use]
    pub fn next_nonce(&self, address: &Address) -> Option<u64> {
        self.senders.get(address).map(Sender::end)
    }

    /// Waiting and in flight together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ages.len().saturating_add(self.in_flight)
    }

    /// Whether nothing waits and nothing is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`Intake::take`] would give something.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.heads.is_empty()
    }

    /// Sizes.
    #[must_use]
    pub fn gauges(&self) -> IntakeGauges {
        IntakeGauges {
            ready: self.ages.len().saturating_sub(self.gapped.len()),
            gapped: self.gapped.len(),
            in_flight: self.in_flight,
            senders: self.senders.len(),
            bytes: self.bytes,
            capacity: self.config.capacity,
        }
    }

    fn admit(
        &mut self,
        sender: &mut Sender,
        tx: Arc<Tx>,
        base_fee: u64,
        now: Millis,
    ) -> Result<Admitted, Reject> {
        if tx.insured > self.insurable {
            return Err(Reject::InsuredTooMuch { insured: tx.insured, most: self.insurable });
        }
        sender.check(&tx, base_fee, &self.config)?;
        let entry = Entry::new(tx, base_fee, now, self.arrivals);
        let nonce = entry.tx.nonce();
        if sender.queued(nonce).is_none() && self.len() >= self.config.capacity {
            // The newcomer may push out a cheaper one behind a gap: never one that could be framed now.
            let pays_more = |c: &Cheapest| c.tip < entry.tip && c.sender != entry.tx.sender;
            if !self.gapped.first().is_some_and(pays_more) {
                return Err(self.busy());
            }
        }
        let hash = entry.tx.hash;
        let replaced = self.unqueue(sender, nonce).map(|old| old.hash).filter(|old| *old != hash);
        self.arrival();
        self.keep(sender, entry);
        let gap = sender.gap_before(nonce);
        let place = if gap == 0 { Place::Ready } else { Place::Queued { gap } };
        Ok(Admitted { place, replaced, evicted: None })
    }

    const fn busy(&self) -> Reject {
        Reject::Busy {
            retry_after_ms: self.config.retry_after_ms,
            len: self.config.capacity,
            capacity: self.config.capacity,
        }
    }

    fn evict(&mut self) -> Option<B256> {
        let Cheapest { sender, nonce, .. } = *self.gapped.first()?;
        self.change(sender, |intake, sender| intake.unqueue(sender, nonce))?.map(|tx| tx.hash)
    }

    const fn arrival(&mut self) -> u64 {
        let order = self.arrivals;
        self.arrivals = order.saturating_add(1);
        order
    }

    /// Drops waiting transactions below the state's nonce and notes the account.
    fn purge(&mut self, sender: &mut Sender, state_nonce: u64, balance: U256) -> Vec<B256> {
        let used: Vec<u64> = sender.below(state_nonce);
        let gone =
            used.into_iter().filter_map(|n| self.unqueue(sender, n)).map(|tx| tx.hash).collect();
        sender.observe(state_nonce, balance);
        gone
    }

    fn keep(&mut self, sender: &mut Sender, entry: Entry) {
        self.bytes = self.bytes.saturating_add(entry.tx.raw.len());
        self.ages.insert(entry.order, (entry.tx.sender, entry.tx.nonce()));
        sender.queue(entry);
    }

    fn unqueue(&mut self, sender: &mut Sender, nonce: u64) -> Option<Arc<Tx>> {
        let entry = sender.unqueue(nonce)?;
        self.bytes = self.bytes.saturating_sub(entry.tx.raw.len());
        self.ages.remove(&entry.order);
        Some(entry.tx)
    }

    fn change<R>(
        &mut self,
        address: Address,
        f: impl FnOnce(&mut Self, &mut Sender) -> R,
    ) -> Option<R> {
        self.senders.get(&address)?;
        let mut sender = self.detach(address, 0);
        let result = f(self, &mut sender);
        self.attach(sender);
        Some(result)
    }

    /// Takes a sender out of the indexes, to change it.
    fn detach(&mut self, address: Address, state_nonce: u64) -> Sender {
        let sender =
            self.senders.remove(&address).unwrap_or_else(|| Sender::new(address, state_nonce));
        if let Some(head) = sender.head() {
            self.heads.remove(&head.rank());
        }
        sender
    }

    /// Puts it back, with the indexes brought up to date; forgets it if nothing of it is left.
    fn attach(&mut self, mut sender: Sender) {
        for step in sender.take_moves() {
            match step {
                Move::In(entry) => self.gapped.insert(entry),
                Move::Out(entry) => self.gapped.remove(&entry),
            };
        }
        if let Some(head) = sender.head() {
            self.heads.insert(head.rank());
        }
        if !sender.is_idle() {
            self.senders.insert(sender.address(), sender);
        }
    }
}
