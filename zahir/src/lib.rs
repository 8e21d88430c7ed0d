//! Durable workflows: ordinary async functions, composed into a graph that the compiler has checked,
//! run in parallel, and gone on with exactly where they stopped when the process is killed.
//!
//! - [`job`] makes a job of an async function; [`workflow!`] composes jobs.
//! - [`Runtime::open`] runs workflows and keeps their results in one file; [`Runtime::in_memory`] runs
//!   them without. Awaiting a call of a workflow runs it right there, as a test does.
//! - [`RunHandle`] is a run: its output, status, progress, events, and how to cancel it.
//! - [`guide`] explains [control flow](guide::control_flow), as branches, loops, waits and handlers of
//!   failures; [children](guide::children) that jobs spawn while they run; and
//!   [failure](guide::failure): retries, time-outs, effects and what undoes them, repairs, changes of
//!   code.
//! - [`Graph`] is a workflow as data, for petgraph, Graphviz or Mermaid, read without running anything.
//!
//! # What is promised
//!
//! | promise | exactly |
//! | --- | --- |
//! | What was acknowledged is not lost | When [`RunBuilder::start`], [`RunHandle::cancel`] or [`RunHandle::output`] returns `Ok`, its effect survives `kill -9` and loss of power, if the disk tells the truth about what it has synced. |
//! | What is recorded is not computed again | A job starts only when everything it rests on is on disk. It runs at least once, and, without a crash, exactly once; its result is recorded at most once. |
//! | A run ends or says why not | [`Runtime::recovered`] names every run that can't go on, the node and the reason. It is kept as it is. |
//! | Damage is told, not read | A damaged, foreign or newer file is refused with what to do about it, and nothing is overwritten. A damaged run leaves the others alone. The known exceptions are under "Limits" of `zahir-store`. |
//! | A job costs only itself | A job that fails or panics fails its run. The process and other runs go on. |
//! | Bounds are bounds | Jobs in flight, the size of a value, and what an event reader may lag behind are limited; an error names the limit. |
//!
//! Not promised: that side effects happen once (a job that was interrupted by a crash runs again: hand
//! [`Context::idempotency_key`] to services that take one), survival of a disk that lies, two processes
//! on one file.
//!
//! # Features
//!
//! | feature | what it adds | default |
//! | --- | --- | --- |
//! | `redb` | [`Runtime::open`]: runs in a redb file | yes |
//! | `test-util` | `Runtime::with_store`: runs in a store of your own, as tests need | no |

// So that the macros' default path works inside this crate, too.
#[cfg_attr(
    not(test),
    expect(unused_extern_crates, reason = "used by the expansions in tests only")
)]
extern crate self as zahir;

mod definition;
mod engine;
mod error;
mod event;
mod failure;
mod graph;
pub mod guide;
mod history;
mod job;
pub mod lockfile;
mod plan;
mod program;
mod race;
mod runtime;
mod signal;
mod value;
mod wire;
mod workflow;

pub use error::{Error, Halted, OpenError, RunError, RunErrorKind, SignalError, StartError};
pub use event::{EmittedValue, Event, EventKind, Events, Lost, NotDecoded};
pub use failure::Failure;
pub use graph::{Argument, Edge, Exit, Graph, Node, NodeKind, Region, RegionId};
pub use history::changes::Changes;
pub use history::revise::BlockedJob;
pub use job::again::Again;
pub use job::children::child::Child;
pub use job::children::error::{ChildError, JoinError};
pub use job::children::kind::{KindDef as Kind, SpawnedBy};
pub use job::children::later::Later;
pub use job::children::map::Map;
pub use job::context::Context;
pub use job::fatal::{Fatal, FatalExt, fatal};
pub use job::policy::{Backoff, FOREVER, Policy};
pub use job::{Call, Job, JobError, Options};
pub use race::{Race2, Race3, Race4, Race5, Race6, Race7, Race8};
pub use runtime::census::ChildCount;
pub use runtime::handle::{Progress, RunHandle};
pub use runtime::recovery::{OnChange, Problem, ProblemKind, Recovered, RecoveredRun};
pub use runtime::repair::{Repair, RepairError, RunRepair};
pub use runtime::start::RunBuilder;
pub use runtime::{Runtime, RuntimeBuilder};
pub use signal::{Signal, TimedOut};
pub use value::Payload;
pub use workflow::Workflow;

