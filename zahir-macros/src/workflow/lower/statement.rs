//! Statements: `let`, a call for its effect, and the value of a block.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, ExprBlock, ExprCall, ExprLit, ExprReference, Lit, Local, LocalInit, Pat,
    PatIdent, Stmt, Type,
};

use crate::spans::Extent;
use crate::workflow::lower::{Lowering, Naming, Value};
use crate::workflow::model::{Argument, NodeKind, PureValue, Source, Statement, Tail, VariableId};
use crate::workflow::parse::Piece;
use crate::workflow::rewrite::{NO_AWAIT, NO_QUESTION};
use crate::workflow::syntax::{self, Chain};

impl Lowering<'_> {
    /// The value of the block, if this statement is it. `unit` if the block gives `()`.
    pub(crate) fn statement(&mut self, statement: Stmt, last: bool, unit: bool) -> Option<Tail> {
        match statement {
            Stmt::Local(local) => self.local(local),
            Stmt::Item(item) => {
                // An item may be what its own errors are about; it is not put anywhere.
                let before = self.errors.count();
                self.errors
                    .at(&item, "items belong outside of the workflow");
                self.broken(None, before);
            }
            Stmt::Macro(call) if last && call.semi_token.is_none() => {
                let expression = Expr::Macro(syn::ExprMacro {
                    attrs: call.attrs,
                    mac: call.mac,
                });
                return self.tail(expression);
            }
            Stmt::Macro(call) => {
                let before = self.errors.count();
                let message =
                    "a workflow only wires jobs together: move this side effect into a `#[job]`";
                self.errors.at(&call, message);
                self.broken(None, before);
            }
            Stmt::Expr(expression, semicolon) => {
                if syntax::is_action(&expression) {
                    self.action(expression);
                    return None;
                }
                if syntax::is_sleep(&expression) {
                    self.effect(expression);
                    return None;
                }
                let effect = unit && syntax::is_construct(&expression);
                if last && semicolon.is_none() && !effect {
                    return self.tail(expression);
                }
                self.effect(expression);
            }
        }
        None
    }

    fn local(&mut self, local: Local) {
        let before = self.errors.count();
        for attribute in &local.attrs {
            self.misplaced(attribute);
        }
        let (pattern, ty) = match local.pat {
            Pat::Type(typed) => (*typed.pat, Some(*typed.ty)),
            pattern => (pattern, None),
        };
        let names = syntax::bindings(&pattern);
        if let Some(reference) = lent_whole(&pattern, local.init.as_ref()) {
            return self.lent_pattern(reference, names);
        }
        self.scopes.begin_definition(&names);
        let plain = match &pattern {
            Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {
                Some(name.ident.clone())
            }
            _ => None,
        };
        let out = plain
            .clone()
            .unwrap_or_else(|| self.temporary(pattern.span()));
        let at = local
            .init
            .as_ref()
            .map_or_else(|| Extent::of(&pattern), |init| Extent::of(&init.expr));
        let node = match local.init {
            Some(init) => {
                if let Some((otherwise, _)) = &init.diverge {
                    self.errors.at(
                        otherwise,
                        "no `let .. else` in a workflow: use `match` or `if let`",
                    );
                }
                let naming = match &plain {
                    Some(name) => self.naming_of(name),
                    None => Naming::derived(joined(&names), pattern.span()),
                };
                self.definition(*init.expr, &out, naming, ty)
            }
            None => {
                self.errors
                    .at(&pattern, "give this its value where it is declared");
                None
            }
        };
        self.broken(Some(&out), before);
        let node = node.unwrap_or_else(|| self.hole());
        self.scopes.end_definition(&names);
        if plain.is_some() {
            let variable = self.bind(&out, Source::Node(node));
            if let Pat::Ident(PatIdent {
                mutability: Some(mutability),
                ..
            }) = pattern
            {
                self.model.variable_mut(variable).mutable = true;
                self.emit(Statement::Mutable {
                    mutability,
                    variable,
                });
            }
        } else {
            let whole = self.variable(&out, Source::Node(node));
            self.destructure(&pattern, whole, at);
            self.check_bindings(&pattern);
        }
    }

    /// `let (a, b) = &pair;`: written for Rust, where it makes references of them.
    fn lent_pattern(&mut self, reference: &ExprReference, names: Vec<Ident>) {
        let lent = names
            .first()
            .map_or_else(|| "x".to_owned(), Ident::to_string);
        let message = format!(
            "no `&` here: a pattern of a workflow never moves anything; remove it, and write \
             `&{lent}` where that is lent"
        );
        let before = self.errors.count();
        self.errors.at(&reference.and_token, message);
        self.broken_names(names, before);
    }

    /// Binds names that something wrong, said since there were `before` mistakes, would have bound.
    pub(crate) fn broken_names(&mut self, names: Vec<Ident>, before: usize) -> Vec<VariableId> {
        let mut error = self.errors.take_since(before);
        let mut bound = Vec::new();
        for name in names {
            let node = self.hole();
            bound.push(self.bind(&name, Source::Node(node)));
            // The next one is as little of any type as the first.
            if let Some(error) = error.replace(name.to_token_stream()) {
                let out = Some(name);
                self.emit(Statement::Broken { out, error });
            }
        }
        if bound.is_empty()
            && let Some(error) = error
        {
            self.emit(Statement::Broken { out: None, error });
        }
        bound
    }

    /// A variable names its node, unless it hides one of a scope around it.
    fn naming_of(&self, name: &Ident) -> Naming {
        let mut naming = Naming::fixed(name);
        let text = name.to_string();
        if text == "_" || !self.scopes.binds_here(&text) && self.scopes.find(&text).is_some() {
            naming.chosen = false;
        }
        naming
    }

    /// An attribute that is on no loop.
    fn misplaced(&self, attribute: &Attribute) {
        let message = if attribute.path().is_ident("limit") {
            "`#[limit(..)]` belongs right before a `for`, as in `let x = #[limit(8)] for ..`"
        } else if attribute.path().is_ident("max") {
            "`#[max(..)]` belongs right before a `loop` or `while`, as in `let x = #[max(5)] loop ..`"
        } else if attribute.path().is_ident("saga") {
            "`#[saga]` is about a whole workflow: write it before its `async fn`"
        } else {
            "only the loops of a workflow can have attributes: `#[limit(8)] for ..`, `#[max(5)] loop \
             ..`"
        };
        self.errors.at(attribute, message);
    }

    /// `#[limit(8)] job()`
    fn without_attributes(&self, mut expression: Expr) -> Expr {
        for attribute in syntax::attributes(&mut expression) {
            self.misplaced(&attribute);
        }
        expression
    }

    /// The node of a `let`.
    fn definition(
        &mut self,
        expression: Expr,
        out: &Ident,
        naming: Naming,
        ty: Option<Type>,
    ) -> Option<u32> {
        let expression = self.without_await(self.without_attributes(expression));
        let is_pure = syntax::chain(&expression).is_none() && !syntax::is_construct(&expression);
        if is_pure {
            return Some(self.pure_value(expression, out, &naming, ty));
        }
        let at = Extent::of(&expression);
        let before = self.errors.count();
        let value = self.construct_of(&expression, out, naming, ty.as_ref());
        if let Some(ty) = ty
            && self.errors.count() == before
        {
            let out = out.clone();
            self.emit(Statement::Annotation { out, ty, at });
        }
        value.node
    }

    /// `job().await?`: what is meant is the call.
    fn without_await(&self, expression: Expr) -> Expr {
        match expression {
            Expr::Await(awaiting) => {
                let inner = self.without_await(*awaiting.base);
                self.errors.at(&awaiting.await_token, NO_AWAIT);
                inner
            }
            Expr::Try(question) => {
                let inner = self.without_await(*question.expr);
                self.errors.at(&question.question_token, NO_QUESTION);
                inner
            }
            other => other,
        }
    }

    /// The value of a block; `None` if it always goes on elsewhere.
    fn tail(&mut self, expression: Expr) -> Option<Tail> {
        let expression = self.without_ok_at_end(expression);
        let tail = self.value_of(expression, None);
        let diverges = self.blocks.last().is_some_and(|block| block.diverges);
        (!diverges).then_some(tail)
    }

    /// A value that is given on: that of a variable, or of a node named after `variable`.
    pub(crate) fn value_of(&mut self, expression: Expr, variable: Option<&Ident>) -> Tail {
        let at = Extent::of(&expression);
        if let Some(name) = syntax::variable(&expression)
            && let Some(variable) = self.scopes.find(&name.to_string())
            && let Source::Node(node) = self.model.variable(variable).source
        {
            self.touch(&[variable]);
            let mut ident = self.model.variable(variable).ident.clone();
            ident.set_span(ident.span().located_at(name.span()));
            let node = Some(node);
            return Tail { ident, node, at };
        }
        let before = self.errors.count();
        let out = self.temporary(at.first);
        let name = match (default_name(&expression), variable) {
            (name, Some(variable)) if name == "value" => crate::names::unraw(variable),
            (name, _) => name,
        };
        let naming = Naming::derived(name, at.first);
        let node = self.definition(expression, &out, naming, None);
        self.broken(Some(&out), before);
        Self::tail_of(&Value { ident: out, node }, at)
    }

    /// `Ok(value)` at the end of a workflow.
    fn without_ok_at_end(&self, expression: Expr) -> Expr {
        if self.blocks.len() == 1 {
            self.without_ok(expression)
        } else {
            expression
        }
    }

    /// `Ok(value)`, as what a workflow gives.
    pub(crate) fn without_ok(&self, expression: Expr) -> Expr {
        match expression {
            Expr::Call(call) if is_ok(&call) => {
                let message = "a workflow returns its success value: write it without `Ok(..)`";
                self.errors.at(&call.func, message);
                call.args.into_iter().next().unwrap_or(*call.func)
            }
            other => other,
        }
    }

    /// A call, `for` or block for its effect.
    fn effect(&mut self, expression: Expr) {
        let before = self.errors.count();
        let at = Extent::of(&expression);
        let expression = self.without_await(self.without_attributes(expression));
        if syntax::is_sleep(&expression) && syntax::handled(&expression).is_none() {
            self.sleep(&expression);
        } else if syntax::chain(&expression).is_none() && !syntax::is_construct(&expression) {
            self.rewrite_value(&mut expression.clone());
            if self.errors.count() == before {
                let message = if syntax::is_method_of_place(&expression) {
                    NO_CHANGE
                } else {
                    DOES_NOTHING
                };
                self.errors.at(&expression, message);
            }
        } else {
            let naming = Naming::derived(default_name(&expression), at.first);
            match &expression {
                Expr::ForLoop(each) => {
                    self.each(each, None, &naming);
                }
                Expr::If(branch) => {
                    self.branch_if(branch, None, &naming);
                }
                Expr::Match(choice) => {
                    self.branch_match(choice, None, &naming);
                }
                Expr::Loop(_) | Expr::While(_) => {
                    self.repeat(&expression, None, &naming);
                }
                Expr::Block(block) => self.scope(None, block, None),
                other => {
                    let out = self.temporary(at.first);
                    self.construct(other, &out, naming);
                }
            }
        }
        self.broken(None, before);
    }

    /// Makes a node of a call, `for` or block inside an expression.
    pub(crate) fn lift(&mut self, expression: &Expr) -> (VariableId, Ident) {
        let before = self.errors.count();
        let out = self.temporary(expression.span());
        let mut name = default_name(expression);
        if self.scopes.is_defining(&name) {
            // `let seat = book(&seat(..))`: the name is that of the variable.
            name.push_str("_2");
        }
        let naming = Naming::derived(name, expression.span());
        let value = self.construct(expression, &out, naming);
        self.broken(Some(&out), before);
        let node = value.node.unwrap_or_else(|| self.hole());
        let variable = self.variable(&out, Source::Node(node));
        (variable, out)
    }

    fn construct(&mut self, expression: &Expr, out: &Ident, naming: Naming) -> Value {
        self.construct_of(expression, out, naming, None)
    }

    /// The value of what is no ordinary Rust. `annotated` is the type of its variable.
    fn construct_of(
        &mut self,
        expression: &Expr,
        out: &Ident,
        naming: Naming,
        annotated: Option<&Type>,
    ) -> Value {
        if let Some(handled) = syntax::handled(expression) {
            let node = Some(self.handled(&handled, out, &naming));
            let ident = out.clone();
            return Value { ident, node };
        }
        let node = match expression {
            Expr::ForLoop(each) => Some(self.each(each, Some(out), &naming)),
            Expr::If(branch) => Some(self.branch_if(branch, Some(out), &naming)),
            Expr::Match(choice) => Some(self.branch_match(choice, Some(out), &naming)),
            Expr::Loop(_) | Expr::While(_) => self.repeat(expression, Some(out), &naming),
            Expr::Block(block) => {
                self.scope(Some(out), block, Some(naming));
                self.scope_node()
            }
            Expr::Paren(inner) => return self.construct_of(&inner.expr, out, naming, annotated),
            Expr::Group(inner) => return self.construct_of(&inner.expr, out, naming, annotated),
            call => self.call_or_wait(call, out, &naming, annotated),
        };
        let ident = out.clone();
        Value { ident, node }
    }

    fn call_or_wait(
        &mut self,
        call: &Expr,
        out: &Ident,
        naming: &Naming,
        annotated: Option<&Type>,
    ) -> Option<u32> {
        let wait = syntax::chain(call).and_then(|chain| chain.wait().map(Ident::to_string));
        match wait.as_deref() {
            None => self.call(call, out, naming),
            Some("signal") => self.signal(call, out, naming, annotated),
            Some("race") => self.race(call, out, naming),
            Some(_) => {
                self.no_value_of_sleep(call);
                None
            }
        }
    }

    /// `{ .. }` with nodes in it: a scope for names, in the same region.
    fn scope(&mut self, out: Option<&Ident>, block: &ExprBlock, naming: Option<Naming>) {
        self.no_label(block.label.as_ref());
        self.scopes.enter();
        let pieces = block.block.stmts.iter().cloned().map(Piece::Statement);
        let lowered = self.block(pieces.collect(), out.is_none());
        self.scopes.leave();
        if let (Some(naming), Some(tail)) = (naming, &lowered.tail) {
            self.rename_tail(tail, &naming);
        }
        if lowered.diverges {
            self.diverge();
        } else if out.is_some() && lowered.tail.is_none() {
            let end = block.block.brace_token.span.close();
            self.errors
                .span(end, "this block gives no value: end it with an expression");
        }
        self.emit(Statement::Scope {
            out: out.cloned(),
            block: lowered,
        });
    }

    /// The node that the block just lowered gives.
    fn scope_node(&self) -> Option<u32> {
        match self.blocks.last()?.statements.last()? {
            Statement::Scope { block, .. } => block.tail.as_ref()?.node,
            _ => None,
        }
    }

    /// The value of a block is named after the variable it is bound to, unless it has a name.
    fn rename_tail(&mut self, tail: &Tail, naming: &Naming) {
        let Some(node) = tail.node else { return };
        let derived = tail.ident.to_string().starts_with("__value_");
        if !derived {
            return;
        }
        let region = self.region;
        let old = std::mem::take(&mut self.model.node_mut(node).name);
        self.names.remove(&(region, old));
        let name = self.unique_name(naming);
        self.model.node_mut(node).name = name;
    }

    /// Ordinary Rust over the values of nodes.
    fn pure_value(
        &mut self,
        mut expression: Expr,
        out: &Ident,
        naming: &Naming,
        ty: Option<Type>,
    ) -> u32 {
        let before = self.errors.count();
        match &expression {
            Expr::Reference(reference) => self.errors.at(
                reference,
                "a reference can't be a node: lend the value where it is used, or `.clone()` it",
            ),
            Expr::Closure(closure) => self.errors.at(
                closure,
                "a closure can't be a node: values that flow between jobs are stored",
            ),
            other => {
                if let Some(call) = syntax::borrowing(other) {
                    let method = &call.method;
                    let message = format!(
                        "a reference can't be a node: write `.{method}()` where the value is used, \
                         or make it an owned one"
                    );
                    self.errors.at(method, message);
                }
            }
        }
        let written = expression.to_token_stream();
        let is_part = syntax::is_place(&expression) && syntax::variable(&expression).is_none();
        let uses = self.rewrite_value(&mut expression);
        let node = self.node(naming, NodeKind::Value, String::new());
        let nodes = self.model.nodes_of(&uses);
        let source = self.source_of(written, &uses);
        let lowered = self.model.node_mut(node);
        lowered.source = source;
        lowered.arguments = vec![Argument::Expression(nodes.clone())];
        lowered.uses = nodes;
        if self.errors.count() > before {
            // The caller puts a hole here.
            return node;
        }
        self.emit(Statement::Value(PureValue {
            out: out.clone(),
            node,
            expression: expression.to_token_stream(),
            is_part,
            ty,
            uses,
        }));
        node
    }

    pub(crate) fn variable_names(&self, uses: &[VariableId]) -> Vec<String> {
        let names = uses
            .iter()
            .map(|id| self.model.variable(*id).ident.to_string());
        names.collect()
    }
}

