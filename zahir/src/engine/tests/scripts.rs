//! What jobs do that have children.
//!
//! An attempt of such a job follows a script. What it asks for next depends on nothing but its inputs
//! and on what it was told so far: [`follow`] goes through the script from its beginning each time.

use std::collections::BTreeMap;

use zahir_store::{Bond, ChildCall, ChildLimits, Fan, NodeId, SpawnedChild};

use super::plans::{self, Program};
use super::rng::Rng;
use crate::job::children::asked::{Bequest, Successor, Wait};
use crate::plan::index;

/// How many inputs a child has: first how deep its own children may go, then something.
pub(super) const INPUTS: usize = 2;

/// What the attempts of a job do, one part after the other.
#[derive(Clone, Debug)]
pub(super) struct Script {
    parts: Vec<Part>,
    /// Before which part an attempt fails that is to fail.
    fails_at: usize,
    /// What gives the result, if it is not the job.
    heir: Option<NodeId>,
    /// Whether each attempt spawns something else.
    is_fickle: bool,
}

#[derive(Clone, Debug)]
enum Part {
    /// Computes a value that is kept under this name.
    Keep(String),
    Spawn(Sprout),
    Await {
        /// Which of the children so far.
        which: Vec<usize>,
        how: How,
        /// Whether the job fails if one of them has failed.
        passes_on: bool,
    },
}

/// A child that is spawned.
#[derive(Clone, Debug)]
struct Sprout {
    kind: NodeId,
    key: Option<String>,
    bond: Bond,
    /// Whether it is told of only with the result.
    is_late: bool,
    fan: Option<Fan>,
    limits: ChildLimits,
    /// Whether its inputs depend on what the job was told before.
    rests: bool,
    /// Whether it is only there as deep as the inputs of the job allow.
    is_deeper: bool,
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// In one wait for all of them.
    All,
    /// In a wait for each.
    Each,
    /// Until so many are not over.
    AllBut(usize),
}

/// A job or workflow that may be spawned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) node: NodeId,
    pub(super) is_job: bool,
}

/// What a script may have.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) kinds: &'a [Kind],
    /// The job itself, if it may spawn itself.
    pub(super) own: Option<NodeId>,
    pub(super) may_fail: bool,
}

/// A script that is being written.
struct Writer<'a> {
    scope: Scope<'a>,
    parts: Vec<Part>,
    sprouts: usize,
    fans: u32,
}

/// A random script.
pub(super) fn random(rng: &mut Rng, scope: Scope<'_>) -> Script {
    let mut writer = Writer {
        scope,
        parts: vec![],
        sprouts: 0,
        fans: 0,
    };
    if scope.own.is_some() {
        let sprout = Sprout {
            is_deeper: true,
            ..writer.held(rng)
        };
        let own = writer.spawn(sprout);
        if rng.chance(3, 4) {
            writer.wait(rng, vec![own], How::All);
        }
    }
    for _ in 0..=rng.below(2) {
        writer.passage(rng);
    }
    let heir = rng.chance(1, 4).then(|| writer.kind(rng).node);
    Script {
        fails_at: rng.below(writer.parts.len() + 1),
        parts: writer.parts,
        heir,
        is_fickle: scope.may_fail && rng.chance(1, 24),
    }
}

/// A script that has a bit of everything: a value that is kept, two children that it waits for, and
/// one that follows.
pub(super) fn story(kind: NodeId) -> Script {
    let held = Sprout {
        kind,
        key: None,
        bond: Bond::Held,
        is_late: false,
        fan: None,
        limits: ChildLimits::default(),
        rests: false,
        is_deeper: false,
    };
    let keyed = Sprout {
        key: Some("second".to_owned()),
        ..held.clone()
    };
    let follower = Sprout {
        bond: Bond::Followed,
        is_late: true,
        ..held.clone()
    };
    let both = Part::Await {
        which: vec![0, 1],
        how: How::All,
        passes_on: true,
    };
    let parts = vec![
        Part::Keep("value".to_owned()),
        Part::Spawn(held),
        Part::Spawn(keyed),
        Part::Spawn(follower),
        both,
    ];
    Script {
        parts,
        fails_at: 0,
        heir: None,
        is_fickle: false,
    }
}

