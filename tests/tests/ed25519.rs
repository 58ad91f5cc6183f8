//! Contract and nodes accept the same ed25519 signatures (I-17), on a fresh random batch each run: honest, mutated and
//! hostile ones. The seed is printed; `ROTA_ED25519_SEED` repeats a run, `ROTA_ED25519_CASES` makes it longer.

use alloy_primitives::B256;
use curve25519_dalek::{
    EdwardsPoint, Scalar,
    constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION},
};
use rota_tests::evm::{Ed25519, Signed};
use rota_types::verify_seq;
use sha2::{Digest, Sha512};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
};

const CASES: u64 = 2_400;
/// The order of the base point, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u64) -> usize {
        usize::try_from(self.next() % n).unwrap()
    }
    fn bytes(&mut self) -> [u8; 32] {
        let mut out = [0; 32];
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
        out
    }
    fn scalar(&mut self) -> Scalar {
        let wide: [u8; 64] = [self.bytes(), self.bytes()].concat().try_into().unwrap();
        Scalar::from_bytes_mod_order_wide(&wide)
    }
}

/// A key and a signature to judge.
#[derive(Debug, Clone, Copy)]
struct Case {
    key: [u8; 32],
    r: [u8; 32],
    s: [u8; 32],
    message: [u8; 32],
}

