//! The node's side: a `Signer` that asks another machine.
//!
//! Blocking, by design: the replica has nothing to say before it is signed. Invariants: a signature is that of the message
//! asked for or none; after a lost connection the same question is asked again, until the time is over; what failed once
//! for good stays failed, so nothing is sent after it.

use super::{
    link::{Identity, Link, LinkError},
    wire::{Answer, Ask, Hello, MAX_ANSWER, Pair, VERSION, Welcome},
};
use crate::clock::{now_ms, spawn};
use alloy_primitives::{Address, B256};
use parking_lot::Mutex;
use rand::{TryRngCore, rngs::OsRng};
use rota_types::{
    Decode, Domain, Encode, EvidenceFile, Millis, SeqMessage, SeqSignature, SignError, Signer,
    VoteMessage, VoteSignature,
};
use std::{
    fmt, io,
    net::{TcpStream, ToSocketAddrs},
    sync::{Arc, Weak},
    time::Duration,
};

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two signs of life.
const PING: Duration = Duration::from_secs(4);

/// Where the signer is.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Host and port.
    pub addr: String,
    /// Its public key, pinned.
    pub public: [u8; 32],
    /// How long one signature may take, reconnecting included.
    pub patience: Duration,
}

/// A signer on another machine.
pub struct RemoteSigner {
    remote: Remote,
    identity: Arc<Identity>,
    ctx: B256,
    incarnation: [u8; 16],
    keys: Pair,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<Link>,
    failed: Option<SignError>,
}

impl fmt::Debug for RemoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSigner").field("addr", &self.remote.addr).finish_non_exhaustive()
    }
}

impl RemoteSigner {
    /// Takes the place at the signer for this process, for each pair of keys that it has, the one in use first; gives what
    /// they have signed.
    ///
    /// # Errors
    /// It does not answer in time, is another one, or refuses.
    pub fn connect(
        remote: &Remote,
        identity: Identity,
        ctx: B256,
    ) -> Result<Vec<(Arc<Self>, Welcome)>, SignError> {
        let until = remote.until();
        let pairs = loop {
            match Self::keys(remote, &identity) {
                Ok(pairs) => break pairs,
                Err(LinkError::Refused(words)) => return Err(SignError::Refused(words)),
                Err(e) => remote.wait(&e, until)?,
            }
        };
        let identity = Arc::new(identity);
        let take = |keys| Self::take(remote.clone(), Arc::clone(&identity), ctx, keys);
        pairs.into_iter().map(take).collect()
    }

    fn take(
        remote: Remote,
        identity: Arc<Identity>,
        ctx: B256,
        keys: Pair,
    ) -> Result<(Arc<Self>, Welcome), SignError> {
        let mut incarnation = [0u8; 16];
        OsRng
            .try_fill_bytes(&mut incarnation)
            .map_err(|e| SignError::Unavailable(format!("no randomness: {e}")))?;
        let state = Mutex::default();
        let signer = Arc::new(Self { remote, identity, ctx, incarnation, keys, state });
        let welcome = signer.first()?;
        let weak = Arc::downgrade(&signer);
        spawn("signer-ping", move || ping(&weak))
            .map_err(|e| SignError::Unavailable(e.to_string()))?;
        Ok((signer, welcome))
    }

    /// The pairs of keys of a signer that answers and proves its own key, the one in use first. Takes no place there.
    ///
    /// # Errors
    /// It does not.
    pub fn keys(remote: &Remote, identity: &Identity) -> Result<Vec<Pair>, LinkError> {
        let stream = dial(&remote.addr, remote.patience)?;
        let mut link = Link::connect(stream, identity, &remote.public)?;
        match exchange(&mut link, &Ask::Keys, remote.patience)? {
            Answer::Keys(pairs) => Ok(pairs),
            Answer::Refused(words) => Err(LinkError::Refused(words)),
            _ => Err(LinkError::Length),
        }
    }

    fn first(&self) -> Result<Welcome, SignError> {
        let until = self.remote.until();
        loop {
            match self.open(false, until) {
                Ok((link, welcome)) => {
                    self.state.lock().link = Some(link);
                    return Ok(welcome);
                }
                Err(Lost::Refused(words)) => return Err(SignError::Refused(words)),
                // The place may have been given although the answer got lost: then this run holds it.
                Err(Lost::Link(e)) => self.remote.wait(&e, until)?,
            }
        }
    }

    /// Connects and says who this is.
    fn open(&self, resumes: bool, until: Millis) -> Result<(Link, Welcome), Lost> {
        let left = Duration::from_millis(until.saturating_sub(now_ms()).max(1));
        let stream = dial(&self.remote.addr, left)?;
        let mut link = Link::connect(stream, &self.identity, &self.remote.public)?;
        let hello = Hello {
            version: VERSION,
            ctx: self.ctx,
            vote: self.keys.vote,
            incarnation: self.incarnation,
            resumes,
        };
        match exchange(&mut link, &Ask::Hello(hello), left)? {
            Answer::Welcome(welcome) => Ok((link, welcome)),
            Answer::Refused(words) => Err(Lost::Refused(words)),
            _ => Err(LinkError::Length.into()),
        }
    }

