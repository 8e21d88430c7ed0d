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
//! # Regions
//!
//! A region of a workflow (a body, an arm, a round of a loop, a handler ..) that is entered is a
//! [`frame`]. [`branches`] has what decides and leaves, [`blocks`] what handles failure, [`races`],
//! [`waits`] and [`items`] what their names say. A child of a job is a frame, too: [`children`],
//! what an attempt does for it [`spawning`] and [`parking`], and what becomes of it [`bonds`] and
//! [`heirs`]. [`stopping`] is how failure and cancellation
//! spread, [`undoing`] what happens before a run ends because of them.
//!
//! # Recovery
//!
//! Records are replayed, each as the change of state that made it, in frames that are opened as
//! records speak of them. Then the body is woken, and what is pure, and so not on record, is
//! computed again; each frame that had begun is woken when that has come to it. In a frame that has
//! stopped only what is pure goes on: that is how a `finally` inside it is found again.
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
//!   One that is parked is not live.
//! - **I6** A run that is not over has something under way, something ready, a timer, a wait for a
//!   signal, or records on their way.
//! - **I7** A frame is opened, left and closed by a node that has the region, or is its parent.
//! - **I8** No more attempts start than were granted.
//! - **I10** A timer never fires before its deadline.
//! - **I16** A report of an attempt that is not live changes nothing.
//! - **I18** After a cancel is on record, nothing starts but the `finally`s that are owed.
//! - **I21** Time does not go back.
//! - **I22** A job spawns only kinds that it lists, and waits for, or bequeaths, only children that it
//!   holds.
//! - **I23** A child keeps the frame that its parent is in open until it is over, which is once.

mod action;
mod advance;
mod attempts;
mod blocks;
mod bonds;
mod branches;
mod calls;
mod children;
mod deadlines;
mod ending;
mod frame;
mod heirs;
mod items;
mod outbox;
mod parents;
mod parking;
mod races;
mod replay;
mod report;
mod spawning;
mod state;
mod stopping;
mod tally;
#[cfg(test)]
mod tests;
mod undoing;
mod waits;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use zahir_store::{Failure, NodeId, Position, Record, RunId, RunStart, Timestamp};

use crate::plan::{Plan, PlanKind, RegionId, SignalId};
use frame::{Frame, FrameId, Frames};
use outbox::Outbox;
use state::{Change, Instance, State, Tries};
use tally::Tallies;
use undoing::Undoing;
use waits::Mailboxes;

pub(crate) use action::{
    Action, Caught, ChildEnd, Evaluation, KeptValue, Refusal, Violation, Work,
};
pub(crate) use blocks::can_be_handled;
pub(crate) use bonds::NUMBERS_MAX;
pub(crate) use calls::Calls;
pub(crate) use children::ChildrenMax;
pub(crate) use frame::Place;
pub(crate) use replay::{RecoverError, Stored, last_attempt};
pub(crate) use report::{AttemptOutcome, Evaluated, Extra, Report, Verdict};
pub(crate) use tally::Tally;
pub(crate) use waits::SIGNALS_MAX;

/// One run. `V` is a value that flows between nodes, which the engine never looks into.
#[derive(Debug)]
pub(crate) struct Engine<V> {
    plan: Arc<Plan>,
    /// Where the jitter of retries comes from.
    seed: u64,
    /// The value of a region that ends without one.
    unit: V,
    now: Timestamp,
    /// What the body is given when the run begins.
    inputs: Vec<V>,
    frames: Frames<V>,
    body: FrameId,
    /// Node instances that wait for a slot, in the order they became ready; and some that did and
    /// were taken back.
    ready: VecDeque<Place>,
    /// How many wait.
    ready_count: usize,
    /// Those that wait for the lane first: their next crash would be their last.
    suspects: VecDeque<Place>,
    /// The last of them that was let in.
    in_lane: Option<Place>,
    /// How many crashes a job may have.
    crashes_max: u32,
    /// Those that were under way when the process died, in frames that have stopped since: they run
    /// to their end.
    owed: BTreeSet<Place>,
    /// Attempts that wait for children, and hold no slot.
    parked: BTreeSet<Place>,
    /// How many children were spawned, and how many may be.
    spawned: usize,
    children_max: ChildrenMax,
    /// How many children there are, folded.
    tallies: Tallies,
    /// What became possible and is not done yet.
    tasks: VecDeque<Task>,
    /// Signals that came, or that somebody waits for now.
    letters: BTreeSet<SignalId>,
    /// Frames that have stopped and in which something ended, the innermost first.
    settling: BTreeSet<(Reverse<usize>, FrameId)>,
    /// `for`s, and jobs with children, that may open another frame, the last opened first: what is
    /// begun is finished before more is begun.
    going: Vec<Place>,
    /// When node instances that wait for a time are due.
    timers: BTreeSet<(Timestamp, Place)>,
    /// When all attempts of a job together have to be over.
    deadlines: BTreeSet<(Timestamp, Place)>,
    /// How long the run may take, if it is new.
    timeout: Option<Duration>,
    /// Since when, and until when, the run may take its time.
    run_deadline: Option<(Timestamp, Timestamp)>,
    /// Set when that is over: how the run fails.
    expired: Option<Failure>,
    undoing: Undoing,
    /// The arguments that the next record, of a result, belongs to.
    arguments: Option<(Position, Arc<[u8]>)>,
    /// How many evaluations are under way.
    evaluating: usize,
    mailboxes: Mailboxes,
    phase: Phase,
    /// Whether a cancel is on record.
    is_cancelled: bool,
    outbox: Outbox<V>,
    /// The error that the next record, of a failed attempt, belongs to.
    kept: Option<(Position, V)>,
    /// Frames that replay rebuilt and whose inputs are not there yet, by owner and index.
    replayed: BTreeMap<(Place, u32), FrameId>,
    progress: Progress,
}

