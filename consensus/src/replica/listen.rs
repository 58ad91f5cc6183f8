//! Listening before signing, and stopping when this key signs elsewhere.
//!
//! A replica that starts does not know yet where the others are, nor whether its guard is the newest. So it first hears
//! them; while others are ahead it follows without signing. What it hears of its own signatures that its guard does not
//! know of (`own`) says that the guard is an old copy, or that another machine has the key:
//!
//! - before it signs: it follows until two windows above the signature, and the guard remembers that on disk;
//! - while it signs, or of a height that was decided under its eyes: it stops for good.
//!
//! To hear of a second machine while it only follows, it asks others in turn for the certificate of the newest height.
//!
//! An empty guard is a new operator's, or one that was lost: the replica follows until it has heard nobody ahead of it
//! for a while and that nobody has a signature of its key (a network that begins, `inquiry`), or until two windows above
//! the head, or the signature, that it heard of.
//!
//! Invariant: nothing is signed at a height that lies at or below the floor, or that more than a third say is decided.

mod inquiry;
mod observe;

pub use observe::{Elsewhere, Observe};

use super::{Input, Output, PeerNo, Replica, own::Sighting};
use crate::machine::Fatal;
use rota_store::Intent;
use rota_types::{
    Millis,
    wire::{Message, Request},
};
use std::collections::BTreeSet;

/// Most time that a start waits to hear where the others are, if it may listen at all.
const HEAR_MS: Millis = 1_500;
/// Inputs kept meanwhile; what comes after that is dropped, and is repeated or asked for later.
const MAX_HELD: usize = 4_096;
/// Heights above the newest decided one at which a key may have signed: the height under way, and the term of the next.
const AHEAD: u64 = 2;
/// Between two looks at a newest certificate of another validator.
const LOOK_MS: Millis = 1_000;

#[derive(Debug, Default)]
pub(super) struct Listen {
    /// How long is listened, and whether the guard is empty.
    wait: Millis,
    empty: bool,
    until: Option<Millis>,
    inquiry: inquiry::Inquiry,
    /// Nothing is signed at this height or below.
    floor: u64,
    hold: Option<Hold>,
    /// It has not signed since the start: while others are ahead it does not begin.
    behind: bool,
    /// Newest height that was decided before this process looked.
    past: u64,
    /// The height of the start.
    began: u64,
    /// The time to listen is over; not all that is needed was answered.
    overdue: bool,
    /// An own signature was seen that the guard does not know.
    seen: bool,
    /// A height was decided whose frames are not here.
    pub(super) frames_missing: bool,
    /// When a certificate is looked at next, and whose.
    look: (Millis, PeerNo),
    /// The reason told last.
    told: Option<Observe>,
}

/// A start that waits to hear where the others are.
#[derive(Debug)]
struct Hold {
    until: Millis,
    wal: Vec<Vec<u8>>,
    inputs: Vec<Input>,
    /// Validators that are at this replica's height, or below.
    level: BTreeSet<PeerNo>,
}

