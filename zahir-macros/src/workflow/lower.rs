//! Syntax to model: names become variables, calls become nodes.
//!
//! What is wrong is reported and leaves a hole of any type behind, so that the rest is still checked
//! and nothing else is blamed.

mod branch;
mod call;
mod each;
mod handled;
mod leave;
mod race;
mod region;
mod repeat;
mod statement;
mod wait;

use std::collections::HashMap;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::visit_mut::VisitMut;
use syn::{Expr, Label, Pat};

use crate::canonical;
use crate::errors::Errors;
use crate::names::did_you_mean;
use crate::spans::{Extent, on_line};
use crate::workflow::expand::Head;
use crate::workflow::lower::region::OpenRegion;
use crate::workflow::model::{
    Block, Exit, Model, Node, NodeKind, Parts, PartsId, Region, Source, Statement, Tail, Variable,
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
        blocks: Vec::new(),
        region: 0,
        open: vec![OpenRegion::body()],
        temporaries: 0,
        labeled: false,
        unit: head.returns_unit(),
        output: type_text(&head.output),
    };
    lowering.model.regions.push(Region::new(None));
    lowering.scopes.enter();
    let inputs = head.inputs.iter().map(|input| {
        let ty = canonical::text(input.stored());
        let node = lowering.node(&Naming::fixed(&input.name), NodeKind::Input, ty);
        lowering.bind(&input.name, Source::Node(node))
    });
    let inputs = inputs.collect();
    let pieces = parse::pieces(body.stream(), errors);
    let complete = pieces
        .iter()
        .all(|piece| matches!(piece, Piece::Statement(_)));
    let block = lowering.block(pieces, head.returns_unit());
    if let Some(tail) = &block.tail {
        lowering.model.regions[0].result = tail.node;
    }
    // A `return` at the end of the body is its value.
    lowering.model.regions[0].exit = Exit::Value;
    if block.tail.is_none() && complete && !block.diverges && !head.returns_unit() {
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

const UNREACHABLE: &str = "this is never reached: what is above it always goes on elsewhere";

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

/// A block whose statements are being lowered.
pub(crate) struct OpenBlock {
    statements: Vec<Statement>,
    region: u32,
    /// What the nodes that are still to come wait for.
    pub(crate) fence: Option<u32>,
    /// The nodes in it since there is that fence.
    pub(crate) nodes: Vec<u32>,
    /// Whether what comes next is never reached.
    pub(crate) diverges: bool,
    /// Whether it would be, were that not wrong.
    pub(crate) meant: bool,
}

/// The state of lowering one workflow.
pub(crate) struct Lowering<'a> {
    pub(crate) errors: &'a Errors,
    pub(crate) model: Model,
    pub(crate) scopes: Scopes,
    /// Where each name of each region was given.
    names: HashMap<(u32, String), Span>,
    /// The blocks around this place, outermost first.
    pub(crate) blocks: Vec<OpenBlock>,
    pub(crate) region: u32,
    /// The regions around this place, the body first.
    pub(crate) open: Vec<OpenRegion>,
    temporaries: usize,
    /// Whether a label was refused.
    labeled: bool,
    /// Whether the workflow returns `()`.
    unit: bool,
    /// What it returns, in words.
    output: String,
}

