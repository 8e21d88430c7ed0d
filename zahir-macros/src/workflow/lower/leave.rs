//! What changes a variable, and what leaves a region: assignments, `break`, `continue`, `return`.

use proc_macro2::{Ident, Span};
use quote::quote;
use syn::{Expr, ExprAssign, ExprBinary, ExprBreak, ExprContinue, ExprReturn};

use crate::spans::{Extent, on_line};
use crate::workflow::lower::Lowering;
use crate::workflow::lower::region::{Around, Loop};
use crate::workflow::model::{Assign, Break, Exit, Source, Statement};
use crate::workflow::syntax;

/// A loop that is left, and how many regions inside of it are.
struct Left {
    around: Loop,
    inside: usize,
}

impl Lowering<'_> {
    /// A statement that has no value.
    pub(crate) fn action(&mut self, expression: Expr) {
        let before = self.errors.count();
        match expression {
            Expr::Assign(assign) => self.assign(assign),
            Expr::Binary(binary) => self.compound(binary),
            Expr::Break(leave) => self.break_loop(leave),
            Expr::Continue(next) => self.continue_loop(&next),
            Expr::Return(leave) => self.return_value(leave),
            _ => {}
        }
        self.broken(None, before);
    }

    /// `x = y;`
    fn assign(&mut self, assign: ExprAssign) {
        self.assign_to(&assign.left, *assign.right);
    }

    /// `x += y;`: the same as `x = { let mut new = x; new += y; new }`.
    fn compound(&mut self, binary: ExprBinary) {
        let ExprBinary {
            left, op, right, ..
        } = binary;
        let right = if syntax::has_job(&right) {
            self.alone(*right)
        } else {
            *right
        };
        let at = Extent::of(&left);
        let word = |text: &str| Ident::new(text, Span::mixed_site().located_at(at.first));
        let (new, binding, mutable) = (word("new"), word("let"), word("mut"));
        let value = quote!({ #binding #mutable #new = #left; #new #op #right; #new });
        match syn::parse2(value) {
            Ok(value) => self.assign_to(&left, value),
            Err(error) => self.errors.syntax(error),
        }
    }

    /// The name of a node for the value.
    fn alone(&mut self, value: Expr) -> Expr {
        let before = self.errors.count();
        let tail = self.value_of(value, None);
        self.broken(Some(&tail.ident), before);
        let node = tail.node.unwrap_or_else(|| self.hole());
        let name = tail.ident;
        self.bind(&name, Source::Node(node));
        syn::parse_quote!(#name)
    }

    fn assign_to(&mut self, place: &Expr, value: Expr) {
        let Some(name) = syntax::variable(place).cloned() else {
            self.partly(place);
            return;
        };
        if !self.may_assign(&name) {
            return;
        }
        let before = self.errors.count();
        let new = self.value_of(value, Some(&name));
        if self.errors.count() > before {
            self.broken(Some(&new.ident), before);
            return;
        }
        let Some(old) = self.scopes.find(&name.to_string()) else {
            return;
        };
        if matches!(self.model.variable(old).source, Source::Parts(_)) {
            // That it can't be is said where it is bound.
            return;
        }
        let root = self.model.variable(old).root;
        let node = new.node;
        self.emit(Statement::Assign(Assign { root, new }));
        if let Some(node) = node {
            self.assigned(&name, node);
        }
    }

    /// `x.y = z`
    fn partly(&mut self, place: &Expr) {
        let message = "only a whole variable can be assigned: node values can't be changed in part";
        self.errors.at(place, message);
        let mut base = place;
        while let Expr::Field(syn::ExprField { base: inner, .. })
        | Expr::Index(syn::ExprIndex { expr: inner, .. }) = base
        {
            base = inner;
        }
        let variable = syntax::variable(base).and_then(|name| self.scopes.find(&name.to_string()));
        if let Some(variable) = variable {
            let root = self.model.variable(variable).root;
            self.model.assigned.insert(root.0);
        }
    }

    /// `x = job();` where there is no `x`: from here on there is one.
    fn forgotten(&mut self, name: &Ident) {
        let error = self.errors.take_since(self.errors.count() - 1);
        let out = Some(name.clone());
        if let Some(error) = error {
            self.emit(Statement::Broken { out, error });
        }
        let node = self.hole();
        self.bind(name, Source::Node(node));
    }

    fn may_assign(&mut self, name: &Ident) -> bool {
        let text = name.to_string();
        let Some(variable) = self.scopes.find(&text) else {
            if !self.check_later(name) {
                let hint = self.similar_variable(name);
                let message =
                    format!("there is no variable `{name}`: write `let {name} = ..`{hint}");
                self.errors.at(name, message);
                self.forgotten(name);
            }
            return false;
        };
        let root = self.model.variable(variable).root;
        self.model.assigned.insert(root.0);
        let variable = self.model.variable(variable);
        let (line, home) = (on_line(variable.ident.span()), variable.home);
        if !variable.mutable {
            let message = match variable.source {
                Source::Node(node) if self.model.node(node).kind.is_given() => format!(
                    "`{name}` can't be assigned: give its value to a variable that can, as in `let \
                     mut new_{name} = {name};`"
                ),
                Source::Node(_) => {
                    format!("`{name}` is assigned twice: declare it with `let mut {name}`{line}")
                }
                Source::Parts(_) => format!(
                    "`{name}` can't be assigned: give its value to a variable that can, as in `let \
                     mut {name} = {name};`"
                ),
            };
            self.errors.at(name, message);
            return false;
        }
        let open = self.open.iter().rev();
        let around = open
            .take_while(|open| open.number != home)
            .map(|open| &open.around);
        for around in around {
            let message = match around {
                Around::Open | Around::Loop(_) => continue,
                Around::Each => format!(
                    "`{name}` is declared outside of this `for`{line}, and the rounds of a `for` \
                     run at the same time: end its body with what it finds and use the list that \
                     gives, or write a `while`; for plain Rust, write `pure({{ .. }})`"
                ),
                Around::Entry => format!(
                    "`{name}` is declared outside of this `race`{line}, whose entries run at the \
                     same time: let this entry give the value, and assign it behind the `race`"
                ),
                Around::Finally => format!(
                    "`{name}` is declared outside of this `.finally(..)`{line}, which only cleans \
                     up: it can't change what comes behind it"
                ),
            };
            self.errors.at(name, message);
            return false;
        }
        true
    }

    fn break_loop(&mut self, leave: ExprBreak) {
        let at = leave.break_token.span;
        let Some(left) = self.left(leave.label.is_some(), at, "break") else {
            return;
        };
        let mut given = None;
        if let Some(value) = leave.expr {
            if left.around.is_while {
                let message = "a `while` has no value, as its condition may end it: assign a \
                               variable before the `break`, or write `loop`";
                self.errors.at(&value, message);
                self.wrong();
                return;
            }
            if let Some(or_last) = left.around.or_last {
                let message = "this loop may end at its limit, where no `break` gives it a value: \
                               write `#[max(..)]` without `or_last`, or `break` without a value";
                self.errors.span(or_last, message);
                self.wrong();
                return;
            }
            given = Some(self.value_of(*value, None));
        }
        let outs = self.current(&left.around.carried);
        let region = self.model.region_mut(self.region);
        region.result = given.as_ref().and_then(|tail| tail.node);
        self.exit(Exit::Break, outs, left.inside);
        self.emit(Statement::Break(Break {
            value: left.around.value,
            given,
            at,
        }));
    }

    fn continue_loop(&mut self, next: &ExprContinue) {
        let at = next.continue_token.span;
        if let Some(left) = self.left(next.label.is_some(), at, "continue") {
            let outs = self.current(&left.around.carried);
            self.exit(Exit::Continue, outs, left.inside);
        }
    }

    /// The loop that a `break` or `continue` is about.
    fn left(&mut self, labeled: bool, at: Span, word: &str) -> Option<Left> {
        if labeled {
            if !self.labeled {
                self.errors.span(
                    at,
                    format!("no labels in a workflow: `{word}` is about the innermost loop"),
                );
            }
            self.wrong();
            return None;
        }
        let mut found = None;
        let mut message = format!("`{word}` outside of a loop");
        for (inside, open) in self.open.iter_mut().rev().enumerate() {
            message = match &open.around {
                Around::Open => continue,
                Around::Loop(around) => {
                    open.broken |= word == "break";
                    let around = around.clone();
                    found = Some(Left { around, inside });
                    break;
                }
                Around::Each if word == "continue" => {
                    "no `continue` in a `for`: its rounds run at the same time; put the rest of \
                     the round into an `if`"
                        .to_owned()
                }
                Around::Each => {
                    "no `break` out of a `for`: its rounds run at the same time, so there is none \
                     that comes last; `return` is possible, or write a `while`"
                        .to_owned()
                }
                Around::Entry => {
                    format!("no `{word}` out of a `race`: `match` on its value behind it")
                }
                Around::Finally => {
                    format!("no `{word}` out of `.finally(..)`: it runs however the rest ends")
                }
            };
            break;
        }
        if found.is_none() {
            self.errors.span(at, message);
            self.wrong();
        }
        found
    }

    fn return_value(&mut self, leave: ExprReturn) {
        let at = leave.return_token.span;
        for open in self.open.iter().rev() {
            let message = match open.around {
                Around::Open | Around::Loop(_) | Around::Each => continue,
                Around::Entry => {
                    "no `return` out of a `race`: `match` on its value behind it, and `return` there"
                }
                Around::Finally => {
                    "no `return` out of `.finally(..)`: it runs however the rest ends"
                }
            };
            self.errors.span(at, message);
            self.wrong();
            return;
        }
        let given = leave.expr.map(|value| {
            let value = self.without_ok(*value);
            self.value_of(value, None)
        });
        if given.is_none() && !self.unit {
            let message = format!(
                "this workflow returns `{}`: write `return value`",
                self.output
            );
            self.errors.span(at, message);
        }
        let inside = self.open.len().saturating_sub(1);
        let region = self.model.region_mut(self.region);
        region.result = given.as_ref().and_then(|tail| tail.node);
        self.exit(Exit::Return, Vec::new(), inside);
        self.emit(Statement::Return(given));
    }

    /// The innermost region ends here; so do the `inside` innermost ones.
    fn exit(&mut self, exit: Exit, outs: Vec<u32>, inside: usize) {
        let region = self.model.region_mut(self.region);
        region.exit = exit;
        region.outs = outs;
        if let Some(open) = self.open.last_mut() {
            open.left = true;
        }
        self.leave(inside);
        self.diverge();
    }

    /// Something would leave this block, and maybe a loop, were it not wrong.
    fn wrong(&mut self) {
        for open in &mut self.open {
            open.broken = true;
        }
        self.meant();
    }

    /// Nothing would come behind this, were it not wrong.
    pub(crate) fn meant(&mut self) {
        if let Some(block) = self.blocks.last_mut() {
            block.meant = true;
        }
    }

    /// Nothing comes behind this in the innermost block.
    pub(crate) fn diverge(&mut self) {
        if let Some(block) = self.blocks.last_mut() {
            block.diverges = true;
        }
    }
}