impl Listen {
    pub(super) fn new(wait: Millis, empty: bool) -> Self {
        // Until it signs for the first time: whoever follows must not sign before it has caught up.
        Self { wait, empty, behind: true, ..Self::default() }
    }
    /// A database that knows of heights of this generation says by itself that the key may have signed before.
    pub(super) fn begin(&mut self, now: Millis, (height, first): (u64, bool), windows: u64) {
        self.past = height.saturating_sub(1);
        self.began = height;
        if self.empty && !first {
            self.floor = height.saturating_add(windows);
        } else if self.empty {
            self.until = Some(now.saturating_add(self.wait));
            self.inquiry = inquiry::Inquiry::starting_at(now.saturating_add(self.wait / 2));
        }
    }
    /// Whether the database of the start goes up to so many heights below this one.
    pub(super) const fn is_near(&self, height: u64, heights: u64) -> bool {
        self.began.saturating_add(heights) >= height
    }
    /// These keys come into a set for the first time at `height`, with an empty guard. If heights were decided under the
    /// eyes of this process before, nobody can have signed with them in that set before it began.
    pub(super) const fn first_time(&mut self, height: u64) {
        if !self.seen && height > self.past.saturating_add(1).saturating_add(AHEAD) {
            self.floor = 0;
        }
    }
    /// Nothing is signed below this height.
    pub(super) fn keep_below(&mut self, height: u64) {
        self.floor = self.floor.max(height);
    }
    pub(super) fn deadline(&self) -> Option<Millis> {
        let look = (self.look.0 > 0).then_some(self.look.0);
        let hold = self.hold.as_ref().map(|h| h.until);
        let ask = self.until.map(|_| self.inquiry.deadline());
        let until = self.until.filter(|_| !self.overdue);
        [until, ask, hold, look].into_iter().flatten().min()
    }
    /// A peer has said what it has of this key.
    pub(super) fn answered_by(&mut self, peer: PeerNo) {
        self.inquiry.answered_by(peer);
    }
    /// Whether the start still waits.
    pub(super) const fn held(&self) -> bool {
        self.hold.is_some()
    }
}

impl Replica {
    pub(super) fn two_windows(&self) -> u64 {
        u64::from(self.epoch.schedule().window()).saturating_mul(2)
    }

    /// Why it follows without signing, if it does.
    #[must_use]
    pub fn observe(&self) -> Option<Observe> {
        let newest = self.guard.newest();
        if self.listen.held() {
            Some(Observe::Starting)
        } else if self.keys.is_none() && !self.seats.pairs().is_empty() {
            let next = self.seats.next_own(self.epoch.number());
            Some(Observe::NotInSet(next.map(|(epoch, _)| epoch)))
        } else if !self.observing || self.keys.is_none() {
            None
        } else if self.guard.floor() >= self.height {
            Some(Observe::OldGuard(self.guard.floor()))
        } else if self.listen.until.is_some() || (newest.is_none() && self.listen.floor > 0) {
            Some(Observe::NoGuard(self.listen.floor))
        } else if self.listen.frames_missing {
            Some(Observe::NoFrames)
        } else if let Some(newest) =
            newest.filter(|_| super::restore::signed_at(&self.guard, self.height))
        {
            Some(Observe::NoLog(newest))
        } else {
            Some(Observe::CatchingUp)
        }
    }

    /// Whether signing at this height is still too early.
    pub(super) fn too_early(&self) -> bool {
        let listen = &self.listen;
        let behind = || listen.behind && self.heard().is_some_and(|d| d >= self.height);
        listen.until.is_some() || self.height <= listen.floor.max(self.guard.floor()) || behind()
    }

    /// It signs again from this height on. With a guard that knew nothing, the guard remembers from where.
    pub(super) fn signs_again(&mut self, out: &mut Vec<Output>) {
        (self.listen.behind, self.listen.frames_missing) = (false, false);
        let below = self.height.saturating_sub(1);
        if self.guard.newest().is_none() && self.listen.floor > 0 && below > 0 {
            self.put_floor(below, out);
        }
    }

    /// Waits with the start if it is not known where the others are. Says whether it does.
    pub(super) fn wait_to_start(&mut self, now: Millis, wal: &[Vec<u8>]) -> bool {
        let wait = self.listen.wait;
        let alone = self.index().and_then(|i| self.epoch.set().get(i)).map_or(0, |v| v.power());
        if self.observing
            || wait == 0
            || self.index().is_none()
            || self.epoch.set().is_quorum(alone)
        {
            return false;
        }
        let until = now.saturating_add(wait.min(HEAR_MS));
        let (wal, level) = (wal.to_vec(), BTreeSet::new());
        self.listen.hold = Some(Hold { until, wal, inputs: Vec::new(), level });
        true
    }

