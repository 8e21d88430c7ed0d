//! What a node's code begins with: the values it reads, and the parts that patterns take of them.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use crate::spans::{Extent, hidden};
use crate::workflow::expand::Wiring;
use crate::workflow::model::{PartsId, Source, VariableId};

/// How a value is lent: from the name of its token, at this place, to this variable.
type Lend<'a> = &'a dyn Fn(&TokenStream, usize, &Ident) -> TokenStream;

impl Wiring<'_> {
    /// `let user = wire.lend(user, 0);` for what a node reads, and the parts taken of it.
    pub(super) fn reads(&self, uses: &[VariableId]) -> TokenStream {
        let wire = &self.wire;
        self.reads_by(
            uses,
            &|token, place, name| quote!(let #name = #wire.lend(#token, #place);),
        )
    }

    /// The same for a value that may not borrow from what it reads. If it does, rustc says which
    /// variable of the user's does not live long enough, and nothing about the wire.
    pub(super) fn reads_for_owned(&self, uses: &[VariableId], at: Extent) -> TokenStream {
        let wire = &self.wire;
        self.reads_by(uses, &|token, place, name| {
            let mut shared = name.clone();
            shared.set_span(name.span().located_at(at.first));
            quote! {
                let #name = #wire.share(#token, #place);
                let #name = #shared.lend();
            }
        })
    }

    fn reads_by(&self, uses: &[VariableId], lend: Lend<'_>) -> TokenStream {
        let nodes = self.model.nodes_of(uses);
        let (whole, mut parts) = self.model.reads(uses);
        let place = |id: VariableId| match self.model.variable(id).source {
            Source::Node(node) => nodes.iter().position(|used| *used == node),
            Source::Parts(_) => None,
        };
        if parts.is_empty() {
            let lent = whole.into_iter().map(|id| {
                let name = &self.model.variable(id).ident;
                lend(&quote!(#name), place(id).unwrap_or_default(), name)
            });
            return lent.collect();
        }
        // A name may be that of a token and, later, of a part; or of what a variable was before it
        // was assigned and of what it is then. So tokens get names of their own, and what is bound
        // last is what the node's own code means.
        let mut tokens = BTreeMap::new();
        let mut code = TokenStream::new();
        for id in whole {
            let name = &self.model.variable(id).ident;
            let token = hidden(&format!("__token_{}", tokens.len()));
            tokens.entry(name.to_string()).or_insert_with(|| {
                code.extend(quote!(let #token = #name;));
                token
            });
        }
        let bind = |id: VariableId, code: &mut TokenStream| {
            let name = &self.model.variable(id).ident;
            if let Some(token) = tokens.get(&name.to_string()) {
                code.extend(lend(&quote!(#token), place(id).unwrap_or_default(), name));
            }
        };
        parts.sort_by_key(|id| id.0);
        for id in parts {
            for used in &self.model.parts[id.0].uses {
                if matches!(self.model.variable(*used).source, Source::Node(_)) {
                    bind(*used, &mut code);
                }
            }
            code.extend(self.part(id));
        }
        for used in uses {
            if matches!(self.model.variable(*used).source, Source::Node(_)) {
                bind(*used, &mut code);
            }
        }
        code
    }

    fn part(&self, id: PartsId) -> TokenStream {
        let parts = &self.model.parts[id.0];
        let (pattern, matched) = (&parts.pattern, &parts.matched);
        let owned = parts.names.iter().filter(|_| parts.owned);
        let owned = owned.map(|name| quote!(#name = &#name));
        quote! {
            #[allow(unused_variables, irrefutable_let_patterns)]
            let (#pattern) = #matched else { ::core::unreachable!() };
            #(
                #[allow(unused_variables)]
                let #owned;
            )*
        }
    }
}
