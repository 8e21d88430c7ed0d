//! `sleep(..)` and `signal(..)`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{Expr, ExprLit, ExprMethodCall, GenericArgument, Lit, LitStr, PathArguments, Type};

use crate::canonical;
use crate::duration;
use crate::names;
use crate::spans::{Extent, on_line, shown_at};
use crate::workflow::lower::call::Settings;
use crate::workflow::lower::{Lowering, Naming};
use crate::workflow::model::{
    NodeKind, Signal, SignalName, Sleep, Statement, VariableId, push_new,
};
use crate::workflow::syntax::{self, Chain};

impl Lowering<'_> {
    /// `sleep(30s);`: what is above it in its block comes before, what is below comes behind.
    pub(crate) fn sleep(&mut self, expression: &Expr) {
        let before = self.errors.count();
        if let Some(chain) = syntax::chain(expression)
            && let Some(word) = chain.wait()
        {
            self.sleep_of(&chain, word, before);
        }
        self.broken(None, before);
    }

    fn sleep_of(&mut self, chain: &Chain<'_>, word: &Ident, before: usize) {
        self.check_callee(chain.path);
        let until = word == "sleep_until";
        let modifiers = self.allowed(&chain.modifiers, word, &["named", "after"]);
        let settings = self.settings(&modifiers);
        let (time, uses) = self.time(chain, word, until);
        let above = self
            .blocks
            .last_mut()
            .map(|block| std::mem::take(&mut block.nodes));
        let naming = settings.name.as_ref();
        let derived = Naming::derived(word.to_string(), word.span());
        let node = self.node(naming.unwrap_or(&derived), NodeKind::Sleep, String::new());
        for earlier in above.unwrap_or_default() {
            if !self.model.node(earlier).kind.is_given() {
                push_new(&mut self.model.node_mut(node).after, earlier);
            }
        }
        if let Some(block) = self.blocks.last_mut() {
            block.fence = Some(node);
        }
        self.wait_after(node, settings);
        let source = self.source_of(chain.call.args.to_token_stream(), &uses);
        let lent = self.model.nodes_of(&uses);
        let lowered = self.model.node_mut(node);
        lowered.source = source;
        lowered.uses = lent;
        if self.errors.count() == before {
            self.emit(Statement::Sleep(Sleep {
                node,
                until,
                time,
                uses,
                word: word.span(),
            }));
        }
    }

    /// How long, or until when.
    fn time(
        &mut self,
        chain: &Chain<'_>,
        word: &Ident,
        until: bool,
    ) -> (TokenStream, Vec<VariableId>) {
        let mut arguments = chain.call.args.iter();
        let (Some(argument), None) = (arguments.next(), arguments.next()) else {
            let message = if until {
                "`sleep_until(..)` takes a `SystemTime`, as in `sleep_until(order.due)`"
            } else {
                "`sleep(..)` takes one duration, as in `sleep(30s)`"
            };
            self.errors.at(word, message);
            return (TokenStream::new(), Vec::new());
        };
        if let Expr::Lit(ExprLit { lit, .. }) = argument {
            let tokens = if until {
                let message = "`sleep_until(..)` takes a `SystemTime`, as in \
                               `sleep_until(order.due)`; for a length of time, write `sleep(30s)`";
                self.errors.at(lit, message);
                None
            } else {
                duration::required(lit, "sleep(30s)", self.errors)
            };
            let tokens = tokens.map(|time| shown_at(time.expression(), lit.span()));
            return (tokens.unwrap_or_default(), Vec::new());
        }
        let mut expression = argument.clone();
        let uses = self.rewrite_value(&mut expression);
        (expression.to_token_stream(), uses)
    }

    /// `sleep(..)` where a value is wanted.
    pub(crate) fn no_value_of_sleep(&self, expression: &Expr) {
        let Some(chain) = syntax::chain(expression) else {
            return;
        };
        let word = chain.name().map(names::unraw).unwrap_or_default();
        let call = chain.call.to_token_stream().to_string().replace(' ', "");
        let message = format!("`{word}(..)` has no value: write it as a statement, `{call};`");
        self.errors.at(chain.call, message);
    }

    /// The modifiers among `names`. The others are reported.
    pub(crate) fn allowed<'m>(
        &self,
        modifiers: &[&'m ExprMethodCall],
        word: &Ident,
        names: &[&str],
    ) -> Vec<&'m ExprMethodCall> {
        let mut allowed = Vec::new();
        for modifier in modifiers {
            let name = &modifier.method;
            if names.iter().any(|known| name == known) {
                allowed.push(*modifier);
            } else {
                let known: Vec<String> =
                    names.iter().map(|name| format!("`.{name}(..)`")).collect();
                let message = format!(
                    "`.{name}(..)` is for job calls: `{word}(..)` takes {}",
                    known.join(", ")
                );
                self.errors.at(name, message);
            }
        }
        allowed
    }

    /// What `.after(..)` says.
    pub(crate) fn wait_after(&mut self, node: u32, settings: Settings) {
        for earlier in settings.after {
            push_new(&mut self.model.node_mut(node).after, earlier);
        }
        let variables = settings.after_variables.iter();
        let idents = variables.map(|id| self.model.variable(*id).ident.clone());
        let idents = idents.collect();
        self.emit(Statement::Uses(idents));
    }

    /// The node of a `signal(..)`. `annotated` is the type of the variable it is bound to.
    pub(crate) fn signal(
        &mut self,
        expression: &Expr,
        out: &Ident,
        naming: &Naming,
        annotated: Option<&Type>,
    ) -> Option<u32> {
        let before = self.errors.count();
        let chain = syntax::chain(expression)?;
        let word = chain.wait()?;
        self.check_callee(chain.path);
        let modifiers = self.allowed(&chain.modifiers, word, &["timeout", "named", "after"]);
        let (limits, modifiers): (Vec<_>, Vec<_>) = modifiers
            .into_iter()
            .partition(|modifier| modifier.method == "timeout");
        let settings = self.settings(&modifiers);
        let timeout = limits.last().map(|limit| self.limit_of(limit));
        let limited = timeout.is_some();
        let name = self.signal_name(&chain);
        let payload = self.payload(&chain, annotated.filter(|_| !limited), name.as_ref(), out);
        let known = name.zip(payload).map(|(name, payload)| {
            let first = self.register(&name, &payload);
            (name.value(), payload, first)
        });
        let node = self.node(
            settings.name.as_ref().unwrap_or(naming),
            NodeKind::Value,
            String::new(),
        );
        self.wait_after(node, settings);
        if self.errors.count() > before {
            return Some(node);
        }
        let (name, payload, first) = known?;
        let lowered = self.model.node_mut(node);
        lowered.source = canonical::text(payload.to_token_stream());
        lowered.kind = NodeKind::Signal {
            name,
            timeout: timeout.flatten(),
        };
        self.emit(Statement::Signal(Signal {
            out: out.clone(),
            node,
            payload,
            first,
            limited,
            at: Extent::of(expression),
        }));
        Some(node)
    }

    /// `.timeout(1h)` of a signal. rustc checks its type.
    fn limit_of(&self, limit: &ExprMethodCall) -> Option<TokenStream> {
        let mut arguments = limit.args.iter();
        let (Some(argument), None) = (arguments.next(), arguments.next()) else {
            let message = "`.timeout(..)` takes one duration, as in `.timeout(1h)`";
            self.errors.at(&limit.method, message);
            return None;
        };
        if self.depends_on_values(argument) {
            self.errors.at(argument, super::call::DEPENDS);
            return None;
        }
        let limit_of = self.duration(argument)?;
        let ty = shown_at(quote!(__zahir::Duration), limit.method.span());
        Some(quote!({ let limit: #ty = #limit_of; limit }))
    }

    fn signal_name(&self, chain: &Chain<'_>) -> Option<LitStr> {
        let mut arguments = chain.call.args.iter();
        match (arguments.next(), arguments.next()) {
            (
                Some(Expr::Lit(ExprLit {
                    lit: Lit::Str(name),
                    ..
                })),
                None,
            ) => Some(name.clone()),
            (Some(other), None) => {
                let message = "the name of a signal is a string literal: it is part of the \
                               workflow, as in `signal::<Approval>(\"approve\")`";
                self.errors.at(other, message);
                None
            }
            _ => {
                let message = "`signal(..)` takes the name of the signal, as in \
                               `signal::<Approval>(\"approve\")`";
                self.errors.at(&chain.call.func, message);
                None
            }
        }
    }

    /// What a signal carries.
    fn payload(
        &self,
        chain: &Chain<'_>,
        annotated: Option<&Type>,
        name: Option<&LitStr>,
        out: &Ident,
    ) -> Option<Type> {
        let word = chain.path.path.segments.last()?;
        if let PathArguments::AngleBracketed(generics) = &word.arguments {
            let mut types = generics.args.iter();
            if let (Some(GenericArgument::Type(ty)), None) = (types.next(), types.next()) {
                if matches!(ty, Type::Infer(_)) {
                    self.errors.at(
                        ty,
                        "say what this signal carries: its type can't be inferred",
                    );
                    return None;
                }
                return Some(ty.clone());
            }
            self.errors.at(generics, "a signal carries one type");
            return None;
        }
        if let Some(ty) = annotated {
            return Some(ty.clone());
        }
        let name = name.map_or_else(|| "..".to_owned(), |name| name.token().to_string());
        let limited = chain
            .modifiers
            .iter()
            .any(|modifier| modifier.method == "timeout");
        let message = if limited {
            format!(
                "say what this signal carries: `signal::<Type>({name})`; with `.timeout(..)` its \
                 value is a `Result<Type, TimedOut>`"
            )
        } else if out.to_string().starts_with("__value") {
            format!("say what this signal carries: `signal::<Type>({name})`")
        } else {
            format!(
                "say what this signal carries: `signal::<Type>({name})`, or `let {out}: Type = \
                 signal({name})`"
            )
        };
        self.errors.at(&chain.call.func, message);
        None
    }

    /// Makes the constant of a signal; the payload of the first wait for it, if there is one.
    fn register(&mut self, name: &LitStr, payload: &Type) -> Option<Type> {
        let text = name.value();
        let Some(constant) = names::constant(&text, name.span()) else {
            let message = "a signal's name begins with a letter, and letters, digits, `-` and `_` \
                           follow: it names a constant, as `\"approve\"` names `APPROVE`";
            self.errors.at(name, message);
            return None;
        };
        if let Some(known) = self.model.signals.iter().find(|known| known.name == text) {
            return Some(known.payload.clone());
        }
        let same = |known: &&SignalName| known.constant == constant;
        if let Some(other) = self.model.signals.iter().find(same) {
            let line = on_line(other.constant.span());
            let message = format!(
                "the signals `{}`{line} and `{text}` would both be the constant `{constant}`: give \
                 one another name",
                other.name
            );
            self.errors.at(name, message);
            return None;
        }
        self.model.signals.push(SignalName {
            name: text,
            constant,
            payload: payload.clone(),
        });
        None
    }
}
