//! What a correct validator does: one action at a time, in any order that asynchrony allows.
//!
//! Not for: leading (`leaders`) and lying (`adversary`).
//! Each rule stands where it is applied, under its name in `docs/protocol.md`, sections 11 to 13.

use super::rules::Mutation;
use super::shape::Action;
use super::tree::{Bits, Id, NO_INIT};
use super::world::{Accepted, HEIGHTS, NIL, NONE, Proposal, ROUNDS, World, at, count};

impl World {
    /// One step: somebody does something, or finds that he cannot.
    pub(super) fn step(&mut self, awake: u16) {
        let who = self.dice.below(self.shape.n) as u8;
        if self.shape.byzantine >> who & 1 == 1 {
            return self.lie(who);
        }
        if awake >> who & 1 == 0 {
            return;
        }
        match self.shape.action(&mut self.dice) {
            Action::Lead => self.lead(who),
            Action::Accept => self.accept(who),
            Action::Follow => self.follow(who),
            Action::Ack => self.ack(who),
            Action::Prevote => self.prevote(who),
            Action::Precommit => self.precommit(who),
            Action::NextRound => self.next_round(who),
            Action::NextHeight => self.next_height(who),
        }
    }

    /// Takes one of the TermInits or re-proposals of its round: the first wins (section 13).
    fn accept(&mut self, who: u8) {
        let v = &self.validators[who as usize];
        let (place, accepted) = (v.at(), v.accepted);
        if v.round == 0 {
            return;
        }
        let all = &self.proposals[place as usize];
        if all.is_empty() {
            return;
        }
        let pick = all[self.dice.below(all.len())];
        let open = accepted == Accepted::Nothing;
        match pick {
            Proposal::Fresh(init) => {
                if open || self.rules.has(Mutation::SecondOpinion) {
                    self.accept_init(who, init);
                }
            }
            Proposal::Again(value, round) => {
                if open || self.rules.has(Mutation::ReproposalAfterInit) {
                    self.prevote_again(who, value, round);
                }
            }
        }
    }

    fn accept_init(&mut self, who: u8, init: u8) {
        let carry = self.inits[init as usize].carry;
        let chain = self.tree.up(carry);
        let v = &mut self.validators[who as usize];
        v.accepted = Accepted::Stream(init);
        v.tip = carry;
        v.best = (v.round, carry);
        v.held |= chain;
        self.note(|| format!("{who} accepts TermInit {init}"));
        self.check_carry(init);
    }

    /// A re-proposal that the lock allows: reported, then prevoted.
    fn prevote_again(&mut self, who: u8, value: Id, polka_round: u8) {
        let v = &self.validators[who as usize];
        let place = v.at();
        let allowed = v.lock.is_none_or(|(round, locked)| round <= polka_round || locked == value);
        if v.prevoted[place as usize] != NONE || !allowed {
            return;
        }
        if self.refuses(who, value) {
            return;
        }
        let silent = self.rules.has(Mutation::SilentReproposal);
        let chain = self.tree.up(value);
        let v = &mut self.validators[who as usize];
        v.accepted = Accepted::Reproposal;
        v.held |= chain;
        v.tip = value;
        if !silent {
            v.best = (v.round, value);
        }
        self.sign_prevote(who, value);
    }

    /// Takes a frame that continues the accepted stream. Round 0 runs at most one height ahead; above
    /// round 0 nothing beyond the CLOSE of the height counts (the receiving side of A5).
    fn follow(&mut self, who: u8) {
        let v = &self.validators[who as usize];
        let (height, mut round, mut tip) = (v.height, v.round, v.tip);
        let init = match v.accepted {
            Accepted::Stream(init) => init,
            Accepted::Nothing if self.rules.has(Mutation::LateAcks) => {
                (round, tip) = v.best;
                self.tree.get(tip).init
            }
            _ => return,
        };
        let Some(term) = self.term(height, round) else { return };
        let init = if round == 0 { self.init_of_round_0(height) } else { init };
        let ahead = if round == 0 {
            u8::from(!self.shape.short_windows)
        } else {
            u8::from(self.rules.has(Mutation::NoA5))
        };
        let fits = |id: &Id| {
            let f = self.tree.get(*id);
            f.term == term && f.init == init && f.height <= height + ahead
        };
        let next = Bits(self.tree.kids(tip)).filter(fits).fold(0, |set, id| set | 1 << id);
        let Some(next) = self.dice.member(next) else { return };
        let v = &mut self.validators[who as usize];
        v.tip = next;
        v.held |= 1 << next;
        v.best = (round, next);
    }

