//! The rules that tests can switch off, to see that the tests notice.
//!
//! Not for: a running node. Without the feature `mutations`, which no program enables, nothing can be
//! switched off and the question costs nothing.
//! Invariant: every rule that the safety of acked prefixes rests on has a variant here and a test that
//! catches its absence (`docs/protocol.md`, "What was tried without").

/// One rule switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutation {
    /// A4: acks that contradict an own prevote.
    AckAgainstPrevote,
    /// A5: frames after the CLOSE of the height are acked in rounds above 0.
    SpeculativeAck,
    /// The tip of any report of the highest round is carried, not the heaviest branch.
    AnyReport,
    /// A TermInit may carry anything.
    Unjustified,
    /// A Status does not report what was accepted, only what was acked.
    ForgetfulStatus,
    /// More than one third of acks count as more than two thirds.
    AckThird,
    /// A value is prevoted only if it extends what was acked.
    RefuseUnlessExtends,
    /// A set stays in force one height longer than it is.
    OldSet,
    /// Who is convicted in the chain keeps its windows.
    JailedLead,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::AckAgainstPrevote,
        Self::SpeculativeAck,
        Self::AnyReport,
        Self::Unjustified,
        Self::ForgetfulStatus,
        Self::AckThird,
        Self::RefuseUnlessExtends,
        Self::OldSet,
        Self::JailedLead,
    ];
}
