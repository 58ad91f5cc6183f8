//! Subscribers: each writes down what a node streams, and goes on from there when it was cut off.
//!
//! For each node one that stays with it, for frames and for acks; and one that goes to another node each time.
//! Invariant: what was heard is kept as it was heard; judging it is for [`Tape::faults`] and the audit.

use super::{Devnet, ws::Ws};
use alloy_primitives::{Address, B256, Bytes};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
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

/// Codes of a node that cannot go on from where the reader was.
const TOO_OLD: i32 = 7008;
const DIVERGED: i32 = 7009;

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
    },
    /// More than two thirds have everything up to here.
    Acked {
        /// First position that is news.
        from_g: u64,
        /// Last one.
        g: u64,
    },
    /// The node would not go on from where the reader was, and said so.
    Refused {
        /// Where the reader's chain left the node's: what it has above this position counts no more.
        decided: Option<u64>,
    },
}

/// What was said, and when.
#[derive(Debug, Clone)]
pub struct Heard {
    /// When the subscriber had it.
    pub at: Instant,
    /// What.
    pub what: What,
}

/// All that a subscriber heard.
#[derive(Debug, Default)]
pub struct Tape {
    /// The node; `anyone` for the one that goes from node to node.
    pub node: String,
    /// `frames` or `acks`.
    pub topic: &'static str,
    /// In order, over all connections.
    pub heard: Vec<Heard>,
    /// Answers that no node may give.
    pub wrong: Vec<String>,
}

