//! Is a port free, and if not, who has it.

use std::{
    fmt, fs,
    net::{Ipv4Addr, TcpListener, UdpSocket},
};

/// A port that something else uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The port.
    pub port: u16,
    /// What it was wanted for.
    pub what: String,
    /// The process that has it, if that can be told.
    pub by: Option<String>,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {} ({}) is already used", self.port, self.what)?;
        match &self.by {
            Some(by) => write!(f, " by {by}"),
            None => f.write_str(" by another process"),
        }
    }
}

/// Whether this machine's loopback port is free for TCP, and for UDP if that is wanted too.
///
/// # Errors
/// [`Taken`], with the process where the system tells.
pub fn check_free(port: u16, what: &str, udp: bool) -> Result<(), Taken> {
    let tcp_free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let udp_free = !udp || UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    if tcp_free && udp_free {
        return Ok(());
    }
    let table = if tcp_free { "udp" } else { "tcp" };
    Err(Taken { port, what: what.to_owned(), by: owner(port, table) })
}

/// `pid 4135 (anvil)`, from Linux's process tables.
fn owner(port: u16, protocol: &str) -> Option<String> {
    let inodes: Vec<String> = [protocol.to_owned(), format!("{protocol}6")]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/net/{table}")).ok())
        .flat_map(|text| text.lines().filter_map(|l| inode(l, port, protocol)).collect::<Vec<_>>())
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let holds = |pid: &str| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files
            .filter_map(|f| fs::read_link(f.path()).ok())
            .any(|to| inodes.iter().any(|i| to.as_os_str() == i.as_str()))
    };
    let mut pids = processes
        .filter_map(|p| p.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    let pid = pids.find(|pid| holds(pid))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("pid {pid} ({})", name.trim()))
}

/// The inode of a line of `/proc/net/*` that is a socket bound to the port (and listening, for TCP).
fn inode(line: &str, port: u16, protocol: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let local = fields.get(1)?.rsplit(':').next()?;
    let listening = protocol == "udp" || fields.get(3) == Some(&"0A");
    let same = u16::from_str_radix(local, 16).ok()? == port;
    (same && listening).then(|| fields.get(9).map(ToString::to_string))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_process() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        let taken = check_free(port, "JSON-RPC of n1", false).unwrap_err();
        let said = taken.to_string();
        assert!(
            said.starts_with(&format!("port {port} (JSON-RPC of n1) is already used by ")),
            "{said}"
        );
        if cfg!(target_os = "linux") {
            assert!(said.contains(&format!("pid {} (", std::process::id())), "{said}");
        }
        drop(held);
        check_free(port, "JSON-RPC of n1", true).unwrap();
    }

    #[test]
    fn a_port_may_be_taken_for_udp_alone() {
        let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        check_free(port, "x", false).unwrap();
        let by = check_free(port, "x", true).unwrap_err().by;
        if cfg!(target_os = "linux") {
            assert!(by.unwrap().contains(&std::process::id().to_string()));
        }
    }
}
