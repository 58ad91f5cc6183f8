//! What must hold at every step of a walk.
//!
//! Sets of frames are compared as bits, so a check costs little although it runs at each signature.
//! An acked prefix may be lost only where its leader signed two histories, and then the two must name him:
//! one parent with two frames of one term (E1a), or two TermInits of the round that acked (E1b).

use super::rules::Mutation;
use super::tree::{Bits, Id};
use super::world::{NIL, NONE, Proposal, Report, World, at, height_of, round_of};

/// What kind of rule a walk broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// Two values decided at one height (I-1).
    Agreement,
    /// An acked prefix is contradicted although the leader signed one history only (I-2).
    AckReverted,
    /// A TermInit does not carry an acked prefix although its leader signed one history only (I-2).
    AckDropped,
    /// An acked prefix is contradicted, and no pair of signatures names the cause (I-3).
    Unattributed,
    /// Fewer liars can be proven than the acked weight above two thirds (I-4).
    WeightBound,
    /// A correct Status cannot be justified to others (I-12).
    Unjustified,
    /// Two signatures of a correct validator are evidence against it (I-6).
    Slashable,
    /// The set can decide nothing any more (I-5).
    Stuck,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// What happened.
    pub what: String,
}

/// Acked prefixes that a decision excluded, by the evidence that names the leader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reverted {
    pub(super) two_frames: u64,
    pub(super) two_inits: u64,
}

impl World {
    fn fail(&mut self, kind: FaultKind, what: impl FnOnce() -> String) {
        if self.fault.is_none() {
            self.fault = Some(Fault { kind, what: what() });
        }
    }

    /// Evidence against a correct signer.
    fn slashable(&mut self, what: impl FnOnce() -> String) {
        if self.rules.guards_signers() {
            self.fail(FaultKind::Slashable, what);
        }
    }

    /// Correct validators that acked a frame in this height and round, by it or by a later one. Acks of
    /// round 0 that were given one height early count on where the same stream goes on.
    fn ackers(&self, place: u8, frame: Id) -> u16 {
        let above = self.tree.down(frame);
        let mut all = 0;
        let mut add = |place: u8| {
            for (tip, signers) in &self.acks[place as usize] {
                if above >> tip & 1 == 1 {
                    all |= signers;
                }
            }
        };
        add(place);
        if self.rules.has(Mutation::MixedRounds) {
            (at(height_of(place), 0)..place).for_each(&mut add);
        }
        if place == at(2, 0) && self.goes_on() {
            add(at(1, 0));
        }
        all
    }

    /// Whether height 2 continues the stream of round 0 of height 1.
    fn goes_on(&self) -> bool {
        self.decided[1] != 0 && self.term(2, 0) == Some(at(1, 0))
    }

    /// After an ack: is a frame acked by a quorum now?
    pub(super) fn check_ack(&mut self, who: u8, place: u8, tip: Id) {
        let v = &self.validators[who as usize];
        let height = v.height;
        let votes = &v.prevoted[at(height, 0) as usize..=place as usize];
        if votes.iter().any(|v| *v < NIL && !self.tree.compatible(*v, tip)) {
            self.slashable(|| format!("{who} acks {tip} against its own prevote (E3)"));
        }
        self.count_acks(place, tip);
        if self.rules.has(Mutation::MixedRounds) {
            (place + 1..at(height + 1, 0)).for_each(|later| self.count_acks(later, tip));
        }
        if place == at(1, 0) && self.goes_on() {
            self.count_acks(at(2, 0), tip);
        }
    }

