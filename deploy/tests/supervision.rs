//! Nothing that was started stays behind, however its supervisor ends.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// A supervisor with one child, whose process id it told.
fn held(command: &[&str]) -> (Child, u32) {
    let mut supervisor = Command::new(env!("CARGO_BIN_EXE_rota-devnet"))
        .args(["__hold", "--"])
        .args(command)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (supervisor, line.trim().parse().unwrap())
}

/// What a process runs, or none if it is gone (a dead one that nobody has reaped yet is gone).
fn alive(pid: u32) -> Option<String> {
    let out =
        Command::new("ps").args(["-o", "stat=,args=", "-p", &pid.to_string()]).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    (!text.is_empty() && !text.starts_with('Z')).then_some(text)
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), wait).await.unwrap_or_else(|_| panic!("{what}"));
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn a_child_dies_with_a_supervisor_that_is_killed() {
    let (mut supervisor, child) = held(&["sleep", "1000"]);
    until("the child does not run", || alive(child).is_some_and(|c| c.ends_with("sleep 1000")))
        .await;
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    until("the child outlived its supervisor", || alive(child).is_none()).await;
}

#[tokio::test]
async fn a_child_is_stopped_when_the_supervisor_is_asked_to_stop() {
    for asked in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (mut supervisor, child) = held(&["sleep", "1000"]);
        until("the child does not run", || alive(child).is_some_and(|c| c.ends_with("sleep 1000")))
            .await;
        signal(supervisor.id(), asked);
        until("the supervisor does not stop", || supervisor.try_wait().unwrap().is_some()).await;
        assert!(supervisor.wait().unwrap().success());
        assert_eq!(alive(child), None, "{asked:?}");
    }
}

#[tokio::test]
async fn a_grandchild_goes_with_its_group() {
    let (mut supervisor, child) = held(&["sh", "-c", "sleep 1001 & wait"]);
    let grandchild = || {
        let out = Command::new("pgrep").args(["-P", &child.to_string()]).output().unwrap();
        String::from_utf8_lossy(&out.stdout).trim().parse::<u32>().ok()
    };
    until("there is no grandchild", || grandchild().is_some()).await;
    let grandchild = grandchild().unwrap();
    signal(supervisor.id(), Signal::TERM);
    until("the supervisor does not stop", || supervisor.try_wait().unwrap().is_some()).await;
    until("the grandchild stays", || alive(grandchild).is_none()).await;
}

#[tokio::test]
async fn a_program_that_fails_or_is_not_there_is_reported() {
    for command in [["false", ""], ["/nowhere/program", ""]] {
        let (mut supervisor, _) = held(&command[..1]);
        until("the supervisor does not end", || supervisor.try_wait().unwrap().is_some()).await;
        assert_eq!(supervisor.wait().unwrap().code(), Some(1));
    }
}
