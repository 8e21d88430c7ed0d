//! Kinds: what a job may spawn, as `spawns(..)` says.
//!
//! A kind is described where it is declared. There rustc knows its types, also whether its error can
//! be kept for whoever awaits the child.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use crate::graph::Graph;
use crate::job::stored::Few;
use crate::job::{Call, Job, JobDef};
use crate::value::CodecError;
use crate::wire::Description;
use crate::workflow::WorkflowDef;

/// A job or workflow that a job may spawn; see [`Node::spawns`](crate::Node::spawns).
#[derive(Clone, Copy)]
pub struct KindDef {
    /// Its type.
    pub(crate) ty: TypeId,
    /// What its node is: a job or a workflow.
    pub(crate) description: Description,
}

impl KindDef {
    /// The kind of this type.
    pub(crate) fn new<J: Job>(description: Description) -> Self {
        Self {
            ty: TypeId::of::<J>(),
            description,
        }
    }

    /// The name of the job or workflow.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.job(), self.workflow()) {
            (Some(job), _) => job.name,
            (None, Some(called)) => called.name,
            (None, None) => "",
        }
    }

    /// The graph of the workflow, if it is one.
    #[must_use]
    pub fn subgraph(&self) -> Option<&'static Graph> {
        self.workflow().map(|called| (called.graph)())
    }

    /// What it may spawn itself, by name; nothing, if it is a workflow, in which only jobs do.
    #[must_use]
    pub fn spawns(&self) -> Vec<Self> {
        self.job().map_or_else(Vec::new, |job| (job.kinds)())
    }

    pub(crate) const fn job(&self) -> Option<&JobDef> {
        if let Description::Job(job) = &self.description {
            Some(job)
        } else {
            None
        }
    }

    pub(crate) const fn workflow(&self) -> Option<WorkflowDef> {
        if let Description::Workflow(called) = &self.description {
            Some(*called)
        } else {
            None
        }
    }

    /// Changes with its name, version and types.
    pub(crate) fn fingerprint(&self) -> u64 {
        match (self.job(), self.workflow()) {
            (Some(job), _) => job.fingerprint,
            (None, Some(called)) => called.fingerprint,
            (None, None) => 0,
        }
    }

    /// The graph that a child is a frame of: this job or workflow, and nothing else.
    pub(crate) fn graph(&self) -> &'static Graph {
        // Held for look-ups and insertions only.
        static GRAPHS: Mutex<Option<HashMap<(TypeId, bool), &'static Graph>>> = Mutex::new(None);
        let keeps_error = self.job().is_some_and(|job| job.error.is_some());
        let mut graphs = GRAPHS.lock().unwrap_or_else(PoisonError::into_inner);
        let known = graphs.get_or_insert_default();
        known
            .entry((self.ty, keeps_error))
            .or_insert_with(|| Box::leak(Box::new(Graph::of_kind(self))))
    }
}

/// What these jobs may spawn, directly or not, each once, by name. What the jobs in a workflow may
/// spawn is a matter of that workflow.
pub(crate) fn reachable<'j>(jobs: impl Iterator<Item = &'j JobDef>) -> Vec<KindDef> {
    let mut found = BTreeMap::new();
    let mut open: Vec<KindDef> = jobs.flat_map(|job| (job.kinds)()).collect();
    while let Some(kind) = open.pop() {
        if !found.contains_key(kind.name()) {
            open.extend(kind.spawns());
            found.insert(kind.name(), kind);
        }
    }
    found.into_values().collect()
}

impl fmt::Debug for KindDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KindDef").field(&self.name()).finish()
    }
}

/// A job or workflow. The lifetime is there for bounds to hide behind, as in
/// [`StoredInput`](crate::job::arguments::StoredInput).
pub trait Declarable<'a>: Job {}

impl<J: Job> Declarable<'_> for J {}

/// Named by `spawns(..)` of the job `P`. Implemented by the macro.
pub trait Declared<P>: Job {
    /// What it is.
    fn kind() -> KindDef;

    /// The inputs of a call.
    ///
    /// # Errors
    ///
    /// If one of them can't be written.
    fn encode(args: &Self::Args<'_>) -> Result<Vec<u8>, CodecError>;
}

/// The kind `K` of the job `P`: `Declares::<P, K>::kind()`. Where `K` is no job, which is reported
/// where it is named, [`Undeclared`] is found.
#[derive(Debug)]
pub struct Declares<P, K>(PhantomData<(P, K)>);

impl<P, K: Declared<P>> Declares<P, K> {
    /// What it is.
    #[must_use]
    pub fn kind() -> Option<KindDef>
    where
        for<'a> K::Args<'a>: Few,
    {
        Some(K::kind())
    }
}

/// For all other types; has to be in scope.
pub trait Undeclared {
    /// It is nothing.
    #[must_use]
    fn kind() -> Option<KindDef> {
        None
    }
}

impl<P, K> Undeclared for Declares<P, K> {}

/// The kinds of a job, by name: in which order they are written does not matter.
#[must_use]
pub fn declared<const N: usize>(kinds: [Option<KindDef>; N]) -> Vec<KindDef> {
    let mut kinds: Vec<KindDef> = kinds.into_iter().flatten().collect();
    kinds.sort_by_key(KindDef::name);
    kinds
}

/// A call of the job or workflow `C`.
#[diagnostic::on_unimplemented(
    message = "this is not a call of a job",
    label = "expected a call of a `#[job]` function or of a workflow, found `{Self}`",
    note = "put `#[job]` on the function, and spawn a call of it: `ctx.spawn(the_job(..))`; what is no job can be awaited right here"
)]
pub trait SpawnCall<'c, C: Job> {
    #[doc(hidden)]
    fn into_call(self) -> Call<'c, C>;
}

