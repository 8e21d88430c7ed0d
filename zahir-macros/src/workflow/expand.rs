//! Model to tokens: the handle, its implementations, and the wiring function.

mod flow;
mod handled;
mod reads;

use std::cell::RefCell;
use std::collections::HashMap;

use proc_macro2::{Delimiter, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Signature, Type, Visibility};

use crate::canonical;
use crate::errors::Errors;
use crate::job::children::Callee;
use crate::job::expand::{codec_of, instance_name, is_outer, type_parameters, with_lifetime};
use crate::names;
use crate::signature::{Parameter, hidden_lifetime, ungrouped};
use crate::spans::{Extent, call_at, group_at, hidden, imports, unwrapped_call_at};
use crate::workflow::lower::Lowered;
use crate::workflow::model::{
    Block, Call, Each, Model, PureValue, Setting, SignalName, Source, Statement, Tail, VariableId,
};
use crate::workflow::shape;
use crate::workflow::syntax::{bindings, has_slice};

/// The head of a workflow.
pub(crate) struct Head {
    pub(crate) zahir: TokenStream,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) type_name: Ident,
    pub(crate) inputs: Vec<Parameter>,
    pub(crate) output: Type,
    /// Whether it says `#[saga]`.
    pub(crate) saga: bool,
    /// What is wrong with it, though not so much that the body makes no sense.
    pub(crate) errors: TokenStream,
}

impl Head {
    fn callee(&self) -> Callee<'_> {
        Callee {
            name: &self.signature.ident,
            ty: &self.type_name,
            generics: &self.signature.generics,
            visibility: &self.visibility,
            inputs: &self.inputs,
        }
    }

    pub(crate) fn returns_unit(&self) -> bool {
        match ungrouped(&self.output) {
            Type::Tuple(tuple) => tuple.elems.is_empty(),
            Type::Verbatim(_) => true,
            _ => false,
        }
    }

    fn names(&self) -> Vec<&Ident> {
        self.inputs.iter().map(|input| &input.name).collect()
    }

    fn is_generic(&self) -> bool {
        !self.signature.generics.params.is_empty()
    }
}

pub(crate) fn expand(head: &Head, lowered: &Lowered, errors: &Errors) -> TokenStream {
    let head_errors = &head.errors;
    let imports = imports(&head.zahir);
    let definition = definition(head, &lowered.model.signals);
    let job = job(head);
    let effects = effects(head);
    let workflow = workflow(head);
    let later = head.callee().later();
    let wired = wired(head, lowered);
    // What found no place in the wiring function.
    let errors = errors.items();
    quote! {
        #head_errors
        #errors
        #definition
        const _: () = {
            #imports
            #job
            #effects
            #workflow
            #later
            #wired
        };
    }
}

