//! What jobs may spawn: in plans, fingerprints, definitions and pictures.

use std::collections::BTreeMap;

use expect_test::expect_file;
use zahir_store::NodeId;

use super::pictures::is_whole;
use crate::graph::Graph;
use crate::job::Job;
use crate::plan::{PlanKind, index};
use crate::program::Program;
use crate::workflow::Workflow as _;
use crate::{Context, job, workflow};

#[job]
async fn measure(text: &str) -> usize {
    text.len()
}

#[job(retry = 2)]
async fn fetch(url: &str) -> Result<String, Refused> {
    Err(Refused(url.len()))
}

#[job]
async fn save(page: &str) -> Result<(), std::io::Error> {
    let _ = page;
    Ok(())
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Refused(usize);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "refused {}", self.0)
    }
}

impl std::error::Error for Refused {}

/// Spawns itself.
#[job(spawns(fetch, crawl, archived, save), timeout = 1s)]
async fn crawl(ctx: &Context, url: &str) -> usize {
    let _ = ctx;
    url.len()
}

workflow! {
    async fn archived(page: String) -> usize {
        let saved = index_of(&page);
        measure(&page).after(saved)
    }
}

#[job(spawns(measure))]
async fn index_of(ctx: &Context, page: &str) -> usize {
    let _ = ctx;
    page.len()
}

workflow! {
    async fn twice(url: String) -> usize {
        let first = crawl(&url);
        let size = measure(&url);
        let index = index_of(&url);
        let second = if first > size { crawl(&url) } else { index };
        second
    }
}

workflow! {
    async fn plain(url: String) -> usize { measure(&url) }
}

#[test]
fn kinds_keep_the_error_if_it_can_be_stored() {
    let kept: BTreeMap<_, _> = Crawl::kinds()
        .iter()
        .map(|kind| {
            let name = kind.name().rsplit("::").next().unwrap();
            (name, kind.job().map(|job| job.error.is_some()))
        })
        .collect();
    let expected = [
        ("archived", None),
        // It can't fail.
        ("crawl", Some(false)),
        ("fetch", Some(true)),
        ("save", Some(false)),
    ];
    assert_eq!(kept, BTreeMap::from(expected));
}

#[test]
fn each_kind_is_one_node_of_the_plan_whoever_spawns_it() {
    let program = Program::of(Twice::graph());
    let plan = &program.plan;
    let called = |id: NodeId| program.site(id).node.name();
    let mut kinds = BTreeMap::new();
    for (node, id) in plan.nodes.iter().zip(0..) {
        for kind in &node.kinds {
            let region = &plan.regions[plan.nodes[index(*kind)].region.0];
            assert_eq!(region.nodes, [*kind]);
            assert!(region.inputs.is_empty() && region.result.is_some());
            let parents: &mut Vec<_> = kinds.entry(*kind).or_default();
            parents.push(called(NodeId::new(id)));
        }
    }
    let mut kinds: Vec<_> = kinds
        .into_iter()
        .map(|(kind, mut parents)| {
            parents.sort_unstable();
            (called(kind), parents.join(" "))
        })
        .collect();
    kinds.sort();
    let expected = [
        ("archived", "crawl crawl first"),
        ("crawl", "crawl crawl first"),
        ("fetch", "crawl crawl first"),
        ("measure", "index saved"),
        ("save", "crawl crawl first"),
    ];
    let expected = expected.map(|(kind, parents)| (kind, parents.to_owned()));
    assert_eq!(kinds, expected);

    let find = |name: &str| {
        let mut nodes = plan.nodes.iter().zip(0..);
        let is_kind = |id| {
            let mut parents = plan.nodes.iter();
            parents.any(|node| node.kinds.contains(&NodeId::new(id)))
        };
        let found = nodes.find(|(_, id)| called(NodeId::new(*id)) == name && is_kind(*id));
        found.unwrap()
    };
    let (archived, _) = find("archived");
    assert_eq!(archived.kind, PlanKind::Call);
    let body = program.site(plan.regions[archived.inside[0].0].nodes[0]);
    assert_eq!(body.graph.name(), Archived::graph().name());
    let (fetch, id) = find("fetch");
    assert_eq!((fetch.kind, fetch.keeps_error), (PlanKind::Job, true));
    assert_eq!(fetch.policy.retry, 2);
    assert!(program.job(NodeId::new(id)).unwrap().stored.is_some());
    assert!(!find("save").0.keeps_error);
}

#[test]
fn what_reads_a_call_is_what_wrote_it() {
    use crate::job::children::kind::Declared;
    let bytes = <Fetch as Declared<Crawl>>::encode(&("a url",)).unwrap();
    let call: Fetch = crate::value::decode(&bytes).unwrap();
    assert_eq!(call.url, "a url");
    let kind = <Fetch as Declared<Crawl>>::kind();
    kind.job().unwrap().stored.unwrap().check(&bytes).unwrap();
    let bytes = <Archived as Declared<Crawl>>::encode(&("page".to_owned(),)).unwrap();
    let inputs = Archived::decode_inputs(&bytes).unwrap();
    assert_eq!(inputs[0].get::<String>().unwrap(), "page");
}

#[test]
fn a_graph_tells_what_may_be_spawned() {
    let names = |graph: &'static Graph, node: &str| {
        let node = graph.nodes().iter().find(|it| it.name() == node).unwrap();
        let kinds = node.spawns();
        let names = kinds
            .iter()
            .map(|kind| kind.name().rsplit("::").next().unwrap());
        names.collect::<Vec<_>>().join(" ")
    };
    let twice = Twice::graph();
    assert_eq!(names(twice, "first"), "archived crawl fetch save");
    assert_eq!(names(twice, "index"), "measure");
    assert_eq!(names(twice, "size"), "");
    let first = &twice.nodes()[1];
    let archived = first.spawns()[0];
    assert_eq!(
        archived.subgraph().unwrap().name(),
        Archived::graph().name()
    );
    assert!(archived.spawns().is_empty());
    let crawl = first.spawns()[1];
    assert_eq!(crawl.spawns().len(), 4);
    assert!(crawl.subgraph().is_none());
}

#[test]
fn may_spawn_is_dashed() {
    expect_file!["pictures/children.dot"].assert_eq(&Twice::graph().to_dot());
    expect_file!["pictures/children.mmd"].assert_eq(&Twice::graph().to_mermaid());
    is_whole(Twice::graph());
}

#[test]
fn what_is_stored_tells_what_may_be_spawned_but_for_jobs_that_spawn_nothing() {
    let definition = Program::of(Twice::graph()).definition;
    let stored = crate::definition::Definition::decode(definition.id, &definition.bytes).unwrap();
    assert_eq!(stored.shape, definition.shape);
    let first = &definition.shape.nodes[1];
    assert_eq!(first.spawns.len(), 4);
    let plain = Program::of(Plain::graph()).definition;
    assert!(!String::from_utf8_lossy(&plain.bytes).contains("spawn"));
}
