//! Constructs and their regions.
//!
//! A construct is a node that enters regions: [`Lowering::begin_construct`], a
//! [`Lowering::region`] for each, [`Lowering::end_construct`]. Between them this keeps track of what
//! the regions need from around them, how each one ends, and what the variables are that they assign.

use proc_macro2::{Ident, Span};

use crate::workflow::lower::{Lowering, Naming};
use crate::workflow::model::{Block, Exit, NodeKind, Region, Source, VariableId, number, push_new};

/// What a region is to what is in it.
#[derive(Clone)]
pub(crate) enum Around {
    /// Whatever is in it may leave it, and assign what is around it: an arm, what `.rescue(..)`
    /// and `.result()` stand behind.
    Open,
    /// One round of a loop.
    Loop(Loop),
    /// The body of a `for`.
    Each,
    /// An entry of a `race`.
    Entry,
    /// What `.finally(..)` runs.
    Finally,
}

/// A loop around something.
#[derive(Clone)]
pub(crate) struct Loop {
    /// The variables it carries, as they were declared.
    pub(crate) carried: Vec<VariableId>,
    /// Stands for its value.
    pub(crate) value: Ident,
    /// Whether it may end without a `break`, so that none has a value.
    pub(crate) is_while: bool,
    /// The word `or_last`: the same.
    pub(crate) or_last: Option<Span>,
}

/// A region whose nodes are being lowered.
pub(crate) struct OpenRegion {
    pub(crate) number: u32,
    pub(crate) around: Around,
    /// The nodes from around it that it needs.
    captures: Vec<u32>,
    /// Whether something in it goes on behind what it belongs to.
    leaves: bool,
    /// Whether its exit is known: a statement of its own block leaves it.
    pub(crate) left: bool,
    /// Whether a `break` ends it, if it is that of a loop.
    pub(crate) broken: bool,
}

impl OpenRegion {
    pub(crate) fn body() -> Self {
        Self {
            number: 0,
            around: Around::Open,
            captures: Vec::new(),
            leaves: false,
            left: false,
            broken: false,
        }
    }
}

/// A node that enters regions, on its way.
pub(crate) struct Construct {
    pub(crate) node: u32,
    /// The variables around it that its regions assign, as they were declared.
    pub(crate) assigned: Vec<VariableId>,
    /// Whether anybody wants its value.
    pub(crate) valued: bool,
    captures: Vec<u32>,
    /// Whether one of its regions may go on elsewhere than behind it.
    pub(crate) leaves: bool,
    /// Whether a `break` ends it, if it is a loop.
    pub(crate) broken: bool,
}

impl Construct {
    /// It needs these, before all that its regions need.
    pub(crate) fn needs(&mut self, nodes: &[u32]) {
        for node in nodes {
            push_new(&mut self.captures, *node);
        }
    }
}

