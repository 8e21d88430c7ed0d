//! `#[job]`: parse, check, expand.

mod body;
pub(crate) mod children;
mod conflicts;
pub(crate) mod expand;
pub(crate) mod fallback;
mod hooks;
pub(crate) mod options;
mod parse;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;

pub(crate) fn expand(options: TokenStream, item: &TokenStream) -> TokenStream {
    let errors = Errors::default();
    let mut options = options::parse(options, &errors);
    let function = match parse::parse(item) {
        Ok(function) => function,
        Err(error) => {
            errors.syntax(error);
            let errors = errors.items();
            return quote!(#errors #item);
        }
    };
    // A wrong option leaves the job usable, a wrong head does not.
    let after_options = errors.count();
    let job = parse::check(function, &errors);
    if errors.count() > after_options {
        return fallback::expand(&options, &job, &errors);
    }
    options.fit(&job, &errors);
    expand::expand(&options, &job, &errors)
}
