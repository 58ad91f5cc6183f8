//! Every error that ends the program gets its number and one thing to do.

use super::*;
use eyre::WrapErr;

#[test]
fn the_numbers_are_those_of_the_document() {
    let documented = include_str!("../../../docs/exit-codes.md");
    for exit in Exit::ALL {
        let row = format!("| {} |", exit.code());
        assert!(documented.contains(&row), "{exit:?} is not documented");
    }
    let rows = documented
        .lines()
        .filter(|l| l.starts_with("| ") && l[2..].starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(rows.count(), Exit::ALL.len());
}

fn code(error: impl std::error::Error + Send + Sync + 'static) -> Exit {
    let wrapped: eyre::Result<()> = Err(error).wrap_err("starting the node");
    Failure::from_report(&wrapped.unwrap_err()).exit
}

#[test]
fn errors_of_the_running_node_get_their_code_under_any_context() {
    let dir = tempfile::tempdir().unwrap();
    let _held = rota_store::DataDir::open(dir.path()).unwrap();
    assert_eq!(code(rota_store::DataDir::open(dir.path()).unwrap_err()), Exit::DataDir);
    let other =
        StoreError::OtherNetwork { path: "g".into(), found: "a".into(), expected: "b".into() };
    assert_eq!(code(other), Exit::Slashable);
    let refused = || Refused::Exported("prevote");
    assert_eq!(code(DiskError::Guard(GuardError::Refused(refused()))), Exit::Slashable);
    assert_eq!(code(GuardError::Refused(refused())), Exit::Slashable);
    assert_eq!(code(refused()), Exit::Slashable);
    assert_eq!(code(Fatal::Guard(refused())), Exit::Slashable);
    assert_eq!(code(StoreError::GuardExported { path: "g".into() }), Exit::Slashable);
    let damaged = || StoreError::GuardDamaged { path: "g".into(), detail: "x".into() };
    assert_eq!(code(damaged()), Exit::Slashable);
    assert_eq!(code(DiskError::Store(damaged())), Exit::Slashable);
    assert_eq!(code(L1Error::Unavailable("down".into())), Exit::Unreachable);
    assert_eq!(code(KeyFileError::Missing("k".into())), Exit::Key);
    assert_eq!(code(Fatal::Core("x".into())), Exit::Failed);
    let listen = P2pError::Listen { address: "a".into(), reason: "taken".into() };
    assert_eq!(code(listen), Exit::Config);
    assert_eq!(code(io::Error::from(io::ErrorKind::AddrInUse)), Exit::Config);
    assert_eq!(code(io::Error::from(io::ErrorKind::NotFound)), Exit::Failed);
    assert_eq!(code(Failure::new(Exit::Timeout, "late")), Exit::Timeout);
    assert_eq!(code(ExternalError::Unauthorized("stale".into())), Exit::Key);
    assert_eq!(code(ExternalError::OtherChain { theirs: 1, ours: 2 }), Exit::Network);
    let said = Failure::from_report(&eyre::eyre!("inner").wrap_err("outer")).message;
    assert_eq!(said, "outer: inner");
}

#[test]
fn a_full_disk_and_a_key_seen_elsewhere_say_what_to_do() {
    let full = || StoreError::Io {
        what: "append to",
        path: "/d/wal/consensus.log".into(),
        source: io::ErrorKind::StorageFull.into(),
    };
    let report = Err::<(), _>(DiskError::Store(full())).wrap_err("disk failed").unwrap_err();
    let failure = Failure::from_report(&report);
    assert_eq!(failure.exit, Exit::DataDir);
    assert!(failure.message.contains("cannot append to /d/wal/consensus.log"), "{failure}");
    assert!(failure.hint.contains("nothing was sent that is not on disk"), "{}", failure.hint);
    let seen = rota_consensus::Elsewhere {
        what: "prevote",
        height: 7,
        round: 1,
        contradicts: false,
        floor: 55,
    };
    let report = Err::<(), _>(Fatal::Elsewhere(Box::new(seen))).wrap_err("replica failed");
    let failure = Failure::from_report(&report.unwrap_err());
    assert_eq!(failure.exit, Exit::Slashable);
    assert!(failure.message.contains("signed a prevote at height 7 round 1"), "{failure}");
    assert!(failure.hint.contains("find the other machine"), "{}", failure.hint);
}
