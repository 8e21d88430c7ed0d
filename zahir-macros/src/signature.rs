//! The head of a job or workflow: its inputs and its output.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Attribute, FnArg, GenericArgument, GenericParam, Generics, Lifetime, Meta, Pat, PatType,
    PathArguments, PathSegment, ReturnType, Signature, Type, TypeImplTrait, TypeInfer, TypeParam,
    TypeParamBound, TypeReference, WherePredicate, parse_quote, parse2,
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
            ty if is_text(ty) => Some(Unsized::Text),
            _ => None,
        }
    }

    /// Whether the type is called as one of std's that have no size: such an input can't be stored, and
    /// only rustc knows whether it is that one or another of the name.
    pub(crate) fn may_be_unsized(&self) -> bool {
        let last = last_segment(&self.ty);
        self.lent.is_some()
            && last.is_some_and(|last| UNSIZED.iter().any(|name| last.ident == name))
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
            None if !self.may_be_unsized() => of_input.clone(),
            _ => self.ty.to_token_stream(),
        };
        match &self.lent {
            Some(and) => quote!(#and #lifetime #ty),
            None => ty,
        }
    }

    /// The type it has where all inputs are lent for `lifetime`.
    pub(crate) fn lent_for(&self, lifetime: &Lifetime, of_input: &TokenStream) -> TokenStream {
        let argument = self.argument(lifetime, of_input);
        match &self.lent {
            Some(_) => argument,
            None => quote!(&#lifetime #argument),
        }
    }

    /// What a reference to the stored value is written as.
    pub(crate) fn written(&self, of_input: &TokenStream) -> Option<TokenStream> {
        match self.unsized_kind() {
            Some(Unsized::Slice(_)) => Some(quote!(<#of_input as ::core::ops::Deref>::Target)),
            Some(Unsized::Text) => None,
            None if self.may_be_unsized() => Some(self.ty.to_token_stream()),
            None => Some(of_input.clone()),
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

/// Those of std that have no size, besides `str`.
const UNSIZED: [&str; 3] = ["Path", "OsStr", "CStr"];

/// Whether it is `str`, which may be written as a path, too.
fn is_text(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|last| last.ident == "str")
}

enum Unsized<'a> {
    Slice(&'a Type),
    Text,
}

/// The inputs of a job or workflow, whether the first parameter is `ctx: &Context`, and what an
/// attempt of a job has left for the next.
pub(crate) struct Parameters {
    /// What the type of that parameter ends with: `Context`.
    pub(crate) context: Option<PathSegment>,
    pub(crate) inputs: Vec<Parameter>,
    pub(crate) state: Option<State>,
}

/// `#[state] name: Option<S>`: no input, as no caller gives it.
pub(crate) struct State {
    /// The attribute.
    pub(crate) at: Attribute,
    /// As written, `Option<S>`.
    pub(crate) ty: Type,
    /// How many inputs come before it.
    pub(crate) place: usize,
}

/// What the inputs are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Job,
    Workflow,
}

pub(crate) fn parameters(signature: &Signature, kind: Kind, errors: &Errors) -> Parameters {
    let mut found = Parameters {
        context: None,
        inputs: Vec::new(),
        state: None,
    };
    for (index, argument) in signature.inputs.iter().enumerate() {
        match argument {
            FnArg::Receiver(receiver) => errors.at(
                receiver,
                match kind {
                    Kind::Job => {
                        "a job is a free function: it can't take `self`; pass what it needs as \
                         arguments"
                    }
                    Kind::Workflow => {
                        "a workflow is a free function: it can't take `self`; pass what it needs \
                         as arguments"
                    }
                },
            ),
            FnArg::Typed(typed) if state_attribute(typed).is_some() => {
                found.take_state(typed, kind, errors);
            }
            FnArg::Typed(typed) if kind == Kind::Job && is_context(&typed.ty) => {
                check_context(typed, index, errors);
                if index == 0 {
                    found.context = last_segment(lent(&typed.ty)).cloned();
                }
            }
            FnArg::Typed(typed) => found.inputs.push(parameter(typed, index, kind, errors)),
        }
    }
    found
}

impl Parameters {
    fn take_state(&mut self, typed: &PatType, kind: Kind, errors: &Errors) {
        let Some(at) = state_attribute(typed) else {
            return;
        };
        if kind == Kind::Workflow {
            let message = "a workflow has no state of its own: this is for a job that returns \
                           `Again`";
            return errors.at(at, message);
        }
        if self.state.is_some() {
            return errors.at(at, "a job has one state: take a tuple or a struct");
        }
        if !matches!(at.meta, Meta::Path(_)) {
            errors.at(at, "`#[state]` takes nothing");
        }
        if option_type(&typed.ty).is_none() {
            let message = "the first attempt has no state: write `Option<..>`";
            errors.at(&typed.ty, message);
        }
        self.state = Some(State {
            at: at.clone(),
            ty: (*typed.ty).clone(),
            place: self.inputs.len(),
        });
    }
}

fn state_attribute(typed: &PatType) -> Option<&Attribute> {
    let mut attributes = typed.attrs.iter();
    attributes.find(|attribute| attribute.path().is_ident("state"))
}

/// Takes the attribute away, which only the macro knows.
pub(crate) fn forget_state(signature: &mut Signature) {
    for argument in &mut signature.inputs {
        if let FnArg::Typed(typed) = argument {
            typed
                .attrs
                .retain(|attribute| !attribute.path().is_ident("state"));
        }
    }
}

/// The `S` of `Option<S>`.
pub(crate) fn option_type(ty: &Type) -> Option<Type> {
    let is_option = last_segment(ty).is_some_and(|segment| segment.ident == "Option");
    generic_types(ty).into_iter().next().filter(|_| is_option)
}

/// The `T` of `Again<T, S>`, and the `S` if it is written.
pub(crate) fn again_types(ty: &Type) -> Option<(Type, Option<Type>)> {
    let is_again = last_segment(ty).is_some_and(|segment| segment.ident == "Again");
    let mut types = generic_types(ty).into_iter();
    let output = types.next().filter(|_| is_again)?;
    Some((output, types.next()))
}

/// The type itself, where a `macro_rules!` has put a group around it, or the user parentheses.
pub(crate) fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(group) => ungrouped(&group.elem),
        other => other,
    }
}

/// The type behind the `&`.
fn lent(ty: &Type) -> &Type {
    match ungrouped(ty) {
        Type::Reference(reference) => &reference.elem,
        other => other,
    }
}

fn is_context(ty: &Type) -> bool {
    last_segment(lent(ty)).is_some_and(|segment| segment.ident == "Context")
}

/// `&Context` as `&Context<Job>`: the context of this very job.
pub(crate) fn own_context(signature: &mut Signature, job: &TokenStream) {
    if let Some(FnArg::Typed(typed)) = signature.inputs.first_mut()
        && let Some(last) = context_mut(&mut typed.ty)
        && let Ok(arguments) = parse2(quote!(<#job>))
    {
        last.arguments = PathArguments::AngleBracketed(arguments);
    }
}

fn context_mut(ty: &mut Type) -> Option<&mut PathSegment> {
    match ty {
        Type::Reference(reference) => context_mut(&mut reference.elem),
        Type::Group(group) => context_mut(&mut group.elem),
        Type::Path(path) => path.path.segments.last_mut(),
        _ => None,
    }
}

fn check_context(typed: &PatType, index: usize, errors: &Errors) {
    if index > 0 {
        errors.at(typed, "the context comes first");
    }
    match ungrouped(&typed.ty) {
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
    let (ty, lent) = match ungrouped(&typed.ty) {
        Type::Reference(reference) => {
            check_reference(reference, kind, errors);
            let lent = ungrouped(&reference.elem).clone();
            (lent, Some(reference.and_token))
        }
        owned => {
            check_sized(owned, kind, errors);
            (owned.clone(), None)
        }
    };
    Unstorable { errors, kind }.visit_type(&ty);
    Parameter {
        name,
        ty,
        lent,
        broken: errors.count() > before,
    }
}

/// `str`, `[T]`, `dyn ..` by value.
fn check_sized(ty: &Type, kind: Kind, errors: &Errors) {
    let lent = kind == Kind::Job;
    match ty {
        Type::Slice(_) if lent => errors.at(ty, "a slice is lent: write `&` before it"),
        Type::Slice(_) => errors.at(ty, "a slice can't be stored: take a `Vec`"),
        ty if is_text(ty) => {
            let message = if lent {
                "text is lent, `&str`, or owned, `String`"
            } else {
                "a `str` can't be stored: take a `String`"
            };
            errors.at(ty, message);
        }
        Type::TraitObject(_) => errors.at(ty, NO_DYN),
        _ => {}
    }
}

const NO_DYN: &str = "a `dyn` type can't be read back from a file: take the type itself, or an \
                      enum of those there are";

fn check_reference(reference: &TypeReference, kind: Kind, errors: &Errors) {
    if kind == Kind::Workflow {
        let message = match ungrouped(&reference.elem) {
            context if is_context(context) => {
                "a workflow has no context: each of its jobs may take one".to_owned()
            }
            Type::Slice(slice) => {
                let element = slice.elem.to_token_stream();
                format!(
                    "a workflow's inputs are stored with the run: take the value itself, \
                     `Vec<{element}>`"
                )
            }
            ty if is_text(ty) => "a workflow's inputs are stored with the run: take the value \
                                      itself, `String`"
                .to_owned(),
            _ => "a workflow's inputs are stored with the run: take the value itself, without `&`"
                .to_owned(),
        };
        errors.at(reference, message);
        return;
    }
    if reference.mutability.is_some() {
        errors.at(
            reference,
            "a job can't change its inputs: they are shared; take the value itself, or `&T`",
        );
    }
    let element = match ungrouped(&reference.elem) {
        Type::Slice(slice) => ungrouped(&slice.elem),
        other => other,
    };
    if matches!(element, Type::TraitObject(_)) {
        errors.at(element, NO_DYN);
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
        if let GenericParam::Type(ty) = parameter
            && is_unbounded(ty, generics)
        {
            let name = &ty.ident;
            errors.at(
                name,
                format!("a value of any type can't be stored: write `{name}: zahir::Payload`"),
            );
        }
    }
}

/// What is stored is sent between threads: without these bounds, each use of a type parameter that
/// lacks one would be an error of its own. They go before the user's, wherever those are, so that
/// rustc adds to the user's and clippy finds them in one place.
pub(crate) fn imply_bounds(generics: &mut Generics) {
    let Generics {
        params,
        where_clause,
        ..
    } = generics;
    for parameter in params {
        let GenericParam::Type(parameter) = parameter else {
            continue;
        };
        let name = &parameter.ident;
        let predicates = where_clause.iter_mut();
        let elsewhere = predicates
            .flat_map(|clause| &mut clause.predicates)
            .find_map(|predicate| match predicate {
                WherePredicate::Type(predicate) if is_named(&predicate.bounded_ty, name) => {
                    Some(&mut predicate.bounds)
                }
                _ => None,
            });
        let bounds = match elsewhere {
            Some(bounds) if parameter.bounds.is_empty() => bounds,
            _ => &mut parameter.bounds,
        };
        let implied: [TypeParamBound; 3] = [
            parse_quote!(::core::marker::Send),
            parse_quote!(::core::marker::Sync),
            parse_quote!('static),
        ];
        let written = std::mem::replace(bounds, implied.into_iter().collect());
        bounds.extend(written);
    }
}

fn is_named(ty: &Type, name: &Ident) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident(name))
}

/// Whether nothing is said about what a type parameter stands for.
fn is_unbounded(parameter: &TypeParam, generics: &Generics) -> bool {
    let predicates = generics
        .where_clause
        .iter()
        .flat_map(|clause| &clause.predicates);
    let mut bounded = predicates.filter_map(|predicate| match predicate {
        WherePredicate::Type(predicate) => Some(&predicate.bounded_ty),
        _ => None,
    });
    parameter.bounds.is_empty() && !bounded.any(|ty| is_named(ty, &parameter.ident))
}

/// Whether the head of a function means another type of this name than its own, which would hide it:
/// one with parameters that the function has none of, or one that everybody knows.
pub(crate) fn hides(signature: &Signature, name: &Ident) -> bool {
    struct Mentioned<'a> {
        name: &'a Ident,
        bare: bool,
        found: bool,
    }
    impl<'ast> Visit<'ast> for Mentioned<'_> {
        fn visit_path(&mut self, path: &'ast syn::Path) {
            if let [segment] = &*path.segments.iter().collect::<Vec<_>>()
                && segment.ident == *self.name
            {
                let known = ["Context", "String"]
                    .iter()
                    .any(|known| *self.name == known);
                self.found |= known || (self.bare && !segment.arguments.is_none());
            }
            visit::visit_path(self, path);
        }
    }
    let mut mentioned = Mentioned {
        name,
        bare: signature.generics.params.is_empty(),
        found: false,
    };
    mentioned.visit_signature(signature);
    mentioned.found
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
    let mut types = generic_types(ty).into_iter();
    (types.next(), types.next())
}

/// The types between the `<..>` of a type.
fn generic_types(ty: &Type) -> Vec<Type> {
    let arguments = last_segment(ty).map(|segment| &segment.arguments);
    let Some(PathArguments::AngleBracketed(arguments)) = arguments else {
        return Vec::new();
    };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    types.collect()
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
