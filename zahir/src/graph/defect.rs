//! What a graph can have wrong with it.

use std::collections::BTreeSet;

use zahir_store::NodeId;

use crate::graph::{Exit, Graph, Node, NodeDef, Region, RegionId, index};

/// Where a region can be left to.
#[derive(Clone, Copy, Default)]
struct Ways {
    /// The loop that `break` and `continue` mean.
    around: Option<NodeId>,
    /// Whether it is in a part that `return` can't leave.
    closed: bool,
}

impl Graph {
    /// What is wrong with the graph. Always `None`: the macro wires backwards only, and closes the
    /// regions that it opens.
    pub(crate) fn defect(&self) -> Option<String> {
        let defect = self
            .region_tree_defect()
            .or_else(|| {
                self.nodes
                    .iter()
                    .enumerate()
                    .find_map(|(at, node)| self.node_defect(at, node))
            })
            .or_else(|| self.name_defect())
            .or_else(|| self.end_defect());
        let is_cyclic = || petgraph::algo::is_cyclic_directed(&self.petgraph);
        defect.or_else(|| is_cyclic().then(|| "a cycle".to_owned()))
    }

    /// The regions are a tree, and each is entered by one node of the region around it.
    fn region_tree_defect(&self) -> Option<String> {
        let mut entered = vec![0_usize; self.regions.len()];
        for node in &self.nodes {
            for id in &node.inside {
                let owner = self.regions.get(id.index()).and_then(|region| region.owner);
                if owner != Some(node.id) {
                    return Some(format!("`{}` enters region {id:?} of another", node.name));
                }
                entered[id.index()] += 1;
            }
            let regions = node.inside.len();
            let fits = match node.kind {
                NodeDef::Each { .. } | NodeDef::Loop { .. } | NodeDef::Result(_) => regions == 1,
                NodeDef::Rescue | NodeDef::Finally => regions == 2,
                NodeDef::Branch | NodeDef::Race(_) => regions > 0,
                NodeDef::Input { .. }
                | NodeDef::Item
                | NodeDef::Carried
                | NodeDef::Caught
                | NodeDef::Assigned { .. }
                | NodeDef::Job(_)
                | NodeDef::Value
                | NodeDef::Sleep
                | NodeDef::Signal(_)
                | NodeDef::Workflow(_) => regions == 0,
            };
            if !fits {
                return Some(format!("`{}` enters {regions} regions", node.name));
            }
        }
        let is_body = |region: &Region| (region.parent, region.owner) == (None, None);
        for (at, region) in self.regions.iter().enumerate() {
            let around = region
                .owner
                .and_then(|id| self.at(id))
                .map(|owner| owner.region);
            let nested = entered[at] == 1
                && around.is_some()
                && around == region.parent
                && around.is_some_and(|around| around.index() < at);
            if !(if at == 0 { is_body(region) } else { nested }) {
                return Some(format!("region {at} is not in the one around it"));
            }
        }
        None
    }

    fn node_defect(&self, at: usize, node: &Node) -> Option<String> {
        let name = node.name;
        let Some(region) = self.regions.get(node.region.index()) else {
            return Some(format!("`{name}` is in no region"));
        };
        if node.index() != at {
            return Some(format!("`{name}` has the number of another node"));
        }
        if region.owner.is_some_and(|owner| owner >= node.id) {
            return Some(format!("`{name}` is above what enters its region"));
        }
        let mut needed = node.uses.iter().chain(&node.after);
        if let Some(id) = needed.find(|id| **id >= node.id || !self.is_seen(node.region, **id)) {
            return Some(format!("`{name}` can't see node {id:?}"));
        }
        if node.lends > node.uses.len() {
            return Some(format!("`{name}` is lent more than it uses"));
        }
        let owner = region.owner.and_then(|owner| self.at(owner));
        let is_in = |fits: fn(&NodeDef) -> bool| owner.is_some_and(|owner| fits(&owner.kind));
        let is_behind =
            |by: &Node| by.id < node.id && by.region == node.region && !by.inside.is_empty();
        let fits = match &node.kind {
            NodeDef::Input { .. } => owner.is_none(),
            NodeDef::Item => is_in(|kind| matches!(kind, NodeDef::Each { .. })),
            NodeDef::Carried => is_in(|kind| matches!(kind, NodeDef::Loop { .. })),
            NodeDef::Caught => {
                let handler = owner.and_then(|owner| owner.inside.get(1));
                is_in(|kind| matches!(kind, NodeDef::Rescue)) && handler == Some(&node.region)
            }
            NodeDef::Assigned { by } => self.at(*by).is_some_and(is_behind),
            NodeDef::Loop { starts, .. } => starts.iter().all(|start| node.uses.contains(start)),
            NodeDef::Job(_)
            | NodeDef::Value
            | NodeDef::Each { .. }
            | NodeDef::Branch
            | NodeDef::Rescue
            | NodeDef::Result(_)
            | NodeDef::Finally
            | NodeDef::Race(_)
            | NodeDef::Sleep
            | NodeDef::Signal(_)
            | NodeDef::Workflow(_) => true,
        };
        (!fits).then(|| format!("`{name}` is not where it can be"))
    }

