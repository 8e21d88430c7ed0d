//! Stand-in.
use std::fmt;

use zahir_store::Failure;

use crate::job::BoxFuture;
use crate::value::Value;

/// A step.
#[expect(clippy::exhaustive_enums, reason = "closed: one variant per question")]
pub enum Step<'e> {
    /// A job's attempt.
    Run(BoxFuture<'e, Outcome>),
    /// A pure value.
    Value(Value),
    /// What a `for` goes over.
    Items(Vec<Value>),
    /// The inputs of a called workflow.
    Enter(Vec<Value>),
    /// Nothing.
    Nothing,
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Step")
    }
}

/// How an attempt ends.
pub type Outcome = Result<Produced, Failure>;

/// What a successful attempt gives.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Produced {
    /// The output.
    pub value: Value,
    /// Its bytes, if they were asked for.
    pub encoded: Vec<u8>,
}
