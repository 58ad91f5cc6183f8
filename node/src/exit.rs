//! Exit codes, and the error that a command ends with.
//!
//! Not for: errors inside the node, which have their own types; this is where they become words, one hint and a
//! number. Invariant: the numbers are an interface (`docs/exit-codes.md`) and never change their meaning.

mod refusals;

use crate::{
    config::ConfigError, disk::DiskError, external::ExternalError, keys::KeyFileError,
    network::NetworkError, setup::SetupError, slash::SentryError,
};
use rota_consensus::Fatal;
use rota_l1::{L1Error, TxError};
use rota_p2p::P2pError;
use rota_store::{GuardError, ImportError, Refused, StoreError};
use rota_types::SignError;
use std::{fmt, io, process::ExitCode};

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, healthy.
    Ok = 0,
    /// Failed, or the honest negative answer.
    Failed = 1,
    /// Wrong arguments.
    Usage = 2,
    /// The configuration is invalid, or a port is taken.
    Config = 3,
    /// Node or L1 unreachable.
    Unreachable = 4,
    /// Timed out.
    Timeout = 5,
    /// Unhealthy or not synced.
    Unhealthy = 6,
    /// A key is missing or unusable.
    Key = 7,
    /// Refused: signing could be slashable. Never restart by itself.
    Slashable = 8,
    /// Data directory locked or damaged.
    DataDir = 9,
    /// A promise or a proof does not verify.
    Verify = 10,
    /// An L1 transaction was refused, reverted or not funded.
    L1Tx = 11,
    /// Wrong network.
    Network = 12,
    /// Interrupted.
    Interrupted = 130,
}

impl Exit {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Config,
        Self::Unreachable,
        Self::Timeout,
        Self::Unhealthy,
        Self::Key,
        Self::Slashable,
        Self::DataDir,
        Self::Verify,
        Self::L1Tx,
        Self::Network,
        Self::Interrupted,
    ];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What to do next, where a command has nothing better to say.
    const fn hint(self) -> &'static str {
        match self {
            Self::Config => "deploy/config.example.toml shows every key with its default",
            Self::Unreachable => "check that it runs and that the address is right",
            Self::Timeout => "try again, or allow more time with --timeout",
            Self::Unhealthy => "rota status shows what is missing",
            Self::Key => "make the missing keys with: rota key new --datadir DIR",
            Self::Slashable => {
                "make sure that no other process uses this key; do not restart blindly"
            }
            Self::DataDir => "stop the other process, or choose another --datadir",
            Self::Verify => "keep the file: it is evidence of what was promised",
            Self::L1Tx => {
                "nothing was changed on L1 by a refused transaction; fix the cause and send it again"
            }
            Self::Network => "get the network file of the network that this node belongs to",
            Self::Ok | Self::Failed | Self::Usage | Self::Interrupted => {
                "rota --help shows what there is"
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed: one line what, one line what next, and a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The number.
    pub exit: Exit,
    /// What went wrong.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// With the usual hint of the code.
    #[must_use]
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), hint: exit.hint().into() }
    }

    /// With another hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// From an error of the running node: the first cause that has a code of its own decides.
    #[must_use]
    pub fn from_report(report: &eyre::Report) -> Self {
        if let Some(failure) = report.chain().find_map(|e| e.downcast_ref::<Self>()) {
            return failure.clone();
        }
        let exit = report.chain().find_map(classify).unwrap_or(Exit::Failed);
        let failure = Self::new(exit, format!("{report:#}"));
        match report.chain().find_map(advice) {
            Some(advice) => failure.hint(advice),
            None if exit == Exit::Failed => {
                failure.hint("the log lines above say what came before")
            }
            None => failure,
        }
    }
}