impl Writer<'_> {
    /// A few parts that belong together.
    fn passage(&mut self, rng: &mut Rng) {
        if rng.chance(1, 3) {
            let name = format!("value {}", self.parts.len());
            self.parts.push(Part::Keep(name));
        }
        match rng.below(10) {
            0 | 1 => {
                let bond = if rng.chance(1, 2) {
                    Bond::Followed
                } else {
                    Bond::Detached
                };
                let follower = Sprout {
                    bond,
                    is_late: true,
                    ..self.held(rng)
                };
                self.spawn(follower);
            }
            2 => {
                let detached = Sprout {
                    bond: Bond::Detached,
                    ..self.held(rng)
                };
                self.spawn(detached);
            }
            3 | 9 => {
                let left = self.held(rng);
                self.spawn(left);
            }
            4 | 5 => self.fan(rng),
            6 | 7 => {
                let all = (0..1 + rng.below(3)).map(|_| {
                    let sprout = self.held(rng);
                    self.spawn(sprout)
                });
                let all: Vec<_> = all.collect();
                let how = if rng.chance(1, 2) {
                    How::All
                } else {
                    How::Each
                };
                self.wait(rng, all, how);
            }
            _ => {
                let first = self.held(rng);
                let first = self.spawn(first);
                self.wait(rng, vec![first], How::All);
                let second = Sprout {
                    rests: true,
                    ..self.held(rng)
                };
                let second = self.spawn(second);
                self.wait(rng, vec![second], How::All);
            }
        }
    }

    /// Children of which only some run at once.
    fn fan(&mut self, rng: &mut Rng) {
        let limit = u32::try_from(1 + rng.below(2)).unwrap();
        let number = self.fans;
        self.fans += 1;
        let like = Sprout {
            fan: Some(Fan { number, limit }),
            key: None,
            ..self.held(rng)
        };
        let mut all: Vec<_> = (0..2 + rng.below(2))
            .map(|_| self.spawn(like.clone()))
            .collect();
        if rng.chance(1, 3) {
            let how = How::AllBut(rng.below(all.len()));
            self.wait(rng, all.clone(), how);
            all.push(self.spawn(like));
        }
        self.wait(rng, all, How::All);
    }

    fn held(&self, rng: &mut Rng) -> Sprout {
        let kind = self.kind(rng);
        let mut limits = ChildLimits::default();
        if kind.is_job && rng.chance(1, 5) {
            limits.retry = Some(u32::try_from(rng.below(3)).unwrap());
            if self.scope.may_fail && rng.chance(1, 3) {
                limits.total_timeout = Some(20 + rng.next() % 200);
            }
        }
        Sprout {
            kind: kind.node,
            key: rng.chance(1, 4).then(|| format!("key {}", self.sprouts)),
            bond: Bond::Held,
            is_late: false,
            fan: None,
            limits,
            rests: false,
            is_deeper: false,
        }
    }

    fn kind(&self, rng: &mut Rng) -> Kind {
        self.scope.kinds[rng.below(self.scope.kinds.len())]
    }

    fn spawn(&mut self, mut sprout: Sprout) -> usize {
        if let Some(own) = self.scope.own.filter(|_| sprout.is_deeper) {
            sprout.kind = own;
        }
        self.parts.push(Part::Spawn(sprout));
        self.sprouts += 1;
        self.sprouts - 1
    }

    fn wait(&mut self, rng: &mut Rng, which: Vec<usize>, how: How) {
        let passes_on = rng.chance(1, 2);
        self.parts.push(Part::Await {
            which,
            how,
            passes_on,
        });
    }
}

impl Script {
    /// The same where nodes have other numbers.
    pub(super) fn renumbered(&self, now: impl Fn(NodeId) -> NodeId) -> Self {
        let mut script = self.clone();
        for part in &mut script.parts {
            if let Part::Spawn(sprout) = part {
                sprout.kind = now(sprout.kind);
            }
        }
        script.heir = script.heir.map(now);
        script
    }

    /// The kinds that it spawns.
    pub(super) fn kinds(&self) -> Vec<NodeId> {
        let spawned = self.parts.iter().filter_map(|part| match part {
            Part::Spawn(sprout) => Some(sprout.kind),
            Part::Keep(_) | Part::Await { .. } => None,
        });
        let mut kinds: Vec<_> = spawned.chain(self.heir).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    pub(super) const fn is_fickle(&self) -> bool {
        self.is_fickle
    }
}

/// Of what an attempt is.
pub(super) struct Attempted<'a> {
    pub(super) node: NodeId,
    pub(super) inputs: &'a [u64],
    /// How many attempts before it asked for another one.
    pub(super) epoch: u32,
    pub(super) number: u32,
    pub(super) fails: bool,
    pub(super) postpones: bool,
}

/// What an attempt was told so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    pub(super) kept: BTreeMap<String, u64>,
    /// What children gave; `None` if they failed.
    pub(super) ended: BTreeMap<ChildCall, Option<u64>>,
}

/// What an attempt wants next.
#[derive(Debug)]
pub(super) enum Want {
    /// To keep a value of this name.
    Keep(String),
    Children(Vec<Wait>),
    Fails,
    Postpones,
    Gives(u64),
    Continues(Successor),
}

#[derive(Debug)]
pub(super) struct Asked {
    /// The children so far; whether they are told of only with the result.
    pub(super) spawned: Vec<(SpawnedChild, bool)>,
    /// Those that were waited for.
    pub(super) awaited: Vec<ChildCall>,
    pub(super) want: Want,
}

