//! The rules that no compiler checks: floors, file lengths, lints, and documents that name real tests.
//!
//! Not for: what the code does. Invariant: a rule is either checked here or not claimed anywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Each crate stands on a floor and may use lower floors only. Development dependencies are free.
const FLOORS: [(u8, &[&str]); 5] = [
    (0, &["types"]),
    (1, &["verify", "execution", "preconf", "store", "derive", "p2p", "l1"]),
    (2, &["verify-wasm", "consensus"]),
    (3, &["node"]),
    (4, &["deploy", "tests"]),
];

/// What a prover compiles must not contain the sequencers' code.
const PROVER: [&str; 3] = ["rota-derive", "rota-execution", "rota-l1"];
const SEQUENCER: [&str; 3] = ["libp2p", "arc-malachitebft-core-consensus", "sled"];

/// The one crate that denies unsafe code and does not forbid it: its functions have fixed names for browsers.
const OWN_LINTS: &str = "verify-wasm";

/// Longest production file, lines.
const MAX_LINES: usize = 400;
/// Files above it, each with the reason. Empty is the aim.
const LONG_FILES: [(&str, &str); 0] = [];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Where a crate lies.
fn folder(name: &str) -> PathBuf {
    root().join(if name == "verify-wasm" { "verify/wasm" } else { name })
}

fn floor(package: &str) -> Option<u8> {
    let name = package.strip_prefix("rota-")?;
    FLOORS.iter().find(|(_, names)| names.contains(&name)).map(|(floor, _)| *floor)
}

/// The dependency graph as cargo resolves it.
struct Graph {
    members: BTreeSet<String>,
    /// Name, version and license of every package that is not ours.
    foreign: Vec<(String, String, String)>,
    /// Package id -> (name, ids of its normal and build dependencies).
    packages: BTreeMap<String, (String, BTreeSet<String>)>,
}

impl Graph {
    fn load() -> Self {
        // One platform, so that cargo fetches nothing that the build did not need already.
        let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let out = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &platform])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
        let list = |v: &serde_json::Value| v.as_array().unwrap().clone();
        let names: BTreeMap<String, String> =
            list(&json["packages"]).iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
        let mut foreign = Vec::new();
        for package in list(&json["packages"]).iter().filter(|p| !p["source"].is_null()) {
            let license = package["license"].as_str().unwrap_or("none").to_owned();
            foreign.push((text(&package["name"]), text(&package["version"]), license));
        }
        let mut packages = BTreeMap::new();
        for node in list(&json["resolve"]["nodes"]) {
            let used = list(&node["deps"]).into_iter().filter(|d| {
                list(&d["dep_kinds"]).iter().any(|k| k["kind"].as_str() != Some("dev"))
            });
            let id = text(&node["id"]);
            let used = used.map(|d| text(&d["pkg"])).collect();
            packages.insert(id.clone(), (names[&id].clone(), used));
        }
        let members = list(&json["workspace_members"]).iter().map(text).collect();
        Self { members, foreign, packages }
    }

    fn name(&self, id: &str) -> &str {
        &self.packages[id].0
    }

    /// Names of everything that `package` is built from, itself included.
    fn closure(&self, package: &str) -> BTreeSet<&str> {
        let start = self.packages.iter().find(|(_, (name, _))| name == package).unwrap().0;
        let (mut seen, mut next) = (BTreeSet::new(), vec![start.as_str()]);
        while let Some(id) = next.pop() {
            if seen.insert(id) {
                next.extend(self.packages[id].1.iter().map(String::as_str));
            }
        }
        seen.into_iter().map(|id| self.name(id)).collect()
    }
}

