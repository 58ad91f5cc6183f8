//! `preconf_subscribe`: the log as one stream whose numbers are the positions of the log, the same at every node.
//!
//! Invariant: in a stream every position is covered once, in order, by a message's `g` (and `fromG`, where it covers
//! several); before one comes again there is a `retract` to a position below it. Who reads too slowly is told `lagged`
//! with the position to go on from, and cut off; nobody is skipped over in silence.

use super::{
    Answer, Context,
    args::{Args, Count},
    error,
    preconf::above,
    seq::HeadsJson,
    shape,
};
use crate::view::{CannotFollow, Cursor, FrameRecord, Lagged, Retraction, Step};
use alloy_primitives::{B256, U64};
use jsonrpsee::{
    PendingSubscriptionSink, SubscriptionSink, core::to_json_raw_value, types::Params,
};
use rota_types::Stage;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Things read from the tables at once.
const BATCH: usize = 64;

/// What is subscribed to.
pub(super) enum Topic {
    Transaction { hash: B256, until: Stage },
    Log { what: What, options: Options },
}

/// What of the log is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Every frame, and sealed blocks.
    Frames,
    /// Frames with transactions, by transaction.
    Preconfs,
    /// How far it is acked and decided.
    Acks,
    /// Retractions alone.
    Retract,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Options {
    until: Option<Stage>,
    from_g: Option<Count>,
    parent_hash: Option<B256>,
    from_seq: Option<Value>,
    full: bool,
}

/// Reads the parameters.
pub(super) fn topic(params: &Params<'_>) -> Answer<Topic> {
    let mut args = Args::of(params)?;
    let name: String = args.need("subscription name")?;
    if name == "transaction" {
        let hash = args.need("hash")?;
        let options: Options = args.maybe("options")?.unwrap_or_default();
        let until = options.until.unwrap_or(Stage::Finalized);
        return Ok(Topic::Transaction { hash, until });
    }
    let what = match name.as_str() {
        "frames" => What::Frames,
        "preconfs" => What::Preconfs,
        "acks" => What::Acks,
        "retract" | "retractions" => What::Retract,
        other => {
            return Err(error::invalid(
                format!("unknown subscription {other}"),
                "one of transaction, frames, preconfs, acks, retract",
            ));
        }
    };
    let options: Options = args.maybe("options")?.unwrap_or_default();
    if options.from_seq.is_some() {
        let hint = "give fromG: the position after the last one you have, at any node";
        return Err(error::invalid("fromSeq is no more", hint));
    }
    if what == What::Retract && options.from_g.is_some() {
        let hint = "subscribe to frames with fromG: a retraction that you missed comes first";
        return Err(error::invalid("retract cannot be resumed", hint));
    }
    Ok(Topic::Log { what, options })
}

/// Serves one subscription to its end.
pub(super) async fn run(topic: Topic, pending: PendingSubscriptionSink, ctx: &Context) {
    match topic {
        Topic::Transaction { hash, until } => {
            if let Err(never) = ctx.reachable(until) {
                pending.reject(never).await;
                return;
            }
            if let Ok(sink) = pending.accept().await {
                follow_transaction(&sink, ctx, hash, until).await;
            }
        }
        Topic::Log { what, options } => {
            let cursor = match what {
                What::Retract => Ok(ctx.view.follow_retractions()),
                _ => ctx.view.follow(options.from_g.map(|c| c.0), options.parent_hash),
            };
            match cursor {
                Ok(cursor) => {
                    let Ok(sink) = pending.accept().await else { return };
                    let _ = Log { what, full: options.full, cursor, covered: None }
                        .serve(&sink, ctx)
                        .await;
                }
                Err(refusal) => pending.reject(cannot_follow(refusal)).await,
            }
        }
    }
}

