//! `workflow!`: parse, lower, expand.

mod expand;
mod lower;
mod model;
mod parse;
mod rewrite;
mod scope;
mod shape;
mod syntax;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Attribute, Meta, Safety, Signature, Type};

use crate::canonical;
use crate::errors::Errors;
use crate::job::fallback::Stub;
use crate::names;
use crate::signature::{self, Kind};
use crate::workflow::expand::Head;
use crate::workflow::parse::Source;

pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let source = match parse::parse(tokens) {
        Ok(source) => source,
        Err(error) => {
            errors.syntax(error);
            return errors.items();
        }
    };
    let Source {
        zahir,
        mut attributes,
        visibility,
        mut signature,
        body,
    } = source;
    let saga = take_saga(&mut attributes, &errors);
    check_qualifiers(&signature, &errors);
    let output = output(&signature, &errors);
    let usable = errors.count();
    signature::check_generics(&signature.generics, Kind::Workflow, &errors);
    signature::imply_bounds(&mut signature.generics);
    let inputs = signature::parameters(&signature, Kind::Workflow, &errors).inputs;
    let type_name = names::type_name(&signature.ident);
    if errors.count() > usable || inputs.iter().any(|input| input.broken) {
        let stub = Stub {
            zahir,
            visibility: &visibility,
            signature: &signature,
            type_name: &type_name,
            parameters: &inputs,
        };
        return stub.expand(&errors);
    }
    let head = Head {
        zahir,
        attributes,
        visibility,
        signature,
        type_name,
        inputs,
        output,
        saga,
        errors: errors.items(),
    };
    let body_errors = Errors::default();
    let lowered = lower::lower(&head, &body, &body_errors);
    expand::expand(&head, &lowered, &body_errors)
}

/// Whether the workflow says `#[saga]`. All other attributes are those of the function.
fn take_saga(attributes: &mut Vec<Attribute>, errors: &Errors) -> bool {
    let (sagas, others): (Vec<_>, Vec<_>) = std::mem::take(attributes)
        .into_iter()
        .partition(|attribute| attribute.path().is_ident("saga"));
    *attributes = others;
    for (place, saga) in sagas.iter().enumerate() {
        if !matches!(saga.meta, Meta::Path(_)) {
            let message = "`#[saga]` takes nothing: what undoes a job is said on the job, as in \
                           `#[job(undo = refund)]`";
            errors.at(saga, message);
        } else if place > 0 {
            errors.at(saga, "`#[saga]` is given twice");
        }
    }
    !sagas.is_empty()
}

/// A workflow is `async fn`, and nothing more.
fn check_qualifiers(signature: &Signature, errors: &Errors) {
    if signature.asyncness.is_none() {
        let message = format!(
            "a workflow is an `async fn`: write `async fn {}`",
            signature.ident
        );
        errors.at(&signature.fn_token, message);
    }
    if let Some(constness) = &signature.constness {
        errors.at(constness, "a workflow can't be `const`");
    }
    if let Some(abi) = &signature.abi {
        errors.at(abi, "a workflow can't be `extern`");
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        errors.at(unsafety, "a workflow can't be `unsafe`");
    }
}

/// The success value. The failure of a run is always that of a job.
fn output(signature: &Signature, errors: &Errors) -> Type {
    let declared = signature::output(signature);
    if !signature::is_result(&declared) {
        return declared;
    }
    let success = signature::result_types(&declared).0;
    let written = success.as_ref().map_or_else(|| "T".to_owned(), type_text);
    errors.at(
        &declared,
        format!(
            "a workflow returns its success value: a failing job fails the run with that job's \
             error; write `-> {written}`"
        ),
    );
    success.unwrap_or(declared)
}

/// The type as one would write it.
pub(crate) fn type_text(ty: &Type) -> String {
    let mut text = canonical::shown(&ty.to_token_stream());
    for (spaced, tight) in [(" < ", "<"), (" <", "<"), ("< ", "<"), (" >", ">")] {
        text = text.replace(spaced, tight);
    }
    text
}
