//! The pure state machine of one run.
//!
//! [`Report`]s and the time go in, [`Action`]s come out. There is no I/O in here, no clock, no
//! randomness and no user code, and no collection whose order could differ: the same reports give
//! the same actions. Recovery feeds stored records through the same state changes as live reports.
//!
//! **The rule of the driver:** after each report, or batch of reports, take actions until there are
//! none.
//!
//! No action that the world outside can see is handed out before the records that justify it are
//! durable. What is pure (computing a value, counting items) is not on record and may be handed out
//! at once; it is computed again after a restart.
//!
//! # Invariants
//!
//! They are checked in release builds, too. A violation is a bug: the run halts with a report, and
//! the process lives on.
//!
//! - **I1** Appends are numbered and acknowledged in order.
//! - **I2** A node instance changes only along the arrows of [`state::State`]; what has its result
//!   keeps it.
//! - **I3** A step is given only values that are there, and an attempt starts only when every record
//!   it rests on is durable.
//! - **I4** Attempts of a node instance are numbered 1, 2, 3 .. over restarts, one live at a time.
//! - **I6** A run that is not over has something under way, something ready, a timer, or records on
//!   their way.
//! - **I8** No more attempts start than were granted.
//! - **I10** A timer never fires before its deadline.
//! - **I16** A report of an attempt that is not live changes nothing.
//! - **I18** After a cancel is on record, nothing starts.
//! - **I21** Time does not go back.

mod action;
mod advance;
mod attempts;
mod ending;
mod frame;
mod items;
mod outbox;
mod replay;
mod report;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use zahir_store::{NodeId, Record, RunId, RunStart, Timestamp};

use crate::plan::{Plan, RegionId};
use frame::{Frame, FrameId, Frames};
use outbox::Outbox;
use state::{Change, Instance, State, Tries};

pub(crate) use action::{Action, Caught, Evaluation, Refusal, Violation};
pub(crate) use frame::Place;
pub(crate) use replay::RecoverError;
pub(crate) use report::{AttemptOutcome, Evaluated, Report};

/// One run. `V` is a value that flows between nodes, which the engine never looks into.
#[derive(Debug)]
pub(crate) struct Engine<V> {
    plan: Arc<Plan>,
    /// Where the jitter of retries comes from.
    seed: u64,
    /// The value of a region that ends without one.
    unit: V,
    now: Timestamp,
    frames: Frames<V>,
    body: FrameId,
    /// Node instances that wait for a slot, in the order they became ready.
    ready: VecDeque<Place>,
    /// `for`s that may open another frame, the last opened first: what is begun is finished before
    /// more is begun.
    going: Vec<Place>,
    /// When node instances in backoff are due.
    timers: BTreeSet<(Timestamp, Place)>,
    /// How many evaluations are under way.
    evaluating: usize,
    phase: Phase,
    outbox: Outbox<V>,
    /// Frames that replay rebuilt and whose inputs are not there yet, by owner and index.
    replayed: BTreeMap<(Place, u32), FrameId>,
    progress: Progress,
}

/// Where a run is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Records are being replayed: nothing is started and nothing is handed out.
    Replaying,
    /// Under way.
    Going,
    /// Its output is being encoded.
    Concluding,
    /// The process is about to end.
    Stopping,
    /// Its end is on record.
    Ended,
    /// An invariant was broken.
    Halted,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Jobs that have their result.
    pub(crate) done: u64,
    /// Jobs under way.
    pub(crate) running: u64,
    /// All jobs that are known of so far; grows as `for`s count their items.
    pub(crate) known: u64,
    /// Jobs that will not run, because the branch they are in was not taken, or was left.
    pub(crate) skipped: u64,
}

impl<V: Clone> Engine<V> {
    /// A run that begins now. `unit` is the value of a region that has none.
    pub(crate) fn start(
        plan: Arc<Plan>,
        run: RunId,
        start: Option<RunStart>,
        inputs: Vec<V>,
        unit: V,
    ) -> Self {
        let outbox = Outbox::new(start.is_some(), 0);
        let mut engine = Self::new(plan, run, unit, outbox);
        if let Some(start) = start {
            engine.outbox.record(|| Record::RunStarted(start));
        }
        engine.phase = Phase::Going;
        engine.wake(engine.body, inputs);
        engine.open_frames();
        engine
    }

    fn new(plan: Arc<Plan>, run: RunId, unit: V, outbox: Outbox<V>) -> Self {
        let mut engine = Self {
            seed: seed(run),
            unit,
            now: Timestamp::default(),
            frames: Frames::new(),
            // Replaced right below by the body's own frame.
            body: FrameId::NONE,
            ready: VecDeque::new(),
            going: Vec::new(),
            timers: BTreeSet::new(),
            evaluating: 0,
            phase: Phase::Replaying,
            outbox,
            replayed: BTreeMap::new(),
            progress: Progress {
                known: plan.region(RegionId::BODY).jobs,
                ..Progress::default()
            },
            plan,
        };
        engine.body = engine.open_frame(RegionId::BODY, None, 0);
        engine
    }

