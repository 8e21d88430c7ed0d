//! The function under `#[job]`. Its body stays as it is: rustc checks it.

use proc_macro2::{Group, Span, TokenStream};
use quote::{ToTokens, format_ident};
use syn::parse::{ParseStream, Parser};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Error, GenericArgument, Ident, Item, Lifetime, PathArguments, Safety, Signature,
    Type, TypeImplTrait, TypeReference, Visibility, parse2,
};

use crate::canonical;
use crate::errors::Errors;
use crate::job::body;
use crate::names;
use crate::signature::{self, Kind, Parameters};

/// A function, its body unread.
pub(crate) struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    body: Group,
}

/// A job whose head was checked.
pub(crate) struct Job {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
    pub(crate) parameters: Parameters,
    /// What the function returns.
    pub(crate) returns: Type,
    /// What it gives when it succeeds, as far as that is written.
    pub(crate) output: Option<Type>,
    /// Whether it may ask to be run again.
    pub(crate) again: Option<Again>,
    /// Whether and how it can fail.
    pub(crate) error: Fallible,
    /// The name of the generated type.
    pub(crate) type_name: Ident,
}

impl Job {
    /// Whether `<..>` names this very job, by its function or its type.
    pub(crate) fn is_named_in(&self, arguments: &PathArguments) -> bool {
        let PathArguments::AngleBracketed(arguments) = arguments else {
            return false;
        };
        arguments.args.iter().all(|argument| match argument {
            GenericArgument::Type(Type::Path(ty)) => ty.path.segments.last().is_some_and(|last| {
                last.ident == self.type_name || last.ident == self.signature.ident
            }),
            _ => false,
        })
    }
}

/// `Again<T, S>`.
pub(crate) struct Again {
    /// What is written.
    pub(crate) ty: Type,
    /// What it leaves for the next attempt, if that is written.
    pub(crate) state: Option<Type>,
}

/// Whether a job can fail.
#[expect(clippy::large_enum_variant, reason = "one per job")]
pub(crate) enum Fallible {
    No,
    /// With this error, or with one that an alias hides.
    Yes(Option<Type>),
}

pub(crate) fn parse(item: &TokenStream) -> syn::Result<Function> {
    let function = |input: ParseStream<'_>| {
        Ok(Function {
            attributes: input.call(Attribute::parse_outer)?,
            visibility: input.parse()?,
            signature: input.parse()?,
            body: input.parse()?,
        })
    };
    function.parse2(item.clone()).map_err(|error| {
        let what = match parse2::<Item>(item.clone()) {
            Ok(Item::Struct(_) | Item::Enum(_) | Item::Union(_) | Item::Type(_)) => "a type",
            Ok(Item::Impl(_)) => "an `impl` block",
            Ok(Item::Mod(_)) => "a module",
            Ok(Item::Trait(_)) => "a trait",
            Ok(_) => "this item",
            Err(_) => return error,
        };
        Error::new(
            Span::call_site(),
            format!("`#[job]` goes on an `async fn`, not on {what}"),
        )
    })
}

pub(crate) fn check(function: Function, errors: &Errors) -> Job {
    let Function {
        attributes,
        visibility,
        mut signature,
        body,
    } = function;
    check_qualifiers(&mut signature, errors);
    body::check(signature.to_token_stream(), &body, errors);
    signature::check_generics(&signature.generics, Kind::Job, errors);
    signature::imply_bounds(&mut signature.generics);
    let parameters = signature::parameters(&signature, Kind::Job, errors);
    let returns = signature::output(&signature);
    let (output, error) = if signature::is_result(&returns) {
        let (output, error) = signature::result_types(&returns);
        (output, Fallible::Yes(error))
    } else {
        (Some(returns.clone()), Fallible::No)
    };
    let (output, again) = match output.as_ref().and_then(signature::again_types) {
        Some((inner, state)) => (Some(inner), output.map(|ty| Again { ty, state })),
        None => (output, None),
    };
    check_state(&parameters, again.as_ref(), errors);
    signature::forget_state(&mut signature);
    if let Some(output) = &output {
        Unstorable(errors).visit_type(output);
    }
    Job {
        type_name: type_name(&signature, errors),
        attributes,
        visibility,
        signature,
        body,
        parameters,
        returns,
        output,
        again,
        error,
    }
}

