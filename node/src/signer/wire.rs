//! What node and signer say to each other. One question, one answer.
//!
//! Invariant: every length has a bound that is checked before anything is allocated.

use alloy_primitives::{Address, B256, Bytes};
use rota_store::Intent;
use rota_types::{
    Decode, DecodeError, Encode, Reader, SeqMessage, SeqSignature, VoteMessage, VoteSignature,
    Writer,
};

/// Of this conversation.
pub(super) const VERSION: u8 = 2;
/// Longest question, bytes: evidence with two chains of frames and its set, as text.
pub(super) const MAX_ASK: usize = 256 * 1024;
/// Longest answer, bytes: everything that a guard remembers of a height.
pub(super) const MAX_ANSWER: usize = 128 * 1024;
/// Most entries of a guard.
const MAX_MARKS: usize = 2_048;
/// Longest refusal.
const MAX_WORDS: usize = 1_024;
/// Pairs of keys: the one in use, and the one that an operator changes to.
pub(super) const MAX_PAIRS: usize = 2;

/// How a node begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Of this conversation.
    pub version: u8,
    /// Context of the network (`Domain::ctx`).
    pub ctx: B256,
    /// The vote key of the pair that is asked for.
    pub vote: Address,
    /// Random name of this run of the node.
    pub incarnation: [u8; 16],
    /// Whether this run was served before, on a connection that is lost.
    pub resumes: bool,
}

/// Questions of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The first one of a connection.
    Hello(Hello),
    /// Sign with the sequencer key.
    Seq(SeqMessage),
    /// Sign with the vote key.
    Vote(VoteMessage),
    /// Are you there?
    Ping,
    /// A key of the signer contradicted itself: a file of evidence, as JSON.
    Convict(Bytes),
    /// Which pairs of keys are there? Takes no place.
    Keys,
}

/// What a signer knows and the node must not contradict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The public sequencer key.
    pub seq: [u8; 32],
    /// The address of the vote key.
    pub vote: Address,
    /// What the keys have signed.
    pub marks: Vec<Intent>,
}

/// The public part of a pair of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The public sequencer key.
    pub seq: [u8; 32],
    /// The address of the vote key.
    pub vote: Address,
}

/// Answers of a signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To a hello.
    Welcome(Welcome),
    /// A signature of the sequencer key.
    Seq(SeqSignature),
    /// A signature of the vote key.
    Vote(VoteSignature),
    /// No, and why. The connection stays.
    Refused(String),
    /// To a ping.
    Pong,
    /// To evidence that holds: nothing is signed any more.
    Convicted,
    /// The pairs, the one in use first.
    Keys(Vec<Pair>),
}

impl Encode for Pair {
    fn encode_to(&self, w: &mut Writer) {
        w.raw(&self.seq).raw(self.vote.as_slice());
    }
}

impl Decode for Pair {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { seq: r.array("seq key")?, vote: r.address("vote key")? })
    }
}

impl Encode for Ask {
    fn encode_to(&self, w: &mut Writer) {
        match self {
            Self::Hello(h) => {
                w.u8(1).u8(h.version).hash(&h.ctx).raw(h.vote.as_slice());
                w.raw(&h.incarnation).u8(h.resumes.into());
            }
            Self::Seq(message) => message.encode_to(w.u8(2)),
            Self::Vote(message) => message.encode_to(w.u8(3)),
            Self::Ping => drop(w.u8(4)),
            Self::Convict(file) => drop(w.u8(5).bytes(file)),
            Self::Keys => drop(w.u8(6)),
        }
    }
}

impl Decode for Ask {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match r.u8("question")? {
            1 => Self::Hello(Hello {
                version: r.u8("version")?,
                ctx: r.hash("ctx")?,
                vote: r.address("vote key")?,
                incarnation: r.array("incarnation")?,
                resumes: match r.u8("resumes")? {
                    0 => false,
                    1 => true,
                    _ => return Err(DecodeError::Invalid("resumes")),
                },
            }),
            2 => Self::Seq(SeqMessage::decode_from(r)?),
            3 => Self::Vote(VoteMessage::decode_from(r)?),
            4 => Self::Ping,
            5 => Self::Convict(r.bytes("evidence", MAX_ASK)?),
            6 => Self::Keys,
            _ => return Err(DecodeError::Invalid("unknown question")),
        })
    }
}

impl Encode for Answer {
    fn encode_to(&self, w: &mut Writer) {
        match self {
            Self::Welcome(x) => {
                w.u8(1).raw(&x.seq).raw(x.vote.as_slice()).list(&x.marks);
            }
            Self::Seq(signature) => drop(w.u8(2).raw(signature)),
            Self::Vote(signature) => drop(w.u8(3).raw(signature)),
            Self::Refused(words) => {
                let words = words.as_bytes();
                w.u8(4).bytes(words.get(..MAX_WORDS).unwrap_or(words));
            }
            Self::Pong => drop(w.u8(5)),
            Self::Convicted => drop(w.u8(6)),
            Self::Keys(pairs) => drop(w.u8(7).list(pairs)),
        }
    }
}

impl Decode for Answer {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match r.u8("answer")? {
            1 => Self::Welcome(Welcome {
                seq: r.array("seq key")?,
                vote: r.address("vote key")?,
                marks: r.list("marks", MAX_MARKS)?,
            }),
            2 => Self::Seq(r.array("signature")?),
            3 => Self::Vote(r.array("signature")?),
            4 => {
                let words = r.bytes("words", MAX_WORDS)?;
                Self::Refused(String::from_utf8_lossy(&words).into_owned())
            }
            5 => Self::Pong,
            6 => Self::Convicted,
            7 => Self::Keys(r.list("pairs", MAX_PAIRS)?),
            _ => return Err(DecodeError::Invalid("unknown answer")),
        })
    }
}
