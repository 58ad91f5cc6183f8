//! The sign guard as a file that moves with its keys to another machine (in the spirit of EIP-3076).
//!
//! Not for: backups of a running node, which are old when they are made. Invariants: the file names the network, the
//! generation and both keys, and carries a checksum; what it gives back decides like the guard that it came from.

use crate::{Intent, Position, Refused, Watermarks};
use alloy_primitives::{Address, B256, keccak256};
use rota_types::{Domain, VoteKind};
use serde::{Deserialize, Serialize};

/// What `format` says.
const FORMAT: &str = "rota-sign-state";
const VERSION: u32 = 1;

/// Why a file cannot be used. The operator's move, always.
#[derive(Debug, thiserror::Error)]
pub enum SignStateError {
    /// Not such a file, or a damaged one.
    #[error("this is not a whole sign state file: {0}")]
    Malformed(String),
    /// It is of another network, generation or key.
    #[error("the file is of another {what}: it has {found}, this machine has {expected}")]
    Other {
        /// What differs.
        what: &'static str,
        /// What the file has.
        found: String,
        /// What is here.
        expected: String,
    },
}

/// Which network and which keys a sign state is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignStateOf {
    /// Chain id of Ethereum.
    pub l1_chain_id: u64,
    /// Chain id of the rollup.
    pub l2_chain_id: u64,
    /// The registry contract.
    pub registry: Address,
    /// Hash of the genesis.
    pub genesis_hash: B256,
    /// Generation of the network.
    pub generation: u32,
    /// The context that every signature is over; follows from the five above.
    pub context: B256,
    /// Address of the vote key.
    pub vote_key: Address,
    /// Public sequencer key.
    pub seq_key: B256,
}

/// One thing that was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    kind: String,
    height: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    round: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    g: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<B256>,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignState {
    format: String,
    version: u32,
    /// Network and keys.
    of: SignStateOf,
    signed: Vec<Signed>,
    /// keccak over everything above.
    checksum: B256,
}

impl SignStateOf {
    /// Of the keys on a network.
    #[must_use]
    pub const fn new(domain: &Domain, vote_key: Address, seq_key: [u8; 32]) -> Self {
        Self {
            l1_chain_id: domain.l1_chain_id,
            l2_chain_id: domain.l2_chain_id,
            registry: domain.registry,
            genesis_hash: domain.genesis_hash,
            generation: domain.generation,
            context: domain.ctx(),
            vote_key,
            seq_key: B256::new(seq_key),
        }
    }

    /// Names the first difference.
    fn expect(&self, here: &Self) -> Result<(), SignStateError> {
        let differs = [
            ("L1 chain", self.l1_chain_id.to_string(), here.l1_chain_id.to_string()),
            ("rollup", self.l2_chain_id.to_string(), here.l2_chain_id.to_string()),
            ("registry", self.registry.to_string(), here.registry.to_string()),
            ("genesis", self.genesis_hash.to_string(), here.genesis_hash.to_string()),
            ("generation", self.generation.to_string(), here.generation.to_string()),
            ("network", self.context.to_string(), here.context.to_string()),
            ("vote key", self.vote_key.to_string(), here.vote_key.to_string()),
            ("sequencer key", self.seq_key.to_string(), here.seq_key.to_string()),
        ];
        match differs.into_iter().find(|(_, found, expected)| found != expected) {
            Some((what, found, expected)) => Err(SignStateError::Other { what, found, expected }),
            None => Ok(()),
        }
    }
}

impl SignState {
    /// What a key has signed, as a file. The marks are taken as those of a process that has ended.
    #[must_use]
    pub fn new(of: SignStateOf, marks: &Watermarks) -> Self {
        let signed = marks.snapshot().iter().map(Signed::of).collect();
        let mut file =
            Self { format: FORMAT.into(), version: VERSION, of, signed, checksum: B256::ZERO };
        file.checksum = file.sum();
        file
    }

    /// The file's text: JSON.
    ///
    /// # Errors
    /// [`SignStateError::Malformed`]: cannot be.
    pub fn to_json(&self) -> Result<String, SignStateError> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|e| SignStateError::Malformed(e.to_string()))
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// [`SignStateError::Malformed`].
    pub fn from_json(text: &str) -> Result<Self, SignStateError> {
        let malformed = |why: &str| SignStateError::Malformed(why.to_owned());
        let file: Self = serde_json::from_str(text).map_err(|e| malformed(&e.to_string()))?;
        if file.format != FORMAT {
            return Err(malformed("its format is not rota-sign-state"));
        }
        if file.version != VERSION {
            return Err(malformed("its version is not 1"));
        }
        if file.checksum != file.sum() {
            return Err(malformed("its checksum is wrong: it was changed or cut off"));
        }
        Ok(file)
    }

    /// What the key has signed, if the file is of these keys on this network.
    ///
    /// # Errors
    /// [`SignStateError`].
    pub fn watermarks(&self, here: &SignStateOf) -> Result<Watermarks, SignStateError> {
        self.of.expect(here)?;
        let mut marks = Watermarks::default();
        for signed in &self.signed {
            let intent = signed.intent()?;
            marks.restarted();
            marks
                .check_and_record(&intent)
                .map_err(|e: Refused| SignStateError::Malformed(e.to_string()))?;
        }
        marks.restarted();
        Ok(marks)
    }

    fn sum(&self) -> B256 {
        let plain = Self { checksum: B256::ZERO, ..self.clone() };
        // A struct of numbers and strings always becomes JSON.
        keccak256(serde_json::to_vec(&plain).unwrap_or_default())
    }
}

impl Signed {
    fn of(intent: &Intent) -> Self {
        let (height, round) = intent.position();
        let (g, content) = match *intent {
            Intent::Vote { value_id, .. } | Intent::Proposal { value_id, .. } => (None, value_id),
            Intent::Status { digest, .. } => (None, digest),
            Intent::Ack { g, hash, .. } => (Some(g), hash),
            Intent::Term { init_hash, .. } => (None, init_hash),
            Intent::Floor { .. } => {
                return Self { kind: "floor".into(), height, round, g: None, content: None };
            }
        };
        Self { kind: intent.name().into(), height, round, g, content: Some(content) }
    }

    fn intent(&self) -> Result<Intent, SignStateError> {
        let Self { height, round, .. } = *self;
        let missing = |what| {
            let at = Position { height, round };
            SignStateError::Malformed(format!("the {} at {at} has no {what}", self.kind))
        };
        let content = || self.content.ok_or_else(|| missing("content"));
        Ok(match self.kind.as_str() {
            "prevote" => {
                Intent::Vote { height, round, kind: VoteKind::Prevote, value_id: content()? }
            }
            "precommit" => {
                Intent::Vote { height, round, kind: VoteKind::Precommit, value_id: content()? }
            }
            "proposal" => Intent::Proposal { height, round, value_id: content()? },
            "status" => Intent::Status { height, round, digest: content()? },
            "ack" => {
                let g = self.g.ok_or_else(|| missing("g"))?;
                Intent::Ack { height, round, g, hash: content()? }
            }
            "term" => Intent::Term { height, round, init_hash: content()? },
            "floor" => Intent::Floor { height },
            other => return Err(SignStateError::Malformed(format!("unknown kind {other:?}"))),
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}
