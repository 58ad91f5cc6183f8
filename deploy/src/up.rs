//! `up`: start everything, say so, stay until asked to go, and leave nothing behind.

use crate::{
    accounts::ACCOUNTS,
    args::UpArgs,
    cli::say,
    control::{self, Door},
    layout::{Layout, Snapshot},
    plan::{NodePlan, Plan, PortPlan, SLASHER},
    rpc::{Asker, http},
    setup,
    supervisor::{Supervisor, last_words},
    tools, watch,
};
use rota_node::{
    exit::{Exit, Failure},
    network::Network,
};
use serde_json::json;
use std::{fs, path::PathBuf, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
    time::Instant,
};

/// How long a node may take to be ready.
const NODE_START: Duration = Duration::from_secs(180);
/// Between two looks at the processes.
const LOOK: Duration = Duration::from_millis(250);
/// Seconds between L1 blocks until the set is final: only waiting is shorter, the steps are the same.
const SETUP_BLOCK_TIME: u16 = 1;

/// The signals that mean: stop.
pub(crate) struct Stop([Signal; 3]);

impl Stop {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(|e| Failure::new(Exit::Failed, e));
        Ok(Self([
            on(SignalKind::interrupt())?,
            on(SignalKind::terminate())?,
            on(SignalKind::hangup())?,
        ]))
    }

    pub(crate) async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Starts the network and stays.
pub(crate) async fn up(layout: &Layout, args: &UpArgs) -> Result<(), Failure> {
    if args.supervised {
        // Out of the terminal's session: closing it is not meant to end this. Fails if it is out already.
        let _ = rustix::process::setsid();
    }
    let mut stop = Stop::listen()?;
    let _lock = layout.take_lock()?;
    let plan = plan(layout, args)?;
    let resume = prepare(&plan, args)?;
    let mut supervisor = Supervisor::new(plan, rota()?);
    let outcome = tokio::select! {
        outcome = live(&mut supervisor, args, resume) => outcome,
        () = stop.asked() => Ok(()),
    };
    say("stopping ..");
    let kept = supervisor.stop().await;
    let _ = fs::remove_file(layout.control());
    say(if kept { "stopped; data is kept, rota devnet up goes on from here" } else { "stopped" });
    outcome
}

async fn live(supervisor: &mut Supervisor, args: &UpArgs, resume: bool) -> Result<(), Failure> {
    let asker = Asker::new();
    bring_up(supervisor, args, (&asker, resume)).await?;
    let door = Door::open(&supervisor.plan.layout)?;
    let mut watching = JoinSet::new();
    watching
        .spawn(watch::watch(supervisor.plan.clone(), asker, |line| say(format_args!("  {line}"))));
    loop {
        tokio::select! {
            client = door.client() => if let Some(client) = client {
                let said = control::serve(client, supervisor).await;
                said.into_iter().for_each(|line| say(format_args!("  {line}")));
            },
            () = tokio::time::sleep(LOOK) => {
                supervisor.reap().into_iter().for_each(|line| say(format_args!("  {line}")));
            }
        }
    }
}

fn plan(layout: &Layout, args: &UpArgs) -> Result<Plan, Failure> {
    let ports = PortPlan::new(args.base_port)
        .ok_or_else(|| Failure::new(Exit::Usage, "--base-port leaves no room for all ports"))?;
    let mut plan = Plan::new(layout.clone(), args.nodes, ports);
    plan.block_time = args.block_time;
    if args.no_follower {
        plan.leave_out_follower();
    }
    if let Some(spaces) = &args.netns {
        plan.spread(spaces);
    }
    plan.slasher = !args.no_slasher;
    plan.log_filter.clone_from(&args.log_filter);
    plan.check_ports().map_err(|taken| {
        Failure::new(Exit::Config, taken)
            .hint("stop that process, or choose others with --base-port PORT")
    })?;
    Ok(plan)
}

/// The node's program, beside this one.
pub(crate) fn rota() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|e| Failure::new(Exit::Failed, e))?;
    let path = own.with_file_name(format!("rota{}", std::env::consts::EXE_SUFFIX));
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::new(Exit::Failed, format!("there is no {}", path.display()))
        .hint("build it with: cargo build -p rota-node"))
}

/// Whether an earlier network goes on. Deletes it if that was asked for.
fn prepare(plan: &Plan, args: &UpArgs) -> Result<bool, Failure> {
    let layout = &plan.layout;
    let fresh = |why: String| {
        Failure::new(Exit::DataDir, why).hint("start anew with: rota devnet up --fresh")
    };
    if args.fresh {
        wipe(layout)?;
    }
    let resume = layout.clean().exists();
    if resume {
        let before = Snapshot::read(layout).map_or(0, |s| s.nodes.len());
        if before != plan.nodes.len() {
            return Err(fresh(format!(
                "the network in {} has another number of nodes",
                layout.data().display()
            )));
        }
        fs::remove_file(layout.clean()).map_err(|e| fresh(e.to_string()))?;
    } else if Snapshot::read(layout).is_some_and(|s| s.chain_id != 0) {
        return Err(fresh(format!(
            "the network in {} was not stopped cleanly",
            layout.data().display()
        )));
    } else {
        // What a start that failed early left.
        wipe(layout)?;
    }
    fs::create_dir_all(layout.data().join("logs")).map_err(|e| fresh(e.to_string()))?;
    Ok(resume)
}

/// Deletes the data of a network.
pub(crate) fn wipe(layout: &Layout) -> Result<(), Failure> {
    match fs::remove_dir_all(layout.data()) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Failure::new(
            Exit::DataDir,
            format!("cannot delete {}: {e}", layout.data().display()),
        )),
        _ => Ok(()),
    }
}

