//! From nothing to a frozen, final set: the steps that strangers would take, one after the other.
//!
//! Invariant: everything on L1 goes through `rota_node::setup`, as it does for `rota l1 deploy` and `rota set join`.

use crate::{
    accounts::{ACCOUNTS, balance, eth, signer},
    plan::{NodePlan, Plan, l1_rules},
    rpc::Asker,
    supervisor::Supervisor,
};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, U256};
use futures::future::try_join_all;
use rota_l1::{Council, OperatorKeys};
use rota_node::{
    exit::{Exit, Failure},
    keys::{Keep, Keys, Needs, Password, Passwords, Secret, Work},
    network::Network,
    setup::{self, OnL1, Plan as NetworkPlan},
};
use rota_types::ChainParams;
use serde_json::json;
use std::{fs, time::Duration};

/// What each operator puts up, ETH.
pub(crate) const STAKE: u64 = 32;
/// What operators can be paid from at first, ETH.
const REWARDS: u64 = 10;
/// What the slasher gets for gas, ETH.
const GAS_MONEY: u64 = 1;
/// What each poster gets to pay for batches, ETH.
pub(crate) const POSTING: u64 = 100;
/// How long the L1 may take to answer after its start.
const L1_START: Duration = Duration::from_secs(60);

/// Waits until the L1 answers.
pub(crate) async fn wait_for_l1(supervisor: &mut Supervisor, asker: &Asker) -> Result<(), Failure> {
    let url = supervisor.plan.l1_url();
    let answered = async {
        loop {
            if asker.ask(&url, "eth_chainId", json!([])).await.is_some() {
                return Ok(());
            }
            if let Some(said) = supervisor.reap().pop() {
                return Err(Failure::new(Exit::Failed, said).hint("its log says why"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let late = Failure::new(Exit::Timeout, "the L1 did not answer");
    tokio::time::timeout(L1_START, answered).await.unwrap_or(Err(late))
}

/// Deploys the contracts of a new rollup, with funded test accounts on it.
pub(crate) async fn deploy(plan: &Plan) -> Result<Network, Failure> {
    let urls = [plan.l1_url()];
    let head = setup::l1_head(&urls).await?;
    let params = ChainParams::default();
    let accounts: Vec<Address> = ACCOUNTS.iter().map(|(address, _)| *address).collect();
    let id = setup::fresh_chain_id(head.hash);
    let genesis = setup::funded_genesis(id, head.timestamp, &params, (&accounts, balance()));
    let operators = u64::try_from(plan.sequencers().count()).unwrap_or(u64::MAX);
    let rules = l1_rules();
    let council =
        Council::Members { members: accounts.iter().take(8).copied().collect(), threshold: 6 };
    let given = accounts.iter().map(|_| balance()).fold(U256::ZERO, U256::saturating_add);
    let network = NetworkPlan {
        genesis,
        params,
        min_stake: eth(STAKE),
        min_operators: operators,
        rules,
        council,
        seed: given,
    };
    let (network, contracts) = setup::deploy(&urls, &account(0)?, network).await?;
    let fund = rota_l1::fund_rewards_request(contracts.rewards, eth(REWARDS));
    OnL1::connect(&network, &urls).await?.call(&account(0)?, fund).await?;
    network.save(&plan.layout.network())?;
    let path = plan.layout.registry();
    fs::write(&path, format!("{}\n", network.registry)).map_err(|e| {
        Failure::new(Exit::DataDir, format!("cannot write {}: {e}", path.display()))
    })?;
    Ok(network)
}

/// Makes the slasher's account at the first start, with enough for gas: it needs no stake and nobody's leave.
pub(crate) async fn make_slasher(plan: &Plan, network: &Network) -> Result<(), Failure> {
    let path = plan.layout.slasher_key();
    if path.exists() {
        return Ok(());
    }
    fs::create_dir_all(plan.layout.slasher()).map_err(|e| Failure::new(Exit::DataDir, e))?;
    let secret = Secret::random().map_err(|e| Failure::new(Exit::Key, e))?;
    let account = secret.signer().ok_or_else(|| Failure::new(Exit::Key, "no key was made"))?;
    secret.write(&path)?;
    let urls = [plan.l1_url()];
    let l1 = OnL1::connect(network, &urls).await?;
    l1.pay(&self::account(0)?, account.address(), eth(GAS_MONEY)).await?;
    Ok(())
}

/// Makes the data directory of a node: keys, settings, network file.
pub(crate) fn make_node(plan: &Plan, node: &NodePlan, network: &Network) -> Result<(), Failure> {
    let root = plan.layout.node(&node.name);
    let password = password(plan)?;
    Keys::create(&root, Keep::Sealed(&password, Work::LIGHT))?;
    network.save(&root.join("network.json"))?;
    write_config(plan, node)
}

/// The password of this devnet's key files, made at the first use.
fn password(plan: &Plan) -> Result<Password, Failure> {
    let path = plan.layout.password();
    if !path.exists() {
        fs::create_dir_all(plan.layout.data()).map_err(|e| Failure::new(Exit::DataDir, e))?;
        Password::random().map_err(|e| Failure::new(Exit::Key, e))?.write(&path)?;
    }
    Ok(Password::read(&path)?)
}

/// Writes the settings of a node, which may differ from those of an earlier run.
pub(crate) fn write_config(plan: &Plan, node: &NodePlan) -> Result<(), Failure> {
    let path = plan.layout.node(&node.name).join("rota.toml");
    let text = toml::to_string(&plan.config(node)).map_err(|e| Failure::new(Exit::Failed, e))?;
    fs::write(&path, text)
        .map_err(|e| Failure::new(Exit::DataDir, format!("cannot write {}: {e}", path.display())))
}

/// Each operator pays its poster and registers from its own cold account, all at the same time.
pub(crate) async fn join_all(plan: &Plan, network: &Network) -> Result<(), Failure> {
    let urls = [plan.l1_url()];
    let l1 = OnL1::connect(network, &urls).await?;
    let mut joins = Vec::new();
    for (i, node) in plan.sequencers().enumerate() {
        let owner = account(i.saturating_add(1))?;
        joins.push(join(&l1, (plan, network), node, owner));
    }
    try_join_all(joins).await.map(|_| ())
}

async fn join(
    l1: &OnL1<'_>,
    (plan, network): (&Plan, &Network),
    node: &NodePlan,
    owner: PrivateKeySigner,
) -> Result<(), Failure> {
    let needs = Needs { sequencer: true, poster: true };
    let passwords = Passwords::known(password(plan)?);
    let keys = Keys::load(&plan.layout.node(&node.name), needs, &passwords)?;
    let missing = || Failure::new(Exit::Key, format!("{} has no keys", node.name));
    let hot = keys.sequencer.as_ref().ok_or_else(missing)?;
    let poster = keys.poster.as_ref().ok_or_else(missing)?;
    l1.pay(&owner, poster.address(), eth(POSTING)).await?;
    let port = node.p2p.unwrap_or_default();
    let (host, id) = (node.rpc.ip(), keys.identity.peer_id());
    let peer = format!("/ip4/{host}/udp/{port}/quic-v1/p2p/{id}");
    let vote = hot.vote.address();
    let hot = OperatorKeys { seq: &hot.seq, vote: &hot.vote };
    l1.join(&owner, hot, &peer, eth(STAKE)).await?;
    let operators = l1.operators().await?;
    let missing = || Failure::new(Exit::L1Tx, format!("{} is not registered", node.name));
    let operator = operators.iter().find(|o| o.has(vote)).ok_or_else(missing)?;
    if let Some(rewards) = network.rewards {
        let name = rota_l1::name_poster_request(rewards, operator.id, poster.address());
        l1.call(&owner, name).await?;
    }
    Ok(())
}

/// Freezes the set and waits until that is final: sequencers take their set from final L1 state.
pub(crate) async fn freeze(plan: &Plan, network: &Network) -> Result<(), Failure> {
    let urls = [plan.l1_url()];
    let l1 = OnL1::connect(network, &urls).await?;
    let frozen = l1.freeze(&account(0)?, 0).await?;
    l1.finalized(frozen.inclusion.block).await?;
    let set = l1.set(Some(0)).await?;
    let text = serde_json::to_string_pretty(&set).map_err(|e| Failure::new(Exit::Failed, e))?;
    let path = plan.layout.set();
    fs::write(&path, text)
        .map_err(|e| Failure::new(Exit::DataDir, format!("cannot write {}: {e}", path.display())))
}

fn account(index: usize) -> Result<PrivateKeySigner, Failure> {
    signer(index)
        .ok_or_else(|| Failure::new(Exit::Failed, format!("there is no test account {index}")))
}
