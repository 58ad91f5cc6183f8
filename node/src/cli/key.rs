//! `rota key`: making keys, encrypting them, and showing what of them is public.
//!
//! Invariant: no secret is printed, and no key file is overwritten.

use super::{Done, args::Home, node::settings_at, out};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    keys::{Encrypted, Keep, KeyKind, Keys, Passwords, PublicKeys, Secret, Work},
};
use alloy_primitives::hex;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// `rota key ..`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make the keys that are not there; never overwrites.
    New(MakeArgs),
    /// Put a key from elsewhere into its place; never overwrites.
    Import(ImportArgs),
    /// Encrypt plain key files in place.
    Encrypt(MakeArgs),
    /// Change an operator's hot keys, in steps.
    Rotate(super::rotate::RotateArgs),
    /// Where each key is, and whether it is encrypted.
    List(Home),
    /// Prove to L1 that the keys are here, for an owner whose key is somewhere else.
    Prove(super::owner::ProveArgs),
    /// Show the public parts.
    Show(Home),
}

/// How new key files are made.
#[derive(Debug, Clone, Args)]
pub struct MakeArgs {
    /// Where keys and data are.
    #[command(flatten)]
    pub home: Home,
    /// Keep the keys in plain files that only the owner can read.
    #[arg(long)]
    pub plain: bool,
    /// How hard a password is to guess, as the binary logarithm of scrypt's N [default: 17, which takes 128 MiB].
    #[arg(long, value_name = "10..20", value_parser = work)]
    pub work: Option<Work>,
}

/// `rota key import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Which key: seq, vote, node or poster.
    #[arg(value_parser = kind)]
    pub kind: KeyKind,
    /// Its file: an encrypted one, or 32 bytes in hex with mode 0600.
    pub file: PathBuf,
    /// File with the password of that file, if it is another one than the node's.
    #[arg(long, value_name = "FILE")]
    pub from_password_file: Option<PathBuf>,
    /// Confirms that what this key has signed comes along (`rota guard import`), or that it never signed.
    #[arg(long)]
    pub yes_its_sign_state_comes_along: bool,
    /// How the new file is made.
    #[command(flatten)]
    pub make: MakeArgs,
}

pub(super) fn run(command: &KeyCommand, json: bool) -> Done {
    match command {
        KeyCommand::New(args) => new(args, json),
        KeyCommand::Import(args) => import(args, json),
        KeyCommand::Encrypt(args) => encrypt(args, json),
        KeyCommand::Rotate(args) => super::block_on(super::rotate::rotate(args, json)),
        KeyCommand::Prove(args) => super::owner::prove(args, json),
        KeyCommand::List(home) => list(home, json),
        KeyCommand::Show(home) => show(&settings_at(home)?.data_root(), json),
    }
}

fn new(args: &MakeArgs, json: bool) -> Done {
    let config = settings_at(&args.home)?;
    let root = config.data_root();
    let made = make(args, &config)?;
    for kind in KeyKind::ALL {
        let state = if made.contains(&kind) { "made" } else { "kept as it is" };
        eprintln!("{} {state}", kind.path(&root).display());
    }
    show(&root, json)
}

/// Makes the keys that are not there.
pub(super) fn make(args: &MakeArgs, config: &Config) -> Result<Vec<KeyKind>, Failure> {
    let root = config.data_root();
    let there = |k: &KeyKind| k.path(&root).exists();
    if KeyKind::SEALED.iter().all(there) {
        // No password is needed for what is not made.
        return Ok(Keys::create(&root, Keep::Plain)?);
    }
    let passwords = config.passwords();
    let keep = keep((args.plain, args.work), &passwords, &Keys::dir(&root))?;
    Ok(Keys::create(&root, keep)?)
}

pub(super) fn keep<'a>(
    (plain, work): (bool, Option<Work>),
    passwords: &'a Passwords,
    what: &Path,
) -> Result<Keep<'a>, Failure> {
    if plain {
        return Ok(Keep::Plain);
    }
    let password = passwords.to_make(what).map_err(|e| {
        Failure::from(e)
            .hint("give --password-file FILE, or --plain for files that only the owner can read")
    })?;
    Ok(Keep::Sealed(password, work.unwrap_or(Work::STRONG)))
}

