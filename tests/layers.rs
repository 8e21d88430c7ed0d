//! The walls of `ARCHITECTURE.md`: who may use whom, and what must have a test.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the workspace around this member")
        .to_owned()
}

/// Every file below `folder` with this extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found
}

/// The code of the files at `place`, a file or a folder, without comments and without its tests.
fn code(place: &str) -> Vec<(PathBuf, String)> {
    let place = root().join(place);
    let paths = if place.is_dir() {
        files(&place, "rs")
    } else {
        vec![place]
    };
    let is_test = |path: &Path| {
        path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
    };
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source file");
        let text = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .to_owned();
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        (path, lines.collect::<Vec<_>>().join("\n"))
    };
    paths
        .into_iter()
        .filter(|path| !is_test(path))
        .map(read)
        .collect()
}

#[track_caller]
fn check(places: &[&str], forbidden: &[&str]) {
    for (path, code) in places.iter().flat_map(|place| code(place)) {
        for word in forbidden {
            assert!(!code.contains(word), "{} uses `{word}`", path.display());
        }
    }
}

#[test]
fn the_store_knows_neither_tokio_nor_zahir() {
    check(
        &["zahir-store/src"],
        &["tokio", "use zahir::", "zahir_macros"],
    );
}

#[test]
fn the_macros_depend_on_no_crate_of_ours() {
    check(&["zahir-macros/src"], &["use zahir::", "use zahir_store"]);
}

#[test]
fn the_engine_is_pure() {
    let impure = [
        "tokio",
        "redb",
        "runtime::",
        "Instant",
        "SystemTime",
        "HashMap",
        "HashSet",
        "std::fs",
        "std::thread",
        "std::sync::Mutex",
        "f32",
        "f64",
        "rand",
        "crate::value",
        "crate::graph",
        "crate::wire",
        "async ",
    ];
    check(
        &[
            "zahir/src/engine.rs",
            "zahir/src/engine",
            "zahir/src/plan.rs",
        ],
        &impure,
    );
}

#[test]
fn definitions_know_neither_engine_nor_tokio() {
    let places = [
        "zahir/src/graph.rs",
        "zahir/src/graph",
        "zahir/src/wire.rs",
        "zahir/src/value.rs",
    ];
    check(
        &places,
        &["crate::engine", "crate::runtime", "tokio", "redb"],
    );
    check(
        &["zahir/src/job.rs", "zahir/src/job"],
        &["crate::engine", "tokio::", "redb"],
    );
}

#[test]
fn the_runtime_sees_the_store_by_its_trait() {
    check(&["zahir/src/runtime.rs", "zahir/src/runtime"], &["redb::"]);
}

#[test]
fn only_the_executor_spawns() {
    for (path, code) in code("zahir/src") {
        let spawns = ["tokio::spawn(", ".spawn(async"]
            .iter()
            .any(|word| code.contains(word));
        assert!(
            !spawns || path.ends_with("executor.rs"),
            "{} spawns",
            path.display()
        );
    }
}

#[test]
fn every_wrong_program_has_its_message() {
    for program in files(&root().join("tests/ui"), "rs") {
        let is_right = program.components().any(|part| part.as_os_str() == "pass");
        let is_shared = program.ends_with("prelude.rs");
        let message = program.with_extension("stderr");
        assert!(
            is_right || is_shared || message.exists(),
            "{} has no .stderr",
            program.display()
        );
    }
}

#[test]
fn every_example_is_in_the_table() {
    let table = fs::read_to_string(root().join("examples/README.md")).expect("the table");
    let manifest = fs::read_to_string(root().join("examples/Cargo.toml")).expect("the manifest");
    let names = manifest.split("[[example]]").skip(1).filter_map(|example| {
        example
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
    });
    for name in names {
        assert!(
            table.contains(&format!("--example {name}")),
            "`{name}` is not in the table"
        );
    }
}

#[test]
fn the_guide_shows_the_workflow_of_the_example() {
    let guide = fs::read_to_string(root().join("zahir/src/guide/control_flow.md")).expect("a page");
    let example = fs::read_to_string(root().join("examples/approval.rs")).expect("the example");
    let (_, workflow) = example.split_once("workflow! {").expect("a workflow");
    let (workflow, _) = workflow.split_once("\n}\n").expect("its end");
    assert!(guide.contains(workflow), "the guide shows another one");
}
