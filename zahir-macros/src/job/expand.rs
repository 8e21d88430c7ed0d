//! What `#[job]` writes: the function that makes a call, the call as a type, and its `Job`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, GenericParam, Generics, Lifetime, Type};

use crate::canonical;
use crate::errors::Errors;
use crate::job::children::Callee;
use crate::job::options::{Options, Retry};
use crate::job::parse::{Fallible, Job};
use crate::names;
use crate::signature::{self, Parameter, hidden_lifetime};
use crate::spans::{hidden, imports, shown_at};

/// What all parts of an expansion need.
pub(super) struct Expansion<'a> {
    zahir: TokenStream,
    pub(super) job: &'a Job,
    pub(super) options: &'a Options,
    pub(super) lifetime: Lifetime,
}

pub(crate) fn expand(options: &Options, job: &Job, errors: &Errors) -> TokenStream {
    let expansion = Expansion {
        zahir: options.zahir(),
        job,
        options,
        lifetime: hidden_lifetime("'job"),
    };
    let errors = errors.items();
    let imports = imports(&expansion.zahir);
    let call = expansion.call();
    let ty = expansion.type_definition();
    let body = expansion.body();
    let implementation = expansion.implementation();
    let effects = expansion.effects();
    let inputs = expansion.inputs();
    let serde = expansion.serde();
    let stored = expansion.stored();
    let children = expansion.children();
    let hidden_result = expansion.hidden_result();
    quote! {
        #errors
        #call
        #ty
        const _: () = {
            #imports
            #body
            #implementation
            #effects
            #inputs
            #serde
            #stored
            #children
            #hidden_result
        };
    }
}

/// The attributes that belong to the function that callers see; all others go to the body.
pub(crate) fn is_outer(attribute: &Attribute) -> bool {
    ["doc", "deprecated", "must_use"]
        .iter()
        .any(|name| attribute.path().is_ident(name))
}

