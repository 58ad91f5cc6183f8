//! The follower's side of the role `prover`: its task, its gauges, its health.
//!
//! Not for: what a prover does, which is [`crate::prover`]. Invariant: it bonds what this follower computed with the implementation
//! that its slot is named after, and the derivation never waits for it.

use crate::{
    clock::now_ms,
    exit::{Exit, Failure},
    metrics::{Metrics, ProverReading},
    network::Network,
    outputs::{Computed, Implementation, OutputError},
    prover::{Action, Looked, ProverArgs, ProverStep, run_prover},
    settle::{Pace, Throttle},
    setup::{OnL1, SetupError},
    web::{Check, Severity, Web},
};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::Address;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

/// One that has not looked for longer is not well.
const STALE_MS: u64 = 180_000;

/// What a follower needs to prove besides.
#[derive(Debug)]
pub struct Proving {
    /// Where the oracle is.
    pub network: Network,
    /// Endpoints of L1.
    pub urls: Vec<String>,
    /// For which slot: the first that is named after this.
    pub implementation: Implementation,
    /// Or this one, which must be named after it.
    pub slot: Option<Address>,
    /// Pays bonds and gas.
    pub key: PrivateKeySigner,
    /// Between two looks at L1.
    pub poll: Duration,
}

/// What metrics and health show.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    looked: Option<(u64, Looked)>,
    trouble: Option<String>,
}

/// Written by the task, read at each scrape.
pub(super) type State = Arc<Mutex<Seen>>;

/// Adds its health and gauges to the web server.
pub(super) fn show(state: &State, web: Web, metrics: &Arc<Metrics>) -> Web {
    let seen = Arc::clone(state);
    let check = Check::new("prover", Severity::Degraded, move || judge(&seen.lock(), now_ms()))
        .wants(
            "a look at the oracle within minutes, and money for a bond",
            "the log tells what it does; rota output list",
        );
    let (seen, metrics) = (Arc::clone(state), Arc::clone(metrics));
    web.with_check(check).with_pull(move || {
        let seen = seen.lock().clone();
        let Some((_, at)) = seen.looked else { return };
        metrics.set_prover(ProverReading {
            up: judge(&seen, now_ms()).0,
            proven_block: at.proven_block,
            waiting_steps: at.last_checkpoint.saturating_sub(at.proven_step),
            disputed: at.disputed,
            balance: at.balance,
        });
    })
}

fn judge(seen: &Seen, now: u64) -> (bool, String) {
    let trouble = seen.trouble.clone().unwrap_or_default();
    let Some((when, at)) = &seen.looked else {
        return (false, format!("has not looked yet {trouble}").trim_end().to_owned());
    };
    let waiting = at.last_checkpoint.saturating_sub(at.proven_step);
    let words = format!("block {} is proven, {waiting} steps wait", at.proven_block);
    let age = now.saturating_sub(*when);
    if age > STALE_MS {
        return (false, format!("{words}; looked {age} ms ago: {trouble}"));
    }
    if at.balance < at.bond {
        return (false, format!("{words}; {} wei are less than a bond", at.balance));
    }
    if at.disputed {
        return (true, format!("{words}; the next is in dispute, the council decides"));
    }
    (true, words)
}

/// Proves in a task of its own: derivation executes for long without a pause. Without a prover: for ever.
#[expect(clippy::disallowed_methods, reason = "a named task of the node")]
pub(super) async fn run(
    proving: Option<Proving>,
    computed: Computed,
    (state, metrics): (State, Arc<Metrics>),
    pace: Pace,
) -> eyre::Result<()> {
    let Some(proving) = proving else { return std::future::pending().await };
    tokio::spawn(async move { proving.prove(computed, (state, metrics), pace).await }).await?
}

