//! The rules of `Registry`, in Rust, for the chain in memory.
//!
//! Invariant: the same checks in the same order with the same names as `contracts/src`.

mod freeze;

use super::MemoryParams;
use crate::bindings::Registry as Abi;
use crate::sets::FrozenSets;
use crate::{L1Error, Refusal};
use alloy_primitives::{Address, U256};
use alloy_sol_types::SolInterface;
use rota_types::{Validator, ValidatorSet, VoteSignature, recover_vote, verify_seq};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// As `Operators.MAX_PEER_LENGTH`.
const MAX_PEER_LENGTH: usize = 256;
const GWEI: u64 = 1_000_000_000;

/// Where an operator is on its way, as stored: `Withdrawable` comes with time alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Queued,
    Active,
    Exiting,
    Gone,
    Jailed,
}

/// First set without an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// None ever had it.
    Never,
    /// The newest has it.
    Not,
    At(u64),
}

#[derive(Debug, Clone)]
struct Operator {
    is: Validator,
    state: State,
    from_epoch: u64,
    until_epoch: u64,
    left: Left,
    /// Vote key, ed25519 key and first epoch of the keys that wait.
    rotation: Option<(Address, [u8; 32], u64)>,
}

/// Ids and weights (gwei) of a frozen set, and the set.
#[derive(Debug, Clone)]
struct Frozen {
    members: Vec<(usize, u64)>,
    set: ValidatorSet,
}

/// A call as the contract sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    pub(super) sender: Address,
    pub(super) value: U256,
    /// L1 block and its time, seconds.
    pub(super) block: u64,
    pub(super) time: u64,
}

/// What the registry holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Registry {
    base: Option<u64>,
    operators: Vec<Operator>,
    queue: VecDeque<usize>,
    challenger: Option<usize>,
    exits: VecDeque<usize>,
    used: BTreeSet<Vec<u8>>,
    frozen: BTreeMap<u64, Frozen>,
}

impl Registry {
    /// With operators that are there from the start, as set 0, frozen in block 0.
    pub(super) fn new(operators: Vec<Validator>, params: &MemoryParams) -> Self {
        let mut registry = Self::default();
        for validator in operators {
            registry.used.insert(validator.seq_key.to_vec());
            registry.used.insert(validator.vote_key.to_vec());
            registry.enter(validator, 0);
        }
        if !registry.operators.is_empty() {
            registry.freeze_first(params, 0);
        }
        registry
    }

    pub(super) fn operators(&self) -> Vec<Validator> {
        self.operators.iter().map(|o| o.is.clone()).collect()
    }

    /// A frozen set, with the fee recipients and addresses of now.
    pub(super) fn set(&self, epoch: u64) -> Option<ValidatorSet> {
        let frozen = self.frozen.get(&epoch)?;
        let members = frozen.set.iter().zip(&frozen.members).map(|((_, v), (id, _))| {
            let now = self.operators.get(*id).map_or(v, |o| &o.is);
            Validator { fee_recipient: now.fee_recipient, peer: now.peer.clone(), ..v.clone() }
        });
        Some(ValidatorSet::new(epoch, members.collect()))
    }

    /// Ids and weights of the newest frozen set, and its epoch.
    pub(super) fn newest(&self) -> Option<(u64, &[(usize, u64)])> {
        self.frozen.last_key_value().map(|(e, f)| (*e, f.members.as_slice()))
    }

    pub(super) fn frozen_sets(&self, params: &MemoryParams) -> FrozenSets {
        FrozenSets {
            base: self.base,
            epoch_blocks: params.rules.epoch_blocks.into(),
            epochs: self.frozen.keys().copied().collect(),
        }
    }

    pub(super) const fn base(&self) -> Option<u64> {
        self.base
    }

    /// Whether `account` is the owner or the vote key; none for an unknown operator.
    pub(super) fn answers_for(&self, operator: U256, account: Address) -> Option<bool> {
        let o = self.operators.get(usize::try_from(operator).ok()?)?;
        Some(o.is.owner == account || o.is.vote_key == account)
    }

    pub(super) fn is_jailed(&self, id: usize) -> bool {
        self.operators.get(id).is_some_and(|o| o.state == State::Jailed)
    }

    /// Runs a call; gives what is paid out and to whom.
    pub(super) fn call(
        &mut self,
        params: &MemoryParams,
        m: Message,
        input: &[u8],
    ) -> Result<Option<(Address, U256)>, L1Error> {
        use Abi::RegistryCalls as C;
        let call = C::abi_decode(input).map_err(|_| no_function())?;
        let payable = matches!(call, C::register(_) | C::topUp(_));
        if !payable && !m.value.is_zero() {
            return Err(L1Error::Reverted("not payable".into()));
        }
        let epoch = self.effective(params, m.block);
        match call {
            C::register(c) => self.register(params, m, &c.r, epoch)?,
            C::topUp(c) => self.top_up(m, c.operator)?,
            C::rotate(c) => self.rotate(params, m, (c.operator, &c.r), epoch)?,
            C::update(c) => self.update(m, c)?,
            C::requestExit(c) => self.request_exit(m, c.operator, epoch)?,
            C::rejoin(c) => self.rejoin(m, c.operator, epoch)?,
            C::withdraw(c) => return self.withdraw(params, m, c).map(Some),
            C::seize(c) => return self.seize(params, m, c.operator).map(Some),
            C::nominate(c) => self.nominate(params, m, c.operator)?,
            C::freezeSet(c) => self.freeze_set(params, m.block, c.epoch)?,
            C::freezeEmergency(_) => refuse("Registry_NotInbox", true)?,
            _ => return Err(no_function()),
        }
        Ok(None)
    }