/// Where a run is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Records are being replayed: nothing is started and nothing is handed out.
    Replaying,
    /// Under way.
    Going,
    /// Its output is being encoded.
    Concluding,
    /// It has failed or was cancelled, and what it did is being undone.
    Undoing,
    /// The process is about to end.
    Stopping,
    /// Its end is on record.
    Ended,
    /// An invariant was broken.
    Halted,
}

/// Something that became possible.
#[derive(Clone, Copy, Debug)]
enum Task {
    /// Perhaps everything a node needs is there.
    Unblock(Place),
    /// All that a node comes behind is there, which has its result already.
    Release(Place),
    /// Perhaps nothing more is to be expected of a frame.
    Finish(FrameId),
    /// A loop may begin its next round.
    Round(Place),
    /// A job whose attempt died with the process can't be tried again.
    Lose(Place),
    /// The frame of a job with children is awake.
    RouseChildren(Place),
    /// A child has failed, in replay.
    EndChild(FrameId),
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Jobs that have their result.
    pub(crate) done: u64,
    /// Jobs under way.
    pub(crate) running: u64,
    /// All jobs that are known of so far, but for those that will not run; grows as regions are
    /// entered.
    pub(crate) known: u64,
    /// Jobs that will not run: in arms that were not taken, and behind what was left.
    pub(crate) skipped: u64,
}

