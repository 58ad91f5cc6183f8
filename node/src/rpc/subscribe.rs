//! Subscriptions: `eth_subscribe` as wallets know it, `preconf_subscribe` with numbered messages.
//!
//! A reader that is too slow for the ring is told what it missed; after three gaps it is closed.

use super::{
    Context, Module,
    args::{Args, Count},
    error,
    preconf::above,
    seq::HeadsJson,
    shape,
};
use crate::view::{At, Event, EventKind, Missed};
use alloy_primitives::B256;
use alloy_rpc_types_eth::Filter;
use jsonrpsee::{
    PendingSubscriptionSink, SubscriptionSink,
    core::{RegisterMethodError, to_json_raw_value},
    types::{ErrorObjectOwned, Params},
};
use rota_types::Stage;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// Gaps after which a slow reader is closed.
const MAX_GAPS: u32 = 3;

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_subscription(
        "eth_subscribe",
        "eth_subscription",
        "eth_unsubscribe",
        |params, pending, ctx, _| async move {
            match eth_kind(&params) {
                Ok(kind) => run_eth(kind, pending, &ctx).await,
                Err(refusal) => pending.reject(refusal).await,
            }
        },
    )?;
    module.register_subscription(
        "preconf_subscribe",
        "preconf_subscription",
        "preconf_unsubscribe",
        |params, pending, ctx, _| async move {
            match preconf_kind(&params) {
                Ok(kind) => run_preconf(kind, pending, &ctx).await,
                Err(refusal) => pending.reject(refusal).await,
            }
        },
    )?;
    Ok(())
}

enum EthKind {
    Heads,
    Logs(Box<Filter>),
    Transactions { full: bool },
}

fn eth_kind(params: &Params<'_>) -> Result<EthKind, ErrorObjectOwned> {
    let mut args = Args::of(params)?;
    let name: String = args.need("subscription name")?;
    match name.as_str() {
        "newHeads" => Ok(EthKind::Heads),
        "logs" => Ok(EthKind::Logs(Box::new(args.maybe::<Filter>("filter")?.unwrap_or_default()))),
        "newPendingTransactions" => {
            Ok(EthKind::Transactions { full: args.maybe("full")?.unwrap_or(false) })
        }
        other => Err(error::invalid(
            format!("unknown subscription {other}"),
            "one of newHeads, logs, newPendingTransactions; preconf_subscribe has more",
        )),
    }
}

async fn run_eth(kind: EthKind, pending: PendingSubscriptionSink, ctx: &Context) {
    // Subscribed before the client hears that it is, so nothing falls between.
    let mut events = ctx.view.subscribe();
    let mut admissions = ctx.view.admissions();
    let mut next = ctx.view.heads().latest.number.saturating_add(1);
    let Ok(sink) = pending.accept().await else { return };
    if let EthKind::Transactions { full } = kind {
        while let Some(received) = receive(&sink, &mut admissions).await {
            let Ok(tx) = received else { continue };
            let sent = if full {
                send(&sink, &shape::waiting(&tx)).await
            } else {
                send(&sink, &tx.hash).await
            };
            if sent.is_none() {
                return;
            }
        }
        return;
    }
    while let Some(received) = receive(&sink, &mut events).await {
        let decided = |e: &Event| matches!(e.kind, EventKind::Head { stage: Stage::Decided, .. });
        // After a gap the numbers say what is missing: nothing is lost.
        if received.as_ref().is_ok_and(|e| !decided(e)) {
            continue;
        }
        let head = ctx.view.heads().latest.number;
        for number in next..=head {
            if announce(&kind, &sink, ctx, number).await.is_none() {
                return;
            }
        }
        next = next.max(head.saturating_add(1));
    }
}

async fn announce(
    kind: &EthKind,
    sink: &SubscriptionSink,
    ctx: &Context,
    number: u64,
) -> Option<()> {
    let Some(block) = ctx.view.block(At::Number(number.into())) else { return Some(()) };
    match kind {
        EthKind::Heads => send(sink, &shape::header(&block)).await,
        EthKind::Logs(filter) => {
            for log in super::logs::logs_of_block(&block, filter) {
                send(sink, &log).await?;
            }
            Some(())
        }
        EthKind::Transactions { .. } => Some(()),
    }
}

enum PreconfKind {
    Transaction { hash: B256, until: Stage },
    Frames { from: Option<u64>, full: bool },
    Retractions,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    until: Option<Stage>,
    from_seq: Option<Count>,
    full: bool,
}

fn preconf_kind(params: &Params<'_>) -> Result<PreconfKind, ErrorObjectOwned> {
    let mut args = Args::of(params)?;
    let name: String = args.need("subscription name")?;
    match name.as_str() {
        "transaction" => {
            let hash = args.need("hash")?;
            let options: Options = args.maybe("options")?.unwrap_or_default();
            let until = options.until.unwrap_or(Stage::Finalized);
            Ok(PreconfKind::Transaction { hash, until })
        }
        "frames" => {
            let options: Options = args.maybe("options")?.unwrap_or_default();
            Ok(PreconfKind::Frames { from: options.from_seq.map(|c| c.0), full: options.full })
        }
        "retractions" => Ok(PreconfKind::Retractions),
        other => Err(error::invalid(
            format!("unknown subscription {other}"),
            "one of transaction, frames, retractions",
        )),
    }
}

