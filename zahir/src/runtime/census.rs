//! What children a run has, counted: [`RunHandle::children`], and the picture of that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use tokio::sync::oneshot;
use zahir_store::{NodeId, Store, StoreError, StoredRun};

use crate::engine::Tally;
use crate::history::entries;
use crate::plan::index;
use crate::runtime::core::Core;
use crate::runtime::executable::Executable;
use crate::runtime::executor::contain;
use crate::runtime::handle::RunHandle;
use crate::runtime::run::{Message, Run};
use crate::runtime::{executor, recovery};

/// How many children the jobs of a run have, of one node and one kind together: see
/// [`RunHandle::children`].
#[derive(Clone, PartialEq, Eq)]
pub struct ChildCount {
    parent: String,
    kind: &'static str,
    tally: Tally,
}

impl ChildCount {
    /// The parents, as they are written in the workflow, without the numbers of items, rounds and
    /// children: `pages/crawl/crawl`. What is inside itself is told once.
    #[must_use]
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// The name of the job or workflow that the children are.
    #[must_use]
    pub const fn kind(&self) -> &str {
        self.kind
    }

    /// How many have not begun; in a run that is over, those that never did.
    #[must_use]
    pub const fn waiting(&self) -> u64 {
        self.tally.counts.waiting
    }

    /// How many have begun, and are not over; in a run that is over, those that were dropped.
    #[must_use]
    pub const fn running(&self) -> u64 {
        self.tally.counts.running
    }

    /// How many have their result, as have their own children.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.tally.counts.done
    }

    /// How many have failed, though something in them may be under way still.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.tally.counts.failed
    }

    fn new(executable: &Executable, tally: Tally) -> Self {
        let code = &executable.code;
        let names = tally.parents.iter().map(|node| code.node_name(*node));
        Self {
            parent: names.collect::<Vec<_>>().join("/"),
            kind: executable.kind_name(tally.kind).unwrap_or_default(),
            tally,
        }
    }
}

impl<O: Send + Sync + 'static> RunHandle<O> {
    /// The children that the jobs of this run have, counted by parent and kind. None of those that an
    /// attempt has not yet asked for.
    ///
    /// What is counted of a run that was over before this process began is read from its records. If
    /// its workflow was changed since, these are of no workflow that is known, and none are counted.
    ///
    /// # Errors
    ///
    /// If the run has ended before this process began, and the store can't be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Durability
    ///
    /// Nothing is written.
    pub async fn children(&self) -> Result<Vec<ChildCount>, StoreError> {
        let executable = &self.run.executable;
        let tallies = tallies(&self.core, &self.run).await?;
        let counts = tallies.into_iter();
        Ok(counts
            .map(|tally| ChildCount::new(executable, tally))
            .collect())
    }

    /// The graph of the run in the language of [mermaid](https://mermaid.js.org): that of its workflow,
    /// with the children that there are, counted as [`RunHandle::children`] does.
    ///
    /// # Errors
    ///
    /// Those of [`RunHandle::children`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Durability
    ///
    /// Nothing is written.
    pub async fn to_mermaid(&self) -> Result<String, StoreError> {
        let counts = self.children().await?;
        let graph = self.run.executable.code.graph();
        let mut text = graph.map_or_else(String::new, crate::Graph::to_mermaid);
        let nodes = graph.map_or(0, |graph| graph.nodes().len());
        let boxes: BTreeMap<_, _> = counts
            .iter()
            .enumerate()
            .map(|(number, count)| ((&*count.tally.parents, count.tally.kind), number))
            .collect();
        let mut arrows = BTreeSet::new();
        for (number, count) in counts.iter().enumerate() {
            // Writing to a string never fails.
            let _ = writeln!(text, "  c{number}[[\"{}\"]]", count.label());
            arrows.insert((from(&count.tally, &boxes, nodes), number));
        }
        for (from, to) in arrows {
            let _ = writeln!(text, "  {from} -- has --> c{to}");
        }
        Ok(text)
    }
}

impl ChildCount {
    /// What they are and how many, as in `send_mail: 2 running, 40 done`.
    fn label(&self) -> String {
        let counts = [
            (self.waiting(), "waiting"),
            (self.running(), "running"),
            (self.done(), "done"),
            (self.failed(), "failed"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0);
        let told: Vec<_> = told
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let name = self.kind.rsplit("::").next().unwrap_or(self.kind);
        format!("{name}: {}", told.join(", "))
    }
}

impl fmt::Debug for ChildCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildCount")
            .field("parent", &self.parent())
            .field("kind", &self.kind())
            .field("waiting", &self.waiting())
            .field("running", &self.running())
            .field("done", &self.done())
            .field("failed", &self.failed())
            .finish()
    }
}

/// As in `invite has send_mail: 2 running, 40 done`.
impl fmt::Display for ChildCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has {}", self.parent, self.label())
    }
}

/// Where the arrow to some children begins: at those that are their parents, or else at the node of
/// the workflow that their parents are in.
fn from(tally: &Tally, boxes: &BTreeMap<(&[NodeId], NodeId), usize>, nodes: usize) -> String {
    let parents = &*tally.parents;
    if let Some((parent, around)) = parents.split_last() {
        // A job that is inside itself is told once: its own children are beside it.
        for around in [around, parents] {
            if let Some(number) = boxes.get(&(around, *parent)) {
                return format!("c{number}");
            }
        }
    }
    let inside = parents.iter().rev().find(|node| index(**node) < nodes);
    inside.map_or_else(String::new, |node| format!("n{node:?}"))
}

/// What the driver of a run, or what it has left, says of its children.
async fn tallies(core: &Core, run: &Arc<Run>) -> Result<Vec<Tally>, StoreError> {
    let (answer, answered) = oneshot::channel();
    if run.outcome().is_none() {
        run.inbox.push(Message::Tally { answer });
        let told = tokio::select! {
            biased;
            Ok(told) = answered => told,
            _ = run.finished() => None,
        };
        if let Some(tallies) = told {
            return Ok(tallies);
        }
    }
    if let Some(tallies) = run.tallies() {
        return Ok(tallies.to_vec());
    }
    let run = Arc::clone(run);
    core.reader.ask(move |store| recorded(store, &run)).await
}

/// What the records of a run that is over, or is being undone, say of its children.
fn recorded(store: &dyn Store, run: &Run) -> Result<Vec<Tally>, StoreError> {
    let Some(stored) = store.load(run.id)? else {
        return Ok(Vec::new());
    };
    let head = stored.head.clone();
    // As it was before its end: behind that nothing is counted any more.
    let (counting, end) = entries::before_end(entries::entries(stored));
    let steps = entries::steps(counting);
    let stored = StoredRun { head, steps };
    let engine = contain(AssertUnwindSafe(|| recovery::to_count(run, &stored)));
    let Ok(Some(engine)) = engine else {
        return Ok(Vec::new());
    };
    let evaluate = |place, what, inputs| executor::evaluate(run, place, what, inputs);
    Ok(engine.recount(end, evaluate))
}
