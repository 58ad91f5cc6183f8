//! Subscriptions: `eth_subscribe` as wallets know it, and the doors to `preconf_subscribe` (`stream`).

use super::{
    Context, Module,
    args::Args,
    error, shape,
    stream::{self, send},
};
use crate::view::{At, Event, EventKind};
use alloy_rpc_types_eth::Filter;
use jsonrpsee::{
    PendingSubscriptionSink, SubscriptionSink,
    core::RegisterMethodError,
    types::{ErrorObjectOwned, Params},
};
use rota_types::Stage;
use tokio::sync::broadcast::{Receiver, error::RecvError};

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
            match stream::topic(&params) {
                Ok(topic) => stream::run(topic, pending, &ctx).await,
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
