//! The options of `#[job(..)]`.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{
    Expr, ExprArray, ExprClosure, ExprLit, ExprPath, Ident, Lit, LitInt, LitStr, Path,
    PathArguments, Token, Type, TypePath, parse2,
};

use crate::backoff::{self, Backoff};
use crate::canonical;
use crate::duration::{self, Duration};
use crate::errors::Errors;
use crate::job::conflicts;
use crate::job::parse::{Fallible, Job};
use crate::names::{self, did_you_mean};
use crate::signature::ungrouped;

/// What can be written, but for `crate`, which is for re-exports.
const KNOWN: [&str; 19] = [
    "retry",
    "backoff",
    "retry_if",
    "timeout",
    "total_timeout",
    "check",
    "verify",
    "recover",
    "undo",
    "no_undo",
    "at_most_once",
    "pure",
    "once",
    "once_by",
    "cache",
    "spawns",
    "tags",
    "version",
    "name",
];

/// What will be.
const RESERVED: [&str; 2] = ["limit", "needs"];

/// The options, as far as they are right.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) retry: Option<Retry>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) retry_if: Option<Function>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) check: Option<Function>,
    pub(crate) verify: Option<Function>,
    pub(crate) recover: Option<ExprPath>,
    pub(crate) undo: Option<ExprPath>,
    pub(crate) no_undo: bool,
    pub(crate) at_most_once: bool,
    pub(crate) pure: bool,
    pub(crate) once: bool,
    pub(crate) once_by: Option<Function>,
    pub(crate) cache: Option<Duration>,
    /// The jobs and workflows that it may spawn.
    pub(crate) spawns: Vec<Type>,
    pub(crate) tags: Vec<LitStr>,
    pub(crate) version: Option<u32>,
    pub(crate) name: Option<LitStr>,
    /// Whether something in them is wrong, which has been reported.
    pub(crate) broken: bool,
    /// Every key, in order.
    given: Vec<Ident>,
    zahir: Option<Path>,
}

/// How often it is tried again.
#[derive(Clone, Copy)]
pub(crate) enum Retry {
    Times(u32),
    Forever,
}

/// A plain function of the user's.
pub(crate) enum Function {
    Path(ExprPath),
    Closure(ExprClosure),
}

impl Options {
    /// The path of this library.
    pub(crate) fn zahir(&self) -> TokenStream {
        self.zahir
            .as_ref()
            .map_or_else(|| quote!(::zahir), ToTokens::to_token_stream)
    }

    /// Where an option is given.
    pub(crate) fn given(&self, key: &str) -> Option<&Ident> {
        self.given.iter().find(|given| *given == key)
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

    /// The value, if it is one of these.
    fn value<T: Parse>(&self) -> Option<T> {
        parse2(self.value.clone()).ok()
    }
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = Ident::parse_any(input)?;
        input.parse::<Option<Token![=]>>()?;
        // A closure has commas of its own.
        let ahead = input.fork();
        if let Ok(value) = ahead.parse::<Expr>()
            && (ahead.is_empty() || ahead.peek(Token![,]))
        {
            input.advance_to(&ahead);
            let value = value.into_token_stream();
            return Ok(Self { key, value });
        }
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
    match Punctuated::<Entry, Token![,]>::parse_terminated.parse2(tokens) {
        Ok(entries) => {
            for entry in entries {
                options.add(entry, errors);
            }
        }
        Err(error) => errors.syntax(error),
    }
    conflicts::check(&mut options, errors);
    options.broken = errors.count() > before;
    options
}

impl Options {
    /// Reports what the head of the job makes impossible.
    pub(crate) fn fit(&mut self, job: &Job, errors: &Errors) {
        if let Some(key) = self.given("retry_if")
            && self.retry_if.is_some()
            && matches!(job.error, Fallible::No)
        {
            let message = "this job can't fail with an error that could be asked about: return a \
                           `Result`, or leave this away";
            errors.at(key, message);
            self.retry_if = None;
            self.broken = true;
        }
        if let Some(again) = &job.again
            && self.at_most_once
        {
            let message = "an `at_most_once` job is never started a second time, so it can't ask \
                           for it: return the output itself, or leave `at_most_once` away";
            errors.at(&again.ty, message);
            self.at_most_once = false;
            self.broken = true;
        }
        if let Some(key) = self.given("spawns")
            && !self.spawns.is_empty()
            && job.parameters.context.is_none()
        {
            let message = "nothing can be spawned without a context: add the parameter `ctx: \
                           &Context` before the others, or leave this away";
            errors.at(key, message);
            self.spawns = Vec::new();
            self.broken = true;
        }
        if let Some(context) = &job.parameters.context
            && !context.arguments.is_none()
        {
            let message = if self.given("spawns").is_none() {
                "only a job that spawns others has a context of its own: write `&Context`, or add \
                 `spawns(..)` to its options"
            } else if job.is_named_in(&context.arguments) {
                return;
            } else {
                "this is the context of another job: write `&Context`"
            };
            errors.at(&context.arguments, message);
            self.broken = true;
        }
    }

