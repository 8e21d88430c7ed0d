//! `loop` and `while`: a region that runs again until it is left.

use proc_macro2::{Ident, Span};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Block, Expr, Label, LitInt, Meta, Stmt, Token};

use crate::workflow::lower::region::{Around, Loop};
use crate::workflow::lower::{Lowering, Naming};
use crate::workflow::model::{self, NodeKind, Statement};
use crate::workflow::parse::Piece;
use crate::workflow::syntax;

/// A `loop` or `while`.
struct Repeat<'a> {
    attributes: &'a [Attribute],
    label: Option<&'a Label>,
    condition: Option<&'a Expr>,
    body: &'a Block,
    at: Span,
}

/// `#[max(5, or_last)]`
#[derive(Default)]
struct Max {
    rounds: Option<u32>,
    or_last: Option<Span>,
}

const ROUNDS: &str = "expected at most how many rounds, as in `#[max(5)]` or `#[max(5, or_last)]`";

impl Lowering<'_> {
    /// The node of a `loop` or `while`. `out` is what its value is bound to; `None` if nobody wants
    /// it.
    pub(crate) fn repeat(
        &mut self,
        expression: &Expr,
        out: Option<&Ident>,
        naming: &Naming,
    ) -> Option<u32> {
        let repeat = match expression {
            Expr::Loop(repeat) => Repeat {
                attributes: &repeat.attrs,
                label: repeat.label.as_ref(),
                condition: None,
                body: &repeat.body,
                at: repeat.loop_token.span,
            },
            Expr::While(repeat) => Repeat {
                attributes: &repeat.attrs,
                label: repeat.label.as_ref(),
                condition: Some(&repeat.cond),
                body: &repeat.body,
                at: repeat.while_token.span,
            },
            _ => return None,
        };
        self.no_label(repeat.label);
        Some(self.rounds(&repeat, out, naming))
    }

    fn rounds(&mut self, repeat: &Repeat<'_>, out: Option<&Ident>, naming: &Naming) -> u32 {
        let max = self.max(repeat.attributes);
        let statements = with_condition(repeat);
        let names = syntax::assigned_in(&statements);
        let node = self.node(naming, NodeKind::Value, String::new());
        let mut construct = self.begin_construct(node, &names, out.is_some());
        let starts = self.current(&construct.assigned);
        construct.needs(&starts);
        let value = self.temporary(repeat.at);
        let carried = construct.assigned.clone();
        let around = Around::Loop(Loop {
            carried: carried.clone(),
            value: value.clone(),
            is_while: repeat.condition.is_some(),
            or_last: max.or_last,
        });
        let (region, body) = self.region(&mut construct, around, |this| {
            for root in carried {
                this.another(root, NodeKind::Carried);
            }
            let pieces = statements.stmts.into_iter().map(Piece::Statement);
            this.block(pieces.collect(), true)
        });
        let broken = construct.broken || max.or_last.is_some();
        let leaves = construct.leaves;
        if !broken && !leaves {
            let message = "this loop never ends: `break` out of it, as in `if done(&x) { break; }`";
            self.errors.span(repeat.at, message);
            self.meant();
        }
        self.end_construct(construct, &[]);
        self.model.node_mut(node).kind = NodeKind::Loop {
            body: region,
            starts,
            max: max.rounds,
            or_last: max.or_last.is_some(),
        };
        if !broken && leaves {
            self.diverge();
        }
        self.emit(Statement::Loop(model::Loop {
            out: out.cloned(),
            value,
            broken,
            unit: repeat.condition.is_some() || max.or_last.is_some(),
            body,
        }));
        node
    }

    /// `#[max(5)]`, `#[max(5, or_last)]`
    fn max(&self, attributes: &[Attribute]) -> Max {
        let mut max = Max::default();
        for attribute in attributes {
            if !attribute.path().is_ident("max") {
                let message = if attribute.path().is_ident("limit") {
                    "`#[limit(..)]` is for `for`: the rounds of a loop run one after another; there \
                     is `#[max(5)]`: at most so many rounds"
                } else {
                    "a loop has no such attribute; there is `#[max(5)]`: at most so many rounds"
                };
                self.errors.at(attribute, message);
                continue;
            }
            let arguments = Punctuated::<Expr, Token![,]>::parse_terminated;
            let arguments = match &attribute.meta {
                Meta::List(_) => attribute.parse_args_with(arguments).ok(),
                _ => None,
            };
            let arguments: Vec<Expr> = arguments.into_iter().flatten().collect();
            if arguments.is_empty() {
                self.errors.at(attribute, ROUNDS);
            }
            for (place, argument) in arguments.iter().enumerate() {
                self.max_argument(place, argument, &mut max);
            }
        }
        max
    }

    fn max_argument(&self, place: usize, argument: &Expr, max: &mut Max) {
        match argument {
            Expr::Lit(_) if place == 0 => {
                let number = syn::parse2::<LitInt>(quote::ToTokens::to_token_stream(argument));
                match number.and_then(|number| number.base10_parse::<u32>()) {
                    Ok(0) => {
                        let message = "with at most 0 rounds the loop would never run";
                        self.errors.at(argument, message);
                    }
                    Ok(rounds) => max.rounds = Some(rounds),
                    Err(_) => self.errors.at(argument, ROUNDS),
                }
            }
            other if place == 1 && syntax::variable(other).is_some_and(|it| it == "or_last") => {
                max.or_last = Some(other.span());
            }
            other if place == 0 => self.errors.at(other, ROUNDS),
            other => self.errors.at(
                other,
                "`#[max(5)]` fails the run at the limit; `#[max(5, or_last)]` leaves the loop with \
                 what its variables are then; there is nothing else to say",
            ),
        }
    }
}

/// `while c { .. }` is `loop { if c {} else { break } .. }`; with patterns that bind names for the
/// body, `loop { if let p = x { .. } else { break } }`.
fn with_condition(repeat: &Repeat<'_>) -> Block {
    let mut body = repeat.body.clone();
    let Some(condition) = repeat.condition else {
        return body;
    };
    let span = repeat.at;
    if syntax::binds(condition) {
        let rounds = repeat.body;
        let all: Stmt = syn::parse_quote_spanned!(span=> if #condition #rounds else { break; });
        body.stmts = vec![all];
    } else {
        let first: Stmt = syn::parse_quote_spanned!(span=> if #condition {} else { break; });
        body.stmts.insert(0, first);
    }
    body
}
