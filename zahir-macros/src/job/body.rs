//! What is written in the body of a job as it would be in a `workflow!`. The rest of it is unread.

use proc_macro2::{Delimiter, Group, Ident, Literal, TokenStream, TokenTree};
use syn::Lit;

use crate::duration;
use crate::errors::Errors;
use crate::names::mentions;

/// What `.retry(..)` takes in a workflow.
const FOREVER: &str = "forever";

/// Reports words that only the macros know. `forever` may be a name of the user's: of the head, or
/// anywhere else in the body.
pub(crate) fn check(head: TokenStream, body: &Group, errors: &Errors) {
    let mut found = Found {
        errors,
        words: Vec::new(),
        is_named: mentions(head, &[FOREVER]),
    };
    found.visit(body.stream());
    if !found.is_named {
        for word in &found.words {
            let message = "`forever` is a word of `workflow!` and of `#[job(..)]`: in a job, write \
                           `zahir::FOREVER`";
            errors.at(word, message);
        }
    }
}

struct Found<'a> {
    errors: &'a Errors,
    /// Each `.retry(forever)`.
    words: Vec<Ident>,
    /// Whether `forever` stands somewhere else.
    is_named: bool,
}

impl Found<'_> {
    fn visit(&mut self, tokens: TokenStream) {
        // The two tokens before this one, the nearest first.
        let (mut before, mut earlier) = (None, None);
        for token in tokens {
            match &token {
                // What another macro is given may be anything.
                TokenTree::Group(_) if is_punct(before.as_ref(), '!') => {}
                TokenTree::Group(group)
                    if is_retry(before.as_ref()) && is_punct(earlier.as_ref(), '.') =>
                {
                    self.retry(group);
                }
                TokenTree::Group(group) => self.visit(group.stream()),
                TokenTree::Literal(literal) => self.literal(literal),
                TokenTree::Ident(ident) => self.is_named |= ident == FOREVER,
                TokenTree::Punct(_) => {}
            }
            earlier = before.replace(token);
        }
    }

    fn retry(&mut self, group: &Group) {
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        match tokens.as_slice() {
            [TokenTree::Ident(word)]
                if word == FOREVER && group.delimiter() == Delimiter::Parenthesis =>
            {
                self.words.push(word.clone());
            }
            _ => self.visit(group.stream()),
        }
    }

    fn literal(&self, literal: &Literal) {
        if let Some(Ok(time)) = duration::of_literal(&Lit::new(literal.clone())) {
            let message = format!(
                "`{literal}` is a duration in `workflow!` and in `#[job(..)]` only: in a job, write \
                 `{}`",
                time.in_rust()
            );
            self.errors.at(literal, message);
        }
    }
}

fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

fn is_retry(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == "retry")
}