/// Says what is done and how long all of it took so far.
struct Steps(Instant);

impl Steps {
    fn done(&self, name: &str, what: impl std::fmt::Display) {
        let seconds = self.0.elapsed().as_secs_f32();
        say(format_args!("  ✔ {name:<11} {what}  ({seconds:.1} s)"));
    }
}

async fn bring_up(
    supervisor: &mut Supervisor,
    args: &UpArgs,
    (asker, resume): (&Asker, bool),
) -> Result<(), Failure> {
    let plan = supervisor.plan.clone();
    let word = if resume { "going on in" } else { "new network in" };
    say(format_args!(
        "rota devnet · {} sequencers{}{} · {word} {}",
        args.nodes,
        if args.no_follower { "" } else { " + follower" },
        if args.no_slasher { "" } else { " + slasher" },
        plan.layout.data().display()
    ));
    let anvil = tools::anvil(&plan.layout.tools()).await?;
    let steps = Steps(Instant::now());
    let block_time = if resume { args.block_time } else { SETUP_BLOCK_TIME.min(args.block_time) };
    supervisor.start_l1(&anvil, block_time)?;
    setup::wait_for_l1(supervisor, asker).await?;
    steps.done(
        "L1",
        format_args!("anvil on {}, Osaka rules, block time {} s", plan.l1_url(), args.block_time),
    );
    let network = if resume {
        plan.nodes.iter().try_for_each(|n| setup::write_config(&plan, n))?;
        Network::load(&plan.layout.network())?
    } else {
        new_network(&plan, asker, &steps).await?
    };
    supervisor.set_network(&network)?;
    for node in &plan.nodes {
        supervisor.start(&node.name)?;
    }
    if plan.slasher {
        setup::make_slasher(&plan, &network).await?;
        supervisor.start(SLASHER)?;
    }
    for node in &plan.nodes {
        ready(supervisor, node, asker).await?;
        steps.done(
            &node.name,
            format_args!("ready, JSON-RPC {}, web {}", http(node.rpc), http(node.web)),
        );
    }
    if plan.slasher {
        let watches = format!("a stranger's program, {}", plan.layout.slasher().display());
        steps.done(SLASHER, watches);
    }
    supervisor.set_ready()?;
    welcome(&plan, &network);
    Ok(())
}

async fn new_network(plan: &Plan, asker: &Asker, steps: &Steps) -> Result<Network, Failure> {
    let network = setup::deploy(plan).await?;
    steps
        .done("Contracts", format_args!("registry {} · inbox {}", network.registry, network.inbox));
    for node in &plan.nodes {
        setup::make_node(plan, node, &network)?;
    }
    setup::join_all(plan, &network).await?;
    let names: Vec<&str> = plan.sequencers().map(|n| n.name.as_str()).collect();
    steps.done(
        "Sequencers",
        format_args!("{} joined with {} ETH each", names.join(" "), setup::STAKE),
    );
    setup::freeze(plan, &network).await?;
    steps.done("Set", "frozen, and final on L1");
    let interval = json!([plan.block_time]);
    asker.ask(&plan.l1_url(), "evm_setIntervalMining", interval).await;
    Ok(network)
}

/// Waits until a node serves requests and calls itself ready.
async fn ready(supervisor: &mut Supervisor, node: &NodePlan, asker: &Asker) -> Result<(), Failure> {
    let page = format!("{}/readyz", http(node.web));
    let log = supervisor.plan.layout.log(&node.name);
    let mut said = String::new();
    let wait = async {
        loop {
            let answers = asker.ask(&http(node.rpc), "eth_blockNumber", json!([])).await.is_some();
            match asker.get(&page).await {
                Some((200, _)) if answers => return Ok(()),
                Some((_, text)) => said = text,
                None => {}
            }
            if let Some(ended) = supervisor.reap().pop() {
                return Err(Failure::new(Exit::Failed, ended).hint("its log says why"));
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let outcome = tokio::time::timeout(NODE_START, wait).await;
    outcome.unwrap_or_else(|_| {
        let what = format!("{} is not ready: {}\n{}", node.name, said.trim(), last_words(&log));
        Err(Failure::new(Exit::Timeout, what).hint("its log says why"))
    })
}

fn welcome(plan: &Plan, network: &Network) {
    let rpc = plan.nodes.first().map(|n| http(n.rpc)).unwrap_or_default();
    let web = plan.nodes.first().map(|n| http(n.web)).unwrap_or_default();
    say(format_args!(
        "\n  chain id    {} (another one for every fresh network)",
        network.l2_chain_id
    ));
    say(format_args!("  registry    {}  (L1 {})", network.registry, plan.l1_url()));
    say(format_args!("  JSON-RPC    {rpc}  (WebSocket on the same port)"));
    say(format_args!("  web         {web}  (/readyz, /metrics)"));
    say(format_args!("  network     {}", plan.layout.network().display()));
    say(
        "  accounts    10 of the test mnemonic with 10,000 ETH each; rota devnet accounts shows all keys",
    );
    for (address, key) in ACCOUNTS.iter().take(2) {
        say(format_args!("              {address}  key {key}"));
    }
    let cast = tools::binary(&plan.layout.tools(), "cast");
    let cast = if cast.is_file() { cast.display().to_string() } else { "cast".into() };
    say(format_args!(
        "\n  try         {cast} send --rpc-url {rpc} --private-key {} {} --value 1ether",
        ACCOUNTS[0].1, ACCOUNTS[1].0
    ));
    say("              rota devnet kill 1 · rota devnet start 1 · rota devnet status");
    say(
        "              rota devnet equivocate 2 · rota devnet add · rota devnet leave 3 --withdraw",
    );
    say("  end         Ctrl-C here, or rota devnet down\n");
}