    /// First epoch whose set shows what is asked for now.
    fn effective(&self, params: &MemoryParams, block: u64) -> u64 {
        match self.base {
            None => 0,
            Some(_) => self.frozen_sets(params).current(block).saturating_add(2),
        }
    }

    fn register(
        &mut self,
        params: &MemoryParams,
        m: Message,
        r: &Abi::Registration,
        epoch: u64,
    ) -> Result<(), L1Error> {
        let least = params.min_stake.max(U256::from(GWEI));
        refuse("Registry_StakeTooLow", m.value < least)?;
        refuse("Registry_StakeTooHigh", m.value.bit_len() > 88)?;
        self.take_keys(params, m.sender, r)?;
        let validator = Validator {
            owner: m.sender,
            seq_key: r.seqKey.0,
            vote_key: r.voteKey,
            stake: m.value,
            fee_recipient: r.feeRecipient,
            peer: String::from_utf8_lossy(&r.peer).into_owned(),
        };
        self.enter(validator, epoch);
        Ok(())
    }

    fn enter(&mut self, is: Validator, from_epoch: u64) {
        self.queue.push_back(self.operators.len());
        let (state, left) = (State::Queued, Left::Never);
        let operator = Operator { is, state, from_epoch, until_epoch: 0, left, rotation: None };
        self.operators.push(operator);
    }

    fn take_keys(
        &mut self,
        params: &MemoryParams,
        owner: Address,
        r: &Abi::Registration,
    ) -> Result<(), L1Error> {
        refuse("Registry_ZeroVoteKey", r.voteKey.is_zero())?;
        check_plain(r.feeRecipient, &r.peer)?;
        let (seq, vote) = (r.seqKey.to_vec(), r.voteKey.to_vec());
        refuse("Registry_SeqKeyUsed", self.used.contains(&seq))?;
        refuse("Registry_VoteKeyUsed", self.used.contains(&vote))?;
        check_possession(params, owner, r)?;
        self.used.extend([seq, vote]);
        Ok(())
    }

    fn top_up(&mut self, m: Message, operator: U256) -> Result<(), L1Error> {
        let o = self.owned(operator, m.sender)?;
        refuse("Registry_WrongState", !matches!(o.state, State::Queued | State::Active))?;
        let stake = o.is.stake.saturating_add(m.value);
        refuse("Registry_StakeTooHigh", stake.bit_len() > 88)?;
        o.is.stake = stake;
        Ok(())
    }

    fn rotate(
        &mut self,
        params: &MemoryParams,
        m: Message,
        (operator, r): (U256, &Abi::Registration),
        epoch: u64,
    ) -> Result<(), L1Error> {
        let o = self.owned(operator, m.sender)?;
        let serves = matches!(o.state, State::Queued | State::Active)
            || (o.state == State::Exiting && o.left == Left::Not);
        refuse("Registry_WrongState", !serves)?;
        self.take_keys(params, m.sender, r)?;
        let o = self.owned(operator, m.sender)?;
        o.rotation = Some((r.voteKey, r.seqKey.0, epoch));
        o.is.fee_recipient = r.feeRecipient;
        o.is.peer = String::from_utf8_lossy(&r.peer).into_owned();
        Ok(())
    }

    fn update(&mut self, m: Message, c: Abi::updateCall) -> Result<(), L1Error> {
        let o = self.owned(c.operator, m.sender)?;
        check_plain(c.feeRecipient, &c.peer)?;
        o.is.fee_recipient = c.feeRecipient;
        o.is.peer = String::from_utf8_lossy(&c.peer).into_owned();
        Ok(())
    }

    fn request_exit(&mut self, m: Message, operator: U256, epoch: u64) -> Result<(), L1Error> {
        let id = self.known(operator)?;
        let o = self.owned(operator, m.sender)?;
        refuse("Registry_WrongState", !matches!(o.state, State::Queued | State::Active))?;
        let waited = o.state == State::Queued;
        o.state = State::Exiting;
        if waited {
            self.dequeue(id);
        } else {
            o.until_epoch = epoch;
            self.exits.push_back(id);
        }
        Ok(())
    }

    fn rejoin(&mut self, m: Message, operator: U256, epoch: u64) -> Result<(), L1Error> {
        let id = self.known(operator)?;
        let o = self.owned(operator, m.sender)?;
        refuse("Registry_WrongState", o.state != State::Exiting || o.left == Left::Not)?;
        (o.state, o.from_epoch) = (State::Queued, epoch);
        self.queue.push_back(id);
        Ok(())
    }

