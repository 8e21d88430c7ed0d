//! Branches, loops and assignments in the wiring function.
//!
//! An arm or a round is a nested block. Which arm is taken is a site like any other; the rest is code
//! that is never run, for rustc to say which types differ.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};

use crate::spans::{Extent, group_at, hidden, unwrapped_call_at};
use crate::workflow::expand::Wiring;
use crate::workflow::model::{Arm, Assign, Branch, Break, Loop, Pick, Tail, VariableId};

impl Wiring<'_> {
    pub(super) fn branch(&self, branch: &Branch) -> TokenStream {
        let Branch {
            out, node, uses, ..
        } = branch;
        let wire = &self.wire;
        let reads = self.reads(uses);
        let pick = self.pick(branch);
        let names: Vec<Ident> = (0..branch.arms.len())
            .map(|index| hidden(&format!("__arm_{node}_{index}")))
            .collect();
        let is_chain = out.is_some() && self.chain(branch, &names);
        let arms = branch.arms.iter().zip(&names).map(|(arm, name)| {
            let statements = self.statements(&arm.block);
            match (&arm.block.tail, out) {
                (Some(Tail { ident, .. }), Some(_)) => quote!(let #name = { #statements #ident };),
                (None, Some(_)) if !arm.block.diverges => {
                    quote!(let #name = { #statements __zahir::Out::<()>::new() };)
                }
                _ => quote!({ #statements }),
            }
        });
        let site = quote! {
            if #wire.runs(#node) {
                #reads
                return __zahir::Step::Arm(#pick);
            }
            #(#arms)*
        };
        let live = branch.arms.iter().zip(&names);
        let live: Vec<_> = live.filter(|(arm, _)| !arm.block.diverges).collect();
        let Some(out) = out.as_ref().filter(|_| !live.is_empty()) else {
            return quote!({ #site });
        };
        let agree = if is_chain {
            TokenStream::new()
        } else {
            self.agree(branch, &live)
        };
        let with_value = live.iter().find(|(arm, _)| arm.block.tail.is_some());
        let value = match with_value {
            Some((_, name)) => name.to_token_stream(),
            None => quote!(__zahir::Out::<()>::new()),
        };
        quote!(let #out = { #site #agree #value };)
    }

    /// The number of the arm to take.
    fn pick(&self, branch: &Branch) -> TokenStream {
        let at = branch.at;
        match &branch.pick {
            Pick::Broken(error) => error.clone(),
            Pick::Condition {
                condition, bound, ..
            } => {
                let used = self.used(bound);
                quote_spanned!(at=> if #condition { #used 0_u32 } else { 1_u32 })
            }
            Pick::Match {
                matched,
                arms,
                braces,
            } => {
                let arms = (0_u32..).zip(arms).map(|(index, arm)| {
                    let (pattern, used) = (&arm.pattern, self.used(&arm.bound));
                    let guard = arm.guard.as_ref().map(|guard| quote!(if #guard));
                    let arrow = quote_spanned!(arm.arrow=> =>);
                    let body = group_at(Delimiter::Brace, arm.body, quote!(#used #index));
                    quote!(#pattern #guard #arrow #body)
                });
                let arms = group_at(Delimiter::Brace, *braces, quote!(#(#arms)*));
                let word = quote_spanned!(at=> match);
                quote!(#word #matched #arms)
            }
        }
    }

    /// Uses of those names that some node reads. The others are rustc's to report.
    fn used(&self, bound: &[VariableId]) -> TokenStream {
        let used = bound.iter().filter(|id| self.model.used.contains(&id.0));
        let used = used.map(|id| &self.model.variable(*id).ident);
        quote!(#(let _ = &#used;)*)
    }

    /// The values of the arms, as those of an `if` or `match` of rustc's.
    fn agree(&self, branch: &Branch, live: &[(&Arm, &Ident)]) -> TokenStream {
        let at = branch.at;
        let mut values = self
            .earlier
            .borrow_mut()
            .remove(&branch.node)
            .unwrap_or_default();
        values.extend(live.iter().map(|(arm, name)| self.arm_type(arm, name)));
        let check = match (&branch.pick, values.as_slice()) {
            (
                Pick::Condition {
                    otherwise: None, ..
                },
                [.., _],
            ) => {
                if live.iter().all(|(arm, _)| arm.block.tail.is_none()) && values.len() <= 2 {
                    return TokenStream::new();
                }
                // Without the second arm, which gives nothing: rustc says that it is missing.
                values.truncate(values.len() - 1);
                if_else(at, &values, false)
            }
            (_, [] | [_]) => return TokenStream::new(),
            (Pick::Condition { .. }, _) => if_else(at, &values, true),
            (_, [first @ .., last]) => {
                let arms = (0_u32..).zip(first);
                let arms = arms.map(|(index, value)| quote!(#index => #value,));
                let arms = braced(at, &quote!(#(#arms)* _ => #last,));
                let word = quote_spanned!(at=> match);
                let any = crate::spans::shown_at(quote!(0_u32), at);
                quote!(#word #any #arms)
            }
        };
        self.for_types(&quote!(let _ = #check;))
    }

    /// The branch behind `else` compares its arms with those before it, too.
    fn chain(&self, branch: &Branch, names: &[Ident]) -> bool {
        let (Pick::Condition { chain: true, .. }, [first, second]) =
            (&branch.pick, branch.arms.as_slice())
        else {
            return false;
        };
        let Some(next) = second.block.tail.as_ref().and_then(|tail| tail.node) else {
            return false;
        };
        let mut earlier = self.earlier.borrow_mut();
        let mut values = earlier.remove(&branch.node).unwrap_or_default();
        if !first.block.diverges {
            values.extend(names.first().map(|name| self.arm_type(first, name)));
        }
        earlier.insert(next, values);
        true
    }

    fn arm_type(&self, arm: &Arm, name: &Ident) -> TokenStream {
        self.type_of(name, arm.at)
    }

    pub(super) fn type_of_unit(&self, at: Extent) -> TokenStream {
        let unit = quote!(&__zahir::Out::<()>::new());
        unwrapped_call_at(at, quote!(__zahir::type_of), unit)
    }

    pub(super) fn repeat(&self, repeat: &Loop) -> TokenStream {
        let Loop {
            out,
            value,
            broken,
            unit,
            body,
        } = repeat;
        let statements = self.statements(body);
        let declared = match (broken, unit) {
            (false, _) => TokenStream::new(),
            (true, true) => quote!(let #value = __zahir::Out::<()>::new();),
            (true, false) => quote!(let #value = __zahir::Out::new();),
        };
        match out.as_ref().filter(|_| *broken) {
            Some(out) => quote!(let #out = { #declared #statements #value };),
            None => quote!({ #declared #statements }),
        }
    }

    pub(super) fn break_value(&self, leave: &Break) -> TokenStream {
        let Break { value, given, at } = leave;
        let first = self.type_of(value, Extent::from(value.span()));
        let given = match given {
            Some(tail) => self.type_of(&tail.ident, tail.at),
            None => self.type_of_unit(Extent::from(*at)),
        };
        self.same(&first, &given, value.span())
    }

    pub(super) fn assign(&self, assign: &Assign) -> TokenStream {
        let Assign { root, new } = assign;
        if !self.model.used.contains(&root.0) {
            // It is rustc's to say that nobody reads the variable.
            return TokenStream::new();
        }
        let ident = &self.model.variable(*root).ident;
        let old = self.type_of(ident, Extent::from(ident.span()));
        let new = self.type_of(&new.ident, new.at);
        self.same(&old, &new, ident.span())
    }

    /// Two values are of one type: the first says which.
    pub(super) fn same(&self, first: &TokenStream, second: &TokenStream, at: Span) -> TokenStream {
        let name = Ident::new("__zahir_value", at.resolved_at(Span::mixed_site()));
        self.for_types(&quote! {
            #[allow(unused_assignments)]
            let mut #name = #first;
            #name = #second;
            let _ = &#name;
        })
    }

    /// A variable that is declared as one that changes.
    pub(super) fn mutable(&self, mutability: syn::token::Mut, id: VariableId) -> TokenStream {
        if self.model.assigned.contains(&id.0) {
            return TokenStream::new();
        }
        let ident = &self.model.variable(id).ident;
        let value = self.type_of(ident, Extent::from(ident.span()));
        self.for_types(&quote! {
            let #mutability #ident = #value;
            let _ = &#ident;
        })
    }
}

/// `if .. { a } else if .. { b } else { c }`, all of it at `at`.
fn if_else(at: Span, values: &[TokenStream], complete: bool) -> TokenStream {
    let count = values.len();
    let values = values.iter().enumerate().map(|(index, value)| {
        let value = braced(at, value);
        let (if_word, else_word) = (quote_spanned!(at=> if), quote_spanned!(at=> else));
        let otherwise = (index > 0).then_some(else_word);
        if complete && index + 1 == count {
            return quote!(#otherwise #value);
        }
        let condition =
            crate::spans::call_at(at.into(), quote!(__zahir::never), TokenStream::new());
        quote!(#otherwise #if_word #condition #value)
    });
    values.collect()
}

fn braced(at: Span, content: &TokenStream) -> TokenTree {
    group_at(Delimiter::Brace, at, content.clone())
}
