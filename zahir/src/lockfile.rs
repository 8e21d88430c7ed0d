//! A file in which a program says what its workflows are, so that a change of them is seen before
//! it is deployed.
//!
//! ```
//! use zahir::{Workflow as _, job, workflow};
//!
//! #[job]
//! async fn greet(name: &str) -> String {
//!     format!("hello {name}")
//! }
//!
//! workflow! {
//!     pub async fn welcome(name: String) -> String {
//!         greet(&name)
//!     }
//! }
//!
//! # let folder = std::env::temp_dir().join(format!("zahir-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder).unwrap();
//! # std::env::set_current_dir(&folder).unwrap();
//! # fn doc() -> Result<(), zahir::lockfile::LockfileError> {
//! // In a test, which is run in the folder of its package:
//! zahir::lockfile::check("zahir.lock", &[Welcome::graph()])?;
//! # zahir::lockfile::check("zahir.lock", &[Welcome::graph()]) }
//! # doc().unwrap();
//! # assert!(std::fs::read_to_string("zahir.lock").unwrap().contains("greet"));
//! # std::fs::remove_dir_all(&folder).unwrap();
//! ```
//!
//! The file is to be committed. The test fails as soon as the workflows are not what it says, and
//! tells what that means for runs that are unfinished when the program is deployed:
//!
//! | a difference | means |
//! | --- | --- |
//! | is safe | All that has run keeps its results. |
//! | re-runs these nodes | What has run of them runs again, as [`OnChange::Migrate`](crate::OnChange::Migrate) says. |
//! | blocks these | Runs in which these have run can't go on: they are `at_most_once`, or their workflow is gone. Also told of what a job that runs again may spawn. |
//!
//! It fails until the file is written anew on purpose, by running the test with
//! `ZAHIR_LOCKFILE=update` in its environment. Time-outs, retries, tags, limits and documentation are
//! not in the file.

#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zahir_store::{DefinitionId, NodeId};

use crate::definition::matching::Matching;
use crate::definition::{AT_MOST_ONCE, DefinedNode, Definition, Shape};
use crate::graph::{Graph, SPAWNED, short};
use crate::job::children::kind::KindDef;
use crate::program::Program;
use text::Malformed;

/// The variable that says whether the file is to be written anew.
const UPDATE: &str = "ZAHIR_LOCKFILE";

