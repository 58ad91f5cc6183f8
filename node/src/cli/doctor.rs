//! `rota doctor`: what an operator should know before a start, in plain sentences.
//!
//! Not for: repairing anything. Invariant: nothing is changed, and nothing is called fine that was not looked at.

mod stake;

use super::{Done, args::Where, node, out};
use crate::{
    clock::{now_ms, timed},
    config::{Config, Role},
    exit::{Exit, Failure},
    generation,
    keys::{KeyKind, Keys, PublicKeys},
    network::Network,
    setup::l1_head,
    signer::RemoteSigner,
};
use alloy_primitives::{Address, hex};
use rota_store::SignGuard;
use serde::Serialize;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

/// Syncs that the disk is asked for.
const SYNCS: usize = 40;
/// A sync is on the way of every signature.
const SLOW_SYNC: Duration = Duration::from_millis(20);
const LITTLE_SPACE: u64 = 10 << 30;
const NO_SPACE: u64 = 1 << 30;
const L1_PATIENCE: Duration = Duration::from_secs(5);

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One check.
#[derive(Debug, Serialize)]
struct Finding {
    id: &'static str,
    level: Level,
    /// What was found.
    text: String,
    /// What to do.
    #[serde(skip_serializing_if = "str::is_empty")]
    todo: &'static str,
}

fn ok(id: &'static str, text: impl Into<String>) -> Finding {
    Finding { id, level: Level::Ok, text: text.into(), todo: "" }
}

fn warn(id: &'static str, text: impl Into<String>, todo: &'static str) -> Finding {
    Finding { id, level: Level::Warn, text: text.into(), todo }
}

fn fail(id: &'static str, text: impl Into<String>, todo: &'static str) -> Finding {
    Finding { id, level: Level::Fail, text: text.into(), todo }
}

pub(super) async fn doctor(at: &Where, json: bool) -> Done {
    let config = node::settings(at, Vec::new())?;
    let root = config.data_root();
    let network = Network::load(&config.network_path())?;
    let mut findings = Vec::new();
    if let Some(found) = signer(&config) {
        findings.push(found);
    } else if KeyKind::Vote.path(&root).exists() || config.role == Role::Sequencer {
        findings.push(opened(&config));
        match PublicKeys::signing(&root) {
            Ok((seq, vote)) => {
                findings.push(member(&root, seq, vote));
                findings.push(guard(&root, &network, vote));
            }
            Err(e) => {
                findings.push(fail("set", e.to_string(), "rota key new, or copy the keys back"))
            }
        }
    }
    findings.extend(stake::on_l1(&config, &network).await);
    findings.push(ports(&config, &root));
    findings.push(syncs(&root));
    findings.push(space(&root));
    findings.push(clock(&config).await);
    let failed = findings.iter().filter(|f| f.level == Level::Fail).count();
    if json {
        out::json(&serde_json::json!({ "v": 1, "ok": failed == 0, "checks": findings }))?;
    } else {
        findings.iter().try_for_each(print)?;
    }
    if failed == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("{failed} of {} checks failed", findings.len()))
        .hint("the lines marked fail say what to do"))
}

fn print(f: &Finding) -> Done {
    let level = match f.level {
        Level::Ok => "ok  ",
        Level::Warn => "warn",
        Level::Fail => "FAIL",
    };
    out::line(format_args!("{level}  {:<6} {}", f.id, f.text))?;
    if f.todo.is_empty() { Ok(()) } else { out::line(format_args!("             -> {}", f.todo)) }
}

/// Whether the remote signer answers, if the settings name one. Its place is not taken.
fn signer(config: &Config) -> Option<Finding> {
    const ID: &str = "signer";
    let (remote, identity) = match crate::run::remote(config) {
        Ok(found) => found?,
        Err(e) => {
            return Some(fail(ID, format!("{e:#}"), "look at [signer] and keys/link.key"));
        }
    };
    Some(match RemoteSigner::keys(&remote, &identity) {
        Ok(pairs) => {
            let votes: Vec<String> = pairs.iter().map(|pair| pair.vote.to_string()).collect();
            ok(ID, format!("at {} answers, and signs for {}", remote.addr, votes.join(" and ")))
        }
        Err(e) => fail(
            ID,
            format!("at {}: {e}", remote.addr),
            "start it, or compare the two keys: rota signer id on each machine, public_key here, --allow there",
        ),
    })
}

