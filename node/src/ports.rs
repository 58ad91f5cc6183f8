//! Is a port free, and if not, who has it.

use std::{
    fmt, fs, io,
    net::{SocketAddr, TcpListener, UdpSocket},
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

/// Whether an address can be listened on with TCP, as a node does it: connections to an earlier listener that are over do not
/// matter; one that a client made from this port does, for a minute. Below 32768 systems give clients no ports.
///
/// # Errors
/// [`Taken`], with the process where the system tells. Other troubles with the address are left to whoever listens.
pub fn check_tcp(addr: SocketAddr, what: &str) -> Result<(), Taken> {
    taken(TcpListener::bind(addr), (addr.port(), what, "tcp"))
}

/// Whether an address can be listened on with UDP.
///
/// # Errors
/// As [`check_tcp`].
pub fn check_udp(addr: SocketAddr, what: &str) -> Result<(), Taken> {
    taken(UdpSocket::bind(addr), (addr.port(), what, "udp"))
}

fn taken<T>(bound: io::Result<T>, (port, what, protocol): (u16, &str, &str)) -> Result<(), Taken> {
    match bound {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            let by = owner(port, protocol).or_else(|| lingering(port, protocol));
            Err(Taken { port, what: what.to_owned(), by })
        }
        _ => Ok(()),
    }
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

/// A connection from the port that has ended and is still remembered, from Linux's table.
fn lingering(port: u16, protocol: &str) -> Option<String> {
    let table = fs::read_to_string(format!("/proc/net/{protocol}")).ok()?;
    let waits = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1).and_then(|at| at.rsplit(':').next());
        let same = local.and_then(|at| u16::from_str_radix(at, 16).ok()) == Some(port);
        same && fields.get(3) == Some(&"06")
    };
    let found = protocol == "tcp" && table.lines().any(waits);
    found.then(|| {
        "a connection that ended less than a minute ago; ports below 32768 are safe from that"
            .into()
    })
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
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = held.local_addr().unwrap();
        let said = check_tcp(addr, "rpc.addr").unwrap_err().to_string();
        let expected = format!("port {} (rpc.addr) is already used by ", addr.port());
        assert!(said.starts_with(&expected), "{said}");
        if cfg!(target_os = "linux") {
            assert!(said.contains(&format!("pid {} (", std::process::id())), "{said}");
        }
        drop(held);
        check_tcp(addr, "rpc.addr").unwrap();
    }

    #[test]
    fn a_listener_whose_connections_are_over_leaves_its_port_free() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = held.local_addr().unwrap();
        let client = std::net::TcpStream::connect(addr).unwrap();
        // The server's side ends first: it is the one that is remembered.
        drop(held.accept().unwrap());
        drop((client, held));
        check_tcp(addr, "x").unwrap();
    }

    #[test]
    fn a_port_may_be_taken_for_udp_alone() {
        let held = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = held.local_addr().unwrap();
        check_tcp(addr, "x").unwrap();
        let by = check_udp(addr, "x").unwrap_err().by;
        if cfg!(target_os = "linux") {
            assert!(by.unwrap().contains(&std::process::id().to_string()));
        }
    }
}