/// The code of one error in a chain of causes.
fn classify(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    match Signing::of(cause) {
        Some(Signing::Store(e)) => return Some(store(e)),
        Some(Signing::Refused(_) | Signing::Elsewhere) => return Some(Exit::Slashable),
        None => {}
    }
    if let Some(e) = cause.downcast_ref::<SentryError>() {
        return Some(match e {
            SentryError::Own { .. } => Exit::Slashable,
            SentryError::Disk(_) => Exit::DataDir,
        });
    }
    let unsigned = match cause.downcast_ref::<Fatal>() {
        Some(Fatal::Signer(e)) => Some(e),
        Some(Fatal::Over { .. }) => return Some(Exit::Network),
        Some(_) => return Some(Exit::Failed),
        None => cause.downcast_ref::<SignError>(),
    };
    match unsigned {
        Some(SignError::Refused(_)) => return Some(Exit::Slashable),
        Some(SignError::Unavailable(_)) => return Some(Exit::Key),
        None => {}
    }
    if let Some(e) = cause.downcast_ref::<ImportError>() {
        return Some(if let ImportError::Store(e) = e { store(e) } else { Exit::Slashable });
    }
    if let Some(e) = cause.downcast_ref::<L1Error>() {
        return Some(l1(e));
    }
    if let Some(e) = cause.downcast_ref::<ExternalError>() {
        return Some(refusals::external(e).0);
    }
    if let Some(e) = cause.downcast_ref::<P2pError>() {
        return Some(match e {
            P2pError::BadKey => Exit::Key,
            P2pError::Listen { .. } => Exit::Config,
            _ => Exit::Failed,
        });
    }
    if cause.is::<KeyFileError>() {
        return Some(Exit::Key);
    }
    if cause.is::<ConfigError>() || cause.is::<NetworkError>() {
        return Some(Exit::Config);
    }
    let io = cause.downcast_ref::<io::Error>()?;
    let taken = [io::ErrorKind::AddrInUse, io::ErrorKind::AddrNotAvailable];
    taken.contains(&io.kind()).then_some(Exit::Config)
}

const fn store(e: &StoreError) -> Exit {
    match e {
        StoreError::OtherNetwork { .. }
        | StoreError::GuardDamaged { .. }
        | StoreError::GuardExported { .. } => Exit::Slashable,
        _ => Exit::DataDir,
    }
}

/// An error that has to do with what was signed and with the disk, under whatever type it comes.
enum Signing<'a> {
    Store(&'a StoreError),
    Refused(&'a Refused),
    Elsewhere,
}

impl<'a> Signing<'a> {
    fn of(cause: &'a (dyn std::error::Error + 'static)) -> Option<Self> {
        let guard = |e: &'a GuardError| match e {
            GuardError::Refused(e) => Signing::Refused(e),
            GuardError::Store(e) => Signing::Store(e),
        };
        if let Some(e) = cause.downcast_ref::<DiskError>() {
            return Some(match e {
                DiskError::Store(e) => Self::Store(e),
                DiskError::Guard(e) => guard(e),
            });
        }
        if let Some(e) = cause.downcast_ref::<Fatal>() {
            return match e {
                Fatal::Guard(e) => Some(Self::Refused(e)),
                Fatal::Elsewhere(_) => Some(Self::Elsewhere),
                _ => None,
            };
        }
        cause
            .downcast_ref::<GuardError>()
            .map(guard)
            .or_else(|| cause.downcast_ref::<StoreError>().map(Self::Store))
            .or_else(|| cause.downcast_ref::<Refused>().map(Self::Refused))
    }
}

/// What to do about one error in a chain of causes, where there is more to say than for its code.
fn advice(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    if let Some(e) = cause.downcast_ref::<ExternalError>() {
        return Some(refusals::external(e).1);
    }
    if let Some(SentryError::Own { .. }) = cause.downcast_ref::<SentryError>() {
        return Some(OWN);
    }
    let unsigned = match cause.downcast_ref::<Fatal>() {
        Some(Fatal::Signer(e)) => Some(e),
        Some(Fatal::Over { .. }) => return Some(OVER),
        _ => cause.downcast_ref::<SignError>(),
    };
    match unsigned {
        Some(SignError::Refused(_)) => return Some(REFUSED),
        Some(SignError::Unavailable(_)) => return Some(NO_SIGNER),
        None => {}
    }
    match Signing::of(cause)? {
        Signing::Store(e) => store_advice(e),
        Signing::Refused(Refused::Exported(_)) => Some(EXPORTED),
        Signing::Refused(_) => Some(REFUSED),
        Signing::Elsewhere => Some(ELSEWHERE),
    }
}

const REFUSED: &str = "nothing contradictory was sent. Make sure that no other process uses this key; do not restart by a \
    script";

const NO_SIGNER: &str = "nothing was sent unsigned. Look at the signer, its address and the two keys (rota signer id), then start again";

const ELSEWHERE: &str = "find the other machine and stop it for good, or, if this directory was restored from a copy, make \
    sure of that; then start again: it follows without signing until what was signed is well past. See docs/operations.md";

