//! What a signer signs, for whom, and what it refuses.
//!
//! Not for: connections. Invariants: the guard is synced before a signature is given out; one run of one node holds the
//! place, which node and run is on disk before it is served; a run that lost the place never gets it back; frames of a
//! term are signed only as one chain from its first frame, all for one run.

use super::wire::{Hello, Pair, VERSION, Welcome};
use alloy_primitives::{B256, hex};
use rota_store::{GuardError, Intent, Position, SignGuard, StoreError};
use rota_types::{
    Ack, Domain, EvidenceFile, Flags, FrameHeader, LocalSigner, SeqMessage, SeqSignature, Status,
    Term, VoteKind, VoteMessage, VoteSignature,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Terms that may go on. A node leads one, and keeps another over a round change.
const MAX_TERMS: usize = 16;

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// Signing could be slashed, or somebody else holds the place. An answer to the node.
    #[error("{0}")]
    Refused(String),
    /// The disk failed. The signer stops.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of the holder or of evidence cannot be written. The signer stops.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// The reason given.
        source: io::Error,
    },
    /// The keys contradicted themselves. The signer stops for good.
    #[error("a key of this signer signed a contradiction; the evidence is in {}", .0.display())]
    Convicted(PathBuf),
}

impl From<GuardError> for CoreError {
    fn from(e: GuardError) -> Self {
        match e {
            GuardError::Refused(e) => Self::Refused(e.to_string()),
            GuardError::Store(e) => Self::Store(e),
        }
    }
}

/// One run of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The key that it proved.
    pub node: [u8; 32],
    /// The run's random name.
    pub incarnation: [u8; 16],
}

/// The newest frame of a term.
#[derive(Debug)]
struct Last {
    hash: B256,
    header: FrameHeader,
}

/// Keys, guard, and who is served.
#[derive(Debug)]
pub struct Core {
    keys: LocalSigner,
    guard: SignGuard,
    domain: Domain,
    file: PathBuf,
    /// Where evidence against the keys goes; there is none while this runs.
    convicted: PathBuf,
    holder: Option<Holder>,
    terms: BTreeMap<Term, Last>,
    acks: Option<(Position, Ack)>,
    /// Highest height of a frame.
    framed: u64,
}

