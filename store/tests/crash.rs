//! Real processes: killed in the middle of writing, kept out by a lock, out of disk space.
//!
//! The test binary starts itself as the child: the test `child` does nothing unless `ROTA_CHILD` is set.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test may overflow and panic"
)]

use alloy_primitives::{Address, B256, keccak256};
use rota_store::{
    AppendLog, BlockBatch, Blocks, DataDir, GuardError, Intent, SignGuard, SledKv, StoreError, Tree,
};
use rota_types::{Domain, VoteKind};
use std::{
    env,
    io::{BufRead, BufReader, Lines, Read, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

const CACHE: u64 = 4 << 20;

fn domain() -> Domain {
    Domain::new(1, 2, Address::ZERO, B256::ZERO, 0)
}

fn vote(height: u64) -> Intent {
    Intent::Vote { height, round: 0, kind: VoteKind::Precommit, value_id: value(height) }
}

fn value(n: u64) -> B256 {
    keccak256(n.to_be_bytes())
}

/// A record whose content follows from its number.
fn record(n: u64) -> Vec<u8> {
    let mut out = n.to_be_bytes().to_vec();
    out.resize(8 + usize::try_from(n % 500).unwrap(), u8::try_from(n % 251).unwrap());
    out
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "rota:{line}").unwrap();
    out.flush().unwrap();
}

#[test]
fn child() {
    let (Ok(role), Ok(dir)) = (env::var("ROTA_CHILD"), env::var("ROTA_DIR")) else { return };
    let dir = Path::new(&dir);
    match role.as_str() {
        "log" => write_log(dir),
        "guard" => write_guard(dir),
        "blocks" => write_blocks(dir),
        "hold" => {
            let _held = DataDir::open(dir).unwrap();
            say("held");
            // Ends when the parent kills us or goes away.
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        other => panic!("unknown role {other}"),
    }
}

fn write_log(dir: &Path) {
    let opened = AppendLog::open(dir.join("log")).unwrap();
    let mut log = opened.log;
    for n in u64::try_from(opened.records.len()).unwrap().. {
        let written = log.append(&record(n)).and_then(|()| log.sync());
        if let Err(e) = written {
            assert!(matches!(e, StoreError::Io { .. }), "{e}");
            assert!(matches!(log.append(b"x"), Err(StoreError::Poisoned { .. })));
            return say("full");
        }
        say(&n.to_string());
    }
}

fn write_guard(dir: &Path) {
    let mut guard = SignGuard::open(dir, Address::ZERO, &domain()).unwrap();
    for n in guard.newest().map_or(1, |n| n + 1).. {
        let signed =
            guard.check_and_record(vote(n)).and_then(|()| guard.sync().map_err(GuardError::from));
        if signed.is_err() {
            assert!(matches!(guard.check_and_record(vote(n)), Err(GuardError::Store(_))));
            return say("full");
        }
        say(&n.to_string());
    }
}

fn write_blocks(dir: &Path) {
    let blocks = Blocks::open(Arc::new(SledKv::open(dir.join("db"), CACHE).unwrap())).unwrap();
    let first = blocks.executed_head().unwrap().map_or(0, |h| h.number + 1);
    for n in first.. {
        let mut batch = BlockBatch::default();
        batch.block(n, value(n), &vec![u8::try_from(n % 251).unwrap(); 30_000]);
        for key in 0u64..100 {
            batch.put(Tree::Accounts, key.to_be_bytes(), n.to_be_bytes());
        }
        blocks.commit(batch).unwrap();
        blocks.flush().unwrap();
        say(&n.to_string());
    }
}

/// One test at a time: a child that another thread starts has this process's locks too, until it is another program.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(role: &str, dir: &Path) -> Self {
        Self::command(&mut Command::new(env::current_exe().unwrap()), role, dir)
    }
    /// With files of at most `blocks` x 512 bytes: writing more fails like a full disk.
    fn limited(role: &str, dir: &Path, blocks: u32) -> Self {
        let mut sh = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        sh.arg("-c").arg(script).arg(env::current_exe().unwrap());
        Self::command(&mut sh, role, dir)
    }
    fn command(command: &mut Command, role: &str, dir: &Path) -> Self {
        let mut child = command
            .args(["child", "--exact", "--nocapture", "--test-threads=1"])
            .env("ROTA_CHILD", role)
            .env("ROTA_DIR", dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }
    fn next(&mut self) -> Option<String> {
        self.lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("rota:").map(|(_, said)| said.to_owned()))
    }
    /// Why it ended without a word.
    fn complaint(&mut self) -> String {
        let mut said = String::new();
        let stderr = self.child.stderr.take().map(|mut e| e.read_to_string(&mut said));
        format!("{:?} {stderr:?} {said}", self.child.wait())
    }
    /// Kills the child with SIGKILL and returns the last thing it said.
    fn kill(mut self) -> Option<String> {
        self.child.kill().unwrap();
        let mut last = None;
        while let Some(line) = self.next() {
            last = Some(line);
        }
        self.child.wait().unwrap();
        last
    }
}

