//! Encrypted key files: Web3 Secret Storage version 3, as geth, cast and others write it, with two fields more.
//!
//! `type` is `ed25519` or `secp256k1`, `pubkey` the public part in hex: the key of ed25519, the address of secp256k1.
//! Not for: where files lie and who may read them. Invariants: what is written can be read by any program that knows
//! version 3; no error holds a secret; no file makes it use more than a bounded amount of memory.

use super::{Password, Secret};
use aes::Aes128;
use alloy_primitives::{hex, keccak256};
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use rand::{TryRngCore, rngs::OsRng};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const CIPHER: &str = "aes-128-ctr";
const KDF: &str = "scrypt";
const BLOCK: u32 = 8;
/// Limits of what is read: at most 1 GiB of memory.
const MAX_LOG_N: u8 = 20;
const MAX_R: u32 = 8;
const MAX_P: u32 = 16;

/// How much work a guess of the password costs: the binary logarithm of scrypt's N, with r = 8 and p = 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work(u8);

impl Work {
    /// For keys with stake behind them: 128 MiB and some tenths of a second for each guess.
    pub const STRONG: Self = Self(17);
    /// For tests and networks on one machine.
    pub const LIGHT: Self = Self(10);

    /// From 10 to 20.
    #[must_use]
    pub const fn new(log_n: u8) -> Option<Self> {
        if log_n >= Self::LIGHT.0 && log_n <= MAX_LOG_N { Some(Self(log_n)) } else { None }
    }
}

