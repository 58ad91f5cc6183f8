//! Takes evidence to the Slasher contract: dry run, commit, reveal, contest, settle, take the reward out.
//!
//! Not for: finding it. One account, one transaction at a time. Invariant: what to do follows from L1 at every step, so a
//! restart, a reorganisation or another reporter's success changes the plan and loses nothing.

use super::{Case, Cases, FileJournal, Next, Offence, Seen, Windows, files::CaseFileError};
use alloy_primitives::{B256, Bytes, U256};
use rota_l1::{
    Court, CourtOffence, L1Error, Policy, RpcSender, Status, TxChain, TxError, TxManager,
    TxRequest, Worth,
};
use rota_types::{Decode, Evidence};
use std::{collections::BTreeMap, path::Path};

/// Why the desk cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// L1: try again.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The account or the journal.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// The disk.
    #[error(transparent)]
    File(#[from] CaseFileError),
}

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The contract agrees; the case is on disk.
    Opened {
        /// Names the offence.
        key: B256,
        /// The operator.
        operator: U256,
        /// What it is worth to report it, if L1 said.
        worth: Option<Worth>,
    },
    /// The contract would not slash for it.
    Refused {
        /// Its reason.
        why: String,
    },
    /// Slashed for already, and no case of ours.
    Late {
        /// Names the offence.
        key: B256,
    },
    /// What is being done now, with its gas limit.
    Sending {
        /// Names the offence.
        key: B256,
        /// The step.
        step: &'static str,
        /// Gas at most.
        gas: u64,
    },
    /// A transaction is in a block.
    Mined {
        /// Which.
        hash: B256,
        /// The block.
        block: u64,
        /// Whether it did what it should.
        success: bool,
        /// Gas used.
        gas: u64,
    },
    /// A case is at a new point.
    Moved {
        /// Names the offence.
        key: B256,
        /// Where.
        next: Next,
        /// The block that this was seen at.
        block: u64,
    },
    /// The reward is here, wei.
    Paid(U256),
}

/// The reporter's desk.
#[derive(Debug)]
pub struct Desk {
    court: Court,
    manager: TxManager<RpcSender, FileJournal>,
    cases: Cases,
    windows: Windows,
    /// Where each case stood when it was last told.
    places: BTreeMap<B256, Next>,
    /// What the transaction under way is for; zero for taking out the reward.
    under_way: Option<(B256, U256)>,
    /// The newest look ended, and nothing was credited to the account.
    taken_out: bool,
}

impl Desk {
    /// Takes up what the directory holds.
    ///
    /// # Errors
    /// L1 or the disk.
    pub async fn open(court: Court, sender: RpcSender, dir: &Path) -> Result<Self, DeskError> {
        let cases = Cases::open(dir.join("cases"))?;
        let policy = Policy { confirmations: 0, bump_after: 2, ..Policy::default() };
        let manager = TxManager::open(sender, FileJournal(dir.join("reporter-tx.json")), policy)?;
        let windows = court.windows().await?;
        let windows = Windows { reveal: windows.reveal, contest: windows.contest };
        let (places, under_way) = (BTreeMap::new(), None);
        Ok(Self { court, manager, cases, windows, places, under_way, taken_out: false })
    }

    /// The cases.
    #[must_use]
    pub const fn cases(&self) -> &Cases {
        &self.cases
    }

    /// Takes evidence that was verified here: asks the contract, and opens a case if it agrees.
    ///
    /// # Errors
    /// L1 or the disk; the evidence can be brought again.
    pub async fn bring(&mut self, evidence: Bytes, salt: B256) -> Result<Told, DeskError> {
        let ruling = match self.court.check(&evidence).await {
            Ok(ruling) => ruling,
            Err(why @ (L1Error::Refused(_) | L1Error::Reverted(_))) => {
                return Ok(Told::Refused { why: why.to_string() });
            }
            Err(other) => return Err(other.into()),
        };
        if ruling.processed && !self.cases.has(&ruling.key) {
            return Ok(Told::Late { key: ruling.key });
        }
        let reporter = self.manager.chain().account();
        // Only told: the stake is to be taken whatever it brings.
        let worth = match Evidence::decode(&evidence).map(|e| e.kind().class()) {
            Ok(class) => self.court.worth(&ruling, (&evidence, class)).await.ok(),
            Err(_) => None,
        };
        self.cases.open_case(Case { evidence, key: ruling.key, salt, reporter })?;
        Ok(Told::Opened { key: ruling.key, operator: ruling.operator, worth })
    }

