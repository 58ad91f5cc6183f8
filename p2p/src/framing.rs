//! Length-prefixed messages on a byte stream: `u32 big endian length || payload`.
//!
//! A length of zero is no message but a *gap mark*: the sender lost messages at this point and the
//! receiver has to ask for what it misses. Not for: sockets. Invariant: a length is checked against the
//! bound before a byte of its payload is stored, so that a peer can make us hold at most one message
//! of its lane plus one read.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes in front of each payload.
pub(crate) const PREFIX: usize = 4;

/// What a stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The payload of one message.
    Message(Bytes),
    /// Messages were lost here.
    Gap,
}

/// A stream that cannot be continued. The peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of {length} bytes exceeds the bound of {bound}")]
pub(crate) struct Oversized {
    /// Announced length.
    pub(crate) length: usize,
    /// Largest accepted length.
    pub(crate) bound: usize,
}

/// Cuts a byte stream into messages.
#[derive(Debug)]
pub(crate) struct Deframer {
    bound: usize,
    held: BytesMut,
}

impl Deframer {
    /// A deframer that accepts payloads up to `bound` bytes.
    pub(crate) fn new(bound: usize) -> Self {
        Self { bound, held: BytesMut::new() }
    }

    /// Adds bytes read from the stream. Call [`Self::next_piece`] until it gives `None` before the next call.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next complete piece, `None` when more bytes are needed.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Piece>, Oversized> {
        let Some(prefix) = self.held.first_chunk::<PREFIX>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        if length > self.bound {
            return Err(Oversized { length, bound: self.bound });
        }
        if length == 0 {
            self.held.advance(PREFIX);
            return Ok(Some(Piece::Gap));
        }
        if self.held.len().saturating_sub(PREFIX) < length {
            return Ok(None);
        }
        self.held.advance(PREFIX);
        Ok(Some(Piece::Message(self.held.split_to(length).freeze())))
    }

    /// Bytes held for an incomplete piece.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }
}

/// Appends a message. The caller has checked that it is neither empty nor longer than its bound.
pub(crate) fn put_message(out: &mut BytesMut, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.reserve(payload.len().saturating_add(PREFIX));
    out.put_u32(length);
    out.put_slice(payload);
}

/// Appends a gap mark.
pub(crate) fn put_gap(out: &mut BytesMut) {
    out.put_u32(0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(deframer: &mut Deframer, out: &mut Vec<Piece>) -> Result<(), Oversized> {
        while let Some(piece) = deframer.next_piece()? {
            out.push(piece);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn any_cut_of_the_stream_gives_the_same_pieces(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
            cuts in prop::collection::vec(1_usize..97, 1..50),
        ) {
            let mut stream = BytesMut::new();
            let mut expected = Vec::new();
            for payload in payloads {
                if payload.is_empty() {
                    put_gap(&mut stream);
                    expected.push(Piece::Gap);
                } else {
                    put_message(&mut stream, &payload);
                    expected.push(Piece::Message(payload.into()));
                }
            }
            let (mut deframer, mut got, mut rest) = (Deframer::new(200), Vec::new(), &stream[..]);
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                deframer.extend(now);
                drain(&mut deframer, &mut got)?;
                rest = later;
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(got, expected);
            prop_assert_eq!(deframer.held(), 0);
        }

        #[test]
        fn garbage_never_makes_it_hold_more_than_one_message(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..200),
            small in any::<bool>(),
        ) {
            let bound = 100;
            let mut deframer = Deframer::new(bound);
            for mut chunk in chunks {
                // Half of the cases look like a plausible prefix, so that bodies are reached too.
                if small && chunk.len() > 3 { chunk[0] = 0; chunk[1] = 0; chunk[2] = 0; }
                deframer.extend(&chunk);
                let mut got = Vec::new();
                if drain(&mut deframer, &mut got).is_err() { break; }
                let fits = |piece: &Piece| match piece {
                    Piece::Message(payload) => payload.len() <= bound,
                    Piece::Gap => true,
                };
                prop_assert!(got.iter().all(fits));
                prop_assert!(deframer.held() < bound + PREFIX);
            }
        }
    }

    #[test]
    fn a_length_above_the_bound_is_refused_before_its_payload_arrives() {
        let mut deframer = Deframer::new(1_000);
        deframer.extend(&u32::MAX.to_be_bytes());
        assert_eq!(deframer.next_piece(), Err(Oversized { length: 0xffff_ffff, bound: 1_000 }));
        assert_eq!(deframer.held(), PREFIX);
    }
}
