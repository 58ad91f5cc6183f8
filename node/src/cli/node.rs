//! `rota run`, and how settings reach every other command.

use super::{
    Done,
    args::{Home, RunFlags, Where},
};
use crate::{
    config::{self, Config, LogFormat, Role, Sources},
    exit::{Exit, Failure},
    keys::{KeyFileError, Keys},
    network::Network,
    ports::{self, Taken},
    run::{RoleKeys, RunArgs},
    setup::{OnL1, SetupError},
};
use rota_store::DataDir;
use std::{
    io::IsTerminal,
    net::{IpAddr, SocketAddr},
    path::Path,
};
use tracing_subscriber::EnvFilter;

/// Settings for a command that has the flags of `Where`, and more.
pub(super) fn settings(
    at: &Where,
    more: Vec<(&'static str, Option<String>)>,
) -> Result<Config, Failure> {
    let mut flags = vec![
        ("datadir", at.home.datadir.clone()),
        ("password_file", at.home.password_file.as_ref().map(|n| absolute(Path::new(n)))),
        ("network", at.network.as_ref().map(|n| absolute(Path::new(n)))),
        ("l1.rpc", at.l1_rpc.clone()),
    ];
    flags.extend(more);
    let flags = flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let env = std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .collect();
    Ok(config::load(&Sources { file: at.home.config.clone(), env, flags })?)
}

/// Settings for a command that needs keys and data only.
pub(super) fn settings_at(home: &Home) -> Result<Config, Failure> {
    settings(&Where { home: home.clone(), ..Where::default() }, Vec::new())
}

/// A path from the command line is relative to the working directory, one from the file to the data directory.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.into()).display().to_string()
}

/// Settings that reach L1, with the network.
pub(super) fn settings_on_l1(at: &Where) -> Result<(Config, Network), Failure> {
    let config = settings(at, Vec::new())?;
    if config.l1.rpc.is_empty() {
        return Err(Failure::new(Exit::Config, "no L1 endpoint is configured")
            .hint("give --l1.rpc URL, or set l1.rpc in rota.toml"));
    }
    let network = Network::load(&config.network_path())?;
    Ok((config, network))
}

pub(super) fn run(flags: &RunFlags) -> Done {
    let text = Clone::clone;
    let config = settings(
        &flags.at,
        vec![
            ("role", flags.role.map(|r| r.name().to_owned())),
            ("source", flags.source.map(|s| s.name().to_owned())),
            ("moniker", text(&flags.moniker)),
            ("l1.beacon", text(&flags.l1_beacon)),
            ("l1.blob_index", text(&flags.l1_blob_index)),
            ("p2p.listen", text(&flags.p2p_listen)),
            ("p2p.bootnodes", text(&flags.p2p_bootnodes)),
            ("rpc.addr", text(&flags.rpc_addr)),
            ("web.addr", text(&flags.web_addr)),
            ("batch.post", text(&flags.batch_post)),
            ("batch.interval", text(&flags.batch_interval)),
            ("engine.url", text(&flags.engine)),
            ("engine.jwt", flags.jwt.as_deref().map(absolute)),
            ("prover.implementation", flags.prover.implementation.map(|i| i.name().to_owned())),
            ("prover.slot", flags.prover.slot.map(|slot| slot.to_string())),
            ("prover.key_file", flags.prover.key_file.as_deref().map(absolute)),
            ("prover.key_password_file", flags.prover.key_password_file.as_deref().map(absolute)),
            ("log.filter", text(&flags.log_filter)),
            ("log.format", text(&flags.log_format)),
        ],
    )?;
    config
        .validate_for_run()
        .map_err(|(key, reason)| Failure::new(Exit::Config, format!("`{key}`: {reason}")))?;
    let network = Network::load(&config.network_path())?;
    let datadir = config.data_root();
    start_log(&config.log.filter, config.log.format);
    let keys = keys(&config, &datadir)?;
    // Before the ports: of two processes on the same data the second one must hear that, whatever else it shares.
    let held = DataDir::open(&datadir).map_err(|e| Failure::from_report(&e.into()))?;
    check_ports(&config)?;
    check_chain(&config, &network)?;
    // The role takes the lock itself, for as long as it runs.
    drop(held);
    let ended = crate::run::run(RunArgs { config, network, keys, datadir });
    ended.map_err(|report| Failure::from_report(&report))
}

/// What the role signs with. A follower signs nothing.
fn keys(config: &Config, datadir: &Path) -> Result<RoleKeys, Failure> {
    match config.role {
        Role::Follower => Ok(RoleKeys::None),
        Role::Prover => {
            let (file, password) = (&config.prover.key_file, &config.prover.key_password_file);
            let password = (!password.as_os_str().is_empty()).then(|| datadir.join(password));
            Ok(RoleKeys::Prover(super::set::account(&datadir.join(file), password.as_deref())?))
        }
        Role::Sequencer => {
            let keys = Keys::load(datadir, config.needs(), &config.passwords());
            keys.map(|keys| RoleKeys::Sequencer(Box::new(keys))).map_err(|e| match &e {
                KeyFileError::Missing(_) => Failure::from(e).hint(format!(
                    "make the missing keys with: rota key new --datadir {}",
                    datadir.display()
                )),
                _ => e.into(),
            })
        }
    }
}

/// Asked before anything starts: libp2p would share a TCP port with another program without a word.
pub(super) fn check_ports(config: &Config) -> Done {
    let mut checks = vec![
        ports::check_tcp(config.rpc.addr, "rpc.addr"),
        ports::check_tcp(config.web.addr, "web.addr"),
    ];
    for text in &config.p2p.listen {
        let parts: Vec<&str> = text.split('/').collect();
        let ["", "ip4" | "ip6", ip, protocol, port, ..] = parts.as_slice() else { continue };
        let (Ok(ip), Ok(port)) = (ip.parse::<IpAddr>(), port.parse::<u16>()) else { continue };
        let addr = SocketAddr::from((ip, port));
        checks.push(match *protocol {
            "udp" => ports::check_udp(addr, "p2p.listen"),
            _ => ports::check_tcp(addr, "p2p.listen"),
        });
    }
    let taken = |t: Taken| {
        let hint = format!("stop that process, or choose another with --{}", t.what);
        Failure::new(Exit::Config, t).hint(hint)
    };
    checks.into_iter().try_for_each(|c| c.map_err(taken))
}

/// An L1 of another chain ends the start. One that does not answer does not: the node may know its set from before.
fn check_chain(config: &Config, network: &Network) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(Exit::Failed, e))?;
    let asked = tokio::time::Duration::from_secs(3);
    let connect = OnL1::connect(network, &config.l1.rpc);
    match runtime.block_on(async { tokio::time::timeout(asked, connect).await }) {
        Ok(Err(wrong @ SetupError::WrongChain { .. })) => Err(wrong.into()),
        _ => Ok(()),
    }
}

/// Log lines to stderr. Only the first call has an effect.
pub(super) fn start_log(filter: &str, format: LogFormat) {
    // The consensus core and libp2p tell every step at info; ours are the lines an operator reads.
    let quiet = "arc_malachitebft_core_consensus=warn,arc_malachitebft_core_driver=warn,\
                 libp2p_swarm=warn,libp2p_gossipsub=warn";
    let filter = EnvFilter::try_new(format!("{quiet},{filter}"))
        .unwrap_or_else(|_| EnvFilter::new(format!("{quiet},info")));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let started = match format {
        LogFormat::Terminal => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // A second start is a test's: the first one's lines are as good.
    drop(started);
}
