//! Handlers, races, sleeps and signals in the wiring function.

use proc_macro2::{Delimiter, Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use crate::spans::{Extent, call_at, group_at, hidden, shown_at, unwrapped_call_at};
use crate::workflow::expand::Wiring;
use crate::workflow::model::{Block, Body, Finally, Race, Rescue, Settle, Signal, Sleep, Tail};

impl Wiring<'_> {
    /// `let (value, keep) = { .. };`: a scope of its own for what may fail.
    fn body(&self, body: &Body, value: &Ident) -> TokenStream {
        let Body { block, keep, .. } = body;
        let statements = self.statements(block);
        let given = given(block);
        match keep {
            Some(keep) => quote!(let (#value, #keep) = { #statements (#given, #keep) };),
            None => quote!(let #value = { #statements #given };),
        }
    }

    pub(super) fn rescue(&self, rescue: &Rescue) -> TokenStream {
        let Rescue {
            out,
            body,
            error,
            ty,
            handler,
            handler_at,
        } = rescue;
        let (value, rescued) = (hidden("value"), hidden("rescued"));
        let code = self.body(body, &value);
        let caught = caught(body);
        let annotation = ty.as_ref().map(|ty| {
            let at = Extent::of(ty);
            let expected = Ident::new("__zahir_error", error.span());
            let first = self.type_of(&expected, Extent::from(error.span()));
            let type_token = hidden("declared");
            let declared = unwrapped_call_at(at, quote!(__zahir::type_of), quote!(&#type_token));
            let same = self.same(&first, &declared, error.span());
            quote! {
                let #expected = #error;
                let #type_token = __zahir::Out::<#ty>::new();
                #same
            }
        });
        let statements = self.statements(handler);
        let handled = given(handler);
        let agree = (!body.block.diverges && !handler.diverges).then(|| {
            let first = self.type_at(&value, body.block.tail.as_ref(), body.at);
            let second = self.type_at(&rescued, handler.tail.as_ref(), *handler_at);
            self.same(&first, &second, body.at.first)
        });
        let result = if body.block.diverges {
            &rescued
        } else {
            &value
        };
        quote! {
            let #out = {
                #code
                let #rescued = {
                    let #error = #caught;
                    #annotation
                    #statements
                    #handled
                };
                #agree
                #result
            };
        }
    }

    pub(super) fn settle(&self, settle: &Settle) -> TokenStream {
        let Settle { out, node, body } = settle;
        let wire = &self.wire;
        let (out_type, settled) = (hidden("out"), hidden("settled"));
        let value = Ident::new("__zahir_value", body.at.first);
        let code = self.body(body, &value);
        let caught = caught(body);
        let result = quote!(<__zahir::ByValue as __zahir::Outcomes<_>>::result);
        let result = call_at(body.at, result, quote!(#value, #caught));
        quote! {
            let #out = {
                #code
                let (#out_type, #settled) = #result;
                if #wire.describes(#node) {
                    return #settled.describe();
                }
                #out_type
            };
        }
    }

    pub(super) fn finally(&self, finally: &Finally) -> TokenStream {
        let Finally { out, body, last } = finally;
        let value = hidden("value");
        let code = self.body(body, &value);
        let statements = self.statements(last);
        quote! {
            let #out = {
                #code
                { #statements }
                #value
            };
        }
    }

    pub(super) fn race(&self, race: &Race) -> TokenStream {
        let Race {
            out,
            node,
            entries,
            at,
        } = race;
        let wire = &self.wire;
        let (out_type, raced) = (hidden("out"), hidden("raced"));
        let names: Vec<Ident> = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                let at = entry.block.tail.as_ref().map_or(entry.at, |tail| tail.at);
                Ident::new(&format!("__zahir_entry_{index}"), at.first)
            })
            .collect();
        let lowered = entries.iter().zip(&names).map(|(entry, name)| {
            let statements = self.statements(&entry.block);
            let given = given(&entry.block);
            let at = entry.block.tail.as_ref().map_or(entry.at, |tail| tail.at);
            let competes = quote!(<__zahir::ByValue as __zahir::Races<_>>::entry);
            let competes = call_at(at, competes, quote!(#name));
            quote! {
                let #name = { #statements #given };
                let #name = #competes;
            }
        });
        let tuple = group_at(Delimiter::Parenthesis, at.last, quote!(#(#names),*));
        let call = call_at(*at, quote!(__zahir::Entries::of), tuple.into());
        quote! {
            let #out = {
                #(#lowered)*
                let (#out_type, #raced) = #call.race();
                if #wire.describes(#node) {
                    return #raced.describe();
                }
                #out_type
            };
        }
    }

    pub(super) fn sleep(&self, sleep: &Sleep) -> TokenStream {
        let Sleep {
            node,
            until,
            time,
            uses,
            word,
        } = sleep;
        let wire = &self.wire;
        let reads = self.reads_for_owned(uses, Extent::of(time));
        let (ty, function) = if *until {
            (quote!(__zahir::SystemTime), quote!(__zahir::sleep_until))
        } else {
            (quote!(__zahir::Duration), quote!(__zahir::sleep))
        };
        let ty = shown_at(ty, *word);
        let length = hidden("time");
        quote! {
            if #wire.runs(#node) {
                #reads
                let #length: #ty = #time;
                return #function(#length);
            }
        }
    }

    pub(super) fn signal(&self, signal: &Signal) -> TokenStream {
        let Signal {
            out,
            node,
            payload,
            first,
            limited,
            at,
        } = signal;
        let wire = &self.wire;
        let (out_type, wait) = (hidden("out"), hidden("wait"));
        let function = if *limited {
            quote!(__zahir::signal_within)
        } else {
            quote!(__zahir::signal)
        };
        let function = quote_spanned!(at.first=> #function::<#payload>);
        let same = first.as_ref().map(|first| {
            let type_of = |ty: &syn::Type| {
                let value = quote!(&__zahir::Out::<#ty>::new());
                unwrapped_call_at(Extent::of(ty), quote!(__zahir::type_of), value)
            };
            self.same(&type_of(first), &type_of(payload), first.span())
        });
        quote! {
            let (#out_type, #wait) = #function();
            if #wire.describes(#node) {
                return #wait.describe();
            }
            #same
            let (#out, ()) = (#out_type, ());
        }
    }

    fn type_at(&self, out: &Ident, tail: Option<&Tail>, at: Extent) -> TokenStream {
        match tail {
            Some(tail) => self.type_of(out, tail.at),
            None => self.type_of_unit(at),
        }
    }
}

/// The value of a block.
fn given(block: &Block) -> TokenStream {
    match &block.tail {
        Some(tail) => tail.ident.to_token_stream(),
        None => quote!(__zahir::Out::<()>::new()),
    }
}

/// The error that a handler is given.
fn caught(body: &Body) -> TokenStream {
    match &body.keep {
        Some(keep) => quote!(#keep.error()),
        None => quote!(__zahir::Out::<__zahir::Failure>::new()),
    }
}
