//! The checkpoints of execution: what the own one gave, and what certified headers say.
//!
//! Not for: what a CLOSE must name (`preconf`). Invariant: nothing is learned of a header without more than two thirds
//! of its set; an execution that the set did not certify stops this replica, and never another one;
//! and this one signs for no root that it has from a certificate only: evidence holds signers to what they executed.

use super::{Input, Replica};
use crate::machine::Fatal;
use rota_types::{CommitCertificate, Header};

impl Replica {
    /// Execution has come past a checkpoint: a CLOSE that names it can be made and judged from this step on, also by
    /// a replica that only listens yet.
    pub(super) fn note_lag(&mut self, input: &Input) -> Result<(), Fatal> {
        if let Input::Lag { height, root } = input {
            self.rules.lags.executed(*height, *root)?;
        }
        Ok(())
    }

    /// Takes what a decided height of a peer names. Execution here may be far behind. Gives the checkpoint if its root is
    /// known from there only.
    pub(super) fn learn_lag(
        &mut self,
        header: &Header,
        certificate: &CommitCertificate,
    ) -> Result<Option<u64>, Fatal> {
        let Some(point) = self.rules.lags.named_by(header.height()) else { return Ok(None) };
        // A bad certificate is its sender's fault, and is found to be bad by the machine.
        if certificate.verify(self.epoch.set(), &self.rules.domain).is_err() {
            return Ok(None);
        }
        let known = self.rules.lags.at(header.height()).is_some();
        self.rules.lags.certified(header)?;
        Ok((!known).then_some(point))
    }

    /// Forgets what was learned with a height that is not decided here yet: a vote for it waits for the own execution.
    pub(super) fn unlearn_lag(&mut self, learned: Option<u64>) {
        if let Some(point) = learned {
            self.rules.lags.forget(point);
        }
    }
}
