//! The macros of zahir: `#[job]` and `workflow!`. Used through the crate `zahir`, which documents
//! them.
//!
//! Each macro is a small compiler: parse, check or lower, expand. All stages work on `proc_macro2`
//! tokens alone, so that they can be tested without a compiler. All mistakes are reported at once,
//! and what is wrong is replaced by something of any type, so that nothing else is blamed for it.
//! Types are never looked at here: the expansion keeps the user's calls and spans, and rustc says
//! what does not fit.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of syn are open: what is not named is no business of these macros"
)]

mod backoff;
mod canonical;
mod duration;
mod errors;
mod job;
mod names;
mod signature;
mod spans;
#[cfg(test)]
mod tests;
mod workflow;

use proc_macro::TokenStream;

/// Makes a job of an async function; see `zahir::job`.
#[proc_macro_attribute]
pub fn job(options: TokenStream, item: TokenStream) -> TokenStream {
    job::expand(options.into(), &item.into()).into()
}

/// Declares a workflow; see `zahir::workflow!`.
#[proc_macro]
pub fn workflow(body: TokenStream) -> TokenStream {
    workflow::expand(body.into()).into()
}