    /// Sends what evidence needs on L1 before it is good, unless something else is under way. Cases go first: they have
    /// deadlines.
    ///
    /// # Errors
    /// L1, the account or the disk; calling again goes on.
    pub async fn prepare(&mut self, request: TxRequest) -> Result<Vec<Told>, DeskError> {
        let mut told = self.step().await?;
        if !self.is_busy() {
            self.send(B256::ZERO, "prove an older block", request, &mut told).await?;
        }
        Ok(told)
    }

    /// Whether a transaction is under way.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.manager.pending().is_some()
    }

    /// Whether nothing is left to do for an offence: somebody else has the reward, or it is paid out.
    #[must_use]
    pub fn is_over(&self, key: &B256) -> bool {
        let place = self.places.get(key);
        let over = matches!(place, Some(Next::Won(_) | Next::Lost(_)));
        over && self.taken_out && !self.is_busy()
    }

    /// Does what is next for the first case that something can be done for. Call it at every L1 block.
    ///
    /// # Errors
    /// L1, the account or the disk; calling again goes on.
    pub async fn step(&mut self) -> Result<Vec<Told>, DeskError> {
        let mut told = Vec::new();
        self.taken_out = false;
        if self.manager.pending().is_some() && !self.poll(&mut told).await? {
            return Ok(told);
        }
        for case in self.cases.iter().cloned().collect::<Vec<_>>() {
            let view = self.court.view(case.key, case.commitment()).await?;
            let seen = Seen {
                block: view.block,
                committed: view.committed,
                offence: view.offence.map(offence),
            };
            let next = case.next(self.windows, &seen);
            if self.places.insert(case.key, next) != Some(next) {
                told.push(Told::Moved { key: case.key, next, block: seen.block });
            }
            let (step, request) = match next {
                Next::Commit => ("commit", self.court.commit(case.commitment())),
                Next::Reveal => ("reveal", self.court.reveal(case.evidence.clone(), case.salt)),
                Next::Contest(id) => {
                    ("contest", self.court.contest(id, case.evidence.clone(), case.salt))
                }
                Next::Settle(id) => ("settle", self.court.settle(id)),
                Next::Wait(_) | Next::Won(_) | Next::Lost(_) => continue,
            };
            if self.send(case.key, step, request, &mut told).await? {
                return Ok(told);
            }
        }
        self.take_out(&mut told).await?;
        Ok(told)
    }

    /// Whether the transaction under way is over.
    async fn poll(&mut self, told: &mut Vec<Told>) -> Result<bool, DeskError> {
        let Status::Done(outcome) = self.manager.poll().await? else { return Ok(false) };
        let at = outcome.inclusion;
        told.push(Told::Mined {
            hash: at.hash,
            block: at.block,
            success: at.success,
            gas: at.gas_used,
        });
        if let Some((_, amount)) = self.under_way.take().filter(|(_, a)| at.success && !a.is_zero())
        {
            told.push(Told::Paid(amount));
        }
        Ok(true)
    }

    /// Sends unless it would revert now; then somebody was faster, and the next look says who.
    async fn send(
        &mut self,
        key: B256,
        step: &'static str,
        request: TxRequest,
        told: &mut Vec<Told>,
    ) -> Result<bool, DeskError> {
        let from = self.manager.chain().account();
        let request = match self.court.with_gas(from, request).await {
            Ok(request) => request,
            Err(why @ (L1Error::Refused(_) | L1Error::Reverted(_))) => {
                tracing::info!(%key, step, %why, "would revert now");
                return Ok(false);
            }
            Err(other) => return Err(other.into()),
        };
        told.push(Told::Sending { key, step, gas: request.gas_limit });
        self.manager.submit(request)?;
        self.under_way = Some((key, U256::ZERO));
        self.poll(told).await?;
        Ok(true)
    }

    async fn take_out(&mut self, told: &mut Vec<Told>) -> Result<(), DeskError> {
        let me = self.manager.chain().account();
        let credit = self.court.credit(me).await?;
        self.taken_out = credit.is_zero();
        if self.taken_out {
            return Ok(());
        }
        if self.send(B256::ZERO, "withdraw", self.court.withdraw(me), told).await? {
            self.under_way = self.under_way.map(|(key, _)| (key, credit));
        }
        Ok(())
    }
}

const fn offence(o: CourtOffence) -> Offence {
    // The contract puts the block of the reveal where nobody committed.
    let commit_block = if o.commit_block == o.revealed { 0 } else { o.commit_block };
    Offence {
        id: o.id,
        reporter: o.reporter,
        commit_block,
        revealed: o.revealed,
        settles: o.settles,
        settled: o.settled,
    }
}