fn import(args: &ImportArgs, json: bool) -> Done {
    let config = settings_at(&args.make.home)?;
    let root = config.data_root();
    let signs = matches!(args.kind, KeyKind::Seq | KeyKind::Vote);
    if signs && !args.yes_its_sign_state_comes_along {
        let message = "a key that has signed elsewhere can sign a contradiction here";
        return Err(Failure::new(Exit::Slashable, message).hint(
            "bring its sign state along (rota guard export, rota guard import), then add --yes-its-sign-state-comes-along",
        ));
    }
    let own = config.passwords();
    let from = args.from_password_file.clone().map(|f| Passwords::new(Some(f)));
    let secret = Secret::open(&args.file, from.as_ref().unwrap_or(&own))?;
    let keep = keep((args.make.plain, args.make.work), &own, &args.kind.sealed(&root))?;
    Keys::import(&root, args.kind, &secret, keep)?;
    let path = args.kind.path(&root);
    if json {
        return out::json(&json!({ "v": 1, "key": args.kind.name(), "file": path }));
    }
    eprintln!("next: delete {} if it is not the backup", args.file.display());
    out::line(path.display())
}

fn encrypt(args: &MakeArgs, json: bool) -> Done {
    let config = settings_at(&args.home)?;
    let root = config.data_root();
    let passwords = config.passwords();
    let work = args.work.unwrap_or(Work::STRONG);
    let plain = KeyKind::SEALED.into_iter().find(|k| k.plain(&root).exists());
    let mut done = Vec::new();
    for kind in KeyKind::SEALED {
        let state = match plain {
            None if kind.sealed(&root).exists() => Encrypted::Before,
            None => Encrypted::Absent,
            Some(_) => kind.encrypt(&root, (passwords.to_make(&Keys::dir(&root))?, work))?,
        };
        done.push((kind, state));
    }
    let word = |state| match state {
        Encrypted::Now => "encrypted",
        Encrypted::Before => "was encrypted",
        Encrypted::Absent => "absent",
    };
    if json {
        let keys: serde_json::Map<String, Value> =
            done.iter().map(|(k, s)| (k.name().to_owned(), word(*s).into())).collect();
        return out::json(&json!({ "v": 1, "keys": keys }));
    }
    for (kind, state) in &done {
        out::line(format_args!(
            "{:<7} {:<14} {}",
            kind.name(),
            word(*state),
            kind.path(&root).display()
        ))?;
    }
    if done.iter().any(|(_, s)| *s == Encrypted::Now) {
        eprintln!(
            "next: keep the password where the backup of keys/ is not, and make a new backup; old ones hold plain keys"
        );
    }
    Ok(())
}

fn list(home: &Home, json: bool) -> Done {
    let root = settings_at(home)?.data_root();
    let state = |kind: KeyKind| {
        let path = kind.path(&root);
        let state = match (path.exists(), path == kind.plain(&root)) {
            (false, _) => "missing",
            (true, true) => "plain",
            (true, false) => "encrypted",
        };
        (kind.name(), state, path)
    };
    let all = KeyKind::ALL.map(state);
    if json {
        let keys: Vec<Value> = all
            .iter()
            .map(|(key, state, file)| json!({ "key": key, "state": state, "file": file }))
            .collect();
        return out::json(&json!({ "v": 1, "keys": keys }));
    }
    all.iter().try_for_each(|(key, state, file)| {
        out::line(format_args!("{key:<7} {state:<10} {}", file.display()))
    })
}

fn show(root: &Path, json: bool) -> Done {
    let keys = PublicKeys::read(root)?;
    if json {
        let mut value = public(&keys);
        if let Some(map) = value.as_object_mut() {
            map.insert("v".into(), 1.into());
        }
        return out::json(&value);
    }
    out::line(format_args!("sequencer key  {}", hex::encode_prefixed(keys.seq)))?;
    out::line(format_args!("vote key       {}", keys.vote))?;
    out::line(format_args!("peer id        {}", keys.peer_id))?;
    let poster = keys.poster.map_or_else(|| "none".to_owned(), |p| p.to_string());
    out::line(format_args!("poster         {poster}"))
}

/// The public parts as JSON.
pub(super) fn public(keys: &PublicKeys) -> Value {
    json!({
        "seqKey": hex::encode_prefixed(keys.seq), "voteKey": keys.vote, "peerId": keys.peer_id, "poster": keys.poster
    })
}

pub(super) fn work(text: &str) -> Result<Work, String> {
    text.parse().ok().and_then(Work::new).ok_or_else(|| "a number from 10 to 20".into())
}

fn kind(text: &str) -> Result<KeyKind, String> {
    KeyKind::ALL
        .into_iter()
        .find(|k| k.name() == text)
        .ok_or_else(|| "seq, vote, node or poster".into())
}
