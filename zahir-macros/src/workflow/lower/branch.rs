//! `if` and `match`: one region per arm, of which one runs.

use proc_macro2::{Delimiter, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, ExprIf, ExprLet, ExprMatch, Pat, PatIdent, Stmt, UnOp};

use crate::canonical;
use crate::spans::{Extent, group_at};
use crate::workflow::lower::region::{Around, Construct};
use crate::workflow::lower::{Lowering, Naming};
use crate::workflow::model::{
    Arm, Branch, NodeKind, Parts, PartsId, Pick, PickArm, Source, Statement, VariableId, push_new,
};
use crate::workflow::parse::Piece;
use crate::workflow::rewrite;
use crate::workflow::syntax;

/// A branch whose arms are to be lowered.
struct Start {
    pick: Pick,
    uses: Vec<VariableId>,
    /// The source of the choice.
    source: TokenStream,
    at: Span,
}

/// What an arm is made of.
struct ArmSource<'a> {
    body: &'a Expr,
    /// What its pattern binds.
    bound: Vec<VariableId>,
    /// Its pattern, as it is shown.
    label: String,
}

/// A value that patterns are held against.
struct Matched {
    /// In the choice, where names of the same condition are bound by itself.
    here: TokenStream,
    /// In the nodes of an arm.
    there: TokenStream,
    /// What `there` reads.
    uses: Vec<VariableId>,
    /// Whether it is there already, so that patterns borrow from it.
    place: bool,
}

