//! Filters that clients poll: what is new since the last time. Bounded in number and in age.

use super::{Answer, Context, Module, args::Args, error};
use crate::view::At;
use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::{Filter, Log};
use jsonrpsee::core::RegisterMethodError;
use parking_lot::Mutex;
use rota_types::{Millis, Tx};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

enum Kind {
    Blocks { next: u64 },
    Logs { filter: Box<Filter>, next: u64 },
    Transactions(Receiver<Arc<Tx>>),
}

struct Entry {
    kind: Kind,
    asked_ms: Millis,
}

struct Table {
    next_id: u64,
    entries: BTreeMap<u64, Entry>,
}

/// All filters of this server.
pub(super) struct Filters {
    max: usize,
    expiry_ms: Millis,
    table: Mutex<Table>,
}

/// What a filter gives.
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Changes {
    Hashes(Vec<B256>),
    Logs(Vec<Log>),
}

impl Filters {
    pub(super) fn new(max: usize, expiry_ms: Millis) -> Self {
        Self { max, expiry_ms, table: Mutex::new(Table { next_id: 1, entries: BTreeMap::new() }) }
    }

    fn add(&self, kind: Kind, now: Millis) -> Answer<U64> {
        let mut table = self.table.lock();
        let alive = |e: &Entry| now.saturating_sub(e.asked_ms) < self.expiry_ms;
        table.entries.retain(|_, entry| alive(entry));
        if table.entries.len() >= self.max {
            let message = format!("{} filters are open", self.max);
            return Err(error::plain(
                error::LIMIT,
                message,
                "uninstall some, or use eth_subscribe",
            ));
        }
        let id = table.next_id;
        table.next_id = id.saturating_add(1);
        table.entries.insert(id, Entry { kind, asked_ms: now });
        Ok(U64::from(id))
    }
}

pub(super) fn register(module: &mut Module) -> Result<(), RegisterMethodError> {
    module.register_method("eth_newFilter", |p, ctx, _| {
        let filter: Filter = Args::of(&p)?.need("filter")?;
        let head = ctx.view.heads().latest.number;
        let next = filter.get_from_block().unwrap_or_else(|| head.saturating_add(1));
        ctx.filters.add(Kind::Logs { filter: Box::new(filter), next }, (ctx.now)())
    })?;
    module.register_method("eth_newBlockFilter", |_, ctx, _| {
        let next = ctx.view.heads().latest.number.saturating_add(1);
        ctx.filters.add(Kind::Blocks { next }, (ctx.now)())
    })?;
    module.register_method("eth_newPendingTransactionFilter", |_, ctx, _| {
        ctx.filters.add(Kind::Transactions(ctx.view.admissions()), (ctx.now)())
    })?;
    module.register_blocking_method("eth_getFilterChanges", |p, ctx, _| {
        let id: U64 = Args::of(&p)?.need("filter id")?;
        ctx.filter_changes(id.to::<u64>())
    })?;
    module.register_blocking_method("eth_getFilterLogs", |p, ctx, _| {
        let id: U64 = Args::of(&p)?.need("filter id")?;
        let filter = match ctx.filters.table.lock().entries.get(&id.to::<u64>()).map(|e| &e.kind) {
            Some(Kind::Logs { filter, .. }) => filter.clone(),
            _ => return Err(unknown()),
        };
        ctx.logs(&filter)
    })?;
    module.register_method("eth_uninstallFilter", |p, ctx, _| {
        let id: U64 = Args::of(&p)?.need("filter id")?;
        Answer::Ok(ctx.filters.table.lock().entries.remove(&id.to::<u64>()).is_some())
    })?;
    Ok(())
}

fn unknown() -> jsonrpsee::types::ErrorObjectOwned {
    error::plain(error::REFUSED, "filter not found", "it may have expired; make a new one")
}

impl Context {
    fn filter_changes(&self, id: u64) -> Answer<Changes> {
        let head = self.view.heads().latest.number;
        let after = head.saturating_add(1);
        let (from, filter) = {
            let mut table = self.filters.table.lock();
            let entry = table.entries.get_mut(&id).ok_or_else(unknown)?;
            entry.asked_ms = (self.now)();
            match &mut entry.kind {
                Kind::Transactions(receiver) => return Ok(Changes::Hashes(drain(receiver))),
                Kind::Blocks { next } => (std::mem::replace(next, after.max(*next)), None),
                Kind::Logs { filter, next } => {
                    (std::mem::replace(next, after.max(*next)), Some(filter.clone()))
                }
            }
        };
        let Some(filter) = filter else {
            let hash = |n: u64| self.view.block(At::Number(n.into())).map(|b| b.hash);
            return Ok(Changes::Hashes((from..after).filter_map(hash).collect()));
        };
        let to = filter.get_to_block().map_or(head, |to| to.min(head));
        self.logs_between(&filter, from, to).map(Changes::Logs)
    }
}

fn drain(receiver: &mut Receiver<Arc<Tx>>) -> Vec<B256> {
    let mut out = Vec::new();
    loop {
        match receiver.try_recv() {
            Ok(tx) => out.push(tx.hash),
            // Polled too seldom: the oldest are gone.
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return out,
        }
    }
}
