//! `.result()`, `.rescue(..)` and `.finally(..)`: what happens when something fails.
//!
//! Each is a node of its own around what it stands behind; of several, the leftmost is innermost.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Expr, ExprClosure, ExprMethodCall, Pat, Stmt, Type};

use crate::spans::{Extent, hidden};
use crate::workflow::lower::call::Prepared;
use crate::workflow::lower::region::{Around, Construct};
use crate::workflow::lower::{Lowering, Naming, Value};
use crate::workflow::model::{
    Block, Body, Finally, NodeKind, Rescue, Settle, Source, Statement, Tail,
};
use crate::workflow::parse::Piece;
use crate::workflow::syntax::{self, Handled};

const RESCUE: &str = "`.rescue(..)` takes what to do with the error, as in \
                      `.rescue(|err| refund(&user, &err))`";

const FINALLY: &str = "`.finally(..)` takes what always runs at the end, as in \
                       `.finally(release(&seat))` or `.finally({ .. })`";

/// What may fail, not lowered yet.
enum Inner<'a> {
    Call(Box<Prepared>),
    Other(&'a Expr),
}

/// What may fail and the handlers behind it, innermost first.
struct Handling<'a> {
    inner: Inner<'a>,
    handlers: &'a [&'a ExprMethodCall],
    /// What the inner expression is called that has no name.
    name: Naming,
    at: Extent,
}