    /// While the start waits, keeps the input for later; gives it back otherwise.
    pub(super) fn hold_back(
        &mut self,
        now: Millis,
        input: Input,
        out: &mut Vec<Output>,
    ) -> Result<Option<Input>, Fatal> {
        let me = self.seats.me();
        let Some(hold) = self.listen.hold.as_mut() else { return Ok(Some(input)) };
        if let Input::Message { from, message } = &input
            && *from != me
            && let Some(height) = place(message)
        {
            if height > self.height {
                self.sync.ahead(now, *from, height);
            } else {
                hold.level.insert(*from);
            }
        }
        let over = now >= hold.until;
        if !matches!(input, Input::Tick) && hold.inputs.len() < MAX_HELD {
            hold.inputs.push(input);
        }
        let level = hold.level.clone();
        let powers = level.into_iter().chain([me]).map(|peer| self.power_of(peer));
        let level = powers.fold(0, u64::saturating_add);
        let behind = self.heard().is_some_and(|decided| decided >= self.height);
        let early = self.height <= self.listen.floor.max(self.guard.floor());
        if over || behind || early || self.epoch.set().is_quorum(level) {
            self.end_wait(now, behind || early, out)?;
        }
        Ok(None)
    }

    fn end_wait(&mut self, now: Millis, silent: bool, out: &mut Vec<Output>) -> Result<(), Fatal> {
        let Some(hold) = self.listen.hold.take() else { return Ok(()) };
        if silent {
            self.observing = true;
            self.machine = self.new_machine(false);
        }
        self.begin(now, &hold.wal, out)?;
        for input in hold.inputs {
            self.step(now, input, out)?;
        }
        Ok(())
    }

    /// Looks for own signatures in an input, and does what follows.
    pub(super) fn watch(&mut self, input: &Input, out: &mut Vec<Output>) -> Result<(), Fatal> {
        if let Input::Synced { heights, .. } = input
            && self.observing
        {
            // As far as they go on from here: a peer that lies can name any height.
            for height in heights.iter().map(|h| h.header.height()) {
                if height == self.listen.past.max(self.height.saturating_sub(1)).saturating_add(1) {
                    self.listen.past = height;
                }
            }
        }
        for seen in self.sightings(input) {
            self.sighted(seen, out)?;
        }
        Ok(())
    }

    fn sighted(&mut self, seen: Sighting, out: &mut Vec<Output>) -> Result<(), Fatal> {
        let Sighting { what, at, contradicts } = seen;
        let floor = at.height.saturating_add(self.two_windows());
        let silent = self.observing || self.listen.held();
        if !silent && at.height <= self.guard.floor() && !contradicts {
            // What an earlier run, or a lost guard, knew of: accounted for.
            return Ok(());
        }
        // Once a height was decided under its eyes, what lies above is signed now, not by an earlier run.
        let live = self.height > self.listen.past.saturating_add(1);
        let now_elsewhere = live && at.height > self.listen.past.saturating_add(AHEAD);
        if !silent || contradicts || now_elsewhere {
            let (height, round) = (at.height, at.round);
            let seen = Elsewhere { what, height, round, contradicts, floor };
            return Err(Fatal::Elsewhere(Box::new(seen)));
        }
        if floor > self.listen.floor.max(self.guard.floor()) {
            tracing::warn!(
                what,
                height = at.height,
                round = at.round,
                until_height = floor,
                "this key has signed what its guard does not know: following without signing"
            );
            self.listen.floor = floor;
            self.listen.seen = true;
            if self.guard.newest().is_some() {
                self.put_floor(floor, out);
            }
        }
        Ok(())
    }

    /// Stops if a validator that signed a contradiction is this one.
    pub(super) fn accused(&self, out: &[Output]) -> Result<(), Fatal> {
        let own = |o: &&Output| match o {
            Output::Misbehaved { epoch, validator, .. } => {
                self.seats.own(*epoch).is_some_and(|(_, index)| index == *validator)
            }
            _ => false,
        };
        let Some(Output::Misbehaved { what, .. }) = out.iter().find(own) else { return Ok(()) };
        let (height, round) = (self.height, self.round);
        let floor = height.saturating_add(self.two_windows());
        Err(Fatal::Elsewhere(Box::new(Elsewhere { what, height, round, contradicts: true, floor })))
    }

