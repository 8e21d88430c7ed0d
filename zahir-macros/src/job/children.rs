//! What a job says about other jobs: which of them it may spawn, and how it is called to give the
//! result of one.

use proc_macro2::{Delimiter, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Generics, Ident, Index, Type, Visibility};

use crate::job::expand::{Expansion, type_parameters};
use crate::names;
use crate::signature::{Parameter, hidden_lifetime};
use crate::spans::{group_at, shown_at};

impl Expansion<'_> {
    /// Whether it may spawn something.
    pub(super) fn spawns(&self) -> bool {
        !self.options.spawns.is_empty()
    }

    /// The job that its context is of, if that is not any. With a wrong option, its context is one
    /// that spawns whatever it is given: what can't be would be a second error for the same mistake.
    pub(super) fn spawner(&self) -> Option<TokenStream> {
        if self.spawns() {
            Some(quote!(Self))
        } else if self.options.broken && self.job.parameters.context.is_some() {
            Some(quote!(__zahir::Anything))
        } else {
            None
        }
    }

    /// The function of the `Job` that names what it may spawn.
    pub(super) fn kinds(&self) -> Option<TokenStream> {
        let kinds = self.options.spawns.iter().enumerate();
        let kinds = kinds.map(|(place, named)| {
            let kind = self.kind(place);
            shown_at(
                quote!(__zahir::Declares::<Self, #kind>::kind()),
                named.span(),
            )
        });
        self.spawns().then(|| {
            quote! {
                fn kinds() -> __zahir::Vec<__zahir::KindDef> {
                    #[allow(unused_imports)]
                    use __zahir::Undeclared as _;
                    __zahir::declared([#(#kinds),*])
                }
            }
        })
    }

    /// Whether its effect can be undone, as a type, and whether that of all that it may spawn can.
    pub(super) fn reach(&self) -> TokenStream {
        let effect = if self.is_undoable() {
            quote!(())
        } else {
            quote!(__zahir::Lasting)
        };
        let (_, type_generics, _) = self.job.signature.generics.split_for_impl();
        let reach = if self.spawns() {
            quote!(__Reach #type_generics)
        } else {
            quote!(())
        };
        quote! {
            type Effect = #effect;
            type Reach = #reach;
        }
    }

    /// The type that holds what it may spawn. It is public, as the job may be, but nobody can name it;
    /// what it is made of may be private.
    fn reach_definition(&self) -> Option<TokenStream> {
        let generics = &self.job.signature.generics;
        let (impl_generics, _, where_clause) = generics.split_for_impl();
        let kinds = self
            .options
            .spawns
            .iter()
            .enumerate()
            .map(|(place, named)| {
                let kind = self.kind(place);
                let reach = quote! {
                    ::core::marker::PhantomData<<#kind as __zahir::Reaching>::Reach>
                };
                shown_at(reach, named.span())
            });
        let types = type_parameters(generics);
        self.spawns().then(|| {
            quote! {
                #[allow(dead_code, missing_debug_implementations, unnameable_types, unreachable_pub)]
                pub struct __Reach #impl_generics (
                    #(#kinds,)*
                    ::core::marker::PhantomData<fn() -> (#(#types,)*)>,
                ) #where_clause;
            }
        })
    }

    /// What `spawns(..)` names at this place.
    fn kind(&self, place: usize) -> TokenStream {
        let Some(kind) = self.options.spawns.get(place) else {
            return TokenStream::new();
        };
        if self.is_concrete(kind) {
            let alias = format_ident!("__Kind{place}", span = Span::mixed_site());
            shown_at(alias.into_token_stream(), kind.span())
        } else {
            kind.to_token_stream()
        }
    }

    /// Whether it names no type parameter of the job.
    fn is_concrete(&self, kind: &Type) -> bool {
        let generics = &self.job.signature.generics;
        let names = generics.type_params().map(|parameter| &parameter.ident);
        let names = names.chain(generics.const_params().map(|parameter| &parameter.ident));
        let names: Vec<String> = names.map(Ident::to_string).collect();
        !names::mentions(kind.to_token_stream(), &names)
    }

    /// Names for what `spawns(..)` names: written twice, a mistake in it would be reported twice. An
    /// alias can't have parameters that it makes no use of.
    fn aliases(&self) -> TokenStream {
        let kinds = self.options.spawns.iter().enumerate();
        let kinds = kinds.filter(|(_, kind)| self.is_concrete(kind));
        let aliases = kinds.map(|(place, kind)| {
            let alias = self.kind(place);
            quote!(type #alias = #kind;)
        });
        aliases.collect()
    }

    /// What lets it spawn, and `Aggregate::of(..)`.
    pub(super) fn children(&self) -> TokenStream {
        let declarations = self.declarations();
        let of = self.callee().later();
        // An associated function of that name is there already: the user's.
        let of = (self.job.signature.ident != "of").then_some(of);
        quote!(#declarations #of)
    }

    fn declarations(&self) -> TokenStream {
        let aliases = self.aliases();
        let declarations = self.options.spawns.iter().enumerate();
        let declarations =
            declarations.map(|(place, kind)| self.declaration(&self.kind(place), kind));
        let reach = self.reach_definition();
        quote!(#aliases #reach #(#declarations)*)
    }

    /// What lets it spawn this kind. It hides, where that is no job, for the reason that
    /// [`Callee::written`] does.
    fn declaration(&self, kind: &TokenStream, named: &Type) -> TokenStream {
        let (job, at) = (self.job, named.span());
        let (impl_generics, type_generics, where_clause) = job.signature.generics.split_for_impl();
        let ty = &job.type_name;
        let hidden = self.is_concrete(named).then(|| {
            let lifetime = hidden_lifetime("'declared");
            quote!(for<#lifetime> #kind: __zahir::Declarable<#lifetime>,)
        });
        let bounds = where_clause.map(|clause| &clause.predicates).into_iter();
        let bounds = bounds.flat_map(|bounds| bounds.iter());
        let bounds = quote!(where #(#bounds,)* #hidden);
        // That something is named twice is said of the whole head.
        let head = quote! {
            impl #impl_generics __zahir::Declared<#ty #type_generics> for #kind #bounds
        };
        let head = shown_at(head, at);
        let body = quote! {
            fn kind() -> __zahir::KindDef {
                #[allow(unused_imports)]
                use __zahir::Untyped as _;
                __zahir::Def::<Self>::known().keep().kind()
            }
            fn encode(
                arguments: &Self::Args<'_>,
            ) -> ::core::result::Result<__zahir::Vec<u8>, __zahir::CodecError> {
                #[allow(unused_imports)]
                use __zahir::NotEncodable as _;
                __zahir::Encodable::<Self>::encode(arguments)
            }
        };
        let body = group_at(Delimiter::Brace, at, body);
        quote!(#[automatically_derived] #head #body)
    }
}

/// What is called: a job, or a workflow.
pub(crate) struct Callee<'a> {
    /// The user's function.
    pub(crate) name: &'a Ident,
    pub(crate) ty: &'a Ident,
    pub(crate) generics: &'a Generics,
    pub(crate) visibility: &'a Visibility,
    pub(crate) inputs: &'a [Parameter],
}

impl Callee<'_> {
    /// The types of the inputs, owned, as the call's type knows them.
    pub(crate) fn input_types(&self) -> Vec<TokenStream> {
        let (_, type_generics, _) = self.generics.split_for_impl();
        let ty = self.ty;
        (0..self.inputs.len())
            .map(|index| quote!(<#ty #type_generics as __zahir::Input<#index>>::Ty))
            .collect()
    }

    /// `struct SendMail { user: User }`. What rustc says about the type it says about the function.
    pub(crate) fn definition(&self, fields: TokenStream) -> TokenStream {
        let Self {
            name,
            ty,
            generics,
            visibility,
            ..
        } = self;
        let (impl_generics, _, where_clause) = generics.split_for_impl();
        let keyword = quote_spanned!(name.span()=> struct);
        let fields = group_at(Delimiter::Brace, name.span(), fields);
        quote!(#visibility #keyword #ty #impl_generics #where_clause #fields)
    }

    /// How the inputs of a call are written.
    ///
    /// The bounds hide behind a lifetime: where they don't hold, which is reported at the input, the
    /// implementation is not there, and nothing is reported again.
    pub(crate) fn written(&self) -> TokenStream {
        let Self {
            ty,
            generics,
            inputs,
            ..
        } = self;
        let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
        let bounds = if generics.params.is_empty() {
            let lifetime = hidden_lifetime("'stored");
            let types = self.input_types();
            let inputs = inputs.iter().zip(&types).enumerate();
            let written = inputs.filter_map(|(place, (input, ty))| {
                let written = input.written(ty)?;
                Some(quote!(for<#lifetime> #written: __zahir::Written<#lifetime, #place>))
            });
            quote!(where #(#written,)*)
        } else {
            // There, a bound would hide the types that it is about.
            where_clause.to_token_stream()
        };
        let count = inputs.len();
        let entries = inputs.iter().enumerate().map(|(place, input)| {
            let name = names::unraw(&input.name);
            let index = Index::from(place);
            let and = input.lent.is_none().then(|| quote!(&));
            quote!(__zahir::Written::<'_, #place>::write(#and arguments.#index, #name, map)?;)
        });
        quote! {
            #[automatically_derived]
            impl #impl_generics __zahir::Arguments for #ty #type_generics #bounds {
                const COUNT: ::core::primitive::usize = #count;
                #[allow(unused_variables)]
                fn write<__M: __zahir::serde::ser::SerializeMap>(
                    arguments: &Self::Args<'_>,
                    map: &mut __M,
                ) -> ::core::result::Result<(), __M::Error> {
                    #(#entries)*
                    ::core::result::Result::Ok(())
                }
            }
        }
    }

    /// `Aggregate::of(words, title)`: a call whose inputs are not there yet.
    pub(crate) fn later(&self) -> TokenStream {
        let Self {
            ty,
            generics,
            visibility,
            inputs,
            ..
        } = self;
        let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
        let names: Vec<&Ident> = inputs.iter().map(|input| &input.name).collect();
        let keys = names.iter().map(|name| names::unraw(name));
        let how: Vec<Ident> = (0..inputs.len())
            .map(|place| format_ident!("__How{place}"))
            .collect();
        let how_generics = (!how.is_empty()).then(|| quote!(<#(#how),*>));
        let of = Ident::new("of", self.name.span());
        let types = self.input_types();
        let parameters = names.iter().zip(&types).zip(&how);
        let parameters =
            parameters.map(|((name, ty), how)| quote!(#name: impl __zahir::Gives<#ty, #how>));
        quote! {
            #[automatically_derived]
            #[allow(
                dead_code,
                unreachable_pub,
                clippy::too_many_arguments,
                clippy::multiple_inherent_impl,
            )]
            impl #impl_generics #ty #type_generics #where_clause {
                /// The call as soon as its inputs are there, to give the result of another job: for
                /// `ctx.continue_as(..)`. An input is given by value, or by what is spawned to give
                /// it.
                #visibility fn #of #how_generics (#(#parameters),*) -> __zahir::Later<Self> {
                    __zahir::Later::new(__zahir::vec![
                        #((#keys, __zahir::Gives::give(#names))),*
                    ])
                }
            }
        }
    }
}
