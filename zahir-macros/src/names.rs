//! Names: similar ones, and those of types.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};

/// `; did you mean `name`?` for the closest of `names`, if it is close enough to be a slip.
pub(crate) fn did_you_mean<'n>(
    word: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<String> {
    nearest(word, names).map(|name| format!("; did you mean `{name}`?"))
}

/// The closest of `names`, if it is close enough to be a slip.
pub(crate) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names
        .into_iter()
        .filter(|name| *name != word)
        .map(|name| (distance(word, name), name))
        .filter(|(distance, name)| *distance <= (word.len().max(name.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters to insert, drop, replace or swap with their neighbor.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // Three rows of the usual table: before the last letter, before this one, and with it.
    let mut earlier: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut last = None;
    for (count, letter) in from.chars().enumerate() {
        let mut row = vec![count + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = above[column] + usize::from(letter != *other);
            let mut best = replaced.min(above[column + 1] + 1).min(row[column] + 1);
            let swapped = column > 0 && last == Some(*other) && to[column - 1] == letter;
            if swapped && let Some(before) = earlier.get(column - 1) {
                best = best.min(before + 1);
            }
            row.push(best);
        }
        earlier = std::mem::replace(&mut above, row);
        last = Some(letter);
    }
    above.last().copied().unwrap_or_default()
}

/// The type of a job: `send_mail` is a `SendMail`.
pub(crate) fn type_name(function: &Ident) -> Ident {
    let name: String = unraw(function)
        .split('_')
        .flat_map(|word| {
            let mut letters = word.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            first.chain(letters).collect::<Vec<_>>()
        })
        .collect();
    // `_1` has no letter to begin with, and `self_` would be `Self`.
    match syn::parse_str::<Ident>(&name) {
        Ok(mut ident) => {
            ident.set_span(function.span());
            ident
        }
        Err(_) => Ident::new(&format!("Job{name}"), function.span()),
    }
}

/// The constant for a name that is text: `approve-order` is `APPROVE_ORDER`. `None` if it would be
/// no identifier.
pub(crate) fn constant(name: &str, at: Span) -> Option<Ident> {
    let mut constant = String::new();
    let mut lower = false;
    for letter in name.chars() {
        if letter.is_uppercase() && lower {
            constant.push('_');
        }
        lower = letter.is_lowercase() || letter.is_ascii_digit();
        match letter {
            '-' | '.' | ' ' => constant.push('_'),
            letter => constant.extend(letter.to_uppercase()),
        }
    }
    let begins = constant.starts_with(char::is_alphabetic);
    let mut ident = syn::parse_str::<Ident>(&constant).ok().filter(|_| begins)?;
    ident.set_span(at);
    Some(ident)
}

/// Whether one of these names stands in there.
pub(crate) fn mentions(tokens: TokenStream, names: &[impl AsRef<str>]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(group.stream(), names),
        TokenTree::Ident(ident) => names.iter().any(|name| ident == name.as_ref()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The name without `r#`.
pub(crate) fn unraw(name: &Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_one_of_a_few_letters() {
        let names = ["retry", "timeout", "backoff"];
        assert_eq!(nearest("retyr", names), Some("retry"));
        assert_eq!(nearest("timeut", names), Some("timeout"));
        assert_eq!(nearest("color", names), None);
        assert_eq!(distance("abcd", "acbd"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn a_type_is_named_after_its_function() {
        let named = |name: &str| {
            let ident = syn::parse_str(name).unwrap_or_else(|_| Ident::new("x", Span::call_site()));
            type_name(&ident).to_string()
        };
        assert_eq!(named("send_mail"), "SendMail");
        assert_eq!(named("r#type"), "Type");
        assert_eq!(named("self_"), "JobSelf");
        assert_eq!(named("_1"), "Job1");
    }

    #[test]
    fn a_signal_is_a_constant() {
        let named = |name| constant(name, Span::call_site()).map(|name| name.to_string());
        assert_eq!(named("approve").as_deref(), Some("APPROVE"));
        assert_eq!(named("order-2.paid").as_deref(), Some("ORDER_2_PAID"));
        assert_eq!(named("approveOrder").as_deref(), Some("APPROVE_ORDER"));
        for none in ["", "2nd", "-", "_", "a/b", "a\"b"] {
            assert_eq!(named(none), None, "{none}");
        }
    }
}
