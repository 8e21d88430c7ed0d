//! The head of a job or workflow: its inputs and its output.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    FnArg, GenericArgument, GenericParam, Generics, Lifetime, Pat, PatType, PathArguments,
    PathSegment, ReturnType, Signature, Type, TypeImplTrait, TypeInfer, TypeReference,
};

use crate::errors::Errors;
use crate::spans::shown_at;

/// One input.
pub(crate) struct Parameter {
    pub(crate) name: Ident,
    /// As written, without its `&`.
    pub(crate) ty: Type,
    /// Whether it is lent: `&T`.
    pub(crate) lent: Option<syn::Token![&]>,
    /// Whether the type can't be an input, which has been reported.
    pub(crate) broken: bool,
}

impl Parameter {
    /// Whether the type is `str` or a slice, which are stored as something else.
    fn unsized_kind(&self) -> Option<Unsized<'_>> {
        match &self.ty {
            Type::Slice(slice) => Some(Unsized::Slice(&slice.elem)),
            Type::Path(path) if path.qself.is_none() && path.path.is_ident("str") => {
                Some(Unsized::Text)
            }
            _ => None,
        }
    }

    /// The type it is stored as: `&str` as `String`, `&[T]` as `Vec<T>`, `&T` as `T`.
    pub(crate) fn stored(&self) -> TokenStream {
        let span = self.ty.span();
        match self.unsized_kind() {
            Some(Unsized::Slice(element)) => {
                let vec = shown_at(quote!(::std::vec::Vec), span);
                quote_spanned!(span=> #vec<#element>)
            }
            Some(Unsized::Text) => shown_at(quote!(::std::string::String), span),
            None => self.ty.to_token_stream(),
        }
    }

    /// The type it has as an argument of a call that borrows for `lifetime`. `of_input` is the type
    /// it is stored as, by another name: naming the user's type only once keeps a mistake in it
    /// from being reported twice.
    pub(crate) fn argument(&self, lifetime: &Lifetime, of_input: &TokenStream) -> TokenStream {
        let ty = match self.unsized_kind() {
            Some(_) => self.ty.to_token_stream(),
            None => of_input.clone(),
        };
        match &self.lent {
            Some(and) => quote!(#and #lifetime #ty),
            None => ty,
        }
    }

    /// The type in the signature of the function that makes the call.
    pub(crate) fn declared(&self, lifetime: &Lifetime) -> TokenStream {
        let ty = &self.ty;
        match &self.lent {
            Some(and) => quote!(#and #lifetime #ty),
            None => quote!(#ty),
        }
    }
}

enum Unsized<'a> {
    Slice(&'a Type),
    Text,
}

/// The inputs of a job or workflow, and whether the first one is `ctx: &Context`.
pub(crate) struct Parameters {
    pub(crate) context: bool,
    pub(crate) inputs: Vec<Parameter>,
}

/// What the inputs are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Job,
    Workflow,
}

pub(crate) fn parameters(signature: &Signature, kind: Kind, errors: &Errors) -> Parameters {
    let mut found = Parameters {
        context: false,
        inputs: Vec::new(),
    };
    for (index, argument) in signature.inputs.iter().enumerate() {
        match argument {
            FnArg::Receiver(receiver) => errors.at(
                receiver,
                "a job is a free function: it can't take `self`; pass what it needs as arguments",
            ),
            FnArg::Typed(typed) if kind == Kind::Job && is_context(&typed.ty) => {
                check_context(typed, index, errors);
                found.context |= index == 0;
            }
            FnArg::Typed(typed) => found.inputs.push(parameter(typed, index, kind, errors)),
        }
    }
    found
}

fn is_context(ty: &Type) -> bool {
    let ty = match ty {
        Type::Reference(reference) => &reference.elem,
        other => other,
    };
    last_segment(ty).is_some_and(|segment| segment.ident == "Context")
}

fn check_context(typed: &PatType, index: usize, errors: &Errors) {
    if index > 0 {
        errors.at(typed, "the context comes first");
    }
    match &*typed.ty {
        Type::Reference(reference) if reference.mutability.is_none() => {}
        other => errors.at(other, "the context is lent: write `&Context`"),
    }
}

fn parameter(typed: &PatType, index: usize, kind: Kind, errors: &Errors) -> Parameter {
    let before = errors.count();
    let name = match &*typed.pat {
        Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => {
            if kind == Kind::Workflow
                && let Some(mutability) = &pattern.mutability
            {
                errors.at(
                    mutability,
                    "a workflow's inputs can't be changed: bind the new value to another name",
                );
            }
            pattern.ident.clone()
        }
        pattern => {
            errors.at(
                pattern,
                "an input needs a plain name: take the whole value and destructure it in the body",
            );
            format_ident!("input_{index}", span = pattern.span())
        }
    };
    let (ty, lent) = match &*typed.ty {
        Type::Reference(reference) => {
            check_reference(reference, kind, errors);
            ((*reference.elem).clone(), Some(reference.and_token))
        }
        owned => (owned.clone(), None),
    };
    Unstorable { errors, kind }.visit_type(&ty);
    Parameter {
        name,
        ty,
        lent,
        broken: errors.count() > before,
    }
}

fn check_reference(reference: &TypeReference, kind: Kind, errors: &Errors) {
    if kind == Kind::Workflow {
        errors.at(
            reference,
            "a workflow's inputs are stored with the run: take the value itself",
        );
        return;
    }
    if reference.mutability.is_some() {
        errors.at(
            reference,
            "a job can't change its inputs: they are shared; take the value itself, or `&T`",
        );
    }
    match &reference.lifetime {
        Some(lifetime) if lifetime.ident == "static" => errors.at(
            reference,
            "a job's inputs are stored, so they can't be `&'static`; take `&T` or `T`",
        ),
        // A named lifetime is reported where it is declared.
        Some(_) | None => {}
    }
}

/// Finds what can't be part of a stored type.
struct Unstorable<'a> {
    errors: &'a Errors,
    kind: Kind,
}

impl Unstorable<'_> {
    fn whose(&self) -> &'static str {
        match self.kind {
            Kind::Job => "a job's",
            Kind::Workflow => "a workflow's",
        }
    }
}

