//! What is left of a job or workflow whose head is wrong: its shape, so that nobody who calls it is
//! blamed for it.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Lifetime, Signature, Visibility};

use crate::errors::Errors;
use crate::job::options::Options;
use crate::job::parse::Job;
use crate::signature::{Parameter, hidden_lifetime};

pub(crate) fn expand(options: &Options, job: &Job, errors: &Errors) -> TokenStream {
    let stub = Stub {
        zahir: options.zahir(),
        visibility: &job.visibility,
        signature: &job.signature,
        type_name: &job.type_name,
        parameters: &job.parameters.inputs,
    };
    stub.expand(errors)
}

pub(crate) struct Stub<'a> {
    pub(crate) zahir: TokenStream,
    pub(crate) visibility: &'a Visibility,
    pub(crate) signature: &'a Signature,
    pub(crate) type_name: &'a Ident,
    pub(crate) parameters: &'a [Parameter],
}

impl Stub<'_> {
    pub(crate) fn expand(&self, errors: &Errors) -> TokenStream {
        if self.signature.receiver().is_some() {
            // A method: neither a function nor a type can be put beside it.
            return errors.bare();
        }
        let output = errors.take_type();
        let (errors, effects) = (errors.items(), self.effects());
        let Self {
            zahir,
            visibility,
            type_name,
            ..
        } = self;
        let name = &self.signature.ident;
        let lifetime = hidden_lifetime("'job");
        let (parameters, unknown) = self.parameters(&lifetime);
        let generics = self.signature.generics.params.iter();
        let generics = generics.filter(|param| !matches!(param, syn::GenericParam::Lifetime(_)));
        quote! {
            #errors
            #[allow(dead_code, missing_docs, missing_debug_implementations)]
            #visibility struct #type_name;
            #[doc(hidden)]
            #[allow(non_camel_case_types, dead_code, unreachable_pub)]
            #visibility type #name = #type_name;
            #[allow(dead_code, missing_docs, unused_variables, clippy::all, clippy::pedantic)]
            #visibility fn #name<#lifetime, #(#generics,)* #(#unknown),*>(
                #(#parameters),*
            ) -> #zahir::Call<#lifetime, #type_name> {
                ::core::unreachable!()
            }
            #effects
            #[automatically_derived]
            #[allow(unused_variables, clippy::all, clippy::pedantic)]
            impl #zahir::Job for #type_name {
                type Args<#lifetime> = ();
                type Returns = <Self as #zahir::Job>::Output;
                type Output = #output;
                type Error = ::core::convert::Infallible;
                type Effect = ();
                type Reach = ();
                const CODEC: #zahir::__private::Typed<Self::Output> =
                    #zahir::__private::codec::<Self::Output>();
                const ERROR: fn(Self::Error) -> #zahir::__private::BoxError =
                    #zahir::__private::boxed::<Self::Error>();
                const NAME: &'static ::core::primitive::str = "";
                const OPTIONS: #zahir::Options = #zahir::Options::NONE;
                const SIGNATURE: &'static ::core::primitive::str = "";
                async fn run<#lifetime>(
                    arguments: (),
                    context: &#lifetime #zahir::Context,
                ) -> Self::Returns {
                    ::core::unreachable!()
                }
                fn settle(
                    returned: Self::Returns,
                ) -> #zahir::__private::Returned<Self::Output, Self::Error> {
                    #zahir::__private::Returned::Output(returned)
                }
            }
        }
    }

    /// The parameters of the function; those of a broken type have any, which are listed, too.
    fn parameters(&self, lifetime: &Lifetime) -> (Vec<TokenStream>, Vec<Ident>) {
        let mut unknown = Vec::new();
        let mut parameters = Vec::new();
        for (index, parameter) in self.parameters.iter().enumerate() {
            let name = &parameter.name;
            parameters.push(if parameter.broken {
                let any = format_ident!("__Any{index}");
                unknown.push(any.clone());
                quote!(#name: #any)
            } else {
                let ty = parameter.declared(lifetime);
                quote!(#name: #ty)
            });
        }
        (parameters, unknown)
    }

    /// All that may be done with a call of it.
    fn effects(&self) -> TokenStream {
        let Self {
            zahir, type_name, ..
        } = self;
        let traits = [
            quote!(Attempted),
            quote!(Auxiliary),
            quote!(Continuable),
            quote!(Retriable),
            quote!(Undoable),
        ];
        quote!(#(
            #[automatically_derived]
            impl #zahir::__private::#traits for #type_name {}
        )*)
    }
}