impl Proving {
    async fn prove(
        self,
        computed: Computed,
        (state, metrics): (State, Arc<Metrics>),
        pace: Pace,
    ) -> eyre::Result<()> {
        let mut complaints = Throttle::default();
        let (l1, args) = loop {
            match self.connect().await {
                Ok(ready) => break ready,
                Err(why) if is_final(why.exit) => return Err(why.into()),
                Err(why) => {
                    if complaints.due(pace.now()) {
                        tracing::warn!(%why, "the oracle cannot be asked; trying again");
                    }
                    state.lock().trouble = Some(why.to_string());
                }
            }
            if !pace.wait(self.poll).await {
                return Ok(());
            }
        };
        let (slot, by) = (args.slot, Some(self.implementation));
        tracing::info!(%slot, account = %self.key.address(), with = self.implementation.name(), "proving");
        let at = |l1_block| std::future::ready(Ok::<_, OutputError>(computed.at(l1_block, by)));
        let tell = |step: ProverStep| told(step, (&state, &metrics), &mut complaints);
        tokio::select! {
            biased;
            () = pace.stop.cancelled() => Ok(()),
            ended = run_prover(&args, &l1, at, tell) => ended,
        }
    }

    /// Finds the slot, and something to pay with.
    async fn connect(&self) -> Result<(OnL1<'_>, ProverArgs), Failure> {
        let silent = |e: SetupError| Failure::from(e);
        let l1 = OnL1::connect(&self.network, &self.urls).await.map_err(silent)?;
        let oracle = self.network.oracle.ok_or_else(|| {
            Failure::new(Exit::Network, "the network file names no Oracle contract")
                .hint("nothing is proven on this network; a follower needs no oracle")
        })?;
        let outputs = l1.outputs(oracle);
        let slots = outputs.view().await?.slots;
        let slot = self.implementation.slot(self.slot, &slots)?;
        let account = self.key.address();
        if outputs.balance(account).await?.is_zero() {
            let message = format!("the account {account} has nothing to pay bonds and gas with");
            return Err(Failure::new(Exit::L1Tx, message).hint(
                "send it a bond for every step in a window, and more: docs/stages.md, \"Proving\"",
            ));
        }
        let args = ProverArgs { outputs, slot, key: Some(self.key.clone()), poll: self.poll };
        Ok((l1, args))
    }
}

/// Trying again would give the same.
const fn is_final(exit: Exit) -> bool {
    matches!(exit, Exit::Usage | Exit::Config | Exit::Network | Exit::L1Tx)
}

fn told(step: ProverStep, (state, metrics): (&State, &Metrics), complaints: &mut Throttle) {
    match step {
        ProverStep::Looked(looked) => {
            let mut seen = state.lock();
            let before = seen.looked.replace((now_ms(), looked)).map(|(_, l)| l);
            if looked.disputed && !before.is_some_and(|b| b.disputed) {
                tracing::warn!(
                    step = looked.proven_step.saturating_add(1),
                    "in dispute: the council decides"
                );
            }
        }
        ProverStep::Done(action, outcome) => {
            metrics.record_prover(name(&action));
            let at = outcome.inclusion;
            tracing::info!(l1_tx = %at.hash, l1_block = at.block, gas = at.gas_used, "{action}");
        }
        // There is a key: everything is sent.
        ProverStep::Would(_) => {}
        ProverStep::Trouble(why) => {
            if complaints.due(now_ms()) {
                tracing::warn!(why, "proving does not get on; trying again");
            }
            state.lock().trouble = Some(why);
        }
    }
}

const fn name(action: &Action) -> &'static str {
    match action {
        Action::Contradict(..) => "contradict",
        Action::Claim(..) => "claim",
        Action::Bond(..) => "bond",
        Action::Checkpoint => "checkpoint",
        Action::Settle(..) => "settle",
        Action::Collect(_) => "collect",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;

    #[test]
    fn a_prover_is_ready_while_it_looks_and_can_pay() {
        let looked = Looked {
            proven_step: 3,
            proven_block: 30,
            last_checkpoint: 5,
            right_to: 5,
            disputed: false,
            balance: U256::from(7),
            bond: U256::from(7),
            wanted: 0,
        };
        let seen = |looked| Seen { looked: Some((1_000, looked)), trouble: Some("x".into()) };
        assert_eq!(
            judge(&seen(looked), 2_000),
            (true, "block 30 is proven, 2 steps wait".to_owned())
        );
        let judged = |l, now| judge(&seen(l), now);
        assert!(!judged(looked, 1_000 + STALE_MS + 1).0);
        assert!(!judged(Looked { balance: U256::from(6), ..looked }, 2_000).0);
        let (well, words) = judged(Looked { disputed: true, ..looked }, 2_000);
        assert!(well && words.contains("dispute"), "{words}");
        assert!(!judge(&Seen::default(), 0).0);
    }
}
