//! The two implementations against each other.

use super::{native, portable};
use alloy_primitives::{B256, U256};
use proptest::prelude::*;

const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

fn order() -> U256 {
    U256::from_str_radix(ORDER, 16).unwrap()
}

proptest! {
    #[test]
    fn both_sign_the_same_and_accept_the_same(
        secret in any::<[u8; 32]>(),
        digest in any::<[u8; 32]>(),
        at in 0usize..65,
        flip in any::<u8>(),
        junk in any::<[u8; 32]>(),
        field in 0usize..4,
    ) {
        let digest = B256::from(digest);
        let (n, p) = (native::Secret::new(&secret), portable::Secret::new(&secret));
        prop_assert_eq!(n.is_some(), p.is_some());
        let (Some(n), Some(p)) = (n, p) else { return Ok(()) };
        prop_assert_eq!(n.address(), p.address());
        let sig = n.sign(&digest);
        prop_assert_eq!(sig, p.sign(&digest));
        prop_assert_eq!(portable::recover(&digest, &sig), Some(n.address()));
        let mut changed = sig;
        changed[at] ^= flip;
        match field {
            0 => changed[..32].copy_from_slice(&junk),
            1 => changed[32..64].copy_from_slice(&junk),
            2 => {
                let high = order().wrapping_sub(U256::from_be_slice(&sig[32..64]));
                changed[32..64].copy_from_slice(&high.to_be_bytes::<32>());
            }
            _ => {}
        }
        prop_assert_eq!(native::recover(&digest, &changed), portable::recover(&digest, &changed));
    }
}

#[test]
fn both_refuse_the_edges() {
    let digest = B256::repeat_byte(7);
    let one = U256::from(1u8);
    let half = order().wrapping_shr(1);
    let edges =
        [U256::ZERO, one, half, half + one, order() - one, order(), order() + one, U256::MAX];
    for r in edges {
        for s in edges {
            for v in [0u8, 26, 27, 28, 29] {
                let mut sig = [0u8; 65];
                sig[..32].copy_from_slice(&r.to_be_bytes::<32>());
                sig[32..64].copy_from_slice(&s.to_be_bytes::<32>());
                sig[64] = v;
                let both = (native::recover(&digest, &sig), portable::recover(&digest, &sig));
                assert_eq!(both.0, both.1, "r {r} s {s} v {v}");
            }
        }
    }
    for edge in [U256::ZERO, order() - one, order(), U256::MAX] {
        let secret = edge.to_be_bytes::<32>();
        let n = native::Secret::new(&secret).map(|s| s.address());
        assert_eq!(n, portable::Secret::new(&secret).map(|s| s.address()), "{edge}");
    }
}
