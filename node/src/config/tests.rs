use super::*;
use std::fs;

fn said(text: &str) -> String {
    parse(text, "rota.toml").unwrap_err().to_string()
}

#[test]
fn an_unknown_key_is_named_in_full_with_the_one_that_was_meant() {
    let cases = [
        (
            "[rpc]\nadr = \"127.0.0.1:1\"",
            "unknown key `rpc.adr` in rota.toml; did you mean `rpc.addr`?",
        ),
        (
            "[batch]\nintervall = \"1s\"",
            "unknown key `batch.intervall` in rota.toml; did you mean `batch.interval`?",
        ),
        ("monicker = \"a\"", "unknown key `monicker` in rota.toml; did you mean `moniker`?"),
        ("[web]\nzzzzzzzzz = 1", "unknown key `web.zzzzzzzzz` in rota.toml"),
        (
            "[rcp]\naddr = \"127.0.0.1:1\"",
            "unknown key `rcp.addr` in rota.toml; did you mean `rpc.addr`?",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(said(text), expected);
    }
}

#[test]
fn a_wrong_type_and_a_wrong_value_name_the_key() {
    let cases = [
        (
            "[rpc]\nmax_connections = \"many\"",
            "`rpc.max_connections` in rota.toml is a text and must be a number",
        ),
        ("[rpc]\ncors = \"*\"", "`rpc.cors` in rota.toml is a text and must be a list"),
        ("rpc = 3", "unknown key `rpc` in rota.toml"),
        (
            "[l1]\nrpc = [1]",
            "`l1.rpc` in rota.toml is a list of other things and must be a list of texts",
        ),
        (
            "[batch]\ninterval = \"5 minutes\"",
            "`batch.interval` in rota.toml: \"5 minutes\" is not a duration",
        ),
        (
            "[batch]\ninterval = \"1ms\"",
            "`batch.interval` in rota.toml: 1ms is not between 100ms and 1h",
        ),
        ("[rpc]\naddr = \"here\"", "`rpc.addr` in rota.toml: invalid socket address"),
        ("[rpc]\nmax_connections = -1", "`rpc.max_connections` in rota.toml: "),
        ("role = \"leader\"", "`role` in rota.toml: unknown variant `leader`"),
        (
            "[p2p]\nlisten = [\"0.0.0.0:1\"]",
            "`p2p.listen` in rota.toml: 0.0.0.0:1 is no multiaddress",
        ),
        (
            "[l1]\nrpc = [\"ws://key@host\"]",
            "`l1.rpc` in rota.toml: endpoint 1 must start with http",
        ),
        ("[log]\nfilter = \"info,=,\"", "`log.filter` in rota.toml"),
    ];
    for (text, expected) in cases {
        let said = said(text);
        assert!(said.starts_with(expected), "{text}: {said}");
    }
    assert!(!said("[l1]\nrpc = [\"ws://key@host\"]").contains("key@host"));
    assert!(said("[rpc\n").starts_with("rota.toml is not TOML: TOML parse error at line 1"));
}

#[test]
fn flags_win_over_variables_over_the_file_over_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rota.toml");
    fs::write(
        &file,
        "moniker = \"file\"\nrole = \"sequencer\"\n[rpc]\nmax_connections = 7\ncors = [\"a\"]\n",
    )
    .unwrap();
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    let sources = Sources {
        file: None,
        env: vec![
            pair("ROTA_MONIKER", "env"),
            pair("ROTA_RPC_CORS", "b, c"),
            pair("ROTA_RPC_MAX_CONNECTIONS", "8"),
            pair("ROTA_CONFIG", "x"),
            pair("PATH", "y"),
        ],
        flags: vec![("datadir", dir.path().display().to_string()), ("moniker", "flag".into())],
    };
    let config = load(&sources).unwrap();
    assert_eq!(config.moniker, "flag");
    assert_eq!(config.role, Role::Sequencer);
    assert_eq!(config.rpc.max_connections, 8);
    assert_eq!(config.rpc.cors, ["b", "c"]);
    assert_eq!(config.web, WebConfig::default());
    assert_eq!(config.network_path(), dir.path().join("network.json"));
}

