//! What a height must satisfy on top of the one before, whoever signed it.
//!
//! Not for: the content of frames (`preconf`). Validators check the same before they vote, so that no
//! height is decided that cannot be derived.

use rota_types::{Header, MAX_ORIGIN_STEP};

/// How a height breaks the chain. Whoever made it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Heights are contiguous.
    #[error("height {got} after height {parent}")]
    Height {
        /// Height found.
        got: u64,
        /// Height before.
        parent: u64,
    },
    /// The clock of the chain never runs backwards.
    #[error("height {height} has timestamp {got}, the height before has {parent}")]
    Time {
        /// The height.
        height: u64,
        /// Its timestamp, seconds.
        got: u64,
        /// The one before.
        parent: u64,
    },
    /// A second whose execution block is complete takes no more heights.
    #[error("height {height} lies in second {second}, whose block is already complete")]
    Sealed {
        /// The height.
        height: u64,
        /// Its second.
        second: u64,
    },
    /// The L1 origin never goes back.
    #[error("height {height} has L1 origin {got}, the height before has {parent}")]
    Origin {
        /// The height.
        height: u64,
        /// Its origin.
        got: u64,
        /// The one before.
        parent: u64,
    },
    /// The L1 origin moves in small steps, so that what is forced in fits into a block.
    #[error("height {height} has L1 origin {got}, too far above {parent}")]
    Step {
        /// The height.
        height: u64,
        /// Its origin.
        got: u64,
        /// The one before.
        parent: u64,
    },
    /// The L1 origin is older than the L1 block of the batch.
    #[error("height {height} has L1 origin {got} in a batch of L1 block {l1_number}")]
    Ahead {
        /// The height.
        height: u64,
        /// Its origin.
        got: u64,
        /// L1 block of the batch.
        l1_number: u64,
    },
    /// The first height after a fallback has an origin that is not in it any more.
    #[error("height {height} has L1 origin {got}, the fallback lasted up to {floor}")]
    Resumption {
        /// The height.
        height: u64,
        /// Its origin.
        got: u64,
        /// Last L1 block of the fallback.
        floor: u64,
    },
    /// Epochs never go back.
    #[error("height {height} is of epoch {got}, the height before of epoch {parent}")]
    Epoch {
        /// The height.
        height: u64,
        /// Its epoch.
        got: u64,
        /// The one before.
        parent: u64,
    },
    /// All heights between two fallbacks are of one generation.
    #[error("height {height} is of generation {got}, the rollup is in generation {want}")]
    Generation {
        /// The height.
        height: u64,
        /// Its generation.
        got: u32,
        /// The rollup's.
        want: u32,
    },
}

/// Checks `child` against its parent. Links (`parent_id`, `history_root`) are checked by value ids.
pub const fn follows(parent: &Header, child: &Header) -> Result<(), Fault> {
    let (p, c, height) = (&parent.close, &child.close, child.close.height);
    after(
        [p.height, parent.env.timestamp_s, parent.env.l1_number, p.epoch],
        [height, child.env.timestamp_s, child.env.l1_number, c.epoch],
    )
}

/// `follows` on height, second, origin and epoch, for the start of a chain, which has no header.
pub(crate) const fn after(parent: [u64; 4], child: [u64; 4]) -> Result<(), Fault> {
    let [parent_height, parent_second, parent_origin, parent_epoch] = parent;
    let [height, second, origin, epoch] = child;
    if !matches!(parent_height.checked_add(1), Some(next) if next == height) {
        return Err(Fault::Height { got: height, parent: parent_height });
    }
    if second < parent_second {
        return Err(Fault::Time { height, got: second, parent: parent_second });
    }
    if origin < parent_origin {
        return Err(Fault::Origin { height, got: origin, parent: parent_origin });
    }
    // Before the first height there is no origin to step from.
    if parent_height > 0 && origin.saturating_sub(parent_origin) > MAX_ORIGIN_STEP {
        return Err(Fault::Step { height, got: origin, parent: parent_origin });
    }
    if epoch < parent_epoch {
        return Err(Fault::Epoch { height, got: epoch, parent: parent_epoch });
    }
    Ok(())
}
