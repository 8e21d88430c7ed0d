//! A job call and its settings.

use proc_macro2::{Delimiter, Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Expr, ExprCall, ExprLit, ExprMethodCall, ExprPath, Lit, UnOp};

use crate::backoff::Backoff;
use crate::duration;
use crate::spans::{Extent, group_at, on_line, shown_at};
use crate::workflow::lower::{Lowering, Naming};
use crate::workflow::model::{
    Argument, Call, NodeKind, Setting, Source, Statement, VariableId, push_new,
};
use crate::workflow::syntax::{self, Chain};

pub(crate) const DEPENDS: &str =
    "a setting is fixed when the graph is read: it can't depend on a node's value";

const RETRY: &str = "`.retry(..)` takes how many times to try again, as in `.retry(3)` or \
                     `.retry(forever)`";

const TIMEOUT: &str = "`.timeout(..)` takes how long an attempt may take, as in `.timeout(30s)`";

const TOTAL_TIMEOUT: &str = "`.total_timeout(..)` takes how long all attempts together may take, \
                             as in `.total_timeout(5m)`";

const BACKOFF: &str = "`.backoff(..)` takes the waits between attempts, as in \
                       `.backoff(100ms..10s)`, `.backoff(5s)` or `.backoff([1s, 10s, 1m])`";

/// What the methods behind a call say about its node.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) name: Option<Naming>,
    pub(crate) after: Vec<u32>,
    pub(crate) after_variables: Vec<VariableId>,
    changes: TokenStream,
    changed: Vec<Setting>,
}

/// A call whose arguments are lowered, and that has no node yet.
pub(crate) struct Prepared {
    call: ExprCall,
    at: Extent,
    keeps_temporaries: bool,
    uses: Vec<VariableId>,
    arguments: Vec<Argument>,
    settings: Settings,
    source: TokenStream,
    error: Option<TokenStream>,
}