/// `fn onboard(customer: u64) -> Call<Onboard>`, the type `Onboard`, and `Onboard::graph()`.
#[expect(clippy::cognitive_complexity, reason = "one template")]
fn definition(head: &Head, signals: &[SignalName]) -> TokenStream {
    let Head {
        zahir,
        visibility,
        signature,
        type_name,
        ..
    } = head;
    let name = &signature.ident;
    let lifetime = hidden_lifetime("'job");
    let (impl_generics, type_generics, where_clause) = signature.generics.split_for_impl();
    let call_generics = with_lifetime(&signature.generics, &lifetime);
    let (call_generics, ..) = call_generics.split_for_impl();
    let names = head.names();
    let stored: Vec<TokenStream> = head.inputs.iter().map(|input| input.stored()).collect();
    let outer = head
        .attributes
        .iter()
        .filter(|attribute| is_outer(attribute));
    let other = head
        .attributes
        .iter()
        .filter(|attribute| !is_outer(attribute));
    let other: Vec<_> = other.collect();
    let doc = format!(
        "A call of the workflow [`{}()`]({name}()) as a value.",
        names::unraw(name)
    );
    let marker = marker(head);
    let signals = signals.iter().map(|signal| signal_constant(head, signal));
    let definition = head
        .callee()
        .definition(quote!(#(#visibility #names: #stored,)* #marker));
    let alias_parameters = crate::job::expand::bare_parameters(&signature.generics);
    quote! {
        #(#outer)*
        #(#other)*
        #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
        #visibility fn #name #call_generics (#(#names: #stored),*)
            -> #zahir::Call<#lifetime, #type_name #type_generics> #where_clause
        {
            #zahir::Call::new((#(#names,)*))
        }
        #[doc = #doc]
        #(#other)*
        #[allow(
            dead_code,
            missing_docs,
            missing_debug_implementations,
            unreachable_pub,
            clippy::exhaustive_structs,
        )]
        #definition
        #(#other)*
        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code, unreachable_pub)]
        #visibility type #name #alias_parameters = #type_name #type_generics;
        #(#other)*
        #[automatically_derived]
        #[allow(dead_code, unreachable_pub)]
        impl #impl_generics #type_name #type_generics #where_clause {
            /// The graph of the workflow, read once, without running anything.
            #[must_use]
            #visibility fn graph() -> &'static #zahir::Graph {
                <Self as #zahir::Workflow>::graph()
            }
            #(#signals)*
        }
    }
}

/// `Onboard::APPROVE`
fn signal_constant(head: &Head, signal: &SignalName) -> TokenStream {
    let Head {
        zahir, visibility, ..
    } = head;
    let SignalName {
        name,
        constant,
        payload,
    } = signal;
    let doc = format!("The signal `{name}`, which the workflow waits for.");
    quote! {
        #[doc = #doc]
        #visibility const #constant: #zahir::Signal<#payload> = #zahir::Signal::new(#name);
    }
}

/// The field that makes use of the type parameters.
fn marker(head: &Head) -> Option<TokenStream> {
    let visibility = &head.visibility;
    let types = type_parameters(&head.signature.generics);
    (!types.is_empty()).then(|| {
        quote!(#[doc(hidden)] #visibility __zahir_generics: ::core::marker::PhantomData<fn() -> (#(#types,)*)>,)
    })
}

fn job(head: &Head) -> TokenStream {
    let Head {
        signature,
        type_name,
        output,
        ..
    } = head;
    let (impl_generics, type_generics, where_clause) = signature.generics.split_for_impl();
    let (lifetime, e) = (hidden_lifetime("'job"), hidden_lifetime("'e"));
    let name = names::unraw(&signature.ident);
    let indices = 0..head.inputs.len();
    let input_types: Vec<TokenStream> = indices
        .map(|index| quote!(<#type_name #type_generics as __zahir::Input<#index>>::Ty))
        .collect();
    let canonical = canonical_signature(head);
    let effect = if head.saga {
        quote!(())
    } else {
        quote!(__zahir::Lasting)
    };
    let codec = codec_of(&quote!(Self::Output), output.span());
    let keys = head.inputs.iter().map(|input| names::unraw(&input.name));
    let index = 0..head.inputs.len();
    let instance = instance_name(&head.signature.generics);
    quote! {
        #[automatically_derived]
        impl #impl_generics __zahir::Job for #type_name #type_generics #where_clause {
            type Args<#lifetime> = (#(#input_types,)*);
            type Returns = ::core::result::Result<Self::Output, __zahir::RunError>;
            type Output = #output;
            type Error = __zahir::RunError;
            type Effect = #effect;
            type Reach = ();
            const CODEC: __zahir::Typed<Self::Output> = #codec;
            const ERROR: fn(Self::Error) -> __zahir::BoxError = __zahir::boxed::<Self::Error>();
            const NAME: &'static ::core::primitive::str = ::core::concat!(::core::module_path!(), "::", #name);
            const OPTIONS: __zahir::Options = __zahir::Options::NONE;
            const SIGNATURE: &'static ::core::primitive::str = #canonical;
            const ENTERS: ::core::primitive::bool = true;
            const STORED: &'static [(&'static ::core::primitive::str, __zahir::Codec)] =
                &[#((#keys, <Self as __zahir::Input<#index>>::CODEC.codec)),*];
            #instance
            fn run<#lifetime>(
                arguments: Self::Args<#lifetime>,
                _: &#lifetime __zahir::Context,
            ) -> impl ::core::future::Future<Output = Self::Returns> + ::core::marker::Send {
                __zahir::run_inline::<Self>(<Self as __zahir::Workflow>::inputs(arguments))
            }
            fn settle(
                returned: Self::Returns,
            ) -> __zahir::Returned<Self::Output, Self::Error> {
                returned.into()
            }
            fn begin<#e>(
                call: __zahir::Call<#e, Self>,
                _: __zahir::Wire<#e>,
            ) -> __zahir::Step<#e> {
                __zahir::Step::Enter(<Self as __zahir::Workflow>::inputs(call.into_args()))
            }
            fn describe() -> __zahir::Description {
                __zahir::describe_workflow::<Self>()
            }
        }
    }
}

