//! A workflow with its names resolved: nodes, regions, variables, and the statements to write.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream};
use syn::token::Mut;
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
    /// In the order of their first waits.
    pub(crate) signals: Vec<SignalName>,
    /// The places in `variables` that some node reads.
    pub(crate) used: HashSet<usize>,
    /// The places in `variables` where one is declared that is assigned later.
    pub(crate) assigned: HashSet<usize>,
}

impl Model {
    pub(crate) fn variable(&self, id: VariableId) -> &Variable {
        &self.variables[id.0]
    }

    pub(crate) fn variable_mut(&mut self, id: VariableId) -> &mut Variable {
        &mut self.variables[id.0]
    }

    /// The variables to lend for `uses`, in order, and the patterns that take parts of them.
    pub(crate) fn reads(&self, uses: &[VariableId]) -> (Vec<VariableId>, Vec<PartsId>) {
        let mut reads = (Vec::new(), Vec::new());
        self.add_reads(uses, &mut reads);
        reads
    }

    fn add_reads(&self, uses: &[VariableId], reads: &mut (Vec<VariableId>, Vec<PartsId>)) {
        for id in uses {
            match self.variable(*id).source {
                Source::Node(_) => push_new(&mut reads.0, *id),
                Source::Parts(parts) if reads.1.contains(&parts) => {}
                Source::Parts(parts) => {
                    // What the parts are taken of comes first, which may be a part itself.
                    self.add_reads(&self.parts[parts.0].uses, reads);
                    reads.1.push(parts);
                }
            }
        }
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

    pub(crate) fn region_mut(&mut self, number: u32) -> &mut Region {
        &mut self.regions[index(number)]
    }

    pub(crate) fn node(&self, number: u32) -> &Node {
        &self.nodes[index(number)]
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

/// What `ShapeKind` of the library says, field by field.
#[derive(Clone)]
pub(crate) enum NodeKind {
    Input,
    Item,
    Carried,
    Caught,
    Assigned {
        by: u32,
    },
    Value,
    Call,
    Each {
        item: u32,
        body: u32,
        lends: u32,
        limit: Option<u32>,
    },
    Branch {
        arms: Vec<u32>,
        lends: u32,
    },
    Loop {
        body: u32,
        starts: Vec<u32>,
        max: Option<u32>,
        or_last: bool,
    },
    Rescue {
        body: u32,
        handler: u32,
    },
    Result {
        body: u32,
    },
    Finally {
        body: u32,
        last: u32,
    },
    Race {
        entries: Vec<u32>,
    },
    Sleep,
    Signal {
        name: String,
        /// An expression for a `Duration`.
        timeout: Option<TokenStream>,
    },
}

impl NodeKind {
    /// Whether it is there with what it belongs to, and has nothing to wait for.
    pub(crate) fn is_given(&self) -> bool {
        matches!(
            self,
            Self::Input | Self::Item | Self::Carried | Self::Caught | Self::Assigned { .. }
        )
    }
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
    pub(crate) exit: Exit,
    pub(crate) outs: Vec<u32>,
    /// How it is shown; empty if what it is to its node says it all.
    pub(crate) label: String,
}

impl Region {
    pub(crate) fn new(parent: Option<(u32, u32)>) -> Self {
        Self {
            parent,
            result: None,
            exit: Exit::Value,
            outs: Vec::new(),
            label: String::new(),
        }
    }
}

/// Where a run goes on at the end of a region.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Value,
    Break,
    Continue,
    Return,
}

/// What a name means between two assignments. In the wiring function all of them are one variable:
/// it stands for a type, and an assignment doesn't change that.
pub(crate) struct Variable {
    /// As it is written where it is bound.
    pub(crate) ident: Ident,
    pub(crate) source: Source,
    /// Whether it was declared with `let mut`, and the region of that.
    pub(crate) mutable: bool,
    pub(crate) home: u32,
    /// What it was when it was declared.
    pub(crate) root: VariableId,
}

#[derive(Clone, Copy)]
pub(crate) enum Source {
    Node(u32),
    Parts(PartsId),
}

/// A pattern that takes parts of a value.
pub(crate) struct Parts {
    /// The value, as an expression over `uses`.
    pub(crate) matched: TokenStream,
    pub(crate) uses: Vec<VariableId>,
    pub(crate) pattern: TokenStream,
    /// What it binds.
    pub(crate) names: Vec<Ident>,
    /// Whether it binds otherwise than by reference, so that references are made of that.
    pub(crate) owned: bool,
}

/// The statements of one block.
#[derive(Default)]
pub(crate) struct Block {
    pub(crate) statements: Vec<Statement>,
    pub(crate) tail: Option<Tail>,
    /// Whether its end is never reached: it is left before.
    pub(crate) diverges: bool,
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
    Branch(Branch),
    Loop(Loop),
    Assign(Assign),
    Break(Break),
    /// `return value`
    Return(Option<Tail>),
    /// `let mut x`: rustc says so if it is never assigned.
    Mutable {
        mutability: Mut,
        variable: VariableId,
    },
    Rescue(Rescue),
    Settle(Settle),
    Finally(Finally),
    Race(Race),
    Sleep(Sleep),
    Signal(Signal),
    /// Counts as a use of the variables.
    Uses(Vec<Ident>),
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
    /// What only attempts have, so that what is called has to be a job.
    pub(crate) settings: Vec<Setting>,
    /// What the job's error is kept by, if there is a handler for it.
    pub(crate) keep: Option<Ident>,
}

/// `.retry(3)`, `.timeout(30s)` and the like.
pub(crate) struct Setting {
    /// Whether it is about further attempts, which not every job has.
    pub(crate) retries: bool,
    /// The method.
    pub(crate) at: Span,
}

pub(crate) struct PureValue {
    pub(crate) out: Ident,
    pub(crate) node: u32,
    pub(crate) expression: TokenStream,
    /// Whether it is `x.a`, a part of what is there already.
    pub(crate) is_part: bool,
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

pub(crate) struct Branch {
    pub(crate) out: Option<Ident>,
    pub(crate) node: u32,
    pub(crate) pick: Pick,
    pub(crate) uses: Vec<VariableId>,
    pub(crate) arms: Vec<Arm>,
    /// The keyword.
    pub(crate) at: Span,
}

/// What decides for an arm.
pub(crate) enum Pick {
    /// The first arm if it is true, else the second.
    Condition {
        condition: TokenStream,
        /// What its patterns bind.
        bound: Vec<VariableId>,
        /// The word `else`.
        otherwise: Option<Span>,
        /// Whether the second arm is `else if`.
        chain: bool,
    },
    Match {
        matched: TokenStream,
        arms: Vec<PickArm>,
        braces: Span,
    },
    Broken(TokenStream),
}

pub(crate) struct PickArm {
    pub(crate) pattern: TokenStream,
    pub(crate) guard: Option<TokenStream>,
    pub(crate) bound: Vec<VariableId>,
    pub(crate) arrow: Span,
    pub(crate) body: Span,
}

pub(crate) struct Arm {
    pub(crate) block: Block,
    pub(crate) at: Extent,
}

pub(crate) struct Loop {
    pub(crate) out: Option<Ident>,
    /// Stands for what the `break`s give.
    pub(crate) value: Ident,
    /// Whether there are any, or the loop ends otherwise.
    pub(crate) broken: bool,
    /// Whether they can only give `()`.
    pub(crate) unit: bool,
    pub(crate) body: Block,
}

pub(crate) struct Assign {
    /// As it was declared.
    pub(crate) root: VariableId,
    pub(crate) new: Tail,
}

pub(crate) struct Break {
    /// That of the loop.
    pub(crate) value: Ident,
    pub(crate) given: Option<Tail>,
    pub(crate) at: Span,
}

/// What may fail.
pub(crate) struct Body {
    pub(crate) block: Block,
    /// What the error of its job is kept by: `None` if it is no direct call.
    pub(crate) keep: Option<Ident>,
    pub(crate) at: Extent,
}

/// `.rescue(|error: ty| handler)`
pub(crate) struct Rescue {
    pub(crate) out: Ident,
    pub(crate) body: Body,
    pub(crate) error: Ident,
    pub(crate) ty: Option<Type>,
    pub(crate) handler: Block,
    pub(crate) handler_at: Extent,
}

/// `.result()`
pub(crate) struct Settle {
    pub(crate) out: Ident,
    pub(crate) node: u32,
    pub(crate) body: Body,
}

/// `.finally(last)`
pub(crate) struct Finally {
    pub(crate) out: Ident,
    pub(crate) body: Body,
    pub(crate) last: Block,
}

/// `race((entries))`
pub(crate) struct Race {
    pub(crate) out: Ident,
    pub(crate) node: u32,
    pub(crate) entries: Vec<Entry>,
    pub(crate) at: Extent,
}

pub(crate) struct Entry {
    pub(crate) block: Block,
    pub(crate) at: Extent,
}

/// `sleep(time)`, `sleep_until(time)`
pub(crate) struct Sleep {
    pub(crate) node: u32,
    pub(crate) until: bool,
    pub(crate) time: TokenStream,
    pub(crate) uses: Vec<VariableId>,
    /// Where it says `sleep`.
    pub(crate) word: Span,
}

/// `signal::<payload>("name")`
pub(crate) struct Signal {
    pub(crate) out: Ident,
    pub(crate) node: u32,
    pub(crate) payload: Type,
    /// The payload at the first wait for the signal, if this is another one.
    pub(crate) first: Option<Type>,
    /// Whether it may not come in time.
    pub(crate) limited: bool,
    pub(crate) at: Extent,
}

/// A signal that the workflow waits for.
pub(crate) struct SignalName {
    pub(crate) name: String,
    /// The constant for it.
    pub(crate) constant: Ident,
    pub(crate) payload: Type,
}