    /// Acks its tip if A1 to A5 allow. A6 only ever withholds acks, and a validator here may always
    /// withhold one.
    fn ack(&mut self, who: u8) {
        let v = &self.validators[who as usize];
        let (mut place, mut tip) = (v.at(), v.tip);
        if v.accepted == Accepted::Nothing {
            // Only in round 0 is there always an accepted chain (A1).
            tip = v.best.1;
            if self.rules.has(Mutation::LateAcks) {
                place = at(v.height, v.best.0);
            } else if !self.rules.has(Mutation::StaleAcks) || !self.has_reproposal(place) {
                return;
            }
        }
        if self.base(v.height) == Some(tip) || v.acked[place as usize] == tip {
            return;
        }
        if !self.rules.has(Mutation::NoA4) {
            let against = self.tree.against(tip);
            let bad = |value: u8| value < NIL && against >> value & 1 == 1;
            let rounds = at(v.height, 0) as usize..at(v.height + 1, 0) as usize;
            let locked = [v.lock, v.valid].into_iter().flatten().any(|(_, value)| bad(value));
            if locked || v.prevoted[rounds].iter().any(|value| bad(*value)) {
                return;
            }
        }
        self.validators[who as usize].acked[place as usize] = tip;
        count(&mut self.acks[place as usize], tip, who);
        self.note(|| format!("{who} acks {tip} at ({},{})", place / ROUNDS, place % ROUNDS));
        self.check_ack(who, place, tip);
    }

    fn has_reproposal(&self, place: u8) -> bool {
        self.proposals[place as usize].iter().any(|p| matches!(p, Proposal::Again(..)))
    }

    /// Prevotes the value of its stream if it closes the height and no other is locked, else perhaps nil.
    fn prevote(&mut self, who: u8) {
        let v = &self.validators[who as usize];
        let place = v.at();
        if v.prevoted[place as usize] != NONE {
            return;
        }
        let value = match v.accepted {
            Accepted::Stream(_) => self.tree.close_of(v.tip, v.height),
            _ => None,
        };
        let free = |value: &Id| v.lock.is_none_or(|(_, locked)| locked == *value);
        match value.filter(free).filter(|value| !self.refuses(who, *value)) {
            Some(value) => self.sign_prevote(who, value),
            None if self.dice.one_in(self.shape.patience) => {
                self.validators[who as usize].prevoted[place as usize] = NIL;
            }
            None => {}
        }
    }

    /// The tempting rule that stops the set: "only what extends my acks".
    pub(super) fn refuses(&self, who: u8, value: Id) -> bool {
        self.rules.has(Mutation::ExtendsAcks) && {
            let v = &self.validators[who as usize];
            let rounds = at(v.height, 0) as usize..at(v.height + 1, 0) as usize;
            v.acked[rounds].iter().any(|tip| *tip != NONE && !self.tree.compatible(*tip, value))
        }
    }

    fn sign_prevote(&mut self, who: u8, value: Id) {
        let v = &mut self.validators[who as usize];
        let place = v.at();
        v.prevoted[place as usize] = value;
        let signers = count(&mut self.prevotes[place as usize], value, who);
        self.note(|| format!("{who} prevotes {value} at ({},{})", place / ROUNDS, place % ROUNDS));
        self.check_prevote(who, place, value);
        if self.shape.reaches(signers) && !self.polka(place, value) {
            self.polkas[place as usize] |= 1 << value;
            self.note(|| format!("polka of {value} at ({},{})", place / ROUNDS, place % ROUNDS));
            self.check_value(place, value, false);
        }
    }

