//! JSON-RPC over HTTP, small enough to time with.

use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long an answer may take if nothing else was said.
const PATIENCE: Duration = Duration::from_secs(20);

/// A JSON-RPC connection that stays open.
pub struct Rpc {
    addr: String,
    stream: BufReader<TcpStream>,
}

impl Rpc {
    /// Connects.
    pub fn connect(addr: &str) -> std::io::Result<Self> {
        Self::connect_within(addr, PATIENCE)
    }

    /// Connects, and waits this long at most: to connect, and for each answer.
    pub fn connect_within(addr: &str, patience: Duration) -> std::io::Result<Self> {
        let socket: SocketAddr = addr.parse().map_err(std::io::Error::other)?;
        let stream = TcpStream::connect_timeout(&socket, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        Ok(Self { addr: addr.to_owned(), stream: BufReader::new(stream) })
    }

    /// Calls a method; the error of the server is the `Err`.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, String> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer = self.post(&body.to_string()).map_err(|e| e.to_string())?;
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(answer["error"].to_string()),
        }
    }

    fn post(&mut self, body: &str) -> std::io::Result<Value> {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.addr,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut length = 0usize;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(n) = line.strip_prefix("content-length:") {
                length = n.trim().parse().unwrap_or(0);
            }
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        serde_json::from_slice(&bytes).map_err(std::io::Error::other)
    }
}

/// Asks one node many things, over whatever happens to it.
pub struct Asker {
    addr: String,
    rpc: Option<Rpc>,
}

impl Asker {
    /// Nothing is connected before the first question.
    pub fn new(addr: String) -> Self {
        Self { addr, rpc: None }
    }

    /// The answer, if there is one.
    pub fn ask(&mut self, method: &str, params: Value) -> Option<Value> {
        if self.rpc.is_none() {
            self.rpc = Rpc::connect_within(&self.addr, Duration::from_secs(2)).ok();
        }
        match self.rpc.as_mut()?.call(method, params) {
            Ok(answer) => Some(answer).filter(|a| !a.is_null()),
            // An error of the server is in braces; any other ends the connection.
            Err(error) => {
                if !error.starts_with('{') {
                    self.rpc = None;
                }
                None
            }
        }
    }
}

/// One question on a connection of its own. A node that is dead or hangs gives no answer.
pub fn ask(addr: &str, method: &str, params: Value) -> Option<Value> {
    let mut rpc = Rpc::connect_within(addr, Duration::from_secs(2)).ok()?;
    rpc.call(method, params).ok().filter(|answer| !answer.is_null())
}

/// `GET path`, as text.
pub fn get(addr: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, b)| b).to_owned();
    Ok((status, body))
}

/// A quantity of JSON-RPC.
pub fn quantity(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap_or("0x0").trim_start_matches("0x"), 16).unwrap_or(0)
}
