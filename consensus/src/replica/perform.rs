//! Carrying out what consensus wants, in its order.

use super::{Output, Replica, To};
use crate::machine::{Act, Fatal};
use rota_store::Intent;
use rota_types::{Millis, VoteKind, wire::Message};

impl Replica {
    /// Carries out what the machine wants.
    pub(super) fn perform(
        &mut self,
        now: Millis,
        acts: Vec<Act>,
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        for act in acts {
            match act {
                Act::Wal(bytes) => out.push(Output::Wal(bytes)),
                Act::Guard(intent) => {
                    self.note_vote(&intent);
                    if let Intent::Vote { round, kind: VoteKind::Prevote, value_id, .. } = intent
                        && round == self.round
                        && !value_id.is_zero()
                    {
                        self.on_prevote(&value_id, out);
                    }
                    out.push(Output::Guard(intent));
                }
                Act::Say(message) => {
                    if let Message::Polka(polka) = &message {
                        self.open.polkas.insert((polka.round, polka.value_id), polka.clone());
                    }
                    self.note_nil(self.seats.me(), &message);
                    self.say_again(&message, out);
                    out.push(Output::Send { to: To::Others, message, durable: true });
                }
                Act::Timer(timeout) => {
                    self.timers.set(now, timeout, &self.rules.params);
                    self.hurry_on(now);
                }
                Act::Cancel(timeout) => self.timers.cancel(timeout),
                Act::CancelAll => self.timers.clear(),
                Act::Round { round, proposer } => self.on_round(now, round, proposer, out)?,
                Act::NeedValue { round } => self.open.need_value = Some(round),
                Act::Decided { certificate, header } => {
                    self.on_decided(now, certificate, header, out)?;
                }
                Act::Finalized { misbehaved } => {
                    self.finished = !std::mem::take(&mut self.abandoned);
                    let epoch = self.epoch.number();
                    for validator in misbehaved {
                        let what = "two votes or proposals";
                        out.push(Output::Misbehaved { epoch, validator, what });
                    }
                }
                Act::SyncVerified(certificate) => self.on_sync_verified(now, &certificate, out)?,
                Act::SyncRejected(what) => {
                    if let Some(peer) = self.sync.peer() {
                        out.push(Output::Fault { peer, what });
                    }
                }
            }
        }
        Ok(())
    }
}