impl Lowering<'_> {
    /// The statements of a block. `unit` if nobody wants its value.
    pub(crate) fn block(&mut self, pieces: Vec<Piece>, unit: bool) -> Block {
        self.open_block();
        self.scopes.begin(&pieces);
        let count = pieces.len();
        let mut tail = None;
        for (index, piece) in pieces.into_iter().enumerate() {
            let last = index + 1 == count;
            if self.blocks.last().is_some_and(|block| block.diverges) {
                self.unreachable(&piece);
                break;
            }
            match piece {
                Piece::Statement(statement) => {
                    tail = self.statement(statement, last, unit);
                }
                Piece::Unknown { name, error } => self.unknown(name, error),
            }
        }
        self.scopes.end();
        let block = self.close_block();
        Block { tail, ..block }
    }

    fn open_block(&mut self) {
        self.blocks.push(OpenBlock {
            statements: Vec::new(),
            region: self.region,
            fence: None,
            nodes: Vec::new(),
            diverges: false,
            meant: false,
        });
    }

    fn close_block(&mut self) -> Block {
        let closed = self.blocks.pop();
        closed.map_or_else(Block::default, |closed| Block {
            statements: closed.statements,
            tail: None,
            diverges: closed.diverges || closed.meant,
        })
    }

    fn unreachable(&mut self, piece: &Piece) {
        let before = self.errors.count();
        if let Piece::Statement(statement) = piece {
            self.errors.at(statement, UNREACHABLE);
        }
        self.broken(None, before);
    }

    fn unknown(&mut self, name: Option<Ident>, error: TokenStream) {
        if let Some(name) = &name {
            let node = self.hole();
            self.bind(name, Source::Node(node));
        }
        self.emit(Statement::Broken { out: name, error });
    }

    pub(crate) fn emit(&mut self, statement: Statement) {
        if let Some(block) = self.blocks.last_mut() {
            block.statements.push(statement);
        }
    }

    /// Adds a node to the region being lowered.
    pub(crate) fn node(&mut self, naming: &Naming, kind: NodeKind, source: String) -> u32 {
        let name = self.unique_name(naming);
        let id = number(self.model.nodes.len());
        let after = if kind.is_given() {
            Vec::new()
        } else {
            self.fences()
        };
        self.count(id);
        self.model.nodes.push(Node {
            name,
            kind,
            region: self.region,
            uses: Vec::new(),
            after,
            arguments: Vec::new(),
            source,
            at: naming.at,
            settings: TokenStream::new(),
        });
        id
    }

    /// What a node that is put here waits for.
    fn fences(&self) -> Vec<u32> {
        let mut fences = Vec::new();
        let region = self.region;
        let blocks = self.blocks.iter().rev();
        for block in blocks.take_while(|block| block.region == region) {
            if let Some(fence) = block.fence {
                push_new(&mut fences, fence);
            }
        }
        fences
    }

    /// `node` is in the blocks of the innermost region that are open.
    fn count(&mut self, node: u32) {
        let region = self.region;
        let blocks = self.blocks.iter_mut().rev();
        for block in blocks.take_while(|block| block.region == region) {
            block.nodes.push(node);
        }
    }

    /// `'outer: loop`
    pub(crate) fn no_label(&mut self, label: Option<&Label>) {
        if let Some(label) = label {
            self.labeled = true;
            self.errors.at(
                label,
                "no labels in a workflow: `break` and `continue` are about the innermost loop",
            );
        }
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
            mutable: false,
            home: self.region,
            root: id,
        });
        id
    }

    pub(crate) fn temporary(&mut self, at: Span) -> Ident {
        self.temporaries += 1;
        Ident::new(&format!("__value_{}", self.temporaries), at)
    }

    /// The parts of a value, written at `at`, that a pattern names.
    fn destructure(&mut self, pattern: &Pat, whole: VariableId, at: Extent) {
        let ident = &self.model.variable(whole).ident;
        let parts = PartsId(self.model.parts.len());
        self.model.parts.push(Parts {
            matched: quote!(*#ident),
            uses: vec![whole],
            pattern: crate::workflow::rewrite::by_reference(pattern),
            owned: false,
            names: syntax::bindings(pattern),
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
        self.rewrite_value_with(expression, &[])
    }

    /// The same, where patterns have bound some names already.
    pub(crate) fn rewrite_value_with(
        &mut self,
        expression: &mut Expr,
        bound: &[VariableId],
    ) -> Vec<VariableId> {
        self.rewrite(bound, |rewrite| rewrite.value(expression))
    }

    /// Resolves an expression that only looks at values; the variables it is made of.
    pub(crate) fn rewrite_place(
        &mut self,
        expression: &mut Expr,
        bound: &[VariableId],
    ) -> Vec<VariableId> {
        self.rewrite(bound, |rewrite| rewrite.visit_expr_mut(expression))
    }

    /// Resolves what `resolve` does; the variables that it is made of.
    fn rewrite(
        &mut self,
        bound: &[VariableId],
        resolve: impl FnOnce(&mut Rewrite<'_, '_>),
    ) -> Vec<VariableId> {
        let mut rewrite = Rewrite::new(self);
        rewrite.bound(bound);
        resolve(&mut rewrite);
        let uses = rewrite.into_uses();
        self.touch(&uses);
        uses
    }

    /// The regions around this place need what is used in them.
    pub(crate) fn touch(&mut self, uses: &[VariableId]) {
        for id in uses {
            let root = self.model.variable(*id).root;
            self.model.used.extend([id.0, root.0]);
        }
        for node in self.model.nodes_of(uses) {
            self.touch_node(node);
        }
    }

    /// The source of a node, in which a variable is what it is made of, whatever it is called.
    pub(crate) fn source_of(&self, tokens: TokenStream, uses: &[VariableId]) -> String {
        let (whole, parts) = self.model.reads(uses);
        let mut names = self.variable_names(uses);
        if parts.is_empty() {
            return canonical::text_over(tokens, &names);
        }
        names.extend(self.variable_names(&whole));
        let parts = parts.into_iter().map(|id| &self.model.parts[id.0]);
        let parts: Vec<&Parts> = parts.collect();
        for part in &parts {
            names.extend(part.names.iter().map(Ident::to_string));
        }
        let mut text = canonical::text_over(tokens, &names);
        for part in parts {
            let (pattern, matched) = (part.pattern.clone(), part.matched.clone());
            text += &canonical::text_over(quote!(; #pattern = #matched), &names);
        }
        text
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
