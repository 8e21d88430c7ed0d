//! The waits between attempts: `100ms..10s`, `5s`, `[1s, 10s, 1m]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Expr, ExprArray, ExprLit, ExprPath, ExprRange};

use crate::duration::{self, Duration};
use crate::errors::Errors;

/// What is said of anything else.
pub(crate) const FORMS: &str = "expected the waits between attempts: `100ms..10s` for the first \
                                and the longest of waits that double, `5s` for always the same, \
                                or `[1s, 10s, 1m]` for one after the other";

/// The waits between attempts.
pub(crate) enum Backoff {
    /// The first one, doubled each time, and the longest.
    Exponential(Duration, Duration),
    /// Always the same.
    Fixed(Duration),
    /// One after the other, and then always the last.
    Steps(Vec<Duration>),
    /// What a function says. For jobs only.
    Custom(ExprPath),
}

impl Backoff {
    /// The waits that an expression says; `None` if it says none, which is reported.
    pub(crate) fn parse(expression: &Expr, errors: &Errors) -> Option<Self> {
        match expression {
            Expr::Range(range) => exponential(range, errors),
            Expr::Array(list) => steps(list, errors),
            Expr::Path(function) => Some(Self::Custom(function.clone())),
            Expr::Lit(ExprLit { lit, .. }) => {
                duration::required(lit, "5s", errors).map(Self::Fixed)
            }
            other => {
                errors.at(other, FORMS);
                None
            }
        }
    }

    /// The expression for it.
    pub(crate) fn expression(&self) -> TokenStream {
        match self {
            Self::Exponential(first, longest) => {
                let (first, longest) = (first.expression(), longest.expression());
                quote!(__zahir::Backoff::Exponential { first: #first, longest: #longest })
            }
            Self::Fixed(wait) => {
                let wait = wait.expression();
                quote!(__zahir::Backoff::Fixed(#wait))
            }
            Self::Steps(steps) => {
                let steps = steps.iter().map(|wait| wait.expression());
                quote!(__zahir::Backoff::Steps(const { &[#(#steps),*] }))
            }
            Self::Custom(function) => quote!(__zahir::Backoff::Custom(#function)),
        }
    }
}

/// The two ends of `100ms..10s`.
fn exponential(range: &ExprRange, errors: &Errors) -> Option<Backoff> {
    let end = |end: &Option<Box<Expr>>| match end.as_deref() {
        Some(end) => wait(end, errors),
        None => {
            errors.at(range, FORMS);
            None
        }
    };
    let (first, longest) = (end(&range.start), end(&range.end));
    let (first, longest) = (first?, longest?);
    if first > longest {
        errors.at(range, "this backoff shrinks: write the shorter wait first");
        return None;
    }
    Some(Backoff::Exponential(first, longest))
}

fn steps(list: &ExprArray, errors: &Errors) -> Option<Backoff> {
    if list.elems.is_empty() {
        let message = "there is no wait in this list: write `0s` to try again at once, or leave \
                       the backoff away";
        errors.at(list, message);
        return None;
    }
    let steps: Vec<_> = list.elems.iter().map(|step| wait(step, errors)).collect();
    let steps: Option<Vec<Duration>> = steps.into_iter().collect();
    steps.map(Backoff::Steps)
}

fn wait(expression: &Expr, errors: &Errors) -> Option<Duration> {
    if let Expr::Lit(ExprLit { lit, .. }) = expression {
        return duration::required(lit, "10s", errors);
    }
    errors.at(expression, "expected a duration, as in `10s`");
    None
}
