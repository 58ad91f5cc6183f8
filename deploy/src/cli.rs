//! The program `rota-devnet`: reads arguments, does one thing, says how it went.

use crate::{
    accounts::{ACCOUNTS, MNEMONIC},
    args::{Cli, Command},
    control::{self, Order},
    detach, equivocate,
    layout::Layout,
    logs, operators, proc, status, up,
};
use clap::Parser;
use rota_node::exit::{Exit, Failure};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

/// How long `down` waits for the supervisor: longer than each process may take.
const DOWN: Duration = Duration::from_secs(40);

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // One thread, the main one: what it starts is tied to it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli)),
        Err(e) => Err(Failure::new(Exit::Failed, e)),
    };
    match done {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            eprintln!("error: {}\n  hint: {}", failure.message, failure.hint);
            failure.exit.into()
        }
    }
}

/// One line of the result. A reader that went away is no error.
pub(crate) fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let layout = Layout::new(&cli.dir);
    match cli.command {
        Command::Up(args) if args.detach => detach::detach(&layout, &args).await,
        Command::Up(args) => up::up(&layout, &args).await,
        Command::Status { json } => status::status(&layout, json).await,
        Command::Down { wipe } => down(&layout, wipe).await,
        Command::Logs { node, follow, lines } => {
            logs::logs(&layout, node.as_deref(), follow, lines).await
        }
        Command::Kill { node } => control::ask(&layout, &Order::Kill(node)).await,
        Command::Start { node } => control::ask(&layout, &Order::Start(node)).await,
        Command::Equivocate { node, promise, json } => {
            Box::pin(equivocate::equivocate(&layout, (&node, promise), json)).await
        }
        Command::Add { json } => operators::add(&layout, json).await,
        Command::Leave { node, withdraw, json } => {
            operators::leave(&layout, &node, (withdraw, json)).await
        }
        Command::Travel { blocks } => operators::travel(&layout, blocks).await,
        Command::Accounts { quiet } => {
            accounts(quiet);
            Ok(())
        }
        Command::Exec { parent, command } => Err(match command.split_first() {
            Some((program, args)) => proc::exec(parent, program, args),
            None => Failure::new(Exit::Usage, "no program given"),
        }),
        Command::Hold { command } => detach::hold(&command).await,
    }
}

fn accounts(quiet: bool) {
    if quiet {
        ACCOUNTS.iter().take(1).for_each(|(_, key)| say(key));
        return;
    }
    say(format_args!("mnemonic  {MNEMONIC}"));
    for (address, key) in ACCOUNTS {
        say(format_args!("{address}  {key}"));
    }
    say("known to everyone: never pay anything to these on a real network");
}

/// Asks the supervisor to stop, and waits until it has.
async fn down(layout: &Layout, wipe: bool) -> Result<(), Failure> {
    let supervisor = layout.supervisor();
    if let Some(pid) = supervisor {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        // Gone in between: then it has stopped, which is what was wanted.
        let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        let stopped = async {
            while layout.supervisor().is_some() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(DOWN, stopped).await.map_err(|_| {
            Failure::new(Exit::Timeout, "the devnet did not stop in time").hint(
                "rota devnet logs supervisor says why; kill -9 of its process ends all others too",
            )
        })?;
        say("stopped");
    } else {
        say("no devnet runs here");
    }
    if wipe {
        // Held, so that none starts in what is being deleted.
        let _lock = layout.take_lock()?;
        up::wipe(layout)?;
        say(format_args!("deleted {}", layout.data().display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["rota-devnet", "up", "--nodes", "0"]).is_err());
        assert!(Cli::try_parse_from(["rota-devnet", "up", "--nodes", "10"]).is_err());
    }

    #[tokio::test]
    async fn down_without_a_devnet_is_no_failure_and_wipes_what_was_left() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        std::fs::create_dir_all(layout.node("n1")).unwrap();
        down(&layout, false).await.unwrap();
        assert!(layout.node("n1").exists());
        down(&layout, true).await.unwrap();
        assert!(!layout.data().exists());
    }
}
