//! A workflow with its names resolved: nodes, regions, variables, and the statements to write.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream};
use syn::{Pat, Type};

use crate::spans::Extent;

/// Index into [`Model::variables`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct VariableId(pub(crate) usize);

/// Index into [`Model::parts`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartsId(pub(crate) usize);

/// Everything that is not a statement.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) nodes: Vec<Node>,
    pub(crate) regions: Vec<Region>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) parts: Vec<Parts>,
    /// The places in `variables` that some node reads.
    pub(crate) used: HashSet<usize>,
}

impl Model {
    pub(crate) fn variable(&self, id: VariableId) -> &Variable {
        &self.variables[id.0]
    }

    /// The variables to lend for `uses`, in order, and the patterns that take parts of them.
    pub(crate) fn reads(&self, uses: &[VariableId]) -> (Vec<VariableId>, Vec<PartsId>) {
        let (mut lent, mut parts) = (Vec::new(), Vec::new());
        for id in uses {
            let whole = match self.variable(*id).source {
                Source::Node(_) => *id,
                Source::Parts(parts_id) => {
                    push_new(&mut parts, parts_id);
                    self.parts[parts_id.0].whole
                }
            };
            push_new(&mut lent, whole);
        }
        (lent, parts)
    }

    /// The nodes whose values `uses` are made of, in order, each once.
    pub(crate) fn nodes_of(&self, uses: &[VariableId]) -> Vec<u32> {
        let mut nodes = Vec::new();
        for id in self.reads(uses).0 {
            if let Source::Node(node) = self.variable(id).source {
                push_new(&mut nodes, node);
            }
        }
        nodes
    }

    /// How many regions are around this one.
    pub(crate) fn depth(&self, region: u32) -> usize {
        let mut depth = 0;
        let mut region = region;
        while let Some((parent, _)) = self.region(region).parent {
            depth += 1;
            region = parent;
        }
        depth
    }

    pub(crate) fn region(&self, number: u32) -> &Region {
        &self.regions[index(number)]
    }

    pub(crate) fn node_mut(&mut self, number: u32) -> &mut Node {
        &mut self.nodes[index(number)]
    }
}

pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(crate) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

pub(crate) fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) kind: NodeKind,
    pub(crate) region: u32,
    pub(crate) uses: Vec<u32>,
    pub(crate) after: Vec<u32>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) source: String,
    pub(crate) at: Span,
    pub(crate) settings: TokenStream,
}

#[derive(Clone, Copy)]
pub(crate) enum NodeKind {
    Input,
    Item,
    Value,
    Call,
    Each {
        item: u32,
        body: u32,
        lends: u32,
        limit: Option<u32>,
    },
}

pub(crate) enum Argument {
    Copy(u32),
    Lend(u32),
    Expression(Vec<u32>),
}

pub(crate) struct Region {
    /// The region around it and the node that enters it.
    pub(crate) parent: Option<(u32, u32)>,
    pub(crate) result: Option<u32>,
}

pub(crate) struct Variable {
    /// As it is written where it is bound.
    pub(crate) ident: Ident,
    pub(crate) source: Source,
}

#[derive(Clone, Copy)]
pub(crate) enum Source {
    Node(u32),
    Parts(PartsId),
}

/// A pattern that takes parts of a value.
pub(crate) struct Parts {
    pub(crate) whole: VariableId,
    /// The pattern, binding by reference.
    pub(crate) pattern: TokenStream,
}

/// The statements of one block.
pub(crate) struct Block {
    pub(crate) statements: Vec<Statement>,
    pub(crate) tail: Option<Tail>,
}

/// What a block gives.
#[derive(Clone)]
pub(crate) struct Tail {
    pub(crate) ident: Ident,
    pub(crate) node: Option<u32>,
    pub(crate) at: Extent,
}

/// One thing to write into the wiring function.
pub(crate) enum Statement {
    Call(Call),
    Value(PureValue),
    Each(Each),
    /// `{ .. }`, as a scope of its own.
    Scope {
        out: Option<Ident>,
        block: Block,
    },
    /// `let x: T = call`: the call's value is a `T`.
    Annotation {
        out: Ident,
        ty: Type,
        at: Extent,
    },
    /// `let (a, b) = ..`: rustc checks the pattern against the value.
    Pattern {
        whole: VariableId,
        pattern: Pat,
        at: Extent,
    },
    /// What stands for something wrong.
    Broken {
        out: Option<Ident>,
        error: TokenStream,
    },
}

pub(crate) struct Call {
    pub(crate) out: Ident,
    pub(crate) node: u32,
    pub(crate) call: TokenStream,
    pub(crate) at: Extent,
    /// Whether the call may borrow from a temporary, which then has to live as long as the attempt.
    pub(crate) keeps_temporaries: bool,
    pub(crate) uses: Vec<VariableId>,
    /// The variables in `.after(..)`.
    pub(crate) after: Vec<Ident>,
}

pub(crate) struct PureValue {
    pub(crate) out: Ident,
    pub(crate) node: u32,
    pub(crate) expression: TokenStream,
    pub(crate) ty: Option<Type>,
    pub(crate) uses: Vec<VariableId>,
}

pub(crate) struct Each {
    pub(crate) out: Option<Ident>,
    pub(crate) node: u32,
    pub(crate) item: Ident,
    pub(crate) items: TokenStream,
    pub(crate) uses: Vec<VariableId>,
    pub(crate) body: Block,
}