impl Core {
    /// Opens the guard in `dir`, which nobody else may use meanwhile.
    ///
    /// # Errors
    /// The guard is in use, damaged, of another key or network, or was exported.
    pub fn open(dir: &Path, keys: LocalSigner, domain: Domain) -> Result<Self, CoreError> {
        let guard = SignGuard::open(dir, keys.vote.address(), &domain)?;
        if guard.exported() {
            return Err(StoreError::GuardExported { path: guard.path().to_path_buf() }.into());
        }
        let name = hex::encode(keys.vote.address());
        let convicted = dir.join(format!("{name}.convicted.json"));
        if convicted.exists() {
            return Err(CoreError::Convicted(convicted));
        }
        let file = dir.join(format!("{name}.holder"));
        let holder = match fs::read_to_string(&file) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            text => {
                let damaged = || StoreError::GuardDamaged {
                    path: file.clone(),
                    detail: "it does not say who was served last".into(),
                };
                Some(text.ok().and_then(|t| Holder::parse(&t)).ok_or_else(damaged)?)
            }
        };
        let terms = BTreeMap::new();
        Ok(Self { keys, guard, domain, file, convicted, holder, terms, acks: None, framed: 0 })
    }

    /// Gives the place to a run of a node. `busy` says that the run that holds it is connected now.
    ///
    /// # Errors
    /// [`CoreError::Refused`] in words.
    pub fn welcome(
        &mut self,
        who: Holder,
        hello: &Hello,
        busy: bool,
    ) -> Result<Welcome, CoreError> {
        let refuse = |words: String| Err(CoreError::Refused(words));
        if hello.version != VERSION {
            return refuse(format!("this signer speaks version {VERSION}"));
        }
        if hello.ctx != self.domain.ctx() {
            return refuse("this signer belongs to another network or generation".into());
        }
        let before = self.holder;
        let holds = before == Some(who);
        if hello.resumes && !holds {
            return refuse(
                "another process took over the signer: this one may not sign again".into(),
            );
        }
        if !holds {
            // Without a name: the keys were used elsewhere, or never.
            let other = before.is_none_or(|b| b.node != who.node);
            if other && busy {
                return refuse("another node is connected to the signer: stop it first".into());
            }
            self.take_over(who, other)?;
        }
        let marks = self.guard.watermarks().snapshot();
        let Pair { seq, vote } = self.public();
        Ok(Welcome { seq, vote, marks })
    }

    /// From here on only `who` is served. Another node does not know what was acked and voted for at the open heights:
    /// it signs above them only.
    fn take_over(&mut self, who: Holder, other_node: bool) -> Result<(), CoreError> {
        self.terms.clear();
        self.acks = None;
        self.guard.restarted();
        if other_node && let Some(newest) = self.guard.newest() {
            // A frame may be one height ahead of everything else, and frames of an earlier run of this signer are not
            // remembered.
            let height = newest.saturating_add(1).max(self.framed);
            self.guard.check_and_record(Intent::Floor { height })?;
            self.guard.sync()?;
        }
        who.write(&self.file)?;
        self.holder = Some(who);
        Ok(())
    }

    /// The public part of its keys.
    #[must_use]
    pub fn public(&self) -> Pair {
        Pair { seq: self.keys.seq.public(), vote: self.keys.vote.address() }
    }

    /// Whether another node than this one holds the place.
    #[must_use]
    pub fn is_another_nodes(&self, node: &[u8; 32]) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.node != *node)
    }

    /// Whether this run holds the place.
    #[must_use]
    pub fn is_held_by(&self, who: &Holder) -> bool {
        self.holder.as_ref() == Some(who)
    }

    /// Signs with the sequencer key.
    ///
    /// # Errors
    /// [`CoreError::Refused`] in words.
    pub fn sign_seq(&mut self, who: &Holder, what: &SeqMessage) -> Result<SeqSignature, CoreError> {
        self.expect(who)?;
        match what {
            SeqMessage::Frame(header) => self.frame(header)?,
            SeqMessage::Init(init) => {
                let init_hash = init.hash(&self.domain);
                let Term { height, round } = Term { height: init.height, round: init.round };
                self.record(Intent::Term { height, round, init_hash })?;
            }
            SeqMessage::Ack(ack) => self.ack(ack)?,
        }
        Ok(self.keys.seq.sign(&what.digest(&self.domain)))
    }

    /// Signs with the vote key.
    ///
    /// # Errors
    /// [`CoreError::Refused`] in words.
    pub fn sign_vote(
        &mut self,
        who: &Holder,
        what: &VoteMessage,
    ) -> Result<VoteSignature, CoreError> {
        self.expect(who)?;
        let digest = what.digest(&self.domain);
        match what {
            VoteMessage::Vote(v) => self.record(Intent::Vote {
                height: v.height,
                round: v.round,
                kind: v.kind,
                value_id: v.value_id,
            })?,
            VoteMessage::Proposal(p) => {
                let (height, round) = (p.height, p.round);
                self.record(Intent::Proposal { height, round, value_id: digest })?;
            }
            VoteMessage::Status(s) => {
                self.tells_all(s)?;
                let (height, round) = (s.height, s.round);
                self.record(Intent::Status { height, round, digest })?;
            }
        }
        Ok(self.keys.vote.sign(&digest))
    }

    /// Takes evidence against the own keys: it is written down, and nothing is signed again, for whomever. Never gives `Ok`.
    ///
    /// # Errors
    /// [`CoreError::Convicted`]; [`CoreError::Refused`] for what does not show that, by itself.
    pub fn convict(&mut self, who: &Holder, text: &[u8]) -> Result<(), CoreError> {
        self.expect(who)?;
        let refuse =
            |why: String| CoreError::Refused(format!("no evidence against this key: {why}"));
        let file: EvidenceFile = serde_json::from_slice(text).map_err(|e| refuse(e.to_string()))?;
        let (evidence, verdict) = file.verify().map_err(|e| refuse(e.to_string()))?;
        if self.domain.of_generation(evidence.generation).ctx() != file.ctx() {
            return Err(refuse("it is of another network".into()));
        }
        let set = file.set.set();
        let Pair { seq, vote } = self.public();
        let mut accused = verdict.accused.iter().filter_map(|i| set.get(*i));
        if !accused.any(|v| v.seq_key == seq && v.vote_key == vote) {
            return Err(refuse("it is about others".into()));
        }
        durable(&self.convicted, text)?;
        self.holder = None;
        Err(CoreError::Convicted(self.convicted.clone()))
    }

    fn expect(&self, who: &Holder) -> Result<(), CoreError> {
        if self.is_held_by(who) {
            return Ok(());
        }
        let words = "another process took over the signer: this one may not sign again";
        Err(CoreError::Refused(words.into()))
    }

    /// The guard's consent, on disk.
    fn record(&mut self, intent: Intent) -> Result<(), CoreError> {
        self.guard.check_and_record(intent)?;
        Ok(self.guard.sync()?)
    }

    /// One chain for each term, from its first frame on, and what ended stays ended.
    fn frame(&mut self, header: &FrameHeader) -> Result<(), CoreError> {
        let hash = header.hash(&self.domain);
        let term = header.term;
        let refuse = |why: &str| {
            let Term { height, round } = term;
            let words = format!(
                "refused to sign frame {} of the term of height {height} round {round}: {why}",
                header.seq
            );
            Err(CoreError::Refused(words))
        };
        match self.terms.get(&term) {
            Some(last) if last.hash == hash => return Ok(()),
            Some(last) if !follows(&last.header, last.hash, header) => {
                return refuse("it does not follow the frame that was signed last");
            }
            Some(_) => {}
            None if header.seq > 0 => {
                return refuse("its first frames were not signed for this process");
            }
            None if header.height != term.height => {
                return refuse("its first frame is of another height");
            }
            None => {
                let Term { height, round } = term;
                self.record(Intent::Term { height, round, init_hash: header.init_hash })?;
            }
        }
        self.framed = self.framed.max(header.height);
        self.terms.insert(term, Last { hash, header: header.clone() });
        if self.terms.len() > MAX_TERMS {
            self.terms.pop_first();
        }
        Ok(())
    }

    fn ack(&mut self, ack: &Ack) -> Result<(), CoreError> {
        let at = Position { height: ack.height, round: ack.round };
        let kin = |old: &Ack| {
            (old.init_hash, old.epoch, old.signer) == (ack.init_hash, ack.epoch, ack.signer)
        };
        if self.acks.as_ref().is_some_and(|(place, old)| *place == at && !kin(old)) {
            let words = format!("refused to ack at {at}: acks there were for another opening");
            return Err(CoreError::Refused(words));
        }
        let (height, round, g) = (ack.height, ack.round, ack.g);
        self.record(Intent::Ack { height, round, g, hash: ack.frame_hash })?;
        self.acks = Some((at, ack.clone()));
        Ok(())
    }

    /// A report that hides an ack or a vote of this height is a lie, whatever the node believes.
    fn tells_all(&self, s: &Status) -> Result<(), CoreError> {
        let best = i64::from(s.best_round);
        let marks = self.guard.watermarks();
        let acked = marks.newest_ack().is_some_and(|(at, g, _)| {
            at.height == s.height
                && at.round < s.round
                && (best < i64::from(at.round) || best == i64::from(at.round) && s.best_g < g)
        });
        let hides = |intent: &Intent| {
            matches!(*intent, Intent::Vote { height, round, kind: VoteKind::Prevote, value_id }
                if height == s.height && round < s.round && !value_id.is_zero() && best < i64::from(round))
        };
        if acked || marks.snapshot().iter().any(hides) {
            let words = format!(
                "refused to sign a status at height {} round {}: it hides what was acked or voted for",
                s.height, s.round
            );
            return Err(CoreError::Refused(words));
        }
        Ok(())
    }
}