fn cannot_follow(refusal: CannotFollow) -> jsonrpsee::types::ErrorObjectOwned {
    let message = refusal.to_string();
    let (code, data) = match refusal {
        CannotFollow::TooOld { oldest, .. } => (
            error::STREAM_TOO_OLD,
            json!({ "oldestG": U64::from(oldest), "hint": "resume from oldestG, or at a node that keeps more" }),
        ),
        CannotFollow::Diverged { decided, .. } => (
            error::STREAM_DIVERGED,
            json!({ "decidedG": U64::from(decided), "hint": "resume after the last position that you know to be decided" }),
        ),
    };
    error::with_data(code, message, data)
}

/// A message of `preconf_subscribe`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    /// In the stream of one transaction: its number, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    /// Position in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    g: Option<U64>,
    /// First position that this message covers; missing if that is `g`.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_g: Option<U64>,
    #[serde(rename = "type")]
    kind: &'static str,
    data: Value,
}

impl Message {
    fn at(g: u64, kind: &'static str, data: Value) -> Self {
        Self { seq: None, g: Some(U64::from(g)), from_g: None, kind, data }
    }

    fn from(self, from_g: u64) -> Self {
        Self { from_g: Some(U64::from(from_g)).filter(|f| Some(*f) != self.g), ..self }
    }
}

/// One reader of the log.
struct Log {
    what: What,
    full: bool,
    cursor: Cursor,
    /// Newest position that a message covered, where frames without transactions are left out.
    covered: Option<u64>,
}

impl Log {
    async fn serve(mut self, sink: &SubscriptionSink, ctx: &Context) -> Option<()> {
        let (mut changed, mut beats) = (ctx.view.changed(), ctx.view.beats());
        self.covered = Some(self.cursor.next().saturating_sub(1));
        beats.borrow_and_update();
        loop {
            changed.borrow_and_update();
            loop {
                match ctx.view.pull(&mut self.cursor, BATCH) {
                    Ok(steps) if steps.is_empty() => break,
                    Ok(steps) => {
                        for step in steps {
                            if let Some(message) = self.message(&step) {
                                send(sink, &message).await?;
                            }
                        }
                    }
                    Err(cut) => return send(sink, &lagged(cut)).await,
                }
            }
            tokio::select! {
                changed = changed.changed() => changed.ok()?,
                beat = beats.changed() => {
                    beat.ok()?;
                    send(sink, &self.heartbeat(ctx)).await?;
                }
                () = sink.closed() => return None,
            }
        }
    }

    fn message(&mut self, step: &Step) -> Option<Message> {
        match (self.what, step) {
            (_, Step::Retract(retraction)) => {
                self.covered = self.covered.map(|c| c.min(retraction.to_g));
                Some(retract(retraction))
            }
            (What::Frames, Step::Frame(frame)) => {
                let data = json!(shape::FrameEvent::of(frame, self.full));
                Some(Message::at(frame.g(), "frame", data))
            }
            (What::Frames, Step::Sealed(block)) => {
                let number = U64::from(block.number());
                let data = json!({ "blockNumber": number, "blockHash": block.hash });
                Some(Message::at(block.span.last_g, "sealed", data))
            }
            (What::Preconfs, Step::Frame(frame)) if !frame.txs.is_empty() => {
                let from_g = self.covered.map_or(frame.g(), |c| c.saturating_add(1));
                self.covered = Some(frame.g());
                Some(preconf(frame).from(from_g))
            }
            (What::Acks, Step::Acked { from_g, g, info }) => {
                let power = format!("{}/{}", info.weight_gwei, info.total_gwei);
                let data = json!({ "power": power, "atMs": info.at_ms });
                Some(Message::at(*g, "acked", data).from(*from_g))
            }
            (What::Acks, Step::Decided { from_g, g, height }) => {
                let data = json!({ "height": U64::from(*height) });
                Some(Message::at(*g, "decided", data).from(*from_g))
            }
            _ => None,
        }
    }