    fn put_floor(&mut self, height: u64, out: &mut Vec<Output>) {
        let intent = Intent::Floor { height };
        if self.guard.check_and_record(&intent) == Ok(true) {
            out.push(Output::Guard(intent));
        }
    }

    /// While it follows because of its guard: has anyone a vote of this key in the newest height?
    fn look(&mut self, now: Millis, out: &mut Vec<Output>) {
        let doubts = matches!(self.observe(), Some(Observe::OldGuard(_) | Observe::NoGuard(1..)));
        let (due, last) = self.listen.look;
        if !doubts {
            self.listen.look.0 = 0;
        } else if now >= due {
            let others = self.seats.others(self.epoch.number());
            let next = others.iter().filter(|peer| **peer > last).min();
            let to = next.or_else(|| others.iter().min()).copied();
            self.listen.look = (now.saturating_add(LOOK_MS), to.unwrap_or(last));
            let from = self.height.saturating_sub(1);
            if let Some(to) = to.filter(|_| from > 0) {
                out.push(Output::Ask { to, request: Request::Heights { from, count: 1 } });
            }
        }
    }

    /// Ends the listening with an empty guard when it has heard enough.
    pub(super) fn hear(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Fatal> {
        self.look(now, out);
        let heard = self.heard();
        let empty = self.guard.newest().is_none() && self.listen.floor > 0;
        if let Some(decided) = heard.filter(|d| *d > self.height.saturating_add(AHEAD) && empty) {
            // Far behind: the key may have signed up to the head that it does not have yet.
            let floor = decided.saturating_add(self.two_windows());
            self.listen.floor = self.listen.floor.max(floor);
        }
        let Some(until) = self.listen.until else { return Ok(()) };
        if let Some(decided) = heard.filter(|d| *d >= self.height) {
            self.listen.until = None;
            self.listen.floor = decided.saturating_add(self.two_windows());
            return Ok(());
        }
        self.inquire(now, out);
        self.listen.overdue = now >= until;
        let late = now >= until.saturating_add(self.listen.wait);
        if self.listen.overdue && self.is_answered(late) {
            self.listen.until = None;
            let members = self.members();
            if self.resume_voting(out) {
                tracing::info!(
                    height = self.height,
                    "nobody is ahead or knows of this key: signing from here on"
                );
                let mut acts = Vec::new();
                self.machine.start(self.height, members, &mut self.guard, &mut acts)?;
                self.perform(now, acts, out)?;
            }
        }
        Ok(())
    }

    /// Says once in the log why it follows, and when it signs.
    pub(super) fn tell_observing(&mut self) {
        let now = self.observe();
        if now == self.listen.told {
            return;
        }
        match (now, self.listen.told) {
            (Some(why), _) => tracing::warn!(
                height = self.height,
                reason = why.name(),
                "follows without signing: {why}"
            ),
            (None, Some(_)) => tracing::info!(height = self.height, "signs from here on"),
            (None, None) => {}
        }
        self.listen.told = now;
    }
}

/// The height that the sender of a message is at, or above.
const fn place(message: &Message) -> Option<u64> {
    match message {
        Message::Head(head) => Some(head.height.saturating_add(1)),
        Message::Vote(v) => Some(v.vote.height),
        Message::Proposal(p) => Some(p.proposal.height),
        Message::Polka(c) => Some(c.height),
        Message::RoundCertificate(c) => Some(c.height),
        Message::Status(s) => Some(s.status.height),
        Message::TermInit(i) => Some(i.init.height),
        Message::Ack(a) => Some(a.ack.height),
        Message::Frame(_) | Message::AckCert(_) | Message::Txs(_) | Message::InsuredTxs(_) => None,
    }
}