const OWN: &str = "the stake of this operator will be taken: both signatures are public. Find the other machine or the restored \
    copy and stop it for good; never start with these keys again. See docs/operations.md";

const OVER: &str = "start it again: it waits in the new generation, follows L1, and orders when the operators who answered the roll call are \
    the set (rota l1 fallback show). Promises of the generation that is over and that are not on L1 are void. First make sure that other L1 \
    endpoints know of that block: a directory that has begun a generation never goes back. See docs/operations.md";

const EXPORTED: &str = "run the node where the file was imported; to sign here again bring the newest file back with: \
    rota guard import FILE";

fn store_advice(e: &StoreError) -> Option<&'static str> {
    Some(match e {
        StoreError::OtherNetwork { .. } => {
            "the sign-state directory came from another node or network: put the one back that belongs to these keys; \
             never delete it to get on"
        }
        StoreError::GuardDamaged { .. } => {
            "what this key signed is not known any more. Look at the disk; then move the file away, keep it, and start: \
             the node listens and follows for two windows before it signs. See docs/operations.md"
        }
        StoreError::GuardExported { .. } => EXPORTED,
        StoreError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
            "the disk is full: free space and start again; nothing was sent that is not on disk"
        }
        StoreError::Io { .. } | StoreError::Poisoned { .. } => {
            "look at the disk, then start again; nothing was sent that is not on disk"
        }
        _ => return None,
    })
}

const fn l1(e: &L1Error) -> Exit {
    match e {
        L1Error::Refused(_) | L1Error::Reverted(_) => Exit::L1Tx,
        L1Error::Config(_) => Exit::Config,
        L1Error::Build(_) | L1Error::TooLarge { .. } => Exit::Failed,
        _ => Exit::Unreachable,
    }
}

impl From<ConfigError> for Failure {
    fn from(e: ConfigError) -> Self {
        Self::new(Exit::Config, e)
    }
}

impl From<NetworkError> for Failure {
    fn from(e: NetworkError) -> Self {
        let hint =
            "the network file comes from whoever deployed the contracts (rota l1 deploy writes it)";
        Self::new(Exit::Config, e).hint(hint)
    }
}

impl From<KeyFileError> for Failure {
    fn from(e: KeyFileError) -> Self {
        let failure = Self::new(Exit::Key, &e);
        match e {
            KeyFileError::Loose { .. } => {
                failure.hint("a key that others could read may be stolen already")
            }
            KeyFileError::NoPassword(_) | KeyFileError::EmptyPassword(_) => failure.hint(
                "give --password-file FILE, set password_file in rota.toml, or LoadCredential=rota-password in systemd",
            ),
            KeyFileError::Keystore { .. } => {
                failure.hint("give the right password, or put the file back from the backup")
            }
            KeyFileError::Two { .. } => {
                failure.hint("move away the file of the key that is not this operator's")
            }
            _ => failure,
        }
    }
}

impl From<L1Error> for Failure {
    fn from(e: L1Error) -> Self {
        Self::new(l1(&e), e)
    }
}

impl From<SetupError> for Failure {
    fn from(e: SetupError) -> Self {
        let exit = match &e {
            SetupError::L1(e) | SetupError::Tx(TxError::Chain(e)) => l1(e),
            SetupError::Tx(TxError::Funds(_) | TxError::Rejected(_))
            | SetupError::Failed { .. } => Exit::L1Tx,
            SetupError::Tx(_) => Exit::Failed,
            SetupError::Network(_) | SetupError::Peer(_) => Exit::Config,
            SetupError::WrongChain { .. } => Exit::Network,
            SetupError::Timeout(_) => Exit::Timeout,
            SetupError::NoToken(_) => Exit::Usage,
            SetupError::NoDeposit { .. } => Exit::Failed,
            SetupError::NoOrigin(_) => l1(&L1Error::NoBlock(0)),
        };
        let advice = match &e {
            SetupError::L1(L1Error::Refused(r)) => refusals::advice(r),
            SetupError::NoDeposit { .. } => {
                Some("rota bridge token deposit prints the transaction")
            }
            SetupError::NoOrigin(_) => Some("ask another L1 endpoint, or repeat the command"),
            _ => None,
        };
        let failure = Self::new(exit, e);
        match advice {
            Some(advice) => failure.hint(advice),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests;