impl Expansion<'_> {
    /// `fn send_mail(user: &User) -> Call<SendMail>`, and a type of the same name.
    fn call(&self) -> TokenStream {
        let Self {
            zahir,
            lifetime,
            job,
            ..
        } = self;
        let (name, ty, visibility) = (&job.signature.ident, &job.type_name, &job.visibility);
        let (_, type_generics, where_clause) = job.signature.generics.split_for_impl();
        let generics = with_lifetime(&job.signature.generics, lifetime);
        let (impl_generics, ..) = generics.split_for_impl();
        let outer = job
            .attributes
            .iter()
            .filter(|attribute| is_outer(attribute));
        let names = self.names();
        let types = self
            .parameters()
            .map(|parameter| parameter.declared(lifetime));
        let alias_parameters = bare_parameters(&job.signature.generics);
        let none = self.no_state();
        quote! {
            #(#outer)*
            #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
            #visibility fn #name #impl_generics (#(#names: #types),*)
                -> #zahir::Call<#lifetime, #ty #type_generics> #where_clause
            {
                #zahir::Call::new((#(#names,)* #none))
            }
            #[doc(hidden)]
            #[allow(non_camel_case_types, dead_code, unreachable_pub)]
            #visibility type #name #alias_parameters = #ty #type_generics;
        }
    }

    /// `struct SendMail { user: User }`.
    fn type_definition(&self) -> TokenStream {
        let Self { zahir, job, .. } = self;
        let (name, visibility) = (&job.signature.ident, &job.visibility);
        let doc = format!(
            "A call of [`{}()`]({}()) as a value: its inputs, owned, to be stored.",
            names::unraw(name),
            name
        );
        let (names, stored) = (self.names(), self.stored_types(&quote!(#zahir::__private)));
        let marker = self.marker().map(|ty| {
            quote!(#[doc(hidden)] #visibility __zahir_generics: ::core::marker::PhantomData<#ty>,)
        });
        let fields = quote!(#(#visibility #names: #stored,)* #marker);
        let definition = self.callee().definition(fields);
        quote! {
            #[doc = #doc]
            #[allow(
                dead_code,
                missing_docs,
                missing_debug_implementations,
                unreachable_pub,
                clippy::exhaustive_structs,
            )]
            #definition
        }
    }

    /// The user's function, as an associated one: so it keeps its name (which `tracing` shows), and
    /// a recursive call in it still means the job.
    fn body(&self) -> TokenStream {
        let job = self.job;
        let (impl_generics, type_generics, where_clause) = job.signature.generics.split_for_impl();
        let ty = &job.type_name;
        let inner = job
            .attributes
            .iter()
            .filter(|attribute| !is_outer(attribute));
        let mut signature = job.signature.clone();
        signature.generics = Generics::default();
        if let Some(spawner) = self.spawner() {
            signature::own_context(&mut signature, &spawner);
        }
        let body = &job.body;
        quote! {
            #[allow(clippy::multiple_inherent_impl)]
            impl #impl_generics #ty #type_generics #where_clause {
                #(#inner)*
                #[allow(clippy::unused_async, clippy::trivially_copy_pass_by_ref)]
                #signature #body
            }
        }
    }

    fn implementation(&self) -> TokenStream {
        let Self { lifetime, job, .. } = self;
        let (impl_generics, type_generics, where_clause) = job.signature.generics.split_for_impl();
        let ty = &job.type_name;
        let types = self.argument_types();
        let state = self.state_type();
        let types = quote!((#(#types,)* #state));
        let returns = &job.returns;
        let (output, error) = self.outcome_types();
        let codec = codec_of(&quote!(Self::Output), output.span());
        let boxed = shown_at(quote!(__zahir::boxed::<Self::Error>()), error.span());
        let (options, reach) = (self.options(), self.reach());
        let job_name = self.job_name();
        let signature = self.canonical_signature();
        let run = self.run();
        let settle = self.settle();
        let asks = job.parameters.context.is_none().then(|| {
            quote! {
                const ASKS: ::core::primitive::bool = false;
            }
        });
        let instance = instance_name(&self.job.signature.generics);
        let hooks = self.hooks();
        quote! {
            #[automatically_derived]
            impl #impl_generics __zahir::Job for #ty #type_generics #where_clause {
                type Args<#lifetime> = #types;
                type Returns = #returns;
                type Output = #output;
                type Error = #error;
                #reach
                const CODEC: __zahir::Typed<Self::Output> = #codec;
                const ERROR: fn(Self::Error) -> __zahir::BoxError = #boxed;
                const NAME: &'static ::core::primitive::str = #job_name;
                const OPTIONS: __zahir::Options = #options;
                const SIGNATURE: &'static ::core::primitive::str = #signature;
                #asks
                #instance
                #run
                #settle
                #hooks
            }
        }
    }

    /// Whether its effect can be undone, or needs no undoing.
    pub(super) fn is_undoable(&self) -> bool {
        let options = self.options;
        options.broken || options.undo.is_some() || options.no_undo || options.pure
    }

    /// What may be done with a call of it in a workflow. With a wrong option, everything: what can't
    /// be done would be a second error for the same mistake.
    fn effects(&self) -> TokenStream {
        let Self { job, options, .. } = self;
        let (impl_generics, type_generics, where_clause) = job.signature.generics.split_for_impl();
        let ty = &job.type_name;
        let retriable = options.broken || !options.at_most_once;
        let undoable = self.is_undoable();
        let auxiliary = options.broken || (job.again.is_none() && options.spawns.is_empty());
        let continuable = options.broken || (options.undo.is_none() && options.verify.is_none());
        let traits = [
            (true, "Attempted"),
            (retriable, "Retriable"),
            (undoable, "Undoable"),
            (auxiliary, "Auxiliary"),
            (continuable, "Continuable"),
        ];
        let traits = traits.iter().filter(|(holds, _)| *holds);
        let traits = traits.map(|(_, name)| Ident::new(name, Span::call_site()));
        quote! {
            #(
                #[automatically_derived]
                impl #impl_generics __zahir::#traits for #ty #type_generics #where_clause {}
            )*
        }
    }

    fn run(&self) -> TokenStream {
        let Self { lifetime, job, .. } = self;
        let name = &job.signature.ident;
        let (arguments, context) = (hidden("arguments"), hidden("context"));
        let spawner = self.spawner();
        let and = spawner.as_ref().map(|_| quote!(&));
        let lent = job.parameters.context.as_ref();
        let lent = lent.map(|_| quote!(#and #context,));
        let given = self.given(&arguments);
        // What is said about this future is said about the function.
        let span = name.span();
        let future = shown_at(
            quote!(impl ::core::future::Future<Output = Self::Returns> + ::core::marker::Send),
            span,
        );
        let call = quote_spanned!(span=> Self::#name);
        let call = match spawner {
            // Only here there is something of the context that the whole attempt has to hold.
            Some(spawner) => {
                let of = if self.spawns() { "of" } else { "of_any" };
                let of = Ident::new(of, Span::call_site());
                let of = quote!(let #context = __zahir::Context::<#spawner>::#of(#context););
                let run = quote_spanned!(span=> #call(#lent #(#given),*).await);
                quote_spanned!(span=> async move { #of #run })
            }
            None => quote!(#call(#lent #(#given),*)),
        };
        quote! {
            #[allow(unused_variables, clippy::needless_pass_by_value)]
            fn run<#lifetime>(
                #arguments: Self::Args<#lifetime>,
                #context: &#lifetime __zahir::Context,
            ) -> #future {
                #call
            }
        }
    }

    /// The inputs and the state, in the order of the function's parameters.
    fn given(&self, arguments: &Ident) -> Vec<TokenStream> {
        let parameters = &self.job.parameters;
        let count = parameters.inputs.len();
        let mut order: Vec<usize> = (0..count).collect();
        if let Some(state) = &parameters.state {
            order.insert(state.place, count);
        }
        let places = order.into_iter().map(syn::Index::from);
        places.map(|place| quote!(#arguments.#place)).collect()
    }

    /// `Output` and `Error`.
    fn outcome_types(&self) -> (TokenStream, TokenStream) {
        let Self { job, .. } = self;
        let returns = &job.returns;
        let output = match &job.output {
            Some(output) => output.to_token_stream(),
            None => {
                quote_spanned!(returns.span()=> <#returns as __zahir::Fallible>::Ok)
            }
        };
        let error = match &job.error {
            Fallible::No => quote!(::core::convert::Infallible),
            Fallible::Yes(Some(error)) => error.to_token_stream(),
            Fallible::Yes(None) => {
                quote_spanned!(returns.span()=> <#returns as __zahir::Fallible>::Err)
            }
        };
        (output, error)
    }

    fn options(&self) -> TokenStream {
        let options = self.options;
        let retry = options.retry.map(|retry| match retry {
            Retry::Times(times) => quote!(.retry(#times)),
            Retry::Forever => quote!(.retry(__zahir::FOREVER)),
        });
        let backoff = options.backoff.as_ref().map(|waits| {
            let waits = waits.expression();
            quote!(.backoff(#waits))
        });
        let times = [
            ("timeout", options.timeout),
            ("total_timeout", options.total_timeout),
            ("cache", options.cache),
        ];
        let times = times.into_iter().filter_map(|(name, time)| {
            let (name, time) = (Ident::new(name, Span::call_site()), time?.expression());
            Some(quote!(.#name(#time)))
        });
        let words = [
            ("at_most_once", options.at_most_once),
            ("pure", options.pure),
            ("no_undo", options.no_undo),
            ("once", options.once),
            ("once_by", options.once_by.is_some()),
        ];
        let words = words.iter().filter(|(_, is_given)| *is_given);
        let words = words.map(|(name, _)| Ident::new(name, Span::call_site()));
        let tags = &options.tags;
        let tags = (!tags.is_empty()).then(|| quote!(.tags(&[#(#tags),*])));
        let version = options.version.map(|version| quote!(.version(#version)));
        quote!(__zahir::Options::NONE #retry #backoff #(#times)* #(.#words())* #tags #version)
    }

    fn job_name(&self) -> TokenStream {
        match &self.options.name {
            Some(name) => name.to_token_stream(),
            None => {
                let name = names::unraw(&self.job.signature.ident);
                quote!(::core::concat!(::core::module_path!(), "::", #name))
            }
        }
    }

    fn canonical_signature(&self) -> String {
        let inputs = self.parameters().map(|input| {
            let stored = canonical::text(input.stored());
            format!("{}: {stored}", names::unraw(&input.name))
        });
        let inputs = inputs.collect::<Vec<_>>().join(", ");
        let output = self.job.output.as_ref().unwrap_or(&self.job.returns);
        format!(
            "({inputs}) -> {}",
            canonical::text(output.to_token_stream())
        )
    }

    /// The types that the inputs are stored as.
    fn stored_types(&self, private: &TokenStream) -> Vec<TokenStream> {
        let stored = self.parameters().map(|input| {
            let ty = input.stored();
            if !input.may_be_unsized() {
                return ty;
            }
            let at = input.ty.span();
            quote_spanned!(at=> <#ty as #private::StoredAs>::Ty)
        });
        stored.collect()
    }

    /// One bound per input, where its type is written.
    fn inputs(&self) -> TokenStream {
        let Self { job, .. } = self;
        let (impl_generics, type_generics, where_clause) = job.signature.generics.split_for_impl();
        let ty = &job.type_name;
        let stored = self.stored_types(&quote!(__zahir));
        let stored = self.parameters().zip(stored);
        let inputs = stored.enumerate().map(|(index, (input, stored))| {
            let ty_of_input = &input.ty;
            let codec = if input.may_be_unsized() {
                quote_spanned!(ty_of_input.span()=> __zahir::codec_of::<#ty_of_input, Self::Ty>())
            } else {
                codec_of(&quote!(Self::Ty), ty_of_input.span())
            };
            quote! {
                #[automatically_derived]
                impl #impl_generics __zahir::Input<#index> for #ty #type_generics
                #where_clause
                {
                    type Ty = #stored;
                    const CODEC: __zahir::Typed<Self::Ty> = #codec;
                }
            }
        });
        quote!(#(#inputs)*)
    }

    /// Writing and reading the call as a map from the names of its inputs.
    ///
    /// The bounds hide behind a lifetime: where they don't hold, which is reported at the input,
    /// the implementations are not there, and nothing is reported again.
    fn serde(&self) -> TokenStream {
        let job = self.job;
        let (impl_generics, type_generics, _) = job.signature.generics.split_for_impl();
        let de = hidden_lifetime("'de");
        let read_generics = with_lifetime(&job.signature.generics, &de);
        let (read_generics, ..) = read_generics.split_for_impl();
        let where_clause = self.stored_bounds();
        let ty = &job.type_name;
        let build = self.build(&de);
        let names = self.names();
        let keys: Vec<String> = names.iter().map(names::unraw).collect();
        let count = names.len();
        let index: Vec<usize> = (0..count).collect();
        quote! {
            #[automatically_derived]
            impl #impl_generics __zahir::serde::Serialize for #ty #type_generics #where_clause {
                fn serialize<__S: __zahir::serde::Serializer>(
                    &self,
                    serializer: __S,
                ) -> ::core::result::Result<__S::Ok, __S::Error> {
                    use __zahir::serde::ser::SerializeMap as _;
                    #[allow(unused_mut)]
                    let mut map = serializer.serialize_map(::core::option::Option::Some(#count))?;
                    #(map.serialize_entry(#keys, &__zahir::Field::<Self, #index>(&self.#names))?;)*
                    map.end()
                }
            }
            #[automatically_derived]
            impl #read_generics __zahir::serde::Deserialize<#de> for #ty #type_generics
            #where_clause
            {
                fn deserialize<__D: __zahir::serde::Deserializer<#de>>(
                    deserializer: __D,
                ) -> ::core::result::Result<Self, __D::Error> {
                    __zahir::deserialize::<Self, __D>(deserializer)
                }
            }
            #build
        }
    }

    /// How the inputs are gathered while they are read.
    fn build(&self, de: &Lifetime) -> TokenStream {
        let job = self.job;
        let (_, type_generics, _) = job.signature.generics.split_for_impl();
        let read_generics = with_lifetime(&job.signature.generics, de);
        let (read_generics, ..) = read_generics.split_for_impl();
        let where_clause = self.stored_bounds();
        let ty = &job.type_name;
        let names = self.names();
        let keys: Vec<String> = names.iter().map(names::unraw).collect();
        let inputs = self.input_types();
        let index: Vec<usize> = (0..names.len()).collect();
        let place: Vec<syn::Index> = index.iter().copied().map(syn::Index::from).collect();
        let none = index.iter().map(|_| quote!(::core::option::Option::None));
        let marker = self.marker();
        let marker = marker.map(|_| quote!(__zahir_generics: ::core::marker::PhantomData,));
        let read = quote!((#(::core::option::Option<#inputs>,)*));
        quote! {
            #[automatically_derived]
            impl #read_generics __zahir::Build<#de> for #ty #type_generics #where_clause {
                type Inputs = #read;
                fn names() -> &'static [&'static ::core::primitive::str] {
                    &[#(#keys),*]
                }
                #[allow(clippy::unused_unit)]
                fn none() -> Self::Inputs {
                    (#(#none,)*)
                }
                #[allow(unused_variables)]
                fn read<__A: __zahir::serde::de::MapAccess<#de>>(
                    inputs: &mut Self::Inputs,
                    index: ::core::primitive::usize,
                    map: &mut __A,
                ) -> ::core::result::Result<(), __A::Error> {
                    match index {
                        #(#index => {
                            let __zahir::OwnedField(input) =
                                map.next_value::<__zahir::OwnedField<Self, #index>>()?;
                            inputs.#place = ::core::option::Option::Some(input);
                        })*
                        _ => {}
                    }
                    ::core::result::Result::Ok(())
                }
                #[allow(unused_variables)]
                fn build(inputs: Self::Inputs) -> ::core::result::Result<Self, ::core::primitive::usize> {
                    ::core::result::Result::Ok(#ty {
                        #(#names: inputs.#place.ok_or(#index)?,)*
                        #marker
                    })
                }
            }
        }
    }

    /// The user's bounds, and that every input can be stored.
    pub(super) fn stored_bounds(&self) -> TokenStream {
        let generics = &self.job.signature.generics;
        if !generics.params.is_empty() {
            // There, a bound would hide the types that it is about.
            return generics.where_clause.to_token_stream();
        }
        let lifetime = hidden_lifetime("'stored");
        let ty = &self.job.type_name;
        let index = 0..self.job.parameters.inputs.len();
        quote!(where #(for<#lifetime> #ty: __zahir::StoredInput<#lifetime, #index>,)*)
    }

    /// A `Result` under another name would be stored as a success.
    fn hidden_result(&self) -> Option<TokenStream> {
        let Self { job, .. } = self;
        let concrete = job.signature.generics.params.is_empty();
        let checked = concrete && matches!(job.error, Fallible::No) && is_path(&job.returns);
        checked.then(|| {
            let returns = &job.returns;
            let message = "this job can fail, but its return type hides that: write `Result<T, \
                           E>`, or an alias whose name ends in `Result`";
            quote_spanned! {returns.span()=>
                const _: () = {
                    #[allow(unused_imports)]
                    use __zahir::NotResult as _;
                    ::core::assert!(!__zahir::IsResult::<#returns>::ANSWER, #message);
                };
            }
        })
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.job.parameters.inputs.iter()
    }

    pub(super) fn names(&self) -> Vec<Ident> {
        self.parameters().map(|input| input.name.clone()).collect()
    }

    fn argument_types(&self) -> Vec<TokenStream> {
        let types = self.input_types();
        self.parameters()
            .zip(&types)
            .map(|(input, ty)| input.argument(&self.lifetime, ty))
            .collect()
    }

    /// The types of the inputs, owned, as the call's type knows them.
    pub(super) fn input_types(&self) -> Vec<TokenStream> {
        self.callee().input_types()
    }

    pub(super) fn callee(&self) -> Callee<'_> {
        let job = self.job;
        Callee {
            name: &job.signature.ident,
            ty: &job.type_name,
            generics: &job.signature.generics,
            visibility: &job.visibility,
            inputs: &job.parameters.inputs,
        }
    }

    /// What makes use of the type parameters in a type that stores none of them.
    fn marker(&self) -> Option<TokenStream> {
        let types = type_parameters(&self.job.signature.generics);
        (!types.is_empty()).then(|| quote!(fn() -> (#(#types,)*)))
    }
}

/// The codec of a type, demanded where the type is written.
pub(crate) fn codec_of(ty: &TokenStream, at: Span) -> TokenStream {
    shown_at(quote!(__zahir::codec::<#ty>()), at)
}

fn is_path(ty: &Type) -> bool {
    matches!(ty, Type::Path(_))
}

pub(crate) fn type_parameters(generics: &Generics) -> Vec<&Ident> {
    generics
        .type_params()
        .map(|parameter| &parameter.ident)
        .collect()
}

/// The name of an instance of a generic job or workflow.
pub(crate) fn instance_name(generics: &Generics) -> Option<TokenStream> {
    let types = type_parameters(generics);
    (!types.is_empty()).then(|| {
        quote! {
            fn name() -> &'static ::core::primitive::str {
                __zahir::intern(
                    <Self as __zahir::Job>::NAME,
                    &[#(::core::any::type_name::<#types>()),*],
                )
            }
        }
    })
}

/// `<T, const N: usize>`: without bounds, which a type alias ignores.
pub(crate) fn bare_parameters(generics: &Generics) -> Option<TokenStream> {
    let parameters = generics
        .params
        .iter()
        .filter_map(|parameter| match parameter {
            GenericParam::Type(ty) => Some(ty.ident.to_token_stream()),
            GenericParam::Const(constant) => {
                let (name, ty) = (&constant.ident, &constant.ty);
                Some(quote!(const #name: #ty))
            }
            GenericParam::Lifetime(_) => None,
        });
    (!generics.params.is_empty()).then(|| quote!(<#(#parameters),*>))
}

pub(crate) fn with_lifetime(generics: &Generics, lifetime: &Lifetime) -> Generics {
    let mut generics = generics.clone();
    let parameter = syn::LifetimeParam::new(lifetime.clone());
    generics.params.insert(0, GenericParam::Lifetime(parameter));
    generics
}