/// Whether the start will be able to open the keys.
fn opened(config: &Config) -> Finding {
    const ID: &str = "keys";
    let (root, passwords) = (config.data_root(), config.passwords());
    let sealed = KeyKind::SEALED.iter().all(|k| k.path(&root) == k.sealed(&root));
    if sealed && !passwords.is_at_hand() && !passwords.can_ask() {
        return warn(
            ID,
            "are encrypted; not opened, since there is no password here",
            "run doctor as the service does, with its password file",
        );
    }
    match Keys::load(&root, config.needs(), &passwords) {
        Ok(_) if sealed => ok(ID, "are encrypted, and the password opens them"),
        Ok(_) => {
            warn(ID, "can be read, and are not encrypted", "rota key encrypt does it in place")
        }
        Err(e) => fail(ID, e.to_string(), "rota key new, or copy the keys back"),
    }
}

/// The newest set that this node saw final: both keys of one member.
fn member(root: &Path, seq: [u8; 32], vote: Address) -> Finding {
    const ID: &str = "set";
    let Some(set) = crate::sets::newest_seen(root) else {
        return warn(
            ID,
            "was not seen yet, so it is not known whether these keys are in it",
            "rota set list shows the set on L1; it is kept at the first start",
        );
    };
    let own = set.by_vote_key(vote);
    match own.and_then(|i| Some((i, set.get(i)?))) {
        Some((i, v)) if v.seq_key == seq => ok(ID, format!("has these keys as member {i}")),
        Some((i, _)) => fail(
            ID,
            format!("the vote key is that of member {i}, the sequencer key is another"),
            "copy the seq and vote files of the same operator",
        ),
        None => fail(ID, "does not have these keys", "rota set join, or copy the keys of a member"),
    }
}

fn guard(root: &Path, network: &Network, voter: Address) -> Finding {
    const ID: &str = "guard";
    let generation = match generation::of_keys(root, voter) {
        Ok(generation) => generation,
        Err(e) => return fail(ID, e.to_string(), "look at the disk; see docs/operations.md"),
    };
    let domain = match network.domain_of(generation) {
        Ok(domain) => domain,
        Err(e) => return fail(ID, e.to_string(), "get the network file again"),
    };
    let dir = root.join("sign-state");
    let view = match SignGuard::peek(&dir, voter, &domain) {
        Ok(view) => view,
        Err(e) => {
            return fail(ID, e.to_string(), "do not start with these keys; see docs/operations.md");
        }
    };
    let Some(view) = view.filter(|v| v.marks.newest().is_some() || v.marks.floor() > 0) else {
        return warn(
            ID,
            "is empty: these keys are new, or their sign-state is lost",
            "if they signed before, put sign-state back; else nothing: the node listens before it signs",
        );
    };
    if view.exported {
        return fail(
            ID,
            "was exported: another machine signs with these keys",
            "run the node there, or bring the newest file back with rota guard import",
        );
    }
    let written = fs::metadata(dir.join(format!("{}.log", hex::encode(voter))))
        .and_then(|m| m.modified())
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .map(|at| Duration::from_millis(now_ms()).saturating_sub(at));
    let age = written.map_or_else(String::new, |d| format!(", written {} s ago", d.as_secs()));
    let newest = view.marks.newest().unwrap_or(0);
    let text = format!("is of this network and key, knows signatures up to height {newest}{age}");
    if view.marks.floor() > newest {
        let text = format!("{text}; nothing is signed up to height {}", view.marks.floor());
        return warn(
            ID,
            text,
            "this key signed more than the guard knew: is there a second machine?",
        );
    }
    ok(ID, text)
}

fn ports(config: &Config, root: &Path) -> Finding {
    let lock = File::open(root.join("LOCK")).ok();
    let held =
        lock.as_ref().is_some_and(|f| matches!(f.try_lock_shared(), Err(TryLockError::WouldBlock)));
    if held {
        return ok("ports", "a node runs on this data directory and has them");
    }
    match node::check_ports(config) {
        Ok(()) => ok("ports", "are free"),
        Err(e) => fail("ports", e.message, "stop what has the port, or choose another"),
    }
}

