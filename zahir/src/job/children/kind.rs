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
use crate::job::stored::INPUTS_MAX;
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
    /// That its inputs are not too many.
    pub const FITS: () = assert!(
        K::STORED.len() <= INPUTS_MAX,
        "a job or workflow with more than 24 inputs can't be spawned: make one `struct` of some of them"
    );

    /// What it is.
    #[must_use]
    pub fn kind() -> Option<KindDef> {
        Some(K::kind())
    }
}

/// For all other types; has to be in scope.
pub trait Undeclared {
    /// It has no inputs.
    const FITS: () = ();

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

/// Demanded of what the job `P` spawns: that it declares it.
///
/// `#[job(spawns(..))]` on `P` implements this for each job and workflow that it names.
#[diagnostic::on_unimplemented(
    message = "`{P}` spawns `{Self}` without declaring it",
    label = "`{Self}` is not in the `spawns(..)` of `{P}`",
    note = "write `{Self}` into the `#[job(spawns(..))]` of `{P}`, so that it is found again after a restart"
)]
pub trait SpawnedBy<P>: Job {
    #[doc(hidden)]
    fn kind() -> KindDef;

    #[doc(hidden)]
    fn encode(args: &Self::Args<'_>) -> Result<Vec<u8>, CodecError>;
}

#[diagnostic::do_not_recommend]
impl<P, K: Declared<P>> SpawnedBy<P> for K {
    fn kind() -> KindDef {
        <K as Declared<P>>::kind()
    }

    fn encode(args: &Self::Args<'_>) -> Result<Vec<u8>, CodecError> {
        <K as Declared<P>>::encode(args)
    }
}

/// A call that the job `P` may make a child of.
#[diagnostic::on_unimplemented(
    message = "this is not a call of a job",
    label = "expected a call of a `#[job]` function or of a workflow, found `{Self}`",
    note = "put `#[job]` on the function; what is no job can be awaited right here"
)]
pub trait SpawnCall<'c, P, C> {
    #[doc(hidden)]
    fn into_child(self) -> (KindDef, Result<Vec<u8>, CodecError>);
}

impl<'c, P, C: SpawnedBy<P>> SpawnCall<'c, P, C> for Call<'c, C> {
    fn into_child(self) -> (KindDef, Result<Vec<u8>, CodecError>) {
        (C::kind(), C::encode(&self.args))
    }
}

/// Demanded of what is spawned where nothing can be. Nothing implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be spawned here: the job declares no `spawns(..)`",
    label = "spawned by a job that declares nothing",
    note = "write `#[job(spawns({Self}))]` before the job, so that it is found again after a restart",
    note = "a function that spawns for a job takes the context of that job: `ctx: &Context<TheJob>`"
)]
pub trait SpawnedByNone: Job {
    #[doc(hidden)]
    fn none<A, T>(_: A) -> T;
}
