//! Variables of the workflow inside ordinary Rust expressions.
//!
//! Where a node begins, its variables are references to the values of other nodes. So `x` becomes
//! the place `(*x)`, and where a whole value is handed over, a copy of it. Calls of jobs inside an
//! expression are taken out of it and become nodes of their own.

use std::collections::HashSet;

use proc_macro2::{Delimiter, Ident, Literal, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::token::Ref;
use syn::visit_mut::{self, VisitMut};
use syn::{
    BinOp, Block, Expr, ExprAwait, ExprBinary, ExprCall, ExprClosure, ExprIf, ExprLit, ExprMatch,
    ExprMethodCall, ExprTry, FieldPat, Macro, Pat, PatIdent, Stmt, Token,
};

use crate::duration;
use crate::errors::Errors;
use crate::names::nearest;
use crate::spans::{Extent, group_at, unwrapped_call_at};
use crate::workflow::lower::Lowering;
use crate::workflow::model::{Source, VariableId, push_new};
use crate::workflow::syntax::{self, HANDLERS, MODIFIERS};

pub(crate) const NO_AWAIT: &str =
    "no `.await` here: the workflow runs each call as soon as its inputs are ready";

const NO_ASSIGNMENT: &str = "an assignment is a statement of its own in a workflow";

const NO_VALUE: &str = "this has no value: it is a statement of its own in a workflow";

pub(crate) const NO_QUESTION: &str = "no `?` here: a job that fails fails the workflow; add \
                                      `.result()` to handle its error";

pub(crate) struct Rewrite<'l, 'a> {
    lowering: &'l mut Lowering<'a>,
    uses: Vec<VariableId>,
    /// Names that are bound around the expression by reference, as variables are.
    lent: HashSet<String>,
    /// Names that the expression itself binds, innermost last.
    shadowed: Vec<HashSet<String>>,
    /// How many closures and `pure(..)` are around: there, calls are plain calls.
    plain: usize,
    /// How many closures are around: there, `?` and `return` are the closure's own.
    closures: usize,
}

impl<'l, 'a> Rewrite<'l, 'a> {
    pub(crate) fn new(lowering: &'l mut Lowering<'a>) -> Self {
        Self {
            lowering,
            uses: Vec::new(),
            lent: HashSet::new(),
            shadowed: Vec::new(),
            plain: 0,
            closures: 0,
        }
    }

    /// The same where the patterns of a condition have bound these names already.
    pub(crate) fn bound(&mut self, bound: &[VariableId]) {
        self.shadowed.push(HashSet::new());
        for id in bound {
            let variable = self.lowering.model.variable(*id);
            let name = variable.ident.to_string();
            let lent = match variable.source {
                Source::Parts(parts) => !self.lowering.model.parts[parts.0].owned,
                Source::Node(_) => true,
            };
            if lent {
                self.lent.insert(name);
            } else if let Some(names) = self.shadowed.last_mut() {
                names.insert(name);
            }
        }
    }

    /// The variables used, in order, each once.
    pub(crate) fn into_uses(self) -> Vec<VariableId> {
        self.uses
    }

    /// An expression whose value is handed over whole.
    pub(crate) fn value(&mut self, expression: &mut Expr) {
        if let Some(name) = syntax::variable(expression).cloned()
            && self.use_name(&name)
        {
            *expression = Expr::Verbatim(copy_of(&name));
            return;
        }
        if let Some(lifted) = self.lift(expression) {
            *expression = Expr::Verbatim(copy_of(&lifted));
            return;
        }
        self.visit_expr_mut(expression);
    }

    /// Whether `name` is a variable of the workflow; counts as a use of it.
    fn use_name(&mut self, name: &Ident) -> bool {
        let text = name.to_string();
        if self.is_shadowed(&text) {
            return false;
        }
        if self.lent.contains(&text) {
            return true;
        }
        match self.lowering.scopes.find(&text) {
            Some(variable) => {
                push_new(&mut self.uses, variable);
                true
            }
            None => {
                self.lowering.check_later(name);
                false
            }
        }
    }

    fn is_shadowed(&self, name: &str) -> bool {
        self.shadowed.iter().any(|names| names.contains(name))
    }

    fn shadow(&mut self, pattern: &Pat) {
        let names = syntax::bindings(pattern);
        if self.shadowed.is_empty() {
            self.shadowed.push(HashSet::new());
        }
        if let Some(innermost) = self.shadowed.last_mut() {
            innermost.extend(names.iter().map(Ident::to_string));
        }
    }

    /// Makes a node of its own of a call or construct; the variable it is.
    fn lift(&mut self, expression: &Expr) -> Option<Ident> {
        let is_node = syntax::is_construct(expression) || syntax::chain(expression).is_some();
        if self.plain > 0 || !is_node {
            return None;
        }
        let (variable, ident) = self.lowering.lift(expression);
        push_new(&mut self.uses, variable);
        Some(ident)
    }

    fn plainly(&mut self, within: impl FnOnce(&mut Self)) {
        self.plain += 1;
        within(self);
        self.plain -= 1;
    }

    fn pure(&mut self, call: &mut ExprCall) -> TokenStream {
        self.plainly(|this| {
            for argument in &mut call.args {
                this.value(argument);
            }
        });
        let arguments = &call.args;
        if arguments.len() != 1 {
            let errors = self.lowering.errors;
            errors.at(&call.func, "`pure(..)` takes one expression");
        }
        let span = call.paren_token.span.join();
        group_at(Delimiter::Parenthesis, span, quote!(#arguments)).into()
    }

    fn closure(&mut self, closure: &mut ExprClosure) {
        self.shadowed.push(HashSet::new());
        for input in &closure.inputs {
            self.shadow(input);
        }
        self.closures += 1;
        self.plainly(|this| this.visit_expr_mut(&mut closure.body));
        self.closures -= 1;
        self.shadowed.pop();
    }

    fn branch(&mut self, expression: &mut ExprIf) {
        self.shadowed.push(HashSet::new());
        self.visit_expr_mut(&mut expression.cond);
        self.visit_block_mut(&mut expression.then_branch);
        self.shadowed.pop();
        if let Some((_, otherwise)) = &mut expression.else_branch {
            self.visit_expr_mut(otherwise);
        }
    }

    fn choice(&mut self, expression: &mut ExprMatch) {
        self.visit_expr_mut(&mut expression.expr);
        for arm in &mut expression.arms {
            self.shadowed.push(HashSet::new());
            self.shadow(&arm.pat);
            if let Pat::Guard(guarded) = &mut arm.pat {
                if self.plain == 0 && syntax::has_job(&guarded.guard) {
                    guard_job(self.lowering.errors, &guarded.guard);
                }
                self.visit_expr_mut(&mut guarded.guard);
            }
            self.value(&mut arm.body);
            self.shadowed.pop();
        }
    }

    fn method(&mut self, call: &mut ExprMethodCall) {
        let method = call.method.to_string();
        if self.plain == 0
            && syntax::chain(&call.receiver).is_some()
            && let Some(meant) = nearest(&method, MODIFIERS.into_iter().chain(HANDLERS))
        {
            let message =
                format!("`{method}` is not a setting of a job call; did you mean `{meant}`?");
            self.lowering.errors.at(&call.method, message);
        }
        if call.method == "into_iter" {
            // The one method that everybody means to take the value itself.
            self.value(&mut call.receiver);
        } else {
            self.visit_expr_mut(&mut call.receiver);
        }
        for argument in &mut call.args {
            self.value(argument);
        }
    }

    fn duration(&mut self, literal: &ExprLit) -> Option<TokenStream> {
        match duration::of_literal(&literal.lit)? {
            Ok(duration) => {
                let tokens = duration.expression();
                Some(crate::spans::shown_at(tokens, literal.span()))
            }
            Err(message) => {
                self.lowering.errors.at(literal, message);
                None
            }
        }
    }

    /// `a && job()`: the job would run in any case.
    fn short_circuit(&mut self, binary: &ExprBinary) {
        let lazy = matches!(binary.op, BinOp::And(_) | BinOp::Or(_));
        if lazy && self.plain == 0 && syntax::has_job(&binary.right) {
            lazy_job(self.lowering.errors, binary);
        }
    }

    fn awaiting(&mut self, expression: &ExprAwait) {
        self.lowering.errors.at(&expression.await_token, NO_AWAIT);
    }

    fn question(&mut self, expression: &ExprTry) {
        if self.closures == 0 {
            self.lowering
                .errors
                .at(&expression.question_token, NO_QUESTION);
        }
    }

    /// `tokio::join!(a(), b())`. Whether it was that.
    fn concurrent(&self, call: &Macro) -> bool {
        let name = call.path.segments.last().map(|name| name.ident.to_string());
        let Some(name) = name.filter(|name| ["join", "try_join"].contains(&name.as_str())) else {
            return false;
        };
        let message = format!(
            "no `{name}!` in a workflow: calls that don't use each other's values run at the same \
             time"
        );
        self.lowering.errors.at(&call.path, message);
        true
    }

    fn is_variable(&self, place: &Expr) -> bool {
        let name = syntax::variable(place).map(Ident::to_string);
        name.is_some_and(|name| {
            !self.is_shadowed(&name) && self.lowering.scopes.find(&name).is_some()
        })
    }

    /// What can't be in any expression of a workflow. Whether it was one of those.
    fn refused(&mut self, expression: &Expr) -> bool {
        let errors = self.lowering.errors;
        let (at, message) = match expression {
            Expr::Async(block) => (
                block.async_token.to_token_stream(),
                "no `async` blocks in a workflow: put this into a `#[job]`",
            ),
            Expr::Unsafe(block) => (
                block.unsafe_token.to_token_stream(),
                "no `unsafe` in a workflow: put this into a `#[job]`",
            ),
            Expr::Return(_) if self.closures == 0 => (expression.to_token_stream(), NO_VALUE),
            Expr::Yield(_) | Expr::Verbatim(_) => (
                expression.to_token_stream(),
                "this is no expression of stable Rust",
            ),
            Expr::Break(_) | Expr::Continue(_) if self.plain == 0 => {
                (expression.to_token_stream(), NO_VALUE)
            }
            Expr::Assign(assign) if self.is_variable(&assign.left) => {
                (assign.eq_token.to_token_stream(), NO_ASSIGNMENT)
            }
            Expr::Binary(binary)
                if syntax::is_compound_assignment(&binary.op) && self.is_variable(&binary.left) =>
            {
                (binary.op.to_token_stream(), NO_ASSIGNMENT)
            }
            _ => return false,
        };
        errors.at(&at, message);
        true
    }
}

impl VisitMut for Rewrite<'_, '_> {
    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        if let Expr::Path(path) = expression
            && path.qself.is_none()
            && let Some(name) = path.path.get_ident().cloned()
        {
            if self.use_name(&name) {
                *expression = Expr::Verbatim(place_of(&name));
            }
            return;
        }
        if let Some(lifted) = self.lift(expression) {
            *expression = Expr::Verbatim(place_of(&lifted));
            return;
        }
        if self.refused(expression) {
            return;
        }
        match expression {
            Expr::Call(call) if syntax::is_pure(call) => {
                *expression = Expr::Verbatim(self.pure(call));
            }
            Expr::Call(call) => {
                if !matches!(*call.func, Expr::Path(_)) {
                    self.visit_expr_mut(&mut call.func);
                }
                call.args
                    .iter_mut()
                    .for_each(|argument| self.value(argument));
            }
            Expr::MethodCall(call) => self.method(call),
            Expr::Struct(literal) => {
                for field in &mut literal.fields {
                    field.colon_token.get_or_insert_with(<Token![:]>::default);
                    self.value(&mut field.expr);
                }
                if let Some(rest) = &mut literal.rest {
                    self.value(rest);
                }
            }
            Expr::Tuple(list) => list
                .elems
                .iter_mut()
                .for_each(|element| self.value(element)),
            Expr::Array(list) => list
                .elems
                .iter_mut()
                .for_each(|element| self.value(element)),
            Expr::Repeat(repeat) => {
                self.value(&mut repeat.expr);
                self.visit_expr_mut(&mut repeat.len);
            }
            Expr::Range(range) => {
                let ends = [&mut range.start, &mut range.end];
                ends.into_iter().flatten().for_each(|end| self.value(end));
            }
            other => self.visit_construct(other),
        }
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        self.shadowed.push(HashSet::new());
        let count = block.stmts.len();
        for (index, statement) in block.stmts.iter_mut().enumerate() {
            match statement {
                Stmt::Local(local) => {
                    if let Some(init) = &mut local.init {
                        self.value(&mut init.expr);
                        if let Some((_, otherwise)) = &mut init.diverge {
                            self.visit_expr_mut(otherwise);
                        }
                    }
                    self.shadow(&local.pat);
                }
                Stmt::Expr(expression, None) if index + 1 == count => self.value(expression),
                other => visit_mut::visit_stmt_mut(self, other),
            }
        }
        self.shadowed.pop();
    }

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}

    fn visit_macro_mut(&mut self, call: &mut Macro) {
        if self.plain == 0 && self.concurrent(call) {
            return;
        }
        for token in call.tokens.clone() {
            if let TokenTree::Literal(literal) = token {
                self.format_captures(&literal);
            }
        }
        // `vec![..]` is an array, which takes its elements.
        if call.path.is_ident("vec") {
            let tokens = &call.tokens;
            if let Ok(mut array) = syn::parse2::<Expr>(quote!([#tokens])) {
                self.visit_expr_mut(&mut array);
                call.tokens = match array.to_token_stream().into_iter().next() {
                    Some(TokenTree::Group(group)) => group.stream(),
                    _ => TokenStream::new(),
                };
                return;
            }
        }
        let arguments = Punctuated::<Expr, Token![,]>::parse_terminated;
        match arguments.parse2(call.tokens.clone()) {
            Ok(mut arguments) => {
                for argument in &mut arguments {
                    match argument {
                        // `format!("{a}", a = x)`
                        Expr::Assign(named) => self.visit_expr_mut(&mut named.right),
                        other => self.visit_expr_mut(other),
                    }
                }
                call.tokens = arguments.to_token_stream();
            }
            // A grammar of its own: the variables are there as the references they are.
            Err(_) => self.mentioned(call.tokens.clone()),
        }
    }
}

impl Rewrite<'_, '_> {
    /// An expression that hands over nothing whole.
    fn visit_construct(&mut self, expression: &mut Expr) {
        match expression {
            Expr::Closure(closure) => self.closure(closure),
            Expr::If(branch) => self.branch(branch),
            Expr::Match(choice) => self.choice(choice),
            Expr::Let(condition) => {
                self.visit_expr_mut(&mut condition.expr);
                self.shadow(&condition.pat);
            }
            Expr::ForLoop(repeat) => {
                self.visit_expr_mut(&mut repeat.expr);
                self.shadowed.push(HashSet::new());
                self.shadow(&repeat.pat);
                self.visit_block_mut(&mut repeat.body);
                self.shadowed.pop();
            }
            Expr::Lit(literal) => {
                if let Some(duration) = self.duration(literal) {
                    *expression = Expr::Verbatim(duration);
                }
            }
            Expr::Macro(call) => self.visit_macro_mut(&mut call.mac),
            Expr::Binary(binary) => {
                self.short_circuit(binary);
                self.visit_expr_mut(&mut binary.left);
                if syntax::is_compound_assignment(&binary.op) {
                    self.value(&mut binary.right);
                } else {
                    self.visit_expr_mut(&mut binary.right);
                }
            }
            Expr::Await(awaiting) => {
                self.awaiting(awaiting);
                self.visit_expr_mut(&mut awaiting.base);
                *expression = (*awaiting.base).clone();
            }
            Expr::Try(question) => {
                self.question(question);
                self.visit_expr_mut(&mut question.expr);
            }
            other => visit_mut::visit_expr_mut(self, other),
        }
    }
}

impl Rewrite<'_, '_> {
    /// `format!("{user}")` captures by name, which is a reference already.
    fn format_captures(&mut self, literal: &Literal) {
        let text = literal.to_string();
        if !text.starts_with('"') && !text.starts_with("r") {
            return;
        }
        let text = text.replace("{{", "");
        for part in text.split('{').skip(1) {
            let name: String = part
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect();
            if let Ok(mut name) = syn::parse_str::<Ident>(&name) {
                name.set_span(literal.span());
                self.use_name(&name);
            }
        }
    }

    fn mentioned(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    let text = name.to_string();
                    if !self.is_shadowed(&text) && self.lowering.scopes.find(&text).is_some() {
                        self.use_name(&name);
                    }
                }
                TokenTree::Group(group) => self.mentioned(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

/// `a && job()`: the job would run in any case.
pub(crate) fn lazy_job(errors: &Errors, binary: &ExprBinary) {
    let operator = binary.op.to_token_stream();
    let message = format!(
        "this job would run whatever the left side of `{operator}` is: call it in an `if` of its \
         own, or above this line if it may always run; if it is a plain function, write `pure(..)` \
         around it"
    );
    match &*binary.right {
        Expr::Let(binding) => errors.at(&binding.expr, message),
        right => errors.at(right, message),
    }
}

/// `Kind::A(x) if job(&x) =>`
pub(crate) fn guard_job(errors: &Errors, guard: &Expr) {
    let message = "a guard can't call a job: whether an arm is taken is decided at once; call it \
                   above this line if it may always run, or in the arm; if it is a plain function, \
                   write `pure(..)` around it";
    errors.at(guard, message);
}

/// What makes a copy of a node's value.
pub(crate) fn own() -> TokenStream {
    quote!(<__zahir::ByValue as __zahir::Copies<_>>::own)
}

/// A copy of a variable's value, underlined as the variable.
pub(crate) fn copy_of(name: &Ident) -> TokenStream {
    let at = Extent::from(name.span());
    unwrapped_call_at(at, own(), name.to_token_stream())
}

/// The place of a variable's value, underlined as the variable.
pub(crate) fn place_of(name: &Ident) -> TokenStream {
    let span = name.span();
    let place = quote_spanned!(span=> *#name);
    group_at(Delimiter::Parenthesis, span, place).into()
}

/// The pattern, borrowing what it binds.
pub(crate) fn by_reference(pattern: &Pat) -> TokenStream {
    let mut pattern = pattern.clone();
    ByReference.visit_pat_mut(&mut pattern);
    pattern.to_token_stream()
}

struct ByReference;

impl VisitMut for ByReference {
    fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
        let constant = pattern.ident.to_string().starts_with(char::is_uppercase);
        if !constant {
            pattern.mutability = None;
            pattern.by_ref.get_or_insert(Ref(pattern.ident.span()));
        }
        visit_mut::visit_pat_ident_mut(self, pattern);
    }

    fn visit_field_pat_mut(&mut self, field: &mut FieldPat) {
        self.visit_pat_mut(&mut field.pat);
    }
}
