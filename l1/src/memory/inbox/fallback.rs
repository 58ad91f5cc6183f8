//! What happens when the set stops.
//!
//! Invariant: step by step as `Fallback.sol`.

use super::{Abi, Around, Inbox, Message, Stall, decode_header};
use crate::Refusal;
use crate::TurnKind;
use crate::forced::uncertified;
use crate::memory::contracts::Effect;
use alloy_primitives::U256;

impl Inbox {
    /// Last L1 block in which a fallback may not start yet.
    fn stalled_after(&self, around: &Around<'_>) -> u64 {
        let Some(base) = around.registry.base() else { return u64::MAX };
        let start = self.stall.set.map_or(0, |(_, start)| start);
        let since = base.max(self.tip.l1_number).max(self.stall.since).max(start);
        since.saturating_add(around.params.rules.fallback_blocks)
    }

    fn in_fallback(&self, block: u64) -> bool {
        self.resuming && self.stall.set.is_none_or(|(_, start)| block < start)
    }

    pub(super) fn activate(&mut self, around: &Around<'_>, m: Message) -> Result<Effect, Refusal> {
        refuse("Inbox_NotStalled", m.block <= self.stalled_after(around))?;
        self.generation = self.generation.saturating_add(1);
        self.resuming = true;
        self.stall = Stall { since: m.block, set: None };
        Ok(Effect::Turn(TurnKind::Fallback { generation: self.generation }))
    }

    pub(super) fn submit_uncertified(
        &self,
        around: &Around<'_>,
        m: Message,
        c: &Abi::submitUncertifiedCall,
    ) -> Result<Effect, Refusal> {
        refuse("Inbox_NoFallback", !self.in_fallback(m.block))?;
        let header = decode_header(&c.header)?;
        self.check_header(m, &c.b, &header)?;
        if header.env.l1_number < self.tip.l1_number {
            return Err(Refusal::OriginBackwards(self.tip.l1_number));
        }
        if around.blob_hashes.is_empty() {
            return Err(Refusal::NoBlob);
        }
        let batch = uncertified(&c.b, header, around.blob_hashes.to_vec());
        Ok(Effect::Turn(TurnKind::Uncertified(Box::new(batch))))
    }

    pub(super) fn roll_call(
        &mut self,
        around: &Around<'_>,
        m: Message,
        (generation, operator): (u32, U256),
    ) -> Result<Effect, Refusal> {
        self.check_roll_call()?;
        if generation != self.generation {
            return Err(Refusal::WrongGeneration(generation));
        }
        let unknown = Refusal::Registry("Registry_UnknownOperator");
        let may = around.registry.answers_for(operator, m.sender).ok_or(unknown)?;
        refuse("Inbox_NotOperator", !may)?;
        self.answered.insert((generation, operator));
        Ok(Effect::Other)
    }

    pub(super) fn form(&mut self, around: &mut Around<'_>, m: Message) -> Result<Effect, Refusal> {
        self.check_roll_call()?;
        let rules = around.params.rules;
        let until = self.stall.since.saturating_add(rules.roll_call_blocks);
        refuse("Inbox_RollCallOpen", m.block <= until)?;
        let members = around.registry.newest().map_or_else(Vec::new, |(_, m)| m.to_vec());
        let (mut places, mut weight, mut total) = (Vec::new(), 0u64, 0u64);
        for (place, (id, w)) in members.iter().enumerate() {
            total = total.saturating_add(*w);
            let here = self.answered.contains(&(self.generation, U256::from(*id)));
            if here && !around.registry.is_jailed(*id) {
                places.push(place);
                weight = weight.saturating_add(*w);
            }
        }
        refuse("Inbox_TooFewResponders", weight == 0 || weight.saturating_mul(5) < total)?;
        let frozen = around.registry.freeze_emergency(around.params, m.block, &places);
        let epoch = frozen.map_err(|_| Refusal::Registry("Registry_TooFewOperators"))?;
        let start = around.registry.frozen_sets(around.params).start(epoch).unwrap_or(0);
        self.stall.set = Some((epoch, start));
        let generation = self.generation;
        Ok(Effect::Turn(TurnKind::EmergencySet { generation, epoch, start }))
    }

    fn check_roll_call(&self) -> Result<(), Refusal> {
        refuse("Inbox_NoFallback", !self.resuming)?;
        refuse("Inbox_RollCallOver", self.stall.set.is_some())
    }
}

fn refuse(name: &'static str, when: bool) -> Result<(), Refusal> {
    if when { Err(Refusal::Inbox(name)) } else { Ok(()) }
}
