//! What `#[job]` writes: the function that makes a call, the call as a type, and its `Job`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, GenericParam, Generics, Lifetime, Type};

use crate::canonical;
use crate::errors::Errors;
use crate::job::options::Options;
use crate::job::parse::{Fallible, Job};
use crate::names;
use crate::signature::{Parameter, hidden_lifetime};
use crate::spans::{hidden, shown_at};

/// What all parts of an expansion need.
struct Expansion<'a> {
    zahir: TokenStream,
    job: &'a Job,
    options: &'a Options,
    lifetime: Lifetime,
}

pub(crate) fn expand(options: &Options, job: &Job, errors: &Errors) -> TokenStream {
    let expansion = Expansion {
        zahir: options.zahir(),
        job,
        options,
        lifetime: hidden_lifetime("'job"),
    };
    let errors = errors.items();
    let call = expansion.call();
    let ty = expansion.type_definition();
    let body = expansion.body();
    let implementation = expansion.implementation();
    let inputs = expansion.inputs();
    let serde = expansion.serde();
    let hidden_result = expansion.hidden_result();
    quote! {
        #errors
        #call
        #ty
        const _: () = {
            #body
            #implementation
            #inputs
            #serde
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
        let Self { zahir, lifetime, job, .. } = self;
        let (name, ty, visibility) = (&job.signature.ident, &job.type_name, &job.visibility);
        let (_, type_generics, where_clause) = job.signature.generics.split_for_impl();
        let generics = with_lifetime(&job.signature.generics, lifetime);
        let (impl_generics, ..) = generics.split_for_impl();
        let outer = job.attributes.iter().filter(|attribute| is_outer(attribute));
        let names = self.names();
        let types = self.parameters().map(|parameter| parameter.declared(lifetime));
        let alias_parameters = bare_parameters(&job.signature.generics);
        quote! {
            #(#outer)*
            #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
            #visibility fn #name #impl_generics (#(#names: #types),*)
                -> #zahir::Call<#lifetime, #ty #type_generics> #where_clause
            {
                #zahir::Call::new((#(#names,)*))
            }
            #[doc(hidden)]
            #[allow(non_camel_case_types, dead_code, unreachable_pub)]
            #visibility type #name #alias_parameters = #ty #type_generics;
        }
    }

    /// `struct SendMail { user: User }`.
    fn type_definition(&self) -> TokenStream {
        let Self { zahir, job, .. } = self;
        let (name, ty, visibility) = (&job.signature.ident, &job.type_name, &job.visibility);
        let (impl_generics, _, where_clause) = job.signature.generics.split_for_impl();
        let doc = format!(
            "A call of [`{}()`]({}()) as a value: its inputs, owned, to be stored.",
            names::unraw(name),
            name
        );
        let (names, stored) = (self.names(), self.parameters().map(|input| input.stored(zahir)));
        let marker = self.marker().map(|ty| {
            quote!(#[doc(hidden)] #visibility __zahir_generics: ::core::marker::PhantomData<#ty>,)
        });
        quote! {
            #[doc = #doc]
            #[allow(
                dead_code,
                missing_docs,
                missing_debug_implementations,
                unreachable_pub,
                clippy::exhaustive_structs,
            )]
            #visibility struct #ty #impl_generics #where_clause {
                #(#visibility #names: #stored,)*
                #marker
            }
        }
    }

    /// The user's function, as an associated one: so it keeps its name (which `tracing` shows), and
    /// a recursive call in it still means the job.
    fn body(&self) -> TokenStream {
        let job = self.job;
        let (impl_generics, type_generics, where_clause) =
            job.signature.generics.split_for_impl();
        let ty = &job.type_name;
        let inner = job.attributes.iter().filter(|attribute| !is_outer(attribute));
        let mut signature = job.signature.clone();
        signature.generics = Generics::default();
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
        let Self { zahir, lifetime, job, .. } = self;
        let (impl_generics, type_generics, where_clause) =
            job.signature.generics.split_for_impl();
        let ty = &job.type_name;
        let types = self.argument_types();
        let types = quote!((#(#types,)*));
        let returns = &job.returns;
        let (output, error) = self.outcome_types();
        let options = self.options();
        let job_name = self.job_name();
        let signature = self.canonical_signature();
        let run = self.run();
        let settle = match job.error {
            Fallible::No => quote!(::core::result::Result::Ok(returned)),
            Fallible::Yes(_) => quote!(returned),
        };
        let instance = self.instance_name();
        quote! {
            #[automatically_derived]
            impl #impl_generics #zahir::Job for #ty #type_generics #where_clause {
                type Args<#lifetime> = #types;
                type Returns = #returns;
                type Output = #output;
                type Error = #error;
                const NAME: &'static str = #job_name;
                const OPTIONS: #zahir::Options = #options;
                const SIGNATURE: &'static str = #signature;
                #instance
                #run
                fn settle(
                    returned: Self::Returns,
                ) -> ::core::result::Result<Self::Output, Self::Error> {
                    #settle
                }
            }
        }
    }

    fn run(&self) -> TokenStream {
        let Self { zahir, lifetime, job, .. } = self;
        let name = &job.signature.ident;
        let (arguments, context) = (hidden("arguments"), hidden("context"));
        let index = (0..job.parameters.inputs.len()).map(syn::Index::from);
        let lent = job.parameters.context.then(|| quote!(#context,));
        // What is said about this future is said about the function.
        let span = name.span();
        let future = shown_at(
            quote!(impl ::core::future::Future<Output = Self::Returns> + ::core::marker::Send),
            span,
        );
        let call = quote_spanned!(span=> Self::#name);
        quote! {
            #[allow(unused_variables, clippy::needless_pass_by_value)]
            fn run<#lifetime>(
                #arguments: Self::Args<#lifetime>,
                #context: &#lifetime #zahir::Context,
            ) -> #future {
                #call(#lent #(#arguments.#index),*)
            }
        }
    }

    /// `Output` and `Error`.
    fn outcome_types(&self) -> (TokenStream, TokenStream) {
        let Self { zahir, job, .. } = self;
        let returns = &job.returns;
        let output = match &job.output {
            Some(output) => output.to_token_stream(),
            None => quote_spanned!(returns.span()=> <#returns as #zahir::__private::Fallible>::Ok),
        };
        let error = match &job.error {
            Fallible::No => quote!(::core::convert::Infallible),
            Fallible::Yes(Some(error)) => error.to_token_stream(),
            Fallible::Yes(None) => {
                quote_spanned!(returns.span()=> <#returns as #zahir::__private::Fallible>::Err)
            }
        };
        (output, error)
    }

    fn options(&self) -> TokenStream {
        let Self { zahir, options, .. } = self;
        let retry = options.retry.map(|retry| quote!(.retry(#retry)));
        let backoff = options.backoff.map(|(first, longest)| {
            let (first, longest) = (first.expression(zahir), longest.expression(zahir));
            quote!(.backoff(#first, #longest))
        });
        let timeout = options.timeout.map(|timeout| {
            let timeout = timeout.expression(zahir);
            quote!(.timeout(#timeout))
        });
        let tags = &options.tags;
        let tags = (!tags.is_empty()).then(|| quote!(.tags(&[#(#tags),*])));
        let version = options.version.map(|version| quote!(.version(#version)));
        quote!(#zahir::Options::NONE #retry #backoff #timeout #tags #version)
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
            let stored = canonical::text(input.stored(&TokenStream::new()));
            format!("{}: {stored}", names::unraw(&input.name))
        });
        let inputs = inputs.collect::<Vec<_>>().join(", ");
        let output = self.job.output.as_ref().unwrap_or(&self.job.returns);
        format!("({inputs}) -> {}", canonical::text(output.to_token_stream()))
    }

    /// The name of an instance of a generic job.
    fn instance_name(&self) -> Option<TokenStream> {
        let zahir = &self.zahir;
        let types: Vec<&Ident> = type_parameters(&self.job.signature.generics);
        (!types.is_empty()).then(|| {
            quote! {
                fn name() -> &'static str {
                    #zahir::__private::intern(
                        <Self as #zahir::Job>::NAME,
                        &[#(::core::any::type_name::<#types>()),*],
                    )
                }
            }
        })
    }

    /// One bound per input, where its type is written.
    fn inputs(&self) -> TokenStream {
        let Self { zahir, job, .. } = self;
        let (impl_generics, type_generics, where_clause) =
            job.signature.generics.split_for_impl();
        let ty = &job.type_name;
        let inputs = self.parameters().enumerate().map(|(index, input)| {
            let stored = input.stored(zahir);
            quote! {
                #[automatically_derived]
                impl #impl_generics #zahir::__private::Input<#index> for #ty #type_generics
                #where_clause
                {
                    type Ty = #stored;
                }
            }
        });
        quote!(#(#inputs)*)
    }

    fn serde(&self) -> TokenStream {
        let Self { zahir, job, .. } = self;
        let private = quote!(#zahir::__private);
        let (impl_generics, type_generics, where_clause) =
            job.signature.generics.split_for_impl();
        let de = hidden_lifetime("'de");
        let read_generics = with_lifetime(&job.signature.generics, &de);
        let (read_generics, ..) = read_generics.split_for_impl();
        let (ty, build) = (&job.type_name, format_ident!("__Build"));
        let names = self.names();
        let keys: Vec<String> = names.iter().map(names::unraw).collect();
        let index: Vec<usize> = (0..names.len()).collect();
        let count = names.len();
        let place: Vec<syn::Index> = index.iter().copied().map(syn::Index::from).collect();
        let marker = self.marker();
        let marker_place = syn::Index::from(count);
        let (marker_field, marker_value, marker_init) = match &marker {
            Some(ty) => (
                Some(quote!(::core::marker::PhantomData<#ty>)),
                Some(quote!(::core::marker::PhantomData)),
                Some(quote!(__zahir_generics: self.#marker_place,)),
            ),
            None => (None, None, None),
        };
        let none = index.iter().map(|_| quote!(::core::option::Option::None));
        quote! {
            #[automatically_derived]
            impl #impl_generics #private::serde::Serialize for #ty #type_generics #where_clause {
                fn serialize<__S: #private::serde::Serializer>(
                    &self,
                    serializer: __S,
                ) -> ::core::result::Result<__S::Ok, __S::Error> {
                    #[allow(unused_imports)]
                    use #private::serde::ser::SerializeMap as _;
                    #[allow(unused_mut)]
                    let mut map = serializer.serialize_map(::core::option::Option::Some(#count))?;
                    #(map.serialize_entry(#keys, &#private::Field::<Self, #index>(&self.#names))?;)*
                    map.end()
                }
            }
            #[automatically_derived]
            impl #read_generics #private::serde::Deserialize<#de> for #ty #type_generics
            #where_clause
            {
                fn deserialize<__D: #private::serde::Deserializer<#de>>(
                    deserializer: __D,
                ) -> ::core::result::Result<Self, __D::Error> {
                    #private::deserialize::<#build #type_generics, __D>(deserializer)
                }
            }
            struct #build #impl_generics (
                #(::core::option::Option<#private::OwnedField<#ty #type_generics, #index>>,)*
                #marker_field
            ) #where_clause;
            #[automatically_derived]
            impl #impl_generics ::core::default::Default for #build #type_generics #where_clause {
                fn default() -> Self {
                    #build(#(#none,)* #marker_value)
                }
            }
            #[automatically_derived]
            impl #read_generics #private::Build<#de> for #build #type_generics #where_clause {
                type Job = #ty #type_generics;
                const NAMES: &'static [&'static str] = &[#(#keys),*];
                #[allow(unused_variables)]
                fn set<__A: #private::serde::de::MapAccess<#de>>(
                    &mut self,
                    index: usize,
                    map: &mut __A,
                ) -> ::core::result::Result<(), __A::Error> {
                    match index {
                        #(#index => self.#place = ::core::option::Option::Some(map.next_value()?),)*
                        _ => {}
                    }
                    ::core::result::Result::Ok(())
                }
                fn build(self) -> ::core::result::Result<#ty #type_generics, usize> {
                    ::core::result::Result::Ok(#ty {
                        #(#names: self.#place.ok_or(#index as usize)?.0,)*
                        #marker_init
                    })
                }
            }
        }
    }

    /// A `Result` under another name would be stored as a success.
    fn hidden_result(&self) -> Option<TokenStream> {
        let Self { zahir, job, .. } = self;
        let concrete = job.signature.generics.params.is_empty();
        let checked = concrete && matches!(job.error, Fallible::No) && is_path(&job.returns);
        checked.then(|| {
            let returns = &job.returns;
            let message = "this job can fail, but its return type hides that: write `Result<T, \
                           E>`, or an alias whose name ends in `Result`";
            quote_spanned! {returns.span()=>
                const _: () = {
                    #[allow(unused_imports)]
                    use #zahir::__private::NotResult as _;
                    ::core::assert!(!#zahir::__private::IsResult::<#returns>::ANSWER, #message);
                };
            }
        })
    }

    fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.job.parameters.inputs.iter()
    }

    fn names(&self) -> Vec<Ident> {
        self.parameters().map(|input| input.name.clone()).collect()
    }

    fn argument_types(&self) -> Vec<TokenStream> {
        let Self { zahir, lifetime, job, .. } = self;
        let (_, type_generics, _) = job.signature.generics.split_for_impl();
        let ty = &job.type_name;
        self.parameters()
            .enumerate()
            .map(|(index, input)| {
                let of_input =
                    quote!(<#ty #type_generics as #zahir::__private::Input<#index>>::Ty);
                input.argument(lifetime, &of_input)
            })
            .collect()
    }

    /// What makes use of the type parameters in a type that stores none of them.
    fn marker(&self) -> Option<TokenStream> {
        let types = type_parameters(&self.job.signature.generics);
        (!types.is_empty()).then(|| quote!(fn() -> (#(#types,)*)))
    }
}

fn is_path(ty: &Type) -> bool {
    matches!(ty, Type::Path(_))
}

pub(crate) fn type_parameters(generics: &Generics) -> Vec<&Ident> {
    generics.type_params().map(|parameter| &parameter.ident).collect()
}

/// `<T, const N: usize>`: without bounds, which a type alias ignores.
pub(crate) fn bare_parameters(generics: &Generics) -> Option<TokenStream> {
    let parameters = generics.params.iter().filter_map(|parameter| match parameter {
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
