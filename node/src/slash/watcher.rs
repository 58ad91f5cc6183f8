//! Verifies what was heard and looks for contradictions, on its own thread.
//!
//! Not for: acting on them. Invariants: only what verifies against the frozen set of its epoch is looked at, and only what is
//! judged guilty by `rota_types` leaves; no single member can move the window of heights that is remembered.

use super::Heard;
use alloy_primitives::{B256, keccak256};
use rota_p2p::Judgement;
use rota_preconf::{Watch, WatchLimits};
use rota_types::{
    CommitCertificate, Domain, Encode, Evidence, EvidenceError, Header, Signed, ValidatorSet,
    Verdict,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Gives the frozen set of an epoch, if it is known.
pub type Sets = Box<dyn FnMut(u64) -> Option<Arc<ValidatorSet>> + Send>;

/// Statements remembered as looked at: several members show the same one.
const RECENT: usize = 65_536;

/// Evidence that was judged here, with the set it names.
#[derive(Debug, Clone)]
pub struct Found {
    /// The evidence.
    pub evidence: Evidence,
    /// What it shows.
    pub verdict: Verdict,
    /// The set of its epoch.
    pub set: Arc<ValidatorSet>,
}

/// Why evidence of others shows nothing here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// This machine has not seen that set yet, or it is too old. Nobody's fault.
    #[error("the set of epoch {0} is not known here")]
    UnknownSet(u64),
    /// Whoever gave it is at fault.
    #[error(transparent)]
    Refused(#[from] EvidenceError),
}

impl ReviewError {
    /// What is said of whoever gossiped it.
    #[must_use]
    pub const fn judgement(&self) -> Judgement {
        match self {
            Self::UnknownSet(_) => Judgement::Ignore,
            Self::Refused(_) => Judgement::Reject,
        }
    }
}

/// What was looked at so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Looked {
    /// Statements that verified.
    pub verified: u64,
    /// Statements in the name of a member that the member did not sign, or of a set that is not known.
    pub refused: u64,
    /// Statements that a source had dropped before they were read.
    pub missed: u64,
}

/// The detector behind a check of every signature.
pub struct Watcher {
    watch: Watch,
    domain: Domain,
    sets: Sets,
    recent: [BTreeSet<B256>; 2],
    /// Highest height that each member of the newest epoch signed for.
    heights: BTreeMap<u16, u64>,
    epoch: u64,
    looked: Looked,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("looked", &self.looked).finish_non_exhaustive()
    }
}

impl Watcher {
    /// A watcher that has heard nothing.
    #[must_use]
    pub fn new(domain: Domain, sets: Sets) -> Self {
        Self {
            watch: Watch::new(domain.clone(), WatchLimits::default()),
            domain,
            sets,
            recent: [BTreeSet::new(), BTreeSet::new()],
            heights: BTreeMap::new(),
            epoch: 0,
            looked: Looked::default(),
        }
    }

    /// Counts so far.
    #[must_use]
    pub const fn looked(&self) -> Looked {
        self.looked
    }

    /// Looks at what one source says; gives what it shows together with everything before.
    pub fn hear(&mut self, heard: &Heard) -> Vec<Found> {
        self.looked.missed = self.looked.missed.saturating_add(heard.missed);
        heard.statements.iter().flat_map(|said| self.statement(said)).collect()
    }

    /// Looks at a decided height: a header with its certificate, from L1 or from a peer.
    pub fn decided(&mut self, header: &Header, certificate: &CommitCertificate) -> Vec<Found> {
        let Some(set) = (self.sets)(certificate.epoch) else { return Vec::new() };
        let named = header.value_id(&self.domain) == certificate.value_id;
        if !named || certificate.verify(&set, &self.domain).is_err() {
            self.looked.refused = self.looked.refused.saturating_add(1);
            return Vec::new();
        }
        self.watch.advance(header.height());
        let shown = self.watch.decided(header, certificate);
        self.judge(shown)
    }

