//! The graph without its types, as `static` data.

use proc_macro2::TokenStream;
use quote::quote;

use crate::spans::line_and_column;
use crate::workflow::model::{Argument, Exit, Model, Node, NodeKind, Region};

/// The expression for a `Shape`.
pub(crate) fn shape(model: &Model) -> TokenStream {
    let nodes = model.nodes.iter().map(node);
    let regions = model.regions.iter().map(region);
    quote! {
        __zahir::Shape {
            nodes: &[#(#nodes),*],
            regions: &[#(#regions),*],
        }
    }
}

fn node(node: &Node) -> TokenStream {
    let Node {
        name,
        kind,
        region,
        uses,
        after,
        arguments,
        source,
        at,
        settings,
    } = node;
    let kind = self::kind(kind);
    let arguments = arguments.iter().map(|argument| match argument {
        Argument::Copy(node) => quote!(__zahir::Argument::Copy(#node)),
        Argument::Lend(node) => quote!(__zahir::Argument::Lend(#node)),
        Argument::Expression(nodes) => {
            quote!(__zahir::Argument::Expression(&[#(#nodes),*]))
        }
    });
    let (line, column) = line_and_column(*at);
    quote! {
        __zahir::NodeShape {
            name: #name,
            kind: __zahir::ShapeKind::#kind,
            region: #region,
            uses: &[#(#uses),*],
            after: &[#(#after),*],
            arguments: &[#(#arguments),*],
            source: #source,
            line: #line,
            column: #column,
            settings: __zahir::Settings::NONE #settings,
        }
    }
}

fn kind(kind: &NodeKind) -> TokenStream {
    match kind {
        NodeKind::Input => quote!(Input),
        NodeKind::Item => quote!(Item),
        NodeKind::Carried => quote!(Carried),
        NodeKind::Caught => quote!(Caught),
        NodeKind::Assigned { by } => quote!(Assigned { by: #by }),
        NodeKind::Value => quote!(Value),
        NodeKind::Call => quote!(Call),
        NodeKind::Each {
            item,
            body,
            lends,
            limit,
        } => {
            let limit = option(limit.map(|limit| quote!(#limit)));
            quote!(Each { item: #item, body: #body, lends: #lends, limit: #limit })
        }
        NodeKind::Branch { arms, lends } => {
            quote!(Branch { arms: &[#(#arms),*], lends: #lends })
        }
        NodeKind::Loop {
            body,
            starts,
            max,
            or_last,
        } => {
            let max = option(max.map(|max| quote!(#max)));
            quote!(Loop { body: #body, starts: &[#(#starts),*], max: #max, or_last: #or_last })
        }
        NodeKind::Rescue { body, handler } => quote!(Rescue { body: #body, handler: #handler }),
        NodeKind::Result { body } => quote!(Result { body: #body }),
        NodeKind::Finally { body, last } => quote!(Finally { body: #body, last: #last }),
        NodeKind::Race { entries } => quote!(Race { entries: &[#(#entries),*] }),
        NodeKind::Sleep => quote!(Sleep),
        NodeKind::Signal { name, timeout } => {
            let timeout = option(timeout.clone());
            quote!(Signal { name: #name, timeout: #timeout })
        }
    }
}

fn region(region: &Region) -> TokenStream {
    let parent = option(
        region
            .parent
            .map(|(parent, owner)| quote!((#parent, #owner))),
    );
    let result = option(region.result.map(|result| quote!(#result)));
    let exit = match region.exit {
        Exit::Value => quote!(Value),
        Exit::Break => quote!(Break),
        Exit::Continue => quote!(Continue),
        Exit::Return => quote!(Return),
    };
    let (outs, label) = (&region.outs, &region.label);
    quote! {
        __zahir::RegionShape {
            parent: #parent,
            result: #result,
            exit: __zahir::Exit::#exit,
            outs: &[#(#outs),*],
            label: #label,
        }
    }
}

fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