    /// Once a second: where this reader is and where everything stands.
    fn heartbeat(&self, ctx: &Context) -> Message {
        let heads = ctx.view.heads();
        let here = match self.what {
            What::Retract => heads.pending.g,
            _ => self.cursor.next().saturating_sub(1),
        };
        Message::at(here, "heartbeat", json!(HeadsJson::of(&heads, (ctx.now)())))
    }
}

/// The transactions of a frame, with what became of each.
fn preconf(frame: &FrameRecord) -> Message {
    let txs: Vec<Value> = frame.txs.iter().map(shape::preconfirmed).collect();
    let data = json!({
        "hash": frame.hash, "leader": frame.leader, "blockNumber": U64::from(frame.block.number),
        "timestampMs": frame.frame.header.timestamp_ms, "transactions": txs,
    });
    Message::at(frame.g(), "preconf", data)
}

fn retract(retraction: &Retraction) -> Message {
    let Retraction { to_g, frames, leader, reason, txs, blocks, at_ms, .. } = retraction;
    let hex = U64::from::<u64>;
    let data = json!({
        "reason": reason, "toG": hex(*to_g), "firstG": hex(frames.0), "lastG": hex(frames.1),
        "leader": leader, "transactions": txs, "blocks": blocks, "atMs": at_ms,
    });
    Message::at(*to_g, "retract", data)
}

fn lagged(cut: Lagged) -> Message {
    let data = json!({
        "fromG": U64::from(cut.from_g), "oldestG": U64::from(cut.oldest),
        "hint": "read faster; resume with fromG at a node that keeps it",
    });
    Message::at(cut.from_g.saturating_sub(1), "lagged", data)
}

/// Sends each status as it changes, until the stage asked for or the end; a retraction is told by itself, also if
/// the transaction is in another frame by then.
async fn follow_transaction(sink: &SubscriptionSink, ctx: &Context, hash: B256, until: Stage) {
    let (mut seq, mut last, mut shown) = (0u64, None, false);
    let mut seen = ctx.view.retraction_count();
    loop {
        let reached = ctx.view.tx(&hash).and_then(|t| t.progress.stage);
        let goal = reached.map_or(Some(Stage::Received), above).unwrap_or(until);
        let wait = ctx.view.wait(hash, goal);
        // Looked up again after the wait is set up: nothing falls between.
        let status = ctx.status(&hash);
        // Read after the status: if there is none, the status is not older than the last one told.
        let gone = ctx.view.retractions(&mut seen).into_iter().rfind(|r| r.txs.contains(&hash));
        if let Some(retraction) = gone.filter(|_| shown) {
            (seq, last, shown) = (seq.saturating_add(1), None, false);
            let message = Message { seq: Some(seq), ..retract(&retraction) };
            if send(sink, &message).await.is_none() {
                return;
            }
            continue;
        }
        let now = status.as_ref().map(|s| {
            let frame = s.frame.as_ref().map(|f| f.frame.hash);
            (s.stage, frame, s.problem.clone())
        });
        if let Some(status) = status.filter(|_| now != last) {
            seq = seq.saturating_add(1);
            shown = status.stage >= Some(Stage::Preconfirmed);
            let done =
                status.stage >= Some(until) || (status.stage.is_none() && status.problem.is_some());
            let g = status.frame.as_ref().map(|f| f.frame.g);
            let message =
                Message { seq: Some(seq), g, from_g: None, kind: "stage", data: json!(status) };
            if send(sink, &message).await.is_none() || done {
                return;
            }
            last = now;
            continue;
        }
        tokio::select! {
            _ = wait => {}
            () = sink.closed() => return,
        }
    }
}

/// Sends one message; `None` if the client is gone.
pub(super) async fn send<T: Serialize>(sink: &SubscriptionSink, item: &T) -> Option<()> {
    let json = to_json_raw_value(item).ok()?;
    // Waits while the client reads slowly; what it waits for stays in the tables.
    sink.send(json).await.ok()
}