/// The subscribers.
pub struct Tapes {
    stop: Arc<AtomicBool>,
    tapes: Vec<Arc<Mutex<Tape>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Tapes {
    /// They begin.
    pub fn start(net: &Devnet) -> Self {
        let mut tapes = Self { stop: Arc::default(), tapes: Vec::new(), threads: Vec::new() };
        let nodes = net.sequencers();
        for node in &nodes {
            for topic in ["frames", "acks"] {
                tapes.spawn(node, topic, vec![net.rpc_addr(node)]);
            }
        }
        tapes.spawn("anyone", "frames", nodes.iter().map(|n| net.rpc_addr(n)).collect());
        tapes
    }

    fn spawn(&mut self, node: &str, topic: &'static str, addrs: Vec<String>) {
        let tape = Tape { node: node.to_owned(), topic, ..Tape::default() };
        let tape = Arc::new(Mutex::new(tape));
        self.tapes.push(Arc::clone(&tape));
        let stop = Arc::clone(&self.stop);
        self.threads.push(std::thread::spawn(move || {
            for addr in addrs.iter().cycle() {
                // The node is down, or went down: tried again until told to stop.
                let _ = listen(addr, (topic, &tape), &stop);
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(AGAIN);
            }
        }));
    }

    /// What each subscriber heard so far.
    pub fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Tape>> {
        self.tapes.iter().map(|t| t.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The leader of the frame that was heard last of any node.
    pub fn newest_leader(&self) -> Option<Address> {
        let newest = self.each().filter_map(|t| {
            t.heard.iter().rev().find_map(|h| match &h.what {
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
        self.each().map(|mut t| std::mem::take(&mut *t)).collect()
    }
}

impl Drop for Tapes {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// One connection, from where the tape ends.
fn listen(addr: &str, (topic, tape): (&str, &Mutex<Tape>), stop: &AtomicBool) -> io::Result<()> {
    let mut ws = Ws::connect(addr, stop)?;
    let lock = || tape.lock().unwrap_or_else(PoisonError::into_inner);
    let params = json!([topic, lock().go_on()]);
    let method = "preconf_subscribe";
    ws.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string())?;
    loop {
        let message: Value = serde_json::from_str(&ws.next()?)?;
        let at = Instant::now();
        if message["error"].is_object() {
            let refused = [TOO_OLD, DIVERGED].iter().any(|c| message["error"]["code"] == *c);
            if refused {
                let decided = &message["error"]["data"]["decidedG"];
                let decided = decided.is_string().then(|| super::quantity(decided));
                lock().heard.push(Heard { at, what: What::Refused { decided } });
            } else {
                lock().wrong.push(format!("{params}: {}", message["error"]));
            }
            return Ok(());
        }
        let Some(event) = message.get("params").map(|p| &p["result"]) else { continue };
        if let Some(what) = read(event)? {
            lock().heard.push(Heard { at, what });
        }
    }
}

fn read(event: &Value) -> io::Result<Option<What>> {
    let data = &event["data"];
    let g = super::quantity(&event["g"]);
    Ok(match event["type"].as_str().unwrap_or_default() {
        "frame" => Some(What::Frame(Box::new(serde_json::from_value(data.clone())?))),
        "retract" => Some(What::Retract { to_g: super::quantity(&data["toG"]) }),
        "acked" => {
            let from_g = event.get("fromG").map_or(g, super::quantity);
            Some(What::Acked { from_g, g })
        }
        _ => None,
    })
}

fn number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    Value::deserialize(from).map(|value| super::quantity(&value))
}

impl Tape {
    /// Every frame that was ever shown.
    pub fn frames(&self) -> impl Iterator<Item = (Instant, &FrameSeen)> {
        self.heard.iter().filter_map(|h| match &h.what {
            What::Frame(frame) => Some((h.at, &**frame)),
            _ => None,
        })
    }

    /// How often a node would not go on from where the reader was.
    pub fn refusals(&self) -> usize {
        self.heard.iter().filter(|h| matches!(h.what, What::Refused { .. })).count()
    }

    /// Options of the next subscription.
    fn go_on(&self) -> Value {
        let mut options = json!({ "full": true });
        match self.heard.last().map(|h| &h.what) {
            Some(What::Frame(frame)) => {
                options["fromG"] = json!(frame.g + 1);
                options["parentHash"] = json!(frame.hash);
            }
            Some(What::Retract { to_g }) => options["fromG"] = json!(to_g + 1),
            Some(What::Acked { g, .. }) => options["fromG"] = json!(g + 1),
            Some(What::Refused { decided: Some(g) }) => options["fromG"] = json!(g + 1),
            Some(What::Refused { decided: None }) | None => {}
        }
        options
    }

    /// The log as the reader knows it at the end: what was shown and not taken back.
    pub fn log(&self) -> BTreeMap<u64, B256> {
        let mut log = BTreeMap::new();
        for heard in &self.heard {
            match &heard.what {
                What::Frame(frame) => {
                    log.insert(frame.g, frame.hash);
                }
                What::Retract { to_g } => {
                    log.split_off(&(to_g + 1));
                }
                What::Refused { decided: Some(g) } => drop(log.split_off(&(g + 1))),
                What::Acked { .. } | What::Refused { decided: None } => {}
            }
        }
        log
    }

    /// Places where the stream goes on without what lies between and nobody said so, and acks that were taken back.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.wrong.clone();
        if self.heard.is_empty() {
            faults.push("heard nothing".to_owned());
        }
        let mut tip: Option<(u64, Option<B256>)> = None;
        for heard in &self.heard {
            tip = match &heard.what {
                What::Frame(frame) => {
                    let follows = |(g, hash): (u64, Option<B256>)| {
                        frame.g == g + 1 && hash.is_none_or(|h| h == frame.parent_hash)
                    };
                    if !tip.is_none_or(follows) {
                        faults.push(format!("frame {} after {tip:?}", frame.g));
                    }
                    Some((frame.g, Some(frame.hash)))
                }
                What::Acked { from_g, g } => {
                    if tip.is_some_and(|(last, _)| *from_g != last + 1) {
                        faults.push(format!("acked {from_g} to {g} after {tip:?}"));
                    }
                    Some((*g, None))
                }
                What::Retract { to_g } => {
                    if self.topic == "acks" && tip.is_some_and(|(acked, _)| *to_g < acked) {
                        faults.push(format!("acked up to {tip:?}, taken back to {to_g}"));
                    }
                    // Of acks, what was told stays told.
                    if self.topic == "acks" { tip } else { Some((*to_g, None)) }
                }
                What::Refused { .. } => None,
            };
        }
        faults.into_iter().map(|f| format!("{} of {}: {f}", self.topic, self.node)).collect()
    }
}
