//! Kinds: what a job may spawn, as `spawns(..)` says.
//!
//! A kind is described where it is declared. There rustc knows its types, also whether its error can
//! be kept for whoever awaits the child.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;

use crate::job::Job;
use crate::value::CodecError;
use crate::wire::Description;

/// A job or workflow that a job may spawn.
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
    pub(crate) const fn name(&self) -> &'static str {
        match &self.description {
            Description::Job(job) => job.name,
            Description::Workflow(workflow) => workflow.name,
            Description::Each { .. }
            | Description::Result(_)
            | Description::Race(_)
            | Description::Signal(_) => "",
        }
    }
}

impl fmt::Debug for KindDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KindDef").field(&self.name()).finish()
    }
}

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
    pub fn kind() -> Option<KindDef> {
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

/// The kinds of a job.
#[must_use]
pub fn declared<const N: usize>(kinds: [Option<KindDef>; N]) -> Vec<KindDef> {
    kinds.into_iter().flatten().collect()
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