/// What may be done with a call of it in a workflow.
fn effects(head: &Head) -> TokenStream {
    let Head {
        signature,
        type_name,
        ..
    } = head;
    let (impl_generics, type_generics, where_clause) = signature.generics.split_for_impl();
    let undoable = head.saga.then(|| {
        quote! {
            #[automatically_derived]
            impl #impl_generics __zahir::Undoable for #type_name #type_generics #where_clause {}
        }
    });
    quote! {
        // That it is no `Attempted` says enough.
        #[automatically_derived]
        impl #impl_generics __zahir::Retriable for #type_name #type_generics #where_clause {}
        #undoable
    }
}

fn canonical_signature(head: &Head) -> String {
    let inputs = head.inputs.iter().map(|input| {
        let stored = canonical::text(input.stored());
        format!("{}: {stored}", names::unraw(&input.name))
    });
    let inputs = inputs.collect::<Vec<_>>().join(", ");
    let output = canonical::text(head.output.to_token_stream());
    format!("({inputs}) -> {output}")
}

fn workflow(head: &Head) -> TokenStream {
    let Head {
        signature,
        type_name,
        ..
    } = head;
    let (impl_generics, type_generics, where_clause) = signature.generics.split_for_impl();
    let place = 0..head.inputs.len();
    let index = place.clone().map(syn::Index::from);
    let graph = if head.is_generic() {
        quote!(__zahir::per_type::<Self>(__zahir::Graph::of::<Self>))
    } else {
        quote! {
            static GRAPH: __zahir::OnceLock<__zahir::Graph> = __zahir::OnceLock::new();
            GRAPH.get_or_init(__zahir::Graph::of::<Self>)
        }
    };
    quote! {
        #[automatically_derived]
        impl #impl_generics __zahir::Workflow for #type_name #type_generics #where_clause {
            fn graph() -> &'static __zahir::Graph {
                #graph
            }
            #[allow(unused_variables)]
            fn inputs(arguments: Self::Args<'static>) -> __zahir::Vec<__zahir::Value> {
                __zahir::vec![#((<Self as __zahir::Input<#place>>::CODEC.erase)(arguments.#index)),*]
            }
        }
    }
}

