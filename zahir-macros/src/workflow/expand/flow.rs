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
            .map(|index| hidden(&format!("__arm_{index}")))
            .collect();
        let arms = branch.arms.iter().zip(&names).map(|(arm, name)| {
            let statements = self.statements(&arm.block);
            match (&arm.block.tail, out) {
                (Some(Tail { ident, .. }), Some(_)) => quote!(let #name = { #statements #ident };),
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
        let agree = self.agree(branch, &live);
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
                    quote!(#pattern #guard => { #used #index })
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
        let values = live.iter().map(|(arm, name)| self.arm_type(arm, name));
        let values: Vec<TokenStream> = values.collect();
        let braced =
            |value: &TokenStream| -> TokenTree { group_at(Delimiter::Brace, at, value.clone()) };
        let check = match (&branch.pick, values.as_slice()) {
            (
                Pick::Condition {
                    otherwise: None, ..
                },
                [value, _],
            ) if live.iter().any(|(arm, _)| arm.block.tail.is_some()) => {
                let value = braced(value);
                let word = quote_spanned!(at=> if);
                let never = condition(at);
                quote!(#word #never #value)
            }
            (Pick::Condition { otherwise, .. }, [first, second]) => {
                let (first, second) = (braced(first), braced(second));
                let word = quote_spanned!(at=> if);
                let otherwise = quote_spanned!(otherwise.unwrap_or(at)=> else);
                let never = condition(at);
                quote!(#word #never #first #otherwise #second)
            }
            (_, [] | [_]) => return TokenStream::new(),
            (_, [first @ .., last]) => {
                let arms = (0_u32..).zip(first);
                let arms = arms.map(|(index, value)| quote!(#index => #value,));
                let arms = braced(&quote!(#(#arms)* _ => #last,));
                let word = quote_spanned!(at=> match);
                quote!(#word 0_u32 #arms)
            }
        };
        self.for_types(&quote!(let _ = #check;))
    }

    fn arm_type(&self, arm: &Arm, name: &Ident) -> TokenStream {
        if arm.block.tail.is_some() {
            return self.type_of(name, arm.at);
        }
        self.type_of_unit(arm.at)
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
        self.same(first, given, value.span())
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
        self.same(old, new, ident.span())
    }

    /// Two values are of one type: the first says which.
    pub(super) fn same(&self, first: TokenStream, second: TokenStream, at: Span) -> TokenStream {
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

/// A condition of which rustc knows nothing.
fn condition(at: Span) -> TokenStream {
    crate::spans::call_at(at.into(), quote!(__zahir::never), TokenStream::new())
}
