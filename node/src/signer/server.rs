//! The signer's side of connections: a bounded number of them, each with a thread and for one pair of keys.
//!
//! Invariant: one question is answered at a time, whatever the connections; after a disk error or a conviction nothing is
//! signed any more, and the program ends once that is answered.

use super::{
    core::{Core, CoreError, Holder},
    link::{Identity, Link, LinkError},
    wire::{Answer, Ask, Hello, MAX_ASK},
};
use crate::clock::spawn;
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use rota_types::{Decode, Encode};
use std::{
    io,
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Connections at most; those above are closed at once.
const MAX_CONNECTIONS: usize = 16;
/// After a connection that could not be accepted: no file descriptor is free, and waiting is all that helps.
const AGAIN: Duration = Duration::from_millis(100);
/// A node says something more often than this.
const SILENCE: Duration = Duration::from_secs(15);

/// What all connections share.
#[derive(Debug)]
pub struct Server {
    shared: Mutex<Shared>,
    identity: Identity,
    allowed: Vec<[u8; 32]>,
    open: AtomicUsize,
    /// Tells `serve` why it ends.
    over: Sender<CoreError>,
}

#[derive(Debug)]
struct Shared {
    places: Vec<Place>,
    /// Why nothing is signed any more.
    broken: Option<String>,
}

/// A pair of keys, and who is served.
#[derive(Debug)]
struct Place {
    core: Core,
    /// Connections of the run that holds it.
    connected: usize,
}

impl Server {
    /// Serves the nodes with the `allowed` keys: with one pair of keys, or also with the one that its operator changes to. The receiver is for `serve`.
    #[must_use]
    pub fn new(
        cores: Vec<Core>,
        identity: Identity,
        allowed: Vec<[u8; 32]>,
    ) -> (Self, Receiver<CoreError>) {
        let places = cores.into_iter().map(|core| Place { core, connected: 0 }).collect();
        let shared = Mutex::new(Shared { places, broken: None });
        let (over, ended) = bounded(1);
        (Self { shared, identity, allowed, open: AtomicUsize::new(0), over }, ended)
    }

    fn converse(&self, stream: TcpStream) -> Result<(), LinkError> {
        let mut link = Link::accept(stream, &self.identity, &self.allowed)?;
        link.patience(SILENCE)?;
        let mut at = Seat { server: self, held: None };
        loop {
            let asked = link.receive(MAX_ASK)?;
            let (answer, over) = match Ask::decode(&asked) {
                Ok(ask) => at.answer(link.peer(), &ask),
                Err(e) => (Answer::Refused(format!("not understood: {e}")), None),
            };
            let sent = link.send(&answer.encode());
            if let Some(why) = over {
                // Full: it ends already.
                let _ = self.over.try_send(why);
            }
            sent?;
        }
    }
}

/// One connection's place.
struct Seat<'a> {
    server: &'a Server,
    /// Which place, and as whom.
    held: Option<(usize, Holder)>,
}

impl Seat<'_> {
    /// The answer, and why nothing is signed after it, if that is so.
    fn answer(&mut self, node: [u8; 32], ask: &Ask) -> (Answer, Option<CoreError>) {
        let mut shared = self.server.shared.lock();
        if let Some(why) = &shared.broken {
            return (Answer::Refused(why.clone()), None);
        }
        let error = match self.said(&mut shared, node, ask) {
            Ok(answer) => return (answer, None),
            Err(CoreError::Refused(words)) => return (Answer::Refused(words), None),
            Err(error) => error,
        };
        tracing::error!(%error, "nothing is signed any more");
        let words = format!("the signer stopped: {error}");
        shared.broken = Some(words.clone());
        match error {
            CoreError::Convicted(_) => (Answer::Convicted, Some(error)),
            error => (Answer::Refused(words), Some(error)),
        }
    }

    fn said(
        &mut self,
        shared: &mut Shared,
        node: [u8; 32],
        ask: &Ask,
    ) -> Result<Answer, CoreError> {
        let first = || Err(CoreError::Refused("a connection begins with one hello".into()));
        match ask {
            Ask::Ping => return Ok(Answer::Pong),
            Ask::Keys => {
                let pairs = shared.places.iter().map(|place| place.core.public());
                return Ok(Answer::Keys(pairs.collect()));
            }
            Ask::Hello(hello) if self.held.is_none() => return self.sit(shared, node, hello),
            Ask::Hello(_) | Ask::Seq(_) | Ask::Vote(_) | Ask::Convict(_) => {}
        }
        let Some((at, who)) = self.held else { return first() };
        let Some(Place { core, .. }) = shared.places.get_mut(at) else { return first() };
        match ask {
            Ask::Seq(message) => core.sign_seq(&who, message).map(Answer::Seq),
            Ask::Vote(message) => core.sign_vote(&who, message).map(Answer::Vote),
            Ask::Convict(file) => core.convict(&who, file).map(|()| Answer::Convicted),
            Ask::Hello(_) | Ask::Ping | Ask::Keys => first(),
        }
    }

    fn sit(
        &mut self,
        shared: &mut Shared,
        node: [u8; 32],
        hello: &Hello,
    ) -> Result<Answer, CoreError> {
        let who = Holder { node, incarnation: hello.incarnation };
        // A node holds the places of all pairs or of none.
        let is_busy = |p: &Place| p.connected > 0 && p.core.is_another_nodes(&node);
        let busy = shared.places.iter().any(is_busy);
        let mut places = shared.places.iter_mut().enumerate();
        let place = places.find(|(_, place)| place.core.public().vote == hello.vote);
        let Some((at, place)) = place else {
            let words = format!("this signer has no keys with vote key {}", hello.vote);
            return Err(CoreError::Refused(words));
        };
        let before = place.core.is_held_by(&who);
        let welcome = place.core.welcome(who, hello, busy || place.connected > 0)?;
        place.connected = if before { place.connected.saturating_add(1) } else { 1 };
        self.held = Some((at, who));
        Ok(Answer::Welcome(welcome))
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let Some((at, who)) = self.held else { return };
        let mut shared = self.server.shared.lock();
        if let Some(place) = shared.places.get_mut(at).filter(|p| p.core.is_held_by(&who)) {
            place.connected = place.connected.saturating_sub(1);
        }
    }
}

/// Accepts connections until nothing is signed any more, and says why.
///
/// # Errors
/// No thread can be started.
pub fn serve(
    listener: TcpListener,
    server: Server,
    ended: &Receiver<CoreError>,
) -> io::Result<CoreError> {
    let server = Arc::new(server);
    spawn("signer-door", move || accept(&listener, &server))?;
    ended.recv().map_err(io::Error::other)
}

fn accept(listener: &TcpListener, server: &Arc<Server>) {
    loop {
        let (stream, from) = match listener.accept() {
            Ok(came) => came,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                std::thread::sleep(AGAIN);
                continue;
            }
        };
        if server.open.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            server.open.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(%from, "too many connections");
            continue;
        }
        let own = Arc::clone(server);
        let started = spawn("signer", move || {
            match own.converse(stream) {
                Err(LinkError::Stranger(key)) => {
                    tracing::warn!(%from, key, "a key that is not allowed: give it with --allow");
                }
                Err(error) => tracing::info!(%from, %error, "a connection ended"),
                Ok(()) => {}
            }
            own.open.fetch_sub(1, Ordering::Relaxed);
        });
        if started.is_err() {
            server.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
