//! Where things are written, and how generated tokens are made to look as if they were there.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};

/// First and last token of something the user wrote.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) first: Span,
    pub(crate) last: Span,
}

impl Extent {
    pub(crate) fn of(tokens: &impl ToTokens) -> Self {
        let mut tokens = tokens.to_token_stream().into_iter();
        let first = tokens
            .next()
            .map_or_else(Span::call_site, |token| token.span());
        let last = tokens.last().map_or(first, |token| token.span());
        Self { first, last }
    }
}

impl From<Span> for Extent {
    fn from(span: Span) -> Self {
        Self {
            first: span,
            last: span,
        }
    }
}

/// The same tokens, as if they were written at another place. Not for `$crate`, which would then
/// mean another crate.
pub(crate) fn shown_at(tokens: TokenStream, span: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            if let TokenTree::Group(group) = &token {
                let content = shown_at(group.stream(), span);
                token = TokenTree::Group(Group::new(group.delimiter(), content));
            }
            token.set_span(span);
            token
        })
        .collect()
}

/// `callee(arguments)`, underlined as if it were what the user wrote at `at`.
pub(crate) fn call_at(at: Extent, callee: TokenStream, arguments: TokenStream) -> TokenStream {
    let callee = shown_at(callee, at.first);
    let parentheses = group_at(Delimiter::Parenthesis, at.last, arguments);
    quote!(#callee #parentheses)
}

/// The first field of a tuple that a call returns, underlined like [`call_at`].
///
/// The field keeps an expected type from flowing into the call, so that a mismatch is reported at
/// the user's tokens and not inside of them.
pub(crate) fn unwrapped_call_at(
    at: Extent,
    callee: TokenStream,
    arguments: TokenStream,
) -> TokenStream {
    let call = call_at(at, callee, arguments);
    let field = shown_at(quote!(.0), at.last);
    quote!(#call #field)
}

pub(crate) fn group_at(delimiter: Delimiter, span: Span, content: TokenStream) -> TokenTree {
    let mut group = Group::new(delimiter, content);
    group.set_span(span);
    TokenTree::Group(group)
}

/// A name that user code can neither see nor hide.
pub(crate) fn hidden(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The line and column, counted from 1; 0 outside of a compiler.
pub(crate) fn line_and_column(span: Span) -> (u32, u32) {
    if !proc_macro::is_available() {
        return (0, 0);
    }
    let span = span.unwrap();
    let number = |position| u32::try_from(position).unwrap_or(u32::MAX);
    (number(span.line()), number(span.column()))
}

/// " (line 5)", or nothing outside of a compiler.
pub(crate) fn on_line(span: Span) -> String {
    match line_and_column(span) {
        (0, _) => String::new(),
        (line, _) => format!(" (line {line})"),
    }
}

/// Makes `zahir::__private` known as `__zahir` in the block it is put into.
///
/// A path that begins with `$crate` or `::zahir` can't be shown at a place of the user's.
pub(crate) fn imports(zahir: &TokenStream) -> TokenStream {
    quote! {
        #[allow(unused_imports)]
        use #zahir::__private as __zahir;
    }
}
