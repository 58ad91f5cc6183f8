//! Turns host names in addresses into IP addresses, by the operating system.
//!
//! Not for: libp2p's own `dnsaddr` records. Invariant: an address without a host name is passed on as it is; one
//! whose name does not resolve is left out.

use std::net::IpAddr;

use libp2p::{Multiaddr, multiaddr::Protocol};

/// Which of the found addresses are wanted.
type Fits = fn(&IpAddr) -> bool;

fn host_of(addr: &Multiaddr) -> Option<(String, Fits)> {
    addr.iter().find_map(|part| match part {
        Protocol::Dns(name) => Some((name.into_owned(), (|_| true) as Fits)),
        Protocol::Dns4(name) => Some((name.into_owned(), IpAddr::is_ipv4)),
        Protocol::Dns6(name) => Some((name.into_owned(), IpAddr::is_ipv6)),
        _ => None,
    })
}

/// Whether any of `addrs` has to be resolved first.
pub(crate) fn needs_resolution(addrs: &[Multiaddr]) -> bool {
    addrs.iter().any(|addr| host_of(addr).is_some())
}

fn with_ip(addr: &Multiaddr, ip: IpAddr) -> Multiaddr {
    addr.iter()
        .map(|part| match part {
            Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) => Protocol::from(ip),
            other => other,
        })
        .collect()
}

/// All addresses with names replaced by what they resolve to now.
pub(crate) async fn resolve(addrs: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let mut resolved = Vec::new();
    for addr in addrs {
        let Some((host, fits)) = host_of(&addr) else {
            resolved.push(addr);
            continue;
        };
        match tokio::net::lookup_host((host.as_str(), 0)).await {
            Ok(found) => {
                let ips = found.map(|socket| socket.ip()).filter(fits);
                resolved.extend(ips.take(4).map(|ip| with_ip(&addr, ip)));
            }
            Err(error) => tracing::debug!(%addr, %error, "failed resolving an address"),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_become_addresses_and_the_rest_stays() {
        let fixed: Multiaddr = "/ip4/10.0.0.1/udp/9/quic-v1".parse().expect("an address");
        let named: Multiaddr = "/dns4/localhost/tcp/9000".parse().expect("an address");
        assert!(!needs_resolution(std::slice::from_ref(&fixed)));
        assert!(needs_resolution(std::slice::from_ref(&named)));
        let expected: Multiaddr = "/ip4/127.0.0.1/tcp/9000".parse().expect("an address");
        let resolved = resolve(vec![fixed.clone(), named]).await;
        assert_eq!(resolved[0], fixed);
        assert!(resolved[1..].contains(&expected), "{resolved:?}");
    }
}
