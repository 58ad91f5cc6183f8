//! The first bytes on every stream, both ways.
//!
//! `hello = "rota" || version:u16 || ctx:32 || role:u8 || 0:u16` (41 bytes) and
//! `ack = "rota" || version:u16 || ctx:32 || verdict:u8` (39 bytes), big endian, fixed length.
//! The acknowledgement exists because an opened stream may be dropped silently by the other side's
//! stream layer; and it carries the other context, so that a mismatch can be named on both sides.
//! Not for: proving the peer's identity (the transport did). Invariant: `decode(encode(x)) == x`.

use std::fmt::{self, Write as _};

use crate::score::PeerFault;

const MAGIC: [u8; 4] = *b"rota";
/// Length of an encoded [`Hello`].
pub(crate) const HELLO_LEN: usize = 41;
/// Length of an encoded [`HelloAck`].
pub(crate) const ACK_LEN: usize = 39;

/// What a node is on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Member of the set in force, of one that is frozen, or of one that ended lately. Which one is known by the
    /// identity that the transport proved.
    Validator,
    /// Follower, RPC node, prover, slasher.
    Observer,
}

/// The context of a network: the domain separation hash of chain, genesis and generation
/// (protocol section 4.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ctx(pub [u8; 32]);

impl fmt::Display for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Ctx {
    /// The first eight bytes in hex, for protocol and topic names.
    pub(crate) fn short(&self) -> String {
        self.0.iter().take(8).fold(String::with_capacity(16), |mut text, byte| {
            // Writing to a string cannot fail.
            write!(text, "{byte:02x}").unwrap_or_default();
            text
        })
    }
}

/// What the opener of a stream says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) version: u16,
    pub(crate) ctx: Ctx,
    pub(crate) role: Role,
}

/// How the acceptor answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    WrongContext,
    WrongVersion,
    /// The acceptor does not know the opener as a member.
    NotInSet,
    /// Observers may not open this lane.
    NotForObservers,
    /// Too many streams or observers.
    Full,
}

/// The acceptor's answer with its own context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HelloAck {
    pub(crate) version: u16,
    pub(crate) ctx: Ctx,
    pub(crate) answer: Answer,
}

/// A hello or acknowledgement that no correct node sends. The peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed hello")]
pub(crate) struct BadHello;

impl BadHello {
    pub(crate) const FAULT: PeerFault = PeerFault::BadHandshake;
}

fn head(version: u16, ctx: Ctx) -> impl Iterator<Item = u8> {
    MAGIC.into_iter().chain(version.to_be_bytes()).chain(ctx.0)
}

fn fill<const N: usize>(bytes: impl Iterator<Item = u8>) -> [u8; N] {
    let mut out = [0; N];
    out.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = byte);
    out
}

/// Version, context and what follows.
fn split_head(bytes: &[u8]) -> Result<(u16, Ctx, &[u8]), BadHello> {
    let rest = bytes.strip_prefix(&MAGIC).ok_or(BadHello)?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or(BadHello)?;
    let (ctx, rest) = rest.split_first_chunk::<32>().ok_or(BadHello)?;
    Ok((u16::from_be_bytes(*version), Ctx(*ctx), rest))
}

impl Hello {
    pub(crate) fn encode(&self) -> [u8; HELLO_LEN] {
        let tag = match self.role {
            Role::Validator => 1_u8,
            Role::Observer => 0,
        };
        fill(head(self.version, self.ctx).chain([tag, 0, 0]))
    }

    pub(crate) fn decode(bytes: &[u8; HELLO_LEN]) -> Result<Self, BadHello> {
        let (version, ctx, rest) = split_head(bytes)?;
        let role = match *rest {
            [1, 0, 0] => Role::Validator,
            [0, 0, 0] => Role::Observer,
            _ => return Err(BadHello),
        };
        Ok(Self { version, ctx, role })
    }
}

impl Answer {
    const fn tag(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::WrongContext => 1,
            Self::WrongVersion => 2,
            Self::NotInSet => 3,
            Self::NotForObservers => 4,
            Self::Full => 5,
        }
    }
}

impl HelloAck {
    pub(crate) fn encode(&self) -> [u8; ACK_LEN] {
        fill(head(self.version, self.ctx).chain([self.answer.tag()]))
    }

    pub(crate) fn decode(bytes: &[u8; ACK_LEN]) -> Result<Self, BadHello> {
        let (version, ctx, rest) = split_head(bytes)?;
        let answer = match *rest {
            [0] => Answer::Accepted,
            [1] => Answer::WrongContext,
            [2] => Answer::WrongVersion,
            [3] => Answer::NotInSet,
            [4] => Answer::NotForObservers,
            [5] => Answer::Full,
            _ => return Err(BadHello),
        };
        Ok(Self { version, ctx, answer })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hello_round_trips_and_is_injective(bytes: [u8; HELLO_LEN], flip in 0..HELLO_LEN, index: u16) {
            if let Ok(hello) = Hello::decode(&bytes) { prop_assert_eq!(hello.encode(), bytes); }
            let hello = Hello { version: 3, ctx: Ctx([bytes[0]; 32]), role: if index % 2 == 0 { Role::Validator } else { Role::Observer } };
            let mut encoded = hello.encode();
            prop_assert_eq!(Hello::decode(&encoded), Ok(hello));
            encoded[flip] ^= 1;
            prop_assert_ne!(Hello::decode(&encoded), Ok(hello));
        }
    }

    #[test]
    fn every_answer_round_trips() {
        for tag in 0..=255_u8 {
            let mut bytes =
                HelloAck { version: 1, ctx: Ctx([9; 32]), answer: Answer::Full }.encode();
            bytes[ACK_LEN - 1] = tag;
            match HelloAck::decode(&bytes) {
                Ok(ack) => assert_eq!(ack.encode(), bytes),
                Err(BadHello) => assert!(tag > 5),
            }
        }
    }

    #[test]
    fn a_context_is_shown_in_full_and_named_in_short() {
        let ctx = Ctx([0xab; 32]);
        assert_eq!(ctx.to_string(), format!("0x{}", "ab".repeat(32)));
        assert_eq!(ctx.short(), "ab".repeat(8));
    }
}