/// `.rs` files that cargo builds into a crate, tests not among them.
fn production_files() -> Vec<PathBuf> {
    let mut out = Vec::new();
    for (_, names) in FLOORS {
        for name in names.iter().filter(|n| **n != "tests") {
            collect(&folder(name).join("src"), &mut out);
        }
    }
    let is_test = |p: &Path| {
        p.components().any(|c| c.as_os_str() == "tests") || p.file_stem().unwrap() == "tests"
    };
    out.retain(|p| !is_test(p.strip_prefix(root()).unwrap()));
    assert!(out.len() > 100, "only {} files found: is the layout still the same?", out.len());
    out
}

fn collect(dir: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["node_modules", "target", "out", "cache"].contains(&name.as_str()) {
            collect(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn every_crate_stands_on_its_floor() {
    let graph = Graph::load();
    let mut faults = Vec::new();
    for member in &graph.members {
        let (name, used) = &graph.packages[member];
        let Some(own) = floor(name) else {
            faults.push(format!("{name} has no floor: add it to FLOORS and to docs"));
            continue;
        };
        for other in used.iter().filter(|u| graph.members.contains(*u)) {
            let other = graph.name(other);
            let below = floor(other).is_some_and(|f| f < own);
            // The devnet runs nodes.
            if !below && (name.as_str(), other) != ("rota-deploy", "rota-node") {
                let at = floor(other);
                faults
                    .push(format!("{name} (floor {own}) may not depend on {other} (floor {at:?})"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let placed: usize = FLOORS.iter().map(|(_, names)| names.len()).sum();
    assert_eq!(graph.members.len(), placed, "FLOORS names a crate that does not exist");
}

#[test]
fn a_prover_is_built_without_the_sequencers_code() {
    let graph = Graph::load();
    for package in PROVER {
        let built_from = graph.closure(package);
        for foreign in SEQUENCER {
            assert!(!built_from.contains(foreign), "{package} is built from {foreign}");
        }
    }
    // Else the check above would be empty after a rename.
    for (package, part) in
        [("rota-p2p", SEQUENCER[0]), ("rota-consensus", SEQUENCER[1]), ("rota-store", SEQUENCER[2])]
    {
        assert!(graph.closure(package).contains(part), "{package} without {part}");
    }
}

/// Whether an SPDX expression can be met with the licenses allowed. `A/B` is the old way to write `A OR B`.
fn allows(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (met, rest) = either(&words, allowed);
    assert!(rest.is_empty(), "cannot read the license {expression:?}");
    met
}

fn either<'a>(words: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    let (mut met, mut rest) = both(words, allowed);
    while let ["OR", more @ ..] = rest {
        let (next, after) = both(more, allowed);
        (met, rest) = (met | next, after);
    }
    (met, rest)
}

fn both<'a>(words: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    let (mut met, mut rest) = one(words, allowed);
    while let ["AND", more @ ..] = rest {
        let (next, after) = one(more, allowed);
        (met, rest) = (met & next, after);
    }
    (met, rest)
}

fn one<'a>(words: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    match words {
        ["(", inner @ ..] => {
            let (met, rest) = either(inner, allowed);
            (met, rest.strip_prefix(&[")"]).expect("a closing parenthesis"))
        }
        [license, "WITH", exception, rest @ ..] => {
            (allowed.contains(&format!("{license} WITH {exception}")), rest)
        }
        [license, rest @ ..] => (allowed.contains(license.trim_end_matches('+')), rest),
        [] => (false, words),
    }
}

/// `name` or `name:<major.minor`, as `deny.toml` writes bans.
fn banned(rule: &str, name: &str, version: &str) -> bool {
    let below = |limit: &str| {
        let parts =
            |v: &str| -> Vec<u64> { v.split('.').take(2).map(|p| p.parse().unwrap()).collect() };
        parts(version) < parts(limit)
    };
    match rule.split_once(":<") {
        Some((banned, limit)) => banned == name && below(limit),
        None => rule == name,
    }
}

#[test]
fn dependencies_are_what_deny_toml_allows() {
    let text = fs::read_to_string(root().join("deny.toml")).unwrap();
    let deny: toml::Value = toml::from_str(&text).unwrap();
    let list = |table: &str, key: &str| deny[table][key].as_array().unwrap().clone();
    let allowed: BTreeSet<String> =
        list("licenses", "allow").iter().map(|l| l.as_str().unwrap().to_owned()).collect();
    let bans: Vec<String> =
        list("bans", "deny").iter().map(|b| b["crate"].as_str().unwrap().to_owned()).collect();
    let mut faults = Vec::new();
    for (name, version, license) in Graph::load().foreign {
        if !allows(&license, &allowed) {
            faults.push(format!("{name} {version}: license {license} is not allowed"));
        }
        faults.extend(
            bans.iter()
                .filter(|rule| banned(rule, &name, &version))
                .map(|rule| format!("{name} {version} is banned by {rule:?}")),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn licenses_and_bans_are_read_as_meant() {
    let allowed: BTreeSet<String> = ["MIT", "ISC"].map(str::to_owned).into();
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("ISC AND (GPL-3.0 OR BSL-1.0)", false),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
        ("MIT WITH LLVM-exception", false),
    ] {
        assert_eq!(allows(expression, &allowed), met, "{expression}");
    }
    assert!(banned("openssl", "openssl", "0.10.1") && !banned("openssl", "openssl-probe", "0.2.2"));
    assert!(
        banned("libp2p:<0.57", "libp2p", "0.56.9") && !banned("libp2p:<0.57", "libp2p", "0.57.1")
    );
}

#[test]
fn production_files_are_short() {
    let mut faults = Vec::new();
    for path in production_files() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        let name = shown(&path);
        let listed = LONG_FILES.iter().any(|(file, _)| *file == name);
        if lines > MAX_LINES && !listed {
            faults.push(format!("{name}: {lines} lines, at most {MAX_LINES}"));
        }
        if lines <= MAX_LINES && listed {
            faults.push(format!("{name} is short again: take it off LONG_FILES"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn production_files_say_what_they_are_for() {
    let headless: Vec<String> = production_files()
        .iter()
        .filter(|p| !fs::read_to_string(p).unwrap().starts_with("//!"))
        .map(|p| shown(p))
        .collect();
    assert!(headless.is_empty(), "no head comment: {}", headless.join(", "));
}

#[test]
fn lints_hold_everywhere() {
    let mut faults = Vec::new();
    let mut files = production_files();
    files.retain(|p| {
        fs::read_to_string(p).unwrap().lines().any(|l| l.trim().starts_with("#![allow"))
    });
    faults.extend(
        files.iter().map(|p| format!("{}: a lint is allowed for a whole module", shown(p))),
    );
    for (_, names) in FLOORS {
        for name in names.iter().filter(|n| **n != "tests") {
            let manifest = fs::read_to_string(folder(name).join("Cargo.toml")).unwrap();
            if !manifest.contains("[lints]\nworkspace = true") && *name != OWN_LINTS {
                faults.push(format!("{name}/Cargo.toml does not take the lints of the workspace"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The lints of the workspace in the one manifest that repeats them, and no unsafe block behind it.
#[test]
fn the_crate_with_its_own_lints_has_the_same_and_no_unsafe_block() {
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    let lints = |text: &str, table: &[&str]| -> toml::Table {
        let all: toml::Value = toml::from_str(text).unwrap();
        table.iter().fold(all, |v, key| v[key].clone()).as_table().unwrap().clone()
    };
    let workspace = read(root().join("Cargo.toml"));
    let own = read(folder(OWN_LINTS).join("Cargo.toml"));
    let mut want = lints(&workspace, &["workspace", "lints", "rust"]);
    want.insert("unsafe_code".to_owned(), "deny".into());
    assert_eq!(lints(&own, &["lints", "rust"]), want);
    let want = lints(&workspace, &["workspace", "lints", "clippy"]);
    assert_eq!(lints(&own, &["lints", "clippy"]), want);
    let mut files = Vec::new();
    collect(&folder(OWN_LINTS).join("src"), &mut files);
    for path in files {
        let text = read(path.clone());
        let unsafes = text.matches("unsafe").count();
        let named = text.matches("unsafe_code").count() + text.matches("unsafe(no_mangle)").count();
        assert_eq!(unsafes, named, "{} has unsafe code", shown(&path));
    }
}

/// Rows of the tables in a document: cells without their decoration.
fn rows(document: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let table = text.lines().filter(|l| l.starts_with('|') && !l.starts_with("|--"));
    table
        .map(|l| l.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect())
        .filter(|cells: &Vec<String>| cells.iter().any(|c| !c.chars().all(|c| c == '-')))
        .collect()
}

/// `path::function` names inside backquotes, as the documents point to tests.
fn named_tests(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    cell.split('`').skip(1).step_by(2).filter_map(|name| {
        let (file, function) = name.split_once("::")?;
        (file.ends_with(".rs") || file.ends_with(".sol")).then_some((file, function))
    })
}

/// Whether `file` has a test function of that name (Rust: `#[test]` in front; Solidity: `test` or
/// `invariant` as its beginning).
fn has_test(file: &str, function: &str) -> bool {
    let Ok(text) = fs::read_to_string(root().join(file)) else { return false };
    if file.ends_with(".sol") {
        let is_test = function.starts_with("test") || function.starts_with("invariant");
        return is_test && text.contains(&format!("function {function}("));
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = format!("fn {function}(");
    (0..lines.len()).any(|i| {
        lines[i].strip_prefix("async ").unwrap_or(lines[i]).starts_with(&head)
            && lines[..i]
                .iter()
                .rev()
                .take_while(|l| l.starts_with('#') || l.starts_with("//"))
                .any(|l| l.starts_with("#[test]") || l.starts_with("#[tokio::test"))
    })
}

fn check_named_tests(document: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for row in rows(document) {
        for (file, function) in row.iter().flat_map(|cell| named_tests(cell)) {
            if !has_test(file, function) {
                faults.push(format!("{document}: no test {file}::{function}"));
            }
        }
    }
    faults
}

#[test]
fn every_invariant_names_a_test_that_exists_or_says_not_yet() {
    let document = "docs/invariants.md";
    let mut faults = check_named_tests(document);
    let rows: Vec<Vec<String>> =
        rows(document).into_iter().filter(|r| r[0].starts_with("I-")).collect();
    let numbers: Vec<&str> = rows.iter().map(|r| r[0].as_str()).collect();
    let expected: Vec<String> = (1..=rows.len()).map(|i| format!("I-{i}")).collect();
    assert_eq!(numbers, expected, "the invariants are numbered without a hole");
    assert!(rows.len() >= 28, "invariants were removed");
    for row in &rows {
        let shown_by = row.last().unwrap();
        if named_tests(shown_by).next().is_none() && !shown_by.contains("not yet") {
            faults.push(format!("{}: neither a test nor \"not yet\"", row[0]));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_other_documents_name_tests_that_exist() {
    let faults = check_named_tests("docs/malachite-checklist.md");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_metrics_are_the_documented_ones() {
    let mut files = Vec::new();
    collect(&root().join("node/src/metrics"), &mut files);
    files.push(root().join("node/src/metrics.rs"));
    files.retain(|p| p.file_stem().is_some_and(|s| s != "tests"));
    let mut in_code = BTreeSet::new();
    for path in files {
        let text = fs::read_to_string(path).unwrap();
        let strings = text.split('"').skip(1).step_by(2);
        let is_name = |s: &&str| {
            (s.starts_with("rota_") || s.starts_with("process_"))
                && s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        in_code.extend(strings.filter(is_name).map(str::to_owned));
    }
    let rows = rows("docs/metrics.md");
    let documented: BTreeSet<String> = rows
        .iter()
        .map(|r| r[0].trim_matches('`').to_owned())
        .filter(|n| n.starts_with("rota_") || n.starts_with("process_"))
        .collect();
    assert_eq!(in_code, documented);
}