    /// Tendermint's line 36: a polka of this round for a value whose proposal is here.
    fn precommit(&mut self, who: u8) {
        let v = &self.validators[who as usize];
        let place = v.at();
        if v.prevoted[place as usize] == NONE || self.polkas[place as usize] == 0 {
            return;
        }
        let value = match v.accepted {
            Accepted::Stream(_) => self.tree.close_of(v.tip, v.height),
            // Prevoted or only seen: a re-proposal needs no stream.
            _ => self.proposals[place as usize].iter().find_map(|p| match p {
                Proposal::Again(value, _) if self.polka(place, *value) => Some(*value),
                _ => None,
            }),
        };
        let Some(value) = value.filter(|value| self.polka(place, *value)) else { return };
        let chain = self.tree.up(value);
        let v = &mut self.validators[who as usize];
        v.held |= chain;
        v.valid = Some((v.round, value));
        if v.precommitted >> place & 1 == 1 {
            return;
        }
        v.precommitted |= 1 << place;
        v.lock = v.valid;
        let height = v.height;
        let signers = count(&mut self.precommits[place as usize], value, who);
        self.note(|| format!("{who} precommits {value} at ({},{})", height, place % ROUNDS));
        if self.shape.reaches(signers) && self.decided[height as usize] >> value & 1 == 0 {
            self.decided[height as usize] |= 1 << value;
            self.note(|| format!("height {height} decided: {value}"));
            self.check_value(place, value, true);
        }
    }

    /// Enters the next round: no more acks below it (A2), and one Status.
    fn next_round(&mut self, who: u8) {
        let v = &self.validators[who as usize];
        let (height, round) = (v.height, v.round);
        let waits = v.prevoted[v.at() as usize] == NONE;
        if round + 1 >= ROUNDS || (waits && !self.dice.one_in(self.shape.patience)) {
            return;
        }
        let Some(base) = self.base(height) else { return };
        let report = if self.rules.has(Mutation::NoReport) { (0, base) } else { self.best(who) };
        let v = &mut self.validators[who as usize];
        v.precommitted |= 1 << v.at();
        v.round += 1;
        v.accepted = Accepted::Nothing;
        let place = v.at() as usize;
        self.status[place][who as usize] = report;
        self.reported[place] |= 1 << who;
        self.note(|| format!("{who} enters ({height},{}), reports {report:?}", round + 1));
        self.check_status(who, height, report);
    }

    /// What it accepted last; one that forgets on a restart knows its frames of round 0 only.
    fn best(&mut self, who: u8) -> (u8, Id) {
        let v = &self.validators[who as usize];
        if v.best.0 == 0 || !self.rules.has(Mutation::Forgetful) || !self.dice.one_in(4) {
            return v.best;
        }
        let height = v.height;
        let Some(base) = self.base(height) else { return v.best };
        let tip = self.tip_held(who, height, base);
        self.validators[who as usize].best = (0, tip);
        (0, tip)
    }

    /// Goes on to the next height once its own is decided.
    pub(super) fn next_height(&mut self, who: u8) {
        let height = self.validators[who as usize].height;
        if height == HEIGHTS || self.decided[height as usize] == 0 {
            return;
        }
        let Some(base) = self.base(height + 1) else { return };
        let chain = self.tree.up(base);
        self.validators[who as usize].held |= chain;
        let tip = self.tip_held(who, height + 1, base);
        let v = &mut self.validators[who as usize];
        (v.height, v.round) = (height + 1, 0);
        v.accepted = Accepted::Stream(NO_INIT);
        (v.tip, v.best) = (tip, (0, tip));
        (v.lock, v.valid) = (None, None);
        self.note(|| format!("{who} enters ({},0) at {tip}", height + 1));
        self.check_height(who, height + 1, tip);
    }

    /// The chain of round 0 that a validator holds above `base`, by preference the one it acked.
    fn tip_held(&mut self, who: u8, height: u8, base: Id) -> Id {
        let (term, init) = (self.term(height, 0), self.init_of_round_0(height));
        let v = &self.validators[who as usize];
        let held = v.held;
        let acked = v.acked.iter().filter(|tip| **tip != NONE).fold(0, |set, tip| set | 1 << tip);
        let mut tip = base;
        loop {
            let next = Bits(self.tree.kids(tip) & held).filter(|id| {
                let f = self.tree.get(*id);
                Some(f.term) == term && f.init == init
            });
            let next = next.fold(0u64, |set, id| set | 1 << id);
            let mine = Bits(next).filter(|id| self.tree.down(*id) & acked != 0);
            let mine = mine.fold(0u64, |set, id| set | 1 << id);
            match self.dice.member(if mine == 0 { next } else { mine }) {
                Some(id) => tip = id,
                None => return tip,
            }
        }
    }
}
