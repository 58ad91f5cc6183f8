//! Processes that cannot outlive the one that started them.
//!
//! A child starts as this program (`__exec`), asks the kernel to be killed when its parent ends, looks whether the parent
//! is still there, and then becomes the real program. Elsewhere than on Linux it stays as a guard that watches its parent.
//! Invariant: [`Proc::start`] runs on the main thread, since the kernel's promise is tied to the thread that started the
//! child.

use rota_node::exit::{Exit, Failure};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    ffi::{OsStr, OsString},
    fs::OpenOptions,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::process::{Child, Command};

/// How long a process may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(8);

/// What to start.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// File for what it says, appended to; none: where the supervisor's goes.
    pub log: Option<PathBuf>,
}

/// A running process in a group of its own, so that Ctrl-C reaches the supervisor only.
#[derive(Debug)]
pub struct Proc {
    child: Child,
    pid: u32,
}

impl Proc {
    /// Starts it. On the main thread.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(spec: &Spec) -> Result<Self, Failure> {
        let wrong = |e: std::io::Error| {
            Failure::new(Exit::Failed, format!("cannot start {}: {e}", spec.program.display()))
        };
        let own = std::env::current_exe().map_err(wrong)?;
        let mut command = Command::new(own);
        command.arg("__exec").arg(std::process::id().to_string());
        command.arg("--").arg(&spec.program).args(&spec.args);
        command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        if let Some(path) = &spec.log {
            let log = OpenOptions::new().create(true).append(true).open(path).map_err(wrong)?;
            command.stdout(log.try_clone().map_err(wrong)?).stderr(log);
        }
        let child = command.spawn().map_err(wrong)?;
        let pid = child.id().unwrap_or_default();
        Ok(Self { child, pid })
    }

    /// Its process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> Option<ExitStatus> {
        self.child.wait().await.ok()
    }

    /// Ends it at once.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait().await;
    }

    /// Asks it to end, and ends it if it does not in time.
    pub async fn stop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        self.signal(Signal::TERM);
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// To its whole group, while it is not reaped: the id is then its own.
    fn signal(&mut self, signal: Signal) {
        if self.ended().is_some() {
            return;
        }
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Gone in between: then it has ended, which is what was wanted.
            let _ = kill_process_group(pid, signal);
        }
    }
}

/// Becomes the program, tied to the parent's life. Returns only if that fails.
pub(crate) fn exec(parent: u32, program: &OsStr, args: &[OsString]) -> Failure {
    match imp::exec(parent, program, args) {
        Ok(never) => never,
        Err(e) => Failure::new(Exit::Failed, format!("cannot start {}: {e}", program.display())),
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{Exit, Failure, OsStr, OsString, Signal};
    use std::{io, os::unix::process::CommandExt, process::Command};

    pub(super) fn exec(parent: u32, program: &OsStr, args: &[OsString]) -> io::Result<Failure> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have ended before the kernel was asked.
        if std::os::unix::process::parent_id() != parent {
            return Ok(Failure::new(Exit::Failed, "the supervisor ended"));
        }
        Err(Command::new(program).args(args).exec())
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Exit, Failure, OsStr, OsString};
    use std::{
        io,
        process::{Command, exit},
        time::Duration,
    };

    pub(super) fn exec(parent: u32, program: &OsStr, args: &[OsString]) -> io::Result<Failure> {
        let mut child = Command::new(program).args(args).spawn()?;
        loop {
            if let Some(status) = child.try_wait()? {
                exit(status.code().unwrap_or(1));
            }
            if std::os::unix::process::parent_id() != parent {
                child.kill()?;
                return Ok(Failure::new(Exit::Failed, "the supervisor ended"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
