//! The state of a walk: what was signed by anybody, and what every correct validator remembers.
//!
//! Liars have no state: what they sign is in the lists, and their votes and acks count everywhere.
//! Invariant: lists only grow; nothing that was signed is ever taken back.

use super::checks::{Fault, Reverted};
use super::dice::Dice;
use super::rules::Rules;
use super::shape::{MAX_SET, Shape};
use super::tree::{Frame, Id, NO_INIT, Set, Tree};

/// Heights of a walk (1 and 2), and rounds of a height (0 to 3).
pub(super) const HEIGHTS: u8 = 2;
pub(super) const ROUNDS: u8 = 4;
const CONTEXTS: usize = (HEIGHTS as usize + 1) * ROUNDS as usize;
/// Frames of a walk; the rest of the tree is for what liveness still needs.
const MAX_FRAMES: usize = 44;
/// No frame, no vote yet.
pub(super) const NONE: u8 = u8::MAX;
/// A vote for nil.
pub(super) const NIL: u8 = u8::MAX - 1;

/// Height and round in one number; also the name of a term.
#[inline]
pub(super) const fn at(height: u8, round: u8) -> u8 {
    height * ROUNDS + round
}
#[inline]
pub(super) const fn height_of(at: u8) -> u8 {
    at / ROUNDS
}
#[inline]
pub(super) const fn round_of(at: u8) -> u8 {
    at % ROUNDS
}

/// What a Status says: the round in which a chain was accepted last, and its tip.
pub(super) type Report = (u8, Id);

/// A TermInit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Init {
    pub(super) at: u8,
    pub(super) carry: Id,
    /// Whose reports it includes, and what they say.
    pub(super) from: u16,
    pub(super) reports: [Report; MAX_SET],
}

/// What a leader of a round above 0 puts forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proposal {
    /// A new term: index of its TermInit.
    Fresh(u8),
    /// A value again, with the round of its polka.
    Again(Id, u8),
}

/// What a validator accepted in its round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepted {
    Nothing,
    /// A stream: of round 0, or of this TermInit.
    Stream(u8),
    Reproposal,
}

/// A correct validator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validator {
    pub(super) height: u8,
    pub(super) round: u8,
    pub(super) accepted: Accepted,
    pub(super) tip: Id,
    pub(super) best: Report,
    /// Frames on its disk.
    pub(super) held: Set,
    /// By height and round: newest ack, prevote, whether precommitted, whether proposed.
    pub(super) acked: [Id; CONTEXTS],
    pub(super) prevoted: [u8; CONTEXTS],
    pub(super) precommitted: u16,
    pub(super) proposed: u16,
    /// Tendermint's locked and valid value with their rounds.
    pub(super) lock: Option<(u8, Id)>,
    pub(super) valid: Option<(u8, Id)>,
    /// Tip of the own stream by term, and the TermInit that opened it.
    pub(super) stream: [(Id, u8); CONTEXTS],
}

impl Validator {
    const NEW: Self = Self {
        height: 1,
        round: 0,
        accepted: Accepted::Stream(NO_INIT),
        tip: 0,
        best: (0, 0),
        held: 1,
        acked: [NONE; CONTEXTS],
        prevoted: [NONE; CONTEXTS],
        precommitted: 0,
        proposed: 0,
        lock: None,
        valid: None,
        stream: [(NONE, NO_INIT); CONTEXTS],
    };

    /// Where it is.
    #[inline]
    pub(super) const fn at(&self) -> u8 {
        at(self.height, self.round)
    }
}

/// Correct signers by what they signed, in one height and round.
pub(super) type Signed = Vec<(Id, u16)>;

/// A whole set in the middle of a walk.
#[derive(Debug)]
pub struct World {
    pub(super) rules: Rules,
    pub(super) dice: Dice,
    pub(super) shape: Shape,
    pub(super) tree: Tree,
    pub(super) validators: [Validator; MAX_SET],
    pub(super) inits: Vec<Init>,
    pub(super) proposals: [Vec<Proposal>; CONTEXTS],
    pub(super) status: [[Report; MAX_SET]; CONTEXTS],
    pub(super) reported: [u16; CONTEXTS],
    pub(super) acks: [Signed; CONTEXTS],
    pub(super) prevotes: [Signed; CONTEXTS],
    pub(super) precommits: [Signed; CONTEXTS],
    /// Decided values by height.
    pub(super) decided: [Set; HEIGHTS as usize + 1],
    /// Frames with an ack quorum of this height and round, themselves or by later ones.
    pub(super) quorate: [Set; CONTEXTS],
    /// Values with a polka.
    pub(super) polkas: [Set; CONTEXTS],
    /// Terms whose leader signed two histories.
    pub(super) equivocated: u16,
    pub(super) reverted: Reverted,
    pub(super) fault: Option<Fault>,
    /// What happened, if somebody wants to know.
    pub(super) log: Option<Vec<String>>,
}