/// Whether `next` is what a leader may sign after `last` in one term.
fn follows(last: &FrameHeader, hash: B256, next: &FrameHeader) -> bool {
    let closed = u64::from(last.flags.has(Flags::CLOSE));
    !last.flags.has(Flags::TERM_END)
        && last.seq.checked_add(1) == Some(next.seq)
        && last.g.checked_add(1) == Some(next.g)
        && last.height.checked_add(closed) == Some(next.height)
        && next.prev_hash == hash
        && (next.init_hash, next.leader, next.epoch) == (last.init_hash, last.leader, last.epoch)
}

impl Holder {
    fn parse(text: &str) -> Option<Self> {
        let (node, incarnation) = text.trim().split_once(' ')?;
        let mut out = Self { node: [0; 32], incarnation: [0; 16] };
        hex::decode_to_slice(node, &mut out.node).ok()?;
        hex::decode_to_slice(incarnation, &mut out.incarnation).ok()?;
        Some(out)
    }

    fn write(&self, path: &Path) -> Result<(), CoreError> {
        let text = format!("{} {}\n", hex::encode(self.node), hex::encode(self.incarnation));
        durable(path, text.as_bytes())
    }
}

/// Whole or not at all, and on the disk.
fn durable(path: &Path, text: &[u8]) -> Result<(), CoreError> {
    let half = path.with_extension("new");
    let written = || {
        let mut file = File::create(&half)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&half, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    written().map_err(|source| CoreError::Write { path: path.to_path_buf(), source })
}
