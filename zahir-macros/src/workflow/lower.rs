//! Syntax to model: names become variables, calls become nodes.
//!
//! What is wrong is reported and leaves a hole of any type behind, so that the rest is still checked
//! and nothing else is blamed.

mod call;
mod each;
mod statement;

use std::collections::HashMap;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use syn::{Expr, Pat, Stmt};

use crate::errors::Errors;
use crate::names::did_you_mean;
use crate::spans::{Extent, hidden, on_line};
use crate::workflow::expand::Head;
use crate::workflow::model::{
    Block, Model, Node, NodeKind, Parts, PartsId, Region, Source, Statement, Tail, Variable,
    VariableId, number, push_new,
};
use crate::workflow::parse::{self, Piece};
use crate::workflow::rewrite::Rewrite;
use crate::workflow::scope::Scopes;
use crate::workflow::{syntax, type_text};

/// A whole workflow, lowered.
pub(crate) struct Lowered {
    pub(crate) model: Model,
    pub(crate) inputs: Vec<VariableId>,
    pub(crate) body: Block,
}

pub(crate) fn lower(head: &Head, body: &Group, errors: &Errors) -> Lowered {
    let mut lowering = Lowering {
        errors,
        model: Model::default(),
        scopes: Scopes::default(),
        names: HashMap::new(),
        statements: Vec::new(),
        region: 0,
        loops: Vec::new(),
        temporaries: 0,
        unit: head.returns_unit(),
    };
    lowering.model.regions.push(Region {
        parent: None,
        result: None,
    });
    lowering.scopes.enter();
    let inputs = head.inputs.iter().map(|input| {
        let ty = crate::canonical::text(input.stored());
        let node = lowering.node(&Naming::fixed(&input.name), NodeKind::Input, ty);
        lowering.bind(&input.name, Source::Node(node))
    });
    let inputs = inputs.collect();
    let pieces = parse::pieces(body.stream(), errors);
    let complete = pieces
        .iter()
        .all(|piece| matches!(piece, Piece::Statement(_)));
    let returns = matches!(
        pieces.last(),
        Some(Piece::Statement(Stmt::Expr(Expr::Return(_), _)))
    );
    let block = lowering.block(pieces, true);
    lowering.model.regions[0].result = block.tail.as_ref().and_then(|tail| tail.node);
    if block.tail.is_none() && complete && !returns && !head.returns_unit() {
        missing_output(head, body, errors);
    }
    Lowered {
        model: lowering.model,
        inputs,
        body: block,
    }
}

fn missing_output(head: &Head, body: &Group, errors: &Errors) {
    let (at, what) = match body.stream().into_iter().last() {
        Some(TokenTree::Punct(last)) if last.as_char() == ';' => (
            last.span(),
            "; remove this `;` to return the value of the last call",
        ),
        _ => (body.span_close(), "; end it with an expression"),
    };
    let output = type_text(&head.output);
    let message =
        format!("this workflow returns `{output}`, but its body ends without a value{what}");
    errors.span(at, message);
}

/// How a node gets its name.
pub(crate) struct Naming {
    pub(crate) name: String,
    pub(crate) at: Span,
    /// Whether the user chose it: then another node can't have it.
    pub(crate) chosen: bool,
}

impl Naming {
    /// The name of a variable.
    pub(crate) fn fixed(name: &Ident) -> Self {
        Self {
            name: crate::names::unraw(name),
            at: name.span(),
            chosen: true,
        }
    }

    /// A name that may be followed by a number.
    pub(crate) fn derived(name: impl Into<String>, at: Span) -> Self {
        Self {
            name: name.into(),
            at,
            chosen: false,
        }
    }
}

/// The value that a lowered expression has.
#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) ident: Ident,
    pub(crate) node: Option<u32>,
}

/// A `for` whose body is being lowered.
struct OpenLoop {
    /// The nodes from around it that its body needs.
    captures: Vec<u32>,
}

/// The state of lowering one workflow.
pub(crate) struct Lowering<'a> {
    pub(crate) errors: &'a Errors,
    pub(crate) model: Model,
    pub(crate) scopes: Scopes,
    /// Where each name of each region was given.
    names: HashMap<(u32, String), Span>,
    /// The statements of the blocks that are open, outermost first.
    statements: Vec<Vec<Statement>>,
    region: u32,
    loops: Vec<OpenLoop>,
    temporaries: usize,
    /// Whether the workflow returns `()`.
    unit: bool,
}