impl Lowering<'_> {
    pub(crate) fn handled(&mut self, handled: &Handled<'_>, out: &Ident, naming: &Naming) -> u32 {
        let Handled {
            body,
            settings,
            handlers,
        } = handled;
        let at = Extent::of(body);
        let chain = syntax::chain(body);
        let wait = chain.as_ref().and_then(|chain| chain.wait().cloned());
        let with_settings = settings.iter().fold((*body).clone(), set);
        let inner = match chain {
            Some(mut chain) if wait.is_none() => {
                chain.modifiers.clone_from(settings);
                Inner::Call(Box::new(self.prepare(&chain, at)))
            }
            Some(_) => Inner::Other(&with_settings),
            None => {
                self.check_settings(settings);
                Inner::Other(body)
            }
        };
        if let Some(wait) = &wait {
            self.check_handlers(wait, handlers);
        }
        self.check_order(handlers);
        let name = Naming::derived(super::statement::default_name(body), at.first);
        let handling = Handling {
            inner,
            handlers,
            name,
            at,
        };
        self.handle(handling, out, naming)
    }

    /// Settings are those of a call.
    pub(crate) fn check_settings(&self, settings: &[&ExprMethodCall]) {
        for setting in settings {
            let name = &setting.method;
            let message = format!(
                "`.{name}(..)` is a setting of a job call: write it behind a call inside of this"
            );
            self.errors.at(name, message);
        }
    }

    /// What can't fail needs no handler.
    fn check_handlers(&self, wait: &Ident, handlers: &[&ExprMethodCall]) {
        for handler in handlers {
            let name = &handler.method;
            if wait == "signal" && name != "finally" {
                let message = format!(
                    "a wait for a signal can't fail, so `.{name}(..)` has nothing to do; with \
                     `.timeout(1h)` it gives a `Result`"
                );
                self.errors.at(name, message);
            } else if wait == "sleep" || wait == "sleep_until" {
                let message = format!(
                    "`{wait}(..)` can't fail, so `.{name}(..)` has nothing to do: write it as a \
                     statement, `{wait}(..);`"
                );
                self.errors.at(name, message);
            }
        }
    }

    /// Behind `.result()` there is no failure.
    fn check_order(&self, handlers: &[&ExprMethodCall]) {
        for pair in handlers.windows(2) {
            if let [first, second] = pair
                && first.method == "result"
                && second.method != "finally"
            {
                let name = &second.method;
                let message = format!(
                    "`.result()` has made a value of the failure, so `.{name}(..)` has nothing to \
                     do: leave one of the two out, or `match` on the `Result`"
                );
                self.errors.at(name, message);
            }
        }
    }

    fn handle(&mut self, handling: Handling<'_>, out: &Ident, naming: &Naming) -> u32 {
        let Some((handler, before)) = handling.handlers.split_last() else {
            return self.hole();
        };
        let node = self.node(naming, NodeKind::Value, String::new());
        let handling = Handling {
            handlers: before,
            ..handling
        };
        let method = handler.method.to_string();
        if method == "result" {
            self.settle(handling, handler, out, node);
        } else if method == "rescue" {
            self.rescue(handling, handler, out, node);
        } else {
            self.finally(handling, handler, out, node);
        }
        node
    }

    /// The region of what may fail. `keeps` if its error is handled.
    fn body(
        &mut self,
        construct: &mut Construct,
        handling: Handling<'_>,
        keeps: bool,
    ) -> (u32, Body) {
        let Handling {
            inner,
            handlers,
            name,
            at,
        } = handling;
        let mut keep = None;
        let (region, block) = self.region(construct, Around::Open, |this| match inner {
            Inner::Other(expression) if handlers.is_empty() => {
                let pieces = pieces_of(expression);
                this.block(pieces, false)
            }
            inner => {
                this.open_block();
                let out = this.temporary(at.first);
                let node = match inner {
                    Inner::Call(prepared) if handlers.is_empty() => {
                        keep = keeps.then(|| hidden("keep"));
                        this.place(*prepared, &out, &name, keep.clone())
                    }
                    inner => {
                        let naming = match (&inner, handlers.last()) {
                            (Inner::Other(_), Some(handler)) => {
                                let handler = &handler.method;
                                Naming::derived(handler.to_string(), handler.span())
                            }
                            _ => Naming::derived(name.name.clone(), name.at),
                        };
                        let handling = Handling {
                            inner,
                            handlers,
                            name,
                            at,
                        };
                        this.handle(handling, &out, &naming)
                    }
                };
                let node = Some(node);
                let tail = Self::tail_of(&Value { ident: out, node }, at);
                Block {
                    tail: Some(tail),
                    ..this.close_block()
                }
            }
        });
        (region, Body { block, keep, at })
    }

    /// The variables that are assigned in what is handled and in its handler.
    fn assigned_by(handling: &Handling<'_>, handler: Option<&ExprMethodCall>) -> Vec<Ident> {
        let body = match handling.inner {
            Inner::Other(expression) => Some(expression),
            Inner::Call(_) => None,
        };
        let handlers = handling.handlers.iter().copied().chain(handler);
        let arguments = handlers.flat_map(|handler| &handler.args);
        syntax::assigned(body.into_iter().chain(arguments))
    }

    fn settle(&mut self, handling: Handling<'_>, handler: &ExprMethodCall, out: &Ident, node: u32) {
        let before = self.errors.count();
        if let Some(argument) = handler.args.first() {
            let message = "`.result()` takes nothing: it gives a `Result`, for `match`; to go on \
                           in place, write `.rescue(|err| ..)`";
            self.errors.at(argument, message);
        }
        let names = Self::assigned_by(&handling, None);
        for name in names {
            let probe = self.begin_construct(node, std::slice::from_ref(&name), true);
            if !probe.assigned.is_empty() {
                let message = format!(
                    "`{name}` can't be assigned here: if this fails, nobody knows whether it was; \
                     let the block end with the new value"
                );
                self.errors.at(&name, message);
            }
        }
        let error = self.errors.take_since(before);
        let mut construct = self.begin_construct(node, &[], true);
        let (region, body) = self.body(&mut construct, handling, true);
        self.end_construct(construct, &[]);
        self.model.node_mut(node).kind = NodeKind::Result { body: region };
        self.emit(Statement::Settle(Settle {
            out: out.clone(),
            node,
            body,
        }));
        self.emit_error(out, error);
    }

    fn rescue(&mut self, handling: Handling<'_>, handler: &ExprMethodCall, out: &Ident, node: u32) {
        let names = Self::assigned_by(&handling, Some(handler));
        let mut construct = self.begin_construct(node, &names, true);
        let (body_region, body) = self.body(&mut construct, handling, true);
        let before = self.errors.count();
        let parsed = self.handler(handler);
        let error = self.errors.take_since(before);
        let mut caught = (hidden("error"), None);
        let (region, block) = self.region(&mut construct, Around::Open, |this| {
            let Some(parsed) = parsed else {
                this.caught(None, handler);
                return this.broken_block(error);
            };
            let (ident, node) = this.caught(Some(&parsed.pattern), handler);
            let block = this.handler_body(&parsed, &ident, node);
            caught = (ident, parsed.ty);
            block
        });
        self.end_construct(construct, &[]);
        self.model.node_mut(node).kind = NodeKind::Rescue {
            body: body_region,
            handler: region,
        };
        let (error, ty) = caught;
        let handler_at = handler.args.first().map_or_else(
            || Extent::of(&handler.method),
            |argument| match argument {
                Expr::Closure(closure) => Extent::of(&closure.body),
                other => Extent::of(other),
            },
        );
        self.emit(Statement::Rescue(Rescue {
            out: out.clone(),
            body,
            error,
            ty,
            handler: block,
            handler_at,
        }));
    }

    /// What is handed to `.rescue(..)`; `None` if it is none of that, which is reported.
    fn handler(&self, method: &ExprMethodCall) -> Option<Handler> {
        let mut arguments = method.args.iter();
        let (Some(argument), None) = (arguments.next(), arguments.next()) else {
            self.errors.at(&method.method, RESCUE);
            return None;
        };
        let Expr::Closure(closure) = argument else {
            self.errors.at(argument, RESCUE);
            return None;
        };
        self.check_closure(closure)?;
        let mut inputs = closure.inputs.iter();
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            let message = "the closure of `.rescue(..)` takes the error and nothing else: write \
                           `|err| ..`, or `|_| ..` if it doesn't matter which";
            let bars = Extent {
                first: closure.inputs_begin.span(),
                last: closure.inputs_end.span(),
            };
            self.errors.extent(bars, message);
            return None;
        };
        let (pattern, ty) = match input {
            Pat::Type(typed) => ((*typed.pat).clone(), Some((*typed.ty).clone())),
            other => (other.clone(), None),
        };
        if let Expr::Block(block) = &*closure.body
            && block.block.stmts.is_empty()
        {
            let message = "an empty rescue hides every failure: say what to do instead, or write \
                           `|_| ()` if there is nothing to do";
            self.errors.at(&closure.body, message);
            return None;
        }
        Some(Handler {
            pattern,
            ty,
            body: (*closure.body).clone(),
        })
    }

    fn check_closure(&self, closure: &ExprClosure) -> Option<()> {
        let (at, message) = if let Some(asyncness) = &closure.asyncness {
            let message = "no `async` here: the workflow runs each call of the handler as soon as \
                           its inputs are ready";
            (asyncness.to_token_stream(), message)
        } else if let syn::ReturnType::Type(_, ty) = &closure.output {
            let message = "a handler gives what it stands behind: leave its type out";
            (ty.to_token_stream(), message)
        } else {
            return Some(());
        };
        self.errors.at(&at, message);
        None
    }

    /// The variable and node of the error.
    fn caught(&mut self, pattern: Option<&Pat>, handler: &ExprMethodCall) -> (Ident, u32) {
        let (ident, naming) = match pattern {
            Some(Pat::Ident(name)) if name.by_ref.is_none() && name.subpat.is_none() => {
                if let Some(mutability) = &name.mutability {
                    let message = "an error can't be changed: it is shared by what reads it";
                    self.errors.at(mutability, message);
                }
                (name.ident.clone(), Naming::fixed(&name.ident))
            }
            Some(other) => {
                let at = other.span();
                (self.temporary(at), Naming::derived("error", at))
            }
            None => {
                let at = handler.method.span();
                (self.temporary(at), Naming::derived("error", at))
            }
        };
        let node = self.node(&naming, NodeKind::Caught, String::new());
        (ident, node)
    }

    fn handler_body(&mut self, handler: &Handler, error: &Ident, node: u32) -> Block {
        let before = self.errors.count();
        self.open_block();
        let plain = matches!(&handler.pattern, Pat::Ident(name) if name.ident == *error);
        if plain {
            self.bind(error, Source::Node(node));
        } else {
            let variable = self.variable(error, Source::Node(node));
            if !matches!(handler.pattern, Pat::Wild(_)) {
                self.destructure(&handler.pattern, variable, Extent::of(&handler.pattern));
            }
        }
        self.broken(None, before);
        let head = self.close_block().statements;
        let mut block = self.block(pieces_of(&handler.body), false);
        block.statements.splice(0..0, head);
        block
    }

    fn finally(
        &mut self,
        handling: Handling<'_>,
        handler: &ExprMethodCall,
        out: &Ident,
        node: u32,
    ) {
        let names = Self::assigned_by(&handling, None);
        let mut construct = self.begin_construct(node, &names, true);
        let (body_region, body) = self.body(&mut construct, handling, false);
        let before = self.errors.count();
        let last = self.last(handler);
        let error = self.errors.take_since(before);
        let (region, block) = self.region(&mut construct, Around::Finally, |this| match error {
            Some(error) => this.broken_block(Some(error)),
            None => this.block(last, true),
        });
        // What the variables are behind it is decided by its body.
        self.model.region_mut(region).outs.clear();
        self.end_construct(construct, &[]);
        self.model.node_mut(node).kind = NodeKind::Finally {
            body: body_region,
            last: region,
        };
        self.emit(Statement::Finally(Finally {
            out: out.clone(),
            body,
            last: block,
        }));
    }

    /// What is handed to `.finally(..)`, as statements: nobody wants a value.
    fn last(&self, method: &ExprMethodCall) -> Vec<Piece> {
        let mut arguments = method.args.iter();
        let (Some(argument), None) = (arguments.next(), arguments.next()) else {
            self.errors.at(&method.method, FINALLY);
            return Vec::new();
        };
        if let Expr::Closure(closure) = argument {
            let bars = Extent {
                first: closure.inputs_begin.span(),
                last: closure.inputs_end.span(),
            };
            let message = "`.finally(..)` takes what always runs at the end itself, without \
                           `||`: write `.finally(release(&seat))` or `.finally({ .. })`";
            self.errors.extent(bars, message);
            return Vec::new();
        }
        let mut statements = match syntax::block_of(argument) {
            Some(block) => block.stmts.clone(),
            None => vec![Stmt::Expr(argument.clone(), None)],
        };
        if statements.is_empty() {
            self.errors.at(argument, FINALLY);
        }
        if let Some(Stmt::Expr(value, semicolon)) = statements.last_mut() {
            if semicolon.is_none() && !syntax::is_node(value) && !syntax::is_action(value) {
                let message = "nobody gets this value: `.finally(..)` takes the jobs that always \
                               run at the end";
                self.errors.at(value, message);
            }
            semicolon.get_or_insert_with(Default::default);
        }
        statements.into_iter().map(Piece::Statement).collect()
    }

    /// A block that stands for something wrong: its value is of any type.
    pub(crate) fn broken_block(&mut self, error: Option<TokenStream>) -> Block {
        self.open_block();
        let at = proc_macro2::Span::call_site();
        let ident = self.temporary(at);
        let node = Some(self.hole());
        self.emit_error(&ident, error);
        let tail = Tail {
            ident,
            node,
            at: Extent::from(at),
        };
        Block {
            tail: Some(tail),
            ..self.close_block()
        }
    }

    fn emit_error(&mut self, out: &Ident, error: Option<TokenStream>) {
        if let Some(error) = error {
            let out = Some(out.clone());
            self.emit(Statement::Broken { out, error });
        }
    }
}

/// `body.setting(..)`
fn set(body: Expr, setting: &&ExprMethodCall) -> Expr {
    Expr::MethodCall(ExprMethodCall {
        receiver: Box::new(body),
        ..(*setting).clone()
    })
}

/// What is handed to `.rescue(..)`.
struct Handler {
    pattern: Pat,
    ty: Option<Type>,
    body: Expr,
}

/// The statements of a block, or the expression as the only one.
pub(crate) fn pieces_of(expression: &Expr) -> Vec<Piece> {
    match syntax::block_of(expression) {
        Some(block) => block.stmts.iter().cloned().map(Piece::Statement).collect(),
        None => vec![Piece::Statement(Stmt::Expr(expression.clone(), None))],
    }
}