/// Runs the role again and again, kills it after some acknowledged writes, and checks each time.
fn kill_loop(role: &str, dir: &Path, check: impl Fn(u64)) {
    for round in 0u32..8 {
        let mut running = Running::start(role, dir);
        let mut last = None;
        for _ in 0..=(round * 7 % 23) {
            let line = running.next();
            assert!(line.is_some(), "round {round}: {}", running.complaint());
            last = line;
        }
        let last = running.kill().or(last).expect("the child wrote something");
        check(last.parse().unwrap());
    }
}

#[test]
fn a_log_keeps_every_acknowledged_record_over_kill_9() {
    let _alone = alone();
    let tmp = tempfile::tempdir().unwrap();
    kill_loop("log", tmp.path(), |last| {
        let opened = AppendLog::open(tmp.path().join("log")).unwrap();
        assert!(u64::try_from(opened.records.len()).unwrap() > last);
        for (n, r) in (0..).zip(&opened.records) {
            assert_eq!(*r, record(n));
        }
    });
}

#[test]
fn the_guard_never_forgets_a_signature_that_left_over_kill_9() {
    let _alone = alone();
    let tmp = tempfile::tempdir().unwrap();
    kill_loop("guard", tmp.path(), |last| {
        let mut guard = SignGuard::open(tmp.path(), Address::ZERO, &domain()).unwrap();
        let newest = guard.newest().unwrap();
        assert!(newest >= last);
        let other = Intent::Vote {
            height: last,
            round: 0,
            kind: VoteKind::Precommit,
            value_id: B256::ZERO,
        };
        assert!(matches!(guard.check_and_record(other), Err(GuardError::Refused(_))));
    });
}

#[test]
fn the_database_is_exactly_at_a_block_over_kill_9() {
    let _alone = alone();
    let tmp = tempfile::tempdir().unwrap();
    kill_loop("blocks", tmp.path(), |last| {
        let kv = SledKv::open(tmp.path().join("db"), CACHE).unwrap();
        let blocks = Blocks::open(Arc::new(kv)).unwrap();
        let head = blocks.executed_head().unwrap().unwrap();
        assert!(head.number >= last);
        for n in 0..=head.number {
            let (hash, bytes) = blocks.block(n).unwrap().expect("every block up to the head");
            assert_eq!((hash, bytes.len()), (value(n), 30_000));
        }
        assert_eq!(blocks.block(head.number + 1).unwrap(), None);
        for key in 0u64..100 {
            let state = blocks.get(Tree::Accounts, &key.to_be_bytes()).unwrap();
            assert_eq!(state, Some(head.number.to_be_bytes().to_vec()), "torn batch");
        }
    });
}

#[test]
fn a_second_process_is_kept_out_and_kill_9_lets_it_in() {
    let _alone = alone();
    let tmp = tempfile::tempdir().unwrap();
    let mut holder = Running::start("hold", tmp.path());
    assert_eq!(holder.next().as_deref(), Some("held"));
    match DataDir::open(tmp.path()) {
        Err(e @ StoreError::Locked { pid, .. }) => {
            assert_eq!(pid, Some(holder.child.id()));
            assert!(e.to_string().contains("in use by another process"), "{e}");
        }
        other => panic!("{other:?}"),
    }
    holder.kill();
    DataDir::open(tmp.path()).unwrap();
}

#[test]
fn a_full_disk_stops_the_writer_and_loses_nothing_acknowledged() {
    let _alone = alone();
    let tmp = tempfile::tempdir().unwrap();
    let mut running = Running::limited("log", tmp.path(), 64);
    let mut last = None;
    while let Some(line) = running.next() {
        if line == "full" {
            break;
        }
        last = Some(line.parse::<u64>().unwrap());
    }
    assert!(running.child.wait().unwrap().success());
    let opened = AppendLog::open(tmp.path().join("log")).unwrap();
    assert_eq!(u64::try_from(opened.records.len()).unwrap(), last.unwrap() + 1);
    assert!(opened.torn.is_some(), "the write that failed left a part");
    assert!(AppendLog::open(tmp.path().join("log")).unwrap().torn.is_none());
}

#[test]
fn a_guard_on_a_full_disk_refuses_to_sign() {
    let _alone = alone();
    let tmp = tempfile::tempdir().unwrap();
    let mut running = Running::limited("guard", tmp.path(), 8);
    let mut last = None;
    while let Some(line) = running.next() {
        if line == "full" {
            break;
        }
        last = Some(line.parse::<u64>().unwrap());
    }
    assert!(running.child.wait().unwrap().success());
    let guard = SignGuard::open(tmp.path(), Address::ZERO, &domain()).unwrap();
    assert_eq!(guard.newest(), last);
}
