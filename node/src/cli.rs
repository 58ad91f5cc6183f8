//! The command line of `rota`: read arguments, do one thing, say how it went.
//!
//! stdout is the result and nothing else; logs and progress go to stderr; a failing command ends with one hint line and
//! the code of [`crate::exit::Exit`]. Not for: anything that a library caller needs; that is in [`crate::setup`].

mod args;
mod batch;
mod bridge;
mod call;
mod chain;
mod claim;
mod client;
mod confirm;
mod devnet;
mod doctor;
mod fallback;
mod force;
mod guard;
mod init;
mod key;
mod l1;
mod light;
mod node;
mod out;
mod output;
mod owner;
mod preconf;
mod rewards;
mod rotate;
mod rules;
mod schedule;
mod set;
mod signer;
mod slash;
mod status;
mod tx;
mod warranty;

pub use args::Cli;

use crate::exit::{Exit, Failure};
use args::{Command, L1Command, PreconfCommand, TxCommand};
use clap::{CommandFactory, Parser};
use serde_json::json;
use std::{future::Future, process::ExitCode};

/// Result of a command.
type Done = Result<(), Failure>;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(&cli) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            complain(&failure, cli.json);
            failure.exit.into()
        }
    }
}

fn complain(failure: &Failure, json: bool) {
    if json {
        let error = json!({
            "exit": failure.exit.code(), "message": failure.message, "hint": failure.hint
        });
        eprintln!("{}", json!({ "v": 1, "error": error }));
    } else {
        eprintln!("error: {}\n  hint: {}", failure.message, failure.hint);
    }
}

fn dispatch(cli: &Cli) -> Done {
    let json = cli.json;
    match &cli.command {
        Command::Run(args) => node::run(args),
        Command::Init(args) => init::init(args, json),
        Command::Key(command) => key::run(command, json),
        Command::Guard(command) => guard::run(command, json),
        Command::Signer(command) => signer::run(command, json),
        Command::Doctor(at) => block_on(doctor::doctor(at, json)),
        Command::Set(command) => block_on(set::run(command, json)),
        Command::Chain(command) => chain::run(command, json),
        Command::L1(L1Command::Deploy(args)) => block_on(l1::deploy(args, json)),
        Command::L1(L1Command::Fallback(command)) => block_on(fallback::run(command, json)),
        Command::Status(args) => block_on(status::status(args, json)),
        Command::Tx(TxCommand::Send(args)) => block_on(tx::send(args, json)),
        Command::Tx(TxCommand::Force(args)) => block_on(force::force(args, json)),
        Command::Tx(TxCommand::Status(args)) => block_on(tx::status(args, json)),
        Command::Tx(TxCommand::Watch(args)) => block_on(tx::watch(args, json)),
        Command::Preconf(PreconfCommand::Get(args)) => block_on(preconf::get(args, json)),
        Command::Preconf(PreconfCommand::Verify(args)) => block_on(preconf::verify(args, json)),
        Command::Preconf(PreconfCommand::Coverage(args)) => block_on(claim::coverage(args, json)),
        Command::Preconf(PreconfCommand::Claim(args)) => block_on(claim::claim(args, json)),
        Command::Preconf(PreconfCommand::Evidence(args)) => block_on(claim::evidence(args, json)),
        Command::Batch(command) => block_on(batch::run(command, json)),
        Command::Light(command) => block_on(light::run(command, json)),
        Command::Bridge(command) => block_on(bridge::run(command, json)),
        Command::Rewards(command) => block_on(rewards::run(command, json)),
        Command::Output(command) => block_on(output::run(command, json)),
        Command::Slash(command) => block_on(slash::run(command, json)),
        Command::Devnet { args } => devnet::exec(args),
        Command::Completions { shell } => completions(*shell),
    }
}

/// Runs a command that talks to a node or to L1, with warnings on stderr.
fn block_on(command: impl Future<Output = Done>) -> Done {
    node::start_log("warn", crate::config::LogFormat::Terminal);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(Exit::Failed, e))?;
    runtime.block_on(command)
}

fn completions(shell: clap_complete::Shell) -> Done {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rota", &mut text);
    out::raw(&text)
}

#[cfg(test)]
mod tests;
