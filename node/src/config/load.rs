//! From file, variables and flags to a [`Config`], with errors that name the key and where it was set.
//!
//! Invariant: variables and the file's text are arguments, so the same input gives the same result.

use super::Config;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

/// Prefix of variables.
const PREFIX: &str = "ROTA_";
/// Variables with this prefix that are no settings of a node: of its other commands and of `rota-devnet`.
const OTHER_VARIABLES: [&str; 5] =
    ["ROTA_CONFIG", "ROTA_RPC_URL", "ROTA_ANVIL", "ROTA_DEVNET_DIR", "ROTA_LOG"];

/// Why there is no configuration. The operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The reason given.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{place} is not TOML: {reason}")]
    Syntax {
        /// The file.
        place: String,
        /// Line and what is wrong there.
        reason: String,
    },
    /// There is no such key.
    #[error("unknown key `{key}` in {place}{}", suggestion.as_ref().map_or_else(String::new, |s| format!("; did you mean `{s}`?")))]
    UnknownKey {
        /// Full path of the key.
        key: String,
        /// Where it was set.
        place: String,
        /// The key that is most like it.
        suggestion: Option<String>,
    },
    /// The value is of another type.
    #[error("`{key}` in {place} is {found} and must be {expected}")]
    Type {
        /// Full path of the key.
        key: String,
        /// Where it was set.
        place: String,
        /// What it is.
        found: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The value is not acceptable.
    #[error("`{key}`{}: {reason}", place.as_ref().map_or_else(String::new, |p| format!(" in {p}")))]
    Value {
        /// Full path of the key.
        key: String,
        /// Where it was set, if not by default.
        place: Option<String>,
        /// What is wrong with it.
        reason: String,
    },
}

/// Where settings come from, strongest last.
#[derive(Debug, Default, Clone)]
pub struct Sources {
    /// The file that was asked for; it must exist.
    pub file: Option<PathBuf>,
    /// Environment variables; others than `ROTA_*` are ignored.
    pub env: Vec<(String, String)>,
    /// Key path and text of each flag.
    pub flags: Vec<(&'static str, String)>,
}

/// Reads, merges and validates.
///
/// # Errors
/// [`ConfigError`], with the full path of the key.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut merge = Merge::new()?;
    if let Some(path) = sources.file.clone().or_else(|| implied_file(sources)) {
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConfigError::Io { path: path.clone(), source })?;
        merge.file(&text, &path.display().to_string())?;
    }
    merge.env(&sources.env)?;
    for (key, text) in &sources.flags {
        merge.text(key, text, &format!("--{key}"))?;
    }
    merge.finish()
}

/// Reads the text of a configuration file alone.
///
/// # Errors
/// [`ConfigError`], with the full path of the key.
pub fn parse(text: &str, place: &str) -> Result<Config, ConfigError> {
    let mut merge = Merge::new()?;
    merge.file(text, place)?;
    merge.finish()
}

/// `rota.toml` of the data directory, if there is one.
fn implied_file(sources: &Sources) -> Option<PathBuf> {
    let flag = sources.flags.iter().find(|(k, _)| *k == "datadir").map(|(_, v)| v);
    let env = sources.env.iter().find(|(k, _)| k == "ROTA_DATADIR").map(|(_, v)| v);
    let root = flag.or(env).map_or_else(super::default_datadir, PathBuf::from);
    Some(root.join("rota.toml")).filter(|path| Path::exists(path))
}

/// The merged values, and who set each.
struct Merge {
    schema: Table,
    merged: Table,
    places: BTreeMap<String, String>,
}

impl Merge {
    fn new() -> Result<Self, ConfigError> {
        let schema = Table::try_from(Config::default()).map_err(|e| ConfigError::Syntax {
            place: "the defaults".into(),
            reason: e.to_string(),
        })?;
        Ok(Self { merged: schema.clone(), schema, places: BTreeMap::new() })
    }

    fn file(&mut self, text: &str, place: &str) -> Result<(), ConfigError> {
        let table: Table = text.parse().map_err(|e: toml::de::Error| ConfigError::Syntax {
            place: place.into(),
            reason: e.to_string().trim_end().into(),
        })?;
        for (key, value) in flatten(&table, "", &self.schema) {
            self.set(&key, value, place)?;
        }
        Ok(())
    }