impl World {
    /// A world to walk in; `reset` starts a walk.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            dice: Dice::new(0),
            shape: Shape::default(),
            tree: Tree::default(),
            validators: [Validator::NEW; MAX_SET],
            inits: Vec::new(),
            proposals: Default::default(),
            status: [[(0, 0); MAX_SET]; CONTEXTS],
            reported: [0; CONTEXTS],
            acks: Default::default(),
            prevotes: Default::default(),
            precommits: Default::default(),
            decided: [0; HEIGHTS as usize + 1],
            quorate: [0; CONTEXTS],
            polkas: [0; CONTEXTS],
            equivocated: 0,
            reverted: Reverted::default(),
            fault: None,
            log: None,
        }
    }

    /// Starts the walk of a seed.
    pub(super) fn reset(&mut self, seed: u64) {
        self.dice = Dice::new(seed);
        self.shape.draw(&mut self.dice);
        self.tree.reset();
        self.validators = [Validator::NEW; MAX_SET];
        self.inits.clear();
        self.proposals.iter_mut().for_each(Vec::clear);
        self.reported = [0; CONTEXTS];
        for lists in [&mut self.acks, &mut self.prevotes, &mut self.precommits] {
            lists.iter_mut().for_each(Vec::clear);
        }
        self.decided = [0; HEIGHTS as usize + 1];
        self.quorate = [0; CONTEXTS];
        self.polkas = [0; CONTEXTS];
        self.equivocated = 0;
        self.reverted = Reverted::default();
        self.fault = None;
    }

    /// Keeps a line of the trace; the text is made only if somebody wants it.
    #[inline]
    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(line());
        }
    }

    /// Where schedule position 0 of round 0 of a height is, once the height before is decided.
    pub(super) fn cursor(&self, height: u8) -> Option<usize> {
        let close = self.base(height)?;
        if height == 1 {
            return Some(0);
        }
        let round = usize::from(round_of(self.tree.get(close).term));
        Some(round + usize::from(self.shape.short_windows))
    }
    /// Who leads a round.
    pub(super) fn leader(&self, height: u8, round: u8) -> Option<u8> {
        let cursor = self.cursor(height)?;
        Some(self.shape.order[(cursor + usize::from(round)) % self.shape.n])
    }
    /// Last frame of the height before, once that is decided.
    pub(super) fn base(&self, height: u8) -> Option<Id> {
        if height == 1 {
            return Some(0);
        }
        let decided = self.decided[height as usize - 1];
        (decided != 0).then(|| decided.trailing_zeros() as Id)
    }
    /// The term whose frames count in a round.
    pub(super) fn term(&self, height: u8, round: u8) -> Option<u8> {
        if round > 0 || height == 1 {
            return Some(at(height, round));
        }
        let close = self.base(height)?;
        Some(if self.shape.short_windows { at(height, 0) } else { self.tree.get(close).term })
    }
    /// The TermInit that frames of round 0 of a height name.
    pub(super) fn init_of_round_0(&self, height: u8) -> u8 {
        match self.base(height) {
            Some(close) if !self.shape.short_windows => self.tree.get(close).init,
            _ => NO_INIT,
        }
    }

    /// Signs a frame, if the walk has room for it.
    pub(super) fn sign_frame(&mut self, parent: Id, term: u8, init: u8, close: bool) -> Option<Id> {
        if self.tree.len() >= MAX_FRAMES {
            return None;
        }
        let above = *self.tree.get(parent);
        let height = above.height + u8::from(above.close);
        for sibling in super::tree::Bits(self.tree.kids(parent)) {
            if self.tree.get(sibling).term == term {
                self.equivocated |= 1 << term;
            }
        }
        let hash = self.dice.next();
        let id = self.tree.add(Frame { parent, term, init, height, close, hash });
        self.note(|| {
            let end = if close { ", CLOSE" } else { "" };
            let (h, r) = (height_of(term), round_of(term));
            format!("frame {id} after {parent}: height {height}{end}, term ({h},{r}), init {init}")
        });
        Some(id)
    }

    /// Signs a TermInit or a proposal of an old value.
    pub(super) fn propose(&mut self, at: u8, proposal: Proposal) {
        let all = &mut self.proposals[at as usize];
        if all.contains(&proposal) {
            return;
        }
        let fresh = |p: &Proposal| matches!(p, Proposal::Fresh(_));
        if fresh(&proposal) && all.iter().any(fresh) {
            self.equivocated |= 1 << at;
        }
        all.push(proposal);
        let text = match proposal {
            Proposal::Fresh(init) => {
                let i = &self.inits[init as usize];
                let reports: Vec<_> = super::tree::Bits(u64::from(i.from))
                    .map(|v| (v, i.reports[v as usize]))
                    .collect();
                format!("TermInit {init} carries {} by (who, (round, tip)) {reports:?}", i.carry)
            }
            Proposal::Again(value, round) => format!("proposes {value} of round {round} again"),
        };
        self.note(|| format!("({},{}): {text}", height_of(at), round_of(at)));
    }

    /// Whether correct prevotes and those of all liars are a polka.
    pub(super) fn polka(&self, at: u8, value: Id) -> bool {
        self.polkas[at as usize] >> value & 1 == 1
    }
}

/// Counts a signature; returns all correct signers of the same.
pub(super) fn count(signed: &mut Signed, what: Id, who: u8) -> u16 {
    if let Some((_, signers)) = signed.iter_mut().find(|(id, _)| *id == what) {
        *signers |= 1 << who;
        return *signers;
    }
    signed.push((what, 1 << who));
    1 << who
}
