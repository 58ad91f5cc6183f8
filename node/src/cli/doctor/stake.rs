//! What L1 says of the operator whose keys are here.

use super::{Finding, L1_PATIENCE, fail, ok, warn};
use crate::{
    cli::{out, owner::signing_pairs, schedule, set},
    config::Config,
    keys::PublicKeys,
    network::Network,
    setup::{Calendar, OnL1, OperatorOnL1, SetupError, Standing},
};
use alloy_primitives::{Address, B256};

/// The operator of these keys as L1 has it now, and whether the next set includes it.
pub(super) async fn on_l1(config: &Config, network: &Network) -> Vec<Finding> {
    const ID: &str = "stake";
    let Ok(pairs) = signing_pairs(config) else { return Vec::new() };
    if config.l1.rpc.is_empty() {
        return Vec::new();
    }
    let asked = async {
        let l1 = OnL1::connect(network, &config.l1.rpc).await?;
        Ok::<_, SetupError>((l1.calendar().await?, l1.operators().await?, l1.set(None).await?))
    };
    let Ok(Ok((c, all, newest))) = tokio::time::timeout(L1_PATIENCE, asked).await else {
        return vec![warn(ID, "not looked at: L1 does not answer", "check l1.rpc")];
    };
    let Some(o) = all.iter().find(|o| pairs.iter().any(|(_, vote)| o.has(*vote))) else {
        return vec![warn(ID, "these keys are not registered on L1", "rota set join")];
    };
    let next = schedule::foresight(o, &c, newest.as_ref()).map(|(inside, text)| {
        if inside {
            ok("next set", text)
        } else {
            warn("next set", text, "rota set schedule shows who is in and who waits")
        }
    });
    std::iter::once(judge_stake(o, &c, &pairs))
        .chain(next)
        .chain(poster(config, network, o).await)
        .collect()
}

/// Whether what this node's poster spends comes back.
async fn poster(config: &Config, network: &Network, o: &OperatorOnL1) -> Option<Finding> {
    const ID: &str = "poster";
    const TODO: &str = "rota rewards posting name, by the owner, once";
    if matches!(o.standing, Standing::Jailed | Standing::Gone | Standing::Withdrawable) {
        return None;
    }
    let own = PublicKeys::poster(&config.data_root()).ok()??;
    let asked = async {
        let l1 = OnL1::connect(network, &config.l1.rpc).await.ok()?;
        l1.postage(network.rewards?, o.id).await.ok()
    };
    Some(match tokio::time::timeout(L1_PATIENCE, asked).await.ok().flatten()?.poster {
        Some(named) if named == own => ok(ID, format!("{own} gets back what posting costs")),
        Some(named) => {
            warn(ID, format!("{named} gets back what posting costs, and {own} pays here"), TODO)
        }
        None => warn(ID, format!("{own} does not get back what posting costs"), TODO),
    })
}

fn judge_stake(o: &OperatorOnL1, c: &Calendar, pairs: &[([u8; 32], Address)]) -> Finding {
    const ID: &str = "stake";
    let has = |key: B256| pairs.iter().any(|(seq, _)| key.0 == *seq);
    if !has(o.seq_key) && !o.rotating.is_some_and(|(_, key, _)| has(key)) {
        let text = format!("operator {} registered another sequencer key than the one here", o.id);
        return fail(ID, text, "copy the seq and vote files of one operator");
    }
    let text = format!("operator {}: {}, {}", o.id, out::eth(o.stake), set::standing(o, c));
    match o.standing {
        Standing::Jailed => fail(ID, text, "the keys are of no use any more"),
        Standing::Gone => fail(ID, text, "register again with new keys"),
        _ if o.stake < c.min_stake => {
            warn(ID, text, "below the least stake: rota set top-up, or the next set leaves it out")
        }
        Standing::Queued => warn(ID, text, "the node follows until the set includes it"),
        Standing::Active => ok(ID, text),
        Standing::Exiting | Standing::Withdrawable => {
            warn(ID, text, "keep the node running while it is in the set")
        }
    }
}
