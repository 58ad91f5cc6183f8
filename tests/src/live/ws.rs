//! The little of WebSocket (RFC 6455) that a subscriber needs.
//!
//! Invariant: a message is given whole or not at all; waiting for one loses nothing of it.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A connection.
pub struct Ws<'a> {
    stream: BufReader<TcpStream>,
    stop: &'a AtomicBool,
}

impl<'a> Ws<'a> {
    /// Connects and shakes hands. `stop` ends every wait.
    pub fn connect(addr: &str, stop: &'a AtomicBool) -> io::Result<Self> {
        let socket: SocketAddr = addr.parse().map_err(io::Error::other)?;
        let mut stream = TcpStream::connect_timeout(&socket, Duration::from_secs(2))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        write!(
            stream,
            "GET / HTTP/1.1\r\nhost: {addr}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        )?;
        let mut ws = Self { stream: BufReader::new(stream), stop };
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let [byte] = ws.take()?;
            head.push(byte);
        }
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
        }
        Ok(ws)
    }

    /// Sends a text.
    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.write(TEXT, text.as_bytes())
    }

    /// The next text.
    pub fn next(&mut self) -> io::Result<String> {
        let mut message = Vec::new();
        loop {
            let [first, second] = self.take()?;
            let length = match second & 0x7f {
                126 => u64::from(u16::from_be_bytes(self.take()?)),
                127 => u64::from_be_bytes(self.take()?),
                short => u64::from(short),
            };
            let mut part = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            self.fill(&mut part)?;
            match first & 0x0f {
                PING => self.write(PONG, &part)?,
                PONG => {}
                CLOSE => return Err(ErrorKind::ConnectionAborted.into()),
                _ => {
                    message.append(&mut part);
                    if first & 0x80 != 0 {
                        return String::from_utf8(message).map_err(io::Error::other);
                    }
                }
            }
        }
    }

    fn write(&mut self, kind: u8, bytes: &[u8]) -> io::Result<()> {
        // A mask is a must for clients; zeros are one.
        let mut out = vec![0x80 | kind];
        match u16::try_from(bytes.len()) {
            Ok(short) if short < 126 => out.push(0x80 | short as u8),
            Ok(medium) => {
                out.push(0x80 | 126);
                out.extend(medium.to_be_bytes());
            }
            Err(_) => return Err(io::Error::other("too long to send")),
        }
        out.extend([0; 4]);
        out.extend(bytes);
        self.stream.get_mut().write_all(&out)
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Fills the buffer, however long the other side takes.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            if self.stop.load(Ordering::Relaxed) {
                return Err(ErrorKind::Interrupted.into());
            }
            match self.stream.fill_buf() {
                Ok([]) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => done += self.stream.read(&mut buffer[done..])?,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
