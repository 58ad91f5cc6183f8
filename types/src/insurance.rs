//! How much may be insured: the caps that a frame with insured amounts keeps (`docs/insurance.md`).
//!
//! Not for: where they are checked (`preconf::Chain`), and not for the price (a leader's own policy).
//! Invariant (I-21): amounts are wei and rounded down, so that every node, and whoever is paid, counts the same.

/// Share of a slashed stake that pays claims, in 1/10,000.
pub const KAPPA_BPS: u64 = 8_000;
/// L1 blocks in which a full bucket of the set drains.
pub const RELEASE_BLOCKS: u64 = 96;

/// Wei of `KAPPA_BPS` of a gwei.
const KAPPA_WEI: u128 = 800_000_000;
/// The set's cap is that share of the stake which must be at fault if what is decided is lost, halved: 1/6.
const SET_SHARE: u128 = 6;

/// What a leader's stake alone covers, wei: at most that may be insured on frames that are not decided.
#[must_use]
pub const fn leader_cap(stake_gwei: u64) -> u128 {
    (stake_gwei as u128).saturating_mul(KAPPA_WEI)
}

/// What the set may have insured and not yet released, wei.
#[must_use]
pub const fn set_cap(total_gwei: u64) -> u128 {
    (total_gwei as u128).saturating_mul(KAPPA_WEI).wrapping_div(SET_SHARE)
}

/// What is left of the set's insured total `l1_blocks` later, wei: in [`RELEASE_BLOCKS`] a whole cap is released.
#[must_use]
pub const fn drained(total: u128, cap: u128, l1_blocks: u64) -> u128 {
    const BLOCKS: u128 = RELEASE_BLOCKS as u128;
    let released = cap.saturating_mul(l1_blocks as u128).wrapping_div(BLOCKS);
    total.saturating_sub(released)
}

/// The tip per transaction, wei, that a leader with this policy wants for an insured amount, rounded up.
#[must_use]
pub const fn premium(insured: u128, premium_bps: u16) -> u128 {
    let (whole, rest) = (insured.wrapping_div(10_000), insured.wrapping_rem(10_000));
    let bps = premium_bps as u128;
    whole
        .saturating_mul(bps)
        .saturating_add(rest.saturating_mul(bps).saturating_add(9_999).wrapping_div(10_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETH: u128 = 1_000_000_000_000_000_000;

    #[test]
    fn caps_are_shares_of_the_stake() {
        assert_eq!(leader_cap(32_000_000_000), 256 * ETH / 10);
        assert_eq!(set_cap(128_000_000_000), 17_066_666_666_666_666_666);
        assert_eq!(leader_cap(1), u128::from(KAPPA_BPS) * 1_000_000_000 / 10_000);
    }

    #[test]
    fn a_full_bucket_drains_in_the_release_time_and_never_below_zero() {
        let cap = set_cap(128_000_000_000);
        assert_eq!(drained(cap, cap, 0), cap);
        assert_eq!(drained(cap, cap, RELEASE_BLOCKS), 0);
        assert_eq!(drained(cap, cap, 95), cap - cap * 95 / 96);
        assert_eq!(drained(5, cap, u64::MAX), 0);
    }

    #[test]
    fn the_premium_is_rounded_up_and_free_is_free() {
        assert_eq!(premium(2 * ETH, 5), ETH / 1_000);
        assert_eq!(premium(1, 5), 1);
        assert_eq!(premium(10_001, 10_000), 10_001);
        assert_eq!(premium(u128::MAX, 0), 0);
    }
}
