//! Which processes make a devnet, and where each listens.

use crate::{layout::Layout, netns::Namespaces, proc::Spec};
use alloy_primitives::Address;
use rota_l1::L1Rules;
use rota_node::config::{
    BatchConfig, BlobIndex, Config, Dur, EngineSettings, L1Config, LogConfig, P2pConfig,
    PreconfConfig, ProverSettings, Role, RpcSettings, SignerConfig, Source, WebConfig,
};
use rota_node::ports::{Taken, check_tcp, check_udp};
use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// Chain id of the L1.
pub(crate) const L1_CHAIN_ID: u64 = 31_337;
/// The node outside of the set.
pub(crate) const FOLLOWER: &str = "follower";
/// The program that looks for contradictions and takes them to L1.
pub(crate) const SLASHER: &str = "slasher";
/// Most sequencers: so many test accounts can be owners, and so many ports are apart.
pub(crate) const MOST_SEQUENCERS: u16 = 9;

/// The contracts' times, short enough to watch: an epoch is 20 L1 blocks, and a stake is free four epochs after its last.
pub(crate) fn l1_rules() -> L1Rules {
    L1Rules {
        epoch_blocks: 20,
        unbond_epochs: 4,
        evidence_epochs: 2,
        reveal_blocks: 30,
        contest_blocks: 6,
        claims_blocks: 20,
        checkpoint_blocks: 10,
        output_final_blocks: 2,
        output_window_blocks: 10,
        output_bond: 1_000_000_000_000_000_000,
        maturity_s: 2,
        ..L1Rules::default()
    }
}

/// First port of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortPlan {
    l1: u16,
    rpc: u16,
    web: u16,
    p2p: u16,
    follower_rpc: u16,
    follower_web: u16,
}

impl PortPlan {
    /// The usual ports, or all of them counted from one; none if they do not fit.
    #[must_use]
    pub fn new(base: Option<u16>) -> Option<Self> {
        let Some(base) = base else {
            return Some(Self {
                l1: 18_545,
                rpc: 28_545,
                web: 28_080,
                p2p: 27_000,
                follower_rpc: 28_645,
                follower_web: 28_180,
            });
        };
        let at = |n: u16| base.checked_add(n);
        // The last one has room for the ports that are counted from it.
        at(350)?;
        Some(Self {
            l1: base,
            rpc: at(100)?,
            follower_rpc: at(150)?,
            web: at(200)?,
            follower_web: at(250)?,
            p2p: at(300)?,
        })
    }
}

/// One node.
#[derive(Debug, Clone)]
pub struct NodePlan {
    /// `n1`, .., `follower`.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// JSON-RPC.
    pub rpc: SocketAddr,
    /// Dashboard, health, metrics.
    pub web: SocketAddr,
    /// Port of libp2p for TCP and UDP; the follower has none.
    pub p2p: Option<u16>,
    /// The network namespace that it runs in, if not in this one.
    pub netns: Option<String>,
}

fn local(first: u16, i: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, first.saturating_add(i)))
}

/// A sequencer, counted from 0.
fn sequencer(ports: PortPlan, i: u16) -> NodePlan {
    NodePlan {
        name: format!("n{}", i.saturating_add(1)),
        role: Role::Sequencer,
        rpc: local(ports.rpc, i),
        web: local(ports.web, i),
        p2p: Some(ports.p2p.saturating_add(i)),
        netns: None,
    }
}

/// Everything that runs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where files are.
    pub layout: Layout,
    /// Where the L1 listens.
    pub l1: SocketAddr,
    /// Seconds between two L1 blocks.
    pub block_time: u16,
    /// Nodes, the follower last.
    pub nodes: Vec<NodePlan>,
    /// Log directives of the nodes.
    pub log_filter: String,
    /// Whether a slasher runs.
    pub slasher: bool,
    ports: PortPlan,
}

impl Plan {
    /// A network of so many sequencers and one follower.
    #[must_use]
    pub fn new(layout: Layout, sequencers: u16, ports: PortPlan) -> Self {
        let mut nodes: Vec<NodePlan> = (0..sequencers).map(|i| sequencer(ports, i)).collect();
        nodes.push(NodePlan {
            name: FOLLOWER.into(),
            role: Role::Follower,
            rpc: local(ports.follower_rpc, 0),
            web: local(ports.follower_web, 0),
            p2p: None,
            netns: None,
        });
        let (l1, log_filter) = (local(ports.l1, 0), "info".into());
        Self { layout, l1, block_time: 2, nodes, log_filter, slasher: true, ports }
    }

