//! `for`: a region that runs once per item.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprForLoop, LitInt, Pat};

use crate::spans::{Extent, unwrapped_call_at};
use crate::workflow::lower::region::Around;
use crate::workflow::lower::{Lowering, Naming};
use crate::workflow::model::{Block, Each, NodeKind, Source, Statement, VariableId};
use crate::workflow::parse::Piece;
use crate::workflow::rewrite::{copy_of, own};
use crate::workflow::syntax;

impl Lowering<'_> {
    /// The node of a `for`. `out` is what its value is bound to; `None` if nobody wants it.
    pub(crate) fn each(&mut self, each: &ExprForLoop, out: Option<&Ident>, naming: &Naming) -> u32 {
        self.no_label(each.label.as_ref());
        let limit = self.limit(&each.attrs);
        let before = self.errors.count();
        let (items, uses) = self.items(&each.expr);
        let items = self.errors.take_since(before).unwrap_or(items);
        let source = self.source_of(each.expr.to_token_stream(), &uses);
        let node = self.node(naming, NodeKind::Value, source);
        let mut construct = self.begin_construct(node, &[], true);
        let mut item = None;
        let (body, block) = self.region(&mut construct, Around::Each, |this| {
            let (ident, item_node) = this.item(&each.pat);
            let block = this.each_body(each, &ident, item_node, out.is_none());
            item = Some((ident, item_node));
            block
        });
        let Some((item, item_node)) = item else {
            return node;
        };
        let lends = self.end_construct(construct, &uses);
        self.model.node_mut(node).kind = NodeKind::Each {
            item: item_node,
            body,
            lends,
            limit,
        };
        self.emit(Statement::Each(Each {
            out: out.cloned(),
            node,
            item,
            items,
            uses,
            body: block,
        }));
        node
    }

    fn each_body(&mut self, each: &ExprForLoop, item: &Ident, node: u32, unit: bool) -> Block {
        let pieces = each.body.stmts.iter().cloned().map(Piece::Statement);
        let pieces = pieces.collect();
        if is_plain(&each.pat) {
            self.bind(item, Source::Node(node));
            return self.block(pieces, unit);
        }
        let variable = self.variable(item, Source::Node(node));
        self.open_block();
        self.destructure(&each.pat, variable, Extent::of(&each.expr));
        self.check_bindings(&each.pat);
        let head = self.close_block().statements;
        let mut block = self.block(pieces, unit);
        block.statements.splice(0..0, head);
        block
    }

    /// The variable and node of one item.
    fn item(&mut self, pattern: &Pat) -> (Ident, u32) {
        let ident = match pattern {
            Pat::Ident(name) if is_plain(pattern) => {
                if let Some(mutability) = &name.mutability {
                    self.errors.at(
                        mutability,
                        "an item can't be changed: it is shared by its jobs",
                    );
                }
                name.ident.clone()
            }
            other => self.temporary(other.span()),
        };
        let naming = if is_plain(pattern) {
            Naming::fixed(&ident)
        } else {
            Naming::derived("item", pattern.span())
        };
        let node = self.node(&naming, NodeKind::Item, String::new());
        (ident, node)
    }

    /// What the `for` goes over: a copy of a value that is there, or what an expression gives.
    fn items(&mut self, expression: &Expr) -> (TokenStream, Vec<VariableId>) {
        let place = match expression {
            Expr::Reference(reference) => &*reference.expr,
            other => other,
        };
        if let Some(name) = syntax::variable(place)
            && let Some(variable) = self.scopes.find(&name.to_string())
        {
            self.touch(&[variable]);
            let mut shown = name.clone();
            shown.set_span(name.span());
            return (copy_of(&shown), vec![variable]);
        }
        if syntax::is_place(place) && !matches!(place, Expr::Path(_)) {
            let mut borrowed: Expr = syn::parse_quote!(&#place);
            let uses = self.rewrite_value(&mut borrowed);
            let at = Extent::of(expression);
            return (
                unwrapped_call_at(at, own(), borrowed.to_token_stream()),
                uses,
            );
        }
        if let Some(call) = syntax::borrowing(place) {
            let receiver = &call.receiver;
            let instead = if syntax::is_place(receiver) {
                format!("write `in {}`", text(receiver))
            } else {
                format!("leave `.{}()` out", call.method)
            };
            let message = format!(
                "the items of a `for` are nodes' values, so they can't be borrowed: {instead}"
            );
            self.errors.at(&call.method, message);
        }
        // `&made()`: what is made here is gone over itself.
        let mut expression = place.clone();
        let uses = self.rewrite_value(&mut expression);
        (expression.to_token_stream(), uses)
    }

    /// `#[limit(8)]`
    fn limit(&self, attributes: &[Attribute]) -> Option<u32> {
        let mut limit = None;
        for attribute in attributes {
            let number = attribute
                .path()
                .is_ident("limit")
                .then(|| attribute.parse_args::<LitInt>());
            match number {
                Some(Ok(number)) => match number.base10_parse::<u32>() {
                    Ok(0) => self
                        .errors
                        .at(&number, "with a limit of 0 nothing would ever run"),
                    Ok(count) => limit = Some(count),
                    Err(_) => self.errors.at(&number, "expected how many items at once"),
                },
                Some(Err(_)) => self.errors.at(
                    attribute,
                    "expected how many items at once, as in `#[limit(8)]`",
                ),
                None if attribute.path().is_ident("max") => self.errors.at(
                    attribute,
                    "`#[max(..)]` is for `loop` and `while`: a `for` ends with its items; there is \
                     `#[limit(8)]`: at most so many items at once",
                ),
                None => self.errors.at(
                    attribute,
                    "a `for` has no such attribute; there is `#[limit(8)]`: at most so many items \
                     at once",
                ),
            }
        }
        limit
    }
}

/// A place as one would write it.
fn text(place: &Expr) -> String {
    place.to_token_stream().to_string().replace(' ', "")
}

fn is_plain(pattern: &Pat) -> bool {
    matches!(pattern, Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none())
}
