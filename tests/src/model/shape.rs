//! What is drawn once per walk: the set, who lies, who leads when, and how busy everybody is.
//!
//! The odds differ from walk to walk on purpose: walks in which, say, nobody but two validators hears of
//! anything for a while reach corners that evenly mixed walks hardly ever reach.

use super::dice::Dice;
use super::tree::Bits;

/// Most validators of a set.
pub(super) const MAX_SET: usize = 10;

/// What a correct validator may do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Lead,
    Accept,
    Follow,
    Ack,
    Prevote,
    Precommit,
    NextRound,
    NextHeight,
}

const ACTIONS: [Action; 8] = [
    Action::Lead,
    Action::Accept,
    Action::Follow,
    Action::Ack,
    Action::Prevote,
    Action::Precommit,
    Action::NextRound,
    Action::NextHeight,
];

/// A set and the odds of one walk.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    pub(super) n: usize,
    pub(super) stakes: [u32; MAX_SET],
    pub(super) total: u32,
    /// Those who do what they like.
    pub(super) byzantine: u16,
    pub(super) byzantine_stake: u32,
    /// Those who keep the rules.
    pub(super) correct: u16,
    /// Who leads: position in the schedule to validator, and back.
    pub(super) order: [u8; MAX_SET],
    pub(super) place: [u8; MAX_SET],
    /// Windows are one height long.
    pub(super) short_windows: bool,
    /// Of four frames so many close their height.
    pub(super) closes: usize,
    /// A prevote without a value is given up once in so many times.
    pub(super) patience: usize,
    pub(super) steps: usize,
    /// Frames of one term that a liar puts on one parent, and proposals that it makes for one round: the
    /// worst lies need no second history.
    pub(super) twins: usize,
    pub(super) proposals: usize,
    /// A liar moves once in so many times.
    pub(super) sloth: usize,
    table: Vec<Action>,
    weights: Vec<u32>,
}

impl Shape {
    /// Draws a set: 4, 7 or 10 equal validators, or 4 to 7 of unequal stake.
    pub(super) fn draw(&mut self, dice: &mut Dice) {
        let kind = dice.below(8);
        (self.n, self.total) = match kind {
            0..=3 => (4, 0),
            4 => (7, 0),
            5 if dice.one_in(2) => (10, 0),
            _ => (4 + dice.below(4), 0),
        };
        for stake in &mut self.stakes[..self.n] {
            *stake = if kind <= 5 { 1 } else { 1 + dice.below(10) as u32 };
            self.total += *stake;
        }
        self.draw_order(dice);
        self.draw_byzantine(dice);
        self.weigh();
        self.short_windows = dice.one_in(4);
        self.closes = 1 + dice.below(3);
        self.patience = 1 << dice.below(5);
        (self.twins, self.proposals) = if dice.one_in(2) { (1, 1) } else { (2, 4) };
        self.sloth = 1 << dice.below(3);
        self.steps = (240 + dice.below(1200)) * (self.n + 2) / 6;
        self.table.clear();
        for action in ACTIONS {
            let most = if action == Action::NextRound { 2 } else { 4 };
            self.table.extend(std::iter::repeat_n(action, 1 << dice.below(most)));
        }
    }

    fn draw_order(&mut self, dice: &mut Dice) {
        for (at, slot) in (0u8..).zip(&mut self.order[..self.n]) {
            *slot = at;
        }
        for at in (1..self.n).rev() {
            self.order.swap(at, dice.below(at + 1));
        }
        for (at, who) in (0u8..).zip(&self.order[..self.n]) {
            self.place[*who as usize] = at;
        }
    }

    /// Liars by order of leading or at random, as many as stay below a third.
    fn draw_byzantine(&mut self, dice: &mut Dice) {
        (self.byzantine, self.byzantine_stake) = (0, 0);
        let early = dice.one_in(2);
        for at in 0..2 * self.n {
            let pick = if early { dice.below(at % self.n + 1) } else { dice.below(self.n) };
            let who = self.order[pick];
            let stake = self.stakes[who as usize];
            let fits = (self.byzantine_stake + stake) * 3 < self.total;
            if fits && self.byzantine >> who & 1 == 0 {
                self.byzantine |= 1 << who;
                self.byzantine_stake += stake;
            }
        }
        self.correct = ((1 << self.n) - 1) & !self.byzantine;
    }

    fn weigh(&mut self) {
        self.weights.clear();
        self.weights.resize(1 << self.n, 0);
        for set in 1..self.weights.len() {
            let lowest = set.trailing_zeros() as usize;
            self.weights[set] = self.weights[set & (set - 1)] + self.stakes[lowest];
        }
    }

    /// A random action of a correct validator.
    #[inline]
    pub(super) fn action(&self, dice: &mut Dice) -> Action {
        self.table[dice.below(self.table.len())]
    }
    /// Stake of a set of validators.
    #[inline]
    pub(super) fn weight(&self, set: u16) -> u32 {
        self.weights[set as usize]
    }
    /// Whether a weight is more than two thirds.
    #[inline]
    pub(super) const fn is_quorum(&self, weight: u32) -> bool {
        weight * 3 > self.total * 2
    }
    /// Whether these correct signers and all liars together are more than two thirds: the liars sign
    /// whatever is good for an attack.
    #[inline]
    pub(super) fn reaches(&self, correct: u16) -> bool {
        correct != 0 && self.is_quorum(self.weight(correct) + self.byzantine_stake)
    }
    /// The correct validators.
    pub(super) const fn correct_ones(&self) -> Bits {
        Bits(self.correct as u64)
    }
}