#[test]
fn variables_of_the_devnet_and_of_other_commands_are_no_settings() {
    let env = ["ROTA_DEVNET_DIR", "ROTA_ANVIL", "ROTA_RPC_URL"];
    let env = env.iter().map(|k| ((*k).to_owned(), "x".to_owned())).collect();
    let sources = Sources { file: Some("/dev/null".into()), env, flags: Vec::new() };
    assert_eq!(load(&sources).unwrap(), Config::default());
}

#[test]
fn wrong_variables_and_flags_are_named_as_such() {
    let with = |env: &[(&str, &str)], flags: Vec<(&'static str, String)>| {
        let env = env.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        load(&Sources { file: Some("/dev/null".into()), env, flags }).unwrap_err().to_string()
    };
    assert_eq!(
        with(&[("ROTA_RPC_ADR", "x")], vec![]),
        "unknown key `ROTA_RPC_ADR` in the environment; did you mean `ROTA_RPC_ADDR`?"
    );
    assert_eq!(
        with(&[("ROTA_BATCH_POST", "yes")], vec![]),
        "`batch.post` in ROTA_BATCH_POST is other text and must be true or false"
    );
    let said = with(&[], vec![("l1.poll", "soon".into())]);
    assert!(said.starts_with("`l1.poll` in --l1.poll: \"soon\" is not a duration"), "{said}");
    let missing = load(&Sources { file: Some("/nowhere/rota.toml".into()), ..Sources::default() });
    assert!(matches!(missing, Err(ConfigError::Io { .. })));
}

#[test]
fn the_example_is_what_the_defaults_are_and_names_every_key() {
    let text = include_str!("../../../deploy/config.example.toml");
    assert_eq!(parse(text, "config.example.toml").unwrap(), Config::default());
    let given: toml::Table = text.parse().unwrap();
    let known = toml::Table::try_from(Config::default()).unwrap();
    assert_eq!(given, known, "every key is in the example, with its default");
}

#[test]
fn nothing_listens_to_the_world_by_default() {
    let config = Config::default();
    assert!(config.rpc.addr.ip().is_loopback() && config.web.addr.ip().is_loopback());
    assert!(config.p2p.listen.iter().all(|a| a.starts_with("/ip4/127.0.0.1/")));
    let (key, _) = config.validate_for_run().unwrap_err();
    assert_eq!(key, "l1.rpc");
}

#[test]
fn settings_that_do_not_fit_together_are_refused() {
    let cases = [
        ("[web]\naddr = \"127.0.0.1:8545\"", "web.addr"),
        ("[rpc]\nsync_timeout = \"2m\"", "rpc.sync_timeout"),
        ("role = \"sequencer\"\n[p2p]\nlisten = []", "p2p.listen"),
        ("[p2p]\nbootnodes = [\"/ip4/1.2.3.4/tcp/1\"]", "p2p.bootnodes"),
        ("moniker = \"\"", "moniker"),
        ("[engine]\nurl = \"localhost:8551\"\njwt = \"j\"", "engine.url"),
        ("[engine]\nurl = \"http://127.0.0.1:8551\"", "engine.jwt"),
        ("role = \"sequencer\"\n[engine]\nurl = \"http://a:8551\"\njwt = \"j\"", "engine.url"),
        ("role = \"prover\"\n[prover]\nimplementation = \"engine\"", "engine.url"),
        ("[prover]\nslot = \"first\"", "prover.slot"),
        ("[prover]\npoll = \"1ms\"", "prover.poll"),
        ("[prover]\nkey_file = \"k\"", "prover.key_file"),
        ("[prover]\nimplementation = \"geth\"", "prover.implementation"),
    ];
    for (text, key) in cases {
        assert!(said(text).starts_with(&format!("`{key}`")), "{}", said(text));
    }
}

#[test]
fn a_prover_needs_a_key_to_run_and_not_to_be_written_down() {
    let l1 = "[l1]\nrpc = [\"http://a\"]\nbeacon = [\"http://b\"]\n";
    let config = parse(&format!("role = \"prover\"\n{l1}"), "rota.toml").unwrap();
    assert_eq!(config.validate_for_run().unwrap_err().0, "prover.key_file");
    let text = format!("role = \"prover\"\n{l1}[prover]\nkey_file = \"k\"");
    assert_eq!(parse(&text, "rota.toml").unwrap().validate_for_run(), Ok(()));
}
