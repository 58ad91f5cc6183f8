//! How much stake is provably at fault if an acked frame is reverted (`docs/receipts.md`, "What it is worth").
//!
//! Invariant: rounded down, so that the figure is a lower bound.

use alloc::{format, string::String};
use rota_types::U256;

/// `S + max(0, a - 2/3) W` in wei, all stakes in gwei: the leader must have signed two histories, and of those who
/// acked at least what exceeds two thirds must have lied about it.
///
/// `leader` is the stake of the frame's leader, or of the leader of the acks' round if that is less.
#[must_use]
pub fn secured_wei(leader: u64, weight: u64, total: u64) -> U256 {
    let gwei = U256::from(1_000_000_000u64);
    let (weight, total) = (U256::from(weight), U256::from(total));
    // Thirds of a gwei, made wei before the division.
    let above = weight
        .saturating_mul(U256::from(3u8))
        .saturating_sub(total.saturating_mul(U256::from(2u8)));
    let liars = above.saturating_mul(gwei).wrapping_div(U256::from(3u8));
    U256::from(leader).saturating_mul(gwei).saturating_add(liars)
}

/// A share in per cent with two decimals, rounded down.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    let hundredths =
        u128::from(part).saturating_mul(10_000).checked_div(u128::from(whole)).unwrap_or(0);
    let (whole, rest) = (hundredths.wrapping_div(100), hundredths.wrapping_rem(100));
    format!("{whole}.{rest:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_amount_is_exact_to_the_wei_and_never_less_than_the_leader() {
        let wei = |text: &str| text.parse::<U256>().unwrap();
        // Exactly two thirds and below: the leader alone.
        assert_eq!(secured_wei(32, 66, 99), wei("32000000000"));
        assert_eq!(secured_wei(32, 0, 99), wei("32000000000"));
        // One gwei above two thirds of 100: a third of a gwei, in wei.
        assert_eq!(secured_wei(0, 67, 100), wei("333333333"));
        assert_eq!(secured_wei(32, 100, 100), wei("65333333333"));
        assert_eq!(secured_wei(u64::MAX, u64::MAX, u64::MAX), wei("24595658764946068820000000000"));
    }

    #[test]
    fn shares_are_rounded_down() {
        assert_eq!(percent(2, 3), "66.66");
        assert_eq!(percent(1, 1), "100.00");
        assert_eq!(percent(1, 0), "0.00");
        assert_eq!(percent(1, 2000), "0.05");
    }
}
