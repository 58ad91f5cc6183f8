//! Can the set still decide? From the end of a walk on messages arrive at once, liars say nothing but a
//! Status here and there, and rounds go by: after at most one round per validator a value must be decided.

use super::tree::{Bits, Id};
use super::world::{HEIGHTS, NONE, Validator, World, at};

impl World {
    /// The lowest undecided height, with all correct validators brought there.
    fn gather(&mut self) -> Option<u8> {
        let height = (1..=HEIGHTS).find(|h| self.decided[*h as usize] == 0)?;
        for who in self.shape.correct_ones() {
            while self.validators[who as usize].height < height {
                self.next_height(who);
            }
        }
        Some(height)
    }

    /// Rounds until the lowest undecided height is decided; `Ok(None)` if all are, an error if the set is
    /// stuck.
    pub(super) fn rounds_to_decide(&mut self) -> Result<Option<u32>, String> {
        let Some(height) = self.gather() else { return Ok(None) };
        let correct = self.shape.correct_ones();
        let top = correct.map(|v| self.validators[v as usize].round).max().unwrap_or(0);
        let cursor = self.cursor(height).unwrap_or(0);
        for wait in 1..=self.shape.n as u32 + 1 {
            let round = top + wait as u8;
            let leader = self.shape.order[(cursor + usize::from(round)) % self.shape.n];
            if self.shape.correct >> leader & 1 == 1 && self.calm_round(height, round, leader) {
                return Ok(Some(wait));
            }
        }
        Err(format!("height {height} is not decided {} rounds after round {top}", self.shape.n + 1))
    }

    /// One round of a correct leader that everybody hears; whether a quorum prevotes its value.
    fn calm_round(&mut self, height: u8, round: u8, leader: u8) -> bool {
        let again = self.validators[leader as usize].valid;
        let value = match again {
            Some((_, value)) => value,
            None => {
                let Some(value) = self.carry_and_close(height) else { return false };
                value
            }
        };
        let mut votes = 0;
        for who in self.shape.correct_ones() {
            let v = &self.validators[who as usize];
            let allowed = match (v.lock, again) {
                (None, _) => true,
                (Some((_, locked)), None) => locked == value,
                (Some((at, locked)), Some((polka, _))) => at <= polka || locked == value,
            };
            if self.refuses(who, value) {
                continue;
            }
            if again.is_none() || allowed {
                self.validators[who as usize].best = (round, value);
            }
            votes |= u16::from(allowed) << who;
        }
        self.shape.is_quorum(self.shape.weight(votes))
    }

    fn carry_and_close(&mut self, height: u8) -> Option<Id> {
        let base = self.base(height)?;
        let report = |who: u8, (best, tip): (u8, Id), stakes: &[u32]| {
            (best, tip, u64::from(stakes[who as usize]))
        };
        let stakes = self.shape.stakes;
        let mut list: Vec<_> = self
            .shape
            .correct_ones()
            .map(|who| report(who, self.validators[who as usize].best, &stakes))
            .collect();
        for who in Bits(u64::from(self.shape.byzantine)) {
            let best = self.dice.below(usize::from(super::world::ROUNDS)) as u8;
            let tips = self.justified(height, best);
            if let Some(tip) = self.dice.member(tips).filter(|_| self.dice.one_in(2)) {
                list.push(report(who, (best, tip), &stakes));
            }
        }
        let carry = self.tree.select(base, height, &list);
        if let Some(close) = self.tree.close_of(carry, height) {
            return Some(close);
        }
        // Terms of later rounds than the walk knows; nothing looks at them.
        let hash = self.dice.next();
        Some(self.tree.add(super::Frame {
            parent: carry,
            term: u8::MAX,
            init: u8::MAX,
            height,
            close: true,
            hash,
        }))
    }

    /// Whether there is any value at all for which more than two thirds could still prevote when liars are
    /// silent: what "only what extends my acks" may leave without an answer.
    pub(super) fn some_value_is_acceptable(&self) -> bool {
        let height = (1..=HEIGHTS).find(|h| self.decided[*h as usize] == 0).unwrap_or(HEIGHTS);
        let (Some(base), rounds) =
            (self.base(height), at(height, 0) as usize..at(height + 1, 0) as usize)
        else {
            return false;
        };
        let candidates = self.tree.down(base) & self.up_to_height(height);
        Bits(candidates).any(|tip| {
            let close = self.tree.close_of(tip, height);
            let takes = |v: &Validator| {
                let locked = v.lock.is_none_or(|(_, locked)| close == Some(locked));
                let fits = |ack: &Id| {
                    *ack == NONE
                        || if close.is_some() {
                            self.tree.compatible(*ack, tip)
                        } else {
                            self.tree.leads_to(*ack, tip)
                        }
                };
                locked && v.acked[rounds.clone()].iter().all(fits)
            };
            let all = self.shape.correct_ones().filter(|v| takes(&self.validators[*v as usize]));
            let votes = all.fold(0u16, |set, who| set | 1 << who);
            self.shape.is_quorum(self.shape.weight(votes))
        })
    }
}
