//! Node instances by their names: `words[17]/longest_word`.

use zahir_store::{FrameStep, NodeId, Position};

use super::drops::EVERY;
use crate::plan::{Plan, PlanKind, RegionId};

/// What the nodes of a plan are called.
pub(crate) type Names<'a> = dyn Fn(NodeId) -> &'static str + 'a;

/// A name that nothing has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// What was meant, perhaps.
    pub(crate) near: Option<String>,
    /// Whether there is such a node, but nothing of it is ever on record.
    pub(crate) is_pure: bool,
}

/// A way into a region, and what is left of the name.
struct Way<'t> {
    frames: Vec<FrameStep>,
    region: RegionId,
    rest: &'t str,
}

/// The node instances with this name. Regions beside each other, as the arms of a branch, may have
/// nodes of one name, so there may be several. Without its number, an item of a `for` is every item, a
/// child every child, and a round the first; with a number and nothing behind it, it is all that is in
/// that.
pub(crate) fn find(plan: &Plan, names: &Names<'_>, text: &str) -> Result<Vec<Position>, Unknown> {
    let mut found = Vec::new();
    let mut unknown = Unknown {
        near: None,
        is_pure: false,
    };
    let mut nearest = usize::MAX;
    let mut open = vec![Way {
        frames: Vec::new(),
        region: RegionId::BODY,
        rest: text,
    }];
    while let Some(way) = open.pop() {
        let begun = text.len() - way.rest.len();
        for node in &plan.region(way.region).nodes {
            let name = names(*node);
            let rest = way.rest.strip_prefix(name);
            let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with(['/', '[']))
            else {
                let segment = way.rest.split(['/', '[']).next().unwrap_or_default();
                let distance = distance(segment, name);
                if is_run(plan, *node) && distance < nearest && distance <= name.len().div_ceil(3) {
                    nearest = distance;
                    let before = text.get(..begun).unwrap_or_default();
                    let behind = way.rest.get(segment.len()..).unwrap_or_default();
                    unknown.near = Some(format!("{before}{name}{behind}"));
                }
                continue;
            };
            let at = Position {
                frames: way.frames.clone(),
                node: *node,
            };
            if rest.is_empty() {
                if is_run(plan, *node) {
                    found.push(at);
                } else {
                    unknown.is_pure = true;
                }
                continue;
            }
            let Some((number, rest)) = number(plan, *node, rest) else {
                continue;
            };
            open.extend(inside(plan, &at, number, rest, &mut found));
        }
    }
    if found.is_empty() {
        Err(unknown)
    } else {
        found.sort_unstable();
        Ok(found)
    }
}

/// The ways into a node; without anything behind its number, all that is in it is found.
fn inside<'t>(
    plan: &Plan,
    at: &Position,
    number: Option<u32>,
    rest: &'t str,
    found: &mut Vec<Position>,
) -> Vec<Way<'t>> {
    let mut ways = Vec::new();
    let kinds = plan.node(at.node).kinds.iter();
    let kinds = kinds.map(|kind| plan.node(*kind).region);
    let regions = plan.node(at.node).inside.iter().copied().chain(kinds);
    for (region, place) in regions.zip(0..) {
        let index = match plan.node(at.node).kind {
            PlanKind::Each { .. } | PlanKind::Job => number.unwrap_or(EVERY),
            PlanKind::Loop { .. } => number.unwrap_or(0),
            PlanKind::Call
            | PlanKind::Branch
            | PlanKind::Rescue { .. }
            | PlanKind::Result { .. }
            | PlanKind::Finally
            | PlanKind::Race
            | PlanKind::Input
            | PlanKind::Assigned
            | PlanKind::Value
            | PlanKind::Sleep
            | PlanKind::Signal { .. } => place,
        };
        let step = FrameStep {
            node: at.node,
            index,
        };
        let frames = [at.frames.as_slice(), &[step]].concat();
        match rest.strip_prefix('/') {
            Some(rest) => ways.push(Way {
                frames,
                region,
                rest,
            }),
            None if rest.is_empty() => {
                let nodes = plan.region(region).nodes.iter();
                let runs = nodes.filter(|node| is_run(plan, **node));
                found.extend(runs.map(|node| Position {
                    frames: frames.clone(),
                    node: *node,
                }));
            }
            None => {}
        }
    }
    ways
}

/// The number of an item, a round or a child, if one is written, and what is behind it.
fn number<'t>(plan: &Plan, node: NodeId, rest: &'t str) -> Option<(Option<u32>, &'t str)> {
    if rest.starts_with('/') {
        return Some((None, rest));
    }
    let kind = plan.node(node).kind;
    let is_repeated = matches!(
        kind,
        PlanKind::Each { .. } | PlanKind::Loop { .. } | PlanKind::Job
    );
    let (digits, rest) = rest.strip_prefix('[')?.split_once(']')?;
    let number = digits.parse().ok().filter(|number| *number != EVERY)?;
    is_repeated.then_some((Some(number), rest))
}

/// Whether something of the node, or of what is in it, can be on record.
fn is_run(plan: &Plan, node: NodeId) -> bool {
    !matches!(
        plan.node(node).kind,
        PlanKind::Input | PlanKind::Assigned | PlanKind::Value
    )
}

/// How many letters have to be added, left out or changed to make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut next = vec![at + 1];
        for (column, known) in other.iter().enumerate() {
            let changed = row
                .get(column)
                .map_or(0, |cost| cost + usize::from(*known != letter));
            let more = row.get(column + 1).map_or(0, |cost| cost + 1);
            let fewer = next.last().map_or(0, |cost| cost + 1);
            next.push(changed.min(more).min(fewer));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// Whether a node instance is the one, or one of those, that a position with [`EVERY`] in it means.
pub(crate) fn is_meant(meant: &Position, at: &Position) -> bool {
    let mut frames = meant.frames.iter().zip(&at.frames);
    meant.node == at.node
        && meant.frames.len() == at.frames.len()
        && frames.all(|(meant, step)| {
            meant.node == step.node && (meant.index == EVERY || meant.index == step.index)
        })
}
