//! How long rustc takes for a workflow of so many nodes.
//!
//! `cargo run -p zahir-tests --bin compile_time -- 10 100 1000`
//!
//! For each number a crate with one such workflow is written below the target directory and checked
//! twice: from nothing (its dependencies are there), and after a change of one line of the workflow.

#![allow(clippy::disallowed_methods)] // It measures time.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

fn main() {
    let sizes: Vec<usize> = std::env::args()
        .skip(1)
        .map(|size| size.parse().expect("a number of nodes"))
        .collect();
    let sizes = if sizes.is_empty() {
        vec![10, 100, 1_000]
    } else {
        sizes
    };
    println!(
        "{:>6} {:>9} {:>9} {:>12}",
        "nodes", "clean", "changed", "per node"
    );
    let base = crate_for(0);
    check(&base);
    let fixed = clean(&base, 0);
    for size in sizes {
        let directory = crate_for(size);
        check(&directory);
        let clean = clean(&directory, size);
        let changed = changed(&directory, size);
        let per_node =
            clean.saturating_sub(fixed) / u32::try_from(size.max(1)).expect("not that many");
        println!(
            "{size:>6} {:>7} ms {:>7} ms {:>9.2} ms",
            clean.as_millis(),
            changed.as_millis(),
            per_node.as_secs_f64() * 1e3
        );
    }
}

/// Writes the crate for a workflow of `size` nodes.
fn crate_for(size: usize) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let directory = target.join("compile_time").join(size.to_string());
    std::fs::create_dir_all(directory.join("src")).expect("a writable target directory");
    let manifest = format!(
        "[package]\nname = \"nodes_{size}\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\nzahir = {{ path = {:?} }}\n",
        root.join("zahir")
    );
    std::fs::write(directory.join("Cargo.toml"), manifest).expect("writable");
    std::fs::copy(root.join("Cargo.lock"), directory.join("Cargo.lock")).expect("the lock file");
    std::fs::write(directory.join("src/lib.rs"), source(size, 0)).expect("writable");
    directory
}

/// Chains and joins: each node lends the last one, every third reads an earlier one as well.
fn source(size: usize, version: u32) -> String {
    let mut text = String::from(
        "use zahir::{job, workflow};\n\
         #[derive(Clone, serde::Serialize, serde::Deserialize)]\npub struct Item { id: u64, name: String }\n\
         #[job] pub async fn begin(id: u64) -> Item { Item { id, name: String::new() } }\n\
         #[job] pub async fn step(item: &Item, id: u64) -> Item { Item { id, ..item.clone() } }\n\
         #[job] pub async fn join(left: &Item, right: &Item, text: &str) -> Item { let _ = (right, text); left.clone() }\n\
         workflow! {\n    pub async fn chain(id: u64) -> Item {\n        let node_0 = begin(id);\n",
    );
    for node in 1..size.max(2) {
        let last = node - 1;
        let line = if node % 3 == 0 {
            format!("join(&node_{last}, &node_{}, &node_{last}.name)", node / 2)
        } else {
            let change = if node == size / 2 { version } else { 0 };
            format!("step(&node_{last}, node_{last}.id + {change})")
        };
        let _ = writeln!(text, "        let node_{node} = {line};");
    }
    let _ = writeln!(text, "        node_{}\n    }}\n}}", size.max(2) - 1);
    text
}

/// The median of three checks from nothing.
fn clean(directory: &Path, size: usize) -> Duration {
    median(|| {
        let package = format!("nodes_{size}");
        let clean = cargo(directory)
            .args(["clean", "--offline", "-p", &package])
            .output();
        assert!(clean.expect("cargo").status.success());
        check(directory)
    })
}

/// The median of three checks after a change of one line.
fn changed(directory: &Path, size: usize) -> Duration {
    let mut version = 0;
    median(|| {
        version += 1;
        std::fs::write(directory.join("src/lib.rs"), source(size, version)).expect("writable");
        check(directory)
    })
}

fn median(mut measure: impl FnMut() -> Duration) -> Duration {
    let mut times = [measure(), measure(), measure()];
    times.sort();
    times[1]
}

fn check(directory: &Path) -> Duration {
    let start = Instant::now();
    let output = cargo(directory)
        .args(["check", "--offline"])
        .output()
        .expect("cargo");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    start.elapsed()
}

/// All crates share what they depend on.
fn cargo(directory: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    let shared = directory
        .parent()
        .expect("below the target directory")
        .join("target");
    cargo.current_dir(directory).env("CARGO_TARGET_DIR", shared);
    cargo
}
