//! The disk thread: nothing leaves that is not on disk, whatever the disk does.

use super::domain;
use alloy_primitives::{Address, B256};
use crossbeam_channel::{Receiver, Sender, bounded};
use rota_consensus::{PeerNo, To};
use rota_node::{
    disk::{Disk, DiskError, DiskInput},
    engine::ReplicaInput,
    exit::{Exit, Failure},
};
use rota_p2p::{Config, Ctx, Identity, Limits};
use rota_store::{AppendLog, Intent, SignGuard};
use rota_types::{
    VoteKind,
    wire::{Head, Message, Response},
};
use std::{
    path::Path,
    process::Command,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

const VOTER: Address = Address::repeat_byte(9);
const SOON: Duration = Duration::from_secs(20);

/// A disk thread on a directory, and what leaves it.
struct Rig {
    to: Sender<DiskInput>,
    left: Receiver<ReplicaInput>,
    thread: JoinHandle<Result<(), DiskError>>,
    _runtime: tokio::runtime::Runtime,
}

impl Rig {
    fn new(root: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let p2p = runtime.block_on(p2p());
        let (to, inputs) = bounded(1024);
        let (replica, left) = bounded(4096);
        let open = |name: &str| AppendLog::open(root.join(name)).unwrap().log;
        let disk = Disk {
            tape: Arc::default(),
            guards: vec![SignGuard::open(root, VOTER, &domain()).unwrap()],
            pair: 0,
            wal: open("consensus.log"),
            frames: open("frames.log"),
            p2p,
            replica,
            me: PeerNo(0),
            undecided: Vec::new(),
            intents: Vec::new(),
        };
        let thread = std::thread::spawn(move || disk.run(&inputs));
        Self { to, left, thread, _runtime: runtime }
    }

    /// One signature as the replica puts it out: log entry, guard intent, message.
    fn sign(&self, height: u64, bytes: usize) {
        let value_id = B256::repeat_byte(3);
        let intent = Intent::Vote { height, round: 0, kind: VoteKind::Prevote, value_id };
        // A thread that has ended takes nothing.
        let _ = self.to.send(DiskInput::Wal(vec![7; bytes]));
        let _ = self.to.send(DiskInput::Guard(intent));
        self.say(height);
    }

    fn say(&self, height: u64) {
        let head = Head { height, value_id: B256::ZERO, oldest: 1 };
        let _ = self.to.send(DiskInput::Send(To::All, Box::new(Message::Head(head))));
    }

    /// The next message that left.
    fn next(&self, wait: Duration) -> Option<u64> {
        match self.left.recv_timeout(wait) {
            Ok(ReplicaInput::Loopback(l)) => match l.message {
                Message::Head(head) => Some(head.height),
                other => panic!("{other:?}"),
            },
            Ok(other) => panic!("{other:?}"),
            Err(_) => None,
        }
    }
}

async fn p2p() -> rota_p2p::Handle {
    let config = Config {
        identity: Identity::from_secret(&mut [5; 32]).unwrap(),
        ctx: Ctx([1; 32]),
        version: 1,
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        validators: Vec::new(),
        bootnodes: Vec::new(),
        topics: Vec::new(),
        limits: Limits::default(),
    };
    let handler = Arc::new(|_, _| Response::Heights(Vec::new()));
    rota_p2p::start(config, Arc::new(|_| Ok(())), handler).await.unwrap()
}

fn newest(root: &Path) -> u64 {
    let view = SignGuard::peek(root, VOTER, &domain()).unwrap().unwrap();
    view.marks.newest().unwrap_or(0)
}

#[test]
fn a_message_waits_for_records_that_came_long_before_it() {
    let tmp = tempfile::tempdir().unwrap();
    let rig = Rig::new(tmp.path());
    for height in 1..=30 {
        let value_id = B256::repeat_byte(3);
        let intent = Intent::Vote { height, round: 0, kind: VoteKind::Prevote, value_id };
        rig.to.send(DiskInput::Guard(intent)).unwrap();
        // The thread has taken the record, and nothing else waits: the message comes in a group of its own.
        let deadline = Instant::now() + SOON;
        while !rig.to.is_empty() {
            assert!(Instant::now() < deadline, "the disk thread is stuck");
            std::thread::yield_now();
        }
        rig.say(height);
        assert_eq!(rig.next(SOON), Some(height));
        assert_eq!(newest(tmp.path()), height, "a signature left that is not on disk");
    }
    // What is written without a message is on disk after an orderly stop.
    rig.to.send(DiskInput::Guard(Intent::Floor { height: 99 })).unwrap();
    rig.to.send(DiskInput::Stop).unwrap();
    rig.thread.join().unwrap().unwrap();
    let view = SignGuard::peek(tmp.path(), VOTER, &domain()).unwrap().unwrap();
    assert_eq!(view.marks.floor(), 99);
}

#[test]
fn a_sync_that_fails_ends_the_thread_and_nothing_leaves() {
    let tmp = tempfile::tempdir().unwrap();
    // Takes every write and refuses to sync.
    std::os::unix::fs::symlink("/dev/null", tmp.path().join("consensus.log")).unwrap();
    let rig = Rig::new(tmp.path());
    rig.sign(1, 100);
    rig.sign(2, 100);
    let error = rig.thread.join().unwrap().unwrap_err();
    assert!(rig.left.try_recv().is_err(), "something left");
    let failure = Failure::from_report(&eyre::Report::from(error));
    assert_eq!(failure.exit, Exit::DataDir, "{failure}");
    assert!(
        failure.message.contains("cannot sync") && failure.message.contains("consensus.log"),
        "{failure}"
    );
    assert!(failure.hint.contains("nothing was sent that is not on disk"), "{}", failure.hint);
}

/// A file system of this many KiB, unmounted when dropped.
struct Small(tempfile::TempDir);

impl Small {
    /// `None`, loudly, where one may not mount.
    fn mount(kib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={kib}k,mode=0700");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(dir.path())
            .output();
        match done {
            Ok(done) if done.status.success() => Some(Self(dir)),
            other => {
                eprintln!("SKIPPED: a small file system cannot be mounted here: {other:?}");
                None
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn on_a_full_disk_it_stops_and_everything_that_left_is_on_disk() {
    for (kib, bytes) in [(24, 700), (40, 90), (64, 3_000)] {
        let Some(small) = Small::mount(kib) else { return };
        let root = small.0.path();
        let rig = Rig::new(root);
        let mut sent = 0;
        let mut left = 0;
        // A few at a time, as a node under way.
        while sent < 20_000 {
            let before = sent;
            while sent < before + 3 {
                sent += 1;
                rig.sign(sent, bytes);
            }
            let deadline = Instant::now() + SOON;
            while u64::try_from(left).unwrap() < sent && !rig.thread.is_finished() {
                assert!(Instant::now() < deadline, "the disk thread is stuck");
                left += usize::from(rig.next(Duration::from_millis(20)).is_some());
            }
            if rig.thread.is_finished() {
                break;
            }
        }
        let Rig { to, left: rest, thread, _runtime } = rig;
        drop(to);
        let error = thread.join().unwrap().expect_err("a disk of a few KiB is full by now");
        left += rest.try_iter().count();
        assert!(left > 0 && u64::try_from(left).unwrap() < sent, "{left} of {sent}");
        let known = newest(root);
        assert!(known >= left as u64, "{left} left, the guard on disk knows {known}");
        let logged = AppendLog::read(&root.join("consensus.log")).unwrap().unwrap().len();
        assert!(logged >= left, "{left} left, {logged} are in the log");
        let failure = Failure::from_report(&eyre::Report::from(error));
        assert_eq!(failure.exit, Exit::DataDir, "{failure}");
        assert!(failure.hint.contains("the disk is full"), "{}: {}", failure.message, failure.hint);
    }
}
