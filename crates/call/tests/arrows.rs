//! The arrows between the crates, read from their manifests: what may depend on what, and what is kept out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// For each member, the members it may depend on. Two deployables never import each other, and nothing points back.
const ALLOWED: [(&str, &[&str]); 12] = [
    ("crates/wire", &[]),
    ("crates/call", &["wire"]),
    ("crates/store", &["wire", "call"]),
    ("crates/clients", &["wire"]),
    ("crates/embedded", &[]),
    ("crates/sim", &["wire", "call"]),
    ("functions", &["wire", "call", "store", "clients"]),
    ("media-node", &["wire", "call", "store"]),
    ("crates/switchboard", &["wire", "call", "store", "clients", "embedded", "sim", "functions", "media-node"]),
    (
        "crates/bench",
        &["wire", "call", "store", "clients", "embedded", "sim", "functions", "media-node", "switchboard"],
    ),
    ("tests", &["wire", "call", "store", "clients", "embedded", "sim", "functions", "media-node", "switchboard"]),
    (
        "tests/conformance",
        &["wire", "call", "store", "clients", "embedded", "sim", "functions", "media-node", "switchboard"],
    ),
];

/// What the pure crates must not know: runtimes, sockets, AWS, clocks.
const IMPURE: [&str; 12] = [
    "tokio",
    "axum",
    "hyper",
    "reqwest",
    "tokio-tungstenite",
    "futures-util",
    "aws-config",
    "aws-sdk-dynamodb",
    "aws-sdk-s3",
    "chrono",
    "getrandom",
    "tracing",
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn manifest(member: &str) -> toml::Table {
    let path = root().join(member).join("Cargo.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn names(manifest: &toml::Table, section: &str) -> BTreeSet<String> {
    manifest
        .get(section)
        .and_then(toml::Value::as_table)
        .map(|table| table.keys().cloned().collect())
        .unwrap_or_default()
}

#[test]
fn crates_depend_only_the_way_the_arrows_point() {
    let members: BTreeMap<String, &str> = ALLOWED
        .iter()
        .map(|(member, _)| (manifest(member)["package"]["name"].as_str().unwrap().to_owned(), *member))
        .collect();
    for (member, allowed) in ALLOWED {
        let used: Vec<String> =
            names(&manifest(member), "dependencies").into_iter().filter(|name| members.contains_key(name)).collect();
        for name in used {
            assert!(allowed.contains(&name.as_str()), "{member} depends on {name}, against the arrows");
        }
    }
}

#[test]
fn every_member_has_its_arrows() {
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let mut members = BTreeSet::new();
    for pattern in manifest["workspace"]["members"].as_array().unwrap() {
        let pattern = pattern.as_str().unwrap();
        match pattern.strip_suffix("/*") {
            None => {
                members.insert(pattern.to_owned());
            }
            Some(folder) => {
                for entry in std::fs::read_dir(root().join(folder)).unwrap() {
                    let entry = entry.unwrap();
                    if entry.path().join("Cargo.toml").exists() {
                        members.insert(format!("{folder}/{}", entry.file_name().to_string_lossy()));
                    }
                }
            }
        }
    }
    let listed: BTreeSet<String> = ALLOWED.iter().map(|(member, _)| (*member).to_owned()).collect();
    assert_eq!(members, listed);
}

#[test]
fn the_pure_crates_know_no_runtime_no_socket_and_no_clock() {
    for member in ["crates/wire", "crates/call"] {
        let used = names(&manifest(member), "dependencies");
        let impure: Vec<&str> = IMPURE.into_iter().filter(|name| used.contains(*name)).collect();
        assert!(impure.is_empty(), "{member} depends on {impure:?}");
    }
}

#[test]
fn every_dependency_of_the_workspace_comes_with_a_reason() {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = text.split("[workspace.dependencies]").nth(1).unwrap().split("[workspace.lints").next().unwrap();
    let mut explained = false;
    for line in section.lines() {
        match line.trim() {
            "" => explained = false,
            line if line.starts_with('#') => explained = true,
            line => assert!(explained, "no reason is given for `{line}`"),
        }
    }
}
