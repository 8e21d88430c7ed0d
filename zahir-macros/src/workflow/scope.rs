//! Which name means which variable, and which will be defined further down.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Stmt;

use crate::workflow::model::VariableId;
use crate::workflow::parse::Piece;
use crate::workflow::syntax::bindings;

/// A name that a later statement of a block defines.
#[derive(Clone)]
pub(crate) struct Later {
    pub(crate) ident: Ident,
    /// All names in the value it gets.
    needs: BTreeSet<String>,
}

/// The scopes around a place in the body, outermost first.
#[derive(Default)]
pub(crate) struct Scopes {
    bound: Vec<BTreeMap<String, VariableId>>,
    later: Vec<HashMap<String, Later>>,
    /// What assigned names meant before: which scope, which name, which variable.
    replaced: Vec<(usize, String, VariableId)>,
    /// What the statement being read defines, outermost first.
    defining: Vec<String>,
}

impl Scopes {
    pub(crate) fn enter(&mut self) {
        self.bound.push(BTreeMap::new());
    }

    pub(crate) fn leave(&mut self) {
        self.bound.pop();
    }

    pub(crate) fn bind(&mut self, name: &Ident, variable: VariableId) {
        if let Some(scope) = self.bound.last_mut() {
            scope.insert(name.to_string(), variable);
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<VariableId> {
        self.all(name).next()
    }

    /// All that `name` means in the scopes around this place, innermost first.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = VariableId> {
        self.bound
            .iter()
            .rev()
            .filter_map(move |scope| scope.get(name).copied())
    }

    /// From here on, `name` means `variable`.
    pub(crate) fn rebind(&mut self, name: &str, variable: VariableId) {
        let scopes = self.bound.iter_mut().enumerate().rev();
        for (depth, scope) in scopes {
            if let Some(bound) = scope.get_mut(name) {
                self.replaced.push((depth, name.to_owned(), *bound));
                *bound = variable;
                return;
            }
        }
    }

    /// How many assignments there were.
    pub(crate) fn assignments(&self) -> usize {
        self.replaced.len()
    }

    /// Takes back all assignments but the first `count`.
    pub(crate) fn take_back(&mut self, count: usize) {
        while self.replaced.len() > count
            && let Some((depth, name, variable)) = self.replaced.pop()
        {
            if let Some(scope) = self.bound.get_mut(depth) {
                scope.insert(name, variable);
            }
        }
    }

    /// Whether the innermost scope binds the name.
    pub(crate) fn binds_here(&self, name: &str) -> bool {
        self.bound
            .last()
            .is_some_and(|scope| scope.contains_key(name))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.bound
            .iter()
            .flat_map(|scope| scope.keys().map(String::as_str))
    }

    /// Begins a block: what its statements will define.
    pub(crate) fn begin(&mut self, pieces: &[Piece]) {
        let mut later = HashMap::new();
        for piece in pieces {
            let Piece::Statement(Stmt::Local(local)) = piece else {
                continue;
            };
            let value = local.init.as_ref().map(|init| init.expr.to_token_stream());
            let needs = value.map(identifiers).unwrap_or_default();
            for ident in bindings(&local.pat) {
                let name = ident.to_string();
                let needs = needs.clone();
                later.entry(name).or_insert(Later { ident, needs });
            }
        }
        self.later.push(later);
    }

    pub(crate) fn end(&mut self) {
        self.later.pop();
    }

    /// The next statement defines these names.
    pub(crate) fn begin_definition(&mut self, names: &[Ident]) {
        self.defining.extend(names.iter().map(Ident::to_string));
    }

    /// Whether the statement being read defines the name.
    pub(crate) fn is_defining(&self, name: &str) -> bool {
        self.defining.iter().any(|defined| defined == name)
    }

    /// They are defined.
    pub(crate) fn end_definition(&mut self, names: &[Ident]) {
        self.defining
            .truncate(self.defining.len().saturating_sub(names.len()));
        if let Some(later) = self.later.last_mut() {
            for name in names {
                later.remove(&name.to_string());
            }
        }
    }

    /// What will define `name` further down.
    pub(crate) fn later(&self, name: &str) -> Option<&Later> {
        self.later.iter().rev().find_map(|later| later.get(name))
    }

    /// From the name being defined over `name` back to it, if that is a circle.
    pub(crate) fn cycle(&self, name: &str) -> Option<Vec<String>> {
        let start = self.defining.last()?;
        let mut paths = vec![vec![start.clone(), name.to_owned()]];
        let mut seen = BTreeSet::new();
        while let Some(path) = paths.pop() {
            let end = path.last()?;
            if end == start && path.len() > 1 {
                return Some(path);
            }
            if !seen.insert(end.clone()) {
                continue;
            }
            for next in self.later(end).into_iter().flat_map(|later| &later.needs) {
                let mut longer = path.clone();
                longer.push(next.clone());
                paths.push(longer);
            }
        }
        None
    }
}

fn identifiers(tokens: TokenStream) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                found.insert(name.to_string());
            }
            TokenTree::Group(group) => found.extend(identifiers(group.stream())),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}