    /// The sequencer after the last one. None if there is no room for it.
    #[must_use]
    pub fn next(&self) -> Option<NodePlan> {
        let count = u16::try_from(self.sequencers().count()).ok()?;
        let spread = self.nodes.iter().any(|n| n.netns.is_some());
        (count < MOST_SEQUENCERS && !spread).then(|| sequencer(self.ports, count))
    }

    /// Takes the next sequencer into the network.
    pub(crate) fn grow(&mut self, node: NodePlan) {
        let at = self.sequencers().count();
        self.nodes.insert(at.min(self.nodes.len()), node);
    }

    /// Sequencers alone.
    pub(crate) fn leave_out_follower(&mut self) {
        self.nodes.retain(|n| n.role == Role::Sequencer);
    }

    /// Moves the sequencers into network namespaces, and the L1 to where all of them reach it.
    pub(crate) fn spread(&mut self, spaces: &Namespaces) {
        self.l1.set_ip(spaces.l1().into());
        let sequencers = self.nodes.iter_mut().filter(|n| n.role == Role::Sequencer);
        for (i, node) in (0u8..).zip(sequencers) {
            let host = spaces.sequencer(i).into();
            node.rpc.set_ip(host);
            node.web.set_ip(host);
            node.netns = Some(spaces.of(&node.name));
        }
    }

    /// JSON-RPC and blobs of the L1.
    #[must_use]
    pub fn l1_url(&self) -> String {
        format!("http://{}", self.l1)
    }

    /// The nodes that are in the set.
    pub fn sequencers(&self) -> impl Iterator<Item = &NodePlan> {
        self.nodes.iter().filter(|n| n.role == Role::Sequencer)
    }

    /// The node with this name or, for a sequencer, this number.
    #[must_use]
    pub fn find(&self, who: &str) -> Option<&NodePlan> {
        self.nodes.iter().find(|n| n.name == who || n.name.strip_prefix('n') == Some(who))
    }