    /// Names tell the nodes of a region apart, and what a frame is given comes first in it.
    fn name_defect(&self) -> Option<String> {
        let mut names = BTreeSet::new();
        let mut filled = vec![false; self.regions.len()];
        for node in &self.nodes {
            let is_given = matches!(
                node.kind,
                NodeDef::Input { .. } | NodeDef::Item | NodeDef::Carried | NodeDef::Caught
            );
            let filled = &mut filled[node.region.index()];
            if is_given && *filled {
                return Some(format!("`{}` is not where it can be", node.name));
            }
            *filled |= !is_given;
            if !names.insert((node.region, node.name)) {
                return Some(format!("two nodes are named `{}`", node.name));
            }
        }
        None
    }

    /// Every region ends with values it can see, and as many as are asked for where it goes on.
    fn end_defect(&self) -> Option<String> {
        let assigned = self.assigned();
        let mut ways: Vec<Ways> = Vec::with_capacity(self.regions.len());
        for (at, region) in self.regions.iter().enumerate() {
            let here = RegionId::new(u32::try_from(at).unwrap_or(u32::MAX));
            let around = region.parent.and_then(|id| ways.get(id.index())).copied();
            let way = self.way(here, region, around.unwrap_or_default());
            ways.push(way);
            let assigned = |id: NodeId| assigned.get(index(id)).map_or(0, Vec::len);
            let wanted = match region.exit {
                Exit::Value => Some(region.owner.map_or(0, assigned)),
                Exit::Break | Exit::Continue => way.around.map(assigned),
                Exit::Return => (!way.closed).then_some(0),
            };
            let Some(wanted) = wanted else {
                return Some(format!(
                    "region {at} has nothing to {:?} out of",
                    region.exit
                ));
            };
            // What always runs assigns nothing.
            let is_last = region
                .owner
                .and_then(|id| self.at(id))
                .is_some_and(|owner| {
                    matches!(owner.kind, NodeDef::Finally) && owner.inside.first() != Some(&here)
                });
            if region.outs.len() != wanted && !(is_last && region.outs.is_empty()) {
                let given = region.outs.len();
                return Some(format!("region {at} gives {given} variables, not {wanted}"));
            }
            let mut given = region.outs.iter().chain(&region.result);
            if let Some(id) = given.find(|id| !self.is_seen(here, **id)) {
                return Some(format!("region {at} can't see node {id:?}"));
            }
        }
        self.carried_defect(&assigned)
    }

    /// A loop is left with the variables that it carries, which it began with.
    fn carried_defect(&self, assigned: &[Vec<NodeId>]) -> Option<String> {
        for node in &self.nodes {
            let NodeDef::Loop { starts, .. } = &node.kind else {
                continue;
            };
            let body = node
                .inside
                .first()
                .and_then(|id| self.regions.get(id.index()));
            let inner = body.map_or(&[][..], |body| &body.nodes);
            let is_carried = |id: &&NodeId| {
                self.at(**id)
                    .is_some_and(|node| matches!(node.kind, NodeDef::Carried))
            };
            let carried = inner.iter().filter(is_carried).count();
            let left = assigned.get(node.index()).map_or(0, Vec::len);
            if carried != starts.len() || carried != left {
                let (name, starts) = (node.name, starts.len());
                return Some(format!(
                    "`{name}` carries {carried} variables, begins with {starts}, leaves {left}"
                ));
            }
        }
        None
    }

    fn way(&self, here: RegionId, region: &Region, around: Ways) -> Ways {
        let Some(owner) = region.owner.and_then(|id| self.at(id)) else {
            return around;
        };
        let is_first = owner.inside.first() == Some(&here);
        let is_last = matches!(owner.kind, NodeDef::Finally) && !is_first;
        let is_closed = is_last || matches!(owner.kind, NodeDef::Race(_));
        let is_loop = matches!(owner.kind, NodeDef::Loop { .. });
        let keeps = !is_closed && !matches!(owner.kind, NodeDef::Each { .. });
        Ways {
            around: is_loop
                .then_some(owner.id)
                .or(around.around.filter(|_| keeps)),
            closed: around.closed || is_closed,
        }
    }

    /// Whether the value of `id` can be read in a frame of `region`.
    fn is_seen(&self, region: RegionId, id: NodeId) -> bool {
        let Some(node) = self.at(id) else {
            return false;
        };
        let mut around = Some(region);
        while let Some(at) = around.filter(|at| *at != node.region) {
            around = self
                .regions
                .get(at.index())
                .and_then(|region| region.parent);
        }
        around.is_some()
    }
}