impl Lowering<'_> {
    /// The node of a call; `None` if it is something else, which is reported.
    pub(crate) fn call(&mut self, expression: &Expr, out: &Ident, naming: &Naming) -> Option<u32> {
        let chain = syntax::chain(expression)?;
        let prepared = self.prepare(&chain, Extent::of(expression));
        Some(self.place(prepared, out, naming, None))
    }

    /// Lowers the arguments of a call: calls in them become nodes.
    pub(crate) fn prepare(&mut self, chain: &Chain<'_>, at: Extent) -> Prepared {
        let before = self.errors.count();
        self.check_callee(chain.path);
        let keeps_temporaries = chain.call.args.iter().any(syntax::may_borrow_temporary);
        let mut call = chain.call.clone();
        let (uses, arguments) = self.arguments(&mut call);
        let settings = self.settings(&chain.modifiers);
        Prepared {
            call,
            at,
            keeps_temporaries,
            uses,
            arguments,
            settings,
            source: chain.call.args.to_token_stream(),
            error: self.errors.take_since(before),
        }
    }

    /// The node of a call, in this region. `keep` is what the job's error is kept by for a handler.
    pub(crate) fn place(
        &mut self,
        prepared: Prepared,
        out: &Ident,
        naming: &Naming,
        keep: Option<Ident>,
    ) -> u32 {
        let before = self.errors.count();
        let Prepared { uses, settings, .. } = prepared;
        let naming = settings.name.as_ref().unwrap_or(naming);
        let node = self.node(naming, NodeKind::Call, String::new());
        // The region may not be the one in which the arguments were lowered.
        self.touch(&uses);
        self.touch(&settings.after_variables);
        let source = self.source_of(prepared.source, &uses);
        let lent = self.model.nodes_of(&uses);
        let after = settings.after_variables.iter();
        let after = after.map(|id| self.model.variable(*id).ident.clone());
        let after = after.collect();
        let lowered = self.model.node_mut(node);
        lowered.source = source;
        lowered.uses = lent;
        lowered.arguments = prepared.arguments;
        for earlier in settings.after {
            push_new(&mut lowered.after, earlier);
        }
        lowered.settings = settings.changes;
        if let Some(error) = prepared.error {
            let out = Some(out.clone());
            self.emit(Statement::Broken { out, error });
        } else if !self.broken(Some(out), before) {
            self.emit(Statement::Call(Call {
                out: out.clone(),
                node,
                call: prepared.call.to_token_stream(),
                at: prepared.at,
                keeps_temporaries: prepared.keeps_temporaries,
                uses,
                after,
                settings: settings.changed,
                keep,
            }));
        }
        node
    }

    pub(crate) fn check_callee(&self, path: &ExprPath) {
        let Some(name) = path.path.segments.last().map(|segment| &segment.ident) else {
            return;
        };
        if path.path.get_ident().is_some()
            && let Some(variable) = self.scopes.find(&name.to_string())
        {
            let line = on_line(self.model.variable(variable).ident.span());
            let message = format!(
                "`{name}` is a value here{line}, so the job of that name can't be called; give \
                 the variable another name"
            );
            self.errors.at(name, message);
        }
    }

    fn arguments(&mut self, call: &mut ExprCall) -> (Vec<VariableId>, Vec<Argument>) {
        let (mut uses, mut arguments) = (Vec::new(), Vec::new());
        for argument in &mut call.args {
            if let Expr::Reference(reference) = &*argument
                && let Some(mutability) = &reference.mutability
            {
                self.errors.at(
                    mutability,
                    "a node's value can't be changed: lend it with `&`",
                );
            }
            let whole = self.whole(argument);
            let used = self.rewrite_value(argument);
            arguments
                .push(whole.unwrap_or_else(|| Argument::Expression(self.model.nodes_of(&used))));
            for variable in used {
                push_new(&mut uses, variable);
            }
        }
        (uses, arguments)
    }

    /// `x` or `&x`.
    fn whole(&self, argument: &Expr) -> Option<Argument> {
        let (name, lent) = match argument {
            Expr::Reference(reference) => (syntax::variable(&reference.expr)?, true),
            other => (syntax::variable(other)?, false),
        };
        let variable = self.scopes.find(&name.to_string())?;
        match self.model.variable(variable).source {
            Source::Node(node) if lent => Some(Argument::Lend(node)),
            Source::Node(node) => Some(Argument::Copy(node)),
            Source::Parts(_) => None,
        }
    }

    pub(crate) fn settings(&mut self, modifiers: &[&ExprMethodCall]) -> Settings {
        let mut settings = Settings::default();
        for (place, modifier) in modifiers.iter().enumerate() {
            let (name, earlier) = (&modifier.method, &modifiers[..place]);
            if name != "after" && earlier.iter().any(|earlier| earlier.method == *name) {
                self.errors
                    .at(name, format!("`.{name}(..)` is given twice"));
                continue;
            }
            match name.to_string().as_str() {
                "after" => self.after(modifier, &mut settings),
                "named" => settings.name = self.named(modifier),
                "retry" => self.change(modifier, &mut settings, RETRY, Self::attempts),
                "timeout" => self.change(modifier, &mut settings, TIMEOUT, Self::time_limit),
                "total_timeout" => {
                    self.change(modifier, &mut settings, TOTAL_TIMEOUT, Self::time_limit);
                }
                "backoff" => self.change(modifier, &mut settings, BACKOFF, Self::waits),
                "needs" => self
                    .errors
                    .at(name, "`.needs(..)` is reserved: it is not available yet"),
                _ => {}
            }
        }
        settings
    }

    fn after(&mut self, modifier: &ExprMethodCall, settings: &mut Settings) {
        if modifier.args.is_empty() {
            self.errors
                .at(&modifier.method, "`.after(..)` needs the nodes to wait for");
        }
        for argument in &modifier.args {
            let each: Vec<&Expr> = match argument {
                Expr::Tuple(list) => list.elems.iter().collect(),
                Expr::Array(list) => list.elems.iter().collect(),
                other => vec![other],
            };
            for expression in each {
                self.wait_for(expression, settings);
            }
        }
    }

    fn wait_for(&mut self, expression: &Expr, settings: &mut Settings) {
        let place = match expression {
            Expr::Reference(reference) => &*reference.expr,
            other => other,
        };
        let Some(name) = syntax::variable(place) else {
            self.errors
                .at(expression, "`.after(..)` takes the names of nodes");
            return;
        };
        let Some(variable) = self.scopes.find(&name.to_string()) else {
            if !self.check_later(name) {
                let hint = self.similar_variable(name);
                let message = format!("there is no node `{name}` to wait for{hint}");
                self.errors.at(name, message);
            }
            return;
        };
        match self.model.variable(variable).source {
            Source::Node(node) => {
                push_new(&mut settings.after, node);
                settings.after_variables.push(variable);
                self.touch(&[variable]);
            }
            Source::Parts(_) => {
                self.errors
                    .at(name, format!("`{name}` is a part of a value, not a node"));
            }
        }
    }

    fn named(&mut self, modifier: &ExprMethodCall) -> Option<Naming> {
        match modifier.args.first() {
            Some(Expr::Lit(ExprLit {
                lit: Lit::Str(name),
                ..
            })) if modifier.args.len() == 1 && !name.value().is_empty() => Some(Naming {
                name: name.value(),
                at: name.span(),
                chosen: true,
            }),
            _ => {
                let message = "a node's name is a string literal, as in `.named(\"welcome mail\")`";
                self.errors.at(&modifier.method, message);
                None
            }
        }
    }

    /// A setting: a constant of the graph. rustc checks its type. `form` says what it takes.
    fn change(
        &self,
        modifier: &ExprMethodCall,
        settings: &mut Settings,
        form: &str,
        lower: fn(&Self, &Expr) -> Option<TokenStream>,
    ) {
        let (dot, method) = (&modifier.dot_token, &modifier.method);
        let mut arguments = modifier.args.iter();
        let (Some(argument), None) = (arguments.next(), arguments.next()) else {
            self.errors.at(method, form);
            return;
        };
        if self.depends_on_values(argument) {
            self.errors.at(argument, DEPENDS);
            return;
        }
        let Some(lowered) = lower(self, argument) else {
            return;
        };
        let span = modifier.paren_token.span.join();
        let argument = group_at(Delimiter::Parenthesis, span, lowered);
        settings.changes.extend(quote!(#dot #method #argument));
        settings.changed.push(Setting {
            retries: method == "retry" || method == "backoff",
            at: method.span(),
        });
    }

    pub(crate) fn depends_on_values(&self, argument: &Expr) -> bool {
        fn any(tokens: TokenStream, is_variable: &dyn Fn(&str) -> bool) -> bool {
            tokens.into_iter().any(|token| match token {
                proc_macro2::TokenTree::Ident(name) => is_variable(&name.to_string()),
                proc_macro2::TokenTree::Group(group) => any(group.stream(), is_variable),
                proc_macro2::TokenTree::Punct(_) | proc_macro2::TokenTree::Literal(_) => false,
            })
        }
        any(argument.to_token_stream(), &|name| {
            self.scopes.find(name).is_some()
        })
    }

    /// `.retry(3)`, `.retry(forever)`
    fn attempts(&self, argument: &Expr) -> Option<TokenStream> {
        let wrong = match syntax::bare(argument) {
            Expr::Path(path) if path.path.is_ident("forever") => {
                return Some(shown_at(quote!(__zahir::FOREVER), argument.span()));
            }
            Expr::Lit(ExprLit {
                lit: Lit::Int(number),
                ..
            }) => !matches!(number.suffix(), "" | "u32"),
            Expr::Lit(_) | Expr::Range(_) | Expr::Closure(_) => true,
            Expr::Unary(negative) => matches!(negative.op, UnOp::Neg(_)),
            _ => false,
        };
        if wrong {
            self.errors.at(argument, RETRY);
            return None;
        }
        Some(argument.to_token_stream())
    }

    /// `.timeout(30s)`, `.total_timeout(5m)`. There is no attempt that takes no time.
    fn time_limit(&self, argument: &Expr) -> Option<TokenStream> {
        if let Expr::Lit(ExprLit { lit, .. }) = argument {
            duration::limit(lit, "30s", self.errors)?;
        }
        self.duration(argument)
    }

    pub(crate) fn duration(&self, argument: &Expr) -> Option<TokenStream> {
        let Expr::Lit(ExprLit { lit, .. }) = argument else {
            return Some(argument.to_token_stream());
        };
        let duration = duration::required(lit, "30s", self.errors)?;
        let tokens = duration.expression();
        Some(shown_at(tokens, argument.span()))
    }

    /// `.backoff(100ms..10s)`, `.backoff(5s)`, `.backoff([1s, 10s, 1m])`
    fn waits(&self, argument: &Expr) -> Option<TokenStream> {
        if matches!(argument, Expr::Path(_) | Expr::Closure(_)) {
            let message = "a function for the waits is an option of the job, as in \
                           `#[job(backoff = my_waits)]`: write `100ms..10s`, `5s` or \
                           `[1s, 10s, 1m]` here";
            self.errors.at(argument, message);
            return None;
        }
        let waits = Backoff::parse(argument, self.errors)?;
        Some(waits.expression())
    }
}