/// Makes a job of an async function.
///
/// ```
/// use zahir::{Context, job};
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # pub struct User { name: String }
/// # #[derive(Debug)] pub struct MailError;
/// # impl std::fmt::Display for MailError {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("down") }
/// # }
/// # impl std::error::Error for MailError {}
///
/// /// Sends the welcome mail.
/// #[job(retry = 3, backoff = 100ms..10s, timeout = 30s, tags = ["mail"])]
/// pub async fn send_mail(ctx: &Context, user: &User, text: &str) -> Result<usize, MailError> {
///     // The same key in every attempt, also after a restart.
///     let key = ctx.idempotency_key();
///     Ok(key.len() + user.name.len() + text.len())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// // Called like the function it is, as in a test.
/// let user = User { name: "Ada".to_owned() };
/// let sent = send_mail(&user, "Welcome!").await?;
/// assert!(sent > 11);
/// # Ok::<_, MailError>(())
/// # }).unwrap();
/// ```
///
/// What the function is called with and what it returns is stored, so it takes and gives owned data
/// that serde can write and read ([`Payload`]): parameters are `T`, `&T`, `&str` or `&[T]`, after an
/// optional `ctx: &Context`. It returns a plain value, or a `Result` (or an alias whose name ends in
/// `Result`) with any error that converts into `Box<dyn Error + Send + Sync>`. A job that may ask to be
/// run again later returns [`Again`] in place of the value; what it leaves for the next attempt is a
/// parameter `#[state] name: Option<S>`.
///
/// Calling `send_mail(&user, text)` makes a [`Call`]: awaiting it runs the body right there,
/// `.with(&ctx)` runs it with a context of your own, and in a [`workflow!`] it is a node.
/// `SendMail { user, text }` is the call as a value: it implements [`Job`] and serde's traits.
///
/// | option | meaning | default |
/// | --- | --- | --- |
/// | `retry = 3`, `retry = forever` | up to so many more attempts after a failure | 0 |
/// | `backoff = 100ms..10s` | the wait before the second attempt, doubled each time, and the longest | `100ms..30s` |
/// | `backoff = 5s`, `backoff = [1s, 10s, 1m]` | always the same wait; one after the other, and then always the last | |
/// | `backoff = waits` | what `fn(u32) -> Duration` says, given how many attempts in a row have failed | |
/// | `retry_if = is_busy` | after which errors to try again: `fn(&E) -> bool` | all but a [`Fatal`] |
/// | `timeout = 30s` | an attempt that takes longer has failed | none |
/// | `total_timeout = 5m` | the same for all attempts together, with the waits between them | none |
/// | `check = is_payable` | refuses inputs before every attempt: `fn(&A, &B) -> Result<(), E>`, given all of them by reference. What is refused is not tried again | none |
/// | `verify = adds_up` | refuses an output: `fn(&T) -> Result<(), E>`. The attempt has failed, and is followed by another one as `retry` says | none |
/// | `recover = pay_later` | the job that takes over when this one has failed for good | none |
/// | `undo = refund` | the job that undoes the result when the run fails or is cancelled after it | none |
/// | `no_undo` | says that nothing has to be undone, for a workflow that is a `#[saga]` | |
/// | `at_most_once` | it is never started a second time. If the process dies meanwhile, it has failed | at least once |
/// | `pure` | it has no effect, so it may be computed again, and there is nothing to undo | |
/// | `cache = 1h` | with `pure`: other runs are given the result, too, for so long | not |
/// | `once` | for the same inputs it succeeds once, whatever the run; other runs are given the result | once a run |
/// | `once_by = \|order\| order.id` | the same for the same key: `fn(&A, &B) -> K`, where serde can write a `K` | |
/// | `spawns(fetch_page, crawl)` | the jobs and workflows that it may spawn while it runs, by their functions or types; also itself | none |
/// | `tags = ["mail"]` | words to find the job by | none |
/// | `version = 2` | raise it when older results are no longer valid | 0 |
/// | `name = "mail::send"` | what stored runs know the job by | its module path and name |
/// | `crate = app::zahir` | where this crate is, if it is not `::zahir` | `::zahir` |
///
/// Durations are whole numbers with a unit: `us`, `ms`, `s`, `m`, `h`, `d`, as in `1h30m`. A function
/// is named by its path, or is a closure: `check = |order| ..`.
///
/// # Recovery
///
/// The job that `recover` names takes what went wrong, and then the same inputs; it gives the same
/// output. If the first is `&E`, the error of the job itself ([`Payload`]), it takes over for these
/// errors only, and not for a panic or a time-out. If it is `&`[`Failure`], it takes over whatever has
/// failed. Its own `retry`, `backoff`, time-outs, `retry_if`, `check` and `verify` hold for it. If it
/// fails, too, both have failed.
///
/// The job that `undo` names takes the same inputs, and then the output, by reference. What it gives is
/// not looked at. Its own options hold for it, too.
///
/// ```
/// use zahir::job;
///
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # pub struct Order { id: u64, cents: u64 }
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # pub struct Receipt { id: u64 }
/// # #[derive(Debug, serde::Serialize, serde::Deserialize)] pub enum BankError { Busy, Declined }
/// # impl std::fmt::Display for BankError {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("no") }
/// # }
/// # impl std::error::Error for BankError {}
/// fn is_payable(order: &Order) -> Result<(), String> {
///     match order.cents {
///         0 => Err(format!("order {} is free", order.id)),
///         _ => Ok(()),
///     }
/// }
///
/// #[job(
///     retry = 5,
///     retry_if = |error| matches!(error, BankError::Busy),
///     check = is_payable,
///     recover = send_bill,
///     undo = refund,
/// )]
/// async fn charge(order: &Order) -> Result<Receipt, BankError> {
///     # let error = BankError::Declined;
///     // ..
///     # if order.cents > 1000 { Err(error) } else {
///     Ok(Receipt { id: order.id })
///     # }
/// }
///
/// #[job]
/// async fn send_bill(error: &BankError, order: &Order) -> Receipt {
///     // .. when the bank has declined, and after six times busy
///     # let _ = error;
///     Receipt { id: order.id }
/// }
///
/// #[job(retry = forever)]
/// async fn refund(order: &Order, receipt: &Receipt) {
///     // ..
///     # let _ = (order, receipt);
/// }
/// ```
///
/// [The guide](guide::failure) says what is tried again, what counts for a time-out, and what a restart
/// finds of all this.
///
/// # Children
///
/// A job may call other jobs and workflows while it runs: [`Context::spawn`] makes such a call a child,
/// one more job of the run. What may be spawned is declared, as a restart finds a child again through
/// the job that spawned it: a call of anything else doesn't compile. A job that is named here may be
/// one of another crate, an instance of a generic job, `load::<Ticket>`, or the job itself.
///
/// ```
/// use zahir::{Context, job};
///
/// #[job(retry = 3)]
/// async fn longest_word(chapter: &str) -> String {
///     let words = chapter.split_whitespace();
///     words.max_by_key(|word| word.len()).unwrap_or_default().to_owned()
/// }
///
/// #[job]
/// async fn report(title: &str, words: &[String]) -> String {
///     format!("{title}: {}", words.join(", "))
/// }
///
/// /// One child for each chapter, and one that makes a report of what they give.
/// #[job(spawns(longest_word, report))]
/// async fn read_book(ctx: &Context, book: &str) -> String {
///     let chapters = book.split("\n\n");
///     let words: Vec<_> = chapters.map(|chapter| ctx.spawn(longest_word(chapter))).collect();
///     ctx.continue_as(Report::of("longest words", words)).await
/// }
///
/// # zahir::workflow! { async fn read(book: String) -> String { read_book(&book) } }
/// # assert_eq!(Read::graph().nodes()[1].spawns().len(), 2);
/// ```
///
/// `Report::of(..)` exists for each job and workflow: the call as soon as its inputs are there, each
/// given by value, by a [`Child`], or, for a list, by a `Vec` of children.
///
/// In a job that spawns others, `ctx` is the context of that job: a function that spawns for it takes a
/// `&Context<ReadBook>`. `spawns` can't stand beside `pure` (what is spawned is an effect), `once`,
/// `once_by` (other runs would be given the result without what is spawned for it) or `at_most_once`
/// (a job that waited for its children is started again after a restart, to be told of them); and a job
/// that spawns others neither takes over for a job nor undoes one.
pub use zahir_macros::job;
pub use zahir_store::{
    FailureKind, RunHead, RunId, RunStatus, StoreError, StoreErrorKind, Timestamp,
};

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