impl Lowering<'_> {
    /// The node of an `if`. `out` is what its value is bound to; `None` if nobody wants it.
    pub(crate) fn branch_if(
        &mut self,
        branch: &ExprIf,
        out: Option<&Ident>,
        naming: &Naming,
    ) -> u32 {
        let before = self.errors.count();
        let mut bound = Vec::new();
        self.scopes.enter();
        let (condition, uses) = self.condition(&branch.cond, &mut bound);
        self.scopes.leave();
        let pick = match self.errors.take_since(before) {
            Some(error) => Pick::Broken(error),
            None => Pick::Condition {
                condition,
                bound: bound.clone(),
                otherwise: branch.else_branch.as_ref().map(|(word, _)| word.span),
                chain: matches!(&branch.else_branch, Some((_, other)) if matches!(**other, Expr::If(_))),
            },
        };
        let then = Expr::Block(syn::ExprBlock {
            attrs: Vec::new(),
            label: None,
            block: branch.then_branch.clone(),
        });
        let nothing = Expr::Block(syn::parse_quote!({}));
        let otherwise = branch.else_branch.as_ref();
        let otherwise = otherwise.map_or(&nothing, |(_, otherwise)| otherwise);
        let start = Start {
            pick,
            uses,
            source: {
                let condition = &branch.cond;
                quote!(if #condition)
            },
            at: branch.if_token.span,
        };
        let arms = vec![
            ArmSource {
                body: &then,
                bound,
                label: String::new(),
            },
            ArmSource {
                body: otherwise,
                bound: Vec::new(),
                label: String::new(),
            },
        ];
        self.branch(start, arms, out, naming)
    }

    /// The node of a `match`.
    pub(crate) fn branch_match(
        &mut self,
        choice: &ExprMatch,
        out: Option<&Ident>,
        naming: &Naming,
    ) -> u32 {
        let before = self.errors.count();
        let matched = self.matched(&choice.expr, &[]);
        let mut uses = matched.uses.clone();
        let matched_on = &choice.expr;
        let mut source = quote!(match #matched_on);
        let (mut picks, mut arms) = (Vec::new(), Vec::new());
        for arm in &choice.arms {
            source.extend(arm.pat.to_token_stream());
            let (pattern, guard) = match &arm.pat {
                Pat::Guard(guarded) => (&*guarded.pat, Some(&*guarded.guard)),
                pattern => (pattern, None),
            };
            self.scopes.enter();
            let bound = self.bind_parts(pattern, &matched);
            let guard = guard.map(|guard| self.guard(guard, &bound, &mut uses));
            self.scopes.leave();
            picks.push(PickArm {
                pattern: in_place(pattern, matched.place),
                guard,
                bound: bound.clone(),
                arrow: arm.fat_arrow_token.spans[0],
                body: Extent::of(&arm.body).last,
            });
            arms.push(ArmSource {
                body: &arm.body,
                bound,
                label: shown(&arm.pat.to_token_stream()),
            });
        }
        let pick = match self.errors.take_since(before) {
            Some(error) => Pick::Broken(error),
            None => Pick::Match {
                matched: matched.here,
                arms: picks,
                braces: choice.brace_token.span.join(),
            },
        };
        let start = Start {
            pick,
            uses,
            source,
            at: choice.match_token.span,
        };
        self.branch(start, arms, out, naming)
    }

    fn branch(
        &mut self,
        start: Start,
        sources: Vec<ArmSource<'_>>,
        out: Option<&Ident>,
        naming: &Naming,
    ) -> u32 {
        let Start {
            pick,
            uses,
            source,
            at,
        } = start;
        // What the patterns of the arms call their parts makes no difference.
        let mut known = uses.clone();
        known.extend(sources.iter().flat_map(|arm| &arm.bound));
        let source = canonical::text_over(source, &self.variable_names(&known));
        let node = self.node(naming, NodeKind::Value, source);
        let names = syntax::assigned(sources.iter().map(|arm| arm.body));
        let mut construct = self.begin_construct(node, &names, out.is_some());
        let (mut regions, mut arms) = (Vec::new(), Vec::new());
        for source in sources {
            let (region, arm) = self.arm(&mut construct, source);
            regions.push(region);
            arms.push(arm);
        }
        let lends = self.end_construct(construct, &uses);
        self.model.node_mut(node).kind = NodeKind::Branch {
            arms: regions,
            lends,
        };
        if !arms.is_empty() && arms.iter().all(|arm| arm.block.diverges) {
            self.diverge();
        }
        self.emit(Statement::Branch(Branch {
            out: out.cloned(),
            node,
            pick,
            uses,
            arms,
            at,
        }));
        node
    }

    fn arm(&mut self, construct: &mut Construct, source: ArmSource<'_>) -> (u32, Arm) {
        let ArmSource { body, bound, label } = source;
        let statements = match syntax::bare(body) {
            Expr::Block(block) if block.label.is_none() && block.attrs.is_empty() => {
                block.block.stmts.clone()
            }
            other => vec![Stmt::Expr(other.clone(), None)],
        };
        let unit = !construct.valued;
        let (region, block) = self.region(construct, Around::Open, |this| {
            for id in bound {
                let name = this.model.variable(id).ident.clone();
                this.scopes.bind(&name, id);
            }
            this.block(statements.into_iter().map(Piece::Statement).collect(), unit)
        });
        self.model.region_mut(region).label = label;
        let at = match (&block.tail, body) {
            (Some(tail), _) => tail.at,
            (None, Expr::Block(block)) => Extent::from(block.block.brace_token.span.close()),
            (None, other) => Extent::of(other),
        };
        (region, Arm { block, at })
    }

    /// A condition, in which `let` binds names for the rest of it and for the arm.
    fn condition(
        &mut self,
        condition: &Expr,
        bound: &mut Vec<VariableId>,
    ) -> (TokenStream, Vec<VariableId>) {
        match condition {
            Expr::Binary(binary) if syntax::binds(condition) => {
                let (left, mut uses) = self.condition(&binary.left, bound);
                if syntax::has_job(&binary.right) {
                    let before = self.errors.count();
                    rewrite::lazy_job(self.errors, binary);
                    let names = syntax::let_bindings(&binary.right);
                    if !names.is_empty() {
                        bound.extend(self.broken_names(names, before));
                    }
                    return (left, uses);
                }
                let (right, more) = self.condition(&binary.right, bound);
                for id in more {
                    push_new(&mut uses, id);
                }
                let operator = &binary.op;
                (quote!(#left #operator #right), uses)
            }
            Expr::Let(binding) => self.condition_let(binding, bound),
            other => {
                let mut other = other.clone();
                let uses = self.rewrite_place(&mut other, bound);
                (other.to_token_stream(), uses)
            }
        }
    }

    fn condition_let(
        &mut self,
        binding: &ExprLet,
        bound: &mut Vec<VariableId>,
    ) -> (TokenStream, Vec<VariableId>) {
        let matched = self.matched(&binding.expr, bound);
        let mut uses = matched.uses.clone();
        uses.retain(|id| !bound.contains(id));
        bound.extend(self.bind_parts(&binding.pat, &matched));
        let pattern = in_place(&binding.pat, matched.place);
        let (word, equals, matched) = (&binding.let_token, &binding.eq_token, matched.here);
        (quote!(#word #pattern #equals #matched), uses)
    }

    /// `if ..` behind a pattern.
    fn guard(
        &mut self,
        guard: &Expr,
        bound: &[VariableId],
        uses: &mut Vec<VariableId>,
    ) -> TokenStream {
        if syntax::has_job(guard) {
            rewrite::guard_job(self.errors, guard);
        } else if syntax::binds(guard) {
            let message = "a guard of a workflow can't bind names: `match` on that in the arm";
            self.errors.at(guard, message);
        } else {
            let mut guard = guard.clone();
            for id in self.rewrite_place(&mut guard, bound) {
                push_new(uses, id);
            }
            return guard.to_token_stream();
        }
        TokenStream::new()
    }

    /// What patterns are held against. `bound` is what the same condition binds before.
    fn matched(&mut self, expression: &Expr, bound: &[VariableId]) -> Matched {
        let expression = syntax::bare(expression);
        if syntax::chain(expression).is_some() || syntax::is_construct(expression) {
            let (variable, ident) = self.lift(expression);
            self.touch(&[variable]);
            let span = Extent::of(expression).first;
            let place = quote_spanned!(span=> *#ident);
            let place = TokenStream::from(group_at(Delimiter::Parenthesis, span, place));
            return Matched {
                here: place.clone(),
                there: place,
                uses: vec![variable],
                place: true,
            };
        }
        let place = self.is_there(expression);
        let before = self.errors.count();
        let mut here = expression.clone();
        let mut uses = self.rewrite_matched(&mut here, bound, place);
        let mut there = here.clone();
        if !bound.is_empty() && self.errors.count() == before {
            there = expression.clone();
            uses = self.rewrite_matched(&mut there, &[], place);
        }
        let there = if self.errors.count() > before {
            // What is wrong is reported once, by the choice.
            quote!(::core::unreachable!())
        } else {
            there.to_token_stream()
        };
        Matched {
            here: here.to_token_stream(),
            there,
            uses,
            place,
        }
    }

    /// Whether a pattern can borrow from the value: then what it binds stands for parts of it. What
    /// a pattern bound otherwise may be a reference, which is matched on as in any Rust.
    pub(crate) fn is_there(&self, expression: &Expr) -> bool {
        let Some(name) = syntax::variable(expression) else {
            let dereferenced =
                matches!(expression, Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)));
            return dereferenced || syntax::is_place(expression);
        };
        let variable = self.scopes.find(&name.to_string());
        match variable.map(|id| self.model.variable(id).source) {
            Some(Source::Parts(parts)) => !self.model.parts[parts.0].owned,
            Some(Source::Node(_)) | None => true,
        }
    }

    fn rewrite_matched(
        &mut self,
        expression: &mut Expr,
        bound: &[VariableId],
        place: bool,
    ) -> Vec<VariableId> {
        if place {
            self.rewrite_place(expression, bound)
        } else {
            self.rewrite_value_with(expression, bound)
        }
    }

    /// Binds what a pattern takes of a value.
    fn bind_parts(&mut self, pattern: &Pat, matched: &Matched) -> Vec<VariableId> {
        let names = syntax::bindings(pattern);
        let parts = PartsId(self.model.parts.len());
        self.model.parts.push(Parts {
            matched: matched.there.clone(),
            uses: matched.uses.clone(),
            pattern: in_place(pattern, matched.place),
            owned: !matched.place,
            names: names.clone(),
        });
        let bound = names
            .iter()
            .map(|name| self.bind(name, Source::Parts(parts)));
        let bound: Vec<VariableId> = bound.collect();
        self.check_bindings(pattern);
        bound
    }

    /// `Some(mut x)`, `Some(ref x)`: what they say is not for a workflow to choose.
    pub(crate) fn check_bindings(&mut self, pattern: &Pat) {
        for PatIdent {
            ident,
            by_ref,
            mutability,
            ..
        } in syntax::modified(pattern)
        {
            if let Some(by_ref) = by_ref {
                let message = format!(
                    "no `ref` here: a pattern of a workflow never moves anything; write `&{ident}` \
                     where it is lent"
                );
                self.errors.at(&by_ref, message);
            }
            let Some(mutability) = mutability else {
                continue;
            };
            let message = format!(
                "a part of a value can't be changed: give it to a variable of its own, as in `let \
                 mut {ident} = {ident};`"
            );
            self.errors.at(&mutability, message);
            // Assigning it is no second mistake.
            if let Some(variable) = self.scopes.find(&ident.to_string()) {
                self.model.variable_mut(variable).mutable = true;
            }
        }
    }
}

/// The pattern, borrowing what it binds if it is held against a value that is there.
fn in_place(pattern: &Pat, place: bool) -> TokenStream {
    if place {
        rewrite::by_reference(pattern)
    } else {
        pattern.to_token_stream()
    }
}

/// A pattern as one would write it, cut if it is long.
fn shown(pattern: &TokenStream) -> String {
    const LONGEST: usize = 40;
    let mut text = canonical::shown(pattern);
    if text.chars().count() > LONGEST {
        text = text.chars().take(LONGEST).collect();
        text.push_str("..");
    }
    text
}