/// The name of the type, which may hide none that the head means.
fn type_name(signature: &Signature, errors: &Errors) -> Ident {
    let (name, ty) = (&signature.ident, names::type_name(&signature.ident));
    if !signature::hides(signature, &ty) {
        return ty;
    }
    let message = format!(
        "the job `{name}` is a type `{ty}`, too, which would hide the `{ty}` that is meant here: \
         give the job another name"
    );
    errors.at(name, message);
    format_ident!("Job{ty}")
}

/// What an attempt leaves has to be taken by the next one, and the other way round.
fn check_state(parameters: &Parameters, again: Option<&Again>, errors: &Errors) {
    match (&parameters.state, again) {
        (None, None) => {}
        (Some(state), None) => {
            let message = "this is what an attempt leaves for the next one, and the job never asks \
                           for one: return `Again<T, S>`";
            errors.at(&state.at, message);
        }
        (None, Some(again)) => {
            if let Some(state) = &again.state
                && !is_unit(state)
            {
                let shown = shown(state);
                let message = format!(
                    "nothing takes what this leaves for the next attempt: add a parameter \
                     `#[state] state: Option<{shown}>`, or write `()`"
                );
                errors.at(state, message);
            }
        }
        (Some(state), Some(again)) => {
            if again.state.is_none()
                && let Some(taken) = signature::option_type(&state.ty)
            {
                let shown = shown(&taken);
                let message = format!(
                    "this leaves nothing for the next attempt, which takes a state: write \
                     `Again<T, {shown}>`"
                );
                errors.at(&again.ty, message);
            }
        }
    }
}

/// A type as one would write it.
fn shown(ty: &Type) -> String {
    let mut text = canonical::shown(&ty.to_token_stream());
    for (spaced, tight) in [(" <", "<"), ("< ", "<"), (" >", ">")] {
        text = text.replace(spaced, tight);
    }
    text
}

fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// A job is `async fn`, and nothing more. What is wrong is taken away, so that nothing else fails.
fn check_qualifiers(signature: &mut Signature, errors: &Errors) {
    if signature.asyncness.is_none() {
        let message = format!(
            "a job is an `async fn`: write `async fn {}`",
            signature.ident
        );
        errors.at(&signature.fn_token, message);
        signature.asyncness = Some(syn::Token![async](signature.fn_token.span));
    }
    if let Some(constness) = signature.constness.take() {
        errors.at(&constness, "a job can't be `const`");
    }
    if let Some(abi) = signature.abi.take() {
        errors.at(&abi, "a job can't be `extern`");
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        errors.at(unsafety, "a job can't be `unsafe`");
    }
    signature.safety = Safety::Default;
    if let Some(variadic) = signature.variadic.take() {
        errors.at(&variadic, "a job can't be variadic");
    }
}

/// Finds what can't be part of an output.
struct Unstorable<'a>(&'a Errors);

impl<'ast> Visit<'ast> for Unstorable<'_> {
    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.0.at(
            ty,
            "a job's output has a named type, so that it can be stored",
        );
    }

    fn visit_type_reference(&mut self, ty: &'ast TypeReference) {
        self.0.at(
            ty,
            "a job's output can't contain references: it is stored; return an owned type",
        );
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.0.at(
                lifetime,
                "a job's output can't borrow: it is stored; return an owned type",
            );
        }
    }

    fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}

    fn visit_type(&mut self, ty: &'ast Type) {
        visit::visit_type(self, ty);
    }
}
