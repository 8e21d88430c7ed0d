//! Tokens as text that does not depend on how they are laid out, nor on what variables are called.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// The tokens, each followed by a space unless it is joined to the next.
pub(crate) fn text(tokens: TokenStream) -> String {
    text_over(tokens, &[])
}

/// The same, with each of `variables` replaced by `$` and its place in the list.
pub(crate) fn text_over(tokens: TokenStream, variables: &[String]) -> String {
    let mut text = String::new();
    write(tokens, variables, &mut text);
    text.truncate(text.trim_end().len());
    text
}

/// The tokens as one would write them.
pub(crate) fn shown(tokens: &TokenStream) -> String {
    let mut text = tokens.to_string();
    for (spaced, tight) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" ::", "::"),
        (" ,", ","),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        ("& ", "&"),
        (" . ", "."),
    ] {
        text = text.replace(spaced, tight);
    }
    text
}

fn write(tokens: TokenStream, variables: &[String], text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("( ", ") "),
                    Delimiter::Brace => ("{ ", "} "),
                    Delimiter::Bracket => ("[ ", "] "),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), variables, text);
                text.push_str(close);
            }
            TokenTree::Ident(name) => {
                let name = name.to_string();
                match variables.iter().position(|variable| *variable == name) {
                    Some(place) => text.push_str(&format!("${place} ")),
                    None => {
                        text.push_str(&name);
                        text.push(' ');
                    }
                }
            }
            TokenTree::Punct(punct) => {
                text.push(punct.as_char());
                if punct.spacing() == Spacing::Alone {
                    text.push(' ');
                }
            }
            TokenTree::Literal(literal) => {
                text.push_str(&literal.to_string());
                text.push(' ');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_tight() {
        let pattern =
            quote::quote!(Kind::Billing(ref invoice, _) | Kind::Tech if invoice.cents > 1);
        assert_eq!(
            shown(&pattern),
            "Kind::Billing(ref invoice, _) | Kind::Tech if invoice.cents > 1"
        );
    }

    #[test]
    fn layout_and_variable_names_do_not_matter() {
        let canonical = |source: &str, variable: &str| {
            let tokens = source.parse().expect("tokens");
            text_over(tokens, &[variable.to_owned()])
        };
        assert_eq!(canonical("user . id+1", "user"), canonical("u.id + 1", "u"));
        assert_ne!(
            canonical("user.id + 1", "user"),
            canonical("user.id + 2", "user")
        );
        assert_eq!(canonical("f(x)[0]", "x"), "f ( $0 ) [ 0 ]");
    }
}