/// What an attempt does until it needs something that it was not told.
pub(super) fn follow(program: &Program, of: &Attempted<'_>, heard: &Heard) -> Asked {
    let script = program.scripts[index(of.node)]
        .as_ref()
        .expect("it has children");
    let epoch = plans::mix(u64::from(of.epoch) + 1);
    let start = plans::output(program.salt(of.node), of.inputs) ^ epoch;
    let mut follower = Follower {
        fuel: program.fuel(of.node, of.inputs),
        start: if script.is_fickle {
            plans::mix(start ^ u64::from(of.number))
        } else {
            start
        },
        hash: start,
        calls: vec![],
        numbered: 0,
        heard,
        asked: Asked {
            spawned: vec![],
            awaited: vec![],
            want: Want::Fails,
        },
    };
    for at in 0..=script.parts.len() {
        if of.fails && at == script.fails_at {
            return follower.wants(Want::Fails);
        }
        if let Some(part) = script.parts.get(at)
            && let Some(want) = follower.part(part)
        {
            return follower.wants(want);
        }
    }
    if of.postpones {
        return follower.wants(Want::Postpones);
    }
    match script.heir {
        None => {
            let value = plans::mix(follower.hash ^ 0xd0);
            follower.wants(Want::Gives(value))
        }
        Some(kind) => {
            let succession = follower.succession(kind);
            follower.wants(Want::Continues(succession))
        }
    }
}

struct Follower<'a> {
    fuel: u64,
    start: u64,
    hash: u64,
    /// The calls of the sprouts so far; `None` if it is not there.
    calls: Vec<Option<ChildCall>>,
    numbered: u32,
    heard: &'a Heard,
    asked: Asked,
}

impl Follower<'_> {
    fn wants(mut self, want: Want) -> Asked {
        self.asked.want = want;
        self.asked
    }

    /// What is wanted before it goes on behind a part, if anything.
    fn part(&mut self, part: &Part) -> Option<Want> {
        match part {
            Part::Keep(name) => {
                let Some(value) = self.heard.kept.get(name) else {
                    return Some(Want::Keep(name.clone()));
                };
                // What was kept must be the same in all attempts.
                self.start ^= value;
                self.told(*value);
                None
            }
            Part::Spawn(sprout) => {
                self.spawn(sprout);
                None
            }
            Part::Await {
                which,
                how,
                passes_on,
            } => self.wait(which, *how, *passes_on),
        }
    }

    fn told(&mut self, value: u64) {
        self.hash = plans::mix(self.hash.rotate_left(9) ^ value);
    }

    fn spawn(&mut self, sprout: &Sprout) {
        if sprout.is_deeper && self.fuel == 0 {
            return self.calls.push(None);
        }
        let call = match &sprout.key {
            Some(key) => ChildCall::Key(key.clone()),
            None => {
                self.numbered += 1;
                ChildCall::Number(self.numbered - 1)
            }
        };
        let base = if sprout.rests { self.hash } else { self.start };
        let at = u64::try_from(self.calls.len()).unwrap();
        let fuel = if sprout.is_deeper {
            self.fuel - 1
        } else {
            self.fuel
        };
        self.calls.push(Some(call.clone()));
        let spawn = SpawnedChild {
            kind: sprout.kind,
            call,
            bond: sprout.bond,
            arguments: plans::arguments(&[fuel, plans::mix(base ^ at)]),
            fan: sprout.fan,
            limits: sprout.limits,
        };
        self.asked.spawned.push((spawn, sprout.is_late));
    }

    fn wait(&mut self, which: &[usize], how: How, passes_on: bool) -> Option<Want> {
        let calls = which.iter().filter_map(|at| self.calls[*at].clone());
        let calls: Vec<_> = calls.collect();
        self.asked.awaited.extend(calls.iter().cloned());
        let heard = self.heard;
        let open = calls.iter().filter(|it| !heard.ended.contains_key(*it));
        let open: Vec<_> = open.cloned().collect();
        let open_max = if let How::AllBut(most) = how { most } else { 0 };
        if open.len() > open_max {
            let waits = if let How::Each = how {
                let each = open.into_iter().map(|call| Wait {
                    children: vec![call],
                    open_max,
                });
                each.collect()
            } else {
                vec![Wait {
                    children: open,
                    open_max,
                }]
            };
            return Some(Want::Children(waits));
        }
        if let How::AllBut(_) = how {
            return None;
        }
        for call in &calls {
            match heard.ended[call] {
                Some(value) => self.told(value),
                None if passes_on => return Some(Want::Fails),
                None => self.told(plans::FAILURE),
            }
        }
        None
    }

    /// The heir is given the results of all children that nobody asked for.
    fn succession(&self, kind: NodeId) -> Successor {
        let spawned = self.asked.spawned.iter();
        let held = spawned.filter(|(spawn, _)| spawn.bond == Bond::Held);
        let left = held.filter(|(spawn, _)| !self.asked.awaited.contains(&spawn.call));
        let mut left: Vec<_> = left.map(|(spawn, _)| spawn.call.clone()).collect();
        let value = if left.len() == 1 {
            Bequest::Child(left.remove(0))
        } else {
            Bequest::Children(left)
        };
        let fuel = plans::arguments(&[self.fuel]);
        Successor {
            kind,
            inputs: vec![
                ("fuel".to_owned(), Bequest::Value(fuel)),
                ("value".to_owned(), value),
            ],
            limits: ChildLimits::default(),
        }
    }
}
