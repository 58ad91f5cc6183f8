//! The rules that a walk follows: all of them, or all but one.

use std::{fmt, str::FromStr};

/// One rule left out or replaced by a tempting simpler one. The model must find out each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A4 left out: an ack may contradict an own prevote.
    NoA4,
    /// A5 left out: frames beyond the CLOSE of the height are followed and acked in rounds above 0.
    NoA5,
    /// A TermInit may carry any report of the highest round instead of the heaviest branch.
    AnyReport,
    /// Fresh proposals of rounds above 0 need no reports.
    NoJustification,
    /// Status never names an accepted chain.
    NoReport,
    /// A third of the stake is enough for an ack quorum.
    WeakAcks,
    /// "I prevote only what extends my acks", instead of the justification by reports.
    ExtendsAcks,
    /// The reports of a TermInit need not be justified themselves.
    UnjustifiedReports,
    /// A prevoted re-proposal is not reported.
    SilentReproposal,
    /// A second TermInit of a round may replace the first.
    SecondOpinion,
    /// A2 left out: until something is accepted in the new round, the old stream is followed and acked.
    LateAcks,
    /// A1 left out: a re-proposal that came too late to be prevoted lets the old chain be acked.
    StaleAcks,
    /// Acks of different rounds of a height are added up.
    MixedRounds,
    /// A re-proposal is prevoted although a TermInit was accepted in the round.
    ReproposalAfterInit,
    /// A restart inside a height forgets what was accepted, and Status is given all the same.
    Forgetful,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::NoA4,
        Self::NoA5,
        Self::AnyReport,
        Self::NoJustification,
        Self::NoReport,
        Self::WeakAcks,
        Self::ExtendsAcks,
        Self::UnjustifiedReports,
        Self::SilentReproposal,
        Self::SecondOpinion,
        Self::LateAcks,
        Self::StaleAcks,
        Self::MixedRounds,
        Self::ReproposalAfterInit,
        Self::Forgetful,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoA4 => "no-a4",
            Self::NoA5 => "no-a5",
            Self::AnyReport => "any-report",
            Self::NoJustification => "no-justification",
            Self::NoReport => "no-report",
            Self::WeakAcks => "weak-acks",
            Self::ExtendsAcks => "extends-acks",
            Self::UnjustifiedReports => "unjustified-reports",
            Self::SilentReproposal => "silent-reproposal",
            Self::SecondOpinion => "second-opinion",
            Self::LateAcks => "late-acks",
            Self::StaleAcks => "stale-acks",
            Self::MixedRounds => "mixed-rounds",
            Self::ReproposalAfterInit => "reproposal-after-init",
            Self::Forgetful => "forgetful",
        }
    }
}

/// The rules in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules(Option<Mutation>);

impl Rules {
    /// The rules as they are written.
    pub const FULL: Self = Self(None);

    /// The rules with one mutation.
    #[must_use]
    pub const fn without(mutation: Mutation) -> Self {
        Self(Some(mutation))
    }
    /// Whether evidence against a correct signer ends a walk: under most mutations it appears long before
    /// the harm that the search is for.
    pub(super) const fn guards_signers(self) -> bool {
        matches!(
            self.0,
            None | Some(
                Mutation::SilentReproposal | Mutation::ReproposalAfterInit | Mutation::StaleAcks
            )
        )
    }
    /// Whether this mutation is in force.
    #[inline]
    #[must_use]
    pub fn has(self, mutation: Mutation) -> bool {
        self.0 == Some(mutation)
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("full", Mutation::name))
    }
}

impl FromStr for Rules {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "full" {
            return Ok(Self::FULL);
        }
        let known = Mutation::ALL.into_iter().find(|m| m.name() == name);
        known.map(Self::without).ok_or_else(|| {
            let names: Vec<&str> = Mutation::ALL.iter().map(|m| m.name()).collect();
            format!("no rules {name:?}; there are full, {}", names.join(", "))
        })
    }
}