    fn env(&mut self, env: &[(String, String)]) -> Result<(), ConfigError> {
        let names: BTreeMap<String, String> =
            self.keys().into_iter().map(|key| (variable(&key), key)).collect();
        for (name, text) in env.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
            if OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let Some(key) = names.get(name) else {
                return Err(ConfigError::UnknownKey {
                    key: name.clone(),
                    place: "the environment".into(),
                    suggestion: closest(name, names.keys().map(String::as_str)),
                });
            };
            self.text(key, text, name)?;
        }
        Ok(())
    }

    /// Sets a key from text, read as the key's type; lists are separated by commas.
    fn text(&mut self, key: &str, text: &str, place: &str) -> Result<(), ConfigError> {
        let wrong = |expected| ConfigError::Type {
            key: key.into(),
            place: place.into(),
            found: "other text",
            expected,
        };
        let value = match self.known(key) {
            Some(Value::Integer(_)) => Value::Integer(text.parse().map_err(|_| wrong("a number"))?),
            Some(Value::Boolean(_)) => {
                Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?)
            }
            Some(Value::Array(_)) => {
                let items = text.split(',').map(str::trim).filter(|t| !t.is_empty());
                Value::Array(items.map(|t| Value::String(t.into())).collect())
            }
            _ => Value::String(text.into()),
        };
        self.set(key, value, place)
    }

    fn set(&mut self, key: &str, value: Value, place: &str) -> Result<(), ConfigError> {
        let Some(known) = self.known(key) else {
            let keys = self.keys();
            return Err(ConfigError::UnknownKey {
                key: key.into(),
                place: place.into(),
                suggestion: closest(key, keys.iter().map(String::as_str)),
            });
        };
        if let Some((found, expected)) = mismatch(&value, known) {
            return Err(ConfigError::Type {
                key: key.into(),
                place: place.into(),
                found,
                expected,
            });
        }
        let (section, name) = key.split_once('.').map_or((None, key), |(s, n)| (Some(s), n));
        let table = match section {
            None => Some(&mut self.merged),
            Some(section) => self.merged.get_mut(section).and_then(Value::as_table_mut),
        };
        if let Some(table) = table {
            table.insert(name.into(), value);
            self.places.insert(key.into(), place.into());
        }
        Ok(())
    }

    fn known(&self, key: &str) -> Option<&Value> {
        let leaf = match key.split_once('.') {
            None => self.schema.get(key),
            Some((section, name)) => self.schema.get(section)?.get(name),
        };
        leaf.filter(|v| !v.is_table())
    }

    /// Full paths of all keys.
    fn keys(&self) -> Vec<String> {
        flatten(&self.schema, "", &self.schema).into_iter().map(|(key, _)| key).collect()
    }

    fn finish(self) -> Result<Config, ConfigError> {
        // Key by key, so that a refused value is named with its key.
        for key in self.keys() {
            let alone = only(&self.merged, &key);
            if let Err(e) = alone.try_into::<Config>() {
                return Err(self.refused(&key, e.message().to_owned()));
            }
        }
        let config: Config = self
            .merged
            .clone()
            .try_into()
            .map_err(|e| self.refused("configuration", e.to_string()))?;
        config.validate().map_err(|(key, reason)| self.refused(key, reason))?;
        Ok(config)
    }

    fn refused(&self, key: &str, reason: String) -> ConfigError {
        ConfigError::Value { key: key.into(), place: self.places.get(key).cloned(), reason }
    }
}

/// The table with one key of the given one.
fn only(table: &Table, key: &str) -> Table {
    let mut out = Table::new();
    match key.split_once('.') {
        None => {
            if let Some(value) = table.get(key) {
                out.insert(key.into(), value.clone());
            }
        }
        Some((section, name)) => {
            if let Some(value) = table.get(section).and_then(|s| s.get(name)) {
                let inner = Table::from_iter([(name.to_owned(), value.clone())]);
                out.insert(section.into(), Value::Table(inner));
            }
        }
    }
    out
}

/// Leaves with their full paths. A table where the schema has none is a leaf: its type is refused.
fn flatten(table: &Table, prefix: &str, schema: &Table) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match (value, schema.get(key)) {
            (Value::Table(inner), Some(Value::Table(known))) => {
                out.extend(flatten(inner, &path, known));
            }
            // An unknown section is reported by its first key, which finds the better suggestion.
            (Value::Table(inner), None) if !inner.is_empty() => {
                out.extend(flatten(inner, &path, &Table::new()));
            }
            _ => out.push((path, value.clone())),
        }
    }
    out
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// The known name that is most like this one, if any is close.
fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|k| (strsim::jaro_winkler(name, k), k))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k.to_owned())
}

fn mismatch(value: &Value, known: &Value) -> Option<(&'static str, &'static str)> {
    let wrong = (kind(value), kind(known));
    match (value, known) {
        (Value::Array(items), Value::Array(_)) if items.iter().all(Value::is_str) => None,
        (Value::Array(_), Value::Array(_)) => Some(("a list of other things", "a list of texts")),
        _ if value.type_str() == known.type_str() => None,
        _ => Some(wrong),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section",
    }
}
