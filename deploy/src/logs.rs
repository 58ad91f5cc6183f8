//! `logs`: the end of log files, and what comes.

use crate::{
    cli::say,
    layout::{Layout, Snapshot},
};
use rota_node::exit::{Exit, Failure};
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

/// Most that is read of a file's end.
const TAIL: u64 = 1 << 20;

/// A log that is shown.
struct Tail {
    name: String,
    path: PathBuf,
    at: u64,
    partial: Vec<u8>,
}

pub(crate) async fn logs(
    layout: &Layout,
    node: Option<&str>,
    follow: bool,
    lines: usize,
) -> Result<(), Failure> {
    let mut tails = tails(layout, node)?;
    let labelled = tails.len() > 1;
    for tail in &mut tails {
        tail.start(lines, labelled);
    }
    if !follow {
        return Ok(());
    }
    loop {
        for tail in &mut tails {
            tail.more(labelled);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn tails(layout: &Layout, node: Option<&str>) -> Result<Vec<Tail>, Failure> {
    let tail =
        |name: &str, path: PathBuf| Tail { name: name.into(), path, at: 0, partial: Vec::new() };
    let names: Vec<String> = match node {
        Some("supervisor") => return Ok(vec![tail("supervisor", layout.supervisor_log())]),
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => vec![format!("n{number}")],
        Some(name) => vec![name.into()],
        None => Snapshot::read(layout)
            .map(|s| s.nodes.into_iter().map(|n| n.name).collect())
            .unwrap_or_default(),
    };
    let found: Vec<Tail> =
        names.iter().map(|n| tail(n, layout.log(n))).filter(|t| t.path.is_file()).collect();
    if found.is_empty() {
        let what =
            node.map_or_else(|| "there are no logs".into(), |n| format!("there is no log of {n}"));
        return Err(Failure::new(Exit::Failed, what)
            .hint("one of n1, n2, .., follower, slasher, l1, supervisor"));
    }
    Ok(found)
}

impl Tail {
    fn start(&mut self, lines: usize, labelled: bool) {
        let (text, end) = read_from(&self.path, None);
        self.at = end;
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        for line in all.iter().skip(all.len().saturating_sub(lines)) {
            self.show(line, labelled);
        }
    }

    fn more(&mut self, labelled: bool) {
        let (text, end) = read_from(&self.path, Some(self.at));
        self.at = end;
        self.partial.extend(text);
        let Some(cut) = self.partial.iter().rposition(|b| *b == b'\n') else { return };
        let rest = self.partial.split_off(cut.saturating_add(1));
        let whole = std::mem::replace(&mut self.partial, rest);
        String::from_utf8_lossy(&whole).lines().for_each(|line| self.show(line, labelled));
    }

    fn show(&self, line: &str, labelled: bool) {
        if labelled { say(format!("{:<9}| {line}", self.name)) } else { say(line) }
    }
}

/// What is in a file from a place on (or its last part), and where it ends. A file that was cut is read from its start.
pub(crate) fn read_from(path: &Path, from: Option<u64>) -> (Vec<u8>, u64) {
    let mut text = Vec::new();
    let read = || -> std::io::Result<(File, u64, u64)> {
        let mut file = File::open(path)?;
        let end = file.metadata()?.len();
        let at = from.map_or_else(|| end.saturating_sub(TAIL), |at| if at > end { 0 } else { at });
        file.seek(SeekFrom::Start(at))?;
        Ok((file, at, end))
    };
    let Ok((file, at, end)) = read() else { return (text, from.unwrap_or_default()) };
    let _ = file.take(end.saturating_sub(at)).read_to_end(&mut text);
    let reached = at.saturating_add(u64::try_from(text.len()).unwrap_or_default());
    (text, reached)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_read_on_from_where_it_was_left_and_anew_when_it_was_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        assert_eq!(read_from(&path, Some(0)), (vec![], 0));
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\n").unwrap();
        let (text, at) = read_from(&path, None);
        assert_eq!((text.as_slice(), at), (b"one\n".as_slice(), 4));
        file.write_all(b"two\n").unwrap();
        assert_eq!(read_from(&path, Some(at)), (b"two\n".to_vec(), 8));
        std::fs::write(&path, "x\n").unwrap();
        assert_eq!(read_from(&path, Some(8)), (b"x\n".to_vec(), 2));
    }
}
