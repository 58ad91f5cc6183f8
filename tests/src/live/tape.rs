//! Subscribers: one per node, each writes down what the node streams, and comes back when the node does.
//!
//! Invariant: what was heard is kept as it was heard; judging it is for [`Tape::holes`] and the audit.

use super::{Devnet, ws::Ws};
use alloy_primitives::{Address, B256, Bytes};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Between two attempts to connect to a node that is down.
const AGAIN: Duration = Duration::from_millis(20);

/// A frame in the stream.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameSeen {
    /// Position in the log.
    #[serde(deserialize_with = "number")]
    pub g: u64,
    /// Height that it belongs to.
    #[serde(deserialize_with = "number")]
    pub height: u64,
    /// Round in which its leader's term began.
    #[serde(deserialize_with = "number")]
    pub round: u64,
    /// Position in the term.
    #[serde(deserialize_with = "number")]
    pub seq: u64,
    /// Its hash.
    pub hash: B256,
    /// The frame before it.
    pub parent_hash: B256,
    /// When it was made, by its leader's clock.
    pub timestamp_ms: u64,
    /// Its leader's owner address.
    pub leader: Address,
    /// Its transactions.
    pub transactions: Vec<B256>,
    /// The frame itself.
    pub signed_frame: Bytes,
}

/// What a node said.
#[derive(Debug, Clone)]
pub enum What {
    /// A frame was executed.
    Frame(Box<FrameSeen>),
    /// Frames were taken back.
    Retract {
        /// Newest position that stays.
        to_g: u64,
        /// First and last that do not.
        frames: (u64, u64),
        /// Why.
        reason: String,
    },
    /// The reader missed something, and is told so.
    Gap,
    /// More than two thirds have everything up to here.
    Acked {
        /// Position.
        g: u64,
    },
    /// A block has its hash.
    Sealed {
        /// Its number.
        number: u64,
        /// Its hash.
        hash: B256,
    },
    /// Nothing new.
    Other,
}

/// What was said, and when.
#[derive(Debug, Clone)]
pub struct Heard {
    /// When the subscriber had it.
    pub at: Instant,
    /// What.
    pub what: What,
}

/// One connection, from the node's oldest kept event on.
#[derive(Debug, Default)]
pub struct Session {
    /// In order.
    pub heard: Vec<Heard>,
}

/// All that a node said.
#[derive(Debug, Default)]
pub struct Tape {
    /// The node.
    pub node: String,
    /// One per connection.
    pub sessions: Vec<Session>,
}

/// The subscribers.
pub struct Tapes {
    stop: Arc<AtomicBool>,
    tapes: Vec<Arc<Mutex<Tape>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Tapes {
    /// A subscriber for each sequencer.
    pub fn start(net: &Devnet) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut tapes, mut threads) = (Vec::new(), Vec::new());
        for node in net.sequencers() {
            let addr = net.rpc_addr(&node);
            let tape = Arc::new(Mutex::new(Tape { node, sessions: Vec::new() }));
            tapes.push(Arc::clone(&tape));
            let stop = Arc::clone(&stop);
            threads.push(std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // The node is down, or went down: tried again until told to stop.
                    let _ = listen(&addr, &tape, &stop);
                    std::thread::sleep(AGAIN);
                }
            }));
        }
        Self { stop, tapes, threads }
    }

    /// What each node said so far.
    pub fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Tape>> {
        self.tapes.iter().map(|t| t.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The leader of the frame that was heard last of any node.
    pub fn newest_leader(&self) -> Option<Address> {
        let newest = self.each().filter_map(|t| {
            let heard = &t.sessions.last()?.heard;
            heard.iter().rev().find_map(|h| match &h.what {
                What::Frame(frame) => Some((h.at, frame.leader)),
                _ => None,
            })
        });
        newest.max_by_key(|(at, _)| *at).map(|(_, leader)| leader)
    }

    /// They stop; gives what they wrote down.
    pub fn stop(mut self) -> Vec<Tape> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        self.tapes.iter().map(|t| std::mem::take(&mut *t.lock().unwrap())).collect()
    }
}

impl Drop for Tapes {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn listen(addr: &str, tape: &Mutex<Tape>, stop: &AtomicBool) -> io::Result<()> {
    let mut ws = Ws::connect(addr, stop)?;
    let params = json!(["frames", { "full": true, "fromSeq": 1 }]);
    let method = "preconf_subscribe";
    ws.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string())?;
    tape.lock().unwrap_or_else(PoisonError::into_inner).sessions.push(Session::default());
    loop {
        let text = ws.next()?;
        let at = Instant::now();
        let message: Value = serde_json::from_str(&text)?;
        let Some(event) = message.get("params").map(|p| &p["result"]) else { continue };
        let what = read(event)?;
        let mut tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = tape.sessions.last_mut() {
            session.heard.push(Heard { at, what });
        }
    }
}

fn read(event: &Value) -> io::Result<What> {
    let data = &event["data"];
    let hex = |name: &str| super::quantity(&data[name]);
    Ok(match event["type"].as_str().unwrap_or_default() {
        "frame" => What::Frame(Box::new(serde_json::from_value(data.clone())?)),
        "retract" => What::Retract {
            to_g: hex("toG"),
            frames: (hex("firstG"), hex("lastG")),
            reason: data["reason"].as_str().unwrap_or_default().to_owned(),
        },
        "gap" => What::Gap,
        "acked" => What::Acked { g: hex("g") },
        "sealed" => What::Sealed {
            number: hex("blockNumber"),
            hash: serde_json::from_value(data["blockHash"].clone())?,
        },
        _ => What::Other,
    })
}

fn number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    Value::deserialize(from).map(|value| super::quantity(&value))
}

impl Tape {
    /// Every frame that the node ever showed.
    pub fn frames(&self) -> impl Iterator<Item = (Instant, &FrameSeen)> {
        self.sessions.iter().flat_map(|s| &s.heard).filter_map(|h| match &h.what {
            What::Frame(frame) => Some((h.at, &**frame)),
            _ => None,
        })
    }

    /// Places where the log goes on without what lies between, and nobody said so.
    pub fn holes(&self) -> Vec<String> {
        let mut holes = Vec::new();
        for (i, session) in self.sessions.iter().enumerate() {
            let mut tip: Option<(u64, Option<B256>)> = None;
            for heard in &session.heard {
                tip = match &heard.what {
                    What::Frame(frame) => {
                        if tip.is_some_and(|(g, hash)| {
                            frame.g != g + 1 || hash.is_some_and(|h| h != frame.parent_hash)
                        }) {
                            let (node, g) = (&self.node, frame.g);
                            holes.push(format!("{node}, connection {i}: frame {g} after {tip:?}"));
                        }
                        Some((frame.g, Some(frame.hash)))
                    }
                    What::Retract { to_g, .. } => Some((*to_g, None)),
                    What::Gap => None,
                    _ => tip,
                };
            }
        }
        holes
    }
}