impl<'ast> Visit<'ast> for Unstorable<'_> {
    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        let message = format!(
            "{} inputs have named types, so that they can be stored: write the type, or a generic \
             parameter `<T: ..>`",
            self.whose()
        );
        self.errors.at(ty, message);
    }

    fn visit_type_infer(&mut self, ty: &'ast TypeInfer) {
        self.errors.at(ty, "write the type of this input");
    }

    fn visit_type_reference(&mut self, ty: &'ast TypeReference) {
        let message = format!(
            "{} inputs can't contain references: they are stored; use an owned type",
            self.whose()
        );
        self.errors.at(ty, message);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            let message = format!(
                "{} inputs can't borrow beyond a plain `&T`: they outlive the caller when they are \
                 stored",
                self.whose()
            );
            self.errors.at(lifetime, message);
        }
    }

    // `fn(..)`, `dyn ..`: rustc says that they can't be stored.
    fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}

    fn visit_type(&mut self, ty: &'ast Type) {
        visit::visit_type(self, ty);
    }
}

/// Reports what a job's or workflow's own generics can't be.
pub(crate) fn check_generics(generics: &Generics, kind: Kind, errors: &Errors) {
    let what = match kind {
        Kind::Job => {
            "a job can't have lifetime parameters: its inputs are stored; a plain `&T` is fine"
        }
        Kind::Workflow => "a workflow can't have lifetime parameters: its inputs are stored",
    };
    for parameter in &generics.params {
        if let GenericParam::Lifetime(lifetime) = parameter {
            errors.at(lifetime, what);
        }
    }
}

/// The declared output; `()` if none is written.
pub(crate) fn output(signature: &Signature) -> Type {
    match &signature.output {
        ReturnType::Default => {
            let span = signature.paren_token.span.close();
            Type::Verbatim(quote_spanned!(span=> ()))
        }
        ReturnType::Type(_, ty) => (**ty).clone(),
    }
}

/// Is it `Result<..>`, or an alias whose name says so?
pub(crate) fn is_result(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident.to_string().ends_with("Result"))
}

/// The `T` and the `E` of `Result<T, E>`, as far as they are written.
pub(crate) fn result_types(ty: &Type) -> (Option<Type>, Option<Type>) {
    let arguments = last_segment(ty).map(|segment| &segment.arguments);
    let Some(PathArguments::AngleBracketed(arguments)) = arguments else {
        return (None, None);
    };
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    (types.next(), types.next())
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(group) => last_segment(&group.elem),
        _ => None,
    }
}

/// A lifetime that the user's generics can't hide.
pub(crate) fn hidden_lifetime(name: &str) -> Lifetime {
    Lifetime::new(name, Span::mixed_site())
}
