//! Bytes of requests and responses: `u32 big endian length || payload`, once per stream.
//!
//! A response's payload begins with a status: 0 and the encoded response, or 1 for "busy". Not for: serving.
//! Invariant: a length is checked before its payload is stored, and memory grows only with received bytes.

use std::io;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::{StreamProtocol, request_response::Codec};

use crate::framing::Oversized;

/// A served request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// An encoded response.
    Done(Vec<u8>),
    /// The server has no capacity for this peer at the moment.
    Busy,
}

/// Reads and writes one bounded payload.
#[derive(Debug, Clone)]
pub(crate) struct BoundedCodec {
    /// Largest request in bytes.
    pub(crate) request_bytes: usize,
    /// Largest response in bytes, its status not counted.
    pub(crate) response_bytes: usize,
}

const DONE: u8 = 0;
const BUSY: u8 = 1;

async fn read_bounded(io: &mut (impl AsyncRead + Unpin), bound: usize) -> io::Result<Vec<u8>> {
    let mut prefix = [0; 4];
    io.read_exact(&mut prefix).await?;
    let prefix = u32::from_be_bytes(prefix);
    let length = usize::try_from(prefix).unwrap_or(usize::MAX);
    if length > bound {
        return Err(io::Error::other(Oversized { length, bound }));
    }
    let mut payload = Vec::new();
    io.take(u64::from(prefix)).read_to_end(&mut payload).await?;
    if payload.len() != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(payload)
}

async fn write_bounded(
    io: &mut (impl AsyncWrite + Unpin),
    (head, payload): (&[u8], &[u8]),
    bound: usize,
) -> io::Result<()> {
    let length = head.len().saturating_add(payload.len());
    let prefix = u32::try_from(length).ok().filter(|_| length <= bound);
    let prefix = prefix.ok_or_else(|| io::Error::other(Oversized { length, bound }))?;
    io.write_all(&prefix.to_be_bytes()).await?;
    io.write_all(head).await?;
    io.write_all(payload).await?;
    io.close().await
}

impl Codec for BoundedCodec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Reply;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_bounded(io, self.request_bytes).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Reply>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut payload = read_bounded(io, self.response_bytes.saturating_add(1)).await?;
        match payload.first() {
            Some(&DONE) => {
                payload.remove(0);
                Ok(Reply::Done(payload))
            }
            Some(&BUSY) if payload.len() == 1 => Ok(Reply::Busy),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_bounded(io, (&[], &request), self.request_bytes).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        reply: Reply,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let bound = self.response_bytes.saturating_add(1);
        match reply {
            Reply::Done(response) => write_bounded(io, (&[DONE], &response), bound).await,
            Reply::Busy => write_bounded(io, (&[BUSY], &[]), bound).await,
        }
    }
}

/// Whether an error of the codec says that the peer announced too much.
pub(crate) fn is_oversized(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Oversized>())
}

#[cfg(test)]
mod tests {
    use futures::{executor::block_on, io::Cursor};
    use proptest::prelude::*;

    use super::*;

    const CODEC: BoundedCodec = BoundedCodec { request_bytes: 50, response_bytes: 60 };
    const NAME: StreamProtocol = StreamProtocol::new("/test");

    proptest! {
        #[test]
        fn what_is_written_is_read(payload in prop::collection::vec(any::<u8>(), 0..80)) {
            let (mut codec, mut io) = (CODEC, Cursor::new(Vec::new()));
            let written = block_on(codec.write_request(&NAME, &mut io, payload.clone()));
            prop_assert_eq!(written.is_ok(), payload.len() <= 50);
            io.set_position(0);
            if written.is_ok() {
                prop_assert_eq!(&block_on(codec.read_request(&NAME, &mut io))?, &payload);
            }
            let mut io = Cursor::new(Vec::new());
            let written = block_on(codec.write_response(&NAME, &mut io, Reply::Done(payload.clone())));
            prop_assert_eq!(written.is_ok(), payload.len() <= 60);
            io.set_position(0);
            if written.is_ok() {
                prop_assert_eq!(block_on(codec.read_response(&NAME, &mut io))?, Reply::Done(payload));
            }
        }

        #[test]
        fn garbage_gives_an_error_or_a_bounded_value(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut codec = CODEC;
            if let Ok(request) = block_on(codec.read_request(&NAME, &mut Cursor::new(&bytes))) {
                prop_assert!(request.len() <= 50);
            }
            if let Ok(Reply::Done(response)) = block_on(codec.read_response(&NAME, &mut Cursor::new(&bytes))) {
                prop_assert!(response.len() <= 60);
            }
        }
    }

    #[test]
    fn an_announced_length_above_the_bound_is_named() {
        let error = block_on(read_bounded(&mut Cursor::new([0xff; 4]), 10)).expect_err("too long");
        assert!(is_oversized(&error));
    }
}
