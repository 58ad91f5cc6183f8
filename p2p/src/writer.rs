//! Keeps one outbound stream to one validator open and drains its queue into it.
//!
//! Not for: deciding what is sent. Invariant: one task per lane and validator; a stream carries messages only
//! after the other side acknowledged our hello, because the stream layer may drop an inbound stream
//! without telling anyone.

use std::{future::Future, io, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::{Stream, StreamProtocol};
use libp2p_stream::Control;
use rota_types::wire::Lane;
use tokio::time::{sleep, timeout};

use crate::{
    dialer::pause,
    error::Refusal,
    hello::{ACK_LEN, Answer, BadHello, HelloAck, Role},
    hub::Hub,
    link::{Direction, Link, until_cleared, until_set},
    score::PeerFault,
};

/// Pause after a refusal, at least.
const REFUSED: Duration = Duration::from_secs(1);
/// Bytes collected for one write.
const WRITE_BUDGET: usize = 64 << 10;

/// The protocol of a lane. The context is in the hello and not in the name, so that a mismatch is named.
pub(crate) fn protocol(lane: Lane) -> StreamProtocol {
    match lane {
        Lane::Consensus => StreamProtocol::new("/rota/consensus/1"),
        Lane::Acks => StreamProtocol::new("/rota/acks/1"),
        Lane::Frames => StreamProtocol::new("/rota/frames/1"),
        Lane::Bulk => StreamProtocol::new("/rota/bulk/1"),
    }
}

/// Why a stream ended. For the log.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Open(#[from] libp2p_stream::OpenStreamError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("disconnected")]
    Disconnected,
    #[error("closed by the peer")]
    ClosedByPeer,
    #[error("no acknowledgement within the deadline")]
    NoAck,
    #[error("stalled")]
    Stalled,
    #[error("refused: {0:?}")]
    Refused(Answer),
    #[error(transparent)]
    BadHello(#[from] BadHello),
}

/// One lane to one validator.
pub(crate) struct Writer {
    pub(crate) hub: Arc<Hub>,
    pub(crate) link: Arc<Link>,
    pub(crate) lane: Lane,
    pub(crate) control: Control,
}

impl Writer {
    /// Runs until the link is closed or the network stops.
    pub(crate) async fn run(mut self) {
        let (mut closed, mut stop) = (self.link.closed(), self.hub.stop.subscribe());
        tokio::select! {
            biased;
            () = until_set(&mut stop) => {}
            () = until_set(&mut closed) => {}
            () = self.keep_open() => {}
        }
        self.link.queue(self.lane).close();
        self.link.lane_down(self.lane, Direction::Out, "closed by us");
    }

    async fn keep_open(&mut self) {
        let mut connected = self.link.connected();
        let mut attempt = 0;
        loop {
            until_set(&mut connected).await;
            if self.hub.is_shunned(&self.link.peer) {
                sleep(self.hub.limits.backoff.1).await;
                continue;
            }
            let ended = match self.open().await {
                Ok(mut stream) => {
                    attempt = 0;
                    self.up();
                    // A stream of a connection that this side closed is not woken: watch the connection too.
                    let ended = tokio::select! {
                        ended = self.pump(&mut stream) => ended,
                        () = until_cleared(&mut connected) => Ended::Disconnected,
                    };
                    self.down(&ended);
                    ended
                }
                Err(ended) => ended,
            };
            tracing::debug!(peer = self.link.index, lane = self.lane.name(), %ended, "ended stream");
            let refused = matches!(ended, Ended::Refused(_));
            // A refusal does not heal by asking again at once: the set or the program has to change.
            let floor = if refused { REFUSED } else { Duration::ZERO };
            sleep(pause(self.hub.limits.backoff, attempt).max(floor)).await;
            attempt = attempt.saturating_add(1);
        }
    }

    fn up(&self) {
        self.link.queue(self.lane).open();
        self.link.lane_up(self.lane, Direction::Out);
        self.hub.attention.notify_one();
    }

    fn down(&self, ended: &Ended) {
        self.link.queue(self.lane).close();
        self.link.lane_down(self.lane, Direction::Out, &ended.to_string());
        self.hub.attention.notify_one();
    }

    /// Opens a stream and waits for the acknowledgement of our hello.
    async fn open(&mut self) -> Result<Stream, Ended> {
        let (peer, lane) = (self.link.peer, self.lane);
        let (hello, control) = (self.hub.hello(), &mut self.control);
        let handshake = async {
            let mut stream = control.open_stream(peer, protocol(lane)).await?;
            stream.write_all(&hello.encode()).await?;
            stream.flush().await?;
            let mut ack = [0; ACK_LEN];
            stream.read_exact(&mut ack).await?;
            Ok::<_, Ended>((stream, ack))
        };
        let (stream, ack) =
            timeout(self.hub.limits.handshake, handshake).await.map_err(|_| Ended::NoAck)??;
        let ack = HelloAck::decode(&ack).inspect_err(|_| self.hub.report(peer, BadHello::FAULT))?;
        match ack.answer {
            Answer::Accepted if ack.ctx == self.hub.ctx => return Ok(stream),
            Answer::Accepted => self.hub.report(peer, BadHello::FAULT),
            Answer::WrongContext => self.hub.wrong_network(peer, ack.ctx),
            Answer::WrongVersion => {
                let (theirs, ours) = (ack.version, self.hub.version);
                self.hub.refused(peer, Refusal::WrongVersion { peer, theirs, ours });
            }
            Answer::NotInSet => {
                if hello.role == Role::Validator {
                    self.hub.refused(peer, Refusal::NotInSet { peer: self.hub.own });
                }
            }
            Answer::NotForObservers | Answer::Full => {}
        }
        Err(Ended::Refused(ack.answer))
    }

    /// Writes everything that is queued, flushes once, waits for more.
    async fn pump(&self, stream: &mut Stream) -> Ended {
        let queue = self.link.queue(self.lane);
        let stall = self.hub.limits.stall;
        let mut batch = BytesMut::with_capacity(WRITE_BUDGET);
        let mut probe = [0; 1];
        let mut unflushed = false;
        loop {
            batch.clear();
            if queue.drain(&mut batch, WRITE_BUDGET) {
                if let Err(ended) = within(stall, stream.write_all(&batch)).await {
                    return ended;
                }
                unflushed = true;
            } else if unflushed {
                if let Err(ended) = within(stall, stream.flush()).await {
                    return ended;
                }
                unflushed = false;
            } else {
                tokio::select! {
                    biased;
                    () = queue.ready() => {}
                    read = stream.read(&mut probe) => match read {
                        Ok(0) => return Ended::ClosedByPeer,
                        Ok(_) => {
                            self.hub.report(self.link.peer, PeerFault::Garbage);
                            return Ended::ClosedByPeer;
                        }
                        Err(error) => return Ended::Io(error),
                    },
                }
            }
        }
    }
}

async fn within(stall: Duration, io: impl Future<Output = io::Result<()>>) -> Result<(), Ended> {
    timeout(stall, io).await.map_err(|_| Ended::Stalled)?.map_err(Ended::Io)
}
