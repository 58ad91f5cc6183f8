//! `rota guard`: what this node's keys have signed, and moving that with the keys to another machine.
//!
//! Not for: a running node; what it has signed changes while one looks. Invariants: a guard is marked before its export
//! is readable, so that two machines do not sign at once by accident; an import never makes a guard forget.

use super::{Done, args::Where, node::settings, out};
use crate::{
    exit::{Exit, Failure},
    generation,
    keys::PublicKeys,
    network::Network,
};
use alloy_primitives::hex;
use clap::{Args, Subcommand};
use rota_store::{DataDir, ImportError, SignGuard, SignState, SignStateOf, StoreError};
use rota_types::Domain;
use serde_json::json;
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Longest file that is read: a few thousand entries.
const MAX_FILE: u64 = 16 << 20;

/// `rota guard ..`
#[derive(Debug, Subcommand)]
pub enum GuardCommand {
    /// What the keys of this node have signed.
    Show(Where),
    /// Write what the keys have signed to a file, for another machine. This one does not sign any more.
    Export(ExportArgs),
    /// Take what the keys have signed on another machine. The node is stopped.
    Import(ImportArgs),
    /// Sign on this machine again although its guard was exported.
    Reopen(ReopenArgs),
}

/// `rota guard export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// File to write; it must not exist.
    pub file: PathBuf,
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
}

/// `rota guard import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// File from `rota guard export`.
    pub file: PathBuf,
    /// Take the newest of both although the file is older than the guard here.
    #[arg(long)]
    pub merge: bool,
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
}

/// `rota guard reopen`.
#[derive(Debug, Args)]
pub struct ReopenArgs {
    /// Confirms that no machine ever ran with the exported file. If one did, two machines sign, and the stake is lost.
    #[arg(long)]
    pub yes_the_export_was_never_used: bool,
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
}

/// The keys and the network that a guard is of.
struct Of {
    root: PathBuf,
    domain: Domain,
    of: SignStateOf,
}

pub(super) fn run(command: &GuardCommand, json: bool) -> Done {
    match command {
        GuardCommand::Show(at) => show(at, json),
        GuardCommand::Export(args) => export(args, json),
        GuardCommand::Import(args) => import(args, json),
        GuardCommand::Reopen(args) => reopen(args, json),
    }
}

impl Of {
    fn read(at: &Where) -> Result<Self, Failure> {
        let config = settings(at, Vec::new())?;
        let root = config.data_root();
        let (seq, vote) = PublicKeys::signing(&root)?;
        let generation = generation::of_keys(&root, vote).map_err(store)?;
        let domain = Network::load(&config.network_path())?.domain_of(generation)?;
        let of = SignStateOf::new(&domain, vote, seq);
        Ok(Self { root, domain, of })
    }

    fn sign_state(&self) -> PathBuf {
        self.root.join("sign-state")
    }

    /// Takes the data directory and the guard in it: no node runs meanwhile.
    fn take(&self) -> Result<(DataDir, SignGuard), Failure> {
        let dir = DataDir::open(&self.root).map_err(|e| {
            let running = matches!(e, StoreError::Locked { .. });
            let failure = store(e);
            if running {
                failure.hint(
                    "stop the node first: what a running node has signed changes while you look",
                )
            } else {
                failure
            }
        })?;
        let guard = SignGuard::open(&dir.sign_state(), self.of.vote_key, &self.domain);
        Ok((dir, guard.map_err(store)?))
    }
}

fn store(e: StoreError) -> Failure {
    Failure::from_report(&e.into())
}

fn show(at: &Where, json: bool) -> Done {
    let here = Of::read(at)?;
    let dir = here.sign_state();
    let view = SignGuard::peek(&dir, here.of.vote_key, &here.domain).map_err(store)?;
    let path = dir.join(format!("{}.log", hex::encode(here.of.vote_key)));
    let Some(view) = view else {
        let text =
            "there is no guard: a new key, or a lost guard. The node listens before it signs";
        return if json {
            out::json(&json!({ "v": 1, "voteKey": here.of.vote_key, "guard": null }))
        } else {
            out::line(text)
        };
    };
    let (newest, floor) = (view.marks.newest(), view.marks.floor());
    let file = SignState::new(here.of.clone(), &view.marks);
    if json {
        let signs = !view.exported;
        return out::json(&json!({
            "v": 1, "path": path, "signsHere": signs, "newest": newest, "floor": floor, "guard": file
        }));
    }
    out::line(format_args!("guard     {}", path.display()))?;
    out::line(format_args!("vote key  {}", here.of.vote_key))?;
    out::line(format_args!("network   {} generation {}", here.of.context, here.of.generation))?;
    let signs = if view.exported { "no: exported to another machine" } else { "yes" };
    out::line(format_args!("signs     {signs}"))?;
    if floor > 0 {
        out::line(format_args!("floor     nothing is signed at height {floor} or below"))?;
    }
    match newest {
        Some(height) => out::line(format_args!("newest    height {height}")),
        None => out::line("newest    nothing signed yet"),
    }
}

