//! Random numbers from a seed, cheap enough to be called at every step.
//!
//! Not for: anything that must be hard to guess.

/// A stream of numbers that its seed decides.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The stream of a seed; neighbouring seeds give unrelated streams.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // splitmix64: xorshift below must not start at 0, nor near its neighbour.
        let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((z ^ (z >> 31)) | 1)
    }

    /// The next 32 bits.
    #[inline]
    pub const fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }

    /// A number below `bound` (0 if the bound is 0).
    #[inline]
    pub const fn below(&mut self, bound: usize) -> usize {
        ((self.next() as u64).wrapping_mul(bound as u64) >> 32) as usize
    }

    /// True once in `bound` times.
    #[inline]
    pub const fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    /// A member of a set of bits.
    #[inline]
    pub const fn member(&mut self, set: u64) -> Option<u8> {
        if set == 0 {
            return None;
        }
        let (mut rest, mut skip) = (set, self.below(set.count_ones() as usize));
        while skip > 0 {
            rest &= rest - 1;
            skip -= 1;
        }
        Some(rest.trailing_zeros() as u8)
    }
}
