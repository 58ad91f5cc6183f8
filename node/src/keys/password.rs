//! The password of the encrypted key files: from a file, from systemd, or from the person at the terminal.
//!
//! Not for: flags or variables that hold the password itself; there are none, since other processes can read both.
//! Invariant: it is in no log, error or `Debug`, and is wiped when dropped.

use super::KeyFileError;
use rand::{TryRngCore, rngs::OsRng};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::{
    cell::OnceCell,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, IsTerminal, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Name of the systemd credential: `LoadCredential=rota-password:/etc/rota/password`.
pub const CREDENTIAL: &str = "rota-password";
/// Longest password, bytes.
const MAX: u64 = 1024;
/// Where questions are asked, whatever stdin and stdout are.
const TERMINAL: &str = "/dev/tty";

/// A password.
pub struct Password(Zeroizing<String>);

impl Password {
    /// From the operating system's randomness: 32 hex digits.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn random() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0u8; 16]);
        OsRng.try_fill_bytes(bytes.as_mut()).map_err(io::Error::other)?;
        Ok(Self(Zeroizing::new(alloy_primitives::hex::encode(bytes.as_slice()))))
    }

    /// The first line of a file that nobody else may read.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let at = |what| move |source| KeyFileError::Io { what, path: path.into(), source };
        let file = File::open(path).map_err(at("open the password file"))?;
        let mode = file.metadata().map_err(at("look at"))?.permissions().mode() & 0o777;
        if mode & super::OTHERS != 0 {
            return Err(KeyFileError::Loose { path: path.into(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MAX).read_to_string(&mut text).map_err(at("read"))?;
        Self::of(text.lines().next().unwrap_or_default())
            .ok_or_else(|| KeyFileError::EmptyPassword(path.into()))
    }

    /// Writes a password file that only the owner can read. Never overwrites.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn write(&self, path: &Path) -> Result<(), KeyFileError> {
        let at = |what| move |source| KeyFileError::Io { what, path: path.into(), source };
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        let mut file = file.map_err(at("create"))?;
        file.write_all(self.0.as_bytes()).map_err(at("write"))?;
        file.sync_all().map_err(at("sync"))
    }

    pub(super) fn of(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Where the password comes from. It is asked for once, and only when a file needs it.
#[derive(Debug, Default)]
pub struct Passwords {
    file: Option<PathBuf>,
    /// `$CREDENTIALS_DIRECTORY` of systemd.
    credentials: Option<PathBuf>,
    ask: bool,
    known: OnceCell<Password>,
}

impl Passwords {
    /// From the file if one is named, else from systemd, else from the terminal.
    #[must_use]
    pub fn new(file: Option<PathBuf>) -> Self {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self { file, credentials, ask: io::stdin().is_terminal(), known: OnceCell::new() }
    }

    /// The one given, from nowhere else.
    #[must_use]
    pub fn known(password: Password) -> Self {
        Self { known: OnceCell::from(password), ..Self::default() }
    }

    /// There is none, and nobody is asked.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether there is one without asking anybody.
    #[must_use]
    pub fn is_at_hand(&self) -> bool {
        self.known.get().is_some() || self.file.is_some() || self.credential().is_some()
    }

    /// Whether somebody can be asked.
    #[must_use]
    pub const fn can_ask(&self) -> bool {
        self.ask
    }

    /// The password that opens `path`.
    ///
    /// # Errors
    /// [`KeyFileError::NoPassword`], or its file cannot be used.
    pub fn to_open(&self, path: &Path) -> Result<&Password, KeyFileError> {
        self.get(path, |path| ask(&format!("password of {}: ", path.display())))
    }

    /// A password for new files. Whoever is asked types it twice.
    ///
    /// # Errors
    /// [`KeyFileError::NoPassword`], or its file cannot be used.
    pub fn to_make(&self, path: &Path) -> Result<&Password, KeyFileError> {
        self.get(path, |_| {
            let first = ask("new password of the key files: ")?;
            let again = ask("again: ")?;
            if first.as_str() == again.as_str() {
                Ok(first)
            } else {
                Err(io::Error::other("the two are not the same"))
            }
        })
    }

    fn get(
        &self,
        path: &Path,
        ask: impl FnOnce(&Path) -> io::Result<Zeroizing<String>>,
    ) -> Result<&Password, KeyFileError> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let found = match self.file.clone().or_else(|| self.credential()) {
            Some(file) => Password::read(&file)?,
            None if self.ask => {
                let at = |source| KeyFileError::Io {
                    what: "ask for the password of",
                    path: path.into(),
                    source,
                };
                let text = ask(path).map_err(at)?;
                Password::of(&text).ok_or_else(|| KeyFileError::EmptyPassword(TERMINAL.into()))?
            }
            None => return Err(KeyFileError::NoPassword(path.into())),
        };
        Ok(self.known.get_or_init(|| found))
    }

    fn credential(&self) -> Option<PathBuf> {
        self.credentials.as_ref().map(|dir| dir.join(CREDENTIAL)).filter(|f| f.exists())
    }
}

/// Asks at the terminal, without showing what is typed.
fn ask(question: &str) -> io::Result<Zeroizing<String>> {
    let terminal = fs::OpenOptions::new().read(true).write(true).open(TERMINAL)?;
    (&terminal).write_all(question.as_bytes())?;
    let hidden = Hidden::new(&terminal)?;
    let mut text = Zeroizing::new(String::new());
    let read = BufReader::new((&terminal).take(MAX)).read_line(&mut text);
    drop(hidden);
    (&terminal).write_all(b"\n")?;
    read?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn new(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        if tcsetattr(self.terminal, OptionalActions::Flush, &self.before).is_err() {
            tracing::warn!("the terminal does not show what is typed: run reset");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(mode: u32, text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn a_file_is_read_to_the_end_of_its_first_line_and_must_be_private() {
        let (_dir, path) = file(0o600, " two words \nanother line\n");
        assert_eq!(Password::read(&path).unwrap().bytes(), b" two words ");
        let (_dir, path) = file(0o644, "secret");
        assert!(matches!(Password::read(&path), Err(KeyFileError::Loose { mode: 0o644, .. })));
        let (_dir, path) = file(0o600, "\n");
        assert!(matches!(Password::read(&path), Err(KeyFileError::EmptyPassword(_))));
    }

    #[test]
    fn the_file_is_stronger_than_systemd_and_without_both_the_key_is_named() {
        let (dir, path) = file(0o400, "of systemd");
        fs::rename(&path, dir.path().join(CREDENTIAL)).unwrap();
        let (_other, named) = file(0o600, "of a file");
        let key = Path::new("keys/seq.json");
        let credentials = Some(dir.path().to_path_buf());
        let both = Passwords { file: Some(named), credentials, ..Passwords::default() };
        assert_eq!(both.to_open(key).unwrap().bytes(), b"of a file");
        let credentials = Some(dir.path().to_path_buf());
        let systemd = Passwords { credentials, ..Passwords::default() };
        assert!(systemd.is_at_hand());
        assert_eq!(systemd.to_make(key).unwrap().bytes(), b"of systemd");
        match Passwords::none().to_open(key) {
            Err(KeyFileError::NoPassword(path)) => assert_eq!(path, key),
            other => panic!("{other:?}"),
        }
    }
}