fn export(args: &ExportArgs, json: bool) -> Done {
    let here = Of::read(&args.at)?;
    let (_dir, mut guard) = here.take()?;
    let cannot = |e: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot write {}: {e}", args.file.display()))
    };
    // Made first: a file that cannot be written must not cost the place of the key.
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.file).map_err(
            |e| cannot(e).hint("choose a file that does not exist, in a directory that does"),
        )?;
    let state = guard.export(here.of).map_err(store)?;
    let text = state.to_json().map_err(|e| Failure::new(Exit::Failed, e))?;
    let parent = args.file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| File::open(parent)?.sync_all())
        .map_err(|e| {
            cannot(e).hint("this machine does not sign any more; export again to another file")
        })?;
    if json {
        return out::json(&json!({ "v": 1, "file": args.file, "newest": guard.newest() }));
    }
    eprintln!("this machine does not sign with these keys any more");
    eprintln!(
        "next, on the other machine, with the keys: rota guard import {}",
        args.file.display()
    );
    out::line(args.file.display())
}

fn import(args: &ImportArgs, json: bool) -> Done {
    let here = Of::read(&args.at)?;
    let unusable = |why: String| Failure::new(Exit::Failed, why).hint("nothing was changed");
    let size = fs::metadata(&args.file).map_or(0, |m| m.len());
    if size > MAX_FILE {
        return Err(unusable(format!("{} is too long for a sign state", args.file.display())));
    }
    let text = fs::read_to_string(&args.file)
        .map_err(|e| unusable(format!("cannot read {}: {e}", args.file.display())))?;
    let file = SignState::from_json(&text).map_err(|e| unusable(e.to_string()))?;
    let (_dir, mut guard) = here.take()?;
    let done = guard.import(&file, &here.of, args.merge).map_err(refused)?;
    if json {
        return out::json(&json!({ "v": 1, "changed": done.changed, "newest": done.newest }));
    }
    let newest = done.newest.map_or_else(|| "nothing".into(), |h| format!("up to height {h}"));
    let what = if done.changed { "taken" } else { "known already" };
    out::line(format_args!("{what}: this key has signed {newest}"))
}

fn refused(e: ImportError) -> Failure {
    let (exit, hint) = match &e {
        ImportError::Store(_) => (Exit::DataDir, "nothing was changed"),
        ImportError::File(_) => {
            (Exit::Slashable, "use the file that was exported for these keys on this network")
        }
        ImportError::Contradiction(_) => (
            Exit::Slashable,
            "do not sign with this key: wait until the network is well past both, see docs/operations.md",
        ),
        ImportError::Behind(_) => (
            Exit::Slashable,
            "export again from the machine that signed last; --merge takes the newest of both, if you know why they differ",
        ),
        ImportError::OwnExport => (
            Exit::Slashable,
            "import what the other machine exports; if nothing ever ran with the file: rota guard reopen",
        ),
    };
    Failure::new(exit, e).hint(hint)
}

fn reopen(args: &ReopenArgs, json: bool) -> Done {
    let here = Of::read(&args.at)?;
    let (_dir, mut guard) = here.take()?;
    if guard.exported() && !args.yes_the_export_was_never_used {
        let message = "the guard was exported: another machine may sign with this key";
        return Err(Failure::new(Exit::Slashable, message).hint(
            "if a node ever ran with the file, import what it exports instead; else: rota guard reopen \
             --yes-the-export-was-never-used",
        ));
    }
    let was = guard.exported();
    if was {
        guard.reopen().map_err(store)?;
        eprintln!(
            "DANGER: if any node ran with the exported file, two machines sign now and the stake is lost"
        );
    }
    if json {
        return out::json(&json!({ "v": 1, "changed": was, "newest": guard.newest() }));
    }
    out::line(if was { "this machine signs again" } else { "the guard was not exported" })
}