/// Why a file gives no key. The operator's fault, or the disk's; no text holds a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// Not such a file, or a damaged one.
    #[error("is no key file of version 3: {0}")]
    Malformed(&'static str),
    /// Its password is another one, or it is damaged.
    #[error("is not opened by this password")]
    Password,
    /// Made in a way that is not supported.
    #[error("is made with {0}, which is not supported; make it anew with scrypt and aes-128-ctr")]
    Unsupported(&'static str),
    /// The system refused randomness or memory.
    #[error("cannot be worked on: {0}")]
    System(&'static str),
}

/// An encrypted key file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Keystore {
    version: u8,
    #[serde(default)]
    id: String,
    /// `ed25519` or `secp256k1`; other programs leave it out.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// The public part, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pubkey: Option<String>,
    crypto: Crypto,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: String,
    kdfparams: serde_json::Value,
    mac: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Scrypt {
    dklen: u32,
    n: u64,
    r: u32,
    p: u32,
    salt: String,
}

impl Keystore {
    /// Encrypts a secret; `public` is its type and its public part.
    ///
    /// # Errors
    /// [`KeystoreError::System`].
    pub fn seal(
        secret: &Secret,
        (kind, pubkey): (&str, &[u8]),
        password: &Password,
        work: Work,
    ) -> Result<Self, KeystoreError> {
        let [salt, iv, id]: [Vec<u8>; 3] = [random(32)?, random(16)?, random(16)?];
        let kdf = Scrypt {
            dklen: 32,
            n: 1u64.checked_shl(work.0.into()).unwrap_or_default(),
            r: BLOCK,
            p: 1,
            salt: hex::encode(&salt),
        };
        let derived = derive(&kdf, password)?;
        let mut text = Zeroizing::new(secret.expose().to_vec());
        crypt(&derived, &iv, &mut text)?;
        let mac = mac(&derived, &text);
        let malformed = |_| KeystoreError::Malformed("parameters");
        Ok(Self {
            version: 3,
            id: uuid(&id),
            kind: Some(kind.to_owned()),
            pubkey: Some(hex::encode(pubkey)),
            crypto: Crypto {
                cipher: CIPHER.into(),
                cipherparams: CipherParams { iv: hex::encode(&iv) },
                ciphertext: hex::encode(text.as_slice()),
                kdf: KDF.into(),
                kdfparams: serde_json::to_value(kdf).map_err(malformed)?,
                mac: hex::encode(mac),
            },
        })
    }

    /// Reads the text of a file; nothing is decrypted.
    ///
    /// # Errors
    /// [`KeystoreError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, KeystoreError> {
        let file: Self =
            serde_json::from_str(text).map_err(|_| KeystoreError::Malformed("not such a JSON"))?;
        if file.version == 3 { Ok(file) } else { Err(KeystoreError::Malformed("the version")) }
    }

    /// The file's text.
    ///
    /// # Errors
    /// [`KeystoreError::Malformed`]: cannot be.
    pub fn text(&self) -> Result<String, KeystoreError> {
        let text = serde_json::to_string_pretty(self);
        text.map(|t| t + "\n").map_err(|_| KeystoreError::Malformed("not writable"))
    }

    /// The public part as the file states it; who opens the file checks it.
    #[must_use]
    pub fn public(&self) -> Option<Vec<u8>> {
        hex::decode(self.pubkey.as_ref()?).ok()
    }

    /// Decrypts.
    ///
    /// # Errors
    /// [`KeystoreError`].
    pub fn open(&self, password: &Password) -> Result<Secret, KeystoreError> {
        let crypto = &self.crypto;
        if crypto.cipher != CIPHER {
            return Err(KeystoreError::Unsupported("another cipher"));
        }
        if crypto.kdf != KDF {
            return Err(KeystoreError::Unsupported("another key derivation"));
        }
        let kdf: Scrypt = serde_json::from_value(crypto.kdfparams.clone())
            .map_err(|_| KeystoreError::Malformed("kdfparams"))?;
        let bytes =
            |what, text: &str| hex::decode(text).map_err(|_| KeystoreError::Malformed(what));
        let mut text = Zeroizing::new(bytes("ciphertext", &crypto.ciphertext)?);
        let iv = bytes("iv", &crypto.cipherparams.iv)?;
        let expected = bytes("mac", &crypto.mac)?;
        let derived = derive(&kdf, password)?;
        if mac(&derived, &text).as_slice() != expected {
            return Err(KeystoreError::Password);
        }
        crypt(&derived, &iv, &mut text)?;
        let secret: [u8; 32] =
            text.as_slice().try_into().map_err(|_| KeystoreError::Malformed("not 32 bytes"))?;
        Ok(Secret(Zeroizing::new(secret)))
    }
}

fn random(count: usize) -> Result<Vec<u8>, KeystoreError> {
    let mut bytes = vec![0u8; count];
    OsRng.try_fill_bytes(&mut bytes).map_err(|_| KeystoreError::System("no randomness"))?;
    Ok(bytes)
}

fn derive(kdf: &Scrypt, password: &Password) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let log_n = u8::try_from(kdf.n.trailing_zeros()).unwrap_or(u8::MAX);
    let sound = kdf.n.is_power_of_two() && (1..=MAX_LOG_N).contains(&log_n);
    if !sound || !(1..=MAX_R).contains(&kdf.r) || !(1..=MAX_P).contains(&kdf.p) || kdf.dklen != 32 {
        return Err(KeystoreError::Unsupported("parameters of scrypt out of bounds"));
    }
    let salt = hex::decode(&kdf.salt).map_err(|_| KeystoreError::Malformed("salt"))?;
    let params = scrypt::Params::new(log_n, kdf.r, kdf.p)
        .map_err(|_| KeystoreError::Unsupported("parameters of scrypt out of bounds"))?;
    let mut out = Zeroizing::new([0u8; 32]);
    scrypt::scrypt(password.bytes(), &salt, &params, out.as_mut())
        .map_err(|_| KeystoreError::System("scrypt"))?;
    Ok(out)
}

fn crypt(derived: &[u8; 32], iv: &[u8], text: &mut [u8]) -> Result<(), KeystoreError> {
    let (key, _) = derived.split_at(16);
    let mut cipher =
        Ctr128BE::<Aes128>::new_from_slices(key, iv).map_err(|_| KeystoreError::Malformed("iv"))?;
    cipher.apply_keystream(text);
    Ok(())
}

fn mac(derived: &[u8; 32], text: &[u8]) -> [u8; 32] {
    let (_, key) = derived.split_at(16);
    keccak256([key, text].concat()).0
}

