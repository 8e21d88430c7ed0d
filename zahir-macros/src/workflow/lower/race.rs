//! `race((..))`: regions that compete.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::{Expr, ExprTuple};

use crate::spans::Extent;
use crate::workflow::lower::handled::pieces_of;
use crate::workflow::lower::region::Around;
use crate::workflow::lower::{Lowering, Naming};
use crate::workflow::model::{Block, Entry, NodeKind, Race, Statement};
use crate::workflow::syntax;

const FORM: &str = "a race has its entries in a tuple, as in \
                    `race((charge(&user), sleep(1h)))`";

impl Lowering<'_> {
    /// The node of a `race(..)`.
    pub(crate) fn race(&mut self, expression: &Expr, out: &Ident, naming: &Naming) -> Option<u32> {
        let before = self.errors.count();
        let chain = syntax::chain(expression)?;
        let word = chain.wait()?;
        self.check_callee(chain.path);
        let modifiers = self.allowed(&chain.modifiers, word, &["named", "after"]);
        let settings = self.settings(&modifiers);
        let mut arguments = chain.call.args.iter();
        let entries = match (arguments.next(), arguments.next()) {
            (Some(Expr::Tuple(entries)), None) => Some(entries),
            (Some(other), None) => {
                self.errors.at(other, FORM);
                None
            }
            _ => {
                self.errors.at(word, FORM);
                None
            }
        };
        let naming = settings.name.as_ref().unwrap_or(naming);
        let node = self.node(naming, NodeKind::Value, String::new());
        let entries = entries.filter(|entries| self.check_count(entries));
        let Some(entries) = entries.filter(|_| self.errors.count() == before) else {
            return Some(node);
        };
        self.wait_after(node, settings);
        self.entries(entries, out, node);
        Some(node)
    }

    fn check_count(&self, entries: &ExprTuple) -> bool {
        let message = match entries.elems.len() {
            0 => FORM,
            1 => "a race needs something to race against: with one entry, leave `race` out",
            2..=8 => return true,
            _ => {
                "a race has up to 8 entries: put a race into an entry, as in \
                 `race((a(), race((b(), c()))))`"
            }
        };
        match entries.elems.iter().nth(8) {
            Some(ninth) => self.errors.at(ninth, message),
            None => self.errors.at(entries, message),
        }
        false
    }

    fn entries(&mut self, tuple: &ExprTuple, out: &Ident, node: u32) {
        let mut construct = self.begin_construct(node, &[], true);
        let (mut regions, mut entries) = (Vec::new(), Vec::new());
        for entry in &tuple.elems {
            let (region, block) =
                self.region(&mut construct, Around::Entry, |this| this.entry(entry));
            regions.push(region);
            let at = Extent::of(entry);
            entries.push(Entry { block, at });
        }
        self.end_construct(construct, &[]);
        self.model.node_mut(node).kind = NodeKind::Race { entries: regions };
        self.emit(Statement::Race(Race {
            out: out.clone(),
            node,
            entries,
            at: tuple.paren_token.span.join().into(),
        }));
    }

    fn entry(&mut self, entry: &Expr) -> Block {
        if syntax::block_of(entry).is_some() || syntax::is_node(entry) {
            return self.block(pieces_of(entry), false);
        }
        let before = self.errors.count();
        let message = match entry {
            Expr::Closure(_) => {
                "an entry of a race is a job call or a block itself: leave the \
                                 `||` out"
            }
            _ => {
                "this is there at once, so it would win every race: an entry is a job call, a \
                 `sleep(..)`, a `signal(..)` or a block"
            }
        };
        self.errors.at(&entry.to_token_stream(), message);
        let error = self.errors.take_since(before);
        self.broken_block(error)
    }
}