/// Compares these workflows, and all that they call, with what the file at `path` says of them. Writes
/// the file if there is none, or if `ZAHIR_LOCKFILE=update` is in the environment.
///
/// # Errors
///
/// If the workflows are not what the file says; if it can't be read, written or understood.
pub fn check(path: impl AsRef<Path>, workflows: &[&'static Graph]) -> Result<(), LockfileError> {
    let updates = std::env::var_os(UPDATE).is_some_and(|value| value == "update");
    compare(path.as_ref(), &programs(workflows), updates)
}

fn compare(
    path: &Path,
    programs: &BTreeMap<&str, Definition>,
    updates: bool,
) -> Result<(), LockfileError> {
    let error = |kind| LockfileError {
        path: path.to_owned(),
        kind,
    };
    let written = text::write(programs.values());
    let known = match fs::read_to_string(path) {
        Ok(known) if !updates => known.replace("\r\n", "\n"),
        Ok(known) if known == written => return Ok(()),
        Err(failed) if failed.kind() != io::ErrorKind::NotFound => {
            return Err(error(Kind::Unreadable(failed)));
        }
        Ok(_) | Err(_) => {
            return replace(path, &written).map_err(|failed| error(Kind::Unwritable(failed)));
        }
    };
    if known == written {
        return Ok(());
    }
    match text::read(&known) {
        Ok(shape) => Err(error(Kind::Changed(changes(&known, &shape, programs)))),
        Err(malformed) => Err(error(Kind::Malformed(malformed))),
    }
}

/// The file is there whole or not at all, also if several tests write it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

/// The definition of each of these workflows and of all that they call, and of each job and workflow
/// that may be spawned there.
fn programs(workflows: &[&'static Graph]) -> BTreeMap<&'static str, Definition> {
    let mut found = BTreeMap::new();
    let mut open = workflows.to_vec();
    while let Some(graph) = open.pop() {
        if !found.contains_key(graph.name()) {
            found.insert(graph.name(), Program::of(graph).definition);
            open.extend(graph.calls().map(|called| (called.graph)()));
            open.extend(graph.kinds().iter().map(KindDef::graph));
        }
    }
    found
}

/// What the differences mean to unfinished runs.
fn changes(text: &str, known: &Shape, programs: &BTreeMap<&str, Definition>) -> Vec<Change> {
    let mut changes = Vec::new();
    let defined = |workflow: &str| {
        let mut nodes = known.nodes.iter();
        nodes.any(|node| node.workflow == workflow)
            || known
                .regions
                .iter()
                .any(|region| region.workflow == workflow)
    };
    for (workflow, now) in programs {
        if !defined(workflow) {
            let what = if workflow.ends_with(SPAWNED) {
                "it was not spawned before"
            } else {
                "the workflow is new"
            };
            changes.push(Change::new(workflow, what.to_owned(), Means::Safe));
            continue;
        }
        let before = Definition::known(
            DefinitionId::from_u128(0),
            Shape {
                workflow: (*workflow).to_owned(),
                ..known.clone()
            },
        );
        let told = changes.len();
        changes_of(workflow, &before, now, &mut changes);
        if told == changes.len() && !text.contains(&text::of(now, workflow)) {
            let what = "it is written in another way".to_owned();
            changes.push(Change::new(workflow, what, Means::Safe));
        }
    }
    let mut gone: Vec<&str> = known
        .regions
        .iter()
        .map(|it| it.workflow.as_str())
        .collect();
    gone.dedup();
    gone.retain(|workflow| !programs.contains_key(workflow));
    for workflow in gone {
        // What spawned it is told to run again.
        let (what, means) = if workflow.ends_with(SPAWNED) {
            ("it is no longer spawned", Means::Safe)
        } else {
            (
                "the workflow is gone, and its unfinished runs can't go on",
                Means::Blocks,
            )
        };
        changes.push(Change::new(workflow, what.to_owned(), means));
    }
    changes
}

/// The differences of the nodes that are written in one workflow.
fn changes_of(workflow: &str, before: &Definition, now: &Definition, changes: &mut Vec<Change>) {
    let matching = Matching::new(before, now);
    let nodes = now.shape.nodes.iter().zip(now.places());
    for ((node, name), number) in nodes.zip(0..) {
        let id = NodeId::new(number);
        if node.workflow != workflow || !node.is_run() {
            continue;
        }
        let Some(was) = matching.before(id) else {
            let what = format!("`{name}` is new");
            changes.push(Change::new(workflow, what, Means::Safe));
            continue;
        };
        if matching.is_kept(id) {
            let old = before.node(was).map_or("", |old| old.name.as_str());
            if old != node.name {
                let what = format!("`{old}` is called `{}` now", node.name);
                changes.push(Change::new(workflow, what, Means::Safe));
            }
            continue;
        }
        let what = match matching.reason(before, now, (was, id)) {
            Some(reason) => format!("`{name}` ({reason})"),
            None => format!("`{name}`"),
        };
        let means = if node.effect.contains(AT_MOST_ONCE) {
            Means::Blocks
        } else {
            Means::Reruns
        };
        changes.push(Change::new(workflow, what, means));
        for once in once_behind(before, was, (now, &matching)) {
            let what = format!("`{once}` (`{name}` runs again, and all that it called or spawned)");
            changes.push(Change::new(workflow, what, Means::Blocks));
        }
    }
    let nodes = before.shape.nodes.iter().zip(before.places());
    for ((node, name), number) in nodes.zip(0..) {
        let id = NodeId::new(number);
        if node.workflow == workflow && node.is_run() && matching.now(id).is_none() {
            let what = format!("`{name}` is gone");
            changes.push(Change::new(workflow, what, Means::Safe));
        }
    }
}

/// What is never started twice among all that a node of the earlier definition called or spawned,
/// directly or not: what runs again with the node.
fn once_behind(
    before: &Definition,
    node: NodeId,
    (now, matching): (&Definition, &Matching),
) -> BTreeSet<String> {
    let mut open = before.node(node).map_or_else(Vec::new, DefinedNode::behind);
    let (mut seen, mut found) = (BTreeSet::new(), BTreeSet::new());
    while let Some(workflow) = open.pop() {
        if !seen.insert(workflow.clone()) {
            continue;
        }
        for (node, number) in before.shape.nodes.iter().zip(0..) {
            if node.workflow != workflow {
                continue;
            }
            open.extend(node.behind());
            let current = matching.now(NodeId::new(number));
            let current = current.and_then(|current| now.node(current));
            if current.is_some_and(|current| current.effect.contains(AT_MOST_ONCE)) {
                found.insert(match workflow.strip_suffix(SPAWNED) {
                    Some(_) => node.name.clone(),
                    None => format!("{}: {}", short(&workflow), node.name),
                });
            }
        }
    }
    found
}

/// Workflows that are not what the file says, or a file that does not say it.
#[derive(Debug)]
pub struct LockfileError {
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Changed(Vec<Change>),
    Malformed(Malformed),
    Unreadable(io::Error),
    Unwritable(io::Error),
}

/// One difference.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    workflow: String,
    what: String,
    means: Means,
}

/// What a difference means to unfinished runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    Safe,
    Reruns,
    Blocks,
}

impl Change {
    fn new(workflow: &str, what: String, means: Means) -> Self {
        Self {
            workflow: workflow.to_owned(),
            what,
            means,
        }
    }
}

impl LockfileError {
    /// Differences that cost nothing: a workflow and, in words, what is different in it.
    pub fn safe(&self) -> impl Iterator<Item = (&str, &str)> {
        self.changes(Means::Safe)
    }

    /// Nodes of unfinished runs that will run again: a workflow and, in words, a node and why.
    pub fn reruns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.changes(Means::Reruns)
    }

    /// What keeps unfinished runs from going on: a workflow and, in words, a node and why.
    pub fn blocks(&self) -> impl Iterator<Item = (&str, &str)> {
        self.changes(Means::Blocks)
    }

    fn changes(&self, means: Means) -> impl Iterator<Item = (&str, &str)> {
        let changes = match &self.kind {
            Kind::Changed(changes) => changes.as_slice(),
            Kind::Malformed(_) | Kind::Unreadable(_) | Kind::Unwritable(_) => &[],
        };
        let changes = changes.iter().filter(move |change| change.means == means);
        changes.map(|change| (change.workflow.as_str(), change.what.as_str()))
    }

    fn write_changes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, means) in [
            ("safe", Means::Safe),
            ("re-runs these nodes of unfinished runs", Means::Reruns),
            (
                "blocks unfinished runs in which these have run",
                Means::Blocks,
            ),
        ] {
            let mut last = None;
            for (workflow, what) in self.changes(means) {
                match last {
                    None => write!(f, "\n{title}:\n  `{workflow}`: {what}")?,
                    Some(last) if last == workflow => write!(f, ", {what}")?,
                    Some(_) => write!(f, "\n  `{workflow}`: {what}")?,
                }
                last = Some(workflow);
            }
        }
        Ok(())
    }
}

impl fmt::Display for LockfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            Kind::Changed(_) => {
                write!(f, "the workflows are not what `{path}` says:")?;
                self.write_changes(f)?;
                write!(
                    f,
                    "\nif that is meant, write the file anew, and commit it: `{UPDATE}=update cargo test`"
                )
            }
            Kind::Malformed(Malformed { line, reason }) => write!(
                f,
                "line {line} of `{path}` is not what zahir writes: {reason}; take the file from your \
                 version control, or write it anew: `{UPDATE}=update cargo test`"
            ),
            Kind::Unreadable(_) => write!(f, "`{path}` can't be read"),
            Kind::Unwritable(_) => write!(f, "`{path}` can't be written"),
        }
    }
}

impl StdError for LockfileError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.kind {
            Kind::Unreadable(error) | Kind::Unwritable(error) => Some(error),
            Kind::Changed(_) | Kind::Malformed(_) => None,
        }
    }
}
