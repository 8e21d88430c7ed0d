//! Every mistake of one macro call, so that all are reported at once.

use std::cell::RefCell;

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};

use crate::spans::Extent;

struct Mistake {
    at: Extent,
    message: String,
}

/// Collects mistakes. Shared by the stages of one macro call.
#[derive(Default)]
pub(crate) struct Errors(RefCell<Vec<Mistake>>);

impl Errors {
    /// A mistake in these tokens.
    pub(crate) fn at(&self, tokens: &impl ToTokens, message: impl Into<String>) {
        self.extent(Extent::of(tokens), message);
    }

    pub(crate) fn span(&self, span: Span, message: impl Into<String>) {
        self.extent(Extent::from(span), message);
    }

    pub(crate) fn extent(&self, at: Extent, message: impl Into<String>) {
        self.0.borrow_mut().push(Mistake {
            at,
            message: message.into(),
        });
    }

    /// What the parser says.
    pub(crate) fn syntax(&self, error: syn::Error) {
        for error in error {
            self.span(error.span(), error.to_string());
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// Takes the mistakes found since there were `from`, as an expression that has any type.
    pub(crate) fn take_since(&self, from: usize) -> Option<TokenStream> {
        let mut mistakes = self.0.borrow_mut();
        if mistakes.len() <= from {
            return None;
        }
        let found = mistakes.split_off(from);
        let (last, before) = found.split_last()?;
        let before = before.iter().map(compile_error);
        let last = compile_error(last);
        Some(quote!({ #(#before;)* #last }))
    }

    /// Takes the first mistake, as a type that fits everywhere: whatever is said about a value of
    /// it would be a second error for the same mistake.
    pub(crate) fn take_type(&self) -> TokenStream {
        let mut mistakes = self.0.borrow_mut();
        if mistakes.is_empty() {
            return quote!(());
        }
        compile_error(&mistakes.remove(0))
    }

    /// The mistakes for a place where constants can't be, as in an `impl` block.
    pub(crate) fn bare(&self) -> TokenStream {
        self.0.borrow().iter().map(compile_error).collect()
    }

    /// The mistakes as items. Each is inside a constant: a bare `compile_error!` between items
    /// makes rustc drop what it has to say about the names of the whole module.
    pub(crate) fn items(&self) -> TokenStream {
        let calls = self.0.borrow();
        let calls = calls.iter().map(compile_error);
        quote!(#(const _: () = { #calls };)*)
    }
}

fn compile_error(mistake: &Mistake) -> TokenStream {
    let Mistake { at, message } = mistake;
    let name = quote_spanned!(at.first=> ::core::compile_error!);
    let mut braces = Group::new(Delimiter::Brace, quote_spanned!(at.last=> #message));
    braces.set_span(at.last);
    quote!(#name #braces)
}
