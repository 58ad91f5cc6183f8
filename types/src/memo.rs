//! Remembers signatures that verified, so that a simulation in which every member checks the same message pays once.
//!
//! Not for: a running node. Without the feature `memo`, which no program enables, none of this is compiled.
//! Invariant: verification is a pure function of key, digest and signature, and only success is remembered, under
//! all three: what is accepted is the same with and without it.

use alloy_primitives::{Address, B256, Keccak256};
use std::{cell::RefCell, collections::BTreeMap};

/// Most signatures that are remembered; then it starts afresh.
const MAX: usize = 1 << 17;

thread_local! {
    static KNOWN: RefCell<Option<BTreeMap<B256, Address>>> = const { RefCell::new(None) };
}

/// From here on this thread remembers what verified.
pub fn remember_signatures() {
    KNOWN.with_borrow_mut(|known| {
        known.get_or_insert_default();
    });
}

/// The result of `verify`, from memory if it is there.
pub(crate) fn remembered<E>(
    parts: [&[u8]; 3],
    verify: impl FnOnce() -> Result<Address, E>,
) -> Result<Address, E> {
    if KNOWN.with_borrow(Option::is_none) {
        return verify();
    }
    let mut hash = Keccak256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let key = hash.finalize();
    if let Some(found) = KNOWN.with_borrow(|known| known.as_ref()?.get(&key).copied()) {
        return Ok(found);
    }
    let result = verify()?;
    KNOWN.with_borrow_mut(|known| {
        if let Some(known) = known {
            if known.len() >= MAX {
                known.clear();
            }
            known.insert(key, result);
        }
    });
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_success_is_remembered_and_only_for_the_same_three() {
        let ask = |parts, result: Result<Address, ()>| remembered(parts, || result);
        let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
        assert_eq!(ask([b"k", b"d", b"s"], Ok(a)), Ok(a));
        assert_eq!(ask([b"k", b"d", b"s"], Ok(b)), Ok(b), "off until it is turned on");
        remember_signatures();
        assert_eq!(ask([b"k", b"d", b"s"], Err(())), Err(()));
        assert_eq!(ask([b"k", b"d", b"s"], Ok(a)), Ok(a));
        assert_eq!(ask([b"k", b"d", b"s"], Err(())), Ok(a));
        assert_eq!(ask([b"kd", b"", b"s"], Err(())), Err(()));
    }
}