/// A message of `preconf_subscribe`.
#[derive(Serialize)]
struct Message {
    seq: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    data: Value,
}

async fn run_preconf(kind: PreconfKind, pending: PendingSubscriptionSink, ctx: &Context) {
    match kind {
        PreconfKind::Transaction { hash, until } => {
            if let Ok(sink) = pending.accept().await {
                follow_transaction(&sink, ctx, hash, until).await;
            }
        }
        PreconfKind::Frames { from, full } => {
            let (missed, past, live) = match from {
                Some(seq) => ctx.view.resume(seq),
                None => (None, Vec::new(), ctx.view.subscribe()),
            };
            let Ok(sink) = pending.accept().await else { return };
            let render = |e: &Event| frame_message(e, full, ctx);
            let _ = follow(&sink, (missed, past), live, render).await;
        }
        PreconfKind::Retractions => {
            let live = ctx.view.subscribe();
            let Ok(sink) = pending.accept().await else { return };
            let _ = follow(&sink, (None, Vec::new()), live, retraction).await;
        }
    }
}

/// Sends each status as it changes, until the stage asked for or the end.
async fn follow_transaction(sink: &SubscriptionSink, ctx: &Context, hash: B256, until: Stage) {
    let mut seq = 0u64;
    let mut last = None;
    loop {
        let reached = ctx.view.tx(&hash).and_then(|t| t.progress.stage);
        let goal = reached.map_or(Some(Stage::Received), above).unwrap_or(until);
        let wait = ctx.view.wait(hash, goal);
        // Looked up again after the wait is set up: nothing falls between.
        let status = ctx.status(&hash);
        let now = status.as_ref().map(|s| (s.stage, s.problem.clone()));
        if let Some(status) = status.filter(|_| now != last) {
            seq = seq.saturating_add(1);
            let done =
                status.stage >= Some(until) || (status.stage.is_none() && status.problem.is_some());
            let message = Message { seq, kind: "stage", data: json!(status) };
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

/// Sends what was kept, then what comes, and says where something is missing.
async fn follow(
    sink: &SubscriptionSink,
    (missed, past): (Option<Missed>, Vec<Arc<Event>>),
    mut live: Receiver<Arc<Event>>,
    render: impl Fn(&Event) -> Option<Message>,
) -> Option<()> {
    let mut expected = past.first().map(|e| e.seq);
    if let Some(missed) = missed {
        send(sink, &gap(missed)).await?;
    }
    for event in &past {
        expected = Some(event.seq.saturating_add(1));
        if let Some(message) = render(event) {
            send(sink, &message).await?;
        }
    }
    let mut gaps = 0u32;
    loop {
        let Ok(event) = receive(sink, &mut live).await? else { continue };
        if let Some(from) = expected.filter(|seq| *seq < event.seq) {
            gaps = gaps.saturating_add(1);
            send(sink, &gap(Missed { from, to: event.seq.saturating_sub(1) })).await?;
            if gaps >= MAX_GAPS {
                return None;
            }
        }
        expected = Some(event.seq.saturating_add(1));
        if let Some(message) = render(&event) {
            send(sink, &message).await?;
        }
    }
}

fn gap(missed: Missed) -> Message {
    let data = json!({ "from": missed.from, "to": missed.to, "hint": "read faster, or resume with fromSeq" });
    Message { seq: missed.to, kind: "gap", data }
}

fn frame_message(event: &Event, full: bool, ctx: &Context) -> Option<Message> {
    let (kind, data) = match &event.kind {
        EventKind::Frame(record) => ("frame", json!(shape::FrameEvent::of(record, full))),
        EventKind::Heartbeat(heads) => ("heartbeat", json!(HeadsJson::of(heads, (ctx.now)()))),
        EventKind::Sealed(block) => {
            let number = alloy_primitives::U64::from(block.number());
            ("sealed", json!({ "blockNumber": number, "blockHash": block.hash }))
        }
        _ => return retraction(event),
    };
    Some(Message { seq: event.seq, kind, data })
}

fn retraction(event: &Event) -> Option<Message> {
    let EventKind::Retract { to_g, frames, leader, reason, txs, blocks } = &event.kind else {
        return None;
    };
    let hex = alloy_primitives::U64::from::<u64>;
    let data = json!({
        "reason": reason, "toG": hex(*to_g), "firstG": hex(frames.0), "lastG": hex(frames.1),
        "leader": leader, "transactions": txs, "blocks": blocks, "atMs": event.at_ms,
    });
    Some(Message { seq: event.seq, kind: "retract", data })
}

/// The next item, `Err` after a gap, `None` when the client or the server is gone.
async fn receive<T: Clone>(
    sink: &SubscriptionSink,
    receiver: &mut Receiver<T>,
) -> Option<Result<T, u64>> {
    tokio::select! {
        received = receiver.recv() => match received {
            Ok(item) => Some(Ok(item)),
            Err(RecvError::Lagged(missed)) => Some(Err(missed)),
            Err(RecvError::Closed) => None,
        },
        () = sink.closed() => None,
    }
}

async fn send<T: Serialize>(sink: &SubscriptionSink, item: &T) -> Option<()> {
    let json = to_json_raw_value(item).ok()?;
    // Waits while the client reads slowly; the ring behind it is bounded.
    sink.send(json).await.ok()
}