    fn withdraw(
        &mut self,
        params: &MemoryParams,
        m: Message,
        c: Abi::withdrawCall,
    ) -> Result<(Address, U256), L1Error> {
        let sets = self.frozen_sets(params);
        let o = self.owned(c.operator, m.sender)?;
        refuse("Registry_WrongState", o.state != State::Exiting)?;
        let unbond = u64::from(params.rules.unbond_epochs);
        let unlock = match o.left {
            Left::Never => 0,
            Left::Not => u64::MAX,
            Left::At(left) => sets.start(left.saturating_add(unbond)).unwrap_or(0),
        };
        refuse("Registry_Locked", m.block < unlock)?;
        o.state = State::Gone;
        Ok((c.to, std::mem::take(&mut o.is.stake)))
    }

    fn seize(
        &mut self,
        params: &MemoryParams,
        m: Message,
        operator: U256,
    ) -> Result<(Address, U256), L1Error> {
        refuse("Registry_NotSlasher", m.sender != params.slasher)?;
        let id = self.known(operator)?;
        let o = self.operators.get_mut(id).ok_or_else(no_function)?;
        if o.state == State::Gone {
            return Ok((params.slasher, U256::ZERO));
        }
        let waited = o.state == State::Queued;
        o.state = State::Jailed;
        let amount = std::mem::take(&mut o.is.stake);
        if waited {
            self.dequeue(id);
        }
        Ok((params.slasher, amount))
    }

    fn nominate(
        &mut self,
        params: &MemoryParams,
        m: Message,
        operator: U256,
    ) -> Result<(), L1Error> {
        let id = self.known(operator)?;
        let next = self.frozen_sets(params).current(m.block).saturating_add(1);
        let stake = |id: usize| self.operators.get(id).map(|o| o.is.stake);
        let may = |o: &Operator| o.state == State::Queued && o.from_epoch <= next;
        refuse("Registry_WrongState", !self.operators.get(id).is_some_and(may))?;
        if self.challenger.is_none_or(|present| stake(present) < stake(id)) {
            self.challenger = Some(id);
        }
        Ok(())
    }

    fn dequeue(&mut self, id: usize) {
        self.queue.retain(|other| *other != id);
        self.challenger = self.challenger.filter(|other| *other != id);
    }

    fn known(&self, operator: U256) -> Result<usize, L1Error> {
        let id = usize::try_from(operator).ok().filter(|id| *id < self.operators.len());
        id.ok_or(L1Error::Refused(Refusal::Registry("Registry_UnknownOperator")))
    }

    fn owned(&mut self, operator: U256, sender: Address) -> Result<&mut Operator, L1Error> {
        let id = self.known(operator)?;
        let o = self.operators.get_mut(id).ok_or_else(no_function)?;
        refuse("Registry_NotOwner", o.is.owner != sender)?;
        Ok(o)
    }
}

fn check_plain(fee_recipient: Address, peer: &[u8]) -> Result<(), L1Error> {
    refuse("Registry_ZeroFeeRecipient", fee_recipient.is_zero())?;
    refuse("Registry_PeerTooLong", peer.len() > MAX_PEER_LENGTH)
}

fn check_possession(
    params: &MemoryParams,
    owner: Address,
    r: &Abi::Registration,
) -> Result<(), L1Error> {
    let digest = params.domain.possession(owner, r.voteKey, &r.seqKey.0, r.feeRecipient, &r.peer);
    let typed = params.domain.possession_vote(digest);
    let vote_sig: Option<VoteSignature> = r.voteSig.as_ref().try_into().ok();
    refuse("Registry_HighS", vote_sig.as_ref().is_some_and(is_high_s))?;
    let signer = vote_sig.and_then(|s| recover_vote(&typed, &s).ok());
    refuse("Registry_BadVoteProof", signer != Some(r.voteKey))?;
    let seq_sig = [r.seqR.0, r.seqS.0].concat().try_into().unwrap_or([0; 64]);
    refuse("Registry_BadSeqProof", verify_seq(&r.seqKey.0, &digest, &seq_sig).is_err())
}

/// Whether s lies in the upper half of the curve's order.
fn is_high_s(sig: &VoteSignature) -> bool {
    const HALF_ORDER: U256 = U256::from_limbs([
        0xdfe9_2f46_681b_20a0,
        0x5d57_6e73_57a4_501d,
        0xffff_ffff_ffff_ffff,
        0x7fff_ffff_ffff_ffff,
    ]);
    sig.get(32..64).is_some_and(|s| U256::from_be_slice(s) > HALF_ORDER)
}

pub(super) fn no_function() -> L1Error {
    L1Error::Reverted("no such function".into())
}

fn refuse(name: &'static str, when: bool) -> Result<(), L1Error> {
    if when { Err(L1Error::Refused(Refusal::Registry(name))) } else { Ok(()) }
}