impl<V: Clone> Engine<V> {
    /// A run that is new, and goes on with [`Engine::begin`]. `unit` is the value of a region that has
    /// none.
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
        engine.inputs = inputs;
        engine
    }

    /// The process may die so often during attempts of a job.
    pub(crate) const fn with_crashes_max(mut self, crashes_max: u32) -> Self {
        self.crashes_max = crashes_max;
        self
    }

    /// There may be so many children.
    pub(crate) const fn with_children_max(mut self, children_max: ChildrenMax) -> Self {
        self.children_max = children_max;
        self
    }

    /// A run that is new has so long until it ends.
    pub(crate) const fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// The latest moment that it was told of; after a recovery, of those on record.
    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Lets a run that is new, or was recovered, go on: what waits for a time waits from now on.
    pub(crate) fn begin(mut self, now: Timestamp) -> Self {
        self.now = self.now.max(now);
        if self.undoing.has_begun() {
            self.tallies.is_partial = true;
            self.go_on_undoing();
            return self;
        }
        if let Some(timeout) = self.timeout {
            self.set_run_deadline(timeout);
        }
        let inputs = std::mem::take(&mut self.inputs);
        self.wake(self.body, inputs);
        self.go_on();
        self
    }

    fn new(plan: Arc<Plan>, run: RunId, unit: V, outbox: Outbox<V>) -> Self {
        let mut engine = Self {
            seed: seed(run),
            unit,
            now: Timestamp::default(),
            inputs: Vec::new(),
            frames: Frames::new(),
            // Replaced right below by the body's own frame.
            body: FrameId::NONE,
            ready: VecDeque::new(),
            ready_count: 0,
            suspects: VecDeque::new(),
            in_lane: None,
            crashes_max: u32::MAX,
            owed: BTreeSet::new(),
            parked: BTreeSet::new(),
            spawned: 0,
            children_max: ChildrenMax::NONE,
            tallies: Tallies::default(),
            tasks: VecDeque::new(),
            letters: BTreeSet::new(),
            settling: BTreeSet::new(),
            going: Vec::new(),
            timers: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            timeout: None,
            run_deadline: None,
            expired: None,
            undoing: Undoing::new(plan.nodes.iter().any(|node| node.undo.is_some())),
            arguments: None,
            evaluating: 0,
            mailboxes: Mailboxes::new(plan.signals.len()),
            phase: Phase::Replaying,
            is_cancelled: false,
            outbox,
            kept: None,
            replayed: BTreeMap::new(),
            progress: Progress::default(),
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
            Report::LaneGranted => self.enter_lane(),
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
            Report::SignalReceived {
                signal,
                payload,
                ticket,
            } => self.take_signal(signal, payload, ticket),
            Report::Parked {
                place,
                attempt,
                spawned,
                waits,
            } => self.park(place, attempt, spawned, &waits),
            Report::Woken { place, attempt } => self.rouse_parked(place, attempt),
            Report::ValueKept {
                place,
                attempt,
                name,
                value,
            } => self.keep_value(place, attempt, &name, value),
            Report::ShutdownRequested => self.shut_down(),
        }
        self.go_on();
    }

    /// Does everything that became possible. What stopped is settled when nothing else is left to
    /// be done.
    fn go_on(&mut self) {
        while !matches!(self.phase, Phase::Ended | Phase::Halted) {
            if let Some(task) = self.tasks.pop_front() {
                self.run_task(task);
                continue;
            }
            if let Some((due, place)) = self.deadlines.first().copied()
                && due <= self.now
            {
                self.deadlines.pop_first();
                self.pass_deadline(place);
                continue;
            }
            if self.open_next_frame() {
                continue;
            }
            if let Some(signal) = self.letters.pop_first() {
                self.deliver(signal);
            } else if let Some((_, frame)) = self.settling.pop_first() {
                self.settle_now(frame);
            } else {
                return;
            }
        }
    }

    /// Takes in that it is `now`: whatever is due goes on.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if let Some((since, due)) = self.run_deadline
            && due <= self.now
            && self.phase == Phase::Going
        {
            self.pass_run_deadline(since, due);
        }
        while let Some((due, place)) = self.timers.first().copied()
            && due <= self.now
        {
            self.timers.pop_first();
            if let Some(number) = place.frame.undo() {
                self.rouse_undo(number, place);
                continue;
            }
            match self.instance(place).map(|instance| &instance.state) {
                Some(State::Backoff(..)) => {
                    self.change(place, Change::Due);
                    self.unblock_if_free(place);
                }
                Some(State::Sleeping(_)) => self.complete(place, self.unit.clone()),
                Some(State::Waiting(_)) => self.expire(place),
                _ => {}
            }
        }
        self.go_on();
    }

    /// When [`Engine::handle_timeout`] wants to be called next.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let timer = self.timers.first().map(|(due, _)| *due);
        let deadline = self.deadlines.first().map(|(due, _)| *due);
        let run = self.run_deadline.map(|(_, due)| due);
        let run = run.filter(|_| self.phase == Phase::Going);
        timer.into_iter().chain(deadline).chain(run).min()
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
        if matches!(self.phase, Phase::Going | Phase::Undoing) {
            self.ready_count
        } else {
            0
        }
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
        let is_quiet = self.live() == 0 || self.undoing.has_begun();
        is_quiet && self.undoing.running() == 0 && !self.outbox.is_waiting()
    }

    fn live(&self) -> usize {
        self.frames.get(self.body).map_or(0, |body| body.live)
    }

    /// I6: a run that is not over can go on.
    fn check_progress(&mut self) {
        let is_over = matches!(self.phase, Phase::Ended | Phase::Halted | Phase::Stopping);
        let can_go_on = self.live() > 0
            || self.undoing.active() > 0
            || self.ready_count > 0
            || !self.suspects.is_empty()
            || !self.timers.is_empty()
            || self.mailboxes.has_listeners()
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
        let is_given = |node: &&NodeId| {
            matches!(
                self.plan.node(**node).kind,
                PlanKind::Input | PlanKind::Assigned
            )
        };
        let open = nodes.len() - plan.nodes.iter().filter(is_given).count();
        let each = owner.map(|owner| self.plan.node(owner.node).kind);
        if !matches!(each, Some(PlanKind::Each { .. } | PlanKind::Job)) {
            // Those of items and children were counted with these.
            self.progress.known += plan.jobs;
        }
        let mut frame = Frame::new(region, open, nodes);
        frame.owner = owner;
        frame.index = index;
        frame.stop = owner.and_then(|owner| self.stop_inside(owner, index));
        frame.path = owner.map(|owner| self.frames.path_into(owner, index));
        self.frames.insert(frame)
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