    fn count_acks(&mut self, place: u8, tip: Id) {
        let Some(base) = self.base(height_of(place)) else { return };
        if !self.tree.leads_to(base, tip) {
            return;
        }
        let known = self.quorate[place as usize];
        let mut frame = tip;
        while frame != base && known >> frame & 1 == 0 {
            let ackers = self.ackers(place, frame);
            let weight = self.shape.weight(ackers) + self.shape.byzantine_stake;
            let enough = if self.rules.has(Mutation::WeakAcks) {
                weight * 3 > self.shape.total
            } else {
                self.shape.is_quorum(weight)
            };
            if enough && ackers != 0 {
                self.quorate[place as usize] |= self.tree.up(frame) & !self.tree.up(base);
                self.note(|| format!("{frame} is acked at ({},{})", height_of(place), place % 4));
                return self.check_acked(place, frame);
            }
            frame = self.tree.get(frame).parent;
        }
    }

    /// A frame became acked: nothing that exists already may contradict it.
    fn check_acked(&mut self, place: u8, frame: Id) {
        let against = self.tree.against(frame);
        for other in at(height_of(place), 0)..self.polkas.len() as u8 {
            for value in Bits(self.polkas[other as usize] & against) {
                let decided = self.decided[height_of(other) as usize] >> value & 1 == 1;
                self.judge(place, frame, value, decided);
            }
        }
        for init in 0..self.inits.len() as u8 {
            self.check_carried(place, frame, init);
        }
    }

    /// A TermInit is accepted: it must carry what was acked in lower rounds.
    pub(super) fn check_carry(&mut self, init: u8) {
        let place = self.inits[init as usize].at;
        for lower in at(height_of(place), 0)..place {
            for frame in Bits(self.quorate[lower as usize]) {
                self.check_carried(lower, frame, init);
            }
        }
    }

    fn check_carried(&mut self, place: u8, frame: Id, init: u8) {
        let Some((at, carry)) = self.inits.get(init as usize).map(|i| (i.at, i.carry)) else {
            return;
        };
        let height = height_of(place);
        if height_of(at) != height || round_of(at) <= round_of(place) {
            return;
        }
        // What lies beyond the CLOSE is the next height's to keep.
        let frame = self.tree.close_of(frame, height).unwrap_or(frame);
        if self.tree.leads_to(frame, carry) {
            return;
        }
        if !self.equivocated_at(place) {
            let text = || format!("TermInit {init} carries {carry}, not the acked {frame}");
            self.fail(FaultKind::AckDropped, text);
        } else if !self.tree.compatible(frame, carry) {
            self.judge(place, frame, carry, false);
        }
    }

    /// A polka or a decision: it must agree with what was acked at its height and below.
    pub(super) fn check_value(&mut self, place: u8, value: Id, decided: bool) {
        let height = height_of(place);
        if decided && self.decided[height as usize].count_ones() > 1 {
            let all = self.decided[height as usize];
            self.fail(FaultKind::Agreement, || format!("height {height}: frames {all:b} decided"));
        }
        let against = self.tree.against(value);
        for other in at(1, 0)..at(height + 1, 0) {
            for frame in Bits(self.quorate[other as usize] & against) {
                self.judge(other, frame, value, decided);
            }
        }
        if decided && height == 1 && self.goes_on() {
            for (tip, _) in self.acks[at(1, 0) as usize].clone() {
                self.count_acks(at(2, 0), tip);
            }
        }
    }

    fn equivocated_at(&self, place: u8) -> bool {
        let height = height_of(place);
        if self.rules.has(Mutation::MixedRounds) {
            return self.equivocated != 0;
        }
        let term = self.term(height, round_of(place));
        term.is_some_and(|term| self.equivocated >> term & 1 == 1)
    }

    /// An acked frame and a value that contradicts it: whose fault is it, and what proves it?
    fn judge(&mut self, place: u8, frame: Id, value: Id, decided: bool) {
        let (height, round) = (height_of(place), round_of(place));
        if !self.equivocated_at(place) {
            let text = || format!("{frame}, acked at ({height},{round}), against {value}");
            return self.fail(FaultKind::AckReverted, text);
        }
        if self.rules.has(Mutation::MixedRounds) {
            // No round to ask for the leader's second history.
            return;
        }
        let (a, b) = self.tree.parting(frame, value);
        let inits = &self.proposals[place as usize];
        let inits = inits.iter().filter(|p| matches!(p, Proposal::Fresh(_))).count();
        if self.tree.get(a).term == self.tree.get(b).term {
            self.reverted.two_frames += u64::from(decided);
        } else if inits > 1 {
            self.reverted.two_inits += u64::from(decided);
        } else {
            let text = || {
                format!("{frame}, acked at ({height},{round}), against {value}: {a} and {b} part")
            };
            return self.fail(FaultKind::Unattributed, text);
        }
        if decided && self.tree.get(frame).height == height {
            self.check_weight(place, frame);
        }
    }

