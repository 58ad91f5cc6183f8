//! Going on at a height from what the write-ahead log holds of it.
//!
//! Invariant: nothing of the log is sent again before the guard knows of it, and no value is voted for whose frames
//! are not here.

use super::{Act, Fatal, Machine};
use crate::{
    context::{Ctx, H, Members},
    convert, wal,
};
use alloy_primitives::B256;
use malachite_core::Input;
use malachite_types::VoteExtensionPolicy;
use rota_store::{Intent, Known, Watermarks};
use std::collections::BTreeSet;

impl Machine {
    /// Starts a height again from what the log holds of it.
    #[expect(clippy::too_many_arguments, reason = "place, members, log, and where effects go")]
    pub(crate) fn replay(
        &mut self,
        height: u64,
        members: Members,
        entries: &[Vec<u8>],
        lost: &BTreeSet<B256>,
        guard: &mut Watermarks,
        out: &mut Vec<Act>,
    ) -> Result<(), Fatal> {
        let mut inputs = Vec::new();
        for bytes in entries {
            if let (at, wal::Entry::Input(input)) = wal::decode(bytes, &self.domain)?
                && at == height
                && !self.is_lost(&input, lost, guard)
            {
                inputs.push(input);
            }
        }
        self.state.index_wal_entries(inputs.iter());
        self.replaying = true;
        self.earlier = Some(guard.clone());
        let policy = VoteExtensionPolicy::Disabled;
        self.step(Input::StartHeight(H(height), members, true, None, policy), guard, out)?;
        // All of them first: the core may sign something newer before it comes to an older entry.
        for input in &inputs {
            self.remember(input, guard, out)?;
        }
        for input in inputs {
            self.step(input, guard, out)?;
        }
        self.replaying = false;
        self.state.reset_entries_index();
        Ok(())
    }

    /// A power loss can keep the log and lose frames. A value without its frames is not one this node may vote
    /// for, and what it signed for it never left: the guard would know of it.
    fn is_lost(&self, input: &Input<Ctx>, lost: &BTreeSet<B256>, guard: &Watermarks) -> bool {
        let value = match input {
            Input::ProposedValue(v, _) => return lost.contains(&v.value.id),
            Input::Vote(v) => convert::vote_of(&v.message, self.epoch).value_id,
            Input::Proposal(p) => p.message.cut.id,
            _ => return false,
        };
        let unknown = |intent| guard.known(&intent) != Known::Yes;
        lost.contains(&value) && self.own_intent(input).is_some_and(unknown)
    }

    /// What an own message of the log says.
    fn own_intent(&self, input: &Input<Ctx>) -> Option<Intent> {
        match input {
            Input::Vote(v) if v.message.voter == self.me => {
                let vote = convert::vote_of(&v.message, self.epoch);
                let (height, round, kind) = (vote.height, vote.round, vote.kind);
                Some(Intent::Vote { height, round, kind, value_id: vote.value_id })
            }
            Input::Proposal(p) if p.message.proposer == self.me => {
                let init = convert::fresh_init(&p.message);
                let init_hash = init.map(|i| i.init.hash(&self.domain)).unwrap_or_default();
                let proposal = convert::proposal_of(&p.message, self.epoch, init_hash);
                let (height, round) = (proposal.height, proposal.round);
                Some(Intent::Proposal { height, round, value_id: proposal.digest(&self.domain) })
            }
            _ => None,
        }
    }

    /// A crash between the log and the guard leaves own messages that only the log knows of: they are sent
    /// again, so the guard must know of them first.
    fn remember(
        &self,
        input: &Input<Ctx>,
        guard: &mut Watermarks,
        out: &mut Vec<Act>,
    ) -> Result<(), Fatal> {
        if let Some(intent) = self.own_intent(input).filter(|_| self.key.is_some())
            && guard.check_and_record(&intent)?
        {
            out.push(Act::Guard(intent));
        }
        Ok(())
    }
}
