//! What liars do: sign second frames, second TermInits, values again, in any round they lead, at any time.
//!
//! Their acks and votes need no step: every quorum counts them already (`Shape::reaches`).

use super::tree::{Bits, Id, NO_INIT};
use super::world::{HEIGHTS, Proposal, ROUNDS, World, at};

impl World {
    /// One lie, or a step of honest work: both move the attack on.
    pub(super) fn lie(&mut self, who: u8) {
        if !self.dice.one_in(self.shape.sloth) {
            return;
        }
        let height = if self.decided[1] == 0 { 1 } else { 1 + self.dice.below(2) as u8 };
        let Some(cursor) = self.cursor(height) else { return };
        let n = self.shape.n;
        let place = usize::from(self.shape.place[who as usize]);
        let round = (place + n - cursor % n) % n;
        if round >= usize::from(ROUNDS) {
            return;
        }
        let round = round as u8;
        if round > 0 && self.dice.one_in(2) {
            return self.propose_something(at(height, round), height, round);
        }
        let Some((tip, term, init)) = self.place_for_frame(height, round) else { return };
        let twins = Bits(self.tree.kids(tip)).filter(|id| self.tree.get(*id).term == term);
        if self.next_height_of(tip) > HEIGHTS || self.deep(tip) || twins.count() >= self.shape.twins
        {
            return;
        }
        let close = self.dice.below(4) < self.shape.closes;
        self.sign_frame(tip, term, init, close);
    }

    fn propose_something(&mut self, place: u8, height: u8, round: u8) {
        if self.proposals[place as usize].len() >= self.shape.proposals {
            return;
        }
        if self.dice.one_in(3) {
            let earlier = self.dice.below(usize::from(round)) as u8;
            let values = self.polkas[at(height, earlier) as usize];
            if let Some(value) = self.dice.member(values) {
                self.propose(place, Proposal::Again(value, earlier));
            }
        } else if let Some(init) = self.make_init(place) {
            self.propose(place, Proposal::Fresh(init));
        }
    }

    /// Somewhere on the streams that it leads in this round: tip, term, TermInit.
    fn place_for_frame(&mut self, height: u8, round: u8) -> Option<(Id, u8, u8)> {
        let term = self.term(height, round)?;
        let (from, init) = if round == 0 {
            (self.base(height)?, self.init_of_round_0(height))
        } else {
            let inits = self.proposals[term as usize].iter().filter_map(|p| match p {
                Proposal::Fresh(init) => Some(*init),
                Proposal::Again(..) => None,
            });
            let some: Vec<u8> = inits.collect();
            let init = *some.get(self.dice.below(some.len()))?;
            (self.inits[init as usize].carry, init)
        };
        debug_assert!(round > 0 || term % ROUNDS > 0 || init == NO_INIT);
        let tip = self.dice.member(self.stream_above(from, term, init))?;
        Some((tip, term, init))
    }
}
