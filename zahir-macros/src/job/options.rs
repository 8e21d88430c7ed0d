//! The options of `#[job(..)]`.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprArray, ExprLit, Ident, Lit, LitInt, LitStr, Path, Token, parse2};

use crate::backoff::{self, Backoff};
use crate::duration::{self, Duration};
use crate::errors::Errors;
use crate::names::did_you_mean;

/// What can be written, but for `crate`, which is for re-exports.
const KNOWN: [&str; 10] = [
    "retry",
    "backoff",
    "timeout",
    "at_most_once",
    "pure",
    "undo",
    "no_undo",
    "tags",
    "version",
    "name",
];

/// What will be.
const RESERVED: [&str; 4] = ["spawns", "limit", "needs", "retry_if"];

/// The options, as far as they are right.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) retry: Option<u32>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) at_most_once: bool,
    pub(crate) pure: bool,
    pub(crate) undo: Option<Path>,
    pub(crate) no_undo: bool,
    /// Whether something in them is wrong, which has been reported.
    pub(crate) broken: bool,
    pub(crate) tags: Vec<LitStr>,
    pub(crate) version: Option<u32>,
    pub(crate) name: Option<LitStr>,
    zahir: Option<Path>,
}

impl Options {
    /// The path of this library.
    pub(crate) fn zahir(&self) -> TokenStream {
        self.zahir
            .as_ref()
            .map_or_else(|| quote!(::zahir), ToTokens::to_token_stream)
    }
}

/// `key = value`, `key(values)` or `key`.
struct Entry {
    key: Ident,
    value: TokenStream,
}

impl Entry {
    /// What to underline when the value is wrong.
    fn blamed(&self) -> TokenStream {
        if self.value.is_empty() {
            self.key.to_token_stream()
        } else {
            self.value.clone()
        }
    }
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = Ident::parse_any(input)?;
        input.parse::<Option<Token![=]>>()?;
        let mut value = TokenStream::new();
        while !input.is_empty() && !input.peek(Token![,]) {
            value.extend([input.parse::<TokenTree>()?]);
        }
        Ok(Self { key, value })
    }
}

pub(crate) fn parse(tokens: TokenStream, errors: &Errors) -> Options {
    let before = errors.count();
    let mut options = Options::default();
    let entries = match Punctuated::<Entry, Token![,]>::parse_terminated.parse2(tokens) {
        Ok(entries) => entries,
        Err(error) => {
            errors.syntax(error);
            options.broken = true;
            return options;
        }
    };
    let mut seen = Vec::new();
    for entry in entries {
        let key = entry.key.to_string();
        if seen.contains(&key) {
            errors.at(&entry.key, format!("`{key}` is given twice"));
            continue;
        }
        options.set(&key, &entry, errors);
        seen.push(key);
    }
    options.broken = errors.count() > before;
    options
}

impl Options {
    fn set(&mut self, key: &str, entry: &Entry, errors: &Errors) {
        match key {
            "retry" => {
                self.retry = number(
                    entry,
                    "how many times to try again, as in `retry = 3`",
                    errors,
                );
            }
            "version" => self.version = number(entry, "a number, as in `version = 2`", errors),
            "timeout" => self.timeout = time_limit(entry, errors),
            "backoff" => self.backoff = backoff(entry, errors),
            "at_most_once" => self.at_most_once = flag(entry, errors),
            "pure" => self.pure = flag(entry, errors),
            "no_undo" => self.no_undo = flag(entry, errors),
            "undo" => match parse2(entry.value.clone()) {
                Ok(path) => self.undo = Some(path),
                Err(_) => errors.at(
                    &entry.blamed(),
                    "expected the job that undoes this one, as in `undo = refund`",
                ),
            },
            "tags" => self.tags = tags(entry, errors),
            "name" => self.name = name(entry, errors),
            "crate" => match parse2(entry.value.clone()) {
                Ok(path) => self.zahir = Some(path),
                Err(_) => errors.at(
                    &entry.blamed(),
                    "expected a path, as in `crate = app::zahir`",
                ),
            },
            _ => errors.at(&entry.key, unknown(key)),
        }
    }
}

fn unknown(key: &str) -> String {
    if RESERVED.contains(&key) {
        return format!("`{key}` is reserved: this option is not available yet");
    }
    let hint = did_you_mean(key, KNOWN).unwrap_or_else(|| {
        let known = KNOWN.map(|known| format!("`{known}`")).join(", ");
        format!("; the options are {known}")
    });
    format!("`{key}` is not an option of `#[job]`{hint}")
}

fn number(entry: &Entry, expected: &str, errors: &Errors) -> Option<u32> {
    let number = parse2::<LitInt>(entry.value.clone())
        .ok()
        .filter(|number| number.suffix().is_empty())
        .and_then(|number| number.base10_parse().ok());
    if number.is_none() {
        errors.at(&entry.blamed(), format!("expected {expected}"));
    }
    number
}

/// A word without a value.
fn flag(entry: &Entry, errors: &Errors) -> bool {
    if !entry.value.is_empty() {
        let key = &entry.key;
        errors.at(
            &entry.value,
            format!("`{key}` takes no value: write `{key}`"),
        );
    }
    true
}

fn time_limit(entry: &Entry, errors: &Errors) -> Option<Duration> {
    const EXAMPLE: &str = "timeout = 30s";
    match parse2::<Lit>(entry.value.clone()) {
        Ok(literal) => duration::limit(&literal, EXAMPLE, errors),
        Err(_) => {
            errors.at(
                &entry.blamed(),
                format!("expected a duration, as in `{EXAMPLE}`"),
            );
            None
        }
    }
}

fn backoff(entry: &Entry, errors: &Errors) -> Option<Backoff> {
    match parse2::<Expr>(entry.value.clone()) {
        Ok(waits) => Backoff::parse(&waits, errors),
        Err(_) => {
            errors.at(&entry.blamed(), backoff::FORMS);
            None
        }
    }
}

fn tags(entry: &Entry, errors: &Errors) -> Vec<LitStr> {
    let Ok(list) = parse2::<ExprArray>(entry.value.clone()) else {
        errors.at(
            &entry.blamed(),
            "expected a list of strings, as in `tags = [\"mail\"]`",
        );
        return Vec::new();
    };
    let mut tags = Vec::new();
    for tag in list.elems {
        match tag {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => tags.push(text),
            other => errors.at(&other, "a tag is a string"),
        }
    }
    tags
}

fn name(entry: &Entry, errors: &Errors) -> Option<LitStr> {
    let name = parse2::<LitStr>(entry.value.clone())
        .ok()
        .filter(|name| !name.value().is_empty());
    if name.is_none() {
        errors.at(
            &entry.blamed(),
            "expected the name to find this job by, as in `name = \"mail::send\"`",
        );
    }
    name
}
