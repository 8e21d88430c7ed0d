//! Random graphs with regions, made of the bytes of a tape.

use std::time::Duration;

use super::shapes::{Written, body, call, node, region};
use crate::graph::shape::{Exit, NodeShape, RegionShape, ShapeKind};

/// The graph that this tape makes.
pub(super) fn graph(tape: &[u8]) -> Written {
    let written = Written {
        nodes: vec![node("input", ShapeKind::Input, 0)],
        regions: vec![body(Some(0))],
    };
    let mut maker = Maker { tape, written };
    let seen = maker.fill(0, vec![0], Around::default());
    maker.written.regions[0].result = seen.last().copied();
    maker.written
}

struct Maker<'t> {
    tape: &'t [u8],
    written: Written,
}

/// Where a region is.
#[derive(Clone, Copy, Default)]
struct Around {
    depth: u32,
    /// The carried variables of the loop around it.
    carried: Option<&'static [u32]>,
    /// Whether `return` does not lead out of it.
    closed: bool,
}

impl Maker<'_> {
    fn byte(&mut self, below: usize) -> usize {
        let (first, rest) = self.tape.split_first().unwrap_or((&0, &[]));
        self.tape = rest;
        usize::from(*first) % below
    }

    fn next(&self) -> u32 {
        u32::try_from(self.written.nodes.len()).unwrap()
    }

    fn push(&mut self, mut node: NodeShape) -> u32 {
        let number = self.next();
        node.name = format!("node{number}").leak();
        self.written.nodes.push(node);
        number
    }

    /// One or two of these.
    fn some(&mut self, seen: &[u32]) -> &'static [u32] {
        let count = 1 + self.byte(2);
        let picked: Vec<u32> = (0..count).map(|_| seen[self.byte(seen.len())]).collect();
        picked.leak()
    }

    /// Writes the nodes of a region; gives those that are seen at its end.
    fn fill(&mut self, at: u32, mut seen: Vec<u32>, around: Around) -> Vec<u32> {
        let mut above = Vec::new();
        for _ in 0..self.byte(5) {
            let (first, what) = (self.next(), self.byte(12));
            let uses = self.some(&seen);
            match what {
                0..4 => {
                    self.push(call("", at, uses));
                }
                4 => {
                    self.push(NodeShape {
                        after: above.clone().leak(),
                        ..node("", ShapeKind::Sleep, at)
                    });
                }
                5 => {
                    let timeout = Some(Duration::from_secs(1)).filter(|_| first % 2 == 0);
                    let kind = ShapeKind::Signal {
                        name: "go",
                        timeout,
                    };
                    self.push(node("", kind, at));
                }
                _ if around.depth > 3 => {
                    self.push(call("", at, uses));
                }
                _ => self.construct(what, at, &seen, around),
            }
            let written = (first..).zip(&self.written.nodes[usize::try_from(first).unwrap()..]);
            let here = written.filter(|(_, node)| node.region == at);
            let here: Vec<u32> = here.map(|(id, _)| id).collect();
            seen.extend(&here);
            above.extend(here);
        }
        seen
    }

    fn construct(&mut self, what: usize, at: u32, seen: &[u32], around: Around) {
        let uses = self.some(seen);
        let entered = if what == 7 || what == 11 { 1 } else { 2 };
        let first = u32::try_from(self.written.regions.len()).unwrap();
        let owner = self.push(NodeShape {
            uses,
            ..node("", ShapeKind::Value, at)
        });
        let assigns = what < 9 && self.byte(2) == 1;
        let count = u32::from(assigns);
        let mut inside = Vec::new();
        for part in 0..entered {
            let number = u32::try_from(self.written.regions.len()).unwrap();
            self.written.regions.push(region(at, owner, None));
            inside.push(number);
            self.part(what, part, number, (seen, around, count));
        }
        let inside: &'static [u32] = inside.leak();
        let starts: &[u32] = if assigns { &uses[..1] } else { &[] };
        self.written.nodes[usize::try_from(owner).unwrap()].kind = match what {
            6 => ShapeKind::Branch {
                arms: inside,
                lends: 1,
            },
            7 => ShapeKind::Loop {
                body: first,
                starts,
                max: None,
                or_last: false,
            },
            8 => ShapeKind::Rescue {
                body: first,
                handler: inside[1],
            },
            9 => ShapeKind::Finally {
                body: first,
                last: inside[1],
            },
            10 => ShapeKind::Race { entries: inside },
            _ => ShapeKind::Each {
                item: owner + 1,
                body: first,
                lends: 1,
                limit: None,
            },
        };
        if assigns {
            self.push(node("", ShapeKind::Assigned { by: owner }, at));
        }
    }

    /// One region of a construct, and how it ends.
    fn part(&mut self, what: usize, part: usize, at: u32, outer: (&[u32], Around, u32)) {
        let (seen, around, assigned) = outer;
        let (mut seen, mut around) = (
            seen.to_vec(),
            Around {
                depth: around.depth + 1,
                ..around
            },
        );
        let given = match (what, part) {
            (7, _) if assigned == 1 => Some(ShapeKind::Carried),
            (8, 1) => Some(ShapeKind::Caught),
            (11, _) => Some(ShapeKind::Item),
            _ => None,
        };
        let given = given.map(|kind| self.push(node("", kind, at)));
        seen.extend(given);
        match (what, part) {
            (7, _) => around.carried = Some(given.into_iter().collect::<Vec<_>>().leak()),
            (10, _) | (9, 1) => (around.carried, around.closed) = (None, true),
            (11, _) => around.carried = None,
            _ => {}
        }
        let seen = self.fill(at, seen, around);
        let last = *seen.last().unwrap();
        let exit = match (self.byte(6), around.carried) {
            _ if what == 7 => Exit::Continue,
            (0, _) if !around.closed => Exit::Return,
            (1, Some(_)) => Exit::Break,
            (2, Some(_)) => Exit::Continue,
            _ => Exit::Value,
        };
        let count = match exit {
            Exit::Value => usize::try_from(assigned).unwrap(),
            Exit::Break | Exit::Continue => around.carried.map_or(0, <[u32]>::len),
            Exit::Return => 0,
        };
        let region = &mut self.written.regions[usize::try_from(at).unwrap()];
        *region = RegionShape {
            result: Some(last).filter(|_| exit != Exit::Continue),
            exit,
            outs: vec![last; count].leak(),
            parent: region.parent,
            label: "",
        };
    }
}
