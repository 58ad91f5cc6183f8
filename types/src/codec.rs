//! Fixed-width big-endian encoding with exact lengths.
//!
//! Not for: JSON or RLP (those belong to alloy and serde).
//! Invariant: a decoder never allocates more than its input or its stated bound, and rejects
//! trailing bytes.

use alloy_primitives::{Address, B256, Bytes};

/// Why bytes from a peer, from L1 or from disk were refused. The sender is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the type needs.
    #[error("{what}: {need} bytes needed, {left} left")]
    Short {
        /// What was being read.
        what: &'static str,
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        left: usize,
    },
    /// Bytes left over after the value.
    #[error("{0} bytes after the end of the value")]
    Trailing(usize),
    /// A length or count above its bound.
    #[error("{what}: {got} is above the bound of {max}")]
    Bound {
        /// What was being read.
        what: &'static str,
        /// Largest allowed.
        max: usize,
        /// Value found.
        got: usize,
    },
    /// A field with a value that the format does not allow.
    #[error("{0}")]
    Invalid(&'static str),
}

/// Appends fixed-width fields to a buffer.
#[derive(Debug, Default, Clone)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// A writer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }
    /// One byte.
    pub fn u8(&mut self, v: u8) -> &mut Self {
        self.0.push(v);
        self
    }
    /// Two bytes, big-endian.
    pub fn u16(&mut self, v: u16) -> &mut Self {
        self.raw(&v.to_be_bytes())
    }
    /// Four bytes, big-endian.
    pub fn u32(&mut self, v: u32) -> &mut Self {
        self.raw(&v.to_be_bytes())
    }
    /// Four bytes, two's complement, big-endian.
    pub fn i32(&mut self, v: i32) -> &mut Self {
        self.raw(&v.to_be_bytes())
    }
    /// Eight bytes, big-endian.
    pub fn u64(&mut self, v: u64) -> &mut Self {
        self.raw(&v.to_be_bytes())
    }
    /// Sixteen bytes, big-endian.
    pub fn u128(&mut self, v: u128) -> &mut Self {
        self.raw(&v.to_be_bytes())
    }
    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
    /// A 32-byte hash.
    pub fn hash(&mut self, v: &B256) -> &mut Self {
        self.raw(v.as_slice())
    }
    /// Bytes with a 32-bit length in front. Longer input is a bug of ours and is cut off by the
    /// bound that the matching reader states, so it is saturated here rather than wrapped.
    pub fn bytes(&mut self, v: &[u8]) -> &mut Self {
        self.u32(u32::try_from(v.len()).unwrap_or(u32::MAX)).raw(v)
    }
    /// A list with a 32-bit count in front.
    pub fn list<T: Encode>(&mut self, items: &[T]) -> &mut Self {
        self.u32(u32::try_from(items.len()).unwrap_or(u32::MAX));
        for item in items {
            item.encode_to(self);
        }
        self
    }
    /// The bytes written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads fixed-width fields from a buffer.
#[derive(Debug, Clone)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
    /// The next `n` bytes.
    pub fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.0.split_at_checked(n).ok_or(DecodeError::Short {
            what,
            need: n,
            left: self.0.len(),
        })?;
        self.0 = tail;
        Ok(head)
    }
    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let mut out = [0u8; N];
        out.copy_from_slice(self.take(N, what)?);
        Ok(out)
    }
    /// One byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array(what)?))
    }
    /// A 16-bit integer.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array(what)?))
    }
    /// A 32-bit integer.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array(what)?))
    }
    /// A signed 32-bit integer.
    pub fn i32(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array(what)?))
    }
    /// A 64-bit integer.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array(what)?))
    }
    /// A 128-bit integer.
    pub fn u128(&mut self, what: &'static str) -> Result<u128, DecodeError> {
        Ok(u128::from_be_bytes(self.array(what)?))
    }
    /// A 32-byte hash.
    pub fn hash(&mut self, what: &'static str) -> Result<B256, DecodeError> {
        Ok(B256::from(self.array::<32>(what)?))
    }
    /// A 20-byte address.
    pub fn address(&mut self, what: &'static str) -> Result<Address, DecodeError> {
        Ok(Address::from(self.array::<20>(what)?))
    }
    /// A count or length of at most `max`.
    pub fn count(&mut self, what: &'static str, max: usize) -> Result<usize, DecodeError> {
        let got = usize::try_from(self.u32(what)?).unwrap_or(usize::MAX);
        if got > max { Err(DecodeError::Bound { what, max, got }) } else { Ok(got) }
    }
    /// Bytes with a length in front, at most `max`.
    pub fn bytes(&mut self, what: &'static str, max: usize) -> Result<Bytes, DecodeError> {
        let n = self.count(what, max)?;
        Ok(Bytes::copy_from_slice(self.take(n, what)?))
    }
    /// A list of at most `max` items.
    pub fn list<T: Decode>(
        &mut self,
        what: &'static str,
        max: usize,
    ) -> Result<Vec<T>, DecodeError> {
        let n = self.count(what, max)?;
        // Grown as items arrive: a lying count allocates nothing.
        let mut out = Vec::new();
        for _ in 0..n {
            out.push(T::decode_from(self)?);
        }
        Ok(out)
    }
    /// Bytes not read yet.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.0.len()
    }
    /// Fails if bytes are left.
    pub const fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.0.len())) }
    }
}

/// Has one byte representation.
pub trait Encode {
    /// Appends the value.
    fn encode_to(&self, w: &mut Writer);
    /// The value's bytes.
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        self.encode_to(&mut w);
        w.finish()
    }
}

/// Can be read back from its byte representation.
pub trait Decode: Sized {
    /// Reads the value and leaves what follows.
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError>;
    /// Reads a value that fills `bytes` exactly.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let value = Self::decode_from(&mut r)?;
        r.end()?;
        Ok(value)
    }
}

impl Encode for B256 {
    fn encode_to(&self, w: &mut Writer) {
        w.hash(self);
    }
}
impl Decode for B256 {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.hash("hash")
    }
}