/// The `&pair` of `let (a, b) = &pair;`.
fn lent_whole<'l>(pattern: &Pat, init: Option<&'l LocalInit>) -> Option<&'l ExprReference> {
    match &*init?.expr {
        Expr::Reference(reference) if !matches!(pattern, Pat::Ident(_)) => Some(reference),
        _ => None,
    }
}

const NO_CHANGE: &str = "this does nothing: the value of a node can't be changed in place; make a \
                         new one, as in `let longer = pure({ let mut list = list; list.push(1); \
                         list })`";

const DOES_NOTHING: &str = "this does nothing: a statement of a workflow is a job call or a `let`";

fn is_ok(call: &ExprCall) -> bool {
    matches!(&*call.func, Expr::Path(path) if path.path.is_ident("Ok")) && call.args.len() == 1
}

/// What a node is called that no variable names.
pub(crate) fn default_name(expression: &Expr) -> String {
    match expression {
        Expr::ForLoop(_) => "for".to_owned(),
        Expr::If(_) => "if".to_owned(),
        Expr::Match(_) => "match".to_owned(),
        Expr::Loop(_) => "loop".to_owned(),
        Expr::While(_) => "while".to_owned(),
        other => match syntax::chain(other) {
            Some(chain) => call_name(&chain),
            None => {
                let handled = syntax::handled(other);
                let handler = handled.and_then(|handled| handled.handlers.last().copied());
                handler.map_or_else(|| "value".to_owned(), |handler| handler.method.to_string())
            }
        },
    }
}

/// A signal is called what it is called in the workflow.
fn call_name(chain: &Chain<'_>) -> String {
    let name = chain.name().map(crate::names::unraw).unwrap_or_default();
    match chain.call.args.first() {
        Some(Expr::Lit(ExprLit {
            lit: Lit::Str(signal),
            ..
        })) if chain.wait().is_some() && name == "signal" => signal.value(),
        _ => name,
    }
}

fn joined(names: &[Ident]) -> String {
    if names.is_empty() {
        return "value".to_owned();
    }
    let names: Vec<String> = names.iter().map(crate::names::unraw).collect();
    names.join("_")
}