/// Measures what a signature waits for.
fn syncs(root: &Path) -> Finding {
    const ID: &str = "disk";
    let path = root.join(".doctor");
    let measured = (|| -> std::io::Result<Vec<Duration>> {
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        let mut times = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            let (done, took) =
                timed(|| file.write_all(&[0u8; 512]).and_then(|()| file.sync_data()));
            done?;
            times.push(took);
        }
        Ok(times)
    })();
    // Whether it was made or not.
    drop(fs::remove_file(&path));
    let mut times = match measured {
        Ok(times) => times,
        Err(e) => {
            let text = format!("cannot write to {}: {e}", root.display());
            return fail(ID, text, "free space, or look at the disk and its permissions");
        }
    };
    times.sort_unstable();
    let at = |part: usize| times.get(SYNCS.saturating_mul(part) / 100).copied().unwrap_or_default();
    let (half, most) = (at(50), at(95));
    let text = format!("a sync takes {:.1} ms, 95 % below {:.1} ms", ms(half), ms(most));
    if most > SLOW_SYNC {
        return warn(
            ID,
            text,
            "every vote and ack waits for a sync: use a local SSD for the data directory",
        );
    }
    ok(ID, text)
}

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1_000.0
}

/// Free space by `df`, which every system has.
fn space(root: &Path) -> Finding {
    const ID: &str = "space";
    let said = Command::new("df").arg("-Pk").arg(root).output();
    let free = said.ok().and_then(|o| free_of(&String::from_utf8_lossy(&o.stdout)));
    let Some(free) = free else { return warn(ID, "could not be measured", "look with: df -h") };
    let text = format!("{} GiB free", free >> 30);
    if free < NO_SPACE {
        return fail(ID, text, "free space: a node that cannot write stops");
    }
    if free < LITTLE_SPACE {
        return warn(ID, text, "free space soon: a node that cannot write stops");
    }
    ok(ID, text)
}

/// The fourth column of the second line, in KiB.
fn free_of(text: &str) -> Option<u64> {
    let kib: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    kib.checked_mul(1024)
}

/// The newest L1 block is never younger than now, and seldom older than a minute.
async fn clock(config: &Config) -> Finding {
    const ID: &str = "clock";
    if config.l1.rpc.is_empty() {
        return warn(ID, "not compared: no L1 endpoint is configured", "set l1.rpc in rota.toml");
    }
    let head = tokio::time::timeout(L1_PATIENCE, l1_head(&config.l1.rpc)).await;
    let Ok(Ok(head)) = head else {
        return warn(
            ID,
            "not compared: L1 does not answer",
            "check l1.rpc; ordering goes on without L1",
        );
    };
    judge_clock(now_ms() / 1_000, head.timestamp)
}

fn judge_clock(now_s: u64, head_s: u64) -> Finding {
    const ID: &str = "clock";
    if head_s > now_s.saturating_add(1) {
        let text = format!("is {} s behind the newest L1 block", head_s.saturating_sub(now_s));
        return fail(
            ID,
            text,
            "let NTP set the clock: frames from others look too early to this node",
        );
    }
    let age = now_s.saturating_sub(head_s);
    let text = format!("is {age} s after the newest L1 block");
    if age > 60 {
        return warn(ID, text, "the clock is fast, or the L1 endpoint is behind");
    }
    ok(ID, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_read_from_df() {
        let said =
            "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/x 100 40 60 40% /\n";
        assert_eq!(free_of(said), Some(60 * 1024));
        assert_eq!(free_of("df: no such file\n"), None);
    }

    #[test]
    fn a_clock_behind_l1_is_a_fault_and_one_ahead_a_question() {
        assert_eq!(judge_clock(100, 101).level, Level::Ok);
        assert_eq!(judge_clock(100, 103).level, Level::Fail);
        assert_eq!(judge_clock(200, 150).level, Level::Ok);
        assert_eq!(judge_clock(200, 100).level, Level::Warn);
    }

    #[test]
    fn a_disk_that_cannot_be_written_fails_and_nothing_is_left_behind() {
        let tmp = tempfile::tempdir().unwrap();
        assert_ne!(syncs(tmp.path()).level, Level::Fail);
        assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 0);
        let found = syncs(&tmp.path().join("missing"));
        assert_eq!(found.level, Level::Fail);
        assert!(found.text.contains("missing"), "{}", found.text);
    }
}
