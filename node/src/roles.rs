//! What runs around a role besides its threads: L1 tasks, metrics, the web server.

use crate::{
    clock::now_ms,
    config::Config,
    info::SequencerInfo,
    network::Network,
    run::RunArgs,
    sequencer::Sequencer,
    settle::{
        Inbox, InboxState, L1Health, OriginSettings, Pace, Poster, PosterStats, PosterTask,
        StoreJournal, Turn, follow_inbox, follow_origins, posting_policy, run_poster,
    },
};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::B256;
use parking_lot::{Mutex, RwLock};
use rota_l1::{RpcL1, RpcSender, TxManager};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the tasks of a sequencer are made of.
pub(crate) struct SequencerTasks<'a> {
    pub(crate) config: &'a Config,
    pub(crate) network: &'a Network,
    pub(crate) poster: Option<PrivateKeySigner>,
    pub(crate) l1: Arc<RpcL1>,
    pub(crate) l1_head: Arc<RwLock<Option<(u64, B256)>>>,
    pub(crate) info: Arc<SequencerInfo>,
}

/// Running tasks.
pub(crate) struct Background {
    stop: CancellationToken,
}

impl Background {
    /// Tells them to stop.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}

impl SequencerTasks<'_> {
    pub(crate) async fn start(self, running: &Sequencer) -> eyre::Result<Background> {
        let stop = CancellationToken::new();
        let health = Arc::new(L1Health::default());
        let pace = Pace {
            every: Duration::from_millis(self.config.l1.poll.as_millis()),
            now: Arc::new(now_ms),
            stop: stop.clone(),
        };
        let poster = Arc::new(Mutex::new(PosterStats::default()));
        self.origins(running, &health, &pace);
        let inbox = self.inbox(running, &health, &pace)?;
        self.poster(running, (&health, &poster), inbox, &pace)?;
        second_hand(running, &stop);
        Ok(Background { stop })
    }

    /// Follows the inbox contract for the view.
    #[expect(clippy::disallowed_methods, reason = "a named task of the node")]
    fn inbox(
        &self,
        running: &Sequencer,
        health: &Arc<L1Health>,
        pace: &Pace,
    ) -> eyre::Result<watch::Receiver<InboxState>> {
        let inbox = Inbox::open(running.store.clone(), self.network.l1_deploy_block)?;
        let (state, seen) = watch::channel(inbox.state());
        let view = Arc::clone(&running.view);
        let task =
            follow_inbox(inbox, self.l1.clone(), view, (Arc::clone(health), state), pace.clone());
        tokio::spawn(task);
        Ok(seen)
    }

    /// Posts batches when it is this validator's turn, if it has an account to pay from.
    #[expect(clippy::disallowed_methods, reason = "a named task of the node")]
    fn poster(
        &self,
        running: &Sequencer,
        (health, stats): (&Arc<L1Health>, &Arc<Mutex<PosterStats>>),
        inbox: watch::Receiver<InboxState>,
        pace: &Pace,
    ) -> eyre::Result<()> {
        let Some(signer) = self.poster.clone().filter(|_| self.config.batch.post) else {
            return Ok(());
        };
        let sender = RpcSender::new(self.l1.endpoints(), signer, self.network.l1_chain_id);
        let journal = StoreJournal(running.store.clone());
        let manager = TxManager::open(sender, journal, posting_policy())?;
        let validators = u64::try_from(self.info.set.len()).unwrap_or(1);
        let turn = Turn::new(u64::from(self.info.index), validators);
        let poster = Poster::new(manager, running.store.clone(), self.network.inbox, turn);
        let task = PosterTask { inbox, health: Arc::clone(health), stats: Arc::clone(stats) };
        tokio::spawn(run_poster(poster, self.l1.clone(), task, pace.clone()));
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "a named task of the node")]
    fn origins(&self, running: &Sequencer, health: &Arc<L1Health>, pace: &Pace) {
        let settings = OriginSettings {
            start: self.network.l1_deploy_block,
            backlog: 64,
            gas_limit: self.network.params.gas_limit,
            fee_vault: self.network.params.fee_vault,
        };
        let (send, head) = (running.origin(), Arc::clone(&self.l1_head));
        let task = follow_origins(
            self.l1.clone(),
            settings,
            Arc::clone(health),
            pace.clone(),
            move |env| {
                let newest = head.read().is_none_or(|(n, _)| n < env.l1_number);
                if newest {
                    *head.write() = Some((env.l1_number, env.l1_hash));
                }
                send(env);
            },
        );
        tokio::spawn(task);
    }
}

/// Once a second: a heartbeat for streams, and what waited too long is dropped.
#[expect(clippy::disallowed_methods, reason = "a named task of the node")]
fn second_hand(running: &Sequencer, stop: &CancellationToken) {
    let (view, submitter) = (Arc::clone(&running.view), Arc::clone(&running.submitter));
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = tick.tick() => {
                    view.heartbeat(now_ms());
                    submitter.expire(now_ms());
                }
            }
        }
    });
}

/// The follower role.
pub(crate) async fn follower(args: RunArgs) -> eyre::Result<()> {
    eyre::bail!("no follower yet: {}", args.datadir.display())
}