fn challenge(r: &[u8; 32], key: &[u8; 32], message: &[u8; 32]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

/// Signed with a secret scalar; torsion is added to key and nonce point, and the equation still meant to hold.
fn signed(dice: &mut Dice, key_torsion: usize, r_torsion: usize) -> Case {
    let (a, nonce, message) = (dice.scalar(), dice.scalar(), dice.bytes());
    let key = (ED25519_BASEPOINT_POINT * a + EIGHT_TORSION[key_torsion]).compress().to_bytes();
    let r = (ED25519_BASEPOINT_POINT * nonce + EIGHT_TORSION[r_torsion]).compress().to_bytes();
    let s = (nonce + challenge(&r, &key, &message) * a).to_bytes();
    Case { key, r, s, message }
}

/// `bytes + times * order`, which may leave 256 bits.
fn plus_order(bytes: [u8; 32], times: u64) -> [u8; 32] {
    let mut out = bytes;
    for _ in 0..times {
        let mut carry = 0u16;
        for (o, l) in out.iter_mut().zip(ORDER) {
            let sum = u16::from(*o) + u16::from(l) + carry;
            *o = u8::try_from(sum & 0xff).unwrap();
            carry = sum >> 8;
        }
    }
    out
}

/// Encodings of `y` values at the edges: small ones, p and above, each with both signs.
fn edge_point(dice: &mut Dice) -> [u8; 32] {
    let mut out = if dice.below(2) == 0 { [0xff; 32] } else { [0; 32] };
    let top = out[0] == 0xff;
    // p is 2^255 - 19: its lowest byte is 0xed.
    out[0] = if top {
        u8::try_from(0xe8 + dice.below(24)).unwrap()
    } else {
        u8::try_from(dice.below(4)).unwrap()
    };
    out[31] = (if top { 0x7f } else { 0 }) | (u8::from(dice.below(2) == 1) << 7);
    out
}

fn torsion_point(dice: &mut Dice) -> [u8; 32] {
    EIGHT_TORSION[dice.below(8)].compress().to_bytes()
}

/// The case of a family; the families take turns.
fn case(family: u64, dice: &mut Dice) -> (&'static str, Case) {
    let mut c = signed(dice, 0, 0);
    match family % 12 {
        0 | 1 => ("valid", c),
        2 => {
            let bit = 1u8 << dice.below(8);
            let at = dice.below(32);
            match dice.below(4) {
                0 => c.key[at] ^= bit,
                1 => c.r[at] ^= bit,
                2 => c.s[at] ^= bit,
                _ => c.message[at] ^= bit,
            }
            ("one bit changed", c)
        }
        3 => {
            c.s = plus_order(c.s, 1 + dice.next() % 15);
            ("s + k L", c)
        }
        4 => ("torsion in key or r", {
            let (k, r) = (dice.below(8), dice.below(8));
            signed(dice, k, r)
        }),
        5 => {
            // [s]B - [k]A is the torsion point itself: what the cofactored equation and the plain one take.
            let a = dice.scalar();
            c.key = (ED25519_BASEPOINT_POINT * a).compress().to_bytes();
            c.r = torsion_point(dice);
            c.s = (challenge(&c.r, &c.key, &c.message) * a).to_bytes();
            ("r of small order", c)
        }
        6 => {
            c.key = torsion_point(dice);
            let nonce = dice.scalar();
            c.r = (ED25519_BASEPOINT_POINT * nonce).compress().to_bytes();
            c.s = nonce.to_bytes();
            ("key of small order", c)
        }
        7 => {
            c.key = edge_point(dice);
            c.s = dice.scalar().to_bytes();
            c.r = if dice.below(2) == 0 {
                edge_point(dice)
            } else {
                (ED25519_BASEPOINT_POINT * Scalar::from_bytes_mod_order(c.s)).compress().to_bytes()
            };
            ("key at the edge of the field", c)
        }
        8 => {
            c.r = edge_point(dice);
            ("r at the edge of the field", c)
        }
        9 => {
            c.s = match dice.below(4) {
                0 => ORDER,
                1 => [0xff; 32],
                2 => [0; 32],
                _ => (-Scalar::ONE).to_bytes(),
            };
            ("s at the edge", c)
        }
        10 => (
            "random bytes",
            Case { key: dice.bytes(), r: dice.bytes(), s: dice.bytes(), message: dice.bytes() },
        ),
        _ => {
            // Another point with the same y: the sign alone differs.
            if dice.below(2) == 0 {
                c.key[31] ^= 0x80
            } else {
                c.r[31] ^= 0x80
            }
            ("sign changed", c)
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|v| v.parse().expect("a number"))
}

#[test]
fn the_contract_accepts_exactly_what_the_nodes_accept() {
    let seed =
        number("ROTA_ED25519_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("ROTA_ED25519_SEED={seed}");
    let mut dice = Dice(seed);
    let mut contract = Ed25519::default();
    let mut seen: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let mut lenient = 0;
    for i in 0..number("ROTA_ED25519_CASES").unwrap_or(CASES) {
        let (family, c) = case(i, &mut dice);
        let signature: [u8; 64] = [c.r, c.s].concat().try_into().unwrap();
        let ours = verify_seq(&c.key, &c.message.into(), &signature).is_ok();
        let x = Signed { r: c.r.into(), s: c.s.into(), message: c.message.into() };
        let key = B256::from(c.key);
        assert_eq!(contract.verify(key, &x), ours, "seed {seed}, case {i}, {family}: {c:02x?}");
        if i % 4 == 0 {
            // As the second of a pair, and as the first.
            let good = signed_by_none(&mut dice);
            let both = contract.verify_pair(key, &x, &x);
            assert_eq!(both, ours, "pair: seed {seed}, case {i}, {family}: {c:02x?}");
            assert!(!contract.verify_pair(key, &x, &good) && !contract.verify_pair(key, &good, &x));
        }
        let count = seen.entry(family).or_default();
        if ours {
            count.0 += 1
        } else {
            count.1 += 1
        }
        lenient += u32::from(!ours && plain(&c));
    }
    println!("{seen:?}, {lenient} that the plain equation takes");
    assert!(seen["valid"].0 > 0 && seen["valid"].1 == 0);
    for family in
        ["s + k L", "r of small order", "key of small order", "random bytes", "s at the edge"]
    {
        assert_eq!(seen[family].0, 0, "{family}");
    }
    let (good, bad) = seen["torsion in key or r"];
    assert!(good > 0 && bad > 0, "torsion is taken only where the equation holds to the byte");
    assert!(lenient > 0, "no case tells the strict rule from the plain one");
}

/// A signature of somebody else.
fn signed_by_none(dice: &mut Dice) -> Signed {
    let c = signed(dice, 0, 0);
    Signed { r: c.r.into(), s: c.s.into(), message: c.message.into() }
}

/// The equation without cofactor and nothing else: what a lenient verifier takes.
fn plain(c: &Case) -> bool {
    let point = |b: [u8; 32]| curve25519_dalek::edwards::CompressedEdwardsY(b).decompress();
    let Some(key) = point(c.key) else { return false };
    let (s, k) = (Scalar::from_bytes_mod_order(c.s), challenge(&c.r, &c.key, &c.message));
    let there: EdwardsPoint = ED25519_BASEPOINT_POINT * s - key * k;
    there.compress().to_bytes() == c.r
}