    /// I-4: whoever lied in the reports of the first TermInit that deviates acked the frame, since every
    /// liar is counted as an acker. (A polka of the same or a lower round proves more liars by itself.)
    fn check_weight(&mut self, place: u8, frame: Id) {
        let (height, round) = (height_of(place), round_of(place));
        let against = self.tree.against(frame);
        let lower = at(height, 0) as usize..=place as usize;
        if self.polkas[lower].iter().any(|values| values & against != 0) {
            return;
        }
        let acked = self.shape.weight(self.ackers(place, frame)) + self.shape.byzantine_stake;
        let deviates = |i: &&super::world::Init| {
            height_of(i.at) == height
                && round_of(i.at) > round
                && !self.tree.leads_to(frame, i.carry)
        };
        let first = self.inits.iter().filter(deviates).map(|i| i.at).min();
        let mut least = None;
        for init in self.inits.iter().filter(deviates).filter(|i| Some(i.at) == first) {
            let lied = |who: &u8| {
                let (best, tip) = init.reports[*who as usize];
                best < round || (best == round && !self.tree.leads_to(frame, tip))
            };
            let liars = Bits(u64::from(init.from & self.shape.byzantine)).filter(lied);
            let stake: u32 = liars.map(|who| self.shape.stakes[who as usize]).sum();
            least = Some(least.map_or(stake, |other: u32| other.min(stake)));
        }
        let guilty = least.unwrap_or(0);
        if least.is_none() || guilty * 3 + self.shape.total * 2 < acked * 3 {
            let total = self.shape.total;
            let text = || format!("{frame} acked by {acked} of {total}, but {guilty} lied");
            self.fail(FaultKind::WeightBound, text);
        }
    }

    /// E3 against a correct signer, from the side of the vote.
    pub(super) fn check_prevote(&mut self, who: u8, place: u8, value: Id) {
        let acked = self.validators[who as usize].acked[place as usize];
        if acked != NONE && !self.tree.compatible(acked, value) {
            self.slashable(|| format!("{who} prevotes {value} and acked {acked} (E3)"));
        }
    }

    /// A correct report can be justified, and is no evidence against its signer (E4).
    pub(super) fn check_status(&mut self, who: u8, height: u8, (best, tip): Report) {
        if self.justified(height, best) >> tip & 1 == 0 {
            self.fail(FaultKind::Unjustified, || format!("{who} reports ({best}, {tip})"));
        }
        let v = &self.validators[who as usize];
        for round in 0..v.round {
            let place = at(height, round) as usize;
            for signed in [v.acked[place], v.prevoted[place]] {
                let omits =
                    |signed| best < round || (best == round && !self.tree.leads_to(signed, tip));
                if signed < NIL && omits(signed) {
                    return self.slashable(|| {
                        format!(
                            "{who} reports ({best}, {tip}) after {signed} in round {round} (E4)"
                        )
                    });
                }
            }
        }
    }

    /// An ack given one height early binds what is reported at the next height.
    pub(super) fn check_height(&mut self, who: u8, height: u8, tip: Id) {
        let acked = self.validators[who as usize].acked[at(height - 1, 0) as usize];
        let kept =
            acked == NONE || !self.base(height).is_some_and(|b| self.tree.leads_to(b, acked));
        if !kept && self.goes_on() && !self.tree.leads_to(acked, tip) {
            self.slashable(|| {
                format!("{who} enters height {height} at {tip} after acking {acked}")
            });
        }
    }
}