    /// Takes an option away that can't be there.
    pub(crate) fn forget(&mut self, key: &str) {
        match key {
            "retry" => self.retry = None,
            "backoff" => self.backoff = None,
            "retry_if" => self.retry_if = None,
            "undo" => self.undo = None,
            "at_most_once" => self.at_most_once = false,
            "no_undo" => self.no_undo = false,
            "pure" => self.pure = false,
            "once" => self.once = false,
            "once_by" => self.once_by = None,
            "cache" => self.cache = None,
            "spawns" => self.spawns = Vec::new(),
            _ => {}
        }
    }

    fn add(&mut self, entry: Entry, errors: &Errors) {
        let key = entry.key.to_string();
        if self.given(&key).is_some() {
            return errors.at(&entry.key, format!("`{key}` is given twice"));
        }
        self.set(&key, &entry, errors);
        self.given.push(entry.key);
    }

    fn set(&mut self, key: &str, entry: &Entry, errors: &Errors) {
        match key {
            "retry" => self.retry = retry(entry, errors),
            "backoff" => self.backoff = backoff(entry, errors),
            "retry_if" => self.retry_if = function(entry, "is_transient", errors),
            "timeout" => self.timeout = time(entry, "timeout = 30s", errors),
            "total_timeout" => self.total_timeout = time(entry, "total_timeout = 5m", errors),
            "check" => self.check = function(entry, "is_payable", errors),
            "verify" => self.verify = function(entry, "adds_up", errors),
            "recover" => self.recover = job(entry, "takes over for", "pay_later", errors),
            "undo" => self.undo = job(entry, "undoes", "refund", errors),
            "no_undo" => self.no_undo = flag(entry, errors),
            "at_most_once" => self.at_most_once = flag(entry, errors),
            "pure" => self.pure = flag(entry, errors),
            "once" => self.once = flag(entry, errors),
            "once_by" => self.once_by = function(entry, "|order| order.id", errors),
            "cache" => self.cache = time(entry, "cache = 1h", errors),
            "spawns" => self.spawns = kinds(entry, errors),
            "tags" => self.tags = tags(entry, errors),
            "version" => self.version = number(entry, "a number, as in `version = 2`", errors),
            "name" => self.name = name(entry, errors),
            "crate" => {
                self.zahir = entry.value();
                if self.zahir.is_none() {
                    errors.at(
                        &entry.blamed(),
                        "expected a path, as in `crate = app::zahir`",
                    );
                }
            }
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
    let number = entry
        .value::<LitInt>()
        .filter(|number| number.suffix().is_empty())
        .and_then(|number| number.base10_parse().ok());
    if number.is_none() {
        errors.at(&entry.blamed(), format!("expected {expected}"));
    }
    number
}

fn retry(entry: &Entry, errors: &Errors) -> Option<Retry> {
    if entry.value::<Ident>().is_some_and(|word| word == "forever") {
        return Some(Retry::Forever);
    }
    let expected = "how many times to try again, as in `retry = 3`, or `retry = forever`";
    number(entry, expected, errors).map(Retry::Times)
}

/// A word without a value.
fn flag(entry: &Entry, errors: &Errors) -> bool {
    if !entry.value.is_empty() {
        let key = &entry.key;
        errors.at(
            &entry.value,
            format!("`{key}` takes no value: write only `{key}`"),
        );
    }
    true
}

fn time(entry: &Entry, example: &str, errors: &Errors) -> Option<Duration> {
    let Some(literal) = entry.value::<Lit>() else {
        errors.at(
            &entry.blamed(),
            format!("expected a duration, as in `{example}`"),
        );
        return None;
    };
    if entry.key == "cache" {
        return duration::required(&literal, example, errors);
    }
    duration::limit(&literal, example, errors)
}

fn backoff(entry: &Entry, errors: &Errors) -> Option<Backoff> {
    let waits = entry.value::<Expr>();
    if waits.is_none() {
        errors.at(&entry.blamed(), backoff::FORMS);
    }
    Backoff::parse(&waits?, errors)
}

/// The path of a job.
fn job(entry: &Entry, what: &str, example: &str, errors: &Errors) -> Option<ExprPath> {
    let path = entry.value::<ExprPath>();
    if path.is_none() {
        let key = &entry.key;
        errors.at(
            &entry.blamed(),
            format!("expected the job that {what} this one, as in `{key} = {example}`"),
        );
    }
    path
}

/// The path of a plain function, or a closure.
fn function(entry: &Entry, example: &str, errors: &Errors) -> Option<Function> {
    let key = &entry.key;
    match entry.value::<Expr>() {
        Some(Expr::Path(path)) => Some(Function::Path(path)),
        Some(Expr::Closure(closure)) => {
            let Some(asyncness) = &closure.asyncness else {
                return Some(Function::Closure(closure));
            };
            let message = format!("`{key}` is asked in passing, it can't wait: leave `async` away");
            errors.at(asyncness, message);
            None
        }
        Some(_) | None => {
            errors.at(
                &entry.blamed(),
                format!("expected a function or a closure, as in `{key} = {example}`"),
            );
            None
        }
    }
}

/// Jobs and workflows, each named once.
fn kinds(entry: &Entry, errors: &Errors) -> Vec<Type> {
    const EXAMPLE: &str = "expected jobs and workflows, as in `spawns(fetch_page, crawl)`";
    let listed = |input: ParseStream<'_>| {
        let content;
        syn::parenthesized!(content in input);
        Punctuated::<Kind, Token![,]>::parse_terminated(&content)
    };
    let Ok(listed) = listed.parse2(entry.value.clone()) else {
        errors.at(&entry.blamed(), EXAMPLE);
        return Vec::new();
    };
    if listed.is_empty() {
        let message = "this names nothing to spawn: write the jobs and workflows, as in \
                       `spawns(fetch_page, crawl)`, or leave it away";
        errors.at(&entry.key, message);
    }
    let mut kinds = Vec::new();
    let mut known = Vec::new();
    for kind in listed {
        let (kind, name) = match kind {
            Kind::Named(path) if path.path.is_ident("Self") => {
                let message = "`Self` names nothing here: write the job's own name, as in \
                               `spawns(crawl)`";
                errors.at(&path, message);
                continue;
            }
            Kind::Named(path) => {
                let name = kind_name(&path);
                (Type::Path(path), name)
            }
            Kind::Other(tokens) => {
                errors.at(&tokens, EXAMPLE);
                continue;
            }
        };
        if known.contains(&name) {
            let written = canonical::shown(&kind.to_token_stream());
            errors.at(&kind, format!("`{written}` is named twice"));
            continue;
        }
        known.push(name);
        kinds.push(kind);
    }
    kinds
}

/// What is written in `spawns(..)`.
enum Kind {
    Named(TypePath),
    Other(TokenStream),
}

impl Parse for Kind {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let ahead = input.fork();
        if let Ok(ty) = ahead.parse::<Type>()
            && let Type::Path(path) = ungrouped(&ty)
            && (ahead.is_empty() || ahead.peek(Token![,]))
        {
            input.advance_to(&ahead);
            return Ok(Self::Named(path.clone()));
        }
        let mut other = TokenStream::new();
        if input.peek(Token![,]) {
            other.extend([input.fork().parse::<TokenTree>()?]);
        }
        while !input.is_empty() && !input.peek(Token![,]) {
            other.extend([input.parse::<TokenTree>()?]);
        }
        Ok(Self::Other(other))
    }
}

/// What two ways to write a kind have in common: a job is named by its function or its type.
fn kind_name(path: &TypePath) -> String {
    let mut path = path.clone();
    if let Some(last) = path.path.segments.last_mut() {
        last.ident = names::type_name(&last.ident);
        if let PathArguments::AngleBracketed(arguments) = &mut last.arguments {
            arguments.colon2_token = None;
        }
    }
    canonical::text(path.into_token_stream())
}

fn tags(entry: &Entry, errors: &Errors) -> Vec<LitStr> {
    let Some(list) = entry.value::<ExprArray>() else {
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
    let name = entry
        .value::<LitStr>()
        .filter(|name| !name.value().is_empty());
    if name.is_none() {
        errors.at(
            &entry.blamed(),
            "expected the name to find this job by, as in `name = \"mail::send\"`",
        );
    }
    name
}