impl Lowering<'_> {
    /// A construct of regions in which `names` are assigned: those of [`syntax::assigned`].
    ///
    /// [`syntax::assigned`]: crate::workflow::syntax::assigned
    pub(crate) fn begin_construct(&self, node: u32, names: &[Ident], valued: bool) -> Construct {
        let mut assigned = Vec::new();
        for name in names.iter().map(Ident::to_string) {
            let variable = self.scopes.find(&name).map(|id| self.model.variable(id));
            if let Some(variable) = variable
                && variable.mutable
            {
                push_new(&mut assigned, variable.root);
            }
        }
        Construct {
            node,
            assigned,
            valued,
            captures: Vec::new(),
            leaves: false,
            broken: false,
        }
    }

    /// Lowers one region of a construct: `lower` makes its nodes, in scopes of their own, and gives
    /// its block.
    pub(crate) fn region(
        &mut self,
        construct: &mut Construct,
        around: Around,
        lower: impl FnOnce(&mut Self) -> Block,
    ) -> (u32, Block) {
        let region = number(self.model.regions.len());
        let parent = std::mem::replace(&mut self.region, region);
        self.model
            .regions
            .push(Region::new(Some((parent, construct.node))));
        self.open.push(OpenRegion {
            number: region,
            around,
            ..OpenRegion::body()
        });
        let assignments = self.scopes.assignments();
        self.scopes.enter();
        let block = lower(self);
        self.close(construct, &block);
        self.scopes.leave();
        self.scopes.take_back(assignments);
        self.region = parent;
        if let Some(open) = self.open.pop() {
            for capture in open.captures {
                push_new(&mut construct.captures, capture);
            }
            construct.leaves |= open.leaves;
            construct.broken |= open.broken;
        }
        (region, block)
    }

    /// How the innermost region ends, where its block isn't left before.
    fn close(&mut self, construct: &Construct, block: &Block) {
        let Some(open) = self.open.last() else { return };
        if open.left {
            return;
        }
        let is_loop = matches!(open.around, Around::Loop(_));
        let outs = self.current(&construct.assigned);
        let result = block.tail.as_ref().and_then(|tail| tail.node);
        let region = self.model.region_mut(self.region);
        region.outs = outs;
        if is_loop {
            region.exit = Exit::Continue;
        } else if construct.valued {
            region.result = result;
        }
    }

    /// The nodes of the values that variables have here. They are needed from here.
    pub(crate) fn current(&mut self, roots: &[VariableId]) -> Vec<u32> {
        let mut nodes = Vec::new();
        for root in roots {
            let name = self.model.variable(*root).ident.to_string();
            let is_it = |id: &VariableId| self.model.variable(*id).root == *root;
            let id = self.scopes.all(&name).find(is_it).unwrap_or(*root);
            if let Source::Node(node) = self.model.variable(id).source {
                self.touch_node(node);
                nodes.push(node);
            }
        }
        nodes
    }

    /// What a construct needs: what its own step reads, then what its regions do. How many the first
    /// are. Behind it, the variables that it assigned are new ones, and if it may go on elsewhere,
    /// all that follows waits for it.
    pub(crate) fn end_construct(&mut self, construct: Construct, reads: &[VariableId]) -> u32 {
        let mut uses = self.model.nodes_of(reads);
        let lends = number(uses.len());
        for capture in construct.captures {
            push_new(&mut uses, capture);
        }
        self.model.node_mut(construct.node).uses = uses;
        for root in &construct.assigned {
            let by = construct.node;
            self.another(*root, NodeKind::Assigned { by });
        }
        if construct.leaves {
            self.fence(construct.node);
        }
        lends
    }

    /// A node that a variable's value comes from here on.
    pub(crate) fn another(&mut self, root: VariableId, kind: NodeKind) {
        let ident = self.model.variable(root).ident.clone();
        let naming = Naming::derived(crate::names::unraw(&ident), ident.span());
        let node = self.node(&naming, kind, String::new());
        self.assigned(&ident, node);
    }

    /// From here on, the variable `name` has the value of `node`.
    pub(crate) fn assigned(&mut self, name: &Ident, node: u32) {
        let name = name.to_string();
        let Some(old) = self.scopes.find(&name) else {
            return;
        };
        let old = self.model.variable(old);
        let (ident, root) = (old.ident.clone(), old.root);
        let (home, mutable) = (old.home, old.mutable);
        let id = self.variable(&ident, Source::Node(node));
        let variable = self.model.variable_mut(id);
        variable.root = root;
        variable.home = home;
        variable.mutable = mutable;
        self.scopes.rebind(&name, id);
    }

    /// The regions around this place need `node`, if it is outside of them.
    pub(crate) fn touch_node(&mut self, node: u32) {
        let home = self.model.node(node).region;
        for open in self.open.iter_mut().rev() {
            if open.number == home {
                return;
            }
            push_new(&mut open.captures, node);
        }
    }

    /// What is in the innermost `count` regions goes on behind what they belong to.
    pub(crate) fn leave(&mut self, count: usize) {
        for open in self.open.iter_mut().rev().take(count) {
            open.leaves = true;
        }
    }

    /// All nodes of the innermost region that are still to come wait for `node`.
    pub(crate) fn fence(&mut self, node: u32) {
        let region = self.region;
        let outermost = self.blocks.iter_mut().find(|block| block.region == region);
        if let Some(block) = outermost {
            block.fence = Some(node);
        }
    }
}