    /// Whether every port is free.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check_ports(&self) -> Result<(), Taken> {
        let local = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        check_tcp(self.l1, "L1")?;
        // A port in another namespace cannot be tried from here.
        for node in self.nodes.iter().filter(|n| n.netns.is_none()) {
            check_tcp(node.rpc, &format!("JSON-RPC of {}", node.name))?;
            check_tcp(node.web, &format!("web of {}", node.name))?;
            if let Some(p2p) = node.p2p {
                let what = format!("p2p of {}", node.name);
                check_tcp(local(p2p), &what)?;
                check_udp(local(p2p), &what)?;
            }
        }
        Ok(())
    }

    /// How to start the L1: the newest rules, real block times, finality that moves, the gas cap of real networks.
    #[must_use]
    pub fn l1_spec(&self, anvil: &Path, block_time: u16) -> Spec {
        let text = |s: &str| OsString::from(s);
        let mut args: Vec<OsString> =
            ["--hardfork", "osaka", "--slots-in-an-epoch", "2", "--enable-tx-gas-limit"]
                .map(text)
                .into();
        for (flag, value) in [
            ("--host", self.l1.ip().to_string()),
            ("--port", self.l1.port().to_string()),
            ("--chain-id", L1_CHAIN_ID.to_string()),
            ("--block-time", block_time.to_string()),
            ("--mnemonic", crate::accounts::MNEMONIC.to_owned()),
            // The first account covers on L1 what the genesis of the rollup gives to all of them.
            ("--balance", "1000000".to_owned()),
        ] {
            args.extend([text(flag), value.into()]);
        }
        args.extend([text("--state"), self.layout.l1_state().into()]);
        // Nodes that start again ask for the set as of a final block, which is an old one.
        args.push(text("--preserve-historical-states"));
        Spec { program: anvil.into(), args, log: Some(self.layout.log("l1")) }
    }

    /// How to start a node.
    #[must_use]
    pub fn node_spec(&self, rota: &Path, node: &NodePlan) -> Spec {
        let config = self.layout.node(&node.name).join("rota.toml");
        let run: [OsString; 3] = ["run".into(), "--config".into(), config.into()];
        let log = Some(self.layout.log(&node.name));
        let Some(netns) = &node.netns else {
            return Spec { program: rota.into(), args: run.into(), log };
        };
        // It becomes the program: process id and parent stay.
        let mut args: Vec<OsString> = ["netns", "exec", netns].map(OsString::from).into();
        args.push(rota.into());
        args.extend(run);
        Spec { program: "ip".into(), args, log }
    }

    /// How to start the slasher: it gets the L1 and the Registry, as a stranger has them, and an account.
    #[must_use]
    pub fn slasher_spec(&self, rota: &Path, registry: Address) -> Spec {
        let args: [OsString; 10] = [
            "slash".into(),
            "watch".into(),
            "--l1.rpc".into(),
            self.l1_url().into(),
            "--registry".into(),
            registry.to_string().into(),
            "--key-file".into(),
            self.layout.slasher_key().into(),
            "--dir".into(),
            self.layout.slasher().into(),
        ];
        Spec { program: rota.into(), args: args.into(), log: Some(self.layout.log(SLASHER)) }
    }

    /// The settings of a node. The follower gets the L1 and nothing else.
    #[must_use]
    pub fn config(&self, node: &NodePlan) -> Config {
        let host = node.rpc.ip();
        let listen = node.p2p.map_or_else(Vec::new, |port| {
            vec![format!("/ip4/{host}/tcp/{port}"), format!("/ip4/{host}/udp/{port}/quic-v1")]
        });
        Config {
            moniker: node.name.clone(),
            role: node.role,
            source: Source::L1,
            datadir: self.layout.node(&node.name),
            network: PathBuf::from("network.json"),
            password_file: self.layout.password(),
            l1: L1Config {
                rpc: vec![self.l1_url()],
                beacon: vec![self.l1_url()],
                blob_index: BlobIndex::Block,
                poll: Dur::from_millis(500),
                ..L1Config::default()
            },
            p2p: P2pConfig { listen, bootnodes: Vec::new() },
            rpc: RpcSettings { addr: node.rpc, cors: vec!["*".into()], ..RpcSettings::default() },
            web: WebConfig { addr: node.web },
            batch: BatchConfig {
                post: node.role == Role::Sequencer,
                interval: Dur::from_millis(4_000),
            },
            preconf: PreconfConfig::default(),
            signer: SignerConfig::default(),
            engine: EngineSettings::default(),
            prover: ProverSettings::default(),
            log: LogConfig { filter: self.log_filter.clone(), ..LogConfig::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_processes_want_one_port() {
        for base in [None, Some(40_000)] {
            let plan = Plan::new(Layout::new(Path::new("/x")), 9, PortPlan::new(base).unwrap());
            let mut ports = vec![plan.l1.port()];
            for node in &plan.nodes {
                ports.extend([node.rpc.port(), node.web.port()]);
                ports.extend(node.p2p);
            }
            assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
        }
        assert_eq!(PortPlan::new(Some(65_400)), None);
    }

    #[test]
    fn settings_that_are_written_are_settings_that_a_node_accepts() {
        let plan = Plan::new(Layout::new(Path::new("/x")), 4, PortPlan::new(None).unwrap());
        for node in &plan.nodes {
            let config = plan.config(node);
            let text = toml::to_string(&config).unwrap();
            assert_eq!(rota_node::config::parse(&text, "rota.toml").unwrap(), config);
            config.validate_for_run().unwrap();
        }
        let follower = plan.config(plan.find(FOLLOWER).unwrap());
        assert!(follower.p2p.listen.is_empty() && follower.p2p.bootnodes.is_empty());
        assert_eq!(plan.find("2").unwrap().name, "n2");
        assert!(plan.find("5").is_none() && plan.find("ollower").is_none());
    }

    #[test]
    fn the_next_sequencer_is_the_one_that_a_larger_plan_has() {
        let plan = |n| Plan::new(Layout::new(Path::new("/x")), n, PortPlan::new(None).unwrap());
        let mut grown = plan(4);
        grown.grow(grown.next().unwrap());
        let names =
            |p: &Plan| p.nodes.iter().map(|n| (n.name.clone(), n.rpc, n.p2p)).collect::<Vec<_>>();
        assert_eq!(names(&grown), names(&plan(5)));
        assert!(plan(MOST_SEQUENCERS).next().is_none());
    }
}