fn wired(head: &Head, lowered: &Lowered) -> TokenStream {
    let Head {
        signature,
        type_name,
        ..
    } = head;
    let (impl_generics, type_generics, where_clause) = signature.generics.split_for_impl();
    let inputs = head.inputs.iter().enumerate().map(|(index, input)| {
        let stored = input.stored();
        let codec = codec_of(&quote!(Self::Ty), input.ty.span());
        quote! {
            #[automatically_derived]
            impl #impl_generics __zahir::Input<#index> for #type_name #type_generics #where_clause {
                type Ty = #stored;
                const CODEC: __zahir::Typed<Self::Ty> = #codec;
            }
        }
    });
    let index: Vec<usize> = (0..head.inputs.len()).collect();
    let shape = shape::shape(&lowered.model);
    let wiring = Wiring {
        model: &lowered.model,
        wire: hidden("wire"),
        output: &head.output,
        saga: head.saga,
        earlier: RefCell::default(),
    };
    let wire = &wiring.wire;
    let bound = lowered.inputs.iter().zip(&index).map(|(id, index)| {
        let ident = &wiring.model.variable(*id).ident;
        quote! {
            let #ident: __zahir::Out<<Self as __zahir::Input<#index>>::Ty> = __zahir::Out::new();
        }
    });
    let body = wiring.statements(&lowered.body);
    let returned = lowered.body.tail.as_ref().map(|tail| wiring.returned(tail));
    quote! {
        #(#inputs)*
        // Not `automatically_derived`: then rustc would not say which variables are unused.
        impl #impl_generics __zahir::Wired for #type_name #type_generics #where_clause {
            const SHAPE: &'static __zahir::Shape = {
                static SHAPE: __zahir::Shape = #shape;
                &SHAPE
            };
            const INPUTS: &'static [__zahir::Codec] =
                &[#(<Self as __zahir::Input<#index>>::CODEC.codec),*];
            #[allow(
                unused_braces,
                unused_parens,
                let_underscore_drop,
                clippy::all,
                clippy::pedantic,
                clippy::nursery,
                clippy::restriction,
            )]
            fn wire(#wire: __zahir::Wire<'_>) -> __zahir::Step<'_> {
                #[allow(unused_imports)]
                use __zahir::{Unraced as _, Untyped as _};
                #(#bound)*
                #body
                #returned
                __zahir::Step::Nothing
            }
        }
    }
}

/// Writes the wiring function.
struct Wiring<'a> {
    model: &'a Model,
    wire: Ident,
    output: &'a Type,
    /// Whether all that it calls has to be undoable.
    saga: bool,
    /// The values of the arms before an `else if`, by the node of that.
    earlier: RefCell<HashMap<u32, Vec<TokenStream>>>,
}

