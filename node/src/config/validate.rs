//! What a value must be beyond its type. Checked before anything starts.

use super::{BlobIndex, Config, Dur, Role, SignerKind, Source};
use crate::outputs::Implementation;
use alloy_primitives::Address;
use rota_p2p::Multiaddr;
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// Longest moniker, characters.
const MAX_MONIKER: usize = 32;

/// Key and reason.
type Wrong = (&'static str, String);

impl Config {
    /// Checks values and how they fit together.
    ///
    /// # Errors
    /// The key and the reason.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let fits = (1..=MAX_MONIKER).contains(&self.moniker.chars().count());
        if !fits || self.moniker.chars().any(char::is_control) {
            return Err(("moniker", format!("must have 1 to {MAX_MONIKER} printable characters")));
        }
        if self.network == Path::new("") {
            return Err(("network", "must name the network file".into()));
        }
        if self.role != Role::Follower && self.source == Source::Set {
            return Err(("source", "set is for followers: others need what is on L1".into()));
        }
        self.check_l1()?;
        self.check_p2p()?;
        self.check_servers()?;
        if self.preconf.premium_bps > 10_000 {
            return Err(("preconf.premium_bps", "must be at most 10000, the whole amount".into()));
        }
        self.check_signer()?;
        self.check_engine()?;
        self.check_prover()?;
        between("batch.interval", self.batch.interval, (100, 3_600_000))?;
        EnvFilter::try_new(&self.log.filter)
            .map_err(|e| ("log.filter", format!("{:?} is no filter: {e}", self.log.filter)))?;
        Ok(())
    }

    fn check_l1(&self) -> Result<(), Wrong> {
        urls("l1.rpc", &self.l1.rpc)?;
        urls("l1.beacon", &self.l1.beacon)?;
        if self.l1.blob_index == BlobIndex::Slot && self.l1.slot_seconds == 0 {
            return Err(("l1.slot_seconds", "must not be 0".into()));
        }
        between("l1.timeout", self.l1.timeout, (100, 120_000))?;
        between("l1.poll", self.l1.poll, (50, 60_000))
    }

    fn check_p2p(&self) -> Result<(), Wrong> {
        if self.role == Role::Sequencer && self.p2p.listen.is_empty() {
            return Err(("p2p.listen", "a sequencer must be reachable: give an address".into()));
        }
        for text in &self.p2p.listen {
            multiaddr("p2p.listen", text)?;
        }
        for text in &self.p2p.bootnodes {
            multiaddr("p2p.bootnodes", text)?;
            if !text.contains("/p2p/") {
                return Err(("p2p.bootnodes", format!("{text} does not end in /p2p/<id>")));
            }
        }
        Ok(())
    }

    fn check_signer(&self) -> Result<(), Wrong> {
        let signer = &self.signer;
        between("signer.patience", signer.patience, (100, 60_000))?;
        if signer.kind == SignerKind::Local {
            return Ok(());
        }
        let port = signer.addr.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            return Err(("signer.addr", "must be host:port, such as 10.0.0.2:10340".into()));
        }
        let key = alloy_primitives::hex::decode(&signer.public_key);
        if key.is_ok_and(|k| k.len() == 32) {
            return Ok(());
        }
        Err(("signer.public_key", "must be 32 bytes in hex, as rota signer id shows them".into()))
    }

    fn check_engine(&self) -> Result<(), Wrong> {
        let engine = &self.engine;
        if engine.url.is_empty() {
            return Ok(());
        }
        urls("engine.url", std::slice::from_ref(&engine.url))?;
        if engine.jwt.as_os_str().is_empty() {
            return Err(("engine.jwt", "must name the file with the client's JWT secret".into()));
        }
        if self.role == Role::Sequencer {
            return Err((
                "engine.url",
                "only a follower or a prover leads an execution client along".into(),
            ));
        }
        Ok(())
    }

    fn check_prover(&self) -> Result<(), Wrong> {
        let prover = &self.prover;
        between("prover.poll", prover.poll, (200, 600_000))?;
        if !prover.slot.is_empty() && prover.slot.parse::<Address>().is_err() {
            return Err(("prover.slot", "must be the address of a slot, or empty".into()));
        }
        let outside = prover.implementation == Implementation::Engine;
        if self.role == Role::Prover && outside && self.engine.url.is_empty() {
            let why = "to prove with an execution client, give it with --engine URL --jwt FILE";
            return Err(("engine.url", why.into()));
        }
        if self.role != Role::Prover && !prover.key_file.as_os_str().is_empty() {
            let why = "only a prover pays bonds: give --role prover, or leave it out";
            return Err(("prover.key_file", why.into()));
        }
        Ok(())
    }

    fn check_servers(&self) -> Result<(), Wrong> {
        if self.rpc.addr == self.web.addr && self.rpc.addr.port() != 0 {
            return Err(("web.addr", format!("{} is rpc.addr already", self.web.addr)));
        }
        if self.rpc.max_connections == 0 {
            return Err(("rpc.max_connections", "must be at least 1".into()));
        }
        between("rpc.max_sync_timeout", self.rpc.max_sync_timeout, (1, 600_000))?;
        if self.rpc.sync_timeout > self.rpc.max_sync_timeout
            || self.rpc.sync_timeout.as_millis() == 0
        {
            return Err((
                "rpc.sync_timeout",
                "must be above 0 and at most rpc.max_sync_timeout".into(),
            ));
        }
        Ok(())
    }

    /// What a node needs beyond the defaults. Apart, since `rota init` writes a file before these are known.
    ///
    /// # Errors
    /// The key and the reason.
    pub fn validate_for_run(&self) -> Result<(), (&'static str, String)> {
        if self.l1.rpc.is_empty() {
            return Err((
                "l1.rpc",
                "give at least one endpoint, such as [\"http://127.0.0.1:8545\"]".into(),
            ));
        }
        if self.l1.beacon.is_empty() {
            return Err(("l1.beacon", "give at least one endpoint that serves blobs".into()));
        }
        if self.role == Role::Prover && self.prover.key_file.as_os_str().is_empty() {
            let why = "name the file with the key of the account that pays bonds and gas";
            return Err(("prover.key_file", why.into()));
        }
        Ok(())
    }
}

fn between(key: &'static str, value: Dur, (least, most): (u64, u64)) -> Result<(), Wrong> {
    if (least..=most).contains(&value.as_millis()) {
        return Ok(());
    }
    let (least, most) = (Dur::from_millis(least), Dur::from_millis(most));
    Err((key, format!("{value} is not between {least} and {most}")))
}

/// Never repeats the address: it may hold a key.
fn urls(key: &'static str, list: &[String]) -> Result<(), Wrong> {
    let wrong = |url: &&String| {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        rest.is_none_or(|r| r.is_empty() || r.starts_with('/') || r.contains(char::is_whitespace))
    };
    match list.iter().position(|url| wrong(&url)) {
        None => Ok(()),
        Some(at) => {
            let place = at.saturating_add(1);
            Err((
                key,
                format!("endpoint {place} must start with http:// or https:// and name a host"),
            ))
        }
    }
}

fn multiaddr(key: &'static str, text: &str) -> Result<(), Wrong> {
    let wrong = |e| {
        (key, format!("{text} is no multiaddress ({e}); write it like /ip4/127.0.0.1/tcp/27000"))
    };
    text.parse::<Multiaddr>().map(|_| ()).map_err(wrong)
}
