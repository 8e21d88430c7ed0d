//! Variables of the workflow inside ordinary Rust expressions.
//!
//! Where a node begins, its variables are references to the values of other nodes. So `x` becomes
//! the place `(*x)`, and where a whole value is handed over, a copy of it. Calls of jobs inside an
//! expression are taken out of it and become nodes of their own.

use std::collections::HashMap;

use proc_macro2::{Delimiter, Ident, Literal, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::token::Ref;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Arm, BinOp, Block, Expr, ExprAwait, ExprBinary, ExprCall, ExprClosure, ExprIf, ExprLit,
    ExprMatch, ExprMethodCall, ExprTry, FieldPat, Macro, Pat, PatIdent, Stmt, Token,
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

const NO_CONTEXT: &str = "a workflow has no context: each of its jobs may take one; a call of a job is \
                          a node already, which begins as soon as it can: write the call itself";

const NO_VALUE: &str = "this has no value: it is a statement of its own in a workflow";

pub(crate) const NO_QUESTION: &str = "no `?` here: a job that fails fails the workflow; add \
                                      `.result()` to handle its error";

/// How a name is bound that is no variable of the workflow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Local {
    /// As in any Rust.
    Plain,
    /// By reference, as the variables are.
    Lent,
}

pub(crate) struct Rewrite<'l, 'a> {
    lowering: &'l mut Lowering<'a>,
    uses: Vec<VariableId>,
    /// Names that patterns bind around and in the expression, innermost last.
    local: Vec<HashMap<String, Local>>,
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
            local: Vec::new(),
            plain: 0,
            closures: 0,
        }
    }

    /// The same where the patterns of a condition have bound these names already.
    pub(crate) fn bound(&mut self, bound: &[VariableId]) {
        let names = bound.iter().map(|id| {
            let variable = self.lowering.model.variable(*id);
            let local = match variable.source {
                Source::Parts(parts) if self.lowering.model.parts[parts.0].owned => Local::Plain,
                Source::Parts(_) | Source::Node(_) => Local::Lent,
            };
            (variable.ident.to_string(), local)
        });
        let names = names.collect();
        self.local.push(names);
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
        if let Some(local) = self.local(&text) {
            return local == Local::Lent;
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

    fn local(&self, name: &str) -> Option<Local> {
        let names = self.local.iter().rev();
        names.filter_map(|names| names.get(name).copied()).next()
    }

    /// What is bound in there is not known behind it.
    fn scope(&mut self, within: impl FnOnce(&mut Self)) {
        self.local.push(HashMap::new());
        within(self);
        self.local.pop();
    }

    fn bind(&mut self, pattern: &Pat, local: Local) {
        let names = syntax::bindings(pattern);
        if self.local.is_empty() {
            self.local.push(HashMap::new());
        }
        if let Some(innermost) = self.local.last_mut() {
            innermost.extend(names.iter().map(|name| (name.to_string(), local)));
        }
    }

    fn shadow(&mut self, pattern: &Pat) {
        self.bind(pattern, Local::Plain);
    }

    /// Binds what a pattern takes of a value. Of a variable it takes nothing away: it lends.
    fn take(&mut self, pattern: &mut Pat, lends: bool) {
        if lends && syntax::modified(pattern).is_empty() {
            ByReference.visit_pat_mut(pattern);
            self.bind(pattern, Local::Lent);
        } else {
            self.shadow(pattern);
        }
    }

    /// Whether the expression is a variable of the workflow, or a part of one.
    fn lends(&self, expression: &Expr) -> bool {
        let Some(root) = syntax::root(expression) else {
            return false;
        };
        let name = root.to_string();
        match self.local(&name) {
            Some(local) => local == Local::Lent,
            None => {
                self.lowering.scopes.find(&name).is_some() && self.lowering.is_there(expression)
            }
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
        self.closures += 1;
        self.scope(|this| {
            for input in &closure.inputs {
                this.shadow(input);
            }
            this.plainly(|this| this.visit_expr_mut(&mut closure.body));
        });
        self.closures -= 1;
    }

    fn branch(&mut self, expression: &mut ExprIf) {
        self.scope(|this| {
            this.visit_expr_mut(&mut expression.cond);
            this.visit_block_mut(&mut expression.then_branch);
        });
        if let Some((_, otherwise)) = &mut expression.else_branch {
            self.visit_expr_mut(otherwise);
        }
    }

    fn choice(&mut self, expression: &mut ExprMatch) {
        let lends = self.lends(&expression.expr);
        self.visit_expr_mut(&mut expression.expr);
        for arm in &mut expression.arms {
            self.scope(|this| this.arm(arm, lends));
        }
    }

    fn arm(&mut self, arm: &mut Arm, lends: bool) {
        if let Pat::Guard(guarded) = &mut arm.pat {
            self.take(&mut guarded.pat, lends);
            if self.plain == 0 && syntax::has_job(&guarded.guard) {
                guard_job(self.lowering.errors, &guarded.guard);
            }
            self.visit_expr_mut(&mut guarded.guard);
        } else {
            self.take(&mut arm.pat, lends);
        }
        self.value(&mut arm.body);
    }

    fn local_statement(&mut self, local: &mut syn::Local) {
        if let Some(init) = &mut local.init {
            self.value(&mut init.expr);
            if let Some((_, otherwise)) = &mut init.diverge {
                self.visit_expr_mut(otherwise);
            }
        }
        self.shadow(&local.pat);
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
        if self.plain == 0
            && syntax::is_construct(&call.receiver)
            && MODIFIERS.contains(&method.as_str())
        {
            self.lowering.check_settings(&[call]);
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

    /// `a && job()`: the job would run in any case. Whether it was that.
    fn short_circuit(&mut self, binary: &ExprBinary) -> bool {
        let lazy = matches!(binary.op, BinOp::And(_) | BinOp::Or(_));
        let wrong = lazy && self.plain == 0 && syntax::has_job(&binary.right);
        if wrong {
            lazy_job(self.lowering.errors, binary);
        }
        wrong
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

    /// Whether it is what jobs call their context, and nothing here is called so.
    fn is_context(&self, place: &Expr) -> bool {
        let name = syntax::variable(place).map(Ident::to_string);
        name.is_some_and(|name| {
            name == "ctx"
                && self.local(&name).is_none()
                && self.lowering.scopes.find(&name).is_none()
        })
    }

    fn is_variable(&self, place: &Expr) -> bool {
        let name = syntax::variable(place).map(Ident::to_string);
        name.is_some_and(|name| {
            self.local(&name).is_none() && self.lowering.scopes.find(&name).is_some()
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
            Expr::MethodCall(call) if self.is_context(&call.receiver) => {
                (call.receiver.to_token_stream(), NO_CONTEXT)
            }
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
        let count = block.stmts.len();
        self.scope(|this| {
            for (index, statement) in block.stmts.iter_mut().enumerate() {
                match statement {
                    Stmt::Local(local) => this.local_statement(local),
                    Stmt::Expr(expression, None) if index + 1 == count => this.value(expression),
                    other => visit_mut::visit_stmt_mut(this, other),
                }
            }
        });
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
        if call.path.is_ident("matches")
            && let Ok(mut matches) = syn::parse2::<Matches>(call.tokens.clone())
        {
            self.scope(|this| this.matches(&mut matches));
            call.tokens = matches.into_token_stream();
            return;
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
                let lends = self.lends(&condition.expr);
                self.visit_expr_mut(&mut condition.expr);
                self.take(&mut condition.pat, lends);
            }
            Expr::ForLoop(repeat) => {
                self.visit_expr_mut(&mut repeat.expr);
                self.scope(|this| {
                    this.shadow(&repeat.pat);
                    this.visit_block_mut(&mut repeat.body);
                });
            }
            Expr::Lit(literal) => {
                if let Some(duration) = self.duration(literal) {
                    *expression = Expr::Verbatim(duration);
                }
            }
            Expr::Macro(call) => self.visit_macro_mut(&mut call.mac),
            Expr::Binary(binary) => {
                let wrong = self.short_circuit(binary);
                self.visit_expr_mut(&mut binary.left);
                if wrong {
                    self.plainly(|this| this.visit_expr_mut(&mut binary.right));
                } else if syntax::is_compound_assignment(&binary.op) {
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

/// What is in `matches!(..)`.
struct Matches {
    value: Expr,
    comma: Token![,],
    pattern: Pat,
    guard: Option<(Token![if], Expr)>,
}

impl Parse for Matches {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let value = input.parse()?;
        let comma = input.parse()?;
        let pattern = Pat::parse_multi_with_leading_vert(input)?;
        let guard = match input.parse::<Option<Token![if]>>()? {
            Some(word) => Some((word, input.parse()?)),
            None => None,
        };
        input.parse::<Option<Token![,]>>()?;
        Ok(Self {
            value,
            comma,
            pattern,
            guard,
        })
    }
}

impl ToTokens for Matches {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.value.to_tokens(tokens);
        self.comma.to_tokens(tokens);
        self.pattern.to_tokens(tokens);
        if let Some((word, guard)) = &self.guard {
            word.to_tokens(tokens);
            guard.to_tokens(tokens);
        }
    }
}

impl Rewrite<'_, '_> {
    fn matches(&mut self, matches: &mut Matches) {
        let lends = self.lends(&matches.value);
        self.visit_expr_mut(&mut matches.value);
        self.take(&mut matches.pattern, lends);
        if let Some((_, guard)) = &mut matches.guard {
            self.visit_expr_mut(guard);
        }
    }

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
                    if self.local(&text).is_none() && self.lowering.scopes.find(&text).is_some() {
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
