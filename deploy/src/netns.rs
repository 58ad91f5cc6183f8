//! Sequencers in network namespaces of their own, so that a network can really be cut in two.
//!
//! Not for: making namespaces or cutting anything; whoever starts the devnet made them before (`ip netns add`) and joined them
//! by a bridge that holds the address of the L1.
//! Invariant: with and without namespaces the nodes get the same settings, apart from their addresses.

use std::{net::Ipv4Addr, str::FromStr};

/// The last byte of the L1's address, which is the bridge's.
const L1: u8 = 1;
/// The last byte of the first sequencer's address.
const FIRST: u8 = 11;

/// Where each process of a devnet is: `PREFIX@A.B.C`, with sequencer `i` in the namespace `PREFIX-n<i>` at `A.B.C.<10+i>`, and
/// the L1 outside at `A.B.C.1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespaces {
    prefix: String,
    subnet: [u8; 3],
}

impl Namespaces {
    /// The namespace of a node.
    #[must_use]
    pub fn of(&self, node: &str) -> String {
        format!("{}-{node}", self.prefix)
    }
    /// The address of the L1.
    #[must_use]
    pub const fn l1(&self) -> Ipv4Addr {
        self.host(L1)
    }
    /// The address of a sequencer, counted from 0.
    #[must_use]
    pub const fn sequencer(&self, index: u8) -> Ipv4Addr {
        self.host(FIRST.saturating_add(index))
    }
    const fn host(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.subnet;
        Ipv4Addr::new(a, b, c, last)
    }
}

impl FromStr for Namespaces {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is not like rota@10.1.2");
        let (prefix, subnet) = text.split_once('@').ok_or_else(wrong)?;
        let network: Ipv4Addr = format!("{subnet}.0").parse().map_err(|_| wrong())?;
        let [a, b, c, _] = network.octets();
        if prefix.is_empty() {
            return Err(wrong());
        }
        Ok(Self { prefix: prefix.to_owned(), subnet: [a, b, c] })
    }
}

impl std::fmt::Display for Namespaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c] = self.subnet;
        write!(f, "{}@{a}.{b}.{c}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_read_and_written_alike() {
        let spaces: Namespaces = "rota@10.1.2".parse().unwrap();
        assert_eq!(spaces.to_string(), "rota@10.1.2");
        assert_eq!(spaces.of("n3"), "rota-n3");
        assert_eq!(spaces.l1(), Ipv4Addr::new(10, 1, 2, 1));
        assert_eq!(spaces.sequencer(2), Ipv4Addr::new(10, 1, 2, 13));
        for wrong in ["rota", "@10.1.2", "rota@10.1", "rota@10.1.2.3", "rota@10.1.300"] {
            assert!(wrong.parse::<Namespaces>().is_err(), "{wrong}");
        }
    }
}