    /// Judges evidence that others found. What was signed before a fallback still costs the stake.
    ///
    /// # Errors
    /// [`ReviewError`].
    pub fn review(&mut self, evidence: Evidence) -> Result<Found, ReviewError> {
        let set = (self.sets)(evidence.epoch).ok_or(ReviewError::UnknownSet(evidence.epoch))?;
        let generation = evidence.generation.min(self.domain.generation);
        let verdict = evidence.verify(&set, &self.domain.of_generation(generation))?;
        Ok(Found { evidence, verdict, set })
    }

    fn statement(&mut self, said: &Signed) -> Vec<Found> {
        if !self.is_new(keccak256(said.encode())) {
            return Vec::new();
        }
        let known = (self.sets)(said.epoch());
        let Some(set) = known.filter(|set| said.verify(set, &self.domain).is_ok()) else {
            self.looked.refused = self.looked.refused.saturating_add(1);
            return Vec::new();
        };
        self.looked.verified = self.looked.verified.saturating_add(1);
        self.note_height(said, &set);
        let shown = self.watch.observe(said);
        self.judge(shown)
    }

    fn judge(&mut self, shown: Vec<Evidence>) -> Vec<Found> {
        let mut found = Vec::new();
        for evidence in shown {
            let kind = evidence.kind();
            match self.review(evidence) {
                Ok(judged) => found.push(judged),
                Err(why) => tracing::warn!(?kind, %why, "what looked like evidence shows nothing"),
            }
        }
        found
    }

    /// Whether this was not looked at lately.
    fn is_new(&mut self, hash: B256) -> bool {
        let [new, old] = &mut self.recent;
        if old.contains(&hash) || !new.insert(hash) {
            return false;
        }
        if new.len() >= RECENT / 2 {
            *old = std::mem::take(new);
        }
        true
    }

    /// The window follows the height that members with more than a third of the stake have signed for: one of them is
    /// honest, so the set is there.
    fn note_height(&mut self, said: &Signed, set: &ValidatorSet) {
        if said.epoch() < self.epoch {
            return;
        }
        if said.epoch() > self.epoch {
            self.epoch = said.epoch();
            self.heights.clear();
        }
        let height = self.heights.entry(said.signer()).or_default();
        if *height >= said.height() {
            return;
        }
        *height = said.height();
        let mut by_height: Vec<(u64, u64)> = self
            .heights
            .iter()
            .filter_map(|(index, height)| Some((*height, set.get(*index)?.power())))
            .collect();
        by_height.sort_unstable_by(|a, b| b.cmp(a));
        let mut power = 0u64;
        for (height, own) in by_height {
            power = power.saturating_add(own);
            if power > set.total() / 3 {
                self.watch.advance(height.saturating_sub(1));
                return;
            }
        }
    }
}

/// What the watcher's thread takes.
#[derive(Debug)]
pub enum WatchInput {
    /// Statements of a source.
    Heard(Heard),
    /// A decided height.
    Decided(Box<(Header, CommitCertificate)>),
    /// Evidence that somebody else found, and what to call it when answering.
    Shown(Box<Evidence>, u64),
}

/// What the watcher's thread gives.
#[derive(Debug)]
pub enum WatchOutput {
    /// A contradiction that was found here.
    Found(Box<Found>),
    /// The judgement of evidence that was shown.
    Judged(u64, Box<Result<Found, ReviewError>>),
    /// Counts, after every input.
    Looked(Looked),
}

/// Runs until its inputs end or nobody takes what it gives.
pub fn run_watcher(
    mut watcher: Watcher,
    mut inputs: tokio::sync::mpsc::Receiver<WatchInput>,
    out: &tokio::sync::mpsc::Sender<WatchOutput>,
) {
    while let Some(input) = inputs.blocking_recv() {
        let mut given: Vec<WatchOutput> = match input {
            WatchInput::Heard(heard) => found(watcher.hear(&heard)),
            WatchInput::Decided(height) => found(watcher.decided(&height.0, &height.1)),
            WatchInput::Shown(evidence, name) => {
                vec![WatchOutput::Judged(name, Box::new(watcher.review(*evidence)))]
            }
        };
        given.push(WatchOutput::Looked(watcher.looked()));
        for output in given {
            if out.blocking_send(output).is_err() {
                return;
            }
        }
    }
}

fn found(list: Vec<Found>) -> Vec<WatchOutput> {
    list.into_iter().map(|f| WatchOutput::Found(Box::new(f))).collect()
}
