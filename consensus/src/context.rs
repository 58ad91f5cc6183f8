//! Malachite's view of Rota: which of our types play which part in its `Context`.
//!
//! Not for: anything above this crate; nothing here is public outside it.
//! Invariant: a value's identity is the digest of its header; the attached TermInit never takes part in
//! comparisons.

use alloy_primitives::{Address as EthAddress, B256};
use malachite_types::{
    Address, Context, Height, LinearTimeouts, NilOrVal, Proposal, ProposalPart, Round,
    SignedExtension, SigningScheme, Validator, ValidatorSet, Value, Vote, VoteType,
};
use rota_preconf::{Cursor, Schedule};
use rota_types::{Header, SignedTermInit, ValidatorSet as Set, VoteSignature};
use std::{cmp::Ordering, fmt, sync::Arc};

#[derive(Debug, Clone)]
pub(crate) struct Ctx;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct H(pub(crate) u64);

/// Index in the set of the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Index(pub(crate) u16);

#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub(crate) id: B256,
    pub(crate) header: Arc<Header>,
    pub(crate) init: Option<Arc<SignedTermInit>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prop {
    pub(crate) height: H,
    pub(crate) round: Round,
    pub(crate) cut: Cut,
    pub(crate) pol: Round,
    pub(crate) proposer: Index,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ballot {
    pub(crate) kind: VoteType,
    pub(crate) height: H,
    pub(crate) round: Round,
    pub(crate) value: NilOrVal<B256>,
    pub(crate) voter: Index,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sig(pub(crate) VoteSignature);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) EthAddress);

/// K_vote as Malachite's signing scheme; private keys stay outside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Secp;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    index: Index,
    key: Key,
    power: u64,
}

/// The set with what decides the proposer of each round at one height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Members(Arc<MembersInner>);

#[derive(Debug, PartialEq, Eq)]
struct MembersInner {
    members: Vec<Member>,
    total: u64,
    schedule: Schedule,
    cursor: Cursor,
}

impl Members {
    pub(crate) fn new(set: &Set, schedule: &Schedule, cursor: Cursor) -> Self {
        let members = set
            .iter()
            .map(|(i, v)| Member { index: Index(i), key: Key(v.vote_key), power: v.power() })
            .collect();
        Self(Arc::new(MembersInner {
            members,
            total: set.total(),
            schedule: schedule.clone(),
            cursor,
        }))
    }
}

impl Cut {
    pub(crate) const fn new(
        id: B256,
        header: Arc<Header>,
        init: Option<Arc<SignedTermInit>>,
    ) -> Self {
        Self { id, header, init }
    }
}

impl PartialEq for Cut {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
impl Eq for Cut {}
impl PartialOrd for Cut {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Cut {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}
impl Value for Cut {
    type Id = B256;
    fn id(&self) -> B256 {
        self.id
    }
}

impl fmt::Display for H {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl Height for H {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);
    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }
    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }
    fn as_u64(&self) -> u64 {
        self.0
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl Address for Index {}

impl Proposal<Ctx> for Prop {
    fn height(&self) -> H {
        self.height
    }
    fn round(&self) -> Round {
        self.round
    }
    fn value(&self) -> &Cut {
        &self.cut
    }
    fn take_value(self) -> Cut {
        self.cut
    }
    fn pol_round(&self) -> Round {
        self.pol
    }
    fn validator_address(&self) -> &Index {
        &self.proposer
    }
}

/// Proposal parts are not used: frames travel in their own lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoPart;
impl ProposalPart<Ctx> for NoPart {
    fn is_first(&self) -> bool {
        true
    }
    fn is_last(&self) -> bool {
        true
    }
}

impl Vote<Ctx> for Ballot {
    fn height(&self) -> H {
        self.height
    }
    fn round(&self) -> Round {
        self.round
    }
    fn value(&self) -> &NilOrVal<B256> {
        &self.value
    }
    fn take_value(self) -> NilOrVal<B256> {
        self.value
    }
    fn vote_type(&self) -> VoteType {
        self.kind
    }
    fn validator_address(&self) -> &Index {
        &self.voter
    }
    fn extension(&self) -> Option<&SignedExtension<Ctx>> {
        None
    }
    fn take_extension(&mut self) -> Option<SignedExtension<Ctx>> {
        None
    }
    fn extend(self, _extension: SignedExtension<Ctx>) -> Self {
        self
    }
}

impl SigningScheme for Secp {
    type DecodingError = &'static str;
    type Signature = Sig;
    type PublicKey = Key;
    type PrivateKey = ();
    fn decode_signature(bytes: &[u8]) -> Result<Sig, &'static str> {
        bytes.try_into().map(Sig).map_err(|_| "a vote signature has 65 bytes")
    }
    fn encode_signature(signature: &Sig) -> Vec<u8> {
        signature.0.to_vec()
    }
    fn decode_public_key(bytes: &[u8]) -> Result<Key, &'static str> {
        EthAddress::try_from(bytes).map(Key).map_err(|_| "a vote key is an address of 20 bytes")
    }
    fn encode_public_key(key: &Key) -> Vec<u8> {
        key.0.to_vec()
    }
}

impl Validator<Ctx> for Member {
    fn address(&self) -> &Index {
        &self.index
    }
    fn public_key(&self) -> &Key {
        &self.key
    }
    fn voting_power(&self) -> u64 {
        self.power
    }
}

impl ValidatorSet<Ctx> for Members {
    fn count(&self) -> usize {
        self.0.members.len()
    }
    fn total_voting_power(&self) -> u64 {
        self.0.total
    }
    fn get_by_address(&self, address: &Index) -> Option<&Member> {
        self.0.members.get(usize::from(address.0))
    }
    fn get_by_index(&self, index: usize) -> Option<&Member> {
        self.0.members.get(index)
    }
}

impl Context for Ctx {
    type Address = Index;
    type Height = H;
    type ProposalPart = NoPart;
    type Proposal = Prop;
    type Validator = Member;
    type ValidatorSet = Members;
    type Timeouts = LinearTimeouts;
    type Value = Cut;
    type Vote = Ballot;
    type Extension = Vec<u8>;
    type SigningScheme = Secp;

    fn select_proposer<'a>(&self, members: &'a Members, _height: H, round: Round) -> &'a Member {
        let leader = members.0.schedule.leader(members.0.cursor, round.as_u32().unwrap_or(0));
        // A schedule is made from the set itself, so its indexes are in range; the first member
        // stands in for the empty case, which no caller builds.
        members.0.members.get(usize::from(leader)).unwrap_or(&EMPTY)
    }

    fn new_proposal(&self, height: H, round: Round, cut: Cut, pol: Round, proposer: Index) -> Prop {
        Prop { height, round, cut, pol, proposer }
    }

    fn new_prevote(&self, height: H, round: Round, value: NilOrVal<B256>, voter: Index) -> Ballot {
        Ballot { kind: VoteType::Prevote, height, round, value, voter }
    }

    fn new_precommit(
        &self,
        height: H,
        round: Round,
        value: NilOrVal<B256>,
        voter: Index,
    ) -> Ballot {
        Ballot { kind: VoteType::Precommit, height, round, value, voter }
    }
}

static EMPTY: Member = Member { index: Index(u16::MAX), key: Key(EthAddress::ZERO), power: 0 };
