//! Which heights form one execution block: all those of one second.
//!
//! The first height of a second fixes the environment of the block; the value id of the last one becomes
//! its `extraData`. A block is complete when a height of a later second comes, or when the sequencer's
//! SEAL says so, after which the next height must lie in a later second.
//! Invariant: numbers are contiguous and seconds strictly rise, as Ethereum's rules want.

use crate::Fault;
use alloy_primitives::B256;
use rota_types::{Env, Header};

/// The heights of one execution block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Block number.
    pub number: u64,
    /// Environment of the block, from its first height.
    pub env: Env,
    /// First height.
    pub first_height: u64,
    /// Last height so far.
    pub last_height: u64,
    /// Value id of the last height: the block's `extraData`.
    pub last_id: B256,
    /// L1 origin of the block before: deposits of the L1 blocks after it, up to `env.l1_number`, belong
    /// to this block.
    pub previous_origin: u64,
}

/// Puts heights into blocks, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    number: u64,
    timestamp_s: u64,
    origin: u64,
    open: Option<Span>,
}

impl Grouping {
    /// Starts after a complete block (at first: the genesis block) with this number, timestamp and L1
    /// origin.
    #[must_use]
    pub const fn new(number: u64, timestamp_s: u64, origin: u64) -> Self {
        Self { number, timestamp_s, origin, open: None }
    }

    /// Adds the next height. Returns the block that is complete because this height begins another.
    /// After an error nothing has changed.
    pub fn push(&mut self, header: &Header, value_id: B256) -> Result<Option<Span>, Fault> {
        let (height, second) = (header.height(), header.env.timestamp_s);
        if let Some(open) = &mut self.open {
            if second < open.env.timestamp_s {
                let parent = open.env.timestamp_s;
                return Err(Fault::Time { height, got: second, parent });
            }
            if second == open.env.timestamp_s {
                open.last_height = height;
                open.last_id = value_id;
                return Ok(None);
            }
        } else if second <= self.timestamp_s {
            return Err(Fault::Sealed { height, second });
        }
        let complete = self.seal();
        self.open = Some(Span {
            number: self.number.saturating_add(1),
            env: header.env.clone(),
            first_height: height,
            last_height: height,
            last_id: value_id,
            previous_origin: self.origin,
        });
        Ok(complete)
    }

    /// Completes the open block, as a SEAL does.
    pub fn seal(&mut self) -> Option<Span> {
        let span = self.open.take()?;
        self.number = span.number;
        self.timestamp_s = span.env.timestamp_s;
        self.origin = span.env.l1_number;
        Some(span)
    }

    /// The block that still takes heights.
    #[must_use]
    pub const fn open(&self) -> Option<&Span> {
        self.open.as_ref()
    }
    /// L1 origin of the newest complete block.
    pub(crate) const fn origin(&self) -> u64 {
        self.origin
    }
    /// Second of the newest complete block.
    pub(crate) const fn second(&self) -> u64 {
        self.timestamp_s
    }
    /// Number of the newest complete block.
    #[must_use]
    pub const fn complete(&self) -> u64 {
        self.number
    }
}

/// The complete blocks of some heights in order, and the one still open.
pub fn spans<'a>(
    mut from: Grouping,
    heights: impl IntoIterator<Item = (&'a Header, B256)>,
) -> Result<(Vec<Span>, Option<Span>), Fault> {
    let mut out = Vec::new();
    for (header, id) in heights {
        out.extend(from.push(header, id)?);
    }
    Ok((out, from.open))
}