    /// Takes in what has happened.
    pub(crate) fn handle(&mut self, now: Timestamp, report: Report<V>) {
        if self.phase == Phase::Halted {
            return;
        }
        self.now = self.now.max(now);
        match report {
            Report::Durable { seq } => {
                if let Err(violation) = self.outbox.acknowledge(seq) {
                    self.halt(violation);
                }
            }
            Report::Granted { slots } => self.start_attempts(slots),
            Report::AttemptEnded {
                place,
                attempt,
                outcome,
            } => {
                self.end_attempt(place, attempt, outcome);
            }
            Report::Evaluated { place, result } => self.end_evaluation(place, result),
            Report::OutputEncoded { result } => self.end_concluding(result),
            Report::CancelRequested { reason, ticket } => self.cancel(reason, ticket),
            Report::SignalReceived { .. } => {}
            Report::ShutdownRequested => self.stop(),
        }
        self.open_frames();
    }

    /// Takes in that it is `now`: whatever is due goes on.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while let Some((due, place)) = self.timers.first().copied()
            && due <= self.now
        {
            self.timers.pop_first();
            self.change(place, Change::Due);
            self.unblock_if_free(place);
        }
    }

    /// When [`Engine::handle_timeout`] wants to be called next.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// The next thing to be done.
    pub(crate) fn poll_action(&mut self) -> Option<Action<V>> {
        let action = self.outbox.poll();
        if action.is_none() {
            self.check_progress();
            return self.outbox.poll();
        }
        action
    }

    /// How many job slots the run could use now.
    pub(crate) fn wanted(&self) -> usize {
        if self.is_going() { self.ready.len() } else { 0 }
    }

    /// Whether only a signal can make the run go on: nothing is under way or ready, no timer is set,
    /// and somewhere a signal is waited for.
    pub(crate) const fn awaits_signal(&self) -> bool {
        false
    }

    /// How far the run has come.
    pub(crate) const fn progress(&self) -> Progress {
        self.progress
    }

    /// How many attempts wait for their record to be durable.
    #[cfg(test)]
    fn starting(&self) -> usize {
        self.outbox.starts()
    }

    /// Whether nothing is under way and everything that was recorded is durable: a run that was told
    /// to stop can be left now.
    pub(crate) fn is_idle(&self) -> bool {
        self.live() == 0 && !self.outbox.is_waiting()
    }

    /// The position that records name a node instance by.
    #[cfg(test)]
    fn position(&self, place: Place) -> zahir_store::Position {
        self.frames.position(place)
    }

    fn is_going(&self) -> bool {
        self.phase == Phase::Going && !self.is_failing(self.body)
    }

    fn live(&self) -> usize {
        self.frames.get(self.body).map_or(0, |body| body.live)
    }

    /// I6: a run that is not over can go on.
    fn check_progress(&mut self) {
        let is_over = matches!(self.phase, Phase::Ended | Phase::Halted | Phase::Stopping);
        let can_go_on = self.live() > 0
            || !self.ready.is_empty()
            || !self.timers.is_empty()
            || self.phase == Phase::Concluding
            || self.outbox.is_waiting();
        if !is_over && !can_go_on {
            let open = self.frames.get(self.body).map_or(0, |body| body.open);
            self.halt(Violation {
                invariant: "I6 a run that is not over can go on",
                seen: format!("{open} nodes of the body are open and nothing is under way"),
            });
        }
    }

    /// Stops for good: a bug was found.
    fn halt(&mut self, violation: Violation) {
        if self.phase != Phase::Halted {
            self.phase = Phase::Halted;
            self.outbox.discard();
            self.outbox.push(Action::Halt(violation));
        }
    }

    fn open_frame(&mut self, region: RegionId, owner: Option<Place>, index: u32) -> FrameId {
        let plan = self.plan.region(region);
        let fresh = |node: &NodeId| Instance {
            waits: self.plan.node(*node).waits,
            state: State::Blocked(Tries::default()),
        };
        let nodes: Vec<_> = plan.nodes.iter().map(fresh).collect();
        let open = nodes.len() - plan.inputs.len();
        let path = owner.map(|owner| self.frames.path_into(owner, index));
        self.frames.insert(Frame {
            region,
            owner,
            index,
            path,
            is_awake: false,
            open,
            live: 0,
            failure: None,
            nodes,
        })
    }
}

/// 64 well-mixed bits of a run's id.
fn seed(run: RunId) -> u64 {
    let bits = run.as_u128();
    let low = bits & u128::from(u64::MAX);
    mix(u64::try_from(bits >> 64).unwrap_or(0) ^ u64::try_from(low).unwrap_or(0))
}

/// Spreads every bit over all 64 (the finalizer of `SplitMix64`: Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", 2014).
const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
