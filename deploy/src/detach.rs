//! `up --detach`: the supervisor in the background, and one program under supervision for tests.
//!
//! Invariant: what is started here is told to end when this is.

use crate::{
    args::UpArgs,
    cli::say,
    layout::{Layout, Snapshot},
    logs::read_from,
    proc::{Proc, Spec},
    up::Stop,
};
use rota_node::exit::{Exit, Failure};
use std::{ffi::OsString, fs, process::Stdio, time::Duration};

/// Starts `up` in the background and returns when it is ready.
pub(crate) async fn detach(layout: &Layout, args: &UpArgs) -> Result<(), Failure> {
    // Asked here too, so that the answer comes at once.
    drop(layout.take_lock()?);
    let wrong =
        |e: std::io::Error| Failure::new(Exit::Failed, format!("cannot start the supervisor: {e}"));
    let path = layout.supervisor_log();
    let log = fs::File::create(&path).map_err(wrong)?;
    let own = std::env::current_exe().map_err(wrong)?;
    let mut child = tokio::process::Command::new(own)
        .args(supervised_args(layout, args))
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(wrong)?)
        .stderr(log)
        .spawn()
        .map_err(wrong)?;
    let mut stop = Stop::listen()?;
    let mut at = 0;
    loop {
        let (text, end) = read_from(&path, Some(at));
        at = end;
        String::from_utf8_lossy(&text).lines().for_each(say);
        if let Some(status) = child.try_wait().map_err(wrong)? {
            let exit = Exit::ALL.into_iter().find(|e| Some(i32::from(e.code())) == status.code());
            return Err(Failure::new(exit.unwrap_or(Exit::Failed), "the devnet did not start")
                .hint("the lines above say why"));
        }
        let mine = layout.supervisor() == child.id();
        if mine && Snapshot::read(layout).is_some_and(|s| s.ready) {
            say("  running in the background; rota devnet status, logs -f, down");
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            () = stop.asked() => {
                let pid = child.id().and_then(|p| i32::try_from(p).ok()).and_then(rustix::process::Pid::from_raw);
                let _ = pid.map(|p| rustix::process::kill_process(p, rustix::process::Signal::TERM));
                let _ = child.wait().await;
                return Err(Failure::new(Exit::Interrupted, "interrupted; nothing is left running"));
            }
        }
    }
}

fn supervised_args(layout: &Layout, args: &UpArgs) -> Vec<OsString> {
    let mut out: Vec<OsString> =
        vec!["--dir".into(), layout.root().into(), "up".into(), "--supervised".into()];
    for (given, flag) in [
        (args.fresh, "--fresh"),
        (args.no_follower, "--no-follower"),
        (args.no_slasher, "--no-slasher"),
    ] {
        if given {
            out.push(flag.into());
        }
    }
    let mut values = vec![
        ("--nodes", args.nodes.to_string()),
        ("--block-time", args.block_time.to_string()),
        ("--log-filter", args.log_filter.clone()),
    ];
    values.extend(args.base_port.map(|p| ("--base-port", p.to_string())));
    values.extend(args.netns.as_ref().map(|n| ("--netns", n.to_string())));
    for (flag, value) in values {
        out.extend([OsString::from(flag), value.into()]);
    }
    out
}

/// Supervises one program: says its process id, and ends it when asked to.
pub(crate) async fn hold(command: &[OsString]) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let Some((program, args)) = command.split_first() else {
        return Err(Failure::new(Exit::Usage, "no program given"));
    };
    let spec = Spec { program: program.into(), args: args.to_vec(), log: None };
    let mut proc = Proc::start(&spec)?;
    say(proc.pid());
    tokio::select! {
        status = proc.wait() => match status {
            Some(status) if status.success() => Ok(()),
            _ => Err(Failure::new(Exit::Failed, "the program failed")),
        },
        () = stop.asked() => {
            proc.stop().await;
            Ok(())
        }
    }
}
