//! A small local network of network namespaces that can be cut in two: each sequencer has an address of its own.
//!
//! A cut gives both sides a wrong hardware address for each other, so that packets leave and nobody takes them: a partition,
//! not a refused connection. The L1 and the test itself are on the bridge and stay reachable from both sides.
//! Invariant: what is made here is gone when the value is.

use std::{
    cell::RefCell,
    process::{Command, Output},
};

/// Belongs to nobody.
const NOBODY: &str = "02:00:00:00:00:99";

/// A bridge with a namespace per sequencer.
pub struct Lan {
    name: String,
    subnet: String,
    nodes: u8,
    cuts: RefCell<Vec<(u8, u8)>>,
}

impl Lan {
    /// Makes one, named after the ports of its devnet. `Err` says why this machine does not allow it.
    pub fn new(base_port: u16, nodes: u8) -> Result<Self, String> {
        let [high, low] = base_port.to_be_bytes();
        let subnet = format!("10.{high}.{low}");
        let name = format!("r{base_port}");
        let lan = Self { name, subnet, nodes, cuts: RefCell::default() };
        lan.remove();
        lan.make().map(|()| lan)
    }

    fn make(&self) -> Result<(), String> {
        let Self { name, subnet, .. } = self;
        ip(&format!("link add {name} type bridge"))?;
        ip(&format!("addr add {subnet}.1/24 dev {name}"))?;
        ip(&format!("link set {name} up"))?;
        for i in 1..=self.nodes {
            let (space, port, host) = (self.space(i), format!("{name}p{i}"), self.host(i));
            ip(&format!("netns add {space}"))?;
            ip(&format!("link add {port} type veth peer name eth0 netns {space}"))?;
            ip(&format!("link set {port} master {name} up"))?;
            ip(&format!("-n {space} addr add {host}/24 dev eth0"))?;
            ip(&format!("-n {space} link set eth0 up"))?;
            ip(&format!("-n {space} link set lo up"))?;
        }
        Ok(())
    }

    /// What `rota-devnet up` is told by `--netns`.
    pub fn spec(&self) -> String {
        format!("{}@{}", self.name, self.subnet)
    }

    /// No packet passes between these two groups of sequencers, counted from 1.
    pub fn cut(&self, here: &[u8], there: &[u8]) {
        for (a, b) in here.iter().flat_map(|a| there.iter().map(move |b| (*a, *b))) {
            for (from, to) in [(a, b), (b, a)] {
                let (space, to_host) = (self.space(from), self.host(to));
                ip(&format!(
                    "-n {space} neigh replace {to_host} lladdr {NOBODY} nud permanent dev eth0"
                ))
                .unwrap();
                self.cuts.borrow_mut().push((from, to));
            }
        }
    }

    /// Undoes every cut.
    pub fn heal(&self) {
        for (from, to) in self.cuts.borrow_mut().drain(..) {
            let (space, to_host) = (self.space(from), self.host(to));
            ip(&format!("-n {space} neigh del {to_host} dev eth0")).unwrap();
        }
    }

    fn space(&self, i: u8) -> String {
        format!("{}-n{i}", self.name)
    }
    fn host(&self, i: u8) -> String {
        format!("{}.{}", self.subnet, 10 + i)
    }
    fn remove(&self) {
        for i in 1..=self.nodes {
            let _ = ip(&format!("netns del {}", self.space(i)));
        }
        let _ = ip(&format!("link del {}", self.name));
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.remove();
    }
}

fn ip(args: &str) -> Result<(), String> {
    let Output { status, stderr, .. } = Command::new("ip")
        .args(args.split_whitespace())
        .output()
        .map_err(|e| format!("there is no program ip: {e}"))?;
    let said = String::from_utf8_lossy(&stderr);
    if status.success() { Ok(()) } else { Err(format!("ip {args}: {}", said.trim())) }
}
