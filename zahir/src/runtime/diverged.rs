//! What a job is told that does not spawn what an attempt of it before has spawned.

use zahir_store::{ChildCall, Failure, FailureKind, NodeId};

use crate::job::failure as failed;
use crate::runtime::executable::Executable;
use crate::value;

/// How many characters of the inputs of a call are told.
const TOLD_MAX: usize = 300;

/// Two calls with the same number or key: the kind and the encoded inputs on record, and those now.
pub(crate) type Calls<'a> = (NodeId, &'a [u8], NodeId, &'a [u8]);

/// The failure of the attempt.
pub(crate) fn failure(executable: &Executable, call: &ChildCall, calls: Calls<'_>) -> Failure {
    let (before, stored, now, given) = calls;
    let call = match call {
        ChildCall::Number(number) => format!("child {number}"),
        ChildCall::Key(key) => format!("the child with the key `{key}`"),
    };
    let told = |kind, arguments| {
        let name = executable.kind_name(kind).unwrap_or("?");
        format!("`{name}({})`", value::told_arguments(arguments, TOLD_MAX))
    };
    let message = format!(
        "{call} of this job is on record as {}, and this attempt spawned {}: a job that runs again has \
         to spawn the same children. Make what its children depend on the result of a job before it, or \
         `ctx.record(..)` it, or give each child a `.key(..)` that tells it apart",
        told(before, stored),
        told(now, given),
    );
    failed(FailureKind::Diverged, message)
}
