//! What a job says about single attempts, and about inputs of it that were stored: the functions and
//! jobs that its options name, called with what they are to be given.
//!
//! Each of them is called as the user would, at the place where it is named. What does not fit is
//! reported there, by rustc.

use proc_macro2::{Delimiter, Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ExprPath, Pat};

use crate::job::expand::Expansion;
use crate::job::options::Function;
use crate::job::parse::Fallible;
use crate::names;
use crate::signature::hidden_lifetime;
use crate::spans::{Extent, group_at, hidden, shown_at};

impl Expansion<'_> {
    /// Those functions of the `Job` that not every job has.
    pub(super) fn hooks(&self) -> TokenStream {
        let options = self.options;
        let check = options.check.as_ref().map(|check| self.check(check));
        let verify = options.verify.as_ref().map(|verify| self.verify(verify));
        let retry_if = options.retry_if.as_ref().map(|retry| self.may_retry(retry));
        let resume = self.resume();
        let recovery = options.recover.as_ref().map(|job| self.recovery(job));
        let undo = options.undo.as_ref().map(|job| self.undo(job));
        let arguments = self.keeps_arguments().then(|| {
            quote! {
                fn arguments(
                    arguments: &Self::Args<'_>,
                ) -> ::core::result::Result<__zahir::Vec<u8>, __zahir::CodecError> {
                    #[allow(unused_imports)]
                    use __zahir::NotWritable as _;
                    __zahir::Writable::<Self>::write(arguments)
                }
            }
        });
        let kinds = self.kinds();
        let key = options.once_by.as_ref().map(|key| self.key(key));
        let inputs = self.lend();
        quote! {
            #inputs
            #check
            #verify
            #retry_if
            #resume
            #recovery
            #undo
            #arguments
            #kinds
            #key
        }
    }

    /// Whether the inputs are written before the job runs.
    fn keeps_arguments(&self) -> bool {
        let options = self.options;
        options.undo.is_some() || options.once || options.cache.is_some()
    }

    /// What the function returned: its output, its error, or the wish to be run again.
    pub(super) fn settle(&self) -> TokenStream {
        let is_again = self.job.again.is_some();
        let settled = match (&self.job.error, is_again) {
            (Fallible::No, false) => quote!(__zahir::Returned::Output(returned)),
            (Fallible::Yes(_), false) => quote!(__zahir::Returned::from(returned)),
            (Fallible::No, true) => quote!(__zahir::again::<Self>(returned)),
            (Fallible::Yes(_), true) => quote! {
                match returned {
                    ::core::result::Result::Ok(returned) => __zahir::again::<Self>(returned),
                    ::core::result::Result::Err(error) => __zahir::Returned::Error(error),
                }
            },
        };
        let returning = self.returning();
        quote! {
            fn settle(returned: Self::Returns) -> __zahir::Returned<Self::Output, Self::Error> {
                #settled
            }
            #returning
        }
    }

    /// The opposite, for a job that may continue as another.
    fn returning(&self) -> Option<TokenStream> {
        if !self.spawns() || self.job.again.is_some() {
            return None;
        }
        let output = match &self.job.error {
            Fallible::No => quote!(output),
            Fallible::Yes(_) => quote!(::core::result::Result::Ok(output)),
        };
        Some(quote! {
            fn returning(output: Self::Output) -> ::core::option::Option<Self::Returns> {
                ::core::option::Option::Some(#output)
            }
        })
    }

    /// What an attempt leaves for the next.
    fn stateful(&self) -> Option<TokenStream> {
        let again = self.job.again.as_ref()?;
        let (impl_generics, type_generics, where_clause) =
            self.job.signature.generics.split_for_impl();
        let ty = &self.job.type_name;
        let state = match &again.state {
            Some(state) => state.to_token_stream(),
            None => quote!(()),
        };
        let blamed = again.state.as_ref().unwrap_or(&again.ty);
        let kept = shown_at(quote!(__zahir::kept::<Self::State>()), blamed.span());
        Some(quote! {
            #[automatically_derived]
            impl #impl_generics __zahir::Stateful for #ty #type_generics #where_clause {
                type State = #state;
                const CODEC: __zahir::Typed<Self::State> = #kept;
            }
        })
    }

    /// The type of the state, behind those of the inputs.
    pub(super) fn state_type(&self) -> Option<TokenStream> {
        let state = self.job.parameters.state.as_ref()?;
        let ty = &state.ty;
        Some(quote!(#ty,))
    }

    /// The state of a call.
    pub(super) fn no_state(&self) -> Option<TokenStream> {
        let state = self.job.parameters.state.as_ref();
        state.map(|_| quote!(::core::option::Option::None,))
    }

    fn resume(&self) -> Option<TokenStream> {
        let state = self.job.parameters.state.as_ref()?;
        let place = syn::Index::from(self.job.parameters.inputs.len());
        // If it is not what the attempt before leaves, that is said about the parameter.
        let span = state.ty.span();
        let (arguments, left) = (located("arguments", span), located("left", span));
        let take = quote_spanned!(span=> #arguments.#place = #left;);
        Some(quote! {
            fn resume(
                #arguments: &mut Self::Args<'_>,
                bytes: &[u8],
            ) -> ::core::result::Result<(), __zahir::CodecError> {
                let #left = __zahir::state::<Self>(bytes)?;
                #take
                ::core::result::Result::Ok(())
            }
        })
    }

    fn check(&self, check: &Function) -> TokenStream {
        let asked = self.ask_inputs(check);
        let (lifetime, arguments) = (asked.lifetime, asked.arguments);
        let checked = wrapped(check, &quote!(__zahir::checked), asked.answer);
        quote! {
            fn check<#lifetime>(
                #arguments: &#lifetime Self::Args<'_>,
            ) -> ::core::result::Result<(), __zahir::BoxError> {
                #checked
            }
        }
    }

    fn key(&self, key: &Function) -> TokenStream {
        let asked = self.ask_inputs(key);
        let (lifetime, arguments) = (asked.lifetime, asked.arguments);
        let bytes = wrapped(key, &quote!(__zahir::key_bytes), asked.answer);
        quote! {
            fn key<#lifetime>(
                #arguments: &#lifetime Self::Args<'_>,
            ) -> ::core::result::Result<__zahir::Vec<u8>, __zahir::CodecError> {
                #bytes
            }
        }
    }

    /// Calls a function of the user's with all inputs, by reference.
    fn ask_inputs(&self, function: &Function) -> Asked {
        let lifetime = hidden_lifetime("'asked");
        let at = function.extent().last;
        let arguments = located("arguments", at);
        let given = self.parameters().enumerate().map(|(index, input)| {
            let index = syn::Index::from(index);
            match input.lent {
                Some(_) => quote_spanned!(at=> #arguments.#index),
                None => quote_spanned!(at=> &#arguments.#index),
            }
        });
        let types = self.input_types();
        let types = self
            .parameters()
            .zip(&types)
            .map(|(input, ty)| input.lent_for(&lifetime, ty));
        let answer = function.ask(
            &given.collect::<Vec<_>>(),
            &types.collect::<Vec<_>>(),
            &quote!(_),
        );
        Asked {
            lifetime: lifetime.to_token_stream(),
            arguments: arguments.to_token_stream(),
            answer,
        }
    }

    fn verify(&self, verify: &Function) -> TokenStream {
        let output = located("output", verify.extent().last);
        let given = [output.to_token_stream()];
        let answer = verify.ask(&given, &[quote!(&Self::Output)], &quote!(_));
        let checked = wrapped(verify, &quote!(__zahir::checked), answer);
        quote! {
            fn verify(
                #output: &Self::Output,
            ) -> ::core::result::Result<(), __zahir::BoxError> {
                #checked
            }
        }
    }

    fn may_retry(&self, retry_if: &Function) -> TokenStream {
        let error = located("error", retry_if.extent().last);
        let bool = quote!(::core::primitive::bool);
        let given = [error.to_token_stream()];
        let answer = retry_if.ask(&given, &[quote!(&Self::Error)], &bool);
        quote! {
            fn may_retry(#error: &Self::Error) -> #bool {
                #answer
            }
        }
    }

    fn recovery(&self, job: &ExprPath) -> TokenStream {
        let lifetime = hidden_lifetime("'job");
        let at = Extent::of(job);
        let (error, arguments) = (located("error", at.last), located("arguments", at.last));
        let inputs = self.places().map(|index| quote!(#arguments.#index));
        let given = group_at(
            Delimiter::Parenthesis,
            at.last,
            quote!(#error, #(#inputs),*),
        );
        let by = method_at(
            at,
            "by",
            quote_spanned!(at.first=> |#error, #arguments| #job #given),
        );
        let recovery = method_at(at, "recovery", TokenStream::new());
        quote! {
            const RECOVERS: ::core::primitive::bool = true;
            fn recovery<#lifetime>(
                ask: __zahir::Recover<#lifetime, Self>,
            ) -> __zahir::Recovery<#lifetime, Self> {
                #[allow(unused_imports)]
                use __zahir::RecoversTyped as _;
                ask #by #recovery
            }
        }
    }

    fn undo(&self, job: &ExprPath) -> TokenStream {
        let lifetime = hidden_lifetime("'job");
        let at = Extent::of(job);
        let (arguments, output) = (located("arguments", at.last), located("output", at.last));
        let inputs = self.places().map(|index| quote!(#arguments.#index,));
        let given = group_at(Delimiter::Parenthesis, at.last, quote!(#(#inputs)* #output));
        let by = method_at(
            at,
            "by",
            quote_spanned!(at.first=> |#arguments, #output| #job #given),
        );
        quote! {
            const UNDOES: ::core::primitive::bool = true;
            fn undo<#lifetime>(
                ask: __zahir::Undo<#lifetime, Self>,
            ) -> __zahir::Undoing<#lifetime> {
                ask #by
            }
        }
    }

    fn places(&self) -> impl Iterator<Item = syn::Index> {
        (0..self.job.parameters.inputs.len()).map(syn::Index::from)
    }

    /// How the inputs are written, and what attempts leave.
    pub(super) fn stored(&self) -> TokenStream {
        let written = self.keeps_arguments().then(|| self.callee().written());
        let stateful = self.stateful();
        quote!(#written #stateful)
    }

    /// How the inputs are read, and how a call is made of them.
    fn lend(&self) -> TokenStream {
        let keys: Vec<String> = self.names().iter().map(names::unraw).collect();
        let index: Vec<usize> = (0..keys.len()).collect();
        let (mut taken, mut lent) = (Vec::new(), Vec::new());
        for (index, input) in self.parameters().enumerate() {
            let codec = quote!(<Self as __zahir::Input<#index>>);
            if input.lent.is_some() {
                lent.push(quote!(__zahir::lent::<#codec::Ty>(&inputs[#index])?));
            } else {
                let name = format_ident!("input_{index}", span = Span::mixed_site());
                taken.push(quote! {
                    let #name = (#codec::CODEC.take)(__zahir::given(&mut inputs[#index]))?;
                });
                lent.push(name.to_token_stream());
            }
        }
        let none = self.no_state();
        quote! {
            const STORED: &'static [(&'static ::core::primitive::str, __zahir::Codec)] =
                &[#((#keys, <Self as __zahir::Input<#index>>::CODEC.codec)),*];
            #[allow(unused_variables, clippy::indexing_slicing, clippy::let_unit_value)]
            fn lend(
                inputs: &mut [__zahir::Value],
            ) -> ::core::result::Result<Self::Args<'_>, __zahir::CodecError> {
                #(#taken)*
                let inputs: &[__zahir::Value] = inputs;
                let arguments: Self::Args<'_> = (#(#lent,)* #none);
                ::core::result::Result::Ok(arguments)
            }
        }
    }
}

/// A function of the user's, called with all inputs.
struct Asked {
    lifetime: TokenStream,
    arguments: TokenStream,
    answer: TokenStream,
}

impl Function {
    fn extent(&self) -> Extent {
        match self {
            Self::Path(path) => Extent::of(path),
            Self::Closure(closure) => Extent::of(closure),
        }
    }

    /// What it says about `given`. A closure that leaves types away has `types` and `returns`.
    fn ask(
        &self,
        given: &[TokenStream],
        types: &[TokenStream],
        returns: &TokenStream,
    ) -> TokenStream {
        let at = self.extent().last;
        let given = group_at(Delimiter::Parenthesis, at, quote!(#(#given),*));
        match self {
            Self::Path(path) => quote!(#path #given),
            Self::Closure(closure) => {
                let function = hidden("function");
                let answer = located("answer", closure.body.span());
                let is_typed = |input: &Pat| matches!(input, Pat::Type(_));
                let ty = (!closure.inputs.iter().all(is_typed))
                    .then(|| quote!(: fn(#(#types),*) -> #returns));
                let block = quote_spanned! {at=>
                    let #function #ty = #closure;
                    let #answer = #function #given;
                    #answer
                };
                group_at(Delimiter::Brace, closure.body.span(), block).into()
            }
        }
    }
}

/// `wrapper(answer)`, underlined as the function that answered.
fn wrapped(function: &Function, wrapper: &TokenStream, answer: TokenStream) -> TokenStream {
    crate::spans::call_at(function.extent(), wrapper.clone(), answer)
}

/// `.name(argument)`, underlined as what is written there.
fn method_at(at: Extent, name: &str, argument: TokenStream) -> TokenStream {
    let name = Ident::new(name, at.first);
    let argument = group_at(Delimiter::Parenthesis, at.last, argument);
    quote_spanned!(at.first=> . #name #argument)
}

/// A name that user code can neither see nor hide, as if it were written there.
fn located(name: &str, at: Span) -> Ident {
    Ident::new(name, Span::mixed_site().located_at(at))
}
