use super::*;
use std::path::Path;

fn run(args: &[&str]) -> Result<(), Failure> {
    dispatch(&Cli::try_parse_from(args).unwrap())
}

#[test]
fn the_command_tree_is_sound_and_shows_no_secret() {
    let mut tree = Cli::command();
    tree.clone().debug_assert();
    let help = tree.render_long_help().to_string();
    for command in ["run", "init", "key", "set", "l1", "status", "tx", "preconf", "devnet"] {
        assert!(help.contains(&format!("  {command}")), "{command}");
    }
    fn hidden(command: &clap::Command) {
        for arg in command.get_arguments() {
            let url = arg.get_env().is_some_and(|e| e.to_string_lossy().contains("RPC"));
            assert!(!url || arg.is_hide_env_values_set(), "{} shows its variable", arg.get_id());
        }
        command.get_subcommands().for_each(hidden);
    }
    hidden(&tree);
}

#[test]
fn init_makes_a_directory_that_commands_accept_and_keeps_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("node");
    let at = root.to_str().unwrap();
    run(&["rota", "init", "--plain", "--datadir", at]).unwrap();
    let seed = std::fs::read(root.join("keys/seq.key")).unwrap();
    std::fs::write(root.join("rota.toml"), "moniker = \"mine\"\n").unwrap();
    run(&["rota", "init", "--datadir", at]).unwrap();
    assert_eq!(std::fs::read(root.join("keys/seq.key")).unwrap(), seed);
    assert_eq!(std::fs::read_to_string(root.join("rota.toml")).unwrap(), "moniker = \"mine\"\n");
    run(&["rota", "key", "show", "--datadir", at]).unwrap();
}

#[test]
fn every_failure_has_its_code_and_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let bad = file("bad.toml", "[rpc]\nadr = \"x\"\n");
    let junk = file("junk.json", "{}");
    let dead = "http://127.0.0.1:1";
    let hash = &format!("0x{}", "11".repeat(32));
    let cases: [(&[&str], Exit, &str); 8] = [
        (&["rota", "run", "--config", &bad], Exit::Config, "did you mean `rpc.addr`"),
        (&["rota", "run", "--datadir", at], Exit::Config, "l1.rpc"),
        (
            &["rota", "run", "--datadir", at, "--l1.rpc", dead, "--l1.beacon", dead],
            Exit::Config,
            "network file",
        ),
        (&["rota", "key", "show", "--datadir", at], Exit::Key, "keys/seq.json"),
        (&["rota", "status", "--rpc-url", dead], Exit::Unreachable, "127.0.0.1:1"),
        (&["rota", "tx", "watch", hash, "--rpc-url", dead], Exit::Unreachable, "127.0.0.1:1"),
        (&["rota", "preconf", "verify", &junk, "--datadir", at], Exit::Failed, "is not a promise"),
        (&["rota", "set", "list", "--datadir", at], Exit::Config, "no L1 endpoint"),
    ];
    for (args, exit, words) in cases {
        let failure = run(args).unwrap_err();
        assert_eq!(failure.exit, exit, "{args:?}: {failure}");
        assert!(failure.message.contains(words), "{args:?}: {failure}");
        assert!(!failure.hint.is_empty() && !failure.hint.contains('\n'), "{args:?}");
    }
}

#[test]
fn a_sequencer_without_keys_is_told_how_to_make_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    let params = rota_types::ChainParams::default();
    let genesis = crate::setup::funded_genesis(
        70_700,
        1_700_000_000,
        &params,
        (&[], alloy_primitives::U256::ZERO),
    );
    let network = crate::network::Network {
        version: crate::network::NETWORK_VERSION,
        l1_chain_id: 31_337,
        l2_chain_id: 70_700,
        registry: alloy_primitives::Address::repeat_byte(1),
        inbox: alloy_primitives::Address::repeat_byte(2),
        rewards: None,
        oracle: None,
        warranty: None,
        l1_deploy_block: 0,
        genesis,
        params,
    };
    network.save(&Path::new(at).join("network.json")).unwrap();
    let dead = "http://127.0.0.1:1";
    let args = [
        "rota",
        "run",
        "--role",
        "sequencer",
        "--datadir",
        at,
        "--l1.rpc",
        dead,
        "--l1.beacon",
        dead,
    ];
    let failure = run(&args).unwrap_err();
    assert_eq!(failure.exit, Exit::Key);
    assert!(failure.hint.contains(&format!("rota key new --datadir {at}")), "{}", failure.hint);
}

#[test]
fn completions_name_the_commands() {
    let mut text = Vec::new();
    clap_complete::generate(clap_complete::Shell::Bash, &mut Cli::command(), "rota", &mut text);
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("preconf") && text.contains("--rpc-url"));
}

#[test]
fn a_taken_port_is_named_with_its_setting() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let config = |text: String| crate::config::parse(&text, "rota.toml").unwrap();
    let web = config(format!("[rpc]\naddr = \"127.0.0.1:0\"\n[web]\naddr = \"127.0.0.1:{port}\""));
    let p2p = config(format!(
        "[rpc]\naddr = \"127.0.0.1:0\"\n[web]\naddr = \"127.0.0.1:0\"\n[p2p]\nlisten = [\"/ip4/127.0.0.1/tcp/{port}\"]"
    ));
    for (config, key) in [(web, "web.addr"), (p2p, "p2p.listen")] {
        let failure = node::check_ports(&config).unwrap_err();
        assert_eq!(failure.exit, Exit::Config);
        assert!(
            failure.message.starts_with(&format!("port {port} ({key}) is already used")),
            "{failure}"
        );
        assert!(failure.hint.contains(&format!("--{key}")));
    }
}

#[test]
fn the_genesis_file_of_stock_clients_has_the_hash_of_the_network() {
    let dir = tempfile::tempdir().unwrap();
    let [network, file] = ["network.json", "genesis.json"].map(|name| dir.path().join(name));
    let params = rota_types::ChainParams::default();
    let genesis = rota_execution::prague_genesis(70_700, 1_700_000_000, params.gas_limit, []);
    let address = alloy_primitives::Address::repeat_byte;
    let made = crate::network::Network {
        version: crate::network::NETWORK_VERSION,
        l1_chain_id: 31_337,
        l2_chain_id: 70_700,
        registry: address(1),
        inbox: address(2),
        rewards: None,
        oracle: None,
        warranty: None,
        l1_deploy_block: 5,
        genesis,
        params,
    };
    made.save(&network).unwrap();
    let [at, out] = [&network, &file].map(|p| p.to_str().unwrap());
    run(&["rota", "chain", "genesis", "--network", at, "--out", out]).unwrap();
    let read: alloy_genesis::Genesis =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let hash = rota_execution::genesis(&read).unwrap().hash;
    assert_eq!(hash, made.genesis_head().unwrap().hash);
}
