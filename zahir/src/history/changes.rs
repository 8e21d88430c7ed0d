//! What is told of a revision.

use std::collections::BTreeMap;
use std::fmt;

use zahir_store::{NodeId, Position};

/// How many instances of one node are told of by their numbers. Of more, only how many.
const INSTANCES_MAX: usize = 16;

/// What a change of the program, or a repair, means for a run: what of it is kept, and what runs
/// again.
///
/// Nodes are named as they are written in the workflow: `words[17]/longest_word`. Of a node with
/// many instances there is one line: `words[..]/longest_word (10,000 times)`.
///
/// Printed, it is one line for each of the lists that has something in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    kept: Vec<String>,
    again: Vec<String>,
    new: Vec<String>,
    gone: Vec<String>,
    effects: Vec<String>,
}

impl Changes {
    /// Jobs, sleeps and waits that have run, and whose results count.
    #[must_use]
    pub fn kept(&self) -> &[String] {
        &self.kept
    }

    /// Those that have run, or begun, and run again: if the run comes to them.
    #[must_use]
    pub fn runs_again(&self) -> &[String] {
        &self.again
    }

    /// Nodes that the program did not have before.
    #[must_use]
    pub fn new_nodes(&self) -> &[String] {
        &self.new
    }

    /// Nodes that the program does not have any more. What is on record of them is kept, but not
    /// used.
    #[must_use]
    pub fn gone(&self) -> &[String] {
        &self.gone
    }

    /// Of what runs again or is gone, that whose first result could have been undone, and will not
    /// be: it is for somebody to look after.
    #[must_use]
    pub fn effects_left(&self) -> &[String] {
        &self.effects
    }

    /// Whether nothing runs again, and nothing is new or gone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.again.is_empty() && self.new.is_empty() && self.gone.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("kept", &self.kept),
            ("runs again", &self.again),
            ("new", &self.new),
            ("gone", &self.gone),
            ("done before and not undone", &self.effects),
        ];
        let mut is_first = true;
        for (what, nodes) in lists {
            if nodes.is_empty() {
                continue;
            }
            if !std::mem::take(&mut is_first) {
                f.write_str("\n")?;
            }
            write!(f, "{what}: {}", quoted(nodes))?;
        }
        if is_first {
            f.write_str("nothing has run")?;
        }
        Ok(())
    }
}

/// Names for a message.
pub(crate) fn quoted(names: &[String]) -> String {
    let quoted = names.iter().map(|name| match name.rsplit_once(" (") {
        Some((node, times)) if name.ends_with(" times)") => format!("`{node}` ({times}"),
        _ => format!("`{name}`"),
    });
    quoted.collect::<Vec<_>>().join(", ")
}

/// The instances of nodes that something is true of.
#[derive(Debug, Default)]
pub(crate) struct Instances {
    /// By the node, without the numbers of items, rounds and children: in the order they were added.
    nodes: Vec<Told>,
    /// Where they are, by name and by the nodes on the way.
    known: BTreeMap<String, usize>,
    ways: BTreeMap<Vec<NodeId>, usize>,
}

/// The instances of one node.
#[derive(Debug, Default)]
struct Told {
    count: usize,
    /// The first of them.
    paths: Vec<String>,
}

impl Instances {
    /// Adds the instance at this position. Only of some instances the path is asked for.
    pub(crate) fn add(&mut self, at: &Position, path: impl FnOnce() -> String) {
        let way = at.frames.iter().map(|step| step.node);
        let way: Vec<NodeId> = way.chain([at.node]).collect();
        if let Some(told) = self
            .ways
            .get(&way)
            .and_then(|node| self.nodes.get_mut(*node))
        {
            told.add(path);
            return;
        }
        let path = path();
        let next = self.nodes.len();
        let node = *self.known.entry(without_numbers(&path)).or_insert(next);
        if node == next {
            self.nodes.push(Told::default());
        }
        self.ways.insert(way, node);
        if let Some(told) = self.nodes.get_mut(node) {
            told.add(|| path);
        }
    }

    pub(crate) fn names(self) -> Vec<String> {
        let mut names = Vec::new();
        for Told { count, paths } in self.nodes {
            match paths.as_slice() {
                [first, ..] if count > INSTANCES_MAX => {
                    let node = without_numbers(first);
                    names.push(format!("{node} ({} times)", grouped(count)));
                }
                _ => names.extend(paths),
            }
        }
        names
    }
}

impl Told {
    fn add(&mut self, path: impl FnOnce() -> String) {
        self.count += 1;
        if self.paths.len() < INSTANCES_MAX {
            self.paths.push(path());
        }
    }
}

/// A path without the numbers of items and rounds: `words[..]/longest_word`.
fn without_numbers(path: &str) -> String {
    let mut text = String::new();
    let mut rest = path;
    while let Some((before, behind)) = rest.split_once('[') {
        text.push_str(before);
        text.push('[');
        let end = behind.find(|letter: char| !letter.is_ascii_digit());
        let (number, after) = behind.split_at(end.unwrap_or(behind.len()));
        if !number.is_empty() && after.starts_with(']') {
            text.push_str("..");
            rest = after;
        } else {
            rest = behind;
        }
    }
    text.push_str(rest);
    text
}

/// A number with commas: `10,000`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What is gathered for a [`Changes`].
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) kept: Instances,
    pub(crate) again: Instances,
    pub(crate) effects: Instances,
    pub(crate) new: Vec<String>,
    pub(crate) gone: Vec<String>,
}

impl Gathered {
    pub(crate) fn changes(self) -> Changes {
        Changes {
            kept: self.kept.names(),
            again: self.again.names(),
            new: self.new,
            gone: self.gone,
            effects: self.effects.names(),
        }
    }
}