#[diagnostic::do_not_recommend]
impl<'c, C: Job> SpawnCall<'c, C> for Call<'c, C> {
    fn into_call(self) -> Self {
        self
    }
}

/// Demanded of a function that makes calls of `C`: that what it gives, a `K`, is one. Every type is
/// asked only about `K`, so that rustc points at the function.
///
/// Every type has what such a trait has, and rustc proposes it where a name like it is missing. So it has
/// names that are like none of the user's.
#[diagnostic::on_unimplemented(
    message = "this gives no call of a job",
    label = "gives a `{K}`; expected a call of a `#[job]` function or of a workflow",
    note = "write `ctx.map(items, |item| the_job(item))`: the call itself, neither spawned nor awaited"
)]
pub trait Calls<'c, C: Job, K> {
    #[doc(hidden)]
    fn __call_that_is_made(made: K) -> Call<'c, C>;
}

#[diagnostic::do_not_recommend]
impl<'c, C: Job, K: SpawnCall<'c, C>, F> Calls<'c, C, K> for F {
    fn __call_that_is_made(made: K) -> Call<'c, C> {
        made.into_call()
    }
}

/// A job or workflow that the job `P` may spawn.
///
/// `#[job(spawns(..))]` on `P` implements this for each job and workflow that it names.
#[diagnostic::on_unimplemented(
    message = "`{P}` spawns `{Self}` without declaring it",
    label = "`{Self}` is not in the `spawns(..)` of `{P}`",
    note = "add it to those of `{P}`, as in `#[job(spawns({Self}))]`, so that it is found again after a restart"
)]
pub trait SpawnedBy<P>: Job {
    #[doc(hidden)]
    fn declaration() -> Declaration<Self>;
}

#[diagnostic::do_not_recommend]
impl<P, K: Declared<P>> SpawnedBy<P> for K {
    fn declaration() -> Declaration<Self> {
        Declaration {
            kind: K::kind(),
            encode: K::encode,
        }
    }
}

/// Demanded of what the job `P` spawns: that it declares the job or workflow `C`, of which this is a
/// call, or a function that makes calls. Every type is asked only about `C`, so that rustc points at
/// the call, and says nothing more of what is none.
#[diagnostic::on_unimplemented(
    message = "`{P}` spawns `{C}` without declaring it",
    label = "`{C}` is not in the `spawns(..)` of `{P}`",
    note = "add it to those of `{P}`, as in `#[job(spawns({C}))]`, so that it is found again after a restart"
)]
pub trait SpawnedAs<P, C: Job> {
    #[doc(hidden)]
    fn __declaration_of_call() -> Declaration<C>;
}

#[diagnostic::do_not_recommend]
impl<P, C: SpawnedBy<P>, T> SpawnedAs<P, C> for T {
    fn __declaration_of_call() -> Declaration<C> {
        C::declaration()
    }
}

/// The kind of this call of the job `P`.
pub(crate) fn declaration_of<P, C: Job, T: SpawnedAs<P, C>>(_: &T) -> Declaration<C> {
    T::__declaration_of_call()
}

/// What is known of a kind where it is declared.
pub struct Declaration<C: Job> {
    pub(crate) kind: KindDef,
    /// The inputs of a call.
    pub(crate) encode: fn(&C::Args<'_>) -> Result<Vec<u8>, CodecError>,
}

impl<C: Job> fmt::Debug for Declaration<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

/// Demanded of what is spawned where nothing can be; asked as [`SpawnedAs`] is.
#[diagnostic::on_unimplemented(
    message = "`{C}` can't be spawned here: the job declares no `spawns(..)`",
    label = "spawned by a job that declares nothing",
    note = "write `#[job(spawns({C}))]` before the job, so that it is found again after a restart",
    note = "a function that spawns for a job takes the context of that job: `ctx: &Context<TheJob>`"
)]
pub trait SpawnedByNone<C>: Sized {
    #[doc(hidden)]
    fn __spawned_by_none<T>(this: Self) -> T;
}

#[diagnostic::do_not_recommend]
impl<C: Spawnable, T> SpawnedByNone<C> for T {
    fn __spawned_by_none<R>(this: Self) -> R {
        C::none(this)
    }
}

/// What can be spawned by any job: nothing implements it.
pub trait Spawnable: Job {
    #[doc(hidden)]
    fn none<A, T>(_: A) -> T;
}
