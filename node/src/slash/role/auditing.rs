//! What the program does about execution: reads final outputs on L1, compares (`audit`), has older blocks proven, and judges
//! with what L1 says.
//!
//! Invariant: nothing of it is gossiped; nodes judge without an oracle and would refuse it.

use super::{Found, Report, Slasher};
use crate::slash::{
    DeskError,
    audit::{ANCESTORS, Audit, Lie},
    ledger::Remote,
    post,
};
use eyre::{WrapErr, eyre};
use rota_l1::{At, Court, Deployment, L1, Outputs};
use rota_types::{Evidence, EvidenceError};
use std::path::Path;

/// L1 blocks in which evidence is taken at most (56 epochs of 1,800): older outputs are not read.
const BACK: u64 = 100_800;
/// Lies that wait for their block to be proven. Policy when full: the oldest are dropped, they cost their signers no more.
const LIES: usize = 64;
/// L1 blocks of outputs read at once.
const READ: u64 = 10_000;

/// The comparison of a run.
pub(super) struct Auditing {
    outputs: Outputs,
    audit: Audit<Remote, Remote>,
    next: u64,
    /// Lies whose block is not proven yet.
    lies: Vec<Lie>,
}

impl Auditing {
    pub(super) async fn open(
        nodes: Option<&(String, String)>,
        court: &Court,
        (deployment, dir): (&Deployment, &Path),
    ) -> eyre::Result<Option<Self>> {
        let Some((node, follower)) = nodes else { return Ok(None) };
        let oracle = court.oracle().await?;
        let oracle = oracle.ok_or_else(|| eyre!("this rollup has no oracle to compare with"))?;
        let nodes = (Remote::new(node)?, Remote::new(follower)?);
        let audit = Audit::open(nodes, &dir.join("checkpoints")).wrap_err("the checkpoints")?;
        let outputs = Outputs::new(court.endpoints(), oracle);
        Ok(Some(Self { outputs, audit, next: deployment.base, lies: Vec::new() }))
    }

    /// Reads what became final up to an L1 block.
    async fn read(&mut self, head: u64) -> eyre::Result<()> {
        self.next = self.next.max(head.saturating_sub(BACK));
        while self.next <= head {
            let to = self.next.saturating_add(READ - 1).min(head);
            for output in self.outputs.finalized(self.next, to).await? {
                self.audit.finalized(output);
            }
            self.next = to.saturating_add(1);
        }
        Ok(())
    }
}

impl Slasher {
    /// Compares what can be compared now. What fails for want of an answer is told and tried again.
    pub(super) async fn compare(
        &mut self,
        tell: &mut (impl FnMut(Report) + Send),
    ) -> eyre::Result<()> {
        for found in std::mem::take(&mut self.early) {
            self.found(found, tell)?;
        }
        let Some(mut auditing) = self.audit.take() else { return Ok(()) };
        let done = self.audited(&mut auditing, tell).await;
        self.audit = Some(auditing);
        done
    }

    async fn audited(
        &mut self,
        auditing: &mut Auditing,
        tell: &mut (impl FnMut(Report) + Send),
    ) -> eyre::Result<()> {
        let read = match self.l1.block(At::Latest).await {
            Ok(head) => auditing.read(head.map_or(0, |h| h.number)).await,
            Err(why) => Err(why.into()),
        };
        let Auditing { audit, lies, .. } = auditing;
        let looked = audit.look(lies).await;
        for why in [read.err(), looked.err()].into_iter().flatten() {
            tell(Report::Trouble(why.to_string()));
        }
        let surplus = auditing.lies.len().saturating_sub(LIES);
        auditing.lies.drain(..surplus);
        for lie in std::mem::take(&mut auditing.lies) {
            match self.bring_up(auditing, &lie, tell).await {
                Ok(true) => {}
                Ok(false) => auditing.lies.push(lie),
                Err(why) => match why.downcast::<DeskError>() {
                    Ok(DeskError::File(disk)) => return Err(disk.into()),
                    why => {
                        let why = why.map_or_else(|e| e.to_string(), |e| e.to_string());
                        tell(Report::Trouble(why));
                        auditing.lies.push(lie);
                    }
                },
            }
        }
        Ok(())
    }

    /// Whether a lie is done with: its block is proven and it was judged.
    async fn bring_up(
        &mut self,
        auditing: &Auditing,
        lie: &Lie,
        tell: &mut (impl FnMut(Report) + Send),
    ) -> eyre::Result<bool> {
        let block = lie.evidence.rests_on().unwrap_or_default();
        if self.court.agreed(block).await?.is_none() {
            self.lead(auditing, lie, tell).await?;
            return Ok(false);
        }
        match self.judged(lie.evidence.clone()).await? {
            Ok(found) => self.found(found, tell)?,
            Err(why) => tell(Report::Trouble(format!("no evidence after all: {why}"))),
        }
        Ok(true)
    }

    /// Has a step down to the block of a lie proven: the lowest one that is not.
    async fn lead(
        &mut self,
        auditing: &Auditing,
        lie: &Lie,
        tell: &mut (impl FnMut(Report) + Send),
    ) -> eyre::Result<()> {
        let block = lie.evidence.rests_on().unwrap_or_default();
        let Some(desk) = &mut self.desk else {
            let what = format!(
                "block {block} was certified wrongly; an account is needed to have it proven on L1"
            );
            tell(Report::Trouble(what));
            return Ok(());
        };
        if desk.is_busy() {
            return Ok(());
        }
        let mut from = lie.under;
        while from.saturating_sub(block) > ANCESTORS {
            let next = from.saturating_sub(ANCESTORS);
            if self.court.agreed(next).await?.is_none() {
                break;
            }
            from = next;
        }
        let to = block.max(from.saturating_sub(ANCESTORS));
        let headers = auditing.audit.ancestors(from, to).await?;
        let request = Court::prove_ancestor(auditing.outputs.address(), from, headers);
        desk.prepare(request).await?.into_iter().for_each(|t| tell(Report::Told(t)));
        Ok(())
    }

    /// Judges evidence with the set and the proven hash that L1 has.
    async fn judged(&self, evidence: Evidence) -> eyre::Result<Result<Found, EvidenceError>> {
        let epoch = evidence.epoch;
        let set =
            self.sets.of(epoch).ok_or_else(|| eyre!("the set of epoch {epoch} is unknown"))?;
        let proven = match evidence.rests_on() {
            Some(block) => self.court.agreed(block).await?,
            None => None,
        };
        let domain = self.domain.of_generation(evidence.generation);
        let verdict = evidence.verify_proven(&set, &domain, proven);
        Ok(verdict.map(|verdict| Found { evidence, verdict, set }))
    }

    /// Takes a file of evidence up before anything else.
    pub(super) async fn begin_with(&mut self, path: &Path) -> eyre::Result<()> {
        let file = post::read(path)?;
        let Some(block) = file.rests_on() else {
            let (evidence, _) = file.verify()?;
            self.show(evidence, None).await;
            return Ok(());
        };
        let (evidence, _) = file.verify_proven(self.court.agreed(block).await?)?;
        let found = self.judged(evidence).await??;
        self.early.push(found);
        Ok(())
    }
}
