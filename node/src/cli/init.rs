//! `rota init`: a data directory with keys, a commented configuration, and what to do next.
//!
//! Invariant: nothing that is there is overwritten, and no secret is printed.

use super::{Done, args::InitArgs, key, node::settings_at, out};
use crate::{
    exit::{Exit, Failure},
    keys::{KeyKind, Keys, PublicKeys},
    network::Network,
};
use alloy_primitives::hex;
use serde_json::json;
use std::{fs, path::Path};

/// What is written: the defaults with their meaning.
const EXAMPLE: &str = include_str!("../../../deploy/config.example.toml");

pub(super) fn init(args: &InitArgs, json: bool) -> Done {
    let config = settings_at(&args.make.home)?;
    let root = config.data_root();
    let io = |what: &str, e: &std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot {what} {}: {e}", root.display()))
            .hint("choose another --datadir")
    };
    // Checked first: nothing is made if the file is of no use.
    let network = args.network.as_deref().map(Network::load).transpose()?;
    let text = commented(args)?;
    fs::create_dir_all(&root).map_err(|e| io("create", &e))?;
    let made = key::make(&args.make, &config)?;
    let path = root.join("rota.toml");
    let fresh = !path.exists();
    if fresh {
        fs::write(&path, text).map_err(|e| io("write to", &e))?;
    }
    if let Some(network) = network {
        put_network(&root, &network)?;
    }
    let public = PublicKeys::read(&root)?;
    if json {
        let made: Vec<&str> = made.iter().map(|k| k.name()).collect();
        return out::json(&json!({
            "v": 1, "datadir": root, "config": path, "keys": made, "public": key::public(&public)
        }));
    }
    out::line(format_args!("data directory  {}", root.display()))?;
    let state = if fresh { "written" } else { "kept as it is" };
    out::line(format_args!("configuration   {} ({state})", path.display()))?;
    out::line(format_args!(
        "keys            {} made, in {}",
        made.len(),
        Keys::dir(&root).display()
    ))?;
    out::line(format_args!("sequencer key   {}", hex::encode_prefixed(public.seq)))?;
    out::line(format_args!("vote key        {}", public.vote))?;
    out::line(format_args!("peer id         {}", public.peer_id))?;
    if let Some(poster) = public.poster {
        out::line(format_args!("poster account  {poster} (pays for batches: send it some ETH)"))?;
    }
    next(&root, args);
    Ok(())
}

fn next(root: &Path, args: &InitArgs) {
    let root = root.display();
    eprintln!(
        "back up keys/ and sign-state/ together; a key without its sign state can sign twice"
    );
    if KeyKind::SEALED.iter().any(|k| k.plain(Path::new(&root.to_string())).exists()) {
        eprintln!("the keys are not encrypted; rota key encrypt does that in place");
    }
    let settings = if args.l1_rpc.is_some() && args.l1_beacon.is_some() {
        String::new()
    } else {
        format!("set l1.rpc and l1.beacon in {root}/rota.toml, then: ")
    };
    eprintln!(
        "next: {settings}rota doctor --datadir {root}, rota run --datadir {root}, and to become a sequencer: rota set join"
    );
}

fn put_network(root: &Path, network: &Network) -> Done {
    let path = root.join("network.json");
    if path.exists() && Network::load(&path)? != *network {
        let message = format!("{} is of another network", path.display());
        return Err(Failure::new(Exit::Network, message)
            .hint("one data directory belongs to one network: choose another --datadir"));
    }
    Ok(network.save(&path)?)
}

/// The example with what was given in place of the defaults.
fn commented(args: &InitArgs) -> Result<String, Failure> {
    let list = |text: &String| -> toml::Value {
        let items = text.split(',').map(str::trim).filter(|t| !t.is_empty());
        items.map(toml::Value::from).collect::<Vec<_>>().into()
    };
    let password = args.make.home.password_file.as_ref().map(|file| {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.into());
        file.display().to_string().into()
    });
    let given: [(&str, Option<toml::Value>); 5] = [
        ("moniker = ", args.moniker.clone().map(Into::into)),
        ("role = ", args.role.map(|r| r.name().into())),
        ("password_file = ", password),
        ("rpc = ", args.l1_rpc.as_ref().map(list)),
        ("beacon = ", args.l1_beacon.as_ref().map(list)),
    ];
    let line = |line: &str| {
        let hit = given.iter().find(|(key, value)| line.starts_with(key) && value.is_some());
        let value = hit.and_then(|(key, value)| Some((key, value.as_ref()?)));
        value.map_or_else(|| format!("{line}\n"), |(key, value)| format!("{key}{value}\n"))
    };
    let text: String = EXAMPLE.lines().map(line).collect();
    crate::config::parse(&text, "what was given")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, args::Command};
    use clap::Parser;

    #[test]
    fn what_is_given_stands_in_the_file_and_the_comments_stay() {
        let parse = |more: &[&str]| {
            let cli = Cli::try_parse_from([&["rota", "init"], more].concat()).unwrap();
            let Command::Init(args) = cli.command else { panic!() };
            commented(&args)
        };
        assert_eq!(parse(&[]).unwrap(), EXAMPLE);
        let text = parse(&[
            "--moniker",
            "a \"b\"",
            "--role",
            "sequencer",
            "--l1.rpc",
            "http://a,http://b",
        ]);
        let text = text.unwrap();
        let config = crate::config::parse(&text, "x").unwrap();
        assert_eq!(config.moniker, "a \"b\"");
        assert_eq!(config.l1.rpc, ["http://a", "http://b"]);
        assert_eq!(text.lines().count(), EXAMPLE.lines().count());
        let failure = parse(&["--l1.rpc", "ftp://secret"]).unwrap_err();
        assert!(!failure.message.contains("secret"), "{failure}");
    }
}