    /// Asks until there is an answer, or the time is over.
    fn ask(&self, ask: &Ask) -> Result<Answer, SignError> {
        let mut state = self.state.lock();
        if let Some(failed) = &state.failed {
            return Err(failed.clone());
        }
        let until = self.remote.until();
        loop {
            let got = match state.link.take() {
                Some(link) => Ok(link),
                None => self.open(true, until).map(|(link, _)| link),
            };
            let left = Duration::from_millis(until.saturating_sub(now_ms()).max(1));
            let done = got.and_then(|mut link| {
                let answer = exchange(&mut link, ask, left)?;
                Ok((link, answer))
            });
            let failed = match done {
                Ok((link, answer)) => {
                    state.link = Some(link);
                    return match answer {
                        Answer::Refused(words) => Err(SignError::Refused(words)),
                        answer => Ok(answer),
                    };
                }
                Err(Lost::Refused(words)) => SignError::Refused(words),
                Err(Lost::Link(e)) => match self.remote.wait(&e, until) {
                    Ok(()) => continue,
                    Err(late) => late,
                },
            };
            state.failed = Some(failed.clone());
            return Err(failed);
        }
    }
}

impl Remote {
    fn until(&self) -> Millis {
        let patience = u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX);
        now_ms().saturating_add(patience)
    }

    fn wait(&self, error: &LinkError, until: Millis) -> Result<(), SignError> {
        if now_ms() >= until {
            let addr = &self.addr;
            return Err(SignError::Unavailable(format!("the signer at {addr}: {error}")));
        }
        tracing::debug!(%error, "the signer is asked again");
        std::thread::sleep(PAUSE);
        Ok(())
    }
}

/// Why there was no answer.
enum Lost {
    Link(LinkError),
    Refused(String),
}

impl From<LinkError> for Lost {
    fn from(e: LinkError) -> Self {
        Self::Link(e)
    }
}

fn dial(addr: &str, patience: Duration) -> Result<TcpStream, LinkError> {
    let mut tried = Err(io::Error::other("its address is of no host"));
    for addr in addr.to_socket_addrs()? {
        tried = TcpStream::connect_timeout(&addr, patience);
        if tried.is_ok() {
            break;
        }
    }
    Ok(tried?)
}

fn exchange(link: &mut Link, ask: &Ask, patience: Duration) -> Result<Answer, LinkError> {
    link.patience(patience)?;
    link.send(&ask.encode())?;
    Answer::decode(&link.receive(MAX_ANSWER)?).map_err(|_| LinkError::Length)
}

/// Keeps the place while nothing is signed. A lost connection is for the next signature to mend.
fn ping(signer: &Weak<RemoteSigner>) {
    loop {
        std::thread::sleep(PING);
        let Some(signer) = signer.upgrade() else { return };
        let Some(mut state) = signer.state.try_lock() else { continue };
        if let Some(mut link) = state.link.take() {
            match exchange(&mut link, &Ask::Ping, PING) {
                Ok(Answer::Pong) => state.link = Some(link),
                Ok(_) => tracing::warn!("the signer answers something else"),
                Err(error) => tracing::warn!(%error, "the signer does not answer"),
            }
        } else if state.failed.is_none()
            && let Ok((link, _)) = signer.open(true, now_ms().saturating_add(1_000))
        {
            state.link = Some(link);
        }
    }
}

impl Signer for RemoteSigner {
    fn seq_key(&self) -> [u8; 32] {
        self.keys.seq
    }
    fn vote_key(&self) -> Address {
        self.keys.vote
    }
    fn sign_seq(&self, what: &SeqMessage, _: &Domain) -> Result<SeqSignature, SignError> {
        match self.ask(&Ask::Seq(what.clone()))? {
            Answer::Seq(signature) => Ok(signature),
            _ => Err(SignError::Unavailable("the signer answers something else".into())),
        }
    }
    fn sign_vote(&self, what: &VoteMessage, _: &Domain) -> Result<VoteSignature, SignError> {
        match self.ask(&Ask::Vote(what.clone()))? {
            Answer::Vote(signature) => Ok(signature),
            _ => Err(SignError::Unavailable("the signer answers something else".into())),
        }
    }
    fn convict(&self, evidence: &EvidenceFile) -> Result<(), SignError> {
        let text = serde_json::to_vec(evidence);
        let text = text.map_err(|e| SignError::Unavailable(e.to_string()))?;
        match self.ask(&Ask::Convict(text.into()))? {
            Answer::Convicted => Ok(()),
            _ => Err(SignError::Unavailable("the signer answers something else".into())),
        }
    }
}