impl Wiring<'_> {
    fn statements(&self, block: &Block) -> TokenStream {
        let statements = block
            .statements
            .iter()
            .map(|statement| self.statement(statement));
        statements.collect()
    }

    fn statement(&self, statement: &Statement) -> TokenStream {
        match statement {
            Statement::Call(call) => self.call(call),
            Statement::Value(value) => self.value(value),
            Statement::Each(each) => self.each(each),
            Statement::Scope { out, block } => self.scope(out.as_ref(), block),
            Statement::Annotation { out, ty, at } => self.annotation(out, ty, *at),
            Statement::Pattern { whole, pattern, at } => self.pattern(*whole, pattern, *at),
            Statement::Branch(branch) => self.branch(branch),
            Statement::Loop(repeat) => self.repeat(repeat),
            Statement::Assign(assign) => self.assign(assign),
            Statement::Break(leave) => self.break_value(leave),
            Statement::Return(given) => {
                let given = given.as_ref();
                given.map_or_else(TokenStream::new, |tail| self.returned(tail))
            }
            Statement::Mutable {
                mutability,
                variable,
            } => self.mutable(*mutability, *variable),
            Statement::Rescue(rescue) => self.rescue(rescue),
            Statement::Settle(settle) => self.settle(settle),
            Statement::Finally(finally) => self.finally(finally),
            Statement::Race(race) => self.race(race),
            Statement::Sleep(sleep) => self.sleep(sleep),
            Statement::Signal(signal) => self.signal(signal),
            Statement::Uses(names) => quote!(#(#names.used();)*),
            Statement::Broken { out, error } => match out {
                Some(out) => quote!(let #out = #error;),
                None => quote!(let _ = #error;),
            },
        }
    }

    fn call(&self, call: &Call) -> TokenStream {
        let Call {
            out,
            node,
            call,
            at,
            keeps_temporaries,
            uses,
            after,
            settings,
            keep,
        } = call;
        // The variable is bound below the call, which may be of a job of the same name.
        let (wire, unbound) = (&self.wire, hidden("out"));
        // Shown as a part of the call, so it can't be a hidden name.
        let def = Ident::new("__zahir_def", at.first);
        // What a pattern takes of a value that is made here lives as long as the attempt, too.
        let (_, parts) = self.model.reads(uses);
        let keeps = *keeps_temporaries || parts.iter().any(|id| self.model.parts[id.0].owned);
        let reads = self.reads(uses);
        // `def.begin(wire, call)`, underlined as the user's call.
        let method = if keeps { "finish" } else { "begin" };
        let method = Ident::new(method, at.first);
        let call = call_at(*at, quote!(__zahir::IntoCall::into_call), call.clone());
        let call = match keep {
            Some(_) => {
                // Which error there is to keep is asked where rustc knows the job.
                let known = call_at(*at, quote!(#def.call), call);
                call_at(*at, quote!(__zahir::keeping), quote!(#known, #def.keep()))
            }
            None => call,
        };
        let begin = call_at(*at, quote!(#def.#method), quote!(#wire, #call));
        let begin = if keeps {
            quote!(return #def.hold(async move { #reads #begin.await });)
        } else {
            quote!(#reads return #begin;)
        };
        let described = match keep {
            Some(keep) => keep,
            None => &def,
        };
        let keep = keep.as_ref().map(|keep| quote!(let #keep = #def.keep();));
        let demands = self.demands(settings, &def, at.first);
        quote! {
            #(#after.used();)*
            let (#unbound, #def) = __zahir::Def::node();
            if #wire.runs(#node) {
                #begin
            }
            #keep
            if #wire.describes(#node) {
                #demands
                return #described.describe();
            }
            let (#out, ()) = (#unbound, ());
        }
    }

    /// What has to hold of the job that is called, which only rustc knows. Each is asked with a call
    /// that does nothing, behind the place where the job is inferred.
    fn demands(&self, settings: &[Setting], def: &Ident, at: Span) -> TokenStream {
        let demand = |at: Span, path: TokenStream| {
            let mut def = def.clone();
            def.set_span(def.span().located_at(at));
            let asked = call_at(at.into(), path, def.to_token_stream());
            quote!(#asked;)
        };
        let demands = settings.iter().map(|Setting { retries, at }| {
            let retries = retries.then(|| demand(*at, quote!(__zahir::Retries::retries)));
            let attempts = demand(*at, quote!(__zahir::Attempts::attempts));
            quote!(#attempts #retries)
        });
        let undone = self.saga.then(|| {
            let itself = demand(at, quote!(__zahir::Undone::undone));
            let spawned = demand(at, quote!(__zahir::SpawnsUndone::spawns_undone));
            quote!(#itself #spawned)
        });
        quote!(#(#demands)* #undone)
    }

    fn value(&self, value: &PureValue) -> TokenStream {
        let PureValue {
            out,
            node,
            expression,
            is_part,
            ty,
            uses,
        } = value;
        let wire = &self.wire;
        let at = Extent::of(expression);
        let reads = self.reads_for_owned(uses, at);
        let expression = match ty {
            // Only here the type may lead: this is the user's own `let`.
            Some(ty) => {
                let value = hidden("value");
                quote!({ let #value: #ty = #expression; #value })
            }
            // Moved here, if it can't be copied, and not by what is called with it.
            None if *is_part => call_at(at, quote!(::core::convert::identity), expression.clone()),
            None => expression.clone(),
        };
        let out_type = hidden("out");
        let value = call_at(
            at,
            quote!(__zahir::Shared::value),
            quote!(#expression, #out_type),
        );
        quote! {
            let #out_type = __zahir::Out::new();
            if #wire.runs(#node) {
                #reads
                return #value;
            }
            let (#out, ()) = (#out_type, ());
        }
    }

    fn each(&self, each: &Each) -> TokenStream {
        let Each {
            out,
            node,
            item,
            items,
            uses,
            body,
        } = each;
        let wire = &self.wire;
        let reads = self.reads_for_owned(uses, Extent::of(items));
        let items = call_at(
            Extent::of(items),
            quote!(__zahir::Items::batch),
            items.clone(),
        );
        let statements = self.statements(body);
        let out_type = hidden("out");
        let (describe, value) = match &body.tail {
            Some(tail) => {
                let join = hidden("join");
                let ident = &tail.ident;
                let round = Ident::new("__zahir_round", tail.at.first);
                let collect = quote!(<__zahir::ByValue as __zahir::Collects<_>>::collect);
                let collect = call_at(tail.at, collect, quote!(#round));
                (
                    quote! {
                        let #round = #ident;
                        let (#out_type, #join) = #collect;
                        if #wire.describes(#node) {
                            return #join.describe();
                        }
                    },
                    quote!(#out_type),
                )
            }
            None => (
                quote! {
                    if #wire.describes(#node) {
                        return __zahir::describe_unit();
                    }
                },
                quote!(__zahir::Out::<()>::new()),
            ),
        };
        let out = match out {
            Some(out) => quote!(#out),
            None => quote!(_),
        };
        quote! {
            let #out = {
                let #item = __zahir::Out::new();
                if #wire.runs(#node) {
                    let #out_type = #item;
                    #reads
                    return __zahir::items_of(#out_type, #items);
                }
                #statements
                #describe
                #value
            };
        }
    }

    fn scope(&self, out: Option<&Ident>, block: &Block) -> TokenStream {
        let statements = self.statements(block);
        let value = match &block.tail {
            Some(tail) => tail.ident.to_token_stream(),
            None => quote!(__zahir::Out::<()>::new()),
        };
        match out {
            Some(out) => quote!(let #out = { #statements #value };),
            None => quote!({ #statements let _ = #value; }),
        }
    }

    fn annotation(&self, out: &Ident, ty: &Type, at: Extent) -> TokenStream {
        let value = self.type_of(out, at);
        let binding = quote_spanned!(ty.span()=> let _:);
        self.for_types(&quote!(#binding #ty = #value;))
    }

    fn pattern(&self, whole: VariableId, pattern: &syn::Pat, at: Extent) -> TokenStream {
        let value = self.type_of(&self.model.variable(whole).ident, at);
        let names = bindings(pattern);
        let used = names.iter().filter(|name| self.is_used(whole, name));
        if has_slice(pattern) {
            // The type of an array has to be known before its pattern.
            return self.for_types(&quote!(let #pattern = #value; #(let _ = &#used;)*));
        }
        // A closure, and no `let`, for which rustc would propose an `else`.
        let check = quote_spanned!(at.first=> (|#pattern| { #(let _ = &#used;)* }));
        self.for_types(&quote!(#check(#value)))
    }

    /// Whether any node reads the part `name` of `whole`.
    fn is_used(&self, whole: VariableId, name: &Ident) -> bool {
        self.model
            .variables
            .iter()
            .enumerate()
            .any(|(index, variable)| {
                variable.ident == *name
                    && match variable.source {
                        Source::Parts(parts) => self.model.parts[parts.0].uses == [whole],
                        Source::Node(_) => false,
                    }
                    && self.model.used.contains(&index)
            })
    }

    /// The value of the workflow is what its head says.
    fn returned(&self, tail: &Tail) -> TokenStream {
        let output = self.output;
        let value = self.type_of(&tail.ident, tail.at);
        let check = group_at(Delimiter::Brace, tail.at.last, value);
        quote!(let _ = || -> #output #check;)
    }

    fn type_of(&self, out: &Ident, at: Extent) -> TokenStream {
        unwrapped_call_at(at, quote!(__zahir::type_of), quote!(&#out))
    }

    /// Code that is never run.
    fn for_types(&self, code: &TokenStream) -> TokenStream {
        quote!(if __zahir::never() { #code })
    }
}
