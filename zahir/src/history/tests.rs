//! What is kept of a run and what runs again, on plans of real workflows and records written by hand.

mod addresses;
mod children;
mod many;
mod repairs;
mod revisions;

use zahir_store::{
    Attempt, Bond, CancelRequest, ChildCall, ChildLimits, DefinitionId, Ending, Failure,
    FailureKind, Heir, HeirInput, Inherited, NodeId, Position, Record, RunHead, RunId, RunStart,
    RunStatus, SpawnedChild, StoredRun, StoredStep, Timestamp,
};

use super::address;
use super::entries;
use super::revise::{self, Again, Case, Named, Refused, Revised, Wish};
use crate::graph::Graph;
use crate::program::Program;
use crate::{job, workflow};

#[job]
async fn one(order: u64) -> u64 {
    order
}

#[job]
async fn two(left: u64, right: u64) -> u64 {
    left + right
}

#[job]
async fn list(order: u64) -> Vec<u64> {
    vec![order]
}

#[job]
async fn fallible(order: u64) -> Result<u64, String> {
    Ok(order)
}

#[job]
async fn all(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

workflow! {
    /// `b` and `c` use `a`, `d` uses both, `e` stands alone.
    async fn diamond(order: u64) -> u64 {
        let a = one(order);
        let b = two(a, 1);
        let c = two(a, 2);
        let d = two(b, c);
        let _e = one(order).named("e");
        one(d).named("f")
    }
}

workflow! {
    /// The items use what is around them in their second job only.
    async fn items(order: u64) -> u64 {
        let factor = one(order);
        let numbers = list(order);
        let products = for number in numbers {
            let first = one(number);
            two(first, factor).named("second")
        };
        let sum = all(&products);
        one(sum).named("end")
    }
}

workflow! {
    async fn chosen(order: u64) -> u64 {
        let kind = one(order);
        let rate = one(order);
        let price = if kind > 3 {
            let base = one(order);
            two(base, rate).named("rated")
        } else {
            one(order).named("flat")
        };
        one(price).named("end")
    }
}

workflow! {
    async fn rounds(order: u64) -> u64 {
        let goal = one(order);
        let mut at = one(order).named("at");
        while at < 10 {
            let step = two(at, goal);
            at = one(step).named("next");
        }
        one(at).named("end")
    }
}

workflow! {
    async fn guarded(order: u64) -> u64 {
        let seat = one(order);
        let paid = fallible(order).rescue(|_| { let plan = one(order); one(plan).named("refund") });
        let booked = {
            let held = two(seat, paid);
            one(held).named("book")
        }.finally(one(seat).named("release"));
        one(booked).named("end")
    }
}

workflow! {
    async fn raced(order: u64) -> u64 {
        let first = race((
            { let quick = one(order); one(quick).named("quicker") },
            { let slow = one(order); one(slow).named("slower") },
        ));
        let winner = pure(match first { crate::Race2::First(n) | crate::Race2::Second(n) => n });
        one(winner).named("end")
    }
}

workflow! {
    async fn called(order: u64) -> u64 {
        let head = one(order);
        let inner = diamond(head).named("inner");
        one(inner).named("end")
    }
}

workflow! {
    async fn waited(order: u64) -> u64 {
        let asked = one(order);
        sleep(1h);
        let answer: u64 = signal("answer");
        let more: u64 = signal("answer");
        two(asked, answer + more).named("end")
    }
}

/// A workflow and what has been recorded of a run of it.
struct Run {
    program: Program,
    records: Vec<Record>,
}

impl Run {
    fn of(graph: &'static Graph, told: &[&str]) -> Self {
        let program = Program::of(graph);
        let start = RunStart {
            workflow: graph.name().to_owned(),
            key: None,
            definition: program.definition.id,
            input: Vec::new(),
        };
        let mut run = Self {
            program,
            records: vec![Record::RunStarted(start)],
        };
        for line in told {
            run.tell(line);
        }
        run
    }

    /// Adds the records that a line of words tells of.
    #[expect(clippy::too_many_lines, reason = "one arm for each record")]
    fn tell(&mut self, line: &str) {
        let (node, what) = line.rsplit_once(' ').unwrap_or(("", line));
        let failed = |kind| Failure {
            kind,
            message: String::new(),
        };
        let attempt = Attempt::FIRST;
        match what {
            "cancel" => {
                let reason = String::new();
                return self
                    .records
                    .push(Record::CancelRequested(CancelRequest { reason }));
            }
            "cancelled" => return self.records.push(Record::RunFinished(Ending::Cancelled)),
            "succeeded" => {
                let output = Vec::new();
                return self
                    .records
                    .push(Record::RunFinished(Ending::Succeeded { output }));
            }
            "fails" => {
                let at = Some(self.at(node));
                let failure = failed(FailureKind::Error);
                return self
                    .records
                    .push(Record::RunFinished(Ending::Failed { at, failure }));
            }
            "undoing" => {
                let ending = Ending::Cancelled;
                return self.records.push(Record::UndoingBegan { ending });
            }
            "sent" => {
                return self.records.push(Record::SignalReceived {
                    name: node.to_owned(),
                    payload: Vec::new(),
                });
            }
            _ => {}
        }
        let at = self.at(node);
        let started = Record::AttemptStarted {
            at: at.clone(),
            attempt,
        };
        let ended = |kind| Record::AttemptFailed {
            at: at.clone(),
            attempt,
            failure: failed(kind),
            retry_at: None,
        };
        let succeeded = Record::AttemptSucceeded {
            at: at.clone(),
            attempt,
            output: vec![1],
        };
        let number = |text: &str| text.parse().unwrap();
        match what.split_once('=').unwrap_or((what, "")) {
            ("ok", _) => self.records.extend([started, succeeded]),
            ("ends", _) => self.records.push(succeeded),
            ("breaks", _) => self.records.push(ended(FailureKind::Error)),
            ("retried", _) => self.records.push(Record::AttemptFailed {
                at,
                attempt,
                failure: failed(FailureKind::Error),
                retry_at: Some(Timestamp::from_millis(7)),
            }),
            ("postponed", _) => self.records.push(Record::AttemptPostponed {
                at,
                attempt,
                due: Timestamp::from_millis(7),
                state: Vec::new(),
            }),
            ("parked", _) => self.records.push(Record::AttemptParked { at, attempt }),
            ("resumed", _) => self.records.push(Record::AttemptResumed { at, attempt }),
            ("recovers", _) => self.records.push(Record::RecoveryBegan {
                at,
                attempt,
                failure: failed(FailureKind::Error),
            }),
            ("recovered", _) => self.records.push(Record::AttemptRecovered {
                at,
                attempt,
                output: vec![1],
            }),
            ("value", _) => self.records.push(Record::ValueKept {
                at,
                name: "once".to_owned(),
                value: vec![1],
            }),
            ("spawned", text) => {
                let children = text.split(',').zip(0..);
                let children = children.map(|(child, number)| self.spawned(&at, child, number));
                let children = children.collect();
                self.records.push(Record::ChildrenSpawned { at, children });
            }
            ("left", text) => self.records.push(Record::ChildrenLeft {
                at,
                children: vec![number(text)],
            }),
            ("hands", text) => {
                let (kind, child) = text.split_once('<').unwrap();
                let heir = Heir {
                    kind: self.kind(&at, kind),
                    inputs: vec![HeirInput {
                        name: "pages".to_owned(),
                        value: Inherited::Child(number(child)),
                    }],
                    limits: ChildLimits::default(),
                };
                self.records
                    .push(Record::AttemptContinued { at, attempt, heir });
            }
            ("owed", _) => {
                let arguments = vec![2];
                let owed = Record::UndoOwed { at, arguments };
                self.records.extend([started, owed, succeeded]);
            }
            ("open", _) => self.records.push(started),
            ("failed", _) => self.records.extend([started, ended(FailureKind::Error)]),
            ("kept", _) => {
                let error = vec![3];
                let kept = Record::ErrorKept {
                    at: at.clone(),
                    error,
                };
                self.records
                    .extend([started, kept, ended(FailureKind::Error)]);
            }
            ("poisoned", _) => self.records.extend([started, ended(FailureKind::Poisoned)]),
            ("given", text) => self.records.push(Record::ArgumentsReplaced {
                at,
                arguments: text.as_bytes().to_vec(),
            }),
            ("items", text) => self.records.push(Record::ItemsCounted {
                at,
                items: number(text),
            }),
            ("arm", text) => self.records.push(Record::BranchTaken {
                at,
                arm: number(text),
            }),
            ("won", text) => self.records.push(Record::RaceWon {
                at,
                entry: number(text),
            }),
            ("begun", _) => self.records.push(Record::BlockEntered { at }),
            ("timer", _) => self.records.push(Record::TimerSet {
                at,
                due: Timestamp::from_millis(7),
            }),
            ("consumed", text) => self.records.push(Record::SignalConsumed {
                at,
                signal: number(text),
            }),
            ("undone", _) => self.records.extend([
                Record::UndoStarted {
                    at: at.clone(),
                    attempt,
                },
                Record::UndoSucceeded { at, attempt },
            ]),
            ("stuck", _) => self.records.extend([
                Record::UndoStarted {
                    at: at.clone(),
                    attempt,
                },
                Record::UndoFailed {
                    at,
                    attempt,
                    failure: failed(FailureKind::Error),
                    retry_at: None,
                },
            ]),
            _ => panic!("{line}"),
        }
    }

    /// A child as it is told: its kind, with `&` if it follows and `~` if it is detached, and perhaps
    /// what it is called by.
    fn spawned(&self, at: &Position, text: &str, number: u32) -> SpawnedChild {
        let (kind, call) = text.split_once('#').unwrap_or((text, ""));
        let bond = match kind.chars().last() {
            Some('&') => Bond::Followed,
            Some('~') => Bond::Detached,
            _ => Bond::Held,
        };
        // Without a key each is called by another.
        let unique = ChildCall::Key(format!("{}, {number}", self.records.len()));
        SpawnedChild {
            kind: self.kind(at, kind.trim_end_matches(['&', '~'])),
            call: call.parse().map_or(unique, ChildCall::Number),
            bond,
            arguments: Vec::new(),
            fan: None,
            limits: ChildLimits::default(),
        }
    }

    fn kind(&self, at: &Position, name: &str) -> NodeId {
        let mut kinds = self.program.plan.node(at.node).kinds.iter().copied();
        let found = kinds.find(|kind| self.program.site(*kind).node.name() == name);
        found.unwrap_or_else(|| panic!("`{name}` is not spawned"))
    }

    /// All node instances of a name.
    fn find(&self, name: &str) -> Vec<Position> {
        let names = |id| self.program.site(id).node.name();
        address::find(&self.program.plan, &names, name).unwrap_or_else(|_| panic!("no `{name}`"))
    }

    fn at(&self, name: &str) -> Position {
        let mut found = self.find(name);
        assert_eq!(found.len(), 1, "{name}");
        found.remove(0)
    }

    fn path(&self, at: &Position) -> String {
        self.program.definition.path(at)
    }

    /// The run as a store has it, all in one step.
    fn stored(&self) -> StoredRun {
        StoredRun {
            head: RunHead {
                id: RunId::from_u128(1),
                workflow: self.program.definition.shape.workflow.clone(),
                key: None,
                status: RunStatus::Running,
                started_at: Timestamp::default(),
                updated_at: Timestamp::default(),
                records: u64::try_from(self.records.len()).unwrap(),
            },
            steps: vec![StoredStep {
                at: Timestamp::default(),
                records: self.records.clone(),
            }],
        }
    }

    fn revised(&self, wish: &Wish) -> Result<Revised, Refused> {
        self.revised_for(&self.program, wish)
    }

    /// The revision of the run for another version of its program.
    fn revised_for(&self, now: &Program, wish: &Wish) -> Result<Revised, Refused> {
        let (was, is) = (&self.program.definition, &now.definition);
        revise::revise(
            Case {
                entries: entries::entries(self.stored()),
                plan: &now.plan,
                id: is.id,
                path: &|at| is.path(at),
                change: (was.id != is.id).then_some((was, is)),
            },
            wish,
        )
    }

    fn again(&self, names: &[&str]) -> Wish {
        let named = names.iter().map(|name| Named {
            name: (*name).to_owned(),
            nodes: self.find(name),
        });
        Wish::Again(Again {
            nodes: named.collect(),
            even_if_done: true,
            arguments: None,
        })
    }

    /// The records in words, as far as they make a difference.
    fn told(&self, records: &[Record]) -> Vec<String> {
        let path = |at: &Position| self.path(at);
        let tell = |record: &Record| {
            Some(match record {
                Record::AttemptSucceeded { at, .. } => format!("{} ok", path(at)),
                Record::AttemptFailed { at, .. } => format!("{} failed", path(at)),
                Record::AttemptInterrupted { at, .. } => format!("{} interrupted", path(at)),
                Record::ItemsCounted { at, items } => format!("{} items={items}", path(at)),
                Record::BranchTaken { at, arm } => format!("{} arm={arm}", path(at)),
                Record::RaceWon { at, entry } => format!("{} won={entry}", path(at)),
                Record::BlockEntered { at } => format!("{} begun", path(at)),
                Record::TimerSet { at, .. } => format!("{} timer", path(at)),
                Record::SignalReceived { name, .. } => format!("{name} sent"),
                Record::SignalConsumed { at, signal } => format!("{} consumed={signal}", path(at)),
                Record::ArgumentsReplaced { at, arguments } => {
                    let text = String::from_utf8(arguments.clone()).unwrap();
                    format!("{} given={text}", path(at))
                }
                Record::CancelRequested(_) => "cancel".to_owned(),
                Record::AttemptContinued { at, .. } => format!("{} hands over", path(at)),
                Record::AttemptPostponed { at, .. } => format!("{} postponed", path(at)),
                Record::ValueKept { at, .. } => format!("{} value", path(at)),
                Record::ChildrenSpawned { at, children } => {
                    format!("{} spawned {}", path(at), children.len())
                }
                Record::ChildrenLeft { at, .. } => format!("{} left", path(at)),
                Record::ChildrenSuspended { at, children } => {
                    format!("{} suspends {children:?}", path(at))
                }
                Record::ChildrenResumed { at, children } => {
                    format!("{} resumes {children:?}", path(at))
                }
                Record::AttemptRecovered { at, .. } => format!("{} recovered", path(at)),
                Record::AttemptsDropped { at } => format!("{} anew", path(at)),
                Record::RunFinished(_) => "over".to_owned(),
                Record::UndoingBegan { .. } => "undoing".to_owned(),
                Record::UndoSucceeded { at, .. } => format!("{} undone", path(at)),
                Record::UndoFailed { at, .. } => format!("{} stuck", path(at)),
                Record::RunStarted(_)
                | Record::AttemptStarted { .. }
                | Record::ErrorKept { .. }
                | Record::WaitTimedOut { .. }
                | Record::RecoveryBegan { .. }
                | Record::DeadlineSet { .. }
                | Record::DeadlinePassed { .. }
                | Record::UndoOwed { .. }
                | Record::UndoStarted { .. }
                | Record::UndoInterrupted { .. }
                | Record::ResultShared { .. }
                | Record::AttemptParked { .. }
                | Record::AttemptResumed { .. }
                | Record::RunRevised(_) => return None,
            })
        };
        records.iter().filter_map(tell).collect()
    }

    /// Adds what a revision appends: the run goes on from there.
    fn goes_on(&mut self, wish: &Wish) -> Revised {
        let revised = self.revised(wish).unwrap();
        self.records.extend(revised.records.iter().cloned());
        // What was made is what is read.
        let read: Vec<Record> = self.counting();
        let made: Vec<Record> = revised.entries.iter().map(|it| it.record.clone()).collect();
        assert_eq!(read, made);
        revised
    }

    /// The records that count.
    fn counting(&self) -> Vec<Record> {
        entries::steps(entries::entries(self.stored()))
            .into_iter()
            .flat_map(|step| step.records)
            .collect()
    }
}

/// Checks what counts of a run after a repair of it, and what is told about that.
#[track_caller]
fn check(graph: &'static Graph, told: &[&str], again: &[&str], expected: &expect_test::Expect) {
    let mut run = Run::of(graph, told);
    let wish = match again {
        ["failed"] => Wish::RetryFailed,
        names => run.again(names),
    };
    let revised = run.goes_on(&wish);
    let counts = run.told(&run.counting()).join(", ");
    expected.assert_eq(&format!("counts: {counts}\n{}", revised.changes));
}

fn id(number: u128) -> DefinitionId {
    DefinitionId::from_u128(number)
}
