//! What a correct leader does, and how reports make a TermInit.

use super::rules::Mutation;
use super::tree::{Bits, Id, NO_INIT, Set};
use super::world::{HEIGHTS, Init, NONE, Proposal, Report, World, at, height_of, round_of};

/// Deepest chain of a walk.
const MAX_DEPTH: u32 = 8;

impl World {
    /// Opens its term if the round needs one, else signs the next frame of its stream.
    pub(super) fn lead(&mut self, who: u8) {
        let v = &self.validators[who as usize];
        let (height, round, place) = (v.height, v.round, v.at());
        if self.leader(height, round) != Some(who) {
            return;
        }
        if round > 0 && v.proposed >> place & 1 == 0 {
            return self.open(who, place);
        }
        let Some(term) = self.term(height, round) else { return };
        let (tip, init) = v.stream[term as usize];
        let tip = match (tip, round) {
            (NONE, 0) => self.base(height),
            (NONE, _) => None,
            (tip, _) => Some(tip),
        };
        let Some(tip) = tip else { return };
        let above = self.base(height).is_some_and(|base| self.tree.leads_to(base, tip));
        let ahead = if round == 0 {
            u8::from(!self.shape.short_windows)
        } else {
            u8::from(self.rules.has(Mutation::NoA5))
        };
        if !above || self.next_height_of(tip) > HEIGHTS.min(height + ahead) || self.deep(tip) {
            return;
        }
        let close = self.dice.below(4) < self.shape.closes;
        if let Some(id) = self.sign_frame(tip, term, init, close) {
            self.validators[who as usize].stream[term as usize] = (id, init);
        }
    }

    /// A valid value is proposed again, else the reports say what to carry.
    fn open(&mut self, who: u8, place: u8) {
        let v = &mut self.validators[who as usize];
        if let Some((round, value)) = v.valid {
            v.proposed |= 1 << place;
            return self.propose(place, Proposal::Again(value, round));
        }
        let Some(init) = self.make_init(place) else { return };
        let carry = self.inits[init as usize].carry;
        let v = &mut self.validators[who as usize];
        v.proposed |= 1 << place;
        v.stream[place as usize] = (carry, init);
        self.propose(place, Proposal::Fresh(init));
    }

    /// The height that the next frame after `tip` belongs to.
    pub(super) fn next_height_of(&self, tip: Id) -> u8 {
        let tip = self.tree.get(tip);
        tip.height + u8::from(tip.close)
    }
    /// Whether a chain is as long as a walk lets it be.
    pub(super) fn deep(&self, tip: Id) -> bool {
        self.tree.up(tip).count_ones() > MAX_DEPTH
    }

    /// A TermInit from some reports of more than two thirds: those that happened to arrive, and liars
    /// with anything they can justify.
    pub(super) fn make_init(&mut self, place: u8) -> Option<u8> {
        let (height, round) = (height_of(place), round_of(place));
        let base = self.base(height)?;
        let mut init = Init { at: place, carry: base, from: 0, reports: [(0, 0); 10] };
        if self.rules.has(Mutation::NoJustification) {
            let own = self.tree.down(base) & self.up_to_height(height);
            init.carry = self.dice.member(own)?;
            return self.keep_init(init);
        }
        let shape = &self.shape;
        let mut list: Vec<(u8, Id, u64)> = Vec::with_capacity(shape.n);
        let mut weight = 0;
        for liar in Bits(u64::from(self.shape.byzantine)) {
            if !self.dice.one_in(4) {
                init.reports[liar as usize] = self.invent(height, round)?;
                init.from |= 1 << liar;
                weight += self.shape.stakes[liar as usize];
            }
        }
        let mut left = self.reported[place as usize];
        while !self.shape.is_quorum(weight) || self.dice.one_in(4) {
            let Some(who) = self.dice.member(u64::from(left)) else { break };
            left &= !(1 << who);
            init.reports[who as usize] = self.status[place as usize][who as usize];
            init.from |= 1 << who;
            weight += self.shape.stakes[who as usize];
        }
        if !self.shape.is_quorum(weight) {
            return None;
        }
        for who in Bits(u64::from(init.from)) {
            let (best, tip) = init.reports[who as usize];
            list.push((best, tip, u64::from(self.shape.stakes[who as usize])));
        }
        init.carry = if self.rules.has(Mutation::AnyReport) {
            let newest = list.iter().map(|r| r.0).max()?;
            let tips = list.iter().filter(|r| r.0 == newest).fold(0, |set, r| set | 1 << r.1);
            self.dice.member(tips)?
        } else {
            self.tree.select(base, height, &list)
        };
        self.keep_init(init)
    }

    fn keep_init(&mut self, init: Init) -> Option<u8> {
        let same = |i: &Init| {
            (i.at, i.carry, i.from) == (init.at, init.carry, init.from) && i.reports == init.reports
        };
        if self.inits.iter().any(same) || self.inits.len() >= NO_INIT as usize {
            return None;
        }
        self.inits.push(init);
        Some(self.inits.len() as u8 - 1)
    }

    /// A report of a liar: any round below, any tip that the round justifies.
    fn invent(&mut self, height: u8, round: u8) -> Option<Report> {
        let best = self.dice.below(usize::from(round)) as u8;
        if self.rules.has(Mutation::UnjustifiedReports) {
            let any = self.tree.down(self.base(height)?) & self.up_to_height(height);
            return Some((best, self.dice.member(any)?));
        }
        let tips = self.justified(height, best);
        match self.dice.member(tips) {
            Some(tip) => Some((best, tip)),
            None => Some((0, self.dice.member(self.justified(height, 0))?)),
        }
    }

    /// The tips that a report with this best round may name (section 13, "justified").
    pub(super) fn justified(&self, height: u8, best: u8) -> Set {
        let Some(base) = self.base(height) else { return 0 };
        if best == 0 {
            let term = self.term(height, 0).unwrap_or(NONE);
            return self.stream_above(base, term, self.init_of_round_0(height));
        }
        let place = at(height, best);
        let mut tips = 0;
        for proposal in &self.proposals[place as usize] {
            tips |= match *proposal {
                Proposal::Fresh(init) => {
                    self.stream_above(self.inits[init as usize].carry, place, init)
                }
                Proposal::Again(value, _) => 1 << value,
            };
        }
        tips
    }

    /// A frame and all frames of one stream on top of it.
    pub(super) fn stream_above(&self, from: Id, term: u8, init: u8) -> Set {
        let mut found = 1u64 << from;
        for id in Bits(self.tree.down(from) & !found) {
            let f = self.tree.get(id);
            if found >> f.parent & 1 == 1 && f.term == term && f.init == init {
                found |= 1 << id;
            }
        }
        found
    }

    /// All frames of a height and those below it.
    pub(super) fn up_to_height(&self, height: u8) -> Set {
        let low = |id: &u8| self.tree.get(*id).height <= height;
        (0..self.tree.len() as u8).filter(low).fold(0, |set, id| set | 1 << id)
    }
}