impl Lowering<'_> {
    /// The statements of a block. `outermost` if it is the body of the workflow.
    fn block(&mut self, pieces: Vec<Piece>, outermost: bool) -> Block {
        self.statements.push(Vec::new());
        self.scopes.begin(&pieces);
        let count = pieces.len();
        let mut tail = None;
        for (index, piece) in pieces.into_iter().enumerate() {
            let last = index + 1 == count;
            match piece {
                Piece::Statement(statement) => {
                    tail = self.statement(statement, last, outermost && self.unit);
                }
                Piece::Unknown { name, error } => self.unknown(name, error),
            }
        }
        self.scopes.end();
        Block {
            statements: self.statements.pop().unwrap_or_default(),
            tail,
        }
    }

    fn unknown(&mut self, name: Option<Ident>, error: TokenStream) {
        if let Some(name) = &name {
            let node = self.hole();
            self.bind(name, Source::Node(node));
        }
        self.emit(Statement::Broken { out: name, error });
    }

    pub(crate) fn emit(&mut self, statement: Statement) {
        if let Some(block) = self.statements.last_mut() {
            block.push(statement);
        }
    }

    /// Adds a node to the region being lowered.
    pub(crate) fn node(&mut self, naming: &Naming, kind: NodeKind, source: String) -> u32 {
        let name = self.unique_name(naming);
        let id = number(self.model.nodes.len());
        self.model.nodes.push(Node {
            name,
            kind,
            region: self.region,
            uses: Vec::new(),
            after: Vec::new(),
            arguments: Vec::new(),
            source,
            at: naming.at,
            settings: TokenStream::new(),
        });
        id
    }

    /// A node for something wrong.
    fn hole(&mut self) -> u32 {
        let naming = Naming::derived("_", Span::call_site());
        self.node(&naming, NodeKind::Value, String::new())
    }

    fn unique_name(&mut self, naming: &Naming) -> String {
        let Naming { name, at, chosen } = naming;
        let mut unique = name.clone();
        if *chosen && let Some(first) = self.names.get(&(self.region, unique.clone())) {
            let message = format!(
                "a node named `{name}` already exists{}; names tell a run's nodes apart after a \
                 restart, so give this one another",
                on_line(*first)
            );
            self.errors.span(*at, message);
        }
        let mut count = 1;
        while self.names.contains_key(&(self.region, unique.clone())) {
            count += 1;
            unique = format!("{name}_{count}");
        }
        self.names.insert((self.region, unique.clone()), *at);
        unique
    }

    pub(crate) fn bind(&mut self, ident: &Ident, source: Source) -> VariableId {
        let id = self.variable(ident, source);
        self.scopes.bind(ident, id);
        id
    }

    /// A variable that no name in the source means.
    pub(crate) fn variable(&mut self, ident: &Ident, source: Source) -> VariableId {
        let id = VariableId(self.model.variables.len());
        self.model.variables.push(Variable {
            ident: ident.clone(),
            source,
        });
        id
    }

    pub(crate) fn temporary(&mut self, at: Span) -> Ident {
        self.temporaries += 1;
        let mut ident = hidden(&format!("__value_{}", self.temporaries));
        ident.set_span(ident.span().located_at(at));
        ident
    }

    /// The parts of a value, written at `at`, that a pattern names.
    fn destructure(&mut self, pattern: &Pat, whole: VariableId, at: Extent) {
        let parts = PartsId(self.model.parts.len());
        self.model.parts.push(Parts {
            whole,
            pattern: crate::workflow::rewrite::by_reference(pattern),
        });
        for name in syntax::bindings(pattern) {
            self.bind(&name, Source::Parts(parts));
        }
        self.emit(Statement::Pattern {
            whole,
            pattern: pattern.clone(),
            at,
        });
    }

    /// Resolves what an expression hands over whole; the variables it is made of.
    pub(crate) fn rewrite_value(&mut self, expression: &mut Expr) -> Vec<VariableId> {
        let mut rewrite = Rewrite::new(self);
        rewrite.value(expression);
        let uses = rewrite.into_uses();
        self.touch(&uses);
        uses
    }

    /// The `for`s around this place need what their bodies use from around them.
    pub(crate) fn touch(&mut self, uses: &[VariableId]) {
        self.model.used.extend(uses.iter().map(|id| id.0));
        for node in self.model.nodes_of(uses) {
            self.touch_node(node);
        }
    }

    fn touch_node(&mut self, node: u32) {
        let home = self.model.node_mut(node).region;
        let depth = self.model.depth(home);
        for open in self.loops.iter_mut().skip(depth) {
            push_new(&mut open.captures, node);
        }
    }

    /// Says so if `name` is only defined further down.
    pub(crate) fn check_later(&self, name: &Ident) -> bool {
        let text = name.to_string();
        let Some(later) = self.scopes.later(&text) else {
            return false;
        };
        let message = match self.scopes.cycle(&text) {
            Some(cycle) if cycle.len() == 2 => format!("`{text}` needs its own value"),
            Some(cycle) => {
                let names: Vec<String> = cycle.iter().map(|name| format!("`{name}`")).collect();
                format!(
                    "these nodes wait for each other: {} (each needs the one after it)",
                    names.join(" -> ")
                )
            }
            None => {
                let line = on_line(later.ident.span());
                format!(
                    "`{text}` is used before it is defined{line}; move its `let` above this line"
                )
            }
        };
        self.errors.at(name, message);
        true
    }

    /// `; did you mean ..?` among the variables in scope.
    pub(crate) fn similar_variable(&self, name: &Ident) -> String {
        did_you_mean(&name.to_string(), self.scopes.names()).unwrap_or_default()
    }

    /// If something went wrong since `before`, the statement for it.
    fn broken(&mut self, out: Option<&Ident>, before: usize) -> bool {
        let Some(error) = self.errors.take_since(before) else {
            return false;
        };
        let out = out.cloned();
        self.emit(Statement::Broken { out, error });
        true
    }

    pub(crate) fn tail_of(value: &Value, at: Extent) -> Tail {
        Tail {
            ident: value.ident.clone(),
            node: value.node,
            at,
        }
    }
}
