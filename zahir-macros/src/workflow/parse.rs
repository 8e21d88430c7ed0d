//! Tokens to syntax. Statement by statement, so that one slip does not hide the others.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Error, Expr, Signature, Stmt, Token, Visibility};

use crate::errors::Errors;

/// What a `workflow!` is made of.
pub(crate) struct Source {
    /// The path of this library, as the declarative macro around this one knows it.
    pub(crate) zahir: TokenStream,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
}

/// One statement, or what is left of one.
#[expect(clippy::large_enum_variant, reason = "nearly all are statements")]
pub(crate) enum Piece {
    Statement(Stmt),
    /// No Rust: what is wrong, and the name it would have bound.
    Unknown {
        name: Option<Ident>,
        error: TokenStream,
    },
}

const FORM: &str = "a workflow is written as an async function: \
                    `pub async fn name(input: Type) -> Output { .. }`";

pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Source> {
    let (zahir, tokens) = split_path(tokens);
    let empty = tokens.is_empty();
    let source = |input: ParseStream<'_>| {
        let source = Source {
            zahir,
            attributes: input.call(Attribute::parse_outer)?,
            visibility: input.parse()?,
            signature: head(input)?,
            body: input
                .parse()
                .map_err(|error| at(&error, "a workflow has a body: `{ .. }`"))?,
        };
        if input.is_empty() {
            Ok(source)
        } else {
            Err(input.error("one workflow per `workflow!`"))
        }
    };
    source
        .parse2(tokens)
        .map_err(|error| if empty { at(&error, FORM) } else { error })
}

fn head(input: ParseStream<'_>) -> syn::Result<Signature> {
    let qualified = input.peek(Token![fn])
        || input.peek(Token![async])
        || input.peek(Token![const])
        || input.peek(Token![unsafe])
        || input.peek(Token![extern]);
    if qualified {
        input.parse()
    } else {
        Err(input.error(FORM))
    }
}

fn at(error: &Error, message: &str) -> Error {
    Error::new(error.span(), message)
}

/// Takes `$crate` off the front.
fn split_path(tokens: TokenStream) -> (TokenStream, TokenStream) {
    let mut rest = tokens.clone().into_iter();
    match rest.next() {
        Some(TokenTree::Ident(name)) if name == "$crate" => {
            (name.to_token_stream(), rest.collect())
        }
        _ => (quote!(::zahir), tokens),
    }
}

pub(crate) fn pieces(body: TokenStream, errors: &Errors) -> Vec<Piece> {
    let pieces = |input: ParseStream<'_>| {
        let mut pieces = Vec::new();
        while !input.is_empty() {
            if input.parse::<Option<Token![;]>>()?.is_none() {
                pieces.push(piece(input, errors)?);
            }
        }
        Ok(pieces)
    };
    pieces.parse2(body).unwrap_or_else(|error| {
        errors.syntax(error);
        Vec::new()
    })
}

fn piece(input: ParseStream<'_>, errors: &Errors) -> syn::Result<Piece> {
    let ahead = input.fork();
    let error = match ahead.parse::<Stmt>() {
        Ok(statement) => {
            input.advance_to(&ahead);
            return Ok(Piece::Statement(statement));
        }
        Err(error) => error,
    };
    let ahead = input.fork();
    if let Ok(expression) = ahead.parse::<Expr>()
        && ahead.is_empty()
    {
        input.advance_to(&ahead);
        return Ok(Piece::Statement(Stmt::Expr(expression, None)));
    }
    let before = errors.count();
    errors.syntax(explained(input, error));
    let error = errors.take_since(before).unwrap_or_default();
    let name = bound_name(&input.fork());
    skip_statement(input)?;
    Ok(Piece::Unknown { name, error })
}

/// What a `let` at the front would have bound.
fn bound_name(input: ParseStream<'_>) -> Option<Ident> {
    input.parse::<Token![let]>().ok()?;
    input.parse::<Option<Token![mut]>>().ok()?;
    input.parse().ok()
}

/// To behind the next `;`, or to the next `let`.
fn skip_statement(input: ParseStream<'_>) -> syn::Result<()> {
    let mut first = true;
    while !input.is_empty() {
        if input.parse::<Option<Token![;]>>()?.is_some() || (!first && input.peek(Token![let])) {
            return Ok(());
        }
        input.parse::<TokenTree>()?;
        first = false;
    }
    Ok(())
}

/// `job() after x`: what is meant.
fn explained(input: ParseStream<'_>, error: Error) -> Error {
    let rest = input.fork().parse::<TokenStream>().unwrap_or_default();
    let statement = rest
        .into_iter()
        .take_while(|token| !matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';'));
    let blamed = format!("{:?}", error.span());
    for token in statement {
        if let TokenTree::Ident(name) = &token
            && name == "after"
            && format!("{:?}", name.span()) == blamed
        {
            return Error::new(name.span(), "write `.after(..)`, as a method of the call");
        }
    }
    error
}