/// Declares a workflow: a graph of jobs, written like the async function it replaces.
///
/// ```
/// use zahir::{job, workflow};
///
/// #[job]
/// async fn chapters(book: &str) -> Vec<String> {
///     book.split("\n\n").map(str::to_owned).collect()
/// }
///
/// #[job(retry = 3)]
/// async fn longest_word(chapter: &str) -> String {
///     let words = chapter.split_whitespace();
///     words.max_by_key(|word| word.len()).unwrap_or_default().to_owned()
/// }
///
/// #[job]
/// async fn report(words: &[String], letters: usize) -> String {
///     format!("{} ({letters})", words.join(", "))
/// }
///
/// workflow! {
///     /// The longest word of every chapter of a book.
///     pub async fn longest_words(book: String) -> String {
///         let chapters = chapters(&book);
///         let words = for chapter in chapters {      // one item per chapter, in parallel
///             longest_word(&chapter).timeout(30s)
///         };
///         let letters = words.iter().map(|word| word.len()).sum::<usize>();
///         report(&words, letters)
///     }
/// }
///
/// // Read without running anything.
/// let graph = LongestWords::graph();
/// let names: Vec<&str> = graph.nodes().iter().map(|node| node.name()).collect();
/// assert_eq!(
///     names,
///     ["book", "chapters", "words", "chapter", "longest_word", "letters", "report"],
/// );
/// ```
///
/// `longest_words(book)` is the call: awaiting it runs the workflow in memory. `LongestWords` is its
/// type.
///
/// Each call of a job is a node, named after its variable or else its job. Names tell the nodes of a
/// stored run apart, so no two variables of one scope share a name. A node starts as soon as the
/// values it uses are there, whatever is written above it. A value is owned by the run
/// and shared by all that use it: `x` hands over a copy, `&x` lends it, and nothing can change it.
///
/// | what | meaning |
/// | --- | --- |
/// | `let x = job(&a, b, c.id + 1);` | a node; arguments are any Rust over earlier values, calls of other jobs included |
/// | `job(&a);` | a node that is run for its effect |
/// | `let (a, b) = job(..);` | a node, and names for parts of its value |
/// | `let n = a.len() + 1;` | a pure value: ordinary Rust, computed where it is needed, never stored |
/// | `pure(shout(&a))` | says that a plain function is meant, and no job |
/// | `for item in list { .. }` | the body once per item, all at once; the results in item order. A body that ends with `;` has none |
/// | `for (i, item) in list.into_iter().enumerate() { .. }` | anything that can be iterated over, any pattern |
/// | `#[limit(8)] for ..` | at most so many items at once |
/// | `{ let a = ..; job(&a) }` | a scope for names |
/// | `if`, `else if`, `if let .. && ..`, `match` with guards | a branch: only the jobs of the arm that is taken run |
/// | `let mut x = ..; x = job(&x); x += 1;` | a variable that changes: what uses it uses the value it has there |
/// | `loop`, `while`, `while let`, `break value`, `continue` | one round after another |
/// | `#[max(5)] loop ..` | at most so many rounds, or the run fails; `#[max(5, or_last)]` goes on behind the loop instead |
/// | `return value` | ends the workflow with this value, from anywhere, a `for` included |
/// | `job(..).after(x)`, `.after((x, y))` | waits for nodes whose values it does not need |
/// | `.retry(3)`, `.retry(forever)` | up to so many more attempts after a failure, whatever the job says |
/// | `.backoff(1s..1m)`, `.backoff(5s)`, `.backoff([1s, 10s, 1m])` | the waits between attempts: doubled up to the longest; always the same; one after the other, then always the last |
/// | `.timeout(30s)`, `.total_timeout(5m)` | how long an attempt may take; how long all attempts may, with the waits between them |
/// | `.named("welcome mail")` | the node's name |
/// | `other_workflow(a)` | a node, too; its graph is nested. It may be the workflow itself |
/// | `#[saga] async fn ..` | each job that is called, or that one of these may spawn, can be undone, or says that it need not be, else the workflow doesn't compile; each workflow that is called or spawned is a saga, too |
/// | `job(..).result()`, `{ .. }.result()` | a `Result`: a failure becomes data, for `match` |
/// | `.rescue(\|err\| refund(&err))` | if it fails for good, the value of the handler; of the same type |
/// | `.finally(release(&seat))` | always runs behind it, whether it succeeds, fails, is rescued or cancelled; sees what is around it only. If it fails, all of it has failed |
/// | `sleep(30s);`, `sleep_until(due);` | waits, across restarts, too: what is above it in its block comes before, what is below it comes behind |
/// | `signal::<Approval>("approve")` | waits for a value from outside ([`RunHandle::signal`]); its [`Signal`] is `Onboard::APPROVE` |
/// | `signal::<T>("name").timeout(1h)` | a `Result<T, TimedOut>` ([`TimedOut`]) |
/// | `race((job(a), sleep(1h), { .. }))` | the value of the first of 2 to 8 entries to end, in an enum with a variant for each ([`Race2`]); the others are cancelled. An entry that fails first fails the race |
///
/// A handler directly behind a call of a job is given the error that the job returned, if that can
/// be stored ([`Payload`]); it does not catch what is no such error, as a panic or a time-out. In
/// all other cases (a block, a called workflow, a job with another error type) it is given a
/// [`Failure`], of whatever kind. Handlers can be chained, the leftmost is innermost, and nested.
/// Calls in the arguments of a call are outside of what its handlers handle. In a handler, variables
/// are what they were before what it handles: that has assigned nothing if it fails.
///
/// `if` and `match` are ordinary Rust, computed in place, as long as there are no jobs, assignments
/// or ways out in their arms. What a pattern binds stands for a part of the value it was matched
/// with. What is written below a branch or loop that may `return`, `break` or `continue` waits for
/// it. The rounds of a `for` run at the same time, so a body can't assign what is declared around it,
/// and there is no `break` out of it.
///
/// The guide shows each of these at work, and what a restart finds of it:
/// [control flow](guide::control_flow), [failure](guide::failure).
#[macro_export]
macro_rules! workflow {
    ($($body:tt)*) => {
        $crate::__private::workflow! { $crate $($body)* }
    };
}

#[cfg(doctest)]
#[doc = include_str!(concat!("../", env!("CARGO_PKG_README")))]
struct ReadmeDoctests;
