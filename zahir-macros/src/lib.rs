//! The macros of zahir.

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

/// Makes a job of an async function.
#[proc_macro_attribute]
pub fn job(options: TokenStream, item: TokenStream) -> TokenStream {
    job::expand(options.into(), item.into()).into()
}

/// Declares a workflow.
#[proc_macro]
pub fn workflow(body: TokenStream) -> TokenStream {
    workflow::expand(body.into()).into()
}