/// A random UUID, version 4.
fn uuid(bytes: &[u8]) -> String {
    let text = hex::encode(bytes);
    let part = |range| text.get(range).unwrap_or_default();
    let (a, b, c, d, e) = (part(0..8), part(8..12), part(13..16), part(17..20), part(20..32));
    format!("{a}-{b}-4{c}-a{d}-{e}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::signers::local::PrivateKeySigner;

    fn password(text: &str) -> Password {
        Password::of(text).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_its_password_only() {
        let secret = Secret(Zeroizing::new([7; 32]));
        let sealed =
            Keystore::seal(&secret, ("ed25519", &[9; 32]), &password("right"), Work::LIGHT);
        let text = sealed.unwrap().text().unwrap();
        assert!(!text.contains(&"07".repeat(32)) && text.contains(&"09".repeat(32)));
        let again = Keystore::parse(&text).unwrap();
        assert_eq!(again.open(&password("right")).unwrap().expose(), secret.expose());
        assert_eq!(again.open(&password("wrong")).err(), Some(KeystoreError::Password));
        assert_eq!(again.public(), Some(vec![9; 32]));
    }

    #[test]
    fn another_program_reads_what_is_written_here_and_the_reverse() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        let secret = Secret(Zeroizing::new([7; 32]));
        let sealed =
            Keystore::seal(&secret, ("secp256k1", &[1; 20]), &password("pw"), Work::LIGHT).unwrap();
        std::fs::write(&path, sealed.text().unwrap()).unwrap();
        let read = PrivateKeySigner::decrypt_keystore(&path, "pw").unwrap();
        assert_eq!(Some(read.address()), secret.signer().map(|s| s.address()));

        // Written by cast 1.7.1.
        let file = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"030d1745fdfb81bd31a1f34f6e0d59ca"},
            "ciphertext":"33d50c0a58bd446aa4d9a7951c29b05ab986b055b88ae78bdae27b9e29d3fb7a","kdf":"scrypt",
            "kdfparams":{"dklen":32,"n":8192,"p":1,"r":8,
            "salt":"63e14d81f744131db28ed56ab5896e37007a53d9b82002c7b6b4e2d9f8e567ba"},
            "mac":"bf83fa138c571abb0dbe48443f11fbbbade763e38bb874b55644cccebc7142a5"},
            "id":"80669505-5eeb-4aea-bea9-afa6f167abcf","version":3}"#;
        let opened = Keystore::parse(file).unwrap().open(&password("testpassword")).unwrap();
        assert_eq!(opened.expose(), &[7; 32]);
    }

    #[test]
    fn files_that_would_cost_too_much_or_are_made_otherwise_are_refused_in_words() {
        let secret = Secret(Zeroizing::new([7; 32]));
        let good =
            Keystore::seal(&secret, ("secp256k1", &[1; 20]), &password("pw"), Work::LIGHT).unwrap();
        let with = |change: &dyn Fn(&mut Keystore)| {
            let mut bad = good.clone();
            change(&mut bad);
            bad.open(&password("pw")).err().unwrap()
        };
        let bounds = KeystoreError::Unsupported("parameters of scrypt out of bounds");
        assert_eq!(with(&|k| k.crypto.kdfparams["n"] = (1u64 << 40).into()), bounds);
        assert_eq!(with(&|k| k.crypto.kdfparams["n"] = 1023.into()), bounds);
        assert_eq!(with(&|k| k.crypto.kdfparams["r"] = 4_000_000.into()), bounds);
        assert_eq!(with(&|k| k.crypto.kdfparams["dklen"] = 16.into()), bounds);
        let kdf = KeystoreError::Unsupported("another key derivation");
        assert_eq!(with(&|k| k.crypto.kdf = "pbkdf2".into()), kdf);
        let damaged = with(&|k| k.crypto.ciphertext.replace_range(0..2, "zz"));
        assert_eq!(damaged, KeystoreError::Malformed("ciphertext"));
        assert_eq!(with(&|k| k.crypto.mac.replace_range(0..2, "00")), KeystoreError::Password);
        assert_eq!(
            with(&|k| k.crypto.cipherparams.iv = "00".into()),
            KeystoreError::Malformed("iv")
        );
        assert!(Keystore::parse("{\"version\":1}").is_err());
        assert_eq!(Work::new(9).or(Work::new(21)), None);
    }
}
