//! The caps on insured amounts, as a rule of frames (`docs/insurance.md`, "Caps").
//!
//! Invariant (I-21): what is insured on the frames that may be undecided is at most what the least stake among their
//! leaders covers, so whoever's contradiction takes them back pays for all of it; and the set's total keeps its cap.

use super::{BadFrame, Chain};
use crate::{Frame, Room};
use rota_types::{Env, Flags, FrameHeader};

impl Chain {
    /// How much the leader that may continue can still insure. `env` is of the next height, if none is open.
    #[must_use]
    pub fn room(&self, env: Option<&Env>) -> Room {
        let context = self.context();
        let env = self.open.env.as_ref().or(env);
        let total = env.map_or(context.insured.total, |env| context.insured_at(env));
        let cum = self.open.insured_cum;
        let leader = self.stream.leader;
        Room::new(
            (context.epoch.number(), leader),
            (self.least_with(leader), context.insured.before.saturating_add(cum)),
            (context.epoch.total(), total.saturating_add(cum)),
        )
    }

    /// Least stake among the leaders of the frames that may be undecided, and this one, gwei.
    fn least_with(&self, leader: u16) -> u64 {
        let context = self.context();
        let own = context.epoch.set().get(leader).map_or(0, rota_types::Validator::power);
        own.min(context.insured.least_gwei).min(self.open.least_gwei.unwrap_or(u64::MAX))
    }

    pub(super) fn check_insured(&self, frame: &Frame) -> Result<(), BadFrame> {
        let (h, body) = (&frame.signed.header, &frame.signed.body);
        let start = if h.flags.has(Flags::OPEN) { 0 } else { self.open.insured_cum };
        let sum = body.insured.iter().try_fold(start, |sum, wei| sum.checked_add(*wei));
        if sum != Some(h.insured_cum) {
            return Err(BadFrame::Rule("insured_cum is not the sum of the insured amounts"));
        }
        if body.insured.is_empty() {
            return Ok(());
        }
        let added = h.insured_cum.saturating_sub(start);
        if added == 0 || body.insured.len() != frame.txs.len() {
            return Err(BadFrame::Rule("insured amounts are not one for each, or all zero"));
        }
        let room = self.room(body.env.as_ref());
        if added > room.leader_free() {
            return Err(BadFrame::Rule("more is insured than the least stake of a leader covers"));
        }
        if added > room.set_free() {
            return Err(BadFrame::Rule("more is insured than the set may have insured"));
        }
        Ok(())
    }

    /// Notes what an accepted frame insures, and who led it.
    pub(super) fn note_insured(&mut self, h: &FrameHeader) {
        self.open.insured_cum = h.insured_cum;
        let leader = self.context().epoch.set().get(h.leader);
        let stake = leader.map_or(0, rota_types::Validator::power);
        self.open.least_gwei = Some(self.open.least_gwei.map_or(stake, |least| least.min(stake)));
    }
}
