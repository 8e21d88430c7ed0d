//! What exists once per instance of a generic job or workflow.

use std::any::TypeId;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use crate::graph::Graph;

/// The name of one instance: `path::load<app::User>`. The same text is kept only once.
#[must_use]
pub fn intern(name: &str, types: &[&str]) -> &'static str {
    // Held for one look-up and one insertion; nothing in between can wait or panic.
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let text = format!("{name}<{}>", types.join(", "));
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(text.as_str()) {
        return known;
    }
    let text: &'static str = Box::leak(text.into_boxed_str());
    names.insert(text);
    text
}

/// The graph of the workflow `W`, read once.
pub fn per_type<W: 'static>(read: fn() -> Graph) -> &'static Graph {
    // Held for look-ups and insertions only: reading one graph may ask for another.
    static GRAPHS: Mutex<Option<HashMap<TypeId, &'static Graph>>> = Mutex::new(None);
    let graphs = || GRAPHS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = graphs()
        .as_ref()
        .and_then(|graphs| graphs.get(&TypeId::of::<W>()).copied());
    if let Some(graph) = known {
        return graph;
    }
    let graph: &'static Graph = Box::leak(Box::new(read()));
    graphs()
        .get_or_insert_default()
        .entry(TypeId::of::<W>())
        .or_insert(graph)
}
